// What to do next for one pod: a function of what is wanted, what the runtime shows, and now. Called by run.ts after each
// change; what it returns is carried out, then it is asked again. It never looks back: an agent that was killed anywhere
// and restarted comes to the same plan.
import type { ObjectOf } from '../api/kind.ts'
import type { pod as podKind } from '../api/kinds/pod.ts'
import type { Container, EphemeralContainer } from '../api/types/container.ts'
import type { ContainerStatus } from '../api/types/podstatus.ts'
import type { LifecycleHandler } from '../api/types/probe.ts'
import { timeMs } from '../client/objects.ts'
import type { Observed, ObservedContainer } from '../world/runtime.ts'
import { containerHash } from './hash.ts'
import { backoffAfter, historyOf, inSandbox, restartAtMs } from './history.ts'

export type Pod = ObjectOf<typeof podKind>

export type Step =
  | { readonly kind: 'createSandbox'; readonly attempt: number }
  | {
      readonly kind: 'start'
      readonly container: Container | EphemeralContainer
      readonly type: 'init' | 'app' | 'ephemeral'
      readonly attempt: number
      /** What was waited for it; undefined: it follows no failure, so the next one comes at once. */
      readonly backoffMs: number | undefined
      readonly specHash: string
      readonly sandboxId: string
    }
  | {
      readonly kind: 'stop'
      readonly id: string
      readonly container: string
      readonly graceMs: number
      readonly preStop: LifecycleHandler | undefined
      readonly why: string
    }
  | { readonly kind: 'remove'; readonly id: string }
  | { readonly kind: 'removeSandbox'; readonly id: string }
  /** Nothing is left of it in the runtime: its folders may go, and its object, if it waits for that. */
  | { readonly kind: 'forget' }

export type Plan = {
  /** Independent of one another: they may run side by side. */
  readonly steps: readonly Step[]
  /** When to plan again even if nothing changes, on the wall clock. */
  readonly againAtMs: number | undefined
  /** The pod has come to its end, for this reason. */
  readonly ended: Ended | undefined
}

export type Ended = { readonly phase: 'Succeeded' | 'Failed'; readonly reason?: string; readonly message?: string }

/** What only this process knows, as far as a plan depends on it. Losing it costs a probe's round, no more. */
export type Verdicts = {
  /** Containers, by runtime ID, whose liveness or startup probe has failed. */
  readonly unhealthy: ReadonlySet<string>
  /** Containers, by runtime ID, that have passed their startup probe or have none. */
  readonly started: ReadonlySet<string>
  /** Why this node refuses the pod for good; undefined: it does not. */
  readonly refused: { readonly reason: string; readonly message: string } | undefined
}

/** How long an orphan may take to end: its object is gone, so nothing says more. */
export const orphanGraceMs = 2_000
/** Nobody is killed without a moment to end by itself, however late the agent comes. */
export const graceMsMin = 2_000

const nothing: Plan = { steps: [], againAtMs: undefined, ended: undefined }

/** `pod` undefined: no such pod is bound to this node, so whatever runs of it is taken away. */
export function plan(pod: Pod | undefined, observed: Observed | undefined, verdicts: Verdicts, nowMs: number): Plan {
  if (pod === undefined) return takeAway(observed, undefined, orphanGraceMs)
  if (pod.metadata.deletionTimestamp !== undefined) {
    return takeAway(observed, pod, deletionGraceMs(pod, nowMs))
  }
  const ended = endOf(pod, observed, verdicts, nowMs)
  if (ended !== undefined) return { ...wind(pod, observed), ended }
  if (verdicts.refused !== undefined) return nothing
  return advance(pod, observed, verdicts, nowMs)
}

/** What is left of the time that the deletion gave. This clock may stand far from that of the peer which set it. */
function deletionGraceMs(pod: Pod, nowMs: number): number {
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata
  const wholeMs = (deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds) * 1_000
  return Math.max(Math.min(timeMs(deletionTimestamp) - nowMs, wholeMs), graceMsMin)
}

/** Stop everything, then remove everything, then forget. */
function takeAway(observed: Observed | undefined, pod: Pod | undefined, graceMs: number): Plan {
  if (observed === undefined) return { ...nothing, steps: [{ kind: 'forget' }] }
  const live = observed.containers.filter(isLive)
  if (live.length > 0) {
    // When time is up, nobody waits for anybody any more.
    const first = pod === undefined || graceMs <= graceMsMin ? live : firstToStop(pod, live)
    return { ...nothing, steps: first.map(one => stop(one, pod, graceMs, 'the pod is deleted')) }
  }
  if (observed.sandbox !== undefined) return { ...nothing, steps: [{ kind: 'removeSandbox', id: observed.sandbox.id }] }
  if (observed.containers.length > 0) {
    // With an object left, a dead container stays until its end stands there: a Job counts by it.
    const removable = observed.containers.filter(one => pod === undefined || isTold(pod, one, observed))
    return { ...nothing, steps: removable.map(({ id }) => ({ kind: 'remove', id })) }
  }
  return { ...nothing, steps: [{ kind: 'forget' }] }
}

/** Sidecars outlive what they serve, and go one after the other, the last one first. */
function firstToStop(pod: Pod, live: readonly ObservedContainer[]): readonly ObservedContainer[] {
  const sidecars = (pod.spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name)
  const others = live.filter(one => !sidecars.includes(one.name))
  if (others.length > 0) return others
  const last = sidecars.findLast(name => live.some(one => one.name === name))
  return live.filter(one => one.name === last)
}

/** The status in the API shows how this container ended, or has no place for it. */
function isTold(pod: Pod, one: ObservedContainer, observed: Observed): boolean {
  if (historyOf(observed, one.name).newest?.id !== one.id) return true
  if (!containersOf(pod).some(({ name }) => name === one.name)) return true
  if (one.state.kind === 'created') {
    return !statusesOf(pod).some(({ state, containerID }) => state?.running && containerID === one.statusId)
  }
  return statusesOf(pod).some(
    ({ state, lastState }) =>
      state?.terminated?.containerID === one.statusId || lastState?.terminated?.containerID === one.statusId,
  )
}

/** The end of a pod that runs no more: stop what still lives, give the sandbox back, keep the dead for their logs. */
function wind(pod: Pod, observed: Observed | undefined): Plan {
  const live = observed?.containers.filter(isLive) ?? []
  if (live.length > 0) {
    const first = firstToStop(pod, live)
    return { ...nothing, steps: first.map(one => stop(one, pod, graceOf(pod), 'the pod has ended')) }
  }
  const sandbox = observed?.sandbox
  return sandbox?.running === true ? { ...nothing, steps: [{ kind: 'removeSandbox', id: sandbox.id }] } : nothing
}

function endOf(pod: Pod, observed: Observed | undefined, verdicts: Verdicts, nowMs: number): Ended | undefined {
  const { phase, reason, message } = pod.status
  if (phase === 'Succeeded' || phase === 'Failed') {
    return { phase, ...(reason !== undefined && { reason }), ...(message !== undefined && { message }) }
  }
  if (verdicts.refused !== undefined && !observed?.containers.some(isLive)) {
    return { phase: 'Failed', ...verdicts.refused }
  }
  const { activeDeadlineSeconds } = pod.spec
  if (activeDeadlineSeconds !== undefined && pod.status.startTime !== undefined) {
    if (nowMs >= timeMs(pod.status.startTime) + activeDeadlineSeconds * 1_000) {
      const text = 'Pod was active on the node longer than the specified deadline'
      return { phase: 'Failed', reason: 'DeadlineExceeded', message: text }
    }
  }
  return endByContainers(pod, observed)
}

function endByContainers(pod: Pod, observed: Observed | undefined): Ended | undefined {
  const { restartPolicy } = pod.spec
  if (restartPolicy === 'Always') return undefined
  for (const init of pod.spec.initContainers ?? []) {
    if (isSidecar(init)) continue
    const last = historyOf(observed, init.name).newest
    if (restartPolicy === 'Never' && last?.state.kind === 'exited' && last.state.exitCode !== 0)
      return { phase: 'Failed' }
  }
  const codes = pod.spec.containers.map(({ name }) => {
    const state = historyOf(observed, name).newest?.state
    return state?.kind === 'exited' ? state.exitCode : undefined
  })
  if (codes.some(code => code === undefined || (code !== 0 && restartPolicy === 'OnFailure'))) return undefined
  return { phase: codes.every(code => code === 0) ? 'Succeeded' : 'Failed' }
}

function advance(pod: Pod, observed: Observed | undefined, verdicts: Verdicts, nowMs: number): Plan {
  const sandbox = observed?.sandbox
  const steps: Step[] = []
  let againAtMs: number | undefined = deadlineOf(pod)
  const later = (atMs: number) => {
    againAtMs = againAtMs === undefined ? atMs : Math.min(againAtMs, atMs)
  }

  if (sandbox === undefined || !sandbox.running) {
    // What still lives in a dead sandbox has lost its network: end it first, then begin anew.
    const stranded = observed?.containers.filter(isLive) ?? []
    if (stranded.length > 0) return { ...nothing, steps: stranded.map(one => stop(one, pod, 0, 'its sandbox is gone')) }
    if (sandbox !== undefined) return { ...nothing, steps: [{ kind: 'removeSandbox', id: sandbox.id }] }
    const before = observed?.containers.map(one => Number(one.annotations['flotilla.dev/sandbox-attempt'] ?? 0)) ?? []
    return { ...nothing, steps: [{ kind: 'createSandbox', attempt: Math.max(-1, ...before) + 1 }] }
  }

  function begin(container: Container | EphemeralContainer, type: 'init' | 'app' | 'ephemeral'): void {
    const { newest: last, attempts } = historyOf(observed, container.name)
    // An earlier attempt that runs after all (its start was still under way when an agent was killed): see `sweep`.
    if (attempts.some(isLive)) return
    const fresh = last === undefined || !inSandbox(last, observed)
    const atMs = fresh ? nowMs : restartAtMs(last)
    if (atMs > nowMs) {
      later(atMs)
      return
    }
    steps.push({
      kind: 'start',
      container,
      type,
      attempt: attemptAfter(pod, container.name, last),
      backoffMs: fresh ? undefined : backoffAfter(last),
      specHash: containerHash(container),
      sandboxId: sandbox?.id ?? '',
    })
  }

  // For looking into a pod that does not get past its init containers, too.
  for (const container of pod.spec.ephemeralContainers ?? []) {
    if (historyOf(observed, container.name).newest === undefined) begin(container, 'ephemeral')
  }
  if (runInit(pod, observed, verdicts, begin, steps)) {
    for (const container of pod.spec.containers) runApp(container, pod, observed, verdicts, begin, steps)
  }
  steps.push(...sweep(pod, observed))
  return { steps, againAtMs, ended: undefined }
}

/** Counts on from what the API knows where the runtime has lost the earlier containers: restarts never go backwards. */
function attemptAfter(pod: Pod, name: string, last: ObservedContainer | undefined): number {
  const known = statusesOf(pod).find(one => one.name === name)
  const told = known === undefined ? -1 : known.containerID ? known.restartCount : known.restartCount - 1
  return Math.max(last?.attempt ?? -1, told) + 1
}

type Begin = (container: Container | EphemeralContainer, type: 'init' | 'app' | 'ephemeral') => void

/** One init container after the other; a sidecar (restartPolicy Always) counts as done once it has started. */
function runInit(pod: Pod, observed: Observed | undefined, verdicts: Verdicts, begin: Begin, steps: Step[]): boolean {
  // Once an app container has run in this sandbox, init is over, even if its containers were since removed.
  const appsSeen = pod.spec.containers.some(({ name }) =>
    historyOf(observed, name).attempts.some(one => inSandbox(one, observed)),
  )
  for (const container of pod.spec.initContainers ?? []) {
    const last = historyOf(observed, container.name).newest
    const current = last !== undefined && inSandbox(last, observed) ? last : undefined
    if (isSidecar(container)) {
      if (current === undefined || current.state.kind !== 'running') {
        begin(container, 'init')
        if (!appsSeen) return false
      } else if (tend(container, current, pod, verdicts, steps) && !appsSeen) return false
      else if (!appsSeen && !verdicts.started.has(current.id)) return false
      continue
    }
    if (appsSeen) continue
    if (current?.state.kind === 'exited' && current.state.exitCode === 0) continue
    if (current?.state.kind === 'running') return false
    begin(container, 'init')
    return false
  }
  return true
}

function runApp(
  container: Container,
  pod: Pod,
  observed: Observed | undefined,
  verdicts: Verdicts,
  begin: Begin,
  steps: Step[],
): void {
  const last = historyOf(observed, container.name).newest
  if (last === undefined) {
    begin(container, 'app')
    return
  }
  switch (last.state.kind) {
    case 'running':
      tend(container, last, pod, verdicts, steps)
      return
    case 'created':
      // Its start failed; the next attempt is a new container.
      begin(container, 'app')
      return
    case 'exited': {
      const { restartPolicy } = pod.spec
      const again = restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && last.state.exitCode !== 0)
      if (again) begin(container, 'app')
    }
  }
}

/** Stops a running container that must be another one, or that its probes have given up; true when it does. */
function tend(container: Container, current: ObservedContainer, pod: Pod, verdicts: Verdicts, steps: Step[]): boolean {
  if (current.specHash !== containerHash(container)) {
    steps.push(stop(current, pod, graceOf(pod), 'its definition changed'))
    return true
  }
  if (!verdicts.unhealthy.has(current.id)) return false
  const probe = verdicts.started.has(current.id) ? container.livenessProbe : container.startupProbe
  const graceMs = graceOf(pod, probe?.terminationGracePeriodSeconds)
  steps.push(stop(current, pod, graceMs, 'its liveness or startup probe failed'))
  return true
}

/**
 * Of each container the newest attempt and the one before stay, the latter for `logs --previous`. Never may two run:
 * an earlier one that does is ended.
 */
function sweep(pod: Pod, observed: Observed | undefined): Step[] {
  return containersOf(pod).flatMap(({ name }) => {
    const { attempts } = historyOf(observed, name)
    const doubled = attempts.slice(1).filter(isLive)
    return [
      ...doubled.map(one => stop(one, pod, graceOf(pod), 'a later attempt has taken its place')),
      ...attempts
        .slice(2)
        .filter(one => !isLive(one))
        .map((one): Step => ({ kind: 'remove', id: one.id })),
    ]
  })
}

export function isLive(container: ObservedContainer): boolean {
  return container.state.kind === 'running'
}

export function isSidecar(container: Container | EphemeralContainer): boolean {
  return container.restartPolicy === 'Always'
}

/** All that a pod's spec names: init, app, ephemeral. */
export function containersOf(pod: Pod): readonly (Container | EphemeralContainer)[] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers, ...(pod.spec.ephemeralContainers ?? [])]
}

function statusesOf({ status }: Pod): readonly ContainerStatus[] {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = status
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses]
}

function graceOf(pod: Pod, seconds = pod.spec.terminationGracePeriodSeconds): number {
  return seconds * 1_000
}

function stop(one: ObservedContainer, pod: Pod | undefined, graceMs: number, why: string): Step {
  const spec = [...(pod?.spec.initContainers ?? []), ...(pod?.spec.containers ?? [])].find(c => c.name === one.name)
  const preStop = graceMs > 0 ? spec?.lifecycle?.preStop : undefined
  return { kind: 'stop', id: one.id, container: one.name, graceMs, preStop, why }
}

function deadlineOf(pod: Pod): number | undefined {
  const { activeDeadlineSeconds } = pod.spec
  if (activeDeadlineSeconds === undefined || pod.status.startTime === undefined) return undefined
  return timeMs(pod.status.startTime) + activeDeadlineSeconds * 1_000
}
