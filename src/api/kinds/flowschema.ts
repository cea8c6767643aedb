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

export const flowDistinguisherMethod = s.object(
  'io.k8s.api.flowcontrol.v1.FlowDistinguisherMethod',
  {
    type: s.oneOf(1, ['ByNamespace', 'ByUser'], {
      required: true,
      description:
        'By the user who asks, or by the namespace that is asked about. Flows take turns, so that none holds up another.',
    }),
  },
  { description: 'How requests of one schema are split into flows.' },
)
export const priorityLevelConfigurationReference = s.object(
  'io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationReference',
  {
    name: s.string(1, {
      required: true,
      description: 'Of a PriorityLevelConfiguration; while there is none of the name, the schema is passed over.',
    }),
  },
  { description: 'Points to a priority level.' },
)
export const userSubject = s.object(
  'io.k8s.api.flowcontrol.v1.UserSubject',
  {
    name: s.string(1, { required: true, description: 'As authentication calls the user; * for every user.' }),
  },
  { description: 'A user.' },
)
export const groupSubject = s.object(
  'io.k8s.api.flowcontrol.v1.GroupSubject',
  {
    name: s.string(1, { required: true, description: 'As authentication calls the group; * for everybody.' }),
  },
  { description: 'The users in a group.' },
)
export const serviceAccountSubject = s.object(
  'io.k8s.api.flowcontrol.v1.ServiceAccountSubject',
  {
    namespace: s.string(1, { required: true, description: 'Where the service account lies; no * here.' }),
    name: s.string(2, { required: true, description: 'Of the service account; * for all of the namespace.' }),
  },
  { description: 'A service account.' },
)
export const flowSubject = s.object(
  'io.k8s.api.flowcontrol.v1.Subject',
  {
    kind: s.oneOf(1, ['User', 'Group', 'ServiceAccount'], {
      required: true,
      description: 'Which of the three other fields is given.',
    }),
    user: s.of(2, userSubject, 'Required for kind User, forbidden for others.'),
    group: s.of(3, groupSubject, 'Required for kind Group, forbidden for others.'),
    serviceAccount: s.of(4, serviceAccountSubject, 'Required for kind ServiceAccount, forbidden for others.'),
  },
  { description: 'Whose requests are meant.' },
)
export type FlowSubject = TypeOf<typeof flowSubject>
export const resourcePolicyRule = s.object(
  'io.k8s.api.flowcontrol.v1.ResourcePolicyRule',
  {
    verbs: s.list(1, scalars.string, {
      required: true,
      listType: 'set',
      description: 'get, list, watch, create, update, patch, delete, deletecollection or proxy; * alone for all.',
    }),
    apiGroups: s.list(2, scalars.string, {
      required: true,
      listType: 'set',
      description: "Groups of the resources: '' for core kinds; * alone for all.",
    }),
    resources: s.list(3, scalars.string, {
      required: true,
      listType: 'set',
      description: "Plurals in lower case; subresources only where they are named, as 'pods/log'. * alone for all.",
    }),
    clusterScope: s.boolean(
      4,
      'Whether requests that name no namespace are meant too: about what lies in none, or in all at once.',
    ),
    namespaces: s.list(5, scalars.string, {
      listType: 'set',
      description: 'Requests in these are meant; * alone for all. May be empty only with clusterScope.',
    }),
  },
  { description: 'Requests about resources whose verb, group, resource and place are all named here.' },
)
export type ResourcePolicyRule = TypeOf<typeof resourcePolicyRule>
export const nonResourcePolicyRule = s.object(
  'io.k8s.api.flowcontrol.v1.NonResourcePolicyRule',
  {
    verbs: s.list(1, scalars.string, {
      required: true,
      listType: 'set',
      description: 'HTTP methods in lower case, such as get; * alone for all.',
    }),
    nonResourceURLs: s.list(6, scalars.string, {
      required: true,
      listType: 'set',
      description: "Paths such as '/healthz', or '/logs/*' for all below; * alone for all.",
    }),
  },
  { description: 'Requests to paths that are no resources.' },
)
export type NonResourcePolicyRule = TypeOf<typeof nonResourcePolicyRule>
export const policyRulesWithSubjects = s.object(
  'io.k8s.api.flowcontrol.v1.PolicyRulesWithSubjects',
  {
    subjects: s.list(1, flowSubject, { required: true, description: 'Who asks; without any, nobody.' }),
    resourceRules: s.list(
      2,
      resourcePolicyRule,
      'For requests about resources. Either these or nonResourceRules must not be empty.',
    ),
    nonResourceRules: s.list(
      3,
      nonResourcePolicyRule,
      'For requests to other paths. Either these or resourceRules must not be empty.',
    ),
  },
  { description: 'Requests of somebody about something: one of the subjects and one of the rules must fit.' },
)
export type PolicyRulesWithSubjects = TypeOf<typeof policyRulesWithSubjects>
export const flowSchemaSpec = s.object(
  'io.k8s.api.flowcontrol.v1.FlowSchemaSpec',
  {
    priorityLevelConfiguration: s.of(1, priorityLevelConfigurationReference, {
      required: true,
      default: {},
      description: 'The priority level at which the requests are served.',
    }),
    matchingPrecedence: s.int32(
      2,
      'Schemas are tried from 1 to 10000, then by name. 1000 when 0 or absent; 1 is for the schema exempt alone.',
    ),
    distinguisherMethod: s.of(
      3,
      flowDistinguisherMethod,
      'Splits the requests into flows; without it all are one flow.',
    ),
    rules: s.list(4, policyRulesWithSubjects, 'One of them must fit; without any, no request does.'),
  },
  { description: 'Which requests are meant, who serves them, and who takes turns with whom.' },
)
export type FlowSchemaSpec = TypeOf<typeof flowSchemaSpec>
export const flowSchemaCondition = flowCondition('io.k8s.api.flowcontrol.v1.FlowSchemaCondition')
export const flowSchemaStatus = s.object(
  'io.k8s.api.flowcontrol.v1.FlowSchemaStatus',
  {
    conditions: s.list(1, flowSchemaCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'Dangling tells whether the priority level is missing.',
    }),
  },
  { description: 'What the server has found out about the schema.' },
)
export type FlowSchemaStatus = TypeOf<typeof flowSchemaStatus>
export const flowSchemaSchema = s.object(
  'io.k8s.api.flowcontrol.v1.FlowSchema',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description:
        'Of schemas with the same precedence the names decide. Those called exempt and catch-all never change.',
    }),
    spec: s.of(2, flowSchemaSpec, { default: {}, description: 'Which requests, and which level.' }),
    status: s.of(3, flowSchemaStatus, { default: {}, description: 'Written by the server.' }),
  },
  { description: 'Requests that belong to one priority level. Of all schemas the first that fits a request counts.' },
)
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
