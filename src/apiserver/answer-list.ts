// Lists in the form that was negotiated. A long one is made and sent piece by piece, so that it never is whole in memory
// and others run meanwhile; what it shows was read at once, and is of one revision.
import type { Kind } from '../api/kind.ts'
import { encodeListFrame, encodeListItems, encodeMessage } from '../api/protobuf.ts'
import type { JsonObject } from '../api/schema.ts'
import type { ListMetaOut } from '../api/table.ts'
import * as meta from '../api/types/status.ts'
import { yamlItem, yamlText } from '../api/yaml.ts'
import type { KeyValue } from '../kv/store.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { HttpResponse } from '../world/http.ts'
import { type Parts, partsOf, type View } from './answer.ts'
import { messageOf } from './encode.ts'
import { contentTypeOf } from './negotiate.ts'
import type { Pace } from './run-pace.ts'
import type { Listed } from './run-read.ts'
import { objectOf, ServedWriter, servedLength } from './stored.ts'

/** A few TLS records long enough to be worth a write, short enough to be written in well under a millisecond. */
const chunkBytes = 256 * 1024
/** How many objects are read and written anew at once. */
const chunkCount = 32
/** A list of so many items is sent in one piece. */
const wholeCountMax = 64

export function respondList(kind: Kind, listed: Listed, view: View, pace: Pace): HttpResponse {
  const listMeta: ListMetaOut = {
    resourceVersion: String(listed.revision),
    ...(listed.continue !== undefined && { continue: listed.continue }),
    ...(listed.remaining !== undefined && listed.remaining > 0 && { remainingItemCount: listed.remaining }),
  }
  const { answers, pretty } = view
  const items = answers.as === 'Table' ? inTableOrder(kind, listed.items) : listed.items
  const headers = { 'content-type': contentTypeOf(answers.media, false) }
  const parts = partsOf(kind, listMeta, view)
  if (answers.as === 'Object' && answers.media === 'json' && !pretty) return respondGlued(parts, items, headers, pace)
  const made: Iterator<string | Bytes, void, void> =
    answers.media === 'protobuf' ? binaryChunks(kind, parts, items, view) : textChunks(parts, items, view)
  if (items.length > wholeCountMax) {
    return { kind: 'stream', code: 200, headers, body: paced(made, pace), compressible: true }
  }
  const whole = [...{ [Symbol.iterator]: () => made }]
  const body = answers.media === 'protobuf' ? Buffer.concat(whole as Bytes[]) : whole.join('')
  return { kind: 'whole', code: 200, headers, body }
}

function inTableOrder(kind: Kind, items: readonly KeyValue[]): readonly KeyValue[] {
  return kind.tableOrder ? items.toSorted((a, b) => kind.tableOrder?.(objectOf(a), objectOf(b)) ?? 0) : items
}

/** Waits for nothing but its turn. */
function paced<T>(chunks: Iterator<T, void, void>, pace: Pace): AsyncIterable<T> {
  const next = () => {
    const turn = pace.turn()
    return turn === undefined ? Promise.resolve(chunks.next()) : turn.then(() => chunks.next())
  }
  return { [Symbol.asyncIterator]: () => ({ next }) }
}

/** Of objects that are shown as they are stored: nothing is parsed, and the bytes are copied once. */
function respondGlued(
  parts: Parts,
  items: readonly KeyValue[],
  headers: Readonly<Record<string, string>>,
  pace: Pace,
): HttpResponse {
  const start = Buffer.from(startOf(parts))
  let byteCount = start.length + glueEnd.length + Math.max(0, items.length - 1)
  for (const item of items) byteCount += servedLength(item)
  const chunks = gluedChunks(start, items, byteCount)
  if (byteCount <= chunkBytes) {
    const [body = ''] = chunks
    return { kind: 'whole', code: 200, headers, body }
  }
  const length = { ...headers, 'content-length': String(byteCount) }
  return { kind: 'stream', code: 200, headers: length, body: paced(chunks, pace), compressible: true, lent: true }
}

const comma = ','.charCodeAt(0)
const glueEnd = ']}\n'
const startOf = ({ head, member }: Parts): string => `${JSON.stringify(head).slice(0, -1)},"${member}":[`

/** All of them lie in the same memory, unless one object is larger than it. */
function* gluedChunks(start: Buffer, items: readonly KeyValue[], byteCount: number): Generator<Bytes, void, void> {
  const shared = Buffer.allocUnsafeSlow(Math.min(byteCount, chunkBytes))
  let chunk = shared
  let at = start.copy(shared)
  const writer = new ServedWriter()
  let isFirst = true
  for (const item of items) {
    const needed = servedLength(item) + (isFirst ? 0 : 1)
    if (at + needed > chunk.length) {
      yield chunk.subarray(0, at)
      chunk = needed > shared.length ? Buffer.allocUnsafeSlow(needed) : shared
      at = 0
    }
    if (!isFirst) chunk[at++] = comma
    isFirst = false
    at = writer.write(item, chunk, at)
  }
  if (at + glueEnd.length > chunk.length) {
    yield chunk.subarray(0, at)
    at = 0
  }
  at += chunk.write(glueEnd, at, 'latin1')
  yield chunk.subarray(0, at)
}

function* textChunks(parts: Parts, items: readonly KeyValue[], view: View): Generator<string, void, void> {
  const frame = frameOf(parts, view, items.length === 0)
  let text = frame.start
  for (let at = 0; at < items.length; at += chunkCount) {
    if (at > 0) text += frame.separator
    text += items
      .slice(at, at + chunkCount)
      .map(item => frame.item(item))
      .join(frame.separator)
    yield text
    text = ''
  }
  yield text + frame.end
}

type Frame = {
  readonly start: string
  readonly separator: string
  readonly end: string
  item(stored: KeyValue): string
}

function frameOf(parts: Parts, view: View, isEmpty: boolean): Frame {
  const { head, member } = parts
  const value = (stored: KeyValue) => parts.item(objectOf(stored))
  if (view.answers.media === 'yaml') {
    const start = `${yamlText(head)}${member}:${isEmpty ? ' []' : ''}\n`
    return { start, separator: '', end: '', item: stored => yamlItem(value(stored)) }
  }
  if (view.pretty) {
    const start = `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "${member}": [${isEmpty ? '' : '\n    '}`
    const item = (stored: KeyValue) => JSON.stringify(value(stored), null, 2).replaceAll('\n', '\n    ')
    return { start, separator: ',\n    ', end: isEmpty ? ']\n}\n' : '\n  ]\n}\n', item }
  }
  return { start: startOf(parts), separator: ',', end: glueEnd, item: stored => JSON.stringify(value(stored)) }
}

/**
 * The length of the whole stands at its beginning, so every item is encoded before the first byte goes; empty chunks in
 * between let others run meanwhile.
 */
function* binaryChunks(kind: Kind, parts: Parts, items: readonly KeyValue[], view: View): Generator<Bytes, void, void> {
  const { answers } = view
  const isStored = answers.as === 'Object'
  const { kind: name, apiVersion, metadata } = parts.head
  const isBeta = !isStored && apiVersion === 'meta.k8s.io/v1beta1'
  const chunks: Bytes[] = []
  let byteCount = 0
  for (let at = 0; at < items.length; at += chunkCount) {
    if (at > 0) yield nothing
    const messages = items
      .slice(at, at + chunkCount)
      .map(stored =>
        isStored ? messageOf(kind, stored) : encodeMessage(meta.partialObjectMetadata, parts.item(objectOf(stored))),
      )
    const chunk = encodeListItems(messages, isBeta)
    byteCount += chunk.length
    chunks.push(chunk)
  }
  const frame = encodeListFrame(String(apiVersion), String(name), metadata as JsonObject, byteCount, isBeta)
  yield frame.start
  yield* chunks
  yield frame.end
}

const nothing: Bytes = new Uint8Array(0)
