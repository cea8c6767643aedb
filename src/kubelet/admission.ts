// Whether this node takes a pod that was bound to it: the scheduler may have looked at an older world, or been bypassed.
import { milliOf, numberOf } from '../lib/quantity.ts'
import type { Pod } from './plan.ts'

export type Refusal = { readonly reason: string; readonly message: string }

export type Allocatable = { readonly cpuMilli: number; readonly memoryBytes: number; readonly pods: number }

/** `others` are the pods that this node has taken and that have not ended. */
export function refusalOf(pod: Pod, others: readonly Pod[], allocatable: Allocatable): Refusal | undefined {
  if (others.length + 1 > allocatable.pods) {
    return {
      reason: 'OutOfpods',
      message: `Node didn't have enough resource: pods, requested: 1, used: ${others.length}, capacity: ${allocatable.pods}`,
    }
  }
  const cpu = sum([pod], 'cpu', milliOf)
  const cpuUsed = sum(others, 'cpu', milliOf)
  if (cpu > 0 && cpu + cpuUsed > allocatable.cpuMilli) {
    const message = `Node didn't have enough resource: cpu, requested: ${cpu}, used: ${cpuUsed}, capacity: ${allocatable.cpuMilli}`
    return { reason: 'OutOfcpu', message }
  }
  const memory = sum([pod], 'memory', numberOf)
  const memoryUsed = sum(others, 'memory', numberOf)
  if (memory > 0 && memory + memoryUsed > allocatable.memoryBytes) {
    const message = `Node didn't have enough resource: memory, requested: ${memory}, used: ${memoryUsed}, capacity: ${allocatable.memoryBytes}`
    return { reason: 'OutOfmemory', message }
  }
  const taken = new Set(others.flatMap(hostPortsOf))
  const clash = hostPortsOf(pod).find(port => taken.has(port))
  if (clash !== undefined) {
    return { reason: 'NodePorts', message: `Node didn't have free ports for the requested pod ports: ${clash}` }
  }
  return undefined
}

function hostPortsOf(pod: Pod): readonly string[] {
  return pod.spec.containers.flatMap(container =>
    (container.ports ?? [])
      .filter(port => (port.hostPort ?? 0) > 0)
      .map(port => `${port.hostIP ?? '0.0.0.0'}:${port.hostPort}/${port.protocol}`),
  )
}

function sum(pods: readonly Pod[], name: string, amount: (quantity: string) => number): number {
  return pods.reduce((total, pod) => total + requestOf(pod, name, amount), 0)
}

/** The larger of what the app containers ask together and what any one init container asks. */
function requestOf(pod: Pod, name: string, amount: (quantity: string) => number): number {
  const of = (container: Pod['spec']['containers'][number]) => {
    const request = container.resources.requests?.[name]
    return request === undefined ? 0 : amount(request)
  }
  const inits = (pod.spec.initContainers ?? []).filter(one => one.restartPolicy !== 'Always').map(of)
  const sidecars = (pod.spec.initContainers ?? []).filter(one => one.restartPolicy === 'Always').map(of)
  const apps = [...pod.spec.containers.map(of), ...sidecars].reduce((total, one) => total + one, 0)
  return Math.max(apps, ...inits)
}
