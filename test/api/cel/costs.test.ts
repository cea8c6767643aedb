// What rules cost as they run, against upstream's own numbers (apiextensions-apiserver pkg/apiserver/schema/cel,
// celcoststability_test.go): budgets end where upstream's end.
import { expect, test } from 'vitest'
import { declare } from '../../../src/api/cel/declare.ts'
import { compileRule } from '../../../src/api/cel/rules.ts'
import type { Json } from '../../../src/api/schema.ts'
import type { JsonSchemaProps } from '../../../src/api/types/jsonschema.ts'

const [integer, number, text]: readonly JsonSchemaProps[] = [
  { type: 'integer' },
  { type: 'number' },
  { type: 'string' },
]
const fields = (...all: readonly (JsonSchemaProps | undefined)[]): JsonSchemaProps => ({
  type: 'object',
  properties: Object.fromEntries(all.map((schema, i) => [`val${i + 1}`, schema ?? {}])),
})
const values = (...all: readonly Json[]): Json => Object.fromEntries(all.map((value, i) => [`val${i + 1}`, value]))
const list = (items: JsonSchemaProps | undefined, type = 'atomic'): JsonSchemaProps => ({
  type: 'array',
  items: items ?? {},
  'x-kubernetes-list-type': type,
})
const map = (of: JsonSchemaProps | undefined): JsonSchemaProps => ({ type: 'object', additionalProperties: of ?? {} })
const entries = { type: 'object', properties: { k: text ?? {}, v: text ?? {}, v2: text ?? {} } }
const listMap: JsonSchemaProps = { ...list(entries, 'map'), 'x-kubernetes-list-map-keys': ['k'] }

const rook = 'Rook takes 👑'
const three = [
  { k: 'a1', v: 'b1' },
  { k: 'a2', v: 'b2' },
  { k: 'a3', v: 'b3', v2: 'z' },
]
const pairs = [
  [
    { k: 'a', v: '1' },
    { k: 'b', v: '2' },
  ],
  [
    { k: 'b', v: '2' },
    { k: 'a', v: '1' },
  ],
  [
    { k: 'b', v: '3' },
    { k: 'a', v: '1' },
  ],
  [{ k: 'c', v: '4' }],
]

const costs: readonly (readonly [JsonSchemaProps, Json, Readonly<Record<string, number>>])[] = [
  [
    fields(integer, number),
    values(5, 10),
    {
      'self.val1 == self.val1': 5,
      'type(self.val1) == int': 4,
      'self.val1 + 1 == 5 + 1': 5,
      'double(self.val1) < self.val2': 6,
      'double(5) < 10.0': 1,
      '5 < int(10.0)': 1,
      'double(self.val1) < 10.0': 4,
    },
  ],
  [
    fields(text),
    values(rook),
    {
      "self.val1.startsWith('Rook')": 4,
      "!self.val1.startsWith('knight')": 5,
      "self.val1.matches('^[^0-9]*$')": 8,
      'type(self.val1) == string': 4,
      'size(self.val1) == 12': 4,
      "self.val1.charAt(3) == 'k'": 4,
      "self.val1.indexOf('o', 2) == 2": 4,
      "self.val1.replace(' ', 'x') == 'Rookxtakesx👑'": 7,
      "self.val1.split(' ') == ['Rook', 'takes', '👑']": 6,
      "self.val1.substring(5) == 'takes 👑'": 5,
      "self.val1.substring(4, 10).trim() == 'takes'": 6,
      "self.val1.upperAscii() == 'ROOK TAKES 👑'": 6,
      "self.val1 in ['Pending', 'Available']": 2,
    },
  ],
  [
    fields({ type: 'string', format: 'duration' }, { type: 'string', format: 'date-time' }, text),
    values('1h2m3s4ms', '2011-08-18T19:03:37.01+01:00', '2011-08-18T19:03:37.01+01:00'),
    {
      "self.val1 == duration('1h2m') + duration('3s4ms')": 4,
      'self.val1.getHours() == 1': 4,
      'type(self.val1) == google.protobuf.Duration': 4,
      "self.val2 == timestamp('2011-08-18T00:00:00.000+01:00') + duration('19h3m37s10ms')": 4,
      'timestamp(self.val3) == self.val2': 6,
    },
  ],
  [
    fields(list(integer), list(integer), list(text, 'set')),
    values([1, 2, 3], [1, 2, 3], ['a', 'b', 'c']),
    {
      '1 in self.val1': 5,
      'self.val2[0] in self.val1': 8,
      '!(0 in self.val1)': 6,
      'self.val1 + self.val2 == [1, 2, 3, 1, 2, 3]': 6,
      'self.val1 + [4, 5] == [1, 2, 3, 4, 5]': 4,
      "self.val3 == ['c', 'b', 'a']": 3,
      "self.val3 + ['c', 'd'] == ['a', 'b', 'c', 'd']": 4,
    },
  ],
  [
    fields(list(listMap)),
    values(pairs),
    {
      'self.val1[0] == self.val1[1]': 7,
      'self.val1[0] + self.val1[2] == self.val1[2]': 11,
      'self.val1[0] == [self.val1[0][0], self.val1[0][1]]': 22,
      'self.val1[2] + [self.val1[0][0], self.val1[0][1]] == self.val1[0]': 26,
      'size(self.val1[0] + [self.val1[3][0]]) == 3': 20,
    },
  ],
  [
    fields(map(text), map(integer)),
    values({ k1: 'a', k2: 'b' }, { b: 1, d: 2 }),
    {
      'self.val1 == self.val1': 5,
      "'k1' in self.val1": 3,
      "self.val1 == {'k1': 'a', 'k2': 'b'}": 3,
      '!has(self.val2.a)': 3,
      'has(self.val2.b)': 2,
      'self.val2.all(k, self.val2[k] > 0)': 17,
      'self.val2.exists_one(k, self.val2[k] == 2)': 14,
      '!self.val2.exists_one(k, self.val2[k] > 0)': 17,
      'size(self.val2.filter(k, self.val2[k] > 1)) == 1': 26,
    },
  ],
  [
    fields(listMap),
    values(three),
    {
      'has(self.val1[0].v)': 3,
      "self.val1.all(m, m.k.startsWith('a'))": 21,
      "self.val1.all(m, !has(m.v2) || m.v2 == 'z')": 21,
      "self.val1.exists(m, m.k.endsWith('1'))": 13,
      "self.val1.exists_one(m, m.k == 'a3')": 15,
      "!self.val1.all(m, m.k.endsWith('1'))": 18,
      "!self.val1.exists(m, m.v == 'x')": 25,
      "!self.val1.exists_one(m, m.k.startsWith('a'))": 20,
      "size(self.val1.filter(m, m.k == 'a1')) == 1": 27,
      "self.val1.exists(m, m.k == 'a1' && m.v == 'b1')": 16,
      "self.val1.map(m, m.v).exists(v, v == 'b1')": 55,
      "self.val1.exists(m, has(m.v2) && m.v2 == 'z')": 21,
      "!self.val1.all(m, has(m.v2) && m.v2 != 'z')": 10,
    },
  ],
]

test('rules cost what they cost upstream', () => {
  for (const [schema, self, rules] of costs) {
    const declaration = declare(schema, false)
    if (declaration === undefined) throw new Error('no type')
    const found = Object.keys(rules).map(rule => {
      const compiled = compileRule(declaration, false, { rule })
      const outcome = compiled.kind === 'ok' ? compiled.rule.evaluate(self, undefined) : undefined
      return [
        rule,
        compiled.kind === 'refused' ? compiled.detail : outcome?.kind === 'failed' ? outcome.detail : outcome?.cost,
      ]
    })
    expect(Object.fromEntries(found)).toEqual(rules)
  }
})
