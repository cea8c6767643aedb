// Hangs a pod's network namespace on this node: a point-to-point veth, no bridge. The pod has its /32 on eth0 and reaches
// all through 169.254.1.1, which sits on the host's end of its own pair; the host has one route per pod. So hairpin,
// NetworkPolicy and rp_filter work, and nothing depends on br_netfilter. Called by the runtime drivers with root.
import { lstat, readlink } from 'node:fs/promises'
import { CommandError } from './dataplane/command.ts'
import { type Ip, ipIn, type Link } from './dataplane/ip.ts'
import { addressLabel } from './dataplane/links.ts'

export type PodAttachment = {
  /** The pod's network namespace as a file, for example /proc/<pid>/ns/net or /run/netns/<name>. */
  readonly netnsPath: string
  /** The pod's IPv4 address, without a prefix length. */
  readonly ip: string
  /** The node's own address in the pod network: the source of probes and of other traffic from the node to the pod. */
  readonly nodePodIp: string
  readonly mtu: number
  /** The host's end, unique on the node: at most 15 characters, for example `fl` and a hash of the pod's uid. */
  readonly name: string
}

/** The pod's gateway; link-local, so that it is the same on each node and never routed. */
const gateway = '169.254.1.1'
/** The alias of the host's end marks it as ours and says whose it is. */
const aliasPrefix = 'flotilla pod '
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/
const addressPattern = /^\d{1,3}(\.\d{1,3}){3}$/

/**
 * Idempotent: what already stands is left alone, what is half made (a crash in between) or leads to a former namespace
 * is made anew. Rejects when an interface of that name, or the route of that address, belongs to somebody else.
 */
export async function attachPod(options: PodAttachment, signal: AbortSignal): Promise<void> {
  const { netnsPath, ip, nodePodIp, mtu, name } = options
  // These words become lines of an `ip -batch`.
  if (!namePattern.test(name)) throw new Error(`not an interface name: ${JSON.stringify(name)}`)
  for (const address of [ip, nodePodIp])
    if (!addressPattern.test(address)) throw new Error(`not an IPv4 address: ${JSON.stringify(address)}`)
  if (!Number.isInteger(mtu) || mtu < 576 || mtu > 65_535) throw new Error(`not an MTU: ${mtu}`)
  if (/\s/.test(netnsPath)) throw new Error(`white space in the path of a network namespace: ${netnsPath}`)
  await refuseOwnNamespace(netnsPath)
  const host = ipIn()
  const pod = ipIn(netnsPath)
  const [links, routes, addresses] = await Promise.all([
    host.links(signal),
    host.routes(signal),
    host.addresses(signal),
  ])

  const other = routes.find(route => route.to === `${ip}/32` && route.device !== name)
  if (other !== undefined) {
    const holder = links.find(link => link.name === other.device)?.alias ?? ''
    const whose = holder.startsWith(aliasPrefix) ? 'another pod' : 'not ours'
    throw new Error(`the address ${ip} is already routed to ${other.device} (${whose})`)
  }
  const existing = links.find(link => link.name === name)
  if (existing !== undefined) {
    if (!existing.alias.startsWith(aliasPrefix)) throw new Error(`the interface ${name} exists and is not ours`)
    const routed = routes.some(route => route.to === `${ip}/32` && route.device === name && route.source === nodePodIp)
    if (routed && (await complete(existing, pod, options, signal))) return
    await removeLink(host, name, signal)
  }
  // The route's source must be an address of the node; the dataplane puts it there, maybe after the first pod.
  const nodeAddress = addresses.some(address => address.ip === nodePodIp)
    ? []
    : [`addr replace ${nodePodIp}/32 dev lo label ${addressLabel}`]
  try {
    await host.batch(
      [
        ...nodeAddress,
        `link add ${name} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${netnsPath}`,
        `link set dev ${name} alias "${aliasPrefix}${ip}"`,
        `link set ${name} up`,
        `addr add ${gateway}/32 dev ${name} scope link`,
        `route add ${ip}/32 dev ${name} scope link src ${nodePodIp}`,
      ],
      signal,
    )
    await pod.batch(
      [
        'link set lo up',
        `addr add ${ip}/32 dev eth0`,
        'link set eth0 up',
        `route add ${gateway}/32 dev eth0 scope link`,
        `route add default via ${gateway} dev eth0`,
      ],
      signal,
    )
  } catch (error) {
    throw new Error(`cannot attach the pod at ${netnsPath} with ${ip}: ${(error as Error).message}`, { cause: error })
  }
}

/** Takes the pair away; the routes go with it. Idempotent. Rejects when the interface is there and not ours. */
export async function detachPod(name: string): Promise<void> {
  const signal = new AbortController().signal
  const host = ipIn()
  const existing = (await host.links(signal)).find(link => link.name === name)
  if (existing === undefined) return
  if (!existing.alias.startsWith(aliasPrefix)) throw new Error(`the interface ${name} exists and is not ours`)
  await removeLink(host, name, signal)
}

/** A pod that shares the host's namespace must never be attached: its "eth0" would be the host's. */
async function refuseOwnNamespace(netnsPath: string): Promise<void> {
  const own = await readlink('/proc/self/ns/net')
  const link = await lstat(netnsPath)
  // The files in /run/netns are bind mounts, not links: they carry the namespace's inode number.
  const theirs = link.isSymbolicLink() ? await readlink(netnsPath) : `net:[${link.ino}]`
  if (own === theirs) throw new Error(`${netnsPath} is the network namespace of this agent itself`)
}

async function complete(hostEnd: Link, pod: Ip, wanted: PodAttachment, signal: AbortSignal): Promise<boolean> {
  const [links, addresses, routes] = await Promise.all([pod.links(signal), pod.addresses(signal), pod.routes(signal)])
  const podEnd = links.find(link => link.name === 'eth0')
  // The two ends name each other by index; the pair of both is enough to know that they are one veth.
  return (
    podEnd !== undefined &&
    podEnd.peerIndex === hostEnd.index &&
    hostEnd.peerIndex === podEnd.index &&
    hostEnd.up &&
    podEnd.up &&
    addresses.some(address => address.device === 'eth0' && address.ip === wanted.ip) &&
    routes.some(route => route.to === 'default' && route.via === gateway)
  )
}

async function removeLink(host: Ip, name: string, signal: AbortSignal): Promise<void> {
  try {
    await host.batch([`link del ${name}`], signal)
  } catch (error) {
    // Its namespace may have ended meanwhile and taken it along.
    if (!(error instanceof CommandError) || !/Cannot find device/.test(error.stderr)) throw error
  }
}
