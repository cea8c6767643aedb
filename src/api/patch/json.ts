// JSON Patch, RFC 6902: a list of operations on JSON Pointers (RFC 6901), all or nothing. The errors read as those of the
// library that upstream uses (evanphx/json-patch).
import { ApiError } from '../error.ts'
import { isList, isObject } from '../parse.ts'
import type { Json, JsonObject } from '../schema.ts'

export const operationCountMax = 10_000

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
  return patch.reduce<Json>((document, operation) => applyOperation(document, operation), target)
}

function applyOperation(document: Json, operation: Json): Json {
  if (!isObject(operation)) throw new ApiError('BadRequest', 'error decoding patch: an operation is not an object')
  const kind = operation['op']
  const path = pointerOf(operation, 'path')
  switch (kind) {
    case 'add':
      return add(document, path, operand(operation, 'add'), 'add')
    case 'replace': {
      const value = operand(operation, 'replace')
      if (path.length === 0) return value
      return edit(document, path, 'replace', (parent, key) => {
        if (!has(parent, key)) throw misfit('replace', path, `missing key: ${shown(path)}`)
        return put(parent, key, value, false)
      })
    }
    case 'remove':
      return remove(document, path, 'remove')
    case 'move': {
      const from = pointerOf(operation, 'from')
      const value = find(document, from, 'move')
      if (path.length > from.length && from.every((key, i) => key === path[i])) {
        throw misfit('move', path, 'cannot move a value into one of its children')
      }
      return add(remove(document, from, 'move'), path, value, 'move')
    }
    case 'copy':
      return add(document, path, find(document, pointerOf(operation, 'from'), 'copy'), 'copy')
    case 'test': {
      const expected = Object.hasOwn(operation, 'value') ? (operation['value'] ?? null) : null
      if (!same(lookup(document, path), expected)) throw unfit(`testing value ${shown(path)} failed: test failed`)
      return document
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

const indexPattern = /^(0|[1-9][0-9]*)$/

function has(parent: Json, key: string): boolean {
  if (isList(parent)) return indexPattern.test(key) && Number(key) < parent.length
  return isObject(parent) && Object.hasOwn(parent, key)
}

function child(parent: Json, key: string): Json {
  if (isList(parent)) return parent[Number(key)] ?? null
  return isObject(parent) ? (parent[key] ?? null) : null
}

function lookup(document: Json, path: readonly string[]): Json {
  return path.reduce<Json>((value, key) => (has(value, key) ? child(value, key) : null), document)
}

function find(document: Json, path: readonly string[], op: string): Json {
  let value = document
  for (const key of path) {
    if (!has(value, key)) throw misfit(op, path, 'missing value')
    value = child(value, key)
  }
  return value
}

/** Copies what lies on the path and lets `change` make the last parent anew. */
function edit(
  document: Json,
  path: readonly string[],
  op: string,
  change: (parent: Json, key: string) => Json,
  depth = 0,
): Json {
  const key = path[depth] ?? ''
  if (depth === path.length - 1) {
    if (!isList(document) && !isObject(document)) throw misfit(op, path, 'missing value')
    return change(document, key)
  }
  if (!has(document, key)) throw misfit(op, path, 'missing value')
  return put(document, key, edit(child(document, key), path, op, change, depth + 1), false)
}

function put(parent: Json, key: string, value: Json, insert: boolean): Json {
  if (isList(parent)) {
    const index = Number(key)
    return insert ? parent.toSpliced(index, 0, value) : parent.with(index, value)
  }
  return Object.fromEntries([...Object.entries(isObject(parent) ? parent : {}), [key, value]])
}

function add(document: Json, path: readonly string[], value: Json, op: string): Json {
  if (path.length === 0) return value
  return edit(document, path, op, (parent, key) => {
    if (!isList(parent)) return put(parent, key, value, true)
    if (key === '-') return [...parent, value]
    if (!indexPattern.test(key) || Number(key) > parent.length) {
      throw unfit(`${op} operation does not apply: Unable to access invalid index: ${key}: invalid index referenced`)
    }
    return put(parent, key, value, true)
  })
}

function remove(document: Json, path: readonly string[], op: string): Json {
  if (path.length === 0) throw misfit(op, path, 'the whole document cannot be removed')
  return edit(document, path, op, (parent, key) => {
    if (!has(parent, key)) throw misfit(op, path, `Unable to remove nonexistent key: ${key}: missing value`)
    if (isList(parent)) return parent.toSpliced(Number(key), 1)
    return Object.fromEntries(Object.entries(isObject(parent) ? parent : {}).filter(([name]) => name !== key))
  })
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
