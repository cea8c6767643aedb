// What `kubectl explain` shows: every object of every kind, and every field of it, says what it is.
import { expect, test } from 'vitest'
import { kinds } from '../../src/api/kinds.ts'
import type { Shape } from '../../src/api/schema.ts'

/** The fields and objects below a shape that say nothing of themselves. */
function silent(shape: Shape, seen: Set<Shape>, out: string[]): void {
  if (seen.has(shape)) return
  seen.add(shape)
  if (shape.kind === 'list') silent(shape.item.shape, seen, out)
  if (shape.kind === 'map') silent(shape.value.shape, seen, out)
  if (shape.kind !== 'object') return
  if ((shape.description ?? '') === '') out.push(shape.name)
  for (const [name, field] of Object.entries(shape.fields)) {
    // apiVersion and kind, which are no fields of protobuf, are the same in all: openapi.ts describes them.
    if (field.number !== 0 && field.description === '') out.push(`${shape.name}.${name}`)
    silent(field.schema.shape, seen, out)
  }
}

test('every object and every field of the built-in kinds says what it is', () => {
  const out: string[] = []
  const seen = new Set<Shape>()
  for (const { schema } of kinds) silent(schema.shape, seen, out)
  expect(seen.size).toBeGreaterThan(300)
  expect(out).toEqual([])
})
