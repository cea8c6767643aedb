// Endpoints (v1): the addresses behind a Service in one object, as before there were EndpointSlices. Deprecated.

import { shortList } from '../cells.ts'
import { invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { portNumber } from '../names.ts'
import { isAddress } from '../pod/containers.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { objectReference } from '../types/reference.ts'

export const endpointAddress = s.object(
  'io.k8s.api.core.v1.EndpointAddress',
  {
    ip: s.string(1, { required: true, description: 'IP address; the server takes IPv4 and IPv6.' }),
    targetRef: s.of(2, objectReference, 'The object behind it, mostly a Pod.'),
    hostname: s.string(3, 'Name of this one below that of the Service in DNS.'),
    nodeName: s.string(4, {
      pointer: true,
      description: 'Node that the address lies on, for traffic that must stay there.',
    }),
  },
  { atomic: true, description: 'An address behind a Service.' },
)
export type EndpointAddress = TypeOf<typeof endpointAddress>
export const endpointPort = s.object(
  'io.k8s.api.core.v1.EndpointPort',
  {
    name: s.string(1, 'As the port of the Service is named; needed as soon as there are two.'),
    port: s.int32(2, { required: true, description: 'Port at the address, 1 to 65535.' }),
    protocol: s.string(3, 'TCP, UDP or SCTP; TCP when empty.'),
    appProtocol: s.string(4, { pointer: true, description: 'What is spoken above it, as the Service says.' }),
  },
  { atomic: true, description: 'A port of all addresses in the subset.' },
)
export type EndpointPort = TypeOf<typeof endpointPort>
export const endpointSubset = s.object(
  'io.k8s.api.core.v1.EndpointSubset',
  {
    addresses: s.list(1, endpointAddress, 'Those that take traffic.'),
    notReadyAddresses: s.list(2, endpointAddress, 'Those that take none now: not ready yet, or no longer.'),
    ports: s.list(3, endpointPort, 'Ports at each of the addresses.'),
  },
  { description: 'Addresses that have the same ports: every address with every port is an endpoint.' },
)
export type EndpointSubset = TypeOf<typeof endpointSubset>
export const endpointsSchema = s.object(
  'io.k8s.api.core.v1.Endpoints',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Its name is that of the Service.' }),
    subsets: s.list(
      2,
      endpointSubset,
      'Written by a controller when the Service has a selector. Else by you, and mirrored into EndpointSlices.',
    ),
  },
  { description: 'What is behind a Service, in the old form; EndpointSlice is the new one.' },
)
export type Endpoints = TypeOf<typeof endpointsSchema>

function joined(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}

function addressesOf({ subsets }: Endpoints): readonly string[] {
  return (subsets ?? []).flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(({ ip }) => ip)
      : ports.flatMap(({ port }) => addresses.map(({ ip }) => joined(ip, port))),
  )
}

function validateSubsets({ subsets = [] }: Endpoints): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { addresses = [], notReadyAddresses = [], ports = [] }] of subsets.entries()) {
    const at = `subsets[${i}]`
    if (addresses.length === 0 && notReadyAddresses.length === 0) {
      errors.push(requiredValue(at, 'must specify `addresses` or `notReadyAddresses`'))
    }
    for (const [list, items] of Object.entries({ addresses, notReadyAddresses })) {
      for (const [j, { ip }] of items.entries()) {
        if (ip && isAddress(ip)) continue
        const why = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
        errors.push(invalidValue(`${at}.${list}[${j}].ip`, ip ?? '', why))
      }
    }
    for (const [j, { name = '', port }] of ports.entries()) {
      if (ports.length > 1 && name === '') errors.push(requiredValue(`${at}.ports[${j}].name`))
      const wrong = portNumber(port)
      if (wrong !== undefined) errors.push(invalidValue(`${at}.ports[${j}].port`, port, wrong))
    }
  }
  return errors
}

export const endpoints = defineKind({
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  plural: 'endpoints',
  shortNames: ['ep'],
  categories: [],
  scope: 'Namespaced',
  updateCreates: true,
  deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  stored: true,
  subresources: [],
  schema: endpointsSchema,
  generation: false,
  columns: () => [{ name: 'Endpoints', type: 'string', cell: object => shortList(addressesOf(object), '<none>') }],
  defaults: object =>
    object.subsets === undefined
      ? object
      : {
          ...object,
          subsets: object.subsets.map(subset =>
            subset.ports === undefined
              ? subset
              : { ...subset, ports: subset.ports.map(port => ({ ...port, protocol: port.protocol || 'TCP' })) },
          ),
        },
  validate: validateSubsets,
})
