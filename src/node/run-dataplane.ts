// Which dataplane routes on this machine. One network namespace has one owner: where several peers share a host, the first
// one programs the kernel for all of them.
import * as net from 'node:net'
import { openNftables, whyNotNftables } from '../drivers/dataplane/nftables.ts'
import { openUserspace } from '../drivers/dataplane/userspace.ts'
import { onAbort } from '../lib/abort.ts'
import type { Dataplane } from '../world/dataplane.ts'
import type { World } from '../world/world.ts'
import type { DataplaneChoice } from './config.ts'

export type ChosenDataplane = { readonly dataplane: Dataplane; readonly why: string }

export async function chooseDataplane(
  world: Pick<World, 'clock' | 'random' | 'log'>,
  choice: DataplaneChoice,
  signal: AbortSignal,
): Promise<ChosenDataplane> {
  if (choice === 'userspace') return { dataplane: openUserspace(world, {}), why: 'asked for' }
  const why = await whyNotNftables(signal)
  if (why === undefined && (choice === 'nftables' || (await ownsNamespace(signal)))) {
    return {
      dataplane: openNftables(world),
      why: choice === 'nftables' ? 'asked for' : 'this machine has nft, ip and root',
    }
  }
  if (choice === 'nftables') throw new Error(`--dataplane=nftables cannot work here: ${why}`)
  const reason = why ?? 'another peer of this host programs the kernel'
  return { dataplane: openUserspace(world, {}), why: reason }
}

/** Holds a name in the abstract socket space, which each network namespace has of its own; the kernel frees it with us. */
function ownsNamespace(signal: AbortSignal): Promise<boolean> {
  return new Promise(resolve => {
    const server = net.createServer(socket => socket.destroy())
    server.once('error', () => resolve(false))
    server.listen({ path: '\0flotilla-dataplane' }, () => resolve(true))
    server.unref()
    onAbort(signal, () => void server.close())
  })
}
