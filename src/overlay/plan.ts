// How this node reaches the pods of the others: a plain route where the other node is a neighbour on the same subnet, a
// VXLAN tunnel where it is further away. Pure: the same nodes and subnets give the same plan.
import type { Node } from '../api/kinds/node.ts'
import { type Cidr, contains, formatIpv4, nth, overlaps, parseCidr, parseIpv4 } from '../lib/cidr.ts'
import { sortedBy } from '../lib/sorted.ts'
import type { OverlayPlan, OverlayRoute } from '../world/dataplane.ts'

export type OverlayConfig = {
  readonly node: string
  readonly clusterCidr: string
  readonly serviceCidr: string
  readonly dnsIp: string
  /** `vxlan` for networks that look like one subnet but drop packets of addresses that they did not give out (VPCs). */
  readonly mode: 'auto' | 'vxlan'
}

export type OverlayPlanned =
  | { readonly kind: 'plan'; readonly plan: OverlayPlan; readonly skipped: readonly string[] }
  /** What this node lacks before it can take part. */
  | { readonly kind: 'wait'; readonly why: string }

const internalIp = (node: Node): number | undefined =>
  parseIpv4((node.status.addresses ?? []).find(address => address.type === 'InternalIP')?.address ?? '')

const podCidrOf = (node: Node): Cidr | undefined => parseCidr(node.spec.podCIDR ?? node.spec.podCIDRs?.[0] ?? '')

/** The tunnel's hardware address, from the node's pod address, so that nobody has to announce it (CNI's 0a:58 prefix). */
export function vtepMac(nodePodIp: number): string {
  const octets = [24, 16, 8, 0].map(shift => ((nodePodIp >>> shift) & 255).toString(16).padStart(2, '0'))
  return `0a:58:${octets.join(':')}`
}

/** `subnets`: of the interface that holds this node's own address, as `10.0.0.7/24`. */
export function planOverlay(nodes: readonly Node[], subnets: readonly string[], config: OverlayConfig): OverlayPlanned {
  const own = nodes.find(node => node.metadata.name === config.node)
  if (own === undefined) return { kind: 'wait', why: `there is no Node ${config.node} yet` }
  const ownCidr = podCidrOf(own)
  const ownIp = internalIp(own)
  const ownPodIp = ownCidr === undefined ? undefined : nth(ownCidr, 1)
  if (ownCidr === undefined || ownPodIp === undefined) return { kind: 'wait', why: 'this Node has no podCIDR yet' }
  if (ownIp === undefined) return { kind: 'wait', why: 'this Node has no InternalIP yet' }

  const links = subnets.flatMap(subnet => parseCidr(subnet) ?? []).filter(link => link.prefix < 32)
  const onLink = (ip: number) => config.mode === 'auto' && links.some(link => contains(link, ip))
  const taken: Cidr[] = [ownCidr]
  const skipped: string[] = []
  const routes: OverlayRoute[] = []
  for (const node of sortedBy(nodes, one => one.metadata.name)) {
    const name = node.metadata.name
    if (name === config.node) continue
    const podCidr = podCidrOf(node)
    const ip = internalIp(node)
    const podIp = podCidr === undefined ? undefined : nth(podCidr, 1)
    if (podCidr === undefined || podIp === undefined || ip === undefined) continue
    // Two peers of one machine, or the same block given twice: a route would take pods away from their owner.
    if (ip === ownIp) skipped.push(`${name}: has this node's own address`)
    else if (taken.some(block => overlaps(block, podCidr))) skipped.push(`${name}: its podCIDR is taken`)
    else {
      taken.push(podCidr)
      const cidr = `${formatIpv4(podCidr.base)}/${podCidr.prefix}`
      const nodeIp = formatIpv4(ip)
      if (onLink(ip)) routes.push({ kind: 'direct', podCidr: cidr, via: nodeIp })
      else routes.push({ kind: 'vxlan', podCidr: cidr, via: formatIpv4(podIp), mac: vtepMac(podIp), vtep: nodeIp })
    }
  }
  return {
    kind: 'plan',
    skipped,
    plan: {
      podCidr: `${formatIpv4(ownCidr.base)}/${ownCidr.prefix}`,
      nodePodIp: formatIpv4(ownPodIp),
      nodeIp: formatIpv4(ownIp),
      mac: vtepMac(ownPodIp),
      serviceCidr: config.serviceCidr,
      clusterCidr: config.clusterCidr,
      dnsIp: config.dnsIp,
      routes,
    },
  }
}
