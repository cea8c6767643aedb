import fc from 'fast-check'
import { expect, test } from 'vitest'
import { equalJson } from '../../src/api/equal.ts'

test('keys in another order, null for absence and an empty list for none are no difference', () => {
  expect(equalJson({ a: 1, b: [] }, { a: 1, c: null })).toBe(true)
  expect(equalJson({ a: { x: 1, y: 2 } }, { a: { y: 2, x: 1 } })).toBe(true)
})

test('an empty object is not none, and 0 is not absence', () => {
  expect(equalJson({ selector: {} }, {})).toBe(false)
  expect(equalJson({ replicas: 0 }, {})).toBe(false)
  expect(equalJson([{}], [])).toBe(false)
})

test('every value equals its copy, and equality goes both ways', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      expect(equalJson(a, structuredClone(a))).toBe(true)
      expect(equalJson(a, b)).toBe(equalJson(b, a))
    }),
  )
})
