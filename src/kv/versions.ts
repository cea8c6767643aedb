// All keys with the versions that are still remembered of them: what is there now, what the last changes were, and what
// was there at each revision that is not compacted. It is replicated state: only commands of the log make it forget.
//
// The base is the state at revision `start`; every change after `start` is kept. A slot holds all versions of a key, so a
// read at an old revision costs what a read of now costs, and a search in the versions of the keys that it meets.
import { hashOf, tombstone } from './record.ts'
import { type ChangeEvent, type KeyValue, type Revision, StoreError } from './store.ts'
import { type Keyed, Table } from './table.ts'
import { type KeyRange, keysEnd } from './txn.ts'

export type Slot = Keyed & {
  /** The newest version; of a dead slot, its deletion. */
  item: KeyValue
  hash: number
  /** Superseded versions and deletions, oldest first; those before `from` are forgotten. */
  older: (KeyValue | undefined)[] | undefined
  from: number
}

/** One event of a change. Events of one change follow each other. */
type Past = {
  readonly event: ChangeEvent
  readonly revision: Revision
  readonly slot: Slot
  /** About what memory the history alone needs, for all pushed up to and with this one. */
  readonly bytes: number
  /** Of the hashes of all versions pushed up to and with this one. */
  readonly sum: number
  /** What the sum over the base gains when this becomes a part of it. */
  readonly net: number
}

export type Image = {
  readonly start: Revision
  readonly compacted: Revision
  /** The state at `baseRevision`, which is not after `start`, in order of the keys. */
  readonly base: readonly KeyValue[]
  readonly baseRevision: Revision
  /** The versions since, deletions among them, in order of their revisions. */
  readonly changes: readonly KeyValue[]
}

/** As measured: what an event needs, and what a superseded version does beside its value. The key is shared. */
const eventBytes = 140
const versionBytes = 260

export class Versions {
  /** Keys that are there, and keys that are not but whose deletion is remembered. */
  readonly #live = new Table<Slot>()
  readonly #dead = new Table<Slot>()
  /** The slots of both. The tables are for ranges: a search in them costs a dozen comparisons, this one none. */
  readonly #slots = new Map<string, Slot>()
  /** `#past[#head]` is the oldest; the space before it is given back now and then. */
  #past: (Past | undefined)[] = []
  #head = 0
  #pushedBytes = 0
  #droppedBytes = 0
  #start: Revision
  #compacted: Revision
  /** Of the hashes of the base, and of all versions pushed until then. */
  #baseSum = 0
  #startSum = 0
  #sum = 0
  /** Of the items of now. */
  #liveSum = 0

  /** Empty, as at `baseRevision`. `addBase`, `push` and `settle` make of it what an image holds. */
  constructor(baseRevision: Revision) {
    this.#start = baseRevision
    this.#compacted = baseRevision
  }

  /** Before anything is pushed; quickest in order of the keys. */
  addBase(item: KeyValue): void {
    const hash = hashOf(item)
    const slot = { key: item.key, item, hash, older: undefined, from: 0 }
    this.#live.add(slot)
    this.#slots.set(item.key, slot)
    this.#baseSum = (this.#baseSum + hash) | 0
    this.#liveSum = this.#baseSum
  }

  /** Forgets what was forgotten where the image was made. */
  settle({ compacted, start }: Pick<Image, 'compacted' | 'start'>): void {
    this.#forget(compacted, start)
  }

  /** How many keys there are. */
  get size(): number {
    return this.#live.size
  }

  /** Nothing can be read at a revision before this one. */
  get compacted(): Revision {
    return this.#compacted
  }

  /** Every change after this revision is kept. */
  get start(): Revision {
    return this.#start
  }

  /** How many events are remembered. */
  get count(): number {
    return this.#past.length - this.#head
  }

  /** About how much memory they need. */
  get bytes(): number {
    return this.#pushedBytes - this.#droppedBytes
  }

  /** The oldest revision that can be compacted to so that at most `countMax` events and `bytesMax` bytes are left. */
  oldestWithin(countMax: number, bytesMax: number): Revision {
    let low = Math.max(this.#head, this.#past.length - countMax)
    let high = this.#past.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const before = middle > this.#head ? (this.#past[middle - 1]?.bytes ?? 0) : this.#droppedBytes
      if (this.#pushedBytes - before > bytesMax) low = middle + 1
      else high = middle
    }
    // Of what is too large by itself, the last change is kept all the same.
    const oldest = this.#past[Math.min(low, this.#past.length - 1)]
    const isWhole = this.#past[low - 1]?.revision !== oldest?.revision || low <= this.#head
    return oldest === undefined ? this.#start : isWhole ? oldest.revision : oldest.revision + 1
  }

  get(key: string): KeyValue | undefined {
    return this.slot(key)?.item
  }

  /** Of a key that is there. */
  slot(key: string): Slot | undefined {
    const slot = this.#slots.get(key)
    return slot !== undefined && slot.item.version > 0 ? slot : undefined
  }

  /** Adds the newest version of the key that `slot` was given for. A deletion must be of a key that is there. */
  push(item: KeyValue, slot: Slot | undefined): ChangeEvent {
    const revision = item.modRevision
    const hash = hashOf(item)
    const isDeletion = item.version === 0
    const was = slot?.item
    const wasHash = slot?.hash ?? 0
    const event: ChangeEvent =
      was !== undefined && isDeletion
        ? { kind: 'delete', key: item.key, revision, previous: was }
        : { kind: 'put', current: item, previous: was }
    const into = slot ?? this.#revived(item)
    if (into.item !== item) {
      into.older ??= []
      into.older.push(into.item)
      into.item = item
    }
    into.hash = hash
    if (isDeletion) {
      this.#live.delete(item.key)
      this.#dead.add(into)
    }
    this.#sum = (this.#sum + hash) | 0
    this.#pushedBytes += eventBytes + (was === undefined ? 0 : versionBytes + was.value.length)
    const net = isDeletion ? -wasHash | 0 : (hash - wasHash) | 0
    this.#liveSum = (this.#liveSum + net) | 0
    this.#past.push({ event, revision, slot: into, bytes: this.#pushedBytes, sum: this.#sum, net })
    return event
  }

  #revived(item: KeyValue): Slot {
    const dead = this.#slots.get(item.key)
    const slot = dead ?? { key: item.key, item, hash: 0, older: undefined, from: 0 }
    if (dead === undefined) this.#slots.set(item.key, slot)
    else this.#dead.delete(item.key)
    this.#live.add(slot)
    return slot
  }

  /** Forgets what was before `revision`; its own change is still kept, for watches that begin with it. */
  compact(revision: Revision): void {
    this.#forget(revision, revision - 1)
  }

  /** Forgets all changes up to and with `revision`. */
  forget(revision: Revision): void {
    this.#forget(revision, revision)
  }

  #forget(compacted: Revision, start: Revision): void {
    this.#compacted = Math.max(this.#compacted, compacted)
    this.#start = Math.max(this.#start, start)
    for (;;) {
      const oldest = this.#past[this.#head]
      if (oldest === undefined || oldest.revision > this.#start) break
      // Given up at once, for what it holds may be large; the place, when there are many.
      this.#past[this.#head] = undefined
      this.#head += 1
      this.#drop(oldest)
    }
    if (this.#head >= 1024 && this.#head * 2 >= this.#past.length) {
      this.#past = this.#past.slice(this.#head)
      this.#head = 0
    }
  }

  /** The oldest change becomes a part of the base: what it superseded is gone, and a deletion leaves nothing behind. */
  #drop({ event, revision, slot, bytes, sum, net }: Past): void {
    this.#droppedBytes = bytes
    this.#startSum = sum
    this.#baseSum = (this.#baseSum + net) | 0
    if (event.previous !== undefined) dropOldest(slot)
    if (event.kind === 'put') return
    if (slot.item.modRevision !== revision) dropOldest(slot)
    else {
      this.#dead.delete(slot.key)
      this.#slots.delete(slot.key)
    }
  }

  /** The place of the first event newer than `revision`. */
  #after(revision: Revision): number {
    let low = this.#head
    let high = this.#past.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#past[middle]?.revision ?? 0) <= revision) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * The events of a range after `after`, whole revisions, until about `countMax` are collected. `revision` is how far the
   * look went: nothing else happened in the range up to it. `newest` is the store's revision.
   */
  since(
    range: KeyRange,
    after: Revision,
    newest: Revision,
    countMax: number,
  ): { readonly revision: Revision; readonly events: readonly ChangeEvent[] } {
    if (after < this.#start) throw compactedError(after + 1, this.#compacted)
    const events: ChangeEvent[] = []
    let last = after
    for (let i = this.#after(after); i < this.#past.length; i++) {
      const past = this.#past[i]
      if (past === undefined) break
      if (events.length >= countMax && past.revision > last) return { revision: past.revision - 1, events }
      if (!isIn(past.slot.key, range)) continue
      events.push(past.event)
      last = past.revision
    }
    return { revision: Math.max(newest, after), events }
  }

  /** A key as it was. The revision must not be compacted. */
  getAt(key: string, revision: Revision): KeyValue | undefined {
    const slot = this.#slots.get(key)
    return slot === undefined ? undefined : versionAt(slot, revision)
  }

  /** Up to `limit` items of a range as they are, and how many there are in all. */
  range(range: KeyRange, limit: number): { readonly items: readonly KeyValue[]; readonly count: number } {
    const { from, to } = range
    if (to === undefined) return one(this.get(from), limit)
    const items = this.#live.slice(from, to, limit).map(slot => slot.item)
    return { items, count: items.length < limit ? items.length : this.#live.count(from, to) }
  }

  /** The same at a revision that is not compacted. */
  rangeAt(
    range: KeyRange,
    revision: Revision,
    limit: number,
  ): { readonly items: readonly KeyValue[]; readonly count: number } {
    const { from, to } = range
    if (to === undefined) return one(this.getAt(from, revision), limit)
    const items = this.#walk(from, to, revision, limit)
    return { items, count: items.length < limit ? items.length : this.#countAt(from, to, revision) }
  }

  /** Up to `limit` items of [from, to) as they were at a revision, in order. */
  #walk(from: string, to: string, revision: Revision, limit: number): KeyValue[] {
    const items: KeyValue[] = []
    const live = this.#live.cursor(from)
    const dead = this.#dead.cursor(from)
    while (items.length < limit) {
      const isDead = dead.current !== undefined && (live.current === undefined || dead.current.key < live.current.key)
      const next = isDead ? dead : live
      const slot = next.current
      if (slot === undefined || slot.key >= to) break
      const item = versionAt(slot, revision)
      if (item !== undefined) items.push(item)
      next.advance()
    }
    return items
  }

  /** How many keys there are now, but for those that came and went since: a list in parts asks at a revision not long ago. */
  #countAt(from: string, to: string, revision: Revision): number {
    let count = this.#live.count(from, to)
    for (let i = this.#after(revision); i < this.#past.length; i++) {
      const past = this.#past[i]
      if (past === undefined || (past.event.kind === 'put' && past.event.previous !== undefined)) continue
      const { key } = past.slot
      if (key >= from && key < to) count += past.event.kind === 'put' ? -1 : 1
    }
    return count
  }

  /** Over all versions that are kept, up to and with `revision`: of the base, and of the changes since. */
  hashAt(revision: Revision): number {
    const place = this.#after(revision)
    const last = place > this.#head ? this.#past[place - 1] : undefined
    return (this.#baseSum + (last?.sum ?? this.#startSum) - this.#startSum) >>> 0
  }

  /** Of the hashes of all items of now. */
  get liveSum(): number {
    return this.#liveSum >>> 0
  }

  /** Of all versions that are kept. */
  get hash(): number {
    return (this.#baseSum + this.#sum - this.#startSum) >>> 0
  }

  /** The items that live by a lease. */
  leased(): KeyValue[] {
    const items: KeyValue[] = []
    for (const { item } of this.#live.all()) if (item.lease !== 0) items.push(item)
    return items
  }

  /** All items of now, in order. */
  all(): KeyValue[] {
    return this.#live.all().map(slot => slot.item)
  }

  /** A picture of now; what is pushed later does not change it. */
  image(): Image {
    const base = this.#walk('', keysEnd, this.#start, Number.POSITIVE_INFINITY)
    const changes: KeyValue[] = []
    for (let i = this.#head; i < this.#past.length; i++) {
      const past = this.#past[i]
      if (past !== undefined) changes.push(versionOf(past.event))
    }
    return { start: this.#start, compacted: this.#compacted, base, baseRevision: this.#start, changes }
  }
}

/** What one who asks for too old a revision gets. */
export function compactedError(revision: Revision, compacted: Revision): StoreError {
  return new StoreError('compacted', `revision ${revision} is compacted; the oldest kept is ${compacted}`)
}

/** The version that an event brought. */
export function versionOf(event: ChangeEvent): KeyValue {
  return event.kind === 'put' ? event.current : tombstone(event.key, event.revision)
}

export function eventKey(event: ChangeEvent): string {
  return event.kind === 'put' ? event.current.key : event.key
}

export function eventRevision(event: ChangeEvent): Revision {
  return event.kind === 'put' ? event.current.modRevision : event.revision
}

export function isIn(key: string, { from, to }: KeyRange): boolean {
  return to === undefined ? key === from : key >= from && key < to
}

function one(item: KeyValue | undefined, limit: number) {
  return { items: item === undefined || limit < 1 ? [] : [item], count: item === undefined ? 0 : 1 }
}

/** Undefined when the key was not there. */
function versionAt(slot: Slot, revision: Revision): KeyValue | undefined {
  const { item, older } = slot
  if (item.modRevision <= revision) return item.version > 0 ? item : undefined
  if (older === undefined) return undefined
  let low = slot.from
  let high = older.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((older[middle]?.modRevision ?? 0) <= revision) low = middle + 1
    else high = middle
  }
  const found = low > slot.from ? older[low - 1] : undefined
  return found !== undefined && found.version > 0 ? found : undefined
}

function dropOldest(slot: Slot): void {
  const { older } = slot
  if (older === undefined) return
  older[slot.from] = undefined
  slot.from += 1
  if (slot.from < older.length && (slot.from < 16 || slot.from * 2 < older.length)) return
  slot.older = slot.from < older.length ? older.slice(slot.from) : undefined
  slot.from = 0
}
