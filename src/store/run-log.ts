// The Raft log on a disk: opening says what was found, an append is one write and one sync. Any error of the disk is
// final: the caller ends, nothing is tried again (after a failed fsync the kernel may have dropped the pages).
import { assert } from '../lib/assert.ts'
import type { Entry, HardState } from '../raft/types.ts'
import type { Disk, DiskFile } from '../world/disk.ts'
import type { Log } from '../world/log.ts'
import {
  checkIdentity,
  decodeSlot,
  encodeBatch,
  encodeSlot,
  type Generation,
  type Identity,
  type LogRecord,
  type LogState,
  replay,
  type Scan,
  StoreDamage,
  scanSegment,
  segmentBytes,
  slotBytes,
  type Watermark,
  zeroBytesAhead,
} from './log.ts'

const folder = 'log'
const watermarkName = 'watermark'

export type Append = {
  /** Replaces the hard state; its watermark is synced too before the append resolves. */
  readonly hard?: HardState
  readonly base?: {
    readonly index: number
    readonly term: number
    readonly generation: Generation
    readonly keep: boolean
  }
  readonly entries: readonly Entry[]
}

export interface RunLog {
  /** Durable when it resolves. One at a time. */
  append(append: Append): Promise<void>
  /** Writes down how far the log is synced, if that is not written yet. Not while an append runs. */
  mark(): Promise<void>
  /** Leaves a first watermark on a blank disk. */
  begin(): Promise<void>
  /** True when `mark` has something to write. */
  readonly unmarked: boolean
  /** Deletes segments that hold nothing after `index`. Not while an append runs. */
  drop(index: number): Promise<void>
  /** Bytes in all segments. */
  readonly bytes: number
  close(): Promise<void>
}

/** 'new': the disk is blank. 'unused': it was opened before, and nothing was ever acknowledged. */
export type OpenedLog = {
  readonly found: 'new' | 'unused' | 'clean' | 'torn'
  readonly state: LogState
  readonly log: RunLog
}

/** `size` is the file's: zeros may stand after the `bytes` that are written. */
type Segment = { readonly number: number; bytes: number; size: number; lastIndex: number }

const segmentName = (number: number) => `${folder}/${String(number).padStart(16, '0')}`

/** Throws StoreDamage when what was acknowledged is not there. */
export async function openLog(
  disk: Disk,
  identity: Identity,
  log: Log,
  ahead = zeroBytesAhead,
  segmentBytesMax = segmentBytes,
): Promise<OpenedLog> {
  const mark = await readWatermark(disk)
  if (mark !== undefined) checkIdentity(identity, mark.identity, 'the watermark')
  const numbers = (await disk.list(folder)).map(Number)
  if (numbers.some(n => !Number.isSafeInteger(n) || n < 1))
    throw new StoreDamage('corrupt', 'a stranger in the log folder')
  if (mark === undefined && numbers.length > 0)
    throw new StoreDamage('missing', 'the watermark file is gone or unreadable')
  const isFresh = mark === undefined || mark.segment === 0

  const replayed = replay(identity)
  const segments: Segment[] = []
  let crc: number | undefined
  let torn = false
  let reached: { segment: number; end: number; crc: number } = { segment: 0, end: 0, crc: 0 }
  for (const [i, number] of numbers.entries()) {
    const isLast = i === numbers.length - 1
    const name = segmentName(number)
    const next = (numbers[i - 1] ?? number - 1) + 1
    if (number !== next) throw new StoreDamage('missing', `log segment ${next} is gone`)
    const bytes = (await disk.read(name)) ?? new Uint8Array()
    const scan = scanSegment(bytes, crc)
    checkSegment(name, number, scan, isLast, mark)
    if (scan.end === 0) {
      // Begun and never synced: the segment before it is whole.
      await disk.remove(name)
      torn = true
      continue
    }
    for (const record of scan.records) replayed.take(record)
    if (scan.rest === 'torn') {
      await cutTail(disk, name, scan.end)
      torn = true
    }
    crc = scan.crc
    const size = scan.rest === 'torn' ? scan.end : bytes.length
    segments.push({ number, bytes: scan.end, size, lastIndex: lastIndexOf(scan.records) })
    reached = { segment: number, end: scan.end, crc }
  }
  const state = replayed.state()
  if (!isFresh) checkReached(mark, reached, state)
  if (torn) log.warn('cut off the unfinished end of the log, as after a power cut; nothing acknowledged is lost')

  const running = await runLog(disk, identity, { segments, state, crc: crc ?? 0, mark, ahead, segmentBytesMax })
  if (segments.length > 0) return { found: torn ? 'torn' : 'clean', state, log: running }
  return { found: mark === undefined ? 'new' : 'unused', state, log: running }
}

async function readWatermark(disk: Disk): Promise<Watermark | undefined> {
  const bytes = await disk.read(watermarkName)
  if (bytes === undefined) return undefined
  const slots = [decodeSlot(bytes.subarray(0, slotBytes)), decodeSlot(bytes.subarray(slotBytes))]
  return slots.reduce((a, b) => (a === undefined || (b !== undefined && b.sequence > a.sequence) ? b : a))
}

function checkSegment(name: string, number: number, scan: Scan, isLast: boolean, mark: Watermark | undefined): void {
  const at = `${name} at byte ${scan.end}`
  if (scan.rest === 'damage') throw new StoreDamage('corrupt', `${at}: bad bytes with good ones behind them`)
  if (scan.rest === 'torn' && !isLast) throw new StoreDamage('corrupt', `${at}: bad bytes before the next segment`)
  if (scan.end === 0 && !isLast) throw new StoreDamage('missing', `${name} is empty`)
  if (mark !== undefined && number === mark.segment && scan.end < mark.end) {
    const found = scan.rest === 'torn' ? 'corrupt' : 'missing'
    throw new StoreDamage(found, `${at}: the log is good up to here and was synced up to byte ${mark.end}`)
  }
  const [first] = scan.records
  if (scan.end > 0 && (first?.kind !== 'head' || first.segment !== number)) {
    throw new StoreDamage('corrupt', `${name} does not begin as segment ${number}`)
  }
}

function checkReached(mark: Watermark, reached: { segment: number; end: number; crc: number }, state: LogState): void {
  if (reached.segment < mark.segment) {
    throw new StoreDamage('missing', `log segment ${mark.segment} is gone, the last one found is ${reached.segment}`)
  }
  if (reached.segment === mark.segment && reached.end === mark.end && reached.crc !== mark.crc) {
    throw new StoreDamage('corrupt', `log segment ${mark.segment} is not the one that was synced`)
  }
  if (state.hard.term < mark.hard.term) {
    throw new StoreDamage('missing', `the log knows term ${state.hard.term}, the watermark ${mark.hard.term}`)
  }
}

async function cutTail(disk: Disk, name: string, end: number): Promise<void> {
  const file = await disk.open(name)
  try {
    await file.truncate(end)
    await file.sync()
  } finally {
    await file.close()
  }
}

function lastIndexOf(records: readonly LogRecord[]): number {
  let last = 0
  for (const record of records) {
    if (record.kind === 'entry') last = Math.max(last, record.entry.index)
    else if (record.kind === 'head') last = Math.max(last, record.last.index)
    else if (record.kind === 'base') last = Math.max(last, record.index)
  }
  return last
}

type Start = {
  segments: Segment[]
  state: LogState
  crc: number
  mark: Watermark | undefined
  ahead: number
  segmentBytesMax: number
}

async function runLog(disk: Disk, identity: Identity, start: Start): Promise<RunLog> {
  const { segments, ahead, segmentBytesMax } = start
  let { crc } = start
  let { hard, generation } = start.state
  const { base, entries } = start.state
  let last: { index: number; term: number } = entries.at(-1) ?? base
  let sequence = start.mark?.sequence ?? 0
  const watermark = await disk.open(watermarkName)
  const active = segments.at(-1)
  let file: DiskFile | undefined = active === undefined ? undefined : await disk.open(segmentName(active.number))
  let isBusy = false
  let isMarked = true

  async function writeMark(): Promise<void> {
    const segment = segments.at(-1)
    sequence += 1
    const slot = encodeSlot({
      sequence,
      identity,
      hard,
      segment: segment?.number ?? 0,
      end: segment?.bytes ?? 0,
      crc,
      lastIndex: last.index,
    })
    await watermark.writeAt((sequence % 2) * slotBytes, slot)
    await watermark.sync()
    isMarked = true
  }

  async function openSegment(): Promise<DiskFile> {
    // Before the first segment, so that a log without a watermark is always a loss and never a beginning.
    if (sequence === 0) await writeMark()
    const number = (segments.at(-1)?.number ?? 0) + 1
    await file?.close()
    file = await disk.open(segmentName(number))
    segments.push({ number, bytes: 0, size: 0, lastIndex: 0 })
    return file
  }

  async function exclusive(act: () => Promise<void>): Promise<void> {
    assert(!isBusy, 'the log does one thing at a time')
    isBusy = true
    await act()
    isBusy = false
  }

  return {
    get unmarked() {
      return !isMarked
    },
    get bytes() {
      return segments.reduce((sum, segment) => sum + segment.bytes, 0)
    },
    append: append =>
      exclusive(async () => {
        const records: LogRecord[] = []
        const current = segments.at(-1)
        const isNew = file === undefined || current === undefined || current.bytes >= segmentBytesMax
        const target = isNew || file === undefined ? await openSegment() : file
        const segment = segments.at(-1)
        assert(segment !== undefined, 'a log that is appended to has a segment')
        if (isNew) records.push({ kind: 'head', identity, segment: segment.number, hard, last, generation })
        if (append.hard !== undefined) records.push({ kind: 'hard', hard: append.hard })
        if (append.base !== undefined) records.push({ kind: 'base', ...append.base })
        for (const entry of append.entries) records.push({ kind: 'entry', entry })
        const batch = encodeBatch(records, crc)
        const end = segment.bytes + batch.bytes.length
        await target.writeAt(segment.bytes, batch.bytes)
        if (end > segment.size) {
          await target.writeAt(end, new Uint8Array(ahead))
          segment.size = end + ahead
        }
        await target.sync()
        segment.bytes = end
        segment.lastIndex = Math.max(segment.lastIndex, lastIndexOf(records))
        crc = batch.crc
        hard = append.hard ?? hard
        if (append.base !== undefined) {
          generation = append.base.generation
          if (!append.base.keep || last.index < append.base.index) last = append.base
        }
        last = append.entries.at(-1) ?? last
        isMarked = false
        // A forgotten vote can elect two leaders, so its trace is in two places before it counts. Elections are rare.
        if (isNew || append.hard !== undefined) await writeMark()
      }),
    begin: () => exclusive(writeMark),
    mark: () => exclusive(async () => void (isMarked || (await writeMark()))),
    drop: index =>
      exclusive(async () => {
        for (;;) {
          const [oldest] = segments
          if (segments.length < 2 || oldest === undefined || oldest.lastIndex > index) return
          // Oldest first: a crash in between leaves a log without a gap.
          await disk.remove(segmentName(oldest.number))
          segments.shift()
        }
      }),
    async close() {
      await file?.close()
      await watermark.close()
    },
  }
}
