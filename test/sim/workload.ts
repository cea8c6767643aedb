// Clients of the store, who remember what they were promised: acknowledged writes stay, newest reads are not stale,
// counters that are changed by compare-and-set count right, watches miss nothing and repeat nothing.

import { prefixEnd, type Revision, StoreError, type Write, type WriteResult } from '../../src/kv/store.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { RunningStore } from '../../src/store/run.ts'
import type { Agenda } from './agenda.ts'
import { SafetyError } from './checker.ts'
import type { Cluster } from './cluster.ts'
import type { Life } from './life.ts'

export type Workload = {
  /** Runs until `stop`; rejects with what must not be. */
  readonly run: () => Promise<void>
  readonly stop: () => void
  /** After everything has settled: what a replica must hold. */
  readonly check: (store: RunningStore) => Promise<void>
  /** Resolves when a write of its own has been acknowledged. */
  readonly writeOne: () => Promise<void>
  readonly counts: { writes: number; conflicts: number; unknown: number; reads: number; watched: number }
}

const never = new AbortController().signal
const counterCount = 5

export function createWorkload(agenda: Agenda, random: Prng, cluster: Cluster, gapMsMax: number): Workload {
  const counts = { writes: 0, conflicts: 0, unknown: 0, reads: 0, watched: 0 }
  const acknowledged = new Map<string, { readonly value: string; readonly revision: Revision }>()
  const byRevision = new Map<Revision, string>()
  /** Of each counter: increments acknowledged, and those whose fate is not known. */
  const counters = Array.from({ length: counterCount }, () => ({ done: 0, unknown: 0 }))
  const watchers: { readonly seen: Map<Revision, string[]>; from: Revision; until: Revision }[] = []
  let newestAcknowledged: Revision = 0
  let isStopped = false
  let lastId = 0

  const sleep = (ms: number) => new Promise<void>(resolve => agenda.after(ms, resolve))

  /** The machine may die while we wait; then nobody knows. */
  async function orGone<T>(life: Life, work: Promise<T>): Promise<T | 'gone'> {
    const result = await Promise.race([work, life.died.then(() => 'gone' as const)])
    return result
  }

  function someMachine() {
    const running = cluster.running()
    return running[random.below(running.length)]
  }

  async function tryWrite(write: Write): Promise<WriteResult | 'unknown' | 'refused'> {
    const machine = random.chance(0.9) ? (cluster.leader() ?? someMachine()) : someMachine()
    if (machine === undefined) return 'refused'
    const { store, life } = machine
    try {
      const result = await orGone(life, store.write(write, never))
      if (result === 'gone') return 'unknown'
      if (result.kind === 'done') acknowledge(store, write, result.revision)
      return result
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      if (error.reason === 'not-leader') return 'refused'
      if (error.reason === 'unavailable' || error.reason === 'closed') return 'unknown'
      throw error
    }
  }

  function acknowledge(store: RunningStore, write: Write, revision: Revision): void {
    counts.writes++
    const other = byRevision.get(revision)
    const keys = write.operations.map(one => one.key).join()
    if (other !== undefined) throw new SafetyError(`revision ${revision} is given to ${other} and to ${keys}`)
    byRevision.set(revision, keys)
    if (store.revision() < revision) throw new SafetyError(`revision ${revision} is acknowledged before it is applied`)
    newestAcknowledged = Math.max(newestAcknowledged, revision)
    for (const { key, value } of write.operations) {
      if (value === undefined) acknowledged.delete(key)
      else if (key.startsWith('/w/')) acknowledged.set(key, { value, revision })
    }
  }

  async function put(): Promise<void> {
    const id = ++lastId
    const key = `/w/${id}`
    const value = `v${id}${'y'.repeat(random.below(random.chance(0.05) ? 3_000 : 80))}`
    const result = await tryWrite({ compare: [], operations: [{ key, value }] })
    if (result === 'unknown') counts.unknown++
  }

  async function count(): Promise<void> {
    const which = random.below(counterCount)
    const counter = counters[which]
    const machine = someMachine()
    if (counter === undefined || machine === undefined) return
    const key = `/c/${which}`
    const current = await orGone(machine.life, machine.store.get(key))
    if (current === 'gone') return
    const modRevision = current?.modRevision ?? 0
    const value = String(Number(current?.value ?? 0) + 1)
    counter.unknown++
    const result = await tryWrite({ compare: [{ key, modRevision }], operations: [{ key, value }] })
    if (result === 'unknown') {
      counts.unknown++
      return
    }
    counter.unknown--
    if (result === 'refused' || result.kind === 'fenced') return
    if (result.kind === 'conflict') counts.conflicts++
    else counter.done++
  }

  async function read(): Promise<void> {
    const machine = someMachine()
    if (machine === undefined) return
    const { store, life } = machine
    const before = newestAcknowledged
    const keys = [...acknowledged].slice(-1)
    try {
      const revision = await orGone(life, store.newest(never))
      if (revision === 'gone') return
      counts.reads++
      if (revision < before)
        throw new SafetyError(`${life.name} reads revision ${revision}, ${before} was acknowledged before`)
      for (const [key, { value }] of keys) {
        const found = await orGone(life, store.get(key))
        if (found !== 'gone' && found?.value !== value) throw new SafetyError(`${life.name} does not read ${key}`)
      }
    } catch (error) {
      if (!(error instanceof StoreError) || (error.reason !== 'unavailable' && error.reason !== 'closed')) throw error
    }
  }

  /** Follows all keys from machine to machine; begins anew where the history is compacted. */
  async function watch(): Promise<void> {
    let watcher = { seen: new Map<Revision, string[]>(), from: 0, until: 0 }
    watchers.push(watcher)
    while (!isStopped) {
      await sleep(random.float() * 200)
      const machine = someMachine()
      if (machine === undefined) continue
      const { store, life } = machine
      const ending = new AbortController()
      const batches = store
        .watch({ from: '/', to: prefixEnd('/'), after: watcher.until }, ending.signal)
        [Symbol.asyncIterator]()
      try {
        for (let i = random.below(200); i >= 0 && !isStopped; i--) {
          const next = await orGone(life, Promise.race([batches.next(), sleep(5_000).then(() => 'slow' as const)]))
          if (next === 'gone' || next === 'slow' || next.done === true) break
          const { revision, events } = next.value
          if (revision < watcher.until) throw new SafetyError(`a watch goes back from ${watcher.until} to ${revision}`)
          for (const event of events) {
            const at = event.kind === 'put' ? event.current.modRevision : event.revision
            const key = event.kind === 'put' ? event.current.key : event.key
            const isLate = at <= watcher.until || at > revision
            if (isLate) throw new SafetyError(`a watch shows ${key} at ${at}, between ${watcher.until} and ${revision}`)
            watcher.seen.set(at, [...(watcher.seen.get(at) ?? []), key])
            counts.watched++
          }
          watcher.until = revision
        }
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        if (error.reason === 'compacted') {
          watcher = { seen: new Map(), from: store.revision(), until: store.revision() }
          watchers.push(watcher)
        } else if (error.reason !== 'closed' && error.reason !== 'unavailable') throw error
      } finally {
        ending.abort()
      }
    }
  }

  async function client(): Promise<void> {
    while (!isStopped) {
      await sleep(random.float() * gapMsMax)
      const draw = random.float()
      await (draw < 0.5 ? put() : draw < 0.75 ? count() : read())
    }
  }

  async function run(): Promise<void> {
    await Promise.all([client(), client(), client(), client(), client(), watch(), watch()])
  }

  return {
    run,
    stop() {
      isStopped = true
    },
    async writeOne() {
      for (;;) {
        const key = `/w/live${++lastId}`
        const machine = cluster.leader()
        if (machine !== undefined) {
          const result = await tryWrite({ compare: [], operations: [{ key, value: 'live' }] })
          if (typeof result !== 'string' && result.kind === 'done') return
        }
        await sleep(20)
      }
    },
    async check(store) {
      const { items } = await store.range({ from: '/', to: prefixEnd('/') })
      const found = new Map(items.map(item => [item.key, item]))
      for (const [key, { value, revision }] of acknowledged) {
        const item = found.get(key)
        const isThere = item?.value === value && item.modRevision === revision
        if (!isThere) throw new SafetyError(`the acknowledged write of ${key} at ${revision} is lost`)
      }
      counters.forEach(({ done, unknown }, i) => {
        const value = Number(found.get(`/c/${i}`)?.value ?? 0)
        const isRight = value >= done && value <= done + unknown
        if (!isRight) throw new SafetyError(`counter ${i} is ${value}; ${done} are acknowledged and ${unknown} unknown`)
      })
      for (const { seen, from, until } of watchers) {
        for (const { key, modRevision } of items) {
          if (modRevision <= from || modRevision > until) continue
          if (!seen.get(modRevision)?.includes(key)) throw new SafetyError(`a watch missed ${key} at ${modRevision}`)
        }
      }
    },
    counts,
  }
}
