// One door to the three patches that change the object as it stands; server-side apply is patch/apply.ts. The result is
// parsed anew, so it goes on to api/admit.ts like the body of an update.
import { ApiError } from '../error.ts'
import type { Kind, KubeObject } from '../kind.ts'
import { type FieldValidation, isObject, parseObject } from '../parse.ts'
import { type Duplicates, noDuplicates } from '../reader.ts'
import type { Json } from '../schema.ts'
import { jsonPatch } from './json.ts'
import { mergePatch } from './merge.ts'
import { strategicPatch } from './strategic.ts'

/** `duplicates`: of the patch's own text; a doubled key there is reported with the unknown fields of the result. */
export function patchObject<T extends KubeObject>(
  kind: Kind<T>,
  type: 'json' | 'merge' | 'strategic',
  object: T,
  patch: Json,
  mode: FieldValidation,
  duplicates: Duplicates = noDuplicates,
): { readonly object: T; readonly warnings: readonly string[] } {
  const patched = patchValue(kind, type, object as unknown as Json, patch)
  if (!isObject(patched)) throw new ApiError('Invalid', 'the patched object is not an object')
  try {
    return parseObject(kind, patched, mode, duplicates)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const strict = /strict decoding error: .*/s.exec(error.message)?.[0]
    if (strict === undefined) throw error
    const message = `Invalid value: ${JSON.stringify(JSON.stringify(patch))}: ${strict}`
    throw new ApiError(
      'Invalid',
      `${kind.kind}${kind.group === '' ? '' : `.${kind.group}`} "${object.metadata.name}" is invalid: patch: ${message}`,
      {
        ...(kind.group !== '' && { group: kind.group }),
        kind: kind.kind,
        name: object.metadata.name,
        causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }],
      },
    )
  }
}

function patchValue(kind: Kind, type: 'json' | 'merge' | 'strategic', target: Json, patch: Json): Json {
  switch (type) {
    case 'json':
      return jsonPatch(target, patch)
    case 'merge':
      return mergePatch(target, patch)
    case 'strategic':
      return strategicPatch(kind.schema, isObject(target) ? target : {}, patch)
  }
}
