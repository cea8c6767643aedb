// When a sync is waited for: only on a disk that has been quick for a while, and not after one that was slow.
import { expect, test } from 'vitest'
import { createSyncPace, type SyncPace } from '../../src/drivers/syncpace.ts'

const times = (pace: SyncPace, count: number, ms: number) => {
  for (let i = 0; i < count; i++) pace.took(ms)
}

/** How many quick syncs it takes until one is waited for. */
function syncsUntilQuick(pace: SyncPace): number {
  for (let count = 0; count < 100_000; count++) {
    if (pace.isQuick) return count
    pace.took(0.08)
  }
  return Number.POSITIVE_INFINITY
}

test('a disk must show that it is quick', () => {
  const pace = createSyncPace()
  expect(pace.isQuick).toBe(false)
  const count = syncsUntilQuick(pace)
  expect(count).toBeGreaterThan(50)
  expect(count).toBeLessThan(500)
})

test('a slow disk is never waited for', () => {
  const pace = createSyncPace()
  times(pace, 10_000, 5)
  expect(pace.isQuick).toBe(false)
})

test('one stall ends the waiting at once, and each makes the next trial come later', () => {
  const pace = createSyncPace()
  let last = syncsUntilQuick(pace)
  for (let i = 0; i < 4; i++) {
    pace.took(30)
    expect(pace.isQuick).toBe(false)
    const next = syncsUntilQuick(pace)
    if (i > 0) expect(next).toBeGreaterThan(last)
    last = next
  }
})

test('a disk that becomes a little slower is waited for no more, after a few syncs', () => {
  const pace = createSyncPace()
  syncsUntilQuick(pace)
  times(pace, 3, 0.6)
  expect(pace.isQuick).toBe(true)
  times(pace, 20, 0.6)
  expect(pace.isQuick).toBe(false)
})
