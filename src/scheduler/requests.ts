// What a pod takes of a node: cpu in thousandths, everything else in whole units. Pure.
// After kubernetes staging/src/k8s.io/component-helpers/resource (PodRequests).
import type { Pod } from '../api/kinds/pod.ts'
import { milliOf, numberOf } from '../lib/quantity.ts'

export type Amounts = ReadonlyMap<string, number>

export function amountOf(resource: string, quantity: string): number {
  return resource === 'cpu' ? milliOf(quantity) : numberOf(quantity)
}

export function amounts(list: Readonly<Record<string, string>> | undefined): Map<string, number> {
  return new Map(Object.entries(list ?? {}).map(([resource, quantity]) => [resource, amountOf(resource, quantity)]))
}

function add(to: Map<string, number>, more: Amounts): Map<string, number> {
  for (const [resource, amount] of more) to.set(resource, (to.get(resource) ?? 0) + amount)
  return to
}

function most(to: Map<string, number>, other: Amounts): Map<string, number> {
  for (const [resource, amount] of other) to.set(resource, Math.max(to.get(resource) ?? 0, amount))
  return to
}

/** What a limit without a request counts for stands in the object already: admission copies it. */
function computed({ spec }: Pod): Amounts {
  const total = new Map<string, number>()
  for (const container of spec.containers) add(total, amounts(container.resources?.requests))
  // Init containers run one after another, beside the sidecars that were started before them.
  const sidecars = new Map<string, number>()
  const start = new Map<string, number>()
  for (const container of spec.initContainers ?? []) {
    const requests = amounts(container.resources?.requests)
    if (container.restartPolicy === 'Always') {
      add(total, requests)
      most(start, add(sidecars, requests))
    } else most(start, add(requests, sidecars))
  }
  most(total, start)
  // A pod that says what it needs as a whole is taken at its word.
  for (const [resource, amount] of amounts(spec.resources?.requests)) total.set(resource, amount)
  return add(total, amounts(spec.overhead))
}

const cache = new WeakMap<Pod['spec'], Amounts>()

export function requestsOf(pod: Pod): Amounts {
  const known = cache.get(pod.spec)
  if (known !== undefined) return known
  const requests = computed(pod)
  cache.set(pod.spec, requests)
  return requests
}

/** Pods that ask for nothing still count for something when nodes are compared, or all of them would go to one. */
export const defaultCpuMilli = 100
export const defaultMemoryBytes = 200 * 2 ** 20

export function scoredCpu(pod: Pod): number {
  return requestsOf(pod).get('cpu') || defaultCpuMilli
}

export function scoredMemory(pod: Pod): number {
  return requestsOf(pod).get('memory') || defaultMemoryBytes
}

export type HostPort = { readonly ip: string; readonly port: number; readonly protocol: string }

export function hostPortsOf({ spec }: Pod): readonly HostPort[] {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...spec.containers, ...sidecars].flatMap(({ ports }) =>
    (ports ?? []).flatMap(({ hostPort, containerPort, hostIP, protocol }) => {
      const port = hostPort || (spec.hostNetwork === true ? containerPort : 0)
      return port > 0 ? [{ ip: hostIP || '0.0.0.0', port, protocol: protocol ?? 'TCP' }] : []
    }),
  )
}

export function priorityOf({ spec }: Pod): number {
  return spec.priority ?? 0
}
