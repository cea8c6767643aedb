// Keeps a replica equal to the external etcd: loads all keys at one revision, then follows one watch of all keys from
// there on. A watch that breaks is resumed behind what is known; when etcd has forgotten that, or something does not
// fit, everything is loaded again.
import type { ChangeEvent } from '../../kv/store.ts'
import { onAbort } from '../../lib/abort.ts'
import { backoffMs } from '../../lib/backoff.ts'
import { EtcdError, type EtcdItem, type EtcdLink } from '../../world/etcd.ts'
import type { Log } from '../../world/log.ts'
import type { Names } from './names.ts'
import { fold, type OwnWorld, type Replica, replicaOf } from './replica.ts'

export type FollowConfig = {
  readonly link: EtcdLink
  readonly names: Names
  readonly log: Log
  readonly requestTimeoutMs: number
  /** There is a replica, the first or a new one. */
  readonly loaded: (replica: Replica, cluster: string) => void
  readonly folded: (changes: readonly ChangeEvent[]) => void
}

export type Follower = {
  /** Gives up the watch that stands and begins another, at another endpoint where there is one. */
  again(why: string): void
  /** When etcd last said something on the watch. */
  heardAtMs(): number
  readonly done: Promise<void>
}

/** Keys of one page; fewer after a load that failed, since a page of large values may not come in time. */
const pageCountMax = 1_000
const pageCountMin = 10
const backoff = { firstMs: 100, mostMs: 3_000 }

export function follow(world: OwnWorld, config: FollowConfig, signal: AbortSignal): Follower {
  const { link, names, log } = config
  const { clock } = world
  let replica: Replica | undefined
  let watching = new AbortController()
  let heardAtMs = clock.monotonicMs()
  let failures = 0
  let pageCount = pageCountMax

  /** All keys at one revision. */
  async function load(limit: number): Promise<Replica> {
    const items: EtcdItem[] = []
    let from = names.from
    let revision = 0
    for (;;) {
      const page = await link.range({ from, to: names.to, limit, revision }, config.requestTimeoutMs)
      if (revision === 0) revision = page.revision
      for (const item of page.items) items.push(item)
      const last = page.items.at(-1)
      if (page.isMore && last !== undefined && !signal.aborted) {
        from = `${last.key}\0`
        continue
      }
      const fresh = replicaOf(names, items, revision)
      log.info('loaded all keys from etcd', { keys: fresh.kv.versions.size, revision })
      config.loaded(fresh, page.cluster)
      return fresh
    }
  }

  async function keepUp(following: Replica): Promise<void> {
    watching = new AbortController()
    using _listener = onAbort(signal, () => watching.abort())
    for await (const events of link.watch(following.kv.revision + 1, watching.signal)) {
      heardAtMs = clock.monotonicMs()
      failures = 0
      if (events.length > 0) config.folded(fold(following, names, events))
    }
  }

  async function live(): Promise<void> {
    while (!signal.aborted) {
      try {
        if (replica === undefined) {
          const count = pageCount
          pageCount = Math.max(pageCountMin, Math.floor(count / 2))
          replica = await load(count)
          pageCount = count
        }
        heardAtMs = clock.monotonicMs()
        await keepUp(replica)
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        const isLost = !(error instanceof EtcdError) || error.reason === 'compacted'
        if (isLost) replica = undefined
        const fields = { why: String(error), next: isLost ? 'load all keys' : 'watch again' }
        const needsHelp = error instanceof EtcdError && error.reason === 'refused'
        if (failures === 1 || needsHelp) log.warn('lost track of etcd', fields)
        else log.debug('etcd does not answer yet', fields)
      }
      if (failures > 0) await clock.sleep(backoffMs(failures, backoff, world.random.float()), signal)
    }
  }

  return {
    again(why) {
      if (watching.signal.aborted) return
      log.warn('the watch of etcd is begun again', { why })
      link.avoid()
      watching.abort()
    },
    heardAtMs: () => heardAtMs,
    done: live(),
  }
}
