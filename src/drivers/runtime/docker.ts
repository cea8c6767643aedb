// Docker as a ContainerRuntime. A pod is a pause container of our own image, which holds the namespaces, and containers
// that join it. Pods hang on a veth of our own (drivers/podnet.ts), since Docker's networks are slower and break hairpin and
// NetworkPolicy. Nothing is remembered: labels say what each container is, so a restarted agent adopts what runs.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { onAbort } from '../../lib/abort.ts'
import { compareText } from '../../lib/sorted.ts'
import type {
  Action,
  Capabilities,
  ContainerRuntime,
  ContainerSpec,
  Mount,
  Observed,
  ObservedContainer,
  SandboxSpec,
  Usage,
} from '../../world/runtime.ts'
import { RuntimeError } from '../../world/runtime.ts'
import { attachPod, detachPod } from '../podnet.ts'
import { mayLowerOomScore, removePodGroup, usageOfProcess } from './cgroup.ts'
import { hints, interfaceName, type RuntimeWorld, resolverText } from './common.ts'
import { dialPod } from './connect.ts'
import { connectDocker, type DockerApi, DockerError, type Query } from './docker-api.ts'
import { dockerImages } from './docker-images.ts'
import { better, hasAddress, type Inspected, type Listed, observedContainer, timeMs } from './docker-observe.ts'
import { containerBody, type DaemonTraits, sandboxBody } from './docker-spec.ts'
import { dockerAttach, dockerExec, dockerLogs } from './docker-streams.ts'
import { makeWritableFile } from './files.ts'
import {
  containerLabels,
  type Identity,
  identityOf,
  type Labels,
  ownerLabel,
  sandboxLabels,
  uidLabel,
} from './labels.ts'
import { helperProgram } from './pause/helper.ts'
import { pauseArchive, processor } from './pause/image.ts'

export type DockerOptions = {
  readonly socketPath: string
  /** A folder of our own, for a helper program. */
  readonly stateDir: string
  /** Cluster and node: containers with another owner are never touched. */
  readonly owner: string
  readonly mtu: number
  /** The node's own address in the pod network, undefined until it has one. */
  readonly nodePodIp: () => string | undefined
}

const answerTimeoutMs = 2_000
const infoTimeoutMs = 30_000
const reconnectMs = 250
const reconnectMsMax = 5_000

/** Undefined when no daemon answers within two seconds; why is in the log. */
export async function openDocker(
  world: RuntimeWorld,
  options: DockerOptions,
  signal: AbortSignal,
): Promise<ContainerRuntime | undefined> {
  using deadline = world.clock.deadline(answerTimeoutMs, signal)
  try {
    const api = await connectDocker(options.socketPath, deadline.signal)
    // One that answers at all gets the time that it needs: /info takes seconds on a busy small machine.
    using patience = world.clock.deadline(infoTimeoutMs, signal)
    const info = await api.json<Info>({ method: 'GET', path: '/info' }, patience.signal)
    const helper = await helperProgram(options.stateDir)
    return dockerRuntime(world, options, api, info, await traitsOf(info), helper)
  } catch (error) {
    if (signal.aborted) throw error
    const why = deadline.signal.aborted ? `no answer in ${answerTimeoutMs} ms` : (error as Error).message
    world.log.info('no Docker', { socket: options.socketPath, why })
    return undefined
  }
}

type Info = {
  readonly ServerVersion: string
  readonly CgroupDriver: string
  readonly Architecture: string
  readonly OperatingSystem: string
  readonly SecurityOptions?: readonly string[]
}

async function traitsOf(info: Info): Promise<DaemonTraits> {
  const elsewhere =
    info.OperatingSystem.includes('Docker Desktop') || (info.SecurityOptions ?? []).includes('name=rootless')
  return {
    cgroupDriver: info.CgroupDriver === 'systemd' ? 'systemd' : 'cgroupfs',
    lowersOomScore: process.getuid?.() === 0 ? await mayLowerOomScore() : true,
    podNetwork: process.platform === 'linux' && process.getuid?.() === 0 && !elsewhere,
  }
}

function dockerRuntime(
  world: RuntimeWorld,
  options: DockerOptions,
  api: DockerApi,
  info: Info,
  traits: DaemonTraits,
  helper: string | undefined,
): ContainerRuntime {
  const { owner } = options
  const images = dockerImages(api)
  const capabilities: Capabilities = {
    name: 'docker',
    version: info.ServerVersion,
    podNetwork: traits.podNetwork,
    images: true,
    limits: true,
    users: true,
    mounts: true,
  }
  /** What inspect said, while the list says the same state: each container of ours runs once, so the rest is fixed. */
  const seen = new Map<string, { readonly state: string; readonly inspected: Inspected }>()
  /** Pods whose sandbox is being made by this process: running, and not yet attached. */
  const making = new Set<string>()

  const resolverPath = (uid: string) => join(options.stateDir, 'pods', uid, 'resolv.conf')

  const list = (labels: readonly string[], signal: AbortSignal) =>
    api.json<readonly Listed[]>(
      {
        method: 'GET',
        path: '/containers/json',
        query: { all: true, filters: { label: [`${ownerLabel}=${owner}`, ...labels] } },
      },
      signal,
    )

  async function inspect(idOrName: string, signal: AbortSignal): Promise<Inspected | undefined> {
    try {
      return await api.json<Inspected>({ method: 'GET', path: `/containers/${idOrName}/json` }, signal)
    } catch (error) {
      if (error instanceof DockerError && error.status === 404) return undefined
      throw error
    }
  }

  async function inspectSeen({ Id, State }: Listed, signal: AbortSignal): Promise<Inspected | undefined> {
    const known = seen.get(Id)
    if (known !== undefined && known.state === State && State !== 'created') return known.inspected
    const inspected = await inspect(Id, signal)
    if (inspected !== undefined) seen.set(Id, { state: inspected.State.Status, inspected })
    return inspected
  }

  async function observe(signal: AbortSignal): Promise<readonly Observed[]> {
    const listed = (await list([], signal)).filter(({ State }) => State !== 'removing')
    const ids = new Set(listed.map(({ Id }) => Id))
    for (const id of seen.keys()) if (!ids.has(id)) seen.delete(id)
    const pods = new Map<string, Observed>()
    const all = await Promise.all(listed.map(async item => ({ item, found: await inspectSeen(item, signal) })))
    for (const { item, found } of all) {
      const identity = identityOf(item.Labels)
      if (found === undefined || identity === undefined) continue
      const { uid, namespace, pod: name } = identity
      const pod = pods.get(uid) ?? { uid, namespace, name, containers: [] }
      if (identity.type === 'container') {
        const imageId = await images.digestOf(found.Image, signal)
        pods.set(uid, { ...pod, containers: [...pod.containers, observedContainer(found, identity, imageId)] })
      } else {
        const sandbox = await observedSandbox(found, identity)
        if (better(sandbox, pod.sandbox)) pods.set(uid, { ...pod, sandbox })
      }
    }
    const order = (a: ObservedContainer, b: ObservedContainer) => compareText(a.name, b.name) || a.attempt - b.attempt
    return [...pods.values()].map(pod => ({ ...pod, containers: pod.containers.toSorted(order) }))
  }

  async function observedSandbox(
    found: Inspected,
    identity: Identity & { type: 'sandbox' },
  ): Promise<NonNullable<Observed['sandbox']>> {
    const { uid, attempt, annotations } = identity
    const alive = found.State.Status === 'running' || found.State.Status === 'paused'
    const { IPAddress, Networks } = found.NetworkSettings
    const bridged = found.HostConfig.NetworkMode === 'bridge' ? IPAddress || Networks?.['bridge']?.IPAddress : undefined
    const ip = identity.ip ?? bridged
    // A sandbox that a crash left without its network is no sandbox: the kubelet makes another.
    const attached = identity.ip === undefined || making.has(uid) || (await hasAddress(found.State.Pid, identity.ip))
    return {
      id: found.Id,
      attempt,
      running: alive && attached,
      createdMs: timeMs(found.Created),
      annotations,
      ...(ip === undefined || ip === '' ? {} : { ip }),
    }
  }

  async function* changed(signal: AbortSignal): AsyncGenerator<string> {
    const { add, read } = hints()
    const listening = listen(add, signal)
    yield* read(signal)
    await listening
  }

  /** Reads the daemon's events for ever. They are lost while we are not connected, so each connection begins with a list. */
  async function listen(add: (uid: string) => void, signal: AbortSignal): Promise<void> {
    let failures = 0
    while (!signal.aborted)
      try {
        const filters = {
          type: ['container'],
          label: [`${ownerLabel}=${owner}`],
          event: ['create', 'start', 'die', 'destroy', 'oom', 'pause', 'unpause'],
        }
        const stream = await api.stream({ method: 'GET', path: '/events', query: { filters } }, signal)
        using _ = onAbort(signal, () => stream.destroy())
        for (const { Labels } of await list([], signal)) {
          const uid = Labels[uidLabel]
          if (uid !== undefined) add(uid)
        }
        failures = 0
        let rest = ''
        for await (const chunk of stream) {
          const lines = (rest + (chunk as Buffer).toString()).split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) {
            const event = JSON.parse(line) as { Actor?: { Attributes?: Labels } }
            const uid = event.Actor?.Attributes?.[uidLabel]
            if (uid !== undefined) add(uid)
          }
        }
      } catch (error) {
        if (signal.aborted) return
        world.log.debug('no events from Docker', { why: (error as Error).message })
        const waitMs = Math.min(reconnectMsMax, reconnectMs * 2 ** failures++)
        await world.clock.sleep(waitMs * (0.5 + world.random.float() / 2), signal)
      }
  }

  async function create(name: string, body: object, signal: AbortSignal): Promise<string> {
    const answer = await api.json<{ Id: string }>(
      { method: 'POST', path: '/containers/create', query: { name }, body },
      signal,
    )
    return answer.Id
  }

  const start = (id: string, signal: AbortSignal) =>
    api.json<undefined>({ method: 'POST', path: `/containers/${id}/start`, also: [304] }, signal)

  async function remove(id: string, signal: AbortSignal): Promise<void> {
    try {
      await api.json({ method: 'DELETE', path: `/containers/${id}`, query: { force: true, v: true } }, signal)
    } catch (error) {
      const gone = error instanceof DockerError && (error.status === 404 || /already in progress/.test(error.message))
      if (!gone) throw error
    }
  }

  async function createSandbox(spec: SandboxSpec, signal: AbortSignal): Promise<void> {
    const nodePodIp = options.nodePodIp()
    if (spec.ip !== undefined && nodePodIp === undefined)
      throw new RuntimeError('FailedCreatePodSandBox', 'this node has no addresses for pods yet')
    making.add(spec.uid)
    try {
      // Docker gives pods in the host's network the host's resolv.conf, whatever it is told.
      if (spec.hostNetwork) {
        const path = resolverPath(spec.uid)
        await mkdir(dirname(path), { recursive: true })
        await writeFile(path, resolverText(spec.dns))
      }
      const inspected = await runningPause(spec, signal)
      if (spec.ip !== undefined && nodePodIp !== undefined && !spec.hostNetwork)
        await attachPod(
          {
            netnsPath: `/proc/${inspected.State.Pid}/ns/net`,
            ip: spec.ip,
            nodePodIp,
            mtu: options.mtu,
            name: interfaceName(spec.uid),
          },
          signal,
        )
    } catch (error) {
      throw named('FailedCreatePodSandBox', error, signal)
    } finally {
      making.delete(spec.uid)
    }
  }

  /** The pause of this attempt, adopted or made. Those of earlier attempts go, since a pod has one. */
  async function runningPause(spec: SandboxSpec, signal: AbortSignal): Promise<Inspected> {
    const name = `flotilla_POD_${spec.name}_${spec.namespace}_${spec.uid}_${spec.attempt}`
    for (const { Id, Labels } of await list([`${uidLabel}=${spec.uid}`], signal)) {
      const identity = identityOf(Labels)
      if (identity?.type === 'sandbox' && identity.attempt < spec.attempt) await remove(Id, signal)
    }
    const labels = sandboxLabels(owner, spec)
    let found = await inspect(name, signal)
    if (found !== undefined && found.Config.Labels?.[ownerLabel] !== owner)
      throw new RuntimeError('FailedCreatePodSandBox', `a container named ${name} exists and is not ours`)
    if (found?.State.Status === 'running') return found
    if (found !== undefined && (found.State.Status !== 'created' || found.State.Error !== '')) {
      await remove(found.Id, signal)
      found = undefined
    }
    const body = sandboxBody(spec, labels, traits)
    const id = found?.Id ?? (await createWithPause(name, body, signal))
    await start(id, signal)
    const running = await inspect(id, signal)
    if (running === undefined || running.State.Status !== 'running')
      throw new RuntimeError(
        'FailedCreatePodSandBox',
        `the pause container ended: ${running?.State.Error || 'no reason'}`,
      )
    return running
  }

  async function createWithPause(name: string, body: object, signal: AbortSignal): Promise<string> {
    try {
      return await create(name, body, signal)
    } catch (error) {
      if (!(error instanceof DockerError) || error.status !== 404) throw error
    }
    const kind = processor(info.Architecture)
    if (kind === undefined)
      throw new RuntimeError('FailedCreatePodSandBox', `no pause program for a daemon on ${info.Architecture}`)
    await images.load(pauseArchive(kind), signal)
    return await create(name, body, signal)
  }

  async function removeSandbox(uid: string, id: string, signal: AbortSignal): Promise<void> {
    const found = await inspect(id, signal)
    if (found !== undefined && found.Config.Labels?.[ownerLabel] !== owner)
      throw new RuntimeError('NotFound', `container ${id} is not ours`)
    await remove(id, signal)
    const identity = identityOf(found?.Config.Labels ?? {})
    if (identity === undefined) return
    const rest = (await list([`${uidLabel}=${uid}`], signal)).map(({ Labels }) => identityOf(Labels))
    // The kernel takes the pair away a moment after the namespace; the address may be wanted sooner.
    if (traits.podNetwork && identity.type === 'sandbox' && identity.ip !== undefined)
      if (!rest.some(other => other?.type === 'sandbox')) await detachPod(interfaceName(uid))
    await rm(dirname(resolverPath(uid)), { recursive: true, force: true })
    await removePodGroup(identity.cgroupParent, uid, !rest.some(other => other !== undefined))
  }

  async function startContainer(spec: ContainerSpec, sandboxId: string, signal: AbortSignal): Promise<void> {
    const name = `flotilla_${spec.name}_${spec.pod}_${spec.namespace}_${spec.uid}_${spec.attempt}`
    let id: string
    try {
      const existing = await adoptable(name, spec, sandboxId, signal)
      if (existing === 'done') return
      id = existing ?? (await createContainer(name, spec, sandboxId, signal))
    } catch (error) {
      throw named('CreateContainerError', error, signal)
    }
    try {
      await start(id, signal)
    } catch (error) {
      throw named('RunContainerError', error, signal)
    }
  }

  /** The container of this attempt: 'done' when it ran already, its id when it was made and never started. */
  async function adoptable(
    name: string,
    spec: ContainerSpec,
    sandboxId: string,
    signal: AbortSignal,
  ): Promise<string | 'done' | undefined> {
    const found = await inspect(name, signal)
    if (found === undefined) return undefined
    const labels = found.Config.Labels ?? {}
    const identity = identityOf(labels)
    if (labels[ownerLabel] !== owner || identity?.type !== 'container')
      throw new RuntimeError('CreateContainerError', `a container named ${name} exists and is not ours`)
    if (found.State.Status !== 'created') return 'done'
    if (found.State.Error !== '') throw new RuntimeError('RunContainerError', found.State.Error)
    if (identity.sandboxId === sandboxId && identity.specHash === spec.specHash) return found.Id
    await remove(found.Id, signal)
    return undefined
  }

  async function createContainer(
    name: string,
    spec: ContainerSpec,
    sandboxId: string,
    signal: AbortSignal,
  ): Promise<string> {
    const pause = await inspect(sandboxId, signal)
    const identity = identityOf(pause?.Config.Labels ?? {})
    if (pause === undefined || identity?.type !== 'sandbox' || pause.State.Status !== 'running')
      throw new RuntimeError('CreateContainerError', `the pod's sandbox ${sandboxId.slice(0, 12)} does not run`)
    if (spec.terminationMessage !== undefined) await makeWritableFile(spec.terminationMessage.source)
    const { NetworkMode, PidMode, IpcMode } = pause.HostConfig
    const sandbox = {
      id: pause.Id,
      hostNetwork: NetworkMode === 'host',
      hostPid: PidMode === 'host',
      hostIpc: IpcMode === 'host',
      sharePid: identity.sharePid,
    }
    const needsImageUser = spec.security.uid === undefined && spec.security.gid !== undefined
    const imageUser = needsImageUser ? ((await images.image(spec.image, signal))?.user ?? '') : ''
    const labels = containerLabels(owner, spec, sandboxId)
    const resolver = {
      source: resolverPath(spec.uid),
      target: '/etc/resolv.conf',
      readOnly: false,
      propagation: 'private',
    }
    const own = sandbox.hostNetwork && !spec.mounts.some(({ target }) => target === resolver.target)
    const whole = own ? { ...spec, mounts: [...spec.mounts, resolver as Mount] } : spec
    return await create(name, containerBody(whole, sandbox, labels, imageUser, traits), signal)
  }

  async function stop(id: string, graceMs: number, signal: AbortSignal): Promise<void> {
    try {
      const query: Query = { t: Math.ceil(Math.max(0, graceMs) / 1_000) }
      await api.json({ method: 'POST', path: `/containers/${id}/stop`, query, also: [304] }, signal)
    } catch (error) {
      if (!(error instanceof DockerError) || error.status !== 404) throw named('Unavailable', error, signal)
    }
  }

  async function removeContainer(id: string, signal: AbortSignal): Promise<void> {
    const identity = identityOf((await inspect(id, signal))?.Config.Labels ?? {})
    await remove(id, signal)
    if (identity !== undefined) await removePodGroup(identity.cgroupParent, identity.uid, false)
  }

  async function perform(action: Action, signal: AbortSignal): Promise<void> {
    try {
      switch (action.kind) {
        case 'pull':
          return await images.pull(action.image, action.auths, signal)
        case 'createSandbox':
          return await createSandbox(action.sandbox, signal)
        case 'removeSandbox':
          return await removeSandbox(action.uid, action.id, signal)
        case 'startContainer':
          return await startContainer(action.container, action.sandboxId, signal)
        case 'stopContainer':
          return await stop(action.id, action.graceMs, signal)
        case 'removeContainer':
          return await removeContainer(action.id, signal)
        case 'removeImage':
          return await images.remove(action.image, signal)
      }
    } catch (error) {
      throw named('Unavailable', error, signal)
    }
  }

  async function usage(signal: AbortSignal): Promise<ReadonlyMap<string, Usage>> {
    const all = new Map<string, Usage>()
    await Promise.all(
      (await list([], signal)).map(async item => {
        if (item.State !== 'running' || identityOf(item.Labels)?.type !== 'container') return
        const found = await inspectSeen(item, signal)
        const read = found === undefined ? undefined : await usageOfProcess(found.State.Pid)
        if (read !== undefined) all.set(item.Id, read)
      }),
    )
    return all
  }

  return {
    capabilities,
    observe,
    changed,
    perform,
    image: images.image,
    images: images.images,
    logs: (id, logOptions, signal) => translated(dockerLogs(api, id, logOptions, signal), signal),
    exec: (id, execOptions, stdio, signal) =>
      dockerExec(world, api, id, execOptions, stdio, signal).catch(error => {
        throw named('Unavailable', error, signal)
      }),
    attach: (id, attachOptions, stdio, signal) =>
      dockerAttach(world, api, id, attachOptions, stdio, signal).catch(error => {
        throw named('Unavailable', error, signal)
      }),
    async dial(uid, port, signal) {
      for (const item of await list([`${uidLabel}=${uid}`], signal)) {
        const identity = identityOf(item.Labels)
        if (identity?.type !== 'sandbox' || item.State !== 'running') continue
        const found = await inspect(item.Id, signal)
        if (found === undefined) continue
        if (found.HostConfig.NetworkMode === 'host') return await dialPod(world, { ips: ['127.0.0.1'], port }, signal)
        const ip = (await observedSandbox(found, identity)).ip
        return await dialPod(
          world,
          {
            port,
            ips: ip === undefined ? [] : [ip],
            ...(traits.podNetwork ? { netns: `/proc/${found.State.Pid}/ns/net` } : {}),
            ...(helper === undefined ? {} : { helper }),
          },
          signal,
        )
      }
      throw new RuntimeError('NotFound', `pod ${uid} does not run here`)
    },
    usage,
  }
}

/** Errors that are not RuntimeErrors yet get the reason of what was being done. An abort stays an abort. */
function named(reason: RuntimeError['reason'], error: unknown, signal: AbortSignal): unknown {
  if (error instanceof RuntimeError || signal.aborted) return error
  if (error instanceof DockerError && error.status === 404 && reason === 'Unavailable') reason = 'NotFound'
  return new RuntimeError(reason, (error as Error).message, { cause: error })
}

async function* translated<T>(from: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  try {
    yield* from
  } catch (error) {
    if (!signal.aborted) throw named('Unavailable', error, signal)
  }
}
