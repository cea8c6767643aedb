// Fills in what a writer left out: first the constants that stand in the schema, at every depth, then the kind's own rules.
// A default stands only inside a parent that is there. What Go always writes is there too: a required number, and within
// status every required scalar, is zero when nobody gave it. Idempotent.

import type { Kind, KubeObject } from './kind.ts'
import { isList, isObject } from './parse.ts'
import type { Json, JsonObject, Schema, Shape } from './schema.ts'

export function applyDefaults<T extends KubeObject>(kind: Kind<T>, object: T): T {
  return kind.defaults(schemaDefaults(kind.schema, object))
}

/** Gives the very same value back when nothing is missing. */
export function schemaDefaults<T>(schema: Schema<T>, value: T): T {
  return fill(schema.shape, value as Json, false) as T
}

function fill(shape: Shape, value: Json, inStatus: boolean): Json {
  switch (shape.kind) {
    case 'scalar':
      return value
    case 'list': {
      if (!isList(value) || shape.item.shape.kind === 'scalar') return value
      const items = value.map(item => fill(shape.item.shape, item, inStatus))
      return items.some((item, i) => item !== value[i]) ? items : value
    }
    case 'map': {
      if (!isObject(value) || shape.value.shape.kind === 'scalar') return value
      const entries = Object.entries(value).map(([key, item]): [string, Json] => [
        key,
        fill(shape.value.shape, item, inStatus),
      ])
      return entries.some(([key, item]) => item !== value[key]) ? Object.fromEntries(entries) : value
    }
    case 'object':
      return isObject(value) ? fillObject(shape, value, inStatus) : value
  }
}

function fillObject(shape: Shape & { kind: 'object' }, value: JsonObject, inStatus: boolean): Json {
  let out: Record<string, Json> | undefined
  for (const [key, field] of Object.entries(shape.fields)) {
    const before = value[key]
    const { schema } = field
    const standard = field.default ?? (field.required ? zeroOf(schema.shape, inStatus) : undefined)
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
    const after = fill(schema.shape, absent ? (standard ?? null) : (before ?? null), inStatus || key === 'status')
    if (after === before) continue
    out ??= { ...value }
    out[key] = after
  }
  return out ?? value
}

function zeroOf(shape: Shape, inStatus: boolean): Json | undefined {
  if (shape.kind !== 'scalar') return undefined
  switch (shape.scalar) {
    case 'int32':
    case 'int64':
    case 'double':
      return 0
    case 'boolean':
      return false
    case 'string':
      return inStatus && shape.enum === undefined ? '' : undefined
    default:
      return undefined
  }
}

function isFilledText(value: Json | undefined): boolean {
  return typeof value === 'string' && value !== ''
}
