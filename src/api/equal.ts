// Equality of JSON values as Kubernetes sees it (apimachinery equality.Semantic): the order of keys does not count, and an
// absent field equals an empty list or map.
import type { Json } from './schema.ts'

export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (a === undefined || a === null) return isEmpty(b)
  if (b === undefined || b === null) return isEmpty(a)
  if (typeof a !== 'object' || typeof b !== 'object') return false
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]))
  }
  const [left, right] = [a as Record<string, Json>, b as Record<string, Json>]
  return (
    Object.keys(left).every(key => equalJson(left[key], Object.hasOwn(right, key) ? right[key] : undefined)) &&
    Object.keys(right).every(key => Object.hasOwn(left, key) || isEmpty(right[key]))
  )
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
