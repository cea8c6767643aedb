// A strategic patch undoes any difference: a differ, written here as kubectl's works (strategicpatch.CreateTwoWayMergePatch),
// gives the patch from one object to another, and the patch must lead exactly there.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { pod } from '../../../src/api/kinds/pod.ts'
import { strategicPatch } from '../../../src/api/patch/strategic.ts'
import type { Json, JsonObject, Shape } from '../../../src/api/schema.ts'

type Objects = { readonly [key: string]: Json }
type ListShape = Extract<Shape, { kind: 'list' }>

const same = (a: Json | undefined, b: Json | undefined) => JSON.stringify(a) === JSON.stringify(b)
const isObject = (value: Json | undefined): value is Objects =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function below(shape: Shape | undefined, key: string) {
  if (shape?.kind === 'map') return { shape: shape.value.shape, retains: false }
  const field = shape?.kind === 'object' ? shape.fields[key] : undefined
  return { shape: field?.schema.shape, retains: field?.retainKeys ?? false }
}

function diff(shape: Shape | undefined, from: Objects, to: Objects, retains: boolean): JsonObject {
  const patch: Record<string, Json> = {}
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) patch[key] = null
  for (const [key, target] of Object.entries(to)) {
    const before = from[key]
    if (same(before, target)) continue
    const { shape: inner, retains: keeps } = below(shape, key)
    if (isObject(before) && isObject(target)) patch[key] = diff(inner, before, target, keeps)
    else if (inner?.kind === 'list' && Array.isArray(before) && Array.isArray(target) && inner.mergeKey !== undefined) {
      Object.assign(patch, diffLists(inner, key, before as Json[], target as Json[], keeps))
    } else patch[key] = target
  }
  if (retains && Object.keys(patch).length > 0) patch['$retainKeys'] = Object.keys(to)
  return patch
}

function diffLists(shape: ListShape, key: string, from: readonly Json[], to: readonly Json[], retains: boolean) {
  const mergeKey = shape.mergeKey ?? ''
  if (mergeKey === '') {
    const added = to.filter(item => !from.includes(item))
    const removed = from.filter(item => !to.includes(item))
    return {
      [`$setElementOrder/${key}`]: to,
      ...(added.length > 0 && { [key]: added }),
      ...(removed.length > 0 && { [`$deleteFromPrimitiveList/${key}`]: removed }),
    }
  }
  const named = (list: readonly Json[]) => new Map((list as readonly Objects[]).map(item => [item[mergeKey], item]))
  const [before, after] = [named(from), named(to)]
  const items: Json[] = []
  for (const [name, item] of after) {
    const old = before.get(name)
    if (old === undefined) items.push(item)
    else if (!same(old, item)) {
      const inner = diff(shape.item.shape, old, item, retains)
      const keeps = inner['$retainKeys'] !== undefined
      items.push({ ...inner, [mergeKey]: name ?? null, ...(keeps && { $retainKeys: Object.keys(item) }) })
    }
  }
  for (const name of before.keys()) if (!after.has(name)) items.push({ [mergeKey]: name ?? null, $patch: 'delete' })
  return {
    [`$setElementOrder/${key}`]: [...after.keys()].map(name => ({ [mergeKey]: name ?? null })),
    ...(items.length > 0 && { [key]: items }),
  }
}

const word = fc.constantFrom('x', 'y', 'z')
const map = fc.dictionary(fc.constantFrom('a', 'b', 'c'), word, { minKeys: 1, noNullPrototype: true })
const unique = <T extends object>(item: fc.Arbitrary<T>, by: (item: T) => unknown) =>
  fc.uniqueArray(item, { selector: by, minLength: 1, maxLength: 4 })
const name = fc.constantFrom('a', 'b', 'c', 'd')
const volume = fc.oneof(
  fc.record({ name, emptyDir: fc.record({ medium: word }) }),
  fc.record({ name, configMap: fc.record({ name: word }) }),
)
const container = fc.record(
  {
    name,
    image: word,
    args: fc.array(word, { minLength: 1, maxLength: 3 }),
    env: unique(fc.record({ name, value: word }), ({ name }) => name),
    ports: unique(fc.record({ containerPort: fc.integer({ min: 1, max: 4 }), name: word }), p => p.containerPort),
  },
  { requiredKeys: ['name', 'image'] },
)
const anyPod = fc.record({
  metadata: fc.record(
    { labels: map, finalizers: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }) },
    { requiredKeys: [] },
  ),
  spec: fc.record(
    {
      containers: unique(container, one => one.name),
      volumes: unique(volume, one => one.name),
      nodeSelector: map,
      tolerations: fc.array(fc.record({ key: word }), { minLength: 1, maxLength: 3 }),
    },
    { requiredKeys: ['containers'] },
  ),
})

test('the difference of two objects, as a patch of the first, gives the second', () => {
  fc.assert(
    fc.property(anyPod, anyPod, (from, to) => {
      const [a, b] = [from as unknown as Objects, to as unknown as Objects]
      const patch = diff(pod.schema.shape, a, b, false)
      expect(strategicPatch(pod.schema, a, patch), JSON.stringify(patch)).toEqual(b)
    }),
    { numRuns: 500 },
  )
})

test('nothing changes by the difference of an object from itself', () => {
  fc.assert(
    fc.property(anyPod, one => {
      const object = one as unknown as Objects
      expect(diff(pod.schema.shape, object, object, false)).toEqual({})
      expect(strategicPatch(pod.schema, object, {})).toEqual(object)
    }),
  )
})
