// What a pod gets from its service account as it is created: the token, the CA and the namespace at the path where clients
// inside a cluster look for them. Pure. After kubernetes plugin/pkg/admission/serviceaccount.
// https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/

import { suffixAlphabet, suffixLength } from '../../api/admit.ts'
import { schemaDefaults } from '../../api/default.ts'
import { ApiError } from '../../api/error.ts'
import type { KubeObject } from '../../api/kind.ts'
import { type Pod, pod as podKind } from '../../api/kinds/pod.ts'
import { serviceAccount as kind, type ServiceAccount } from '../../api/kinds/serviceaccount.ts'
import { podSpec } from '../../api/types/podspec.ts'
import { utf8 } from '../../lib/bytes.ts'
import { crc32 } from '../../lib/crc32.ts'
import { Derivation, keptWith } from '../../lib/kept.ts'
import type { Change, Plugin } from './admission.ts'

export const tokenPath = '/var/run/secrets/kubernetes.io/serviceaccount'
/** An hour and a little, so that a client that renews after an hour always has a token. */
const tokenSeconds = 3_607

export const serviceAccount: Plugin = {
  name: 'ServiceAccount',
  handles: isNewPod,
  reads: ({ object, namespace }) => [{ kind, ...(namespace !== undefined && { namespace }), name: accountOf(object) }],
  mutate: ({ object, namespace }, seen) => withAccount(object as Pod, seen.one(kind, namespace, accountOf(object))),
}

export function isNewPod(change: Change): boolean {
  return change.verb === 'CREATE' && change.objectKind === podKind
}

function accountOf(pod: KubeObject | undefined): string {
  return (pod as Pod | undefined)?.spec.serviceAccountName || 'default'
}

/** `account`: as it is stored. That of every namespace may still be on its way; any other must be there. */
export function withAccount(pod: Pod, account: ServiceAccount | undefined): Pod {
  const { spec, metadata } = pod
  const name = spec.serviceAccountName || 'default'
  if (account === undefined && name !== 'default') {
    const where = `${metadata.namespace ?? ''}/${name}`
    const message = `pods "${metadata.name}" is forbidden: error looking up service account ${where}: serviceaccount "${name}" not found`
    throw new ApiError('Forbidden', message, { name: metadata.name, kind: 'pods' })
  }
  const wanted = spec.automountServiceAccountToken ?? account?.automountServiceAccountToken ?? true
  const { imagePullSecrets = [] } = account ?? {}
  const how = JSON.stringify([name, wanted, imagePullSecrets])
  return {
    ...pod,
    spec: equippedOf.of(spec, how, () => keptWith(spec, equipped(spec, name, wanted, imagePullSecrets))),
  }
}

type PodSpec = Pod['spec']

const equippedOf = new Derivation<string, PodSpec>()

function equipped(
  spec: PodSpec,
  name: string,
  mounts: boolean,
  pullSecrets: NonNullable<PodSpec['imagePullSecrets']>,
): PodSpec {
  const lacksSecrets = (spec.imagePullSecrets ?? []).length === 0 && pullSecrets.length > 0
  const named = { ...spec, serviceAccountName: name, serviceAccount: name }
  const withSecrets = { ...named, ...(lacksSecrets && { imagePullSecrets: pullSecrets }) }
  return mounts ? withToken(withSecrets, name) : withSecrets
}

/** The name is another in each pod upstream; nobody needs it to be, and so the pods of one template stay alike. */
function volumeName(account: string): string {
  let number = crc32(utf8(account))
  let letters = ''
  for (let i = 0; i < suffixLength; i++) {
    letters += suffixAlphabet[number % suffixAlphabet.length]
    number = Math.floor(number / suffixAlphabet.length)
  }
  return `kube-api-access-${letters}`
}

function withToken(spec: PodSpec, account: string): PodSpec {
  // A webhook may have added a container since: it gets the volume that is there.
  const known = spec.volumes?.find(volume => volume.name.startsWith('kube-api-access-'))
  const name = known?.name ?? volumeName(account)
  type Container = PodSpec['containers'][number]
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
  if (![...containers, ...initContainers].some(lacks)) return spec
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
  return schemaDefaults(podSpec, next)
}
