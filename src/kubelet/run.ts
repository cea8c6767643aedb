// Makes what runs on this machine equal to the pods bound to it. One worker per pod: look, plan, act, tell, again.
// Everything worth remembering stands in the runtime's labels or in the API, so this may be killed at any line.
import { configMap as configMapKind } from '../api/kinds/configmap.ts'
import { node as nodeKind } from '../api/kinds/node.ts'
import { pod as podKind } from '../api/kinds/pod.ts'
import { secret as secretKind } from '../api/kinds/secret.ts'
import { service as serviceKind } from '../api/kinds/service.ts'
import type { Change } from '../client/cache.ts'
import type { Client } from '../client/client.ts'
import { follow } from '../client/run-follow.ts'
import { recorder } from '../client/run-record.ts'
import type { Gossip, LiveEndpoint } from '../gossip/gossip.ts'
import { aborted, onAbort } from '../lib/abort.ts'
import type { MeshStream } from '../world/network.ts'
import { type ContainerRuntime, type Observed, RuntimeError } from '../world/runtime.ts'
import type { World } from '../world/world.ts'
import { nextAddress } from './address.ts'
import { refusalOf } from './admission.ts'
import type { Context, KubeletConfig, Node } from './context.ts'
import type { ConfigMap, Secret } from './env.ts'
import type { Pod } from './plan.ts'
import { refersTo } from './references.ts'
import { serveStream } from './run-serve.ts'
import { measureMachine, openStats } from './run-stats.ts'
import { podFolder, removePodFolder } from './run-volume.ts'
import { openWorker, type Worker } from './run-worker.ts'

/** Without any hint, look at the runtime again after this long: a missed event costs no more. */
export const relistMs = 20_000
/** How long after a hint the runtime's list may still be behind it. */
export const settleMs = [200, 1_000]
/** Who asks for a pod before the first look at the runtime waits for that, so long. */
const firstLookMsMax = 5_000

export interface Kubelet {
  /** Serves logs, exec, attach, port-forward and statistics of another peer, or of this one by a local pipe. */
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
  const measure = () => measureMachine(config.stateDir, runtime, signal)
  const stats = openStats(world, measure, () => [...observed.values()], signal)
  const workers = new Map<string, Worker>()
  const refused = new Map<string, ReturnType<typeof refusalOf>>()
  /** Addresses that were given out and are not yet seen on a sandbox. */
  const reserved = new Map<string, string>()
  let lastAddress: string | undefined

  // One look at the runtime serves all that asked before it began.
  let looking: Promise<void> | undefined
  let next: Promise<void> | undefined
  let hasLooked = false
  const { promise: looked, resolve: firstLooked } = Promise.withResolvers<void>()
  async function look(): Promise<void> {
    const all = await runtime.observe(signal)
    observed = new Map(all.map(one => [one.uid, one]))
    hasLooked = true
    firstLooked()
    for (const [uid, { sandbox }] of observed) if (sandbox?.ip === reserved.get(uid)) reserved.delete(uid)
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
    const taken = (one: Pod) =>
      workers.has(one.metadata.uid) || observed.has(one.metadata.uid) || one.status.phase === 'Running'
    const others = pods.view.list().filter(one => one.metadata.uid !== uid && taken(one))
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
        ...(container !== undefined && { fieldPath: fieldPathOf(about, container) }),
      }),
    podOf,
    observedOf: (uid: string) => observed.get(uid),
    refusalOf: (uid: string) => refused.get(uid),
    node: (): Node | undefined => nodes.view.get(undefined, config.node.name),
    takeAddress(uid: string, podCidr: string): string | undefined {
      reserved.delete(uid)
      const seen = [...observed.values()].flatMap(one => one.sandbox?.ip ?? [])
      const address = nextAddress(podCidr, new Set([...seen, ...reserved.values()]), lastAddress)
      if (address === undefined) return undefined
      lastAddress = address
      reserved.set(uid, address)
      return address
    },
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
        for await (const _ of runtime.changed(signal)) {
          refresh().catch(failedLook)
          void lookAgain()
        }
      } catch (error) {
        failedLook(error)
      }
      await world.clock.sleep(1_000, signal)
    }
  }

  let echoes = 0
  /** A runtime may tell of a change before its list shows it (Docker's `die`): look again when it has settled. */
  async function lookAgain(): Promise<void> {
    if (echoes > 1) return
    echoes += 1
    for (const ms of settleMs) {
      await world.clock.sleep(ms, signal)
      await refresh().catch(failedLook)
    }
    echoes -= 1
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
    const retry = (isMine: (pod: Pod) => boolean) => {
      for (const worker of workers.values()) worker.retry(isMine)
    }
    const retryUsers = (kind: 'ConfigMap' | 'Secret') => (changes: readonly Change<ConfigMap | Secret>[]) => {
      const changed = changes.flatMap(({ before, after }) => (after ?? before)?.metadata ?? [])
      retry(pod =>
        changed.some(({ namespace, name }) => namespace === pod.metadata.namespace && refersTo(pod, kind, name)),
      )
    }
    using _maps = configMaps.onChange(retryUsers('ConfigMap'))
    using _secrets = secrets.onChange(retryUsers('Secret'))
    using _nodes = nodes.onChange(() => retry(() => true))
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
      if (!hasLooked) {
        using deadline = world.clock.deadline(firstLookMsMax, both)
        await Promise.race([looked, aborted(deadline.signal)])
      }
      const find = (namespace: string, name: string, uid: string) => {
        if (!hasLooked) throw new RuntimeError('Unavailable', 'the kubelet has not seen its containers yet')
        return [...observed.values()].find(
          one => one.namespace === namespace && one.name === name && (uid === '' || one.uid === uid),
        )
      }
      await serveStream(runtime, find, stats, stream, both)
    },
  }
}

function fieldPathOf({ spec }: Pod, container: string): string {
  if (spec.initContainers?.some(one => one.name === container)) return `spec.initContainers{${container}}`
  if (spec.ephemeralContainers?.some(one => one.name === container)) return `spec.ephemeralContainers{${container}}`
  return `spec.containers{${container}}`
}
