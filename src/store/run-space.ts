// Room on the disk. A part of it is kept in reserve; when the disk is full, the reserve is given back, the store takes
// no new work, and what it must still write waits for room. When there is enough again, the reserve is made again and
// work goes on. Nothing is lost meanwhile: what waits was never acknowledged.
import type { Clock } from '../world/clock.ts'
import type { Disk } from '../world/disk.ts'
import type { Log } from '../world/log.ts'

/** How often a full disk is looked at again, and one with too little room for the reserve. */
const tightCheckMs = 1_000
const shortCheckMs = 60_000
/** A store that has just begun needs the disk for other things. */
const firstCheckMs = 10_000

export interface Space {
  /** The disk was full and there is not enough room yet: take no new work. */
  readonly isTight: boolean
  /** For whoever found no room. True: some was given back, so try again now. */
  full(): Promise<boolean>
  /** After `full` said false: resolves when it is worth another try. Rejects with `error` at the start and at the end. */
  untilRoom(error: unknown): Promise<void>
  /** Whether `bytes`, which could also be written later, may be written now. Gives back the reserve for it. */
  hasRoom(bytes: number): Promise<boolean>
  /** The start is over: from now on there is somebody who can wait. */
  begin(): void
  /** Ends all waiting. */
  close(): void
}

/** `reserveBytes` 0: none is kept. `isTight`: the disk was full a moment ago. */
export function openSpace(
  world: { readonly clock: Clock; readonly disk: Disk; readonly log: Log },
  reserveBytes: number,
  wasFull: boolean,
): Space {
  const { clock, disk, log } = world
  const reserve = reserveBytes > 0 ? disk.reserve : undefined
  const ending = new AbortController()
  let nap = new AbortController()
  let isTight = wasFull
  let hasBegun = false
  let isWatching = false
  let saidShort = false
  let failure: unknown

  async function watch(): Promise<void> {
    if (reserve !== undefined && !isTight) await rest(firstCheckMs)
    while (!ending.signal.aborted) {
      if (await keep()) {
        if (isTight) log.info('there is room on the disk again')
        isTight = false
        return
      }
      if (!isTight && !saidShort) {
        saidShort = true
        log.warn('little room is left on the disk: no reserve could be kept', { freeBytes: await reserve?.freeBytes() })
      }
      await rest(isTight ? tightCheckMs : shortCheckMs)
    }
  }

  async function rest(ms: number): Promise<void> {
    nap = new AbortController()
    await clock.sleep(ms, nap.signal)
  }

  /** Without a reserve nobody can tell: then a moment of patience must do. */
  async function keep(): Promise<boolean> {
    if (reserve !== undefined) return await reserve.keep(reserveBytes)
    if (isTight) await clock.sleep(tightCheckMs, ending.signal)
    return true
  }

  function startWatching(): void {
    if (isWatching || !hasBegun || ending.signal.aborted) return
    isWatching = true
    watch()
      .catch(error => {
        failure = error
        log.error('the room on the disk cannot be told', { why: String(error) })
      })
      .then(() => {
        isWatching = false
      })
  }

  async function full(): Promise<boolean> {
    const isFirst = !isTight
    isTight = true
    const isFreed = (await reserve?.release()) ?? false
    if (isFreed) log.error('the disk is full: the reserve is used, and no new work is taken until there is room')
    else if (isFirst) log.error('the disk is full: no new work is taken until there is room')
    if (isFirst) nap.abort()
    startWatching()
    return isFreed
  }

  return {
    get isTight() {
      return isTight
    },
    full,
    async untilRoom(error) {
      if (failure !== undefined) throw failure
      if (hasBegun) await clock.sleep(tightCheckMs, ending.signal)
      if (!hasBegun || ending.signal.aborted) throw error
    },
    async hasRoom(bytes) {
      if (reserve === undefined) return true
      if ((await reserve.freeBytes()) >= bytes) return true
      return (await full()) && (await reserve.freeBytes()) >= bytes
    },
    begin() {
      hasBegun = true
      startWatching()
    },
    close() {
      ending.abort()
      nap.abort()
    },
  }
}
