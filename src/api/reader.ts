// Reads JSON and YAML and sees what JSON.parse hides: keys that stand twice in one object. The later value wins, as in
// encoding/json. Total: malformed text gives ReadError, never another exception. Called by api/parse.ts.
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Node as YamlNode } from 'yaml'
import type { Json } from './schema.ts'

/** The text is malformed; the message says where. */
export class ReadError extends Error {
  override readonly name = 'ReadError'
}

/** Of each repeated key: where it stands (spec.containers[0].image), by the path of the key read just before it. */
export type Duplicates = ReadonlyMap<string, readonly Repeated[]>
export type Repeated = { readonly parent: string; readonly key: string }
export const noDuplicates: Duplicates = new Map()

export const depthMax = 500

/** How a field below `parent` is called in messages. */
export function pathOf(parent: string, key: string): string {
  return parent === '' ? key : `${parent}.${key}`
}

class Found {
  readonly byPath = new Map<string, Repeated[]>()
  add(after: string, repeated: Repeated): void {
    const list = this.byPath.get(after)
    if (list) list.push(repeated)
    else this.byPath.set(after, [repeated])
  }
}

export type Read = { readonly value: Json; readonly duplicates: Duplicates }

export function readJsonText(text: string): Read {
  // JSON.parse says whether the text is sound; after it the scan below needs no error cases of its own.
  const value = parseJson(text)
  const found = new Found()
  new Scanner(text, found).value('', 0)
  return { value, duplicates: found.byPath }
}

export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (error) {
    throw new ReadError(error instanceof Error ? error.message : String(error))
  }
}

/** Walks text that is known to be JSON and notes repeated keys. */
class Scanner {
  readonly #text: string
  readonly #found: Found
  #at = 0

  constructor(text: string, found: Found) {
    this.#text = text
    this.#found = found
  }

  #peek(): string {
    for (;;) {
      const character = this.#text.charAt(this.#at)
      if (character !== ' ' && character !== '\n' && character !== '\t' && character !== '\r') return character
      this.#at++
    }
  }

  #string(): string {
    const start = this.#at++
    let escaped = false
    for (;;) {
      const character = this.#text.charAt(this.#at++)
      if (character === '"') break
      if (character === '\\') {
        escaped = true
        this.#at++
      }
    }
    return escaped
      ? (JSON.parse(this.#text.slice(start, this.#at)) as string)
      : this.#text.slice(start + 1, this.#at - 1)
  }

  value(path: string, depth: number): void {
    if (depth > depthMax) throw new ReadError('exceeded max depth')
    const character = this.#peek()
    if (character === '{') this.#object(path, depth)
    else if (character === '[') this.#list(path, depth)
    else if (character === '"') this.#string()
    else while (!',]}'.includes(this.#text.charAt(this.#at) || ',')) this.#at++
  }

  #object(path: string, depth: number): void {
    this.#at++
    const seen = new Set<string>()
    let previous = ''
    while (this.#peek() !== '}') {
      if (this.#peek() === ',') this.#at++
      this.#peek()
      const key = this.#string()
      this.#peek()
      this.#at++
      if (seen.has(key)) this.#found.add(pathOf(path, previous), { parent: path, key })
      else previous = key
      seen.add(key)
      this.value(pathOf(path, key), depth + 1)
    }
    this.#at++
  }

  #list(path: string, depth: number): void {
    this.#at++
    let index = 0
    while (this.#peek() !== ']') {
      if (this.#peek() === ',') this.#at++
      this.value(`${path}[${index++}]`, depth + 1)
      this.#peek()
    }
    this.#at++
  }
}

/** One YAML document, read as YAML 1.1 (yes and on are booleans), as kubectl and the API server do. */
export function readYamlText(text: string): Read {
  const lines = new LineCounter()
  const document = parseDocument(text, { version: '1.1', uniqueKeys: false, lineCounter: lines, merge: true })
  const fault = document.errors[0]
  if (fault) throw new ReadError(`error converting YAML to JSON: yaml: ${fault.message}`)
  const found = new Found()
  noteRepeated(document.contents, '', found, 0)
  try {
    return { value: (document.toJS({ maxAliasCount: 100 }) ?? null) as Json, duplicates: found.byPath }
  } catch (error) {
    throw new ReadError(
      `error converting YAML to JSON: yaml: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

function noteRepeated(node: YamlNode | null, path: string, found: Found, depth: number): void {
  if (depth > depthMax) throw new ReadError('exceeded max depth')
  if (node === null || isAlias(node) || isScalar(node)) return
  if (isMap(node)) {
    const seen = new Set<string>()
    let previous = ''
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : String(key)
      if (seen.has(name)) found.add(pathOf(path, previous), { parent: path, key: name })
      else previous = name
      seen.add(name)
      noteRepeated(value as YamlNode | null, pathOf(path, name), found, depth + 1)
    }
  } else if (isSeq(node)) {
    for (const [i, item] of node.items.entries()) noteRepeated(item as YamlNode, `${path}[${i}]`, found, depth + 1)
  }
}
