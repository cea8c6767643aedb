// What every driver of `Store` promises (src/kv/store.ts). Called by store-*.test.ts with a real one.
import { describe, expect, test } from 'vitest'
import {
  type ChangeEvent,
  type Leadership,
  prefixEnd,
  type Revision,
  type Store,
  type WatchBatch,
  type Write,
} from '../../src/kv/store.ts'
import type { PeerId } from '../../src/world/network.ts'
import { eventually } from '../store/cluster.ts'

export type StorePeer = { readonly peer: PeerId; readonly store: Store & { stop(): Promise<void> } }

export type StoreCluster = AsyncDisposable & { readonly peers: readonly StorePeer[] }

export type StoreHarness = {
  readonly name: string
  /** Fresh and empty, with at least so many peers that can lead. */
  readonly start: (
    count: number,
    options?: { readonly historyCountMax?: number; readonly bookmarkMs?: number },
  ) => Promise<StoreCluster>
}

const never = new AbortController().signal
const timeout = 60_000

export const put = (key: string, value: string): Write => ({ compare: [], operations: [{ key, value }] })
const remove = (key: string): Write => ({ compare: [], operations: [{ key, value: undefined }] })
const create = (key: string, value: string): Write => ({
  compare: [{ key, modRevision: 0 }],
  operations: [{ key, value }],
})

export async function leaderOf(peers: readonly StorePeer[]): Promise<StorePeer> {
  const ending = new AbortController()
  const isMine = (state: Leadership) => state.mine
  const mine = peers.map(async peer => {
    for await (const state of peer.store.leadership(ending.signal)) if (isMine(state)) return peer
    return await new Promise<never>(() => {})
  })
  try {
    return await Promise.race(mine)
  } finally {
    ending.abort()
  }
}

/** The leadership that a peer has now. */
export async function leadershipOf(store: Store): Promise<Leadership & { mine: true }> {
  for await (const state of store.leadership(never)) if (state.mine) return state
  throw new Error('the store is closed')
}

async function done(store: Store, command: Write): Promise<Revision> {
  const result = await store.write(command, never)
  if (result.kind !== 'done') throw new Error(`not done: ${JSON.stringify(result)}`)
  return result.revision
}

const revisionOf = (event: ChangeEvent) => (event.kind === 'put' ? event.current.modRevision : event.revision)
const keyOf = (event: ChangeEvent) => (event.kind === 'put' ? event.current.key : event.key)

/** Batches until `count` events have come. */
export async function collect(
  store: Store,
  options: { from: string; to: string; after: Revision },
  count: number,
): Promise<WatchBatch[]> {
  const ending = new AbortController()
  const batches: WatchBatch[] = []
  let seen = 0
  for await (const batch of store.watch(options, ending.signal)) {
    if (batch.events.length > 0) batches.push(batch)
    seen += batch.events.length
    if (seen >= count) break
  }
  ending.abort()
  return batches
}

export function storeSuite(harness: StoreHarness): void {
  describe(`store ${harness.name}`, { timeout }, () => {
    async function one(options: Parameters<StoreHarness['start']>[1] = {}) {
      const cluster = await harness.start(1, options)
      const { store } = await leaderOf(cluster.peers)
      return { store, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() }
    }

    test('a key is created once, and the second who tries is shown the first', async () => {
      await using cluster = await one()
      const { store } = cluster
      const revision = await done(store, create('/a', '1'))
      const item = { key: '/a', value: '1', createRevision: revision, modRevision: revision, version: 1, lease: 0 }
      expect(await store.get('/a')).toEqual(item)
      const again = await store.write(create('/a', '2'), never)
      expect(again).toMatchObject({ kind: 'conflict', current: [item] })
      expect(await store.get('/a')).toEqual(item)
    })

    test('compare-and-set: only from the revision that was seen, and versions count', async () => {
      await using cluster = await one()
      const { store } = cluster
      const first = await done(store, put('/a', '1'))
      const set = { compare: [{ key: '/a', modRevision: first }], operations: [{ key: '/a', value: '2' }] }
      const second = await done(store, set)
      expect(second).toBeGreaterThan(first)
      const item = { key: '/a', value: '2', createRevision: first, modRevision: second, version: 2, lease: 0 }
      expect(await store.get('/a')).toEqual(item)
      expect(await store.write(set, never)).toMatchObject({ kind: 'conflict', current: [item] })
      const absent = { compare: [{ key: '/b', modRevision: first }], operations: [{ key: '/a', value: '3' }] }
      expect(await store.write(absent, never)).toMatchObject({ kind: 'conflict', current: [] })
      expect(await store.get('/a')).toEqual(item)
    })

    test('of many who count up at once none is lost', async () => {
      await using cluster = await one()
      const { store } = cluster
      const countUp = async () => {
        for (;;) {
          const now = await store.get('/n')
          const value = String(Number(now?.value ?? '0') + 1)
          const compare = [{ key: '/n', modRevision: now?.modRevision ?? 0 }]
          const result = await store.write({ compare, operations: [{ key: '/n', value }] }, never)
          if (result.kind === 'done') return
        }
      }
      await Promise.all(Array.from({ length: 20 }, countUp))
      expect(await store.get('/n')).toMatchObject({ value: '20', version: 20 })
    })

    test('several operations have one revision, a key named twice the last word, and all happen or none', async () => {
      await using cluster = await one()
      const { store } = cluster
      await done(store, put('/gone', '1'))
      const revision = await done(store, {
        compare: [],
        operations: [
          { key: '/a', value: 'first' },
          { key: '/b', value: '1' },
          { key: '/gone', value: undefined },
          { key: '/a', value: 'last' },
        ],
      })
      const { items } = await store.range({ from: '/', to: '0' })
      expect(items.map(({ key, value, modRevision }) => [key, value, modRevision])).toEqual([
        ['/a', 'last', revision],
        ['/b', '1', revision],
      ])
      const refused = await store.write(
        {
          compare: [
            { key: '/a', modRevision: revision },
            { key: '/b', modRevision: revision + 1_000 },
          ],
          operations: [
            { key: '/a', value: 'x' },
            { key: '/c', value: 'x' },
          ],
        },
        never,
      )
      expect(refused).toMatchObject({ kind: 'conflict', current: items })
      expect((await store.range({ from: '/', to: '0' })).items).toEqual(items)
    })

    test('a deleted key is gone, begins anew, and to delete nothing is done and no change', async () => {
      await using cluster = await one()
      const { store } = cluster
      const after = await done(store, put('/a', '1'))
      await done(store, remove('/a'))
      expect(await store.get('/a')).toBeUndefined()
      await done(store, remove('/a'))
      const revision = await done(store, put('/a', '2'))
      expect(await store.get('/a')).toMatchObject({ createRevision: revision, version: 1 })
      const batches = await collect(store, { from: '/', to: '0', after }, 2)
      expect(batches.flatMap(batch => batch.events.map(event => event.kind))).toEqual(['delete', 'put'])
    })

    test('keys and values are bytes, in the order of bytes', async () => {
      await using cluster = await one()
      const { store } = cluster
      const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i))
      const keys = ['/a', '/a\0', '/a\x01', '/aa', '/a\x7f', '/a\x80', '/aÿ', '/b']
      for (const key of keys.toReversed()) await done(store, put(key, all))
      const { items } = await store.range({ from: '/a', to: '/b' })
      expect(items.map(({ key }) => key)).toEqual(keys.slice(0, -1))
      expect(items.every(({ value }) => value === all)).toBe(true)
    })

    test('a range has its start and not its end, no more than its limit, and says what remains', async () => {
      await using cluster = await one()
      const { store } = cluster
      for (let i = 0; i < 10; i++) await done(store, put(`/a/${i}`, String(i)))
      await done(store, put('/b', '1'))
      const page = await store.range({ from: '/a/2', to: '/a/8', limit: 2 })
      expect(page.items.map(({ value }) => value)).toEqual(['2', '3'])
      expect(page.remaining).toBe(4)
      expect(page.revision).toBe(store.revision())
      expect(await store.range({ from: '/a/', to: prefixEnd('/a/') })).toMatchObject({ remaining: 0 })
      expect((await store.range({ from: '/a/', to: prefixEnd('/a/') })).items).toHaveLength(10)
      expect(await store.range({ from: '/c', to: '/d' })).toMatchObject({ items: [], remaining: 0 })
      expect(await store.range({ from: '/b', to: '/a' })).toMatchObject({ items: [], remaining: 0 })
    })

    test('what was is read as it was: a list in pages at one revision holds while writes go on', async () => {
      await using cluster = await one()
      const { store } = cluster
      for (let i = 0; i < 6; i++) await done(store, put(`/a/${i}`, 'old'))
      const first = await store.range({ from: '/a/', to: '/a0', limit: 2 })
      await done(store, put('/a/3', 'new'))
      await done(store, remove('/a/4'))
      await done(store, put('/a/9', 'new'))
      const { revision } = first
      const second = await store.range({ from: '/a/2', to: '/a0', limit: 2, revision })
      const third = await store.range({ from: '/a/4', to: '/a0', limit: 2, revision })
      expect([first, second, third].map(page => page.remaining)).toEqual([4, 2, 0])
      const items = [first, second, third].flatMap(page => page.items)
      expect(items.map(({ key, value }) => `${key}=${value}`)).toEqual([0, 1, 2, 3, 4, 5].map(i => `/a/${i}=old`))
      expect(await store.get('/a/4', { revision })).toMatchObject({ value: 'old' })
      expect(await store.get('/a/9', { revision })).toBeUndefined()
    })

    test('a revision that is not there yet is unavailable, and can be waited for', async () => {
      await using cluster = await one()
      const { store } = cluster
      const revision = await done(store, put('/a', '1'))
      await expect(store.get('/a', { revision: revision + 1_000 })).rejects.toMatchObject({ reason: 'unavailable' })
      await expect(store.range({ from: '/', to: '0', revision: revision + 1_000 })).rejects.toMatchObject({
        reason: 'unavailable',
      })
      const patience = new AbortController()
      const vain = store.applied(revision + 1_000, patience.signal)
      const waiting = store.applied(revision + 1, never)
      await done(store, put('/a', '2'))
      await waiting
      patience.abort()
      await expect(vain).rejects.toMatchObject({ reason: 'unavailable' })
    })

    test('what is forgotten is compacted, for reads and for watches', async () => {
      await using cluster = await one({ historyCountMax: 5 })
      const { store } = cluster
      const revision = await done(store, put('/a', '0'))
      for (let i = 0; i < 30; i++) await done(store, put('/a', String(i)))
      await eventually(() => expect(store.status().compactedRevision).toBeGreaterThan(revision))
      await expect(store.get('/a', { revision })).rejects.toMatchObject({ reason: 'compacted' })
      await expect(store.range({ from: '/', to: '0', revision })).rejects.toMatchObject({ reason: 'compacted' })
      await expect(collect(store, { from: '/', to: '0', after: revision - 1 }, 1)).rejects.toMatchObject({
        reason: 'compacted',
      })
      expect(await store.get('/a')).toMatchObject({ value: '29' })
    })

    test('a watch brings each revision whole, in order, with what was before, from every peer and any time on', async () => {
      await using cluster = await harness.start(2)
      const { store } = await leaderOf(cluster.peers)
      const after = await done(store, put('/a/0', 'before'))
      await Promise.all(cluster.peers.map(peer => peer.store.applied(after, never)))
      const options = { from: '/a/', to: '/a0', after }
      const live = cluster.peers.map(peer => collect(peer.store, options, 60))
      const revisions: Revision[] = []
      for (let i = 0; i < 30; i++) {
        const operations = [
          { key: '/a/0', value: String(i) },
          { key: `/a/${i + 1}`, value: 'x' },
          { key: '/b', value: 'x' },
        ]
        revisions.push(await done(store, { compare: [], operations }))
        await done(store, put('/other', String(i)))
      }
      const late = cluster.peers.map(peer => collect(peer.store, options, 60))
      for (const batches of await Promise.all([...live, ...late])) {
        const events = batches.flatMap(batch => batch.events)
        expect(events.map(revisionOf)).toEqual(revisions.flatMap(revision => [revision, revision]))
        for (const batch of batches)
          expect(batch.revision).toBeGreaterThanOrEqual(Math.max(...batch.events.map(revisionOf)))
        const counter = events.filter(event => keyOf(event) === '/a/0')
        expect(counter.map(event => event.previous?.value)).toEqual(['before', ...counter.keys().take(29).map(String)])
        expect(events.filter(event => keyOf(event) !== '/a/0').every(event => event.previous === undefined)).toBe(true)
      }
    })

    test('a watch goes on where another has ended, also at another peer, without a gap and without a double', async () => {
      await using cluster = await harness.start(2)
      const { store } = await leaderOf(cluster.peers)
      const after = store.revision()
      const revisions: Revision[] = []
      for (let i = 0; i < 20; i++) revisions.push(await done(store, put('/a', String(i))))
      await Promise.all(cluster.peers.map(peer => peer.store.newest(never)))
      for (const { store: elsewhere } of cluster.peers) {
        const [first] = await collect(elsewhere, { from: '/a', to: '/b', after }, 1)
        const cursor = revisions[7] ?? 0
        const rest = await collect(elsewhere, { from: '/a', to: '/b', after: cursor }, 12)
        expect(first?.events[0]).toMatchObject({ kind: 'put', current: { value: '0' } })
        expect(rest.flatMap(batch => batch.events.map(revisionOf))).toEqual(revisions.slice(8))
      }
    })

    test('a deletion is watched with what was deleted', async () => {
      await using cluster = await one()
      const { store } = cluster
      const after = await done(store, put('/a', '1'))
      const revision = await done(store, remove('/a'))
      const [batch] = await collect(store, { from: '/a', to: '/b', after }, 1)
      expect(batch?.events).toEqual([
        { kind: 'delete', key: '/a', revision, previous: expect.objectContaining({ value: '1', modRevision: after }) },
      ])
    })

    test('a watch on which nothing happens is told of the revisions that pass', async () => {
      await using cluster = await one({ bookmarkMs: 50 })
      const { store } = cluster
      const after = store.revision()
      const ending = new AbortController()
      const marked = (async () => {
        for await (const batch of store.watch({ from: '/a', to: '/b', after }, ending.signal)) return batch
        return undefined
      })()
      const revision = await done(store, put('/other', '1'))
      const batch = await marked
      expect(batch?.events).toEqual([])
      expect(batch?.revision).toBeGreaterThan(after)
      expect(batch?.revision).toBeGreaterThanOrEqual(revision)
      ending.abort()
    })

    test('newest shows on every peer what was written before it was asked', async () => {
      await using cluster = await harness.start(3)
      const { store } = await leaderOf(cluster.peers)
      for (let i = 0; i < 20; i++) {
        const revision = await done(store, put('/a', String(i)))
        const peer = cluster.peers[i % cluster.peers.length]
        expect(await peer?.store.newest(never)).toBeGreaterThanOrEqual(revision)
        expect(await peer?.store.get('/a')).toMatchObject({ value: String(i) })
      }
    })

    test('one peer leads and the others know it; their writes are refused with its name', async () => {
      await using cluster = await harness.start(2)
      const lead = await leaderOf(cluster.peers)
      const { term } = await leadershipOf(lead.store)
      expect(lead.store.status()).toMatchObject({ role: 'leader', leader: lead.peer, term })
      expect(
        lead.store
          .status()
          .members.map(({ peer }) => peer)
          .toSorted(),
      ).toEqual(cluster.peers.map(({ peer }) => peer).toSorted())
      for (const other of cluster.peers.filter(peer => peer !== lead)) {
        await eventually(() => expect(other.store.status()).toMatchObject({ role: 'follower', leader: lead.peer }))
        for await (const state of other.store.leadership(never)) {
          expect(state).toEqual({ mine: false, term, leader: lead.peer })
          break
        }
        const refused = { reason: 'not-leader', leader: lead.peer }
        await expect(other.store.write(put('/a', '1'), never)).rejects.toMatchObject(refused)
        await expect(other.store.transferLeadership(never)).rejects.toMatchObject(refused)
        expect(await other.store.get('/a')).toBeUndefined()
      }
    })

    test('a write of another term is fenced, and nothing of it happens', async () => {
      await using cluster = await one()
      const { store } = cluster
      const { term } = await leadershipOf(store)
      await done(store, { ...put('/a', '1'), term })
      const late = await store.write({ ...put('/a', '2'), term: term - 1 }, never)
      expect(late).toEqual({ kind: 'fenced', term })
      expect(await store.get('/a')).toMatchObject({ value: '1' })
    })

    test('a write with an id happens once, whatever else happened since', async () => {
      await using cluster = await one()
      const { store } = cluster
      const command = { ...put('/a', '1'), id: 'once' }
      const revision = await done(store, command)
      expect(await store.write(command, never)).toEqual({ kind: 'done', revision })
      await done(store, put('/a', '2'))
      expect(await store.write(command, never)).toEqual({ kind: 'done', revision })
      expect(await store.get('/a')).toMatchObject({ value: '2', version: 2 })
      expect(await store.write({ ...create('/a', '1'), id: 'other' }, never)).toMatchObject({ kind: 'conflict' })
      // A conflict is not remembered: what comes later under the same id may still happen.
      await done(store, { ...put('/b', '1'), id: 'other' })
    })

    test('leadership is handed over: it has ended here, another has a higher term, and the old one writes nothing', async () => {
      await using cluster = await harness.start(3)
      const lead = await leaderOf(cluster.peers)
      const before = await leadershipOf(lead.store)
      const command = { ...put('/a', '1'), id: 'once', term: before.term }
      const revision = await done(lead.store, command)
      await lead.store.transferLeadership(never)
      expect(before.ended.aborted).toBe(true)
      const next = await leaderOf(cluster.peers)
      expect(next.peer).not.toBe(lead.peer)
      const { term } = await leadershipOf(next.store)
      expect(term).toBeGreaterThan(before.term)
      await expect(lead.store.write(put('/b', '1'), never)).rejects.toMatchObject({ reason: 'not-leader' })
      expect(await next.store.write({ ...put('/b', '1'), term: before.term }, never)).toEqual({ kind: 'fenced', term })
      // The id is known to whoever leads.
      expect(await next.store.write(command, never)).toEqual({ kind: 'done', revision })
      await done(next.store, { ...put('/c', '1'), term })
      expect((await next.store.range({ from: '/', to: '0' })).items.map(({ key }) => key)).toEqual(['/a', '/c'])
    })

    test('what is too large is refused, and what an object of the API may be is taken', async () => {
      await using cluster = await one()
      const { store } = cluster
      await expect(store.write(put('/a', 'x'.repeat(3_000_000)), never)).rejects.toMatchObject({ reason: 'too-large' })
      expect(await store.get('/a')).toBeUndefined()
      await done(store, put('/a', 'x'.repeat(1_500_000)))
      expect((await store.get('/a'))?.value).toHaveLength(1_500_000)
    })

    test('a caller that has given up gets no answer, and a stopped store says that it is closed', async () => {
      await using cluster = await harness.start(2)
      const { store } = await leaderOf(cluster.peers)
      const gone = AbortSignal.abort()
      await expect(store.write(put('/a', '1'), gone)).rejects.toMatchObject({ reason: 'unavailable' })
      expect(await store.get('/a')).toBeUndefined()
      const { ended } = await leadershipOf(store)
      const after = store.revision()
      const waiting = [collect(store, { from: '/a', to: '/b', after }, 1), store.applied(after + 1_000, never)]
      const settled = Promise.allSettled(waiting)
      await store.stop()
      for (const each of await settled) expect(each).toMatchObject({ status: 'rejected', reason: { reason: 'closed' } })
      expect(ended.aborted).toBe(true)
      for (const peer of cluster.peers) {
        const following = (async () => {
          for await (const state of peer.store.leadership(never)) if (state.mine && peer.store === store) return state
          return undefined
        })()
        await peer.store.stop()
        expect(await following).toBeUndefined()
      }
      for (const act of [
        () => store.get('/a'),
        () => store.range({ from: '/', to: '0' }),
        () => store.newest(never),
        () => store.write(put('/a', '1'), never),
        () => store.applied(1, never),
      ])
        await expect(act()).rejects.toMatchObject({ reason: 'closed' })
      await store.stop()
    })
  })
}
