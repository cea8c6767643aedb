// EndpointSlices of a service: at most 100 endpoints each, and as few writes as possible: an endpoint stays in the slice
// that has it. The names of slices are made from the service and a number, so that two leaders cannot make the same twice.
// After kubernetes staging/src/k8s.io/endpointslice/reconciler.go.
import { type Endpoint, type EndpointSlice, endpointSlice } from '../api/kinds/endpointslice.ts'
import { node } from '../api/kinds/node.ts'
import { pod } from '../api/kinds/pod.ts'
import { type Service, service } from '../api/kinds/service.ts'
import type { Draft } from '../api/schema.ts'
import { controllerReference, isDeleting } from '../client/objects.ts'
import { canonicalJson, fnv32a, sameJson } from '../lib/canonical.ts'
import { type Change, create, defineController, keyOfNames, nothing, type Plan, remove, update } from './controller.ts'
import { safeText } from './revision.ts'
import {
  type Backend,
  backends,
  type Family,
  familiesOf,
  isHeadless,
  isManaged,
  type Port,
  servicesOf,
} from './serviceendpoints.ts'

export const endpointsPerSliceMax = 100
export const serviceNameLabel = 'kubernetes.io/service-name'
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by'
export const sliceManager = 'endpointslice-controller.k8s.io'
export const headlessLabel = 'service.kubernetes.io/headless'

export const endpointSliceController = defineController({
  name: 'endpointslice',
  of: service,
  reads: { pods: pod, slices: endpointSlice, nodes: node },
  wakes: {
    pods: (one, { itself }) => servicesOf(one, itself),
    slices: slice => {
      const name = slice.metadata.labels?.[serviceNameLabel]
      return isOurs(slice) && name !== undefined ? [keyOfNames(slice.metadata.namespace, name)] : []
    },
  },
  reconcile(of, { pods, slices: view, nodes }): Plan {
    if (isDeleting(of) || !isManaged(of)) return nothing
    const slices = view.by('owner', of.metadata.uid).filter(slice => isOurs(slice) && !isDeleting(slice))
    const taken = new Set(view.list(of.metadata.namespace).map(slice => slice.metadata.name))
    const changes = familiesOf(of).flatMap(family =>
      slicesOf(of, family, backends(of, pods, nodes, family), slices, taken),
    )
    const families: readonly string[] = familiesOf(of)
    const stray = slices.filter(slice => !families.includes(slice.addressType))
    return { changes: [...changes, ...stray.map(slice => remove(endpointSlice, slice))] }
  },
})

function isOurs({ metadata }: EndpointSlice): boolean {
  return metadata.labels?.[managedByLabel] === sliceManager
}

/** Pods may differ in what a named port means: each set of ports has slices of its own. */
function slicesOf(
  of: Service,
  family: Family,
  found: readonly Backend[],
  slices: readonly EndpointSlice[],
  taken: Set<string>,
): readonly Change[] {
  const groups = new Map<string, { readonly ports: readonly Port[]; readonly members: Backend[] }>()
  for (const backend of found) {
    const key = canonicalJson(backend.ports)
    const group = groups.get(key) ?? { ports: backend.ports, members: [] }
    groups.set(key, group)
    group.members.push(backend)
  }
  // A service without endpoints keeps one empty slice, so that it is seen to have none.
  if (groups.size === 0) groups.set('[]', { ports: [], members: [] })
  const ofFamily = slices.filter(slice => slice.addressType === family)
  const kept = new Set<EndpointSlice>()
  const changes: Change[] = []
  for (const [key, { ports, members }] of groups) {
    const mine = ofFamily.filter(slice => canonicalJson(portsOf(slice)) === key)
    for (const slice of mine) kept.add(slice)
    changes.push(...packed(of, family, ports, members.map(endpointOf), mine, taken))
  }
  // Slices of a set of ports that nobody has any more: the empty service reuses one instead.
  const empty = found.length === 0
  for (const slice of ofFamily) if (!kept.has(slice)) changes.push(remove(endpointSlice, slice))
  return empty && kept.size === 0 && ofFamily.length > 0 ? emptied(of, ofFamily) : changes
}

function emptied(of: Service, slices: readonly EndpointSlice[]): readonly Change[] {
  const [first, ...rest] = slices
  if (first === undefined) return []
  const next = { ...first, metadata: { ...first.metadata, labels: labelsOf(of) }, endpoints: [], ports: [] }
  return [
    ...(sameJson(next, first) ? [] : [update(endpointSlice, next)]),
    ...rest.map(slice => remove(endpointSlice, slice)),
  ]
}

function packed(
  of: Service,
  family: Family,
  ports: readonly Port[],
  wanted: readonly Endpoint[],
  slices: readonly EndpointSlice[],
  taken: Set<string>,
): readonly Change[] {
  const byTarget = new Map(wanted.map(endpoint => [targetOf(endpoint), endpoint]))
  const contents = slices.map(slice => {
    const endpoints: Endpoint[] = []
    for (const old of slice.endpoints) {
      const endpoint = byTarget.get(targetOf(old))
      if (endpoint === undefined || !byTarget.delete(targetOf(old))) continue
      endpoints.push(endpoint)
    }
    return { slice, endpoints }
  })
  const fresh = [...byTarget.values()]
  // New endpoints go first where something changes anyway, then where there is most of a slice already.
  const changedFirst = contents.toSorted(
    (a, b) =>
      Number(sameJson(a.endpoints, a.slice.endpoints)) - Number(sameJson(b.endpoints, b.slice.endpoints)) ||
      b.endpoints.length - a.endpoints.length,
  )
  for (const { endpoints } of changedFirst) endpoints.push(...fresh.splice(0, endpointsPerSliceMax - endpoints.length))
  const changes: Change[] = []
  const labels = labelsOf(of)
  let filled = contents.filter(({ endpoints }) => endpoints.length > 0)
  if (filled.length === 0 && wanted.length === 0) filled = contents.slice(0, 1)
  for (const { slice, endpoints } of contents) {
    if (!filled.some(one => one.slice === slice)) {
      changes.push(remove(endpointSlice, slice))
      continue
    }
    const next = { ...slice, metadata: { ...slice.metadata, labels }, endpoints }
    if (!sameJson(next, slice)) changes.push(update(endpointSlice, next))
  }
  while (fresh.length > 0 || (wanted.length === 0 && contents.length === 0 && changes.length === 0)) {
    const endpoints = fresh.splice(0, endpointsPerSliceMax)
    changes.push(create(endpointSlice, newSlice(of, family, ports, endpoints, labels, taken)))
  }
  return changes
}

function targetOf({ targetRef, addresses }: Endpoint): string {
  return targetRef?.uid ?? addresses.join()
}

function newSlice(
  of: Service,
  family: Family,
  ports: readonly Port[],
  endpoints: readonly Endpoint[],
  labels: Readonly<Record<string, string>>,
  taken: Set<string>,
): Draft<EndpointSlice> {
  let name = ''
  for (let i = 0; name === '' || taken.has(name); i++) {
    name = `${of.metadata.name.slice(0, 240)}-${safeText(String(fnv32a(`${of.metadata.uid} ${family} ${i}`))).slice(-5)}`
  }
  taken.add(name)
  return {
    metadata: {
      name,
      ...(of.metadata.namespace !== undefined && { namespace: of.metadata.namespace }),
      labels,
      ownerReferences: [controllerReference(service, of)],
    },
    addressType: family,
    endpoints,
    ports,
  }
}

function labelsOf(of: Service): Readonly<Record<string, string>> {
  const { [headlessLabel]: _, ...labels } = of.metadata.labels ?? {}
  return {
    ...labels,
    [serviceNameLabel]: of.metadata.name,
    [managedByLabel]: sliceManager,
    ...(isHeadless(of) && { [headlessLabel]: '' }),
  }
}

function portsOf(slice: EndpointSlice): readonly Port[] {
  return (slice.ports ?? []).map(({ name = '', port = 0, protocol = 'TCP', appProtocol }) => ({
    name,
    port,
    protocol,
    ...(appProtocol !== undefined && { appProtocol }),
  }))
}

function endpointOf({ pod: { metadata }, ip, ready, serving, terminating, ...rest }: Backend): Endpoint {
  const { hostname, nodeName, zone } = rest
  return {
    addresses: [ip],
    conditions: { ready, serving, terminating },
    ...(hostname !== undefined && { hostname }),
    ...(nodeName !== undefined && { nodeName }),
    ...(zone !== undefined && { zone }),
    targetRef: {
      kind: 'Pod',
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      name: metadata.name,
      uid: metadata.uid,
    },
  }
}
