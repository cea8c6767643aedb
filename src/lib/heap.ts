// A binary heap: the item that comes before all others is at hand. Pure; items that are alike come out in any order.

export interface Heap<T> {
  push(item: T): void
  peek(): T | undefined
  pop(): T | undefined
  readonly size: number
}

export function createHeap<T>(before: (a: T, b: T) => boolean): Heap<T> {
  const items: T[] = []

  function sink(item: T): void {
    let at = 0
    for (;;) {
      const leftAt = at * 2 + 1
      const left = items[leftAt]
      if (left === undefined) break
      const right = items[leftAt + 1]
      const [child, childAt] = right !== undefined && before(right, left) ? [right, leftAt + 1] : [left, leftAt]
      if (!before(child, item)) break
      items[at] = child
      at = childAt
    }
    items[at] = item
  }

  return {
    push(item) {
      let at = items.push(item) - 1
      while (at > 0) {
        const parentAt = (at - 1) >> 1
        const parent = items[parentAt]
        if (parent === undefined || !before(item, parent)) break
        items[at] = parent
        at = parentAt
      }
      items[at] = item
    },
    peek: () => items[0],
    pop() {
      const first = items[0]
      const last = items.pop()
      if (last !== undefined && items.length > 0) sink(last)
      return first
    },
    get size() {
      return items.length
    },
  }
}
