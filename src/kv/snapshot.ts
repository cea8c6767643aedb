// The whole state as a sequence of chunks, for a replica that is too far behind for the log: what was there at the start
// of the history, then every change since. Each chunk starts with the checksum of itself chained to the chunk before it,
// so one that is bent, missing or out of place is noticed; the last one counts. The layers above put their own bytes (the
// membership) into the first chunk. Snapshots and backups of release 0.1.0 are read too.
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { crc32 } from '../lib/crc32.ts'
import type { KvHead, KvImage } from './kv.ts'
import { readVersion, writeVersion } from './record.ts'
import type { KeyValue, Revision } from './store.ts'
import type { LeaseId } from './txn.ts'

export const snapshotVersion = 2
const firstSnapshotVersion = 1
export const snapshotChunkBytes = 256 * 1024

const headTag = 1
const itemsTag = 2
const endTag = 3
const changesTag = 4
const doneTag = 5
const leasesTag = 6

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
  function* all<T>(tag: number, things: readonly T[], write: (out: ByteWriter, thing: T) => void) {
    let out = open(tag, snapshotChunkBytes + 4096)
    for (const thing of things) {
      write(out, thing)
      if (out.length < snapshotChunkBytes) continue
      yield seal(out)
      out = open(tag, snapshotChunkBytes + 4096)
    }
    if (out.length > emptyBytes) yield seal(out)
  }

  const head = open(headTag, 1024)
  head.varint(snapshotVersion)
  head.varint(image.index)
  head.varint(image.term)
  head.varint(image.revision)
  head.u32(image.hash)
  head.varint(image.start)
  head.varint(image.compacted)
  head.varint(image.doneTotal)
  for (const part of [image.base, image.changes, image.done, image.leases]) head.varint(part.length)
  head.bytes(context)
  yield seal(head)
  yield* all(itemsTag, image.base, writeVersion)
  yield* all(changesTag, image.changes, writeVersion)
  yield* all(doneTag, image.done, (out, [id, revision]) => {
    out.chars(id)
    out.varint(revision)
  })
  yield* all(leasesTag, image.leases, (out, [lease, ttlSeconds]) => {
    out.varint(lease)
    out.varint(ttlSeconds)
  })
  const end = open(endTag, 16)
  end.varint(image.base.length)
  yield seal(end)
}

/** Checksum and tag. */
const emptyBytes = 5

export class SnapshotError extends Error {
  override readonly name = 'SnapshotError'
}

export type SnapshotReader = {
  /** Takes the next chunk. Throws SnapshotError on one that is not what was sent. */
  push(chunk: Bytes): void
  /** The state, once the last chunk has come; undefined before. */
  finish(): { readonly image: KvImage; readonly context: Bytes } | undefined
}

type Head = {
  readonly image: Omit<KvHead, 'done' | 'leases'>
  readonly counts: readonly [base: number, changes: number, done: number, leases: number]
  readonly context: Bytes
}

export function snapshotReader(): SnapshotReader {
  let crc = 0
  let head: Head | undefined
  let ended = false
  let isFirst = false
  const base: KeyValue[] = []
  const changes: KeyValue[] = []
  const done: (readonly [string, Revision])[] = []
  const leases: (readonly [LeaseId, number])[] = []

  function readHead(input: ByteReader): void {
    const version = input.varint()
    isFirst = version === firstSnapshotVersion
    if (!isFirst && version !== snapshotVersion) {
      throw new SnapshotError(`snapshot of format ${version}, this program knows ${snapshotVersion} and older`)
    }
    head = isFirst ? firstHead(input, done) : readNewHead(input)
  }

  function readBase(input: ByteReader): void {
    const item = isFirst ? firstItem(input) : readVersion(input)
    const last = base.at(-1)
    if (last !== undefined && last.key >= item.key) throw new SnapshotError('snapshot keys are out of order')
    base.push(item)
  }

  function readChange(input: ByteReader): void {
    const item = readVersion(input)
    const last = changes.at(-1)?.modRevision ?? head?.image.start ?? 0
    if (item.modRevision < last) throw new SnapshotError('snapshot changes are out of order')
    changes.push(item)
  }

  function readBody(tag: number, input: ByteReader): void {
    while (input.ok && input.remaining > 0) {
      if (tag === itemsTag) readBase(input)
      else if (tag === changesTag) readChange(input)
      else if (tag === doneTag) done.push([input.chars(), input.varint()])
      else if (tag === leasesTag) leases.push([input.varint(), input.varint()])
      else throw new SnapshotError(`snapshot chunk of unknown kind ${tag}`)
    }
  }

  function readEnd(input: ByteReader): void {
    ended = true
    const counts = [base, changes, done, leases].map(part => part.length)
    if (input.varint() !== base.length || counts.some((count, i) => count !== head?.counts[i])) {
      throw new SnapshotError(`snapshot has ${counts.join(', ')} parts of ${head?.counts.join(', ')}`)
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
      else if (tag === endTag) readEnd(input)
      else readBody(tag, input)
      if (!input.done) throw new SnapshotError('snapshot chunk does not decode')
    },
    finish() {
      if (!ended || head === undefined) return undefined
      const { image, context } = head
      return { image: { ...image, base, baseRevision: image.start, changes, done, leases }, context }
    },
  }
}

function readNewHead(input: ByteReader): Head {
  const index = input.varint()
  const term = input.varint()
  const revision = input.varint()
  const hash = input.u32()
  const start = input.varint()
  const compacted = input.varint()
  const doneTotal = input.varint()
  const counts = [input.varint(), input.varint(), input.varint(), input.varint()] as const
  const context = input.bytes().slice()
  return { image: { index, term, revision, hash, start, compacted, doneTotal }, counts, context }
}

/** Text was written in UTF-8, so its bytes are what is stored now; there was no history. */
function firstHead(input: ByteReader, done: (readonly [string, Revision])[]): Head {
  const index = input.varint()
  const term = input.varint()
  const revision = input.varint()
  const hash = input.u32()
  const count = input.varint()
  const context = input.bytes().slice()
  for (let i = input.count(5); i > 0 && input.ok; i--) done.push([input.chars(), input.varint()])
  const image = { index, term, revision, hash, start: revision, compacted: revision, doneTotal: done.length }
  return { image, counts: [count, 0, done.length, 0], context }
}

/** See `applyFirst` in kv.ts for what the version means. */
function firstItem(input: ByteReader): KeyValue {
  const key = input.chars()
  const value = input.chars()
  const createRevision = input.varint()
  const modRevision = input.varint()
  return { key, value, createRevision, modRevision, version: 1, lease: 0 }
}
