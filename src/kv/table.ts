// A sorted table of things with a key, in chunks: a lookup is two binary searches, an insert moves at most one chunk.
// 100,000 keys are about 400 chunks. Order is by code unit, the same on every machine.

export const chunkCountMax = 512

export type Keyed = { readonly key: string }

export class Table<T extends Keyed> {
  /** Never empty chunks, except the only one of an empty table. */
  #chunks: T[][] = [[]]
  #size = 0

  get size(): number {
    return this.#size
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

  get(key: string): T | undefined {
    const chunk = this.#chunks[this.#chunkOf(key)] ?? []
    const item = chunk[lowerBound(chunk, key)]
    return item !== undefined && item.key === key ? item : undefined
  }

  /** Puts the item in; gives the one it replaces. */
  put(item: T): T | undefined {
    const at = this.#chunkOf(item.key)
    const chunk = this.#chunks[at] ?? []
    const place = lowerBound(chunk, item.key)
    const old = chunk[place]
    if (old !== undefined && old.key === item.key) {
      chunk[place] = item
      return old
    }
    if (place === chunk.length) chunk.push(item)
    else chunk.splice(place, 0, item)
    this.#size += 1
    if (chunk.length > chunkCountMax) {
      // Keys that come in order, as in a restore, would leave every chunk half full: then the new chunk starts empty.
      const cut = place === chunk.length - 1 ? chunk.length - 1 : chunk.length >>> 1
      this.#chunks.splice(at + 1, 0, chunk.splice(cut))
    }
    return undefined
  }

  delete(key: string): T | undefined {
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

  /** How many keys are in [from, to). */
  count(from: string, to: string): number {
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
    return this.#chunks.flat()
  }

  /** For a walk from the first key that is not smaller than `from`; the table must not change meanwhile. */
  cursor(from: string): Cursor<T> {
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
