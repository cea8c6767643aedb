// What `kubectl get quorum` shows. Pure.
import type { Node } from '../api/kinds/node.ts'
import type { Quorum } from '../apiserver/quorum.ts'
import type { PeerVitals } from '../controllers/inputs.ts'
import { explain, type Surroundings } from '../controllers/membership.ts'
import type { GossipView } from '../gossip/gossip.ts'
import type { StoreStatus } from '../kv/store.ts'
import { sortedBy } from '../lib/sorted.ts'
import type { PeerId } from '../world/network.ts'
import { peerOf } from './status.ts'

/** What a peer has to do with deciding. */
export type Part = { readonly role: string; readonly why: string }

/** By the rules that votes are given by. */
export function partInRaft(status: StoreStatus, around: Surroundings): (peer: PeerId) => Part {
  return peer => ({ role: roleOf(peer), why: explain(peer, status, around) })

  function roleOf(peer: PeerId): string {
    const member = status.members.find(one => one.peer === peer)
    if (member === undefined) return 'None'
    if (peer === status.leader) return 'Leader'
    if (member.role === 'learner') return 'Learner'
    return around.admitted.get(peer)?.witness === true ? 'Witness' : 'Voter'
  }
}

/** Where an external etcd decides: who has a session in it. */
export function partInEtcd({ leader, members }: StoreStatus): (peer: PeerId) => Part {
  return peer => {
    if (peer === leader) return { role: 'Leader', why: 'leads; the votes are etcd’s own: etcdctl endpoint status' }
    if (members.some(one => one.peer === peer)) return { role: 'Present', why: 'has a session in etcd, and could lead' }
    return { role: 'None', why: 'has no session in etcd' }
  }
}

/** One row per Node and per member without a Node, in the order of their names. */
export function quorumOf(
  status: StoreStatus,
  nodes: readonly Node[],
  gossip: GossipView,
  vitalsOf: (peer: PeerId) => PeerVitals | undefined,
  partOf: (peer: PeerId) => Part,
): readonly Quorum[] {
  const named = nodes.flatMap(node => {
    const peer = peerOf(node)
    return peer === undefined ? [] : [{ peer, node }]
  })
  const without = status.members.filter(({ peer }) => !named.some(one => one.peer === peer))
  const rows = [
    ...named.map(({ peer, node }) => row(peer, node.metadata.name, node)),
    ...without.map(({ peer }) => row(peer, peer.toLowerCase(), undefined)),
  ]
  return sortedBy(rows, ({ metadata }) => metadata.name)

  function row(peer: PeerId, name: string, node: Node | undefined): Quorum {
    const member = status.members.find(one => one.peer === peer)
    const { syncMs, roundTripMs, upMs } = vitalsOf(peer) ?? {}
    const matchIndex = peer === status.leader ? status.commitIndex : status.matchIndex[member?.member ?? '']
    return {
      apiVersion: 'flotilla.dev/v1',
      kind: 'Quorum',
      metadata: {
        name,
        uid: member?.member ?? '',
        resourceVersion: String(status.revision),
        creationTimestamp: node?.metadata.creationTimestamp ?? '',
      } as Quorum['metadata'],
      status: {
        peer,
        state: peer === status.leader ? 'Alive' : stateWord(gossip.members.get(peer)?.state),
        ...(matchIndex !== undefined && { matchIndex }),
        ...(syncMs !== undefined && { syncP99Microseconds: Math.round(syncMs * 1_000) }),
        ...(roundTripMs !== undefined && { roundTripP90Microseconds: Math.round(roundTripMs * 1_000) }),
        ...(upMs !== undefined && { uptimeSeconds: Math.floor(upMs / 1_000) }),
        ...partOf(peer),
      },
    }
  }
}

function stateWord(state: string | undefined): string {
  return state === undefined ? 'Unknown' : `${state[0]?.toUpperCase() ?? ''}${state.slice(1)}`
}
