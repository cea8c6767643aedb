// How old the changes of the history are, by the leader's ticks: it decides once for all replicas, through the log.
import type { Revision } from '../kv/store.ts'

export type Ages = {
  /** Takes the revision of now; gives one that all changes up to are old, when there is a newer one than last time. */
  look(revision: Revision, tick: number): Revision | undefined
  /** Another leads: its clock counts. */
  reset(): void
}

export function createAges(oldTicks: number): Ages {
  let seen: { readonly revision: Revision; readonly tick: number }[] = []
  let given: Revision = 0
  return {
    look(revision, tick) {
      const old = seen.findLast(age => tick - age.tick >= oldTicks)
      seen = seen.filter(age => age === old || tick - age.tick < oldTicks)
      if (seen.at(-1)?.revision !== revision) seen.push({ revision, tick })
      if (old === undefined || old.revision <= given) return undefined
      given = old.revision
      return given
    },
    reset() {
      seen = []
    },
  }
}
