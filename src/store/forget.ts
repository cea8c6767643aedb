// What the leader lets all replicas forget, through the log, so that every one forgets the same: changes that are old by
// its ticks, and the oldest of those that are more, or need more memory, than is allowed.
import type { Revision } from '../kv/store.ts'
import type { Versions } from '../kv/versions.ts'

export type ForgetLimits = { readonly oldTicks: number; readonly countMax: number; readonly bytesMax: number }

export type Forgetting = {
  /** Gives what to compact next, once. Ages are looked at when `isTick`: a look takes a note of the revision. */
  look(versions: Versions, newest: Revision, tick: number, isTick: boolean): Revision | undefined
  /** Another leads, and its clock counts; or what was given did not come about. */
  reset(): void
}

/** How much is left of a history that was full: so that it is not full again with the next change. */
const keptPart = 0.75

export function createForgetting({ oldTicks, countMax, bytesMax }: ForgetLimits): Forgetting {
  let seen: { readonly revision: Revision; readonly tick: number }[] = []
  let given: Revision = 0

  function old(newest: Revision, tick: number): Revision {
    const last = seen.findLast(age => tick - age.tick >= oldTicks)
    seen = seen.filter(age => age === last || tick - age.tick < oldTicks)
    if (seen.at(-1)?.revision !== newest) seen.push({ revision: newest, tick })
    return last?.revision ?? 0
  }

  return {
    look(versions, newest, tick, isTick) {
      // What was given is still on its way through the log.
      if (given > versions.compacted && !isTick) return undefined
      const isFull = versions.count > countMax || versions.bytes > bytesMax
      const aged = isTick ? old(newest, tick) : 0
      const excess = isFull ? versions.oldestWithin(Math.floor(countMax * keptPart), bytesMax * keptPart) : 0
      const revision = Math.min(Math.max(aged, excess), newest)
      if (revision <= given || revision <= versions.compacted) return undefined
      given = revision
      return revision
    },
    reset() {
      seen = []
      given = 0
    },
  }
}
