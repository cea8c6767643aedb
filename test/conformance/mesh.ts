// Real libp2p networks on loopback for tests: each with its own key, stopped together.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realClock } from '../../src/drivers/clock.ts'
import { type Identity, loadIdentity } from '../../src/drivers/identity.ts'
import { realLog } from '../../src/drivers/log.ts'
import { type MeshNetwork, type NetworkConfig, openNetwork } from '../../src/drivers/network/libp2p.ts'
import { realRandom } from '../../src/drivers/random.ts'

export const clock = realClock()
export const log = realLog({ level: process.env['FLOTILLA_LOG'] === 'debug' ? 'debug' : 'error', format: 'text' })
export const random = realRandom()

export type Mesh = AsyncDisposable & {
  readonly signal: AbortSignal
  readonly folder: string
  open(name: string, config?: Partial<NetworkConfig>): Promise<MeshNetwork>
  identity(name: string): Promise<Identity>
}

/** `await using` it: everything that was opened on it stops at the end of the block. */
export function openMesh(): Mesh {
  const folder = mkdtempSync(join(tmpdir(), 'flotilla-mesh-'))
  const controller = new AbortController()
  const opened: MeshNetwork[] = []
  const identity = (name: string) => loadIdentity(join(folder, name, 'peer.key'))
  return {
    signal: controller.signal,
    folder,
    identity,
    async open(name, config = {}) {
      const { privateKey } = await identity(name)
      const network = await openNetwork(
        { clock, random, log: log.with({ peer: name }) },
        { privateKey, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false, ...config },
        controller.signal,
      )
      opened.push(network)
      return network
    },
    async [Symbol.asyncDispose]() {
      controller.abort()
      await Promise.all(opened.map(network => network.stop()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Every network admits every other. */
export function admitAll(...networks: readonly MeshNetwork[]): void {
  for (const network of networks) {
    network.admit(networks.map(other => ({ peer: other.self, addresses: other.addresses() })))
  }
}

/** Waits for something to become true; the time-out is for a slow machine, not a promise of the code. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 20_000): Promise<number> {
  const startMs = performance.now()
  while (!(await holds())) {
    if (performance.now() - startMs > ms) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  return performance.now() - startMs
}
