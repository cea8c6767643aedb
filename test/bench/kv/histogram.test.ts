import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Histogram, median } from './histogram.ts'

test('a percentile is within 1 % of the sorted list', () => {
  const latencies = fc.array(fc.double({ min: 0.02, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(latencies, fc.double({ min: 0.001, max: 1, noNaN: true }), (all, part) => {
      const histogram = new Histogram()
      for (const ms of all) histogram.record(ms)
      const exact = all.toSorted((a, b) => a - b)[Math.ceil(all.length * part) - 1] ?? Number.NaN
      expect(Math.abs(histogram.percentile(part) - exact)).toBeLessThanOrEqual(exact * 0.01 + 0.0002)
    }),
  )
})

test('histograms of two processes add up', () => {
  const [one, two, both, sum] = [new Histogram(), new Histogram(), new Histogram(), new Histogram()]
  for (let i = 1; i <= 1_000; i++) {
    const ms = i * i * 0.01
    both.record(ms)
    if (i % 3 === 0) one.record(ms)
    else two.record(ms)
  }
  sum.add(one.toCounts(), one.maxMs)
  sum.add(two.toCounts(), two.maxMs)
  expect(sum.count).toBe(1_000)
  for (const part of [0.01, 0.5, 0.9, 0.99, 1]) expect(sum.percentile(part)).toBe(both.percentile(part))
})

test('medians are of the middle', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([])).toBeNaN()
})
