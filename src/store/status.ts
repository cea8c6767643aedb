// What a store says of itself to people and to the layers above.
import type { Kv } from '../kv/kv.ts'
import type { StoreStatus } from '../kv/store.ts'
import type { RaftStatus } from '../raft/raft.ts'
import type { PeerId } from '../world/network.ts'
import { memberInfos, type Peers } from './members.ts'

export function describeStatus(raft: RaftStatus, kv: Kv, peers: Peers, leader: PeerId | undefined): StoreStatus {
  const { role, commit, membership, match } = raft
  return {
    term: role.term,
    leader,
    // One that was removed has no say and no vote: to those who ask it is a learner without a leader.
    role: role.kind === 'removed' ? 'learner' : role.kind,
    appliedIndex: kv.index,
    commitIndex: commit,
    revision: kv.revision,
    compactedRevision: kv.versions.compacted,
    members: memberInfos(membership, peers),
    matchIndex: match,
  }
}
