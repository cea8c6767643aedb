import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatLabelSelector,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  type Requirement,
  requirementsOf,
  SelectorError,
  selects,
} from '../../src/lib/selector.ts'

const labels = { app: 'web', tier: 'front', version: '7', 'example.com/owner': 'ann' }

describe('a label selector in text', () => {
  test.each([
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web , tier=front', true],
    ['app!=web', false],
    ['gone!=x', true],
    ['app in (api, web)', true],
    ['app in (api)', false],
    ['app notin (api)', true],
    ['gone notin (api)', true],
    ['app', true],
    ['!app', false],
    ['!gone', true],
    ['version>6', true],
    ['version<7', false],
    ['app>1', false],
    ['example.com/owner=ann', true],
    ['app=', false],
    ['app in (,web)', true],
  ])('%s: matches %s', (text, matches) => expect(matchesLabels(parseLabelSelector(text), labels)).toBe(matches))

  test.each([
    '=',
    'a=b c',
    'a in',
    'a in x',
    'a in (x',
    'a,,b',
    ',a',
    'a!b',
    '-a=b',
    'a=b=c',
    'a/b/c',
    'version>x',
    '!',
    'a=b,',
  ])('%s is refused', text => expect(() => parseLabelSelector(text)).toThrow(SelectorError))

  test('says the same after writing and reading it', () => {
    const word = fc.stringMatching(/^[a-z0-9]{1,8}$/)
    const requirement = fc.oneof(
      fc.record({
        key: word,
        operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const),
        values: fc.constant([]),
      }),
      fc.record({
        key: word,
        operator: fc.constantFrom('In' as const, 'NotIn' as const),
        values: fc.uniqueArray(word, { minLength: 1, maxLength: 3 }).map(values => values.toSorted()),
      }),
    )
    const unique = { selector: (one: Requirement) => one.key, maxLength: 4 }
    const names = new Set(['in', 'notin'])
    fc.assert(
      fc.property(fc.uniqueArray(requirement, unique), requirements => {
        fc.pre(requirements.every(({ key }) => !names.has(key)))
        const sorted = requirements.toSorted((a, b) => (a.key < b.key ? -1 : 1))
        expect(parseLabelSelector(formatLabelSelector(requirements))).toEqual(sorted)
      }),
    )
  })
})

test('an absent selector selects nothing and an empty one everything', () => {
  expect(requirementsOf(undefined)).toBeUndefined()
  expect(selects(undefined, labels)).toBe(false)
  expect(selects({}, undefined)).toBe(true)
  expect(
    selects({ matchLabels: { app: 'web' }, matchExpressions: [{ key: 'tier', operator: 'Exists' }] }, labels),
  ).toBe(true)
  expect(selects({ matchLabels: { app: 'api' } }, labels)).toBe(false)
})

test('labels that objects inherit are no labels', () => {
  expect(selects({ matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, {})).toBe(false)
})

describe('a field selector', () => {
  test('is a list of equalities', () => {
    expect(parseFieldSelector('metadata.name=web-1,status.phase!=Failed,spec.nodeName==')).toEqual([
      { field: 'metadata.name', operator: '=', value: 'web-1' },
      { field: 'status.phase', operator: '!=', value: 'Failed' },
      { field: 'spec.nodeName', operator: '=', value: '' },
    ])
    expect(parseFieldSelector('')).toEqual([])
  })
  test('lets a backslash escape what would end the value', () => {
    expect(parseFieldSelector('reason=a\\,b\\=c\\\\')).toEqual([{ field: 'reason', operator: '=', value: 'a,b=c\\' }])
  })
  test.each(['metadata.name', 'a=b=c', 'a=\\x'])('%s is refused', text =>
    expect(() => parseFieldSelector(text)).toThrow(SelectorError),
  )
})
