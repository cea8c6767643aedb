import { expect, test } from 'vitest'
import { endpointCountMax } from '../../src/gossip/accept.ts'
import { decodeHeartbeat, encodeHeartbeat } from '../../src/gossip/codec.ts'
import {
  expectPeers,
  type GossipState,
  gossipTimes,
  type Heartbeat,
  hear,
  incarnationClaimMax,
  knownOf,
  lost,
  startGossip,
  tick,
  viewOf,
} from '../../src/gossip/core.ts'
import type { LiveEndpoint } from '../../src/gossip/gossip.ts'
import { type Prng, prng } from '../../src/lib/prng.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'

const [a, b, c] = [peerId('a'), peerId('b'), peerId('c')]
const endpoint = (uid: string, ready = true): LiveEndpoint => ({
  uid,
  namespace: 'default',
  name: `pod-${uid}`,
  ip: '10.244.1.7',
  ready,
})
const word = (incarnation: number, sequence: number, more: Partial<Heartbeat> = {}): Heartbeat => ({
  incarnation,
  sequence,
  leaving: false,
  endpointsSequence: 1,
  endpoints: undefined,
  known: [],
  ...more,
})
const at = (ms: number) => ({ monotonicMs: ms, wallMs: 1_700_000_000_000 + ms })
const start = () => startGossip(a, gossipTimes, at(0))
const stateOf = (state: GossipState, peer: PeerId) => state.words.get(peer)?.state
/** Ticks each half second, as the shell does at least. */
function pass(state: GossipState, fromMs: number, toMs: number): GossipState {
  for (let ms = fromMs; ms <= toMs; ms += 500) state = tick(state, ms).state
  return state
}
const all = () => true
const endpointsSeen = (state: GossipState, peer: PeerId, allowed: (peer: PeerId, uid: string) => boolean = all) =>
  viewOf(state, [], allowed, at(0)).view.endpoints.get(peer)

test('a silent peer is suspect after 4 seconds and dead after 10, and any newer word revives it', () => {
  let state = hear(start(), b, word(5, 1), at(0)).state
  state = pass(state, 0, 4_000)
  expect(stateOf(state, b)).toBe('alive')
  state = pass(state, 4_500, 10_000)
  expect(stateOf(state, b)).toBe('suspect')
  state = pass(state, 10_500, 11_000)
  expect(stateOf(state, b)).toBe('dead')
  expect(hear(state, b, word(5, 1), at(11_000)).changed).toBe(false)
  const revived = hear(state, b, word(5, 2), at(11_000))
  expect([stateOf(revived.state, b), revived.changed]).toEqual(['alive', true])
})

test('a broken connection makes a peer suspect at once, its next word takes that back', () => {
  let state = hear(start(), b, word(5, 1), at(0)).state
  const cut = lost(state, b, 100)
  state = cut.state
  expect([cut.changed, stateOf(state, b)]).toEqual([true, 'suspect'])
  expect(lost(state, b, 200).changed).toBe(false)
  state = hear(state, b, word(5, 2), at(300)).state
  expect(stateOf(state, b)).toBe('alive')
})

test('a peer that left stays gone whatever old words arrive late, and returns with a higher incarnation', () => {
  let state = hear(start(), b, word(5, 9, { endpoints: [endpoint('1')] }), at(0)).state
  state = hear(state, b, word(5, 10, { leaving: true, endpoints: [] }), at(100)).state
  expect(stateOf(state, b)).toBe('left')
  for (const late of [word(5, 8), word(5, 10), word(5, 11), word(4, 99)]) {
    expect(hear(state, b, late, at(200)).state).toBe(state)
  }
  expect(viewOf(state, [], all, at(0)).view.endpoints.has(b)).toBe(false)
  expect(stateOf(pass(state, 0, 60_000), b)).toBe('left')
  expect(stateOf(hear(state, b, word(6, 1), at(300)).state, b)).toBe('alive')
})

test('endpoints: the last word by incarnation and sequence stands, and a short heartbeat keeps it', () => {
  const say = (state: GossipState, heartbeat: Heartbeat) => hear(state, b, heartbeat, at(0)).state
  let state = say(start(), word(5, 3, { endpointsSequence: 3, endpoints: [endpoint('1')] }))
  state = say(state, word(5, 4))
  expect(endpointsSeen(state, b)).toEqual([endpoint('1')])
  // Late and reordered: sequence 2 was said before 3.
  state = say(state, word(5, 2, { endpointsSequence: 2, endpoints: [endpoint('old')] }))
  expect(endpointsSeen(state, b)).toEqual([endpoint('1')])
  state = say(state, word(5, 5, { endpointsSequence: 5, endpoints: [] }))
  expect(endpointsSeen(state, b)).toEqual([])
  // A restarted peer counts from one again.
  state = say(state, word(6, 1, { endpointsSequence: 1, endpoints: [endpoint('2', false)] }))
  expect(endpointsSeen(state, b)).toEqual([endpoint('2', false)])
})

test('a peer speaks only of pods that the store has bound to it', () => {
  const state = hear(start(), b, word(5, 1, { endpoints: [endpoint('mine'), endpoint('theirs')] }), at(0)).state
  const bound = (peer: PeerId, uid: string) => peer === b && uid === 'mine'
  expect(endpointsSeen(state, b, bound)).toEqual([endpoint('mine')])
  expect(viewOf(state, [], bound, at(0)).withheld).toBe(true)
  expect(viewOf(state, [], all, at(0)).withheld).toBe(false)
  expect(endpointsSeen(state, c, bound)).toBeUndefined()
})

test('the endpoints of the dead and of those who left are not shown', () => {
  let state = hear(start(), b, word(5, 1, { endpoints: [endpoint('1')] }), at(0)).state
  state = pass(state, 0, 9_000)
  expect(endpointsSeen(state, b)).toEqual([endpoint('1')])
  state = pass(state, 9_500, 11_000)
  expect(endpointsSeen(state, b)).toBeUndefined()
})

test('one that should be there and is never heard turns from suspect to dead; one that should not be is forgotten', () => {
  let state = expectPeers(start(), [a, b, c], 0).state
  expect([stateOf(state, a), stateOf(state, b)]).toEqual([undefined, 'suspect'])
  state = pass(state, 0, 9_000)
  state = hear(state, c, word(1, 1), at(9_000)).state
  state = pass(state, 9_500, 11_000)
  expect([stateOf(state, b), stateOf(state, c)]).toEqual(['dead', 'alive'])
  const fewer = expectPeers(state, [a, c], 11_000)
  expect([fewer.changed, fewer.state.words.has(b)]).toEqual([true, false])
  expect(expectPeers(fewer.state, [c], 11_000).changed).toBe(false)
})

test('a process that was itself suspended blames nobody for the silence', () => {
  let state = hear(start(), b, word(5, 1), at(0)).state
  state = pass(state, 0, 1_000)
  state = tick(state, 3_600_000).state
  expect(stateOf(state, b)).toBe('alive')
  state = pass(state, 3_600_500, 3_604_500)
  expect(stateOf(state, b)).toBe('suspect')
})

test('a peer whose clock was set back takes a higher incarnation when it hears which one others know', () => {
  const behind = startGossip(b, gossipTimes, { monotonicMs: 0, wallMs: 1_000 })
  const told = hear(behind, a, word(9, 1, { known: [{ peer: b, incarnation: 1_700_000_000_000, left: false }] }), at(0))
  expect([told.state.incarnation, told.newcomer]).toEqual([1_700_000_000_001, true])
  const left = hear(behind, a, word(9, 1, { known: [{ peer: b, incarnation: 1_000, left: true }] }), at(0))
  expect(left.state.incarnation).toBe(1_001)
  const same = hear(behind, a, word(9, 1, { known: [{ peer: b, incarnation: 1_000, left: false }] }), at(0))
  expect(same.state.incarnation).toBe(1_000)
  // A hostile peer cannot use up the numbers.
  const absurd = word(9, 1, { known: [{ peer: b, incarnation: incarnationClaimMax + 1, left: false }] })
  expect(hear(behind, a, absurd, at(0)).state.incarnation).toBe(1_000)
})

test('our own words that come back are not heard', () => {
  const state = start()
  expect(hear(state, a, word(9, 9), at(0)).state).toBe(state)
})

test('a heartbeat survives the wire, and no bytes break the decoder', () => {
  const random = prng(7)
  const full = word(1_700_000_000_000, 3, {
    endpoints: [endpoint('1'), endpoint('2', false)],
    known: [{ peer: b, incarnation: 4, left: true }],
  })
  expect(decodeHeartbeat(encodeHeartbeat(full))).toEqual(full)
  expect(decodeHeartbeat(encodeHeartbeat(word(1, 1)))).toEqual(word(1, 1))
  const bytes = encodeHeartbeat(full)
  for (let i = 0; i < 5_000; i++) {
    const bad = Uint8Array.from(bytes.subarray(0, random.below(bytes.length + 1)))
    for (let n = random.below(4); n > 0 && bad.length > 0; n--) bad[random.below(bad.length)] = random.below(256)
    const read = decodeHeartbeat(random.chance(0.2) ? random.bytes(random.below(200)) : bad)
    if (read !== undefined) hear(start(), b, read, at(0))
  }
})

test('what is malformed, said twice or too much in a message is not kept', () => {
  const many = Array.from({ length: endpointCountMax + 500 }, (_, i) => endpoint(`${i}`))
  const read = (endpoints: readonly LiveEndpoint[]) =>
    decodeHeartbeat(encodeHeartbeat(word(1, 1, { endpoints })))?.endpoints
  expect(read(many)?.length).toBe(endpointCountMax)
  expect(read([endpoint('1'), endpoint('1', false)])).toEqual([endpoint('1')])
  const good = endpoint('1')
  for (const bad of [
    { ...good, ip: '10.244.1.256' },
    { ...good, ip: '10.244.1' },
    { ...good, ip: 'example.com' },
    { ...good, ip: '' },
    { ...good, uid: '' },
    { ...good, uid: 'a b' },
    { ...good, namespace: 'Default' },
    { ...good, name: '../etc' },
    { ...good, name: 'x'.repeat(300) },
  ]) {
    expect([bad, read([bad])]).toEqual([bad, []])
  }
  expect(read([{ ...good, ip: 'fd00::7' }])?.length).toBe(1)
})

// A whole cluster in virtual time: words are lost, doubled and late, peers are killed, leave and restart, clocks are set back.
type Sim = {
  state: GossipState
  sequence: number
  endpoints: readonly LiveEndpoint[]
  endpointsSequence: number
  up: boolean
  left: boolean
}

function simulate(seed: number): void {
  const random: Prng = prng(seed)
  const names = ['a', 'b', 'c', 'd', 'e'].map(peerId)
  const peers = new Map<PeerId, Sim>()
  const flying: { atMs: number; to: PeerId; from: PeerId; bytes: Uint8Array }[] = []
  const startOne = (name: PeerId, ms: number): Sim => ({
    state: expectPeers(
      startGossip(name, gossipTimes, { monotonicMs: ms, wallMs: random.chance(0.3) ? 1_000 + ms : 1e12 + ms }),
      names,
      ms,
    ).state,
    sequence: 0,
    endpoints: [],
    endpointsSequence: 0,
    up: true,
    left: false,
  })
  for (const name of names) peers.set(name, startOne(name, 0))
  const speak = (name: PeerId, sim: Sim, ms: number, leaving: boolean, full: boolean) => {
    sim.sequence++
    const bytes = encodeHeartbeat({
      incarnation: sim.state.incarnation,
      sequence: sim.sequence,
      leaving,
      endpointsSequence: sim.endpointsSequence,
      endpoints: full || leaving ? (leaving ? [] : sim.endpoints) : undefined,
      known: full ? knownOf(sim.state) : [],
    })
    for (const to of names) {
      if (to === name) continue
      for (let copies = random.chance(0.1) ? 2 : 1; copies > 0; copies--) {
        if (!random.chance(ms < 60_000 ? 0.2 : 0)) flying.push({ atMs: ms + random.below(700), to, from: name, bytes })
      }
    }
  }
  // Trouble for a minute of virtual time, then calm, then what must hold.
  for (let ms = 0; ms <= 100_000; ms += 100) {
    for (const [name, sim] of peers) {
      if (ms < 60_000 && random.chance(0.002)) {
        if (sim.up && random.chance(0.3)) {
          speak(name, sim, ms, true, true)
          sim.left = true
        } else sim.left = false
        sim.up = !sim.up
        if (sim.up) peers.set(name, startOne(name, ms))
        continue
      }
      if (!sim.up) continue
      if (random.chance(0.005)) {
        sim.endpoints = Array.from({ length: random.below(4) }, (_, i) => endpoint(`${name}${i}`, random.chance(0.5)))
        sim.endpointsSequence = sim.sequence + 1
        speak(name, sim, ms, false, true)
      }
      if (ms % 1_000 === 0) speak(name, sim, ms, false, ms % 10_000 === 0)
      if (ms % 500 === 0) sim.state = tick(sim.state, ms).state
    }
    const due = flying.filter(one => one.atMs <= ms)
    flying.splice(0, flying.length, ...flying.filter(one => one.atMs > ms))
    for (const { to, from, bytes } of due) {
      const sim = peers.get(to)
      const heartbeat = decodeHeartbeat(bytes)
      expect(heartbeat).toBeDefined()
      if (sim === undefined || !sim.up || heartbeat === undefined) continue
      const heard = hear(sim.state, from, heartbeat, at(ms))
      sim.state = heard.state
      if (heard.newcomer) speak(to, sim, ms, false, true)
    }
  }
  // Quiet now: the last second's words arrive.
  for (const { to, from, bytes } of flying) {
    const sim = peers.get(to)
    const heartbeat = decodeHeartbeat(bytes)
    if (sim?.up && heartbeat !== undefined) sim.state = hear(sim.state, from, heartbeat, at(100_000)).state
  }
  for (const [name, sim] of peers) {
    if (!sim.up) continue
    const { view } = viewOf(sim.state, sim.endpoints, all, at(100_000))
    for (const [other, theirs] of peers) {
      const seen = view.members.get(other)?.state
      if (theirs.up) {
        expect([seed, name, other, seen]).toEqual([seed, name, other, 'alive'])
        expect([seed, name, other, view.endpoints.get(other)]).toEqual([seed, name, other, theirs.endpoints])
      } else {
        expect(['dead', 'left']).toContain(seen)
        expect(view.endpoints.has(other)).toBe(false)
      }
    }
  }
}

test('after trouble every peer sees who is there and what runs there (60 seeds)', () => {
  for (let seed = 1; seed <= 60; seed++) simulate(seed)
})
