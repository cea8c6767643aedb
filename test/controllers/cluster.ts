// A small cluster for tests of controllers: the API in memory, virtual time, and a stand-in for kubelets that makes bound
// pods ready and lets deleted ones go.
import { type Pod, pod } from '../../src/api/kinds/pod.ts'
import { isDeleting } from '../../src/client/objects.ts'
import type { Controller } from '../../src/controllers/controller.ts'
import { defaultControllerConfig, type Inputs } from '../../src/controllers/inputs.ts'
import { runControllers } from '../../src/controllers/run.ts'
import { rfc3339 } from '../../src/lib/duration.ts'
import { type MemoryClient, memoryClient } from '../client/memory-client.ts'
import { type VirtualWorld, virtualWorld } from '../client/virtual-world.ts'

export type Cluster = AsyncDisposable & {
  readonly world: VirtualWorld
  readonly client: MemoryClient
  readonly signal: AbortSignal
}

export function inputs(more: Partial<Inputs> = {}): Inputs {
  return {
    peerOf: () => undefined,
    apiAddresses: () => [],
    caPem: 'PEM',
    config: defaultControllerConfig,
    startedAtMs: 0,
    ...more,
  }
}

export function cluster(controllers: readonly Controller[], given: Partial<Inputs> = {}, seed = 1): Cluster {
  const world = virtualWorld(seed)
  const client = memoryClient(world)
  const stop = new AbortController()
  const running = runControllers(
    world,
    client,
    inputs({ startedAtMs: world.clock.nowMs(), ...given }),
    controllers,
    stop.signal,
  )
  return {
    world,
    client,
    signal: stop.signal,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await world.pass(0)
      await running
    },
  }
}

export function asReady(one: Pod, nowMs: number, ip = '10.42.0.9'): Pod {
  const conditions = [
    ...(one.status.conditions ?? []).filter(({ type }) => type !== 'Ready'),
    { type: 'Ready', status: 'True' as const, lastTransitionTime: rfc3339(nowMs) },
  ]
  return { ...one, status: { ...one.status, phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions } }
}

/** One round of all kubelets: deleted pods go, the others become ready unless `isBroken`. */
export function kubelets({ world, client }: Cluster, isBroken: (pod: Pod) => boolean = () => false): void {
  let last = 0
  for (const one of client.all(pod)) {
    last += 1
    if (isDeleting(one)) {
      client.change(pod, one, ({ metadata, ...rest }) => ({ ...rest, metadata: { ...metadata } }))
      continue
    }
    const isSettled = one.status.phase !== undefined && one.status.phase !== 'Pending'
    if (isSettled || isBroken(one)) continue
    client.change(pod, one, old => asReady(old, world.clock.nowMs(), `10.42.0.${last}`), 'status')
  }
}
