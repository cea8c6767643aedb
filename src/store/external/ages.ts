// Which revision was the newest a while ago: what etcd may forget.
import type { Revision } from '../../kv/store.ts'

export type Ages = {
  /** Notes what is newest now, and gives the newest revision that is at least so old, each once. */
  look(newest: Revision, nowMs: number): Revision | undefined
}

export function createAges(oldMs: number): Ages {
  let seen: { readonly revision: Revision; readonly atMs: number }[] = []
  let given: Revision = 0
  return {
    look(newest, nowMs) {
      const old = seen.findLast(one => nowMs - one.atMs >= oldMs)
      seen = seen.filter(one => one === old || nowMs - one.atMs < oldMs)
      if (seen.at(-1)?.revision !== newest) seen.push({ revision: newest, atMs: nowMs })
      if (old === undefined || old.revision <= given) return undefined
      given = old.revision
      return given
    },
  }
}
