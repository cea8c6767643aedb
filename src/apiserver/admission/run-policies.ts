// ValidatingAdmissionPolicy: finds the policies that are bound to a request, and their parameters, and carries out what the
// bindings say of what they hold against it. All are asked, also when one has refused already: what they warn of and note for
// the audit event counts then as well. Policies are read from the store for each request.
import { ApiError, type Reason } from '../../api/error.ts'
import { apiVersionOf, type Kind, type KubeObject, storedKindOf } from '../../api/kind.ts'
import { type Namespace, namespace as namespaceKind } from '../../api/kinds/namespace.ts'
import { type ValidatingAdmissionPolicy, validatingAdmissionPolicy } from '../../api/kinds/validatingadmissionpolicy.ts'
import {
  type ValidatingAdmissionPolicyBinding,
  validatingAdmissionPolicyBinding,
} from '../../api/kinds/validatingadmissionpolicybinding.ts'
import type { Json } from '../../api/schema.ts'
import type { MatchResources } from '../../api/types/admission.ts'
import { prefixEnd } from '../../kv/store.ts'
import { selects } from '../../lib/selector.ts'
import { sortedBy } from '../../lib/sorted.ts'
import type { Annotation } from '../notes.ts'
import { readAs } from '../run-convert.ts'
import { keyOf, objectOf, prefixOf } from '../stored.ts'
import type { Change, Hook } from './admission.ts'
import { inputOf } from './expressions.ts'
import { isExempt, matchedKind, namedRuleMatches, namespaceMatches, namespaceOf, objectMatches } from './match.ts'
import { type Judgement, judgementOf, type Violation } from './policy.ts'
import { namespaceFor, withAuthorizer } from './run-expressions.ts'
import { inForm, type WebhookHooks } from './run-webhooks.ts'

export type PolicyHooks = Pick<WebhookHooks, 'store' | 'authorizer' | 'equivalents'> & {
  /** All kinds that are served: parameters are objects of any of them. */
  kinds(): readonly Kind[]
}

export function policyHook(context: PolicyHooks): Hook {
  return {
    name: 'ValidatingAdmissionPolicy',
    handles: change => !isExempt(change),
    async validate(change) {
      const policies = await all<ValidatingAdmissionPolicy>(context, validatingAdmissionPolicy)
      if (policies.length === 0) return undefined
      const bindings = await all<ValidatingAdmissionPolicyBinding>(context, validatingAdmissionPolicyBinding)
      const refusals: ApiError[] = []
      for (const policy of policies) {
        const bound = bindings.filter(({ spec }) => spec.policyName === policy.metadata.name)
        const form = bound.length === 0 ? undefined : await formFor(context, policy.spec.matchConstraints, change)
        if (form === undefined) continue
        const shown = await inForm(change, form)
        const noted = new Map<string, Set<string>>()
        for (const binding of bound) {
          const { matchResources, validationActions = [] } = binding.spec
          if (matchResources !== undefined && (await formFor(context, matchResources, change)) === undefined) continue
          const refuse = (message: string, reason = 'Invalid') =>
            void refusals.push(denied(change, policy, binding, message, reason))
          const judgements = await judged(context, policy, binding, shown, change.kind)
          if (judgements instanceof Misconfigured) {
            if (policy.spec.failurePolicy !== 'Ignore') refuse(`failed to configure binding: ${judgements.message}`)
            continue
          }
          for (const { violations, annotations, faults } of judgements) {
            for (const violation of violations) {
              const { message, reason } = violation
              if (validationActions.includes('Deny')) refuse(message, reason)
              if (validationActions.includes('Audit')) change.notes.annotate(failureNote(policy, binding, violation))
              if (validationActions.includes('Warn')) change.notes.warn(warningOf(policy, binding, message))
            }
            for (const { key, value } of annotations) noted.set(key, (noted.get(key) ?? new Set()).add(value))
            for (const fault of faults) refuse(fault)
          }
        }
        for (const [key, values] of noted) {
          change.notes.annotate({ key: `${policy.metadata.name}/${key}`, value: [...values].join(', ') })
        }
      }
      const [first] = refusals
      if (first !== undefined) throw first
      return undefined
    },
  }
}

type Policy = ValidatingAdmissionPolicy
type Binding = ValidatingAdmissionPolicyBinding

function warningOf({ metadata: { name } }: Policy, binding: Binding, message: string): string {
  return `Validation failed for ValidatingAdmissionPolicy '${name}' with binding '${binding.metadata.name}': ${message}`
}

function failureNote(policy: Policy, binding: Binding, { message, index }: Violation): Annotation {
  const failure = {
    message,
    policy: policy.metadata.name,
    binding: binding.metadata.name,
    expressionIndex: index,
    validationActions: binding.spec.validationActions ?? [],
  }
  return { key: 'validation.policy.admission.k8s.io/validation_failure', value: JSON.stringify([failure]) }
}

async function all<T extends KubeObject>(
  { store }: PolicyHooks,
  kind: Kind,
  namespace?: string,
): Promise<readonly T[]> {
  const prefix = prefixOf(storedKindOf(kind), namespace)
  const { items } = await store.range({ from: prefix, to: prefixEnd(prefix) })
  const shown = (await readAs(kind, items)).map(item => objectOf<T>(item))
  return sortedBy(shown, ({ metadata }) => metadata.name)
}

/** undefined: the request is not among those that are matched. */
async function formFor(
  context: PolicyHooks,
  match: MatchResources | undefined,
  change: Change,
): Promise<Kind | undefined> {
  const { resourceRules = [], excludeResourceRules = [], matchPolicy, namespaceSelector, objectSelector } = match ?? {}
  if (!objectMatches(objectSelector, change)) return undefined
  const name = namespaceOf(change)
  const stored = name === '' ? undefined : await context.store.get(keyOf(namespaceKind, undefined, name))
  const labels = stored && objectOf<Namespace>(stored).metadata.labels
  if (!namespaceMatches(namespaceSelector, change, labels)) return undefined
  const among = (rules: typeof resourceRules) =>
    matchedKind(rules, namedRuleMatches, change, matchPolicy, kind => context.equivalents(kind))
  if (among(excludeResourceRules) !== undefined) return undefined
  // A binding without rules takes all that its policy does.
  return resourceRules.length === 0 ? change.kind : among(resourceRules)
}

/** By each of the parameters. */
async function judged(
  context: PolicyHooks,
  policy: Policy,
  binding: Binding,
  shown: Change,
  asked: Kind,
): Promise<readonly Judgement[] | Misconfigured> {
  let params: readonly (Json | undefined)[]
  try {
    params = await paramsOf(context, policy, binding, shown)
  } catch (error) {
    if (!(error instanceof Misconfigured)) throw error
    return error
  }
  const input = inputOf(shown, shown.kind, asked, await namespaceFor(context.store, shown))
  const found: Judgement[] = []
  for (const one of params) {
    found.push(
      await withAuthorizer(context.authorizer, shown, authorizer =>
        judgementOf(policy, { ...input, authorizer, ...(one !== undefined && { params: one }) }),
      ),
    )
  }
  return found
}

class Misconfigured extends Error {}

/** Each is judged by on its own; none at all where their absence is allowed. */
async function paramsOf(
  context: PolicyHooks,
  { spec }: Policy,
  binding: Binding,
  shown: Change,
): Promise<readonly (Json | undefined)[]> {
  const { paramKind } = spec
  const { paramRef: ref } = binding.spec
  if (paramKind === undefined) return [undefined]
  if (ref === undefined) return [null]
  const { apiVersion = '', kind: name = '' } = paramKind
  const kind = context.kinds().find(one => one.stored && one.kind === name && apiVersionOf(one) === apiVersion)
  if (kind === undefined) {
    throw new Misconfigured(`failed to find resource referenced by paramKind: '${apiVersion}, Kind=${name}'`)
  }
  const namespace = namespaceOfParams(kind, ref.namespace ?? '', shown)
  const candidates = await all(context, kind, namespace)
  const found = candidates.filter(({ metadata }) =>
    ref.selector === undefined ? metadata.name === ref.name : selects(ref.selector, metadata.labels),
  )
  if (found.length > 0) return found as unknown as readonly Json[]
  if (ref.parameterNotFoundAction === 'Allow') return []
  throw new Misconfigured('no params found for policy binding with `Deny` parameterNotFoundAction')
}

function namespaceOfParams(kind: Kind, named: string, shown: Change): string | undefined {
  if (kind.scope === 'Cluster') {
    if (named === '') return undefined
    throw new Misconfigured('paramRef.namespace must not be provided for a cluster-scoped `paramKind`')
  }
  const namespace = named === '' ? (shown.namespace ?? '') : named
  if (namespace !== '') return namespace
  throw new Misconfigured('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources')
}

function denied(
  { kind: { group, plural }, name }: Change,
  policy: Policy,
  binding: Binding,
  message: string,
  reason: string,
): ApiError {
  const who = `ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}'`
  const why = `${who} denied request: ${message}`
  const resource = group === '' ? plural : `${plural}.${group}`
  return new ApiError(reason as Reason, `${resource} ${JSON.stringify(name)} is forbidden: ${why}`, {
    name,
    ...(group !== '' && { group }),
    kind: plural,
    causes: [{ reason: '', message: why }],
  })
}
