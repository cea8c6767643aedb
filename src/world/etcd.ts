// An etcd that is not ours, as store/external needs it: the calls of its v3 API that a replica is kept with. The real one
// is drivers/etcd.ts. Keys and values are bytes, one per character, as in kv/store.ts. Every call but `watch` and `close`
// gives up after `timeoutMs`; all of them reject with EtcdError.
// https://etcd.io/docs/v3.5/learning/api/

/** A 64-bit number as decimal text; '0' is no lease. */
export type EtcdLease = string

export type EtcdItem = {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly lease: EtcdLease
}

export type EtcdEvent =
  | { readonly kind: 'put'; readonly item: EtcdItem }
  | { readonly kind: 'delete'; readonly key: string; readonly revision: number }

/** Holds when the key was made, or changed last, at `revision`; 0: when there is no such key. */
export type EtcdCompare = { readonly key: string; readonly target: 'create' | 'mod'; readonly revision: number }

export type EtcdOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease: EtcdLease }
  | { readonly kind: 'delete'; readonly key: string }

export type EtcdTxn = {
  readonly compare: readonly EtcdCompare[]
  readonly success: readonly EtcdOperation[]
  /** Keys that are read, at the same revision, when a comparison does not hold. */
  readonly otherwise: readonly string[]
}

export type EtcdTxnResult = {
  readonly succeeded: boolean
  readonly cluster: string
  readonly revision: number
  /** Of `otherwise`, in its order; undefined: there is no such key. Empty when the comparisons held. */
  readonly read: readonly (EtcdItem | undefined)[]
}

export type EtcdPage = {
  readonly items: readonly EtcdItem[]
  readonly isMore: boolean
  /** The newest revision of the cluster, not of the page. */
  readonly revision: number
  /** Of the cluster; another one means that another cluster answers. */
  readonly cluster: string
}

export type EtcdRange = {
  readonly from: string
  readonly to: string
  readonly limit: number
  /** 0: the newest, read linearizably. */
  readonly revision: number
}

export class EtcdError extends Error {
  override readonly name = 'EtcdError'
  readonly reason: /** No answer, or one that leaves open whether it happened. */
    | 'unavailable'
    /** It did not happen, and may later: nobody was reached, or etcd has no room. */
    | 'not-done'
    /** The revision asked for is compacted. */
    | 'compacted'
    /** More bytes or operations than etcd takes at once. */
    | 'too-large'
    /** The lease has run out or was revoked. For a transaction: it did not happen. */
    | 'lease-not-found'
    /** It did not happen and will not until somebody changes something: credentials, permissions, versions. */
    | 'refused'
  constructor(reason: EtcdError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

export interface EtcdLink {
  range(range: EtcdRange, timeoutMs: number): Promise<EtcdPage>
  /** Sent once, and never again by itself. */
  txn(txn: EtcdTxn, timeoutMs: number): Promise<EtcdTxnResult>
  /**
   * All events of all keys from `from` on, in order of their revisions, no revision in two batches; the first batch is
   * empty and says that the watch stands. Ends with the signal, and throws when it breaks.
   */
  watch(from: number, signal: AbortSignal): AsyncIterable<readonly EtcdEvent[]>
  grant(ttlSeconds: number, timeoutMs: number): Promise<EtcdLease>
  /** The seconds that it will live from when etcd was asked. */
  keepAlive(lease: EtcdLease, timeoutMs: number): Promise<number>
  /** Deletes the keys that live by it. */
  revoke(lease: EtcdLease, timeoutMs: number): Promise<void>
  /** Lets etcd forget what was before `revision`. */
  compact(revision: number, timeoutMs: number): Promise<void>
  /** The endpoint in use does not keep up: another one from now on, where there is one. */
  avoid(): void
  close(): void
}
