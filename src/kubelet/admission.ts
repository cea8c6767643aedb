// Whether this node takes a pod that was bound to it: the scheduler may have looked at an older world, or been bypassed.
import { milliOf, numberOf } from '../lib/quantity.ts'
import { isSidecar, type Pod } from './plan.ts'

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
  const taken = others.flatMap(hostPortsOf)
  const clash = hostPortsOf(pod).find(port => taken.some(other => clashes(port, other)))
  if (clash !== undefined) {
    const text = `${clash.ip}:${clash.port}/${clash.protocol}`
    return { reason: 'NodePorts', message: `Node didn't have free ports for the requested pod ports: ${text}` }
  }
  return undefined
}

type HostPort = { readonly ip: string; readonly port: number; readonly protocol: string }

const anyIp = '0.0.0.0'

function clashes(a: HostPort, b: HostPort): boolean {
  return a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === anyIp || b.ip === anyIp)
}

function hostPortsOf(pod: Pod): readonly HostPort[] {
  return pod.spec.containers.flatMap(container =>
    (container.ports ?? []).flatMap(({ hostPort = 0, hostIP, protocol }) =>
      hostPort > 0 ? [{ ip: hostIP === undefined || hostIP === '' ? anyIp : hostIP, port: hostPort, protocol }] : [],
    ),
  )
}

function sum(pods: readonly Pod[], name: string, amount: (quantity: string) => number): number {
  return pods.reduce((total, pod) => total + requestOf(pod, name, amount), 0)
}

/**
 * The larger of what the app containers ask together and what any one init container asks, each with the sidecars that run
 * beside it; and the overhead of the sandbox.
 */
function requestOf(pod: Pod, name: string, amount: (quantity: string) => number): number {
  const of = (list: Readonly<Record<string, string>> | undefined) => {
    const request = list?.[name]
    return request === undefined ? 0 : amount(request)
  }
  let sidecars = 0
  let most = 0
  for (const init of pod.spec.initContainers ?? []) {
    const own = of(init.resources.requests)
    if (isSidecar(init)) sidecars += own
    most = Math.max(most, isSidecar(init) ? sidecars : sidecars + own)
  }
  const apps = pod.spec.containers.reduce((total, one) => total + of(one.resources.requests), sidecars)
  return Math.max(apps, most) + of(pod.spec.overhead)
}
