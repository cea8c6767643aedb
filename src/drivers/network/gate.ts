// Who may connect. Pure but for its own state; time is an argument. The default is no: only peers that `admit` names, peers
// that we dialled ourselves to ask to join, and a few strangers for a short while, who may speak `join` and nothing else.
import type { AdmittedPeer, PeerId } from '../../world/network.ts'

export type GateConfig = {
  /** Strangers connected at one time. */
  readonly strangerCountMax: number
  /** How long a stranger's connection may stand. */
  readonly strangerMs: number
  /** New strangers per address and minute. */
  readonly strangersPerMinuteMax: number
}

export const gateDefaults: GateConfig = { strangerCountMax: 16, strangerMs: 30_000, strangersPerMinuteMax: 60 }

export type Gate = {
  replace(peers: readonly AdmittedPeer[]): void
  admitted(peer: PeerId): boolean
  peers(): Iterable<PeerId>
  /** The addresses that `admit` gave. */
  addresses(peer: PeerId): readonly string[]
  /** We dial this peer ourselves, to ask to join; true until forgotten. */
  expect(peer: PeerId): void
  expected(peer: PeerId): boolean
  forget(peer: PeerId): void
  /** Whether an unadmitted peer may connect now from this host; counts it when it may. */
  letStrangerIn(peer: PeerId, host: string, nowMs: number): boolean
  strangerLeft(peer: PeerId): void
  strangers(): ReadonlyMap<PeerId, { readonly sinceMs: number }>
}

const minuteMs = 60_000
const hostCountMax = 4096

export function gate(config: GateConfig): Gate {
  let admitted = new Map<PeerId, readonly string[]>()
  const dialled = new Set<PeerId>()
  const strangers = new Map<PeerId, { sinceMs: number }>()
  const perHost = new Map<string, { count: number; sinceMs: number }>()
  return {
    replace(peers) {
      admitted = new Map(peers.map(({ peer, addresses }) => [peer, addresses]))
    },
    admitted: peer => admitted.has(peer),
    peers: () => admitted.keys(),
    addresses: peer => admitted.get(peer) ?? [],
    expect: peer => void dialled.add(peer),
    expected: peer => dialled.has(peer),
    forget: peer => void dialled.delete(peer),
    letStrangerIn(peer, host, nowMs) {
      if (strangers.size >= config.strangerCountMax && !strangers.has(peer)) return false
      let seen = perHost.get(host)
      if (seen === undefined || nowMs - seen.sinceMs > minuteMs) {
        // The table itself is bounded: the oldest entries give way, and the limit on strangers still holds.
        perHost.delete(host)
        for (const old of perHost.keys()) {
          if (perHost.size < hostCountMax) break
          perHost.delete(old)
        }
        seen = { count: 0, sinceMs: nowMs }
        perHost.set(host, seen)
      }
      if (seen.count >= config.strangersPerMinuteMax) return false
      seen.count++
      if (!strangers.has(peer)) strangers.set(peer, { sinceMs: nowMs })
      return true
    },
    strangerLeft: peer => void strangers.delete(peer),
    strangers: () => strangers,
  }
}
