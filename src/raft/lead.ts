// A leader's time and its proposals: heartbeats, the check that a majority still hears it, and what may be appended.
// Replication itself is replication.ts, changes of membership promotion.ts, handing over transfer.ts.
import { entryBytes, lastIndex } from './log.ts'
import { flushPromotion } from './promotion.ts'
import { flushLeaderReads } from './read.ts'
import { advanceCommit, appendOwn, isOut, replicate, tickSnapshots } from './replication.ts'
import { agreedByVoters, becomeFollower, type Lead, type Raft } from './state.ts'
import { flushTransfer, leave, tickDisk, tickTransfer } from './transfer.ts'
import type { Entry, RaftEvent } from './types.ts'

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
  tickDisk(raft, lead)
  lead.heartbeatTicks++
  if (lead.heartbeatTicks < heartbeatTicks) return
  lead.heartbeatTicks = 0
  lead.broadcast = true
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

/** The end of a leader's step: commit, answer reads, send. */
export function flushLeader(raft: Raft, lead: Lead): void {
  advanceCommit(raft, lead)
  flushPromotion(raft, lead)
  flushLeaderReads(raft, lead)
  replicate(raft, lead)
  flushTransfer(raft, lead)
  if (isOut(raft)) leave(raft, lead)
}
