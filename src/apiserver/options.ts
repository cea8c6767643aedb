// What the query, and for deletions the body, may say of how a request is carried out: CreateOptions, UpdateOptions,
// PatchOptions, DeleteOptions and ListOptions of meta/v1. Pure. What they may not say is told as upstream tells it, as the
// Invalid (422) of an object of that kind.
// Upstream: apimachinery/pkg/apis/meta/v1/validation, apis/meta/internalversion/validation.
import { ApiError, invalidOf } from '../api/error.ts'
import { forbidden, invalidValue, notSupported, requiredValue, tooLong } from '../api/field.ts'
import type { FieldError } from '../api/kind.ts'
import type { FieldValidation } from '../api/parse.ts'
import { isList, isObject } from '../api/parse.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import type { Selectors } from '../api/select.ts'
import { bodyForm } from './negotiate.ts'
import { isTrue, type Verb } from './route.ts'

export type WriteQuery = {
  readonly fieldManager: string
  readonly fieldValidation: FieldValidation
  readonly force: boolean
  readonly dryRun: boolean
}

const managerBytesMax = 128
const validations = ['', 'Ignore', 'Warn', 'Strict']

type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions' | 'ListOptions'

function refuse(kind: OptionsKind, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidOf({ group: 'meta.k8s.io', kind }, '', errors)
}

/** Of a request that writes; what DELETE may say besides stands in deleteBody. */
export function writeQuery(
  query: URLSearchParams,
  headers: Readonly<Record<string, string | undefined>>,
  verb: Verb,
): WriteQuery {
  const validation = query.get('fieldValidation') ?? ''
  const manager = query.get('fieldManager') ?? ''
  const dryRun = query.getAll('dryRun').filter(value => value !== '')
  if (verb === 'create' || verb === 'update' || verb === 'patch') {
    const form = bodyForm(headers['content-type'])
    const applies = form !== undefined && 'patch' in form && form.patch === 'apply'
    refuse(verb === 'create' ? 'CreateOptions' : verb === 'update' ? 'UpdateOptions' : 'PatchOptions', [
      ...(verb === 'patch' && !applies && query.has('force')
        ? [forbidden('force', 'may not be specified for non-apply patch')]
        : []),
      ...(verb === 'patch' && applies && manager === ''
        ? [requiredValue('fieldManager', 'is required for apply patch')]
        : []),
      ...managerErrors(manager),
      ...dryRunErrors(dryRun),
      ...(validations.includes(validation) ? [] : [notSupported('fieldValidation', cut(validation), validations)]),
    ])
  }
  return {
    fieldManager: manager !== '' ? manager : programOf(headers['user-agent'] ?? ''),
    fieldValidation: validation === 'Strict' || validation === 'Ignore' ? validation : 'Warn',
    force: isTrue(query.get('force')),
    dryRun: dryRun.length > 0,
  }
}

function cut(text: string): string {
  return text.slice(0, 64)
}

function managerErrors(manager: string): readonly FieldError[] {
  const errors: FieldError[] = []
  if (Buffer.byteLength(manager) > managerBytesMax) errors.push(tooLong('fieldManager', managerBytesMax))
  const unprintable = manager.search(/[^\P{C}]|[\p{Zl}\p{Zp}]|[^\P{Zs} ]/u)
  if (unprintable >= 0) {
    const code = (manager.codePointAt(unprintable) ?? 0).toString(16).toUpperCase().padStart(4, '0')
    const why = `invalid character U+${code} (at position ${Buffer.byteLength(manager.slice(0, unprintable))})`
    errors.push(invalidValue('fieldManager', cut(manager), why))
  }
  return errors
}

/** Who does not say what it is called is noted by the program's name, as upstream. */
function programOf(userAgent: string): string {
  const name = (userAgent.split('/')[0] ?? '').replace(/[^\x20-\x7e]/g, '').slice(0, managerBytesMax)
  return name === '' ? 'unknown' : name
}

function dryRunErrors(values: readonly string[]): readonly FieldError[] {
  return values.every(value => value === 'All') ? [] : [notSupported('dryRun', values.slice(0, 4).map(cut), ['All'])]
}

const policies = ['Foreground', 'Background', 'Orphan']

/** DeleteOptions come in the body or, where there is none, in the query. */
export function deleteBody(
  body: Json,
  query: URLSearchParams,
): { readonly options: JsonObject; readonly dryRun: boolean } {
  const options = body === null ? deleteQuery(query) : body
  if (!isObject(options) || (options['kind'] ?? 'DeleteOptions') !== 'DeleteOptions') {
    throw new ApiError('BadRequest', 'decoded object cannot be converted to DeleteOptions')
  }
  const { propagationPolicy: policy, orphanDependents } = options
  const dryRun = isList(options['dryRun']) ? options['dryRun'].map(String) : []
  refuse('DeleteOptions', [
    ...(isGiven(policy) && isGiven(orphanDependents)
      ? [invalidValue('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set')]
      : []),
    ...(isGiven(policy) && !policies.includes(String(policy))
      ? [notSupported('propagationPolicy', cut(String(policy)), [...policies, 'nil'])]
      : []),
    ...dryRunErrors(dryRun),
  ])
  const grace = options['gracePeriodSeconds']
  // Less than nothing is as soon as can be without being by force.
  return {
    options: typeof grace === 'number' && grace < 0 ? { ...options, gracePeriodSeconds: 1 } : options,
    dryRun: dryRun.length > 0,
  }
}

function isGiven(value: Json | undefined): value is Json {
  return value !== undefined && value !== null
}

function deleteQuery(query: URLSearchParams): JsonObject {
  const grace = query.get('gracePeriodSeconds') ?? ''
  const policy = query.get('propagationPolicy') ?? ''
  const orphan = query.get('orphanDependents')
  const dryRun = query.getAll('dryRun').filter(value => value !== '')
  if (!/^-?\d{0,15}$/.test(grace)) {
    throw new ApiError('BadRequest', `gracePeriodSeconds: Invalid value: ${JSON.stringify(cut(grace))}`)
  }
  return {
    ...(grace !== '' && { gracePeriodSeconds: Number(grace) }),
    ...(policy !== '' && { propagationPolicy: policy }),
    ...(orphan !== null && { orphanDependents: isTrue(orphan) }),
    ...(dryRun.length > 0 && { dryRun }),
  }
}

/** A whole number from the query; absent or negative: 0, as where it means no limit. */
export function countOf(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? ''
  if (text === '') return 0
  if (!/^-?\d{1,19}$/.test(text) || BigInt.asIntN(64, BigInt(text)) !== BigInt(text)) {
    throw new ApiError('BadRequest', `${name}: Invalid value: ${JSON.stringify(cut(text))}: must be a whole number`)
  }
  return Math.min(Math.max(0, Number(text)), Number.MAX_SAFE_INTEGER)
}

const selectorLengthMax = 16_384

/** Of a list, a watch or a deletion: both are looked at for each object, so they may not be of any length. */
export function selectorsOf(query: URLSearchParams): Selectors {
  const labelSelector = query.get('labelSelector') ?? ''
  const fieldSelector = query.get('fieldSelector') ?? ''
  if (labelSelector.length + fieldSelector.length > selectorLengthMax) {
    throw new ApiError('BadRequest', 'the selector is too long')
  }
  return { ...(labelSelector !== '' && { labelSelector }), ...(fieldSelector !== '' && { fieldSelector }) }
}

const matches = ['Exact', 'NotOlderThan', '']

/** What a list or a watch may not say of revisions. */
export function checkListOptions(query: URLSearchParams, isWatch: boolean): void {
  const match = query.get('resourceVersionMatch') ?? ''
  const resourceVersion = query.get('resourceVersion') ?? ''
  const isContinued = (query.get('continue') ?? '') !== ''
  const initial = query.has('sendInitialEvents')
  const errors: FieldError[] = []
  const forbid = (field: string, why: string) => void errors.push(forbidden(field, why))
  if (isWatch) {
    if (initial && match !== 'NotOlderThan') {
      forbid('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
    }
    if (match !== '') {
      if (!initial) {
        const why = 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'
        forbid('resourceVersionMatch', why)
      }
      if (match !== 'NotOlderThan') errors.push(notSupported('resourceVersionMatch', cut(match), ['NotOlderThan']))
      if (isContinued) forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided')
    }
  } else {
    if (match !== '') {
      if (resourceVersion === '') {
        forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided')
      }
      if (isContinued) forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided')
      if (!matches.includes(match)) errors.push(notSupported('resourceVersionMatch', cut(match), matches))
      if (match === 'Exact' && resourceVersion === '0') {
        forbid('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
      }
    }
    if (initial) forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list')
  }
  refuse('ListOptions', errors)
}
