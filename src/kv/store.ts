// The replicated key-value store as its users see it. store/run.ts implements it on raft and kv; an external etcd could.
// Keys and values are bytes, one per character (U+0000 to U+00FF, the way 'latin1' writes them), in byte order: a key is
// for example '/registry/pods/default/web-1', a value the UTF-8 JSON of an object, stored and served as it is.
// lib/packed.ts turns text into such bytes and back; ASCII text is the same in both. One revision orders all writes; it is
// the resourceVersion of the API.
import type { PeerId } from '../world/network.ts'

export type Revision = number

export type KeyValue = {
  readonly key: string
  readonly value: string
  readonly createRevision: Revision
  readonly modRevision: Revision
  /** How often the key was put since it was created; 1 after the first. */
  readonly version: number
  /** The lease that the key lives by; 0: none. */
  readonly lease: number
}

export type RangeOptions = {
  /** Start of the range, included. */
  readonly from: string
  /** End of the range, not included. `prefixEnd(prefix)` gives it for a prefix. */
  readonly to: string
  readonly limit?: number
  /** Read as of this revision; absent: the newest applied here. Compacted or future: StoreError. */
  readonly revision?: Revision
}

export type RangeResult = {
  readonly items: readonly KeyValue[]
  /** The revision that the answer shows. */
  readonly revision: Revision
  /** How many keys the whole range holds beyond `items`. */
  readonly remaining: number
}

/** Holds when the key's modRevision equals `modRevision`; 0 means: the key does not exist. */
export type Compare = { readonly key: string; readonly modRevision: Revision }

/** `value` undefined deletes. All of a command's operations get one revision, or none happens. */
export type Operation = { readonly key: string; readonly value: string | undefined }

export type Write = {
  readonly compare: readonly Compare[]
  readonly operations: readonly Operation[]
  /** Refused unless the leader's term is still this one: how what a deposed leader planned is kept out. */
  readonly term?: number
  /** A write that is sent again with the same id (ASCII), soon after, happens once. Absent: nothing is remembered. */
  readonly id?: string
}

export type WriteResult =
  | { readonly kind: 'done'; readonly revision: Revision }
  /** `current` are the compared keys as they are now; an absent key is left out. */
  | { readonly kind: 'conflict'; readonly revision: Revision; readonly current: readonly KeyValue[] }
  | { readonly kind: 'fenced'; readonly term: number }

export type ChangeEvent =
  | { readonly kind: 'put'; readonly current: KeyValue; readonly previous: KeyValue | undefined }
  | { readonly kind: 'delete'; readonly key: string; readonly revision: Revision; readonly previous: KeyValue }

/** All changes of one range up to and with `revision`; without events it is a bookmark: nothing happened until then. */
export type WatchBatch = { readonly revision: Revision; readonly events: readonly ChangeEvent[] }

export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly reason: /** The revision asked for is older than the history kept: list again. */
    | 'compacted'
    /** No leader, or no quorum, before the deadline: try again. For a write: it may still happen. */
    | 'unavailable'
    /** This peer is not the leader; `leader` says who is, if known. */
    | 'not-leader'
    /** The command is larger than an entry may be. */
    | 'too-large'
    /** The store is stopping. */
    | 'closed'
    /** A change of membership that may not be, now or ever: the message says why. */
    | 'refused'
  readonly leader: PeerId | undefined
  constructor(reason: StoreError['reason'], message: string, leader?: PeerId) {
    super(message)
    this.reason = reason
    this.leader = leader
  }
}

export type Leadership =
  /** This peer leads and has committed an entry of `term`. `ended` aborts when it no longer does. */
  | { readonly mine: true; readonly term: number; readonly ended: AbortSignal }
  | { readonly mine: false; readonly term: number; readonly leader: PeerId | undefined }

export type MemberInfo = {
  /** Fresh for each admission, never used again. */
  readonly member: string
  readonly peer: PeerId
  readonly role: 'voter' | 'learner'
}

export type StoreStatus = {
  readonly term: number
  readonly leader: PeerId | undefined
  readonly role: 'leader' | 'follower' | 'candidate' | 'learner'
  readonly appliedIndex: number
  readonly commitIndex: number
  readonly revision: Revision
  readonly compactedRevision: Revision
  readonly members: readonly MemberInfo[]
  /** On the leader: how far each member's log matches, by member ID. */
  readonly matchIndex: Readonly<Record<string, number>>
}

export type MembershipChange =
  /** Adds a learner with a fresh member ID; a witness will vote and never lead. */
  | { readonly kind: 'add'; readonly peer: PeerId; readonly witness?: boolean }
  /** Learner to voter; refused until it has caught up. */
  | { readonly kind: 'promote'; readonly member: string }
  | { readonly kind: 'demote'; readonly member: string }
  | { readonly kind: 'remove'; readonly member: string }

export interface Store {
  get(key: string, options?: { readonly revision?: Revision }): Promise<KeyValue | undefined>
  range(options: RangeOptions): Promise<RangeResult>
  /**
   * Changes after `after`, in revision order, each revision whole in one batch. Throws StoreError 'compacted' when
   * `after` is too old. A bookmark comes at least every few seconds while revisions pass elsewhere.
   */
  watch(
    options: { readonly from: string; readonly to: string; readonly after: Revision },
    signal: AbortSignal,
  ): AsyncIterable<WatchBatch>
  /** Only on the leader; resolves once the command is committed and applied here. */
  write(command: Write, signal: AbortSignal): Promise<WriteResult>
  /**
   * Resolves when this replica has applied all that was committed before the call (ReadIndex), with its revision. StoreError
   * 'unavailable' when that could not be known within some seconds; a signal is for who wants to give up before.
   */
  newest(signal?: AbortSignal): Promise<Revision>
  /** Resolves when this replica has applied `revision`. */
  applied(revision: Revision, signal: AbortSignal): Promise<void>
  /** The newest revision applied here. */
  revision(): Revision
  status(): StoreStatus
  /** Yields the present state at once, then each change. */
  leadership(signal: AbortSignal): AsyncIterable<Leadership>
  /**
   * Leader only. One at a time; resolves when applied, with the member as it then is (for 'remove': as it was). Asking
   * for what is already so changes nothing: adding a peer that is a member gives that member.
   */
  changeMembership(change: MembershipChange, signal: AbortSignal): Promise<MemberInfo>
  /** Leader only: hand over to the most caught-up voter before a graceful stop. Resolves when another leads. */
  transferLeadership(signal: AbortSignal): Promise<void>
}

/** The smallest key greater than every key that starts with `prefix`. */
export function prefixEnd(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1)
  return prefix.slice(0, -1) + String.fromCharCode(last + 1)
}
