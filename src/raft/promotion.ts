// Changes of membership as the leader proposes them: one at a time, never before it has committed in its own term, and a
// learner becomes a voter only when it keeps up. That is found out in rounds (dissertation 4.2.1): a round is over when
// the learner has all that was in the log when the round began; when a round took less than an election time-out, its
// vote will not hold up commits for longer than that. After ten such rounds it is too slow. A voter goes only where those
// that stay and answer are a majority: else the change itself could not be committed, and nothing after it (what etcd
// calls a strict reconfiguration check).
import { lastIndex } from './log.ts'
import { change, inEffectSince } from './membership.ts'
import { majority } from './quorum.ts'
import { appendOwn } from './replication.ts'
import { isHeard, type Lead, membership, type Raft } from './state.ts'
import type { MemberId, RaftEvent, Refusal } from './types.ts'

const roundsMax = 10
/** In election time-outs. A learner that is further behind is asked for again when it is nearer. */
const roundLengthMax = 10

type Proposal = Extract<RaftEvent, { kind: 'proposeMembership' }>

export function onProposeMembership(raft: Raft, event: Proposal): void {
  const { lead } = raft
  const why = lead === undefined ? 'not-leader' : whyNot(raft, lead, event)
  if (lead === undefined || why !== undefined) {
    raft.out.refused.push({ id: event.id, why: why ?? 'not-leader' })
    return
  }
  const { id, change: step, context } = event
  if (step.kind !== 'promote') return void appendChange(raft, lead, event)
  lead.promotion = { id, change: step, context, target: lastIndex(raft.log), startedAt: raft.nowTicks, round: 1 }
}

function whyNot(raft: Raft, lead: Lead, { change: step }: Proposal): Refusal | undefined {
  if (lead.transfer !== undefined) return 'transferring'
  // Without this two leaders could each be half-way through a change of their own (erratum to dissertation 4.1).
  if (raft.commit < lead.first) return 'no-entry-of-term'
  if (inEffectSince(raft.history) > raft.commit) return 'change-in-flight'
  const result = change(membership(raft), step)
  if (result.kind === 'refused') return result.why
  if (step.kind !== 'promote') return isCommittable(raft, lead, result.membership.voters) ? undefined : 'no-quorum'
  if (lead.promotion !== undefined) return 'change-in-flight'
  const progress = lead.progress.get(step.member)
  return progress !== undefined && isHeard(raft, progress) ? undefined : 'unreachable'
}

function isCommittable(raft: Raft, lead: Lead, voters: readonly MemberId[]): boolean {
  const answering = voters.filter(voter => {
    const progress = lead.progress.get(voter)
    return voter === raft.config.self || (progress !== undefined && !progress.lost && isHeard(raft, progress))
  })
  return answering.length >= majority(voters.length)
}

function appendChange(raft: Raft, lead: Lead, { id, change: step, context }: Omit<Proposal, 'kind'>): void {
  const result = change(membership(raft), step)
  if (result.kind === 'refused') {
    raft.out.refused.push({ id, why: result.why })
    return
  }
  const index = lastIndex(raft.log) + 1
  appendOwn(raft, lead, { index, term: raft.term, kind: 'membership', membership: result.membership, context })
  raft.out.accepted.push({ id, index, term: raft.term })
}

/** In each step of a leader, before it sends. */
export function flushPromotion(raft: Raft, lead: Lead): void {
  const { promotion } = lead
  if (promotion === undefined) return
  const refuse = (why: Refusal) => {
    lead.promotion = undefined
    raft.out.refused.push({ id: promotion.id, why })
  }
  const progress = lead.progress.get(promotion.change.member)
  if (progress === undefined || !isHeard(raft, progress)) return void refuse('unreachable')
  if (progress.lost) return void refuse('not-caught-up')
  // Leadership is leaving, or another change came first; that one is waited for.
  if (lead.transfer !== undefined) return void refuse('transferring')
  if (inEffectSince(raft.history) > raft.commit) return

  const { electionTicks } = raft.config
  const tookTicks = raft.nowTicks - promotion.startedAt
  if (progress.match < promotion.target) {
    if (tookTicks > roundLengthMax * electionTicks) refuse('not-caught-up')
    return
  }
  if (tookTicks < electionTicks) {
    lead.promotion = undefined
    appendChange(raft, lead, promotion)
  } else if (promotion.round >= roundsMax) refuse('not-caught-up')
  else {
    promotion.round++
    promotion.target = lastIndex(raft.log)
    promotion.startedAt = raft.nowTicks
  }
}
