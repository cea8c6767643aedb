// Makes what runs on this machine equal to the pods bound to it. One worker per pod: look, plan, act, tell, again.
// Everything worth remembering stands in the runtime's labels or in the API, so this may be killed at any line.
import { configMap as configMapKind } from '../api/kinds/configmap.ts'
import { node as nodeKind } from '../api/kinds/node.ts'
import { pod as podKind } from '../api/kinds/pod.ts'
import { secret as secretKind } from '../api/kinds/secret.ts'
import { service as serviceKind } from '../api/kinds/service.ts'
import type { Client } from '../client/client.ts'
import { follow } from '../client/run-follow.ts'
import { recorder } from '../client/run-record.ts'
import type { Gossip, LiveEndpoint } from '../gossip/gossip.ts'
import { aborted, onAbort } from '../lib/abort.ts'
import type { MeshStream } from '../world/network.ts'
import type { ContainerRuntime, Observed } from '../world/runtime.ts'
import type { World } from '../world/world.ts'
import { type Allocatable, refusalOf } from './admission.ts'
import type { Pod } from './plan.ts'
import { serveStream } from './run-serve.ts'
import { podFolder, removePodFolder } from './run-volume.ts'
import { type Context, type Node, openWorker, type Worker } from './run-worker.ts'
import type { NodeFacts } from './spec.ts'

/** Without any hint, look at the runtime again after this long: a missed event costs no more. */
export const relistMs = 20_000

export type KubeletConfig = {
  readonly node: NodeFacts
  readonly stateDir: string
  readonly allocatable: Allocatable
}

export interface Kubelet {
  /** Serves logs, exec, attach and port-forward of another peer, or of this one by a local pipe. */
  serve(stream: MeshStream, signal: AbortSignal): Promise<void>
  /** What the runtime shows, as of the last look. */
  observed(): readonly Observed[]
  /** Resolves when all has stopped after the signal. Containers go on running. */
  readonly done: Promise<void>
}

export function openKubelet(
  world: World,
  config: KubeletConfig,
  client: Client,
  runtime: ContainerRuntime,
  gossip: Gossip,
  signal: AbortSignal,
): Kubelet {
  const log = world.log.with({ component: 'kubelet' })
  const bound = { fieldSelector: `spec.nodeName=${config.node.name}` }
  const pods = follow(world, client, podKind, bound, { uid: pod => [pod.metadata.uid] }, signal)
  const nodes = follow(world, client, nodeKind, { fieldSelector: `metadata.name=${config.node.name}` }, {}, signal)
  const configMaps = follow(world, client, configMapKind, {}, {}, signal)
  const secrets = follow(world, client, secretKind, {}, {}, signal)
  const services = follow(world, client, serviceKind, {}, {}, signal)
  const events = recorder(world, client, 'kubelet', signal, config.node.name)

  let observed: ReadonlyMap<string, Observed> = new Map()
  const workers = new Map<string, Worker>()
  const refused = new Map<string, ReturnType<typeof refusalOf>>()
  const reserved = new Map<string, string>()

  // One look at the runtime serves all that asked before it began.
  let looking: Promise<void> | undefined
  let next: Promise<void> | undefined
  async function look(): Promise<void> {
    const all = await runtime.observe(signal)
    observed = new Map(all.map(one => [one.uid, one]))
    for (const uid of observed.keys()) reserved.delete(uid)
    reconcile()
    announce()
  }
  function refresh(): Promise<void> {
    if (looking === undefined) {
      looking = look().finally(() => {
        looking = undefined
      })
      return looking
    }
    next ??= looking
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return refresh()
      })
    return next
  }

  function podOf(uid: string): Pod | undefined {
    return pods.view.by('uid', uid)[0]
  }

  /** A worker for each pod that is wanted here or found here. */
  function reconcile(): void {
    const uids = new Set([...pods.view.list().map(pod => pod.metadata.uid), ...observed.keys()])
    for (const uid of uids) {
      let worker = workers.get(uid)
      if (worker === undefined) {
        admitFirst(uid)
        worker = openWorker(context, uid)
        workers.set(uid, worker)
      }
      worker.wake()
    }
  }

  /** Judged once, when the pod is first seen and nothing of it runs yet. */
  function admitFirst(uid: string): void {
    const pod = podOf(uid)
    if (pod === undefined || observed.has(uid) || pod.status.phase === 'Running') return
    const others = pods.view.list().filter(one => one.metadata.uid !== uid && workers.has(one.metadata.uid))
    const alive = others.filter(one => one.status.phase !== 'Succeeded' && one.status.phase !== 'Failed')
    refused.set(uid, refusalOf(pod, alive, config.allocatable))
  }

  function announce(): void {
    const live = pods.view.list().flatMap((pod): LiveEndpoint[] => {
      const { uid, name, namespace = '' } = pod.metadata
      const ip = pod.spec.hostNetwork === true ? config.node.ip : observed.get(uid)?.sandbox?.ip
      const worker = workers.get(uid)
      if (ip === undefined || worker === undefined || observed.get(uid)?.sandbox?.running !== true) return []
      return [{ uid, namespace, name, ip, ready: worker.ready() && pod.metadata.deletionTimestamp === undefined }]
    })
    gossip.announce(live)
  }

  const context: Context = {
    world: { ...world, log },
    config,
    client,
    runtime,
    signal,
    refresh,
    announce,
    record: (...[about, type, reason, message, container]: Parameters<Context['record']>) =>
      events.tell({
        about,
        type,
        reason,
        message,
        ...(container !== undefined && { fieldPath: `spec.containers{${container}}` }),
      }),
    podOf,
    observedOf: (uid: string) => observed.get(uid),
    refusalOf: (uid: string) => refused.get(uid),
    node: (): Node | undefined => nodes.view.get(undefined, config.node.name),
    usedIps: () => new Set([...[...observed.values()].flatMap(one => one.sandbox?.ip ?? []), ...reserved.values()]),
    reserve: (uid: string, ip: string) => void reserved.set(uid, ip),
    reached: (revision: number, until: AbortSignal) => pods.reached(revision, until),
    configMap: (namespace: string, name: string) => configMaps.view.get(namespace, name),
    secret: (namespace: string, name: string) => secrets.view.get(namespace, name),
    services: (namespace: string) => services.view.list(namespace),
    apiService: () => services.view.get('default', 'kubernetes'),
    forget: async (uid: string) => {
      await removePodFolder(podFolder(config.stateDir, uid))
      workers.delete(uid)
      refused.delete(uid)
      reserved.delete(uid)
    },
  }

  async function hints(): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const _ of runtime.changed(signal)) refresh().catch(failedLook)
      } catch (error) {
        failedLook(error)
      }
      await world.clock.sleep(1_000, signal)
    }
  }

  function failedLook(error: unknown): void {
    if (!signal.aborted) log.warn('the container runtime cannot be read', { error: String(error) })
  }

  async function relist(): Promise<void> {
    while (!signal.aborted) {
      await refresh().catch(failedLook)
      await world.clock.sleep(relistMs, signal)
    }
  }

  async function run(): Promise<void> {
    // Before both sides are known nothing may be judged an orphan.
    await Promise.race([
      Promise.all([pods.synced, configMaps.synced, secrets.synced, services.synced, nodes.synced]),
      aborted(signal),
    ])
    if (signal.aborted) return
    using _pods = pods.onChange(() => {
      reconcile()
      announce()
    })
    // A changed reference may mean new files in a volume, or a container that can start at last.
    const wakeAll = () => {
      for (const worker of workers.values()) worker.wake()
    }
    using _maps = configMaps.onChange(wakeAll)
    using _secrets = secrets.onChange(wakeAll)
    using _nodes = nodes.onChange(wakeAll)
    await Promise.all([relist(), hints()])
    await Promise.all([...workers.values()].map(worker => worker.done))
    await events.idle()
  }

  return {
    observed: () => [...observed.values()],
    done: run().catch(error => {
      if (!signal.aborted) throw error
    }),
    async serve(stream, until) {
      const both = AbortSignal.any([signal, until])
      using _ = onAbort(both, () => stream.abort())
      const find = (namespace: string, name: string, uid: string) =>
        [...observed.values()].find(
          one => one.namespace === namespace && one.name === name && (uid === '' || one.uid === uid),
        )
      await serveStream(runtime, find, stream, both)
    },
  }
}
