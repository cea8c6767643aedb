// What to do next for one pod: a function of what is wanted, what the runtime shows, and now. Called by run.ts after each
// change; what it returns is carried out, then it is asked again. It never looks back: an agent that was killed anywhere
// and restarted comes to the same plan.
import type { ObjectOf } from '../api/kind.ts'
import type { pod as podKind } from '../api/kinds/pod.ts'
import type { Container, EphemeralContainer, LifecycleHandler } from '../api/types/container.ts'
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
      readonly backoffMs: number
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

const nothing: Plan = { steps: [], againAtMs: undefined, ended: undefined }

/** `pod` undefined: no such pod is bound to this node, so whatever runs of it is taken away. */
export function plan(pod: Pod | undefined, observed: Observed | undefined, verdicts: Verdicts, nowMs: number): Plan {
  if (pod === undefined) return takeAway(observed, undefined, orphanGraceMs)
  if (pod.metadata.deletionTimestamp !== undefined) {
    const deadlineMs = timeMs(pod.metadata.deletionTimestamp)
    return takeAway(observed, pod, Math.max(deadlineMs - nowMs, 0))
  }
  const ended = endOf(pod, observed, verdicts, nowMs)
  if (ended !== undefined) return { ...wind(pod, observed), ended }
  if (verdicts.refused !== undefined) return nothing
  return advance(pod, observed, verdicts, nowMs)
}

/** Stop everything, then remove everything, then forget. */
function takeAway(observed: Observed | undefined, pod: Pod | undefined, graceMs: number): Plan {
  if (observed === undefined) return { ...nothing, steps: [{ kind: 'forget' }] }
  const live = observed.containers.filter(isLive)
  if (live.length > 0) return { ...nothing, steps: live.map(one => stop(one, pod, graceMs, 'the pod is deleted')) }
  // With an object left, dead containers stay until it is gone, so that its last status and logs can be read.
  if (observed.sandbox !== undefined) return { ...nothing, steps: [{ kind: 'removeSandbox', id: observed.sandbox.id }] }
  if (observed.containers.length > 0) {
    return { ...nothing, steps: observed.containers.map(({ id }) => ({ kind: 'remove', id })) }
  }
  return { ...nothing, steps: [{ kind: 'forget' }] }
}

/** The end of a pod that runs no more: stop what still lives, give the sandbox back, keep the dead for their logs. */
function wind(pod: Pod, observed: Observed | undefined): Plan {
  const live = observed?.containers.filter(isLive) ?? []
  if (live.length > 0) {
    const graceMs = pod.spec.terminationGracePeriodSeconds * 1_000
    return { ...nothing, steps: live.map(one => stop(one, pod, graceMs, 'the pod has ended')) }
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
    if (init.restartPolicy === 'Always') continue
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
    const last = historyOf(observed, container.name).newest
    const stale = last !== undefined && !inSandbox(last, observed)
    const atMs = last === undefined || stale ? nowMs : restartAtMs(last)
    if (atMs > nowMs) {
      later(atMs)
      return
    }
    steps.push({
      kind: 'start',
      container,
      type,
      attempt: last === undefined ? 0 : last.attempt + 1,
      backoffMs: last === undefined || stale ? 0 : backoffAfter(last),
      specHash: containerHash(container),
      sandboxId: sandbox?.id ?? '',
    })
  }

  const initDone = runInit(pod, observed, verdicts, begin, steps)
  if (initDone) {
    for (const container of pod.spec.containers) runApp(container, pod, observed, verdicts, begin, steps)
    for (const container of pod.spec.ephemeralContainers ?? []) {
      if (historyOf(observed, container.name).newest === undefined) begin(container, 'ephemeral')
    }
  }
  steps.push(...sweep(pod, observed))
  return { steps, againAtMs, ended: undefined }
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
    if (container.restartPolicy === 'Always') {
      if (current === undefined || current.state.kind !== 'running') {
        begin(container, 'init')
        if (!appsSeen) return false
      } else if (verdicts.unhealthy.has(current.id)) {
        steps.push(stop(current, pod, graceOf(pod), 'its probe failed'))
      } else if (!appsSeen && !verdicts.started.has(current.id)) return false
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
      if (last.specHash !== containerHash(container)) {
        steps.push(stop(last, pod, graceOf(pod), 'its definition changed'))
      } else if (verdicts.unhealthy.has(last.id)) {
        steps.push(stop(last, pod, graceOf(pod, container), 'its liveness or startup probe failed'))
      }
      return
    case 'created':
      // Its start failed; the next attempt is a new container.
      begin(container, 'app')
      return
    case 'exited': {
      const { restartPolicy } = pod.spec
      const again = restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && last.state.exitCode !== 0)
      if (again || (!inSandbox(last, observed) && restartPolicy !== 'Never')) begin(container, 'app')
    }
  }
}

/** Of each container the newest attempt and the one before stay, the latter for `logs --previous`. */
function sweep(pod: Pod, observed: Observed | undefined): Step[] {
  const known = [...(pod.spec.initContainers ?? []), ...pod.spec.containers, ...(pod.spec.ephemeralContainers ?? [])]
  return known.flatMap(({ name }) =>
    historyOf(observed, name)
      .attempts.slice(2)
      .filter(one => !isLive(one))
      .map((one): Step => ({ kind: 'remove', id: one.id })),
  )
}

export function isLive(container: ObservedContainer): boolean {
  return container.state.kind === 'running'
}

function graceOf(pod: Pod, container?: Container): number {
  const own = container?.livenessProbe?.terminationGracePeriodSeconds
  return (own ?? pod.spec.terminationGracePeriodSeconds) * 1_000
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
