// What each peer tells the others of itself, for the choice of voters: how long its disk takes to make something durable, and
// since when its agent runs. Gossiped, so without authority: a peer that lies gets a vote it should not have, no more.
import { text, utf8 } from '../lib/bytes.ts'
import type { Disk, DiskFile } from '../world/disk.ts'
import type { PeerId } from '../world/network.ts'
import type { World } from '../world/world.ts'

const tellEveryMs = 10_000
/** Words older than this are forgotten. */
const freshMs = 60_000
const sampleCountMax = 256
const probeCount = 16
const probeBytes = 512
const probeName = 'sync-probe'

export type Vitals = { readonly syncP99Ms: number | undefined; readonly upMs: number }

/** The times of the last syncs; what they say does not depend on how many there were long ago. */
export type SyncTimes = {
  took(ms: number): void
  /** Undefined before the first. */
  p99Ms(): number | undefined
}

export function syncTimes(): SyncTimes {
  const samples: number[] = []
  let at = 0
  return {
    took(ms) {
      samples[at] = ms
      at = (at + 1) % sampleCountMax
    },
    p99Ms() {
      const sorted = samples.toSorted((a, b) => a - b)
      return sorted[Math.ceil(sorted.length * 0.99) - 1]
    },
  }
}

/** The same disk, with the syncs of its files timed. */
export function timedDisk(disk: Disk, clock: Pick<World['clock'], 'monotonicMs'>, times: SyncTimes): Disk {
  async function timed(startedMs: number, work: Promise<void>): Promise<void> {
    await work
    times.took(clock.monotonicMs() - startedMs)
  }
  return {
    ...disk,
    async open(name) {
      const file = await disk.open(name)
      const { writeAndSync } = file
      return {
        ...file,
        sync: () => timed(clock.monotonicMs(), file.sync()),
        ...(writeAndSync !== undefined && { writeAndSync: timedAtOnce(writeAndSync.bind(file)) }),
      }
    },
  }

  function timedAtOnce(write: NonNullable<DiskFile['writeAndSync']>): NonNullable<DiskFile['writeAndSync']> {
    return (offset, bytes) => {
      const startedMs = clock.monotonicMs()
      const work = write(offset, bytes)
      if (work !== undefined) return timed(startedMs, work)
      times.took(clock.monotonicMs() - startedMs)
      return undefined
    }
  }
}

/** A few syncs of a file of its own, so that a peer that writes nothing is known too. Once, at the start: an idle one stays idle. */
export async function probeDisk(disk: Disk): Promise<void> {
  const file = await disk.open(probeName)
  try {
    for (let i = 0; i < probeCount; i++) {
      await file.writeAt(0, new Uint8Array(probeBytes).fill(i))
      await file.sync()
    }
  } finally {
    await file.close()
  }
  await disk.remove(probeName)
}

export interface KnownVitals extends Disposable {
  of(peer: PeerId): Vitals | undefined
}

/** Tells this peer's vitals and hears those of others, until the signal. `topic` is the cluster's own. */
export function openVitals(world: World, topic: string, times: SyncTimes, signal: AbortSignal): KnownVitals {
  const { clock, network } = world
  const startedMs = clock.monotonicMs()
  const heard = new Map<PeerId, { readonly vitals: Vitals; readonly atMs: number }>()
  const own = (): Vitals => ({ syncP99Ms: times.p99Ms(), upMs: clock.monotonicMs() - startedMs })
  const hearing = network.onGossip(topic, (from, message) => {
    const vitals = readVitals(text(message))
    if (vitals !== undefined) heard.set(from, { vitals, atMs: clock.monotonicMs() })
  })
  async function tell(): Promise<void> {
    while (!signal.aborted) {
      network.publish(topic, utf8(JSON.stringify(own())))
      for (const [peer, { atMs }] of heard) if (clock.monotonicMs() - atMs > freshMs) heard.delete(peer)
      await clock.sleep(tellEveryMs, signal)
    }
  }
  void tell()
  return {
    of(peer) {
      if (peer === network.self) return own()
      const found = heard.get(peer)
      return found && { ...found.vitals, upMs: found.vitals.upMs + clock.monotonicMs() - found.atMs }
    },
    [Symbol.dispose]: () => hearing[Symbol.dispose](),
  }
}

/** Undefined when the words are none of ours. */
function readVitals(words: string): Vitals | undefined {
  try {
    const { syncP99Ms, upMs } = JSON.parse(words) as Partial<Vitals>
    if (typeof upMs !== 'number' || !(upMs >= 0)) return undefined
    return { syncP99Ms: typeof syncP99Ms === 'number' && syncP99Ms >= 0 ? syncP99Ms : undefined, upMs }
  } catch {
    return undefined
  }
}
