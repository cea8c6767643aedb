// Watches without a buffer per watcher. All who watch the same range share the batches made for it; one that is behind
// reads the history instead, and one that is behind the history is told 'compacted'. So a slow watcher costs nothing
// and holds nothing.
import type { Kv } from '../kv/kv.ts'
import type { ChangeEvent, Revision, StoreError, WatchBatch } from '../kv/store.ts'
import { compactedError, eventKey, eventRevision, isIn } from '../kv/versions.ts'

const sharedCountMax = 64
const caughtUpCountMax = 1_000

export type Range = { readonly from: string; readonly to: string }

type Shared = WatchBatch & { readonly after: Revision }

/** One range that somebody watches. */
export type Group = {
  readonly range: Range
  users: number
  /** Newest last; nothing of the range is missing after `covered`. */
  shared: Shared[]
  covered: Revision
  last: Revision
  readonly waiters: Set<() => void>
}

export type Next =
  | { readonly kind: 'batch'; readonly batch: WatchBatch }
  /** Nothing of the range happened up to `revision`; nobody needs to hear of it. */
  | { readonly kind: 'passed'; readonly revision: Revision }
  | { readonly kind: 'failed'; readonly error: StoreError }
  /** Nothing yet: wait in `group.waiters`. */
  | { readonly kind: 'wait' }

export type Watches = {
  readonly groups: Map<string, Group>
  /** Counts up when watchers should get a bookmark. */
  bookmarks: number
}

export function createWatches(): Watches {
  return { groups: new Map(), bookmarks: 0 }
}

const nameOf = ({ from, to }: Range) => JSON.stringify([from, to])

export function join(watches: Watches, range: Range, kv: Kv): Group {
  const name = nameOf(range)
  const existing = watches.groups.get(name)
  const { revision } = kv
  const group = existing ?? { range, users: 0, shared: [], covered: revision, last: revision, waiters: new Set() }
  group.users += 1
  watches.groups.set(name, group)
  return group
}

export function leave(watches: Watches, group: Group): void {
  group.users -= 1
  if (group.users === 0) watches.groups.delete(nameOf(group.range))
}

/** Everything that one turn of the store applied, in order, up to `revision`. */
export function publish(watches: Watches, events: readonly ChangeEvent[], revision: Revision): void {
  if (events.length === 0) return
  for (const group of watches.groups.values()) {
    const matching = events.filter(event => isIn(eventKey(event), group.range))
    if (matching.length === 0) continue
    group.shared.push({ after: group.last, revision, events: matching })
    group.last = revision
    if (group.shared.length > sharedCountMax) {
      group.shared.shift()
      group.covered = group.shared[0]?.after ?? group.last
    }
    wake(group)
  }
}

/** The state was replaced by a snapshot: what happened in between is not known. */
export function restart(watches: Watches, revision: Revision): void {
  for (const group of watches.groups.values()) {
    group.shared = []
    group.covered = revision
    group.last = revision
    wake(group)
  }
}

export function bookmark(watches: Watches): void {
  watches.bookmarks += 1
  wakeAll(watches)
}

export function wakeAll(watches: Watches): void {
  for (const group of watches.groups.values()) wake(group)
}

function wake(group: Group): void {
  const waiters = [...group.waiters]
  group.waiters.clear()
  for (const waiter of waiters) waiter()
}

/** What one who has seen everything up to `cursor` gets next. */
export function next(group: Group, kv: Kv, cursor: Revision): Next {
  if (cursor < group.covered) {
    const { versions } = kv
    if (cursor < versions.start) return { kind: 'failed', error: compactedError(cursor, versions.compacted) }
    const { revision, events } = versions.since(group.range, cursor, kv.revision, caughtUpCountMax)
    return events.length === 0 ? { kind: 'passed', revision } : { kind: 'batch', batch: { revision, events } }
  }
  const batch = group.shared.find(shared => shared.revision > cursor)
  if (batch === undefined) return { kind: 'wait' }
  if (batch.after >= cursor) return { kind: 'batch', batch }
  const events = batch.events.filter(event => eventRevision(event) > cursor)
  const { revision } = batch
  return events.length === 0 ? { kind: 'passed', revision } : { kind: 'batch', batch: { revision, events } }
}
