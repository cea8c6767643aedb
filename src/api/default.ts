// Fills in what a writer left out: first the constants that stand in the schema, at every depth, then the kind's own rules.
// A default stands only inside a parent that is there. What Go always writes is there too: a required number, and within
// status every required scalar, is zero when nobody gave it. Idempotent.
import { Derivation, isKept, keptWith } from '../lib/kept.ts'
import type { Kind, KubeObject } from './kind.ts'
import { isList, isObject } from './parse.ts'
import { type Pausing, withoutPauses } from './pausing.ts'
import type { Json, JsonObject, Schema, Shape } from './schema.ts'

export function applyDefaults<T extends KubeObject>(...asked: Parameters<typeof applyingDefaults<T>>): T {
  return withoutPauses(applyingDefaults(...asked))
}

/** The same, which yields now and then so that others may run: a large object takes long. */
export function* applyingDefaults<T extends KubeObject>(kind: Kind<T>, object: T): Pausing<T> {
  const filled = kind.custom ? object : schemaDefaults(kind.schema, object)
  yield
  return kind.defaults(filled)
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

/** What there is to do for one field; fields for which there is nothing have none. Made once per shape. */
type Chore = {
  readonly key: string
  readonly shape: Shape
  readonly standard: Json | undefined
  /** In Go an empty text is how most optional enumerations, and texts with a default, are absent. */
  readonly isEmptyAbsent: boolean
  readonly isDropped: boolean
  readonly inStatus: boolean
}

const chores = [new WeakMap<Shape, readonly Chore[]>(), new WeakMap<Shape, readonly Chore[]>()] as const

function choresOf(shape: Shape & { kind: 'object' }, inStatus: boolean): readonly Chore[] {
  const known = chores[inStatus ? 1 : 0].get(shape)
  if (known) return known
  const made = Object.entries(shape.fields).flatMap(([key, field]): Chore[] => {
    const below = field.schema.shape
    const standard = field.default ?? (field.required ? zeroOf(below, inStatus) : undefined)
    const isEnum = below.kind === 'scalar' && below.enum !== undefined
    if (below.kind === 'scalar' && standard === undefined && !isEnum) return []
    return [
      {
        key,
        shape: below,
        standard,
        isEmptyAbsent: isEnum || isFilledText(standard),
        isDropped: isEnum && !field.required,
        inStatus: inStatus || key === 'status',
      },
    ]
  })
  chores[inStatus ? 1 : 0].set(shape, made)
  return made
}

function fillObject(shape: Shape & { kind: 'object' }, value: JsonObject, inStatus: boolean): Json {
  let out: Record<string, Json> | undefined
  for (const chore of choresOf(shape, inStatus)) {
    const { key, standard } = chore
    const before = value[key]
    const absent = before === undefined || (before === '' && chore.isEmptyAbsent)
    if (absent && standard === undefined) {
      if (before === undefined || !chore.isDropped) continue
      out ??= { ...value }
      delete out[key]
      continue
    }
    const given = absent ? (standard ?? null) : (before ?? null)
    const after = isKept(given)
      ? filledOf.of(given, chore.shape, () => {
          const filled = fill(chore.shape, given, chore.inStatus)
          return isObject(filled) ? keptWith(given, filled) : filled
        })
      : fill(chore.shape, given, chore.inStatus)
    if (after === before) continue
    out ??= { ...value }
    out[key] = after
  }
  return out ?? value
}

const filledOf = new Derivation<Shape, Json>()

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
