// What webhooks and policies of admission share: rules that say which requests they are asked about, conditions, and where a
// webhook is (upstream: pkg/apis/admissionregistration/validation).
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
import { bool } from '../../lib/cel/types.ts'
import { type AdmissionOptions, compileAdmission } from '../cel/admission.ts'
import { duplicateValue, invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { dns1035Label, dnsSubdomain, portNumber, qualifiedName } from '../names.ts'
import { validateSelector } from '../pod/selector.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { labelSelector } from './meta.ts'

export const admissionGroup = 'admissionregistration.k8s.io'
const prefix = 'io.k8s.api.admissionregistration.v1'

export const matchCondition = s.object(
  `${prefix}.MatchCondition`,
  {
    name: s.string(1, {
      required: true,
      description: 'Unique in the list, in the form of a label key: example.com/no-leases.',
    }),
    expression: s.string(2, {
      required: true,
      description: 'CEL; the webhook or policy is asked only where all hold.',
    }),
  },
  { description: 'A condition that a request must meet beyond rules and selectors.' },
)
export type MatchCondition = TypeOf<typeof matchCondition>

const rule = (within: readonly number[]) => ({
  apiGroups: s.list(1, scalars.string, {
    within,
    description: "Groups of the resources: '' for core kinds, * alone for all.",
  }),
  apiVersions: s.list(2, scalars.string, { within, description: 'Versions within the groups; * alone for all.' }),
  resources: s.list(3, scalars.string, {
    within,
    description: "'pods', 'pods/status', 'pods/*', '*/scale', '*', '*/*'.",
  }),
  scope: s.string(4, { within, pointer: true, default: '*', description: 'Cluster, Namespaced, or * for both.' }),
})
export const ruleWithOperations = s.object(
  `${prefix}.RuleWithOperations`,
  {
    operations: s.list(1, scalars.string, { description: 'CREATE, UPDATE, DELETE, CONNECT, or * for all.' }),
    ...rule([2]),
  },
  { description: 'Requests whose operation, group, version, resource and scope are all named here.' },
)
export type RuleWithOperations = TypeOf<typeof ruleWithOperations>
export const namedRule = s.object(
  `${prefix}.NamedRuleWithOperations`,
  {
    resourceNames: s.list(1, scalars.string, 'Names of the objects that are meant; empty for all.'),
    operations: s.list(1, scalars.string, {
      within: [2],
      description: 'CREATE, UPDATE, DELETE, CONNECT, or * alone for all.',
    }),
    ...rule([2, 2]),
  },
  {
    atomic: true,
    description: 'Requests whose operation, group, version, resource, scope and name are all named here.',
  },
)
export type NamedRule = TypeOf<typeof namedRule>

const policies = ['Exact', 'Equivalent']

// Said alike of webhooks and of policies.
const byNamespace =
  'By labels of the namespace; empty takes all. A Namespace is judged by its own, and what lies in none always fits.'
export const byObject =
  'By labels of the object; empty takes all. Of an update it is enough that the old or the new object fits.'
const byMatch =
  'Exact: only what the rules name. Equivalent: the same objects in any version, shown in one that a rule names.'
export const matchResources = s.object(
  `${prefix}.MatchResources`,
  {
    namespaceSelector: s.of(1, labelSelector, {
      default: {},
      description: byNamespace,
    }),
    objectSelector: s.of(2, labelSelector, {
      default: {},
      description: byObject,
    }),
    resourceRules: s.list(
      3,
      namedRule,
      'At least one must fit. A policy needs some; a binding without any takes all that its policy does.',
    ),
    excludeResourceRules: s.list(
      4,
      namedRule,
      'Requests that fit one of these are left out, whatever resourceRules say.',
    ),
    matchPolicy: s.string(7, {
      pointer: true,
      default: 'Equivalent',
      description: byMatch,
    }),
  },
  { atomic: true, description: 'Requests that a policy or a binding takes: rules and selectors must all fit.' },
)
export type MatchResources = TypeOf<typeof matchResources>

/** Where a webhook is: in two groups of the API, under two names. */
export const serviceReferenceFields = {
  namespace: s.string(1, { required: true, description: 'Where the Service lies.' }),
  name: s.string(2, {
    required: true,
    description: 'Of the Service; the certificate of the webhook must be for <name>.<namespace>.svc.',
  }),
  path: s.string(3, { pointer: true, description: 'Path that is posted to; / when empty.' }),
  port: s.int32(4, { pointer: true, default: 443, description: 'Port of the Service, not of the pods behind it.' }),
}
export const serviceReferenceAbout = { description: 'A Service behind which a webhook answers.' }
export const clientConfigFields = {
  caBundle: s.bytes(
    2,
    'PEM, in base64, of the CAs that vouch for the certificate; when empty, those that the API server trusts anyway.',
  ),
  url: s.string(3, {
    pointer: true,
    description: 'https://host[:port][/path], without user, query or fragment; excludes service.',
  }),
}
export const clientConfigServiceText = 'A Service of the cluster; excludes url.'
export const clientConfigAbout = {
  description: 'Where a webhook is and by whom it is vouched for: exactly one of url and service.',
}
export const serviceReference = s.object(`${prefix}.ServiceReference`, serviceReferenceFields, serviceReferenceAbout)
export const webhookClientConfig = s.object(
  `${prefix}.WebhookClientConfig`,
  {
    service: s.of(1, serviceReference, clientConfigServiceText),
    ...clientConfigFields,
  },
  clientConfigAbout,
)
export type WebhookClientConfig = TypeOf<typeof webhookClientConfig>

/** What both kinds of webhook say; the numbers of two fields differ. */
export const webhookFields = {
  name: s.string(1, {
    required: true,
    description: 'Domain of three or more segments, unique in the configuration. Clients and audit events are told it.',
  }),
  clientConfig: s.of(2, webhookClientConfig, { required: true, description: 'Where the webhook is.' }),
  rules: s.list(
    3,
    ruleWithOperations,
    'At least one must fit. About the kinds of admission themselves no webhook is asked.',
  ),
  failurePolicy: s.string(4, {
    pointer: true,
    default: 'Fail',
    description: 'When it cannot be asked: Fail or Ignore.',
  }),
  namespaceSelector: s.of(5, labelSelector, {
    default: {},
    description: byNamespace,
  }),
  sideEffects: s.string(6, {
    required: true,
    pointer: true,
    description:
      'None: asking it changes nothing elsewhere. NoneOnDryRun: nothing when request.dryRun is set. Others are refused.',
  }),
  timeoutSeconds: s.int32(7, {
    pointer: true,
    default: 10,
    description: 'How many seconds an answer may take, from 1 to 30; after that failurePolicy counts.',
  }),
  admissionReviewVersions: s.list(8, scalars.string, {
    required: true,
    default: [],
    description: 'Versions of AdmissionReview that it reads, the best first; one at least of v1 and v1beta1.',
  }),
  matchPolicy: s.string(9, {
    pointer: true,
    default: 'Equivalent',
    description: byMatch,
  }),
}
export const matchConditionsField = (number: number) =>
  s.list(number, matchCondition, {
    listType: 'map',
    mapKeys: ['name'],
    mergeKey: 'name',
    description: 'At most 64, which must all hold. One that is false decides, even when others fail.',
  })

export type Webhook = TypeOf<typeof webhookObject>
const webhookObject = s.object('Webhook', {
  ...webhookFields,
  objectSelector: s.of(0, labelSelector, { default: {} }),
  matchConditions: matchConditionsField(0),
})

type Texts = readonly string[] | undefined

function oneAlone(texts: Texts, path: string, what: string): readonly FieldError[] {
  const given = texts ?? []
  if (given.length === 0) return [requiredValue(path)]
  const others = given.length > 1 && given.includes('*')
  return others ? [invalidValue(path, given, `if '*' is present, must not specify other ${what}`)] : []
}

const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE']
const scopes = ['*', 'Cluster', 'Namespaced']

export function validateRule(given: RuleWithOperations, path: string): readonly FieldError[] {
  const { apiVersions, apiGroups, resources = [], scope } = given
  const errors: FieldError[] = [...oneAlone(given.operations, `${path}.operations`, 'operations')]
  for (const [i, operation] of (given.operations ?? []).entries()) {
    if (!operations.includes(operation)) errors.push(notSupported(`${path}.operations[${i}]`, operation, operations))
  }
  errors.push(...oneAlone(apiGroups, `${path}.apiGroups`, 'API groups'))
  errors.push(...oneAlone(apiVersions, `${path}.apiVersions`, 'API versions'))
  for (const [i, version] of (apiVersions ?? []).entries()) {
    if (version === '') errors.push(requiredValue(`${path}.apiVersions[${i}]`))
  }
  if (resources.length === 0) errors.push(requiredValue(`${path}.resources`))
  errors.push(...validateResources(resources, `${path}.resources`))
  if (scope !== undefined && !scopes.includes(scope)) errors.push(notSupported(`${path}.scope`, scope, scopes))
  return errors
}

/** One that another already includes is a mistake that is told. */
function validateResources(resources: readonly string[], path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const ofResource = new Set<string>()
  const ofSubresource = new Set<string>()
  for (const [i, text] of resources.entries()) {
    const at = `${path}[${i}]`
    const [resource = '', sub] = text.split('/', 2)
    if (text === '') errors.push(requiredValue(at))
    if (sub === undefined) continue
    if (ofResource.has(resource)) {
      errors.push(invalidValue(at, text, `if '${resource}/*' is present, must not specify ${text}`))
    }
    if (ofSubresource.has(sub)) {
      errors.push(invalidValue(at, text, `if '*/${sub}' is present, must not specify ${text}`))
    }
    if (sub === '*') ofResource.add(resource)
    if (resource === '*') ofSubresource.add(sub)
  }
  if (resources.length > 1 && resources.includes('*/*')) {
    errors.push(invalidValue(path, resources, "if '*/*' is present, must not specify other resources"))
  }
  if (resources.includes('*') && resources.some(text => text !== '*' && text !== '' && !text.includes('/'))) {
    const why = "if '*' is present, must not specify other resources without subresources"
    errors.push(invalidValue(path, resources, why))
  }
  return errors
}

const failurePolicies = ['Fail', 'Ignore']

export function validateWebhook(webhook: Webhook, path: string): readonly FieldError[] {
  const { failurePolicy, matchPolicy, timeoutSeconds } = webhook
  const errors: FieldError[] = [
    ...validateWebhookName(webhook.name, `${path}.name`),
    ...(webhook.rules ?? []).flatMap((given, i) => validateRule(given, `${path}.rules[${i}]`)),
    ...validateEnums({ failurePolicy, matchPolicy }, path),
    ...validateSideEffects(webhook.sideEffects, `${path}.sideEffects`),
    ...validateReviewVersions(webhook.admissionReviewVersions, `${path}.admissionReviewVersions`),
    ...validateSelector(webhook.namespaceSelector, `${path}.namespaceSelector`),
    ...validateSelector(webhook.objectSelector, `${path}.objectSelector`),
    ...validateClientConfig(webhook.clientConfig ?? {}, `${path}.clientConfig`),
    ...validateConditions(webhook.matchConditions, `${path}.matchConditions`, false),
  ]
  if (timeoutSeconds < 1 || timeoutSeconds > 30) {
    const why = 'the timeout value must be between 1 and 30 seconds'
    errors.push(invalidValue(`${path}.timeoutSeconds`, timeoutSeconds, why))
  }
  return errors
}

function validateWebhookName(name: string, path: string): readonly FieldError[] {
  if (!name) return [requiredValue(path)]
  const wrong = dnsSubdomain(name)
  if (wrong !== undefined) return [invalidValue(path, name, wrong)]
  if (name.split('.').length >= 3) return []
  return [invalidValue(path, name, 'should be a domain with at least three segments separated by dots')]
}

export function validateEnums(
  { failurePolicy, matchPolicy }: { readonly failurePolicy?: string; readonly matchPolicy?: string | undefined },
  path: string,
): readonly FieldError[] {
  const errors: FieldError[] = []
  if (failurePolicy !== undefined && !failurePolicies.includes(failurePolicy)) {
    errors.push(notSupported(`${path}.failurePolicy`, failurePolicy, failurePolicies))
  }
  if (matchPolicy !== undefined && !policies.includes(matchPolicy)) {
    errors.push(notSupported(`${path}.matchPolicy`, matchPolicy, policies))
  }
  return errors
}

function validateSideEffects(sideEffects: string | undefined, path: string): readonly FieldError[] {
  const allowed = ['None', 'NoneOnDryRun']
  if (sideEffects === undefined) return [requiredValue(path, `must specify one of ${allowed.join(', ')}`)]
  return allowed.includes(sideEffects) ? [] : [notSupported(path, sideEffects, allowed)]
}

const reviewVersions = ['v1', 'v1beta1']

function validateReviewVersions(versions: readonly string[], path: string): readonly FieldError[] {
  if (versions.length === 0) return [requiredValue(path, `must specify one of ${reviewVersions.join(', ')}`)]
  const errors: FieldError[] = versions.flatMap((version, i) => {
    if (versions.indexOf(version) < i) return [duplicateValue(`${path}[${i}]`, version)]
    const wrong = dns1035Label(version)
    return wrong === undefined ? [] : [invalidValue(`${path}[${i}]`, version, wrong)]
  })
  if (errors.length > 0 || versions.some(version => reviewVersions.includes(version))) return errors
  return [invalidValue(path, versions, `must include at least one of ${reviewVersions.join(', ')}`)]
}

function validateClientConfig({ url, service }: WebhookClientConfig, path: string): readonly FieldError[] {
  if ((url === undefined) === (service === undefined)) {
    return [requiredValue(path, 'exactly one of url or service is required')]
  }
  return url === undefined ? validateService(service, `${path}.service`) : validateUrl(url, `${path}.url`)
}

const urlForm = '; desired format: https://host[/path]'

function validateUrl(url: string, path: string): readonly FieldError[] {
  const parsed = URL.parse(url)
  if (parsed === null) {
    return [requiredValue(path, `url must be a valid URL: parse ${JSON.stringify(url)}: invalid URI${urlForm}`)]
  }
  const errors: FieldError[] = []
  const scheme = parsed.protocol.slice(0, -1)
  if (scheme !== 'https') errors.push(invalidValue(path, scheme, `'https' is the only allowed URL scheme${urlForm}`))
  if (parsed.host === '') errors.push(invalidValue(path, '', `host must be specified${urlForm}`))
  if (parsed.username !== '' || parsed.password !== '') {
    errors.push(invalidValue(path, parsed.username, 'user information is not permitted in the URL'))
  }
  if (parsed.hash !== '') {
    errors.push(invalidValue(path, parsed.hash.slice(1), 'fragments are not permitted in the URL'))
  }
  if (parsed.search !== '') {
    errors.push(invalidValue(path, parsed.search.slice(1), 'query parameters are not permitted in the URL'))
  }
  return errors
}

function validateService(service: WebhookClientConfig['service'], path: string): readonly FieldError[] {
  const { name = '', namespace = '', port = 443, path: url = '' } = service ?? {}
  const errors: FieldError[] = []
  if (name === '') errors.push(requiredValue(`${path}.name`, 'service name is required'))
  if (namespace === '') errors.push(requiredValue(`${path}.namespace`, 'service namespace is required'))
  const wrong = portNumber(port)
  if (wrong !== undefined) errors.push(invalidValue(`${path}.port`, port, `port is not valid: ${wrong}`))
  if (url === '' || url === '/') return errors
  const at = `${path}.path`
  if (url === '//') return [...errors, invalidValue(at, url, 'segment[0] may not be empty')]
  if (!url.startsWith('/')) errors.push(invalidValue(at, url, "must start with a '/'"))
  const segments = (url.startsWith('/') ? url.slice(1) : url).replace(/\/$/, '').split('/')
  for (const [i, segment] of segments.entries()) {
    const fault = segment === '' ? undefined : dnsSubdomain(segment)
    if (segment === '') errors.push(invalidValue(at, url, `segment[${i}] may not be empty`))
    if (fault !== undefined) errors.push(invalidValue(at, url, `segment[${i}]: ${fault}`))
  }
  return errors
}

const conditionCountMax = 64

/** That it compiles, and gives what is wanted. */
export function validateExpression(expression: string, path: string, options: AdmissionOptions): readonly FieldError[] {
  const compiled = compileAdmission(expression, options)
  return compiled.kind === 'ok' ? [] : [invalidValue(path, expression, compiled.detail)]
}

/** `params`: whether they may be spoken of. */
export function validateConditions(
  conditions: readonly MatchCondition[] | undefined,
  path: string,
  params: boolean,
): readonly FieldError[] {
  const given = conditions ?? []
  const errors: FieldError[] = []
  if (given.length > conditionCountMax) {
    const why = `must have at most ${conditionCountMax} items`
    errors.push({ field: path, reason: 'FieldValueTooMany', message: `Too many: ${given.length}: ${why}` })
  }
  for (const [i, { name, expression }] of given.entries()) {
    const wrong = name ? qualifiedName(name) : undefined
    if (!expression?.trim()) errors.push(requiredValue(`${path}[${i}].expression`))
    else
      errors.push(
        ...validateExpression(expression, `${path}[${i}].expression`, { params, authorizer: true, returns: [bool] }),
      )
    if (!name) errors.push(requiredValue(`${path}[${i}].name`))
    if (wrong !== undefined) errors.push(invalidValue(`${path}[${i}].name`, name, wrong))
    if (name && given.findIndex(other => other.name === name) < i) {
      errors.push(duplicateValue(`${path}[${i}].name`, name))
    }
  }
  return errors
}

export function validateMatch(match: MatchResources, path: string): readonly FieldError[] {
  const { resourceRules = [], excludeResourceRules = [], matchPolicy } = match
  const rules = (list: readonly NamedRule[], at: string) =>
    list.flatMap((given, i) => [
      ...validateRule(given, `${at}[${i}]`),
      ...(given.resourceNames ?? []).flatMap((name, j) =>
        name === '' || name === '.' || name === '..' || /[/%]/.test(name)
          ? [invalidValue(`${at}[${i}].resourceNames[${j}]`, name, 'must be the name of an object')]
          : [],
      ),
    ])
  return [
    ...validateEnums({ matchPolicy }, path),
    ...validateSelector(match.namespaceSelector, `${path}.namespaceSelector`),
    ...validateSelector(match.objectSelector, `${path}.objectSelector`),
    ...rules(resourceRules, `${path}.resourceRules`),
    ...rules(excludeResourceRules, `${path}.excludeResourceRules`),
  ]
}

/** All webhooks of a configuration, whose names are each one's own. */
export function validateWebhooks(webhooks: readonly Webhook[] | undefined): readonly FieldError[] {
  const given = webhooks ?? []
  return given.flatMap((webhook, i) => [
    ...validateWebhook(webhook, `webhooks[${i}]`),
    ...(webhook.name && given.findIndex(({ name }) => name === webhook.name) < i
      ? [duplicateValue(`webhooks[${i}].name`, webhook.name)]
      : []),
  ])
}
