import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { expect, test } from 'vitest'
import { kinds } from '../../src/api/kinds.ts'
import { documentsV3, openApiV3 } from '../../src/api/openapi.ts'
import { encodeOpenApiV3 } from '../../src/api/openapi-v3-binary.ts'

type Read = ReadonlyMap<number, readonly (Uint8Array | number)[]>

/** Any message, by another reader of protobuf. */
function message(bytes: Uint8Array | number | undefined): Read {
  const reader = new BinaryReader(bytes as Uint8Array)
  const found = new Map<number, (Uint8Array | number)[]>()
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    const value =
      type === WireType.LengthDelimited
        ? reader.bytes()
        : type === WireType.Bit64
          ? reader.double()
          : Number(reader.uint64())
    found.set(field, [...(found.get(field) ?? []), value])
  }
  return found
}
const at = (of: Read, ...path: readonly number[]): Read => path.reduce((read, number) => message(one(read, number)), of)
const one = (of: Read, number: number) => of.get(number)?.[0]
const text = (of: Read, number: number) => Buffer.from((one(of, number) ?? new Uint8Array()) as Uint8Array).toString()
const named = (of: Read, number: number) =>
  new Map((of.get(number) ?? []).map(entry => [text(message(entry), 1), at(message(entry), 2)]))

test('the protobuf form of each document holds its paths, operations and schemas', () => {
  for (const groupVersion of documentsV3(kinds).values()) {
    const document = openApiV3(groupVersion, 'v1.33.0')
    const read = message(encodeOpenApiV3(document))
    expect([text(read, 1), text(at(read, 2), 1), text(at(read, 2), 6)]).toEqual(['3.0.0', 'Kubernetes', 'v1.33.0'])
    const paths = document['paths'] as Readonly<Record<string, object>>
    const found = named(at(read, 4), 1)
    expect([...found.keys()]).toEqual(Object.keys(paths))
    const numbers: Readonly<Record<string, number>> = { get: 4, put: 5, post: 6, delete: 7, patch: 10 }
    for (const [path, item] of found) {
      expect([...item.keys()]).toEqual(
        Object.keys(paths[path] ?? {})
          .map(method => numbers[method])
          .toSorted((a, b) => Number(a) - Number(b)),
      )
    }
    const { schemas } = document['components'] as { readonly schemas: object }
    expect([...named(at(read, 5, 1), 1).keys()]).toEqual(Object.keys(schemas))
  }
})

test('a schema keeps what it says: types, references, lists, defaults, limits and extensions', () => {
  const field = {
    type: 'object',
    description: 'words',
    nullable: true,
    required: ['a'],
    properties: {
      a: { type: 'array', items: { $ref: '#/x' }, maxItems: 300, 'x-kubernetes-list-type': 'set' },
      b: { type: 'number', minimum: -0.5, default: 2, enum: [1, 2] },
      c: { type: 'object', additionalProperties: false, default: {} },
      d: { not: { type: 'string', pattern: '^a' }, anyOf: [{ type: 'integer', format: 'int64' }] },
    },
  }
  const read = message(encodeOpenApiV3({ openapi: '3.0.0', info: {}, paths: {}, components: { schemas: { field } } }))
  const schema = at(named(at(read, 5, 1), 1).get('field') ?? new Map(), 1)
  expect([text(schema, 25), text(schema, 34), one(schema, 1), text(schema, 23)]).toEqual(['object', 'words', 1, 'a'])
  const properties = named(at(schema, 31), 1)
  const of = (name: string) => at(properties.get(name) ?? new Map(), 1)
  expect([text(at(of('a'), 30, 1, 2), 1), one(of('a'), 18), text(at(of('a'), 36), 1)]).toEqual([
    '#/x',
    300,
    'x-kubernetes-list-type',
  ])
  expect([one(of('b'), 13), one(at(of('b'), 33), 1), of('b').get(24)?.length]).toEqual([-0.5, 2, 2])
  expect([one(at(of('c'), 32), 2), at(of('c'), 33).size]).toEqual([0, 0])
  expect([text(at(of('d'), 29), 17), text(at(of('d'), 28, 1), 35)]).toEqual(['^a', 'int64'])
})
