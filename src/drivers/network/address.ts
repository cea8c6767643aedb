// Addresses: which of ours to tell, which of theirs to try. An address is a hint, never a name.
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { PeerId } from '../../world/network.ts'

const peerCountMax = 256
const addressCountMax = 16

/** The peer that a multiaddr names at its end, if it does. */
export function namedPeer(address: Multiaddr): string | undefined {
  return address.getComponents().findLast(component => component.name === 'p2p')?.value
}

/** The multiaddr with the peer's name at its end, or undefined when it cannot be read or names another peer. */
export function withPeer(address: string, peer: PeerId): Multiaddr | undefined {
  try {
    const parsed = multiaddr(address)
    const named = namedPeer(parsed)
    if (named === undefined) return parsed.encapsulate(`/p2p/${peer}`)
    return named === peer ? parsed : undefined
  } catch {
    // Addresses of others come from their Node objects or by mDNS: one that cannot be read is no address.
    return undefined
  }
}

/** Addresses that help another machine: not link-local ones (a pod's gateway, the DNS address), loopback only when alone. */
export function usefulAddresses(addresses: Multiaddr[]): Multiaddr[] {
  const hostOf = (address: Multiaddr) => address.getComponents()[0]?.value ?? ''
  const linked = addresses.filter(address => !/^(169\.254\.|fe80:)/i.test(hostOf(address)))
  const remote = linked.filter(address => !/^(127\.|::1$)/.test(hostOf(address)))
  return remote.length > 0 ? remote : linked
}

export type Hints = {
  add(peer: PeerId, addresses: readonly string[]): void
  of(peer: PeerId): readonly string[]
  all(): ReadonlyMap<PeerId, readonly string[]>
}

/** A bounded table of unproved addresses, newest first. Whoever floods it cannot push out the peers that `keep` names. */
export function hintTable(keep: (peer: PeerId) => boolean): Hints {
  const table = new Map<PeerId, readonly string[]>()
  return {
    add(peer, addresses) {
      const known = table.get(peer) ?? []
      table.delete(peer)
      if (table.size >= peerCountMax) {
        const oldest = [...table.keys()].find(other => !keep(other)) ?? table.keys().next().value
        if (oldest !== undefined) table.delete(oldest)
      }
      table.set(peer, [...new Set([...addresses, ...known])].slice(0, addressCountMax))
    },
    of: peer => table.get(peer) ?? [],
    all: () => new Map(table),
  }
}
