// Leadership transfer (dissertation 3.10): the leader stops taking proposals, brings the successor up to date and tells
// it to campaign at once. When nothing comes of it within an election time-out, another is asked where the choice is
// ours, and at last the caller is told why it failed and proposals are taken again. Also for a leader whose own disk
// hangs: others can commit without it, but it can keep nothing.
import { lastIndex } from './log.ts'
import { isWitness, othersMayLead } from './membership.ts'
import { becomeFollower, isDiskHung, isHeard, type Lead, membership, type Raft } from './state.ts'
import type { MemberId, Refusal } from './types.ts'

export function onTransfer(raft: Raft, to: MemberId | undefined, id: number | undefined): void {
  const { lead } = raft
  const ids = id === undefined ? [] : [id]
  const refuse = (why: Refusal) => tell(raft, ids, why)
  if (lead === undefined) return void refuse('not-leader')
  const { transfer } = lead
  if (transfer !== undefined) {
    if (to === undefined || to === transfer.to) transfer.ids.push(...ids)
    else refuse('transferring')
    return
  }
  if (to === undefined) {
    if (!startTransfer(raft, lead, ids)) refuse('no-successor')
    return
  }
  const why = whyNot(raft, lead, to)
  if (why !== undefined) return void refuse(why)
  lead.transfer = { to, anyone: false, tried: [to], ids, ticks: 0, asked: false }
}

function tell(raft: Raft, ids: readonly number[], why: Refusal): void {
  for (const id of ids) raft.out.refused.push({ id, why })
}

function whyNot(raft: Raft, lead: Lead, to: MemberId): Refusal | undefined {
  const now = membership(raft)
  if (to === raft.config.self) return 'already-member'
  if (!now.voters.includes(to)) return 'not-a-voter'
  if (isWitness(now, to)) return 'witness'
  const progress = lead.progress.get(to)
  return progress === undefined || !isHeard(raft, progress) ? 'unreachable' : undefined
}

/** To whom we choose. False: there is nobody. */
function startTransfer(raft: Raft, lead: Lead, ids: number[]): boolean {
  const to = mostCaughtUp(raft, lead, [])
  if (to !== undefined) lead.transfer = { to, anyone: true, tried: [to], ids, ticks: 0, asked: false }
  return to !== undefined
}

/** The voter whose log is the newest among those that may lead and were heard lately, `except` some. */
export function mostCaughtUp(raft: Raft, lead: Lead, except: readonly MemberId[]): MemberId | undefined {
  const now = membership(raft)
  let best: MemberId | undefined
  let bestMatch = -1
  for (const member of now.voters) {
    const progress = lead.progress.get(member)
    if (progress === undefined || progress.lost || except.includes(member) || isWitness(now, member)) continue
    if (!isHeard(raft, progress) || progress.match <= bestMatch) continue
    best = member
    bestMatch = progress.match
  }
  return best
}

/** A successor that does not take over in time (it is cut off, its disk hangs) must not stop writes for ever. */
export function tickTransfer(raft: Raft, lead: Lead): void {
  const { transfer } = lead
  if (transfer === undefined) return
  transfer.ticks++
  if (transfer.ticks < raft.config.electionTicks) return
  const { ids, tried } = transfer
  const next = transfer.anyone ? mostCaughtUp(raft, lead, tried) : undefined
  if (next !== undefined) {
    lead.transfer = { to: next, anyone: true, tried: [...tried, next], ids, ticks: 0, asked: false }
    return
  }
  lead.transfer = undefined
  const isBehind = (lead.progress.get(transfer.to)?.match ?? 0) < lastIndex(raft.log)
  tell(raft, ids, isBehind ? 'not-caught-up' : 'timed-out')
}

/** Asked again after each heartbeat, because the message may be lost. */
export function flushTransfer(raft: Raft, lead: Lead): void {
  const { transfer } = lead
  if (transfer === undefined || transfer.asked) return
  if (lead.progress.get(transfer.to)?.match !== lastIndex(raft.log)) return
  transfer.asked = true
  raft.out.early.push({ to: transfer.to, message: { kind: 'timeoutNow', term: raft.term } })
}

/**
 * Hands over when our own disk hangs, or steps down when nobody takes over. Where nobody else may lead, that would help
 * nobody.
 */
export function tickDisk(raft: Raft, lead: Lead): void {
  if (!isDiskHung(raft) || !othersMayLead(membership(raft), raft.config.self)) {
    lead.fleesDisk = false
    return
  }
  if (lead.transfer !== undefined) return
  const isFirst = !lead.fleesDisk
  lead.fleesDisk = true
  if (isFirst && startTransfer(raft, lead, [])) return
  becomeFollower(raft, raft.term, undefined)
}

/** Hands over as far as possible, then follows whoever comes. */
export function leave(raft: Raft, lead: Lead): void {
  const successor = mostCaughtUp(raft, lead, [])
  if (successor !== undefined) raft.out.early.push({ to: successor, message: { kind: 'timeoutNow', term: raft.term } })
  becomeFollower(raft, raft.term, undefined)
}
