// One door to the three patches that change the object as it stands; server-side apply is patch/apply.ts. The result is
// parsed anew, so it goes on to api/admit.ts like the body of an update.
import { ApiError } from '../error.ts'
import type { Kind, KubeObject } from '../kind.ts'
import { type FieldValidation, isList, isObject, parseObject } from '../parse.ts'
import { type Pausing, withoutPauses } from '../pausing.ts'
import { type Duplicates, noDuplicates, pathOf } from '../reader.ts'
import type { Json } from '../schema.ts'
import { jsonPatch } from './json.ts'
import { mergePatch } from './merge.ts'
import { strategicPatch } from './strategic.ts'

type Patched<T> = { readonly object: T; readonly warnings: readonly string[] }

/** `duplicates`: of the patch's own text; a doubled key there is reported with the unknown fields of the result. */
export function patchObject<T extends KubeObject>(...asked: Parameters<typeof patching<T>>): Patched<T> {
  return withoutPauses(patching(...asked))
}

/** The same, which yields now and then so that others may run: a large object takes long. */
export function* patching<T extends KubeObject>(
  kind: Kind<T>,
  type: 'json' | 'merge' | 'strategic',
  object: T,
  patch: Json,
  mode: FieldValidation,
  duplicates: Duplicates = noDuplicates,
): Pausing<Patched<T>> {
  const patched = patchValue(kind, type, object as unknown as Json, patch)
  if (!isObject(patched)) throw new ApiError('Invalid', 'the patched object is not an object')
  yield
  const { object: parsed, warnings } = parseObject(kind, patched, mode === 'Ignore' ? 'Ignore' : 'Warn')
  // A patched object is JSON with its fields in order; those of a custom one are always told in the same order.
  const unknown = kind.custom ? warnings : warnings.toSorted()
  const problems = mode === 'Ignore' ? [] : [...new Set([...problemsOf(type, patch, duplicates), ...unknown])]
  if (mode === 'Strict' && problems.length > 0) throw strictError(patched, problems)
  return { object: parsed, warnings: problems }
}

/** The answer to a patch of a large object must not be as large. */
const shownLengthMax = 16_384

/** Upstream refuses the patch without a word of what it was for. */
function strictError(patched: Json, problems: readonly string[]): ApiError {
  const shown = JSON.stringify(JSON.stringify(patched).slice(0, shownLengthMax))
  const message = `Invalid value: ${shown}: strict decoding error: ${problems.join(', ')}`
  return new ApiError('Invalid', ` "" is invalid: patch: ${message}`, {
    causes: [{ reason: 'FieldValueInvalid', message, field: 'patch' }],
  })
}

const operationFields = new Set(['op', 'path', 'from', 'value'])

/** What is wrong with the patch's own text. */
function problemsOf(type: 'json' | 'merge' | 'strategic', patch: Json, duplicates: Duplicates): readonly string[] {
  const doubled = [...duplicates.values()]
    .flat()
    .map(({ parent, key }) => `duplicate field ${JSON.stringify(pathOf(parent, key))}`)
  if (type !== 'json' || !isList(patch)) return doubled
  const unknown = patch.flatMap((operation, i) =>
    Object.keys(isObject(operation) ? operation : {})
      .filter(key => !operationFields.has(key))
      .map(key => `unknown field "[${i}].${key}"`),
  )
  const own = doubled.filter(text => /^duplicate field "\[\d+\]\.\w+"$/.test(text))
  return [...unknown, ...own].map(text => `json patch ${text}`)
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
