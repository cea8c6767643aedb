// Looks through the folder of a stopped store and says, file by file, what is in it and what a start would make of it.
// Nothing of the store changes: no tail is cut, no segment removed. (LevelDB tidies its own files whenever it is opened.)
import { apply, createKv, type Kv, restoreKv } from '../kv/kv.ts'
import type { Disk } from '../world/disk.ts'
import { unwrap } from './command.ts'
import { decodeSlot, type Identity, type LogState, StoreDamage, scanSegment, slotBytes, zeroFrom } from './log.ts'
import { restore } from './restore.ts'
import { segmentName } from './run-prepare.ts'
import { logFolder, scanLog } from './run-scan.ts'
import { type LoadedState, openState } from './run-state.ts'
import { watermarkName } from './run-watermark.ts'
import { allRecords } from './state.ts'

export type CheckedFile = {
  /** As in the store's folder; a state is a folder of files that are one. */
  readonly name: string
  /** What of it has content. */
  readonly bytes: number
  /** Of the log: its records. Of the watermark: slots that are whole. Of a state: its keys. */
  readonly records: number
  readonly problem?: string
}

export type CheckReport = {
  /**
   * 'new': nothing was ever kept here. 'unused': opened once, and nothing acknowledged. 'clean'. 'torn': a write was cut
   * short that nobody was promised; the next start clears it. The others: the next start refuses (StoreDamage).
   */
  readonly outcome: 'new' | 'unused' | 'clean' | 'torn' | StoreDamage['found']
  /** Why, and what to do, when the next start refuses. */
  readonly why?: string
  /** Whose it is. */
  readonly identity?: Identity
  readonly files: readonly CheckedFile[]
  /** The newest term that this member knows, and the last entry of its log. */
  readonly term: number
  readonly index: number
  /** With all of the log applied, committed or not; 0 when that cannot be told. */
  readonly revision: number
  readonly hash: number
}

/** `identity`: whose it should be; left out: anyone's. Throws only when the disk cannot be read. */
export async function checkStore(disk: Disk, identity?: Identity): Promise<CheckReport> {
  const files: CheckedFile[] = []
  const slots = await checkWatermark(disk, files)
  await checkSegments(disk, files)
  const owner = identity ?? slots
  const whose = slots === undefined ? {} : { identity: slots }
  try {
    const { mark, state, segments, torn, begun } = await scanLog(disk, owner)
    const { hard, base, entries } = state
    const kv = await checkStates(disk, state, files)
    const outcome = segments.length === 0 ? (mark === undefined ? 'new' : 'unused') : (torn ?? begun) ? 'torn' : 'clean'
    const index = entries.at(-1)?.index ?? base.index
    return { outcome, ...whose, files, term: hard.term, index, revision: kv.revision, hash: kv.hash }
  } catch (error) {
    if (!(error instanceof StoreDamage)) throw error
    return { outcome: error.found, why: error.message, ...whose, files, term: 0, index: 0, revision: 0, hash: 0 }
  }
}

async function checkWatermark(disk: Disk, files: CheckedFile[]): Promise<Identity | undefined> {
  const bytes = await disk.read(watermarkName)
  if (bytes === undefined) return undefined
  const slots = [bytes.subarray(0, slotBytes), bytes.subarray(slotBytes)]
  const whole = slots.map(decodeSlot).filter(slot => slot !== undefined)
  const bent = slots.filter(slot => zeroFrom(slot) > 0).length - whole.length
  const problem = bent > 0 ? { problem: `${bent} of its two slots is not whole; the other one counts` } : {}
  const [newest] = whole.toSorted((a, b) => b.sequence - a.sequence)
  const none = newest === undefined && zeroFrom(bytes) > 0 ? { problem: 'none of its slots is whole' } : problem
  files.push({ name: watermarkName, bytes: zeroFrom(bytes), records: whole.length, ...none })
  return newest?.identity
}

/** Each segment for itself, as far as it is good, also behind one that is not. */
async function checkSegments(disk: Disk, files: CheckedFile[]): Promise<void> {
  let crc: number | undefined
  for (const short of await disk.list(logFolder)) {
    const name = `${logFolder}/${short}`
    const bytes = (await disk.read(name)) ?? new Uint8Array()
    if (name !== segmentName(Number(short))) {
      files.push({ name, bytes: bytes.length, records: 0, problem: 'none of the files of a log' })
      continue
    }
    const scan = scanSegment(bytes, Number(short), crc)
    const alone = scan.end === 0 && crc !== undefined ? scanSegment(bytes, Number(short), undefined) : scan
    const problem =
      alone !== scan && alone.end > 0
        ? 'good in itself, and does not follow the segment before it'
        : scan.rest === 'damage'
          ? `bad bytes at ${scan.end}, with good ones behind them`
          : scan.rest === 'torn'
            ? `bad bytes from ${scan.end} to ${zeroFrom(bytes)}`
            : undefined
    const { end, records } = alone
    files.push({ name, bytes: end, records: records.length, ...(problem === undefined ? {} : { problem }) })
    crc = end === 0 ? crc : alone.crc
  }
}

async function sizeOf(disk: Disk, name: string): Promise<{ bytes: number; records: number }> {
  const map = await disk.openMap(name)
  let bytes = 0
  let records = 0
  for await (const [key, value] of map.entries(allRecords)) {
    bytes += key.length + value.length
    records += 1
  }
  await map.close()
  return { bytes, records }
}

/** The state that counts, and the log applied to it. A damaged one is no damage while the log reaches back to the start. */
async function checkStates(disk: Disk, log: LogState, files: CheckedFile[]): Promise<Kv> {
  const name = `state-${log.generation}`
  let loaded: LoadedState | undefined
  if ((await disk.list(name)).length > 0) {
    try {
      const opened = await openState(disk, log.generation)
      await opened.state.close()
      loaded = opened.loaded
      files.push({ name, ...(await sizeOf(disk, name)) })
    } catch (error) {
      if (!(error instanceof StoreDamage)) throw error
      files.push({ name, bytes: 0, records: 0, problem: error.message })
      if (log.base.index > 0) throw error
    }
  }
  const restored = restore(log, loaded)
  const kv = loaded === undefined ? createKv() : restoreKv(loaded.image)
  for (const entry of restored.entries) {
    const { index, term } = entry
    apply(kv, { index, term, command: entry.kind === 'command' ? unwrap(entry.command).command : undefined }, false)
  }
  return kv
}
