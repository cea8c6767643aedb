// What members say to each other, as bytes: an envelope that names the cluster and both members, then one message.
// A member ID is fresh for each admission, so a peer that left and came back is never taken for what it was.
// Decoding is total: anything else is undefined, and the caller drops it.
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { type MemberId, type Message, memberId } from '../raft/types.ts'
import { entriesBytes, readEntries, readMeta, writeMeta } from './entry.ts'

export const messageVersion = 1

export type Envelope = {
  readonly cluster: string
  readonly from: MemberId
  readonly to: MemberId
  readonly message: Message
}

/** The place in this list is the number on the wire: only ever add at the end. */
const kinds = [
  'preVote',
  'preVoteAnswer',
  'vote',
  'voteAnswer',
  'append',
  'appendAnswer',
  'snapshot',
  'readIndex',
  'readIndexAnswer',
  'timeoutNow',
  'commit',
  'backfill',
  'backfillAnswer',
] as const satisfies readonly Message['kind'][]

export function encodeEnvelope(envelope: Envelope): Bytes {
  const { cluster, from, to, message } = envelope
  const head = headOf(cluster, from, to)
  const hasEntries = message.kind === 'append' || message.kind === 'backfill'
  const entries = hasEntries ? entriesBytes(message.entries) : nothing
  const out = new ByteWriter(head.length + bodyBytesMax(message) + entries.length)
  out.raw(head)
  out.u8(kinds.indexOf(message.kind))
  out.varint(message.term)
  writeBody(out, message)
  if (entries.length > 0) out.raw(entries)
  return out.finish()
}

const nothing = new Uint8Array(0)

/** A guess, for all but entries: five numbers at most, or a snapshot's membership. */
const bodyBytesMax = ({ kind }: Message): number => (kind === 'snapshot' ? 512 : 48)

type Head = { readonly cluster: string; readonly from: MemberId; readonly to: MemberId; readonly bytes: Bytes }

/**
 * The heads of the last few conversations. Who speaks to whom about which cluster is the same in all messages of a
 * connection, and to turn three texts into bytes and back costs more than the whole rest of a heartbeat.
 */
const spoken: Head[] = []
const heard: Head[] = []
const headCountMax = 16

function headOf(cluster: string, from: MemberId, to: MemberId): Bytes {
  for (const head of spoken) if (head.to === to && head.from === from && head.cluster === cluster) return head.bytes
  const out = new ByteWriter(160)
  out.u8(messageVersion)
  out.text(cluster)
  out.text(from)
  out.text(to)
  const bytes = out.finish().slice()
  remember(spoken, { cluster, from, to, bytes })
  return bytes
}

function remember(heads: Head[], head: Head): void {
  if (heads.length >= headCountMax) heads.shift()
  heads.push(head)
}

function writeBody(out: ByteWriter, message: Message): void {
  switch (message.kind) {
    case 'preVote':
    case 'vote':
      out.varint(message.lastIndex)
      out.varint(message.lastTerm)
      out.u8(message.kind === 'vote' && message.transfer ? 1 : 0)
      return
    case 'preVoteAnswer':
    case 'voteAnswer':
      out.u8(message.granted ? 1 : 0)
      return
    case 'append':
      out.varint(message.previousIndex)
      out.varint(message.previousTerm)
      out.varint(message.commit)
      out.varint(message.round)
      out.varint(message.entries.length)
      return
    case 'appendAnswer':
      out.u8(message.accepted ? 1 : 0)
      out.varint(message.index)
      out.varint(message.conflictTerm)
      out.varint(message.round)
      return
    case 'commit':
      out.varint(message.index)
      return
    case 'backfill':
      out.varint(message.previousIndex)
      out.varint(message.previousTerm)
      out.varint(message.lastIndex)
      out.varint(message.lastTerm)
      out.varint(message.entries.length)
      return
    case 'backfillAnswer':
      out.varint(message.index)
      out.varint(message.conflictTerm)
      return
    case 'snapshot':
      writeMeta(out, message.snapshot)
      return
    case 'readIndex':
      out.varint(message.id)
      return
    case 'readIndexAnswer':
      out.varint(message.id)
      // One more than the index, so that 0 can say that there is none.
      out.varint(message.index === undefined ? 0 : message.index + 1)
      return
    case 'timeoutNow':
      return
  }
}

/**
 * The entries of an append keep the memory of the message. A message that is a small piece of something larger (a buffer
 * of a socket) is copied first, once for all of its entries: else one small entry would keep the whole of it.
 */
export function decodeEnvelope(bytes: Bytes): Envelope | undefined {
  const head = headIn(bytes)
  if (head === undefined) return undefined
  const { cluster, from, to } = head
  const input = new ByteReader(bytes, head.bytes.length)
  const kind = kinds[input.u8()]
  const term = input.varint()
  if (!input.ok || kind === undefined) return undefined
  const hasEntries = kind === 'append' || kind === 'backfill'
  const message = hasEntries ? readWithEntries(input, kind, term, bytes) : readBody(input, kind, term)
  return message !== undefined && input.done ? { cluster, from, to, message } : undefined
}

function headIn(bytes: Bytes): Head | undefined {
  for (const head of heard) if (startsWith(bytes, head.bytes)) return head
  const input = new ByteReader(bytes)
  if (input.u8() !== messageVersion) return undefined
  const cluster = input.text()
  const from = memberId(input.text())
  const to = memberId(input.text())
  if (!input.ok) return undefined
  const head = { cluster, from, to, bytes: bytes.slice(0, input.at) }
  // What nobody sends twice is not worth its place: a head is a few names.
  if (input.at <= headBytesMax) remember(heard, head)
  return head
}

const headBytesMax = 1024

function startsWith(bytes: Bytes, head: Bytes): boolean {
  if (bytes.length < head.length) return false
  // From the end, where the names differ.
  for (let i = head.length - 1; i >= 0; i--) if (bytes[i] !== head[i]) return false
  return true
}

function readWithEntries(
  input: ByteReader,
  kind: 'append' | 'backfill',
  term: number,
  bytes: Bytes,
): Message | undefined {
  const previousIndex = input.varint()
  const previousTerm = input.varint()
  const third = input.varint()
  const fourth = input.varint()
  const count = input.count(3)
  const region = input.raw(input.remaining)
  const previous = { index: previousIndex, term: previousTerm }
  const entries = input.ok ? readEntries(isMostOf(bytes) ? region : copy(region), count, previous) : undefined
  if (entries === undefined || (entries.at(-1)?.term ?? previousTerm) > term) return undefined
  const common = { term, previousIndex, previousTerm, entries }
  return kind === 'append'
    ? { kind, ...common, commit: third, round: fourth }
    : { kind, ...common, lastIndex: third, lastTerm: fourth }
}

/** Of the memory that it is a part of. */
const isMostOf = (bytes: Bytes): boolean => 2 * bytes.length >= bytes.buffer.byteLength

function copy(bytes: Bytes): Bytes {
  if (bytes.length === 0) return nothing
  const out = new ByteWriter(bytes.length)
  out.raw(bytes)
  return out.finish()
}

function readBody(input: ByteReader, kind: Exclude<Message['kind'], 'append' | 'backfill'>, term: number): Message {
  switch (kind) {
    case 'preVote':
    case 'vote': {
      const lastIndex = input.varint()
      const lastTerm = input.varint()
      const transfer = input.u8() === 1
      return kind === 'vote' ? { kind, term, lastIndex, lastTerm, transfer } : { kind, term, lastIndex, lastTerm }
    }
    case 'preVoteAnswer':
    case 'voteAnswer':
      return { kind, term, granted: input.u8() === 1 }
    case 'appendAnswer': {
      const accepted = input.u8() === 1
      const index = input.varint()
      const conflictTerm = input.varint()
      return { kind, term, accepted, index, conflictTerm, round: input.varint() }
    }
    case 'commit':
      return { kind, term, index: input.varint() }
    case 'backfillAnswer':
      return { kind, term, index: input.varint(), conflictTerm: input.varint() }
    case 'snapshot':
      return { kind, term, snapshot: readMeta(input) }
    case 'readIndex':
      return { kind, term, id: input.varint() }
    case 'readIndexAnswer': {
      const id = input.varint()
      const index = input.varint()
      return { kind, term, id, index: index === 0 ? undefined : index - 1 }
    }
    case 'timeoutNow':
      return { kind, term }
  }
}
