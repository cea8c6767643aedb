// The leader's half of log replication: beginning a term, sending appends, counting answers, committing. Everything that
// a step changed is sent by one `flush` at its end, so that one step makes at most a window of appends per member.
import {
  append,
  batchFrom,
  between,
  bytesAt,
  entryBytes,
  lastIndex,
  lastNotAfterTerm,
  type Piece,
  termAt,
} from './log.ts'
import { inEffectSince, membershipAt, noteEntry } from './membership.ts'
import { acknowledge, becomeProbe, becomeReplicate, becomeSnapshot, createProgress, type Progress } from './progress.ts'
import { agreedByVoters, isVoter, type Lead, membership, type Raft } from './state.ts'
import type { Entry, Index, MemberId, Message, RaftConfig } from './types.ts'
import { addSent, hasRoom } from './window.ts'

/**
 * Begins with an empty entry: until it is committed the leader cannot know what is (Raft paper, section 8), and entries
 * of earlier terms are committed only by it (5.4.2).
 */
export function becomeLeader(raft: Raft): void {
  const last = lastIndex(raft.log)
  const lead: Lead = {
    first: last + 1,
    progress: new Map(),
    round: 0,
    heartbeatTicks: 0,
    broadcast: true,
    tellsCommit: false,
    uncommittedBytes: 0,
    promotion: undefined,
    arrivedReads: [],
    readBatches: [],
    transfer: undefined,
    fleesDisk: false,
  }
  raft.kind = 'leader'
  raft.leader = raft.config.self
  raft.lead = lead
  raft.votes = new Map()
  for (const entry of between(raft.log, raft.commit + 1, last)) lead.uncommittedBytes += entryBytes(entry)
  followMembership(raft, lead)
  appendOwn(raft, lead, { index: last + 1, term: raft.term, kind: 'empty' })
}

/** Appends to our own log; the flush sends it on. */
export function appendOwn(raft: Raft, lead: Lead, entry: Entry): void {
  append(raft.log, entry)
  lead.uncommittedBytes += entryBytes(entry)
  if (entry.kind !== 'membership') return
  noteEntry(raft.history, entry)
  followMembership(raft, lead)
}

/** Keeps a progress for every other member, and for a removed one until it can be told. */
function followMembership(raft: Raft, lead: Lead): void {
  const { voters, learners } = membership(raft)
  const members = new Set([...voters, ...learners])
  members.delete(raft.config.self)
  for (const member of members) {
    if (!lead.progress.has(member)) lead.progress.set(member, createProgress(lastIndex(raft.log), raft.nowTicks))
  }
  for (const [member, progress] of lead.progress) {
    if (!members.has(member)) progress.leaving ??= lastIndex(raft.log)
  }
}

export function onAppendAnswer(raft: Raft, lead: Lead, from: MemberId, message: AppendAnswer): void {
  const progress = lead.progress.get(from)
  if (progress === undefined || message.term !== raft.term || message.index > lastIndex(raft.log)) return
  if (forgot(progress, message)) noteLost(raft, from, progress, message.index)
  progress.heardAt = raft.nowTicks
  // Refused or not, it still follows us in this term.
  progress.acknowledged = Math.max(progress.acknowledged, message.round)
  if (message.accepted) {
    // A heartbeat's answer speaks of what is durable only, which may be less than where the probe found agreement.
    const agrees = progress.kind === 'probe' && message.index >= progress.next - 1
    acknowledge(progress, message.index, lead.round)
    const arrived = progress.kind === 'snapshot' && progress.match >= raft.log.base.index
    if (agrees || arrived) becomeReplicate(progress)
    return
  }
  if (progress.kind === 'snapshot' || message.round <= progress.since) return
  // Everything of the follower's conflicting term may be skipped (Raft paper, end of 5.3).
  const { base } = raft.log
  const agree = message.index < base.index ? undefined : lastNotAfterTerm(raft.log, message.index, message.conflictTerm)
  becomeProbe(progress, agree === undefined ? base.index : Math.min(agree + 1, progress.next), lead.round)
}

type AppendAnswer = Extract<Message, { kind: 'appendAnswer' }>

/**
 * Whether a refusal shows that the follower's disk lost what it had acknowledged: its log ends, or differs, before that.
 * Only a refusal of what was sent after the acknowledgement came, since messages may overtake each other. (What is
 * accepted may name a smaller index: only what is known to be durable already.)
 */
const forgot = ({ match, matchRound }: Progress, { accepted, index, round }: AppendAnswer): boolean =>
  !accepted && index < match && round > matchRound

/** It goes on receiving what is missing, so that the data is in as many places as possible, and counts for nothing. */
function noteLost(raft: Raft, member: MemberId, progress: Progress, has: Index): void {
  if (!progress.lost) raft.out.lostData.push({ member, acknowledged: progress.match, has })
  progress.lost = true
  progress.match = has
}

/** Commits what a majority has on disk, but only by counting an entry of the own term (Raft paper, 5.4.2, figure 8). */
export function advanceCommit(raft: Raft, lead: Lead): void {
  if (raft.commit === lastIndex(raft.log)) return
  const index = agreedByVoters(raft, lead, raft.log.durable, progress => progress.match)
  if (index <= raft.commit || termAt(raft.log, index) !== raft.term) return
  for (let at = raft.commit + 1; at <= index; at++) lead.uncommittedBytes -= bytesAt(raft.log, at)
  raft.commit = index
}

/** Sends to every member what it has not been sent yet, or a heartbeat. */
export function replicate(raft: Raft, lead: Lead): void {
  for (const [to, progress] of lead.progress) {
    if (progress.leaving === undefined) sendTo(raft, lead, to, progress)
    else if (progress.leaving > raft.commit) sendTo(raft, lead, to, progress)
    else {
      // A last append, so that a member that is up learns that it has been removed.
      if (progress.next > raft.log.base.index) sendAppend(raft, lead, to, progress, true)
      lead.progress.delete(to)
    }
  }
  lead.broadcast = false
  lead.tellsCommit = false
}

/** Some member that follows closely has not heard how far the log is committed. */
export function hasUntold({ commit }: Raft, lead: Lead): boolean {
  for (const progress of lead.progress.values())
    if (progress.kind === 'replicate' && isUntold(progress, commit)) return true
  return false
}

const isUntold = (progress: Progress, commit: Index): boolean => progress.toldCommit < Math.min(commit, progress.match)

function sendTo(raft: Raft, lead: Lead, to: MemberId, progress: Progress): void {
  const { log, config } = raft
  if (progress.kind !== 'snapshot' && progress.next <= log.base.index) startSnapshot(raft, to, progress)
  else if (progress.kind === 'replicate') {
    let sent = false
    const last = lastIndex(log)
    while (progress.next <= last && hasRoom(progress.window, config.inflightCountMax, inflightBytesMax(config))) {
      sendAppend(raft, lead, to, progress, true)
      sent = true
    }
    if (sent) return
    if (lead.broadcast) sendAppend(raft, lead, to, progress, false)
    else if (lead.tellsCommit || config.lazyCommit !== true) tellCommit(raft, to, progress)
  } else if (progress.kind === 'probe' && !progress.paused) {
    sendAppend(raft, lead, to, progress, true)
  } else if (lead.broadcast) {
    sendAppend(raft, lead, to, progress, false)
  }
}

/** So that the follower can apply at once what no later append is about to tell. If it is lost, a heartbeat tells it. */
function tellCommit(raft: Raft, to: MemberId, progress: Progress): void {
  if (!isUntold(progress, raft.commit)) return
  const index = Math.min(raft.commit, progress.match)
  progress.toldCommit = index
  raft.out.early.push({ to, message: { kind: 'commit', term: raft.term, index } })
}

const inflightBytesMax = (config: RaftConfig): number => config.inflightBytesMax ?? 8 * config.appendBytesMax

/** With entries from `next` on, or as a heartbeat, which also finds out whether appends before it were lost. */
function sendAppend(raft: Raft, lead: Lead, to: MemberId, progress: Progress, withEntries: boolean): void {
  const { log, config, term, commit } = raft
  const previousIndex = progress.kind === 'snapshot' ? log.base.index : progress.next - 1
  const previousTerm = termAt(log, previousIndex) ?? 0
  const { entries, bytes } = withEntries ? batchFrom(log, progress.next, config.appendBytesMax) : heartbeat
  const round = ++lead.round
  raft.out.early.push({ to, message: { kind: 'append', term, previousIndex, previousTerm, entries, commit, round } })
  const lastSent = previousIndex + entries.length
  if (progress.kind === 'probe') progress.paused = true
  if (progress.kind !== 'replicate') return
  progress.toldCommit = Math.max(progress.toldCommit, Math.min(commit, lastSent))
  if (entries.length === 0) return
  progress.next = lastSent + 1
  addSent(progress.window, lastSent, bytes)
}

const heartbeat: Piece = { entries: [], bytes: 0 }

function startSnapshot(raft: Raft, to: MemberId, progress: Progress): void {
  becomeSnapshot(progress)
  raft.out.sendSnapshot.push({ to, atLeast: raft.log.base.index })
  announceSnapshot(raft, to)
}

function announceSnapshot(raft: Raft, to: MemberId): void {
  const { index, term } = raft.log.base
  const snapshot = { index, term, membership: membershipAt(raft.history, index) }
  raft.out.early.push({ to, message: { kind: 'snapshot', term: raft.term, snapshot } })
}

/** Announcements may be lost, and so may the answer to an installed snapshot. */
export function tickSnapshots(raft: Raft, lead: Lead): void {
  const { electionTicks } = raft.config
  for (const [to, progress] of lead.progress) {
    if (progress.kind !== 'snapshot') continue
    progress.snapshotTicks++
    if (!progress.snapshotSent && progress.snapshotTicks % electionTicks === 0) announceSnapshot(raft, to)
    if (progress.snapshotSent && progress.snapshotTicks >= 2 * electionTicks) {
      becomeProbe(progress, raft.log.base.index + 1, lead.round)
    }
  }
}

/** The shell has sent the snapshot, or has failed to: then the next heartbeat tries again from the start. */
export function onSnapshotSent(raft: Raft, lead: Lead, to: MemberId, ok: boolean): void {
  const progress = lead.progress.get(to)
  if (progress === undefined || progress.kind !== 'snapshot') return
  if (ok) {
    progress.snapshotSent = true
    progress.snapshotTicks = 0
    return
  }
  becomeProbe(progress, raft.log.base.index + 1, lead.round)
  progress.paused = true
}

/** The connection to a member is gone: what was under way to it is probably lost, so stop pipelining. */
export function onMemberUnreachable(lead: Lead, member: MemberId): void {
  const progress = lead.progress.get(member)
  if (progress?.kind === 'replicate') becomeProbe(progress, progress.match + 1, lead.round)
}

/** A leader that is no longer a voter leads until that is committed, then no more (dissertation 4.2.2). */
export function isOut(raft: Raft): boolean {
  return !isVoter(raft) && inEffectSince(raft.history) <= raft.commit
}
