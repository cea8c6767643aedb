// Watches without a buffer per watcher. All who watch the same range share the batches made for it; one that is behind
// reads the history instead, and one that is behind the history is told 'compacted'. So a slow watcher costs nothing
// and holds nothing.
import type { Kv } from '../kv/kv.ts'
import { RangeIndex } from '../kv/range-index.ts'
import type { ChangeEvent, Revision, StoreError, WatchBatch } from '../kv/store.ts'
import type { KeyRange } from '../kv/txn.ts'
import { compactedError, eventKey, eventRevision } from '../kv/versions.ts'

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
  /** Of the turn that is being published. */
  arrived: ChangeEvent[]
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
  /** The same by what they watch: an event costs as much as it has watchers, however many there are besides. */
  readonly index: RangeIndex<Group>
  /** Counts up when watchers should get a bookmark. */
  bookmarks: number
}

export function createWatches(): Watches {
  return { groups: new Map(), index: new RangeIndex(), bookmarks: 0 }
}

const nameOf = ({ from, to }: Range) => JSON.stringify([from, to])

/** A range of one key is found quicker as that key. */
function indexed({ from, to }: Range): KeyRange {
  return to === `${from}\0` ? { from, to: undefined } : { from, to }
}

export function join(watches: Watches, range: Range, kv: Kv): Group {
  const name = nameOf(range)
  const existing = watches.groups.get(name)
  if (existing !== undefined) {
    existing.users += 1
    return existing
  }
  const { revision } = kv
  const fresh = { shared: [], covered: revision, last: revision, waiters: new Set<() => void>(), arrived: [] }
  const group: Group = { range, users: 1, ...fresh }
  watches.groups.set(name, group)
  watches.index.add(indexed(range), group)
  return group
}

export function leave(watches: Watches, group: Group): void {
  group.users -= 1
  if (group.users > 0) return
  watches.groups.delete(nameOf(group.range))
  watches.index.remove(indexed(group.range), group)
}

/** Everything that one turn of the store applied, in order, up to `revision`. */
export function publish(watches: Watches, events: readonly ChangeEvent[], revision: Revision): void {
  if (events.length === 0 || watches.groups.size === 0) return
  const touched: Group[] = []
  for (const event of events) {
    watches.index.find(eventKey(event), group => {
      if (group.arrived.push(event) === 1) touched.push(group)
    })
  }
  for (const group of touched) {
    group.shared.push({ after: group.last, revision, events: group.arrived })
    group.arrived = []
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
