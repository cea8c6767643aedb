// Small questions about objects that several components ask: who owns it, is the pod ready, since when.
import type { KubeObject } from '../api/kind.ts'
import { apiVersionOf, type Kind } from '../api/kind.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { OwnerReference } from '../api/types/meta.ts'
import type { PodCondition } from '../api/types/podstatus.ts'
import { parseRfc3339 } from '../lib/duration.ts'
import type { Indexes } from './cache.ts'

/** The one owner that controls it. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(reference => reference.controller === true)
}

export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid
}

/** The reference that a controller writes into what it makes. */
export function controllerReference(kind: Kind, owner: KubeObject): OwnerReference {
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}

export function isDeleting(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined
}

export function timeMs(text: string | undefined): number {
  return text === undefined ? Number.NaN : (parseRfc3339(text) ?? Number.NaN)
}

export function createdMs(object: KubeObject): number {
  return timeMs(object.metadata.creationTimestamp) || 0
}

export function isFinished(pod: Pod): boolean {
  return pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed'
}

/** Neither finished nor on its way out. */
export function isActive(pod: Pod): boolean {
  return !isFinished(pod) && !isDeleting(pod)
}

export function podCondition(pod: Pod, type: string): PodCondition | undefined {
  return pod.status.conditions?.find(condition => condition.type === type)
}

export function isReady(pod: Pod): boolean {
  return podCondition(pod, 'Ready')?.status === 'True'
}

/** When it became ready, as far as is known; NaN when it is not. */
export function readySinceMs(pod: Pod): number {
  const condition = podCondition(pod, 'Ready')
  return condition?.status === 'True' ? timeMs(condition.lastTransitionTime) : Number.NaN
}

/** Ready for `minReadySeconds`; with zero, ready is enough. */
export function isAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  if (!isReady(pod)) return false
  return minReadySeconds === 0 || readySinceMs(pod) + minReadySeconds * 1_000 <= nowMs
}

/** Indexes that every follower of a kind may count on: 'owner' (uid of the controller), 'owned' (uid of each owner), 'orphan' (namespace). */
export const ownerIndexes: Indexes<KubeObject> = {
  owner: object => {
    const uid = controllerOf(object)?.uid
    return uid === undefined ? [] : [uid]
  },
  owned: object => object.metadata.ownerReferences?.map(reference => reference.uid) ?? [],
  orphan: object => (controllerOf(object) === undefined ? [object.metadata.namespace ?? ''] : []),
}

/** Beside the owners: 'node', where the pod is bound. */
export const podIndexes: Indexes<Pod> = {
  ...ownerIndexes,
  node: pod => (pod.spec.nodeName === undefined || pod.spec.nodeName === '' ? [] : [pod.spec.nodeName]),
}
