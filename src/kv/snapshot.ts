// The whole state as a sequence of chunks, for a replica that is too far behind for the log. Each chunk starts with the
// checksum of itself chained to the chunk before it, so one that is bent, missing or out of place is noticed; the last
// one counts. The layers above put their own bytes (the membership) into the first chunk.
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { crc32 } from '../lib/crc32.ts'
import type { KvImage } from './kv.ts'
import type { KeyValue } from './store.ts'

export const snapshotVersion = 1
export const snapshotChunkBytes = 256 * 1024

const headTag = 1
const itemsTag = 2
const endTag = 3

/** Chunks of about `snapshotChunkBytes` (one value may make one larger), made as they are asked for. */
export function* encodeSnapshot(image: KvImage, context: Bytes): Generator<Bytes, void, undefined> {
  let crc = 0
  const seal = (out: ByteWriter): Bytes => {
    const chunk = out.finish()
    crc = crc32(chunk.subarray(4), crc)
    out.patchU32(0, crc)
    return chunk
  }
  const open = (tag: number, capacity: number): ByteWriter => {
    const out = new ByteWriter(capacity)
    out.u32(0)
    out.u8(tag)
    return out
  }
  const head = open(headTag, 1024)
  head.varint(snapshotVersion)
  head.varint(image.index)
  head.varint(image.term)
  head.varint(image.revision)
  head.u32(image.hash)
  head.varint(image.items.length)
  head.bytes(context)
  head.varint(image.done.length)
  for (const [id, revision] of image.done) {
    head.text(id)
    head.varint(revision)
  }
  yield seal(head)

  let out = open(itemsTag, snapshotChunkBytes + 4096)
  for (const item of image.items) {
    encodeItem(out, item)
    if (out.length < snapshotChunkBytes) continue
    yield seal(out)
    out = open(itemsTag, snapshotChunkBytes + 4096)
  }
  if (out.length > 5) yield seal(out)
  const end = open(endTag, 16)
  end.varint(image.items.length)
  yield seal(end)
}

function encodeItem(out: ByteWriter, item: KeyValue): void {
  out.text(item.key)
  out.text(item.value)
  out.varint(item.createRevision)
  out.varint(item.modRevision)
}

export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
}

export type SnapshotReader = {
  /** Takes the next chunk. Throws SnapshotError on one that is not what was sent. */
  push(chunk: Bytes): void
  /** The state, once the last chunk has come; undefined before. */
  finish(): { readonly image: KvImage; readonly context: Bytes } | undefined
}

export function snapshotReader(): SnapshotReader {
  let crc = 0
  let head: { image: Omit<KvImage, 'items'>; count: number; context: Bytes } | undefined
  let ended = false
  const items: KeyValue[] = []

  function readHead(input: ByteReader): void {
    const version = input.varint()
    if (version !== snapshotVersion) throw new SnapshotError(`snapshot of format ${version}, this program knows 1`)
    const index = input.varint()
    const term = input.varint()
    const revision = input.varint()
    const hash = input.u32()
    const count = input.varint()
    const context = input.bytes().slice()
    const done: [string, number][] = []
    for (let i = input.count(5); i > 0 && input.ok; i--) done.push([input.text(), input.varint()])
    head = { image: { index, term, revision, hash, done }, count, context }
  }

  function readItems(input: ByteReader): void {
    while (input.ok && input.remaining > 0) {
      const item = {
        key: input.text(),
        value: input.text(),
        createRevision: input.varint(),
        modRevision: input.varint(),
      }
      const last = items.at(-1)
      if (last !== undefined && last.key >= item.key) throw new SnapshotError('snapshot keys are out of order')
      items.push(item)
    }
  }

  return {
    push(chunk) {
      const input = new ByteReader(chunk)
      const said = input.u32()
      const tag = input.u8()
      if (!input.ok) throw new SnapshotError('snapshot chunk is too short')
      crc = crc32(chunk.subarray(4), crc)
      if (crc !== said) throw new SnapshotError('snapshot chunk fails its checksum')
      if (ended || (tag === headTag) === (head !== undefined)) throw new SnapshotError('snapshot chunk out of place')
      if (tag === headTag) readHead(input)
      else if (tag === itemsTag) readItems(input)
      else if (tag === endTag) {
        ended = true
        if (input.varint() !== items.length || items.length !== head?.count) {
          throw new SnapshotError(`snapshot has ${items.length} keys of ${head?.count}`)
        }
      } else throw new SnapshotError(`snapshot chunk of unknown kind ${tag}`)
      if (!input.done) throw new SnapshotError('snapshot chunk does not decode')
    },
    finish() {
      if (!ended || head === undefined) return undefined
      return { image: { ...head.image, items }, context: head.context }
    },
  }
}
