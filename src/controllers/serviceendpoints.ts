// Which pods stand behind a service, and on which ports: what the EndpointSlice and the Endpoints controllers share.
// Pure. After kubernetes pkg/controller/util/endpoint and staging/src/k8s.io/endpointslice.
import type { Node } from '../api/kinds/node.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { Service, ServicePort } from '../api/kinds/service.ts'
import type { View } from '../client/cache.ts'
import { isDeleting, isFinished, isReady } from '../client/objects.ts'
import { matchesLabels, requirementsOf } from '../lib/selector.ts'
import { keyOfNames } from './controller.ts'

export type Family = 'IPv4' | 'IPv6'
export type Port = {
  readonly name: string
  readonly port: number
  readonly protocol: string
  readonly appProtocol?: string
}

export type Backend = {
  readonly pod: Pod
  readonly ip: string
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  readonly hostname?: string
  readonly nodeName?: string
  readonly zone?: string
  readonly ports: readonly Port[]
}

/** False for services whose endpoints are not ours to write: made by hand, or only a name. */
export function isManaged({ spec }: Service): boolean {
  return Object.keys(spec.selector ?? {}).length > 0 && spec.type !== 'ExternalName'
}

export function isHeadless({ spec }: Service): boolean {
  return spec.clusterIP === 'None'
}

export function familiesOf({ spec }: Service): readonly Family[] {
  const named = (spec.ipFamilies ?? []).filter(family => family === 'IPv4' || family === 'IPv6')
  if (named.length > 0) return named
  return spec.clusterIP?.includes(':') ? ['IPv6'] : ['IPv4']
}

/** Keys of the services in the pod's namespace that select it. */
export function servicesOf(pod: Pod, services: View<Service>): readonly string[] {
  return services
    .list(pod.metadata.namespace)
    .filter(service => isManaged(service) && selectsPod(service, pod))
    .map(service => keyOfNames(service.metadata.namespace, service.metadata.name))
}

function selectsPod({ spec }: Service, pod: Pod): boolean {
  return matchesLabels(requirementsOf({ matchLabels: spec.selector ?? {} }) ?? [], pod.metadata.labels)
}

/** In order of the pods' names. Pods that have ended, or have no address of the family yet, are left out. */
export function backends(service: Service, pods: View<Pod>, nodes: View<Node>, family: Family): readonly Backend[] {
  const requirements = requirementsOf({ matchLabels: service.spec.selector ?? {} }) ?? []
  return pods.list(service.metadata.namespace).flatMap(pod => {
    if (!matchesLabels(requirements, pod.metadata.labels) || isFinished(pod)) return []
    const ip = addressOf(pod, family)
    if (ip === undefined) return []
    const serving = isReady(pod)
    const terminating = isDeleting(pod)
    const { nodeName, hostname, subdomain } = pod.spec
    const zone = nodeName ? nodes.get(undefined, nodeName)?.metadata.labels?.['topology.kubernetes.io/zone'] : undefined
    return {
      pod,
      ip,
      serving,
      terminating,
      ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
      ...(hostname && subdomain === service.metadata.name && { hostname }),
      ...(nodeName && { nodeName }),
      ...(zone && { zone }),
      ports: (service.spec.ports ?? []).flatMap(port => portOf(port, pod)),
    }
  })
}

function addressOf({ status }: Pod, family: Family): string | undefined {
  const all = status.podIPs?.map(({ ip }) => ip) ?? (status.podIP ? [status.podIP] : [])
  return all.find(ip => ip !== '' && ip.includes(':') === (family === 'IPv6'))
}

/** A port that the pod names differently, or not at all, is left out for this pod. */
function portOf(port: ServicePort, pod: Pod): readonly Port[] {
  const number = targetPort(port, pod)
  if (number === undefined) return []
  const { name = '', protocol, appProtocol } = port
  return [{ name, port: number, protocol, ...(appProtocol !== undefined && { appProtocol }) }]
}

function targetPort({ port, targetPort: target, protocol }: ServicePort, pod: Pod): number | undefined {
  if (target === undefined || target === 0 || target === '') return port
  if (typeof target === 'number') return target
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...pod.spec.containers, ...sidecars]
    .flatMap(container => container.ports ?? [])
    .find(one => one.name === target && (one.protocol ?? 'TCP') === protocol)?.containerPort
}
