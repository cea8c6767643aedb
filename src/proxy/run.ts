// Keeps this node's dataplane equal to what services, slices and gossip say. Level-based: any change only says that it is
// time to compute the whole table again; at most one apply is under way, and what comes meanwhile is one more round.
import { endpointSlice } from '../api/kinds/endpointslice.ts'
import { node } from '../api/kinds/node.ts'
import { pod } from '../api/kinds/pod.ts'
import { service } from '../api/kinds/service.ts'
import type { Client } from '../client/client.ts'
import { follow } from '../client/run-follow.ts'
import { type LevelOptions, level } from '../client/run-level.ts'
import type { Gossip } from '../gossip/gossip.ts'
import type { Clock } from '../world/clock.ts'
import type { Dataplane } from '../world/dataplane.ts'
import type { Log } from '../world/log.ts'
import { routes } from './routes.ts'

export type ProxyConfig = {
  readonly node: string
  readonly clusterCidr: string
  readonly serviceCidr: string
}

/** The resync is for a firewall that somebody flushed. */
export const proxyLevel: LevelOptions = { gatherMs: 10, resyncMs: 60_000, retryMs: 500, retryMsMax: 15_000 }

/** Lives until the signal aborts. Nothing is applied before all is listed: an agent that starts must not cut off services. */
export async function runProxy(
  world: { readonly clock: Clock; readonly log: Log },
  config: ProxyConfig,
  client: Client,
  gossip: Gossip,
  dataplane: Dataplane,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = world
  const log = world.log.with({ component: 'proxy' })
  const services = follow(world, client, service, {}, {}, signal)
  const slices = follow(world, client, endpointSlice, {}, {}, signal)
  const nodes = follow(world, client, node, {}, {}, signal)
  const pods = follow(world, client, pod, { fieldSelector: `spec.nodeName=${config.node}` }, {}, signal)
  const { poke, run } = level(clock, proxyLevel)
  using _services = services.onChange(poke)
  using _slices = slices.onChange(poke)
  using _nodes = nodes.onChange(poke)
  using _pods = pods.onChange(poke)
  const followed = [services, slices, nodes, pods] as const

  async function listen(): Promise<void> {
    let heard = ''
    for await (const view of gossip.follow(signal)) {
      // Heartbeats change the view all the time; only states and endpoints change routes.
      const states = [...view.members.values()].map(({ peer, state }) => [peer, state])
      const now = JSON.stringify([states, [...view.endpoints]])
      if (now !== heard) poke()
      heard = now
    }
  }

  let applied = ''
  async function step(repair: boolean): Promise<void> {
    const table = routes({
      ...config,
      services: services.view.list(),
      slices: slices.view.list(),
      nodes: nodes.view.list(),
      pods: pods.view.list(),
      gossip: gossip.view(),
    })
    const text = JSON.stringify(table)
    if (text === applied && !repair) return
    const startedMs = clock.monotonicMs()
    await dataplane.apply(table, signal)
    const ms = Math.round(clock.monotonicMs() - startedMs)
    if (text !== applied) log.debug('routes applied', { services: table.services.length, ms })
    applied = text
  }

  async function apply(): Promise<void> {
    const listed = await Promise.allSettled(followed.map(one => one.synced))
    if (listed.some(one => one.status === 'rejected')) return
    await run(
      step,
      (error, retryMs) => log.warn('the routes are not applied', { error: String(error), retryMs }),
      signal,
    )
  }

  await Promise.all([apply(), listen(), ...followed.map(one => one.done)])
}
