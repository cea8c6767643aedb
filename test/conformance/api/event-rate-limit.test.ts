// EventRateLimit: however many events are sent, few are written, and no one who floods keeps the others from being heard.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { event } from '../../../src/api/kinds/event.ts'
import type { Change } from '../../../src/apiserver/admission/admission.ts'
import { bucketCountMax, EventRates } from '../../../src/apiserver/admission/eventratelimit.ts'
import { openApiserver } from '../../../src/apiserver/run.ts'
import { recorder } from '../../../src/client/run-record.ts'
import { prefixEnd } from '../../../src/kv/store.ts'
import { type Asking, asking } from '../../apiserver/ask.ts'
import { memoryStore } from '../../apiserver/memory-store.ts'
import { testConfig } from '../../apiserver/setup.ts'
import { testWorld } from '../../apiserver/world.ts'
import { virtualWorld } from '../../client/virtual-world.ts'
import { aPod } from '../../scheduler/objects.ts'

const spaces = ['default', 'one', 'two', 'three', 'four']
const grouped = (namespace: string) => `/apis/events.k8s.io/v1/namespaces/${namespace}/events`
const core = (namespace: string) => `/api/v1/namespaces/${namespace}/events`
let count = 0
/** A new event about an object of its own. */
const fresh = (namespace: string, about = `o${count}`) => ({
  metadata: { name: `e${++count}` },
  involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name: about },
  source: { component: 'spam', host: 'n1' },
})

describe('events (D6)', () => {
  const controller = new AbortController()
  const store = memoryStore()
  // The test moves the time that durations are measured by.
  let nowMs = 0
  let ask: Asking
  const send = (user: string, namespace = 'default', body: object = fresh(namespace)) =>
    ask(core(namespace), { body, identity: { user, groups: ['system:masters'] } })
  const codes = async (times: number, make: () => ReturnType<typeof send>) => {
    const seen: number[] = []
    for (let i = 0; i < times; i++) seen.push((await make()).code)
    return seen.filter(code => code === 201).length
  }
  const stored = async () => {
    const from = '/registry/events/'
    return (await store.range({ from, to: prefixEnd(from) })).items.length
  }
  /** All buckets are full again. */
  const rest = () => {
    nowMs += 60_000
  }
  beforeAll(async () => {
    const world = testWorld()
    const clock = { ...world.clock, monotonicMs: () => nowMs }
    const apiserver = openApiserver({ ...world, clock }, store, testConfig, controller.signal)
    await apiserver.bootstrap(1, controller.signal)
    ask = asking({ apiserver })
    for (const name of spaces.slice(1)) await ask('/api/v1/namespaces', { body: { metadata: { name } } })
  })
  afterAll(() => controller.abort())

  test('EventRateLimit (D6): of a thousand events a second, from many, at most fifty a second are written', async () => {
    rest()
    const before = await stored()
    const writtenMs: number[] = []
    for (let i = 0; i < 3_000; i++) {
      nowMs += 1
      const namespace = spaces[i % spaces.length] ?? ''
      if ((await send(`u${i % 7}`, namespace)).code === 201) writtenMs.push(nowMs)
    }
    const inSecondFrom = (ms: number) => writtenMs.filter(at => at >= ms && at < ms + 1_000).length
    expect(Math.max(...writtenMs.map(inSecondFrom))).toBeLessThanOrEqual(50)
    // And it is a limit, not a wall.
    expect(writtenMs.length).toBeGreaterThanOrEqual(100)
    expect((await stored()) - before).toBe(writtenMs.length)
  })

  test('EventRateLimit: who is refused is told which limit it was and when to come again, and then is let through', async () => {
    rest()
    await codes(20, () => send('eager'))
    const refused = await send('eager')
    expect([refused.code, refused.body.reason]).toEqual([429, 'TooManyRequests'])
    expect(refused.message).toBe('Too many requests: limit reached on type User for key eager')
    const seconds: number = refused.body.details.retryAfterSeconds
    expect(seconds).toBe(1)
    nowMs += seconds * 1_000
    expect((await send('eager')).code).toBe(201)
  })

  test('EventRateLimit: a flood by one user, in one namespace or about one object leaves room for the others', async () => {
    rest()
    expect(await codes(500, () => send('flooder'))).toBe(20)
    nowMs += 500
    expect((await send('quiet', 'one')).code).toBe(201)
    rest()
    let user = 0
    await codes(500, () => send(`many${user++}`, 'two'))
    nowMs += 500
    await codes(500, () => send(`many${user++}`, 'two'))
    expect((await send('quiet', 'three')).code).toBe(201)
    rest()
    expect(await codes(100, () => send('about', 'default', fresh('default', 'same')))).toBe(10)
    expect((await send('about')).code).toBe(201)
  })

  test('EventRateLimit: both forms of events count, and changes of them too; what is only tried does not, nor does a delete', async () => {
    rest()
    const identity = { user: 'forms', groups: ['system:masters'] }
    const regarding = { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'same' }
    const newer = (i: number) => ({
      metadata: { name: `newer${i}` },
      eventTime: '2026-01-02T03:04:05.000006Z',
      reportingController: 'example.com/c',
      reportingInstance: 'i',
      action: 'a',
      reason: 'r',
      type: 'Normal',
      regarding,
    })
    for (let i = 0; i < 30; i++) {
      expect((await ask(`${grouped('default')}?dryRun=All`, { body: newer(i), identity })).code).toBe(201)
    }
    for (let i = 0; i < 10; i++) expect((await ask(grouped('default'), { body: newer(i), identity })).code).toBe(201)
    const refused = await ask(grouped('default'), { body: newer(10), identity })
    expect(refused.message).toBe(
      'Too many requests: limit reached on type SourceAndObject for key example.com/ciPoddefaultsamev1',
    )
    const one = `${core('default')}/newer0`
    const changed = { method: 'PATCH', body: { message: 'again' }, identity }
    expect((await ask(one, changed)).code).toBe(429)
    rest()
    expect((await ask(one, changed)).code).toBe(200)
    await codes(30, () => send('forms'))
    expect((await ask(one, { method: 'DELETE', identity })).code).toBe(200)
  })
})

test('EventRateLimit: it keeps no more buckets than it may, and forgets who was not heard of for the longest', () => {
  const rates = new EventRates([{ type: 'User', qps: 0.001, burst: 1 }])
  const of = (user: string) => ({ identity: { user, groups: [] } }) as unknown as Change
  const isLetThrough = (user: string) => {
    try {
      rates.accept(of(user), 0)
      return true
    } catch {
      return false
    }
  }
  for (let i = 0; i < bucketCountMax; i++) expect(isLetThrough(`u${i}`)).toBe(true)
  expect(isLetThrough('u0')).toBe(false)
  expect(isLetThrough('one more')).toBe(true)
  expect(isLetThrough('u1')).toBe(false)
  expect(isLetThrough('u0')).toBe(true)
})

test('a component that is told to wait waits, and its events are written after all', async () => {
  const world = virtualWorld()
  const written: string[] = []
  const controller = new AbortController()
  const store = memoryStore()
  const real = testWorld()
  const apiserver = openApiserver({ ...real, clock: world.clock }, store, testConfig, controller.signal)
  await apiserver.bootstrap(1, controller.signal)
  const client = apiserver.client({ user: 'system:kube-scheduler', groups: [] })
  const events = recorder(world, client, 'scheduler', controller.signal)
  for (let i = 0; i < 60; i++) {
    events.tell({ about: aPod(`p${i}`), type: 'Normal', reason: 'Scheduled', message: `to n${i}` })
  }
  let isDone = false
  void events.idle().then(() => (isDone = true))
  await world.until(() => isDone, 30_000)
  for (const { involvedObject } of (await client.list(event, {}, controller.signal)).items) {
    written.push(involvedObject.name ?? '')
  }
  expect(written).toHaveLength(60)
  controller.abort()
})
