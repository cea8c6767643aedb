// The queue of a controller: keys that wait, keys that are being worked on, and keys that came due again meanwhile.
// Fair (in order of their time), stingy (a key that is added many times is worked on once), and a key is never worked on
// twice at once. Time is an argument, in milliseconds of any clock that does not go back. Pure.
// After client-go, util/workqueue.
import { createHeap } from './heap.ts'

export interface Queue {
  /** The key is wanted at `atMs` (at once when that has passed). An earlier time wins over a later one. */
  add(key: string, atMs: number): void
  /** The key that has waited longest past its time; it counts as being worked on until `done`. */
  take(nowMs: number): string | undefined
  /** The work on `key` has ended. What was added meanwhile comes due now. */
  done(key: string): void
  /** When `take` will next give a key; undefined when nothing waits. */
  nextAtMs(): number | undefined
  readonly size: number
  readonly working: number
}

type Entry = { readonly key: string; readonly atMs: number; readonly order: number }

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

export function keyedQueue(): Queue {
  // An entry whose time is no longer the key's own in `due` is stale, and is dropped when it comes up.
  const heap = createHeap<Entry>(before)
  const due = new Map<string, Entry>()
  const dirty = new Map<string, number>()
  const processing = new Set<string>()
  let order = 0

  /** The first entry that still holds. */
  function top(): Entry | undefined {
    for (;;) {
      const first = heap.peek()
      if (first === undefined || due.get(first.key) === first) return first
      heap.pop()
    }
  }

  function add(key: string, atMs: number): void {
    if (processing.has(key)) {
      dirty.set(key, Math.min(dirty.get(key) ?? atMs, atMs))
      return
    }
    const known = due.get(key)
    if (known !== undefined && known.atMs <= atMs) return
    order += 1
    const entry = { key, atMs, order }
    due.set(key, entry)
    heap.push(entry)
  }

  return {
    add,
    take(nowMs) {
      const first = top()
      if (first === undefined || first.atMs > nowMs) return undefined
      heap.pop()
      due.delete(first.key)
      processing.add(first.key)
      return first.key
    },
    done(key) {
      processing.delete(key)
      const atMs = dirty.get(key)
      dirty.delete(key)
      if (atMs !== undefined) add(key, atMs)
    },
    nextAtMs: () => top()?.atMs,
    get size() {
      return due.size + dirty.size
    },
    get working() {
      return processing.size
    },
  }
}
