// What storage gets and is refused as it is written: DefaultStorageClass, StorageObjectInUseProtection and
// PersistentVolumeClaimResize. Pure. After kubernetes plugin/pkg/admission/storage.
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
import { ApiError } from '../../api/error.ts'
import { type KubeObject, resourceOf } from '../../api/kind.ts'
import type { PersistentVolumeClaim } from '../../api/kinds/persistentvolumeclaim.ts'
import { isDefaultClass, type StorageClass, storageClass } from '../../api/kinds/storageclass.ts'
import { compareQuantity } from '../../lib/quantity.ts'
import { compareText } from '../../lib/sorted.ts'
import type { Change, Plugin } from './admission.ts'

const classAnnotation = 'volume.beta.kubernetes.io/storage-class'

function isClaim({ kind, verb, subresource }: Change, of: 'CREATE' | 'UPDATE'): boolean {
  return resourceOf(kind) === 'persistentvolumeclaims' && verb === of && subresource === undefined
}

/** '' is a class, too: none. */
function classOf({ metadata, spec }: PersistentVolumeClaim): string | undefined {
  return metadata.annotations?.[classAnnotation] ?? spec.storageClassName
}

/** A claim that names no class gets the default one; of several, the newest. */
export const defaultStorageClass: Plugin = {
  name: 'DefaultStorageClass',
  handles: change => isClaim(change, 'CREATE') && classOf(change.object as PersistentVolumeClaim) === undefined,
  reads: () => [{ kind: storageClass }],
  mutate({ object }, seen) {
    const claim = object as PersistentVolumeClaim
    const [chosen] = seen.all(storageClass).filter(isDefaultClass).toSorted(byAge)
    return chosen === undefined
      ? claim
      : ({ ...claim, spec: { ...claim.spec, storageClassName: chosen.metadata.name } } as PersistentVolumeClaim)
  },
}

function byAge({ metadata: a }: StorageClass, { metadata: b }: StorageClass): number {
  return compareText(b.creationTimestamp, a.creationTimestamp) || compareText(a.name, b.name)
}

const protections: Readonly<Record<string, string>> = {
  persistentvolumeclaims: 'kubernetes.io/pvc-protection',
  persistentvolumes: 'kubernetes.io/pv-protection',
}

/** What is in use does not go; controllers/protection.ts lets it go when it no longer is. */
export const storageObjectInUse: Plugin = {
  name: 'StorageObjectInUseProtection',
  handles: ({ kind, verb, subresource }) =>
    protections[resourceOf(kind)] !== undefined && verb === 'CREATE' && subresource === undefined,
  mutate({ kind, object }) {
    const { metadata, ...rest } = object as KubeObject
    const finalizer = protections[resourceOf(kind)] ?? ''
    const finalizers = metadata.finalizers ?? []
    if (finalizers.includes(finalizer)) return { ...rest, metadata }
    return { ...rest, metadata: { ...metadata, finalizers: [...finalizers, finalizer] } }
  },
}

/** Claims grow only where their class allows it; that they are bound by then is the kind's own rule. */
export const claimResize: Plugin = {
  name: 'PersistentVolumeClaimResize',
  handles: change => isClaim(change, 'UPDATE') && hasGrown(change),
  reads: change => {
    const name = classOf(change.object as PersistentVolumeClaim) ?? ''
    return name === '' ? [] : [{ kind: storageClass, name }]
  },
  validate(change, seen) {
    const name = classOf(change.object as PersistentVolumeClaim) ?? ''
    const found = name === '' ? undefined : seen.one(storageClass, undefined, name)
    if (found?.allowVolumeExpansion === true) return undefined
    const why =
      'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize'
    throw refused(change, why)
  },
}

function hasGrown({ object, old }: Change): boolean {
  const sizeOf = (claim: KubeObject | undefined) =>
    (claim as PersistentVolumeClaim | undefined)?.spec.resources?.requests?.['storage'] ?? '0'
  return compareQuantity(sizeOf(object), sizeOf(old)) > 0
}

function refused({ name }: Change, why: string): ApiError {
  const kind = 'persistentvolumeclaims'
  return new ApiError('Forbidden', `${kind} ${JSON.stringify(name)} is forbidden: ${why}`, { name, kind })
}
