// Elections: pre-votes, votes, and who is not listened to. A pre-vote asks whether a campaign could win before any term
// changes (dissertation 9.6); stickiness ignores campaigns while a leader is heard (dissertation 4.2.3).
import { sendBackfill, takeBackfill } from './backfill.ts'
import { lastIndex, lastTerm } from './log.ts'
import { isWitness } from './membership.ts'
import { tally } from './quorum.ts'
import { becomeLeader } from './replication.ts'
import {
  becomeFollower,
  committedMembership,
  forgetLoss,
  isDiskHung,
  isVoter,
  membership,
  type PreVote,
  type Raft,
  resetTimer,
} from './state.ts'
import type { Index, MemberId, Message, Term } from './types.ts'

type VoteRequest = Extract<Message, { kind: 'vote' | 'preVote' }>
type VoteAnswer = Extract<Message, { kind: 'voteAnswer' | 'preVoteAnswer' }>

/** One tick of everyone but the leader. */
export function tickElection(raft: Raft): void {
  raft.elapsedTicks++
  if (raft.elapsedTicks < raft.timeoutTicks) return
  raft.leader = undefined
  if (mayCampaign(raft)) startPreVote(raft)
  else if (raft.kind !== 'follower') becomeFollower(raft, raft.term, undefined)
}

/**
 * A witness only votes, learners have no vote to campaign with. A voter that is taken out by an entry that is not yet
 * committed may be the only one with the newest log, so it is still needed (dissertation 4.2.2). One whose disk hangs
 * could not even make its own vote durable.
 */
function mayCampaign(raft: Raft): boolean {
  if (isSelfWitness(raft) || isDiskHung(raft)) return false
  return isVoter(raft) || committedMembership(raft).voters.includes(raft.config.self)
}

const isSelfWitness = (raft: Raft): boolean => raft.config.witness || isWitness(membership(raft), raft.config.self)

/**
 * Our connection to `member` is gone. If it leads, do not wait for the time-out: whoever asked before we knew is
 * answered, and the shell's `campaign` is awaited, or a few random ticks, for a shell that does not send one.
 */
export function loseLeader(raft: Raft, member: MemberId): void {
  if (raft.leader !== member || raft.kind !== 'follower' || raft.leaderLost) return
  raft.leaderLost = true
  raft.timeoutTicks = Math.min(raft.timeoutTicks, raft.elapsedTicks + waitTicks(raft))
  const held = [...raft.heldPreVotes]
  raft.heldPreVotes.clear()
  for (const [from, message] of held) onPreVote(raft, from, message)
}

const waitTicks = ({ config, random }: Raft): number => 1 + Math.floor(random() * (1 + config.electionTicks / 4))

/** The shell's wait after a lost leader is over. Whoever gave way to another lets that one's campaign run first. */
export function hurry(raft: Raft): void {
  if (raft.kind === 'follower' && raft.leaderLost && !raft.gaveWay && mayCampaign(raft)) startPreVote(raft)
}

function startPreVote(raft: Raft): void {
  raft.kind = 'preCandidate'
  raft.leader = undefined
  forgetLoss(raft)
  raft.votes = new Map([[raft.config.self, true]])
  resetTimer(raft)
  const { voters } = membership(raft)
  if (tally(voters, raft.votes) === 'won') {
    campaign(raft, false)
    return
  }
  const message = { kind: 'preVote', term: raft.term + 1, ...lastOf(raft) } as const
  for (const to of voters) if (to !== raft.config.self) raft.out.early.push({ to, message })
}

/** `transfer`: the leader asked for it, so no pre-vote and no stickiness (dissertation 3.10). */
export function campaign(raft: Raft, transfer: boolean): void {
  if (!mayCampaign(raft)) return
  const { self } = raft.config
  becomeFollower(raft, raft.term + 1, undefined)
  raft.kind = 'candidate'
  raft.vote = self
  raft.votes = new Map([[self, true]])
  const { voters } = membership(raft)
  if (tally(voters, raft.votes) === 'won') {
    becomeLeader(raft)
    return
  }
  const message = { kind: 'vote', term: raft.term, ...lastOf(raft), transfer } as const
  // After the save: our own vote counts only once it cannot be forgotten.
  for (const to of voters) if (to !== self) raft.out.late.push({ to, message })
}

const lastOf = ({ log }: Raft): { lastIndex: Index; lastTerm: Term } => ({
  lastIndex: lastIndex(log),
  lastTerm: lastTerm(log),
})

/** The leader is alive as far as we know: then a campaign only disturbs. */
function isSticky(raft: Raft, from: MemberId): boolean {
  // A leader that hears no majority steps down by itself, so one that still leads is right to ignore campaigns.
  if (raft.lead !== undefined) return true
  // The leader itself asks: then it no longer leads (hashicorp/raft#605).
  if (raft.leader === undefined || raft.leader === from || raft.leaderLost) return false
  return raft.elapsedTicks < raft.config.electionTicks
}

/** The candidate's log must be at least as new as ours (Raft paper, 5.4.1). */
function isUpToDate(raft: Raft, candidate: { lastIndex: Index; lastTerm: Term }): boolean {
  const ownTerm = lastTerm(raft.log)
  return candidate.lastTerm > ownTerm || (candidate.lastTerm === ownTerm && candidate.lastIndex >= lastIndex(raft.log))
}

/**
 * Learners answer too, and so do members that the candidate's membership does not name: whether a vote counts is for
 * the candidate to say, by its own membership, which may be newer than ours. A learner that was promoted by an entry it
 * has not seen yet may be the one whose vote is needed (etcd-io/raft, campaign_learner_must_vote), and a vote that is
 * given to someone who does not count it does no harm. Removed members get no answer, whatever their log (dissertation
 * 4.2.3); they are stopped before this, in raft.ts.
 */
export function onVoteRequest(raft: Raft, from: MemberId, message: VoteRequest): void {
  const isTransfer = message.kind === 'vote' && message.transfer
  if (!isTransfer && isSticky(raft, from)) {
    // Two followers of a leader that died hear of it a moment apart: the first to ask must not have asked in vain.
    if (message.kind === 'preVote' && isRival(raft, from)) raft.heldPreVotes.set(from, message)
    return
  }
  if (message.kind === 'preVote') onPreVote(raft, from, message)
  else onVote(raft, from, message)
}

const isRival = (raft: Raft, from: MemberId): boolean =>
  raft.lead === undefined && membership(raft).voters.includes(from)

function onVote(raft: Raft, from: MemberId, message: Extract<Message, { kind: 'vote' }>): void {
  if (message.term > raft.term) becomeFollower(raft, message.term, undefined)
  const mayVote = raft.vote === from || (raft.vote === undefined && raft.leader === undefined)
  const granted = message.term === raft.term && mayVote && isUpToDate(raft, message)
  if (granted) {
    raft.vote = from
    resetTimer(raft)
  }
  raft.out.late.push({ to: from, message: { kind: 'voteAnswer', term: raft.term, granted } })
}

/** Changes nothing here: not the term, not the vote (canonical/raft#196), not the timer (hashicorp/raft#609). */
function onPreVote(raft: Raft, from: MemberId, message: PreVote): void {
  const free = raft.vote === undefined && raft.leader === undefined
  const isPossible = (message.term > raft.term || (message.term === raft.term && free)) && isUpToDate(raft, message)
  const granted = isPossible && givesWay(raft, from, message)
  if (granted) giveWay(raft)
  // Granted, it carries the term asked for; refused, our own, so that a candidate that is behind learns of it.
  const term = granted ? message.term : raft.term
  raft.out.early.push({ to: from, message: { kind: 'preVoteAnswer', term, granted } })
  if (isSelfWitness(raft) && !isUpToDate(raft, message)) sendBackfill(raft, from, message.lastIndex, message.lastTerm)
}

/** A witness brought us up to date: what it refused it will grant now. */
export function onBackfill(raft: Raft, from: MemberId, message: Extract<Message, { kind: 'backfill' }>): void {
  if (takeBackfill(raft, from, message) && mayCampaign(raft)) startPreVote(raft)
}

export function onBackfillAnswer(
  raft: Raft,
  from: MemberId,
  { index, conflictTerm }: Extract<Message, { kind: 'backfillAnswer' }>,
): void {
  if (isSelfWitness(raft) && !isSticky(raft, from)) sendBackfill(raft, from, index, conflictTerm)
}

/**
 * Of two that ask at the same moment both would win their pre-votes, and then split the votes: one of them steps back,
 * the one with the smaller log, then the smaller name. Only for that moment: were it longer, one that cannot win could
 * keep another from winning.
 */
function givesWay(raft: Raft, from: MemberId, message: PreVote): boolean {
  if (raft.kind !== 'preCandidate' || raft.elapsedTicks > collisionTicks || !isRival(raft, from)) return true
  const own = lastOf(raft)
  if (message.lastTerm !== own.lastTerm) return message.lastTerm > own.lastTerm
  if (message.lastIndex !== own.lastIndex) return message.lastIndex > own.lastIndex
  return from > raft.config.self
}

const collisionTicks = 1

function giveWay(raft: Raft): void {
  if (raft.kind === 'preCandidate' && raft.elapsedTicks <= collisionTicks) {
    raft.kind = 'follower'
    raft.votes = new Map()
  }
  if (!raft.leaderLost || raft.gaveWay) return
  raft.gaveWay = true
  // Our own wait was cut short; the other's campaign gets as long as ours would have waited at most.
  const { electionTicks } = raft.config
  raft.timeoutTicks = Math.max(raft.timeoutTicks, raft.elapsedTicks + 1 + Math.ceil(electionTicks / 4))
}

/** Answers of later terms have been dealt with before. */
export function onVoteAnswer(raft: Raft, from: MemberId, message: VoteAnswer): void {
  const isPre = message.kind === 'preVoteAnswer'
  if (raft.kind !== (isPre ? 'preCandidate' : 'candidate')) return
  if (message.granted && message.term !== (isPre ? raft.term + 1 : raft.term)) return
  if (!message.granted && message.term !== raft.term) return
  if (!raft.votes.has(from)) raft.votes.set(from, message.granted)
  switch (tally(membership(raft).voters, raft.votes)) {
    case 'won':
      if (isPre) campaign(raft, false)
      else becomeLeader(raft)
      return
    case 'lost':
      // Waits out its time-out; the votes of a later round may be different.
      raft.kind = 'follower'
      return
    case 'open':
      return
  }
}
