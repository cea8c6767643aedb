// The state of one member, owned and changed by this folder only, and the small acts that all its files share.

import { assert } from '../lib/assert.ts'
import { createLog, lastIndex, lastTerm, type RaftLog, takeUnsaved } from './log.ts'
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
  Message,
  RaftConfig,
  Refusal,
  Restored,
  Role,
  SnapshotMeta,
  Term,
} from './types.ts'

export type Envelope = { readonly to: MemberId; readonly message: Message }

/** What the running step has gathered so far. */
export type Outbox = {
  /** Messages that may leave before the save, unless this step changed term or vote: see `finish`. */
  early: Envelope[]
  late: Envelope[]
  accepted: { id: number; index: Index; term: Term }[]
  refused: { id: number; why: Refusal }[]
  reads: { id: number; index: Index | undefined }[]
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
  ticks: number
  asked: boolean
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
  uncommittedBytes: number
  /** The commit index one and two heartbeats ago: a learner that has reached the older one has caught up. */
  commitAtHeartbeat: [older: Index, newer: Index]
  /** Reads of this step, and those that wait for the first commit of the term. */
  arrivedReads: ReadRequest[]
  readBatches: ReadBatch[]
  transfer: Transfer | undefined
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

/** A new time-out, from [electionTicks, 2 × electionTicks), so that elections seldom collide (Raft paper, 5.2). */
export function resetTimer(raft: Raft): void {
  const { electionTicks } = raft.config
  raft.elapsedTicks = 0
  raft.timeoutTicks = electionTicks + Math.floor(raft.random() * electionTicks)
}

/** Follows `leader` (or nobody yet) in `term`; a new term forgets the vote, the same term never does. */
export function becomeFollower(raft: Raft, term: Term, leader: MemberId | undefined): void {
  assert(term >= raft.term, `term ${term} is behind ${raft.term}`)
  if (term > raft.term) {
    raft.term = term
    raft.vote = undefined
  }
  const { lead } = raft
  raft.kind = 'follower'
  raft.leader = leader
  raft.leaderLost = false
  raft.votes = new Map()
  raft.lead = undefined
  resetTimer(raft)
  if (lead === undefined) return
  // Reads of this member go to the next leader; members that forwarded theirs ask again by themselves.
  const requests = [...lead.arrivedReads, ...lead.readBatches.flatMap(batch => batch.requests)]
  const ids = requests.filter(request => request.from === undefined).map(request => request.id)
  if (ids.length > 0) forward(raft, ids)
}

export function forward(raft: Raft, ids: readonly number[]): void {
  const last = raft.forwards[raft.forwards.length - 1]
  // A question that has not left may ask for more reads; one that has left may not: they came after it.
  if (last !== undefined && last.ageTicks === 0 && last.asked === undefined) last.ids.push(...ids)
  else raft.forwards.push({ wire: raft.nextWire++, ids: [...ids], ageTicks: 0, asked: undefined })
}

/** The value that a majority of voters has reached; `own` is this member's. */
export function agreedByVoters(raft: Raft, lead: Lead, own: number, reached: (progress: Progress) => number): number {
  return agreed(membership(raft).voters, voter => {
    if (voter === raft.config.self) return own
    const progress = lead.progress.get(voter)
    return progress === undefined ? Number.NEGATIVE_INFINITY : reached(progress)
  })
}

export function role(raft: Raft): Role {
  const { term, leader, lead } = raft
  const { self } = raft.config
  const serving = lead !== undefined && raft.commit >= lead.first
  if (lead !== undefined) return { kind: 'leader', term, leader: self, serving }
  if (raft.kind !== 'follower') return { kind: 'candidate', term, leader, serving }
  if (isVoter(raft)) return { kind: 'follower', term, leader, serving }
  // Only a committed removal is final: until then a new leader may undo it.
  const isRemoved = committedMembership(raft).removed.includes(self)
  return { kind: isRemoved ? 'removed' : 'learner', term, leader, serving }
}

const sameRole = (a: Role | undefined, b: Role) =>
  a !== undefined && a.kind === b.kind && a.term === b.term && a.leader === b.leader && a.serving === b.serving

/** Turns what the step has gathered into its effects. */
export function finish(raft: Raft): Effects {
  const { out } = raft
  raft.out = emptyOutbox()
  const hard: HardState = { term: raft.term, vote: raft.vote }
  const hardChanged = hard.term !== raft.savedHard.term || hard.vote !== raft.savedHard.vote
  const entries = takeUnsaved(raft.log)
  const commit = takeCommitted(raft)
  const now = role(raft)
  const shown = sameRole(raft.shownRole, now) ? undefined : now
  raft.savedHard = hard
  raft.shownRole = now
  return {
    save: hardChanged || entries.length > 0 ? { hard, entries } : undefined,
    // A message may speak for a term only once the term is on disk: a lone voter that crashed just after its election
    // would else lead the same term twice, with different entries.
    sendEarly: hardChanged ? [] : out.early,
    send: hardChanged ? [...out.early, ...out.late] : out.late,
    commit,
    accepted: out.accepted,
    refused: out.refused,
    reads: out.reads,
    sendSnapshot: out.sendSnapshot,
    fetchSnapshot: out.fetchSnapshot,
    role: shown,
  }
}

function takeCommitted(raft: Raft): readonly Entry[] {
  if (raft.commit <= raft.emitted) return []
  const { log } = raft
  const taken = log.entries.slice(raft.emitted - log.base.index, raft.commit - log.base.index)
  raft.emitted = raft.commit
  return taken
}
