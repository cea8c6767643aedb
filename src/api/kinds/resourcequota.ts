// ResourceQuota (v1): how much of everything a namespace may hold. The controller counts, admission refuses.
// https://kubernetes.io/docs/concepts/policy/resource-quotas/

import { sortedBy } from '../../lib/sorted.ts'
import { ageColumn } from '../cells.ts'
import { immutable, invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { isIntegerResource, isQuotaResource, validateQuotaResource, validateWhole } from '../resources.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { validateNotNegative } from '../storage.ts'
import { objectMeta } from '../types/meta.ts'

export const scopedResourceSelectorRequirement = s.object(
  'io.k8s.api.core.v1.ScopedResourceSelectorRequirement',
  {
    scopeName: s.string(1, {
      required: true,
      description:
        'Terminating or NotTerminating (by activeDeadlineSeconds), BestEffort, NotBestEffort, CrossNamespacePodAffinity or PriorityClass.',
    }),
    operator: s.string(2, { required: true, description: 'Exists; for PriorityClass also In, NotIn or DoesNotExist.' }),
    values: s.list(3, scalars.string, 'Names of priority classes for In and NotIn; empty for the others.'),
  },
  { description: 'Takes some pods and leaves out others.' },
)
export type ScopedResourceSelectorRequirement = TypeOf<typeof scopedResourceSelectorRequirement>
export const scopeSelector = s.object(
  'io.k8s.api.core.v1.ScopeSelector',
  {
    matchExpressions: s.list(1, scopedResourceSelectorRequirement, 'Requirements, all of which a pod must meet.'),
  },
  { atomic: true, description: 'Narrows a quota to some pods.' },
)
export type ScopeSelector = TypeOf<typeof scopeSelector>
export const resourceQuotaSpec = s.object(
  'io.k8s.api.core.v1.ResourceQuotaSpec',
  {
    hard: s.map(
      1,
      scalars.quantity,
      'Most of each: cpu, limits.memory, pods, requests.storage, count/deployments.apps and the like. What is not named is not bounded.',
    ),
    scopes: s.list(
      2,
      scalars.string,
      'Names of scopes, all of which a pod must be in to be counted; nothing but pods is counted then. Immutable.',
    ),
    scopeSelector: s.of(3, scopeSelector, 'As scopes, and by priority class too. Where both are given, both must fit.'),
  },
  { description: 'How much there may be, and of which pods.' },
)
export type ResourceQuotaSpec = TypeOf<typeof resourceQuotaSpec>
export const resourceQuotaStatus = s.object(
  'io.k8s.api.core.v1.ResourceQuotaStatus',
  {
    hard: s.map(1, scalars.quantity, 'The bounds that are in force: those of spec, once the controller has seen them.'),
    used: s.map(
      2,
      scalars.quantity,
      'How much is taken of each. Admission raises it with what it lets in; the controller counts it anew.',
    ),
  },
  { description: 'What admission goes by: it refuses what would raise used above hard.' },
)
export type ResourceQuotaStatus = TypeOf<typeof resourceQuotaStatus>
export const resourceQuotaSchema = s.object(
  'io.k8s.api.core.v1.ResourceQuota',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Name, namespace, labels and the like.' }),
    spec: s.of(2, resourceQuotaSpec, { default: {}, description: 'The bounds.' }),
    status: s.of(3, resourceQuotaStatus, {
      default: {},
      description: 'The bounds in force, and what is taken of them.',
    }),
  },
  { description: 'Bounds how much all objects of its namespace together may take, and how many of them there may be.' },
)
export type ResourceQuota = TypeOf<typeof resourceQuotaSchema>

const plainScopes = ['Terminating', 'NotTerminating', 'BestEffort', 'NotBestEffort', 'CrossNamespacePodAffinity']
const scopes = [...plainScopes, 'PriorityClass']
const opposites = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
]
const computed = ['cpu', 'memory', 'limits.cpu', 'limits.memory', 'requests.cpu', 'requests.memory']

/** A scope narrows a quota to some pods: it goes with counts of pods, and all but BestEffort with what they ask for. */
function fits(scope: string, resource: string): boolean {
  if (!scopes.includes(scope) || resource === 'pods') return true
  return scope !== 'BestEffort' && computed.includes(resource)
}

function validateHard(hard: Readonly<Record<string, string>>, path: string): readonly FieldError[] {
  return Object.entries(hard).flatMap(([name, amount]) => [
    ...validateQuotaResource(name, `${path}[${name}]`),
    ...validateNotNegative(amount, `${path}[${name}]`),
    ...(isIntegerResource(name) ? validateWhole(amount, `${path}[${name}]`) : []),
  ])
}

function validateScopes({ scopes: given = [], hard = {} }: ResourceQuotaSpec): readonly FieldError[] {
  const path = 'spec.scopes'
  const errors: FieldError[] = []
  for (const scope of given) {
    if (!scopes.includes(scope)) errors.push(invalidValue(path, given, 'unsupported scope'))
    for (const name of sortedBy(Object.keys(hard).filter(isQuotaResource), key => key)) {
      if (!fits(scope, name)) errors.push(invalidValue(path, given, 'unsupported scope applied to resource'))
    }
  }
  return [...errors, ...validateOpposites(given, given, path)]
}

function validateOpposites(
  found: readonly string[],
  given: readonly string[] | undefined,
  path: string,
): readonly FieldError[] {
  return opposites
    .filter(pair => pair.every(scope => found.includes(scope)))
    .map(() => invalidValue(path, given ?? null, 'conflicting scopes'))
}

const existsOnly =
  "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"

function validateSelector({ scopeSelector: selector, scopes: given, hard = {} }: ResourceQuotaSpec) {
  const path = 'spec.scopeSelector.matchExpressions'
  const errors: FieldError[] = []
  const expressions = selector?.matchExpressions ?? []
  for (const { scopeName, operator, values = [] } of expressions) {
    if (!scopes.includes(scopeName)) errors.push(invalidValue(`${path}.scopeName`, scopeName, 'unsupported scope'))
    for (const name of sortedBy(Object.keys(hard).filter(isQuotaResource), key => key)) {
      if (!fits(scopeName, name)) errors.push(invalidValue(path, selector, 'unsupported scope applied to resource'))
    }
    if (plainScopes.includes(scopeName) && operator !== 'Exists') {
      errors.push(invalidValue(`${path}.operator`, operator, existsOnly))
    }
    errors.push(...validateOperator(operator, values, path))
  }
  const names = expressions.map(({ scopeName }) => scopeName)
  return [...errors, ...validateOpposites(names, given, path)]
}

function validateOperator(operator: string, values: readonly string[], path: string): readonly FieldError[] {
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length > 0) return []
      return [
        requiredValue(
          `${path}.values`,
          "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
        ),
      ]
    case 'Exists':
    case 'DoesNotExist':
      if (values.length === 0) return []
      return [
        invalidValue(
          `${path}.values`,
          values,
          "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
        ),
      ]
    default:
      return [invalidValue(`${path}.operator`, operator, 'not a valid selector operator')]
  }
}

function validateChange(spec: ResourceQuotaSpec, old: ResourceQuotaSpec): readonly FieldError[] {
  const [after, before] = [new Set(spec.scopes), new Set(old.scopes)]
  const same = after.size === before.size && [...after].every(scope => before.has(scope))
  return same ? [] : [immutable('spec.scopes', spec.scopes ?? null)]
}

/** 'cpu: 1/4, memory: 1Gi/2Gi': the limits in a column of their own. */
function usedText({ status }: ResourceQuota, ofLimits: boolean): string {
  return sortedBy(Object.entries(status?.hard ?? {}), ([name]) => name)
    .filter(([name]) => name.startsWith('limits.') === ofLimits)
    .map(([name, hard]) => `${name}: ${status.used?.[name] ?? '0'}/${hard}`)
    .join(', ')
}

export const resourceQuota = defineKind({
  group: '',
  version: 'v1',
  kind: 'ResourceQuota',
  plural: 'resourcequotas',
  shortNames: ['quota'],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: ['status'],
  schema: resourceQuotaSchema,
  generation: false,
  columns: () => [
    {
      name: 'Request',
      type: 'string',
      description: 'Request represents a minimum amount of cpu/memory that a container may consume.',
      cell: object => usedText(object, false),
    },
    {
      name: 'Limit',
      type: 'string',
      description:
        'Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.',
      cell: object => usedText(object, true),
    },
    ageColumn,
  ],
  validate: ({ spec }, old) => [
    ...validateHard(spec.hard ?? {}, 'spec.hard'),
    ...validateScopes(spec),
    ...validateSelector(spec),
    ...(old ? validateChange(spec, old.spec) : []),
  ],
  validateStatus: ({ status }) => [
    ...validateHard(status.hard ?? {}, 'status.hard'),
    ...validateHard(status.used ?? {}, 'status.used'),
  ],
})
