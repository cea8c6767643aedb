// Strategic merge patch: a merge patch that knows which lists are sets of named things. Lists with a merge key (from the
// schema) merge by it, other lists replace; directives say the rest: $patch, $retainKeys, $setElementOrder/x,
// $deleteFromPrimitiveList/x. Upstream: apimachinery/pkg/util/strategicpatch/patch.go mergeMap, whose order of results is
// kept, since people see it. The original is not changed.
// https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
import { ApiError } from '../error.ts'
import { isList, isObject } from '../parse.ts'
import type { Json, JsonObject, Schema, Shape } from '../schema.ts'

const directive = '$patch'
const retainKeys = '$retainKeys'
const orderPrefix = '$setElementOrder/'
const deletionPrefix = '$deleteFromPrimitiveList/'

/** BadRequest when the patch is malformed. */
export function strategicPatch(schema: Schema, target: JsonObject, patch: Json): JsonObject {
  if (!isObject(patch)) throw bad('the patch is not an object')
  return mergeObject(schema.shape, target, patch)
}

function bad(why: string): ApiError {
  return new ApiError('BadRequest', `invalid strategic merge patch: ${why}`)
}

/** The shape below `key`; undefined inside free JSON and for what the schema does not know. */
function shapeAt(shape: Shape | undefined, key: string): Shape | undefined {
  if (shape?.kind === 'object') return Object.hasOwn(shape.fields, key) ? shape.fields[key]?.schema.shape : undefined
  return shape?.kind === 'map' ? shape.value.shape : undefined
}

function itemShapeOf(shape: Shape | undefined): Shape | undefined {
  return shape?.kind === 'list' ? shape.item.shape : undefined
}

/** Undefined: the list is replaced. The empty text: a set of scalars. Else: the key that tells items apart. */
function mergeKeyOf(shape: Shape | undefined): string | undefined {
  return shape?.kind === 'list' ? shape.mergeKey : undefined
}

function mergeObject(shape: Shape | undefined, original: JsonObject, patch: JsonObject): JsonObject {
  const how = patch[directive]
  if (how !== undefined) {
    if (how === 'replace') return withoutDirectives(omit(patch, directive)) as JsonObject
    if (how === 'delete') return {}
    if (how !== 'merge') throw bad(`unknown patch type found: ${JSON.stringify(how)}`)
  }
  const merged = new Map(Object.entries(original))
  retain(merged, patch)
  const ordered = new Set<string>()
  for (const [name, order] of Object.entries(patch)) {
    if (!name.startsWith(orderPrefix)) continue
    const key = name.slice(orderPrefix.length)
    if (!isList(order)) throw bad(`${name} is not a list`)
    ordered.add(key)
    if (patch[key] === null) merged.delete(key)
    else mergeOrdered(shapeAt(shape, key), merged, key, patch[key], order)
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name === directive || name === retainKeys || name.startsWith(orderPrefix) || ordered.has(name)) continue
    if (name.startsWith(deletionPrefix)) {
      const key = name.slice(deletionPrefix.length)
      if (!isList(value)) throw bad(`${name} is not a list`)
      const list = merged.get(key)
      const gone = new Set(value)
      const rest = isList(list) ? list.filter(item => !gone.has(item)) : undefined
      if (rest !== undefined) merged.set(key, rest)
    } else if (value === null) merged.delete(name)
    else mergeValue(shapeAt(shape, name), merged, name, value)
  }
  return Object.fromEntries(merged)
}

function omit(object: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key))
}

/** Of a union only the members named survive: what a Deployment's strategy needs when its type changes. */
function retain(merged: Map<string, Json>, patch: JsonObject): void {
  const kept = patch[retainKeys]
  if (kept === undefined) return
  if (!isList(kept)) throw bad(`${retainKeys} is not a list`)
  const names = new Set(kept)
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || key.startsWith('$') || names.has(key)) continue
    throw bad(`${JSON.stringify(key)} is in the patch, but not in its ${retainKeys} list`)
  }
  for (const key of [...merged.keys()]) if (!names.has(key)) merged.delete(key)
}

function mergeValue(shape: Shape | undefined, merged: Map<string, Json>, key: string, value: Json): void {
  const before = merged.get(key)
  if (isObject(value) && isObject(before)) merged.set(key, mergeObject(shape, before, value))
  else if (isList(value) && isList(before)) merged.set(key, mergeList(shape, before, value))
  else merged.set(key, withoutDirectives(value))
}

/** Merges what there is of the list, then puts it in the order that the patch asks for. */
function mergeOrdered(
  shape: Shape | undefined,
  merged: Map<string, Json>,
  key: string,
  value: Json | undefined,
  order: readonly Json[],
): void {
  const before = merged.get(key)
  const mergeKey = mergeKeyOf(shape) ?? ''
  const listBefore = isList(before) ? before : undefined
  let list = listBefore
  if (isList(value)) {
    checkOrder(key, value, order, mergeKey)
    list = listBefore ? mergeList(shape, listBefore, value) : (withoutDirectives(value) as readonly Json[])
  }
  if (list) merged.set(key, arranged(list, order, listBefore ?? [], mergeKey))
}

/** What the patch gives has to be named in the order, one after the other. (upstream: validatePatchWithSetOrderList) */
function checkOrder(key: string, list: readonly Json[], order: readonly Json[], mergeKey: string): void {
  if (order.length === 0) return
  let at = 0
  for (const item of list) {
    if (isObject(item) && item[directive] !== undefined) continue
    const name = identity(item, mergeKey)
    while (at < order.length && identity(order[at] ?? null, mergeKey) !== name) at++
    if (at === order.length) {
      throw bad(`the order in patch list doesn't match ${orderPrefix}${key}: ${JSON.stringify(item)}`)
    }
    at++
  }
}

const directives = new Set<Json>(['delete', 'merge', 'replace'])

function mergeList(shape: Shape | undefined, original: readonly Json[], patch: readonly Json[]): readonly Json[] {
  const mergeKey = mergeKeyOf(shape)
  let replaces = false
  for (const item of patch) {
    const how = isObject(item) ? item[directive] : undefined
    if (how !== undefined && !directives.has(how)) throw bad(`unknown patch type found: ${JSON.stringify(how)}`)
    replaces ||= how === 'replace'
  }
  if (mergeKey === undefined || replaces) return withoutDirectives(patch) as readonly Json[]
  if (mergeKey === '') return arranged([...new Set([...original, ...patch])], patch, original, '')
  const merged: (Json | undefined)[] = [...original]
  const places = new Map<string, number>()
  // Of items that are there twice the first counts.
  for (const [i, item] of original.entries()) {
    const name = identity(item, mergeKey)
    if (!places.has(name)) places.set(name, i)
  }
  for (const item of patch) {
    if (!isObject(item)) throw bad(`an item of a list that merges by ${mergeKey} is not an object`)
    const id = item[mergeKey]
    if (id === undefined || id === null) {
      throw bad(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`)
    }
    const name = identity(item, mergeKey)
    const at = places.get(name)
    if (item[directive] === 'delete') {
      if (at !== undefined) merged[at] = undefined
      places.delete(name)
      continue
    }
    const before = at === undefined ? undefined : merged[at]
    if (at !== undefined && isObject(before)) merged[at] = mergeObject(itemShapeOf(shape), before, item)
    else places.set(name, merged.push(withoutDirectives(item)) - 1)
  }
  const there = merged.filter(item => item !== undefined)
  return arranged(there, patch, original, mergeKey)
}

/** What tells one item from another, as text. */
function identity(item: Json, mergeKey: string): string {
  const id = mergeKey !== '' && isObject(item) ? (item[mergeKey] ?? null) : item
  return typeof id === 'string' ? id : JSON.stringify(id)
}

/**
 * The items that `order` names in its order, and the others in the order of `original` as far as both can be had: an item
 * of the original stays before what it stood before. (upstream: normalizeElementOrder, mergeSortedSlice)
 */
function arranged(
  items: readonly Json[],
  order: readonly Json[],
  original: readonly Json[],
  mergeKey: string,
): readonly Json[] {
  const rankIn = (list: readonly Json[]) => {
    const ranks = new Map(list.map((item, i): [string, number] => [identity(item, mergeKey), i]))
    return (item: Json) => ranks.get(identity(item, mergeKey)) ?? -1
  }
  const [inOrder, inOriginal] = [rankIn(order), rankIn(original)]
  const named = items.filter(item => inOrder(item) >= 0).toSorted((a, b) => inOrder(a) - inOrder(b))
  const others = items.filter(item => inOrder(item) < 0).toSorted((a, b) => inOriginal(a) - inOriginal(b))
  const result: Json[] = []
  let next = 0
  for (const item of named) {
    const rank = inOriginal(item)
    for (let other = others[next]; other !== undefined; other = others[next]) {
      if (rank < 0 || inOriginal(other) < 0 || inOriginal(other) > rank) break
      result.push(other)
      next++
    }
    result.push(item)
  }
  return [...result, ...others.slice(next)]
}

/** A value that stands alone has nothing to direct. Nulls in it delete nothing, and go. */
function withoutDirectives(value: Json): Json {
  if (isList(value)) {
    return value.filter(item => !(isObject(item) && item[directive] !== undefined)).map(withoutDirectives)
  }
  if (!isObject(value)) return value
  const entries = Object.entries(value)
    .filter(([key, item]) => item !== null && !isDirective(key))
    .map(([key, item]): [string, Json] => [key, withoutDirectives(item)])
  return Object.fromEntries(entries)
}

function isDirective(key: string): boolean {
  return key === directive || key === retainKeys || key.startsWith(orderPrefix) || key.startsWith(deletionPrefix)
}
