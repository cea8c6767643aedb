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

export const apiServiceReference = s.object(`${prefix}.ServiceReference`, {
  namespace: s.string(1),
  name: s.string(2),
  port: s.int32(3, { pointer: true, default: 443 }),
})
export type ApiServiceReference = TypeOf<typeof apiServiceReference>
export const apiServiceSpec = s.object(`${prefix}.APIServiceSpec`, {
  service: s.of(1, apiServiceReference),
  group: s.string(2),
  version: s.string(3),
  insecureSkipTLSVerify: s.boolean(4),
  caBundle: s.bytes(5),
  groupPriorityMinimum: s.int32(7, { required: true }),
  versionPriority: s.int32(8, { required: true }),
})
export type ApiServiceSpec = TypeOf<typeof apiServiceSpec>
export const apiServiceCondition = s.object(`${prefix}.APIServiceCondition`, {
  type: s.string(1, { required: true }),
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  lastTransitionTime: s.time(3),
  reason: s.string(4),
  message: s.string(5),
})
export const apiServiceStatus = s.object(`${prefix}.APIServiceStatus`, {
  conditions: s.list(1, apiServiceCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
})
export type ApiServiceStatus = TypeOf<typeof apiServiceStatus>
export const apiServiceSchema = s.object(`${prefix}.APIService`, {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, apiServiceSpec, { default: {} }),
  status: s.of(3, apiServiceStatus, { default: {} }),
})
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
