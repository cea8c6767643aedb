// A command as it travels: who asked, and which of its questions this is, before what the state machine reads. Every
// replica applies every command; the one that asked knows its own by this and answers. Also how a follower hands its
// commands to the leader, and hears that they were refused: a batch per turn of the event loop.
import { encodeCommand } from '../kv/codec.ts'
import type { StoreError } from '../kv/store.ts'
import type { Command } from '../kv/txn.ts'
import { ByteReader, ByteWriter, reusedWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'

/** No command of the state machine begins with it: those of earlier logs, which had no sender, are told apart by it. */
const mark = 0xf1
const headBytes = 9

export type Wrapped = {
  /** Drawn anew by each store that opens; 0: nobody waits. */
  readonly origin: number
  readonly sequence: number
  readonly command: Bytes
}

/** Gives bytes that are good until the next: `wrap` copies them. */
export function createEncoder(): (command: Command) => Bytes {
  const writer = reusedWriter(16 * 1024, 256 * 1024)
  return command => encodeCommand(command, writer())
}

/** `origin` and `sequence` are unsigned 32-bit numbers. */
export function wrap(origin: number, sequence: number, command: Bytes): Bytes {
  const out = new ByteWriter(headBytes + command.length)
  out.u8(mark)
  out.u32(origin)
  out.u32(sequence)
  out.raw(command)
  return out.finish()
}

/** Total: what was not wrapped is its own command, and nobody waits for it. */
export function unwrap(bytes: Bytes): Wrapped {
  if (bytes[0] !== mark || bytes.length < headBytes) return { origin: 0, sequence: 0, command: bytes }
  return { origin: u32(bytes, 1), sequence: u32(bytes, 5), command: bytes.subarray(headBytes) }
}

function u32(bytes: Bytes, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)
  return (low | ((bytes[at + 3] ?? 0) << 24)) >>> 0
}

const speechVersion = 1
const forwardTag = 1
const refusedTag = 2

export type Refused = { readonly sequence: number; readonly why: (typeof refusals)[number] }
export type Speech =
  /** Of one sender, with rising sequence numbers. Counts only while the leader's term is `term`: a late copy is void. */
  | { readonly kind: 'forward'; readonly cluster: string; readonly term: number; readonly commands: readonly Bytes[] }
  | {
      readonly kind: 'refused'
      readonly cluster: string
      readonly origin: number
      readonly refused: readonly Refused[]
    }

/** The place in this list is the number on the wire: only ever add at the end. */
const refusals = ['not-leader', 'unavailable'] as const satisfies readonly StoreError['reason'][]

export function encodeSpeech(speech: Speech): Bytes {
  const size = speech.kind === 'forward' ? speech.commands.reduce((sum, one) => sum + one.length + 4, 0) : 0
  const out = new ByteWriter(size + 128)
  out.u8(speechVersion)
  out.text(speech.cluster)
  if (speech.kind === 'forward') {
    out.u8(forwardTag)
    out.varint(speech.term)
    out.varint(speech.commands.length)
    for (const command of speech.commands) out.bytes(command)
  } else {
    out.u8(refusedTag)
    out.u32(speech.origin)
    out.varint(speech.refused.length)
    for (const { sequence, why } of speech.refused) {
      out.u32(sequence)
      out.u8(refusals.indexOf(why))
    }
  }
  return out.finish()
}

/** Total: anything else is undefined. */
export function decodeSpeech(bytes: Bytes): Speech | undefined {
  const input = new ByteReader(bytes)
  if (input.u8() !== speechVersion) return undefined
  const cluster = input.text()
  const tag = input.u8()
  if (tag === forwardTag) {
    const term = input.varint()
    const commands: Bytes[] = []
    for (let i = input.count(4); i > 0 && input.ok; i--) commands.push(input.bytes())
    return input.done ? { kind: 'forward', cluster, term, commands } : undefined
  }
  if (tag !== refusedTag) return undefined
  const origin = input.u32()
  const refused: Refused[] = []
  for (let i = input.count(5); i > 0 && input.ok; i--) {
    const sequence = input.u32()
    const why = refusals[input.u8()]
    if (why === undefined) return undefined
    refused.push({ sequence, why })
  }
  return input.done ? { kind: 'refused', cluster, origin, refused } : undefined
}
