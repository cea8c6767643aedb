// Watches this peer's own replica. The reader pulls: one that is slower than the history is long gets Expired.
import { ApiError } from '../api/error.ts'
import type { Kind, KubeObject } from '../api/kind.ts'
import { compileSelector, nameOfSelector, type Selectors } from '../api/select.ts'
import { prefixEnd, type Revision, type Store, StoreError } from '../kv/store.ts'
import { tooOld } from './list.ts'
import { eventsAs } from './run-convert.ts'
import type { ReadContext } from './run-read.ts'
import { keyOf, prefixOf } from './stored.ts'
import { type Change, changeOf, type Matches } from './watch.ts'

/** Changes that match, up to and with `revision`; without any it is a sign that time has passed. */
export type Batch = { readonly revision: Revision; readonly changes: readonly Change[] }

export function matcher(kind: Kind, selectors: Selectors): Matches {
  const selecting = (selectors.labelSelector ?? '') !== '' || (selectors.fieldSelector ?? '') !== ''
  return selecting ? (compileSelector(kind, selectors) as (object: KubeObject) => boolean) : undefined
}

/** What was seen at another peer may not be here yet: there is nothing to tell until then. False: the signal was quicker. */
async function hasCome(store: Store, revision: Revision, signal: AbortSignal): Promise<boolean> {
  if (store.revision() >= revision) return true
  try {
    await store.applied(revision, signal)
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw new ApiError('ServiceUnavailable', String(error), { retryAfterSeconds: 1 }, { cause: error })
  }
}

/** Ends when the signal aborts; throws ApiError Expired when `after` is older than the history. */
export async function* changes(
  context: ReadContext,
  kind: Kind,
  namespace: string | undefined,
  selectors: Selectors,
  after: Revision,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  const { store } = context
  const matches = matcher(kind, selectors)
  if (!(await hasCome(store, after, signal))) return
  const prefix = prefixOf(kind, namespace)
  const name = nameOfSelector(selectors)
  const single = name !== undefined && (kind.scope === 'Cluster' || (namespace ?? '') !== '')
  const key = single ? keyOf(kind, namespace, name) : prefix
  const range = { from: key, to: single ? `${key}\0` : prefixEnd(prefix), after }
  try {
    for await (const batch of store.watch(range, signal)) {
      const found: Change[] = []
      for (const event of await eventsAs(kind, batch.events)) {
        const change = changeOf(event, matches)
        if (change !== undefined) found.push(change)
      }
      yield { revision: batch.revision, changes: found }
    }
  } catch (error) {
    if (error instanceof StoreError && error.reason === 'compacted') {
      throw tooOld(after, store.status().compactedRevision)
    }
    if (error instanceof StoreError) {
      throw new ApiError('ServiceUnavailable', error.message, { retryAfterSeconds: 1 }, { cause: error })
    }
    throw error
  }
}
