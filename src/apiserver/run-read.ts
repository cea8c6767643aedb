// Gets and lists from this peer's own replica. They give stored values; what text or objects are made of them is the
// caller's (HTTP or the in-process client).
import { ApiError, notFound } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import { compileSelector, nameOfSelector, type Selectors } from '../api/select.ts'
import { type KeyValue, prefixEnd, type Revision, type Store, StoreError } from '../kv/store.ts'
import type { Until } from '../lib/abort.ts'
import type { World } from '../world/world.ts'
import {
  ContinueExpired,
  decodeToken,
  encodeToken,
  type ListQuery,
  tooLarge,
  tooOld,
  type Wanted,
  wantedByGet,
  wantedByList,
} from './list.ts'
import { readAs, readOneAs } from './run-convert.ts'
import { noLeader } from './run-forward.ts'
import type { Pace } from './run-pace.ts'
import { keyOf, objectOf, prefixOf } from './stored.ts'

export type ReadContext = { readonly world: Pick<World, 'clock'>; readonly store: Store; readonly pace: Pace }

const revisionWaitMs = 3_000
/** How many keys one look at the store takes in while a selector searches. */
const scanCount = 1_000
/** How many objects are looked at between two questions whether others are to have their turn. */
const pacedCount = 16

/** Waits until this replica shows what is wanted. */
export async function reach(context: ReadContext, wanted: Wanted, until: Until): Promise<void> {
  const { world, store } = context
  if (wanted.kind === 'any') return
  if (wanted.kind === 'newest') {
    try {
      // Without the signal: all who read at once share one promise, and the store gives up by itself.
      await store.newest()
    } catch (error) {
      throw new ApiError('ServiceUnavailable', noLeader().message, { retryAfterSeconds: 1 }, { cause: error })
    }
    return
  }
  if (store.revision() >= wanted.revision) return
  using deadline = world.clock.deadline(revisionWaitMs, until.signal)
  try {
    await store.applied(wanted.revision, deadline.signal)
  } catch {
    throw tooLarge(wanted.revision, store.revision())
  }
}

export async function get(
  context: ReadContext,
  kind: Kind,
  namespace: string | undefined,
  name: string,
  resourceVersion: string,
  until: Until,
): Promise<KeyValue> {
  const wanted = wantedByGet(resourceVersion)
  if (wanted.kind !== 'any') await reach(context, wanted, until)
  const stored = await context.store.get(keyOf(kind, namespace, name))
  const found = kind.storedAs === undefined ? stored : await readOneAs(kind, stored)
  if (found === undefined) throw notFound(kind, name)
  return found
}

export type Listed = {
  readonly items: readonly KeyValue[]
  readonly revision: Revision
  readonly continue?: string
  readonly remaining?: number
}

export async function list(
  context: ReadContext,
  kind: Kind,
  namespace: string | undefined,
  selectors: Selectors,
  query: ListQuery,
  until: Until,
): Promise<Listed> {
  const { store, pace } = context
  const prefix = prefixOf(kind, namespace)
  const selecting = (selectors.labelSelector ?? '') !== '' || (selectors.fieldSelector ?? '') !== ''
  const matches = selecting ? compileSelector(kind, selectors) : undefined
  const wanted = wantedByList(query)
  const token = query.continue === '' ? undefined : decodeToken(query.continue, prefix)
  const exact = token && token.revision > 0 ? token.revision : wanted.kind === 'exactly' ? wanted.revision : undefined
  await reach(context, exact === undefined ? wanted : { kind: 'exactly', revision: exact }, until)

  const named = selecting && token === undefined ? nameOfSelector(selectors) : undefined
  const single = named !== undefined && (kind.scope === 'Cluster' || prefix.split('/').length > 4)
  const from = single ? prefix + named : token ? `${prefix}${token.after}\0` : prefix
  const to = single ? `${prefix}${named}\0` : prefixEnd(prefix)
  const limit = query.limit > 0 ? query.limit : Number.POSITIVE_INFINITY

  const items: KeyValue[] = []
  let revision = exact
  let at = from
  try {
    for (;;) {
      const room = limit - items.length
      const count = matches ? Math.max(scanCount, room) : room
      // Thousands of keys are a piece of work, too.
      await pace.turn()
      const part = await store.range({
        from: at,
        to,
        ...(Number.isFinite(count) && { limit: count }),
        ...(revision !== undefined && { revision }),
      })
      revision ??= part.revision
      const found = await readAs(kind, part.items)
      await pace.turn()
      // A whole list, which most are, is taken as it is.
      if (!matches && part.remaining === 0 && items.length === 0) return { items: found, revision }
      for (const [i, item] of found.entries()) {
        if (matches) {
          if (i % pacedCount === 0) await pace.turn()
          if (!matches(objectOf(item))) continue
        }
        items.push(item)
        if (items.length < limit) continue
        const behind = part.items.length - i - 1 + part.remaining
        if (behind === 0) return { items, revision }
        const next = encodeToken({ prefix, after: item.key.slice(prefix.length), revision })
        return { items, revision, continue: next, ...(!matches && { remaining: behind }) }
      }
      const last = part.items.at(-1)
      if (part.remaining === 0 || last === undefined) return { items, revision }
      at = `${last.key}\0`
    }
  } catch (error) {
    if (!(error instanceof StoreError) || error.reason !== 'compacted') throw error
    if (token !== undefined) throw new ContinueExpired(token)
    throw tooOld(exact ?? 0, store.status().compactedRevision)
  }
}
