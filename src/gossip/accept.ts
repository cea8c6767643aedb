// What of a peer's word is believed. A peer speaks only of itself, and only of pods that the store has bound to it: gossip can
// hurry or withdraw such an endpoint, never create one. Pure.
import type { PeerId } from '../world/network.ts'
import type { LiveEndpoint } from './gossip.ts'

/** More pods than any one node runs; the rest of a longer list is dropped. */
export const endpointCountMax = 1_500

/** Whether the store has bound the pod with this uid to the peer. */
export type Allowed = (peer: PeerId, uid: string) => boolean

/** The endpoints in `spoken` that `peer` may speak of, in their order. */
export function accept(peer: PeerId, spoken: readonly LiveEndpoint[], allowed: Allowed): readonly LiveEndpoint[] {
  return spoken.every(({ uid }) => allowed(peer, uid)) ? spoken : spoken.filter(({ uid }) => allowed(peer, uid))
}

/** Well-formed endpoints only, one per pod, no more than the limit: what may be kept of a message at all. */
export function wellFormed(spoken: readonly LiveEndpoint[]): readonly LiveEndpoint[] {
  const byUid = new Map<string, LiveEndpoint>()
  for (const endpoint of spoken) {
    if (byUid.size >= endpointCountMax) break
    if (isWellFormed(endpoint) && !byUid.has(endpoint.uid)) byUid.set(endpoint.uid, endpoint)
  }
  return [...byUid.values()]
}

function isWellFormed({ uid, namespace, name, ip }: LiveEndpoint): boolean {
  return /^[0-9A-Za-z-]{1,64}$/.test(uid) && /^[a-z0-9-]{1,63}$/.test(namespace) && isName(name) && isAddress(ip)
}

function isName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)
}

function isAddress(ip: string): boolean {
  if (/^[0-9a-f:]{2,39}$/.test(ip) && ip.includes(':')) return true
  const parts = ip.split('.')
  return parts.length === 4 && parts.every(part => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)
}
