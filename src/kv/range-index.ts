// Which ranges hold a key: single keys by a map, intervals by a tree in arrays (sorted by where they begin, each node
// knowing how far those below it reach; Cormen et al., section 14.3). The tree is made anew when enough has changed, and
// what came since then is looked through one by one, so that neither coming nor asking is ever slow.

import { compareText } from '../lib/sorted.ts'
import type { KeyRange } from './txn.ts'

type Interval<T> = { readonly from: string; readonly to: string; item: T | undefined }

/** So many are looked through one by one, and more once the tree is large. */
const freshCountMin = 32

export class RangeIndex<T> {
  readonly #keys = new Map<string, T[]>()
  /** Where each item with an interval is. */
  readonly #intervals = new Map<T, Interval<T>>()
  #fresh: Interval<T>[] = []
  #tree: Interval<T>[] = []
  /** By the place in the tree: the furthest end in the part of which this is the middle. */
  #reach: string[] = []
  #removedCount = 0

  get size(): number {
    return this.#keys.size + this.#intervals.size
  }

  add({ from, to }: KeyRange, item: T): void {
    if (to === undefined) {
      const items = this.#keys.get(from)
      if (items === undefined) this.#keys.set(from, [item])
      else items.push(item)
      return
    }
    const interval = { from, to, item }
    this.#intervals.set(item, interval)
    this.#fresh.push(interval)
  }

  /** The item that was added with this range. */
  remove({ from, to }: KeyRange, item: T): void {
    if (to === undefined) {
      const items = this.#keys.get(from)?.filter(other => other !== item) ?? []
      if (items.length === 0) this.#keys.delete(from)
      else this.#keys.set(from, items)
      return
    }
    const interval = this.#intervals.get(item)
    if (interval === undefined) return
    interval.item = undefined
    this.#intervals.delete(item)
    this.#removedCount += 1
  }

  /** Calls `found` for each item whose range holds the key. Nothing may be added or removed meanwhile. */
  find(key: string, found: (item: T) => void): void {
    const items = this.#keys.get(key)
    if (items !== undefined) for (const item of items) found(item)
    if (this.#intervals.size === 0) return
    const staleMax = Math.max(freshCountMin, this.#tree.length >> 3)
    if (this.#fresh.length > staleMax || this.#removedCount > staleMax) this.#rebuild()
    for (const { from, to, item } of this.#fresh) if (item !== undefined && key >= from && key < to) found(item)
    this.#search(0, this.#tree.length, key, found)
  }

  #rebuild(): void {
    this.#tree = [...this.#intervals.values()].sort((a, b) => compareText(a.from, b.from))
    this.#fresh = []
    this.#removedCount = 0
    this.#reach = new Array<string>(this.#tree.length).fill('')
    this.#measure(0, this.#tree.length)
  }

  #measure(start: number, end: number): string {
    if (start >= end) return ''
    const middle = (start + end) >>> 1
    let reach = this.#tree[middle]?.to ?? ''
    for (const part of [this.#measure(start, middle), this.#measure(middle + 1, end)]) if (part > reach) reach = part
    this.#reach[middle] = reach
    return reach
  }

  #search(start: number, end: number, key: string, found: (item: T) => void): void {
    while (start < end) {
      const middle = (start + end) >>> 1
      const node = this.#tree[middle]
      if (node === undefined || (this.#reach[middle] ?? '') <= key) return
      this.#search(start, middle, key, found)
      if (key < node.from) return
      if (node.item !== undefined && key < node.to) found(node.item)
      start = middle + 1
    }
  }
}
