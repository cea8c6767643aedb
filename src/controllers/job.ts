// Job: runs pods until enough of them have succeeded, or too many have failed. Indexed or not, suspended and resumed, with a
// back-off between failures, deadlines, failure and success policies, and removal some time after its end.
// After kubernetes pkg/controller/job and pkg/controller/ttlafterfinished.
import { type Job, type JobCondition, type JobStatus, job as jobKind } from '../api/kinds/job.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import { createdMs, isDeleting, isFinished, isReady, timeMs } from '../client/objects.ts'
import { sameJson } from '../lib/canonical.ts'
import { rfc3339 } from '../lib/duration.ts'
import { compareText } from '../lib/sorted.ts'
import { claim, concerned } from './claim.ts'
import {
  type Change,
  create,
  defineController,
  nothing,
  type Plan,
  patch,
  remove,
  tell,
  updateStatus,
} from './controller.ts'
import {
  failuresWith,
  finishedMs,
  hasFailed,
  hasSucceeded,
  holdsPlace,
  indexOf,
  isIndexed,
  isTracked,
  podOf,
  trackingFinalizer,
} from './jobpods.ts'
import { conditionOf, deadlineMs, type End, endOf, isOver, statusCounts, type Tally, tally } from './jobstatus.ts'
import { burstReplicas } from './replicaset.ts'

/** After the first failure, doubling with each further one. */
export const jobBackoffMs = 10_000
export const jobBackoffMsMax = 600_000

export const jobController = defineController({
  name: 'job',
  of: jobKind,
  reads: { pods: podKind },
  wakes: {
    pods: (one, { itself }) => concerned(jobKind, itself, owner => owner.spec.selector)(one),
  },
  reconcile(job, { pods: view }, { nowMs }): Plan {
    const managedBy = job.spec.managedBy ?? 'kubernetes.io/job-controller'
    if (managedBy !== 'kubernetes.io/job-controller') return nothing
    const { owned: pods, changes: claims } = claim(job, jobKind, job.spec.selector, podKind, view, trackingFinalizer)
    if (claims.length > 0) return { changes: claims }
    if (isDeleting(job)) return { changes: pods.filter(isTracked).map(letGo) }
    if (isOver(job)) return afterEnd(job, pods, nowMs)
    return step(job, pods, nowMs)
  },
  // A pod whose Job is gone is counted by nobody: let it go too.
  gone: ({ namespace }, { pods, itself }) => ({
    changes: pods
      .list(namespace)
      .filter(
        one => isTracked(one) && one.metadata.ownerReferences?.some(owner => isOrphaned(owner, namespace, itself)),
      )
      .map(letGo),
  }),
})

function isOrphaned(
  owner: { readonly kind: string; readonly controller?: boolean; readonly name: string; readonly uid: string },
  namespace: string | undefined,
  jobs: { get(namespace: string | undefined, name: string): Job | undefined },
): boolean {
  if (owner.controller !== true || owner.kind !== jobKind.kind) return false
  return jobs.get(namespace, owner.name)?.metadata.uid !== owner.uid
}

function letGo(one: Pod): Change {
  const finalizers = (one.metadata.finalizers ?? []).filter(name => name !== trackingFinalizer)
  return patch(podKind, one, { metadata: { finalizers: finalizers.length > 0 ? finalizers : null } })
}

function afterEnd(job: Job, pods: readonly Pod[], nowMs: number): Plan {
  const release = pods.filter(isTracked).map(letGo)
  const { ttlSecondsAfterFinished } = job.spec
  if (release.length > 0 || ttlSecondsAfterFinished === undefined) return { changes: release }
  const end = conditionOf(job, 'Complete') ?? conditionOf(job, 'Failed')
  const dueMs = (timeMs(end?.lastTransitionTime) || nowMs) + ttlSecondsAfterFinished * 1_000
  if (nowMs < dueMs) return { changes: [], againAtMs: dueMs }
  return { changes: [remove(jobKind, job, { propagationPolicy: 'Foreground' })] }
}

function step(job: Job, pods: readonly Pod[], nowMs: number): Plan {
  const counts = tally(job, pods)
  const end = endOf(job, counts, pods, nowMs)
  const suspended = job.spec.suspend === true && end === undefined
  const work =
    end !== undefined || suspended ? { changes: removals(job, counts.active) } : manage(job, counts, pods, nowMs)
  const { status, events } = statusAfter(job, counts, end, work.changes.length > 0, nowMs)
  const told = sameJson(status, job.status) ? [] : [updateStatus(jobKind, { ...job, status })]
  const times = [
    deadlineMs(job),
    'againAtMs' in work ? (work.againAtMs ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY,
  ]
  const againAtMs = Math.min(...times.filter(atMs => atMs > nowMs))
  return {
    changes: [
      ...told,
      ...events,
      // Only after the status that notes them has been written.
      ...counts.release.map(letGo),
      ...work.changes,
    ],
    ...(Number.isFinite(againAtMs) && { againAtMs }),
  }
}

function statusAfter(
  job: Job,
  counts: Tally,
  end: End | undefined,
  isBusy: boolean,
  nowMs: number,
): { readonly status: JobStatus; readonly events: readonly Change[] } {
  const now = rfc3339(nowMs)
  const events: Change[] = []
  let conditions = job.status.conditions ?? []
  let { startTime } = job.status
  const set = (type: string, status: 'True' | 'False', reason: string, message: string) => {
    const known = conditions.find(condition => condition.type === type)
    if (known?.status === status) return false
    const next: JobCondition = { type, status, reason, message, lastProbeTime: now, lastTransitionTime: now }
    conditions = known === undefined ? [...conditions, next] : conditions.map(one => (one === known ? next : one))
    return true
  }
  const isSuspending = job.spec.suspend === true && end === undefined
  const wasSuspended = conditionOf(job, 'Suspended') !== undefined
  if (isSuspending) {
    if (set('Suspended', 'True', 'JobSuspended', 'Job suspended'))
      events.push(tell(job, 'Normal', 'Suspended', 'Job suspended'))
    startTime = undefined
  } else if (end === undefined) {
    if (wasSuspended) {
      set('Suspended', 'False', 'JobResumed', 'Job resumed')
      events.push(tell(job, 'Normal', 'Resumed', 'Job resumed'))
      startTime = now
    }
    startTime ??= now
  }
  let completionTime: string | undefined
  if (end !== undefined) {
    startTime ??= now
    const { kind, reason, message } = end
    set(kind === 'failed' ? 'FailureTarget' : 'SuccessCriteriaMet', 'True', reason, message)
    // The end is the end only when nothing runs any more, and every pod is counted.
    const { succeeded, failed } = counts.uncounted
    const isSettled = succeeded.length === 0 && failed.length === 0 && counts.release.length === 0
    if (isSettled && !isBusy && counts.active.length === 0 && counts.terminating === 0) {
      set(kind === 'failed' ? 'Failed' : 'Complete', 'True', reason, message)
      // Not before its start, which another leader's clock may have set.
      if (kind === 'complete') completionTime = rfc3339(Math.max(timeMs(startTime), nowMs))
      events.push(
        kind === 'failed' ? tell(job, 'Warning', reason, message) : tell(job, 'Normal', 'Completed', 'Job completed'),
      )
    }
  }
  const status: JobStatus = {
    ...(conditions.length > 0 && { conditions }),
    ...(startTime !== undefined && { startTime }),
    ...(completionTime !== undefined && { completionTime }),
    ...statusCounts(job, counts),
  }
  return { status, events }
}

function removals(job: Job, pods: readonly Pod[]): readonly Change[] {
  return pods.map(one => remove(podKind, one, {}, job))
}

/** As many pods as should run now; indexed or not. */
function manage(
  job: Job,
  counts: Tally,
  pods: readonly Pod[],
  nowMs: number,
): { readonly changes: readonly Change[]; readonly againAtMs?: number } {
  const { parallelism = 1, completions } = job.spec
  const { active } = counts
  const doubles = isIndexed(job) ? doubledOf(job, active) : []
  if (doubles.length > 0) return { changes: removals(job, doubles) }
  const wanted = wantedActive(job, counts, parallelism, completions)
  if (active.length > wanted) {
    return { changes: removals(job, active.toSorted(compareRemoval).slice(0, active.length - wanted)) }
  }
  const held = pods.filter(one => holdsPlace(job, one))
  const missing = Math.min(wanted - active.length - held.length, burstReplicas)
  if (missing <= 0) return { changes: [] }
  if (!isIndexed(job)) {
    const waitMs = backoffUntilMs(pods, job)
    if (waitMs > nowMs) return { changes: [], againAtMs: waitMs }
    return { changes: Array.from({ length: missing }, () => create(podKind, podOf(job, undefined, 0), job)) }
  }
  return createIndexed(job, counts, pods, held, missing, nowMs)
}

function wantedActive(job: Job, counts: Tally, parallelism: number, completions: number | undefined): number {
  // A work queue: once one has succeeded, the others finish and no more are started.
  if (completions === undefined)
    return counts.allSucceeded > 0 ? Math.min(counts.active.length, parallelism) : parallelism
  const spent = isIndexed(job) ? counts.failedIndexes.size : 0
  return Math.max(0, Math.min(parallelism, completions - counts.allSucceeded - spent))
}

/** Of pods with the same index, or none, all but one. */
function doubledOf(job: Job, active: readonly Pod[]): readonly Pod[] {
  const seen = new Set<number>()
  return active
    .toSorted((a, b) => -compareRemoval(a, b))
    .filter(one => {
      const index = indexOf(job, one)
      if (index === undefined || seen.has(index)) return true
      seen.add(index)
      return false
    })
}

/** Negative when `a` should go first: what is not ready, then what is younger. */
function compareRemoval(a: Pod, b: Pod): number {
  const worth = (one: Pod) => (isReady(one) ? 2 : one.status.phase === 'Running' ? 1 : 0) + (one.spec.nodeName ? 1 : 0)
  return worth(a) - worth(b) || createdMs(b) - createdMs(a) || compareText(a.metadata.name, b.metadata.name)
}

/** When the next pod may be made: later after each failure since the last success. */
function backoffUntilMs(pods: readonly Pod[], job: Job): number {
  const lastSuccessMs = Math.max(0, ...pods.filter(hasSucceeded).map(finishedMs))
  const failures = pods
    .filter(one => hasFailed(job, one) && isFinished(one))
    .map(finishedMs)
    .filter(atMs => atMs > lastSuccessMs)
  if (failures.length === 0) return 0
  return Math.max(...failures) + Math.min(jobBackoffMsMax, jobBackoffMs * 2 ** Math.min(failures.length - 1, 20))
}

function createIndexed(
  job: Job,
  counts: Tally,
  pods: readonly Pod[],
  held: readonly Pod[],
  missing: number,
  nowMs: number,
): { readonly changes: readonly Change[]; readonly againAtMs?: number } {
  const taken = new Set([...counts.completed, ...counts.failedIndexes])
  for (const one of [...counts.active, ...held]) {
    const index = indexOf(job, one)
    if (index !== undefined) taken.add(index)
  }
  const changes: Change[] = []
  let againAtMs = Number.POSITIVE_INFINITY
  const perIndex = job.spec.backoffLimitPerIndex !== undefined
  const waitAllMs = perIndex ? 0 : backoffUntilMs(pods, job)
  for (let index = 0; index < (job.spec.completions ?? 0) && changes.length < missing; index++) {
    if (taken.has(index)) continue
    const before = pods.filter(one => indexOf(job, one) === index)
    const waitMs = perIndex ? backoffUntilMs(before, job) : waitAllMs
    if (waitMs > nowMs) {
      againAtMs = Math.min(againAtMs, waitMs)
      continue
    }
    const failures = Math.max(0, ...before.map(one => failuresWith(job, one)))
    changes.push(create(podKind, podOf(job, index, failures), job))
  }
  return Number.isFinite(againAtMs) ? { changes, againAtMs } : { changes }
}
