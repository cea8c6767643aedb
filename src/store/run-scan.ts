// Reads the whole log of a stopped store and changes nothing: what stands in it, and what a start has to repair. Refuses
// damage. The start (run-log.ts) and the check of a folder (run-check.ts) see the same.
import type { Bytes } from '../lib/bytes.ts'
import type { Disk } from '../world/disk.ts'
import {
  checkIdentity,
  type Identity,
  type LogState,
  replay,
  type Scan,
  StoreDamage,
  scanSegment,
  type Watermark,
  zeroFrom,
} from './log.ts'
import { lastIndexOf, type Segment } from './run-append.ts'
import { segmentName } from './run-prepare.ts'
import { readWatermark } from './run-watermark.ts'

export const logFolder = 'log'

export type LogScan = {
  /** Undefined: the disk is blank. */
  readonly mark: Watermark | undefined
  readonly state: LogState
  readonly crc: number
  readonly segments: readonly Segment[]
  /** Bytes of a write that never ended, which nobody was promised, behind the last segment's content. */
  readonly torn: { readonly name: string; readonly from: number; readonly to: number } | undefined
  /** A segment of which not even the first write ended: to be taken away. */
  readonly begun: string | undefined
  /** Zeros of the segment after the last. */
  readonly left: number
}

/** `identity` undefined: whoever's it is. Throws StoreDamage when what was acknowledged is not there. */
export async function scanLog(disk: Disk, identity: Identity | undefined): Promise<LogScan> {
  const mark = await readWatermark(disk)
  if (mark !== undefined && identity !== undefined) checkIdentity(identity, mark.identity, 'the watermark')
  const numbers = await segmentNumbers(disk)
  if (mark === undefined && numbers.length > 0)
    throw new StoreDamage('missing', 'the watermark file is gone or unreadable')
  const finalNumber = numbers.at(-1) ?? 0
  const final = await readSegment(disk, numbers.at(-1))
  // Made ready, and nothing in it yet.
  const left = final !== undefined && zeroFrom(final) === 0 ? final.length : undefined
  const isSpoilt = final !== undefined && left === undefined && numbers.length > 1 && isUnused(final, finalNumber, mark)
  const prepared = left === undefined && !isSpoilt ? undefined : numbers.pop()

  const replayed = replay(identity ?? mark?.identity)
  const segments: Segment[] = []
  let crc: number | undefined
  let torn: LogScan['torn']
  let begun = isSpoilt ? segmentName(finalNumber) : undefined
  for (const [i, number] of numbers.entries()) {
    const isLast = i === numbers.length - 1
    const name = segmentName(number)
    const next = (numbers[i - 1] ?? number - 1) + 1
    if (number !== next) throw new StoreDamage('missing', `log segment ${next} is gone`)
    const bytes = (isLast && prepared === undefined ? final : await readSegment(disk, number)) ?? new Uint8Array(0)
    const scan = scanSegment(bytes, number, crc)
    checkSegment(name, number, scan, bytes.length, isLast, mark)
    if (scan.end === 0) {
      // The next one is made after something was kept in this one.
      if (prepared !== undefined)
        throw new StoreDamage('corrupt', `${name} at byte 0: bad bytes before the next segment`)
      begun = name
      break
    }
    for (const record of scan.records) replayed.take(record)
    if (scan.rest === 'torn') torn = { name, from: scan.end, to: zeroFrom(bytes) }
    crc = scan.crc
    segments.push({ number, bytes: scan.end, size: bytes.length, lastIndex: lastIndexOf(scan.records) })
  }
  const following = (segments.at(-1)?.number ?? 0) + 1
  if (prepared !== undefined && prepared !== following) {
    throw new StoreDamage('missing', `log segment ${following} is gone`)
  }
  const state = replayed.state()
  if (mark !== undefined && mark.segment > 0) checkReached(mark, segments.at(-1), crc ?? 0, state)
  return { mark, state, crc: crc ?? 0, segments, torn, begun, left: left ?? 0 }
}

/**
 * Zeros that were on their way when the power went come out as anything, and so does a segment's first write. Without one
 * whole batch, and without the watermark, nothing says that it was ever in use.
 */
function isUnused(bytes: Bytes, number: number, mark: Watermark | undefined): boolean {
  if (mark !== undefined && mark.segment >= number) return false
  const scan = scanSegment(bytes, number, undefined)
  return scan.end === 0 && scan.rest === 'torn'
}

async function segmentNumbers(disk: Disk): Promise<number[]> {
  const names = await disk.list(logFolder)
  const stranger = names.find(name => !/^\d{16}$/.test(name) || Number(name) < 1)
  if (stranger !== undefined) throw new StoreDamage('corrupt', `${logFolder}/${stranger} is none of the log's files`)
  return names.map(Number)
}

async function readSegment(disk: Disk, number: number | undefined): Promise<Bytes | undefined> {
  return number === undefined ? undefined : await disk.read(segmentName(number))
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

function checkReached(mark: Watermark, last: Segment | undefined, crc: number, state: LogState): void {
  const { number, bytes } = last ?? { number: 0, bytes: 0 }
  if (number < mark.segment) {
    throw new StoreDamage('missing', `log segment ${mark.segment} is gone or empty, the last one is ${number}`)
  }
  if (number === mark.segment && bytes === mark.end && crc !== mark.crc) {
    throw new StoreDamage('corrupt', `log segment ${mark.segment} is not the one that was synced`)
  }
  if (state.hard.term < mark.hard.term) {
    throw new StoreDamage('missing', `the log knows term ${state.hard.term}, the watermark ${mark.hard.term}`)
  }
}
