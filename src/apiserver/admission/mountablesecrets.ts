// Which Secrets a pod may use: all, unless its service account is annotated to allow only those that it lists. Pure. After
// kubernetes plugin/pkg/admission/serviceaccount, whose words these are.
// https://kubernetes.io/docs/concepts/security/service-accounts/#enforce-mountable-secrets
import type { Pod } from '../../api/kinds/pod.ts'
import type { ServiceAccount } from '../../api/kinds/serviceaccount.ts'

const annotation = 'kubernetes.io/enforce-mountable-secrets'
const yes = ['1', 't', 'T', 'TRUE', 'true', 'True']

export const isEnforced = (account: ServiceAccount | undefined): boolean =>
  yes.includes(account?.metadata.annotations?.[annotation] ?? '')

/** What is said to who sets the annotation anew. */
export function annotationWarnings(account: ServiceAccount, old: ServiceAccount | undefined): readonly string[] {
  const has = (one: ServiceAccount | undefined) => one?.metadata.annotations?.[annotation] !== undefined
  if (!has(account) || has(old)) return []
  const instead = 'prefer separate namespaces to isolate access to mounted secrets'
  return [`metadata.annotations[${annotation}]: deprecated in v1.32+; ${instead}`]
}

type EnvironmentUser = Pick<Pod['spec']['containers'][number], 'name' | 'env' | 'envFrom'>

/** The first use of a Secret that a new pod's account does not list; undefined: there is none. */
export function forbiddenUse({ spec }: Pod, account: ServiceAccount): string | undefined {
  const mountable = mountableBy(account)
  const because = `is not allowed because service account ${account.metadata.name} does not reference that`
  const volume = spec.volumes?.find(({ secret }) => secret !== undefined && !mountable.has(secret.secretName ?? ''))
  if (volume !== undefined)
    return `volume with secret.secretName="${volume.secret?.secretName ?? ''}" ${because} secret`
  const used =
    usedBy('init container', spec.initContainers ?? [], mountable, because) ??
    usedBy('container', spec.containers, mountable, because)
  if (used !== undefined) return used
  const pulling = new Set((account.imagePullSecrets ?? []).map(({ name }) => name))
  const pull = (spec.imagePullSecrets ?? []).findIndex(({ name }) => !pulling.has(name))
  if (pull < 0) return undefined
  return `imagePullSecrets[${pull}].name="${spec.imagePullSecrets?.[pull]?.name ?? ''}" ${because} imagePullSecret`
}

/** The same of containers that are added for debugging. */
export function forbiddenEphemeralUse({ spec }: Pod, account: ServiceAccount): string | undefined {
  const because = `is not allowed because service account ${account.metadata.name} does not reference that`
  return usedBy('ephemeral container', spec.ephemeralContainers ?? [], mountableBy(account), because)
}

function mountableBy({ secrets = [] }: ServiceAccount): ReadonlySet<string> {
  return new Set(secrets.map(({ name = '' }) => name))
}

function usedBy(
  what: string,
  containers: readonly EnvironmentUser[],
  mountable: ReadonlySet<string>,
  because: string,
): string | undefined {
  for (const { name, env = [], envFrom = [] } of containers) {
    for (const { name: variable, valueFrom } of env) {
      const secret = valueFrom?.secretKeyRef
      if (secret === undefined || mountable.has(secret.name ?? '')) continue
      return `${what} ${name} with envVar ${variable} referencing secret.secretName="${secret.name ?? ''}" ${because} secret`
    }
    for (const { secretRef } of envFrom) {
      if (secretRef === undefined || mountable.has(secretRef.name ?? '')) continue
      return `${what} ${name} with envFrom referencing secret.secretName="${secretRef.name ?? ''}" ${because} secret`
    }
  }
  return undefined
}
