// Whether a pod uses an object: an agent may read what the pods bound to its node name, and nothing else. Pure.
import type { Pod } from '../api/kinds/pod.ts'

export function usedBy(pod: Pod, resource: string, name: string): boolean {
  if (name === '') return false
  if (resource === 'serviceaccounts') return (pod.spec.serviceAccountName ?? 'default') === name
  if (resource === 'secrets') return secretsOf(pod).has(name)
  if (resource === 'configmaps') return configMapsOf(pod).has(name)
  return false
}

const containersOf = (pod: Pod) => [
  ...(pod.spec.containers ?? []),
  ...(pod.spec.initContainers ?? []),
  ...(pod.spec.ephemeralContainers ?? []),
]

function secretsOf(pod: Pod): Set<string | undefined> {
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
