// FlowSchema (flowcontrol.apiserver.k8s.io/v1): which requests belong together, and to which priority level.
// https://kubernetes.io/docs/concepts/cluster-administration/flow-control/

import { compareText } from '../../lib/sorted.ts'
import { ageColumn } from '../cells.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dnsLabel, dnsSubdomain } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { flowCondition, validateFlowConditions } from '../types/flowcontrol.ts'
import { objectMeta } from '../types/meta.ts'
import { ruled } from '../types/network.ts'

export const flowDistinguisherMethod = s.object('io.k8s.api.flowcontrol.v1.FlowDistinguisherMethod', {
  type: s.oneOf(1, ['ByNamespace', 'ByUser'], { required: true }),
})
export const priorityLevelConfigurationReference = s.object(
  'io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationReference',
  {
    name: s.string(1, { required: true }),
  },
)
export const userSubject = s.object('io.k8s.api.flowcontrol.v1.UserSubject', {
  name: s.string(1, { required: true }),
})
export const groupSubject = s.object('io.k8s.api.flowcontrol.v1.GroupSubject', {
  name: s.string(1, { required: true }),
})
export const serviceAccountSubject = s.object('io.k8s.api.flowcontrol.v1.ServiceAccountSubject', {
  namespace: s.string(1, { required: true }),
  name: s.string(2, { required: true }),
})
export const flowSubject = s.object('io.k8s.api.flowcontrol.v1.Subject', {
  kind: s.oneOf(1, ['User', 'Group', 'ServiceAccount'], { required: true }),
  user: s.of(2, userSubject),
  group: s.of(3, groupSubject),
  serviceAccount: s.of(4, serviceAccountSubject),
})
export type FlowSubject = TypeOf<typeof flowSubject>
export const resourcePolicyRule = s.object('io.k8s.api.flowcontrol.v1.ResourcePolicyRule', {
  verbs: s.list(1, scalars.string, { required: true, listType: 'set' }),
  apiGroups: s.list(2, scalars.string, { required: true, listType: 'set' }),
  resources: s.list(3, scalars.string, { required: true, listType: 'set' }),
  clusterScope: s.boolean(4),
  namespaces: s.list(5, scalars.string, { listType: 'set' }),
})
export type ResourcePolicyRule = TypeOf<typeof resourcePolicyRule>
export const nonResourcePolicyRule = s.object('io.k8s.api.flowcontrol.v1.NonResourcePolicyRule', {
  verbs: s.list(1, scalars.string, { required: true, listType: 'set' }),
  nonResourceURLs: s.list(6, scalars.string, { required: true, listType: 'set' }),
})
export type NonResourcePolicyRule = TypeOf<typeof nonResourcePolicyRule>
export const policyRulesWithSubjects = s.object('io.k8s.api.flowcontrol.v1.PolicyRulesWithSubjects', {
  subjects: s.list(1, flowSubject, { required: true }),
  resourceRules: s.list(2, resourcePolicyRule),
  nonResourceRules: s.list(3, nonResourcePolicyRule),
})
export type PolicyRulesWithSubjects = TypeOf<typeof policyRulesWithSubjects>
export const flowSchemaSpec = s.object('io.k8s.api.flowcontrol.v1.FlowSchemaSpec', {
  priorityLevelConfiguration: s.of(1, priorityLevelConfigurationReference, { required: true, default: {} }),
  matchingPrecedence: s.int32(2),
  distinguisherMethod: s.of(3, flowDistinguisherMethod),
  rules: s.list(4, policyRulesWithSubjects),
})
export type FlowSchemaSpec = TypeOf<typeof flowSchemaSpec>
export const flowSchemaCondition = flowCondition('io.k8s.api.flowcontrol.v1.FlowSchemaCondition')
export const flowSchemaStatus = s.object('io.k8s.api.flowcontrol.v1.FlowSchemaStatus', {
  conditions: s.list(1, flowSchemaCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
})
export type FlowSchemaStatus = TypeOf<typeof flowSchemaStatus>
export const flowSchemaSchema = s.object('io.k8s.api.flowcontrol.v1.FlowSchema', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, flowSchemaSpec, { default: {} }),
  status: s.of(3, flowSchemaStatus, { default: {} }),
})
export type FlowSchema = TypeOf<typeof flowSchemaSchema>

const precedenceDefault = 1_000
const precedenceMax = 10_000
const verbsKnown = ['get', 'list', 'create', 'update', 'delete', 'deletecollection', 'patch', 'watch', 'proxy']

function validateSpec(name: string, spec: FlowSchemaSpec): readonly FieldError[] {
  const { matchingPrecedence: precedence = 0, priorityLevelConfiguration, rules = [] } = spec
  const at = 'spec.matchingPrecedence'
  const errors: FieldError[] = []
  if (precedence <= 0) errors.push(invalidValue(at, precedence, 'must be a positive value'))
  if (precedence > precedenceMax) {
    errors.push(invalidValue(at, precedence, `must not be greater than ${precedenceMax}`))
  }
  if (precedence === 1 && name !== 'exempt') {
    errors.push(invalidValue(at, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
  }
  return [
    ...errors,
    ...ruled('spec.priorityLevelConfiguration.name', priorityLevelConfiguration.name, dnsSubdomain),
    ...rules.flatMap((rule, i) => validateRule(rule, `spec.rules[${i}]`)),
  ]
}

function validateRule(rule: PolicyRulesWithSubjects, path: string): readonly FieldError[] {
  const { subjects, resourceRules = [], nonResourceRules = [] } = rule
  const why = 'at least one of resourceRules and nonResourceRules has to be non-empty'
  return [
    ...(subjects ?? []).flatMap((subject, i) => validateSubject(subject, `${path}.subjects[${i}]`)),
    ...(resourceRules.length === 0 && nonResourceRules.length === 0 ? [requiredValue(path, why)] : []),
    ...resourceRules.flatMap((each, i) => validateResourceRule(each, `${path}.resourceRules[${i}]`)),
    ...nonResourceRules.flatMap((each, i) => validatePathRule(each, `${path}.nonResourceRules[${i}]`)),
  ]
}

/** Which of the three fields goes with which kind. */
const fieldOfKind = { User: 'user', Group: 'group', ServiceAccount: 'serviceAccount' } as const

function validateSubject(subject: FlowSubject, path: string): readonly FieldError[] {
  // Of an unknown kind, the schema says so.
  if (!Object.hasOwn(fieldOfKind, subject.kind)) return []
  const errors = Object.entries(fieldOfKind).flatMap(([kind, field]) => {
    const [is, has] = [kind === subject.kind, subject[field] !== undefined]
    if (is === has) return []
    return is
      ? [requiredValue(`${path}.${field}`, `${field} is required when subject kind is '${kind}'`)]
      : [forbidden(`${path}.${field}`, `${field} is forbidden when subject kind is not '${kind}'`)]
  })
  const account = subject.kind === 'ServiceAccount' ? subject.serviceAccount : undefined
  return [
    ...errors,
    ...ruled(`${path}.serviceAccount.name`, account?.name === '*' ? undefined : account?.name, dnsSubdomain),
    ...ruled(`${path}.serviceAccount.namespace`, account?.namespace, dnsLabel),
  ]
}

/** '*' stands alone. */
function validateAlone(path: string, list: readonly string[] | undefined, what: string): readonly FieldError[] {
  if (!list?.includes('*') || list.length === 1) return []
  return [invalidValue(path, list, `if '*' is present, must not specify other ${what}`)]
}

function validateVerbs(path: string, verbs: readonly string[] = []): readonly FieldError[] {
  if (verbs.includes('*')) return validateAlone(path, verbs, 'verbs')
  return verbs.every(verb => verbsKnown.includes(verb)) ? [] : [notSupported(path, verbs, verbsKnown)]
}

function validateResourceRule(rule: ResourcePolicyRule, path: string): readonly FieldError[] {
  const { verbs, apiGroups, resources, clusterScope = false, namespaces = [] } = rule
  const at = `${path}.namespaces`
  const errors: FieldError[] = [
    ...validateVerbs(`${path}.verbs`, verbs),
    ...validateAlone(`${path}.apiGroups`, apiGroups, 'api groups'),
    ...validateAlone(`${path}.resources`, resources, 'resources'),
    ...validateAlone(at, namespaces, 'namespaces'),
  ]
  if (namespaces.length === 0 && !clusterScope) {
    const why = 'resource rules that are not cluster scoped must supply at least one namespace'
    errors.push(requiredValue(at, why))
  }
  if (namespaces.includes('*')) return errors
  for (const [i, namespace] of namespaces.entries()) {
    const wrong = dnsLabel(namespace)
    const why = `each member of this list must be '*' or a DNS-1123 label; ${wrong}`
    if (wrong !== undefined) errors.push(invalidValue(`${at}[${i}]`, namespace, why))
  }
  return errors
}

function validatePathRule({ verbs, nonResourceURLs = [] }: NonResourcePolicyRule, path: string): readonly FieldError[] {
  const at = `${path}.nonResourceURLs`
  const errors = [...validateVerbs(`${path}.verbs`, verbs), ...validateAlone(at, nonResourceURLs, 'non-resource URLs')]
  if (nonResourceURLs.includes('*')) return errors
  return [
    ...errors,
    ...nonResourceURLs.flatMap((url, i) => {
      const wrong = wrongUrl(url)
      return wrong === undefined ? [] : [invalidValue(`${at}[${i}]`, url, wrong)]
    }),
  ]
}

function wrongUrl(url: string): string | undefined {
  if (url === '') return 'must not be empty'
  if (url === '/') return undefined
  if (!url.startsWith('/')) return 'must start with slash'
  if (url.includes(' ')) return 'must not contain white-space'
  if (url.includes('//')) return 'must not contain double slash'
  const stars = url.split('*').length - 1
  return stars > 1 || (stars === 1 && !url.endsWith('/*')) ? 'wildcard can only do suffix matching' : undefined
}

/** Whether the priority level is missing, as far as somebody has looked. */
function danglingText(status: FlowSchemaStatus | undefined): string {
  return status?.conditions?.find(({ type }) => type === 'Dangling')?.status ?? '?'
}

export const flowSchema = defineKind({
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  kind: 'FlowSchema',
  plural: 'flowschemas',
  scope: 'Cluster',
  subresources: ['status'],
  schema: flowSchemaSchema,
  // As they are tried.
  tableOrder: (a, b) =>
    (a.spec.matchingPrecedence ?? 0) - (b.spec.matchingPrecedence ?? 0) ||
    compareText(a.metadata.name, b.metadata.name),
  columns: () => [
    { name: 'PriorityLevel', type: 'string', cell: ({ spec }) => spec.priorityLevelConfiguration?.name ?? '' },
    { name: 'MatchingPrecedence', type: 'integer', cell: ({ spec }) => spec.matchingPrecedence ?? 0 },
    { name: 'DistinguisherMethod', type: 'string', cell: ({ spec }) => spec.distinguisherMethod?.type ?? '<none>' },
    ageColumn,
    { name: 'MissingPL', type: 'string', cell: ({ status }) => danglingText(status) },
  ],
  defaults: object => ({
    ...object,
    spec: { ...object.spec, matchingPrecedence: object.spec.matchingPrecedence || precedenceDefault },
  }),
  validate: ({ metadata, spec, status }) => [...validateSpec(metadata.name, spec), ...validateFlowConditions(status)],
  validateStatus: ({ status }) => validateFlowConditions(status),
})
