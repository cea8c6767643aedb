// Objects of JSON with some of their fields changed. Keys come from outside: '__proto__' is one like any other.
import type { Json, JsonObject } from '../schema.ts'

export function ownOf(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/**
 * `object` with each field of `changes` as `change` makes it of what was there and what is given; undefined takes it away.
 * The very same object when nothing changes, new fields behind the others.
 */
export function withChanges(
  object: JsonObject,
  changes: JsonObject,
  change: (key: string, was: Json | undefined, given: Json) => Json | undefined,
): JsonObject {
  let out: Record<string, Json> | undefined
  for (const key of Object.keys(changes)) {
    const was = ownOf(object, key)
    const is = change(key, was, changes[key] ?? null)
    if (is === was) continue
    out ??= { ...object }
    if (is === undefined) delete out[key]
    else if (key !== '__proto__') out[key] = is
    else Object.defineProperty(out, key, { value: is, enumerable: true, configurable: true, writable: true })
  }
  return out ?? object
}
