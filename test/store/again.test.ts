// A write with an id that was under way when leadership moved is sent again by the store, and happens once.
import { expect, test } from 'vitest'
import { StoreError, type Write } from '../../src/kv/store.ts'
import { versionOf } from '../../src/kv/versions.ts'
import { eventually, startCluster } from './cluster.ts'

const never = new AbortController().signal
const all = { from: '', to: '\u0100' }
const put = (key: string, id?: string): Write => ({
  compare: [],
  operations: [{ key, value: 'v' }],
  ...(id !== undefined && { id }),
})

test('writes under way when the leader is cut off happen once where they have an id, and at most once where not', async () => {
  await using cluster = await startCluster(3, { requestTimeoutMs: 40_000 })
  const lead = await cluster.leader()
  await lead.store.write(put('before', 'a'), never)
  // Some may reach the others, some not.
  const named = Array.from({ length: 20 }, (_, i) => lead.store.write(put(`named/${i}`, `id-${i}`), never))
  const unnamed = Array.from({ length: 5 }, (_, i) => lead.store.write(put(`unnamed/${i}`), never).catch(e => e))
  await new Promise(resolve => setImmediate(resolve))
  cluster.mesh.cut(lead.peer, true)
  const others = cluster.peers.filter(peer => peer !== lead)
  const next = await eventually(() => {
    const found = others.find(peer => peer.store.status().role === 'leader')
    if (found === undefined) throw new Error('no leader yet')
    return found
  })
  await eventually(() => next.store.write(put('between'), never))
  // Until it knows that it was deposed, it would only hand them to itself.
  await eventually(() => expect(lead.store.status().role).not.toBe('leader'))
  cluster.mesh.cut(lead.peer, false)
  for (const result of await Promise.all(named)) expect(result).toMatchObject({ kind: 'done' })
  for (const result of await Promise.all(unnamed)) {
    if (result instanceof StoreError) expect(result.reason).toBe('unavailable')
    else expect(result).toMatchObject({ kind: 'done' })
  }
  // Once more by hand, on whoever leads now.
  expect(await (await cluster.leader()).store.write(put('named/3', 'id-3'), never)).toMatchObject({ kind: 'done' })
  for (const { store } of cluster.peers) {
    await store.newest()
    const { events } = store.since(all, 0, 1_000)
    const times = new Map<string, number>()
    for (const event of events) times.set(versionOf(event).key, (times.get(versionOf(event).key) ?? 0) + 1)
    expect([...times.values()].every(count => count === 1)).toBe(true)
    for (let i = 0; i < 20; i++) expect(times.get(`named/${i}`)).toBe(1)
  }
})
