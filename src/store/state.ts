// The applied state as records of a DiskMap: one per key, and one that says what all of them together are. A record
// carries its own checksum over key and value, and the sum of all checksums stands in the record of the whole, so one
// that was bent, lost, or left behind from an older batch is noticed when the state is loaded.

import type { KvImage } from '../kv/kv.ts'
import { readVersion, writeVersion } from '../kv/record.ts'
import type { KeyValue } from '../kv/store.ts'
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { crc32 } from '../lib/crc32.ts'
import type { Membership } from '../raft/types.ts'
import { readMembership, writeMembership } from './entry.ts'

export const stateVersion = 2
export const wholeKey = 'whole'
/** Before each key, so that no key can be taken for `wholeKey`. */
export const keyPrefix = 'key:'
export const keyEnd = 'key;'

/** What is known of the state besides its keys. */
export type Whole = Omit<KvImage, 'base' | 'changes'> & {
  readonly membership: Membership
  /** The peers of the members (members.ts). */
  readonly context: Bytes
  readonly count: number
  /** The sum of all records' checksums, modulo 2^32. */
  readonly sum: number
}

export function encodeItem(item: KeyValue): { readonly value: Bytes; readonly crc: number } {
  const out = new ByteWriter(item.key.length + item.value.length + 64)
  out.u32(0)
  writeVersion(out, item)
  const value = out.finish()
  const crc = crc32(value.subarray(4))
  out.patchU32(0, crc)
  return { value, crc }
}

/** Undefined when it is not what was written under this key. */
export function decodeItem(key: string, value: Bytes): { readonly item: KeyValue; readonly crc: number } | undefined {
  const input = new ByteReader(value)
  const crc = input.u32()
  if (!input.ok || crc32(value.subarray(4)) !== crc) return undefined
  const item = readVersion(input)
  return input.done && item.key === key ? { item, crc } : undefined
}

export function encodeWhole(whole: Whole): Bytes {
  const out = new ByteWriter(1024)
  out.u32(0)
  out.varint(stateVersion)
  out.varint(whole.index)
  out.varint(whole.term)
  out.varint(whole.revision)
  out.u32(whole.hash)
  out.varint(whole.start)
  out.varint(whole.compacted)
  out.varint(whole.count)
  out.u32(whole.sum)
  writeMembership(out, whole.membership)
  out.bytes(whole.context)
  out.varint(whole.doneTotal)
  out.varint(whole.done.length)
  for (const [id, revision] of whole.done) {
    out.chars(id)
    out.varint(revision)
  }
  out.varint(whole.leases.length)
  for (const [lease, ttlSeconds] of whole.leases) {
    out.varint(lease)
    out.varint(ttlSeconds)
  }
  const value = out.finish()
  out.patchU32(0, crc32(value.subarray(4)))
  return value
}

export function decodeWhole(value: Bytes): Whole | undefined {
  const input = new ByteReader(value)
  if (input.u32() !== crc32(value.subarray(4)) || input.varint() !== stateVersion) return undefined
  const index = input.varint()
  const term = input.varint()
  const revision = input.varint()
  const hash = input.u32()
  const start = input.varint()
  const compacted = input.varint()
  const count = input.varint()
  const sum = input.u32()
  const membership = readMembership(input)
  const context = input.bytes().slice()
  const doneTotal = input.varint()
  const done: [string, number][] = []
  for (let i = input.count(5); i > 0 && input.ok; i--) done.push([input.chars(), input.varint()])
  const leases: [number, number][] = []
  for (let i = input.count(2); i > 0 && input.ok; i--) leases.push([input.varint(), input.varint()])
  if (!input.done) return undefined
  return { index, term, revision, hash, start, compacted, doneTotal, done, leases, count, sum, membership, context }
}
