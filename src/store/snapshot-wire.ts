// What is said on the stream of a snapshot, as bytes; run-snapshot.ts says when. Pure, and total where it reads.
//
//   follower → leader   who asks whom, how new it must be, and what it has of one already
//   leader → follower   how many chunks it leaves out because the follower has them
//   leader → follower   the chunks in pieces, so that a heartbeat on the same connection never waits for a whole one
//   follower → leader   after each piece how many came, and at last that all is on its disk
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { type MemberId, memberId } from '../raft/types.ts'

/** Release 0.1.0 spoke the first version: chunks in whole frames, nothing in between. It is still served. */
export type AskVersion = 1 | 2
const newestVersion: AskVersion = 2

/** What came before a stream broke. The checksum is that of the last chunk, which is chained to all before it. */
export type Had = { readonly chunks: number; readonly crc: number }

export type SnapshotAsk = {
  readonly cluster: string
  readonly from: MemberId
  readonly to: MemberId
  readonly atLeast: number
}

export function encodeAsk(ask: SnapshotAsk, version: AskVersion, had: Had | undefined): Bytes {
  const out = new ByteWriter()
  out.u8(version)
  out.text(ask.cluster)
  out.text(ask.from)
  out.text(ask.to)
  out.varint(ask.atLeast)
  if (version === newestVersion) {
    out.varint(had?.chunks ?? 0)
    out.u32(had?.crc ?? 0)
  }
  return out.finish()
}

export type DecodedAsk = { readonly ask: SnapshotAsk; readonly version: AskVersion; readonly had: Had | undefined }

export function decodeAsk(bytes: Bytes): DecodedAsk | undefined {
  const input = new ByteReader(bytes)
  const version = input.u8()
  const cluster = input.text()
  const from = memberId(input.text())
  const to = memberId(input.text())
  const ask = { cluster, from, to, atLeast: input.varint() }
  if (version === 1) return input.done ? { ask, version, had: undefined } : undefined
  const had = { chunks: input.varint(), crc: input.u32() }
  if (version !== newestVersion || !input.done) return undefined
  return { ask, version, had: had.chunks > 0 ? had : undefined }
}

export function encodeBegin(skipped: number): Bytes {
  const out = new ByteWriter(8)
  out.varint(skipped)
  return out.finish()
}

/** How many chunks are left out. */
export function decodeBegin(bytes: Bytes): number | undefined {
  const input = new ByteReader(bytes)
  const skipped = input.varint()
  return input.done ? skipped : undefined
}

/** So little that it does not hold up a heartbeat for long: 0.13 s on a line of 1 Mbit/s. */
export const pieceBytesMax = 16 * 1024

export function* piecesOf(chunk: Bytes): Generator<Bytes, void, undefined> {
  for (let at = 0; at < chunk.length; at += pieceBytesMax) {
    const part = chunk.subarray(at, at + pieceBytesMax)
    const piece = new Uint8Array(1 + part.length)
    piece[0] = at + part.length === chunk.length ? 1 : 0
    piece.set(part, 1)
    yield piece
  }
}

/** `isLast`: of its chunk. */
export function decodePiece(bytes: Bytes): { readonly isLast: boolean; readonly part: Bytes } | undefined {
  const [mark] = bytes
  if ((mark !== 0 && mark !== 1) || bytes.length > 1 + pieceBytesMax) return undefined
  return { isLast: mark === 1, part: bytes.subarray(1) }
}

/** 'installed': it is on the follower's disk. A number: so many pieces came. */
export type Word = 'installed' | number

const installedMark = 1
const receivedMark = 2

export function encodeWord(word: Word): Bytes {
  const out = new ByteWriter(9)
  out.u8(word === 'installed' ? installedMark : receivedMark)
  if (word !== 'installed') out.varint(word)
  return out.finish()
}

export function decodeWord(bytes: Bytes): Word | undefined {
  const input = new ByteReader(bytes)
  const mark = input.u8()
  const word = mark === receivedMark ? input.varint() : mark === installedMark ? 'installed' : undefined
  return input.done ? word : undefined
}
