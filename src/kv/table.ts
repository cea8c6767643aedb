// A sorted table of things with a key, in chunks. What is added waits unsorted until somebody asks for an order, or until
// it is much: sorted among themselves, new keys find their chunks side by side, and a chunk that gets ten moves once.
// 100,000 keys are about 300 chunks. Order is by code unit, the same on every machine.

export const chunkCountMax = 512
/** So many are put in their places within a millisecond or two. */
export const lateCountMax = 2_048

export type Keyed = { readonly key: string }

export class Table<T extends Keyed> {
  /** Never empty chunks, except the only one of an empty table. */
  #chunks: T[][] = [[]]
  /** Added and not yet in a chunk. */
  #late: T[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Its key must not be there. */
  add(item: T): void {
    this.#size += 1
    this.#late.push(item)
    if (this.#late.length >= lateCountMax) this.#settle()
  }

  delete(key: string): T | undefined {
    this.#settle()
    const at = this.#chunkOf(key)
    const chunk = this.#chunks[at] ?? []
    const place = lowerBound(chunk, key)
    const old = chunk[place]
    if (old === undefined || old.key !== key) return undefined
    chunk.splice(place, 1)
    this.#size -= 1
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(at, 1)
    return old
  }

  #settle(): void {
    const late = this.#late
    if (late.length === 0) return
    this.#late = []
    if (late.length > 1) late.sort((a, b) => (a.key < b.key ? -1 : 1))
    for (let from = 0; from < late.length; ) {
      const at = this.#chunkOf(late[from]?.key ?? '')
      const next = this.#chunks[at + 1]?.[0]?.key
      let to = from + 1
      while (to < late.length && (next === undefined || (late[to]?.key ?? '') < next)) to += 1
      this.#fill(at, late.slice(from, to))
      from = to
    }
  }

  /** `items` are sorted and belong into the chunk. */
  #fill(at: number, items: readonly T[]): void {
    const chunk = this.#chunks[at] ?? []
    const [first] = items
    if (first === undefined) return
    const last = chunk.at(-1)
    const isBehind = last === undefined || last.key < first.key
    if (isBehind) for (const item of items) chunk.push(item)
    else if (items.length === 1) chunk.splice(lowerBound(chunk, first.key), 0, first)
    else this.#chunks[at] = merged(chunk, items)
    const full = this.#chunks[at] ?? []
    if (full.length <= chunkCountMax) return
    // Keys that come in order, as in a restore, would leave every chunk half full.
    const count = Math.ceil(full.length / (isBehind ? chunkCountMax : chunkCountMax / 2))
    const length = isBehind ? chunkCountMax : Math.ceil(full.length / count)
    const pieces: T[][] = []
    for (let i = 0; i < full.length; i += length) pieces.push(full.slice(i, i + length))
    this.#chunks.splice(at, 1, ...pieces)
  }

  /** The chunk that holds `key`, or would. */
  #chunkOf(key: string): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      const first = this.#chunks[middle]?.[0]
      if (first !== undefined && first.key <= key) low = middle
      else high = middle - 1
    }
    return low
  }

  /** How many keys are in [from, to). */
  count(from: string, to: string): number {
    this.#settle()
    return from < to ? this.#rank(to) - this.#rank(from) : 0
  }

  #rank(key: string): number {
    const at = this.#chunkOf(key)
    let rank = 0
    for (let i = 0; i < at; i++) rank += this.#chunks[i]?.length ?? 0
    return rank + lowerBound(this.#chunks[at] ?? [], key)
  }

  /** Up to `limit` items of [from, to), in order. */
  slice(from: string, to: string, limit = Number.POSITIVE_INFINITY): T[] {
    const items: T[] = []
    if (!(from < to)) return items
    this.#settle()
    let at = this.#chunkOf(from)
    let place = lowerBound(this.#chunks[at] ?? [], from)
    while (items.length < limit) {
      const chunk = this.#chunks[at]
      if (chunk === undefined) break
      const item = chunk[place]
      if (item === undefined) {
        at += 1
        place = 0
        continue
      }
      if (item.key >= to) break
      items.push(item)
      place += 1
    }
    return items
  }

  /** A copy of all items, in order. */
  all(): T[] {
    this.#settle()
    return this.#chunks.flat()
  }

  /** For a walk from the first key that is not smaller than `from`; the table must not change meanwhile. */
  cursor(from: string): Cursor<T> {
    this.#settle()
    const at = this.#chunkOf(from)
    return new Cursor(this.#chunks, at, lowerBound(this.#chunks[at] ?? [], from))
  }
}

export class Cursor<T> {
  /** Undefined at the end. */
  current: T | undefined
  readonly #chunks: readonly (readonly T[])[]
  #at: number
  #place: number

  constructor(chunks: readonly (readonly T[])[], at: number, place: number) {
    this.#chunks = chunks
    this.#at = at
    this.#place = place - 1
    this.advance()
  }

  advance(): void {
    this.#place += 1
    let chunk = this.#chunks[this.#at]
    while (chunk !== undefined && this.#place >= chunk.length) {
      this.#at += 1
      this.#place = 0
      chunk = this.#chunks[this.#at]
    }
    this.current = chunk?.[this.#place]
  }
}

/** Of two sorted lists with different keys. */
function merged<T extends Keyed>(a: readonly T[], b: readonly T[]): T[] {
  const all: T[] = []
  let i = 0
  for (const item of b) {
    for (let other = a[i]; other !== undefined && other.key < item.key; other = a[++i]) all.push(other)
    all.push(item)
  }
  for (; i < a.length; i++) all.push(a[i] as T)
  return all
}

/** The first place whose key is not smaller than `key`. */
function lowerBound(chunk: readonly Keyed[], key: string): number {
  let low = 0
  let high = chunk.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const item = chunk[middle]
    if (item !== undefined && item.key < key) low = middle + 1
    else high = middle
  }
  return low
}
