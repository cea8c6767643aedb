// Endpoints (v1).

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
    ip: s.string(1, { required: true }),
    targetRef: s.of(2, objectReference),
    hostname: s.string(3),
    nodeName: s.string(4, { pointer: true }),
  },
  { atomic: true },
)
export type EndpointAddress = TypeOf<typeof endpointAddress>
export const endpointPort = s.object(
  'io.k8s.api.core.v1.EndpointPort',
  {
    name: s.string(1),
    port: s.int32(2, { required: true }),
    protocol: s.string(3),
    appProtocol: s.string(4, { pointer: true }),
  },
  { atomic: true },
)
export type EndpointPort = TypeOf<typeof endpointPort>
export const endpointSubset = s.object('io.k8s.api.core.v1.EndpointSubset', {
  addresses: s.list(1, endpointAddress),
  notReadyAddresses: s.list(2, endpointAddress),
  ports: s.list(3, endpointPort),
})
export type EndpointSubset = TypeOf<typeof endpointSubset>
export const endpointsSchema = s.object('io.k8s.api.core.v1.Endpoints', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  subsets: s.list(2, endpointSubset),
})
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
