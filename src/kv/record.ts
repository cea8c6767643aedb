// One version of a key as bytes: the same in a snapshot and in the state on disk, and what the hashes are made of. A
// deletion is a version too: number 0, without a value, at the revision of the deletion.
import { type ByteReader, type ByteWriter, reusedWriter } from '../lib/binary.ts'
import { crc32 } from '../lib/crc32.ts'
import type { KeyValue, Revision } from './store.ts'

export function tombstone(key: string, revision: Revision): KeyValue {
  return { key, value: '', createRevision: 0, modRevision: revision, version: 0, lease: 0 }
}

export function writeVersion(out: ByteWriter, item: KeyValue): void {
  out.chars(item.key)
  out.varint(item.createRevision)
  out.varint(item.modRevision)
  out.varint(item.version)
  out.varint(item.lease)
  out.chars(item.value)
}

export function readVersion(input: ByteReader): KeyValue {
  const key = input.chars()
  const createRevision = input.varint()
  const modRevision = input.varint()
  const version = input.varint()
  const lease = input.varint()
  const value = input.chars()
  return { key, value, createRevision, modRevision, version, lease }
}

const scratch = reusedWriter(4 * 1024, 64 * 1024)

/** A signed 32-bit number, the checksum of the version's bytes. */
export function hashOf(item: KeyValue): number {
  const out = scratch()
  writeVersion(out, item)
  return crc32(out.peek()) | 0
}
