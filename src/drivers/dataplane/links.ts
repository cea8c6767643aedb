// Routes, tunnels and addresses of a node as `ip` commands: what an OverlayPlan wants against what `ip -j` shows. Pure.
// Ours are known by their marks alone, so an agent that starts again finds and corrects them: routes by their protocol
// number, addresses by their label, the VXLAN device by its name.
import { parseCidr } from '../../lib/cidr.ts'
import { sortedBy } from '../../lib/sorted.ts'
import type { OverlayPlan } from '../../world/dataplane.ts'
import type { Address, Link, Neighbour, Route } from './ip.ts'

export type LinkOptions = {
  readonly vxlanDevice: string
  readonly vxlanPort: number
  readonly vxlanId: number
  readonly mtu: number
  /** Number of the routing protocol that marks our routes (see /etc/iproute2/rt_protos). */
  readonly routeProtocol: number
}

export const addressLabel = 'lo:flotilla'

export type Forwarding = { readonly mac: string; readonly vtep: string }

/** What the kernel has at present. */
export type Seen = {
  readonly links: readonly Link[]
  readonly addresses: readonly Address[]
  readonly routes: readonly Route[]
  readonly neighbours: readonly Neighbour[]
  readonly forwardings: readonly Forwarding[]
}

const isOurs = (route: Route, options: LinkOptions) => route.protocol === String(options.routeProtocol)

/** Addresses first, since routes name them as their source. */
export function addressLines(plan: OverlayPlan, seen: Seen): readonly string[] {
  const wanted = plan.dnsIp === '' ? [plan.nodePodIp] : [plan.nodePodIp, plan.dnsIp]
  const stale = seen.addresses.filter(a => a.label === addressLabel && !wanted.includes(a.ip))
  const missing = (ip: string) => wanted.includes(ip) && !seen.addresses.some(address => address.ip === ip)
  return [
    ...stale.map(address => `addr del ${address.ip}/${address.prefix} dev lo`),
    // On lo with global scope, the pod network's address is also what the kernel masquerades as towards pods.
    ...(missing(plan.nodePodIp) ? [`addr add ${plan.nodePodIp}/32 dev lo label ${addressLabel}`] : []),
    ...(missing(plan.dnsIp) ? [`addr add ${plan.dnsIp}/32 dev lo scope link label ${addressLabel}`] : []),
  ]
}

/** Makes the device, or makes it anew when it is another tunnel than the plan's. */
export function vxlanLines(plan: OverlayPlan, seen: Seen, options: LinkOptions): readonly string[] {
  const { vxlanDevice: device, vxlanId, vxlanPort, mtu } = options
  const link = seen.links.find(candidate => candidate.name === device)
  const same =
    link !== undefined &&
    link.kind === 'vxlan' &&
    link.data['id'] === vxlanId &&
    link.data['local'] === plan.nodeIp &&
    link.data['port'] === vxlanPort &&
    link.mac === plan.mac
  if (same) {
    return [
      ...(link.mtu === mtu ? [] : [`link set ${device} mtu ${mtu}`]),
      ...(link.up ? [] : [`link set ${device} up`]),
    ]
  }
  return [
    ...(link === undefined ? [] : [`link del ${device}`]),
    `link add ${device} address ${plan.mac} mtu ${mtu} type vxlan id ${vxlanId} local ${plan.nodeIp} dstport ${vxlanPort} nolearning`,
    `link set ${device} up`,
  ]
}

type WantedRoute = { readonly to: string; readonly words: string; readonly fits: (route: Route) => boolean }

function wantedRoutes(plan: OverlayPlan, options: LinkOptions): readonly WantedRoute[] {
  const source = plan.nodePodIp
  const list: WantedRoute[] = [
    // Without a route connect() to a service fails before nat sees a packet. The MTU keeps lo's 65536 out of it.
    {
      to: plan.serviceCidr,
      words: `${plan.serviceCidr} dev lo src ${source} mtu ${options.mtu}`,
      fits: route => route.device === 'lo' && route.source === source && route.mtu === options.mtu,
    },
    // An address of ours without a pod must not wander off to the default gateway.
    { to: plan.podCidr, words: `unreachable ${plan.podCidr}`, fits: route => route.type === 'unreachable' },
  ]
  for (const route of plan.routes) {
    const device = route.kind === 'vxlan' ? ` dev ${options.vxlanDevice} onlink` : ''
    list.push({
      to: route.podCidr,
      words: `${route.podCidr} via ${route.via}${device} src ${source}`,
      fits: seen =>
        seen.via === route.via &&
        seen.source === source &&
        (route.kind === 'vxlan') === (seen.device === options.vxlanDevice),
    })
  }
  return list
}

export function routeLines(plan: OverlayPlan, seen: Seen, options: LinkOptions): readonly string[] {
  const wanted = wantedRoutes(plan, options)
  const ours = seen.routes.filter(route => isOurs(route, options))
  const stale = ours.filter(route => !wanted.some(w => w.to === route.to))
  const missing = wanted.filter(w => !ours.some(route => route.to === w.to && w.fits(route)))
  // `replace` would take over somebody else's route of the same destination; then `add` fails, and says so.
  const verb = (to: string) => (ours.some(route => route.to === to) ? 'replace' : 'add')
  return [
    ...stale.map(route => removal(route, options)),
    ...missing.map(w => `route ${verb(w.to)} ${w.words} proto ${options.routeProtocol}`),
  ]
}

export function removal(route: Route, options: Pick<LinkOptions, 'routeProtocol'>): string {
  const type = route.type === 'unicast' ? '' : `${route.type} `
  return `route del ${type}${route.to} proto ${options.routeProtocol}`
}

/** Whom to find behind the tunnel: fixed neighbours, and where their frames are sent. */
export function neighbourLines(plan: OverlayPlan, seen: Seen, options: LinkOptions): readonly string[] {
  const device = options.vxlanDevice
  const wanted = new Map(
    plan.routes.flatMap(route => (route.kind === 'vxlan' ? [[route.via, route.mac]] : [])) as [string, string][],
  )
  const stale = seen.neighbours.filter(n => n.permanent && !wanted.has(n.ip))
  const missing = [...wanted].filter(
    ([ip, mac]) => !seen.neighbours.some(n => n.permanent && n.ip === ip && n.mac === mac),
  )
  return [
    ...stale.map(n => `neigh del ${n.ip} dev ${device}`),
    ...missing.map(([ip, mac]) => `neigh replace ${ip} lladdr ${mac} dev ${device} nud permanent`),
  ]
}

/** Lines for `bridge -batch`. */
export function forwardingLines(plan: OverlayPlan, seen: Seen, options: LinkOptions): readonly string[] {
  const device = options.vxlanDevice
  const wanted = plan.routes.flatMap(route => (route.kind === 'vxlan' ? [{ mac: route.mac, vtep: route.vtep }] : []))
  const same = (a: Forwarding) => (b: Forwarding) => a.mac === b.mac && a.vtep === b.vtep
  return [
    ...seen.forwardings.filter(f => !wanted.some(same(f))).map(f => `fdb del ${f.mac} dev ${device} dst ${f.vtep}`),
    ...wanted.filter(w => !seen.forwardings.some(same(w))).map(w => `fdb append ${w.mac} dev ${device} dst ${w.vtep}`),
  ]
}

const macPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

/** These words become command lines and come from the API: nothing but addresses may be in them. */
export function invalidWords(plan: OverlayPlan): readonly string[] {
  const cidrs = [plan.podCidr, plan.serviceCidr, plan.clusterCidr, ...plan.routes.map(route => route.podCidr)]
  const ips = [
    plan.nodePodIp,
    plan.nodeIp,
    ...(plan.dnsIp === '' ? [] : [plan.dnsIp]),
    ...plan.routes.map(route => route.via),
  ]
  const vxlan = plan.routes.flatMap(route => (route.kind === 'vxlan' ? [route] : []))
  const macs = [plan.mac, ...vxlan.map(route => route.mac)]
  return sortedBy(
    [
      ...cidrs.filter(cidr => parseCidr(cidr) === undefined),
      ...[...ips, ...vxlan.map(route => route.vtep)].filter(ip => parseCidr(`${ip}/32`) === undefined),
      ...macs.filter(mac => !macPattern.test(mac)),
    ],
    word => word,
  )
}
