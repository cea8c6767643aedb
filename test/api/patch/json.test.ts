import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jsonPatch, operationCountMax } from '../../../src/api/patch/json.ts'
import { mergePatch } from '../../../src/api/patch/merge.ts'
import type { Json, JsonObject } from '../../../src/api/schema.ts'

describe('JSON Patch, the examples of RFC 6902 appendix A', () => {
  test.each<[string, Json, Json, Json]>([
    ['A.1 adding a member', { foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [
      'A.2 adding an element',
      { foo: ['bar', 'baz'] },
      [{ op: 'add', path: '/foo/1', value: 'qux' }],
      { foo: ['bar', 'qux', 'baz'] },
    ],
    ['A.3 removing a member', { baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [
      'A.4 removing an element',
      { foo: ['bar', 'qux', 'baz'] },
      [{ op: 'remove', path: '/foo/1' }],
      { foo: ['bar', 'baz'] },
    ],
    ['A.5 replacing a value', { baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
    [
      'A.6 moving a value',
      { foo: { bar: 'baz', waldo: 'fred' }, qux: {} },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'baz' }, qux: { thud: 'fred' } },
    ],
    [
      'A.7 moving an element',
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    [
      'A.8 testing a value',
      { baz: 'qux', foo: ['a', 2, 'c'] },
      [
        { op: 'test', path: '/baz', value: 'qux' },
        { op: 'test', path: '/foo/1', value: 2 },
      ],
      { baz: 'qux', foo: ['a', 2, 'c'] },
    ],
    [
      'A.10 adding a nested object',
      { foo: 'bar' },
      [{ op: 'add', path: '/child', value: { grandchild: {} } }],
      { foo: 'bar', child: { grandchild: {} } },
    ],
    ['A.14 escaping', { '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [
      'A.16 adding a list to a list',
      { foo: ['bar'] },
      [{ op: 'add', path: '/foo/-', value: ['abc'] }],
      { foo: ['bar', ['abc']] },
    ],
    ['copying the whole', { a: 1 }, [{ op: 'copy', from: '', path: '/b' }], { a: 1, b: { a: 1 } }],
  ])('%s', (_, target, patch, result) => expect(jsonPatch(target, patch)).toEqual(result))
})

describe('JSON Patch refuses', () => {
  const target = { a: [1, 2], b: { c: null } }
  test.each<[Json, string]>([
    [[{ op: 'test', path: '/a/0', value: '1' }], 'Invalid'],
    [[{ op: 'test', path: '/missing', value: 1 }], 'Invalid'],
    [[{ op: 'replace', path: '/missing', value: 1 }], 'Invalid'],
    [[{ op: 'remove', path: '/missing' }], 'Invalid'],
    [[{ op: 'add', path: '/a/3', value: 1 }], 'Invalid'],
    [[{ op: 'add', path: '/a/01', value: 1 }], 'Invalid'],
    [[{ op: 'add', path: '/x/y', value: 1 }], 'Invalid'],
    [[{ op: 'add', path: '/a/0/z', value: 1 }], 'Invalid'],
    [[{ op: 'add', path: '/d' }], 'Invalid'],
    [[{ op: 'move', from: '/b', path: '/b/c' }], 'Invalid'],
    [[{ op: 'remove', path: '/__proto__' }], 'Invalid'],
    [[{ op: 'add', path: 'a', value: 1 }], 'BadRequest'],
    [[{ op: 'grow', path: '/a' }], 'BadRequest'],
    [[{ op: 'add', value: 1 }], 'BadRequest'],
    [{ op: 'add' }, 'BadRequest'],
    [
      Array.from({ length: operationCountMax + 1 }, () => ({ op: 'test', path: '', value: 1 })),
      'RequestEntityTooLarge',
    ],
  ])('%j as %s', (patch, reason) => expect(() => jsonPatch(target, patch)).toThrow(expect.objectContaining({ reason })))

  test('copies of copies, before they fill the memory', () => {
    const patch = Array.from({ length: 40 }, (_, i) => ({ op: 'copy', from: '', path: `/c${i}` }))
    expect(() => jsonPatch({ a: 'x'.repeat(100) }, patch)).toThrow(/accumulated size increase of copy/)
  })

  test('changes without end in the middle of long lists', () => {
    const list = Array.from({ length: 100_000 }, () => 1)
    const patch = Array.from({ length: 1_000 }, () => ({ op: 'add', path: '/a/0', value: 1 }))
    const refused = expect.objectContaining({ reason: 'RequestEntityTooLarge' })
    expect(() => jsonPatch({ a: list }, patch)).toThrow(refused)
  })

  test('a null that is there counts as tested', () => {
    expect(jsonPatch(target, [{ op: 'test', path: '/b/c', value: null }])).toEqual(target)
  })
})

test('JSON Patch counts from the end where an index is negative', () => {
  const ops = [
    { op: 'add', path: '/a/-1', value: 4 },
    { op: 'replace', path: '/a/-2', value: 30 },
    { op: 'remove', path: '/a/-4' },
  ]
  expect(jsonPatch({ a: [1, 2, 3] }, ops)).toEqual({ a: [2, 30, 4] })
})

test('JSON Patch makes a key that has a meaning to JavaScript a key like any other', () => {
  const patched = jsonPatch({ a: {} }, [{ op: 'add', path: '/a/__proto__', value: { x: 1 } }])
  expect(JSON.stringify(patched)).toBe('{"a":{"__proto__":{"x":1}}}')
})

/** A twin that changes what it is given. */
function slowly(document: Json, operations: readonly JsonObject[]): Json {
  let root = structuredClone(document) as { [key: string]: Json }
  for (const { op, path, value } of operations) {
    const keys = String(path).split('/').slice(1)
    const last = keys.pop() ?? ''
    const parent = keys.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], root)
    if (Array.isArray(parent)) {
      const list = parent as Json[]
      if (op === 'remove') list.splice(Number(last), 1)
      else if (op === 'replace') list[Number(last)] = value ?? null
      else list.splice(last === '-' ? list.length : Number(last), 0, value ?? null)
    } else if (op === 'remove') delete (parent as Record<string, unknown>)[last]
    else (parent as Record<string, unknown>)[last] = value
    root = structuredClone(root)
  }
  return root
}

test('JSON Patch agrees with a twin that edits in place, and leaves its input alone', () => {
  const key = fc.constantFrom('a', 'b')
  const operation = fc.oneof(
    fc.record({ op: fc.constant('add'), path: key.map(k => `/o/${k}`), value: fc.integer() }),
    fc.record({ op: fc.constant('add'), path: fc.constantFrom('/l/-', '/l/0'), value: fc.integer() }),
    fc.record({ op: fc.constant('replace'), path: fc.constantFrom('/l/0', '/o'), value: fc.constant({}) }),
    fc.record({ op: fc.constant('remove'), path: fc.constantFrom('/l/0') }),
  )
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 8 }), operations => {
      const target = { o: { a: 1 }, l: Array.from({ length: 9 }, (_, i) => i) }
      const before = structuredClone(target)
      expect(jsonPatch(target, operations as Json)).toEqual(slowly(target, operations as readonly JsonObject[]))
      expect(target).toEqual(before)
    }),
  )
})

describe('JSON Merge Patch, the examples of RFC 7386 appendix A', () => {
  test.each<[Json, Json, Json]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j and %j give %j', (target, patch, result) => expect(mergePatch(target, patch)).toEqual(result))

  /** The pseudocode of RFC 7386 section 2, as it stands there. */
  function asWritten(target: unknown, patch: unknown): unknown {
    if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
    const object: Record<string, unknown> =
      typeof target !== 'object' || target === null || Array.isArray(target) ? {} : { ...target }
    for (const [name, value] of Object.entries(patch)) {
      if (value === null) delete object[name]
      else object[name] = asWritten(object[name], value)
    }
    return object
  }
  test('it does what the RFC says', () => {
    const key = fc.constantFrom('a', 'b', 'c')
    const { value } = fc.letrec(tie => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, 1, 'x', true),
        fc.array(fc.constantFrom(1, null), { maxLength: 2 }),
        fc.dictionary(key, tie('value'), { noNullPrototype: true }),
      ),
    }))
    fc.assert(
      fc.property(value, value, (target, patch) => {
        expect(mergePatch(target as Json, patch as Json)).toEqual(asWritten(target, patch))
      }),
      { numRuns: 500 },
    )
  })

  test('a patch done twice is a patch done once', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (target, patch) => {
        const once = mergePatch(target as Json, patch as Json)
        expect(mergePatch(once, patch as Json)).toEqual(once)
      }),
    )
  })
})
