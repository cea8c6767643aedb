// Claims and volumes that are being deleted stay while they are in use, held by a finalizer that is taken off here.
// After kubernetes pkg/controller/volume/{pvcprotection,pvprotection}.
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
import type { Kind, KubeObject } from '../api/kind.ts'
import { type PersistentVolume, persistentVolume } from '../api/kinds/persistentvolume.ts'
import { persistentVolumeClaim } from '../api/kinds/persistentvolumeclaim.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import { isDeleting, isFinished } from '../client/objects.ts'
import { defineController, keyOfNames, nothing, type Plan, patch } from './controller.ts'

const ofClaims = 'kubernetes.io/pvc-protection'
const ofVolumes = 'kubernetes.io/pv-protection'

/** Puts the finalizer on what lives without it, and takes it off what goes and is not in use. */
function hold(kind: Kind, object: KubeObject, finalizer: string, isUsed: () => boolean): Plan {
  const { finalizers = [], resourceVersion } = object.metadata
  const has = finalizers.includes(finalizer)
  const wants = !isDeleting(object) || (has && isUsed())
  if (has === wants) return nothing
  const next = wants ? [...finalizers, finalizer] : finalizers.filter(name => name !== finalizer)
  // Whoever changes the list meanwhile must not lose what they put there.
  return { changes: [patch(kind, object, { metadata: { finalizers: next, resourceVersion } })] }
}

/** The claims that a pod names, and those that are made for its volumes. */
function claimsOf({ metadata, spec }: Pod): readonly string[] {
  return (spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim: source, ephemeral }) => {
    if (source !== undefined) return [source.claimName]
    return ephemeral === undefined ? [] : [`${metadata.name}-${name}`]
  })
}

export const claimProtectionController = defineController({
  name: 'pvc-protection',
  of: persistentVolumeClaim,
  reads: { pods: podKind },
  wakes: { pods: pod => claimsOf(pod).map(name => keyOfNames(pod.metadata.namespace, name)) },
  reconcile(claim, { pods }): Plan {
    const { name, namespace } = claim.metadata
    // A pod without a node can still not start on a claim that goes.
    const uses = (pod: Pod) => (pod.spec.nodeName ?? '') !== '' && !isFinished(pod) && claimsOf(pod).includes(name)
    return hold(persistentVolumeClaim, claim, ofClaims, () => pods.list(namespace).some(uses))
  },
})

export const volumeProtectionController = defineController({
  name: 'pv-protection',
  of: persistentVolume,
  reads: {},
  wakes: {},
  reconcile: (volume: PersistentVolume): Plan =>
    hold(persistentVolume, volume, ofVolumes, () => volume.status.phase === 'Bound'),
})
