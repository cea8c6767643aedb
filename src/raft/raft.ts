// Consensus over opaque bytes: events in, effects out; no clock, no disk, no network. Called by store/run.ts and by the
// simulator in test/sim. The caller may step on while saves are under way, if it keeps three rules: saves reach the disk
// in order; a step's `send` waits for its save and for all before it; while a save with a new term or vote is not done,
// `sendEarly` waits like `send`. What is committed may be applied at once: it is on the disks of a majority.
// After Ongaro and Ousterhout 2014 ("Raft paper") and Ongaro's dissertation of 2014, with pre-vote, check-quorum and
// leader stickiness always on.
import { unreachable } from '../lib/assert.ts'
import {
  campaign,
  hurry,
  loseLeader,
  onBackfill,
  onBackfillAnswer,
  onVoteAnswer,
  onVoteRequest,
  tickElection,
} from './election.ts'
import { onAppend, onCommit, onCompacted, onInstalled, onSnapshot } from './follow.ts'
import { flushLeader, onPropose, tickLeader } from './lead.ts'
import { lastIndex } from './log.ts'
import { onProposeMembership } from './promotion.ts'
import { flushForwards, onRead, onReadIndex, onReadIndexAnswer, tickForwards } from './read.ts'
import { hasUntold, onAppendAnswer, onMemberUnreachable, onSnapshotSent } from './replication.ts'
import { becomeFollower, committedMembership, finish, membership, noteDurable, type Raft, role } from './state.ts'
import { onTransfer } from './transfer.ts'
import type { Effects, Index, MemberId, Membership, Message, RaftEvent, Role, Term } from './types.ts'

export { snapshotMeta, wantsSnapshot } from './follow.ts'
export { createRaft, type Raft } from './state.ts'

/** Takes all events in order, then says what is to be done. Changes `raft`. */
export function step(raft: Raft, events: readonly RaftEvent[]): Effects {
  for (const event of events) handle(raft, event)
  flushForwards(raft)
  if (raft.lead !== undefined) flushLeader(raft, raft.lead)
  return finish(raft, raft.lead !== undefined && hasUntold(raft, raft.lead))
}

function handle(raft: Raft, event: RaftEvent): void {
  switch (event.kind) {
    case 'tick':
      raft.nowTicks++
      tickForwards(raft)
      if (raft.lead === undefined) tickElection(raft)
      else tickLeader(raft, raft.lead)
      break
    case 'message':
      onMessage(raft, event.from, event.message)
      break
    case 'propose':
      onPropose(raft, event)
      break
    case 'proposeMembership':
      onProposeMembership(raft, event)
      break
    case 'read':
      onRead(raft, event.id)
      break
    case 'durable':
      noteDurable(raft, event.index, event.term)
      break
    case 'applied':
      raft.applied = Math.max(raft.applied, event.index)
      break
    case 'compacted':
      onCompacted(raft, event.snapshot)
      break
    case 'installed':
      onInstalled(raft, event.snapshot)
      break
    case 'snapshotSent':
      if (raft.lead !== undefined) onSnapshotSent(raft, raft.lead, event.to, event.ok)
      break
    case 'unreachable':
      if (raft.lead !== undefined) onMemberUnreachable(raft.lead, event.member)
      loseLeader(raft, event.member)
      break
    case 'campaign':
      hurry(raft)
      break
    case 'tellCommit':
      if (raft.lead !== undefined) raft.lead.tellsCommit = true
      break
    case 'transfer':
      onTransfer(raft, event.to, event.id)
      break
    default:
      unreachable(event)
  }
}

function onMessage(raft: Raft, from: MemberId, message: Message): void {
  // Our own name on a message of another is a mistake in addressing; counting it would be counting ourselves twice.
  if (from === raft.config.self || isBanned(raft, from)) return
  switch (message.kind) {
    case 'preVote':
    case 'vote':
      onVoteRequest(raft, from, message)
      break
    case 'append':
      onAppend(raft, from, message)
      break
    case 'commit':
      onCommit(raft, from, message)
      break
    case 'snapshot':
      onSnapshot(raft, from, message)
      break
    case 'preVoteAnswer':
    case 'voteAnswer':
      if (!(message.kind === 'preVoteAnswer' && message.granted)) hearTerm(raft, from, message.term)
      onVoteAnswer(raft, from, message)
      break
    case 'appendAnswer':
      hearTerm(raft, from, message.term)
      if (raft.lead !== undefined) onAppendAnswer(raft, raft.lead, from, message)
      break
    case 'readIndex':
      onReadIndex(raft, from, message)
      break
    case 'readIndexAnswer':
      onReadIndexAnswer(raft, message)
      break
    case 'backfill':
      onBackfill(raft, from, message)
      break
    case 'backfillAnswer':
      onBackfillAnswer(raft, from, message)
      break
    case 'timeoutNow':
      if (message.term === raft.term && raft.leader === from) campaign(raft, true)
      break
    default:
      unreachable(message)
  }
}

/**
 * A member whose removal is committed is never heard again, also not after a restart or a snapshot, which both bring
 * the list along (dissertation 4.2.3; an ID is used once, etcd-io/raft, doc.go). The leader that removed itself is
 * heard until its office ends: its last message hands over.
 */
function isBanned(raft: Raft, from: MemberId): boolean {
  return from !== raft.leader && committedMembership(raft).removed.includes(from)
}

/** An answer of a later term deposes us, unless it comes from one that is not a member (any more). */
function hearTerm(raft: Raft, from: MemberId, term: Term): void {
  if (term <= raft.term) return
  const { voters, learners } = membership(raft)
  if (raft.lead !== undefined && !voters.includes(from) && !learners.includes(from)) return
  becomeFollower(raft, term, undefined)
}

export type RaftStatus = {
  readonly role: Role
  readonly vote: MemberId | undefined
  readonly commit: Index
  readonly applied: Index
  readonly durable: Index
  readonly lastIndex: Index
  readonly base: { readonly index: Index; readonly term: Term }
  readonly membership: Membership
  /** On the leader: how far each member's log is known to match. */
  readonly match: Readonly<Record<string, Index>>
  /** On the leader: members that have less than they acknowledged as durable. */
  readonly lost: readonly MemberId[]
}

/** For people and for tests. */
export function status(raft: Raft): RaftStatus {
  const { vote, commit, applied, log, lead } = raft
  const match: Record<string, Index> = {}
  const lost: MemberId[] = []
  if (lead !== undefined) {
    match[raft.config.self] = log.durable
    for (const [member, progress] of lead.progress) {
      match[member] = progress.match
      if (progress.lost) lost.push(member)
    }
  }
  return {
    role: role(raft),
    vote,
    commit,
    applied,
    durable: log.durable,
    lastIndex: lastIndex(log),
    base: log.base,
    membership: membership(raft),
    match,
    lost,
  }
}
