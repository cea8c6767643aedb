// Service (v1): one name and address for pods that come and go.
// https://kubernetes.io/docs/concepts/services-networking/service/

import { parsePrefix } from '../../lib/ip.ts'
import { labelsText } from '../cells.ts'
import { addAll, duplicateValue, forbidden, invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dns1035Label, dnsLabel, dnsSubdomain, portName, portNumber } from '../names.ts'
import { isAddress } from '../pod/containers.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { condition, objectMeta } from '../types/meta.ts'
import { validateLabels } from '../validate.ts'

export const servicePort = s.object(
  'io.k8s.api.core.v1.ServicePort',
  {
    name: s.string(
      1,
      'In lower case, as in http; needed as soon as there are two. Rules, endpoints and SRV records of DNS use it.',
    ),
    protocol: s.oneOf(2, ['TCP', 'UDP', 'SCTP'], {
      default: 'TCP',
      description: 'TCP unless said otherwise. SCTP is stored, and not routed here.',
    }),
    port: s.int32(3, { required: true, description: 'Port at the addresses of the Service, 1 to 65535.' }),
    targetPort: s.intOrString(
      4,
      'Port of the pods: a number, or a name out of their ports, which may differ from pod to pod. Default: the same as port.',
    ),
    nodePort: s.int32(
      5,
      'Port on every node, for NodePort and LoadBalancer; 0 lets the server choose one in the range (30000-32767).',
    ),
    appProtocol: s.string(6, {
      pointer: true,
      description:
        'What is spoken above TCP or UDP, as in kubernetes.io/h2c; handed on to the endpoints, without effect on routes.',
    }),
  },
  { description: 'A port of the Service, and where its traffic goes.' },
)
export type ServicePort = TypeOf<typeof servicePort>
export const clientIPConfig = s.object(
  'io.k8s.api.core.v1.ClientIPConfig',
  {
    timeoutSeconds: s.int32(1, {
      pointer: true,
      description: 'Seconds for which a client keeps its pod, at most 86400; default 10800.',
    }),
  },
  { description: "How long a client's address is remembered." },
)
export type ClientIPConfig = TypeOf<typeof clientIPConfig>
export const sessionAffinityConfig = s.object(
  'io.k8s.api.core.v1.SessionAffinityConfig',
  {
    clientIP: s.of(1, clientIPConfig, 'How ClientIP works; filled in for it alone.'),
  },
  { description: 'Details of sessionAffinity.' },
)
export type SessionAffinityConfig = TypeOf<typeof sessionAffinityConfig>
export const serviceSpec = s.object(
  'io.k8s.api.core.v1.ServiceSpec',
  {
    ports: s.list(1, servicePort, {
      listType: 'map',
      mapKeys: ['port', 'protocol'],
      mergeKey: 'port',
      description: 'What the Service listens on; only headless ones and ExternalName may go without.',
    }),
    selector: s.map(2, scalars.string, {
      atomic: true,
      description: 'Labels of the pods behind it. When empty, no endpoints are made: people or programs write them.',
    }),
    clusterIP: s.string(
      3,
      'Address inside the cluster; empty: the server chooses one, which stays. None: a headless Service, whose name leads to its pods.',
    ),
    type: s.oneOf(4, ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'], {
      default: 'ClusterIP',
      description:
        'Reached in the cluster (ClusterIP), also by a port of each node (NodePort), also by a LoadBalancer; or a DNS alias (ExternalName).',
    }),
    externalIPs: s.list(
      5,
      scalars.string,
      'More addresses whose traffic nodes take when the network brings it. Adding one needs the right to create services/externalips.',
    ),
    sessionAffinity: s.oneOf(7, ['None', 'ClientIP'], {
      default: 'None',
      description: 'ClientIP sends one client to the same pod again; None, the default, to any.',
    }),
    loadBalancerIP: s.string(8, 'Address that is wished from the load balancer; deprecated, and nobody here reads it.'),
    loadBalancerSourceRanges: s.list(
      9,
      scalars.string,
      'Ranges whose clients may use the addresses of the load balancer, as in 203.0.113.0/24; empty: everybody. LoadBalancer only.',
    ),
    externalName: s.string(10, 'For ExternalName: the host that DNS gives as CNAME; nothing is routed.'),
    externalTrafficPolicy: s.oneOf(
      11,
      ['Cluster', 'Local'],
      "Traffic from outside: to any pod, with a node as its source (Cluster, default), or only to the node's own pods, unchanged (Local).",
    ),
    healthCheckNodePort: s.int32(
      12,
      'Port by which load balancers would ask whether a node has pods, with Local. It is taken, and nothing answers there yet.',
    ),
    publishNotReadyAddresses: s.boolean(
      13,
      'true counts pods as endpoints, also in DNS, before they are ready: for members of a cluster that look for each other.',
    ),
    sessionAffinityConfig: s.of(14, sessionAffinityConfig, 'How long a session lasts.'),
    ipFamilyPolicy: s.oneOf(17, ['SingleStack', 'PreferDualStack', 'RequireDualStack'], {
      pointer: true,
      description:
        'One family of addresses or two; here it is IPv4 alone. RequireDualStack is only for a headless Service without selector.',
    }),
    clusterIPs: s.list(18, scalars.string, 'All addresses inside the cluster, clusterIP first; here there is one.'),
    ipFamilies: s.list(
      19,
      scalars.string,
      'Families of the addresses: IPv4 here; IPv6 only for a headless Service without selector.',
    ),
    allocateLoadBalancerNodePorts: s.boolean(20, {
      pointer: true,
      description:
        'false takes no ports of nodes, for a load balancer that needs none; default true. LoadBalancer only.',
    }),
    loadBalancerClass: s.string(21, {
      pointer: true,
      description: 'Which load balancer is meant, as in example.com/internal; empty: the usual one. LoadBalancer only.',
    }),
    internalTrafficPolicy: s.oneOf(22, ['Cluster', 'Local'], {
      pointer: true,
      description:
        'Traffic from inside the cluster goes to all pods (Cluster, default) or only to those on the node that sends it (Local).',
    }),
    trafficDistribution: s.string(23, {
      pointer: true,
      description: 'PreferClose wishes for pods near the client. Stored, without effect here.',
    }),
  },
  { description: 'Which pods a Service stands for, and how they are reached.' },
)
export type ServiceSpec = TypeOf<typeof serviceSpec>
export const portStatus = s.object(
  'io.k8s.api.core.v1.PortStatus',
  {
    port: s.int32(1, { required: true, description: 'Port of the Service that this is about.' }),
    protocol: s.string(2, { required: true, description: 'TCP, UDP or SCTP.' }),
    error: s.string(3, {
      pointer: true,
      description: 'Why the port does not work, in CamelCase or as example.com/Reason; absent when it does.',
    }),
  },
  { description: 'A port of the load balancer.' },
)
export type PortStatus = TypeOf<typeof portStatus>
export const loadBalancerIngress = s.object(
  'io.k8s.api.core.v1.LoadBalancerIngress',
  {
    ip: s.string(1, 'Its IP address, if it has one.'),
    hostname: s.string(2, 'Its DNS name, if it has no fixed address.'),
    ipMode: s.string(3, {
      pointer: true,
      description:
        'VIP, the default: packets arrive with this address, and nodes take them; Proxy: with that of a node. Needs an ip.',
    }),
    ports: s.list(4, portStatus, 'How the single ports are doing.'),
  },
  { description: 'A point where the load balancer takes traffic: an address or a host name.' },
)
export type LoadBalancerIngress = TypeOf<typeof loadBalancerIngress>
export const loadBalancerStatus = s.object(
  'io.k8s.api.core.v1.LoadBalancerStatus',
  {
    ingress: s.list(1, loadBalancerIngress, 'Where it is reached; empty until it works.'),
  },
  { description: 'What the load balancer offers.' },
)
export type LoadBalancerStatus = TypeOf<typeof loadBalancerStatus>
export const serviceStatus = s.object(
  'io.k8s.api.core.v1.ServiceStatus',
  {
    loadBalancer: s.of(
      1,
      loadBalancerStatus,
      'Written by the load balancer that is installed; emptied when the type is another.',
    ),
    conditions: s.list(2, condition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'What programs observe of the Service; Flotilla writes none.',
    }),
  },
  { description: 'What the load balancer of a Service reports.' },
)
export type ServiceStatus = TypeOf<typeof serviceStatus>
export const serviceSchema = s.object(
  'io.k8s.api.core.v1.Service',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Its name is also that in DNS: <name>.<namespace>.svc.',
    }),
    spec: s.of(2, serviceSpec, { default: {}, description: 'Which pods it stands for, and how they are reached.' }),
    status: s.of(3, serviceStatus, { default: {}, description: 'Where its load balancer is reached, if it has one.' }),
  },
  { description: 'A name and an address for pods that come and go.' },
)
export type Service = TypeOf<typeof serviceSchema>

function portsText(ports: readonly ServicePort[]): string {
  const texts = ports.map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol}`)
  return texts.join(',') || '<none>'
}

function externalText({ spec, status }: Service): string {
  const own = spec.externalIPs ?? []
  if (spec.type === 'ExternalName') return spec.externalName ?? ''
  if (spec.type !== 'LoadBalancer') return own.join(',') || '<none>'
  const balanced = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '')
  return [...balanced.filter(text => text !== ''), ...own].join(',') || '<pending>'
}

const affinitySecondsDefault = 10_800
const affinitySecondsMax = 86_400

export function isReachedFromOutside(spec: ServiceSpec): boolean {
  const { type, externalIPs = [] } = spec
  return type === 'LoadBalancer' || type === 'NodePort' || (type === 'ClusterIP' && externalIPs.length > 0)
}

function serviceDefaults({ sessionAffinityConfig: given, ...spec }: ServiceSpec): ServiceSpec {
  const timeoutSeconds = given?.clientIP?.timeoutSeconds ?? affinitySecondsDefault
  return {
    ...spec,
    ...(spec.sessionAffinity === 'ClientIP' && { sessionAffinityConfig: { clientIP: { timeoutSeconds } } }),
    ...(spec.ports && { ports: spec.ports.map(port => ({ ...port, targetPort: port.targetPort || port.port })) }),
    ...(isReachedFromOutside(spec) && { externalTrafficPolicy: spec.externalTrafficPolicy ?? 'Cluster' }),
    ...(spec.type !== 'ExternalName' && { internalTrafficPolicy: spec.internalTrafficPolicy ?? 'Cluster' }),
    ...(spec.type === 'LoadBalancer' && {
      allocateLoadBalancerNodePorts: spec.allocateLoadBalancerNodePorts ?? true,
    }),
  }
}

function validateService(spec: ServiceSpec): readonly FieldError[] {
  const { type, ports = [], clusterIP = '', externalName = '' } = spec
  const errors: FieldError[] = []
  if (type === 'ExternalName') {
    const wrong = externalName === '' ? undefined : dnsSubdomain(externalName.replace(/\.$/, ''))
    if (externalName === '') errors.push(requiredValue('spec.externalName'))
    else if (wrong !== undefined) errors.push(invalidValue('spec.externalName', externalName, wrong))
    if (clusterIP !== '') {
      errors.push(forbidden('spec.clusterIPs[0]', "may not be set when `type` is 'ExternalName'"))
    }
  } else {
    if (ports.length === 0 && clusterIP !== 'None') errors.push(requiredValue('spec.ports'))
    if (clusterIP === 'None' && type !== 'ClusterIP') {
      errors.push(invalidValue('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`))
    }
  }
  if (clusterIP !== '' && clusterIP !== 'None' && !isAddress(clusterIP)) {
    errors.push(invalidValue('spec.clusterIPs[0]', clusterIP, notAnAddress))
  }
  if (clusterIP !== '' && spec.clusterIPs?.[0] !== undefined && spec.clusterIPs[0] !== clusterIP) {
    errors.push(invalidValue('spec.clusterIPs', spec.clusterIPs, 'first value must match `clusterIP`'))
  }
  addAll(errors, validateServicePorts(spec))
  addAll(errors, validateLabels(spec.selector, 'spec.selector'))
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 1
  if (seconds <= 0 || seconds > affinitySecondsMax) {
    const why = `must be greater than 0 and less than ${affinitySecondsMax}`
    errors.push(invalidValue('spec.sessionAffinityConfig.clientIP.timeoutSeconds', seconds, why))
  }
  for (const [i, address] of (spec.externalIPs ?? []).entries()) {
    const why = isAddress(address) ? special(address) : notAnAddress
    if (why !== undefined) errors.push(invalidValue(`spec.externalIPs[${i}]`, address, why))
  }
  if (spec.externalTrafficPolicy !== undefined && !isReachedFromOutside(spec)) {
    const why = 'may only be set for externally-accessible services'
    errors.push(invalidValue('spec.externalTrafficPolicy', spec.externalTrafficPolicy, why))
  }
  addAll(errors, validateBalanced(spec))
  for (const [i, family] of (spec.ipFamilies ?? []).entries()) {
    if (family !== 'IPv4' && family !== 'IPv6') {
      errors.push(notSupported(`spec.ipFamilies[${i}]`, family, ['IPv4', 'IPv6']))
    }
  }
  return errors
}

const notAnAddress = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
const notABlock = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'

/** Why an address cannot be one of a service that others reach. */
function special(address: string): string | undefined {
  if (address === '0.0.0.0' || address === '::') return `may not be unspecified (${address})`
  if (/^127\.|^::1$/.test(address)) return 'may not be in the loopback range (127.0.0.0/8, ::1/128)'
  if (/^169\.254\.|^fe[89ab][0-9a-f]:/i.test(address)) {
    return 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'
  }
  if (/^224\.0\.0\.|^ff02:/i.test(address)) {
    return 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'
  }
  return undefined
}

/** What only a service with a load balancer may say. */
function validateBalanced(spec: ServiceSpec): readonly FieldError[] {
  const { type, loadBalancerSourceRanges: ranges = [], healthCheckNodePort = 0, trafficDistribution } = spec
  const errors: FieldError[] = []
  const only = "may only be used when `type` is 'LoadBalancer'"
  const at = 'spec.LoadBalancerSourceRanges'
  if (ranges.length > 0 && type !== 'LoadBalancer') errors.push(forbidden(at, only))
  for (const [i, range] of ranges.entries()) {
    if (parsePrefix(range.trim()) === undefined) errors.push(invalidValue(`${at}[${i}]`, range.trim(), notABlock))
  }
  if (spec.loadBalancerClass !== undefined && type !== 'LoadBalancer') {
    errors.push(forbidden('spec.loadBalancerClass', only))
  }
  if (healthCheckNodePort !== 0 && !(type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local')) {
    const why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
    errors.push(invalidValue('spec.healthCheckNodePort', healthCheckNodePort, why))
  }
  if (trafficDistribution !== undefined && trafficDistribution !== 'PreferClose') {
    errors.push(notSupported('spec.trafficDistribution', trafficDistribution, ['PreferClose']))
  }
  return errors
}

function validateServiceStatus({ spec, status }: Service): readonly FieldError[] {
  const ingress = status.loadBalancer?.ingress ?? []
  const path = 'status.loadBalancer.ingress'
  if (ingress.length > 0 && spec.type !== 'LoadBalancer') {
    return [forbidden(path, 'may only be used when `spec.type` is "LoadBalancer"')]
  }
  return ingress.flatMap(({ ip = '', hostname = '', ipMode }, i) => {
    const at = `${path}[${i}]`
    const errors: FieldError[] = []
    if (ip !== '' && !isAddress(ip)) errors.push(invalidValue(`${at}.ip`, ip, notAnAddress))
    if (ipMode !== undefined && ip === '') {
      errors.push(forbidden(`${at}.ipMode`, 'may not be specified when `ip` is not set'))
    } else if (ipMode !== undefined && ipMode !== 'VIP' && ipMode !== 'Proxy') {
      errors.push(notSupported(`${at}.ipMode`, ipMode, ['Proxy', 'VIP']))
    }
    const wrong = hostname === '' ? undefined : dnsSubdomain(hostname)
    if (wrong !== undefined) errors.push(invalidValue(`${at}.hostname`, hostname, wrong))
    if (hostname !== '' && isAddress(hostname)) {
      errors.push(invalidValue(`${at}.hostname`, hostname, 'must be a DNS name, not an IP address'))
    }
    return errors
  })
}

/** An address of a load balancer is the packets' destination unless it says otherwise. */
function statusDefaults({ spec, status }: Service): ServiceStatus {
  const { ingress } = status.loadBalancer ?? {}
  if (ingress === undefined || spec.type !== 'LoadBalancer') return { loadBalancer: {}, ...status }
  const modes = ingress.map(each => (each.ip && each.ipMode === undefined ? { ...each, ipMode: 'VIP' } : each))
  return { ...status, loadBalancer: { ...status.loadBalancer, ingress: modes } }
}

/** What was said of its load balancer goes with that. */
function withoutBalancer(object: Service, old: Service | undefined, subresource: string | undefined): Service {
  const { spec, status } = object
  const isKept = spec?.type === 'LoadBalancer' || status?.loadBalancer?.ingress === undefined
  if (old === undefined || subresource !== undefined || isKept) return object
  return { ...object, status: { ...status, loadBalancer: {} } }
}

function validateServicePorts({ ports = [], type }: ServiceSpec): readonly FieldError[] {
  const errors: FieldError[] = []
  const [names, taken] = [new Set<string>(), new Set<string>()]
  for (const [i, { name = '', port, protocol, targetPort, nodePort = 0 }] of ports.entries()) {
    const at = `spec.ports[${i}]`
    const wrong = {
      name: name === '' ? undefined : dnsLabel(name),
      port: portNumber(port),
      target:
        targetPort === undefined
          ? undefined
          : typeof targetPort === 'number'
            ? portNumber(targetPort)
            : portName(targetPort),
    }
    if (name === '' && ports.length > 1) errors.push(requiredValue(`${at}.name`))
    if (wrong.name !== undefined) errors.push(invalidValue(`${at}.name`, name, wrong.name))
    else if (name !== '' && names.has(name)) errors.push(duplicateValue(`${at}.name`, name))
    names.add(name)
    if (wrong.port !== undefined) errors.push(invalidValue(`${at}.port`, port, wrong.port))
    if (wrong.target !== undefined) errors.push(invalidValue(`${at}.targetPort`, targetPort, wrong.target))
    if (nodePort !== 0 && (type === 'ClusterIP' || type === 'ExternalName')) {
      errors.push(forbidden(`${at}.nodePort`, `may not be used when \`type\` is '${type}'`))
    }
    const pair = `${protocol} ${port}`
    if (taken.has(pair)) errors.push(duplicateValue(at, { port, protocol }))
    taken.add(pair)
  }
  return errors
}

/** A service keeps its address, unless it becomes one without any, or was. */
function validateServiceChange(spec: ServiceSpec, old: ServiceSpec): readonly FieldError[] {
  if (spec.type === 'ExternalName' || old.type === 'ExternalName') return []
  const before = old.clusterIP ?? ''
  if (before === '' || spec.clusterIP === before) return []
  const why = spec.clusterIP ? 'may not change once set' : 'primary clusterIP can not be unset'
  return [invalidValue('spec.clusterIPs[0]', spec.clusterIPs ?? [spec.clusterIP ?? ''], why)]
}

export const service = defineKind({
  group: '',
  version: 'v1',
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  categories: ['all'],
  scope: 'Namespaced',
  updateCreates: true,
  stored: true,
  subresources: ['status'],
  schema: serviceSchema,
  nameRule: dns1035Label,
  generation: false,
  columns: () => [
    { name: 'Type', type: 'string', cell: ({ spec }) => spec.type },
    { name: 'Cluster-IP', type: 'string', cell: ({ spec }) => spec.clusterIPs?.[0] || spec.clusterIP || '<none>' },
    { name: 'External-IP', type: 'string', cell: externalText },
    { name: 'Port(s)', type: 'string', cell: ({ spec }) => portsText(spec.ports ?? []) },
    { name: 'Selector', type: 'string', priority: 1, cell: ({ spec }) => labelsText(spec.selector) },
  ],
  fieldLabels: ['spec.clusterIP', 'spec.type'],
  fields: ({ spec }) => ({ 'spec.clusterIP': spec.clusterIP ?? '', 'spec.type': spec.type }),
  defaults: object => ({
    ...object,
    spec: serviceDefaults(object.spec),
    status: statusDefaults(object),
  }),
  prepare: withoutBalancer,
  validateStatus: validateServiceStatus,
  validate: ({ spec }, old) => [...validateService(spec), ...(old ? validateServiceChange(spec, old.spec) : [])],
})
