// Opening the Raft log: reads all of it, says what was found, repairs what a power cut leaves, and refuses damage.
import type { Disk } from '../world/disk.ts'
import type { Log } from '../world/log.ts'
import {
  checkIdentity,
  type Identity,
  type LogState,
  replay,
  type Scan,
  StoreDamage,
  scanSegment,
  segmentBytes,
  type Watermark,
  zeroBytesAhead,
  zeroFrom,
} from './log.ts'
import { checksum, lastIndexOf, type RunLog, runLog, type Segment } from './run-append.ts'
import { segmentName } from './run-prepare.ts'
import { readWatermark } from './run-watermark.ts'

export type { Append, RunLog } from './run-append.ts'

const folder = 'log'

/** 'new': the disk is blank. 'unused': it was opened before, and nothing was ever acknowledged. */
export type OpenedLog = {
  readonly found: 'new' | 'unused' | 'clean' | 'torn'
  readonly state: LogState
  readonly log: RunLog
}

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

  const left = await preparedBytes(disk, numbers.at(-1))
  if (left !== undefined) numbers.pop()
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
    const scan = scanSegment(bytes, number, crc, checksum)
    checkSegment(name, number, scan, bytes.length, isLast, mark)
    if (scan.end === 0) {
      // The next one is made after something was kept in this one.
      if (left !== undefined) throw new StoreDamage('corrupt', `${name} at byte 0: bad bytes before the next segment`)
      // Begun and never synced: the segment before it is whole.
      await disk.remove(name)
      torn = true
      continue
    }
    for (const record of scan.records) replayed.take(record)
    if (scan.rest === 'torn') {
      await clearTail(disk, name, scan.end, zeroFrom(bytes))
      torn = true
    }
    crc = scan.crc
    segments.push({ number, bytes: scan.end, size: bytes.length, lastIndex: lastIndexOf(scan.records) })
    reached = { segment: number, end: scan.end, crc }
  }
  const state = replayed.state()
  if (!isFresh) checkReached(mark, reached, state)
  if (torn) log.warn('cut off the unfinished end of the log, as after a power cut; nothing acknowledged is lost')

  const start = { segments, state, crc: crc ?? 0, mark, left: left ?? 0, ahead, segmentBytesMax }
  const running = await runLog(disk, identity, start)
  if (segments.length > 0) return { found: torn ? 'torn' : 'clean', state, log: running }
  return { found: mark === undefined ? 'new' : 'unused', state, log: running }
}

/** The size of the last segment if it is only made ready and holds nothing yet. */
async function preparedBytes(disk: Disk, number: number | undefined): Promise<number | undefined> {
  const bytes = number === undefined ? undefined : await disk.read(segmentName(number))
  return bytes === undefined || zeroFrom(bytes) > 0 ? undefined : bytes.length
}

function checkSegment(
  name: string,
  number: number,
  scan: Scan,
  size: number,
  isLast: boolean,
  mark: Watermark | undefined,
): void {
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
  if (first?.kind === 'head' && size < first.size) {
    throw new StoreDamage('missing', `${name} was made with ${first.size} bytes and has ${size}`)
  }
}

function checkReached(mark: Watermark, reached: { segment: number; end: number; crc: number }, state: LogState): void {
  if (reached.segment < mark.segment) {
    throw new StoreDamage('missing', `log segment ${mark.segment} is gone or empty, the last one is ${reached.segment}`)
  }
  if (reached.segment === mark.segment && reached.end === mark.end && reached.crc !== mark.crc) {
    throw new StoreDamage('corrupt', `log segment ${mark.segment} is not the one that was synced`)
  }
  if (state.hard.term < mark.hard.term) {
    throw new StoreDamage('missing', `the log knows term ${state.hard.term}, the watermark ${mark.hard.term}`)
  }
}

/** With zeros, so that the file keeps its size. */
async function clearTail(disk: Disk, name: string, from: number, to: number): Promise<void> {
  const file = await disk.open(name)
  try {
    await file.writeAt(from, new Uint8Array(to - from))
    await file.sync()
  } finally {
    await file.close()
  }
}
