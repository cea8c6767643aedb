// Which peer each member is. The replicated membership is the one store of it: every membership entry, and every
// snapshot, carries the peers of its members as context. What was once known is kept while the process runs, so that a
// member on its way out is still answered.

import { type MemberInfo, type MembershipChange, StoreError } from '../kv/store.ts'
import { ByteReader, ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { type MemberId, type Membership, type MembershipStep, memberId } from '../raft/types.ts'
import { type PeerId, peerId } from '../world/network.ts'

export type Peers = ReadonlyMap<MemberId, PeerId>

/** The peers of all voters and learners; members whose peer is not known are left out. */
export function encodePeers(membership: Membership, peers: Peers): Bytes {
  const known = [...membership.voters, ...membership.learners].flatMap(member => {
    const peer = peers.get(member)
    return peer === undefined ? [] : [[member, peer] as const]
  })
  const out = new ByteWriter(known.length * 80 + 8)
  out.varint(known.length)
  for (const [member, peer] of known) {
    out.text(member)
    out.text(peer)
  }
  return out.finish()
}

/** Empty when the bytes are none of ours. */
export function decodePeers(bytes: Bytes): Peers {
  const input = new ByteReader(bytes)
  const peers = new Map<MemberId, PeerId>()
  for (let i = input.count(8); i > 0 && input.ok; i--) {
    const member = memberId(input.text())
    const peer = input.text()
    if (peer !== '') peers.set(member, peerId(peer))
  }
  return input.done ? peers : new Map()
}

/** Members in order of role, then ID; a member whose peer is not known yet is left out. */
export function memberInfos(membership: Membership, peers: Peers): MemberInfo[] {
  const infos = (members: readonly MemberId[], role: MemberInfo['role']): MemberInfo[] =>
    members.flatMap(member => {
      const peer = peers.get(member)
      return peer === undefined ? [] : [{ member, peer, role }]
    })
  return [...infos(membership.voters, 'voter'), ...infos(membership.learners, 'learner')]
}

export type ChangePlan = {
  readonly step: MembershipStep
  /** Whose peers the entry must name. */
  readonly membership: Membership
  /** The member as it will be; for 'remove', as it was. */
  readonly info: MemberInfo
}

/** What to propose for a change; `existing` is the member that it is about. Throws StoreError 'refused'. */
export function planChange(
  change: MembershipChange,
  membership: Membership,
  existing: MemberInfo | undefined,
  freshId: () => string,
): ChangePlan {
  if (change.kind === 'add') {
    const member = freshId()
    return {
      step: { kind: 'addLearner', member: memberId(member), ...(change.witness === true && { witness: true }) },
      membership: { ...membership, learners: [...membership.learners, memberId(member)] },
      info: { member, peer: change.peer, role: 'learner' },
    }
  }
  if (existing === undefined) throw new StoreError('refused', `there is no member ${change.member} in this cluster`)
  const role = change.kind === 'promote' ? 'voter' : change.kind === 'demote' ? 'learner' : existing.role
  return { step: { kind: change.kind, member: memberId(change.member) }, membership, info: { ...existing, role } }
}
