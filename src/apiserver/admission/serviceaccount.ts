// What a pod gets from its service account as it is created: the token, the CA and the namespace at the path where clients
// inside a cluster look for them. Pure. After kubernetes plugin/pkg/admission/serviceaccount.
// https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/

import { schemaDefaults } from '../../api/default.ts'
import { ApiError } from '../../api/error.ts'
import type { KubeObject } from '../../api/kind.ts'
import { type Pod, pod as podKind } from '../../api/kinds/pod.ts'
import { serviceAccount as kind, type ServiceAccount } from '../../api/kinds/serviceaccount.ts'
import { podSpec } from '../../api/types/podspec.ts'
import type { Change, Plugin } from './admission.ts'

export const tokenPath = '/var/run/secrets/kubernetes.io/serviceaccount'
/** An hour and a little, so that a client that renews after an hour always has a token. */
const tokenSeconds = 3_607

export const serviceAccount: Plugin = {
  name: 'ServiceAccount',
  handles: isNewPod,
  reads: ({ object, namespace }) => [{ kind, ...(namespace !== undefined && { namespace }), name: accountOf(object) }],
  mutate: ({ object, namespace, stamp }, seen) =>
    withAccount(object as Pod, seen.one(kind, namespace, accountOf(object)), stamp.suffix),
}

export function isNewPod(change: Change): boolean {
  return change.verb === 'CREATE' && change.objectKind === podKind
}

function accountOf(pod: KubeObject | undefined): string {
  return (pod as Pod | undefined)?.spec.serviceAccountName || 'default'
}

/** `account`: as it is stored. That of every namespace may still be on its way; any other must be there. */
export function withAccount(pod: Pod, account: ServiceAccount | undefined, suffix: string): Pod {
  const { spec, metadata } = pod
  const name = spec.serviceAccountName || 'default'
  if (account === undefined && name !== 'default') {
    const where = `${metadata.namespace ?? ''}/${name}`
    const message = `pods "${metadata.name}" is forbidden: error looking up service account ${where}: serviceaccount "${name}" not found`
    throw new ApiError('Forbidden', message, { name: metadata.name, kind: 'pods' })
  }
  const pullSecrets = (spec.imagePullSecrets ?? []).length > 0 ? spec.imagePullSecrets : account?.imagePullSecrets
  const named = { ...spec, serviceAccountName: name, serviceAccount: name }
  const withSecrets: Pod = { ...pod, spec: { ...named, ...(pullSecrets && { imagePullSecrets: pullSecrets }) } }
  const wanted = spec.automountServiceAccountToken ?? account?.automountServiceAccountToken ?? true
  return wanted ? withToken(withSecrets, suffix) : withSecrets
}

function withToken(pod: Pod, suffix: string): Pod {
  const { spec } = pod
  // A webhook may have added a container since: it gets the volume that is there.
  const known = spec.volumes?.find(volume => volume.name.startsWith('kube-api-access-'))
  const name = known?.name ?? `kube-api-access-${suffix}`
  type Container = Pod['spec']['containers'][number]
  const lacks = ({ volumeMounts = [] }: Container) => !volumeMounts.some(({ mountPath }) => mountPath === tokenPath)
  const mounted = (container: Container): Container =>
    lacks(container)
      ? {
          ...container,
          volumeMounts: [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath: tokenPath }],
        }
      : container
  const { containers = [], initContainers = [] } = spec
  // Somebody brings their own, for every container.
  if (![...containers, ...initContainers].some(lacks)) return pod
  const volume = {
    name,
    projected: {
      defaultMode: 0o644,
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
    },
  }
  const next = {
    ...spec,
    containers: containers.map(mounted),
    ...(initContainers.length > 0 && { initContainers: initContainers.map(mounted) }),
    volumes: known === undefined ? [...(spec.volumes ?? []), volume] : (spec.volumes ?? []),
  }
  return { ...pod, spec: schemaDefaults(podSpec, next) }
}
