// Watches in memory: what each client sees must be what happened in its range, each event once and in order, however slowly
// it reads and whatever is skipped, compacted or cancelled meanwhile.
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openWatch } from '../../src/etcd/run-watch.ts'
import type { Command } from '../../src/kv/txn.ts'
import { prng } from '../../src/lib/prng.ts'
import {
  type WatchCreateRequestSchema,
  WatchRequestSchema,
  type WatchResponse,
  WatchResponseSchema,
} from '../../src/wire/gen/etcd/rpc_pb.ts'
import type { Clock } from '../../src/world/clock.ts'
import type { StreamCall, StreamHandler } from '../../src/world/grpc.ts'
import { contextOn, type MemoryCommandStore, memoryCommandStore } from './memory-store.ts'

type World = {
  readonly store: MemoryCommandStore
  readonly client: (options?: { header?: string }) => Client
  /** Runs what waits for its turn, until nothing does. */
  readonly settle: () => void
  readonly tick: () => Promise<void>
  hasLeader: boolean
  readonly watcherCount: () => number
}

function world(): World {
  const store = memoryCommandStore()
  let soon: (() => void)[] = []
  let ticks: (() => void)[] = []
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    sleep: () => new Promise(resolve => ticks.push(resolve)),
    soon: act => void soon.push(act),
    deadline: () => {
      throw new Error('not needed')
    },
  }
  const context = contextOn(store, clock, call => call.header('hasleader') === undefined || self.hasLeader)
  const watch = openWatch(context, { progressMs: 1_000 })
  const self: World = {
    store,
    hasLeader: true,
    watcherCount: () => watch.hub.watcherCount,
    client: options => new Client(watch.open, options?.header),
    settle() {
      while (soon.length > 0) {
        const now = soon
        soon = []
        for (const act of now) act()
      }
    },
    async tick() {
      const now = ticks
      ticks = []
      for (const act of now) act()
      await new Promise(resolve => setImmediate(resolve))
    },
  }
  return self
}

type Create = MessageInitShape<typeof WatchCreateRequestSchema>

/** One stream. While `room` is 0, it takes no more than what it is given. */
class Client {
  readonly responses: WatchResponse[] = []
  failure: string | undefined
  room = Number.POSITIVE_INFINITY
  #owesDrain = false
  readonly #handler: StreamHandler

  constructor(open: (call: StreamCall) => StreamHandler, header: string | undefined) {
    this.#handler = open({
      isOpen: true,
      header: name => (name === 'hasleader' ? header : undefined),
      send: (head, headLength, tail) => {
        const bytes = Buffer.concat([head.subarray(0, headLength), tail ?? Buffer.alloc(0)])
        this.responses.push(fromBinary(WatchResponseSchema, bytes))
        this.room -= 1
        this.#owesDrain ||= this.room <= 0
        return this.room > 0
      },
      finish: () => {},
      fail: (_code, message) => {
        this.failure = message
      },
    })
  }

  #say(message: MessageInitShape<typeof WatchRequestSchema>): void {
    const bytes = toBinary(WatchRequestSchema, create(WatchRequestSchema, message))
    this.#handler.message(bytes, 0, bytes.length)
  }

  watch(value: Create): void {
    this.#say({ requestUnion: { case: 'createRequest', value } })
  }

  cancel(id: number): void {
    this.#say({ requestUnion: { case: 'cancelRequest', value: { watchId: BigInt(id) } } })
  }

  askProgress(): void {
    this.#say({ requestUnion: { case: 'progressRequest', value: {} } })
  }

  /** Reads on. */
  take(room: number): void {
    this.room = room
    if (!this.#owesDrain) return
    this.#owesDrain = false
    this.#handler.drained()
  }

  end(): void {
    this.#handler.ended()
  }

  /** What a watcher saw: kind, key, revision, and what was before where it asked. */
  events(id: number): string[] {
    return this.responses
      .filter(one => Number(one.watchId) === id)
      .flatMap(one => one.events)
      .map(({ type, kv, prevKv }) => {
        const before = prevKv === undefined ? '' : ` was ${text(prevKv.value)}`
        return `${type === 0 ? 'put' : 'delete'} ${text(kv?.key)} ${text(kv?.value)} ${kv?.modRevision}${before}`
      })
  }
}

const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('latin1')
const bytes = (value: string) => new Uint8Array(Buffer.from(value, 'latin1'))

const put = (...keys: readonly string[]): Command => ({
  kind: 'txn',
  txn: {
    conditions: [],
    success: keys.map(key => {
      const [name = '', value = ''] = key.split('=')
      return { kind: 'put', key: name, value, lease: 0, wantsPrevious: false }
    }),
    failure: [],
  },
})
const remove = (key: string, to?: string): Command => ({
  kind: 'txn',
  txn: { conditions: [], success: [{ kind: 'delete', range: { from: key, to }, wantsPrevious: false }], failure: [] },
})

test('a watcher hears of its key from now on, and of no other', () => {
  const { store, client } = world()
  store.applyAll([put('a=0')])
  const one = client()
  one.watch({ key: bytes('a') })
  expect(one.responses).toMatchObject([{ created: true, watchId: 0n, header: { revision: 2n, clusterId: 1n } }])
  store.applyAll([put('a=1', 'b=1'), remove('a'), put('aa=1')])
  expect(one.events(0)).toEqual(['put a 1 3', 'delete a  4'])
  // One turn is one message, however many revisions it had.
  expect(one.responses).toHaveLength(2)
  expect(one.responses[1]?.header?.revision).toBe(5n)
})

test('ranges, filters and what was before', () => {
  const { store, client } = world()
  const one = client()
  one.watch({ key: bytes('a'), rangeEnd: bytes('c'), watchId: 1n })
  one.watch({ key: bytes('b'), rangeEnd: bytes('\0'), watchId: 2n, prevKv: true })
  one.watch({ key: bytes('a'), rangeEnd: bytes('c'), watchId: 3n, filters: [0] })
  one.watch({ key: bytes('a'), rangeEnd: bytes('c'), watchId: 4n, filters: [1] })
  one.watch({ key: bytes(''), rangeEnd: bytes('\0'), watchId: 5n })
  store.applyAll([put('a=1'), put('b=1', 'ÿ=1'), put('b=2'), remove('a', 'c')])
  expect(one.events(1)).toEqual(['put a 1 2', 'put b 1 3', 'put b 2 4', 'delete a  5', 'delete b  5'])
  expect(one.events(2)).toEqual(['put b 1 3', 'put ÿ 1 3', 'put b 2 4 was 1', 'delete b  5 was 2'])
  expect(one.events(3)).toEqual(['delete a  5', 'delete b  5'])
  expect(one.events(4)).toEqual(['put a 1 2', 'put b 1 3', 'put b 2 4'])
  expect(one.events(5)).toHaveLength(6)
})

test('numbers of watches are the client’s or the next free one, and none is given twice', () => {
  const { client } = world()
  const one = client()
  one.watch({ key: bytes('a') })
  one.watch({ key: bytes('a'), watchId: 1n })
  one.watch({ key: bytes('a') })
  one.watch({ key: bytes('a'), watchId: 2n })
  one.watch({ key: bytes('b'), rangeEnd: bytes('a') })
  const said = one.responses.map(({ watchId, canceled, cancelReason }) => [Number(watchId), canceled, cancelReason])
  expect(said).toEqual([
    [0, false, ''],
    [1, false, ''],
    [2, false, ''],
    [-1, true, 'mvcc: duplicate watch ID provided on the WatchStream'],
    [-1, true, 'mvcc: watcher range is empty'],
  ])
})

test('a cancelled watcher is told so and hears no more; cancelling what is not there says nothing', () => {
  const { store, client, watcherCount } = world()
  const one = client()
  one.watch({ key: bytes('a') })
  one.cancel(7)
  one.cancel(0)
  store.applyAll([put('a=1')])
  expect(one.responses).toMatchObject([{ created: true }, { canceled: true, watchId: 0n }])
  expect(watcherCount()).toBe(0)
})

test('from the past, through now, into what comes', () => {
  const { store, client, settle } = world()
  store.applyAll([put('a=1'), put('a=2'), put('b=1')])
  const one = client()
  one.watch({ key: bytes('a'), startRevision: 3n })
  one.watch({ key: bytes('a'), startRevision: 7n })
  store.applyAll([put('a=3')])
  settle()
  store.applyAll([put('a=4'), put('a=5'), put('a=6')])
  settle()
  expect(one.events(0)).toEqual(['put a 2 3', 'put a 3 5', 'put a 4 6', 'put a 5 7', 'put a 6 8'])
  expect(one.events(1)).toEqual(['put a 5 7', 'put a 6 8'])
})

test.each([999, 1_000, 1_001, 2_000, 2_001])('a history of %i changes is told whole', count => {
  const { store, client, settle } = world()
  store.applyAll(Array.from({ length: count }, (_, i) => put(`a=${i}`)))
  const one = client()
  one.watch({ key: bytes('a'), startRevision: 1n })
  settle()
  expect(one.events(0)).toEqual(Array.from({ length: count }, (_, i) => `put a ${i} ${i + 2}`))
})

test('from before what is kept: cancelled, with the oldest revision that can be had', () => {
  const { store, client, settle } = world()
  store.applyAll([put('a=1'), put('a=2'), put('a=3'), { kind: 'compact', revision: 3 }])
  const one = client()
  one.watch({ key: bytes('a'), startRevision: 2n })
  one.watch({ key: bytes('a'), startRevision: 3n })
  settle()
  expect(one.responses.at(-1)).toMatchObject({ watchId: 1n, canceled: false })
  expect(one.responses.filter(response => response.canceled)).toMatchObject([{ watchId: 0n, compactRevision: 3n }])
  expect(one.events(1)).toEqual(['put a 2 3', 'put a 3 4'])
})

test('progress is told when all watchers of the stream have everything', () => {
  const { store, client, settle } = world()
  store.applyAll([put('a=1'), put('a=2')])
  const one = client()
  one.watch({ key: bytes('a'), startRevision: 1n })
  one.askProgress()
  expect(one.responses).toHaveLength(1)
  settle()
  expect(one.responses.at(-1)).toMatchObject({ watchId: -1n, header: { revision: 3n }, events: [] })
  expect(one.events(0)).toHaveLength(2)
})

test('who wants it is told now and then that nothing happened', async () => {
  const { store, client, tick } = world()
  const one = client()
  one.watch({ key: bytes('a'), progressNotify: true })
  one.watch({ key: bytes('a') })
  store.applyAll([put('a=1')])
  await tick()
  // It had an event in this time.
  expect(one.responses).toHaveLength(4)
  store.applyAll([put('other=1')])
  await tick()
  expect(one.responses.at(-1)).toMatchObject({ watchId: 0n, header: { revision: 3n }, events: [] })
  expect(one.responses).toHaveLength(5)
})

test('a message of one revision that is too large comes in fragments, if they are wanted', () => {
  const { store, client } = world()
  const one = client()
  one.watch({ key: bytes('k'), rangeEnd: bytes('l'), fragment: true })
  one.watch({ key: bytes('k'), rangeEnd: bytes('l') })
  const value = 'v'.repeat(100_000)
  store.applyAll([put(...Array.from({ length: 50 }, (_, i) => `k${String(i).padStart(2, '0')}=${value}`))])
  const fragments = one.responses.filter(response => response.watchId === 0n && response.events.length > 0)
  expect(fragments.map(response => response.fragment)).toEqual([true, true, false])
  expect(one.events(0)).toHaveLength(50)
  expect(one.events(0)).toEqual(one.events(1))
  expect(one.responses.filter(response => response.watchId === 1n && response.events.length > 0)).toHaveLength(1)
})

test('many revisions at once are no larger message than need be', () => {
  const { store, client } = world()
  const one = client()
  one.watch({ key: bytes('k') })
  const value = 'v'.repeat(100_000)
  store.applyAll(Array.from({ length: 30 }, () => put(`k=${value}`)))
  expect(one.events(0)).toHaveLength(30)
  expect(one.responses.length).toBeGreaterThan(3)
})

test('a stream that wants a leader is refused where none is known', () => {
  const here = world()
  here.hasLeader = false
  const one = here.client({ header: 'true' })
  expect(one.failure).toBe('etcdserver: no leader')
})

test('who reads slowly is sent nothing until it reads on, and then what it missed', () => {
  const { store, client, settle } = world()
  const one = client()
  for (const watchId of [1n, 2n]) one.watch({ key: bytes('a'), watchId })
  one.take(1)
  for (let i = 0; i < 10; i++) {
    store.applyAll([put(`a=${i}`)])
    settle()
  }
  // The message that filled it was one too many already.
  expect(one.events(1).length + one.events(2).length).toBe(1)
  one.take(Number.POSITIVE_INFINITY)
  settle()
  expect([one.events(1).length, one.events(2).length]).toEqual([10, 10])
  expect(one.events(1)).toEqual(one.events(2))
})

test('watchers end with their stream', () => {
  const { client, watcherCount } = world()
  const [one, two] = [client(), client()]
  for (const key of ['a', 'b', 'c']) one.watch({ key: bytes(key) })
  two.watch({ key: bytes('a') })
  expect(watcherCount()).toBe(4)
  one.end()
  expect(watcherCount()).toBe(1)
})

test('clients that read at any pace see all that happened in their ranges, once and in order', () => {
  fc.assert(
    fc.property(fc.integer(), seed => {
      const random = prng(seed)
      const { store, client, settle } = world()
      const letters = 'abcdefgh'
      const key = () => letters[random.below(letters.length)] ?? 'a'
      const clients = Array.from({ length: 4 }, () => client())
      const watched: {
        client: Client
        id: number
        from: string
        to: string
        start: number
        noPut: boolean
        noDelete: boolean
      }[] = []
      const cancelled = new Set<(typeof watched)[number]>()
      for (let step = 0; step < 200; step++) {
        const one = clients[random.below(clients.length)] ?? client()
        const what = random.below(12)
        const commands = Array.from({ length: 1 + random.below(4) }, () =>
          random.chance(0.3) ? remove(key(), random.chance(0.5) ? 'h' : undefined) : put(`${key()}=${step}`),
        )
        if (what < 5) store.applyAll(commands)
        else if (what === 5) store.interrupt(commands)
        else if (what === 6) one.room = random.below(3)
        else if (what === 7) one.take(1 + random.below(5))
        else if (what === 8) settle()
        else if (what < 11) {
          const [from, to] = [key(), random.chance(0.5) ? 'z' : '']
          const start = random.chance(0.5) ? 1 + random.below(store.revision() + 3) : 0
          const [noPut, noDelete] = [random.chance(0.2), random.chance(0.2)]
          const id = watched.length + 1
          const filters = [...(noPut ? [0] : []), ...(noDelete ? [1] : [])]
          one.watch({
            key: bytes(from),
            rangeEnd: bytes(to),
            startRevision: BigInt(start),
            watchId: BigInt(id),
            filters,
          })
          watched.push({ client: one, id, from, to, start: start || store.revision() + 1, noPut, noDelete })
        } else {
          const victim = watched[random.below(watched.length)]
          if (victim === undefined) continue
          victim.client.cancel(victim.id)
          cancelled.add(victim)
        }
      }
      for (const one of clients) one.take(Number.POSITIVE_INFINITY)
      settle()
      for (const one of watched) {
        const { from, to, start } = one
        const { events } = store.since({ from, to: to === '' ? undefined : to }, start - 1, 100_000)
        const all = events
          .filter(event => !(event.kind === 'put' ? one.noPut : one.noDelete))
          .map(event =>
            event.kind === 'put'
              ? `put ${event.current.key} ${event.current.value} ${event.current.modRevision}`
              : `delete ${event.key}  ${event.revision}`,
          )
        const seen = one.client.events(one.id)
        // A watcher that was cancelled has seen the beginning of it.
        expect(seen).toEqual(cancelled.has(one) ? all.slice(0, seen.length) : all)
      }
    }),
    { numRuns: 60 },
  )
})
