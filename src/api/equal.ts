// Equality of JSON values as Kubernetes sees it (apimachinery equality.Semantic): the order of keys does not count, and an
// absent list equals an empty one. An absent object is not an empty one: a selector {} selects everything, none nothing.
import type { Json } from './schema.ts'

export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (a === undefined || a === null) return isNothing(b)
  if (b === undefined || b === null) return isNothing(a)
  if (typeof a !== 'object' || typeof b !== 'object') return false
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]))
  }
  const [left, right] = [a as Record<string, Json>, b as Record<string, Json>]
  return (
    Object.keys(left).every(key => equalJson(left[key], Object.hasOwn(right, key) ? right[key] : undefined)) &&
    Object.keys(right).every(key => Object.hasOwn(left, key) || isNothing(right[key]))
  )
}

/** The same where null, an empty list and absence are three things: in what somebody else defined. */
export function exactlyEqualJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    const isSame = Array.isArray(a) && Array.isArray(b) && a.length === b.length
    return isSame && a.every((item, i) => exactlyEqualJson(item, b[i]))
  }
  const given = (object: object) => Object.entries(object).filter(([, value]) => value !== undefined)
  const right = new Map(given(b))
  const left = given(a)
  return (
    left.length === right.size &&
    left.every(([key, value]) => right.has(key) && exactlyEqualJson(value, right.get(key)))
  )
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0)
}
