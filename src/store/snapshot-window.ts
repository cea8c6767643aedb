// How many pieces of a snapshot may be under way to a follower. Heartbeats share the connection and wait behind them, so
// the window grows only while pieces come through hardly later than they can, and shrinks when they queue. Pure.
import { assert } from '../lib/assert.ts'

/** Longer than the quickest one took: then pieces wait in a queue somewhere on the way. */
export const queueMsMax = 100
export const windowMax = 64

export type SendWindow = {
  readonly hasRoom: boolean
  /** So many may be under way. */
  readonly size: number
  sent(nowMs: number): void
  /** The follower has so many pieces, all in all. More than were sent is ignored. */
  received(count: number, nowMs: number): void
}

export function createWindow(): SendWindow {
  /** When those were sent that are under way, oldest first. */
  const times: number[] = []
  let receivedCount = 0
  let quickestMs = Number.POSITIVE_INFINITY
  let size = 2
  /** Doubled with each round trip at first; once it was too much, by one only. */
  let isProbing = true
  /** It shrinks once for all that were under way then: they queued behind one another. */
  let calmAt = 0
  return {
    get hasRoom() {
      return times.length < Math.floor(size)
    },
    get size() {
      return Math.floor(size)
    },
    sent(nowMs) {
      assert(times.length < size, 'no room for another piece')
      times.push(nowMs)
    },
    received(count, nowMs) {
      while (receivedCount < count) {
        const sentMs = times.shift()
        if (sentMs === undefined) return
        receivedCount++
        const tookMs = nowMs - sentMs
        quickestMs = Math.min(quickestMs, tookMs)
        if (tookMs - quickestMs <= queueMsMax) size = Math.min(windowMax, size + (isProbing ? 1 : 1 / size))
        else if (receivedCount > calmAt) {
          isProbing = false
          size = Math.max(1, size / 2)
          calmAt = receivedCount + times.length
        }
      }
    },
  }
}
