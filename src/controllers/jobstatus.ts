// How a Job stands: each of its ended pods is counted exactly once, and the counts say whether it has succeeded or failed.
// A pod keeps a finalizer until it is counted: first its uid is noted in the status, then the finalizer goes, then the note
// becomes a number. So neither a crash between two writes nor a pod that is removed early can lose or double a count.
// Pure. After kubernetes pkg/controller/job/job_controller.go (trackJobStatusAndRemoveFinalizers).
import type { Job, JobCondition, JobStatus } from '../api/kinds/job.ts'
import type { Pod } from '../api/kinds/pod.ts'
import { isActive, isDeleting, isFinished, isReady, timeMs } from '../client/objects.ts'
import { formatIndexes, parseIndexes } from './jobindexes.ts'
import {
  failuresWith,
  hasFailed,
  hasSucceeded,
  indexOf,
  isIndexed,
  isTracked,
  restartsOf,
  verdictOn,
} from './jobpods.ts'

export type Tally = {
  readonly active: readonly Pod[]
  readonly terminating: number
  readonly ready: number
  /** As they go into the status: counted for good, and noted. */
  readonly succeeded: number
  readonly failed: number
  readonly uncounted: { readonly succeeded: readonly string[]; readonly failed: readonly string[] }
  /** For decisions: counted and noted together. */
  readonly allSucceeded: number
  readonly allFailed: number
  readonly completed: ReadonlySet<number>
  readonly failedIndexes: ReadonlySet<number>
  /** Ended pods whose finalizer may go once the status that notes them is written. */
  readonly release: readonly Pod[]
  readonly failJob: string | undefined
}

export function tally(job: Job, pods: readonly Pod[]): Tally {
  const { status, spec } = job
  const known = status.uncountedTerminatedPods
  const tracked = new Set(pods.filter(isTracked).map(({ metadata }) => metadata.uid))
  const noted = { succeeded: new Set(known?.succeeded ?? []), failed: new Set(known?.failed ?? []) }
  let { succeeded = 0, failed = 0 } = status
  // The finalizer is gone, and so is the need for the note.
  for (const uid of [...noted.succeeded]) if (!tracked.has(uid) && noted.succeeded.delete(uid)) succeeded += 1
  for (const uid of [...noted.failed]) if (!tracked.has(uid) && noted.failed.delete(uid)) failed += 1

  const completions = spec.completions ?? 0
  const completed = new Set(isIndexed(job) ? parseIndexes(status.completedIndexes, completions) : [])
  const failedIndexes = new Set(parseIndexes(status.failedIndexes, completions))
  const release: Pod[] = []
  let failJob: string | undefined
  for (const pod of pods) {
    const { uid } = pod.metadata
    const isGood = hasSucceeded(pod)
    if (!isGood && !hasFailed(job, pod)) continue
    const index = indexOf(job, pod)
    const verdict = isGood ? undefined : verdictOn(job, pod)
    if (verdict?.kind === 'fail-job') failJob ??= verdict.message
    if (!isTracked(pod)) continue
    // A pod of an indexed Job without a valid index is not one of the Job's work; it is only let go.
    const counts = !isIndexed(job) || index !== undefined
    if (isGood && counts) {
      if (index === undefined) noted.succeeded.add(uid)
      // A second success of an index counts no more.
      else if (!completed.has(index) || noted.succeeded.has(uid)) {
        completed.add(index)
        noted.succeeded.add(uid)
      }
    } else if (counts && verdict?.kind !== 'ignore') {
      noted.failed.add(uid)
      if (index !== undefined && spec.backoffLimitPerIndex !== undefined) {
        const isSpent = failuresWith(job, pod) > spec.backoffLimitPerIndex
        if (isSpent || verdict?.kind === 'fail-index') failedIndexes.add(index)
      }
    }
    release.push(pod)
  }
  for (const index of completed) failedIndexes.delete(index)
  const active = pods.filter(isActive)
  return {
    active,
    terminating: pods.filter(pod => isDeleting(pod) && !isFinished(pod)).length,
    ready: active.filter(isReady).length,
    succeeded,
    failed,
    uncounted: { succeeded: [...noted.succeeded], failed: [...noted.failed] },
    allSucceeded: isIndexed(job) ? completed.size : succeeded + noted.succeeded.size,
    allFailed: failed + noted.failed.size,
    completed,
    failedIndexes,
    release,
    failJob,
  }
}

export function conditionOf({ status }: Job, type: string): JobCondition | undefined {
  return status.conditions?.find(condition => condition.type === type && condition.status === 'True')
}

export function isOver(job: Job): boolean {
  return conditionOf(job, 'Complete') !== undefined || conditionOf(job, 'Failed') !== undefined
}

export type End =
  | { readonly kind: 'complete'; readonly reason: string; readonly message: string }
  | { readonly kind: 'failed'; readonly reason: string; readonly message: string }

/** Whether the Job has come to its end; the decision, once written, stands. */
export function endOf(job: Job, counts: Tally, pods: readonly Pod[], nowMs: number): End | undefined {
  const decided = conditionOf(job, 'FailureTarget') ?? conditionOf(job, 'SuccessCriteriaMet')
  if (decided !== undefined) {
    const { reason = '', message = '' } = decided
    return { kind: decided.type === 'FailureTarget' ? 'failed' : 'complete', reason, message }
  }
  const { spec } = job
  const failed = (reason: string, message: string): End => ({ kind: 'failed', reason, message })
  if (counts.failJob !== undefined) return failed('PodFailurePolicy', counts.failJob)
  const limit = spec.backoffLimit ?? 6
  if (counts.allFailed > limit || restartsExceed(job, pods, limit)) {
    return failed('BackoffLimitExceeded', 'Job has reached the specified backoff limit')
  }
  if (deadlineMs(job) <= nowMs) return failed('DeadlineExceeded', 'Job was active longer than specified deadline')
  if (isIndexed(job)) {
    const policy = successPolicyMet(job, counts)
    if (policy !== undefined) return policy
    if (spec.backoffLimitPerIndex !== undefined) {
      if (spec.maxFailedIndexes !== undefined && counts.failedIndexes.size > spec.maxFailedIndexes) {
        const message = 'Job has exceeded the specified maximal number of failed indexes'
        return failed('MaxFailedIndexesExceeded', message)
      }
      const isAll = counts.failedIndexes.size + counts.completed.size >= (spec.completions ?? 0)
      if (isAll && counts.failedIndexes.size > 0) return failed('FailedIndexes', 'Job has failed indexes')
    }
  }
  const isComplete =
    spec.completions === undefined
      ? counts.allSucceeded > 0 && counts.active.length === 0
      : counts.allSucceeded >= spec.completions && spec.suspend !== true
  if (!isComplete || (spec.suspend === true && spec.completions === undefined)) return undefined
  return { kind: 'complete', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' }
}

/** With restartPolicy OnFailure the kubelet restarts in place: its restarts are the failures. */
function restartsExceed({ spec }: Job, pods: readonly Pod[], limit: number): boolean {
  if (spec.template.spec.restartPolicy !== 'OnFailure') return false
  const running = pods.filter(({ status }) => status.phase === 'Running' || status.phase === 'Pending')
  const restarts = running.reduce((sum, pod) => sum + restartsOf(pod), 0)
  return limit === 0 ? restarts > 0 : restarts >= limit
}

/** Infinity when it has none, or has not started. */
export function deadlineMs({ spec, status }: Job): number {
  if (spec.activeDeadlineSeconds === undefined || spec.suspend === true) return Number.POSITIVE_INFINITY
  const startedMs = timeMs(status.startTime)
  return Number.isNaN(startedMs) ? Number.POSITIVE_INFINITY : startedMs + spec.activeDeadlineSeconds * 1_000
}

function successPolicyMet({ spec }: Job, { completed }: Tally): End | undefined {
  for (const [i, { succeededIndexes, succeededCount }] of (spec.successPolicy?.rules ?? []).entries()) {
    const among = succeededIndexes === undefined ? undefined : parseIndexes(succeededIndexes, spec.completions ?? 0)
    const matching = among === undefined ? completed.size : [...among].filter(index => completed.has(index)).length
    if (matching >= (succeededCount ?? among?.size ?? Number.POSITIVE_INFINITY)) {
      return { kind: 'complete', reason: 'SuccessPolicy', message: `Matched rules at index ${i}` }
    }
  }
  return undefined
}

/** The counts as they stand in the status; conditions and times are the caller's. */
export function statusCounts(job: Job, counts: Tally): JobStatus {
  const { succeeded, failed, uncounted, completed, failedIndexes, active, ready, terminating } = counts
  return {
    ...(active.length > 0 && { active: active.length }),
    ...(succeeded > 0 && { succeeded }),
    ...(failed > 0 && { failed }),
    ...(isIndexed(job) && completed.size > 0 && { completedIndexes: formatIndexes(completed) }),
    ...(isIndexed(job) &&
      job.spec.backoffLimitPerIndex !== undefined && { failedIndexes: formatIndexes(failedIndexes) }),
    uncountedTerminatedPods: {
      ...(uncounted.succeeded.length > 0 && { succeeded: uncounted.succeeded }),
      ...(uncounted.failed.length > 0 && { failed: uncounted.failed }),
    },
    ready,
    terminating,
  }
}
