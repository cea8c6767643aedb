// What is true right now, told from peer to peer, as its users see it. It carries no authority: it can hurry or withdraw
// an endpoint that the store has bound to the speaker, and say who was heard from; it can never create anything.
import type { PeerId } from '../world/network.ts'

/** One pod that runs on the speaking peer. */
export type LiveEndpoint = {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  readonly ip: string
  readonly ready: boolean
}

export type MemberState = 'alive' | 'suspect' | 'dead' | 'left'

export type Member = {
  readonly peer: PeerId
  readonly state: MemberState
  /** On this peer's monotonic clock: since when it is in this state. */
  readonly sinceMs: number
  /** On this peer's wall clock: when it was last heard from, directly or by way of others. */
  readonly heardAtMs: number
}

export type GossipView = {
  readonly members: ReadonlyMap<PeerId, Member>
  /** Live pods by the peer that runs them; only what passed `accept`. Peers that are dead or left are absent. */
  readonly endpoints: ReadonlyMap<PeerId, readonly LiveEndpoint[]>
}

export interface Gossip {
  view(): GossipView
  /** The present view at once, then a new one after each change, coalesced. Ends with the signal. */
  follow(signal: AbortSignal): AsyncIterable<GossipView>
  /** Replaces all that this peer says of its own pods. Called by the kubelet. */
  announce(endpoints: readonly LiveEndpoint[]): void
}
