// Objects seen through their schema, as server-side apply needs them: which fields an object sets, how two differ, the two
// merged, and one without some fields. A list is one value (atomic), a set, or a map by its keys; the schema says which.
// Upstream: sigs.k8s.io/structured-merge-diff v4, typed/{tofieldset,compare,merge,remove}.go
import { isKept, KeptDerivation } from '../../lib/kept.ts'
import { equalJson } from '../equal.ts'
import { isList, isObject } from '../parse.ts'
import type { Field, Json, ScalarKind, Shape } from '../schema.ts'
import {
  emptySet,
  type FieldPath,
  type FieldSet,
  FieldSetBuilder,
  fieldAlone,
  isEmptySet,
  pathText,
  setOf,
  union,
} from './fieldset.ts'
import { goSyntax, goText, goType } from './gotext.ts'
import { ownOf, withChanges } from './object.ts'

/** Whether the value below is owned and changed as a whole. */
function isLeaf(shape: Shape | undefined): boolean {
  switch (shape?.kind) {
    case 'object':
    case 'map':
      return shape.atomic
    case 'list':
      return shape.listType === 'atomic'
    default:
      return true
  }
}

/** Whether it is one value because of what it is, where no schema tells anything. */
function isPlain(shape: Shape, value: Json | undefined): boolean {
  return shape.kind === 'map' && shape.deduced === true && value !== undefined && !isObject(value)
}

function fieldOf(shape: Shape, key: string): Field | undefined {
  return shape.kind === 'object' && Object.hasOwn(shape.fields, key) ? shape.fields[key] : undefined
}

function shapeBelow(shape: Shape, key: string): Shape | undefined {
  if (shape.kind === 'map') return shape.value.shape
  return fieldOf(shape, key)?.schema.shape ?? (shape.kind === 'object' ? shape.rest?.shape : undefined)
}

/** The path element of a list's item; a key that is absent has its default. */
function elementOf(shape: Shape & { kind: 'list' }, item: Json): string {
  if (shape.listType === 'set' || !isObject(item)) return `v:${JSON.stringify(item)}`
  const keys = sortedKeys(shape).map((key): [string, Json] => {
    const standard = fieldOf(shape.item.shape, key)?.default
    return [key, item[key] ?? standard ?? null]
  })
  return `k:${JSON.stringify(Object.fromEntries(keys))}`
}

const keysInOrder = new WeakMap<Shape, readonly string[]>()

function sortedKeys(shape: Shape & { kind: 'list' }): readonly string[] {
  const known = keysInOrder.get(shape) ?? shape.mapKeys.toSorted()
  keysInOrder.set(shape, known)
  return known
}

/**
 * Why `value` is none of the schema's: it is of another type; a field that is not declared, the first of each object; an item
 * that comes twice.
 */
export function untyped(shape: Shape | undefined, value: Json, path: FieldPath = []): readonly string[] {
  if (shape === undefined || value === null || (shape.kind === 'map' && shape.deduced)) return []
  const fault = (text: string) => [`${pathText(path)}: ${text}`]
  if (shape.kind === 'scalar') {
    const wrong = mistyped(shape.scalar, value)
    return wrong === undefined ? [] : fault(wrong)
  }
  if (shape.kind === 'list') {
    return isList(value) ? untypedItems(shape, value, path) : fault(`expected list, got &{${goText(value)}}`)
  }
  if (!isObject(value)) return fault(`expected map, got &{${goText(value)}}`)
  const faults: string[] = []
  for (const [key, item] of Object.entries(value)) {
    const known = shapeBelow(shape, key)
    // Most are, and then nobody needs to know where.
    if (known?.kind === 'scalar' && (item === null || mistyped(known.scalar, item) === undefined)) continue
    const below = [...path, `f:${key}`]
    if (known === undefined) return [...faults, `${pathText(below)}: field not declared in schema`]
    for (const fault of untyped(known, item, below)) faults.push(fault)
  }
  return faults
}

function untypedItems(shape: Shape & { kind: 'list' }, items: readonly Json[], path: FieldPath): readonly string[] {
  const seen = new Set<string>()
  return items.flatMap((item, i) => {
    const element = shape.listType === 'atomic' ? `i:${i}` : elementOf(shape, item)
    const twice = seen.has(element) ? [`${pathText(path)}: duplicate entries for key ${pathText([element])}`] : []
    seen.add(element)
    return [...twice, ...untyped(shape.item.shape, item, [...path, element])]
  })
}

const isNumber = (value: Json): boolean => typeof value === 'number' || typeof value === 'bigint'

/** In the words of structured-merge-diff; what may be of several types is not looked at. */
function mistyped(scalar: ScalarKind, value: Json): string | undefined {
  switch (scalar) {
    case 'int32':
    case 'int64':
    case 'double':
      return isNumber(value) ? undefined : `expected numeric (int or float), got ${goType(value)}`
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `expected boolean, got &{${goText(value)}}`
    case 'string':
    case 'time':
    case 'microTime':
    case 'bytes':
      return typeof value === 'string'
        ? undefined
        : `expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`
    default:
      return undefined
  }
}

/** The fields that `value` sets. */
export function fieldSetOf(shape: Shape | undefined, value: Json): FieldSet {
  if (shape === undefined || isLeaf(shape) || isPlain(shape, value)) return fieldAlone
  const children = new Map<string, FieldSet>()
  if (shape.kind === 'list') {
    for (const item of isList(value) ? value : []) {
      const element = elementOf(shape, item)
      const below = shape.listType === 'map' ? fieldSetOf(shape.item.shape, item) : emptySet
      // One that comes twice has the fields of both.
      children.set(element, setOf(true, union(children.get(element) ?? emptySet, below).children))
    }
  } else {
    for (const [key, item] of Object.entries(isObject(value) ? value : {})) {
      const below = fieldSetOf(shapeBelow(shape, key), item)
      const isNamed = isEmptyObject(item) || fieldOf(shape, key) === undefined
      const set = isNamed ? setOf(true, below.children) : below
      if (!isEmptySet(set)) children.set(`f:${key}`, set)
    }
  }
  return setOf(false, children)
}

function isEmptyObject(value: Json): boolean {
  return isObject(value) && Object.keys(value).length === 0
}

export type Comparison = { readonly added: FieldSet; readonly removed: FieldSet; readonly modified: FieldSet }

type Builders = {
  readonly added: FieldSetBuilder
  readonly removed: FieldSetBuilder
  readonly modified: FieldSetBuilder
}

export function compare(shape: Shape, before: Json | undefined, after: Json | undefined): Comparison {
  const out: Builders = {
    added: new FieldSetBuilder(),
    removed: new FieldSetBuilder(),
    modified: new FieldSetBuilder(),
  }
  walk(shape, before, after, [], true, out)
  return { added: out.added.finish(), removed: out.removed.finish(), modified: out.modified.finish() }
}

/** `always`: Go has the struct even when it is empty, so nobody adds it. */
function walk(
  shape: Shape | undefined,
  before: Json | undefined,
  after: Json | undefined,
  path: FieldPath,
  always: boolean,
  out: Builders,
): void {
  if (before === after) return
  if (path.length > 0 && (before === undefined || after === undefined)) {
    const whole = setOfWhole(shape, before ?? after ?? null, always)
    if (before === undefined) out.added.attach(path, whole)
    else out.removed.attach(path, whole)
    return
  }
  const isOne = shape === undefined || isLeaf(shape) || isPlain(shape, before) || isPlain(shape, after)
  if (isOne || (isBare(before) && isBare(after))) {
    if (before === undefined) out.added.insert(path)
    else if (after === undefined) out.removed.insert(path)
    else if (!equalJson(before, after)) out.modified.insert(path)
    return
  }
  if (shape.kind === 'list') {
    const [left, right] = [indexed(shape, before), indexed(shape, after)]
    for (const element of new Set([...left.keys(), ...right.keys()])) {
      const below = [...path, element]
      walk(shape.item.shape, left.get(element), right.get(element), below, false, out)
    }
  } else {
    const [left, right] = [isObject(before) ? before : {}, isObject(after) ? after : {}]
    const differ = (key: string, was: Json | undefined, is: Json | undefined) =>
      walk(shapeBelow(shape, key), was, is, [...path, `f:${key}`], isAlwaysThere(fieldOf(shape, key)), out)
    for (const key of Object.keys(left)) {
      const [was, is] = [left[key], ownOf(right, key)]
      if (was !== is) differ(key, was, is)
    }
    for (const key of Object.keys(right)) if (!Object.hasOwn(left, key)) differ(key, undefined, right[key])
  }
  if (always) return
  if (before === undefined) out.added.insert(path)
  else if (after === undefined) out.removed.insert(path)
}

const setsOfKept = { always: new KeptDerivation<Shape, FieldSet>(), added: new KeptDerivation<Shape, FieldSet>() }

function setOfWhole(shape: Shape | undefined, value: Json, always: boolean): FieldSet {
  if (shape === undefined || !isKept(value)) return wholeSet(shape, value, always)
  const sets = always ? setsOfKept.always : setsOfKept.added
  return sets.of(value, shape, () => wholeSet(shape, value, always))
}

/** All that comes with a value that was not there before, or goes with one that no longer is. */
function wholeSet(shape: Shape | undefined, value: Json, always: boolean): FieldSet {
  if (shape === undefined || isLeaf(shape) || isPlain(shape, value) || isBare(value)) return fieldAlone
  const children = new Map<string, FieldSet>()
  const add = (element: string, child: FieldSet) => {
    if (!isEmptySet(child)) children.set(element, child)
  }
  if (shape.kind === 'list') {
    for (const [element, item] of indexed(shape, value)) add(element, wholeSet(shape.item.shape, item, false))
  } else if (isObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      if (item === undefined) continue
      add(`f:${key}`, wholeSet(shapeBelow(shape, key), item, isAlwaysThere(fieldOf(shape, key))))
    }
  }
  return setOf(!always, children)
}

function isAlwaysThere(field: Field | undefined): boolean {
  return field !== undefined && field.schema.shape.kind !== 'scalar' && (field.required || isObject(field.default))
}

function isBare(value: Json | undefined): boolean {
  return value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)
}

/** Items by path element; of doubled ones the first. */
function indexed(shape: Shape & { kind: 'list' }, list: Json | undefined): ReadonlyMap<string, Json> {
  const items = new Map<string, Json>()
  for (const item of isList(list) ? list : []) {
    const element = elementOf(shape, item)
    if (!items.has(element)) items.set(element, item)
  }
  return items
}

/** `live` with all that `config` sets. */
export function merge(shape: Shape | undefined, live: Json | undefined, config: Json): Json {
  if (shape === undefined || isLeaf(shape) || live === undefined) return config
  if (shape.kind === 'list') return isList(live) && isList(config) ? mergeLists(shape, live, config) : config
  if (!isObject(live) || !isObject(config)) return config
  return withChanges(live, config, (key, was, value) => merge(shapeBelow(shape, key), was, value))
}

/** Items of `config` in its order, and between them the others where they stood (typed/merge.go visitListItems). */
function mergeLists(shape: Shape & { kind: 'list' }, live: readonly Json[], config: readonly Json[]): Json {
  const [left, right] = [indexed(shape, live), indexed(shape, config)]
  const leftElements = live.map(item => elementOf(shape, item))
  const rightElements = config.map(item => elementOf(shape, item))
  const shared = rightElements.filter(element => left.has(element))
  let nextShared = 0
  const merged = new Set<string>()
  const out: Json[] = []
  const take = (element: string) => {
    const item = right.get(element) ?? null
    if (!merged.has(element)) out.push(merge(shape.item.shape, left.get(element), item))
    merged.add(element)
    if (shared[nextShared] === element) nextShared++
  }
  let [l, r] = [0, 0]
  while (l < leftElements.length || r < rightElements.length) {
    const [mine, theirs] = [leftElements[l], rightElements[r]]
    if (mine !== undefined && theirs !== undefined) {
      if (mine === theirs) {
        take(mine)
        l++
        r++
        continue
      }
      const awaited = shared[nextShared]
      if (right.has(mine) && awaited !== undefined && awaited !== mine) {
        l++
        continue
      }
    }
    if (mine !== undefined) {
      if (!right.has(mine)) {
        out.push(live[l] ?? null)
        l++
        continue
      }
      if (merged.has(mine)) l++
    }
    if (theirs !== undefined) {
      take(theirs)
      r++
    }
  }
  return out
}

/** `value` without the members of `set`, and what they hold; undefined when nothing is left. */
export function removeItems(shape: Shape | undefined, value: Json, set: FieldSet): Json | undefined {
  if (shape === undefined || isLeaf(shape) || set.children.size === 0) return value
  if (shape.kind === 'list') {
    if (!isList(value)) return value
    const items = value.flatMap(item => {
      const below = set.children.get(elementOf(shape, item))
      if (below?.member) return []
      const rest = below ? removeItems(shape.item.shape, item, below) : item
      return rest === undefined ? [] : [rest]
    })
    return items.length > 0 ? items : undefined
  }
  if (!isObject(value)) return value
  const entries = Object.entries(value).flatMap(([key, item]): [string, Json][] => {
    const below = set.children.get(`f:${key}`)
    if (below?.member) return []
    const rest = below ? removeItems(shapeBelow(shape, key), item, below) : item
    return rest === undefined ? [] : [[key, rest]]
  })
  return entries.length > 0 ? Object.fromEntries(entries) : undefined
}

/** With every field of a struct that holds a member as a member itself; keys of maps and items of lists stay as they are. */
export function withNamedFields(shape: Shape | undefined, set: FieldSet): FieldSet {
  if (set.children.size === 0) return set
  const children = new Map<string, FieldSet>()
  for (const [element, child] of set.children) {
    if (shape?.kind === 'list') {
      children.set(element, withNamedFields(shape.item.shape, child))
      continue
    }
    const key = element.slice(2)
    const below = shape && element.startsWith('f:') ? shapeBelow(shape, key) : undefined
    const named = shape !== undefined && element.startsWith('f:') && fieldOf(shape, key) !== undefined
    const inner = withNamedFields(below, child)
    children.set(element, named ? setOf(true, inner.children) : inner)
  }
  return setOf(set.member, children)
}
