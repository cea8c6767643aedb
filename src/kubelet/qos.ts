// Quality of service, and what follows from it for the kernel.
// https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
import type { Container } from '../api/types/container.ts'
import type { PodSpec } from '../api/types/podspec.ts'
import { milliOf, numberOf } from '../lib/quantity.ts'
import type { Resources } from '../world/runtime.ts'

export type Qos = 'Guaranteed' | 'Burstable' | 'BestEffort'

export function qosOf(spec: PodSpec): Qos {
  const all = [...(spec.initContainers ?? []), ...spec.containers]
  const named = (list: Readonly<Record<string, string>> | undefined) =>
    Object.entries(list ?? {}).filter(([name, q]) => (name === 'cpu' || name === 'memory') && milliOf(q) > 0)
  if (all.every(one => named(one.resources.requests).length === 0 && named(one.resources.limits).length === 0)) {
    return 'BestEffort'
  }
  const guaranteed = all.every(one => {
    const limits = Object.fromEntries(named(one.resources.limits))
    const requests = Object.fromEntries(named(one.resources.requests))
    return ['cpu', 'memory'].every(name => {
      const limit = limits[name]
      const request = requests[name]
      return limit !== undefined && (request === undefined || milliOf(request) === milliOf(limit))
    })
  })
  return guaranteed ? 'Guaranteed' : 'Burstable'
}

/** Where a pod's cgroups hang, as the kubelet's cgroupfs driver names them. */
export function cgroupParentOf(root: string, qos: Qos, uid: string): string {
  return qos === 'Guaranteed' ? `${root}/kubepods/pod${uid}` : `${root}/kubepods/${qos.toLowerCase()}/pod${uid}`
}

/** oom_score_adj as in https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior */
export function resourcesOf(container: Pick<Container, 'resources'>, qos: Qos, nodeMemoryBytes: number): Resources {
  const { limits, requests } = container.resources
  const cpuLimit = limits?.['cpu']
  const memoryLimit = limits?.['memory']
  const cpuRequest = requests?.['cpu'] ?? cpuLimit
  const memoryRequest = requests?.['memory'] ?? memoryLimit
  const burst =
    1_000 - Math.floor((1_000 * (memoryRequest === undefined ? 0 : numberOf(memoryRequest))) / nodeMemoryBytes)
  const oomScoreAdj = qos === 'Guaranteed' ? -997 : qos === 'BestEffort' ? 1_000 : Math.min(Math.max(burst, 3), 999)
  return {
    ...(cpuRequest !== undefined && { cpuRequestMilli: milliOf(cpuRequest) }),
    ...(cpuLimit !== undefined && { cpuLimitMilli: milliOf(cpuLimit) }),
    ...(memoryLimit !== undefined && { memoryLimitBytes: numberOf(memoryLimit) }),
    oomScoreAdj,
  }
}
