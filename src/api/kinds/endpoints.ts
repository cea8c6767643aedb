// Endpoints (v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { objectReference } from '../types/reference.ts'

export const endpointAddress = s.object(
  'io.k8s.api.core.v1.EndpointAddress',
  {
    ip: s.string(1, { required: true }),
    targetRef: s.of(2, objectReference),
    hostname: s.string(3),
    nodeName: s.string(4),
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
    appProtocol: s.string(4),
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

export const endpoints = defineKind({
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  plural: 'endpoints',
  shortNames: ['ep'],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: [],
  schema: endpointsSchema,
})
