// What is to happen and when, in virtual milliseconds: a binary heap; things of one instant keep the order they came in.
export type Agenda = {
  readonly nowMs: () => number
  readonly at: (ms: number, act: () => void) => void
  readonly after: (ms: number, act: () => void) => void
  /** Runs the next thing, unless it is later than `untilMs`; false when there was none. Time moves to what it ran. */
  readonly next: (untilMs: number) => boolean
  /** Moves time on without running anything. */
  readonly skipTo: (ms: number) => void
}

type Item = { readonly ms: number; readonly sequence: number; readonly act: () => void }

const isBefore = (a: Item, b: Item) => a.ms < b.ms || (a.ms === b.ms && a.sequence < b.sequence)

export function createAgenda(): Agenda {
  const heap: Item[] = []
  let now = 0
  let sequence = 0

  function push(item: Item): void {
    let i = heap.push(item) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(item, above)) break
      heap[i] = above
      i = parent
    }
    heap[i] = item
  }

  function pop(): Item | undefined {
    const top = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return top
    let i = 0
    for (;;) {
      const left = heap[2 * i + 1]
      const right = heap[2 * i + 2]
      const child = left !== undefined && right !== undefined && isBefore(right, left) ? right : left
      if (child === undefined || !isBefore(child, last)) break
      heap[i] = child
      i = child === left ? 2 * i + 1 : 2 * i + 2
    }
    heap[i] = last
    return top
  }

  const at = (ms: number, act: () => void) => push({ ms: Math.max(ms, now), sequence: sequence++, act })
  return {
    nowMs: () => now,
    at,
    after: (ms, act) => at(now + ms, act),
    next(untilMs) {
      const top = heap[0]
      if (top === undefined || top.ms > untilMs) return false
      pop()
      now = top.ms
      top.act()
      return true
    },
    skipTo(ms) {
      now = Math.max(now, ms)
    },
  }
}
