// Pruning, nulls and defaults of custom objects, as tables and as properties.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { prune, withDefaults, withoutNulls } from '../../../src/api/custom/values.ts'
import type { Json, JsonObject } from '../../../src/api/schema.ts'
import type { JsonSchemaProps } from '../../../src/api/types/jsonschema.ts'

const text: JsonSchemaProps = { type: 'string' }
const object = (
  properties: Readonly<Record<string, JsonSchemaProps>>,
  more: JsonSchemaProps = {},
): JsonSchemaProps => ({
  type: 'object',
  properties,
  ...more,
})
const free = { 'x-kubernetes-preserve-unknown-fields': true }

describe('prune', () => {
  const cases: readonly (readonly [string, JsonSchemaProps, JsonObject, JsonObject, readonly string[]])[] = [
    ['a field that is known stays', object({ a: text }), { a: 'x' }, { a: 'x' }, []],
    ['one that is not goes', object({ a: text }), { a: 'x', b: { c: 1 } }, { a: 'x' }, ['b']],
    [
      'what an object always has stays',
      object({}),
      { apiVersion: 'v', kind: 'K', metadata: { name: 'x' } },
      { apiVersion: 'v', kind: 'K', metadata: { name: 'x' } },
      [],
    ],
    ['below, those names are nothing special', object({ s: object({}) }), { s: { kind: 'K' } }, { s: {} }, ['s.kind']],
    [
      'lists are walked',
      object({ l: { type: 'array', items: object({ a: text }) } }),
      { l: [{ a: 'x', b: 1 }, { c: 1 }] },
      { l: [{ a: 'x' }, {}] },
      ['l[0].b', 'l[1].c'],
    ],
    [
      'maps keep their keys',
      object({ m: { type: 'object', additionalProperties: object({ a: text }) } }),
      { m: { x: { a: 'a', b: 1 } } },
      { m: { x: { a: 'a' } } },
      ['m.x.b'],
    ],
    [
      'what is preserved stays, what it names is still pruned',
      object({ f: object({ t: object({}) }, free) }),
      { f: { u: { v: 1 }, t: { w: 1 } } },
      { f: { u: { v: 1 }, t: {} } },
      ['f.t.w'],
    ],
    [
      'an embedded object has what objects have',
      object({ e: object({ spec: object({}) }, { 'x-kubernetes-embedded-resource': true }) }),
      { e: { kind: 'K', metadata: { name: 'n', a: 1 }, spec: { x: 1 }, y: 1 } },
      { e: { kind: 'K', metadata: { name: 'n' }, spec: {} } },
      ['e.spec.x', 'e.y', 'e.metadata.a'],
    ],
  ]
  test.each(cases)('%s', (_name, schema, given, wanted, unknown) => {
    expect(prune(schema, given)).toEqual({ value: wanted, unknown })
  })
})

describe('withDefaults', () => {
  const standard = (value: Json, more: JsonSchemaProps = {}): JsonSchemaProps => ({ ...more, default: value })
  const cases: readonly (readonly [string, JsonSchemaProps, JsonObject, JsonObject])[] = [
    ['fills in what is absent', object({ a: standard('x', text) }), {}, { a: 'x' }],
    ['leaves what is there, empty or not', object({ a: standard('x', text) }), { a: '' }, { a: '' }],
    ['takes null for absence', object({ a: standard('x', text) }), { a: null }, { a: 'x' }],
    ['unless null may be', object({ a: standard('x', { ...text, nullable: true }) }), { a: null }, { a: null }],
    ['makes no parent', object({ s: object({ a: standard('x', text) }) }), {}, {}],
    [
      'but goes into a parent that is a default',
      object({ s: standard({}, object({ a: standard('x', text) })) }),
      {},
      { s: { a: 'x' } },
    ],
    [
      'in items and in maps',
      object({
        l: { type: 'array', items: object({ a: standard(1) }) },
        m: { type: 'object', additionalProperties: object({ a: standard(2) }) },
      }),
      { l: [{}], m: { k: {} } },
      { l: [{ a: 1 }], m: { k: { a: 2 } } },
    ],
    ['false and zero are defaults too', object({ a: standard(false), b: standard(0) }), {}, { a: false, b: 0 }],
  ]
  test.each(cases)('%s', (_name, schema, given, wanted) => {
    expect(withDefaults(schema, given)).toEqual(wanted)
  })
})

const anySchema = fc.letrec<{ schema: JsonSchemaProps }>(tie => ({
  schema: fc.oneof(
    { maxDepth: 4 },
    fc.constant<JsonSchemaProps>({ type: 'string' }),
    fc.constant<JsonSchemaProps>({ type: 'integer', default: 1 }),
    fc.constant<JsonSchemaProps>({ type: 'string', nullable: true }),
    fc.constant<JsonSchemaProps>({ type: 'object', ...free }),
    fc.record({ type: fc.constant('array'), items: tie('schema') }),
    fc.record({
      type: fc.constant('object'),
      properties: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('schema')),
    }),
    fc.record({ type: fc.constant('object'), additionalProperties: tie('schema') }),
  ),
})).schema
const anyValue = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>
const anyObject = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), anyValue) as fc.Arbitrary<JsonObject>

test('each of them is done when it is done once, and gives back the very same value when there is nothing to do', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c'), anySchema), anyObject, (properties, value) => {
      const schema = object(properties)
      const complete = (given: JsonObject) => withDefaults(schema, withoutNulls(schema, prune(schema, given).value))
      const once = complete(value)
      expect(complete(once)).toEqual(once)
      expect(prune(schema, once).unknown).toEqual([])
      expect(withoutNulls(schema, once)).toBe(once)
    }),
  )
})
