// The vocabulary of consensus: what goes into `step` and what comes out of it. The core knows no clock, disk or network.
// Names follow the Raft paper (Ongaro and Ousterhout 2014) and the dissertation (Ongaro 2014).
import type { Bytes } from '../lib/bytes.ts'

declare const brand: unique symbol
/** Fresh and random for each admission of a peer, never used again; removed ones are refused for ever. */
export type MemberId = string & { readonly [brand]: 'MemberId' }
export function memberId(text: string): MemberId {
  return text as MemberId
}

export type Term = number
/** Log indices start at 1; 0 stands before the log. */
export type Index = number

export type Membership = {
  readonly voters: readonly MemberId[]
  readonly learners: readonly MemberId[]
  /** Never admitted again under these names. */
  readonly removed: readonly MemberId[]
  /** Those of the voters and learners that never campaign, fixed when they are admitted. Absent: none. */
  readonly witnesses?: readonly MemberId[]
}

export type Entry =
  | { readonly index: Index; readonly term: Term; readonly kind: 'empty' }
  | { readonly index: Index; readonly term: Term; readonly kind: 'command'; readonly command: Bytes }
  /** `context` is for the layers above (which peer a member is); it takes effect when appended (dissertation 4.1). */
  | {
      readonly index: Index
      readonly term: Term
      readonly kind: 'membership'
      readonly membership: Membership
      readonly context: Bytes
    }

/** What must be durable before anything that follows from it is sent. */
export type HardState = { readonly term: Term; readonly vote: MemberId | undefined }

export type SnapshotMeta = {
  readonly index: Index
  readonly term: Term
  readonly membership: Membership
}

export type Message =
  | { readonly kind: 'preVote'; readonly term: Term; readonly lastIndex: Index; readonly lastTerm: Term }
  | { readonly kind: 'preVoteAnswer'; readonly term: Term; readonly granted: boolean }
  /** `transfer`: the leader asked for it, so stickiness does not apply (dissertation 3.10). */
  | {
      readonly kind: 'vote'
      readonly term: Term
      readonly lastIndex: Index
      readonly lastTerm: Term
      readonly transfer: boolean
    }
  | { readonly kind: 'voteAnswer'; readonly term: Term; readonly granted: boolean }
  | {
      readonly kind: 'append'
      readonly term: Term
      readonly previousIndex: Index
      readonly previousTerm: Term
      readonly entries: readonly Entry[]
      readonly commit: Index
      /** Counts up per leader; the answer carries it back. Serves ReadIndex and CheckQuorum. */
      readonly round: number
    }
  | {
      readonly kind: 'appendAnswer'
      readonly term: Term
      readonly accepted: boolean
      /** Accepted: the last index known to match and to be durable. Refused: where the leader should look next. */
      readonly index: Index
      readonly conflictTerm: Term
      readonly round: number
    }
  /** All up to `index`, which the leader knows to be in this member's log, is committed. Wants no answer. */
  | { readonly kind: 'commit'; readonly term: Term; readonly index: Index }
  /** The data goes on a stream of its own; this announces it. See the snapshot effects. */
  | { readonly kind: 'snapshot'; readonly term: Term; readonly snapshot: SnapshotMeta }
  | { readonly kind: 'readIndex'; readonly term: Term; readonly id: number }
  | { readonly kind: 'readIndexAnswer'; readonly term: Term; readonly id: number; readonly index: Index | undefined }
  | { readonly kind: 'timeoutNow'; readonly term: Term }
  /** A witness's answer to a pre-vote for a log that is older than its own, with its last entry; see backfill.ts. */
  | {
      readonly kind: 'backfill'
      readonly term: Term
      readonly previousIndex: Index
      readonly previousTerm: Term
      readonly entries: readonly Entry[]
      readonly lastIndex: Index
      readonly lastTerm: Term
    }
  /** What follows `index`, please; the entry there is of `conflictTerm`. */
  | { readonly kind: 'backfillAnswer'; readonly term: Term; readonly index: Index; readonly conflictTerm: Term }

export type RaftEvent =
  /** One tick of time; the shell chooses its length (default 50 ms). */
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly from: MemberId; readonly message: Message }
  | { readonly kind: 'propose'; readonly id: number; readonly command: Bytes }
  | {
      readonly kind: 'proposeMembership'
      readonly id: number
      readonly change: MembershipStep
      readonly context: Bytes
    }
  /** A newest read: answered by a `read` effect. On a follower it is forwarded to the leader. */
  | { readonly kind: 'read'; readonly id: number }
  /** All entries and hard state up to here are on disk. */
  | { readonly kind: 'durable'; readonly index: Index; readonly term: Term }
  /** The state machine has applied this far: bounds what may be truncated. */
  | { readonly kind: 'applied'; readonly index: Index }
  /** The log up to here may be dropped: a snapshot or the applied state covers it. */
  | { readonly kind: 'compacted'; readonly snapshot: SnapshotMeta }
  /** A snapshot has been received and installed on disk. */
  | { readonly kind: 'installed'; readonly snapshot: SnapshotMeta }
  | { readonly kind: 'snapshotSent'; readonly to: MemberId; readonly ok: boolean; readonly index: Index }
  /**
   * The connection to this member is gone. Said at once and of every member: one that lost its leader from then on
   * answers the campaigns of others. Its own pre-vote follows with `campaign`, or after a few ticks.
   */
  | { readonly kind: 'unreachable'; readonly member: MemberId }
  /**
   * The shell's short random wait after `unreachable` of the leader is over (15 ms spread two campaigns well enough): a
   * pre-vote begins now, unless the leader was heard again or another campaign came first. Ticks are too coarse for it.
   */
  | { readonly kind: 'campaign' }
  /** Members are told of commits now, if `lazyCommit` has kept it from them. */
  | { readonly kind: 'tellCommit' }
  /**
   * Leadership transfer, to the most caught-up voter when none is named. With an `id` the caller hears of a failure by
   * `refused`; the success is the `role` effect that names another leader.
   */
  | { readonly kind: 'transfer'; readonly to: MemberId | undefined; readonly id?: number }

export type MembershipStep =
  | { readonly kind: 'addLearner'; readonly member: MemberId; readonly witness?: boolean }
  | { readonly kind: 'promote'; readonly member: MemberId }
  | { readonly kind: 'demote'; readonly member: MemberId }
  | { readonly kind: 'remove'; readonly member: MemberId }

export type Refusal =
  | 'not-leader'
  | 'change-in-flight'
  /** A learner: its last rounds took longer than an election time-out. A successor: it lacks entries still. */
  | 'not-caught-up'
  | 'no-entry-of-term'
  | 'last-voter'
  /** Of the voters that would stay, no majority has answered for an election time-out. */
  | 'no-quorum'
  | 'removed'
  | 'unknown-member'
  | 'already-member'
  | 'overloaded'
  /** Leadership is being handed over: ask again in a moment, of the next leader. */
  | 'transferring'
  /** No answer came from that member for an election time-out. */
  | 'unreachable'
  /** Transfer: no other voter that may lead answers. */
  | 'no-successor'
  /** Transfer: that member votes and never leads. */
  | 'witness'
  /** Transfer: that member is no voter. */
  | 'not-a-voter'
  /** Transfer: the successor was asked, and nothing came of it within an election time-out. */
  | 'timed-out'

/** What a peer finds on its disk when it starts. */
export type Restored = {
  readonly hard: HardState
  /** What the log begins after: the newest snapshot or applied state that covers the dropped entries. */
  readonly base: SnapshotMeta
  /** From `base.index + 1` on, without a gap. All of them are durable. */
  readonly entries: readonly Entry[]
  /** Known to be committed and already applied; `commit` effects begin after it. Absent: `base.index`. */
  readonly commit?: Index
}

/** What the shell does, in this order: write and sync `save`, send `send`, apply `commit`, then the rest. */
export type Effects = {
  /** Present when there is something to make durable. `entries` replace everything from their first index on. */
  readonly save: { readonly hard: HardState; readonly entries: readonly Entry[] } | undefined
  /** May leave before `save` is durable: they promise nothing about it (a leader's appends, pre-votes). */
  readonly sendEarly: readonly { readonly to: MemberId; readonly message: Message }[]
  /** Only after `save` is durable: votes, append answers. */
  readonly send: readonly { readonly to: MemberId; readonly message: Message }[]
  /** With `lazyCommit`: members wait to hear of a commit. If nothing else is sent for a moment, say `tellCommit`. */
  readonly untold: boolean
  /** Committed entries to apply, in order, each once. */
  readonly commit: readonly Entry[]
  /** Where each accepted proposal went, so that its answer can be found at that index and term. */
  readonly accepted: readonly { readonly id: number; readonly index: Index; readonly term: Term }[]
  readonly refused: readonly { readonly id: number; readonly why: Refusal }[]
  /** The read with this id may be answered once `index` is applied; undefined: ask again elsewhere. */
  readonly reads: readonly { readonly id: number; readonly index: Index | undefined }[]
  /** Stream a snapshot at least this new to the member, then say `snapshotSent`. */
  readonly sendSnapshot: readonly { readonly to: MemberId; readonly atLeast: Index }[]
  /**
   * A snapshot that the leader announced: fetch it (or a newer one), install it if `wantsSnapshot` still says so, then
   * say `installed`. Announced again and again while it is needed: ignore it while one is being fetched.
   */
  readonly fetchSnapshot: { readonly from: MemberId; readonly snapshot: SnapshotMeta } | undefined
  /**
   * Members that have less than they once acknowledged as durable: their disk lost data, or they run on an old copy.
   * Said once per term; they are counted for nothing any more, and should be removed and come back as new members.
   */
  readonly lostData: readonly { readonly member: MemberId; readonly acknowledged: Index; readonly has: Index }[]
  /** Present when it changed. `serving`: this leader has committed an entry of its own term. */
  readonly role: Role | undefined
}

export type Role = {
  readonly kind: 'leader' | 'follower' | 'candidate' | 'learner' | 'removed'
  readonly term: Term
  readonly leader: MemberId | undefined
  readonly serving: boolean
}

export type RaftConfig = {
  readonly self: MemberId
  /** In ticks. The real time-out is drawn from [electionTicks, 1.5 × electionTicks). */
  readonly electionTicks: number
  readonly heartbeatTicks: number
  /** Appends with entries that one follower may leave unanswered. */
  readonly inflightCountMax: number
  /** And their bytes together, passed by the last of them at most. Absent: eight appends of full size. */
  readonly inflightBytesMax?: number
  readonly appendBytesMax: number
  /** What the leader takes in and has not committed; more is refused as `overloaded`. */
  readonly uncommittedBytesMax: number
  /** A commit is told with the next append, or when the shell says so, instead of by a message of its own at once. */
  readonly lazyCommit?: boolean
  /** A witness votes and never campaigns. The membership says so too, once it is admitted as one. */
  readonly witness: boolean
}
