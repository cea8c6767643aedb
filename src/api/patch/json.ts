// JSON Patch, RFC 6902: a list of operations on JSON Pointers (RFC 6901), all or nothing. The errors read as those of the
// library that upstream uses (evanphx/json-patch).
import { ApiError } from '../error.ts'
import { isList, isObject } from '../parse.ts'
import type { Json, JsonObject } from '../schema.ts'

export const operationCountMax = 10_000
/** As upstream: what `copy` may add, as JSON. Copies of copies double with each. */
export const copiedBytesMax = 3 * 1024 * 1024
/** How many items of lists may be moved up or down to make or close gaps, all operations together. */
const movedItemsMax = 20_000_000

/** BadRequest when the patch itself is malformed; Invalid when it does not fit the target. */
export function jsonPatch(target: Json, patch: Json): Json {
  if (!isList(patch))
    throw new ApiError('BadRequest', 'error decoding patch: the JSON patch is not a list of operations')
  if (patch.length > operationCountMax) {
    throw new ApiError(
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${operationCountMax}, got ${patch.length}`,
    )
  }
  const work: Work = { document: copyOf(target), copiedBytes: 0, movedItems: 0 }
  for (const operation of patch) applyOperation(work, operation)
  return work.document as Json
}

/** What is edited in place: nobody else holds any part of it. */
type Own = null | boolean | number | bigint | string | Own[] | OwnObject
type OwnObject = { [key: string]: Own }
type Work = { document: Own; copiedBytes: number; movedItems: number }

function copyOf(value: Json): Own {
  if (isList(value)) return value.map(copyOf)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item)]))
}

function applyOperation(work: Work, operation: Json): void {
  if (!isObject(operation)) throw new ApiError('BadRequest', 'error decoding patch: an operation is not an object')
  const kind = operation['op']
  const path = pointerOf(operation, 'path')
  switch (kind) {
    case 'add':
      add(work, path, copyOf(operand(operation, 'add')), 'add')
      return
    case 'replace':
      replace(work, path, copyOf(operand(operation, 'replace')))
      return
    case 'remove':
      remove(work, path, 'remove')
      return
    case 'move': {
      const from = pointerOf(operation, 'from')
      const value = find(work.document, from, 'move')
      if (path.length > from.length && from.every((key, i) => key === path[i])) {
        throw misfit('move', path, 'cannot move a value into one of its children')
      }
      remove(work, from, 'move')
      add(work, path, value, 'move')
      return
    }
    case 'copy': {
      const value = find(work.document, pointerOf(operation, 'from'), 'copy')
      work.copiedBytes += Buffer.byteLength(JSON.stringify(value))
      if (work.copiedBytes > copiedBytesMax) {
        throw unfit(
          `Unable to complete the copy, the accumulated size increase of copy is ${work.copiedBytes}, exceeding the limit ${copiedBytesMax}`,
        )
      }
      add(work, path, copyOf(value), 'copy')
      return
    }
    case 'test': {
      const expected = Object.hasOwn(operation, 'value') ? (operation['value'] ?? null) : null
      if (!same(lookup(work.document, path), expected)) throw unfit(`testing value ${shown(path)} failed: test failed`)
      return
    }
    default:
      throw new ApiError('BadRequest', `error decoding patch: unexpected kind: ${JSON.stringify(kind ?? 'unknown')}`)
  }
}

function operand(operation: JsonObject, op: string): Json {
  if (!Object.hasOwn(operation, 'value')) throw unfit(`${op} operation: missing value`)
  return operation['value'] ?? null
}

function pointerOf(operation: JsonObject, member: 'path' | 'from'): readonly string[] {
  const text = operation[member]
  if (typeof text !== 'string') throw new ApiError('BadRequest', `error decoding patch: missing ${member}`)
  if (text === '') return []
  if (!text.startsWith('/')) {
    throw new ApiError('BadRequest', `error decoding patch: ${JSON.stringify(text)} is not a JSON pointer`)
  }
  return text
    .slice(1)
    .split('/')
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function shown(path: readonly string[]): string {
  return path.map(part => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** The server was understood, but the patch does not fit this object: 422, as upstream. */
function unfit(message: string): ApiError {
  return new ApiError('Invalid', `the server rejected our request due to an error in our request: ${message}`)
}

function misfit(op: string, path: readonly string[], why: string): ApiError {
  return unfit(`${op} operation does not apply: doc is missing path: ${JSON.stringify(shown(path))}: ${why}`)
}

/** From the end when negative, as the library that upstream uses reads it. */
const indexPattern = /^-?(0|[1-9][0-9]{0,8})$/

/** undefined: no item of this list. */
function indexOf(list: readonly Own[], key: string): number | undefined {
  if (!indexPattern.test(key)) return undefined
  const index = Number(key)
  const at = index < 0 || key === '-0' ? list.length + index : index
  return at >= 0 && at < list.length ? at : undefined
}

function has(parent: Own, key: string): boolean {
  if (Array.isArray(parent)) return indexOf(parent, key) !== undefined
  return isObject(parent) && Object.hasOwn(parent, key)
}

function child(parent: Own, key: string): Own {
  if (Array.isArray(parent)) return parent[indexOf(parent, key) ?? -1] ?? null
  return isObject(parent) ? ((parent as OwnObject)[key] ?? null) : null
}

function lookup(document: Own, path: readonly string[]): Own {
  return path.reduce<Own>((value, key) => (has(value, key) ? child(value, key) : null), document)
}

function find(document: Own, path: readonly string[], op: string): Own {
  let value = document
  for (const key of path) {
    if (!has(value, key)) throw misfit(op, path, 'missing value')
    value = child(value, key)
  }
  return value
}

/** The list or object that holds what `path` names, and its key there. */
function parentOf(work: Work, path: readonly string[], op: string): readonly [Own[] | OwnObject, string] {
  const parent = find(work.document, path.slice(0, -1), op)
  if (typeof parent !== 'object' || parent === null) throw misfit(op, path, 'missing value')
  return [parent, path.at(-1) ?? '']
}

function put(object: OwnObject, key: string, value: Own): void {
  // By assignment this one key would be no key at all.
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  } else object[key] = value
}

function moves(work: Work, count: number): void {
  work.movedItems += count
  if (work.movedItems <= movedItemsMax) return
  throw new ApiError('RequestEntityTooLarge', 'the JSON patch asks for too many changes in the middle of long lists')
}

function replace(work: Work, path: readonly string[], value: Own): void {
  if (path.length === 0) {
    work.document = value
    return
  }
  const [parent, key] = parentOf(work, path, 'replace')
  if (!has(parent, key)) throw misfit('replace', path, `missing key: ${shown(path)}`)
  if (Array.isArray(parent)) parent[indexOf(parent, key) ?? 0] = value
  else put(parent, key, value)
}

function add(work: Work, path: readonly string[], value: Own, op: string): void {
  if (path.length === 0) {
    work.document = value
    return
  }
  const [parent, key] = parentOf(work, path, op)
  if (!Array.isArray(parent)) {
    put(parent, key, value)
    return
  }
  if (key === '-') {
    parent.push(value)
    return
  }
  // Counted from behind, the place behind the last is -1.
  const at = indexPattern.test(key) ? Number(key) + (key.startsWith('-') ? parent.length + 1 : 0) : -1
  if (at < 0 || at > parent.length) {
    throw unfit(`${op} operation does not apply: Unable to access invalid index: ${key}: invalid index referenced`)
  }
  moves(work, parent.length - at)
  parent.splice(at, 0, value)
}

function remove(work: Work, path: readonly string[], op: string): void {
  if (path.length === 0) throw misfit(op, path, 'the whole document cannot be removed')
  const [parent, key] = parentOf(work, path, op)
  if (!has(parent, key)) throw misfit(op, path, `Unable to remove nonexistent key: ${key}: missing value`)
  if (Array.isArray(parent)) {
    const at = indexOf(parent, key) ?? 0
    moves(work, parent.length - at)
    parent.splice(at, 1)
  } else delete parent[key]
}

/** Equality of RFC 6902 section 4.6: strict, only the order of keys does not count. */
function same(a: Json, b: Json): boolean {
  if (isList(a) || isList(b)) {
    return isList(a) && isList(b) && a.length === b.length && a.every((item, i) => same(item, b[i] ?? null))
  }
  if (!isObject(a) || !isObject(b)) return a === b
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every(key => Object.hasOwn(b, key) && same(a[key] ?? null, b[key] ?? null))
  )
}
