// Who is there and what runs there, from heartbeats. Pure: time is an argument, the state a value. Called by gossip/run.ts.
//
// Each peer says about once a second that it lives; the mesh carries that to everybody, also by way of others, with its origin
// proved. So a peer is judged by its own words only, and silence has a bound:
//   alive ── silent for suspectMs, or its connection broke ──► suspect ── silent for deadMs ──► dead
//   any word newer than the last (incarnation, then sequence) ──► alive;  its farewell ──► left
// A peer that left comes back only with a higher incarnation, because a late copy of an old word must not revive it.
// An incarnation is the wall clock at start. A Pi without a battery may start in the past: it hears from others which
// incarnation of it they know, and takes a higher one (the refutation of SWIM, Das et al. 2002, section 4.2).
import type { PeerId } from '../world/network.ts'
import { type Allowed, accept } from './accept.ts'
import type { GossipView, LiveEndpoint, Member, MemberState } from './gossip.ts'

export type GossipTimes = { readonly suspectMs: number; readonly deadMs: number }
export const gossipTimes: GossipTimes = { suspectMs: 4_000, deadMs: 10_000 }

/** Others may not push our incarnation beyond this (the year 2201): there must be room above. */
export const incarnationClaimMax = 7_300_000_000_000

export type Heartbeat = {
  readonly incarnation: number
  readonly sequence: number
  readonly leaving: boolean
  readonly endpointsSequence: number
  /** All of the speaker's, or undefined when this word does not carry them. */
  readonly endpoints: readonly LiveEndpoint[] | undefined
  readonly known: readonly { readonly peer: string; readonly incarnation: number; readonly left: boolean }[]
}

export type Word = {
  readonly incarnation: number
  readonly sequence: number
  readonly state: MemberState
  readonly sinceMs: number
  /** Monotonic; the time of the last word, or since when one has been waited for. */
  readonly heardMs: number
  /** Wall clock; 0 when it has never been heard. */
  readonly heardAtMs: number
  readonly endpointsIncarnation: number
  readonly endpointsSequence: number
  readonly endpoints: readonly LiveEndpoint[]
}

export type GossipState = {
  readonly self: PeerId
  readonly times: GossipTimes
  readonly incarnation: number
  readonly startedMs: number
  readonly tickedMs: number
  /** Of all others. */
  readonly words: ReadonlyMap<PeerId, Word>
}

export type Now = { readonly monotonicMs: number; readonly wallMs: number }

/** `changed`: the view differs. `newcomer`: somebody needs to hear all we know, soon. */
export type Heard = { readonly state: GossipState; readonly changed: boolean; readonly newcomer: boolean }

export function startGossip(self: PeerId, times: GossipTimes, now: Now): GossipState {
  return {
    self,
    times,
    incarnation: Math.max(1, Math.floor(now.wallMs)),
    startedMs: now.monotonicMs,
    tickedMs: now.monotonicMs,
    words: new Map(),
  }
}

/** A peer has spoken: `from` is proved. */
export function hear(state: GossipState, from: PeerId, heartbeat: Heartbeat, now: Now): Heard {
  const same = { state, changed: false, newcomer: false }
  if (from === state.self) return same
  const refuted = refute(state, heartbeat)
  const word = state.words.get(from)
  if (word !== undefined && !isNewer(heartbeat, word)) return { ...same, state: refuted, newcomer: refuted !== state }
  const newState: MemberState = heartbeat.leaving ? 'left' : 'alive'
  const fresh = takesEndpoints(heartbeat, word)
  const next: Word = {
    incarnation: heartbeat.incarnation,
    sequence: heartbeat.sequence,
    state: newState,
    sinceMs: word?.state === newState ? word.sinceMs : now.monotonicMs,
    heardMs: now.monotonicMs,
    heardAtMs: now.wallMs,
    endpointsIncarnation: fresh ? heartbeat.incarnation : (word?.endpointsIncarnation ?? 0),
    endpointsSequence: fresh ? heartbeat.endpointsSequence : (word?.endpointsSequence ?? 0),
    endpoints: fresh ? (heartbeat.endpoints ?? []) : (word?.endpoints ?? []),
  }
  const changed =
    word?.state !== newState || (fresh && !sameEndpoints(word?.endpoints ?? [], heartbeat.endpoints ?? []))
  const newcomer = refuted !== state || word === undefined || word.incarnation !== heartbeat.incarnation
  return { state: { ...refuted, words: withWord(refuted.words, from, next) }, changed, newcomer }
}

/** Time has passed: who has been silent for too long? */
export function tick(state: GossipState, nowMs: number): { readonly state: GossipState; readonly changed: boolean } {
  const { suspectMs, deadMs } = state.times
  const gapMs = nowMs - state.tickedMs
  // If we did not run (a suspended machine, a stalled process), the silence is ours: nobody is blamed for it.
  const absentMs = gapMs > suspectMs / 2 ? gapMs : 0
  let changed = false
  const words = new Map<PeerId, Word>()
  for (const [peer, word] of state.words) {
    const heardMs = absentMs === 0 ? word.heardMs : Math.min(word.heardMs + absentMs, nowMs)
    const silentMs = nowMs - heardMs
    let next: MemberState = word.state
    if ((word.state === 'alive' || word.state === 'suspect') && silentMs > deadMs) next = 'dead'
    else if (word.state === 'alive' && silentMs > suspectMs) next = 'suspect'
    if (next !== word.state) changed = true
    words.set(peer, { ...word, heardMs, state: next, sinceMs: next === word.state ? word.sinceMs : nowMs })
  }
  return { state: { ...state, tickedMs: nowMs, words }, changed }
}

/** The connection to this peer broke: a hint that comes seconds before the silence does. */
export function lost(state: GossipState, peer: PeerId, nowMs: number): { state: GossipState; changed: boolean } {
  const word = state.words.get(peer)
  if (word?.state !== 'alive') return { state, changed: false }
  const next: Word = { ...word, state: 'suspect', sinceMs: nowMs }
  return { state: { ...state, words: withWord(state.words, peer, next) }, changed: true }
}

/**
 * Who should be there. One that has never been heard is suspect from now on, and dead when it stays silent, so that a peer
 * that just started can judge the others too. Words of anybody else are forgotten.
 */
export function expectPeers(
  state: GossipState,
  peers: readonly PeerId[],
  nowMs: number,
): { state: GossipState; changed: boolean } {
  const words = new Map<PeerId, Word>()
  for (const peer of new Set(peers)) {
    if (peer === state.self) continue
    words.set(
      peer,
      state.words.get(peer) ?? {
        incarnation: 0,
        sequence: 0,
        state: 'suspect',
        sinceMs: nowMs,
        heardMs: nowMs,
        heardAtMs: 0,
        endpointsIncarnation: 0,
        endpointsSequence: 0,
        endpoints: [],
      },
    )
  }
  const changed = words.size !== state.words.size || [...words.keys()].some(peer => !state.words.has(peer))
  return { state: { ...state, words }, changed }
}

/** What its users see. `endpoints` are filtered by what the store has bound; our own are taken as they are. */
export function viewOf(
  state: GossipState,
  own: readonly LiveEndpoint[],
  allowed: Allowed,
  now: Now,
): { readonly view: GossipView; readonly withheld: boolean } {
  const members = new Map<PeerId, Member>()
  const endpoints = new Map<PeerId, readonly LiveEndpoint[]>()
  let withheld = false
  members.set(state.self, { peer: state.self, state: 'alive', sinceMs: state.startedMs, heardAtMs: now.wallMs })
  endpoints.set(state.self, own)
  for (const [peer, word] of state.words) {
    members.set(peer, { peer, state: word.state, sinceMs: word.sinceMs, heardAtMs: word.heardAtMs })
    if (word.state === 'dead' || word.state === 'left') continue
    const accepted = accept(peer, word.endpoints, allowed)
    if (accepted.length < word.endpoints.length) withheld = true
    endpoints.set(peer, accepted)
  }
  return { view: { members, endpoints }, withheld }
}

/** What we know of others, for `known` in our own heartbeats. */
export function knownOf(state: GossipState): Heartbeat['known'] {
  return [...state.words]
    .filter(([, word]) => word.incarnation > 0)
    .map(([peer, word]) => ({ peer, incarnation: word.incarnation, left: word.state === 'left' }))
}

export function sameEndpoints(a: readonly LiveEndpoint[], b: readonly LiveEndpoint[]): boolean {
  return (
    a === b ||
    (a.length === b.length &&
      a.every((one, i) => {
        const other = b[i]
        return (
          other !== undefined &&
          one.uid === other.uid &&
          one.ready === other.ready &&
          one.ip === other.ip &&
          one.name === other.name &&
          one.namespace === other.namespace
        )
      }))
  )
}

function isNewer(heartbeat: Heartbeat, word: Word): boolean {
  if (heartbeat.incarnation !== word.incarnation) return heartbeat.incarnation > word.incarnation
  return word.state !== 'left' && heartbeat.sequence > word.sequence
}

function takesEndpoints(heartbeat: Heartbeat, word: Word | undefined): boolean {
  // A new incarnation speaks afresh: what the old one said stands until the first full word, which comes first.
  if (heartbeat.endpoints === undefined) return heartbeat.leaving
  if (word === undefined || heartbeat.incarnation !== word.endpointsIncarnation) return true
  return heartbeat.endpointsSequence >= word.endpointsSequence
}

function refute(state: GossipState, heartbeat: Heartbeat): GossipState {
  let incarnation = state.incarnation
  for (const known of heartbeat.known) {
    if (known.peer !== state.self || known.incarnation > incarnationClaimMax) continue
    if (known.incarnation > incarnation || (known.left && known.incarnation === incarnation)) {
      incarnation = known.incarnation + 1
    }
  }
  return incarnation === state.incarnation ? state : { ...state, incarnation }
}

function withWord(words: ReadonlyMap<PeerId, Word>, peer: PeerId, word: Word): ReadonlyMap<PeerId, Word> {
  const next = new Map(words)
  next.set(peer, word)
  return next
}
