// The Kubernetes API as our own components use it. apiserver/run.ts implements it in the same process, with the identity
// that node/run.ts gives it; on the leader a client carries the term, so that what a deposed leader plans is refused.
// Every call rejects with ApiError (api/error.ts).
import type { Kind, KubeObject } from '../api/kind.ts'
import type { Draft, Json } from '../api/schema.ts'

export type ObjectKey = { readonly namespace?: string; readonly name: string }

export type ListOptions = {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export type ListResult<T> = { readonly items: readonly T[]; readonly resourceVersion: string }

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Nothing of ours changed until this revision. */
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply'

export type DeleteOptions = {
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  readonly gracePeriodSeconds?: number
  readonly uid?: string
  readonly resourceVersion?: string
}

export interface Client {
  get<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, signal: AbortSignal): Promise<T>
  list<T extends KubeObject>(kind: Kind<T>, options: ListOptions, signal: AbortSignal): Promise<ListResult<T>>
  /** Ends when the signal aborts; throws ApiError Expired when the revision is too old, or on any break. */
  watch<T extends KubeObject>(
    kind: Kind<T>,
    options: ListOptions & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>
  create<T extends KubeObject>(kind: Kind<T>, object: Draft<T>, signal: AbortSignal): Promise<T>
  /** Compare-and-set on the object's resourceVersion: Conflict when it is not the newest. */
  update<T extends KubeObject>(kind: Kind<T>, object: T, signal: AbortSignal): Promise<T>
  updateStatus<T extends KubeObject>(kind: Kind<T>, object: T, signal: AbortSignal): Promise<T>
  patch<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    patch: {
      readonly type: PatchType
      readonly body: Json
      readonly subresource?: string
      readonly fieldManager?: string
      readonly force?: boolean
    },
    signal: AbortSignal,
  ): Promise<T>
  delete<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    options: DeleteOptions,
    signal: AbortSignal,
  ): Promise<void>
  /** POST to a subresource: pods/binding, pods/eviction, serviceaccounts/token. */
  post(kind: Kind, key: ObjectKey, subresource: string, body: Json, signal: AbortSignal): Promise<Json>
}
