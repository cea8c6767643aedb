// Equality and order of values (cel-spec, "Equality", "Ordering"): numbers compare across their types, and values of other
// different types are unequal rather than an error. Pure.
import type { Integer } from './ints.ts'
import {
  Double,
  Duration,
  Failure,
  Fields,
  keyOf,
  List,
  Opaque,
  Optional,
  type Result,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from './values.ts'

/** The number that a value is; undefined for what is no number. */
function numberOf(value: Value): Integer | Double | undefined {
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Double) return value
  return value instanceof Uint ? value.value : undefined
}

/** Below zero, zero, above zero; NaN when a NaN is among them. JavaScript compares bigint and number exactly. */
export function compareNumbers(a: Value, b: Value): number | undefined {
  const [left, right] = [numberOf(a), numberOf(b)]
  if (left === undefined || right === undefined) return undefined
  const x = left instanceof Double ? left.value : left
  const y = right instanceof Double ? right.value : right
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.NaN
  return x < y ? -1 : x > y ? 1 : 0
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** By code points, as UTF-8 bytes order too; UTF-16 units order surrogates wrongly. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0
  let at = 0
  while (at < a.length && at < b.length && a.charCodeAt(at) === b.charCodeAt(at)) at++
  if (at === a.length || at === b.length) return a.length - b.length
  const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)]
  const isSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdfff
  if (isSurrogate(x) !== isSurrogate(y)) return isSurrogate(x) ? 1 : -1
  return x - y
}

/** undefined when values of these types have no order. */
export function compareValues(a: Value, b: Value): number | undefined {
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b)
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b)
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b)
  if ((a instanceof Duration && b instanceof Duration) || (a instanceof Timestamp && b instanceof Timestamp)) {
    return a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0
  }
  return compareNumbers(a, b)
}

/** A failure only when an element is one. */
export function equalValues(a: Value, b: Value): boolean | Failure {
  if (a === b) return true
  if (a === null || b === null) return false
  switch (typeof a) {
    case 'string':
    case 'boolean':
      return false
    case 'number':
    case 'bigint':
      return compareNumbers(a, b) === 0
  }
  if (a instanceof Double || a instanceof Uint) return compareNumbers(a, b) === 0
  if (a instanceof List) return b instanceof List && equalLists(a, b)
  if (a instanceof Fields) return b instanceof Fields && equalFields(a, b)
  if (a instanceof Uint8Array) return b instanceof Uint8Array && compareBytes(a, b) === 0
  if (a instanceof Duration) return b instanceof Duration && a.nanos === b.nanos
  if (a instanceof Timestamp) return b instanceof Timestamp && a.nanos === b.nanos
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name
  if (a instanceof Optional) return b instanceof Optional && equalOptionals(a, b)
  return b instanceof Opaque && a.typeName === b.typeName && a.equals(b)
}

function equalOptionals(a: Optional, b: Optional): boolean | Failure {
  return a.value === undefined || b.value === undefined ? a.value === b.value : equalValues(a.value, b.value)
}

function equalLists(a: List, b: List): boolean | Failure {
  if (a.size !== b.size) return false
  const decided = a.equals(b) ?? b.equals(a)
  if (decided !== undefined) return decided
  for (let i = 0; i < a.size; i++) {
    const equal = equalResults(a.get(i), b.get(i))
    if (equal !== true) return equal
  }
  return true
}

function equalFields(a: Fields, b: Fields): boolean | Failure {
  if (a.size !== b.size) return false
  const decided = a.equals(b)
  if (decided !== undefined) return decided
  for (const name of a.keys()) {
    const key = keyOf(name)
    const other = key === undefined ? undefined : b.get(key)
    if (key === undefined || other === undefined) return false
    const equal = equalResults(a.get(key) ?? null, other)
    if (equal !== true) return equal
  }
  return true
}

export function equalResults(a: Result, b: Result): boolean | Failure {
  if (a instanceof Failure) return a
  return b instanceof Failure ? b : equalValues(a, b)
}
