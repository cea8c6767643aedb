// CEL about a request: what expressions of webhooks and policies read, compiled once for each text. Pure.
import {
  type AdmissionInput,
  type AdmissionOptions,
  admissionVariables,
  type CompiledAdmission,
  compileAdmission,
} from '../../api/cel/admission.ts'
import type { AccessQuestion, ResourceFields } from '../../api/cel/library/authorizer.ts'
import { matchConditionsBudget, perCallLimit } from '../../api/cel/limits.ts'
import { type Kind, resourceOf } from '../../api/kind.ts'
import { type Namespace, namespace as namespaceKind } from '../../api/kinds/namespace.ts'
import { isObject } from '../../api/parse.ts'
import type { Json } from '../../api/schema.ts'
import type { MatchCondition } from '../../api/types/admission.ts'
import { bool } from '../../lib/cel/types.ts'
import type { Identity } from '../../world/http.ts'
import type { Attributes } from '../authorize.ts'
import type { Change } from './admission.ts'
import { reviewOf } from './review.ts'

const compiledCountMax = 4_096
const compiled = new Map<string, CompiledAdmission>()

/** As compileAdmission; the newest are kept, since the same few are judged for each request. */
export function compiledOnce(expression: string, options: AdmissionOptions, key = ''): CompiledAdmission {
  const text = `${options.params} ${options.authorizer} ${key} ${options.returns?.map(({ kind }) => kind)} ${expression}`
  const known = compiled.get(text)
  if (known !== undefined) return known
  const fresh = compileAdmission(expression, options)
  const [oldest] = compiled.keys()
  if (compiled.size >= compiledCountMax && oldest !== undefined) compiled.delete(oldest)
  compiled.set(text, fresh)
  return fresh
}

export const conditionOptions = (params: boolean): AdmissionOptions => ({ params, authorizer: true, returns: [bool] })

/** `change` shows its objects in the form of `form`; `asked` is the kind that the request named. */
export function inputOf(
  change: Change,
  form: Kind,
  asked: Kind,
  namespace: Namespace | undefined,
): Omit<AdmissionInput, 'authorizer'> {
  const { request } = reviewOf(change, form, asked, '', 'v1')
  const { uid: _, object, oldObject, ...rest } = isObject(request) ? request : {}
  return {
    object: object ?? null,
    oldObject: oldObject ?? null,
    request: rest,
    namespaceObject: namespace === undefined ? null : shownNamespace(namespace),
  }
}

/** Of a namespace's metadata the field that Go calls UID has that name in CEL. */
function shownNamespace({ metadata, spec, status }: Namespace): Json {
  const { uid, ...rest } = metadata
  return { metadata: { ...rest, UID: uid }, spec, status } as unknown as Json
}

/** What authorizer.requestResource asks about. */
export function resourceIn({ kind, subresource, namespace, name }: Change): ResourceFields {
  const where = resourceOf(kind) === resourceOf(namespaceKind) ? name : (namespace ?? '')
  return {
    group: kind.group,
    resource: kind.plural,
    subresource: subresource ?? '',
    namespace: where,
    name,
    fieldSelector: '',
    labelSelector: '',
  }
}

/** Who is asked about, and what. */
export function accessOf(question: AccessQuestion, requester: Identity): readonly [Identity, Attributes] {
  const { subject, verb } = question
  const identity = subject.kind === 'requester' ? requester : accountOf(subject.namespace, subject.name)
  if (question.kind === 'path') return [identity, { kind: 'path', verb, path: question.path }]
  const { group, resource, subresource, namespace, name, fieldSelector } = question
  return [identity, { kind: 'resource', verb, group, resource, subresource, namespace, name, fieldSelector }]
}

function accountOf(namespace: string, name: string): Identity {
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated']
  return { user: `system:serviceaccount:${namespace}:${name}`, groups }
}

/**
 * Whether all conditions hold. One that is false decides, whatever became of the others; else throws an Error when one cannot
 * be judged.
 */
export function judge(conditions: readonly MatchCondition[], input: AdmissionInput): boolean {
  const variables = admissionVariables(input)
  const errors: string[] = []
  let left = matchConditionsBudget
  for (const { expression } of conditions) {
    const compiled = compiledOnce(expression, conditionOptions(input.params !== undefined))
    if (compiled.kind === 'refused') {
      errors.push(`compilation error: ${compiled.detail}`)
      continue
    }
    const done = compiled.program.evaluate(variables, { costLimit: Math.min(left, perCallLimit) })
    left -= done.cost
    if (done.kind === 'value' && done.value === false) return false
    if (done.kind === 'failed') errors.push(`expression '${expression}' resulted in error: ${done.error}`)
    if (left <= 0)
      errors.push('validation failed due to running out of cost budget, no further validation rules will be run')
    if (left <= 0) break
  }
  if (errors.length > 0) throw new Error(errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`)
  return true
}
