// Addresses and ports of Services. Each one taken is a key of the store that is written with the Service in one
// compare-and-set, so two Services never get the same, whoever asks and whoever leads. Pure.
// https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
import { invalid } from '../api/error.ts'
import type { FieldError } from '../api/kind.ts'
import { isReachedFromOutside, type Service, type ServicePort, service as serviceKind } from '../api/kinds/service.ts'
import type { Compare, KeyValue, Operation } from '../kv/store.ts'
import { type Cidr, formatIpv4, parseCidr, parseIpv4, sizeOf } from '../lib/cidr.ts'

export type ServiceConfig = {
  /** IPv4: '10.96.0.0/16'. */
  readonly serviceCidr: string
  readonly nodePortRange: { readonly from: number; readonly to: number }
}

/** What is taken, as the store shows it. */
export type Taken = { readonly ips: ReadonlyMap<string, KeyValue>; readonly ports: ReadonlyMap<string, KeyValue> }

export type Allocation = {
  readonly object: Service
  readonly compare: readonly Compare[]
  readonly operations: readonly Operation[]
}

export const ipPrefix = '/allocations/clusterips/'
export const portPrefix = '/allocations/nodeports/'

/** An IPv4 range for services, from /8 to /30. Throws RangeError: a wrong one is a wrong configuration. */
export function serviceRange(text: string): Cidr {
  const cidr = parseCidr(text)
  if (cidr === undefined || cidr.prefix < 8 || cidr.prefix > 30) {
    throw new RangeError(`${text} is no IPv4 range from /8 to /30`)
  }
  return cidr
}

/** The address of the Service `kubernetes`: the first of the range. */
export function firstServiceIp(cidr: string): string {
  return formatIpv4(serviceRange(cidr).base + 1)
}

const hasAddress = (service: Service): boolean =>
  service.spec.type !== 'ExternalName' &&
  service.spec.clusterIP !== undefined &&
  !['', 'None'].includes(service.spec.clusterIP)

function ipsOf(service: Service | undefined): readonly string[] {
  return service !== undefined && hasAddress(service) ? [service.spec.clusterIP ?? ''] : []
}

function portsOf(service: Service | undefined): readonly number[] {
  if (service === undefined) return []
  const ports = (service.spec.ports ?? []).map(port => port.nodePort ?? 0)
  return [...new Set([...ports, service.spec.healthCheckNodePort ?? 0])].filter(port => port > 0)
}

/** On an update what was allocated before stays unless the writer names another. Before admission. */
export function keepAllocated(next: Service, old: Service): Service {
  const type = next.spec.type ?? 'ClusterIP'
  let spec = next.spec
  if (type !== 'ExternalName' && old.spec.type !== 'ExternalName') {
    const named = (spec.clusterIP ?? '') !== '' || (spec.clusterIPs ?? []).length > 0
    if (!named && old.spec.clusterIP !== undefined) {
      spec = { ...spec, clusterIP: old.spec.clusterIP, ...(old.spec.clusterIPs && { clusterIPs: old.spec.clusterIPs }) }
    }
  }
  if (type === 'ExternalName' && old.spec.type !== 'ExternalName' && spec.clusterIP === old.spec.clusterIP) {
    const { clusterIP: _, clusterIPs: __, ipFamilies: ___, ipFamilyPolicy: ____, ...rest } = spec
    spec = rest as Service['spec']
  }
  if (needsPorts(type) && needsPorts(old.spec.type)) {
    const before = new Map((old.spec.ports ?? []).map(port => [portKey(port), port.nodePort]))
    const ports = spec.ports?.map(port => {
      const nodePort = port.nodePort === undefined || port.nodePort === 0 ? before.get(portKey(port)) : port.nodePort
      return nodePort === undefined ? port : { ...port, nodePort }
    })
    if (ports) spec = { ...spec, ports }
  }
  if (!needsPorts(type) && needsPorts(old.spec.type)) {
    const before = new Set(portsOf(old))
    const ports = spec.ports?.map(port => {
      const { nodePort, ...rest } = port
      return nodePort !== undefined && before.has(nodePort) ? rest : port
    })
    if (ports) spec = { ...spec, ports }
  }
  spec = withoutOldTypes(spec, old.spec)
  return spec === next.spec ? next : { ...next, spec }
}

/** What only the type of before could have goes with it, unless it was written anew. */
function withoutOldTypes(spec: Service['spec'], before: Service['spec']): Service['spec'] {
  type Key = 'externalTrafficPolicy' | 'healthCheckNodePort' | 'loadBalancerClass' | 'allocateLoadBalancerNodePorts'
  const isBalanced = ({ type }: Service['spec']) => type === 'LoadBalancer'
  const isChecked = (of: Service['spec']) => isBalanced(of) && of.externalTrafficPolicy === 'Local'
  const belongs: readonly (readonly [Key, (of: Service['spec']) => boolean])[] = [
    ['healthCheckNodePort', isChecked],
    ['loadBalancerClass', isBalanced],
    ['allocateLoadBalancerNodePorts', isBalanced],
    ['externalTrafficPolicy', isReachedFromOutside],
  ]
  let kept = spec
  for (const [key, has] of belongs) {
    if (kept[key] === undefined || kept[key] !== before[key] || !has(before) || has(kept)) continue
    const { [key]: _, ...rest } = kept
    kept = rest as Service['spec']
  }
  return kept
}

const portKey = (port: ServicePort): string => `${port.protocol ?? 'TCP'}/${port.port}`
const needsPorts = (type: string | undefined): boolean => type === 'NodePort' || type === 'LoadBalancer'

/**
 * Fills in what the Service needs and says which keys go with it. `random` gives where to begin the search; the lower
 * part of the range is left for people who choose addresses themselves.
 */
export function allocate(
  next: Service,
  old: Service | undefined,
  taken: Taken,
  config: ServiceConfig,
  random: () => number,
): Allocation {
  const errors: FieldError[] = []
  let service = withAddress(next, taken, config, random, errors, ipsOf(old))
  service = withPorts(service, taken, config, random, errors, portsOf(old))
  if (errors.length > 0) throw invalid(serviceKind, next.metadata.name, errors)

  const owner = `${service.metadata.namespace ?? ''}/${service.metadata.name}`
  const before = [...ipsOf(old).map(ip => ipPrefix + ip), ...portsOf(old).map(port => `${portPrefix}${port}`)]
  const after = [...ipsOf(service).map(ip => ipPrefix + ip), ...portsOf(service).map(port => `${portPrefix}${port}`)]
  const fresh = after.filter(key => !before.includes(key))
  return {
    object: service,
    compare: fresh.map(key => ({ key, modRevision: 0 })),
    operations: [
      ...fresh.map(key => ({ key, value: owner })),
      ...before.filter(key => !after.includes(key)).map(key => ({ key, value: undefined })),
    ],
  }
}

/** The keys that go with a Service that is removed. */
export function release(service: Service): readonly Operation[] {
  return [...ipsOf(service).map(ip => ipPrefix + ip), ...portsOf(service).map(port => `${portPrefix}${port}`)].map(
    key => ({ key, value: undefined }),
  )
}

function withAddress(
  service: Service,
  taken: Taken,
  config: ServiceConfig,
  random: () => number,
  errors: FieldError[],
  mine: readonly string[],
): Service {
  const { spec } = service
  if (spec.type === 'ExternalName') return service
  const asked = spec.clusterIP !== undefined && spec.clusterIP !== '' ? spec.clusterIP : spec.clusterIPs?.[0]
  const family = familyOf(spec, asked === 'None', errors)
  if (asked === 'None') {
    return { ...service, spec: { ...spec, clusterIP: 'None', clusterIPs: ['None'], ...family } }
  }
  const range = serviceRange(config.serviceCidr)
  const first = range.base
  const count = sizeOf(range)
  if (asked !== undefined && asked !== '') {
    const number = parseIpv4(asked)
    const refuse = (why: string) =>
      errors.push({
        field: 'spec.clusterIPs',
        reason: 'FieldValueInvalid',
        message: `Invalid value: [${JSON.stringify(asked)}]: failed to allocate IP ${asked}: ${why}`,
      })
    if (number === undefined || number <= first || number >= first + count - 1) {
      refuse(`the provided network does not match the current range (${config.serviceCidr})`)
    } else if (!mine.includes(asked) && taken.ips.has(asked)) {
      refuse('provided IP is already allocated')
    }
    return { ...service, spec: { ...spec, clusterIP: asked, clusterIPs: [asked], ...family } }
  }
  // The lower sixteenth, at least 16 and at most 256 addresses, is for those who choose their own (KEP-3070).
  const low = Math.min(Math.max(16, Math.floor(count / 16)), 256, count - 2)
  const found =
    search(first + 1 + low, first + count - 2, random, n => taken.ips.has(formatIpv4(n))) ??
    search(first + 2, first + low, random, n => taken.ips.has(formatIpv4(n)))
  if (found === undefined) {
    errors.push({
      field: 'spec.clusterIPs',
      reason: 'FieldValueInvalid',
      message: 'Invalid value: []: failed to allocate a serviceIP: range is full',
    })
    return service
  }
  const ip = formatIpv4(found)
  return { ...service, spec: { ...spec, clusterIP: ip, clusterIPs: [ip], ...family } }
}

type Family = Required<Pick<Service['spec'], 'ipFamilies' | 'ipFamilyPolicy'>>

/** The cluster's addresses are IPv4. Of a service without addresses that others fill, either family may come. */
function familyOf({ selector, ...spec }: Service['spec'], isHeadless: boolean, errors: FieldError[]): Family {
  const families = spec.ipFamilies?.length ? spec.ipFamilies : ['IPv4']
  if (isHeadless && Object.keys(selector ?? {}).length === 0) {
    const ipFamilyPolicy = spec.ipFamilyPolicy ?? 'RequireDualStack'
    const both = families[0] === 'IPv4' ? ['IPv4', 'IPv6'] : ['IPv6', 'IPv4']
    return { ipFamilies: ipFamilyPolicy === 'SingleStack' ? families : both, ipFamilyPolicy }
  }
  const wrong = (field: string, value: string, why: string) =>
    errors.push({ field, reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${why}` })
  if (spec.ipFamilyPolicy === 'RequireDualStack') {
    wrong('spec.ipFamilyPolicy', spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services')
  }
  for (const [i, family] of families.entries()) {
    if (family === 'IPv6') wrong(`spec.ipFamilies[${i}]`, family, 'not configured on this cluster')
  }
  return { ipFamilies: ['IPv4'], ipFamilyPolicy: spec.ipFamilyPolicy ?? 'SingleStack' }
}

function withPorts(
  service: Service,
  taken: Taken,
  config: ServiceConfig,
  random: () => number,
  errors: FieldError[],
  mine: readonly number[],
): Service {
  const { spec } = service
  const { from, to } = config.nodePortRange
  const used = new Set(portsOf(service))
  const isTaken = (port: number) => used.has(port) || (taken.ports.has(String(port)) && !mine.includes(port))
  const check = (port: number, field: string) => {
    const bad = (message: string) =>
      errors.push({ field, reason: 'FieldValueInvalid', message: `Invalid value: ${port}: ${message}` })
    if (port < from || port > to)
      bad(`provided port is not in the valid range. The range of valid ports is ${from}-${to}`)
    else if (taken.ports.has(String(port)) && !mine.includes(port)) bad('provided port is already allocated')
  }
  const choose = (field: string): number => {
    const port = search(from, to, random, isTaken)
    if (port === undefined) {
      errors.push({
        field,
        reason: 'FieldValueInvalid',
        message: 'Invalid value: 0: failed to allocate a nodePort: range is full',
      })
      return 0
    }
    used.add(port)
    return port
  }
  // A ClusterIP Service must not name node ports; validation of the kind says so.
  if (!needsPorts(spec.type)) return service
  const automatic = spec.type === 'NodePort' || spec.allocateLoadBalancerNodePorts !== false
  const ports = spec.ports?.map((port, i) => {
    const field = `spec.ports[${i}].nodePort`
    if (port.nodePort !== undefined && port.nodePort !== 0) {
      check(port.nodePort, field)
      return port
    }
    if (!automatic) return port
    // One number may serve a TCP and a UDP port of the same Service.
    return { ...port, nodePort: choose(field) }
  })
  const health = spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local'
  let healthCheckNodePort = spec.healthCheckNodePort
  if (health && (healthCheckNodePort ?? 0) === 0) healthCheckNodePort = choose('spec.healthCheckNodePort')
  else if (health && healthCheckNodePort !== undefined) check(healthCheckNodePort, 'spec.healthCheckNodePort')
  return {
    ...service,
    spec: {
      ...spec,
      ...(ports && { ports }),
      ...(healthCheckNodePort !== undefined && healthCheckNodePort !== 0 && { healthCheckNodePort }),
      ...(spec.type === 'LoadBalancer' && {
        allocateLoadBalancerNodePorts: spec.allocateLoadBalancerNodePorts ?? true,
      }),
      externalTrafficPolicy: spec.externalTrafficPolicy ?? 'Cluster',
    },
  }
}

/** A free number in [from, to], looked for from a random place on. */
function search(from: number, to: number, random: () => number, isTaken: (n: number) => boolean): number | undefined {
  const count = to - from + 1
  if (count <= 0) return undefined
  const start = Math.floor(random() * count)
  for (let i = 0; i < count; i++) {
    const candidate = from + ((start + i) % count)
    if (!isTaken(candidate)) return candidate
  }
  return undefined
}
