// Clients that watch: from machine to machine, from where they were or from a little before or after the newest revision.
// Each batch is held against what happened (truth.ts).
import { prefixEnd, type Revision, StoreError } from '../../src/kv/store.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { Agenda } from './agenda.ts'
import type { Cluster } from './cluster.ts'
import { must } from './safety.ts'
import type { Range, Truth } from './truth.ts'

export type Watchers = {
  readonly counts: { batches: number; events: number; compacted: number; resumed: number }
  readonly run: () => Promise<void>
  readonly stop: () => void
}

const stallMs = 5_000
const ranges: readonly Range[] = [
  { from: '/', to: prefixEnd('/') },
  { from: '/', to: prefixEnd('/') },
  { from: '/k/0', to: '/k/3' },
]

export function createWatchers(agenda: Agenda, random: Prng, cluster: Cluster, truth: Truth): Watchers {
  const counts = { batches: 0, events: 0, compacted: 0, resumed: 0 }
  let isStopped = false
  const sleep = (ms: number) => new Promise<void>(resolve => agenda.after(ms, resolve))

  async function watcher(name: string, range: Range): Promise<void> {
    let after: Revision = 0
    while (!isStopped) {
      await sleep(random.float() * 300)
      const machine = cluster.running()[random.below(cluster.running().length)]
      if (machine === undefined) continue
      const draw = random.float()
      if (draw < 0.15) after = Math.max(0, machine.store.revision() + random.below(200) - 100)
      // The oldest that is kept is where mistakes are.
      else if (draw < 0.4) after = Math.max(0, machine.store.status().compactedRevision + random.below(5) - 2)
      else counts.resumed++
      after = await follow(`${name} at ${machine.life.name}`, machine, range, after)
    }
  }

  /** Until something breaks, or for a while; gives what it has seen all of. */
  async function follow(
    who: string,
    { store, life }: ReturnType<Cluster['running']>[number],
    range: Range,
    start: Revision,
  ): Promise<Revision> {
    let after = start
    const ending = new AbortController()
    const batches = store.watch({ ...range, after }, ending.signal)[Symbol.asyncIterator]()
    try {
      for (let i = random.below(random.chance(0.5) ? 10 : 200); i >= 0 && !isStopped; i--) {
        const next = await Promise.race([batches.next(), life.died, sleep(stallMs).then(() => 'slow' as const)])
        if (next === 'died' || next === 'slow' || next.done === true) break
        truth.watched(who, range, after, next.value)
        counts.batches++
        counts.events += next.value.events.length
        after = next.value.revision
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      if (error.reason === 'compacted') {
        const { compactedRevision } = store.status()
        must(after < compactedRevision, 'watches', () => {
          return `${who} is told that ${after} is compacted, and only what is before ${compactedRevision} is`
        })
        counts.compacted++
        return store.revision()
      }
    } finally {
      ending.abort()
    }
    return after
  }

  return {
    counts,
    async run() {
      await Promise.all(ranges.map((range, i) => watcher(`watcher ${i + 1}`, range)))
    },
    stop() {
      isStopped = true
    },
  }
}
