// How leases end: on the leader's clock, by a command of the log, and never by the word of one that leads no more.
import { expect, test } from 'vitest'
import { encodeCommand } from '../../src/kv/codec.ts'
import { apply, createKv, type Kv } from '../../src/kv/kv.ts'
import type { Command, Outcome } from '../../src/kv/txn.ts'
import { createLeaseTimes, type LeaseTimes } from '../../src/store/run-leases.ts'
import type { Log } from '../../src/world/log.ts'
import { eventually, startCluster } from './cluster.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
const all = { range: { from: '', to: '\u0100' }, revision: 0, limit: 0, countOnly: false } as const

/** A state machine, the time of its leases, and a majority that answers when the test lets it. */
function world() {
  const kv = createKv()
  let nowMs = 1_000
  let term = 1
  let confirm: (() => Promise<number>) | undefined
  const asked: number[] = []
  const execute = (command: Command): Outcome => {
    const entry = { index: kv.index + 1, term, command: encodeCommand(command) }
    const { answer } = apply(kv, entry, true)
    times.applied(answer)
    return answer as Outcome
  }
  const times: LeaseTimes = createLeaseTimes({
    clock: { monotonicMs: () => nowMs },
    log: silent,
    known: () => kv.leases,
    newest: () => confirm?.() ?? Promise.resolve(kv.revision),
    revoke(lease, inTerm) {
      asked.push(lease)
      return Promise.resolve(execute({ kind: 'revoke', lease, term: inTerm }))
    },
  })
  return {
    kv,
    times,
    execute,
    asked,
    setTerm: (to: number) => {
      term = to
    },
    whenConfirming(act: (() => Promise<number>) | undefined) {
      confirm = act
    },
    /** In steps, as a store ticks. */
    async pass(ms: number, stepMs = 50) {
      for (const end = nowMs + ms; nowMs < end; ) {
        nowMs += Math.min(stepMs, end - nowMs)
        times.tick()
        await new Promise(resolve => setImmediate(resolve))
      }
    },
  }
}

const grant = (lease: number, ttlSeconds: number) => ({ kind: 'grant', lease, ttlSeconds }) as const
function putOn(lease: number, key: string): Command {
  const put = { kind: 'put', key, value: 'v', lease, wantsPrevious: false } as const
  return { kind: 'txn', txn: { conditions: [], success: [put], failure: [] } }
}
const keysOf = (kv: Kv) => kv.versions.all().map(({ key }) => key)

test('a lease ends with its keys, in one revision, when its time is over', async () => {
  const { kv, times, execute, pass } = world()
  times.lead(1)
  execute(grant(5, 10))
  for (const key of ['b', 'a', 'c']) execute(putOn(5, key))
  execute(putOn(0, 'stays'))
  const { revision } = kv
  await pass(9_900)
  expect(keysOf(kv)).toEqual(['a', 'b', 'c', 'stays'])
  expect(await times.look(5)).toEqual({ lease: 5, grantedSeconds: 10, remainingSeconds: 0, keys: ['a', 'b', 'c'] })
  await pass(200)
  expect(keysOf(kv)).toEqual(['stays'])
  expect(kv.revision).toBe(revision + 1)
  const { events } = kv.versions.since(all.range, revision, kv.revision, 10)
  expect(events.map(event => event.kind === 'delete' && event.key)).toEqual(['a', 'b', 'c'])
  expect(await times.look(5)).toBeUndefined()
})

test('a keep-alive starts the time again', async () => {
  const { kv, times, execute, pass } = world()
  times.lead(1)
  execute(grant(5, 10))
  for (let i = 0; i < 5; i++) {
    await pass(8_000)
    expect(await times.renew(5)).toEqual({ ttlSeconds: 10 })
  }
  expect(await times.look(5)).toMatchObject({ remainingSeconds: 10 })
  await pass(10_100)
  expect(kv.leases.size).toBe(0)
  expect(await times.renew(5)).toBeUndefined()
})

test('a follower lets no lease end, and a new leader gives all their full time', async () => {
  const { kv, times, execute, pass, setTerm } = world()
  execute(grant(5, 10))
  await pass(60_000)
  expect(kv.leases.size).toBe(1)
  await expect(times.renew(5)).rejects.toMatchObject({ reason: 'not-leader' })
  setTerm(2)
  times.lead(2)
  await pass(9_000)
  times.lead(undefined)
  await pass(60_000)
  setTerm(4)
  times.lead(4)
  await pass(9_900)
  expect(kv.leases.size).toBe(1)
  await pass(200)
  expect(kv.leases.size).toBe(0)
})

test('what a deposed leader thinks has ended lives on', async () => {
  const { kv, times, execute, pass, setTerm, asked } = world()
  times.lead(1)
  execute(grant(5, 10))
  // Another leads, and this one has not heard of it.
  setTerm(2)
  await pass(12_000)
  expect(asked.length).toBeGreaterThan(0)
  expect(kv.leases.size).toBe(1)
})

test('no keep-alive is confirmed without a majority that confirms the leader', async () => {
  const { kv, times, execute, pass, whenConfirming } = world()
  times.lead(1)
  execute(grant(5, 10))
  whenConfirming(() => Promise.reject(new Error('no majority')))
  await expect(times.renew(5)).rejects.toThrow('no majority')
  // Deposed while it asked, and even when it leads again by the time of the answer.
  whenConfirming(() => {
    times.lead(undefined)
    times.lead(3)
    return Promise.resolve(kv.revision)
  })
  await expect(times.renew(5)).rejects.toMatchObject({ reason: 'not-leader' })
  whenConfirming(undefined)
  await pass(9_000)
  expect(await times.look(5)).toMatchObject({ remainingSeconds: 1 })
})

test('time in which the leader stood still does not count, for it could not take keep-alives either', async () => {
  const { kv, times, execute, pass } = world()
  times.lead(1)
  execute(grant(5, 10))
  await pass(5_000)
  await pass(60_000, 60_000)
  expect(kv.leases.size).toBe(1)
  await pass(4_900)
  expect(kv.leases.size).toBe(1)
  await pass(200)
  expect(kv.leases.size).toBe(0)
})

test('many leases that end at once end a few at a time, and none is forgotten', async () => {
  const { kv, times, execute, pass, asked } = world()
  times.lead(1)
  for (let lease = 1; lease <= 1_000; lease++) execute(grant(lease, 10))
  for (let lease = 1; lease <= 1_000; lease += 2) await times.renew(lease)
  await pass(10_050)
  expect(kv.leases.size).toBeLessThan(1_000)
  await pass(1_000)
  expect(kv.leases.size).toBe(0)
  expect(new Set(asked).size).toBe(1_000)
})

test('any member renews a lease and tells its time, and leases outlive a change of leader', async () => {
  await using cluster = await startCluster(3)
  const [first, second, third] = cluster.peers
  if (first === undefined || second === undefined || third === undefined) throw new Error('three peers')
  const granted = await second.store.execute({ kind: 'grant', lease: 0, ttlSeconds: 600 })
  if (granted.kind !== 'grant') throw new Error(granted.kind)
  const { lease } = granted
  await third.store.execute(putOn(lease, 'mine'))
  for (const { store } of cluster.peers) {
    await store.newest()
    expect(await store.renewLease(lease)).toEqual({ ttlSeconds: 600 })
    expect(await store.lease(lease)).toMatchObject({ lease, grantedSeconds: 600, keys: ['mine'] })
    expect(await store.renewLease(12)).toBeUndefined()
    expect(store.leases()).toEqual([lease])
  }
  const lead = await cluster.leader()
  await lead.store.transferLeadership(new AbortController().signal)
  for (const { store } of cluster.peers) expect(await store.renewLease(lease)).toEqual({ ttlSeconds: 600 })
  await second.store.execute({ kind: 'revoke', lease, term: undefined })
  for (const { store } of cluster.peers) {
    await store.newest()
    expect(store.look(all).items).toEqual([])
    expect(await store.lease(lease)).toBeUndefined()
  }
})

test('a leader that was cut off confirms no keep-alive', async () => {
  await using cluster = await startCluster(3, { requestTimeoutMs: 1_000 })
  const lead = await cluster.leader()
  await lead.store.execute({ kind: 'grant', lease: 5, ttlSeconds: 600 })
  cluster.mesh.cut(lead.peer, true, { silent: true })
  await expect(lead.store.renewLease(5)).rejects.toMatchObject({ reason: 'unavailable' })
  cluster.mesh.cut(lead.peer, false)
  await eventually(async () => expect(await lead.store.renewLease(5)).toEqual({ ttlSeconds: 600 }))
})
