// Changes of who is a member, and hand-overs of leadership, as they are asked of the leader: what is already so is said
// at once, a new member gets its ID, the rest is proposed and waited for.
import type { MemberInfo, MembershipChange } from '../kv/store.ts'
import { StoreError } from '../kv/store.ts'
import { hex } from '../lib/bytes.ts'
import type { RaftStatus } from '../raft/raft.ts'
import { memberId, type RaftEvent } from '../raft/types.ts'
import type { World } from '../world/world.ts'
import { encodePeers, memberInfos, planChange } from './members.ts'
import type { Pendings, Thresholds } from './pending.ts'
import type { Speech } from './run-speech.ts'

export type ChangesConfig = {
  readonly requestTimeoutMs: number
  readonly raft: () => RaftStatus
  readonly speech: Speech
  /** Settled by the store's loop, as those of `transfers` are. */
  readonly changes: Pendings<void>
  readonly transfers: Pendings<void>
  readonly transferIds: number[]
  readonly indexes: Thresholds
  readonly appliedIndex: () => number
  /** Throws StoreError when this peer is not the leader. */
  readonly checkLeader: () => void
  readonly propose: (event: RaftEvent) => void
  readonly push: (event: RaftEvent) => void
  readonly deadlineMs: () => number
}

export interface Changes {
  changeMembership(change: MembershipChange, signal: AbortSignal): Promise<MemberInfo>
  transferLeadership(signal: AbortSignal): Promise<void>
}

export function createChanges(world: World, config: ChangesConfig): Changes {
  const { speech, changes, transfers, transferIds, indexes, requestTimeoutMs, deadlineMs } = config
  const { checkLeader, propose, push } = config
  const { peers } = speech

  async function changeMembership(change: MembershipChange, inner: AbortSignal): Promise<MemberInfo> {
    checkLeader()
    const { membership, lastIndex } = config.raft()
    const infos = memberInfos(membership, peers)
    const existing = infos.find(info =>
      change.kind === 'add' ? info.peer === change.peer : info.member === change.member,
    )
    const wanted = change.kind === 'promote' ? 'voter' : change.kind === 'demote' ? 'learner' : undefined
    if (existing !== undefined && (change.kind === 'add' || existing.role === wanted)) {
      // What is in effect may not be committed yet.
      using deadline = world.clock.deadline(requestTimeoutMs, inner)
      if (config.appliedIndex() < lastIndex) await indexes.wait(lastIndex, deadline.signal)
      return existing
    }
    if (change.kind === 'remove' && existing === undefined && membership.removed.includes(memberId(change.member))) {
      const peer = peers.get(memberId(change.member))
      if (peer !== undefined) return { member: change.member, peer, role: 'learner' }
    }
    const plan = planChange(change, membership, existing, () => hex(world.random.bytes(8)))
    // Before the proposal, so that the new member is spoken to as soon as the core does.
    if (change.kind === 'add') speech.know(memberId(plan.info.member), change.peer)
    const pending = changes.add(`${change.kind} a member; it may still happen`, deadlineMs(), inner)
    const context = encodePeers(plan.membership, peers)
    if (!inner.aborted) propose({ kind: 'proposeMembership', id: pending.id, change: plan.step, context })
    await pending.promise
    return plan.info
  }

  async function transferLeadership(inner: AbortSignal): Promise<void> {
    checkLeader()
    if (config.raft().membership.voters.length < 2) {
      throw new StoreError('unavailable', 'there is no other voter to hand over to')
    }
    const pending = transfers.add('a hand-over of leadership', deadlineMs(), inner)
    transferIds.push(pending.id)
    push({ kind: 'transfer', to: undefined, id: pending.id })
    await pending.promise
  }

  return { changeMembership, transferLeadership }
}
