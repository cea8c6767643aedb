// One pod's worker: carries out its plan, asks its probes and writes its status. plan.ts and status.ts decide. Nothing that
// waits for the API stands between the runtime and the plan: a peer that hears nobody goes on running its pods.
import { ApiError } from '../api/error.ts'
import { pod as podKind } from '../api/kinds/pod.ts'
import type { LifecycleHandler } from '../api/types/probe.ts'
import { sameJson } from '../lib/canonical.ts'
import { type Observed, RuntimeError } from '../world/runtime.ts'
import { type Context, MountError } from './context.ts'
import { ConfigError, environmentOf, type References } from './env.ts'
import { historyOf } from './history.ts'
import { isLive, type Plan, type Pod, plan, type Step } from './plan.ts'
import { verdictsOf } from './probes.ts'
import { ensureImage } from './run-images.ts'
import { openMessages } from './run-messages.ts'
import { openMounts } from './run-mounts.ts'
import { ask, openProber } from './run-probe.ts'
import { podFolder } from './run-volume.ts'
import { containerSpecOf, sandboxOf, subPathOf } from './spec.ts'
import { isReadyNow, statusOf } from './status.ts'

export const pullBackoffMs = 10_000
export const pullBackoffMsMax = 300_000
export const configRetryMs = 5_000
const apiTimeoutMs = 10_000
const tellRetryMs = 2_000
const staleRetryMs = 1_000

export interface Worker {
  wake(): void
  /** Something that pods refer to has changed: what `isMine` pods waited for is tried again at once. */
  retry(isMine: (pod: Pod) => boolean): void
  /** All of the pod's containers are ready. */
  ready(): boolean
  /** Resolves when the worker and all that it began have ended. */
  readonly done: Promise<void>
}

type Waiting = { readonly reason: string; readonly message: string }
/** `specHash`: of what failed; another is tried at once. `onReference`: a changed reference may help, so it is worth trying before `atMs`. */
type Retry = { readonly atMs: number; readonly specHash: string; readonly onReference: boolean }
type Flight = {
  readonly step: Step
  readonly endsByMs: number
  readonly controller: AbortController
  readonly done: Promise<void>
}

export function openWorker(context: Context, uid: string): Worker {
  const { world, config, client, runtime, signal } = context
  const folder = podFolder(config.stateDir, uid)
  const ended = new AbortController()
  const stopping = AbortSignal.any([signal, ended.signal])
  const waiting = new Map<string, Waiting>()
  const retries = new Map<string, Retry>()
  const pullBackoff = new Map<string, number>()
  const inFlight = new Map<string, Flight>()
  const messages = openMessages(runtime, folder)
  const mounts = openMounts(context, uid, stopping)
  const fails = (error: unknown) => world.log.error('a pod could not be told of', { uid, error: String(error) })
  const telling = oneAtATime(tell, fails)
  const refreshing = oneAtATime(refreshVolumes, fails)
  let lastPod: Pod | undefined
  let orphaned = false
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
    await Promise.all([...[...inFlight.values()].map(one => one.done), telling.idle(), refreshing.idle()])
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

  function planOf(pod: Pod | undefined, observed: Observed | undefined): Plan {
    const verdicts = pod === undefined ? emptyVerdicts : verdictsOf(pod, observed, prober.answers)
    return plan(pod, observed, { ...verdicts, refused: context.refusalOf(uid) }, world.clock.nowMs())
  }

  /** One look, plan, act. Gives when to come again. */
  async function turn(): Promise<number | undefined> {
    const pod = context.podOf(uid)
    const observed = context.observedOf(uid)
    lastPod = pod ?? lastPod
    if (pod !== undefined) orphaned = false
    else if (observed !== undefined) orphaned ||= await isOrphan(observed)
    if (pod === undefined && observed !== undefined && !orphaned) throw new Error('its object is not in view yet')
    const planned = planOf(pod, observed)
    if (pod !== undefined) prober.tend(pod, observed)
    const leaving = pod?.metadata.deletionTimestamp !== undefined || planned.ended !== undefined
    if (pod === undefined || leaving) abandon()
    for (const step of planned.steps) begin(step, pod)
    const unheard = retries.get('tell')
    const waits = unheard !== undefined && unheard.atMs > world.clock.nowMs()
    // A conflict is over as soon as a newer pod is in view.
    const sameView = unheard?.specHash === '' || unheard?.specHash === pod?.metadata.resourceVersion
    if (pod !== undefined && !(waits && sameView)) telling.ask()
    if (pod !== undefined && !leaving && observed?.sandbox?.running === true) refreshing.ask()
    const nowMs = world.clock.nowMs()
    const times = [planned.againAtMs, mounts.dueAtMs(), ...[...retries.values()].map(({ atMs }) => atMs)]
    const future = times.filter(at => at !== undefined).filter(at => at > nowMs)
    return future.length === 0 ? undefined : Math.min(...future)
  }

  /** The API's own word, before anything is taken away: this peer's view may be older than what runs here. */
  async function isOrphan({ namespace, name }: Observed): Promise<boolean> {
    using deadline = world.clock.deadline(apiTimeoutMs, stopping)
    try {
      const found = await client.get(podKind, { namespace, name }, deadline.signal)
      return found.metadata.uid !== uid || found.spec.nodeName !== config.node.name
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'NotFound') return true
      throw error
    }
  }

  /** What makes something of a pod that is to end is broken off: a pull may take minutes. */
  function abandon(): void {
    for (const { step, controller } of inFlight.values()) if (isMaking(step)) controller.abort()
  }

  /** Steps run side by side, each once; a stop may be hurried by a later one with an earlier end. */
  function begin(step: Step, pod: Pod | undefined): void {
    const key = keyOf(step)
    const nowMs = world.clock.nowMs()
    const running = inFlight.get(key)
    const endsByMs = step.kind === 'stop' ? nowMs + step.graceMs : Number.POSITIVE_INFINITY
    if (running !== undefined) {
      // An image that was mended need not wait for the pull of the broken one.
      if (specHashOf(running.step) !== specHashOf(step)) running.controller.abort()
      if (step.kind !== 'stop' || endsByMs > running.endsByMs - 500) return
      running.controller.abort()
    }
    const clears = step.kind === 'removeSandbox' || step.kind === 'forget'
    if (clears && [...inFlight.values()].some(one => isMaking(one.step))) return
    const retry = retries.get(step.kind === 'forget' && pod !== undefined ? 'finalizers' : key) ?? retries.get(key)
    if (retry !== undefined && retry.atMs > nowMs && retry.specHash === specHashOf(step)) return
    const controller = new AbortController()
    // A hook that has begun is not begun again.
    const once = step.kind === 'stop' && running !== undefined ? { ...step, preStop: undefined } : step
    const done = perform(once, pod, AbortSignal.any([signal, controller.signal]))
      .then(() => {
        retries.delete(key)
        pullBackoff.delete(key)
      })
      .catch(error => {
        if (!signal.aborted && !controller.signal.aborted) failed(step, key, pod, error)
      })
      .then(() => context.refresh())
      .catch(error => {
        if (!signal.aborted) world.log.warn('the container runtime cannot be read', { error: String(error) })
      })
      .finally(() => {
        if (inFlight.get(key)?.controller === controller) inFlight.delete(key)
        wake()
      })
    inFlight.set(key, { step, endsByMs, controller, done })
  }

  function failed(step: Step, key: string, pod: Pod | undefined, error: unknown): void {
    const nowMs = world.clock.nowMs()
    const message = error instanceof Error ? error.message : String(error)
    const name = step.kind === 'start' ? step.container.name : undefined
    const reason = reasonOf(error)
    let forMs = configRetryMs
    let shown = reason
    if (reason === 'ErrImagePull') {
      const before = pullBackoff.get(key)
      forMs = before === undefined ? pullBackoffMs : Math.min(before * 2, pullBackoffMsMax)
      pullBackoff.set(key, forMs)
      if (before !== undefined) shown = 'ImagePullBackOff'
    }
    const onReference = ['ErrImagePull', 'CreateContainerConfigError', 'FailedMount'].includes(reason)
    retries.set(key, { atMs: nowMs + forMs, specHash: specHashOf(step), onReference })
    // As upstream, a container whose volumes are not there yet is simply being created.
    if (name !== undefined && reason !== 'FailedMount') waiting.set(name, { reason: shown, message })
    world.log.info('a step for a pod failed', { uid, pod: pod?.metadata.name, step: key, reason, message })
    if (pod === undefined) return
    const sandbox = step.kind === 'createSandbox'
    const eventReason = reason === 'FailedMount' ? reason : sandbox ? 'FailedCreatePodSandBox' : 'Failed'
    const starts = step.kind === 'start' && reason !== 'FailedMount'
    context.record(pod, 'Warning', eventReason, starts ? `Error: ${message}` : message, name)
  }

  async function perform(step: Step, pod: Pod | undefined, until: AbortSignal): Promise<void> {
    switch (step.kind) {
      case 'createSandbox':
        if (pod !== undefined) await createSandbox(pod, step.attempt, until)
        return
      case 'start':
        if (pod !== undefined) await start(pod, step, until)
        return
      case 'stop':
        return await stop(pod, step, until)
      case 'remove':
        return await runtime.perform({ kind: 'removeContainer', id: step.id }, signal)
      case 'removeSandbox':
        return await runtime.perform({ kind: 'removeSandbox', uid, id: step.id }, signal)
      case 'forget':
        return await forget(pod)
    }
  }

  async function createSandbox(pod: Pod, attempt: number, until: AbortSignal): Promise<void> {
    await mounts.write(pod, referencesOf(pod))
    let ip: string | undefined
    const podCidr = context.node()?.spec.podCIDR
    if (givesAddresses(podCidr) && pod.spec.hostNetwork !== true) {
      if (podCidr === undefined) throw new RuntimeError('FailedCreatePodSandBox', 'this node has no pod CIDR yet')
      ip = context.takeAddress(uid, podCidr)
      if (ip === undefined) throw new RuntimeError('FailedCreatePodSandBox', `no address is free in ${podCidr}`)
    }
    until.throwIfAborted()
    await runtime.perform({ kind: 'createSandbox', sandbox: sandboxOf(pod, config.node, attempt, ip) }, until)
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

  async function refreshVolumes(): Promise<void> {
    const pod = context.podOf(uid)
    if (pod !== undefined && !stopping.aborted) await mounts.refresh(pod, referencesOf(pod))
  }

  async function start(pod: Pod, step: Extract<Step, { kind: 'start' }>, until: AbortSignal): Promise<void> {
    const { container } = step
    const { name, image = '', imagePullPolicy } = container
    const at = await mounts.write(pod, referencesOf(pod))
    const { user } = await ensureImage(context, pod, name, image, imagePullPolicy, until)
    const references = referencesOf(pod)
    const environment = environmentOf(pod, container, references)
    const subPaths = new Map<string, string>()
    for (const mount of container.volumeMounts ?? []) {
      const whole = at.get(mount.name)
      const sub = subPathOf(mount, environment)
      if (whole !== undefined && sub !== '') subPaths.set(`${whole}\n${sub}`, await mounts.subPath(whole, sub))
    }
    const spec = containerSpecOf(pod, container, config.node, {
      type: step.type,
      attempt: step.attempt,
      backoffMs: step.backoffMs,
      specHash: step.specHash,
      sandboxId: step.sandboxId,
      sandboxAttempt: context.observedOf(uid)?.sandbox?.attempt ?? 0,
      references,
      source: volume => at.get(volume),
      subPath: (source, sub) => subPaths.get(`${source}\n${sub}`) ?? source,
      hostsFile: await mounts.hostsFile(pod, references.podIp),
      terminationFile: await messages.file(name, step.attempt),
      imageUser: user,
    })
    until.throwIfAborted()
    await runtime.perform({ kind: 'startContainer', container: spec, sandboxId: step.sandboxId }, until)
    waiting.delete(name)
    context.record(pod, 'Normal', 'Started', `Started container ${name}`, name)
    const postStart = container.lifecycle?.postStart
    if (postStart !== undefined) await runPostStart(pod, name, step.attempt, postStart, until)
  }

  async function runPostStart(
    pod: Pod,
    name: string,
    attempt: number,
    handler: LifecycleHandler,
    until: AbortSignal,
  ): Promise<void> {
    await context.refresh()
    const { newest } = historyOf(context.observedOf(uid), name)
    if (newest === undefined || newest.attempt !== attempt || !isLive(newest)) return
    const answer = await hook(pod, name, newest.id, handler, until)
    if (answer.success || until.aborted) return
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
    const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
    const ports = all.find(one => one.name === name)?.ports
    return await ask(runtime, handler, { containerId: id, host: hostOf(pod), ports }, until)
  }

  function hostOf(pod: Pod): string {
    if (pod.spec.hostNetwork === true) return config.node.ip
    return context.observedOf(uid)?.sandbox?.ip ?? '127.0.0.1'
  }

  /** `hurried` aborts when a later stop with an earlier end takes over. */
  async function stop(
    pod: Pod | undefined,
    step: Extract<Step, { kind: 'stop' }>,
    hurried: AbortSignal,
  ): Promise<void> {
    const known = pod ?? lastPod
    const startedMs = world.clock.monotonicMs()
    if (known !== undefined) {
      const why = known.metadata.deletionTimestamp === undefined ? `: ${step.why}` : ''
      const text = `Stopping container ${step.container}${why}`
      context.record(known, 'Normal', 'Killing', text, step.container)
    }
    if (known !== undefined && step.preStop !== undefined) {
      using deadline = world.clock.deadline(step.graceMs, hurried)
      const answer = await hook(known, step.container, step.id, step.preStop, deadline.signal)
      hurried.throwIfAborted()
      if (!answer.success) {
        context.record(known, 'Warning', 'FailedPreStopHook', `PreStopHook failed: ${answer.output}`, step.container)
      }
    }
    // The hook's time comes off the grace; the container gets at least a moment to end by itself, as upstream.
    const spentMs = world.clock.monotonicMs() - startedMs
    const graceMs = step.graceMs === 0 ? 0 : Math.max(step.graceMs - spentMs, 2_000)
    await runtime.perform({ kind: 'stopContainer', id: step.id, graceMs }, hurried)
  }

  async function forget(pod: Pod | undefined): Promise<void> {
    if (pod !== undefined) {
      using deadline = world.clock.deadline(apiTimeoutMs, stopping)
      const key = { namespace: pod.metadata.namespace ?? 'default', name: pod.metadata.name }
      await client.delete(podKind, key, { gracePeriodSeconds: 0, uid }, deadline.signal).catch(ignoreGone)
    }
    // With finalizers the object stays; the worker stays with it, quietly.
    if (context.podOf(uid) !== undefined && (context.podOf(uid)?.metadata.finalizers ?? []).length > 0) {
      retries.set('finalizers', { atMs: world.clock.nowMs() + 30_000, specHash: '', onReference: false })
      return
    }
    await refreshing.idle()
    await context.forget(uid)
    ended.abort()
  }

  /** Writes the status when it differs from the one that stands. */
  async function tell(): Promise<void> {
    const pod = context.podOf(uid)
    if (pod === undefined || stopping.aborted) return
    await messages.read(pod, context.observedOf(uid), stopping)
    const observed = context.observedOf(uid)
    const { ready, started } = verdictsOf(pod, observed, prober.answers)
    const status = statusOf(pod, observed, {
      nodeIp: config.node.ip,
      ready,
      started,
      waiting,
      messages: messages.texts,
      ended: planOf(pod, observed).ended,
      nowMs: world.clock.nowMs(),
    })
    const withIp =
      status.podIP === undefined && addressWithoutNetwork() !== undefined && observed?.sandbox?.running === true
        ? { ...status, podIP: config.node.ip, podIPs: [{ ip: config.node.ip }] }
        : status
    if (sameJson(withIp, pod.status)) return
    using deadline = world.clock.deadline(apiTimeoutMs, stopping)
    try {
      const written = await client.updateStatus(podKind, { ...pod, status: withIp }, deadline.signal)
      // The next word is a change of one that shows this one.
      await context.reached(Number(written.metadata.resourceVersion), deadline.signal)
      retries.delete('tell')
    } catch (error) {
      if (stopping.aborted) return
      // On a conflict a newer pod is on its way and wakes us; it may have come already.
      const isStale = error instanceof ApiError && (error.reason === 'Conflict' || error.reason === 'NotFound')
      if (!isStale) {
        world.log.warn('the status of a pod could not be written', {
          uid,
          pod: pod.metadata.name,
          error: String(error),
        })
      }
      const forMs = isStale ? staleRetryMs : tellRetryMs
      const specHash = isStale ? (pod.metadata.resourceVersion ?? '') : ''
      retries.set('tell', { atMs: world.clock.nowMs() + forMs, specHash, onReference: false })
      wake()
    }
  }

  function isReady(): boolean {
    const pod = context.podOf(uid)
    const observed = context.observedOf(uid)
    return pod !== undefined && isReadyNow(pod, observed, verdictsOf(pod, observed, prober.answers))
  }

  return {
    wake,
    retry(isMine) {
      if (lastPod === undefined || !isMine(lastPod)) return
      for (const [key, one] of retries) if (one.onReference) retries.delete(key)
      wake()
    },
    ready: isReady,
    done: run(),
  }
}

const emptyVerdicts = { ready: new Set<string>(), started: new Set<string>(), unhealthy: new Set<string>() }

/** Runs `work` once at a time; asked meanwhile, once more. */
function oneAtATime(
  work: () => Promise<void>,
  fails: (error: unknown) => void,
): { ask(): void; idle(): Promise<void> } {
  let running: Promise<void> | undefined
  let again = false
  async function go(): Promise<void> {
    do {
      again = false
      await work().catch(fails)
    } while (again)
    running = undefined
  }
  return {
    ask() {
      again = true
      running ??= go()
    },
    idle: () => running ?? Promise.resolve(),
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof RuntimeError) return error.reason
  if (error instanceof MountError) return 'FailedMount'
  return error instanceof ConfigError ? 'CreateContainerConfigError' : 'RunContainerError'
}

function isMaking(step: Step): boolean {
  return step.kind === 'start' || step.kind === 'createSandbox'
}

function specHashOf(step: Step): string {
  return step.kind === 'start' ? step.specHash : ''
}

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
