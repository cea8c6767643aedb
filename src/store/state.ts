// The applied state as records of a DiskMap. What a key was when the history began is a record of its own ("item:"); the
// changes since lie in blocks in order ("change:"), so that a put costs the map a part of a record and not a record, and a
// key that is put often is written once when its changes are forgotten. Beside them the ids of done writes in pieces of a
// thousand, the leases, and one record that says what all of them together are.
//
// Every record begins with its own checksum. The sum of the checksums of all items stands in the record of the whole, and
// each block names the revision before it, so what was bent, lost, or left behind from an older batch is noticed.
import type { KvHead } from '../kv/kv.ts'
import { readVersion, writeVersion } from '../kv/record.ts'
import type { KeyValue, Revision } from '../kv/store.ts'
import type { LeaseId } from '../kv/txn.ts'
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { crc32 } from '../lib/crc32.ts'
import { unpackText } from '../lib/packed.ts'
import type { Membership } from '../raft/types.ts'
import { readMembership, writeMembership } from './entry.ts'

export const stateVersion = 2
/** Of release 0.1.0: the keys of now under other names, and no history. */
export const firstStateVersion = 1

export const wholeKey = 'whole'
export const itemPrefix = 'item:'
export const changePrefix = 'change:'
export const donePrefix = 'done:'
export const leasePrefix = 'lease:'
export const firstItemPrefix = 'key:'
/** All records that there can be. */
export const allRecords = { from: '', to: '~' } as const
/** After every key with the prefix. */
export const prefixEnd = (prefix: string) => `${prefix.slice(0, -1)};`

/** How many ids of done writes one record holds. */
export const doneInRecord = 1_024
export const blockBytes = 256 * 1024

/** All keys that are there at one revision. */
export type Sums = {
  readonly revision: Revision
  readonly count: number
  /** Of the checksums of the items, modulo 2^32. */
  readonly sum: number
}

/** What is known of the state besides its records. */
export type Whole = Omit<KvHead, 'done' | 'leases'> & {
  readonly membership: Membership
  /** The peers of the members (members.ts). */
  readonly context: Bytes
  /** What the items are: the state at a revision that is not after the start of the history. */
  readonly base: Sums
  readonly doneCount: number
  readonly leaseCount: number
  /** Of their checksums. */
  readonly leaseSum: number
}

const sequenceName = (prefix: string, number: number) => prefix + number.toString(16).padStart(14, '0')

// ---- items ----

export function encodeItem(item: KeyValue): { readonly value: Bytes; readonly crc: number } {
  return seal(item.key.length + item.value.length + 64, out => writeVersion(out, item))
}

/** Undefined when it is not what was written under this key. */
export function decodeItem(key: string, value: Bytes): { readonly item: KeyValue; readonly crc: number } | undefined {
  const input = new ByteReader(value)
  const crc = unseal(input, value)
  if (crc === undefined) return undefined
  const item = readVersion(input)
  return input.done && item.key === key ? { item, crc } : undefined
}

/** `key` as the map has it, in which text was not packed. */
export function decodeFirstItem(key: string, value: Bytes): { item: KeyValue; crc: number } | undefined {
  const input = new ByteReader(value)
  const crc = unseal(input, value)
  if (crc === undefined) return undefined
  const packed = input.chars()
  const createRevision = input.varint()
  const modRevision = input.varint()
  const item = { key: packed, value: input.chars(), createRevision, modRevision, version: 1, lease: 0 }
  return input.done && unpackText(packed) === key ? { item, crc } : undefined
}

// ---- blocks of changes ----

export type Block = {
  readonly name: string
  /** The newest revision before it. */
  readonly before: Revision
  /** The keys as they are after it. */
  readonly after: Sums
  readonly bytes: number
}

export type BlockWriter = {
  readonly isEmpty: boolean
  readonly bytes: number
  add(item: KeyValue): void
  /** Only between revisions. */
  finish(after: Sums): { readonly block: Block; readonly value: Bytes }
}

const blockHeadBytes = 40

export function createBlock(before: Revision): BlockWriter {
  const out = new ByteWriter(blockBytes + 16 * 1024)
  out.raw(new Uint8Array(blockHeadBytes))
  return {
    get isEmpty() {
      return out.length === blockHeadBytes
    },
    get bytes() {
      return out.length
    },
    add: item => writeVersion(out, item),
    finish(after) {
      const value = out.finish()
      const view = new DataView(value.buffer, value.byteOffset, blockHeadBytes)
      view.setFloat64(8, before)
      view.setFloat64(16, after.revision)
      view.setFloat64(24, after.count)
      view.setUint32(32, after.sum)
      view.setUint32(0, crc32(value.subarray(4)), true)
      return { block: { name: sequenceName(changePrefix, before), before, after, bytes: value.length }, value }
    },
  }
}

/** Undefined when it is not what was written under this name. */
export function decodeBlock(name: string, value: Bytes): { block: Block; changes: KeyValue[] } | undefined {
  const input = new ByteReader(value)
  if (unseal(input, value) === undefined || value.length < blockHeadBytes) return undefined
  input.raw(blockHeadBytes - 4)
  const view = new DataView(value.buffer, value.byteOffset, blockHeadBytes)
  const before = view.getFloat64(8)
  const after = { revision: view.getFloat64(16), count: view.getFloat64(24), sum: view.getUint32(32) }
  const changes: KeyValue[] = []
  let last = before
  while (input.ok && input.remaining > 0) {
    const item = readVersion(input)
    if (item.modRevision < last || (changes.length === 0 && item.modRevision === before)) return undefined
    last = item.modRevision
    changes.push(item)
  }
  if (!input.done || last !== after.revision || name !== sequenceName(changePrefix, before)) return undefined
  return { block: { name, before, after, bytes: value.length }, changes }
}

// ---- done writes and leases ----

type Id = readonly [id: string, revision: Revision]

/** The records of the ids that are known, from the piece that number `from` falls into; `total` counts all that ever were. */
export function encodeDone(ids: readonly Id[], total: number, from: number): { name: string; value: Bytes }[] {
  const records: { name: string; value: Bytes }[] = []
  const oldest = total - ids.length
  let piece = Math.floor(Math.max(from, oldest) / doneInRecord)
  for (; piece * doneInRecord < total; piece++) {
    const first = Math.max(piece * doneInRecord, oldest)
    const some = ids.slice(first - oldest, (piece + 1) * doneInRecord - oldest)
    const { value } = seal(some.length * 48, out => {
      out.varint(first)
      for (const [id, revision] of some) {
        out.chars(id)
        out.varint(revision)
      }
    })
    records.push({ name: doneName(piece), value })
  }
  return records
}

export const doneName = (piece: number) => sequenceName(donePrefix, piece)

/** `first` is the number of the first of the ids. */
export function decodeDone(value: Bytes): { first: number; ids: Id[] } | undefined {
  const input = new ByteReader(value)
  if (unseal(input, value) === undefined) return undefined
  const first = input.varint()
  const ids: Id[] = []
  while (input.ok && input.remaining > 0) ids.push([input.chars(), input.varint()])
  return input.done ? { first, ids } : undefined
}

export const leaseName = (lease: LeaseId) => sequenceName(leasePrefix, lease)

export function encodeLease(lease: LeaseId, ttlSeconds: number): { readonly value: Bytes; readonly crc: number } {
  return seal(32, out => {
    out.varint(lease)
    out.varint(ttlSeconds)
  })
}

export function decodeLease(
  name: string,
  value: Bytes,
): { lease: LeaseId; ttlSeconds: number; crc: number } | undefined {
  const input = new ByteReader(value)
  const crc = unseal(input, value)
  if (crc === undefined) return undefined
  const lease = input.varint()
  const ttlSeconds = input.varint()
  return input.done && leaseName(lease) === name ? { lease, ttlSeconds, crc } : undefined
}

// ---- the whole ----

export function encodeWhole(whole: Whole): Bytes {
  const { value } = seal(1024, out => {
    out.varint(stateVersion)
    for (const field of wholeFields) out.varint(whole[field])
    out.u32(whole.hash)
    out.varint(whole.base.revision)
    out.varint(whole.base.count)
    out.u32(whole.base.sum)
    out.u32(whole.leaseSum)
    writeMembership(out, whole.membership)
    out.bytes(whole.context)
  })
  return value
}

const wholeFields = [
  'index',
  'term',
  'revision',
  'start',
  'compacted',
  'doneTotal',
  'doneCount',
  'leaseCount',
] as const satisfies readonly (keyof Whole)[]

/** What release 0.1.0 wrote holds the ids itself, and its items are told by a sum of their own. */
export type First = {
  readonly whole: Whole
  readonly done: readonly Id[]
  readonly count: number
  readonly sum: number
}

export function decodeWhole(value: Bytes): { kind: 'whole'; whole: Whole } | ({ kind: 'first' } & First) | undefined {
  const input = new ByteReader(value)
  if (unseal(input, value) === undefined) return undefined
  const version = input.varint()
  if (version === firstStateVersion) return decodeFirst(input)
  if (version !== stateVersion) return undefined
  const [index = 0, term = 0, revision = 0, start = 0, compacted = 0, doneTotal = 0, doneCount = 0, leaseCount = 0] =
    wholeFields.map(() => input.varint())
  const hash = input.u32()
  const base = { revision: input.varint(), count: input.varint(), sum: input.u32() }
  const leaseSum = input.u32()
  const membership = readMembership(input)
  const context = input.bytes().slice()
  if (!input.done) return undefined
  const numbers = { index, term, revision, start, compacted, doneTotal, doneCount, leaseCount, leaseSum, hash }
  return { kind: 'whole', whole: { ...numbers, base, membership, context } }
}

function decodeFirst(input: ByteReader): ({ kind: 'first' } & First) | undefined {
  const index = input.varint()
  const term = input.varint()
  const revision = input.varint()
  const hash = input.u32()
  const count = input.varint()
  const sum = input.u32()
  const membership = readMembership(input)
  const context = input.bytes().slice()
  const done: Id[] = []
  for (let i = input.count(5); i > 0 && input.ok; i--) done.push([input.chars(), input.varint()])
  if (!input.done) return undefined
  const base = { revision, count, sum: 0 }
  const none = { doneTotal: done.length, doneCount: done.length, leaseCount: 0, leaseSum: 0 }
  const whole = {
    index,
    term,
    revision,
    hash,
    start: revision,
    compacted: revision,
    base,
    ...none,
    membership,
    context,
  }
  return { kind: 'first', whole, done, count, sum }
}

// ---- checksums ----

function seal(capacity: number, write: (out: ByteWriter) => void): { readonly value: Bytes; readonly crc: number } {
  const out = new ByteWriter(capacity)
  out.u32(0)
  write(out)
  const value = out.finish()
  const crc = crc32(value.subarray(4))
  out.patchU32(0, crc)
  return { value, crc }
}

/** Undefined when the checksum that `value` begins with is not its own. */
function unseal(input: ByteReader, value: Bytes): number | undefined {
  const crc = input.u32()
  return input.ok && crc32(value.subarray(4)) === crc ? crc : undefined
}
