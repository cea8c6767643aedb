// A RouteTable as nftables objects. Pure and synchronous. Flat maps instead of a chain per service: an address, protocol
// and port lead to a picker chain, of which there is one per endpoint *count*, and the picked index leads to an endpoint.
// So 5,000 services load in 170 ms, and a change of one endpoint touches a few elements. Only services with ClientIP
// affinity have chains of their own. The maps are diffed by nft-change.ts and carried out by nftables.ts.
import { createHash } from 'node:crypto'
import { compareText } from '../../lib/sorted.ts'
import type { Backend, RouteTable, ServiceRoute } from '../../world/dataplane.ts'

/** Element maps and sets, by name, with their type. A set has no value type. */
export const flatTypes = {
  vip: 'ipv4_addr . inet_proto . inet_service : verdict',
  nport: 'inet_proto . inet_service : verdict',
  be: 'ipv4_addr . inet_proto . inet_service . mark : ipv4_addr . inet_service',
  nbe: 'inet_proto . inet_service . mark : ipv4_addr . inet_service',
  hair: 'ipv4_addr . ipv4_addr',
  refuse: 'ipv4_addr . inet_proto . inet_service : verdict',
  nrefuse: 'inet_proto . inet_service : verdict',
  hport: 'inet_proto . inet_service : verdict',
  hbe: 'inet_proto . inet_service : ipv4_addr . inet_service',
  ahport: 'ipv4_addr . inet_proto . inet_service : verdict',
  ahbe: 'ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service',
} as const

export type FlatName = keyof typeof flatTypes
export const flatNames = Object.keys(flatTypes) as FlatName[]

export type Rendered = {
  /** The chains with hooks and the fixed ones. Another text means that the whole table has to be replaced. */
  readonly frame: string
  /** Key to value, '' for a set. */
  readonly flat: Readonly<Record<FlatName, ReadonlyMap<string, string>>>
  /** Chains made when needed: pickers by endpoint count, and those of services with affinity. */
  readonly chains: ReadonlyMap<string, readonly string[]>
  /** Sets that remember clients, by name, with how long: they outlive a replacement of the table. */
  readonly affinitySets: ReadonlyMap<string, number>
}

// The packet mark carries the picked index from one rule to the next, on a connection's first packet only, and is taken
// off before the packet is routed. Its upper half keeps it apart from marks that others use.
const markBase = 0x5f1e0000
const localBase = markBase + 0x8000
export const backendCountMax = 0x8000
// What a connection that we redirected needs on its way out. The NAT of others (Docker's published ports) has none.
const fromCluster = '0x1000'
const masquerade = '0x2000'
const keepAddress = '0x4000'
const ours = '0x7000'

const dnatByAddress = 'meta l4proto { tcp, udp } dnat ip to ip daddr . meta l4proto . th dport . meta mark map @be'
const dnatByPort = 'meta l4proto { tcp, udp } dnat ip to meta l4proto . th dport . meta mark map @nbe'
const setMark = (bit: string) => `ct mark set ct mark | ${bit}`
const pick = (count: number, base: number) => `meta mark set numgen random mod ${count} offset ${base}`

const hash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12)

type Draft = {
  readonly flat: Record<FlatName, Map<string, string>>
  readonly chains: Map<string, readonly string[]>
  readonly affinitySets: Map<string, number>
}

/** The first writer wins: two services with one external address and port must not fight over it at each change. */
function put(map: Map<string, string>, key: string, value: string): boolean {
  if (map.has(key)) return false
  map.set(key, value)
  return true
}

/** A picker for `count` endpoints whose index ends in the map `be` (by address) or `nbe` (by port). */
function picker(draft: Draft, by: 'v' | 'n', bit: string, count: number): string {
  const name = `${by}${bit === fromCluster ? 'c' : 'e'}${count}`
  const rules = [setMark(bit), pick(count, markBase), by === 'v' ? dnatByAddress : dnatByPort]
  draft.chains.set(name, rules)
  return name
}

/** External policy Local: the cluster's own traffic goes to `inside`, the rest to one of `count` endpoints here. */
function localPicker(
  draft: Draft,
  by: 'v' | 'n',
  inside: string | undefined,
  count: number,
  clusterCidr: string,
): string {
  const name = `${by}l${inside ?? 'none'}x${count}`
  const short =
    inside === undefined ? [] : [`ip saddr ${clusterCidr} goto ${inside}`, `fib saddr type local goto ${inside}`]
  const rest =
    count === 0 ? ['drop'] : [setMark(keepAddress), pick(count, localBase), by === 'v' ? dnatByAddress : dnatByPort]
  draft.chains.set(name, [...short, ...rest])
  return name
}

/**
 * ClientIP affinity: a set of clients per endpoint, whose entries are renewed by each new connection and end after the
 * service's time-out. Who is in none of them is given an endpoint by chance.
 */
function affinityChain(
  draft: Draft,
  route: ServiceRoute,
  seconds: number,
  backends: readonly Backend[],
  bit: string,
): string {
  const service = hash(`${route.id} ${route.protocol}`)
  const endpoints = backends.map(backend => {
    const key = hash(`${backend.ip}:${backend.port}`)
    const set = `a-${service}-${key}-${seconds}`
    const chain = `p-${service}-${key}-${seconds}`
    draft.affinitySets.set(set, seconds)
    draft.chains.set(chain, [
      `update @${set} { ip saddr }`,
      `meta l4proto ${route.protocol} dnat ip to ${backend.ip}:${backend.port}`,
    ])
    return { set, chain }
  })
  const name = `s-${service}-${hash(`${bit} ${endpoints.map(e => e.chain).join(' ')}`)}`
  draft.chains.set(name, [
    setMark(bit),
    ...endpoints.map(({ set, chain }) => `ip saddr @${set} goto ${chain}`),
    `numgen random mod ${endpoints.length} vmap { ${endpoints.map((e, i) => `${i} : goto ${e.chain}`).join(', ')} }`,
  ])
  return name
}

function affinityLocal(
  draft: Draft,
  route: ServiceRoute,
  seconds: number,
  inside: string | undefined,
  backends: readonly Backend[],
  clusterCidr: string,
): string {
  const rest = backends.length === 0 ? 'drop' : `goto ${affinityChain(draft, route, seconds, backends, keepAddress)}`
  const name = `l-${hash(`${route.id} ${route.protocol} ${inside} ${rest}`)}`
  const short =
    inside === undefined ? [] : [`ip saddr ${clusterCidr} goto ${inside}`, `fib saddr type local goto ${inside}`]
  draft.chains.set(name, [...short, rest])
  return name
}

/** Lets only clients of these blocks go on. */
function guardChain(draft: Draft, chain: string, ranges: readonly string[]): string {
  const name = `g-${hash(`${chain} ${ranges.join(' ')}`)}`
  draft.chains.set(name, [...ranges.map(range => `ip saddr ${range} goto ${chain}`), 'drop'])
  return name
}

const target = (backend: Backend) => `${backend.ip} . ${backend.port}`
const mark = (base: number, index: number) => `0x${(base + index).toString(16)}`

function service(draft: Draft, route: ServiceRoute, clusterCidr: string): void {
  const { flat } = draft
  const local =
    route.externalPolicy === 'Local' || (route.externalPolicy === undefined && route.externalBackends !== undefined)
  const inner = route.backends.slice(0, backendCountMax)
  const outer = (route.externalBackends ?? route.backends).slice(0, backendCountMax)
  const seconds = route.affinitySeconds
  for (const backend of [...inner, ...outer]) if (backend.local) flat.hair.set(`${backend.ip} . ${backend.ip}`, '')

  const at = (ip: string) => `${ip} . ${route.protocol} . ${route.port}`
  const fill = (map: Map<string, string>, key: string, base: number, backends: readonly Backend[]) =>
    backends.forEach((backend, index) => {
      map.set(`${key} . ${mark(base, index)}`, target(backend))
    })

  for (const ip of route.vips) {
    if (inner.length === 0) {
      put(flat.refuse, at(ip), 'goto rejected')
      continue
    }
    const chain =
      seconds === undefined
        ? picker(draft, 'v', fromCluster, inner.length)
        : affinityChain(draft, route, seconds, inner, fromCluster)
    if (put(flat.vip, at(ip), `goto ${chain}`) && seconds === undefined) fill(flat.be, at(ip), markBase, inner)
  }

  const nodePort = route.nodePort === undefined ? [] : [`${route.protocol} . ${route.nodePort}`]
  const outsides = [
    ...(route.externalVips ?? []).map(ip => ({
      by: 'v' as const,
      key: at(ip),
      verdicts: flat.vip,
      targets: flat.be,
      refuse: flat.refuse,
    })),
    ...nodePort.map(key => ({ by: 'n' as const, key, verdicts: flat.nport, targets: flat.nbe, refuse: flat.nrefuse })),
  ]
  for (const { by, key, verdicts, targets, refuse } of outsides) {
    const inside = local ? inner : outer
    if (inside.length === 0 && outer.length === 0) {
      put(refuse, key, 'goto rejected')
      continue
    }
    const clusterChain =
      inside.length === 0
        ? undefined
        : seconds === undefined
          ? picker(draft, by, masquerade, inside.length)
          : affinityChain(draft, route, seconds, inside, masquerade)
    const chain = !local
      ? clusterChain
      : seconds === undefined
        ? localPicker(draft, by, clusterChain, outer.length, clusterCidr)
        : affinityLocal(draft, route, seconds, clusterChain, outer, clusterCidr)
    const guarded =
      by === 'v' && route.sourceRanges !== undefined ? guardChain(draft, `${chain}`, route.sourceRanges) : chain
    if (!put(verdicts, key, `goto ${guarded}`) || seconds !== undefined) continue
    fill(targets, key, markBase, inside)
    if (local) fill(targets, key, localBase, outer)
  }
}

export function render(table: RouteTable): Rendered {
  const flat = Object.fromEntries(flatNames.map(name => [name, new Map<string, string>()])) as Draft['flat']
  const draft: Draft = { flat, chains: new Map(), affinitySets: new Map() }
  const ordered = table.services.toSorted((a, b) => compareText(a.id, b.id) || compareText(a.protocol, b.protocol))
  for (const route of ordered) service(draft, route, table.clusterCidr)
  for (const { protocol, hostIp, hostPort, podIp, podPort } of table.hostPorts) {
    const everywhere = hostIp === '' || hostIp === '0.0.0.0'
    const key = everywhere ? `${protocol} . ${hostPort}` : `${hostIp} . ${protocol} . ${hostPort}`
    const verdicts = everywhere ? flat.hport : flat.ahport
    if (!put(verdicts, key, `goto ${everywhere ? 'hostport' : 'ahostport'}`)) continue
    const targets = everywhere ? flat.hbe : flat.ahbe
    targets.set(key, `${podIp} . ${podPort}`)
    flat.hair.set(`${podIp} . ${podIp}`, '')
  }
  return { ...draft, frame: frame(table) }
}

function frame(table: RouteTable): string {
  // A pod's hostPort answers on 127.0.0.1 too, for which its veth needs route_localnet. What comes from the wire must
  // still not reach the node's loopback (CVE-2020-8558), neither by itself nor sent there by an endpoint of a service.
  const guard =
    table.hostPorts.length === 0
      ? ''
      : `  chain guard {
    type filter hook prerouting priority -300; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 drop
  }
`
  return `  chain rejected {
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain hostport {
    ${setMark(keepAddress)}
    meta l4proto { tcp, udp } dnat ip to meta l4proto . th dport map @hbe
  }
  chain ahostport {
    ${setMark(keepAddress)}
    meta l4proto { tcp, udp } dnat ip to ip daddr . meta l4proto . th dport map @ahbe
  }
  chain dispatch {
    ip daddr . meta l4proto . th dport vmap @vip
    fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @nport
    ip daddr . meta l4proto . th dport vmap @ahport
    fib daddr type local meta l4proto . th dport vmap @hport
  }
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
    jump dispatch
  }
  chain unmark {
    type filter hook prerouting priority -99; policy accept;
    meta mark & 0xffff0000 == ${markBase} meta mark set 0
  }
  chain output {
    type nat hook output priority -100; policy accept;
    jump dispatch
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    meta mark & 0xffff0000 == ${markBase} meta mark set 0
    ct mark & ${ours} == 0 return
    ct status dnat ct original ip saddr . ip daddr @hair masquerade fully-random
    ip saddr 127.0.0.0/8 masquerade fully-random
    ct mark & ${keepAddress} != 0 return
    ct mark & ${masquerade} != 0 masquerade fully-random
    ct original ip saddr != ${table.clusterCidr} masquerade fully-random
  }
${guard}  chain refuse_forward {
    type filter hook forward priority -10; policy accept;
    ct state new ip daddr . meta l4proto . th dport vmap @refuse
    ip daddr ${table.serviceCidr} goto rejected
  }
  chain refuse_output {
    type filter hook output priority -10; policy accept;
    ct state new ip daddr . meta l4proto . th dport vmap @refuse
    ct state new fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @nrefuse
    ip daddr ${table.serviceCidr} goto rejected
  }
  chain refuse_input {
    type filter hook input priority -10; policy accept;
    iifname != "lo" ct direction original ip daddr 127.0.0.0/8 drop
    ct state new ip daddr . meta l4proto . th dport vmap @refuse
    ct state new fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @nrefuse
  }
`
}
