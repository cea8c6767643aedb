// One pod's worker: carries out its plan, asks its probes and writes its status. plan.ts and status.ts decide.
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { ApiError } from '../api/error.ts'
import type { ObjectOf } from '../api/kind.ts'
import type { node as nodeKind } from '../api/kinds/node.ts'
import { pod as podKind } from '../api/kinds/pod.ts'
import { serviceAccount as serviceAccountKind } from '../api/kinds/serviceaccount.ts'
import type { LifecycleHandler } from '../api/types/container.ts'
import type { Client } from '../client/client.ts'
import { text } from '../lib/bytes.ts'
import { sameJson } from '../lib/canonical.ts'
import { parseRfc3339 } from '../lib/duration.ts'
import { type ContainerRuntime, type Observed, RuntimeError } from '../world/runtime.ts'
import type { World } from '../world/world.ts'
import { nextAddress } from './address.ts'
import type { Refusal } from './admission.ts'
import { ConfigError, type ConfigMap, type References, type Secret, type Service } from './env.ts'
import { historyOf } from './history.ts'
import { type Pod, plan, type Step } from './plan.ts'
import { verdictsOf } from './probes.ts'
import type { KubeletConfig } from './run.ts'
import { ask, openProber } from './run-probe.ts'
import { podFolder, resolveSubPath, writeVolume } from './run-volume.ts'
import { containerSpecOf, hostsFileOf, sandboxOf } from './spec.ts'
import { statusOf } from './status.ts'
import { volumesOf } from './volume.ts'

export type Node = ObjectOf<typeof nodeKind>

export const pullBackoffMs = 10_000
export const pullBackoffMsMax = 300_000
export const configRetryMs = 5_000
export const messageBytesMax = 4_096

export type Context = {
  readonly world: World
  readonly config: KubeletConfig
  readonly client: Client
  readonly runtime: ContainerRuntime
  readonly signal: AbortSignal
  record(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string, container?: string): void
  refresh(): Promise<void>
  announce(): void
  podOf(uid: string): Pod | undefined
  observedOf(uid: string): Observed | undefined
  refusalOf(uid: string): Refusal | undefined
  node(): Node | undefined
  usedIps(): ReadonlySet<string>
  reserve(uid: string, ip: string): void
  reached(revision: number, until: AbortSignal): Promise<void>
  configMap(namespace: string, name: string): ConfigMap | undefined
  secret(namespace: string, name: string): Secret | undefined
  services(namespace: string): readonly Service[]
  apiService(): Service | undefined
  forget(uid: string): Promise<void>
}

export interface Worker {
  wake(): void
  /** All of the pod's containers are ready. */
  ready(): boolean
  readonly done: Promise<void>
}

type Waiting = { readonly reason: string; readonly message: string }
type Token = { readonly text: string; readonly renewAtMs: number }

// Addresses are handed out in a circle over all pods of this process.
let lastAddress: string | undefined

export function openWorker(context: Context, uid: string): Worker {
  const { world, config, client, runtime, signal } = context
  const folder = podFolder(config.stateDir, uid)
  const ended = new AbortController()
  const stopping = AbortSignal.any([signal, ended.signal])
  const waiting = new Map<string, Waiting>()
  const retryAtMs = new Map<string, number>()
  const pullBackoff = new Map<string, number>()
  const messages = new Map<string, string>()
  const inFlight = new Map<string, { readonly endsByMs: number }>()
  const tokens = new Map<string, Token>()
  let lastPod: Pod | undefined
  let dirty = true
  let bell: (() => void) | undefined

  function wake(): void {
    dirty = true
    bell?.()
  }

  const prober = openProber(
    world,
    runtime,
    hostOf,
    {
      failed: (pod, one, output) => {
        const kind = one.kind.charAt(0).toUpperCase() + one.kind.slice(1)
        context.record(pod, 'Warning', 'Unhealthy', `${kind} probe failed: ${output}`, one.container.name)
      },
      changed: () => {
        wake()
        context.announce()
      },
    },
    stopping,
  )

  async function run(): Promise<void> {
    let failures = 0
    while (!stopping.aborted) {
      dirty = false
      let againAtMs: number | undefined
      try {
        againAtMs = await turn()
        failures = 0
      } catch (error) {
        if (stopping.aborted) break
        failures += 1
        againAtMs = world.clock.nowMs() + Math.min(500 * 2 ** failures, 30_000)
        world.log.warn('a pod could not be brought forward', { uid, pod: lastPod?.metadata.name, error: String(error) })
      }
      if (dirty || stopping.aborted) continue
      await rest(againAtMs)
    }
  }

  async function rest(againAtMs: number | undefined): Promise<void> {
    const timer = new AbortController()
    const woken = new Promise<void>(resolve => {
      bell = resolve
    })
    const forMs = againAtMs === undefined ? 60_000 : Math.max(againAtMs - world.clock.nowMs(), 10)
    await Promise.race([woken, world.clock.sleep(forMs, AbortSignal.any([stopping, timer.signal]))])
    timer.abort()
    bell = undefined
  }

  /** One look, plan, act. Gives when to come again. */
  async function turn(): Promise<number | undefined> {
    const pod = context.podOf(uid)
    const observed = context.observedOf(uid)
    lastPod = pod ?? lastPod
    const nowMs = world.clock.nowMs()
    const verdicts = pod === undefined ? emptyVerdicts : verdictsOf(pod, observed, prober.answers)
    const planned = plan(pod, observed, { ...verdicts, refused: context.refusalOf(uid) }, nowMs)
    if (pod !== undefined) {
      prober.tend(pod, observed)
      await readMessages(pod, observed)
      if (pod.metadata.deletionTimestamp === undefined && observed?.sandbox?.running === true) {
        await refreshVolumes(pod)
      }
    }
    for (const step of planned.steps) begin(step, pod)
    if (pod !== undefined) await tell(pod, planned.ended)
    const times = [planned.againAtMs, ...retryAtMs.values(), ...[...tokens.values()].map(token => token.renewAtMs)]
    const future = times.filter(at => at !== undefined && at > nowMs)
    return future.length === 0 ? undefined : Math.min(...future.filter(at => at !== undefined))
  }

  /** Steps run side by side, each once; a stop may be hurried by a later one with an earlier end. */
  function begin(step: Step, pod: Pod | undefined): void {
    const key = keyOf(step)
    const nowMs = world.clock.nowMs()
    const running = inFlight.get(key)
    const endsByMs = step.kind === 'stop' ? nowMs + step.graceMs : Number.POSITIVE_INFINITY
    if (running !== undefined && (step.kind !== 'stop' || endsByMs > running.endsByMs - 500)) return
    const retryAt = retryAtMs.get(key)
    if (retryAt !== undefined && retryAt > nowMs) return
    const mark = { endsByMs }
    inFlight.set(key, mark)
    perform(step, pod)
      .then(() => void retryAtMs.delete(key))
      .catch(error => {
        if (!signal.aborted) failed(step, key, pod, error)
      })
      .then(() => context.refresh())
      .catch(error => {
        if (!signal.aborted) world.log.warn('the container runtime cannot be read', { error: String(error) })
      })
      .finally(() => {
        if (inFlight.get(key) === mark) inFlight.delete(key)
        wake()
      })
  }

  function failed(step: Step, key: string, pod: Pod | undefined, error: unknown): void {
    const nowMs = world.clock.nowMs()
    const message = error instanceof Error ? error.message : String(error)
    const name = step.kind === 'start' ? step.container.name : undefined
    const reason =
      error instanceof RuntimeError
        ? error.reason
        : error instanceof ConfigError
          ? 'CreateContainerConfigError'
          : 'RunContainerError'
    if (reason === 'ErrImagePull') {
      const before = pullBackoff.get(key)
      const waitMs = before === undefined ? pullBackoffMs : Math.min(before * 2, pullBackoffMsMax)
      pullBackoff.set(key, waitMs)
      retryAtMs.set(key, nowMs + waitMs)
      if (name !== undefined) waiting.set(name, { reason: before === undefined ? reason : 'ImagePullBackOff', message })
    } else {
      retryAtMs.set(key, nowMs + configRetryMs)
      if (name !== undefined) waiting.set(name, { reason, message })
    }
    world.log.info('a step for a pod failed', { uid, pod: pod?.metadata.name, step: key, reason, message })
    if (pod === undefined) return
    const eventReason =
      reason === 'FailedCreatePodSandBox' ? reason : step.kind === 'createSandbox' ? 'FailedCreatePodSandBox' : 'Failed'
    context.record(pod, 'Warning', eventReason, step.kind === 'start' ? `Error: ${message}` : message, name)
  }

  async function perform(step: Step, pod: Pod | undefined): Promise<void> {
    switch (step.kind) {
      case 'createSandbox':
        if (pod !== undefined) await createSandbox(pod, step.attempt)
        return
      case 'start':
        if (pod !== undefined) await start(pod, step)
        return
      case 'stop':
        return await stop(pod, step)
      case 'remove':
        return await runtime.perform({ kind: 'removeContainer', id: step.id }, signal)
      case 'removeSandbox':
        return await runtime.perform({ kind: 'removeSandbox', uid, id: step.id }, signal)
      case 'forget':
        return await forget(pod)
    }
  }

  async function createSandbox(pod: Pod, attempt: number): Promise<void> {
    await writeVolumes(pod, undefined)
    let ip: string | undefined
    const podCidr = context.node()?.spec.podCIDR
    if (givesAddresses(podCidr) && pod.spec.hostNetwork !== true) {
      if (podCidr === undefined) throw new RuntimeError('FailedCreatePodSandBox', 'this node has no pod CIDR yet')
      ip = nextAddress(podCidr, context.usedIps(), lastAddress)
      if (ip === undefined) throw new RuntimeError('FailedCreatePodSandBox', `no address is free in ${podCidr}`)
      lastAddress = ip
      context.reserve(uid, ip)
    }
    const sandbox = sandboxOf(pod, config.node, attempt, ip)
    await runtime.perform({ kind: 'createSandbox', sandbox }, signal)
  }

  function referencesOf(pod: Pod): References {
    const namespace = pod.metadata.namespace ?? 'default'
    return {
      configMap: name => context.configMap(namespace, name),
      secret: name => context.secret(namespace, name),
      services: context.services(namespace),
      apiService: context.apiService(),
      nodeName: config.node.name,
      nodeIp: config.node.ip,
      podIp:
        pod.spec.hostNetwork === true
          ? config.node.ip
          : (context.observedOf(uid)?.sandbox?.ip ?? addressWithoutNetwork()),
      allocatable: config.allocatable,
      decode: base64 => Buffer.from(base64, 'base64').toString('utf8'),
    }
  }

  /** Without a pod network, pods on a loopback range still have addresses of their own, if they bind to them. */
  function givesAddresses(podCidr: string | undefined): boolean {
    return runtime.capabilities.podNetwork || podCidr?.startsWith('127.') === true
  }

  function addressWithoutNetwork(): string | undefined {
    return givesAddresses(context.node()?.spec.podCIDR) ? undefined : config.node.ip
  }

  /** Makes every volume there; gives where each lies. `only` limits it to those that may have changed. */
  async function writeVolumes(pod: Pod, only: 'files' | undefined): Promise<Map<string, string>> {
    await fetchTokens(pod)
    const planned = volumesOf(pod, referencesOf(pod), (audience, seconds) => tokens.get(`${audience}/${seconds}`)?.text)
    const at = new Map<string, string>()
    for (const volume of planned) {
      if (only !== undefined && volume.kind !== only) continue
      at.set(volume.name, await writeVolume(folder, volume, pod.spec.securityContext.fsGroup))
    }
    return at
  }

  async function refreshVolumes(pod: Pod): Promise<void> {
    try {
      await writeVolumes(pod, 'files')
    } catch (error) {
      // What is mounted stays as it is; the pod runs on with the last good files.
      if (!(error instanceof ConfigError || error instanceof ApiError)) throw error
      context.record(pod, 'Warning', 'FailedMount', error.message)
    }
  }

  async function fetchTokens(pod: Pod): Promise<void> {
    const nowMs = world.clock.nowMs()
    for (const source of (pod.spec.volumes ?? []).flatMap(volume => volume.projected?.sources ?? [])) {
      const wish = source.serviceAccountToken
      if (wish === undefined) continue
      const key = `${wish.audience ?? ''}/${wish.expirationSeconds}`
      const held = tokens.get(key)
      if (held !== undefined && held.renewAtMs > nowMs) continue
      const request = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {
          audiences: wish.audience === undefined || wish.audience === '' ? [] : [wish.audience],
          expirationSeconds: wish.expirationSeconds,
          boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: pod.metadata.name, uid },
        },
      }
      const account = { namespace: pod.metadata.namespace ?? 'default', name: pod.spec.serviceAccountName ?? 'default' }
      using deadline = world.clock.deadline(10_000, stopping)
      const issued = await client.post(serviceAccountKind, account, 'token', request, deadline.signal)
      const { status } = issued as { status?: { token?: string; expirationTimestamp?: string } }
      if (status?.token === undefined) throw new ConfigError('the API issued no service account token')
      const expiresMs = parseRfc3339(status.expirationTimestamp ?? '')
      const lifeMs = expiresMs === undefined ? wish.expirationSeconds * 1_000 : expiresMs - nowMs
      tokens.set(key, { text: status.token, renewAtMs: nowMs + lifeMs * 0.8 })
    }
  }

  async function start(pod: Pod, step: Extract<Step, { kind: 'start' }>): Promise<void> {
    const { container } = step
    const at = await writeVolumes(pod, undefined)
    const image = await pull(pod, container.name, container.image ?? '', container.imagePullPolicy)
    const place = path.join(folder, 'containers', container.name)
    await fs.mkdir(place, { recursive: true })
    const references = referencesOf(pod)
    const subPaths = new Map<string, string>()
    for (const mount of container.volumeMounts ?? []) {
      const whole = at.get(mount.name)
      const sub = mount.subPath ?? ''
      if (whole !== undefined && sub !== '') subPaths.set(`${whole}\n${sub}`, await resolveSubPath(whole, sub))
    }
    const observed = context.observedOf(uid)
    const spec = containerSpecOf(pod, container, config.node, {
      type: step.type,
      attempt: step.attempt,
      backoffMs: step.backoffMs,
      specHash: step.specHash,
      sandboxId: step.sandboxId,
      sandboxAttempt: observed?.sandbox?.attempt ?? 0,
      references,
      source: volume => at.get(volume),
      subPath: (source, sub) => {
        const resolved = subPaths.get(`${source}\n${sub}`)
        if (resolved === undefined) throw new ConfigError(`subPathExpr is not supported with variables in "${sub}"`)
        return resolved
      },
      hostsFile: await hostsFile(pod, references.podIp),
      terminationFile: await terminationFile(place, step.attempt),
      imageUser: image.user,
    })
    await runtime.perform({ kind: 'startContainer', container: spec, sandboxId: step.sandboxId }, signal)
    waiting.delete(container.name)
    context.record(pod, 'Normal', 'Started', `Started container ${container.name}`, container.name)
    const postStart = container.lifecycle?.postStart
    if (postStart !== undefined) await runPostStart(pod, container.name, postStart)
  }

  async function hostsFile(pod: Pod, ip: string | undefined): Promise<string | undefined> {
    if (!runtime.capabilities.mounts || pod.spec.hostNetwork === true || ip === undefined) return undefined
    const file = path.join(folder, 'etc-hosts')
    await fs.writeFile(file, hostsFileOf(pod, config.node, ip), { mode: 0o644 })
    return file
  }

  async function terminationFile(place: string, attempt: number): Promise<string | undefined> {
    if (!runtime.capabilities.mounts) return undefined
    const file = path.join(place, `${attempt}-${randomBytes(4).toString('hex')}`)
    await fs.writeFile(file, '')
    // Any user of the container may write it.
    await fs.chmod(file, 0o666)
    messageFiles.set(`${path.basename(place)}/${attempt}`, file)
    return file
  }
  const messageFiles = new Map<string, string>()

  async function pull(
    pod: Pod,
    container: string,
    image: string,
    policy: 'Always' | 'IfNotPresent' | 'Never' | undefined,
  ): Promise<{ readonly user: string }> {
    const there = await runtime.image(image, signal)
    if (there !== undefined && (policy !== 'Always' || !runtime.capabilities.images)) {
      context.record(pod, 'Normal', 'Pulled', `Container image "${image}" already present on machine`, container)
      return there
    }
    if (policy === 'Never') {
      const message = `Container image "${image}" is not present with pull policy of Never`
      throw new RuntimeError('ErrImageNeverPull', message)
    }
    context.record(pod, 'Normal', 'Pulling', `Pulling image "${image}"`, container)
    const startedMs = world.clock.monotonicMs()
    await runtime.perform({ kind: 'pull', image, auths: authsOf(pod) }, signal)
    const tookMs = world.clock.monotonicMs() - startedMs
    context.record(
      pod,
      'Normal',
      'Pulled',
      `Successfully pulled image "${image}" in ${Math.round(tookMs)}ms`,
      container,
    )
    return (await runtime.image(image, signal)) ?? { user: '' }
  }

  function authsOf(pod: Pod): { server: string; username: string; password: string }[] {
    const namespace = pod.metadata.namespace ?? 'default'
    return (pod.spec.imagePullSecrets ?? []).flatMap(({ name = '' }) => {
      const encoded = context.secret(namespace, name)?.data?.['.dockerconfigjson']
      if (encoded === undefined) return []
      const file = JSON.parse(Buffer.from(encoded, 'base64').toString('utf8')) as {
        auths?: Record<string, { username?: string; password?: string; auth?: string }>
      }
      return Object.entries(file.auths ?? {}).map(([server, entry]) => {
        const [user = '', ...rest] = Buffer.from(entry.auth ?? '', 'base64')
          .toString('utf8')
          .split(':')
        return { server, username: entry.username ?? user, password: entry.password ?? rest.join(':') }
      })
    })
  }

  async function runPostStart(pod: Pod, name: string, handler: LifecycleHandler): Promise<void> {
    await context.refresh()
    const { newest } = historyOf(context.observedOf(uid), name)
    if (newest === undefined) return
    const answer = await hook(pod, name, newest.id, handler, stopping)
    if (answer.success) return
    context.record(pod, 'Warning', 'FailedPostStartHook', `PostStartHook failed: ${answer.output}`, name)
    const graceMs = pod.spec.terminationGracePeriodSeconds * 1_000
    await runtime.perform({ kind: 'stopContainer', id: newest.id, graceMs }, signal)
  }

  async function hook(
    pod: Pod,
    name: string,
    id: string,
    handler: LifecycleHandler,
    until: AbortSignal,
  ): Promise<{ success: boolean; output: string }> {
    if (handler.sleep !== undefined) {
      await world.clock.sleep(handler.sleep.seconds * 1_000, until)
      return { success: true, output: '' }
    }
    const ports = pod.spec.containers.find(one => one.name === name)?.ports
    return await ask(runtime, handler, { containerId: id, host: hostOf(pod), ports }, until)
  }

  function hostOf(pod: Pod): string {
    if (pod.spec.hostNetwork === true) return config.node.ip
    return context.observedOf(uid)?.sandbox?.ip ?? '127.0.0.1'
  }

  async function stop(pod: Pod | undefined, step: Extract<Step, { kind: 'stop' }>): Promise<void> {
    const known = pod ?? lastPod
    const startedMs = world.clock.monotonicMs()
    if (known !== undefined)
      context.record(known, 'Normal', 'Killing', `Stopping container ${step.container}`, step.container)
    if (known !== undefined && step.preStop !== undefined) {
      using deadline = world.clock.deadline(step.graceMs, signal)
      const answer = await hook(known, step.container, step.id, step.preStop, deadline.signal)
      if (!answer.success) {
        context.record(known, 'Warning', 'FailedPreStopHook', `PreStopHook failed: ${answer.output}`, step.container)
      }
    }
    // The hook's time comes off the grace; the container gets at least a moment to end by itself, as upstream.
    const spentMs = world.clock.monotonicMs() - startedMs
    const graceMs = step.graceMs === 0 ? 0 : Math.max(step.graceMs - spentMs, 2_000)
    await runtime.perform({ kind: 'stopContainer', id: step.id, graceMs }, signal)
  }

  async function forget(pod: Pod | undefined): Promise<void> {
    if (pod !== undefined) {
      using deadline = world.clock.deadline(10_000, stopping)
      const key = { namespace: pod.metadata.namespace ?? 'default', name: pod.metadata.name }
      await client.delete(podKind, key, { gracePeriodSeconds: 0, uid }, deadline.signal).catch(ignoreGone)
    }
    // With finalizers the object stays; the worker stays with it, quietly.
    if (context.podOf(uid) !== undefined && (context.podOf(uid)?.metadata.finalizers ?? []).length > 0) {
      retryAtMs.set('forget', world.clock.nowMs() + 30_000)
      return
    }
    await context.forget(uid)
    ended.abort()
  }

  /** The termination message of each container that has ended, read once. */
  async function readMessages(pod: Pod, observed: Observed | undefined): Promise<void> {
    for (const one of observed?.containers ?? []) {
      if (one.state.kind !== 'exited' || messages.has(one.id)) continue
      const spec = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(c => c.name === one.name)
      let message = await messageFile(one.name, one.attempt)
      if (message === '' && spec?.terminationMessagePolicy === 'FallbackToLogsOnError' && one.state.exitCode !== 0) {
        const options = { follow: false, timestamps: false, tailLines: 80 }
        let tail = ''
        for await (const bytes of runtime.logs(one.id, options, stopping)) tail = (tail + text(bytes)).slice(-2_048)
        message = tail
      }
      messages.set(one.id, message)
    }
  }

  async function messageFile(name: string, attempt: number): Promise<string> {
    const place = path.join(folder, 'containers', name)
    const known = messageFiles.get(`${name}/${attempt}`)
    const names = known !== undefined ? [path.basename(known)] : await fs.readdir(place).catch(() => [])
    const file = names.find(one => one.startsWith(`${attempt}-`))
    if (file === undefined) return ''
    const bytes = await fs.readFile(path.join(place, file)).catch(() => Buffer.alloc(0))
    return bytes.subarray(0, messageBytesMax).toString('utf8')
  }

  async function tell(pod: Pod, end: Parameters<typeof statusOf>[2]['ended']): Promise<void> {
    const observed = context.observedOf(uid)
    const { ready, started } = verdictsOf(pod, observed, prober.answers)
    const status = statusOf(pod, observed, {
      nodeIp: config.node.ip,
      ready,
      started,
      waiting,
      messages,
      ended: end,
      nowMs: world.clock.nowMs(),
    })
    const withIp =
      status.podIP === undefined && addressWithoutNetwork() !== undefined && observed?.sandbox?.running === true
        ? { ...status, podIP: config.node.ip, podIPs: [{ ip: config.node.ip }] }
        : status
    if (sameJson(withIp, pod.status)) return
    using deadline = world.clock.deadline(10_000, stopping)
    try {
      const written = await client.updateStatus(podKind, { ...pod, status: withIp }, deadline.signal)
      // Plan again only on a view that shows our own word.
      await context.reached(Number(written.metadata.resourceVersion), deadline.signal)
    } catch (error) {
      // On a conflict a newer pod is on its way and wakes us.
      if (!(error instanceof ApiError && (error.reason === 'Conflict' || error.reason === 'NotFound'))) throw error
    }
  }

  function isReady(): boolean {
    const pod = context.podOf(uid)
    const observed = context.observedOf(uid)
    if (pod === undefined || observed?.sandbox?.running !== true) return false
    const { ready, started } = verdictsOf(pod, observed, prober.answers)
    return pod.spec.containers.every(({ name }) => {
      const id = historyOf(observed, name).newest?.id
      return id !== undefined && ready.has(id) && started.has(id)
    })
  }

  return { wake, ready: isReady, done: run() }
}

const emptyVerdicts = { ready: new Set<string>(), started: new Set<string>(), unhealthy: new Set<string>() }

function keyOf(step: Step): string {
  switch (step.kind) {
    case 'start':
      return `start ${step.container.name}`
    case 'stop':
    case 'remove':
    case 'removeSandbox':
      return `${step.kind} ${step.id}`
    case 'createSandbox':
    case 'forget':
      return step.kind
  }
}

function ignoreGone(error: unknown): void {
  if (!(error instanceof ApiError && (error.reason === 'NotFound' || error.reason === 'Conflict'))) throw error
}
