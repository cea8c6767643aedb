// Fills in what a writer left out: first the constants that stand in the schema, at every depth, then the kind's own rules.
// A default stands only inside a parent that is there. Idempotent.

import type { Kind, KubeObject } from './kind.ts'
import { isList, isObject } from './parse.ts'
import type { Json, Schema, Shape } from './schema.ts'

export function applyDefaults<T extends KubeObject>(kind: Kind<T>, object: T): T {
  return kind.defaults(schemaDefaults(kind.schema, object))
}

/** Gives the very same value back when nothing is missing. */
export function schemaDefaults<T>(schema: Schema<T>, value: T): T {
  return fill(schema.shape, value as Json) as T
}

function fill(shape: Shape, value: Json): Json {
  switch (shape.kind) {
    case 'scalar':
      return value
    case 'list': {
      if (!isList(value) || shape.item.shape.kind === 'scalar') return value
      const items = value.map(item => fill(shape.item.shape, item))
      return items.some((item, i) => item !== value[i]) ? items : value
    }
    case 'map': {
      if (!isObject(value) || shape.value.shape.kind === 'scalar') return value
      const entries = Object.entries(value).map(([key, item]): [string, Json] => [key, fill(shape.value.shape, item)])
      return entries.some(([key, item]) => item !== value[key]) ? Object.fromEntries(entries) : value
    }
    case 'object':
      return isObject(value) ? fillObject(shape, value) : value
  }
}

function fillObject(shape: Shape & { kind: 'object' }, value: { readonly [key: string]: Json }): Json {
  let out: Record<string, Json> | undefined
  for (const [key, field] of Object.entries(shape.fields)) {
    const before = value[key]
    const { schema, default: standard } = field
    const isEnum = schema.shape.kind === 'scalar' && schema.shape.enum !== undefined
    // In Go an empty string is how most optional enumerations are absent.
    const absent = before === undefined || (before === '' && (isEnum || isFilledText(standard)))
    if (absent && standard === undefined) {
      if (before !== undefined && isEnum && !field.required) {
        out ??= { ...value }
        delete out[key]
      }
      continue
    }
    const after = fill(schema.shape, absent ? (standard ?? null) : (before ?? null))
    if (after === before) continue
    out ??= { ...value }
    out[key] = after
  }
  return out ?? value
}

function isFilledText(value: Json | undefined): boolean {
  return typeof value === 'string' && value !== ''
}
