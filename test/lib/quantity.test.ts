import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addQuantity,
  canonicalQuantity,
  compareQuantity,
  milliOf,
  numberOf,
  parseQuantity,
  subtractQuantity,
} from '../../src/lib/quantity.ts'

describe('the canonical form', () => {
  test.each([
    ['0', '0'],
    ['0Mi', '0'],
    ['1', '1'],
    ['0.5', '500m'],
    ['.5', '500m'],
    ['1.', '1'],
    ['1000m', '1'],
    ['1500m', '1500m'],
    ['100Mi', '100Mi'],
    ['1024Mi', '1Gi'],
    ['1000Mi', '1000Mi'],
    ['0.5Gi', '512Mi'],
    ['0.5Ki', '512'],
    ['1023Ki', '1023Ki'],
    ['2000000', '2M'],
    ['2e3', '2e3'],
    ['1E3', '1e3'],
    ['1E', '1E'],
    ['12.5e-1', '1250e-3'],
    ['-1', '-1'],
    ['+5', '5'],
    ['1n', '1n'],
    ['0.1n', '1n'],
    ['9223372036854775807', '9223372036854775807'],
    ['9.3E', '9223372036854775807'],
  ])('of %s is %s', (text, canonical) => expect(canonicalQuantity(text)).toBe(canonical))

  test.each(['', 'm', '1.2.3', '1 ', '1mi', '1KI', '1e', '--1', '1Mi5', 'one', '٣', '.'])('%s is no quantity', text =>
    expect(canonicalQuantity(text)).toBeUndefined(),
  )

  test('is its own canonical form and the same amount', () => {
    const amount = fc.tuple(
      fc.nat(99_999_999),
      fc.nat(999),
      fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'Ki', 'Mi', 'Gi', 'e3'),
    )
    fc.assert(
      fc.property(amount, ([whole, fraction, suffix]) => {
        const text = `${whole}.${fraction}${suffix}`
        const canonical = canonicalQuantity(text) ?? ''
        expect(canonicalQuantity(canonical)).toBe(canonical)
        expect(parseQuantity(canonical)?.nano).toBe(parseQuantity(text)?.nano)
      }),
    )
  })
})

test('amounts compare across suffixes', () => {
  expect(compareQuantity('1Gi', '1024Mi')).toBe(0)
  expect(compareQuantity('1Gi', '1G')).toBe(1)
  expect(compareQuantity('999m', '1')).toBe(-1)
  expect(() => compareQuantity('x', '1')).toThrow(RangeError)
})

test('milli and whole numbers are rounded up', () => {
  expect(milliOf('0.1')).toBe(100)
  expect(milliOf('1u')).toBe(1)
  expect(numberOf('1Ki')).toBe(1024)
  expect(numberOf('1m')).toBe(1)
  expect(numberOf('-1500m')).toBe(-2)
})

test('adding and subtracting agree with big integers', () => {
  const parts = fc.tuple(fc.integer({ min: -1_000_000, max: 1_000_000 }), fc.constantFrom('m', '', 'Ki', 'M'))
  fc.assert(
    fc.property(parts, parts, ([a, x], [b, y]) => {
      const [left, right] = [`${a}${x}`, `${b}${y}`]
      const sum = (parseQuantity(left)?.nano ?? 0n) + (parseQuantity(right)?.nano ?? 0n)
      expect(parseQuantity(addQuantity(left, right))?.nano).toBe(sum)
      expect(compareQuantity(subtractQuantity(addQuantity(left, right), right), left)).toBe(0)
    }),
  )
})
