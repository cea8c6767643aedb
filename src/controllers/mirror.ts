// Endpoints that people write by hand, for services without a selector (a NAS, a printer, a database outside), mirrored into
// EndpointSlices, which is what proxies and DNS read. After kubernetes pkg/controller/endpointslicemirroring.
import { type EndpointAddress, type EndpointSubset, type Endpoints, endpoints } from '../api/kinds/endpoints.ts'
import { type EndpointSlice, endpointSlice } from '../api/kinds/endpointslice.ts'
import { type Service, service } from '../api/kinds/service.ts'
import type { Draft } from '../api/schema.ts'
import type { View } from '../client/cache.ts'
import { controllerReference, isDeleting } from '../client/objects.ts'
import { fnv32a, sameJson } from '../lib/canonical.ts'
import { type Change, create, defineController, keyOfNames, type Plan, remove, update } from './controller.ts'
import { endpointsManagedByLabel } from './endpoints.ts'
import { managedByLabel, serviceNameLabel } from './endpointslice.ts'
import { safeText } from './revision.ts'

const manager = 'endpointslicemirroring-controller.k8s.io'
export const skipMirrorLabel = 'endpointslice.kubernetes.io/skip-mirror'
/** As upstream: what goes beyond is left out. */
export const mirroredPerSubsetMax = 1_000

export const mirrorController = defineController({
  name: 'mirror',
  of: endpoints,
  reads: { services: service, slices: endpointSlice },
  wakes: {
    services: ({ metadata }) => [keyOfNames(metadata.namespace, metadata.name)],
    slices: slice => {
      const name = slice.metadata.labels?.[serviceNameLabel]
      return isMirror(slice) && name !== undefined ? [keyOfNames(slice.metadata.namespace, name)] : []
    },
  },
  reconcile(of, { services, slices }): Plan {
    const { namespace, name } = of.metadata
    const wanted = isMirrored(of, services.get(namespace, name)) ? wantedSlices(of) : []
    return { changes: changesTo(namespace, name, slices, wanted) }
  },
  gone: ({ namespace, name }, { slices }) => ({ changes: changesTo(namespace, name, slices, []) }),
})

function isMirror({ metadata }: EndpointSlice): boolean {
  return metadata.labels?.[managedByLabel] === manager
}

function isMirrored(of: Endpoints, behind: Service | undefined): boolean {
  const labels = of.metadata.labels ?? {}
  if (isDeleting(of) || behind === undefined || Object.keys(behind.spec.selector ?? {}).length > 0) return false
  // Ours follow a selector that is just being taken away; others ask to be left alone, or are somebody's lock.
  const isLock = of.metadata.annotations?.['control-plane.alpha.kubernetes.io/leader'] !== undefined
  return labels[skipMirrorLabel] !== 'true' && labels[endpointsManagedByLabel] === undefined && !isLock
}

type Wanted = Draft<EndpointSlice> & { readonly name: string }

function wantedSlices(of: Endpoints): readonly Wanted[] {
  const { name, namespace } = of.metadata
  const { [skipMirrorLabel]: _, ...labels } = of.metadata.labels ?? {}
  return (of.subsets ?? []).flatMap((subset, i) =>
    (['IPv4', 'IPv6'] as const).flatMap(family => {
      const found = endpointsOf(subset, family)
      if (found.length === 0) return []
      const sliceName = `${name.slice(0, 240)}-${safeText(String(fnv32a(`${of.metadata.uid} ${family} ${i}`))).slice(-5)}`
      return {
        name: sliceName,
        metadata: {
          name: sliceName,
          ...(namespace !== undefined && { namespace }),
          labels: { ...labels, [serviceNameLabel]: name, [managedByLabel]: manager },
          ownerReferences: [controllerReference(endpoints, of)],
        },
        addressType: family,
        endpoints: found.slice(0, mirroredPerSubsetMax),
        ports: (subset.ports ?? []).map(({ name: portName = '', protocol = 'TCP', port, appProtocol }) => ({
          name: portName,
          port,
          protocol,
          ...(appProtocol !== undefined && { appProtocol }),
        })),
      }
    }),
  )
}

function endpointsOf({ addresses = [], notReadyAddresses = [] }: EndpointSubset, family: 'IPv4' | 'IPv6') {
  const one = ({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean) => ({
    addresses: [ip],
    conditions: { ready },
    ...(hostname !== undefined && { hostname }),
    ...(nodeName !== undefined && { nodeName }),
    ...(targetRef !== undefined && { targetRef }),
  })
  const isOfFamily = ({ ip }: EndpointAddress) => ip.includes(':') === (family === 'IPv6')
  return [
    ...addresses.filter(isOfFamily).map(address => one(address, true)),
    ...notReadyAddresses.filter(isOfFamily).map(address => one(address, false)),
  ]
}

function changesTo(
  namespace: string | undefined,
  name: string,
  slices: View<EndpointSlice>,
  wanted: readonly Wanted[],
): readonly Change[] {
  const mine = slices.list(namespace).filter(one => isMirror(one) && one.metadata.labels?.[serviceNameLabel] === name)
  const names = new Set(wanted.map(one => one.name))
  const changes = wanted.flatMap(({ name: sliceName, ...draft }): readonly Change[] => {
    const old = mine.find(one => one.metadata.name === sliceName)
    if (old === undefined) return [create(endpointSlice, draft)]
    const next = { ...old, endpoints: draft.endpoints, ports: draft.ports } as EndpointSlice
    return sameJson([old.endpoints, old.ports ?? []], [next.endpoints, next.ports ?? []])
      ? []
      : [update(endpointSlice, next)]
  })
  const stray = mine.filter(one => !names.has(one.metadata.name) && !isDeleting(one))
  return [...changes, ...stray.map(one => remove(endpointSlice, one))]
}
