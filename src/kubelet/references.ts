// Which ConfigMaps and Secrets a pod refers to: when one of them changes, the pod is looked at again at once. Pure.
import type { Pod } from './plan.ts'
import { containersOf } from './plan.ts'

export function refersTo(pod: Pod, kind: 'ConfigMap' | 'Secret', name: string): boolean {
  return namesOf(pod, kind).has(name)
}

function namesOf(pod: Pod, kind: 'ConfigMap' | 'Secret'): ReadonlySet<string> {
  const isMap = kind === 'ConfigMap'
  const sources = containersOf(pod).flatMap(({ env = [], envFrom = [] }) => [
    ...envFrom.map(one => (isMap ? one.configMapRef?.name : one.secretRef?.name)),
    ...env.map(({ valueFrom }) => (isMap ? valueFrom?.configMapKeyRef?.name : valueFrom?.secretKeyRef?.name)),
  ])
  const volumes = (pod.spec.volumes ?? []).flatMap(({ configMap, secret, projected }) => [
    isMap ? configMap?.name : secret?.secretName,
    ...(projected?.sources ?? []).map(one => (isMap ? one.configMap?.name : one.secret?.name)),
  ])
  const pulls = isMap ? [] : (pod.spec.imagePullSecrets ?? []).map(one => one.name)
  return new Set([...sources, ...volumes, ...pulls].filter(name => name !== undefined))
}
