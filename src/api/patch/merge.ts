// JSON Merge Patch, RFC 7386: an object merges key by key, null removes, everything else replaces.
import { isObject } from '../parse.ts'
import type { Json } from '../schema.ts'
import { withChanges } from './object.ts'

export function mergePatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return patch
  return withChanges(isObject(target) ? target : {}, patch, (_, was, given) =>
    given === null ? undefined : mergePatch(was ?? null, given),
  )
}
