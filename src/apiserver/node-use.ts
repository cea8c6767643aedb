// Whether a pod uses an object: an agent may read what the pods bound to its node name, and nothing else. Pure.
import type { PersistentVolume } from '../api/kinds/persistentvolume.ts'
import type { Pod } from '../api/kinds/pod.ts'

export function usedBy(pod: Pod, resource: string, name: string): boolean {
  if (name === '') return false
  switch (resource) {
    case 'serviceaccounts':
      return (pod.spec.serviceAccountName ?? 'default') === name
    case 'secrets':
      return secretsOf(pod).has(name)
    case 'configmaps':
      return configMapsOf(pod).has(name)
    case 'persistentvolumeclaims':
      return claimsOf(pod).has(name)
    case 'resourceclaims':
      return (pod.spec.resourceClaims ?? []).some(({ resourceClaimName }) => resourceClaimName === name)
    default:
      return false
  }
}

const containersOf = (pod: Pod) => [
  ...(pod.spec.containers ?? []),
  ...(pod.spec.initContainers ?? []),
  ...(pod.spec.ephemeralContainers ?? []),
]

export function secretsOf(pod: Pod): Set<string | undefined> {
  return new Set([
    ...(pod.spec.imagePullSecrets ?? []).map(({ name }) => name),
    ...containersOf(pod).flatMap(({ env = [], envFrom = [] }) => [
      ...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
      ...envFrom.map(({ secretRef }) => secretRef?.name),
    ]),
    ...(pod.spec.volumes ?? []).flatMap(({ secret, projected }) => [
      secret?.secretName,
      ...(projected?.sources ?? []).map(source => source.secret?.name),
    ]),
  ])
}

function configMapsOf(pod: Pod): Set<string | undefined> {
  return new Set([
    ...containersOf(pod).flatMap(({ env = [], envFrom = [] }) => [
      ...env.map(({ valueFrom }) => valueFrom?.configMapKeyRef?.name),
      ...envFrom.map(({ configMapRef }) => configMapRef?.name),
    ]),
    ...(pod.spec.volumes ?? []).flatMap(({ configMap, projected }) => [
      configMap?.name,
      ...(projected?.sources ?? []).map(source => source.configMap?.name),
    ]),
  ])
}

/** Also those that are made for a pod's ephemeral volumes, which are named after the pod. */
function claimsOf({ metadata, spec }: Pod): Set<string | undefined> {
  return new Set(
    (spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => [
      persistentVolumeClaim?.claimName,
      ephemeral && `${metadata.name}-${name}`,
    ]),
  )
}

type Place = { readonly namespace?: string; readonly name?: string }

/**
 * Whether an agent that mounts the volume needs the secret: of those of a CSI driver the node's, not the controller's. A
 * secret without a namespace is one of the claim's. Upstream: VisitPVSecretNames in pkg/volume/util.
 */
export function volumeNeeds({ spec }: PersistentVolume, namespace: string, name: string): boolean {
  const { azureFile, cephfs, cinder, flexVolume, rbd, scaleIO, iscsi, storageos, csi } = spec
  const home = spec.claimRef?.namespace ?? ''
  const refs: readonly (Place | undefined)[] = [
    azureFile && { name: azureFile.secretName, namespace: azureFile.secretNamespace ?? '' },
    ...[cephfs, cinder, flexVolume, rbd, scaleIO, iscsi, storageos].map(source => source?.secretRef),
    ...[csi?.nodePublishSecretRef, csi?.nodeStageSecretRef, csi?.nodeExpandSecretRef],
  ]
  return refs.some(ref => ref?.name === name && (ref.namespace || home) === namespace)
}
