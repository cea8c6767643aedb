// Endpoints, the older object that says the same as the EndpointSlices: one per service. Old clients and `kubectl get
// endpoints` read it. After kubernetes pkg/controller/endpoint and pkg/api/v1/endpoints (RepackSubsets).
import { type EndpointAddress, type EndpointSubset, type Endpoints, endpoints } from '../api/kinds/endpoints.ts'
import { node } from '../api/kinds/node.ts'
import { pod } from '../api/kinds/pod.ts'
import { type Service, service } from '../api/kinds/service.ts'
import { isDeleting } from '../client/objects.ts'
import { canonicalJson, sameJson } from '../lib/canonical.ts'
import { sortedBy } from '../lib/sorted.ts'
import { create, defineController, keyOfNames, nothing, type Plan, remove, update } from './controller.ts'
import { type Backend, backends, familiesOf, isHeadless, isManaged, type Port, servicesOf } from './serviceendpoints.ts'

export const endpointsManagedByLabel = 'endpoints.kubernetes.io/managed-by'
const manager = 'endpoint-controller'
const headlessLabel = 'service.kubernetes.io/headless'
const overCapacity = 'endpoints.kubernetes.io/over-capacity'
export const addressesMax = 1_000

export const endpointsController = defineController({
  name: 'endpoints',
  of: service,
  reads: { pods: pod, endpoints, nodes: node },
  wakes: {
    pods: (one, { itself }) => servicesOf(one, itself),
    endpoints: ({ metadata }) => [keyOfNames(metadata.namespace, metadata.name)],
  },
  reconcile(of, { pods, endpoints: view, nodes }): Plan {
    if (isDeleting(of) || !isManaged(of)) return nothing
    const { namespace, name } = of.metadata
    const family = familiesOf(of)[0] ?? 'IPv4'
    const found = backends(of, pods, nodes, family).filter(
      ({ terminating }) => !terminating || of.spec.publishNotReadyAddresses === true,
    )
    const subsets = subsetsOf(found.slice(0, addressesMax))
    const labels = labelsOf(of)
    const old = view.get(namespace, name)
    const { [overCapacity]: _, ...kept } = old?.metadata.annotations ?? {}
    const annotations = found.length > addressesMax ? { ...kept, [overCapacity]: 'truncated' } : kept
    if (old === undefined) {
      const metadata = { name, ...(namespace !== undefined && { namespace }), labels, annotations }
      return { changes: [create(endpoints, { metadata, subsets })] }
    }
    const same =
      sameJson(old.subsets ?? [], subsets) &&
      sameJson(old.metadata.labels ?? {}, labels) &&
      sameJson(old.metadata.annotations ?? {}, annotations)
    if (same) return nothing
    return { changes: [update(endpoints, { ...old, metadata: { ...old.metadata, labels, annotations }, subsets })] }
  },
  /** The service is gone: so are the endpoints that we made for it. */
  gone({ namespace, name }, { endpoints: view }): Plan {
    const left = view.get(namespace, name)
    return left !== undefined && isOurs(left) ? { changes: [remove(endpoints, left)] } : nothing
  },
})

function isOurs({ metadata }: Endpoints): boolean {
  return metadata.labels?.[endpointsManagedByLabel] === manager
}

function labelsOf(of: Service): Readonly<Record<string, string>> {
  const { [headlessLabel]: _, ...labels } = of.metadata.labels ?? {}
  return { ...labels, [endpointsManagedByLabel]: manager, ...(isHeadless(of) && { [headlessLabel]: '' }) }
}

function subsetsOf(found: readonly Backend[]): readonly EndpointSubset[] {
  const groups = new Map<string, { readonly ports: readonly Port[]; readonly members: Backend[] }>()
  for (const backend of found) {
    const key = canonicalJson(backend.ports)
    const group = groups.get(key) ?? { ports: backend.ports, members: [] }
    groups.set(key, group)
    group.members.push(backend)
  }
  return sortedBy(groups.entries(), ([key]) => key).map(([, { ports, members }]) => {
    const addresses = members.filter(({ ready }) => ready).map(addressOf)
    const notReadyAddresses = members.filter(({ ready }) => !ready).map(addressOf)
    return {
      ...(addresses.length > 0 && { addresses }),
      ...(notReadyAddresses.length > 0 && { notReadyAddresses }),
      ...(ports.length > 0 && {
        ports: ports.map(({ name, ...port }) => (name === '' ? port : { name, ...port })),
      }),
    }
  })
}

function addressOf({ pod: { metadata }, ip, hostname, nodeName }: Backend): EndpointAddress {
  return {
    ip,
    ...(hostname !== undefined && { hostname }),
    ...(nodeName !== undefined && { nodeName }),
    targetRef: {
      kind: 'Pod',
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      name: metadata.name,
      uid: metadata.uid,
    },
  }
}
