// What of a request is written down, by a policy: the first rule that fits says how much. Pure.
// https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/ (audit.k8s.io/v1 Policy and Event)
// What can hold credentials (Secrets, ConfigMaps, tokens) is never written above Metadata, whatever the policy says, and of
// headers nothing is ever written but the user agent and the addresses that proxies in front have named.
import type { Json, JsonObject } from '../api/schema.ts'
import type { Identity } from '../world/http.ts'

export const levels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const
export type Level = (typeof levels)[number]

export const stages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const
export type Stage = (typeof stages)[number]

export type PolicyRule = {
  readonly level: Level
  readonly users?: readonly string[]
  readonly userGroups?: readonly string[]
  readonly verbs?: readonly string[]
  readonly resources?: readonly {
    readonly group?: string
    readonly resources?: readonly string[]
    readonly resourceNames?: readonly string[]
  }[]
  /** '' is what lies in no namespace. */
  readonly namespaces?: readonly string[]
  readonly nonResourceURLs?: readonly string[]
  readonly omitStages?: readonly Stage[]
  readonly omitManagedFields?: boolean
}

export type Policy = {
  readonly rules: readonly PolicyRule[]
  readonly omitStages?: readonly Stage[]
  readonly omitManagedFields?: boolean
}

/**
 * For a log without a policy of its own: every change that somebody outside asked for, and nothing of what agents report
 * all the time. Reads are left out, because there are a hundred for each change.
 */
export const defaultPolicy: Policy = {
  omitStages: ['RequestReceived'],
  omitManagedFields: true,
  rules: [
    { level: 'None', userGroups: ['system:nodes'] },
    { level: 'None', verbs: ['get', 'list', 'watch', 'head', 'options'] },
    { level: 'None', resources: [{ group: '', resources: ['events'] }, { group: 'events.k8s.io' }] },
    {
      level: 'None',
      resources: [
        { group: 'authorization.k8s.io', resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'] },
        { group: 'authentication.k8s.io', resources: ['selfsubjectreviews'] },
        { group: 'coordination.k8s.io', resources: ['leases'] },
      ],
    },
    { level: 'Metadata' },
  ],
}

export class PolicyError extends Error {
  override readonly name = 'PolicyError'
}

/** Throws PolicyError with the path of what is wrong. */
export function parsePolicy(value: Json): Policy {
  const policy = objectAt(value, 'the policy')
  if (policy['apiVersion'] !== 'audit.k8s.io/v1' || policy['kind'] !== 'Policy') {
    throw new PolicyError('the policy must have apiVersion: audit.k8s.io/v1 and kind: Policy')
  }
  checkKeys(policy, ['apiVersion', 'kind', 'metadata', 'rules', 'omitStages', 'omitManagedFields'], 'the policy')
  const { rules } = policy
  if (!Array.isArray(rules) || rules.length === 0) throw new PolicyError('rules: a policy needs at least one rule')
  for (const [i, rule] of rules.entries()) checkRule(objectAt(rule as Json, `rules[${i}]`), `rules[${i}]`)
  checkStages(policy['omitStages'], 'omitStages')
  return policy as unknown as Policy
}

const ruleKeys = [
  'level',
  'users',
  'userGroups',
  'verbs',
  'resources',
  'namespaces',
  'nonResourceURLs',
  'omitStages',
  'omitManagedFields',
]

function checkRule(rule: JsonObject, path: string): void {
  checkKeys(rule, ruleKeys, path)
  if (!levels.some(level => level === rule['level'])) {
    throw new PolicyError(`${path}.level: ${JSON.stringify(rule['level'] ?? null)} is not one of ${levels.join(', ')}`)
  }
  for (const key of ['users', 'userGroups', 'verbs', 'namespaces', 'nonResourceURLs']) {
    checkTexts(rule[key], `${path}.${key}`)
  }
  checkStages(rule['omitStages'], `${path}.omitStages`)
  const { resources = [], nonResourceURLs = [] } = rule
  if (!Array.isArray(resources)) throw new PolicyError(`${path}.resources: not a list`)
  for (const [i, each] of resources.entries()) {
    const at = `${path}.resources[${i}]`
    const group = objectAt(each as Json, at)
    checkKeys(group, ['group', 'resources', 'resourceNames'], at)
    checkTexts(group['resources'], `${at}.resources`)
    checkTexts(group['resourceNames'], `${at}.resourceNames`)
    if (lengthOf(group['resourceNames']) > 0 && lengthOf(group['resources']) === 0) {
      throw new PolicyError(`${at}.resourceNames: using resourceNames requires at least one resource`)
    }
  }
  if (lengthOf(nonResourceURLs) > 0 && (resources.length > 0 || lengthOf(rule['namespaces']) > 0)) {
    throw new PolicyError(`${path}.nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs`)
  }
}

function objectAt(value: Json, path: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw new PolicyError(`${path} is not an object`)
}

// A misspelt key would silently leave things out of the record.
function checkKeys(object: JsonObject, known: readonly string[], path: string): void {
  const other = Object.keys(object).find(key => !known.includes(key))
  if (other !== undefined) throw new PolicyError(`${path}: unknown field "${other}"`)
}

function checkTexts(value: Json | undefined, path: string): void {
  const sound = value === undefined || (Array.isArray(value) && value.every(each => typeof each === 'string'))
  if (!sound) throw new PolicyError(`${path}: not a list of texts`)
}

function checkStages(value: Json | undefined, path: string): void {
  checkTexts(value, path)
  const other = ((value ?? []) as readonly string[]).find(each => !stages.some(stage => stage === each))
  if (other !== undefined) throw new PolicyError(`${path}: "${other}" is not one of ${stages.join(', ')}`)
}

function lengthOf(value: Json | undefined): number {
  return Array.isArray(value) ? value.length : 0
}

/** What a rule looks at. */
export type Subject = {
  readonly user: Identity
  readonly verb: string
} & (
  | {
      readonly kind: 'resource'
      readonly group: string
      readonly resource: string
      readonly subresource: string
      readonly namespace: string
      readonly name: string
    }
  | { readonly kind: 'path'; readonly path: string }
)

export type Extent = {
  readonly level: Level
  readonly omitStages: readonly Stage[]
  readonly omitManagedFields: boolean
}

export function extentOf(policy: Policy, about: Subject): Extent {
  const rule = policy.rules.find(each => fits(each, about))
  const level = rule?.level ?? 'None'
  return {
    level: isSensitive(about) && levels.indexOf(level) > levels.indexOf('Metadata') ? 'Metadata' : level,
    omitStages: [...(policy.omitStages ?? []), ...(rule?.omitStages ?? [])],
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields ?? false,
  }
}

/** Its body, or the answer to it, can hold what lets somebody in. */
export function isSensitive(about: Subject): boolean {
  if (about.kind !== 'resource') return false
  const { group, resource, subresource } = about
  if (group === 'authentication.k8s.io') return true
  if (group !== '') return false
  return ['secrets', 'configmaps'].includes(resource) || (resource === 'serviceaccounts' && subresource === 'token')
}

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list === undefined || list.length === 0 || list.includes(value)

function fits(rule: PolicyRule, about: Subject): boolean {
  const { users, userGroups = [], verbs, resources = [], namespaces = [], nonResourceURLs = [] } = rule
  if (!has(users, about.user.user) || !has(verbs, about.verb)) return false
  if (userGroups.length > 0 && !userGroups.some(group => about.user.groups.includes(group))) return false
  if (resources.length > 0 || namespaces.length > 0) {
    if (about.kind !== 'resource' || !has(namespaces, about.namespace)) return false
    return resources.length === 0 || resources.some(each => fitsResource(each, about))
  }
  if (nonResourceURLs.length > 0) {
    return about.kind === 'path' && nonResourceURLs.some(url => fitsPath(url, about.path))
  }
  return true
}

function fitsResource(
  { group = '', resources = [], resourceNames }: NonNullable<PolicyRule['resources']>[number],
  about: Extract<Subject, { kind: 'resource' }>,
): boolean {
  if (group !== about.group) return false
  if (resources.length === 0) return true
  if (!has(resourceNames, about.name)) return false
  const { resource, subresource } = about
  const whole = subresource === '' ? resource : `${resource}/${subresource}`
  const forms = ['*', whole, ...(subresource === '' ? [] : [`*/${subresource}`, `${resource}/*`])]
  return resources.some(each => forms.includes(each))
}

function fitsPath(url: string, path: string): boolean {
  return url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1)))
}

export type AuditEvent = {
  readonly level: Level
  readonly auditID: string
  readonly stage: Stage
  readonly requestURI: string
  readonly verb: string
  readonly user: Identity
  readonly impersonated?: Identity
  /** Who asked, and whoever passed it on, nearest last. */
  readonly sources: readonly string[]
  readonly userAgent?: string
  readonly about: Subject
  readonly apiVersion?: string
  /** What the object that was sent says of which one it is. */
  readonly uid?: string
  readonly resourceVersion?: string
  /** Of the answer; absent before there is one. */
  readonly code?: number
  /** The Status of a refusal. */
  readonly status?: JsonObject
  readonly requestObject?: Json
  readonly responseObject?: Json
  readonly receivedAtMs: number
  readonly atMs: number
  readonly annotations: Readonly<Record<string, string>>
}

/** The line of an event: audit.k8s.io/v1 Event as JSON. */
export function lineOf(event: AuditEvent, omitManagedFields: boolean): string {
  const { about, impersonated, code, level } = event
  const shown = (object: Json | undefined) => (omitManagedFields ? withoutManaged(object) : object)
  return JSON.stringify({
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level,
    auditID: event.auditID,
    stage: event.stage,
    requestURI: event.requestURI,
    verb: event.verb,
    user: userOf(event.user),
    ...(impersonated && { impersonatedUser: userOf(impersonated) }),
    sourceIPs: event.sources,
    ...(event.userAgent !== undefined && { userAgent: event.userAgent }),
    ...(about.kind === 'resource' && { objectRef: objectRef(about, event) }),
    ...(code !== undefined && { responseStatus: responseStatus(code, event.status, isSensitive(about)) }),
    ...(level !== 'Metadata' && event.requestObject !== undefined && { requestObject: shown(event.requestObject) }),
    ...(level === 'RequestResponse' &&
      event.responseObject !== undefined && { responseObject: shown(event.responseObject) }),
    requestReceivedTimestamp: microTime(event.receivedAtMs),
    stageTimestamp: microTime(event.atMs),
    ...(Object.keys(event.annotations).length > 0 && { annotations: event.annotations }),
  })
}

const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z')

function userOf({ user, uid, groups, extra }: Identity): JsonObject {
  return {
    username: user,
    ...(uid !== undefined && { uid }),
    groups,
    ...(extra && { extra: extra as unknown as Json }),
  }
}

function objectRef(
  about: Extract<Subject, { kind: 'resource' }>,
  { apiVersion, uid = '', resourceVersion = '' }: AuditEvent,
): JsonObject {
  const { group, resource, subresource, namespace, name } = about
  return {
    resource,
    ...(namespace !== '' && { namespace }),
    ...(name !== '' && { name }),
    ...(uid !== '' && { uid }),
    ...(group !== '' && { apiGroup: group }),
    ...(apiVersion !== undefined && { apiVersion }),
    ...(resourceVersion !== '' && { resourceVersion }),
    ...(subresource !== '' && { subresource }),
  }
}

/** The words of a refusal may repeat what was refused. */
function responseStatus(code: number, status: JsonObject | undefined, sensitive: boolean): JsonObject {
  if (status === undefined) return { metadata: {}, code }
  const { message, details, ...rest } = status
  return sensitive ? { metadata: {}, ...rest, code } : { metadata: {}, ...status, code }
}

function withoutManaged(object: Json | undefined): Json | undefined {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) return object
  const { metadata, items } = object as JsonObject
  const list = Array.isArray(items) ? { items: items.map(item => withoutManaged(item as Json) ?? null) } : {}
  if (typeof metadata !== 'object' || metadata === null) return { ...object, ...list } as Json
  const { managedFields: _, ...rest } = metadata as JsonObject
  return { ...object, metadata: rest, ...list } as Json
}
