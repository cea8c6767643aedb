// The Raft log while it runs: an append is one write and one sync, in a segment that was filled with zeros before. What
// else it does, it does beside the appends: the next segment, the watermark, the deletion of old segments. Any error of
// the disk is final: the caller ends, nothing is tried again (after a failed fsync the kernel may have dropped the pages).
import { assert } from '../lib/assert.ts'
import { reusedWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { Entry, HardState } from '../raft/types.ts'
import type { Clock } from '../world/clock.ts'
import type { Disk, DiskFile } from '../world/disk.ts'
import { isFullError } from './full.ts'
import { encodeBatch, type Generation, type Identity, type LogRecord, type LogState, type Watermark } from './log.ts'
import { createPreparer, segmentName } from './run-prepare.ts'
import type { Space } from './run-space.ts'
import { openMarker } from './run-watermark.ts'

export type Append = {
  /** Replaces the hard state; its watermark is synced too before the append is done. */
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
  /** One at a time. Durable when it resolves; undefined: durable already. Throws or rejects when the disk fails. */
  append(append: Append): Promise<void> | undefined
  /** Writes down how far the log is synced, if that is not written yet. Also while an append runs. */
  mark(): Promise<void>
  /** Leaves a first watermark on a blank disk. */
  begin(): Promise<void>
  /** True when `mark` has something to write. */
  readonly unmarked: boolean
  /** Deletes segments that hold nothing after `index`. Also while an append runs. */
  drop(index: number): Promise<void>
  /** Bytes in all segments. */
  readonly bytes: number
  close(): Promise<void>
}

/** `size` is the file's: zeros may stand after the `bytes` that are written. */
export type Segment = { readonly number: number; bytes: number; size: number; lastIndex: number }

export type Start = {
  readonly segments: Segment[]
  readonly state: LogState
  readonly crc: number
  readonly mark: Watermark | undefined
  /** Zeros of the next segment that a former life left. */
  readonly left: number
  readonly ahead: number
  readonly segmentBytesMax: number
  /** Where to wait when the disk is full. Undefined: a full disk is an error like others. */
  readonly space: Pick<Space, 'full' | 'untilRoom'> | undefined
  /** Tells how long the disk takes. */
  readonly clock: Pick<Clock, 'monotonicMs'> | undefined
}

export function lastIndexOf(records: readonly LogRecord[]): number {
  let last = 0
  for (const record of records) {
    if (record.kind === 'entry') last = Math.max(last, record.entry.index)
    else if (record.kind === 'head') last = Math.max(last, record.last.index)
    else if (record.kind === 'base') last = Math.max(last, record.index)
  }
  return last
}

type Batch = { readonly bytes: Bytes; readonly crc: number; readonly lastIndex: number }

export async function runLog(disk: Disk, identity: Identity, start: Start): Promise<RunLog> {
  const { segments, ahead, segmentBytesMax, space } = start
  let { crc } = start
  let { hard, generation } = start.state
  const { base, entries } = start.state
  let last: { index: number; term: number } = entries.at(-1) ?? base
  let active = segments.at(-1)
  let file: DiskFile | undefined = active === undefined ? undefined : await disk.open(segmentName(active.number))
  const preparer = createPreparer(disk, (active?.number ?? 0) + 1, start.left, {
    pieceBytes: ahead,
    clock: start.clock,
    full: async () => (await space?.full()) ?? false,
  })
  let isBusy = false
  /** One append at a time: the bytes of the last are not needed when the next begins. */
  const writer = reusedWriter(64 * 1024, 512 * 1024)
  let dropping: Promise<void> = Promise.resolve()
  /** Where the watermark stands, or will when the one under way is written. */
  let marked = { number: start.mark?.segment ?? 0, bytes: start.mark?.end ?? 0 }
  let markFailure: unknown
  const marker = await openMarker(disk, start.mark, withRoom, () => {
    const { number, bytes } = active ?? { number: 0, bytes: 0 }
    marked = { number, bytes }
    return { identity, hard, segment: number, end: bytes, crc, lastIndex: last.index }
  })

  /** The next one is ready by the time this one is half full. */
  function prepare(segment: Segment): void {
    const target = Math.min(segmentBytesMax, 2 * Math.max(segment.size, ahead))
    const used = segment.bytes / Math.max(1, segment.size)
    preparer.want(Math.min(target, Math.ceil(2 * used * target)), target)
  }

  function encode(append: Append, segment: Segment, size: number | undefined): Batch {
    const records: LogRecord[] = []
    if (size !== undefined) {
      records.push({ kind: 'head', identity, segment: segment.number, hard, last, generation, size })
    }
    if (append.hard !== undefined) records.push({ kind: 'hard', hard: append.hard })
    if (append.base !== undefined) records.push({ kind: 'base', ...append.base })
    for (const entry of append.entries) records.push({ kind: 'entry', entry })
    const place = { segment: segment.number, offset: segment.bytes }
    return { ...encodeBatch(records, crc, place, writer()), lastIndex: lastIndexOf(records) }
  }

  /** What a batch changes, once it is durable. */
  function appended(append: Append, segment: Segment, batch: Batch): void {
    segment.bytes += batch.bytes.length
    segment.lastIndex = Math.max(segment.lastIndex, batch.lastIndex)
    crc = batch.crc
    hard = append.hard ?? hard
    if (append.base !== undefined) {
      generation = append.base.generation
      if (!append.base.keep || last.index < append.base.index) last = append.base
    }
    last = append.entries.at(-1) ?? last
    isBusy = false
    prepare(segment)
  }

  async function roll(append: Append): Promise<void> {
    // Before the first segment, so that a log without a watermark is always a loss and never a beginning.
    if (marker.isBlank) await marker.mark()
    if (active === undefined && ahead > 0) preparer.want(ahead, ahead)
    const old = file
    const next = await withRoom(() => preparer.take())
    const segment = { number: next.number, bytes: 0, size: next.size, lastIndex: 0 }
    const batch = encode(append, segment, next.size)
    await save(next.file, segment, batch)
    segments.push(segment)
    active = segment
    file = next.file
    appended(append, segment, batch)
    const marking = marker.mark()
    marking.catch(error => {
      markFailure = error
    })
    // The first of all too, or a disk that loses it would look like one that was never used.
    if (append.hard !== undefined || segment.number === 1) await marking
    await old?.close()
  }

  async function save(target: DiskFile, segment: Segment, { bytes }: Batch): Promise<void> {
    const end = segment.bytes + bytes.length
    await withRoom(() => target.writeAt(segment.bytes, bytes))
    if (end > segment.size) {
      // There was no time to prepare: the file grows here, by more than is needed now.
      if (ahead > 0) await withRoom(() => target.writeAt(end, new Uint8Array(ahead)))
      segment.size = end + ahead
    }
    await target.sync()
  }

  /** A write that found no room harmed nothing, so it may wait and be tried again; a sync never is (world/disk.ts). */
  async function withRoom<T>(act: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await act()
      } catch (error) {
        if (space === undefined || !isFullError(error)) throw error
        if (!(await space.full())) await space.untilRoom(error)
      }
    }
  }

  async function complete(saving: Promise<void>, append: Append, segment: Segment, batch: Batch): Promise<void> {
    await saving
    appended(append, segment, batch)
    // A forgotten vote can elect two leaders, so its trace is in two places before it counts. Elections are rare.
    if (append.hard !== undefined) await marker.mark()
  }

  /** In a segment that is ready, so that only a file system that writes elsewhere can find no room for it. */
  function saveAtOnce(target: DiskFile, segment: Segment, batch: Batch): Promise<void> | undefined {
    if (target.writeAndSync === undefined) return save(target, segment, batch)
    const orWait = (error: unknown): Promise<void> => {
      if (!isFullError(error)) throw error
      return save(target, segment, batch)
    }
    try {
      return target.writeAndSync(segment.bytes, batch.bytes)?.catch(orWait)
    } catch (error) {
      return orWait(error)
    }
  }

  const isMarked = () => active === undefined || (marked.number === active.number && marked.bytes === active.bytes)

  return {
    get unmarked() {
      return !isMarked()
    },
    get bytes() {
      return segments.reduce((sum, segment) => sum + segment.bytes, 0)
    },
    append(append) {
      assert(!isBusy, 'the log does one append at a time')
      const failure = markFailure ?? preparer.failure
      if (failure !== undefined) throw failure
      isBusy = true
      if (file === undefined || active === undefined) return roll(append)
      const batch = encode(append, active, undefined)
      const end = active.bytes + batch.bytes.length
      if (active.bytes >= segmentBytesMax || (end > active.size && batch.bytes.length < preparer.readyBytes)) {
        return roll(append)
      }
      if (end > active.size) return complete(save(file, active, batch), append, active, batch)
      const saving = saveAtOnce(file, active, batch)
      if (saving !== undefined) return complete(saving, append, active, batch)
      appended(append, active, batch)
      return append.hard === undefined ? undefined : marker.mark()
    },
    begin: () => marker.mark(),
    async mark() {
      if (!isMarked()) await marker.mark()
    },
    drop(index) {
      dropping = dropping.then(async () => {
        for (;;) {
          const [oldest] = segments
          if (segments.length < 2 || oldest === undefined || oldest.lastIndex > index) return
          // Oldest first: a crash in between leaves a log without a gap.
          await disk.remove(segmentName(oldest.number))
          segments.shift()
        }
      })
      return dropping
    },
    async close() {
      await dropping.catch(() => {
        // Whoever asked for it has heard.
      })
      await preparer.close()
      await file?.close()
      await marker.close()
    },
  }
}
