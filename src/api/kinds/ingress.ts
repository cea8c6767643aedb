// Ingress (networking.k8s.io/v1): hosts and paths of HTTP, and the Services behind them. What carries them out is an
// ingress controller that people install; the API keeps them and their status.
// https://kubernetes.io/docs/concepts/services-networking/ingress/
import { parseIp } from '../../lib/ip.ts'
import { sortedBy } from '../../lib/sorted.ts'
import { invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dns1035Label, dnsSubdomain, pathSegment, portName, portNumber } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { anyIp, hostName, ruled } from '../types/network.ts'
import { type TypedLocalObjectReference, typedLocalObjectReference } from '../types/reference.ts'

export const serviceBackendPort = s.object(
  'io.k8s.api.networking.v1.ServiceBackendPort',
  {
    name: s.string(1, 'What the Service calls the port.'),
    number: s.int32(2, 'The port of the Service itself, not that of its pods; 1 to 65535.'),
  },
  { atomic: true, description: 'The port of a Service, by name or by number, not by both.' },
)
export const ingressServiceBackend = s.object(
  'io.k8s.api.networking.v1.IngressServiceBackend',
  {
    name: s.string(1, { required: true, description: 'Service in the namespace of the Ingress.' }),
    port: s.of(2, serviceBackendPort, { default: {}, description: 'Which of its ports; cannot be left out.' }),
  },
  { description: 'A Service as the target.' },
)
export const ingressBackend = s.object(
  'io.k8s.api.networking.v1.IngressBackend',
  {
    resource: s.of(
      3,
      typedLocalObjectReference,
      'An object that the ingress controller understands, as a bucket of files, in the same namespace.',
    ),
    service: s.of(4, ingressServiceBackend, 'A Service of the same namespace.'),
  },
  { description: 'Where requests go: to a Service or to another object, not to both.' },
)
export type IngressBackend = TypeOf<typeof ingressBackend>
export const httpIngressPath = s.object(
  'io.k8s.api.networking.v1.HTTPIngressPath',
  {
    path: s.string(1, 'Begins with /; only ImplementationSpecific may leave it empty.'),
    backend: s.of(2, ingressBackend, { required: true, default: {}, description: 'Where the requests go.' }),
    pathType: s.oneOf(3, ['Exact', 'Prefix', 'ImplementationSpecific'], {
      required: true,
      pointer: true,
      description:
        'Exact: the whole path; Prefix: its first parts between slashes; ImplementationSpecific: as the controller does it.',
    }),
  },
  { description: 'Paths of a host, and their target.' },
)
export type HttpIngressPath = TypeOf<typeof httpIngressPath>
export const httpIngressRuleValue = s.object(
  'io.k8s.api.networking.v1.HTTPIngressRuleValue',
  {
    paths: s.list(1, httpIngressPath, {
      required: true,
      description: 'The longest path that fits counts; of two alike, the Exact one.',
    }),
  },
  { description: 'The paths of a host.' },
)
export const ingressRule = s.object(
  'io.k8s.api.networking.v1.IngressRule',
  {
    host: s.string(
      1,
      'DNS name without port, its first label perhaps * (*.example.com); empty: every host without a rule.',
    ),
    http: s.of(1, httpIngressRuleValue, {
      within: [2],
      description: 'Its paths; absent: all requests of the host go to the default backend.',
    }),
  },
  { description: 'What happens with requests to a host.' },
)
export type IngressRule = TypeOf<typeof ingressRule>
export const ingressTLS = s.object(
  'io.k8s.api.networking.v1.IngressTLS',
  {
    hosts: s.list(1, scalars.string, 'Hosts that the certificate is for; empty: as the controller sees fit.'),
    secretName: s.string(
      2,
      'Secret of the type kubernetes.io/tls in this namespace; empty: the certificate that the controller has.',
    ),
  },
  { description: 'Hosts that are served by HTTPS, and their certificate.' },
)
export type IngressTls = TypeOf<typeof ingressTLS>
export const ingressSpec = s.object(
  'io.k8s.api.networking.v1.IngressSpec',
  {
    defaultBackend: s.of(
      1,
      ingressBackend,
      'Target of what no rule fits; without it, rules are needed, and the controller decides.',
    ),
    tls: s.list(2, ingressTLS, 'Certificates by host, chosen by SNI on port 443; empty: no HTTPS.'),
    rules: s.list(3, ingressRule, 'What happens by host; without any, all goes to defaultBackend.'),
    ingressClassName: s.string(4, {
      pointer: true,
      description:
        'IngressClass whose controller carries this out; when absent, the class marked as default is filled in on creation.',
    }),
  },
  { description: 'Which requests go where.' },
)
export type IngressSpec = TypeOf<typeof ingressSpec>
export const ingressPortStatus = s.object(
  'io.k8s.api.networking.v1.IngressPortStatus',
  {
    port: s.int32(1, { required: true, description: 'Port that this is about.' }),
    protocol: s.string(2, { required: true, description: 'TCP, UDP or SCTP.' }),
    error: s.string(3, {
      pointer: true,
      description: 'Why the port does not work, in CamelCase or as example.com/Reason; absent when it does.',
    }),
  },
  { description: 'A port of the load balancer.' },
)
export const ingressLoadBalancerIngress = s.object(
  'io.k8s.api.networking.v1.IngressLoadBalancerIngress',
  {
    ip: s.string(1, 'Its IP address, if it has one.'),
    hostname: s.string(2, 'Its DNS name, if it has no fixed address.'),
    ports: s.list(4, ingressPortStatus, 'How the single ports are doing.'),
  },
  { description: 'A point where requests arrive: an address or a host name.' },
)
export const ingressLoadBalancerStatus = s.object(
  'io.k8s.api.networking.v1.IngressLoadBalancerStatus',
  {
    ingress: s.list(
      1,
      ingressLoadBalancerIngress,
      'The points where requests arrive; empty until the controller has taken it up.',
    ),
  },
  { description: 'Where the Ingress is reached.' },
)
export const ingressStatus = s.object(
  'io.k8s.api.networking.v1.IngressStatus',
  {
    loadBalancer: s.of(1, ingressLoadBalancerStatus, {
      default: {},
      description: 'Where the Ingress is reached; point your DNS there.',
    }),
  },
  { description: 'What the ingress controller reports.' },
)
export type IngressStatus = TypeOf<typeof ingressStatus>
export const ingressSchema = s.object(
  'io.k8s.api.networking.v1.Ingress',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Its annotations often carry settings of the controller.',
    }),
    spec: s.of(2, ingressSpec, { default: {}, description: 'Which requests go where.' }),
    status: s.of(3, ingressStatus, { default: {}, description: 'Where it is reached.' }),
  },
  {
    description:
      'Sends requests of HTTP to Services, by host and path. An ingress controller, to be installed, carries it out.',
  },
)
export type Ingress = TypeOf<typeof ingressSchema>

function validateSpec({ defaultBackend, rules = [], tls = [], ingressClassName }: IngressSpec): readonly FieldError[] {
  const errors: FieldError[] = []
  if (rules.length === 0 && defaultBackend === undefined) {
    errors.push(invalidValue('spec', rules, 'either `defaultBackend` or `rules` must be specified'))
  }
  if (defaultBackend) errors.push(...validateBackend(defaultBackend, 'spec.defaultBackend'))
  for (const [i, rule] of rules.entries()) errors.push(...validateRule(rule, `spec.rules[${i}]`))
  for (const [i, entry] of tls.entries()) errors.push(...validateTls(entry, `spec.tls[${i}]`))
  const wrong = ingressClassName === undefined ? undefined : dnsSubdomain(ingressClassName)
  if (wrong !== undefined) errors.push(invalidValue('spec.ingressClassName', ingressClassName, wrong))
  return errors
}

function validateTls({ hosts = [], secretName }: IngressTls, path: string): readonly FieldError[] {
  return [
    ...hosts.flatMap((host, i) => {
      const wrong = hostName(host)
      return wrong === undefined ? [] : [invalidValue(`${path}.hosts[${i}]`, host, wrong)]
    }),
    ...ruled(`${path}.secretName`, secretName, dnsSubdomain),
  ]
}

function validateRule({ host = '', http }: IngressRule, path: string): readonly FieldError[] {
  const isAddress = parseIp(host) !== undefined
  return [
    ...(isAddress ? [invalidValue(`${path}.host`, host, 'must be a DNS name, not an IP address')] : []),
    ...ruled(`${path}.host`, host, hostName),
    ...(http?.paths ?? []).flatMap((each, i) => validatePath(each, `${path}.http.paths[${i}]`)),
  ]
}

const sequencesNever = ['//', '/./', '/../', '%2f', '%2F']
const endsNever = ['/..', '/.']

function validatePath({ path: text = '', pathType, backend }: HttpIngressPath, path: string): readonly FieldError[] {
  const at = `${path}.path`
  const errors: FieldError[] = []
  // That it is missing the schema says; the rest follows from it.
  if (pathType === undefined) return errors
  const isOpen = pathType === 'ImplementationSpecific'
  if (!text.startsWith('/') && !(isOpen && text === '')) {
    errors.push(invalidValue(at, text, 'must be an absolute path'))
  }
  if (!isOpen) {
    const within = sequencesNever.filter(sequence => text.includes(sequence))
    const atEnd = endsNever.filter(end => text.endsWith(end))
    errors.push(...within.map(sequence => invalidValue(at, text, `must not contain '${sequence}'`)))
    errors.push(...atEnd.map(end => invalidValue(at, text, `cannot end with '${end}'`)))
  }
  return [...errors, ...validateBackend(backend, `${path}.backend`)]
}

function validateBackend({ resource, service }: IngressBackend, path: string): readonly FieldError[] {
  if (resource && service) return [invalidValue(path, '', 'cannot set both resource and service backends')]
  if (resource) return validateResource(resource, `${path}.resource`)
  if (!service) return [invalidValue(path, '', 'resource or service backend is required')]
  const { name = '', number = 0 } = service.port
  const errors: FieldError[] = [...ruled(`${path}.service.name`, service.name, dns1035Label)]
  if (name !== '' && number !== 0) errors.push(invalidValue(path, '', 'cannot set both port name & port number'))
  else if (name !== '') errors.push(...ruled(`${path}.service.port.name`, name, portName))
  else if (number === 0) errors.push(requiredValue(path, 'port name or number is required'))
  else {
    const wrong = portNumber(number)
    if (wrong !== undefined) errors.push(invalidValue(`${path}.service.port.number`, number, wrong))
  }
  return errors
}

function validateResource({ apiGroup, kind, name }: TypedLocalObjectReference, path: string): readonly FieldError[] {
  return [
    ...ruled(`${path}.apiGroup`, apiGroup, dnsSubdomain),
    ...ruled(`${path}.kind`, kind, pathSegment),
    ...ruled(`${path}.name`, name, pathSegment),
  ]
}

const classAnnotation = 'kubernetes.io/ingress.class'

/** The old way to name the class may stand beside the new one only if they agree. Checked on create alone. */
function validateClass({ metadata, spec }: Ingress): readonly FieldError[] {
  const old = metadata.annotations?.[classAnnotation]
  if (old === undefined || spec.ingressClassName === undefined || old === spec.ingressClassName) return []
  const why = 'must match `ingressClassName` when both are specified'
  return [invalidValue(`annotations.${classAnnotation}`, old, why)]
}

function validateStatus({ loadBalancer }: IngressStatus): readonly FieldError[] {
  return (loadBalancer.ingress ?? []).flatMap(({ ip, hostname }, i) => {
    const at = `status.loadBalancer.ingress[${i}]`
    const isAddress = parseIp(hostname ?? '') !== undefined
    return [
      ...ruled(`${at}.ip`, ip, anyIp),
      ...ruled(`${at}.hostname`, hostname, dnsSubdomain),
      ...(isAddress ? [invalidValue(`${at}.hostname`, hostname, 'must be a DNS name, not an IP address')] : []),
    ]
  })
}

/** At most three hosts, and how many rules more there are. */
function hostsText(rules: readonly IngressRule[]): string {
  const named = rules.flatMap(({ host }, i) => (host ? [{ host, i }] : [])).slice(0, 3)
  const text = named.map(({ host }) => host).join(',') || '*'
  const third = named[2]?.i ?? rules.length
  return third < rules.length - 1 ? `${text} + ${rules.length - 3} more...` : text
}

function addressText(status: IngressStatus | undefined): string {
  const addresses = (status?.loadBalancer.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '')
  return sortedBy(new Set(addresses.filter(text => text !== '')), text => text).join(',')
}

export const ingress = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'Ingress',
  plural: 'ingresses',
  shortNames: ['ing'],
  scope: 'Namespaced',
  subresources: ['status'],
  schema: ingressSchema,
  columns: () => [
    { name: 'Class', type: 'string', cell: ({ spec }) => spec.ingressClassName ?? '<none>' },
    { name: 'Hosts', type: 'string', cell: ({ spec }) => hostsText(spec.rules ?? []) },
    { name: 'Address', type: 'string', cell: ({ status }) => addressText(status) },
    { name: 'Ports', type: 'string', cell: ({ spec }) => ((spec.tls ?? []).length > 0 ? '80, 443' : '80') },
  ],
  validate: (object, old) => [...validateSpec(object.spec), ...(old ? [] : validateClass(object))],
  validateStatus: ({ status }) => validateStatus(status),
})
