import fc from 'fast-check'
import { expect, test } from 'vitest'
import { pod } from '../../../src/api/kinds/pod.ts'
import { strategicPatch } from '../../../src/api/patch/strategic.ts'
import type { Json, JsonObject } from '../../../src/api/schema.ts'
import { goldens } from '../golden.ts'
import { kindNamed } from '../make.ts'

goldens('strategic', ({ kind, original, patch }) =>
  strategicPatch(kindNamed(String(kind)).schema, original as JsonObject, patch as Json),
)

type Item = { readonly name: string; readonly image?: string; readonly tty?: boolean }
const item = fc.record(
  { name: fc.constantFrom('a', 'b', 'c', 'd'), image: fc.constantFrom('x', 'y'), tty: fc.boolean() },
  { requiredKeys: ['name'] },
)
const items = fc.uniqueArray(item, { selector: ({ name }) => name, maxLength: 4 }) as fc.Arbitrary<readonly Item[]>
const containersOf = (object: JsonObject) => (object['spec'] as { containers: readonly Item[] }).containers
const patched = (original: readonly Item[], spec: object) =>
  containersOf(strategicPatch(pod.schema, { spec: { containers: original } }, { spec } as unknown as Json))

test('a list with a merge key merges as the map that it stands for', () => {
  fc.assert(
    fc.property(items, items, (original, patch) => {
      const twin = new Map<string, Item>(original.map(one => [one.name, one]))
      for (const one of patch) twin.set(one.name, { ...twin.get(one.name), ...one })
      const merged = patched(original, { containers: patch })
      expect(new Map(merged.map(one => [one.name, one]))).toEqual(twin)
      expect(merged).toHaveLength(twin.size)
    }),
  )
})

test('items that the patch does not name keep their order among themselves', () => {
  fc.assert(
    fc.property(items, items, (original, patch) => {
      const named = new Set<string>(patch.map(({ name }) => name))
      const others = (list: readonly Item[]) => list.map(({ name }) => name).filter(name => !named.has(name))
      expect(others(patched(original, { containers: patch }))).toEqual(others(original))
    }),
  )
})

test('$setElementOrder puts what it names in its order', () => {
  fc.assert(
    fc.property(items, fc.shuffledSubarray(['a', 'b', 'c', 'd']), (original, order) => {
      const named: readonly string[] = order
      const directive = { '$setElementOrder/containers': named.map(name => ({ name })) }
      const merged: readonly string[] = patched(original, directive).map(({ name }) => name)
      expect(merged.toSorted()).toEqual(original.map(({ name }) => name).toSorted())
      expect(merged.filter(name => named.includes(name))).toEqual(named.filter(name => merged.includes(name)))
    }),
  )
})

test('a patch done twice is a patch done once, and the original stays as it was', () => {
  fc.assert(
    fc.property(items, items, (original, patch) => {
      const before = structuredClone(original)
      const once = patched(original, { containers: patch })
      expect(patched(once, { containers: patch })).toEqual(once)
      expect(original).toEqual(before)
    }),
  )
})

test('a directive that is none is refused wherever it stands', () => {
  const original = { metadata: { finalizers: ['x/y'] }, spec: { containers: [{ name: 'a' }] } }
  const patches: readonly object[] = [
    { $patch: 'grow' },
    { spec: { $patch: 'grow' } },
    { spec: { containers: [{ name: 'a', $patch: 'grow' }] } },
    { spec: { containers: [{ name: 'new', $patch: 'grow' }] } },
    { spec: { containers: [{ $patch: 'delete' }] } },
    { spec: { '$setElementOrder/containers': 'a' } },
    { metadata: { '$deleteFromPrimitiveList/finalizers': 'a' } },
    { spec: { $retainKeys: 'a' } },
    { spec: { $retainKeys: ['containers'], nodeName: 'x' } },
  ]
  for (const patch of patches) {
    expect(() => strategicPatch(pod.schema, original, patch as JsonObject), JSON.stringify(patch)).toThrow(
      expect.objectContaining({ reason: 'BadRequest' }),
    )
  }
})
