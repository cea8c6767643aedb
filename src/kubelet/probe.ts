// The state of one probe, folded from its results. Pure; run-probe.ts asks the questions.
// https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
import type { Probe } from '../api/types/probe.ts'

export type ProbeKind = 'startup' | 'liveness' | 'readiness'

export type ProbeState = {
  /** What the probe says now: liveness starts as true, readiness and startup as false. */
  readonly holds: boolean
  readonly successes: number
  readonly failures: number
}

/** `held`: the API says that it held before this agent was started, and nothing has said otherwise since. */
export function initialProbe(kind: ProbeKind, held: boolean): ProbeState {
  return { holds: held || kind === 'liveness', successes: 0, failures: 0 }
}

export function foldProbe(state: ProbeState, probe: Probe, success: boolean): ProbeState {
  const successes = success ? state.successes + 1 : 0
  const failures = success ? 0 : state.failures + 1
  if (success && successes >= probe.successThreshold) return { holds: true, successes, failures }
  if (!success && failures >= probe.failureThreshold) return { holds: false, successes, failures }
  return { holds: state.holds, successes, failures }
}

/** A startup or liveness probe that has failed for good: its container is to be ended. */
export function hasFailed(kind: ProbeKind, state: ProbeState, probe: Probe): boolean {
  return kind !== 'readiness' && state.failures >= probe.failureThreshold
}
