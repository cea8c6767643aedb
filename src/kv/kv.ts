// What the log is applied to: a key-value store with one revision, compare-and-set over several keys, and a bounded
// history. `apply` is total on any bytes and deterministic: the same entries give the same answers, the same state and
// the same `hash` on every replica. Called by store/run.ts; answers nothing before it is applied.
import { ByteWriter } from '../lib/binary.ts'
import type { Bytes } from '../lib/bytes.ts'
import { crc32 } from '../lib/crc32.ts'
import { compareText } from '../lib/sorted.ts'
import { decodeCommand } from './codec.ts'
import { History } from './history.ts'
import {
  type ChangeEvent,
  type KeyValue,
  type RangeOptions,
  type RangeResult,
  type Revision,
  StoreError,
  type Write,
  type WriteResult,
} from './store.ts'
import { Table } from './table.ts'

/** A store starts at 1, as etcd does: 0 means "any" to those who watch. */
export const firstRevision = 1
/** How many ids of done writes are remembered, so that a write proposed twice happens once. */
export const doneCountMax = 1_024

export type Kv = {
  readonly table: Table<KeyValue>
  history: History
  /** Ids of the last writes that were done, oldest first, with their revisions. */
  readonly done: Map<string, Revision>
  revision: Revision
  /** The last entry applied, and its term. */
  index: number
  term: number
  /** Chained over every applied entry and what it did. Equal on replicas that applied the same up to `index`. */
  hash: number
}

export type Applied = {
  readonly answer:
    | WriteResult
    | { readonly kind: 'compacted'; readonly revision: Revision }
    /** Not a command. Nothing happened. */
    | { readonly kind: 'malformed' }
    /** A command of a newer program: this replica cannot follow and must stop before it disagrees with the others. */
    | { readonly kind: 'unsupported' }
  readonly events: readonly ChangeEvent[]
}

export type HistoryLimits = { readonly countMax?: number; readonly bytesMax?: number }

export function createKv(limits: HistoryLimits = {}): Kv {
  return restoreKv({ revision: firstRevision, index: 0, term: 0, hash: 0, done: [], items: [] }, limits)
}

/** What a snapshot or the applied state on disk holds. */
export type KvImage = {
  readonly revision: Revision
  readonly index: number
  readonly term: number
  readonly hash: number
  readonly done: readonly (readonly [id: string, revision: Revision])[]
  /** In order of their keys is fastest. */
  readonly items: readonly KeyValue[]
}

/** The history of a restored store begins at its revision. */
export function restoreKv(image: KvImage, limits: HistoryLimits = {}): Kv {
  const table = new Table<KeyValue>()
  for (const item of image.items) table.put(item)
  const { revision, index, term, hash } = image
  const history = new History(revision, limits.countMax, limits.bytesMax)
  return { table, history, done: new Map(image.done), revision, index, term, hash }
}

/** A picture of the state as it is now; later applies do not change it. */
export function captureKv(kv: Kv): KvImage {
  return { ...captureHead(kv), items: kv.table.all() }
}

/** The same without the items. */
export function captureHead({ revision, index, term, hash, done }: Kv): Omit<KvImage, 'items'> {
  return { revision, index, term, hash, done: [...done] }
}

/** Applies the entry after the last one. An empty entry or a membership has no command. */
export function apply(kv: Kv, entry: { index: number; term: number; command: Bytes | undefined }): Applied {
  kv.index = entry.index
  kv.term = entry.term
  const applied = entry.command === undefined ? idle(kv) : execute(kv, entry.term, entry.command)
  kv.hash = chain(kv, entry, applied)
  return applied
}

function idle(kv: Kv): Applied {
  return { answer: { kind: 'done', revision: kv.revision }, events: [] }
}

function execute(kv: Kv, term: number, bytes: Bytes): Applied {
  const command = decodeCommand(bytes)
  switch (command.kind) {
    case 'malformed':
    case 'unsupported':
      return { answer: command, events: [] }
    case 'compact': {
      kv.history.compact(Math.min(command.revision, kv.revision))
      return { answer: { kind: 'compacted', revision: kv.revision }, events: [] }
    }
    case 'write': {
      const before = command.id === '' ? undefined : kv.done.get(command.id)
      if (before !== undefined) return { answer: { kind: 'done', revision: before }, events: [] }
      const applied = write(kv, term, command.write)
      if (applied.answer.kind === 'done' && command.id !== '') remember(kv, command.id, applied.answer.revision)
      return applied
    }
  }
}

function write(kv: Kv, term: number, command: Write): Applied {
  if (command.term !== undefined && command.term !== term) return { answer: { kind: 'fenced', term }, events: [] }
  const holds = command.compare.every(c => (kv.table.get(c.key)?.modRevision ?? 0) === c.modRevision)
  if (!holds) {
    const current = command.compare.flatMap(c => kv.table.get(c.key) ?? [])
    return { answer: { kind: 'conflict', revision: kv.revision, current }, events: [] }
  }
  // A key named twice gets the last word said about it, and one event.
  const values = new Map<string, string | undefined>()
  for (const { key, value } of command.operations) {
    values.delete(key)
    values.set(key, value)
  }
  const revision = kv.revision + 1
  const events: ChangeEvent[] = []
  for (const [key, value] of values) {
    if (value === undefined) {
      const previous = kv.table.delete(key)
      if (previous !== undefined) events.push({ kind: 'delete', key, revision, previous })
    } else {
      const old = kv.table.get(key)
      const current = { key, value, createRevision: old?.createRevision ?? revision, modRevision: revision }
      kv.table.put(current)
      events.push({ kind: 'put', current, previous: old })
    }
  }
  // A write that changes nothing takes no revision, so a revision is always a change.
  if (events.length > 0) {
    kv.revision = revision
    kv.history.push(revision, events)
  }
  return { answer: { kind: 'done', revision: kv.revision }, events }
}

function remember(kv: Kv, id: string, revision: Revision): void {
  kv.done.set(id, revision)
  if (kv.done.size <= doneCountMax) return
  for (const oldest of kv.done.keys()) {
    kv.done.delete(oldest)
    break
  }
}

const outcomes = { done: 1, conflict: 2, fenced: 3, compacted: 4, malformed: 5, unsupported: 6 } as const

function chain(kv: Kv, entry: { index: number; term: number; command: Bytes | undefined }, applied: Applied): number {
  const out = new ByteWriter(64)
  out.varint(entry.index)
  out.varint(entry.term)
  out.u8(outcomes[applied.answer.kind])
  out.varint(kv.revision)
  for (const event of applied.events) {
    if (event.kind === 'put') out.varint(event.current.createRevision)
    out.varint(event.previous?.modRevision ?? 0)
  }
  const outcome = crc32(out.finish(), kv.hash)
  return entry.command === undefined ? outcome : crc32(entry.command, outcome)
}

/** Throws StoreError when the revision is compacted, or has not been applied here. */
export function get(kv: Kv, key: string, revision?: Revision): KeyValue | undefined {
  if (revision === undefined || revision === kv.revision) return kv.table.get(key)
  checkRevision(kv, revision)
  const were = kv.history.undo(revision)
  return were.has(key) ? were.get(key) : kv.table.get(key)
}

/** Throws StoreError as `get` does. */
export function range(kv: Kv, options: RangeOptions): RangeResult {
  const { from, to, limit = Number.POSITIVE_INFINITY } = options
  const revision = options.revision ?? kv.revision
  if (revision === kv.revision) {
    const items = kv.table.slice(from, to, limit)
    const remaining = items.length < limit ? 0 : kv.table.count(from, to) - items.length
    return { items, revision, remaining }
  }
  checkRevision(kv, revision)
  const were = [...kv.history.undo(revision)].filter(([key]) => key >= from && key < to)
  were.sort(([a], [b]) => compareText(a, b))
  let count = kv.table.count(from, to)
  for (const [key, item] of were) count += (item === undefined ? 0 : 1) - (kv.table.get(key) === undefined ? 0 : 1)
  // Every key that changed since may hide one of now, so this many are enough for `limit` of then.
  const now = kv.table.slice(from, to, limit + were.length)
  return { items: merge(now, were, limit), revision, remaining: Math.max(0, count - limit) }
}

/** The items of `now` in order, but for the keys of `were`, which are as they were. */
function merge(now: readonly KeyValue[], were: readonly (readonly [string, KeyValue | undefined])[], limit: number) {
  const items: KeyValue[] = []
  let i = 0
  let j = 0
  while (items.length < limit && (i < now.length || j < were.length)) {
    const current = now[i]
    const [key, then] = were[j] ?? []
    if (key === undefined || (current !== undefined && current.key < key)) {
      if (current !== undefined) items.push(current)
      i += 1
      continue
    }
    if (current !== undefined && current.key === key) i += 1
    j += 1
    if (then !== undefined) items.push(then)
  }
  return items
}

function checkRevision(kv: Kv, revision: Revision): void {
  if (revision > kv.revision) {
    throw new StoreError('unavailable', `revision ${revision} is not applied here yet; the newest is ${kv.revision}`)
  }
  if (revision < kv.history.compacted) throw compacted(kv, revision)
}

/** What one who asks for too old a revision gets. */
export function compacted(kv: Kv, revision: Revision): StoreError {
  return new StoreError('compacted', `revision ${revision} is compacted; the oldest kept is ${kv.history.compacted}`)
}
