// Reads of one replica's state: of now, or at a revision that is not compacted.
import type { Kv } from './kv.ts'
import { type KeyValue, type RangeOptions, type RangeResult, type Revision, StoreError } from './store.ts'
import type { KeyRange } from './txn.ts'
import { compactedError } from './versions.ts'

/** Throws StoreError when the revision is compacted, or has not been applied here. */
export function get({ versions, revision: newest }: Kv, key: string, revision = newest): KeyValue | undefined {
  if (revision === newest) return versions.get(key)
  check(versions.compacted, newest, revision)
  return versions.getAt(key, revision)
}

/** Throws StoreError as `get` does. */
export function range(kv: Kv, { from, to, limit, revision = kv.revision }: RangeOptions): RangeResult {
  if (!(from < to)) return { items: [], revision, remaining: 0 }
  const { items, count } = look(kv, { range: { from, to }, revision, limit: limit ?? 0, countOnly: limit === 0 })
  return { items, revision, remaining: count - items.length }
}

export type Look = {
  readonly range: KeyRange
  /** 0: the newest. */
  readonly revision: Revision
  /** 0: all. */
  readonly limit: number
  readonly countOnly: boolean
}

/** What a range holds and how much that is. Throws StoreError as `get` does. */
export function look(
  { versions, revision: newest }: Kv,
  query: Look,
): { readonly items: readonly KeyValue[]; readonly count: number; readonly revision: Revision } {
  const limit = query.countOnly ? 0 : query.limit > 0 ? query.limit : Number.POSITIVE_INFINITY
  if (query.revision === 0 || query.revision === newest) {
    return { ...versions.range(query.range, limit), revision: newest }
  }
  check(versions.compacted, newest, query.revision)
  return { ...versions.rangeAt(query.range, query.revision, limit), revision: newest }
}

/** Of all keys and the history up to `revision`; 0: the newest. Throws StoreError as `get` does. */
export function hashAt({ versions, revision: newest }: Kv, revision: Revision) {
  const at = revision === 0 ? newest : revision
  if (at !== newest) check(versions.compacted, newest, at)
  return { hash: versions.hashAt(at), revision: newest, compacted: versions.compacted }
}

function check(compacted: Revision, newest: Revision, revision: Revision): void {
  if (revision > newest) {
    throw new StoreError('unavailable', `revision ${revision} is not applied here yet; the newest is ${newest}`)
  }
  if (revision < compacted) throw compactedError(revision, compacted)
}
