// Orders that are the same on every machine: by code unit, never by locale.

/** Compares by UTF-16 code unit: -1, 0 or 1. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** A copy of `items` ordered by the text that `key` gives. Stable. */
export function sortedBy<T>(items: Iterable<T>, key: (item: T) => string): T[] {
  return [...items].sort((a, b) => compareText(key(a), key(b)))
}
