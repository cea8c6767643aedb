import { expect, test } from 'vitest'
import { Seen } from './watchers.ts'

const valueFrom = (writer: number, sequence: number) => {
  const value = Buffer.alloc(16)
  value.writeUInt32BE(writer, 8)
  value.writeUInt32BE(sequence, 12)
  return value
}

/** Shows a watcher the writes of writer 0 in this order, at revisions 1, 2 … unless said otherwise. */
function show(sequences: readonly number[], written: number, revisionOf = (i: number) => i + 1) {
  const seen = new Seen(1, 1)
  for (const [i, sequence] of sequences.entries()) seen.event(0, revisionOf(i), valueFrom(0, sequence), 0)
  seen.close([written])
  const { lost, duplicated, outOfOrder } = seen
  return { lost, duplicated, outOfOrder }
}

test('a watcher that got everything once and in order has nothing to say', () => {
  expect(show([1, 2, 3], 3)).toEqual({ lost: 0, duplicated: 0, outOfOrder: 0 })
})

test('what is missing is counted, in the middle and at the end', () => {
  expect(show([1, 3], 5)).toEqual({ lost: 3, duplicated: 0, outOfOrder: 0 })
})

test('what comes twice is counted', () => {
  expect(show([1, 2, 2, 3], 3)).toEqual({ lost: 0, duplicated: 1, outOfOrder: 0 })
})

test('revisions that do not grow are out of order', () => {
  expect(show([1, 2, 3], 3, i => [5, 7, 6][i] ?? 0)).toEqual({ lost: 0, duplicated: 0, outOfOrder: 1 })
})

test('a watcher that saw nothing lost all, whoever else saw it', () => {
  const seen = new Seen(2, 2)
  seen.event(0, 1, valueFrom(1, 1), 0)
  expect(seen.all([0, 1])).toBe(false)
  seen.close([0, 1])
  expect(seen.lost).toBe(1)
})
