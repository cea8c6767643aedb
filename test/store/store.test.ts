import { expect, test } from 'vitest'
import { prefixEnd, StoreError, type WatchBatch, type Write } from '../../src/kv/store.ts'
import { eventually, startCluster } from './cluster.ts'

const never = new AbortController().signal
const put = (key: string, value: string): Write => ({ compare: [], operations: [{ key, value }] })

test('a cluster of one writes, reads, and finds all of it again after a restart', async () => {
  await using cluster = await startCluster(1)
  const peer = await cluster.leader()
  for (let i = 0; i < 20; i++) await peer.store.write(put(`/a/${i}`, String(i)), never)
  const before = peer.store.hash()
  await peer.restart()
  await eventually(() => expect(peer.store.hash().index).toBeGreaterThanOrEqual(before.index))
  await cluster.leader()
  expect(await peer.store.newest(never)).toBe(21)
  const all = await peer.store.range({ from: '/a/', to: prefixEnd('/a/') })
  expect(all.items).toHaveLength(20)
  expect((await peer.store.get('/a/7'))?.value).toBe('7')
})

test('three members apply the same, and a follower serves newest reads', async () => {
  await using cluster = await startCluster(3)
  const lead = await cluster.leader()
  await Promise.all(Array.from({ length: 100 }, (_, i) => lead.store.write(put(`/a/${i}`, String(i)), never)))
  for (const peer of cluster.peers) {
    expect(await peer.store.newest(never)).toBe(101)
    expect((await peer.store.range({ from: '/a/', to: '/b' })).items).toHaveLength(100)
    expect(peer.store.status().members.map(m => m.role)).toEqual(['voter', 'voter', 'voter'])
  }
  const hashes = cluster.peers.map(peer => peer.store.hash())
  const { index } = lead.store.hash()
  for (const one of hashes) if (one.index === index) expect(one.hash).toBe(lead.store.hash().hash)
})

test('a write on a follower names the leader', async () => {
  await using cluster = await startCluster(2)
  const lead = await cluster.leader()
  const follower = cluster.peers.find(peer => peer !== lead)
  const error = await follower?.store.write(put('a', '1'), never).catch(e => e)
  expect(error).toBeInstanceOf(StoreError)
  expect(error).toMatchObject({ reason: 'not-leader', leader: lead.peer })
})

test('a command that is too large is refused', async () => {
  await using cluster = await startCluster(1)
  const lead = await cluster.leader()
  await expect(lead.store.write(put('a', 'x'.repeat(3_000_000)), never)).rejects.toMatchObject({ reason: 'too-large' })
  await lead.store.write(put('a', 'x'.repeat(1_500_000)), never)
})

test('when the leader is lost, another serves and nothing acknowledged is gone', async () => {
  await using cluster = await startCluster(3)
  const lead = await cluster.leader()
  for (let i = 0; i < 10; i++) await lead.store.write(put(`/a/${i}`, '1'), never)
  cluster.mesh.cut(lead.peer, true)
  const late = lead.store.write(put('/late', '1'), never).catch(e => e)
  const others = cluster.peers.filter(peer => peer !== lead)
  const next = await eventually(() => {
    const found = others.find(peer => peer.store.status().role === 'leader')
    if (found === undefined) throw new Error('no leader yet')
    return found
  })
  await eventually(() => next.store.write(put('/b', '1'), never))
  expect((await next.store.range({ from: '/a/', to: '/b' })).items).toHaveLength(10)
  // The deposed leader cannot say whether its last write happened.
  expect(await late).toMatchObject({ reason: 'unavailable' })
  cluster.mesh.cut(lead.peer, false)
  await eventually(async () => expect((await lead.store.get('/b'))?.value).toBe('1'))
  expect(await lead.store.get('/late')).toBeUndefined()
})

test('leadership is handed over, and ends where it was', async () => {
  await using cluster = await startCluster(3)
  const lead = await cluster.leader()
  let ended = false
  for await (const state of lead.store.leadership(never)) {
    if (!state.mine) continue
    state.ended.addEventListener('abort', () => {
      ended = true
    })
    break
  }
  await lead.store.transferLeadership(never)
  expect(ended).toBe(true)
  const next = await cluster.leader()
  expect(next).not.toBe(lead)
  expect(next.store.status().leader).toBe(next.peer)
})

test('a watch brings every change of its range in order, each revision whole, from any member', async () => {
  await using cluster = await startCluster(2)
  const lead = await cluster.leader()
  const follower = cluster.peers.find(peer => peer !== lead) ?? lead
  const start = lead.store.revision()
  const watching = new AbortController()
  const collect = async (store: typeof lead.store) => {
    const batches: WatchBatch[] = []
    for await (const batch of store.watch({ from: '/a/', to: '/b', after: start }, watching.signal)) {
      batches.push(batch)
      if (batches.flatMap(b => b.events).length === 60) break
    }
    return batches
  }
  const collecting = [collect(lead.store), collect(follower.store)]
  for (let i = 0; i < 30; i++) {
    await lead.store.write(
      {
        compare: [],
        operations: [
          { key: `/a/${i}`, value: 'x' },
          { key: `/a/x${i}`, value: 'x' },
        ],
      },
      never,
    )
    await lead.store.write(put(`/other/${i}`, 'x'), never)
  }
  // One that comes late reads the history.
  collecting.push(collect(lead.store))
  for (const batches of await Promise.all(collecting)) {
    const revisions = batches.flatMap(b => b.events.map(e => (e.kind === 'put' ? e.current.modRevision : e.revision)))
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b))
    expect(new Set(revisions).size).toBe(30)
    for (const batch of batches)
      expect(batch.revision).toBeGreaterThanOrEqual(
        Math.max(...batch.events.map(e => (e.kind === 'put' ? e.current.modRevision : 0))),
      )
  }
  watching.abort()
})

test('a watch is told of revisions that pass elsewhere, and one that starts too early is told so', async () => {
  await using cluster = await startCluster(1, { historyCountMax: 5, bookmarkMs: 50 })
  const lead = await cluster.leader()
  const watching = new AbortController()
  const bookmark = (async () => {
    for await (const batch of lead.store.watch(
      { from: '/a/', to: '/b', after: lead.store.revision() },
      watching.signal,
    ))
      return batch
    return undefined
  })()
  for (let i = 0; i < 20; i++) await lead.store.write(put('/other', String(i)), never)
  expect(await bookmark).toMatchObject({ events: [] })
  const early = lead.store.watch({ from: '/a/', to: '/b', after: 2 }, watching.signal)
  await expect(early[Symbol.asyncIterator]().next()).rejects.toMatchObject({ reason: 'compacted' })
  watching.abort()
})

test('a member that was away too long gets a snapshot, and goes on from there', async () => {
  await using cluster = await startCluster(3, { flushCountMax: 50, logCountMax: 20 })
  const lead = await cluster.leader()
  const away = cluster.peers.find(peer => peer !== lead) ?? lead
  cluster.mesh.cut(away.peer, true)
  for (let i = 0; i < 40; i++) {
    await Promise.all(
      Array.from({ length: 10 }, (_, j) => lead.store.write(put(`/a/${i}-${j}`, 'x'.repeat(2_000)), never)),
    )
  }
  cluster.mesh.cut(away.peer, false)
  const revision = lead.store.revision()
  await away.store.applied(revision, never)
  expect((await away.store.range({ from: '/a/', to: '/b' })).items).toHaveLength(400)
  await eventually(() => expect(away.store.hash()).toEqual(lead.store.hash()))
  // What was installed is what is found after a restart.
  await away.restart()
  expect((await away.store.range({ from: '/a/', to: '/b' })).items).toHaveLength(400)
  await eventually(async () => {
    const now = await cluster.leader()
    await now.store.write(put('/b', '1'), never)
    await away.store.applied(now.store.revision(), never)
    expect(away.store.hash()).toEqual(now.store.hash())
  })
})

test('membership: a peer is added once, caught up, promoted, and its ID never used again', async () => {
  await using cluster = await startCluster(1)
  const lead = await cluster.leader()
  const learner = await cluster.add('learner', { promote: false })
  const again = await lead.store.changeMembership({ kind: 'add', peer: learner.peer }, never)
  expect(again).toEqual({ member: learner.member, peer: learner.peer, role: 'learner' })
  const promoted = await eventually(() =>
    lead.store.changeMembership({ kind: 'promote', member: learner.member }, never),
  )
  expect(promoted.role).toBe('voter')
  await eventually(() => expect(learner.store.status().members).toHaveLength(2))
  const removed = await lead.store.changeMembership({ kind: 'remove', member: learner.member }, never)
  expect(removed).toMatchObject({ member: learner.member, peer: learner.peer })
  const back = await lead.store.changeMembership({ kind: 'add', peer: learner.peer }, never)
  expect(back.member).not.toBe(learner.member)
  await expect(lead.store.changeMembership({ kind: 'remove', member: 'm0' }, never)).rejects.toMatchObject({
    reason: 'refused',
  })
})

test('a write with the same id, sent again, happens once', async () => {
  await using cluster = await startCluster(1)
  const lead = await cluster.leader()
  const first = await lead.store.write({ ...put('a', '1'), id: 'same' }, never)
  expect(await lead.store.write({ ...put('a', '1'), id: 'same' }, never)).toEqual(first)
  expect(lead.store.revision()).toBe(2)
})

test('after a stop everything waits no longer: it is closed', async () => {
  await using cluster = await startCluster(1)
  const lead = await cluster.leader()
  const watching = lead.store
    .watch({ from: 'a', to: 'b', after: lead.store.revision() }, never)
    [Symbol.asyncIterator]()
    .next()
  const waiting = lead.store.applied(1_000, never)
  const both = Promise.allSettled([watching, waiting])
  await lead.store.stop()
  for (const one of await both) expect(one).toMatchObject({ status: 'rejected', reason: { reason: 'closed' } })
  await expect(lead.store.get('a')).rejects.toMatchObject({ reason: 'closed' })
})
