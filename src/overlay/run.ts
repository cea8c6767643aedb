// Follows the Nodes and keeps this node's routes and tunnels equal to the plan. Only what the plan is made of counts: the
// many status updates of a Node change nothing here.
import { networkInterfaces } from 'node:os'
import { node } from '../api/kinds/node.ts'
import type { Client } from '../client/client.ts'
import { follow } from '../client/run-follow.ts'
import { type LevelOptions, level } from '../client/run-level.ts'
import type { Clock } from '../world/clock.ts'
import type { Dataplane } from '../world/dataplane.ts'
import type { Log } from '../world/log.ts'
import { type OverlayConfig, planOverlay } from './plan.ts'

/** The resync is for a restart of the network or of Docker, which may have changed routes. */
export const overlayLevel: LevelOptions = { gatherMs: 10, resyncMs: 60_000, retryMs: 500, retryMsMax: 15_000 }

/** The subnets of this machine's interfaces, in the network namespace of this process. */
export function ownSubnets(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap(addresses =>
    (addresses ?? []).flatMap(address =>
      address.family === 'IPv4' && !address.internal && address.cidr !== null ? [address.cidr] : [],
    ),
  )
}

/** Lives until the signal aborts. */
export async function runOverlay(
  world: { readonly clock: Clock; readonly log: Log },
  config: OverlayConfig,
  client: Client,
  dataplane: Dataplane,
  signal: AbortSignal,
  subnets: () => readonly string[] = ownSubnets,
): Promise<void> {
  const log = world.log.with({ component: 'overlay' })
  const nodes = follow(world, client, node, {}, {}, signal)
  const { poke, run } = level(world.clock, overlayLevel)
  using _nodes = nodes.onChange(poke)

  let connected = ''
  let said = ''
  async function step(repair: boolean): Promise<void> {
    const planned = planOverlay(nodes.view.list(), subnets(), config)
    const text = JSON.stringify(planned)
    if (text !== said) {
      if (planned.kind === 'wait') log.info(`no pod network yet: ${planned.why}`)
      else for (const why of planned.skipped) log.warn(`no route to the pods of ${why}`)
      said = text
    }
    if (planned.kind === 'wait' || (text === connected && !repair)) return
    await dataplane.connect(planned.plan, signal)
    connected = text
  }

  async function connect(): Promise<void> {
    const [listed] = await Promise.allSettled([nodes.synced])
    if (listed.status === 'rejected') return
    await run(step, (error, retryMs) => log.warn('not all routes are set', { error: String(error), retryMs }), signal)
  }

  await Promise.all([connect(), nodes.done])
}
