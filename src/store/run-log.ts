// Opening the Raft log: reads all of it, says what was found, repairs what a power cut leaves, and refuses damage.
import type { Clock } from '../world/clock.ts'
import type { Disk } from '../world/disk.ts'
import type { Log } from '../world/log.ts'
import { type Identity, type LogState, segmentBytes, zeroBytesAhead } from './log.ts'
import { type RunLog, runLog } from './run-append.ts'
import { scanLog } from './run-scan.ts'
import type { Space } from './run-space.ts'

export type { Append, RunLog } from './run-append.ts'

/** 'new': the disk is blank. 'unused': it was opened before, and nothing was ever acknowledged. */
export type OpenedLog = {
  readonly found: 'new' | 'unused' | 'clean' | 'torn'
  readonly state: LogState
  readonly log: RunLog
}

export type LogSettings = {
  /** See log.ts; tests make both small. */
  readonly zeroBytesAhead?: number
  readonly segmentBytesMax?: number
  /** Where to wait when the disk is full; without it that is an error like others. */
  readonly space?: Space
  readonly clock?: Pick<Clock, 'monotonicMs'>
}

/** Throws StoreDamage when what was acknowledged is not there. */
export async function openLog(
  disk: Disk,
  identity: Identity,
  log: Log,
  settings: LogSettings = {},
): Promise<OpenedLog> {
  const { mark, state, crc, segments, torn, begun, left } = await scanLog(disk, identity)
  // Repaired before anything is written behind it. To do it twice is to do it once.
  if (torn !== undefined) await clearTail(disk, torn.name, torn.from, torn.to)
  if (begun !== undefined) await disk.remove(begun)
  const isTorn = torn !== undefined || begun !== undefined
  if (isTorn) log.warn('cut off the unfinished end of the log, as after a power cut; nothing acknowledged is lost')

  const { space, clock } = settings
  const ahead = settings.zeroBytesAhead ?? zeroBytesAhead
  const segmentBytesMax = settings.segmentBytesMax ?? segmentBytes
  const start = { segments: [...segments], state, crc, mark, left, ahead, segmentBytesMax, space, clock }
  const running = await runLog(disk, identity, start)
  if (segments.length > 0) return { found: isTorn ? 'torn' : 'clean', state, log: running }
  return { found: mark === undefined ? 'new' : 'unused', state, log: running }
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
