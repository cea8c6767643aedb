// Scale (autoscaling/v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'

export const scaleSpec = s.object('io.k8s.api.autoscaling.v1.ScaleSpec', {
  replicas: s.int32(1),
})
export type ScaleSpec = TypeOf<typeof scaleSpec>
export const scaleStatus = s.object('io.k8s.api.autoscaling.v1.ScaleStatus', {
  replicas: s.int32(1, { required: true }),
  selector: s.string(2),
})
export type ScaleStatus = TypeOf<typeof scaleStatus>
export const scaleSchema = s.object('io.k8s.api.autoscaling.v1.Scale', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, scaleSpec, { default: {} }),
  status: s.of(3, scaleStatus, { default: {} }),
})
export type Scale = TypeOf<typeof scaleSchema>

export const scale = defineKind({
  group: 'autoscaling',
  version: 'v1',
  kind: 'Scale',
  plural: 'scales',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  stored: false,
  subresources: [],
  schema: scaleSchema,
  columns: () => [
    { name: 'Desired', type: 'integer', cell: ({ spec }) => spec.replicas ?? 0 },
    { name: 'Available', type: 'integer', cell: ({ status }) => status?.replicas ?? 0 },
  ],
})
