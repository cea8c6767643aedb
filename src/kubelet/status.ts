// The status of a pod, from what the runtime shows. A function of its arguments; times that must not move (startTime,
// lastTransitionTime) are taken over from the status that stands. Called by run.ts after each plan.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
import type { Container, EphemeralContainer } from '../api/types/container.ts'
import type { ContainerState, ContainerStatus, PodCondition, PodStatus } from '../api/types/podstatus.ts'
import { rfc3339 } from '../lib/duration.ts'
import type { Observed, ObservedContainer } from '../world/runtime.ts'
import { backoffAfter, historyOf, inSandbox, restartAtMs } from './history.ts'
import { type Ended, isSidecar, type Pod } from './plan.ts'
import type { ProbeVerdicts } from './probes.ts'
import { qosOf } from './qos.ts'

type Phase = NonNullable<PodStatus['phase']>

export type StatusInput = {
  readonly nodeIp: string
  /** By runtime ID: passed its readiness probe, or has none and runs. */
  readonly ready: ReadonlySet<string>
  readonly started: ReadonlySet<string>
  /** By container name: why it is not running yet. */
  readonly waiting: ReadonlyMap<string, { readonly reason: string; readonly message: string }>
  /** By runtime ID: the termination message, once read. */
  readonly messages: ReadonlyMap<string, string>
  readonly ended: Ended | undefined
  readonly nowMs: number
}

export function statusOf(pod: Pod, observed: Observed | undefined, input: StatusInput): PodStatus {
  const init = (pod.spec.initContainers ?? []).map(one => containerStatus(pod, one, observed, input, true))
  const apps = pod.spec.containers.map(one => containerStatus(pod, one, observed, input, false))
  const ephemeral = (pod.spec.ephemeralContainers ?? []).map(one => containerStatus(pod, one, observed, input, false))
  const phase = noneRuns(observed)
    ? (input.ended?.phase ?? phaseOf(pod, init, apps, true))
    : phaseOf(pod, init, apps, false)
  const ip = pod.spec.hostNetwork === true ? input.nodeIp : (observed?.sandbox?.ip ?? pod.status.podIP)
  const { reason, message } = input.ended ?? {}
  const { reason: _r, message: _m, podIP: _ip, podIPs: _ips, ...kept } = pod.status
  return {
    ...kept,
    phase,
    conditions: conditionsOf(pod, observed, phase, init, apps, input),
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
    hostIP: input.nodeIp,
    hostIPs: [{ ip: input.nodeIp }],
    ...(ip !== undefined && { podIP: ip, podIPs: [{ ip }] }),
    startTime: pod.status.startTime ?? rfc3339(input.nowMs),
    qosClass: pod.status.qosClass ?? qosOf(pod.spec),
    ...(init.length > 0 && { initContainerStatuses: init }),
    containerStatuses: apps,
    ...(ephemeral.length > 0 && { ephemeralContainerStatuses: ephemeral }),
  }
}

function noneRuns(observed: Observed | undefined): boolean {
  return !(observed?.containers ?? []).some(one => one.state.kind === 'running')
}

/** As upstream's getPhase (pkg/kubelet/kubelet_pods.go). `over`: nothing runs; before that, no phase is the last one. */
function phaseOf(pod: Pod, init: readonly ContainerStatus[], apps: readonly ContainerStatus[], over: boolean): Phase {
  const neverRan = (one: ContainerStatus) =>
    one.state?.running === undefined && one.state?.terminated === undefined && one.lastState?.terminated === undefined
  const initPending = init.some((one, i) => {
    const container = pod.spec.initContainers?.[i]
    if (container !== undefined && isSidecar(container)) {
      return neverRan(one) || (one.state?.running !== undefined && one.started !== true)
    }
    return neverRan(one) || one.state?.running !== undefined
  })
  const initFailed = init.some((one, i) => {
    const container = pod.spec.initContainers?.[i]
    const code = (one.state?.terminated ?? one.lastState?.terminated)?.exitCode
    return container !== undefined && !isSidecar(container) && code !== undefined && code !== 0
  })
  if (initFailed && pod.spec.restartPolicy === 'Never') return over ? 'Failed' : 'Pending'
  const ends = apps.flatMap(one =>
    one.state?.running ? [] : (one.state?.terminated ?? one.lastState?.terminated ?? []),
  )
  const terminal = ends.every(one => one.exitCode === 0) ? 'Succeeded' : 'Failed'
  if (over && pod.metadata.deletionTimestamp !== undefined && ends.length > 0) return terminal
  if ((initPending && apps.every(neverRan)) || apps.some(neverRan)) return 'Pending'
  if (!over || ends.length < apps.length || pod.spec.restartPolicy === 'Always') return 'Running'
  return terminal === 'Failed' && pod.spec.restartPolicy === 'OnFailure' ? 'Running' : terminal
}

function containerStatus(
  pod: Pod,
  container: Container | EphemeralContainer,
  observed: Observed | undefined,
  input: StatusInput,
  isInit: boolean,
): ContainerStatus {
  const { newest, previous } = historyOf(observed, container.name)
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = pod.status
  const before = [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses].find(
    one => one.name === container.name,
  )
  if (newest === undefined) return waitingStatus(pod, container, before, observed, input, isInit)
  // While a runtime takes a container away it may show it half made, or ended otherwise: what was told of its end stands.
  const told = before?.state?.terminated?.containerID === newest.statusId && newest.state.kind !== 'running'
  if (before !== undefined && told && pod.metadata.deletionTimestamp !== undefined) return before
  const running = newest.state.kind === 'running'
  const started = running && input.started.has(newest.id)
  const sidecar = isInit && isSidecar(container)
  const doneInit = isInit && newest.state.kind === 'exited' && newest.state.exitCode === 0
  const { state, lastState } = statesOf(pod, container, newest, previous, observed, input, isInit)
  return {
    name: container.name,
    state,
    ...(lastState !== undefined ? { lastState } : { lastState: {} }),
    ready: isInit && !sidecar ? doneInit : started && input.ready.has(newest.id),
    restartCount: newest.attempt,
    image: container.image ?? newest.image,
    imageID: newest.imageId,
    containerID: newest.statusId,
    started: isInit && !sidecar ? running : started,
  }
}

/** Of a container that the runtime does not have: never made, or forgotten (removed by hand, or swept after the end). */
function waitingStatus(
  pod: Pod,
  container: Container | EphemeralContainer,
  before: ContainerStatus | undefined,
  observed: Observed | undefined,
  input: StatusInput,
  isInit: boolean,
): ContainerStatus {
  const over = input.ended !== undefined || pod.metadata.deletionTimestamp !== undefined
  const last = before?.state?.terminated ?? (before?.state?.running && lost(before))
  // What was last known stands.
  if (before !== undefined && last !== undefined && (over || observed === undefined)) {
    const state = { terminated: last }
    return { ...before, state, ready: isInit && last.exitCode === 0, ...(before.started && { started: false }) }
  }
  const initializes = (pod.spec.initContainers ?? []).length > 0
  const why = input.waiting.get(container.name)
  return {
    name: container.name,
    state: { waiting: why ?? { reason: initializes ? 'PodInitializing' : 'ContainerCreating' } },
    lastState: last !== undefined ? { terminated: last } : (before?.lastState ?? {}),
    ready: false,
    restartCount: before?.restartCount ?? 0,
    image: container.image ?? '',
    imageID: '',
    // Says on the next look that it once ran, so that its restarts are counted on.
    ...(before?.containerID !== undefined && { containerID: before.containerID }),
    started: false,
  }
}

function lost(before: ContainerStatus): NonNullable<ContainerState['terminated']> {
  return {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located. The container used to be Running',
    ...(before.containerID !== undefined && { containerID: before.containerID }),
  }
}

function statesOf(
  pod: Pod,
  container: Container | EphemeralContainer,
  newest: ObservedContainer,
  previous: ObservedContainer | undefined,
  observed: Observed | undefined,
  input: StatusInput,
  isInit: boolean,
): { state: ContainerState; lastState: ContainerState | undefined } {
  const earlier = previous === undefined ? undefined : terminated(previous, input)
  const { state } = newest
  if (state.kind === 'running') {
    return { state: { running: { startedAt: rfc3339(state.startedMs) } }, lastState: earlier }
  }
  const why = input.waiting.get(container.name)
  if (state.kind === 'created') {
    const reason = why ?? { reason: 'ContainerCreating', message: '' }
    return { state: { waiting: reason }, lastState: earlier }
  }
  const gone = terminated(newest, input)
  const code = state.exitCode
  const policy =
    isInit && !isSidecar(container) && pod.spec.restartPolicy === 'Always' ? 'OnFailure' : pod.spec.restartPolicy
  const sidecar = isInit && isSidecar(container)
  const again = sidecar || policy === 'Always' || (policy === 'OnFailure' && code !== 0)
  if (!again || input.ended !== undefined || pod.metadata.deletionTimestamp !== undefined) {
    return { state: gone, lastState: earlier }
  }
  if (why !== undefined) return { state: { waiting: why }, lastState: gone }
  const waitMs = inSandbox(newest, observed) ? restartAtMs(newest) - input.nowMs : 0
  if (waitMs <= 0) return { state: gone, lastState: earlier }
  const seconds = Math.round(backoffAfter(newest) / 1_000)
  const name = `${pod.metadata.name}_${pod.metadata.namespace ?? ''}(${pod.metadata.uid})`
  const message = `back-off ${readable(seconds)} restarting failed container=${container.name} pod=${name}`
  return { state: { waiting: { reason: 'CrashLoopBackOff', message } }, lastState: gone }
}

/** As Go prints a duration: 10s, 1m20s, 5m0s. */
function readable(seconds: number): string {
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}

function terminated(container: ObservedContainer, input: StatusInput): ContainerState {
  const { state } = container
  if (state.kind !== 'exited') return {}
  const message = input.messages.get(container.id) || state.error
  return {
    terminated: {
      exitCode: state.exitCode,
      ...(state.signal !== undefined && { signal: state.signal }),
      reason: state.oomKilled && state.exitCode === 137 ? 'OOMKilled' : state.exitCode === 0 ? 'Completed' : 'Error',
      ...(message !== undefined && message !== '' && { message }),
      startedAt: rfc3339(state.startedMs),
      finishedAt: rfc3339(state.finishedMs),
      containerID: container.statusId,
    },
  }
}

function conditionsOf(
  pod: Pod,
  observed: Observed | undefined,
  phase: Phase,
  init: readonly ContainerStatus[],
  apps: readonly ContainerStatus[],
  input: StatusInput,
): readonly PodCondition[] {
  const over = phase === 'Succeeded' || phase === 'Failed'
  const sandboxed = observed?.sandbox?.running === true
  const uninitialized = init.filter((one, i) => {
    const sidecar = pod.spec.initContainers?.[i]?.restartPolicy === 'Always'
    return sidecar ? one.started !== true : !one.ready
  })
  const initialized =
    uninitialized.length === 0 ||
    apps.some(({ state, lastState }) => state?.running || (state?.terminated ?? lastState?.terminated))
  const sidecars = init.filter((_, i) => pod.spec.initContainers?.[i]?.restartPolicy === 'Always')
  const unready = [...sidecars, ...apps].filter(one => !one.ready)
  const containersReady = !over && unready.length === 0
  const gate = closedGate(pod)
  const completed = { reason: phase === 'Failed' ? 'PodFailed' : 'PodCompleted' }
  const names = (list: readonly ContainerStatus[]) => `[${list.map(one => one.name).join(' ')}]`
  const notReady = over
    ? completed
    : { reason: 'ContainersNotReady', message: `containers with unready status: ${names(unready)}` }
  const wanted: readonly Wanted[] = [
    { type: 'PodReadyToStartContainers', holds: sandboxed },
    {
      type: 'Initialized',
      holds: initialized || phase === 'Succeeded',
      why:
        phase === 'Succeeded'
          ? completed
          : {
              reason: 'ContainersNotInitialized',
              message: `containers with incomplete status: ${names(uninitialized)}`,
            },
    },
    {
      type: 'Ready',
      holds: containersReady && gate === undefined,
      why: containersReady && gate !== undefined ? { reason: 'ReadinessGatesNotReady', message: gate } : notReady,
    },
    { type: 'ContainersReady', holds: containersReady, why: notReady },
    { type: 'PodScheduled', holds: true },
  ]
  const ours = new Set(wanted.map(one => one.type))
  const others = (pod.status.conditions ?? []).filter(one => !ours.has(one.type))
  return [...wanted.map(one => condition(one, pod, input.nowMs)), ...others]
}

/** Why the first readiness gate that is not open is not; undefined: all are. */
function closedGate(pod: Pod): string | undefined {
  for (const { conditionType } of pod.spec.readinessGates ?? []) {
    const found = pod.status.conditions?.find(one => one.type === conditionType)
    if (found === undefined) {
      return `corresponding condition of pod readiness gate "${conditionType}" does not exist.`
    }
    if (found.status !== 'True') {
      return `the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`
    }
  }
  return undefined
}

/** Whether traffic may be sent to the pod, by what is known here and now. */
export function isReadyNow(pod: Pod, observed: Observed | undefined, { ready, started }: ProbeVerdicts): boolean {
  if (observed?.sandbox?.running !== true || pod.metadata.deletionTimestamp !== undefined) return false
  const sidecars = (pod.spec.initContainers ?? []).filter(isSidecar)
  const serving = [...sidecars, ...pod.spec.containers].every(({ name }) => {
    const id = historyOf(observed, name).newest?.id
    return id !== undefined && ready.has(id) && started.has(id)
  })
  return serving && closedGate(pod) === undefined
}

type Wanted = { type: string; holds: boolean; why?: { reason: string; message?: string } }

function condition(wanted: Wanted, pod: Pod, nowMs: number): PodCondition {
  const before = pod.status.conditions?.find(one => one.type === wanted.type)
  const status = wanted.holds ? 'True' : 'False'
  const why = wanted.holds ? (wanted.why?.reason === 'PodCompleted' ? wanted.why : {}) : (wanted.why ?? {})
  const moved = before?.status !== status || before.lastTransitionTime === undefined
  return {
    type: wanted.type,
    status,
    lastTransitionTime: moved ? rfc3339(nowMs) : (before?.lastTransitionTime ?? rfc3339(nowMs)),
    ...why,
  }
}
