// The body of a server-side apply as the configuration that it is. What the schema does not declare, or has as another type,
// nobody could own, so it is refused whatever ?fieldValidation= says; that is about doubled keys alone.
// Upstream: apiserver pkg/endpoints/handlers/patch.go (applyPatcher), structured-merge-diff typed/validate.go
import { ApiError, OutsideRefusal } from '../error.ts'
import { apiVersionOf, type Kind, type KubeObject } from '../kind.ts'
import { type FieldValidation, isObject, parseObject, unmarshalErrors } from '../parse.ts'
import { type Duplicates, repeatedLines } from '../reader.ts'
import type { Json } from '../schema.ts'
import { untyped } from './typed.ts'

/** The answer to a large body must not be larger. */
const shownCountMax = 100
const shownLengthMax = 1_024

export function parseApplied<T extends KubeObject>(
  kind: Kind<T>,
  body: Json,
  mode: FieldValidation,
  duplicates: Duplicates,
): { readonly object: T; readonly warnings: readonly string[] } {
  if (isObject(body) && body['kind'] === kind.kind && body['apiVersion'] === apiVersionOf(kind)) {
    const faults = untyped(kind.schema.shape, body)
    if (faults.length > 0) throw untypedError(kind, body, faults)
  }
  const { object } = parseObject(kind, body, 'Ignore')
  checkVersion(kind, body)
  const lines = repeatedLines(duplicates)
  if (mode === 'Strict' && lines.length > 0) {
    const why = `error converting YAML to JSON: ${unmarshalErrors(lines)}`
    throw new ApiError('BadRequest', `error strict decoding YAML: ${why}`)
  }
  return { object, warnings: mode === 'Warn' ? lines : [] }
}

/** What is applied says what it is: nobody knows which version's fields it owns otherwise. */
function checkVersion(kind: Kind, body: Json): void {
  const { apiVersion = '', kind: name = '' } = body as { readonly apiVersion?: string; readonly kind?: string }
  if (apiVersion === '') {
    const expected = apiVersionOf(kind)
    const why = `Specified patch version: , expected: ${expected}`
    throw new ApiError('BadRequest', `Incorrect version specified in apply patch. ${why}`)
  }
  if (name === '') throw untypedError({ ...kind, kind: '' }, body, [`no corresponding type for ${apiVersion}, Kind=`])
}

/** An error without a reason, as the API server lets it through to the client. */
function untypedError(kind: Kind, body: Json, faults: readonly string[]): ApiError {
  const metadata = isObject(body) && isObject(body['metadata']) ? body['metadata'] : {}
  const textOf = (key: string) => (typeof metadata[key] === 'string' ? metadata[key] : '')
  const version = kind.group === '' ? `/${kind.version}` : apiVersionOf(kind)
  const which = `${textOf('namespace')}/${textOf('name')}; ${version}, Kind=${kind.kind}`
  const shown = faults.slice(0, shownCountMax).map(fault => fault.slice(0, shownLengthMax))
  const why = shown.length === 1 ? shown[0] : ['errors:', ...shown].join('\n  ')
  const message = `failed to create typed patch object (${which}): ${why}`
  return new OutsideRefusal({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code: 500 })
}
