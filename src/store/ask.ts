// What members ask each other beside raft, one question and one answer: the leader of the time of a lease, and anybody of
// the hash of the state at some index. Decoding is total.
import type { LeaseId, LeaseInfo } from '../kv/txn.ts'
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'

const askVersion = 1

export type Ask =
  | { readonly kind: 'renew'; readonly lease: LeaseId }
  | { readonly kind: 'lease'; readonly lease: LeaseId }
  | { readonly kind: 'hashes'; readonly indexes: readonly number[] }

export type IndexHash = { readonly index: number; readonly hash: number }

export type Told =
  | { readonly kind: 'not-leader' }
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'no-lease' }
  | { readonly kind: 'renewed'; readonly ttlSeconds: number }
  | { readonly kind: 'lease'; readonly info: LeaseInfo }
  /** Of those that were asked for and are known. */
  | { readonly kind: 'hashes'; readonly hashes: readonly IndexHash[] }

/** The place in these lists is the number on the wire: only ever add at the end. */
const asks = ['renew', 'lease', 'hashes'] as const satisfies readonly Ask['kind'][]
const tolds = [
  'not-leader',
  'unavailable',
  'no-lease',
  'renewed',
  'lease',
  'hashes',
] as const satisfies readonly Told['kind'][]

export function encodeAsk(cluster: string, ask: Ask): Bytes {
  const out = new ByteWriter(128)
  out.u8(askVersion)
  out.text(cluster)
  out.u8(asks.indexOf(ask.kind))
  if (ask.kind !== 'hashes') out.varint(ask.lease)
  else {
    out.varint(ask.indexes.length)
    for (const index of ask.indexes) out.varint(index)
  }
  return out.finish()
}

export function decodeAsk(bytes: Bytes): { readonly cluster: string; readonly ask: Ask } | undefined {
  const input = new ByteReader(bytes)
  if (input.u8() !== askVersion) return undefined
  const cluster = input.text()
  const kind = asks[input.u8()]
  if (kind === undefined) return undefined
  const ask = kind === 'hashes' ? { kind, indexes: readIndexes(input) } : { kind, lease: input.varint() }
  return input.done ? { cluster, ask } : undefined
}

function readIndexes(input: ByteReader): number[] {
  const indexes: number[] = []
  for (let i = input.count(1); i > 0 && input.ok; i--) indexes.push(input.varint())
  return indexes
}

export function encodeTold(told: Told): Bytes {
  const out = new ByteWriter(128)
  out.u8(askVersion)
  out.u8(tolds.indexOf(told.kind))
  if (told.kind === 'renewed') out.varint(told.ttlSeconds)
  if (told.kind === 'hashes') {
    out.varint(told.hashes.length)
    for (const { index, hash } of told.hashes) {
      out.varint(index)
      out.u32(hash)
    }
  }
  if (told.kind === 'lease') {
    const { lease, grantedSeconds, remainingSeconds, keys } = told.info
    for (const number of [lease, grantedSeconds, remainingSeconds, keys.length]) out.varint(number)
    for (const key of keys) out.chars(key)
  }
  return out.finish()
}

export function decodeTold(bytes: Bytes): Told | undefined {
  const input = new ByteReader(bytes)
  if (input.u8() !== askVersion) return undefined
  const kind = tolds[input.u8()]
  if (kind === undefined) return undefined
  const told = readTold(input, kind)
  return input.done ? told : undefined
}

function readTold(input: ByteReader, kind: Told['kind']): Told {
  switch (kind) {
    case 'not-leader':
    case 'unavailable':
    case 'no-lease':
      return { kind }
    case 'renewed':
      return { kind, ttlSeconds: input.varint() }
    case 'hashes': {
      const hashes: IndexHash[] = []
      for (let i = input.count(5); i > 0 && input.ok; i--) hashes.push({ index: input.varint(), hash: input.u32() })
      return { kind, hashes }
    }
    case 'lease': {
      const [lease, grantedSeconds, remainingSeconds] = [input.varint(), input.varint(), input.varint()]
      const keys: string[] = []
      for (let i = input.count(4); i > 0 && input.ok; i--) keys.push(input.chars())
      return { kind, info: { lease, grantedSeconds, remainingSeconds, keys } }
    }
  }
}
