// A witness never campaigns, but it may be the only one left that has an entry which was committed with its help: then
// no candidate that lacks it may win, and nothing would ever be elected. So a witness that refuses a pre-vote because its
// own log is newer sends the candidate what it lacks.
//
// That a candidate may take entries from one that does not lead: say the witness's log W is newer than the candidate's C,
// by last term and then length. An entry of C that is committed, or will be with the help of C's answers, is in W: it is
// of W's last term, then both have it from that term's leader and W is the longer; or of an earlier one, then the leader
// of W's last term had it (leader completeness) before all that it wrote itself, and W agrees with that leader's log. So
// what C gives up where W contradicts it was promised to nobody, and then C is as new as W, which is what a vote asks for.
import { conflictHint, takeEntries } from './follow.ts'
import { batchFrom, lastIndex, lastNotAfterTerm, lastTerm, termAt } from './log.ts'
import { becomeFollower, membership, type Raft } from './state.ts'
import type { Index, MemberId, Message, Term } from './types.ts'

type Backfill = Extract<Message, { kind: 'backfill' }>

/** Sends `to`, whose log agrees with ours at most up to `index` of `term`, what follows, as much as fits. */
export function sendBackfill(raft: Raft, to: MemberId, index: Index, term: Term): void {
  const { log, config } = raft
  const previousIndex = lastNotAfterTerm(log, index, term)
  // Compacted away: it needs a snapshot, which only a leader gives.
  if (previousIndex === undefined) return
  const { entries } = batchFrom(log, previousIndex + 1, config.appendBytesMax)
  if (entries.length === 0) return
  const previousTerm = termAt(log, previousIndex) ?? 0
  const last = { lastIndex: lastIndex(log), lastTerm: lastTerm(log) }
  const message = { kind: 'backfill', term: raft.term, previousIndex, previousTerm, entries, ...last } as const
  raft.out.early.push({ to, message })
}

/** True: we have all of it now, and may ask for votes again. */
export function takeBackfill(raft: Raft, from: MemberId, message: Backfill): boolean {
  if (raft.lead !== undefined || raft.leader !== undefined || !membership(raft).voters.includes(from)) return false
  const { log } = raft
  const isNewer =
    message.lastTerm > lastTerm(log) || (message.lastTerm === lastTerm(log) && message.lastIndex > lastIndex(log))
  if (!isNewer) return false
  if (message.term > raft.term) becomeFollower(raft, message.term, undefined)
  const matched = takeEntries(raft, message)
  if (matched !== undefined && matched >= message.lastIndex) return true
  ask(raft, from, matched ?? conflictHint(raft, message))
  return false
}

function ask(raft: Raft, to: MemberId, index: Index): void {
  const conflictTerm = termAt(raft.log, index) ?? 0
  raft.out.early.push({ to, message: { kind: 'backfillAnswer', term: raft.term, index, conflictTerm } })
}
