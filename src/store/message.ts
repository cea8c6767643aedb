// What members say to each other, as bytes: an envelope that names the cluster and both members, then one message.
// A member ID is fresh for each admission, so a peer that left and came back is never taken for what it was.
// Decoding is total: anything else is undefined, and the caller drops it.
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { type Entry, type MemberId, type Message, memberId } from '../raft/types.ts'
import { readEntry, readMeta, writeEntry, writeMeta } from './entry.ts'

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
] as const satisfies readonly Message['kind'][]

export function encodeEnvelope(envelope: Envelope): Bytes {
  const { message } = envelope
  let capacity = 160
  if (message.kind === 'append') {
    for (const entry of message.entries) capacity += 64 + (entry.kind === 'command' ? entry.command.length : 512)
  }
  const out = new ByteWriter(capacity)
  out.u8(messageVersion)
  out.text(envelope.cluster)
  out.text(envelope.from)
  out.text(envelope.to)
  out.u8(kinds.indexOf(message.kind))
  out.varint(message.term)
  writeBody(out, message)
  return out.finish()
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
      for (const entry of message.entries) writeEntry(out, entry)
      return
    case 'appendAnswer':
      out.u8(message.accepted ? 1 : 0)
      out.varint(message.index)
      out.varint(message.conflictTerm)
      out.varint(message.round)
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

export function decodeEnvelope(bytes: Bytes): Envelope | undefined {
  const input = new ByteReader(bytes)
  if (input.u8() !== messageVersion) return undefined
  const cluster = input.text()
  const from = memberId(input.text())
  const to = memberId(input.text())
  const kind = kinds[input.u8()]
  const term = input.varint()
  if (!input.ok || kind === undefined) return undefined
  const message = readBody(input, kind, term)
  return input.done ? { cluster, from, to, message } : undefined
}

function readBody(input: ByteReader, kind: Message['kind'], term: number): Message {
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
    case 'append': {
      const previousIndex = input.varint()
      const previousTerm = input.varint()
      const commit = input.varint()
      const round = input.varint()
      const entries: Entry[] = []
      for (let i = input.count(3); i > 0 && input.ok; i--) {
        const entry = readEntry(input)
        // A gap or a fall in terms would break the log's invariants deep inside; it ends here.
        const previous = entries.at(-1)
        if (entry.index !== previousIndex + 1 + entries.length) input.fail()
        if (entry.term < (previous?.term ?? previousTerm) || entry.term > term) input.fail()
        entries.push(entry)
      }
      return { kind, term, previousIndex, previousTerm, entries, commit, round }
    }
    case 'appendAnswer': {
      const accepted = input.u8() === 1
      const index = input.varint()
      const conflictTerm = input.varint()
      return { kind, term, accepted, index, conflictTerm, round: input.varint() }
    }
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
