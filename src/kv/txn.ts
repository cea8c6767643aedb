// The full vocabulary of the state machine, which is etcd's: transactions with conditions, leases, compaction. The API
// server needs little of it and says `Write` (store.ts); etcd's own API (etcd/) needs all. Semantics are those of
// etcd's api/v3 (docs/learning/api): one revision per command that changes something, operations of a transaction in
// order, each key put at most once in it.
import type { ChangeEvent, KeyValue, Revision, Store, Write, WriteResult } from './store.ts'

/** Names a lease; a whole number from 1 to 2^53 - 1. 0 in a KeyValue means: none. */
export type LeaseId = number

/** After every key: keys are made of characters up to U+00FF. `to: keysEnd` is what etcd writes as range_end "\0". */
export const keysEnd = '\u0100'

/** A key, or all keys of [from, to). */
export type KeyRange = { readonly from: string; readonly to: string | undefined }

/**
 * With a range, the condition must hold for every key in it. Of a key that does not exist the numbers are 0, and no
 * condition on its value holds, as in etcd.
 */
export type Condition = { readonly range: KeyRange; readonly relation: '=' | '!=' | '<' | '>' } & (
  | { readonly target: 'version' | 'create' | 'mod' | 'lease'; readonly number: number }
  | { readonly target: 'value'; readonly value: string }
)

export type TxnOperation =
  | {
      readonly kind: 'put'
      readonly key: string
      /** Undefined keeps the present value; a key that does not exist then fails the command. */
      readonly value: string | undefined
      /** 0 for none; undefined keeps the present lease. */
      readonly lease: LeaseId | undefined
      readonly wantsPrevious: boolean
    }
  | { readonly kind: 'delete'; readonly range: KeyRange; readonly wantsPrevious: boolean }
  /** Sees what the operations before it did. `revision` 0: the newest. `limit` 0: all. */
  | {
      readonly kind: 'range'
      readonly range: KeyRange
      readonly revision: Revision
      readonly limit: number
      readonly countOnly: boolean
    }
  | { readonly kind: 'txn'; readonly txn: Txn }

export type Txn = {
  readonly conditions: readonly Condition[]
  readonly success: readonly TxnOperation[]
  readonly failure: readonly TxnOperation[]
}

/** In the order of the operations. */
export type TxnAnswer =
  | { readonly kind: 'put'; readonly previous: KeyValue | undefined }
  | { readonly kind: 'delete'; readonly count: number; readonly previous: readonly KeyValue[] }
  /** `count` is of the whole range, whatever the limit. */
  | { readonly kind: 'range'; readonly items: readonly KeyValue[]; readonly count: number }
  | { readonly kind: 'txn'; readonly succeeded: boolean; readonly answers: readonly TxnAnswer[] }

/** What a log entry may ask of the state machine. */
export type Command =
  | { readonly kind: 'write'; readonly write: Write }
  | { readonly kind: 'txn'; readonly txn: Txn }
  /** Forgets what was before `revision`: reads at it, and watches that begin with it, stay possible. */
  | { readonly kind: 'compact'; readonly revision: Revision }
  /** `lease` 0: the state machine chooses an unused ID, the same on every replica. */
  | { readonly kind: 'grant'; readonly lease: LeaseId; readonly ttlSeconds: number }
  /** Deletes the lease and its keys. With a term (an expiry) it is refused unless that term still is the leader's. */
  | { readonly kind: 'revoke'; readonly lease: LeaseId; readonly term: number | undefined }

export type Failure =
  | 'compacted'
  | 'future-revision'
  | 'lease-not-found'
  | 'lease-exists'
  | 'key-not-found'
  /** The term of a fenced command is over. */
  | 'fenced'

/** `revision` is the store's after the command. A failed command changed nothing. */
export type Outcome =
  | { readonly kind: 'write'; readonly revision: Revision; readonly result: WriteResult }
  | {
      readonly kind: 'txn'
      readonly revision: Revision
      readonly succeeded: boolean
      readonly answers: readonly TxnAnswer[]
    }
  | { readonly kind: 'compact'; readonly revision: Revision }
  | { readonly kind: 'grant'; readonly revision: Revision; readonly lease: LeaseId; readonly ttlSeconds: number }
  | { readonly kind: 'revoke'; readonly revision: Revision; readonly lease: LeaseId }
  | { readonly kind: 'failed'; readonly revision: Revision; readonly why: Failure }

export type LeaseInfo = {
  readonly lease: LeaseId
  readonly grantedSeconds: number
  /** As the leader counts it. */
  readonly remainingSeconds: number
  readonly keys: readonly string[]
}

export type AppliedChange =
  | { readonly kind: 'events'; readonly revision: Revision; readonly events: readonly ChangeEvent[] }
  | { readonly kind: 'break'; readonly revision: Revision }

/** The embedded store: `Store`, and what only etcd's API asks for. Everything may be called on any peer. */
export interface CommandStore extends Store {
  /**
   * Carries the command to the leader and resolves when it is applied HERE, so a read that follows sees it. Rejects with
   * StoreError 'unavailable' when nobody can say whether it happened. Without a signal the store's own time-out ends it.
   */
  execute(command: Command, signal?: AbortSignal): Promise<Outcome>
  /** The present items of a range and how many there are, from this replica, at once. Throws StoreError. */
  look(query: {
    readonly range: KeyRange
    readonly revision: Revision
    readonly limit: number
    readonly countOnly: boolean
  }): { readonly items: readonly KeyValue[]; readonly count: number; readonly revision: Revision }
  /**
   * All that is applied here, in order, called within the turn that applied it, before writers are answered. A break
   * (a snapshot was installed) means: changes were skipped, ask `since`. The listener must not throw.
   */
  onApplied(listener: (change: AppliedChange) => void): Disposable
  /**
   * Changes of the range after `after`, whole revisions, until about `countMax` events; `revision` says how far the look
   * went. Throws StoreError 'compacted'.
   */
  since(
    range: KeyRange,
    after: Revision,
    countMax: number,
  ): { readonly revision: Revision; readonly events: readonly ChangeEvent[] }
  /** Starts the lease's time again; undefined when there is no such lease. Asks the leader. */
  renewLease(lease: LeaseId, signal?: AbortSignal): Promise<{ readonly ttlSeconds: number } | undefined>
  lease(lease: LeaseId, signal?: AbortSignal): Promise<LeaseInfo | undefined>
  leases(): readonly LeaseId[]
  /** Over all keys and the history up to `revision` (0: the newest): equal on members that hold the same. */
  hashAt(revision: Revision): { readonly hash: number; readonly revision: Revision; readonly compacted: Revision }
  /** The state of now as chunks that check themselves: see `restoreBackup`. */
  backup(): Iterable<Uint8Array>
}
