// Strategic merge patch.
import { ApiError } from '../error.ts'
import type { Json, JsonObject, Schema } from '../schema.ts'

export function strategicPatch(_schema: Schema, _target: JsonObject, _patch: Json): JsonObject {
  throw new ApiError('UnsupportedMediaType', 'strategic merge patches are not served yet')
}
