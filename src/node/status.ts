// What `flotilla status` shows. Pure.
import { addressesAnnotation, leavingAnnotation, peerAnnotation, witnessAnnotation } from '../api/annotations.ts'
import type { ObjectOf } from '../api/kind.ts'
import type { node as nodeKind } from '../api/kinds/node.ts'
import type { GossipView } from '../gossip/gossip.ts'
import type { StoreStatus } from '../kv/store.ts'
import { type AdmittedPeer, type PeerId, peerId } from '../world/network.ts'
import type { ClusterRecord } from './config.ts'

type Node = ObjectOf<typeof nodeKind>

export type PeerStatus = {
  readonly peer: PeerId
  readonly node: string
  readonly self: boolean
  readonly leader: boolean
  /** 'present': it follows the external etcd, which does the voting. 'none': it holds no replica (yet). */
  readonly role: 'voter' | 'learner' | 'present' | 'none'
  /** Its vote never leads, and no pod runs there. */
  readonly witness: boolean
  readonly health: 'alive' | 'suspect' | 'dead' | 'left' | 'unknown'
  readonly ready: 'Ready' | 'NotReady' | 'Unknown'
  readonly address: string
}

export type StatusReport = {
  readonly clusterId: string
  readonly clusterName: string
  /** What a person has to decide; absent when all is well. */
  readonly notice?: string
  /** The external etcd that the cluster's state is in, in words. */
  readonly datastore?: string
  readonly self: PeerId
  readonly node: string
  readonly version: string
  readonly term: number
  readonly leader: PeerId | undefined
  readonly revision: number
  readonly appliedIndex: number
  readonly commitIndex: number
  readonly runtime: string
  readonly dataplane: string
  readonly peers: readonly PeerStatus[]
}

export function peerOf(node: Node): PeerId | undefined {
  const text = node.metadata.annotations?.[peerAnnotation]
  return text === undefined || text === '' ? undefined : peerId(text)
}

/** What containers carry so that they are adopted: it stays when a cluster begins again. */
export function ownerOf({ origin, nodeName }: Pick<ClusterRecord, 'origin' | 'nodeName'>): string {
  return `${origin}/${nodeName}`
}

export function addressesOf(node: Node): readonly string[] {
  return (node.metadata.annotations?.[addressesAnnotation] ?? '').split(',').filter(text => text !== '')
}

export function isWitness(node: Node): boolean {
  return node.metadata.annotations?.[witnessAnnotation] === 'true'
}

export function isLeaving(node: Node): boolean {
  return node.metadata.annotations?.[leavingAnnotation] === 'true'
}

/** Everybody that a Node admits, in the order of their names. */
export function admittedBy(nodes: readonly Node[]): readonly AdmittedPeer[] {
  return nodes.flatMap(node => {
    const peer = peerOf(node)
    return peer === undefined ? [] : [{ peer, addresses: addressesOf(node) }]
  })
}

export function peersOf(
  self: PeerId,
  nodes: readonly Node[],
  store: StoreStatus,
  gossip: GossipView,
  isExternal: boolean,
): readonly PeerStatus[] {
  const roleOf = (peer: PeerId) => {
    const role = store.members.find(member => member.peer === peer)?.role ?? 'none'
    return isExternal && role === 'voter' ? 'present' : role
  }
  return nodes.flatMap((node): PeerStatus[] => {
    const peer = peerOf(node)
    if (peer === undefined) return []
    const ready = node.status.conditions?.find(one => one.type === 'Ready')?.status
    return [
      {
        peer,
        node: node.metadata.name,
        self: peer === self,
        leader: store.leader === peer,
        role: roleOf(peer),
        witness: isWitness(node),
        health: peer === self ? 'alive' : (gossip.members.get(peer)?.state ?? 'unknown'),
        ready: ready === 'True' ? 'Ready' : ready === 'False' ? 'NotReady' : 'Unknown',
        address: node.status.addresses?.find(one => one.type === 'InternalIP')?.address ?? '',
      },
    ]
  })
}
