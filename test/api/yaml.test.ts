import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import type { Json } from '../../src/api/schema.ts'
import { yamlItem, yamlText } from '../../src/api/yaml.ts'

const versions = ['1.1', '1.2'] as const

test('what is written as YAML is read as what it was, by readers of either version', () => {
  const awkward = fc.constantFrom(
    '',
    ' ',
    'yes',
    'No',
    '~',
    'null',
    '1',
    '1e3',
    'E0',
    'e-5',
    '0x1f',
    '1:30',
    '-',
    '- a',
    '#',
    ': ',
    'a: b',
    '\n',
    '"',
    "'",
    '\u2028',
    'é',
    '{',
    '&a',
    '*a',
    '!x',
    '|',
    '@',
    '`',
    '%',
  )
  const text = fc.oneof(awkward, fc.string(), fc.string({ unit: 'grapheme' }))
  const { value } = fc.letrec<{ value: Json }>(tie => ({
    value: fc.oneof(
      { depthSize: 'small' },
      text,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(number => (Object.is(number, -0) ? 0 : number)),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(
        text.filter(key => key !== '__proto__' && key !== '<<'),
        tie('value'),
        { maxKeys: 4, noNullPrototype: true },
      ),
    ),
  }))
  fc.assert(
    fc.property(value, one => {
      for (const version of versions) {
        expect(parse(yamlText(one), { version })).toEqual(one)
        expect(parse(yamlItem(one), { version })).toEqual([one])
      }
    }),
    { numRuns: 500 },
  )
})

test('keys stand in order, lists at the margin of their key, and a long key says that it is one', () => {
  expect(yamlText({ b: [{ y: 'on', x: [] }, 'a b'], a: { c: {} } })).toBe(
    'a:\n  c: {}\nb:\n- x: []\n  "y": "on"\n- "a b"\n',
  )
  const long = `k ${'x'.repeat(2_000)}`
  expect(parse(yamlText({ [long]: { a: 1 }, b: [{ [long]: [1] }] }))).toEqual({
    [long]: { a: 1 },
    b: [{ [long]: [1] }],
  })
})
