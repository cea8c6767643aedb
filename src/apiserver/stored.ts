// How objects lie in the store: the UTF-8 of JSON text with apiVersion, kind and metadata first and without resourceVersion, which is
// the key's modRevision and is put in when the text is served. So a list is glued from stored texts without parsing.
// Keys: /registry/<resource>[.<group>]/[<namespace>/]<name>, of the kind as which the object is stored.

import { type Kind, type KubeObject, resourceOf } from '../api/kind.ts'
import type { KeyValue } from '../kv/store.ts'
import { assert } from '../lib/assert.ts'
import type { Bytes } from '../lib/bytes.ts'
import { parseExact } from '../lib/json.ts'
import { Derivation, isKept } from '../lib/kept.ts'
import { packText, unpackText } from '../lib/packed.ts'

type Placed = Pick<Kind, 'group' | 'plural' | 'storedAs'>

export function resourcePrefix(kind: Placed): string {
  return `/registry/${resourceOf(kind.storedAs?.kind ?? kind)}/`
}

/** All of a kind, or of a kind in one namespace. */
export function prefixOf(kind: Placed & Pick<Kind, 'scope'>, namespace?: string): string {
  const prefix = resourcePrefix(kind)
  return kind.scope === 'Namespaced' && namespace !== undefined && namespace !== ''
    ? `${prefix}${packText(namespace)}/`
    : prefix
}

export function keyOf(kind: Placed & Pick<Kind, 'scope'>, namespace: string | undefined, name: string) {
  return prefixOf(kind, kind.scope === 'Namespaced' ? (namespace ?? '') : undefined) + packText(name)
}

/** The value to store. The object's own resourceVersion is left out. */
export function encodeStored(object: KubeObject): string {
  const { apiVersion, kind, metadata, ...rest } = object
  const { resourceVersion: _, ...meta } = metadata
  const stored = { apiVersion, kind, metadata: meta, ...rest }
  return packText(Object.values(rest).some(isKept) ? objectText(stored, ownerPath) : JSON.stringify(stored))
}

/** Kept values, whose text is made once, stand at the top of an object, and below the entries of its managedFields. */
const ownerPath = ['metadata', 'managedFields', 'fieldsV1', '']

const texts = new Derivation<undefined, string>()

/** As JSON.stringify. `path` leads to what may hold kept values. */
function valueText(value: unknown, path: readonly string[]): string | undefined {
  if (isKept(value)) return texts.of(value, undefined, () => JSON.stringify(value))
  if (path.length === 0 || typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(item => valueText(item, path) ?? 'null').join(',')}]`
  return objectText(value, path)
}

function objectText(object: object, path: readonly string[]): string {
  let text = ''
  for (const [key, value] of Object.entries(object)) {
    const part = valueText(value, key === path[0] ? path.slice(1) : none)
    if (part !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${part}`
  }
  return `{${text}}`
}

const none: readonly string[] = []

/** The object of a value that is to be stored: it has no resourceVersion yet. */
export function decodeStored(value: string): KubeObject {
  return parseExact(unpackText(value)) as KubeObject
}

const metadataStart = '"metadata":{'

/** Of a stored object what it takes to serve it. */
export type Served = Pick<KeyValue, 'key' | 'value' | 'modRevision'>

/** The text to serve. `revision` differs from the modRevision for an object that was deleted then. */
export function servedText(stored: Served, revision = stored.modRevision): string {
  return textAt(unpackText(stored.value), revision)
}

/** The text of an object that encodeStored has made, with its version. */
function textAt(text: string, revision: number): string {
  const at = text.indexOf(metadataStart) + metadataStart.length
  assert(at >= metadataStart.length, 'what is stored is no object')
  const comma = text[at] === '}' ? '' : ','
  return `${text.slice(0, at)}"resourceVersion":"${revision}"${comma}${text.slice(at)}`
}

const insertStart = Buffer.from('"resourceVersion":"')
const [quote = 0, comma = 0, space = 0, brace = 0] = Buffer.from('", }')

/** How many bytes `ServedWriter` makes of it. */
export function servedLength({ value, modRevision }: Served): number {
  return value.length + insertStart.length + String(modRevision).length + 2
}

/** Writes `servedText` in UTF-8, from the stored bytes as they are: nothing is decoded, and each byte is copied once. */
export class ServedWriter {
  /** How the last one began, up to the first field of its metadata: those of one kind mostly begin alike. */
  #like: Uint8Array = new Uint8Array(0)

  /** Gives where it ends. */
  write({ key, value, modRevision }: Served, into: Buffer, from: number): number {
    const revision = String(modRevision)
    const behind = from + insertStart.length + revision.length + 2
    const end = behind + into.write(value, behind, 'latin1')
    // Now the beginning goes where it belongs, and the revision into the gap that it leaves.
    let at = this.#likeLength(into, behind)
    if (at === 0) {
      at = value.indexOf(metadataStart) + metadataStart.length
      assert(at >= metadataStart.length, `${key} holds no object`)
      this.#like = Uint8Array.prototype.slice.call(into, behind, behind + at)
    }
    into.copyWithin(from, behind, behind + at)
    let gap = from + at
    for (const byte of insertStart) into[gap++] = byte
    for (let i = 0; i < revision.length; i++) into[gap++] = revision.charCodeAt(i)
    into[gap++] = quote
    into[gap] = into[gap + 1] === brace ? space : comma
    return end
  }

  /** The length of the beginning; 0: it is another than that of the last one. */
  #likeLength(bytes: Buffer, from: number): number {
    const like = this.#like
    for (let i = 0; i < like.length; i++) if (bytes[from + i] !== like[i]) return 0
    return like.length
  }
}

const single = new ServedWriter()

/** `servedText` and the end of its line, in UTF-8. */
export function servedLine(stored: Served): Bytes {
  const bytes = Buffer.allocUnsafe(servedLength(stored) + 1)
  bytes[single.write(stored, bytes, 0)] = lineEnd
  return bytes
}

const lineEnd = 0x0a

// One parse serves every watcher of the same change, for as long as one of them holds on to it.
const parsed = new WeakMap<KeyValue, WeakRef<KubeObject>>()

/** The object, with its resourceVersion. Shared: nobody may change it. */
export function objectOf<T extends KubeObject>(stored: KeyValue): T {
  const known = parsed.get(stored)?.deref()
  if (known !== undefined) return known as T
  const object = parseExact(servedText(stored)) as T
  parsed.set(stored, new WeakRef(object))
  return object
}

/** What was deleted, as it was, at the revision of its deletion. */
export function deletedObject<T extends KubeObject>(previous: KeyValue, revision: number): T {
  return parseExact(servedText(previous, revision)) as T
}

export function withRevision<T extends KubeObject>(object: T, revision: number): T {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}
