// The format of our log on disk, and what a start concludes from the bytes it finds. Pure; run-log.ts does the I/O.
//
// A segment file is a sequence of batches. A batch is written and synced as one before the next is begun, and carries
// its own checksum, which also covers its place, and that of the batch before it: a chain. So a batch proves that all
// before it was synced, and what follows the last good batch is either a torn tail, which nobody was promised, or
// damage: then a good batch stands behind the bad bytes, or the watermark says that more was there. (Truncating at the
// first bad byte would lose committed entries: Alagappan et al., Protocol-Aware Recovery, FAST '18.)
//
// A segment is made of zeros ahead of need, and its first record says how many were synced before it: a file that is
// shorter has lost its end. A sync within them writes one page, where a growing file makes the file system write its
// journal too; and it needs no room, so a full disk is met when the next segment is made, not in an append.
//
// The watermark is a file of its own with two slots, written in turn: how far the log was synced. It is written before
// a vote or a term is acted on, with each new segment, and a moment after the last batch of a burst; not with every
// batch, so that an append costs one sync. What it cannot prove is the loss of the very last batch, in its place, in
// the moment before it is written.
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { crc32 } from '../lib/crc32.ts'
import { type Entry, type HardState, type MemberId, memberId } from '../raft/types.ts'
import { readEntry, readHard, writeEntry, writeHard } from './entry.ts'

export const logVersion = 2
/** The first segment is as large as `zeroBytesAhead`, each next one twice the one before, up to this. */
export const segmentBytes = 16 * 1024 * 1024
/** Zeros are written ahead in pieces of this size. */
export const zeroBytesAhead = 256 * 1024

export type Identity = { readonly cluster: string; readonly member: MemberId }

/** Which of the two maps holds the applied state: an installed snapshot moves to the other one. */
export type Generation = 0 | 1

export type LogRecord =
  /** First in each segment: who owns it, and what stood before it. */
  | {
      readonly kind: 'head'
      readonly identity: Identity
      readonly segment: number
      readonly hard: HardState
      readonly last: { readonly index: number; readonly term: number }
      readonly generation: Generation
      /** So many bytes of this file, zeros, were synced before this was written. */
      readonly size: number
    }
  | { readonly kind: 'hard'; readonly hard: HardState }
  /** Replaces everything from its index on. */
  | { readonly kind: 'entry'; readonly entry: Entry }
  /** A snapshot was installed: the log begins after it. `keep`: entries behind it stay. */
  | {
      readonly kind: 'base'
      readonly index: number
      readonly term: number
      readonly generation: Generation
      readonly keep: boolean
    }

/** What the disk says is not what it was told to keep. A member that finds this must not vote: it may have forgotten one. */
export class StoreDamage extends Error {
  override readonly name = 'StoreDamage'
  readonly found: 'corrupt' | 'missing' | 'foreign'
  /** Where and what, without what follows from it. */
  readonly what: string
  constructor(found: StoreDamage['found'], what: string) {
    super(`${what}. ${consequence[found]}`)
    this.found = found
    this.what = what
  }
}

const consequence = {
  corrupt: 'The disk gave back other bytes than were written. This member will not take part.',
  missing: 'Data that was acknowledged is gone. This member will not take part, because it may have forgotten a vote.',
  foreign:
    'This folder belongs to another member or another cluster: start with its own folder, or clear it to join anew.',
} as const

const headTag = 1
const hardTag = 2
const entryTag = 3
const baseTag = 4

const magic = 0x324c4cf7
/** Of version 1, where a batch did not know its place. */
const oldMagic = 0x474f4cf7
const magicByte = 0xf7
export const batchHeadBytes = 16

/** Where a batch stands; its checksum covers it, so that a copy of it elsewhere is none. */
export type Place = { readonly segment: number; readonly offset: number }

const seedOf = ({ segment, offset }: Place) => (Math.imul(segment, 0x9e3779b1) ^ offset) >>> 0

/**
 * One batch: magic, length, the checksum before, its own checksum (over all of these and the payload), the records. With
 * `into`, the bytes are that writer's, until it is used again.
 */
export function encodeBatch(
  records: readonly LogRecord[],
  previousCrc: number,
  place: Place,
  into?: ByteWriter,
): { bytes: Bytes; crc: number } {
  const out = into ?? new ByteWriter(batchBytesMax(records))
  out.u32(magic)
  out.u32(0)
  out.u32(previousCrc)
  out.u32(0)
  for (const record of records) writeRecord(out, record)
  out.patchU32(4, out.length - batchHeadBytes)
  const bytes = out.peek()
  const crc = batchCrc(bytes, 0, bytes.length - batchHeadBytes, seedOf(place))
  out.patchU32(12, crc)
  return { bytes, crc }
}

function batchBytesMax(records: readonly LogRecord[]): number {
  let count = 64
  for (const r of records) {
    count += r.kind === 'entry' && r.entry.kind === 'command' ? r.entry.command.length + 24 : 512
  }
  return count
}

function batchCrc(bytes: Bytes, at: number, length: number, seed: number): number {
  const payload = at + batchHeadBytes
  return crc32(bytes.subarray(payload, payload + length), crc32(bytes.subarray(at, at + 12), seed))
}

function writeRecord(out: ByteWriter, record: LogRecord): void {
  switch (record.kind) {
    case 'head':
      out.u8(headTag)
      out.varint(logVersion)
      out.text(record.identity.cluster)
      out.text(record.identity.member)
      out.varint(record.segment)
      writeHard(out, record.hard)
      out.varint(record.last.index)
      out.varint(record.last.term)
      out.u8(record.generation)
      out.varint(record.size)
      return
    case 'hard':
      out.u8(hardTag)
      writeHard(out, record.hard)
      return
    case 'entry':
      out.u8(entryTag)
      writeEntry(out, record.entry)
      return
    case 'base':
      out.u8(baseTag)
      out.varint(record.index)
      out.varint(record.term)
      out.u8(record.generation)
      out.u8(record.keep ? 1 : 0)
      return
  }
}

function readRecords(payload: Bytes): LogRecord[] | undefined {
  const input = new ByteReader(payload)
  const records: LogRecord[] = []
  while (input.ok && input.remaining > 0) {
    const tag = input.u8()
    if (tag === entryTag) records.push({ kind: 'entry', entry: readEntry(input) })
    else if (tag === hardTag) records.push({ kind: 'hard', hard: readHard(input) })
    else if (tag === headTag) {
      const version = input.varint()
      if (version < 1 || version > logVersion) return undefined
      const identity = { cluster: input.text(), member: memberId(input.text()) }
      const segment = input.varint()
      const hard = readHard(input)
      const last = { index: input.varint(), term: input.varint() }
      const generation = input.u8() === 1 ? 1 : 0
      const size = version === 1 ? 0 : input.varint()
      records.push({ kind: 'head', identity, segment, hard, last, generation, size })
    } else if (tag === baseTag) {
      const index = input.varint()
      const term = input.varint()
      const generation = input.u8() === 1 ? 1 : 0
      records.push({ kind: 'base', index, term, generation, keep: input.u8() === 1 })
    } else return undefined
  }
  return input.done ? records : undefined
}

export type Scan = {
  readonly records: readonly LogRecord[]
  /** The chain's last checksum and the place where the next batch goes. */
  readonly crc: number
  readonly end: number
  /** What stands after `end`: nothing (or zeros written ahead), bytes of a batch that was never finished, or damage. */
  readonly rest: 'nothing' | 'torn' | 'damage'
}

/** Reads a segment. `previousCrc` undefined: the first one kept, whose first batch is believed about what was before. */
export function scanSegment(bytes: Bytes, segment: number, previousCrc: number | undefined): Scan {
  const file = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), segment }
  const batches: { readonly at: number; readonly crc: number }[] = []
  let crc = previousCrc
  let end = 0
  for (;;) {
    const batch = batchAt(file, end)
    if (batch === undefined || (crc !== undefined && batch.previousCrc !== crc)) break
    crc = batch.crc
    batches.push({ at: end, crc })
    end += batchHeadBytes + batch.length
  }
  // Entries keep the memory that they are read from, and behind the content there may be megabytes of zeros.
  const content = bytes.slice(0, end)
  const records: LogRecord[] = []
  let before = previousCrc ?? 0
  for (const [i, batch] of batches.entries()) {
    const some = readRecords(content.subarray(batch.at + batchHeadBytes, batches[i + 1]?.at ?? end))
    // The checksum holds and the content makes no sense: not a torn write, so never to be cut off.
    if (some === undefined) return { records, crc: before, end: batch.at, rest: 'damage' }
    for (const record of some) records.push(record)
    before = batch.crc
  }
  const rest = zeroFrom(bytes) <= end ? 'nothing' : hasBatch(file, end) ? 'damage' : 'torn'
  return { records, crc: crc ?? 0, end, rest }
}

/** From here on there are only zeros. */
export function zeroFrom(bytes: Bytes): number {
  let end = bytes.length
  while (end > 0 && (bytes.byteOffset + end) % 4 !== 0 && bytes[end - 1] === 0) end -= 1
  if (end > 0 && (bytes.byteOffset + end) % 4 === 0) {
    // Most of a segment is zeros: by words.
    const start = (4 - (bytes.byteOffset % 4)) % 4
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset + start, Math.max(0, Math.floor((end - start) / 4)))
    let word = words.length
    while (word > 0 && words[word - 1] === 0) word -= 1
    end = Math.min(end, start + word * 4)
  }
  while (end > 0 && bytes[end - 1] === 0) end -= 1
  return end
}

type File = { readonly bytes: Bytes; readonly view: DataView; readonly segment: number }
type BatchHead = { readonly length: number; readonly previousCrc: number; readonly crc: number }

function batchAt({ bytes, view, segment }: File, at: number): BatchHead | undefined {
  if (at + batchHeadBytes > bytes.length) return undefined
  const found = view.getUint32(at, true)
  if (found !== magic && found !== oldMagic) return undefined
  const length = view.getUint32(at + 4, true)
  if (length > bytes.length - at - batchHeadBytes) return undefined
  const crc = view.getUint32(at + 12, true)
  const seed = found === magic ? seedOf({ segment, offset: at }) : 0
  if (crc !== batchCrc(bytes, at, length, seed)) return undefined
  return { length, previousCrc: view.getUint32(at + 8, true), crc }
}

/** Whether a whole batch stands anywhere from `from` on. It was begun after what is bad before it had been synced. */
function hasBatch(file: File, from: number): boolean {
  for (let at = file.bytes.indexOf(magicByte, from); at >= 0; at = file.bytes.indexOf(magicByte, at + 1)) {
    if (batchAt(file, at) !== undefined) return true
  }
  return false
}

/** What the records say, taken together. */
export type LogState = {
  readonly hard: HardState
  /** The log begins after it. */
  readonly base: { readonly index: number; readonly term: number }
  readonly entries: readonly Entry[]
  readonly generation: Generation
}

export type Replay = {
  take(record: LogRecord): void
  state(): LogState
}

/** Throws StoreDamage on records that contradict each other or belong to someone else. `identity` undefined: to anyone. */
export function replay(identity: Identity | undefined): Replay {
  let hard: HardState = { term: 0, vote: undefined }
  let base: { index: number; term: number } | undefined
  /** The base is where the oldest segment that is left begins, not one that a snapshot made. */
  let isHead = false
  let generation: Generation = 0
  let entries: Entry[] = []
  const last = () => entries.at(-1) ?? base ?? { index: 0, term: 0 }
  const damage = (what: string) => new StoreDamage('corrupt', `the log contradicts itself: ${what}`)
  return {
    take(record) {
      switch (record.kind) {
        case 'head': {
          if (identity !== undefined) checkIdentity(identity, record.identity, `log segment ${record.segment}`)
          if (base !== undefined && (last().index !== record.last.index || last().term !== record.last.term)) {
            throw damage(`segment ${record.segment} follows index ${record.last.index}, found ${last().index}`)
          }
          if (base === undefined) {
            base = record.last
            isHead = true
          }
          hard = record.hard
          generation = record.generation
          return
        }
        case 'hard':
          if (record.hard.term < hard.term) throw damage(`term ${record.hard.term} follows ${hard.term}`)
          hard = record.hard
          return
        case 'entry': {
          const { index, term } = record.entry
          // A conflict may reach back before the oldest segment that is left. What is gone of the log is applied, and so is
          // what replaced its end, or the segments before this would still be there; that term is not asked for again.
          if (isHead && base !== undefined && index > 0 && index <= base.index) {
            base = { index: index - 1, term: 0 }
            entries = []
          }
          const start = base?.index ?? 0
          if (index <= start || index > last().index + 1) throw damage(`index ${index} follows ${last().index}`)
          if (index <= last().index) entries.length = index - start - 1
          if (term < last().term) throw damage(`index ${index} of term ${term} follows term ${last().term}`)
          entries.push(record.entry)
          return
        }
        case 'base': {
          entries = record.keep ? entries.filter(entry => entry.index > record.index) : []
          base = { index: record.index, term: record.term }
          isHead = false
          generation = record.generation
          return
        }
      }
    },
    state: () => ({ hard, base: base ?? { index: 0, term: 0 }, entries, generation }),
  }
}

export function checkIdentity(mine: Identity, found: Identity, where: string): void {
  if (mine.cluster === found.cluster && mine.member === found.member) return
  throw new StoreDamage(
    'foreign',
    `${where} belongs to member ${found.member} of cluster ${found.cluster}, this is member ${mine.member} of ${mine.cluster}`,
  )
}

export type Watermark = {
  /** Counts up; the larger of two good slots is the newer. */
  readonly sequence: number
  readonly identity: Identity
  readonly hard: HardState
  /** Synced up to here. Segment 0: nothing yet. */
  readonly segment: number
  readonly end: number
  readonly crc: number
  readonly lastIndex: number
}

/** Each slot in a page of its own, so that one torn write cannot take both. */
export const slotBytes = 4096
const slotTextBytesMax = 1024
const slotMagic = 0x314d5746

export function encodeSlot(mark: Watermark): Bytes {
  const out = new ByteWriter(512)
  out.u32(0)
  out.u32(slotMagic)
  out.varint(mark.sequence)
  out.text(mark.identity.cluster)
  out.text(mark.identity.member)
  writeHard(out, mark.hard)
  out.varint(mark.segment)
  out.varint(mark.end)
  out.u32(mark.crc)
  out.varint(mark.lastIndex)
  const bytes = out.finish()
  if (bytes.length > slotTextBytesMax) throw new RangeError('cluster and member names are too long for the watermark')
  out.patchU32(0, crc32(bytes.subarray(4)))
  const slot = new Uint8Array(slotTextBytesMax + 4)
  new DataView(slot.buffer).setUint32(0, bytes.length, true)
  slot.set(bytes, 4)
  return slot
}

export function decodeSlot(slot: Bytes): Watermark | undefined {
  const outer = new ByteReader(slot)
  const bytes = outer.bytes()
  if (!outer.ok || bytes.length < 8) return undefined
  const input = new ByteReader(bytes)
  if (input.u32() !== crc32(bytes.subarray(4)) || input.u32() !== slotMagic) return undefined
  const sequence = input.varint()
  const identity = { cluster: input.text(), member: memberId(input.text()) }
  const hard = readHard(input)
  const mark = { sequence, identity, hard, segment: input.varint(), end: input.varint(), crc: input.u32() }
  const lastIndex = input.varint()
  return input.done ? { ...mark, lastIndex } : undefined
}
