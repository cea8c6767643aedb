// The service `kubernetes`, by which pods reach the API, and behind it the API servers of all peers whose nodes are ready.
// After kubernetes pkg/controlplane/controller/kubernetesservice and pkg/controlplane/reconcilers.
import { endpoints as endpointsKind } from '../api/kinds/endpoints.ts'
import { type EndpointSlice, endpointSlice } from '../api/kinds/endpointslice.ts'
import { type Node, node as nodeKind } from '../api/kinds/node.ts'
import { service as serviceKind } from '../api/kinds/service.ts'
import type { Draft } from '../api/schema.ts'
import type { View } from '../client/cache.ts'
import { sameJson } from '../lib/canonical.ts'
import { sortedBy } from '../lib/sorted.ts'
import { type Change, create, defineSweep, type Plan, remove, update } from './controller.ts'
import type { ApiAddress, Inputs } from './inputs.ts'

const name = 'kubernetes'
const namespace = 'default'
const labels = { component: 'apiserver', provider: 'kubernetes' }
const serviceNameLabel = 'kubernetes.io/service-name'
const portName = 'https'

export const apiServiceController = defineSweep({
  name: 'apiservice',
  delayMs: 100,
  reads: { services: serviceKind, endpoints: endpointsKind, slices: endpointSlice, nodes: nodeKind },
  reconcile({ services, endpoints, slices, nodes }, { inputs }): Plan {
    const groups = byPort(reachable(inputs, nodes))
    const changes: Change[] = []
    if (services.get(namespace, name) === undefined) changes.push(makeService(inputs, groups[0]?.[0] ?? 6_443))
    const subsets = groups.map(([port, all]) => ({
      addresses: all.map(({ ip, nodeName }) => ({ ip, ...(nodeName !== undefined && { nodeName }) })),
      ports: [{ name: portName, port, protocol: 'TCP' }],
    }))
    const old = endpoints.get(namespace, name)
    if (old === undefined)
      changes.push(create(endpointsKind, { metadata: { name, namespace, labels: skipMirror }, subsets }))
    else if (!sameJson(old.subsets ?? [], subsets)) changes.push(update(endpointsKind, { ...old, subsets }))
    return { changes: [...changes, ...sliceChanges(groups, slices)] }
  },
})

const skipMirror = { 'endpointslice.kubernetes.io/skip-mirror': 'true' }

/** Dead peers are left out, unless that leaves nobody: then rather all. */
function reachable(inputs: Inputs, nodes: View<Node>): readonly ApiAddress[] {
  const all = inputs.apiAddresses()
  const ready = all.filter(({ nodeName }) => {
    const conditions = nodeName === undefined ? undefined : nodes.get(undefined, nodeName)?.status.conditions
    return conditions?.find(({ type }) => type === 'Ready')?.status !== 'Unknown'
  })
  return ready.length > 0 ? ready : all
}

function byPort(addresses: readonly ApiAddress[]): readonly (readonly [number, readonly ApiAddress[]])[] {
  const ports = [...new Set(addresses.map(({ port }) => port))].toSorted((a, b) => a - b)
  return ports.map(port => {
    const unique = new Map(addresses.filter(one => one.port === port).map(one => [one.ip, one]))
    return [port, sortedBy(unique.values(), ({ ip }) => ip)] as const
  })
}

function makeService({ config }: Inputs, targetPort: number): Change {
  return create(serviceKind, {
    metadata: { name, namespace, labels },
    spec: {
      type: 'ClusterIP',
      clusterIP: config.kubernetesServiceIp,
      ports: [{ name: portName, port: 443, targetPort, protocol: 'TCP' }],
      sessionAffinity: 'None',
    },
  })
}

function sliceChanges(
  groups: readonly (readonly [number, readonly ApiAddress[]])[],
  slices: View<EndpointSlice>,
): readonly Change[] {
  const wanted = groups.map(([port, all], i): Draft<EndpointSlice> & { readonly name: string } => ({
    name: i === 0 ? name : `${name}-${port}`,
    addressType: 'IPv4',
    endpoints: all.map(({ ip, nodeName }) => ({
      addresses: [ip],
      conditions: { ready: true },
      ...(nodeName !== undefined && { nodeName }),
    })),
    ports: [{ name: portName, port, protocol: 'TCP' }],
  }))
  const mine = slices.list(namespace).filter(({ metadata }) => metadata.labels?.[serviceNameLabel] === name)
  const changes = wanted.flatMap(({ name: sliceName, ...rest }): readonly Change[] => {
    const old = slices.get(namespace, sliceName)
    if (old === undefined) {
      const metadata = { name: sliceName, namespace, labels: { [serviceNameLabel]: name } }
      return [create(endpointSlice, { metadata, ...rest })]
    }
    const next = { ...old, ...rest } as EndpointSlice
    return sameJson([old.endpoints, old.ports], [next.endpoints, next.ports]) ? [] : [update(endpointSlice, next)]
  })
  const names = new Set(wanted.map(slice => slice.name))
  const stray = mine.filter(({ metadata }) => !names.has(metadata.name))
  return [...changes, ...stray.map(slice => remove(endpointSlice, slice))]
}
