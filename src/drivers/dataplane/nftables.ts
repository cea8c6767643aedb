// The dataplane of a Linux node with root: service routing as nftables maps (nft-render.ts), pod routes and VXLAN as `ip`
// shows and takes them (links.ts). It works in the network namespace of this process. All it makes carries a mark of ours,
// so that a new agent finds what a former one left, and clear() takes away that and nothing else.
import { readFile, writeFile } from 'node:fs/promises'
import { parseCidr } from '../../lib/cidr.ts'
import type { Clock } from '../../world/clock.ts'
import type { Dataplane, OverlayPlan, RouteTable } from '../../world/dataplane.ts'
import type { Log } from '../../world/log.ts'
import { CommandError, command } from './command.ts'
import { parseFlows, staleFlows, udpFronts } from './conntrack.ts'
import { ipIn, rows } from './ip.ts'
import {
  addressLabel,
  addressLines,
  type Forwarding,
  forwardingLines,
  invalidWords,
  type LinkOptions,
  neighbourLines,
  removal,
  routeLines,
  type Seen,
  vxlanLines,
} from './links.ts'
import { change, replacement } from './nft-change.ts'
import { type Rendered, render } from './nft-render.ts'

export type NftablesOptions = Omit<LinkOptions, 'mtu'> & {
  /** Of the tunnel and of what the node sends to services; by default what `podMtu` finds. */
  readonly mtu?: number
  /** Name of the nftables table; a second one, `<table>_pods`, masquerades pod traffic that leaves the cluster. */
  readonly table: string
}

export const nftablesDefaults: NftablesOptions = {
  table: 'flotilla',
  vxlanDevice: 'flotilla.1',
  vxlanPort: 8472,
  // Not 1, so that flannel or k3s on the same machine keeps its own tunnel on the same port.
  vxlanId: 4242,
  routeProtocol: 157,
}

/** What VXLAN over IPv4 adds to each packet. */
const vxlanBytes = 50
const podMtuMin = 576
const podMtuMax = 8_950
const podMtuDefault = 1_450

/** The largest packet that a pod may send, so that it fits into a tunnel over the interface that has the node's address. */
export async function podMtu(nodeIp: string, signal: AbortSignal): Promise<number> {
  const ip = ipIn()
  const [links, addresses] = await Promise.all([ip.links(signal), ip.addresses(signal)])
  const device = addresses.find(address => address.ip === nodeIp)?.device
  const link = device === 'lo' ? undefined : links.find(candidate => candidate.name === device)
  if (link === undefined) return podMtuDefault
  return Math.min(podMtuMax, Math.max(podMtuMin, link.mtu - vxlanBytes))
}

/** Deleting one flow is one process; beyond this many all flows of UDP are forgotten, which costs nobody more than a lookup. */
const flowDeletionsMax = 64

/** Why this machine cannot carry an nftables dataplane, or undefined when it can. */
export async function whyNotNftables(signal: AbortSignal): Promise<string | undefined> {
  if (process.platform !== 'linux') return `nftables needs Linux, this is ${process.platform}`
  try {
    await command('ip', ['-V'], { signal })
    // Lists nothing of others, but needs the same rights and kernel support as a change.
    await command('nft', ['-c', '-f', '-'], { stdin: 'table ip flotilla_probe { }\n', signal })
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

export function openNftables(
  world: { readonly clock: Clock; readonly log: Log },
  options: Partial<NftablesOptions> = {},
): Dataplane {
  const settings: NftablesOptions = { ...nftablesDefaults, ...options }
  const log = world.log.with({ component: 'dataplane' })
  const { table } = settings
  const ip = ipIn()
  // What the kernel has, as far as we know: undefined after an error or before the first table.
  let held: Rendered | undefined
  let applied: RouteTable | undefined
  let openedLoopbacks: readonly string[] = []
  const warned = new Set<string>()
  const warnOnce = (message: string) => {
    if (!warned.has(message)) log.warn(message)
    warned.add(message)
  }

  // nft transactions and `ip` reads must not interleave: one at a time, in the order of the calls.
  let last: Promise<unknown> = Promise.resolve()
  function alone<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work, work)
    last = result.catch(() => undefined)
    return result
  }

  const nft = (text: string, signal: AbortSignal) => command('nft', ['-f', '-'], { stdin: text, signal })

  /** The clients that sets of affinity hold, as nft shows them and takes them again: `10.42.1.9 expires 9m58s992ms`. */
  async function rememberedClients(signal: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>> {
    const clients = new Map<string, readonly string[]>()
    if (!(await stillThere(signal))) return clients
    try {
      const sets = await command('nft', ['list', 'sets', 'table', 'ip', table], { signal })
      for (const [, name = '', body = ''] of sets.matchAll(/\bset (a-[0-9a-f-]+) \{([\s\S]*?)\n\t\}/g)) {
        const elements = /elements = \{([^}]*)\}/.exec(body)?.[1]?.split(',') ?? []
        clients.set(
          name,
          elements.map(entry => entry.trim().replace(/\s+/g, ' ')),
        )
      }
    } catch (error) {
      // It costs clients their endpoint, not the service.
      log.warn('session affinity is forgotten', { error: String(error) })
    }
    return clients
  }

  async function replace(wanted: Rendered, signal: AbortSignal): Promise<void> {
    held = undefined
    const clients = wanted.affinitySets.size === 0 ? new Map<string, []>() : await rememberedClients(signal)
    await nft(replacement(table, wanted, clients), signal)
    held = wanted
  }

  /**
   * Somebody may have flushed the ruleset: a firewall's restart does. Checking whether the table could be created is the
   * one question that does not make nft read all elements first (20 ms instead of 400 with 5,000 services).
   */
  async function stillThere(signal: AbortSignal): Promise<boolean> {
    try {
      await command('nft', ['-c', '-f', '-'], { stdin: `create table ip ${table}\n`, signal })
      return false
    } catch (error) {
      if (error instanceof CommandError && /File exists/.test(error.stderr)) return true
      throw error
    }
  }

  async function applyRules(wanted: Rendered, signal: AbortSignal): Promise<void> {
    if (held === undefined) return await replace(wanted, signal)
    const step = change(table, held, wanted)
    if (step.kind === 'replace') return await replace(wanted, signal)
    if (step.kind === 'none') {
      if (await stillThere(signal)) return
      log.warn('the nftables table was gone, it is made anew')
      return await replace(wanted, signal)
    }
    try {
      await nft(step.text, signal)
      held = step.held
    } catch (error) {
      if (signal.aborted) {
        held = undefined
        throw error
      }
      log.warn('a change of the nftables table failed, it is replaced', { error: String(error) })
      await replace(wanted, signal)
    }
  }

  /** A pod's hostPort on 127.0.0.1 leaves the node's loopback through the pod's veth, which the kernel forbids at first. */
  async function openLoopback(hostPorts: RouteTable['hostPorts'], signal: AbortSignal): Promise<void> {
    const podIps = new Set(hostPorts.map(port => `${port.podIp}/32`))
    const routes = podIps.size === 0 ? [] : await ip.routes(signal)
    const devices = routes.filter(route => podIps.has(route.to) && route.device !== '').map(route => route.device)
    const closing = openedLoopbacks.filter(device => !devices.includes(device))
    openedLoopbacks = devices
    for (const device of closing) await setLoopback(device, '0')
    for (const device of devices) await setLoopback(device, '1')
  }

  async function setLoopback(device: string, value: '0' | '1'): Promise<void> {
    try {
      await setSysctl(`net/ipv4/conf/${device}/route_localnet`, value)
    } catch (error) {
      // The pod may have gone, and its veth with it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        warnOnce(`host ports do not answer on 127.0.0.1: ${String(error)}`)
    }
  }

  async function forgetFlows(before: RouteTable | undefined, after: RouteTable, signal: AbortSignal): Promise<void> {
    const [old, now] = [udpFronts(before), udpFronts(after)]
    if (old.size === 0 && now.size === 0) return
    if (before !== undefined && describeFronts(old) === describeFronts(now)) return
    try {
      const flows = parseFlows(await command('conntrack', ['-L', '-p', 'udp'], { signal }))
      const stale = staleFlows(flows, old, now)
      if (stale.length > flowDeletionsMax) {
        await command('conntrack', ['-D', '-p', 'udp'], { signal }).catch(ignoreNoFlow)
        return
      }
      for (const flow of stale) {
        const words = ['-D', '-p', 'udp', '--orig-src', flow.source, '--orig-dst', flow.destination]
        const ports = ['--sport', String(flow.sourcePort), '--dport', String(flow.destinationPort)]
        await command('conntrack', [...words, ...ports], { signal }).catch(ignoreNoFlow)
      }
    } catch (error) {
      if (!(error instanceof CommandError && error.missing)) throw error
      warnOnce('conntrack is not installed: UDP clients may keep an endpoint that is gone for up to two minutes')
    }
  }

  async function see(signal: AbortSignal): Promise<Seen> {
    const [links, addresses, routes] = await Promise.all([ip.links(signal), ip.addresses(signal), ip.routes(signal)])
    const device = settings.vxlanDevice
    if (!links.some(link => link.name === device)) return { links, addresses, routes, neighbours: [], forwardings: [] }
    const [neighbours, fdb] = await Promise.all([
      ip.neighbours(device, signal),
      command('bridge', ['-j', 'fdb', 'show', 'dev', device], { signal }),
    ])
    const forwardings = rows(fdb).flatMap((row): Forwarding[] =>
      typeof row['mac'] === 'string' && typeof row['dst'] === 'string' ? [{ mac: row['mac'], vtep: row['dst'] }] : [],
    )
    return { links, addresses, routes, neighbours, forwardings }
  }

  async function connectNow(plan: OverlayPlan, signal: AbortSignal): Promise<void> {
    const invalid = invalidWords(plan)
    if (invalid.length > 0) throw new Error(`the overlay plan has words that are no addresses: ${invalid.join(', ')}`)
    if ((await readFile('/proc/sys/net/ipv4/ip_forward', 'utf8')).trim() !== '1')
      await setSysctl('net/ipv4/ip_forward', '1')
    const links: LinkOptions = { ...settings, mtu: settings.mtu ?? (await podMtu(plan.nodeIp, signal)) }
    let seen = await see(signal)
    await ip.batch(addressLines(plan, seen), signal)
    const tunnel = vxlanLines(plan, seen, links)
    if (tunnel.length > 0) {
      try {
        await ip.batch(tunnel, signal)
      } catch (error) {
        // A peer may send to us by VXLAN although we reach it directly; without such a peer the device is not needed.
        if (plan.routes.some(route => route.kind === 'vxlan') || signal.aborted) throw error
        warnOnce(`no VXLAN device: ${String(error)}`)
      }
      // A new device has lost the routes and neighbours that the old one had.
      seen = await see(signal)
    }
    await masqueradePods(plan, signal)
    await acceptForwarded(plan.clusterCidr, signal)
    const bridge = forwardingLines(plan, seen, links)
    if (bridge.length > 0)
      await command('bridge', ['-force', '-batch', '-'], { stdin: `${bridge.join('\n')}\n`, signal })
    await ip.batchAll([...neighbourLines(plan, seen, links), ...routeLines(plan, seen, links)], signal)
  }

  /** Pods reach what is outside of the cluster under the node's address: nobody out there has a route to them. */
  async function masqueradePods(plan: OverlayPlan, signal: AbortSignal): Promise<void> {
    const name = `${table}_pods`
    const text = `table ip ${name}
delete table ip ${name}
table ip ${name} {
  chain postrouting {
    type nat hook postrouting priority 101; policy accept;
    ip saddr ${plan.podCidr} ip daddr != { ${plan.clusterCidr}, 224.0.0.0/4 } masquerade fully-random
  }
}
`
    await nft(text, signal)
  }

  /** Docker sets the policy DROP on FORWARD; no accept in a table of our own can overrule that, only one in the same. */
  async function acceptForwarded(clusterCidr: string, signal: AbortSignal): Promise<void> {
    const rules = await forwardRules(signal)
    if (rules === undefined) return
    const wanted = [acceptRule('-s', clusterCidr), acceptRule('-d', clusterCidr)]
    const ours = rules.filter(rule => rule.includes(ruleComment))
    for (const rule of ours)
      if (!wanted.some(words => rule.includes(` ${words[0]} ${words[1]} `)))
        await iptables(['-D', ...rule.split(' ').slice(1)], signal)
    if (!rules.some(rule => /^-P FORWARD DROP/.test(rule))) return
    for (const words of wanted) {
      const present = await iptables(['-C', 'FORWARD', ...words], signal).then(
        () => true,
        (error: unknown) => {
          if (error instanceof CommandError && error.code === 1) return false
          throw error
        },
      )
      if (!present) await iptables(['-I', 'FORWARD', ...words], signal)
    }
  }

  const ruleComment = `${table}:pods`
  const acceptRule = (flag: '-s' | '-d', cidr: string): readonly string[] => {
    const block = parseCidr(cidr)
    if (block === undefined) throw new Error(`not a CIDR block: ${cidr}`)
    return [flag, cidr, '-m', 'comment', '--comment', ruleComment, '-j', 'ACCEPT']
  }
  const iptables = (args: readonly string[], signal: AbortSignal) =>
    command('iptables', ['-w', '10', ...args], { signal })

  async function forwardRules(signal: AbortSignal): Promise<readonly string[] | undefined> {
    try {
      return (await iptables(['-S', 'FORWARD'], signal)).split('\n').map(line => line.replaceAll('"', ''))
    } catch (error) {
      if (!(error instanceof CommandError) || signal.aborted) throw error
      // Without the program, or without its table in the kernel, there is no policy of its making that could drop pods.
      if (!error.missing) warnOnce(`the FORWARD policy is not known: ${error.message}`)
      return undefined
    }
  }

  async function clearNow(): Promise<void> {
    const signal = new AbortController().signal
    held = undefined
    applied = undefined
    for (const name of [table, `${table}_pods`]) await nft(`table ip ${name}\ndelete table ip ${name}\n`, signal)
    for (const device of openedLoopbacks) await setLoopback(device, '0')
    openedLoopbacks = []
    const { links, addresses, routes } = await see(signal)
    const ours = routes.filter(route => route.protocol === String(settings.routeProtocol))
    await ip.batch(
      [
        ...ours.map(route => removal(route, settings)),
        ...links.filter(link => link.name === settings.vxlanDevice).map(link => `link del ${link.name}`),
        ...addresses.filter(a => a.label === addressLabel).map(a => `addr del ${a.ip}/${a.prefix} dev ${a.device}`),
      ],
      signal,
    )
    for (const rule of (await forwardRules(signal)) ?? [])
      if (rule.includes(ruleComment)) await iptables(['-D', ...rule.split(' ').slice(1)], signal)
  }

  return {
    name: 'nftables',
    apply: (next, signal) =>
      alone(async () => {
        await applyRules(render(next), signal)
        await openLoopback(next.hostPorts, signal)
        await forgetFlows(applied, next, signal)
        applied = next
      }),
    connect: (plan, signal) => alone(() => connectNow(plan, signal)),
    clear: () => alone(clearNow),
  }
}

const setSysctl = (name: string, value: string) => writeFile(`/proc/sys/${name}`, value)

/** conntrack -D exits with 1 when there was nothing to delete: the flow has ended by itself. */
function ignoreNoFlow(error: unknown): void {
  if (!(error instanceof CommandError) || error.code !== 1) throw error
}

function describeFronts(fronts: ReadonlyMap<string, ReadonlySet<string>>): string {
  return [...fronts]
    .map(([front, targets]) => `${front} ${[...targets].sort().join(' ')}`)
    .sort()
    .join('\n')
}
