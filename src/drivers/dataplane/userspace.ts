// The dataplane where the kernel is out of reach: no root, no nft, or several peers on one machine. Each service gets a
// socket on the loopback address, at its node port or at one that `address` tells. Cluster IPs work only with `bindVips`
// (root on Linux), which puts them on lo. There are no routes between nodes: pods are reached as this machine reaches them.
import type { Socket } from 'node:net'
import type { Clock } from '../../world/clock.ts'
import type { Backend, Dataplane, RouteTable, TransportProtocol } from '../../world/dataplane.ts'
import type { Log } from '../../world/log.ts'
import { type Balance, balance } from './balance.ts'
import { ipIn } from './ip.ts'
import { type Relay, relayTcp, relayUdp } from './relay.ts'

export type UserspaceOptions = {
  /** Where services listen. */
  readonly host?: string
  /** Puts cluster IPs and external IPs on lo and listens there too. Needs root on Linux. */
  readonly bindVips?: boolean
}

export type UserspaceDataplane = Dataplane & {
  /** Where a service (`ServiceRoute.id`) is reached on this machine; undefined while it has no endpoints. */
  address(serviceId: string, protocol?: TransportProtocol): { readonly ip: string; readonly port: number } | undefined
}

/** One socket that should be open. `port` 0: any. */
type Wanted = {
  readonly key: string
  readonly serviceId: string
  readonly protocol: TransportProtocol
  readonly ip: string
  readonly port: number
  readonly backends: readonly Backend[]
  readonly affinitySeconds: number | undefined
}

type Held = { readonly balance: Balance; relay: Relay | undefined; port: number; said: string }

const vipLabel = 'lo:flotillavip'

export function openUserspace(
  world: { readonly clock: Clock; readonly log: Log },
  options: UserspaceOptions = {},
): UserspaceDataplane {
  const { host = '127.0.0.1', bindVips = false } = options
  const log = world.log.with({ component: 'dataplane' })
  const now = () => world.clock.monotonicMs()
  const held = new Map<string, Held>()
  const connections = new Set<Socket>()
  let saidNoRoutes = false
  let last: Promise<unknown> = Promise.resolve()
  function alone<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work, work)
    last = result.catch(() => undefined)
    return result
  }

  function wanted(table: RouteTable): readonly Wanted[] {
    const list = new Map<string, Wanted>()
    const add = (one: Wanted) => {
      if (!list.has(one.key)) list.set(one.key, one)
    }
    for (const route of table.services) {
      const { id, protocol, affinitySeconds } = route
      const shared = { serviceId: id, protocol, affinitySeconds }
      const ofService = (port: number) => ({ ...shared, key: `${protocol} ${id}`, ip: host, port })
      // Who asks on this machine is inside: with external policy Local too, any endpoint will do.
      const outside = route.externalPolicy === 'Cluster' ? (route.externalBackends ?? route.backends) : route.backends
      if (route.nodePort !== undefined) add({ ...ofService(route.nodePort), backends: outside })
      else if (route.vips.length > 0) add({ ...ofService(0), backends: route.backends })
      if (!bindVips) continue
      const vip = (ip: string, backends: readonly Backend[]) =>
        add({ ...shared, key: `${protocol} ${ip}:${route.port}`, ip, port: route.port, backends })
      for (const ip of route.vips) vip(ip, route.backends)
      for (const ip of route.externalVips ?? []) vip(ip, outside)
    }
    for (const { protocol, hostIp, hostPort, podIp, podPort } of table.hostPorts) {
      const ip = hostIp === '' ? host : hostIp
      const backends = [{ ip: podIp, port: podPort, local: true }]
      add({
        key: `${protocol} ${ip}:${hostPort}`,
        serviceId: '',
        protocol,
        ip,
        port: hostPort,
        backends,
        affinitySeconds: undefined,
      })
    }
    return [...list.values()]
  }

  /** Without endpoints a socket is closed, so that the kernel refuses; with the first it opens again at the same port. */
  async function update(one: Wanted): Promise<void> {
    const state: Held = held.get(one.key) ?? { balance: balance(), relay: undefined, port: one.port, said: '' }
    held.set(one.key, state)
    if (one.port !== 0 && state.port !== one.port) {
      await state.relay?.close()
      state.relay = undefined
      state.port = one.port
    }
    state.balance.set(one.backends, one.affinitySeconds)
    state.relay?.changed()
    if (one.backends.length === 0) {
      await state.relay?.close()
      state.relay = undefined
      return
    }
    if (state.relay !== undefined) return
    const relay = (ip: string, port: number) =>
      one.protocol === 'tcp'
        ? relayTcp(ip, port, state.balance, now, connections)
        : relayUdp(ip, port, state.balance, now)
    try {
      state.relay = await relay(one.ip, state.port)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (one.port === 0 && state.port !== 0 && code === 'EADDRINUSE') {
        state.relay = await relay(one.ip, 0)
      } else {
        // Mostly another peer on this machine, which carries the same services: when it goes, the next apply takes over.
        if (state.said !== code)
          log.info(`${one.key} cannot listen`, { ip: one.ip, port: one.port, error: String(error) })
        state.said = code ?? ''
        return
      }
    }
    state.said = ''
    state.port = state.relay.port
  }

  /** Called before sockets bind to the addresses, and with an empty list to take them away. */
  async function placeVips(ips: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const ip = ipIn()
    const present = await ip.addresses(signal)
    const stale = present.filter(address => address.label === vipLabel && !ips.has(address.ip))
    const missing = [...ips].filter(address => !present.some(seen => seen.ip === address))
    await ip.batch(
      [
        ...stale.map(address => `addr del ${address.ip}/${address.prefix} dev lo`),
        ...missing.map(address => `addr add ${address}/32 dev lo label ${vipLabel}`),
      ],
      signal,
    )
  }

  async function close(key: string): Promise<void> {
    await held.get(key)?.relay?.close()
    held.delete(key)
  }

  return {
    name: 'userspace',
    apply: (table, signal) =>
      alone(async () => {
        const list = wanted(table)
        const keys = new Set(list.map(one => one.key))
        for (const key of [...held.keys()]) if (!keys.has(key)) await close(key)
        if (bindVips) {
          const vips = table.services.flatMap(route => [...route.vips, ...(route.externalVips ?? [])])
          await placeVips(new Set(vips), signal)
        }
        for (const one of list) {
          if (signal.aborted) return
          await update(one)
        }
      }),
    async connect() {
      if (!saidNoRoutes) log.info('no routes between nodes are made: this dataplane has sockets only')
      saidNoRoutes = true
    },
    clear: () =>
      alone(async () => {
        for (const key of [...held.keys()]) await close(key)
        for (const socket of connections) socket.destroy()
        if (bindVips) await placeVips(new Set(), new AbortController().signal)
      }),
    address(serviceId, protocol = 'tcp') {
      const state = held.get(`${protocol} ${serviceId}`)
      return state?.relay === undefined ? undefined : { ip: host, port: state.relay.port }
    },
  }
}
