// ReplicaSet (apps/v1).

import { containerColumns, selectorText } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { validateCounts, validateKeeper, validateReplicas } from '../workload.ts'

export const replicaSetSpec = s.object('io.k8s.api.apps.v1.ReplicaSetSpec', {
  replicas: s.int32(1, { pointer: true, default: 1 }),
  selector: s.of(2, labelSelector, { required: true }),
  template: s.of(3, podTemplateSpec),
  minReadySeconds: s.int32(4),
})
export type ReplicaSetSpec = TypeOf<typeof replicaSetSpec>
export const replicaSetCondition = s.object('io.k8s.api.apps.v1.ReplicaSetCondition', {
  status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true }),
  type: s.string(1, { required: true }),
  lastTransitionTime: s.time(3),
  reason: s.string(4),
  message: s.string(5),
})
export type ReplicaSetCondition = TypeOf<typeof replicaSetCondition>
export const replicaSetStatus = s.object('io.k8s.api.apps.v1.ReplicaSetStatus', {
  replicas: s.int32(1, { required: true }),
  fullyLabeledReplicas: s.int32(2),
  observedGeneration: s.int64(3),
  readyReplicas: s.int32(4),
  availableReplicas: s.int32(5),
  conditions: s.list(6, replicaSetCondition, { listType: 'map', mapKeys: ['type'], mergeKey: 'type' }),
  terminatingReplicas: s.int32(7, { pointer: true }),
})
export type ReplicaSetStatus = TypeOf<typeof replicaSetStatus>
export const replicaSetSchema = s.object('io.k8s.api.apps.v1.ReplicaSet', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, replicaSetSpec, { default: {} }),
  status: s.of(3, replicaSetStatus, { default: {} }),
})
export type ReplicaSet = TypeOf<typeof replicaSetSchema>

export const replicaSet = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  shortNames: ['rs'],
  categories: ['all'],
  scope: 'Namespaced',
  stored: true,
  subresources: ['status', 'scale'],
  schema: replicaSetSchema,
  columns: () => [
    { name: 'Desired', type: 'integer', cell: ({ spec }) => spec.replicas },
    { name: 'Current', type: 'integer', cell: ({ status }) => status?.replicas ?? 0 },
    { name: 'Ready', type: 'integer', cell: ({ status }) => status?.readyReplicas ?? 0 },
    ...containerColumns<ReplicaSet>(({ spec }) => spec.template?.spec),
    { name: 'Selector', type: 'string', priority: 1, cell: ({ spec }) => selectorText(spec.selector) },
  ],
  fieldLabels: ['status.replicas'],
  fields: ({ status }) => ({ 'status.replicas': String(status?.replicas ?? 0) }),
  defaults: object => ({
    ...object,
    spec: {
      ...object.spec,
      ...(object.spec.template && { template: templateDefaults(object.spec.template) }),
    },
  }),
  validateStatus: ({ status }) =>
    validateReplicas(status, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas']),
  validate: ({ spec }, old) => [
    ...validateKeeper(spec, old?.spec, 'ReplicaSet'),
    ...validateCounts({ 'spec.replicas': spec.replicas, 'spec.minReadySeconds': spec.minReadySeconds }),
  ],
})
