// A leader's time and its proposals: heartbeats, the check that a majority still hears it, hand-over, and what may be
// appended. Replication itself is replication.ts.
import { entryBytes, lastIndex } from './log.ts'
import { change, inEffectSince } from './membership.ts'
import { flushLeaderReads } from './read.ts'
import { advanceCommit, appendOwn, isOut, leave, mostCaughtUp, replicate, tickSnapshots } from './replication.ts'
import { agreedByVoters, becomeFollower, type Lead, membership, type Raft } from './state.ts'
import type { Entry, MemberId, RaftEvent, Refusal } from './types.ts'

export function tickLeader(raft: Raft, lead: Lead): void {
  const { electionTicks, heartbeatTicks } = raft.config
  // CheckQuorum (dissertation 6.2): a leader that no majority answers stops pretending.
  const heardAt = agreedByVoters(raft, lead, raft.nowTicks, progress => progress.heardAt)
  if (raft.nowTicks - heardAt > electionTicks) {
    becomeFollower(raft, raft.term, undefined)
    return
  }
  tickSnapshots(raft, lead)
  tickTransfer(raft, lead)
  lead.heartbeatTicks++
  if (lead.heartbeatTicks < heartbeatTicks) return
  lead.heartbeatTicks = 0
  lead.broadcast = true
  lead.commitAtHeartbeat = [lead.commitAtHeartbeat[1], Math.max(raft.commit, lead.first)]
  if (lead.transfer !== undefined) lead.transfer.asked = false
  for (const progress of lead.progress.values()) progress.paused = false
}

export function onPropose(raft: Raft, event: Extract<RaftEvent, { kind: 'propose' }>): void {
  const { lead, out, term } = raft
  const { id, command } = event
  const why = lead === undefined ? 'not-leader' : lead.transfer !== undefined ? 'transferring' : undefined
  if (lead === undefined || why !== undefined) {
    out.refused.push({ id, why: why ?? 'not-leader' })
    return
  }
  const entry: Entry = { index: lastIndex(raft.log) + 1, term, kind: 'command', command }
  // One command of any size is let through when nothing waits: a bound must not be a wall.
  const isFull = lead.uncommittedBytes + entryBytes(entry) > raft.config.uncommittedBytesMax
  if (isFull && raft.commit < lastIndex(raft.log)) {
    out.refused.push({ id, why: 'overloaded' })
    return
  }
  appendOwn(raft, lead, entry)
  out.accepted.push({ id, index: entry.index, term })
}

export function onProposeMembership(raft: Raft, event: Extract<RaftEvent, { kind: 'proposeMembership' }>): void {
  const { lead, out, term } = raft
  const { id } = event
  const refuse = (why: Refusal) => out.refused.push({ id, why })
  if (lead === undefined) return void refuse('not-leader')
  if (lead.transfer !== undefined) return void refuse('transferring')
  advanceCommit(raft, lead)
  // Without an entry of our own term committed, two leaders could each change a different one of two memberships whose
  // majorities do not meet (erratum to dissertation 4.1).
  if (raft.commit < lead.first) return void refuse('no-entry-of-term')
  if (inEffectSince(raft.history) > raft.commit) return void refuse('change-in-flight')
  const result = change(membership(raft), event.change)
  if (result.kind === 'refused') return void refuse(result.why)
  if (event.change.kind === 'promote' && !hasCaughtUp(raft, lead, event.change.member)) {
    return void refuse('not-caught-up')
  }
  const index = lastIndex(raft.log) + 1
  appendOwn(raft, lead, { index, term, kind: 'membership', membership: result.membership, context: event.context })
  out.accepted.push({ id, index, term })
}

/** Within about a heartbeat of us, and answering: its vote will not hold up commits (dissertation 4.2.1). */
function hasCaughtUp(raft: Raft, lead: Lead, member: MemberId): boolean {
  const progress = lead.progress.get(member)
  if (progress === undefined || progress.kind !== 'replicate') return false
  const isHeard = raft.nowTicks - progress.heardAt <= raft.config.electionTicks
  return isHeard && progress.match >= lead.commitAtHeartbeat[0]
}

/** Leadership transfer (dissertation 3.10); to the most caught-up voter when the caller names none. */
export function onTransfer(raft: Raft, to: MemberId | undefined): void {
  const { lead } = raft
  if (lead === undefined || lead.transfer !== undefined) return
  const { self } = raft.config
  const target = to ?? mostCaughtUp(raft, lead, [])
  if (target === undefined || target === self || !membership(raft).voters.includes(target)) return
  lead.transfer = { to: target, anyone: to === undefined, tried: [target], ticks: 0, asked: false }
}

/** A target that does not take over in time (it is cut off, or a witness) must not stop writes for ever. */
function tickTransfer(raft: Raft, lead: Lead): void {
  const { transfer } = lead
  if (transfer === undefined) return
  transfer.ticks++
  if (transfer.ticks < raft.config.electionTicks) return
  const next = transfer.anyone ? mostCaughtUp(raft, lead, transfer.tried) : undefined
  if (next === undefined) {
    lead.transfer = undefined
    return
  }
  lead.transfer = { to: next, anyone: true, tried: [...transfer.tried, next], ticks: 0, asked: false }
}

/** The end of a leader's step: commit, answer reads, send. */
export function flushLeader(raft: Raft, lead: Lead): void {
  advanceCommit(raft, lead)
  flushLeaderReads(raft, lead)
  replicate(raft, lead)
  const { transfer } = lead
  if (transfer !== undefined && !transfer.asked) {
    const progress = lead.progress.get(transfer.to)
    if (progress?.match === lastIndex(raft.log)) {
      transfer.asked = true
      raft.out.early.push({ to: transfer.to, message: { kind: 'timeoutNow', term: raft.term } })
    }
  }
  if (isOut(raft)) leave(raft, lead)
}
