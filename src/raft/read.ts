// Newest reads by ReadIndex (dissertation 6.4): the commit index at the read's arrival may be answered once a majority
// has answered a round of appends that began after it. No clock is trusted. Followers and learners ask the leader.
import { agreedByVoters, forward, type Lead, type Raft, type ReadRequest } from './state.ts'
import type { Index, MemberId, Message } from './types.ts'

export function onRead(raft: Raft, id: number): void {
  if (raft.lead === undefined) forward(raft, [id])
  else raft.lead.arrivedReads.push({ id, from: undefined })
}

export function onReadIndex(raft: Raft, from: MemberId, message: Extract<Message, { kind: 'readIndex' }>): void {
  const { lead } = raft
  // Not the leader: no answer, and the member asks whoever leads at its next try.
  if (lead === undefined || lead.arrivedReads.some(read => read.id === message.id && read.from === from)) return
  lead.arrivedReads.push({ id: message.id, from })
}

export function onReadIndexAnswer(raft: Raft, message: Extract<Message, { kind: 'readIndexAnswer' }>): void {
  const { index } = message
  const found = raft.forwards.find(one => one.wire === message.id)
  if (found === undefined || index === undefined) return
  raft.forwards = raft.forwards.filter(one => one !== found)
  for (const id of found.ids) raft.out.reads.push({ id, index })
}

/** Asks again in case something was lost; gives up after a time in which a leader should have come. */
export function tickForwards(raft: Raft): void {
  if (raft.forwards.length === 0) return
  const { heartbeatTicks, electionTicks } = raft.config
  const ageTicksMax = 4 * electionTicks
  for (const one of raft.forwards) {
    one.ageTicks++
    if (one.ageTicks % (2 * heartbeatTicks) === 0) one.asked = undefined
    if (one.ageTicks >= ageTicksMax) for (const id of one.ids) raft.out.reads.push({ id, index: undefined })
  }
  raft.forwards = raft.forwards.filter(one => one.ageTicks < ageTicksMax)
}

export function flushForwards(raft: Raft): void {
  const { leader, term, lead } = raft
  if (lead !== undefined) {
    // Elected meanwhile: they are our own to answer.
    for (const one of raft.forwards) for (const id of one.ids) lead.arrivedReads.push({ id, from: undefined })
    raft.forwards = []
    return
  }
  if (leader === undefined) return
  for (const one of raft.forwards) {
    if (one.asked === leader) continue
    one.asked = leader
    raft.out.early.push({ to: leader, message: { kind: 'readIndex', term, id: one.wire } })
  }
}

/** All reads of a step share one round. They wait while nothing of the leader's own term is committed (section 8). */
export function flushLeaderReads(raft: Raft, lead: Lead): void {
  if (lead.arrivedReads.length > 0 && raft.commit >= lead.first) {
    lead.readBatches.push({ index: raft.commit, round: lead.round + 1, requests: lead.arrivedReads })
    lead.arrivedReads = []
    lead.broadcast = true
  }
  if (lead.readBatches.length === 0) return
  const confirmed = agreedByVoters(raft, lead, Number.POSITIVE_INFINITY, progress => progress.acknowledged)
  const open = lead.readBatches.findIndex(batch => batch.round > confirmed)
  const done = lead.readBatches.splice(0, open < 0 ? lead.readBatches.length : open)
  for (const { index, requests } of done) for (const request of requests) answer(raft, request, index)
}

function answer(raft: Raft, { id, from }: ReadRequest, index: Index): void {
  if (from === undefined) raft.out.reads.push({ id, index })
  else raft.out.early.push({ to: from, message: { kind: 'readIndexAnswer', term: raft.term, id, index } })
}
