// The state of one member, owned and changed by this folder only, and the small acts that all its files share.

import { AssertionError, assert } from '../lib/assert.ts'
import type { Bytes } from '../lib/bytes.ts'
import { between, createLog, lastIndex, lastTerm, markDurable, type RaftLog, takeUnsaved, termAt } from './log.ts'
import { createHistory, inEffect, inEffectSince, type MembershipHistory, membershipAt } from './membership.ts'
import type { Progress } from './progress.ts'
import { agreed } from './quorum.ts'
import type {
  Effects,
  Entry,
  HardState,
  Index,
  MemberId,
  Membership,
  MembershipStep,
  Message,
  RaftConfig,
  Refusal,
  Restored,
  Role,
  SnapshotMeta,
  Term,
} from './types.ts'

export type PreVote = Extract<Message, { kind: 'preVote' }>
export type Envelope = { readonly to: MemberId; readonly message: Message }

/** What the running step has gathered so far. */
export type Outbox = {
  /** Messages that may leave before the save, unless this step changed term or vote: see `finish`. */
  early: Envelope[]
  late: Envelope[]
  accepted: { id: number; index: Index; term: Term }[]
  refused: { id: number; why: Refusal }[]
  reads: { id: number; index: Index | undefined }[]
  lostData: { member: MemberId; acknowledged: Index; has: Index }[]
  sendSnapshot: { to: MemberId; atLeast: Index }[]
  fetchSnapshot: { from: MemberId; snapshot: SnapshotMeta } | undefined
}

/** A read that a leader answers: its own, or one that a member has forwarded. */
export type ReadRequest = { readonly id: number; readonly from: MemberId | undefined }

/** Reads wait for a majority to answer a round that began after they came (dissertation 6.4). */
export type ReadBatch = { readonly index: Index; readonly round: number; readonly requests: readonly ReadRequest[] }

/** Reads that a follower has sent, or will send, to a leader; `wire` names them in messages. */
export type Forward = {
  readonly wire: number
  readonly ids: number[]
  ageTicks: number
  /** Undefined: not asked yet, or to be asked again because question or answer may be lost. */
  asked: MemberId | undefined
}

export type Transfer = {
  to: MemberId
  /** The caller left the choice to us: when one does not take over, the next is asked. */
  readonly anyone: boolean
  readonly tried: MemberId[]
  /** Who is told when nothing comes of it. */
  readonly ids: number[]
  ticks: number
  asked: boolean
}

/** A learner that is to be promoted, in rounds (dissertation 4.2.1). */
export type Promotion = {
  readonly id: number
  readonly change: Extract<MembershipStep, { kind: 'promote' }>
  readonly context: Bytes
  /** This round is over when the learner has the log up to here, as it was when the round began. */
  target: Index
  startedAt: number
  round: number
}

/** What only a leader has. */
export type Lead = {
  /** The empty entry that began the term; `serving` once it is committed. */
  readonly first: Index
  readonly progress: Map<MemberId, Progress>
  /** Each append carries its own number, so that an answer says which one it answers. */
  round: number
  heartbeatTicks: number
  /** Everyone must hear from us in this step, even without news. */
  broadcast: boolean
  /** Whoever has not heard of a commit must hear of it in this step. */
  tellsCommit: boolean
  uncommittedBytes: number
  promotion: Promotion | undefined
  /** Reads of this step, and those that wait for the first commit of the term. */
  arrivedReads: ReadRequest[]
  readBatches: ReadBatch[]
  transfer: Transfer | undefined
  /** The transfer under way, or the one before, was for our own disk's sake. */
  fleesDisk: boolean
}

export type Raft = {
  readonly config: RaftConfig
  readonly random: () => number
  readonly log: RaftLog
  readonly history: MembershipHistory
  term: Term
  vote: MemberId | undefined
  kind: 'follower' | 'preCandidate' | 'candidate' | 'leader'
  leader: MemberId | undefined
  commit: Index
  /** Committed entries up to here have been handed out. */
  emitted: Index
  applied: Index
  nowTicks: number
  /** Since a leader was heard or a vote granted. */
  elapsedTicks: number
  timeoutTicks: number
  /** Our own connection to the leader is gone too, so stickiness does not hold us back. */
  leaderLost: boolean
  /** Pre-votes that stickiness kept back since the leader was last heard: answered if it turns out to be lost. */
  heldPreVotes: Map<MemberId, PreVote>
  /** Another's pre-vote was granted since the leader was lost: our own would only collide with its campaign. */
  gaveWay: boolean
  /** Saves of entries have been handed out, and none has become durable since this tick. */
  savingSince: number | undefined
  votes: Map<MemberId, boolean>
  lead: Lead | undefined
  forwards: Forward[]
  nextWire: number
  /** What the shell knows: hard state and role as last handed out. */
  savedHard: HardState
  shownRole: Role | undefined
  out: Outbox
}

const emptyOutbox = (): Outbox => ({
  early: [],
  late: [],
  accepted: [],
  refused: [],
  reads: [],
  lostData: [],
  sendSnapshot: [],
  fetchSnapshot: undefined,
})

/** A member as it stands after a start: a follower of nobody. `random` gives numbers in [0, 1). */
export function createRaft(config: RaftConfig, restored: Restored, random: () => number): Raft {
  const { hard, base, entries } = restored
  const log = createLog(base, entries)
  const commit = restored.commit ?? base.index
  assert(commit >= base.index && commit <= lastIndex(log), `commit ${commit} is outside the restored log`)
  // A crash may keep entries and lose the term that was saved with them. No vote of that term can have left then.
  const isBehind = hard.term < lastTerm(log)
  const raft: Raft = {
    config,
    random,
    log,
    history: createHistory(base, entries),
    term: isBehind ? lastTerm(log) : hard.term,
    vote: isBehind ? undefined : hard.vote,
    kind: 'follower',
    leader: undefined,
    commit,
    emitted: commit,
    applied: commit,
    nowTicks: 0,
    elapsedTicks: 0,
    timeoutTicks: 0,
    leaderLost: false,
    heldPreVotes: new Map(),
    gaveWay: false,
    savingSince: undefined,
    votes: new Map(),
    lead: undefined,
    forwards: [],
    // A random start, so that an answer to a read of this member's former life is never taken for one of this life.
    nextWire: Math.floor(random() * 2 ** 48),
    savedHard: hard,
    shownRole: undefined,
    out: emptyOutbox(),
  }
  resetTimer(raft)
  // A lone voter has nobody to wait for.
  const { voters } = membership(raft)
  if (voters.length === 1 && voters[0] === config.self) raft.timeoutTicks = 1
  return raft
}

export function membership(raft: Raft): Membership {
  return inEffect(raft.history)
}

/**
 * The newest membership that nothing can undo. The one before the newest is committed even where we do not know it (as
 * after a start), because a leader makes a change only when the one before is committed.
 */
export function committedMembership(raft: Raft): Membership {
  const { history, commit } = raft
  const newest = inEffectSince(history)
  return membershipAt(history, newest <= commit ? newest : newest - 1)
}

export function isVoter(raft: Raft): boolean {
  return membership(raft).voters.includes(raft.config.self)
}

/**
 * A new time-out, from [electionTicks, 1.5 × electionTicks): so that elections seldom collide (Raft paper, 5.2), and of two
 * pre-candidates at one moment one gives way (election.ts), so half of the paper's range is enough.
 */
export function resetTimer(raft: Raft): void {
  const { electionTicks } = raft.config
  raft.elapsedTicks = 0
  raft.timeoutTicks = electionTicks + Math.floor((raft.random() * electionTicks) / 2)
}

/** Follows `leader` (or nobody yet) in `term`; a new term forgets the vote, the same term never does. */
export function becomeFollower(raft: Raft, term: Term, leader: MemberId | undefined): void {
  if (term < raft.term) throw new AssertionError(`term ${term} is behind ${raft.term}`)
  const { lead } = raft
  if (lead !== undefined) endOffice(raft, lead, term > raft.term)
  if (term > raft.term) {
    raft.term = term
    raft.vote = undefined
  }
  raft.kind = 'follower'
  raft.leader = leader
  raft.votes = new Map()
  raft.lead = undefined
  forgetLoss(raft)
  resetTimer(raft)
}

/** What a leader still owed. `isReplaced`: somebody campaigned, as a transfer wanted, and the role will tell. */
function endOffice(raft: Raft, lead: Lead, isReplaced: boolean): void {
  // Reads of this member go to the next leader; members that forwarded theirs ask again by themselves.
  const requests = [...lead.arrivedReads, ...lead.readBatches.flatMap(batch => batch.requests)]
  const reads = requests.filter(request => request.from === undefined).map(request => request.id)
  if (reads.length > 0) forward(raft, reads)
  const transfers = isReplaced ? [] : (lead.transfer?.ids ?? [])
  const owed = lead.promotion === undefined ? transfers : [...transfers, lead.promotion.id]
  for (const id of owed) raft.out.refused.push({ id, why: 'not-leader' })
}

/** A leader is heard, or one is looked for anew. */
export function forgetLoss(raft: Raft): void {
  raft.leaderLost = false
  raft.gaveWay = false
  if (raft.heldPreVotes.size > 0) raft.heldPreVotes.clear()
}

export function forward(raft: Raft, ids: readonly number[]): void {
  const last = raft.forwards[raft.forwards.length - 1]
  // A question that has not left may ask for more reads; one that has left may not: they came after it.
  if (last !== undefined && last.ageTicks === 0 && last.asked === undefined) last.ids.push(...ids)
  else raft.forwards.push({ wire: raft.nextWire++, ids: [...ids], ageTicks: 0, asked: undefined })
}

/** The value that a majority of voters has reached; `own` is this member's. Whoever lost data counts for nothing. */
export function agreedByVoters(raft: Raft, lead: Lead, own: number, reached: (progress: Progress) => number): number {
  return agreed(membership(raft).voters, voter => {
    if (voter === raft.config.self) return own
    const progress = lead.progress.get(voter)
    return progress === undefined || progress.lost ? Number.NEGATIVE_INFINITY : reached(progress)
  })
}

/** It has answered within an election time-out. */
export function isHeard({ nowTicks, config }: Raft, { heardAt }: Progress): boolean {
  return nowTicks - heardAt <= config.electionTicks
}

/** Something has been waiting for our own disk, and nothing became durable, for two election time-outs. */
export function isDiskHung({ savingSince, nowTicks, config }: Raft): boolean {
  return savingSince !== undefined && nowTicks - savingSince > 2 * config.electionTicks
}

/** News of a save: the last one handed out, or one before it. */
export function noteDurable(raft: Raft, index: Index, term: Term): void {
  const { log } = raft
  if (raft.savingSince !== undefined) {
    const isAll = index === log.unsaved - 1 && termAt(log, index) === term
    raft.savingSince = isAll ? undefined : raft.nowTicks
  }
  markDurable(log, index, term)
}

export function role(raft: Raft): Role {
  const { term, leader, shownRole } = raft
  const kind = roleKind(raft)
  const serving = raft.lead !== undefined && raft.commit >= raft.lead.first
  const isShown =
    shownRole !== undefined &&
    shownRole.kind === kind &&
    shownRole.term === term &&
    shownRole.leader === leader &&
    shownRole.serving === serving
  return isShown ? shownRole : { kind, term, leader, serving }
}

function roleKind(raft: Raft): Role['kind'] {
  if (raft.lead !== undefined) return 'leader'
  if (raft.kind !== 'follower') return 'candidate'
  if (isVoter(raft)) return 'follower'
  // Only a committed removal is final: until then a new leader may undo it.
  return committedMembership(raft).removed.includes(raft.config.self) ? 'removed' : 'learner'
}

/** Turns what the step has gathered into its effects. */
export function finish(raft: Raft, untold: boolean): Effects {
  const { out, savedHard, log } = raft
  const hardChanged = raft.term !== savedHard.term || raft.vote !== savedHard.vote
  if (hardChanged) raft.savedHard = { term: raft.term, vote: raft.vote }
  const entries = takeUnsaved(log)
  if (entries.length > 0) raft.savingSince ??= raft.nowTicks
  const commit = takeCommitted(raft)
  const now = role(raft)
  const shown = now === raft.shownRole ? undefined : now
  raft.shownRole = now
  const { early, late, accepted, refused, reads, lostData, sendSnapshot, fetchSnapshot } = out
  // What stayed empty is used again.
  if (early.length > 0) out.early = []
  if (late.length > 0) out.late = []
  if (accepted.length > 0) out.accepted = []
  if (refused.length > 0) out.refused = []
  if (reads.length > 0) out.reads = []
  if (lostData.length > 0) out.lostData = []
  if (sendSnapshot.length > 0) out.sendSnapshot = []
  out.fetchSnapshot = undefined
  return {
    save: hardChanged || entries.length > 0 ? { hard: raft.savedHard, entries } : undefined,
    // A message may speak for a term only once the term is on disk: a lone voter that crashed just after its election
    // would else lead the same term twice, with different entries.
    sendEarly: hardChanged ? nothing : orNothing(early),
    send: hardChanged ? [...early, ...late] : orNothing(late),
    untold,
    commit,
    accepted: orNothing(accepted),
    refused: orNothing(refused),
    reads: orNothing(reads),
    lostData: orNothing(lostData),
    sendSnapshot: orNothing(sendSnapshot),
    fetchSnapshot,
    role: shown,
  }
}

const nothing: readonly never[] = []
const orNothing = <T>(list: readonly T[]): readonly T[] => (list.length > 0 ? list : nothing)

function takeCommitted(raft: Raft): readonly Entry[] {
  if (raft.commit <= raft.emitted) return nothing
  const taken = between(raft.log, raft.emitted + 1, raft.commit)
  raft.emitted = raft.commit
  return taken
}
