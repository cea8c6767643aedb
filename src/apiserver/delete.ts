// What deleting an object means: at once, gracefully (pods), or once its finalizers are gone. Pure.
// https://kubernetes.io/docs/concepts/architecture/garbage-collection/ and .../workloads/pods/pod-lifecycle/#pod-termination
import { ApiError, conflict } from '../api/error.ts'
import { type Kind, type KubeObject, resourceOf } from '../api/kind.ts'
import {
  type CustomResourceDefinition,
  customResourceDefinition,
  doomed,
} from '../api/kinds/customresourcedefinition.ts'
import type { Namespace } from '../api/kinds/namespace.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { JsonObject } from '../api/schema.ts'
import type { DeleteOptions } from '../api/types/meta.ts'
import { rfc3339 } from '../lib/duration.ts'

export type Deletion = { readonly kind: 'remove' } | { readonly kind: 'keep'; readonly object: KubeObject }

const policies = ['Background', 'Foreground', 'Orphan']

export function checkDeleteOptions(options: DeleteOptions): void {
  const { propagationPolicy, orphanDependents, gracePeriodSeconds } = options
  if (propagationPolicy !== undefined && !policies.includes(propagationPolicy)) {
    throw new ApiError('BadRequest', `propagationPolicy must be one of ${policies.join(', ')}`)
  }
  if (propagationPolicy !== undefined && orphanDependents !== undefined) {
    throw new ApiError('BadRequest', 'orphanDependents and propagationPolicy cannot both be set')
  }
  if (gracePeriodSeconds !== undefined && gracePeriodSeconds < 0) {
    throw new ApiError('BadRequest', 'gracePeriodSeconds must not be negative')
  }
}

export function checkPreconditions(kind: Kind, object: KubeObject, options: DeleteOptions): void {
  const { uid, resourceVersion } = options.preconditions ?? {}
  const { metadata } = object
  const wrong = (what: string, wanted: string, found: string) =>
    conflict(
      kind,
      metadata.name,
      `the ${what} in the precondition (${wanted}) does not match the ${what} in record (${found}). The object might have been deleted and then recreated`,
    )
  if (uid !== undefined && uid !== metadata.uid) throw wrong('UID', uid, metadata.uid)
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    throw wrong('ResourceVersion', resourceVersion, metadata.resourceVersion)
  }
}

/** The end of the year 9999, the last that RFC 3339 can write. */
const lastMs = 253_402_300_799_000

/** What becomes of the object. Deleting what is being deleted already may only make it quicker. */
export function planDeletion(kind: Kind, given: KubeObject, options: DeleteOptions, nowMs: number): Deletion {
  const resource = resourceOf(kind)
  const isDefinition = resource === resourceOf(customResourceDefinition)
  const object = isDefinition ? doomed(given as CustomResourceDefinition, nowMs) : given
  const finalizers = finalizersAfter(object, options)
  const graceSeconds = resource === 'pods' ? podGrace(object as Pod, options) : 0
  const held = finalizers.length > 0 || (resource === 'namespaces' && namespaceHeld(object as Namespace))
  if (graceSeconds === 0 && !held) return { kind: 'remove' }

  const { metadata } = object
  // The moment and the length of a deletion that has begun stay, unless they now become shorter.
  const begun = metadata.deletionTimestamp !== undefined
  const shorter = graceSeconds < (metadata.deletionGracePeriodSeconds ?? 0)
  const keepsTime = begun && !shorter
  const meta = {
    ...without(metadata, 'finalizers'),
    ...(finalizers.length > 0 && { finalizers }),
    deletionTimestamp: keepsTime ? metadata.deletionTimestamp : rfc3339(Math.min(nowMs + graceSeconds * 1_000, lastMs)),
    deletionGracePeriodSeconds: keepsTime ? metadata.deletionGracePeriodSeconds : graceSeconds,
    ...(!begun && metadata.generation !== undefined && { generation: metadata.generation + 1 }),
  } as KubeObject['metadata']
  const next: KubeObject = { ...object, metadata: meta }
  return { kind: 'keep', object: resource === 'namespaces' ? terminating(next as Namespace) : next }
}

function without<T extends object, K extends keyof T>(object: T, key: K): Omit<T, K> {
  const { [key]: _, ...rest } = object
  return rest
}

/** foregroundDeletion and orphan are the two finalizers that the propagation policy writes. */
function finalizersAfter(object: KubeObject, options: DeleteOptions): readonly string[] {
  const now = object.metadata.finalizers ?? []
  const policy =
    options.propagationPolicy ??
    (options.orphanDependents === undefined ? undefined : options.orphanDependents ? 'Orphan' : 'Background')
  if (policy === undefined) return now
  const others = now.filter(name => name !== 'orphan' && name !== 'foregroundDeletion')
  if (policy === 'Orphan') return [...others, 'orphan']
  if (policy === 'Foreground') return [...others, 'foregroundDeletion']
  return others
}

/** A pod that no kubelet runs, or that has ended, needs no grace. */
function podGrace(pod: Pod, options: DeleteOptions): number {
  const { phase } = pod.status
  if ((pod.spec.nodeName ?? '') === '' || phase === 'Succeeded' || phase === 'Failed') return 0
  const asked = Number(options.gracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30)
  const running = pod.metadata.deletionGracePeriodSeconds
  return pod.metadata.deletionTimestamp !== undefined && running !== undefined ? Math.min(asked, running) : asked
}

function namespaceHeld(namespace: Namespace): boolean {
  return (namespace.spec.finalizers ?? []).length > 0
}

function terminating(namespace: Namespace): Namespace {
  return { ...namespace, status: { ...namespace.status, phase: 'Terminating' } }
}

/** After an update: nothing holds it any longer, so the update is its removal. */
export function isFinished(kind: Kind, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata
  if (deletionTimestamp === undefined || (finalizers ?? []).length > 0) return false
  if (resourceOf(kind) === 'namespaces') return !namespaceHeld(object as Namespace)
  return (deletionGracePeriodSeconds ?? 0) === 0
}

/** Upstream: ReturnDeletedObject of pkg/registry/<group>/<kind>/storage. */
const shownWhenGone = new Set([
  'persistentvolumeclaims',
  'persistentvolumes',
  'pods',
  'podtemplates',
  'resourcequotas',
  'serviceaccounts',
  'services',
  'csidrivers.storage.k8s.io',
  'csinodes.storage.k8s.io',
  'storageclasses.storage.k8s.io',
  'volumeattachments.storage.k8s.io',
])

/** What DELETE answers when the object is gone: the object for the kinds that do so in Kubernetes, else a Status. */
export function deletedAnswer(kind: Kind, object: KubeObject): JsonObject {
  const resource = resourceOf(kind)
  if (shownWhenGone.has(resource)) {
    return object as unknown as JsonObject
  }
  const { name, uid } = object.metadata
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name, ...(kind.group !== '' && { group: kind.group }), kind: kind.plural, uid },
  }
}
