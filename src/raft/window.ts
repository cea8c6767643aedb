// Flow control towards one follower: the appends with entries that it has not answered, in the order of their last
// index. A ring, because this is touched for every append and every answer.
import type { Index } from './types.ts'

export type Window = {
  /** How many are unanswered, and their bytes. */
  count: number
  bytes: number
  /** Rings of one length: the last index and the bytes of each, from `first` on. */
  lasts: number[]
  sizes: number[]
  first: number
}

export function createWindow(): Window {
  return { count: 0, bytes: 0, lasts: [0, 0, 0, 0], sizes: [0, 0, 0, 0], first: 0 }
}

/** One more may leave. The last one may pass the bytes: an entry larger than they are would wait for ever. */
export function hasRoom(window: Window, countMax: number, bytesMax: number): boolean {
  return window.count < countMax && window.bytes < bytesMax
}

/** An append whose last entry is `last` has left; `last` is larger than those before. */
export function addSent(window: Window, last: Index, bytes: number): void {
  if (window.count === window.lasts.length) grow(window)
  const at = (window.first + window.count) % window.lasts.length
  window.lasts[at] = last
  window.sizes[at] = bytes
  window.count++
  window.bytes += bytes
}

/** All that end at `index` or before are answered. */
export function freeUpTo(window: Window, index: Index): void {
  const { lasts, sizes } = window
  while (window.count > 0 && (lasts[window.first] ?? 0) <= index) {
    window.bytes -= sizes[window.first] ?? 0
    window.first = (window.first + 1) % lasts.length
    window.count--
  }
}

export function clearWindow(window: Window): void {
  window.count = 0
  window.bytes = 0
  window.first = 0
}

function grow(window: Window): void {
  const { first, count } = window
  const unrolled = (ring: number[]) =>
    Array.from({ length: 2 * count }, (_, i) => (i < count ? (ring[(first + i) % count] ?? 0) : 0))
  window.lasts = unrolled(window.lasts)
  window.sizes = unrolled(window.sizes)
  window.first = 0
}
