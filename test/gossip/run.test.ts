// The shell on real networks, with short times.
import { expect, test } from 'vitest'
import type { GossipView, LiveEndpoint } from '../../src/gossip/gossip.ts'
import { type GossipConfig, gossipConfig, type RunningGossip, runGossip } from '../../src/gossip/run.ts'
import type { PeerId } from '../../src/world/network.ts'
import { admitAll, clock, log, openMesh, until } from '../conformance/mesh.ts'

const quick: GossipConfig = {
  ...gossipConfig,
  intervalMs: 100,
  fullMs: 500,
  times: { suspectMs: 1_500, deadMs: 4_000 },
}
const endpoint = (uid: string): LiveEndpoint => ({
  uid,
  namespace: 'default',
  name: uid,
  ip: '10.244.0.2',
  ready: true,
})
const stateIn = (view: GossipView, peer: PeerId) => view.members.get(peer)?.state

test('peers see each other live, see endpoints at once and only those that are bound, and see who leaves or dies', async () => {
  await using mesh = openMesh()
  const networks = [await mesh.open('a'), await mesh.open('b'), await mesh.open('c')] as const
  const [a, b, c] = networks
  const bound = new Set(['b1', 'c1'])
  const ends = networks.map(() => new AbortController())
  const gossips = networks.map((network, i) =>
    runGossip(
      { clock, network, log },
      quick,
      (_peer, uid) => bound.has(uid),
      (ends[i] ?? new AbortController()).signal,
    ),
  )
  const [onA, onB, onC] = gossips as [RunningGossip, RunningGossip, RunningGossip]
  const peers = networks.map(network => network.self)
  for (const gossip of gossips) gossip.expect(peers)
  expect(stateIn(onA.view(), b.self)).toBe('suspect')
  const followed: GossipView[] = []
  const following = (async () => {
    for await (const view of onA.follow(mesh.signal)) followed.push(view)
  })()
  admitAll(...networks)
  await until('all see all alive', () =>
    gossips.every(gossip => peers.every(peer => stateIn(gossip.view(), peer) === 'alive')),
  )
  onB.announce([endpoint('b2'), endpoint('b1')])
  onC.announce([endpoint('c1')])
  await until('a sees the endpoints', () =>
    Boolean(onA.view().endpoints.get(b.self)?.length && onA.view().endpoints.get(c.self)?.length),
  )
  expect(onA.view().endpoints.get(b.self)).toEqual([endpoint('b1')])
  // The store binds the other pod later: nothing has to be said again.
  bound.add('b2')
  onA.recheck()
  expect(onA.view().endpoints.get(b.self)).toEqual([endpoint('b1'), endpoint('b2')])
  expect(onB.view().endpoints.get(b.self)).toEqual([endpoint('b1'), endpoint('b2')])

  ends[1]?.abort()
  await onB.done
  await until('b has left', () => stateIn(onA.view(), b.self) === 'left' && stateIn(onC.view(), b.self) === 'left')
  expect(onA.view().endpoints.has(b.self)).toBe(false)

  // c goes without a word: suspect when its connection breaks, dead when it stays silent.
  onC.stayQuiet()
  ends[2]?.abort()
  await onC.done
  await c.stop()
  await until('c is suspected', () => stateIn(onA.view(), c.self) === 'suspect')
  expect(onA.view().endpoints.get(c.self)).toEqual([endpoint('c1')])
  await until('c is dead', () => stateIn(onA.view(), c.self) === 'dead')
  expect(onA.view().endpoints.has(c.self)).toBe(false)

  // Followers were told of each of these, ended by the signal.
  ends[0]?.abort()
  await onA.done
  await following
  expect(followed.map(view => stateIn(view, c.self))).toEqual(expect.arrayContaining(['suspect', 'alive', 'dead']))
  expect(a.connected()).not.toContain(c.self)
})

test('a restarted peer is alive again although others remember it as having left', async () => {
  await using mesh = openMesh()
  const [a, b] = [await mesh.open('a'), await mesh.open('b')]
  const end = new AbortController()
  const onA = runGossip({ clock, network: a, log }, quick, () => true, mesh.signal)
  const first = runGossip({ clock, network: b, log }, quick, () => true, end.signal)
  admitAll(a, b)
  await until('alive', () => stateIn(onA.view(), b.self) === 'alive')
  end.abort()
  await first.done
  await until('left', () => stateIn(onA.view(), b.self) === 'left')
  // Its clock stands years back now.
  const past = { ...clock, nowMs: () => 1_000 }
  const again = runGossip({ clock: past, network: b, log }, quick, () => true, mesh.signal)
  again.announce([endpoint('b1')])
  await until('alive again', () => stateIn(onA.view(), b.self) === 'alive')
  await until('with its endpoint', () => onA.view().endpoints.get(b.self)?.length === 1)
})
