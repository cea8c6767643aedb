// Clients that hold leases: they grant one, put a key that lives by it, keep it alive for a while on any machine, and then
// give it up or let it end. What they were promised must hold: a lease ends only when its time has passed since the last
// answered keep-alive was asked, and then it does end.
import { type Revision, StoreError } from '../../src/kv/store.ts'
import type { LeaseId } from '../../src/kv/txn.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { Operation } from '../check/history.ts'
import type { Agenda } from './agenda.ts'
import type { Cluster, Running } from './cluster.ts'
import { must } from './safety.ts'
import type { Truth } from './truth.ts'

export type LeaseClients = {
  readonly counts: { granted: number; renewed: number; ended: number }
  readonly run: () => Promise<void>
  readonly stop: () => void
  /** Keys that must be gone by now. */
  readonly overdue: () => readonly string[]
  /** What the clients put, and what the ends of their leases deleted, for the history of all writes. */
  readonly operations: () => readonly Operation[]
}

type Held = {
  readonly key: string
  readonly value: string
  readonly ttlMs: number
  promisedUntilMs: number
  /** It may be given up by its holder. */
  isReleased: boolean
}

export const leasePrefix = '/l/'
/** Clocks run up to a twentieth too fast or too slow. */
const driftMax = 0.05
/** From the end of a lease to the command that says so, on a cluster that works. */
const lateMsMax = 5_000

export function createLeaseClients(
  agenda: Agenda,
  random: Prng,
  cluster: Cluster,
  truth: Truth,
  clientCount: number,
): LeaseClients {
  const counts = { granted: 0, renewed: 0, ended: 0 }
  const held = new Map<string, Held>()
  const ends: { readonly revision: Revision; readonly keys: readonly string[] }[] = []
  let isStopped = false
  let lastId = 0
  const sleep = (ms: number) => new Promise<void>(resolve => agenda.after(ms, resolve))

  truth.listen((revision, events) => {
    const keys = events.flatMap(event =>
      event.kind === 'delete' && event.key.startsWith(leasePrefix) ? [event.key] : [],
    )
    if (keys.length === 0) return
    ends.push({ revision, keys })
    for (const key of keys) {
      const one = held.get(key)
      if (one === undefined) continue
      counts.ended++
      held.delete(key)
      must(one.isReleased || agenda.nowMs() >= one.promisedUntilMs, 'leases', () => {
        return `${key} ended at ${agenda.nowMs().toFixed(0)} ms, and was promised until ${one.promisedUntilMs.toFixed(0)}`
      })
    }
  })

  /** Undefined: nobody knows. */
  async function ask<T>(act: (machine: Running) => Promise<T>): Promise<T | undefined> {
    const running = cluster.running()
    const machine = running[random.below(running.length)]
    if (machine === undefined) return undefined
    try {
      const answer = await Promise.race([act(machine), machine.life.died])
      return answer === 'died' ? undefined : answer
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      return undefined
    }
  }

  const promised = (askedMs: number, ttlMs: number) => askedMs + ttlMs * (1 - driftMax)

  async function hold(): Promise<void> {
    const ttlSeconds = 2 + random.below(6)
    const ttlMs = ttlSeconds * 1_000
    const askedMs = agenda.nowMs()
    const granted = await ask(({ store }) => store.execute({ kind: 'grant', lease: 0, ttlSeconds }))
    if (granted?.kind !== 'grant') return
    counts.granted++
    const { lease } = granted
    const number = ++lastId
    const key = `${leasePrefix}${number}`
    const one: Held = { key, value: `l${number}`, ttlMs, promisedUntilMs: promised(askedMs, ttlMs), isReleased: false }
    held.set(key, one)
    const put = { kind: 'put', key, value: one.value, lease, wantsPrevious: false } as const
    const txn = { conditions: [], success: [put], failure: [] }
    const outcome = await ask(({ store }) => store.execute({ kind: 'txn', txn }))
    if (outcome?.kind === 'failed') {
      // The lease ended before the key came.
      must(agenda.nowMs() >= one.promisedUntilMs, 'leases', () => `${key} finds its lease ended too early`)
      held.delete(key)
      return
    }
    for (let i = random.below(6); i > 0 && !isStopped; i--) {
      await sleep(ttlMs * (0.2 + 0.3 * random.float()))
      if (!(await renew(one, lease))) return
    }
    if (!random.chance(0.3)) return
    one.isReleased = true
    await ask(({ store }) => store.execute({ kind: 'revoke', lease, term: undefined }))
  }

  async function renew(one: Held, lease: LeaseId): Promise<boolean> {
    const askedMs = agenda.nowMs()
    const answer = await ask(async ({ store }) => ({ renewed: await store.renewLease(lease) }))
    if (answer === undefined) return true
    if (answer.renewed === undefined) {
      must(agenda.nowMs() >= one.promisedUntilMs, 'leases', () => `${one.key} is told that its lease ended too early`)
      return false
    }
    counts.renewed++
    one.promisedUntilMs = Math.max(one.promisedUntilMs, promised(askedMs, one.ttlMs))
    return true
  }

  async function client(): Promise<void> {
    while (!isStopped) {
      await sleep(random.float() * 1_500)
      await hold()
    }
  }

  return {
    counts,
    async run() {
      await Promise.all(Array.from({ length: clientCount }, client))
    },
    stop() {
      isStopped = true
    },
    overdue: () => [...held.values()].filter(one => truth.has(one.key)).map(one => one.key),
    operations() {
      const none = { client: -2, call: 0, return: Number.POSITIVE_INFINITY } as const
      const puts = truth.puts(leasePrefix).map(({ key, value, modRevision }): Operation => {
        return { ...none, request: { kind: 'put', key, value }, outcome: { kind: 'ambiguous', revision: modRevision } }
      })
      const deletions = ends.map(({ revision, keys }): Operation => {
        const success = keys.map(key => ({ kind: 'delete', key }) as const)
        const request = { kind: 'txn', compare: [], success, failure: [] } as const
        return { ...none, request, outcome: { kind: 'ambiguous', revision } }
      })
      return [...puts, ...deletions]
    },
  }
}

/** How long it takes until what nobody keeps alive is gone, on a cluster that works. */
export const leaseEndMsMax = 8_000 * (1 + driftMax) + lateMsMax
