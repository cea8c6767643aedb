import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseExact, rounded, roundedParsed } from '../../src/lib/json.ts'
import { hasBackslashInKey } from '../../src/lib/json-byhand.ts'
import { exactInteger } from '../../src/lib/json-text.ts'

test('what is read is written with the same digits, wherever it stands', () => {
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  fc.assert(
    fc.property(fc.array(int64), fc.string(), (integers, name) => {
      const text = `{"a":[${integers.join(',')}],"b":${JSON.stringify({ [name]: name })}}`
      expect(JSON.stringify(parseExact(text))).toBe(text)
    }),
  )
})

test('rounded, it is JSON.parse', () => {
  fc.assert(
    // Of the others JSON.parse itself is not to be trusted.
    fc.property(
      fc.json().filter(text => !hasBackslashInKey(text)),
      text => {
        expect(rounded(parseExact(text))).toEqual(JSON.parse(text))
      },
    ),
  )
})

test('a bigint stands for what a number cannot hold and an int64 can, and for nothing else', () => {
  const read = (text: string) => (parseExact(`[${text}]`) as readonly unknown[])[0]
  expect(read('9007199254740991')).toBe(9_007_199_254_740_991)
  expect(read('9007199254740992')).toBe(9_007_199_254_740_992)
  expect(read('9007199254740993')).toBe(9_007_199_254_740_993n)
  expect(read('9223372036854775807')).toBe(2n ** 63n - 1n)
  expect(read('9223372036854775808')).toBe(2 ** 63)
  expect(read('0.12345678901234567')).toBe(Number('0.12345678901234567'))
  expect(read('9007199254740993.0')).toBe(9_007_199_254_740_992)
  expect(read('"9007199254740993"')).toBe('9007199254740993')
  expect(exactInteger(-5n)).toBe(-5)
})

test('rounded gives numbers, and the same value where there was nothing to round', () => {
  expect(rounded({ a: [1n, { b: 2n ** 60n }], c: 'x' })).toEqual({ a: [1, { b: 2 ** 60 }], c: 'x' })
  const plain = { a: [1, { b: null }], c: 'x' }
  expect(rounded(plain)).toBe(plain)
  const parsed = parseExact('{"a":9007199254740993}') as object
  expect(roundedParsed(parsed)).toEqual({ a: 9_007_199_254_740_992 })
  const short = parseExact('{"a":"9007199254740993"}') as object
  expect(roundedParsed(short)).toBe(short)
})

test('a key that stands twice has its last value, exact or not', () => {
  const read = (text: string) => JSON.stringify(parseExact(text))
  expect(read('{"a":9223372036854775807,"a":1}')).toBe('{"a":1}')
  expect(read('{"a":1,"a":9223372036854775807}')).toBe('{"a":9223372036854775807}')
  expect(read('{"a":9223372036854775807,"a":9223372036854775806}')).toBe('{"a":9223372036854775806}')
  expect(read('{"a":{"b":9223372036854775807},"a":[1]}')).toBe('{"a":[1]}')
  expect(read('{"a":[9223372036854775807],"a":{"b":9223372036854775807}}')).toBe('{"a":{"b":9223372036854775807}}')
  expect(read('{"a\\"\\u0062":{"__proto__":-9223372036854775808}}')).toBe(
    '{"a\\"b":{"__proto__":-9223372036854775808}}',
  )
})

test('long integers anywhere among texts and other numbers come out with their digits', () => {
  const leaf = fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
    fc.string().map(text => JSON.stringify(text)),
    fc.constantFrom('true', 'null', '0.5', '-1e+300', '"1234567890123456789"', '""', '[]', '{}'),
  )
  const { value } = fc.letrec<{ value: string }>(tie => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }).map(items => `[${items.join(',')}]`),
      fc
        .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z"\\{}:,]{1,4}$/), tie('value')), {
          maxLength: 4,
          selector: ([key]) => key,
        })
        .map(entries => `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${item}`).join(',')}}`),
    ),
  }))
  fc.assert(
    fc.property(value, text => {
      expect(JSON.stringify(parseExact(text))).toBe(text)
    }),
  )
})

test('a key with a backslash does not change how another one is read', () => {
  // What another text has shown to be the next key of this shape is what V8 looks for first.
  parseExact('{"shape":[],"k:{\\\\\\"name\\\\\\":":0}')
  parseExact('{"shape":[],"\\u005c":0}')
  for (const text of [
    '{"shape":[],"k:{\\"name\\":1}":0}',
    '{"shape":[],"\\"":0}',
    '[{"in":[],"\\\\":1},{"in":[],"\\"":1},{"in":[],"\\n":1}]',
    ' { "in" : [ 1 , -0.5e3 , 9007199254740993 , null ] , "\\\\" : { } , "__proto__" : [ ] , "in\\\\" : "\\\\" } ',
  ]) {
    expect(JSON.stringify(parseExact(text))).toBe(
      text.startsWith(' ') ? text.replaceAll(' ', '').replace('-0.5e3', '-500') : text,
    )
  }
  expect(JSON.stringify(parseExact('{"a":{"b\\\\":1,"b\\\\":2}}'))).toBe('{"a":{"b\\\\":2}}')
  for (const bad of [
    '{"\\\\":}',
    '{"\\\\":1',
    '{"\\\\" 1}',
    '{"\\\\":01}',
    '{"\\\\":1,}',
    '{"\\\\":"\\x"}',
    '["\\\\":1]',
  ]) {
    expect(() => parseExact(bad)).toThrow(SyntaxError)
  }
})
