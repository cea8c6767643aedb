// What a pod gets from its service account as it is created: the token, the CA and the namespace at the path where clients
// inside a cluster look for them; and the Secrets that the account may keep from it (mountablesecrets.ts). Pure. After
// kubernetes plugin/pkg/admission/serviceaccount.
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
import { KeptDerivation } from '../../lib/kept.ts'
import { secretsOf } from '../node-use.ts'
import type { Change, Plugin } from './admission.ts'
import { annotationWarnings, forbiddenEphemeralUse, forbiddenUse, isEnforced } from './mountablesecrets.ts'

export const tokenPath = '/var/run/secrets/kubernetes.io/serviceaccount'
/** An hour and a little, so that a client that renews after an hour always has a token. */
const tokenSeconds = 3_607

export const serviceAccount: Plugin = {
  name: 'ServiceAccount',
  handles: change => isNewPod(change) || isDebugged(change) || isAccount(change),
  reads: change => {
    const { object, namespace } = change
    if (isAccount(change)) return []
    return [{ kind, ...(namespace !== undefined && { namespace }), name: accountOf(object) }]
  },
  mutate(change, seen) {
    const { object, namespace } = change
    const pod = object as Pod
    if (!isNewPod(change) || isMirror(pod)) return object as KubeObject
    return withAccount(pod, seen.one(kind, namespace, accountOf(object)))
  },
  validate(change, seen) {
    const { object, old, namespace } = change
    if (isAccount(change)) return { warnings: annotationWarnings(object as ServiceAccount, old as ServiceAccount) }
    const pod = object as Pod
    if (isNewPod(change) && isMirror(pod)) {
      const wrong = forbiddenInMirror(pod)
      if (wrong !== undefined) throw refused(pod, wrong)
      return undefined
    }
    const account = seen.one<ServiceAccount>(kind, namespace, accountOf(object))
    if (account === undefined || !isEnforced(account)) return undefined
    const used = isDebugged(change) ? forbiddenEphemeralUse(pod, account) : forbiddenUse(pod, account)
    if (used !== undefined) throw refused(pod, used)
    return undefined
  },
}

function isAccount(change: Change): boolean {
  return change.kind === kind && change.subresource === undefined && change.verb !== 'DELETE'
}

function isDebugged({ kind: of, verb, subresource }: Change): boolean {
  return of === podKind && verb === 'UPDATE' && subresource === 'ephemeralcontainers'
}

/** A pod that a node made by itself, and shows. */
function isMirror({ metadata }: Pod): boolean {
  return metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined
}

function forbiddenInMirror(pod: Pod): string | undefined {
  const { spec } = pod
  if ((spec.serviceAccountName ?? '') !== '') return 'a mirror pod may not reference service accounts'
  if (
    secretsOf(pod)
      .values()
      .some(name => name !== undefined)
  )
    return 'a mirror pod may not reference secrets'
  const isToken = spec.volumes?.some(({ projected }) =>
    projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken !== undefined),
  )
  return isToken === true ? 'a mirror pod may not use ServiceAccountToken volume projections' : undefined
}

function refused({ metadata: { name } }: Pod, why: string): ApiError {
  return new ApiError('Forbidden', `pods "${name}" is forbidden: ${why}`, { name, kind: 'pods' })
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
    throw refused(pod, `error looking up service account ${where}: serviceaccount "${name}" not found`)
  }
  const wanted = spec.automountServiceAccountToken ?? account?.automountServiceAccountToken ?? true
  const { imagePullSecrets = [] } = account ?? {}
  const how = JSON.stringify([name, wanted, imagePullSecrets])
  return {
    ...pod,
    spec: equippedOf.of(spec, how, () => equipped(spec, name, wanted, imagePullSecrets)),
  }
}

type PodSpec = Pod['spec']

const equippedOf = new KeptDerivation<string, PodSpec>()

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
