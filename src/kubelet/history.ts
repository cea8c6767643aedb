// What the runtime shows of one container: its newest attempt, the one before, and how long to wait before the next.
// The kubelet remembers none of this itself: the back-off that led to an attempt stands in that container's annotations.
import type { Observed, ObservedContainer } from '../world/runtime.ts'

export const backoffFirstMs = 10_000
export const backoffMsMax = 300_000
/** A container that ran this long begins its back-off anew. */
export const backoffResetAfterMs = 600_000

/** The annotation that carries the back-off before this attempt, in milliseconds. */
export const backoffAnnotation = 'flotilla.dev/backoff-ms'
/** The annotation that names the sandbox which the container joined. */
export const sandboxAnnotation = 'flotilla.dev/sandbox'

export type History = {
  readonly newest: ObservedContainer | undefined
  readonly previous: ObservedContainer | undefined
  /** All attempts, newest first. */
  readonly attempts: readonly ObservedContainer[]
}

export function historyOf(observed: Observed | undefined, name: string): History {
  const attempts = (observed?.containers ?? [])
    .filter(container => container.name === name)
    .toSorted((a, b) => b.attempt - a.attempt || b.createdMs - a.createdMs)
  return { newest: attempts[0], previous: attempts[1], attempts }
}

/** True when the container joined the sandbox that stands now. */
export function inSandbox(container: ObservedContainer, observed: Observed | undefined): boolean {
  return container.annotations[sandboxAnnotation] === observed?.sandbox?.id
}

/**
 * The back-off before the attempt after `last`: none after the first failure, then 10 s doubling to 5 min, none again
 * after a run of 10 min. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
 */
export function backoffAfter(last: ObservedContainer): number {
  const { state } = last
  if (state.kind === 'exited' && state.finishedMs - state.startedMs >= backoffResetAfterMs) return 0
  const before = Number(last.annotations[backoffAnnotation] ?? '')
  if (last.annotations[backoffAnnotation] === undefined || Number.isNaN(before)) return 0
  return before === 0 ? backoffFirstMs : Math.min(before * 2, backoffMsMax)
}

/** When the attempt after `last` may start, on the wall clock. */
export function restartAtMs(last: ObservedContainer): number {
  const endedMs = last.state.kind === 'exited' ? last.state.finishedMs : last.createdMs
  return endedMs + backoffAfter(last)
}
