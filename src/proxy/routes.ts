// Services, their EndpointSlices and what gossip says right now, as one route table for this node: what kube-proxy does,
// and sooner. Pure. The store decides which endpoints exist; gossip can only withdraw one (its pod is not ready, its node
// is dead) or hurry one that the slice names but does not yet call ready.
import { peerAnnotation } from '../api/annotations.ts'
import type { Endpoint, EndpointSlice } from '../api/kinds/endpointslice.ts'
import type { Node } from '../api/kinds/node.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { Service, ServicePort } from '../api/kinds/service.ts'
import type { GossipView, LiveEndpoint, MemberState } from '../gossip/gossip.ts'
import { cidrContains, parseCidr, parseIpv4 } from '../lib/cidr.ts'
import { compareText } from '../lib/sorted.ts'
import type { Backend, HostPort, RouteTable, ServiceRoute, TransportProtocol } from '../world/dataplane.ts'
import type { PeerId } from '../world/network.ts'

export const serviceNameLabel = 'kubernetes.io/service-name'
const otherProxyLabel = 'service.kubernetes.io/service-proxy-name'
const affinitySecondsDefault = 10_800

export type ProxyInput = {
  readonly services: readonly Service[]
  readonly slices: readonly EndpointSlice[]
  readonly nodes: readonly Pick<Node, 'metadata'>[]
  /** The pods of this node. */
  readonly pods: readonly Pod[]
  readonly gossip: GossipView
  readonly node: string
  readonly clusterCidr: string
  readonly serviceCidr: string
}

/** One endpoint of one service port, with what slice and gossip together say of it. */
type Candidate = Backend & { readonly ready: boolean; readonly lastResort: boolean }

type Live = {
  member(node: string | undefined): MemberState | undefined
  endpoint(node: string | undefined, uid: string | undefined): LiveEndpoint | undefined
}

function liveOf(input: ProxyInput): Live {
  const peers = new Map<string, PeerId>()
  for (const node of input.nodes) {
    const peer = node.metadata.annotations?.[peerAnnotation]
    if (peer !== undefined) peers.set(node.metadata.name, peer as PeerId)
  }
  const byPeer = new Map<PeerId, Map<string, LiveEndpoint>>()
  for (const [peer, endpoints] of input.gossip.endpoints)
    byPeer.set(peer, new Map(endpoints.map(endpoint => [endpoint.uid, endpoint])))
  const peerOf = (node: string | undefined) => (node === undefined ? undefined : peers.get(node))
  return {
    member: node => {
      const peer = peerOf(node)
      return peer === undefined ? undefined : input.gossip.members.get(peer)?.state
    },
    // Only the peer of the pod's own node is believed.
    endpoint: (node, uid) => {
      const peer = peerOf(node)
      return peer === undefined || uid === undefined ? undefined : byPeer.get(peer)?.get(uid)
    },
  }
}

function judge(
  endpoint: Endpoint,
  input: ProxyInput,
  live: Live,
  publishNotReady: boolean,
): Omit<Candidate, 'ip' | 'port'> {
  const { conditions, nodeName } = endpoint
  // An unknown condition counts as true (API: "a nil value should be interpreted as true").
  const ready = conditions?.ready !== false
  const terminating = conditions?.terminating === true
  const serving = conditions?.serving ?? ready
  const local = nodeName === input.node
  const state = local ? 'alive' : live.member(nodeName)
  if (state === 'dead' || state === 'left') return { local, ready: false, lastResort: false }
  const uid = endpoint.targetRef?.kind === 'Pod' ? endpoint.targetRef.uid : undefined
  const word = publishNotReady ? undefined : live.endpoint(nodeName, uid)
  const lastResort = terminating && serving && word?.ready !== false
  if (terminating || word === undefined) return { local, ready: ready && (!terminating || publishNotReady), lastResort }
  return { local, ready: word.ready, lastResort }
}

/** Ready endpoints; without any, those that end but still serve (KEP-1669). */
function usable(candidates: readonly Candidate[]): readonly Backend[] {
  const ready = candidates.filter(candidate => candidate.ready)
  const chosen = ready.length > 0 ? ready : candidates.filter(candidate => candidate.lastResort)
  return chosen.map(({ ip, port, local }) => ({ ip, port, local }))
}

function candidatesOf(
  service: Service,
  port: ServicePort,
  slices: readonly EndpointSlice[],
  input: ProxyInput,
  live: Live,
): readonly Candidate[] {
  const found = new Map<string, Candidate>()
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue
    for (const slicePort of slice.ports ?? []) {
      if ((slicePort.name ?? '') !== (port.name ?? '') || (slicePort.protocol ?? 'TCP') !== port.protocol) continue
      if (!isPort(slicePort.port)) continue
      for (const endpoint of slice.endpoints) {
        // Consumers use the first address only (API: "the first one is meant to be used").
        const ip = endpoint.addresses[0]
        if (!isEndpoint(ip)) continue
        const verdict = judge(endpoint, input, live, service.spec.publishNotReadyAddresses === true)
        const candidate = { ip, port: slicePort.port, ...verdict }
        const key = `${ip}:${slicePort.port}`
        const known = found.get(key)
        // While a slice is split a pod stands in two of them: the better word counts.
        if (known === undefined || rank(candidate) > rank(known)) found.set(key, candidate)
      }
    }
  }
  return [...found.values()].sort((a, b) => compareText(a.ip, b.ip) || a.port - b.port)
}

const rank = (candidate: Candidate) => (candidate.ready ? 2 : candidate.lastResort ? 1 : 0)

function protocolOf(port: ServicePort): TransportProtocol | undefined {
  if (port.protocol === 'TCP') return 'tcp'
  return port.protocol === 'UDP' ? 'udp' : undefined
}

const isIpv4 = (ip: string | undefined): ip is string => ip !== undefined && parseIpv4(ip) !== undefined
const inAny = (ip: string, cidrs: readonly string[]) => cidrs.some(cidr => cidrContains(cidr, ip))
/** Not "this network", link-local (a cloud's metadata, our own DNS), multicast or reserved. The API refuses them too. */
const neverEndpoints = ['0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3']
const isEndpoint = (ip: string | undefined): ip is string => isIpv4(ip) && !inAny(ip, neverEndpoints)
const isExternal = (ip: string | undefined): ip is string => isEndpoint(ip) && !inAny(ip, ['127.0.0.0/8'])
/** One number out of range would make the kernel refuse the whole table. */
const isPort = (port: number | undefined): port is number =>
  port !== undefined && Number.isInteger(port) && port > 0 && port < 65_536

function serviceRoutes(
  service: Service,
  slices: readonly EndpointSlice[],
  input: ProxyInput,
  live: Live,
): readonly ServiceRoute[] {
  const { spec, status, metadata } = service
  if (spec.type === 'ExternalName' || !isIpv4(spec.clusterIP)) return []
  if (metadata.labels?.[otherProxyLabel] !== undefined) return []
  const clusterIp = spec.clusterIP
  const internalLocal = spec.internalTrafficPolicy === 'Local'
  const externalLocal = spec.externalTrafficPolicy === 'Local' && spec.type !== 'ClusterIP'
  const ingress = (status.loadBalancer?.ingress ?? []).filter(entry => entry.ipMode !== 'Proxy').map(entry => entry.ip)
  const balanced = spec.type === 'LoadBalancer' ? ingress.filter(isExternal) : []
  const ranges = (spec.loadBalancerSourceRanges ?? []).map(range => range.trim()).filter(range => parseCidr(range))
  const guarded = (spec.loadBalancerSourceRanges ?? []).length > 0 && balanced.length > 0
  const affinity =
    spec.sessionAffinity === 'ClientIP'
      ? { affinitySeconds: spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? affinitySecondsDefault }
      : {}

  return (spec.ports ?? []).flatMap((port): readonly ServiceRoute[] => {
    const protocol = protocolOf(port)
    if (protocol === undefined || !isPort(port.port)) return []
    const candidates = candidatesOf(service, port, slices, input, live)
    const everywhere = usable(candidates)
    const here = usable(candidates.filter(candidate => candidate.local))
    const backends = internalLocal ? here : everywhere
    const nodePort = spec.type === 'ClusterIP' || !isPort(port.nodePort) ? undefined : port.nodePort
    const externalVips = [...(spec.externalIPs ?? []).filter(isExternal), ...(guarded ? [] : balanced)]
    const external = {
      ...(externalLocal ? { externalPolicy: 'Local' as const, externalBackends: here } : {}),
      ...(!externalLocal && internalLocal ? { externalPolicy: 'Cluster' as const, externalBackends: everywhere } : {}),
    }
    const id = `${metadata.namespace}/${metadata.name}:${port.name ?? ''}`
    const shared = { protocol, port: port.port, backends, ...affinity }
    const hasExternal = externalVips.length > 0 || nodePort !== undefined
    const main: ServiceRoute = {
      id,
      ...shared,
      vips: [clusterIp],
      ...(externalVips.length > 0 ? { externalVips } : {}),
      ...(nodePort === undefined ? {} : { nodePort }),
      ...(hasExternal ? external : {}),
    }
    if (!guarded) return [main]
    return [main, { id, ...shared, vips: [], externalVips: balanced, sourceRanges: ranges, ...external }]
  })
}

/** The host ports of this node's pods, for those that have an address and have not ended. */
export function hostPorts(pods: readonly Pod[]): readonly HostPort[] {
  return pods.flatMap(pod => {
    const podIp = pod.status.podIP
    const over = pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed'
    if (pod.spec.hostNetwork === true || over || !isIpv4(podIp)) return []
    const sidecars = (pod.spec.initContainers ?? []).filter(container => container.restartPolicy === 'Always')
    return [...sidecars, ...pod.spec.containers].flatMap(container =>
      (container.ports ?? []).flatMap((port): readonly HostPort[] => {
        const { hostPort, containerPort: podPort } = port
        const protocol = (port.protocol ?? 'TCP').toLowerCase()
        if (!isPort(hostPort) || !isPort(podPort) || (protocol !== 'tcp' && protocol !== 'udp')) return []
        const hostIp = port.hostIP === undefined || port.hostIP === '0.0.0.0' ? '' : port.hostIP
        return hostIp === '' || isIpv4(hostIp) ? [{ protocol, hostIp, hostPort, podIp, podPort }] : []
      }),
    )
  })
}

export function routes(input: ProxyInput): RouteTable {
  const live = liveOf(input)
  const bySlice = new Map<string, EndpointSlice[]>()
  for (const slice of input.slices) {
    const name = slice.metadata.labels?.[serviceNameLabel]
    if (name === undefined) continue
    const key = `${slice.metadata.namespace}/${name}`
    const group = bySlice.get(key)
    if (group === undefined) bySlice.set(key, [slice])
    else group.push(slice)
  }
  const services = input.services.flatMap(service =>
    serviceRoutes(service, bySlice.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? [], input, live),
  )
  return {
    services: services.sort((a, b) => compareText(a.id, b.id) || compareText(a.protocol, b.protocol)),
    hostPorts: hostPorts(input.pods),
    clusterCidr: input.clusterCidr,
    serviceCidr: input.serviceCidr,
  }
}
