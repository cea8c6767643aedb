// The status of a Deployment: counts, and the conditions Available, Progressing and ReplicaFailure as `kubectl rollout
// status` and `kubectl wait` read them. Pure. After kubernetes pkg/controller/deployment/progress.go and sync.go.
import type { Deployment, DeploymentCondition, DeploymentStatus } from '../api/kinds/deployment.ts'
import type { ReplicaSet } from '../api/kinds/replicaset.ts'
import { timeMs } from '../client/objects.ts'
import { rfc3339 } from '../lib/duration.ts'
import { findCondition, withoutCondition } from './conditions.ts'
import { fenceposts, sizeOf, sum } from './rollout.ts'

const int32Max = 2 ** 31 - 1

export function hasDeadline({ spec }: Deployment): boolean {
  return spec.progressDeadlineSeconds !== int32Max
}

/** Same status and reason: untouched, as upstream, so that times do not move with every look. */
function put(
  conditions: readonly DeploymentCondition[],
  wanted: DeploymentCondition,
  nowMs: number,
): readonly DeploymentCondition[] {
  const known = findCondition(conditions, wanted.type)
  if (known?.status === wanted.status && known.reason === wanted.reason) return conditions
  const now = rfc3339(nowMs)
  const lastTransitionTime =
    known !== undefined && known.status === wanted.status ? (known.lastTransitionTime ?? now) : now
  return [...withoutCondition(conditions, wanted.type), { ...wanted, lastUpdateTime: now, lastTransitionTime }]
}

export function counts(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  nowMs: number,
): DeploymentStatus {
  const available = sum(sets, set => set.status.availableReplicas)
  const minAvailable = deployment.spec.replicas - fenceposts(deployment).maxUnavailable
  const isAvailable = available >= minAvailable
  const conditions = put(
    deployment.status.conditions ?? [],
    {
      type: 'Available',
      status: isAvailable ? 'True' : 'False',
      reason: isAvailable ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
      message: `Deployment ${isAvailable ? 'has' : 'does not have'} minimum availability.`,
    },
    nowMs,
  )
  const { collisionCount } = deployment.status
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    ...positive({
      replicas: sum(sets, set => set.status.replicas),
      updatedReplicas: newSet?.status.replicas ?? 0,
      readyReplicas: sum(sets, set => set.status.readyReplicas),
      availableReplicas: available,
      unavailableReplicas: sum(sets, sizeOf) - available,
    }),
    ...(collisionCount !== undefined && { collisionCount }),
    conditions,
  }
}

/** Upstream leaves out counts that are zero. */
function positive<K extends string>(counts: Readonly<Record<K, number>>): { readonly [P in K]?: number } {
  const entries = Object.entries<number>(counts).filter(([, count]) => count > 0)
  return Object.fromEntries(entries) as { readonly [P in K]?: number }
}

export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const { replicas } = deployment.spec
  return (
    (status.updatedReplicas ?? 0) === replicas &&
    (status.replicas ?? 0) === replicas &&
    (status.availableReplicas ?? 0) === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  )
}

function isProgressing({ status: before }: Deployment, now: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus) => (status.replicas ?? 0) - (status.updatedReplicas ?? 0)
  return (
    (now.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(now) < old(before) ||
    (now.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (now.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  )
}

/** When the rollout counts as stuck; undefined when there is nothing to wait for. */
export function deadlineMs(deployment: Deployment, conditions: readonly DeploymentCondition[]): number | undefined {
  const progressing = findCondition(conditions, 'Progressing')
  if (!hasDeadline(deployment) || progressing === undefined) return undefined
  if (progressing.reason === 'NewReplicaSetAvailable' || progressing.reason === 'ProgressDeadlineExceeded')
    return undefined
  const fromMs = timeMs(progressing.lastUpdateTime)
  return Number.isNaN(fromMs) ? undefined : fromMs + deployment.spec.progressDeadlineSeconds * 1_000
}

/** Counts and conditions during a rollout. `made`: a new set is created by the same plan. */
export function rolloutStatus(
  deployment: Deployment,
  sets: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  nowMs: number,
): DeploymentStatus {
  const status = counts(deployment, sets, newSet, nowMs)
  let conditions = status.conditions ?? []
  const current = findCondition(conditions, 'Progressing')
  const subject =
    newSet === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${newSet.metadata.name}"`
  const wasComplete =
    (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && current?.reason === 'NewReplicaSetAvailable'
  if (!hasDeadline(deployment)) conditions = withoutCondition(conditions, 'Progressing')
  else if (!wasComplete) {
    const type = 'Progressing'
    if (isComplete(deployment, status)) {
      const message = `${subject} has successfully progressed.`
      conditions = put(conditions, { type, status: 'True', reason: 'NewReplicaSetAvailable', message }, nowMs)
    } else if (isProgressing(deployment, status)) {
      const message = `${subject} is progressing.`
      const now = rfc3339(nowMs)
      const kept = current?.status === 'True' ? (current.lastTransitionTime ?? now) : now
      conditions = [
        ...withoutCondition(conditions, type),
        // Each bit of progress starts the deadline anew.
        { type, status: 'True', reason: 'ReplicaSetUpdated', message, lastUpdateTime: now, lastTransitionTime: kept },
      ]
    } else if ((deadlineMs(deployment, conditions) ?? nowMs) < nowMs) {
      const message = `${subject} has timed out progressing.`
      conditions = put(conditions, { type, status: 'False', reason: 'ProgressDeadlineExceeded', message }, nowMs)
    }
  }
  return { ...status, conditions: withFailure(conditions, sets, newSet, nowMs) }
}

function withFailure(
  conditions: readonly DeploymentCondition[],
  sets: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  nowMs: number,
): readonly DeploymentCondition[] {
  const failures = (newSet === undefined ? sets : [newSet, ...sets]).map(set =>
    findCondition(set.status.conditions, 'ReplicaFailure'),
  )
  const failure = failures.find(condition => condition !== undefined)
  if (failure === undefined) return withoutCondition(conditions, 'ReplicaFailure')
  const { status, reason, message } = failure
  const wanted = { type: 'ReplicaFailure', status, ...(reason && { reason }), ...(message && { message }) }
  return put(conditions, wanted, nowMs)
}

/** Progressing as it stands after something that the controller itself did or found. */
export function withProgress(
  deployment: Deployment,
  status: DeploymentStatus,
  progress: { readonly status: 'True' | 'False' | 'Unknown'; readonly reason: string; readonly message: string },
  nowMs: number,
): DeploymentStatus {
  if (!hasDeadline(deployment)) return status
  return { ...status, conditions: put(status.conditions ?? [], { type: 'Progressing', ...progress }, nowMs) }
}
