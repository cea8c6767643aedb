// JSON Merge Patch, RFC 7386: an object merges key by key, null removes, everything else replaces.
import { isObject } from '../parse.ts'
import type { Json } from '../schema.ts'

export function mergePatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return patch
  const merged = new Map(Object.entries(isObject(target) ? target : {}))
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergePatch(merged.get(key) ?? null, value))
  }
  return Object.fromEntries(merged)
}
