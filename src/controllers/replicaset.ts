// ReplicaSet: as many pods as it says. Adopts and releases by label, creates what is missing, deletes what is too much in
// the order that hurts least. After kubernetes pkg/controller/replicaset and controller_utils.go (ActivePodsWithRanks).
import type { KubeObject } from '../api/kind.ts'
import { type Pod, pod } from '../api/kinds/pod.ts'
import {
  type ReplicaSet,
  type ReplicaSetCondition,
  type ReplicaSetStatus,
  replicaSet,
} from '../api/kinds/replicaset.ts'
import type { View } from '../client/cache.ts'
import {
  controllerOf,
  controllerReference,
  createdMs,
  isActive,
  isAvailable,
  isDeleting,
  isReady,
  readySinceMs,
} from '../client/objects.ts'
import { sameJson } from '../lib/canonical.ts'
import { matchesLabels, requirementsOf } from '../lib/selector.ts'
import { claim, concerned } from './claim.ts'
import { findCondition, setCondition, withoutCondition } from './conditions.ts'
import { type Change, type Context, create, defineController, type Plan, remove, updateStatus } from './controller.ts'
import { podFromTemplate } from './podtemplate.ts'

/** At most so many pods are created or deleted in one plan. */
export const burstReplicas = 500

export const replicaSetController = defineController({
  name: 'replicaset',
  of: replicaSet,
  reads: { pods: pod },
  wakes: {
    pods: (object, { itself }) => concerned(replicaSet, itself, owner => owner.spec.selector)(object),
  },
  reconcile(set, { pods, itself }, context): Plan {
    const { owned, changes: claims } = claim(set, replicaSet, set.spec.selector, pod, pods)
    const active = owned.filter(isActive)
    const wanted = isDeleting(set) ? [] : resize(set, active, itself, pods)
    const status = statusOf(set, active, context, wanted.length > 0)
    return {
      changes: [
        ...(sameJson(status, set.status) ? [] : [updateStatus(replicaSet, { ...set, status })]),
        ...claims,
        // What is about to be adopted is counted in the next plan; until then nothing is created in its place.
        ...(claims.length > 0 ? [] : wanted),
      ],
      ...nextAvailable(set, active, context.nowMs),
    }
  },
})

function resize(set: ReplicaSet, active: readonly Pod[], sets: View<ReplicaSet>, pods: View<Pod>): readonly Change[] {
  const difference = set.spec.replicas - active.length
  if (difference > 0) {
    const reference = controllerReference(replicaSet, set)
    const made = podFromTemplate(set, set.spec.template, reference)
    return Array.from({ length: Math.min(difference, burstReplicas) }, () => create(pod, made, set))
  }
  if (difference === 0) return []
  return victims(active, Math.min(-difference, burstReplicas), relatedPods(set, sets, pods)).map(victim =>
    remove(pod, victim, {}, set),
  )
}

/** The pods of all sets of the same Deployment: scaling down prefers nodes that hold many of them. */
function relatedPods(set: ReplicaSet, sets: View<ReplicaSet>, pods: View<Pod>): readonly Pod[] {
  const owner = controllerOf(set)
  const related = owner === undefined ? [set] : sets.by('owner', owner.uid)
  return related.flatMap(other => pods.by('owner', other.metadata.uid)).filter(isActive)
}

/** The `count` pods whose loss hurts least. */
export function victims(active: readonly Pod[], count: number, related: readonly Pod[]): readonly Pod[] {
  if (count >= active.length) return active
  const onNode = new Map<string, number>()
  for (const { spec } of related) onNode.set(spec.nodeName ?? '', (onNode.get(spec.nodeName ?? '') ?? 0) + 1)
  const rank = (one: Pod) => onNode.get(one.spec.nodeName ?? '') ?? 0
  return active.toSorted((a, b) => compareVictims(a, b, rank)).slice(0, count)
}

const phaseOrder: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 }

/** Negative when `a` should go first. */
function compareVictims(a: Pod, b: Pod, rank: (pod: Pod) => number): number {
  const assigned = (one: Pod) => (one.spec.nodeName ? 1 : 0)
  if (assigned(a) !== assigned(b)) return assigned(a) - assigned(b)
  const phase = (one: Pod) => phaseOrder[one.status.phase ?? 'Pending'] ?? 0
  if (phase(a) !== phase(b)) return phase(a) - phase(b)
  if (isReady(a) !== isReady(b)) return isReady(a) ? 1 : -1
  if (deletionCost(a) !== deletionCost(b)) return deletionCost(a) - deletionCost(b)
  if (rank(a) !== rank(b)) return rank(b) - rank(a)
  if (isReady(a) && readySinceMs(a) !== readySinceMs(b)) return readySinceMs(b) - readySinceMs(a)
  if (restarts(a) !== restarts(b)) return restarts(b) - restarts(a)
  if (createdMs(a) !== createdMs(b)) return createdMs(b) - createdMs(a)
  return a.metadata.name < b.metadata.name ? -1 : 1
}

function deletionCost({ metadata }: KubeObject): number {
  const text = metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? '0'
  return /^-?[1-9]\d*$/.test(text) && Math.abs(Number(text)) < 2 ** 31 ? Number(text) : 0
}

function restarts(one: Pod): number {
  return Math.max(0, ...(one.status.containerStatuses?.map(status => status.restartCount) ?? []))
}

function statusOf(set: ReplicaSet, active: readonly Pod[], context: Context, resizing: boolean): ReplicaSetStatus {
  const templateLabels = requirementsOf({ matchLabels: set.spec.template?.metadata.labels ?? {} }) ?? []
  const minReadySeconds = set.spec.minReadySeconds ?? 0
  return {
    replicas: active.length,
    ...counted('fullyLabeledReplicas', active.filter(one => matchesLabels(templateLabels, one.metadata.labels)).length),
    ...counted('readyReplicas', active.filter(isReady).length),
    ...counted('availableReplicas', active.filter(one => isAvailable(one, minReadySeconds, context.nowMs)).length),
    observedGeneration: set.metadata.generation ?? 0,
    ...present('conditions', failureCondition(set, context, resizing)),
  }
}

/** Upstream leaves out counts that are zero. */
function counted<K extends string>(key: K, count: number): { readonly [P in K]?: number } {
  return count === 0 ? {} : ({ [key]: count } as { readonly [P in K]?: number })
}

function present<K extends string, T>(key: K, list: readonly T[]): { readonly [P in K]?: readonly T[] } {
  return list.length === 0 ? {} : ({ [key]: list } as { readonly [P in K]?: readonly T[] })
}

function failureCondition(
  set: ReplicaSet,
  { failure, nowMs }: Context,
  resizing: boolean,
): readonly ReplicaSetCondition[] {
  const known = set.status.conditions
  if (!resizing) return withoutCondition(known, 'ReplicaFailure')
  if (failure === undefined || (failure.change !== 'create' && failure.change !== 'delete')) {
    return findCondition(known, 'ReplicaFailure') && failure === undefined
      ? withoutCondition(known, 'ReplicaFailure')
      : (known ?? [])
  }
  const reason = failure.change === 'create' ? 'FailedCreate' : 'FailedDelete'
  // The message may differ each time (it names the pod): it alone is no news.
  const old = findCondition(known, 'ReplicaFailure')
  if (old?.status === 'True' && old.reason === reason) return known ?? []
  return setCondition<ReplicaSetCondition>(
    known,
    { type: 'ReplicaFailure', status: 'True', reason, message: failure.message },
    nowMs,
  )
}

/** When the next ready pod becomes available. */
function nextAvailable(set: ReplicaSet, active: readonly Pod[], nowMs: number): { readonly againAtMs?: number } {
  const waitMs = (set.spec.minReadySeconds ?? 0) * 1_000
  if (waitMs === 0) return {}
  const times = active.map(one => readySinceMs(one) + waitMs).filter(atMs => atMs > nowMs)
  return times.length === 0 ? {} : { againAtMs: Math.min(...times) }
}
