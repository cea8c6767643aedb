// The cluster's names (Kubernetes DNS-Based Service Discovery 1.1.0): pure answers out of services and slices. A name that
// exists without records of the asked type is an empty answer, not NXDOMAIN: resolvers ask for AAAA and A side by side and
// take NXDOMAIN for either as the end. Names in our domain are never asked elsewhere, so search misses end here.
import type { Endpoint, EndpointSlice } from '../api/kinds/endpointslice.ts'
import type { Service } from '../api/kinds/service.ts'
import { cidrContains, parseIpv4 } from '../lib/cidr.ts'
import { type DnsRecord, type Response, type TypeName, typeCodes } from './packet.ts'

export type ZoneConfig = {
  /** Lower case without dots at the ends: cluster.local. */
  readonly domain: string
  readonly ttlSeconds: number
  readonly clusterCidr: string
  readonly serviceCidr: string
  /** The address of this server, for the NS record. */
  readonly dnsIp: string
}

/** What the zone looks up, all of it by an index. */
export type ZoneView = {
  service(namespace: string, name: string): Service | undefined
  slices(namespace: string, name: string): readonly EndpointSlice[]
  servicesByIp(ip: string): readonly Service[]
  slicesByIp(ip: string): readonly EndpointSlice[]
  hasNamespace(namespace: string): boolean
}

export type ZoneAnswer =
  | { readonly kind: 'response'; readonly response: Response }
  /** The name is an alias; its target has to be resolved and put after `alias`. */
  | { readonly kind: 'alias'; readonly alias: DnsRecord; readonly target: string }
  /** Not ours. */
  | { readonly kind: 'forward' }

type Without<T> = T extends unknown ? Omit<T, 'name' | 'ttl'> : never
/** The records at one name; undefined: there is no such name. */
type Records = readonly Without<DnsRecord>[] | undefined
type Found = { readonly records: Records; readonly additionals?: readonly DnsRecord[] }

const nothing: Found = { records: undefined }
const empty: Found = { records: [] }

export function answer(name: string, type: number, view: ZoneView, config: ZoneConfig): ZoneAnswer {
  const { domain } = config
  if (name === domain || name.endsWith(`.${domain}`)) {
    const labels = name === domain ? [] : name.slice(0, -domain.length - 1).split('.')
    const found = inDomain(labels, view, config)
    const alias = found.records?.find(record => record.type === 'CNAME')
    if (alias !== undefined && alias.type === 'CNAME' && type !== typeCodes.CNAME)
      return { kind: 'alias', alias: { ...alias, name, ttl: config.ttlSeconds }, target: alias.target }
    return { kind: 'response', response: respond(name, type, found, domain, config) }
  }
  const octets = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name)?.slice(1).reverse()
  if (octets === undefined) return { kind: 'forward' }
  const ip = octets.join('.')
  const records = reverse(ip, view, config)
  const ours = [config.clusterCidr, config.serviceCidr].some(cidr => cidrContains(cidr, ip))
  if (records.length === 0 && !ours) return { kind: 'forward' }
  const zone = `${octets[1]}.${octets[0]}.in-addr.arpa`
  return { kind: 'response', response: respond(name, type, records.length > 0 ? { records } : nothing, zone, config) }
}

function respond(name: string, type: number, found: Found, zone: string, config: ZoneConfig): Response {
  const ttl = config.ttlSeconds
  const wanted = (record: { readonly type: string }) =>
    type === typeCodes.ANY || (record.type !== 'raw' && typeCodes[record.type as TypeName] === type)
  const answers = (found.records ?? []).filter(wanted).map(record => ({ ...record, name, ttl }) as DnsRecord)
  return {
    rcode: found.records === undefined ? 'NXDOMAIN' : 'NOERROR',
    authoritative: true,
    answers,
    authorities: answers.length > 0 ? [] : [soa(zone, config)],
    additionals: answers.some(record => record.type === 'SRV') ? (found.additionals ?? []) : [],
  }
}

function soa(zone: string, { domain, ttlSeconds }: ZoneConfig): DnsRecord {
  const names = { primary: `ns.dns.${domain}`, mailbox: `hostmaster.${domain}` }
  return { name: zone, ttl: ttlSeconds, type: 'SOA', ...names, serial: 1, minimum: ttlSeconds }
}

function inDomain(labels: readonly string[], view: ZoneView, config: ZoneConfig): Found {
  const { domain } = config
  const last = labels.at(-1)
  if (last === undefined) {
    const { name: _name, ttl: _ttl, ...apex } = soa(domain, config) as Extract<DnsRecord, { type: 'SOA' }>
    return { records: [apex, { type: 'NS', target: `ns.dns.${domain}` }] }
  }
  const rest = labels.slice(0, -1)
  if (last === 'svc') return inServices(rest, view, config)
  if (last === 'pod') return inPods(rest)
  if (last === 'dns') return rest.length === 0 ? empty : rest.join('.') === 'ns' ? addresses([config.dnsIp]) : nothing
  return labels.join('.') === 'dns-version' ? { records: [{ type: 'TXT', text: '1.1.0' }] } : nothing
}

const addresses = (ips: readonly string[]): Found => ({ records: ips.map(address => ({ type: 'A', address })) })

/** The address is in the name, so it is answered without knowing the pod, as CoreDNS does by default ("insecure"). */
function inPods(labels: readonly string[]): Found {
  const [dashed = '', namespace] = labels
  if (namespace === undefined) return empty
  const ip = dashed.replaceAll('-', '.')
  return labels.length === 2 && parseIpv4(ip) !== undefined ? addresses([ip]) : nothing
}

function inServices(labels: readonly string[], view: ZoneView, config: ZoneConfig): Found {
  const namespace = labels.at(-1)
  if (namespace === undefined) return empty
  const name = labels.at(-2)
  if (name === undefined) return view.hasNamespace(namespace) ? empty : nothing
  const service = view.service(namespace, name)
  if (service === undefined) return nothing
  if (service.spec.type === 'ExternalName') {
    const target = (service.spec.externalName ?? '').toLowerCase().replace(/\.$/, '')
    return labels.length === 2 && target !== '' ? { records: [{ type: 'CNAME', target }] } : nothing
  }
  const slices = view.slices(namespace, name)
  const base = `${name}.${namespace}.svc.${config.domain}`
  const [first = '', second = ''] = labels
  switch (labels.length) {
    case 2:
      return atService(service, slices, base, config)
    case 3:
      if (first === '_tcp' || first === '_udp') {
        const has = (service.spec.ports ?? []).some(port => `_${port.protocol.toLowerCase()}` === first)
        return has ? empty : nothing
      }
      return atEndpoint(first, slices)
    case 4:
      return atPort(first, second, service, slices, base, config)
    default:
      return nothing
  }
}

const isHeadless = (service: Service) => service.spec.clusterIP === 'None'
const clusterIps = (service: Service) => {
  const all = service.spec.clusterIPs ?? (service.spec.clusterIP === undefined ? [] : [service.spec.clusterIP])
  return all.filter(ip => parseIpv4(ip) !== undefined)
}

type Placed = { readonly endpoint: Endpoint; readonly ip: string; readonly slice: EndpointSlice }

/** Ready ones; the slices of a service with publishNotReadyAddresses call all of them ready. */
function ready(slices: readonly EndpointSlice[]): readonly Placed[] {
  return slices.flatMap(slice =>
    slice.addressType !== 'IPv4'
      ? []
      : slice.endpoints.flatMap(endpoint =>
          endpoint.conditions?.ready === false ? [] : endpoint.addresses.map(ip => ({ endpoint, ip, slice })),
        ),
  )
}

/** The name of an endpoint below its service: its hostname, or else its address with dashes. */
const hostOf = ({ endpoint, ip }: Placed) => endpoint.hostname?.toLowerCase() ?? ip.replaceAll('.', '-')

function atService(service: Service, slices: readonly EndpointSlice[], base: string, config: ZoneConfig): Found {
  const placed = ready(slices)
  const ips = isHeadless(service) ? [...new Set(placed.map(({ ip }) => ip))] : clusterIps(service)
  const ports = (service.spec.ports ?? []).map(port =>
    atPort(`_${port.name ?? ''}`, `_${port.protocol.toLowerCase()}`, service, slices, base, config),
  )
  return {
    records: [...(addresses(ips).records ?? []), ...ports.flatMap(port => port.records ?? [])],
    additionals: dedupe(ports.flatMap(port => port.additionals ?? [])),
  }
}

function atEndpoint(host: string, slices: readonly EndpointSlice[]): Found {
  const ips = new Set(
    ready(slices)
      .filter(placed => hostOf(placed) === host)
      .map(({ ip }) => ip),
  )
  return ips.size === 0 ? nothing : addresses([...ips])
}

function atPort(
  portLabel: string,
  protocolLabel: string,
  service: Service,
  slices: readonly EndpointSlice[],
  base: string,
  config: ZoneConfig,
): Found {
  const named = (port: { readonly name?: string; readonly protocol?: string }) =>
    `_${port.name ?? ''}` === portLabel && `_${(port.protocol ?? 'TCP').toLowerCase()}` === protocolLabel
  const ttl = config.ttlSeconds
  const srv = (port: number, target: string) => ({ type: 'SRV' as const, priority: 0, weight: 100, port, target })
  if (!isHeadless(service)) {
    const ports = (service.spec.ports ?? []).filter(named)
    if (ports.length === 0) return nothing
    return {
      records: ports.map(port => srv(port.port, base)),
      additionals: clusterIps(service).map(address => ({ name: base, ttl, type: 'A', address })),
    }
  }
  const targets = ready(slices).flatMap(placed =>
    (placed.slice.ports ?? []).flatMap(port =>
      named(port) && port.port !== undefined
        ? [{ port: port.port, name: `${hostOf(placed)}.${base}`, address: placed.ip }]
        : [],
    ),
  )
  if (targets.length === 0 && !(service.spec.ports ?? []).some(named)) return nothing
  return {
    records: targets.map(({ port, name }) => srv(port, name)),
    additionals: dedupe(targets.map(({ name, address }) => ({ name, ttl, type: 'A', address }))),
  }
}

const dedupe = (records: readonly DnsRecord[]) => [
  ...new Map(records.map(record => [JSON.stringify(record), record])).values(),
]

function reverse(ip: string, view: ZoneView, config: ZoneConfig): readonly Without<DnsRecord>[] {
  const services = view.servicesByIp(ip).map(({ metadata }) => `${metadata.name}.${metadata.namespace}.svc`)
  const endpoints = view.slicesByIp(ip).flatMap(slice => {
    const { namespace = '', labels } = slice.metadata
    const name = labels?.['kubernetes.io/service-name']
    const service = name === undefined ? undefined : view.service(namespace, name)
    if (service === undefined || !isHeadless(service)) return []
    return ready([slice])
      .filter(placed => placed.ip === ip)
      .map(placed => `${hostOf(placed)}.${name}.${namespace}.svc`)
  })
  const names = services.length > 0 ? services : endpoints
  return [...new Set(names)].map(name => ({ type: 'PTR', target: `${name}.${config.domain}` }))
}
