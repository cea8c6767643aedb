// APIService (apiregistration.k8s.io/v1): who answers for a group and version of the API: this server, or a Service behind
// it. Its name is the two of them: 'v1beta1.metrics.k8s.io'.
// https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/
import { invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dns1035Label, dnsSubdomain, pathSegment } from '../names.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { ruled } from '../types/network.ts'

const prefix = 'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1'

export const apiServiceReference = s.object(
  `${prefix}.ServiceReference`,
  {
    namespace: s.string(1, 'Where the Service lies.'),
    name: s.string(2, 'Of the Service; the certificate of the server must be for <name>.<namespace>.svc.'),
    port: s.int32(3, { pointer: true, default: 443, description: 'Port of the Service, not of the pods behind it.' }),
  },
  { description: 'The Service of another API server.' },
)
export type ApiServiceReference = TypeOf<typeof apiServiceReference>
export const apiServiceSpec = s.object(
  `${prefix}.APIServiceSpec`,
  {
    service: s.of(
      1,
      apiServiceReference,
      'Where requests are sent on to; without it this server answers. What it has itself cannot be sent on, but for metrics.k8s.io.',
    ),
    group: s.string(2, 'Group of the API, such as metrics.k8s.io; empty only for v1.'),
    version: s.string(3, 'Version within the group, such as v1beta1.'),
    insecureSkipTLSVerify: s.boolean(
      4,
      'Whether any certificate is accepted, so that somebody else could answer. Excludes caBundle.',
    ),
    caBundle: s.bytes(
      5,
      'PEM, in base64, of the CAs that vouch for the certificate; when empty, those that this server trusts anyway.',
    ),
    groupPriorityMinimum: s.int32(7, {
      required: true,
      description: 'Rank of the group, from 1 to 20000, largest first; of all versions of a group the largest counts.',
    }),
    versionPriority: s.int32(8, {
      required: true,
      description:
        'Rank within the group, from 1 to 1000, largest first; among equals v2 comes before v1, and v1 before v1beta1.',
    }),
  },
  { description: 'Who answers for which group and version, and how they rank.' },
)
export type ApiServiceSpec = TypeOf<typeof apiServiceSpec>
export const apiServiceCondition = s.object(
  `${prefix}.APIServiceCondition`,
  {
    type: s.string(1, {
      required: true,
      description: 'Available: whether somebody answers for the group and version.',
    }),
    status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true, description: 'Whether it is so.' }),
    lastTransitionTime: s.time(3, 'When status changed last.'),
    reason: s.string(4, 'Why, as one word in CamelCase for programs.'),
    message: s.string(5, 'Why, as a sentence for people.'),
  },
  { description: 'A state of the APIService.' },
)
export const apiServiceStatus = s.object(
  `${prefix}.APIServiceStatus`,
  {
    conditions: s.list(1, apiServiceCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'States of the APIService, of which the server writes Available.',
    }),
  },
  { description: 'Whether the group and version are served.' },
)
export type ApiServiceStatus = TypeOf<typeof apiServiceStatus>
export const apiServiceSchema = s.object(
  `${prefix}.APIService`,
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'The name must be <version>.<group>.' }),
    spec: s.of(2, apiServiceSpec, { default: {}, description: 'Who answers for what.' }),
    status: s.of(3, apiServiceStatus, { default: {}, description: 'Written by the server.' }),
  },
  { description: 'Who answers for a group and version of the API: this server, or another one behind a Service.' },
)
export type ApiService = TypeOf<typeof apiServiceSchema>

function validateApiService({ metadata, spec }: ApiService): readonly FieldError[] {
  const { group = '', version = '', service, caBundle = '', insecureSkipTLSVerify: insecure = false } = spec
  const name = `${version}.${group}`
  const errors: FieldError[] = []
  if (metadata.name !== name && pathSegment(metadata.name) === undefined) {
    const why = `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(name)}`
    errors.push(invalidValue('metadata.name', metadata.name, why))
  }
  if (group === '' && version !== 'v1') {
    errors.push(requiredValue('spec.group', 'only v1 may have an empty group and it better be legacy kube'))
  }
  errors.push(...ruled('spec.group', group, dnsSubdomain))
  const wrong = dns1035Label(version)
  if (wrong !== undefined) errors.push(invalidValue('spec.version', version, wrong))
  errors.push(
    ...within('spec.groupPriorityMinimum', spec.groupPriorityMinimum, 20_000),
    ...within('spec.versionPriority', spec.versionPriority, 1_000),
  )
  const trust = 'spec.insecureSkipTLSVerify'
  if (service) {
    if (!service.namespace) errors.push(requiredValue('spec.service.namespace'))
    if (!service.name) errors.push(requiredValue('spec.service.name'))
    if (insecure && caBundle !== '')
      errors.push(invalidValue(trust, insecure, 'may not be true if caBundle is present'))
    return errors
  }
  if (caBundle !== '') {
    const size = `${Buffer.from(caBundle, 'base64').length} bytes`
    errors.push(invalidValue('spec.caBundle', size, 'local APIServices may not have a caBundle'))
  }
  if (insecure) errors.push(invalidValue(trust, insecure, 'local APIServices may not have insecureSkipTLSVerify'))
  return errors
}

function within(path: string, value: number, max: number): readonly FieldError[] {
  return value > 0 && value <= max ? [] : [invalidValue(path, value, `must be positive and less than ${max}`)]
}

/** What this server answers for itself is there at once. */
function availableAtOnce(object: ApiService): ApiService {
  if (object.spec?.service) return object
  const available = {
    type: 'Available',
    status: 'True' as const,
    lastTransitionTime: object.metadata.creationTimestamp,
    reason: 'Local',
    message: 'Local APIServices are always available',
  }
  return { ...object, status: { conditions: [available] } }
}

function serviceText({ service }: ApiServiceSpec): string {
  return service ? `${service.namespace ?? ''}/${service.name ?? ''}` : 'Local'
}

function availableText(status: ApiServiceStatus | undefined): string {
  const available = status?.conditions?.find(({ type }) => type === 'Available')
  if (!available) return 'Unknown'
  const { status: now, reason } = available
  return now === 'True' || !reason ? now : `${now} (${reason})`
}

export const apiService = defineKind({
  group: 'apiregistration.k8s.io',
  version: 'v1',
  kind: 'APIService',
  plural: 'apiservices',
  categories: ['api-extensions'],
  scope: 'Cluster',
  updateNeedsVersion: true,
  subresources: ['status'],
  schema: apiServiceSchema,
  nameRule: pathSegment,
  generation: false,
  columns: () => [
    { name: 'Service', type: 'string', cell: ({ spec }) => serviceText(spec) },
    { name: 'Available', type: 'string', cell: ({ status }) => availableText(status) },
  ],
  prepare: (object, old) => (old ? object : availableAtOnce(object)),
  validate: validateApiService,
})
