// The follower's half of replication: accepting a leader's entries, and snapshots in their place.
import { AssertionError, assert } from '../lib/assert.ts'
import { append, appendAll, compact, lastIndex, lastNotAfterTerm, reset, termAt, truncateFrom } from './log.ts'
import { compactHistory, membershipAt, noteEntry, rollBack } from './membership.ts'
import { becomeFollower, forgetLoss, type Raft, resetTimer } from './state.ts'
import type { Entry, Index, MemberId, Message, SnapshotMeta, Term } from './types.ts'

type Append = Extract<Message, { kind: 'append' }>

/** A message that only the leader of its term can have sent. False: it is of an old term. */
function hearLeader(raft: Raft, from: MemberId, message: { term: number }): boolean {
  const { term } = raft
  if (message.term < term) {
    // The sender may be kept from its office only by not knowing our term, after elections it did not hear of; silence
    // would leave it leading and us deaf to it (etcd-io/etcd#5451). No round is answered: the sender may lead our term by
    // now, and would take the round of its former office for one of this.
    const refusal = { kind: 'appendAnswer', term, accepted: false, index: 0, conflictTerm: 0, round: 0 } as const
    raft.out.late.push({ to: from, message: refusal })
    return false
  }
  const isOnly = message.term > term || raft.leader === undefined || raft.leader === from
  if (!isOnly) throw new AssertionError(`${from} leads term ${term}, and so does ${raft.leader}`)
  if (message.term > term || raft.kind !== 'follower' || raft.leader !== from) becomeFollower(raft, message.term, from)
  else if (raft.leaderLost) resetTimer(raft)
  // No new draw for each message: that is for after an election, where it keeps two from colliding again.
  raft.elapsedTicks = 0
  forgetLoss(raft)
  return true
}

export function onAppend(raft: Raft, from: MemberId, message: Append): void {
  if (!hearLeader(raft, from, message)) return
  const { entries, round } = message
  const matched = takeEntries(raft, message)
  if (matched === undefined) {
    refuse(raft, from, message)
    return
  }
  raft.commit = Math.max(raft.commit, Math.min(message.commit, matched))
  if (entries.length > 0) answerAccepted(raft, from, matched, round)
  else answerHeartbeat(raft, from, matched, round)
}

type Piece = { readonly previousIndex: Index; readonly previousTerm: Term; readonly entries: readonly Entry[] }

/** Gives the last index where the logs agree now; undefined where they do not agree at the previous index. */
export function takeEntries(raft: Raft, { previousIndex, previousTerm, entries }: Piece): Index | undefined {
  const { log, commit } = raft
  // What is committed here is the same there: a late message that begins before it is taken from there on.
  if (previousIndex < commit) {
    acceptEntries(raft, entries.slice(commit - previousIndex))
    return Math.max(commit, previousIndex + entries.length)
  }
  if (termAt(log, previousIndex) !== previousTerm) return undefined
  acceptEntries(raft, entries)
  return previousIndex + entries.length
}

/** The leader knows from our own answers, in this term, that our log agrees with its log up to there. */
export function onCommit(raft: Raft, from: MemberId, message: Extract<Message, { kind: 'commit' }>): void {
  if (!hearLeader(raft, from, message)) return
  raft.commit = Math.max(raft.commit, Math.min(message.index, lastIndex(raft.log)))
}

/**
 * A heartbeat brings nothing to save, so its answer does not wait for a disk that is slow: newest reads and the leader's
 * check for a majority depend on it. It promises what is known to be durable; what is on its way follows when it is.
 */
function answerHeartbeat(raft: Raft, to: MemberId, matched: Index, round: number): void {
  const { term, log, out } = raft
  const index = Math.min(matched, log.durable)
  out.early.push({ to, message: { kind: 'appendAnswer', term, accepted: true, index, conflictTerm: 0, round } })
  if (index < matched) answerAccepted(raft, to, matched, round)
}

/** A late message must not truncate what a newer one brought: only a conflict does (Raft paper, figure 2). */
function acceptEntries(raft: Raft, entries: readonly Entry[]): void {
  const { log, history, commit } = raft
  const [first] = entries
  if (first !== undefined && first.index === lastIndex(log) + 1) {
    appendAll(log, entries)
    for (const entry of entries) noteEntry(history, entry)
    return
  }
  for (const entry of entries) {
    const here = termAt(log, entry.index)
    if (here === entry.term) continue
    if (here !== undefined) {
      assert(entry.index > commit, `a leader contradicts the committed entry ${entry.index}`)
      truncateFrom(log, entry.index, raft.term)
      rollBack(history, entry.index)
    }
    append(log, entry)
    noteEntry(history, entry)
  }
}

function answerAccepted(raft: Raft, to: MemberId, index: Index, round: number): void {
  const { term } = raft
  raft.out.late.push({ to, message: { kind: 'appendAnswer', term, accepted: true, index, conflictTerm: 0, round } })
}

/** Where the logs may still agree: at the end of ours, or before all that is later than the other's entry there. */
export function conflictHint({ log }: Raft, { previousIndex, previousTerm }: Piece): Index {
  const end = lastIndex(log)
  return previousIndex > end ? end : (lastNotAfterTerm(log, previousIndex - 1, previousTerm) ?? log.base.index)
}

function refuse(raft: Raft, to: MemberId, message: Append): void {
  const { log, term } = raft
  const index = conflictHint(raft, message)
  const conflictTerm = termAt(log, index) ?? 0
  raft.out.late.push({
    to,
    message: { kind: 'appendAnswer', term, accepted: false, index, conflictTerm, round: message.round },
  })
}

/**
 * Whether this snapshot brings us on. One whose last entry is in our log does not: dropping the entries after it would
 * forget what we have promised to the leader (Raft paper, figure 13, step 6). The shell asks again just before it
 * replaces its state, without a step between that and `installed`.
 */
export function wantsSnapshot(raft: Raft, snapshot: SnapshotMeta): boolean {
  return snapshot.index > raft.commit && termAt(raft.log, snapshot.index) !== snapshot.term
}

export function onSnapshot(raft: Raft, from: MemberId, message: Extract<Message, { kind: 'snapshot' }>): void {
  if (!hearLeader(raft, from, message)) return
  const { snapshot } = message
  if (wantsSnapshot(raft, snapshot)) {
    raft.out.fetchSnapshot = { from, snapshot }
    return
  }
  raft.commit = Math.max(raft.commit, snapshot.index)
  answerAccepted(raft, from, raft.commit, 0)
}

/** The disk holds the snapshot now and nothing after it. */
export function onInstalled(raft: Raft, snapshot: SnapshotMeta): void {
  assert(wantsSnapshot(raft, snapshot), `installed a snapshot at ${snapshot.index} that was not wanted`)
  const { index, term, membership } = snapshot
  // It may come before any message of its term.
  if (term > raft.term) becomeFollower(raft, term, undefined)
  reset(raft.log, snapshot, raft.term)
  raft.savingSince = undefined
  // The snapshot's membership, not ours: keeping ours made disjoint majorities elsewhere (openraft#1808).
  raft.history.splice(0, raft.history.length, { index, membership })
  raft.commit = index
  raft.emitted = index
  raft.applied = index
  if (raft.leader !== undefined && raft.lead === undefined) answerAccepted(raft, raft.leader, index, 0)
}

export function onCompacted(raft: Raft, snapshot: SnapshotMeta): void {
  assert(snapshot.index <= raft.emitted, `compacted ${snapshot.index}, which is not committed`)
  compact(raft.log, snapshot.index)
  compactHistory(raft.history, snapshot.index)
}

/** What a snapshot of the state at `index` says of itself. `index` is not compacted away. */
export function snapshotMeta(raft: Raft, index: Index): SnapshotMeta {
  const term = termAt(raft.log, index)
  assert(term !== undefined, `no entry at ${index} to make a snapshot of`)
  return { index, term, membership: membershipAt(raft.history, index) }
}
