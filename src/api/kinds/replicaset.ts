// ReplicaSet (apps/v1): a number of equal pods; what Deployments are made of.

import { containerColumns, selectorText } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'
import { validateCounts, validateKeeper, validateReplicas } from '../workload.ts'

export const replicaSetSpec = s.object(
  'io.k8s.api.apps.v1.ReplicaSetSpec',
  {
    replicas: s.int32(1, { pointer: true, default: 1, description: 'Number of pods wanted; 1 by default.' }),
    selector: s.of(2, labelSelector, {
      required: true,
      description:
        'Labels by which it counts pods as its own, and adopts those that nobody owns; the template must carry them. Immutable.',
    }),
    template: s.of(
      3,
      podTemplateSpec,
      'The pods to make. A change touches none that run already; their restartPolicy must be Always.',
    ),
    minReadySeconds: s.int32(4, 'Seconds that a pod must have been ready to count as available; 0 counts it at once.'),
  },
  { description: 'How many pods of which template there are to be.' },
)
export type ReplicaSetSpec = TypeOf<typeof replicaSetSpec>
export const replicaSetCondition = s.object(
  'io.k8s.api.apps.v1.ReplicaSetCondition',
  {
    status: s.oneOf(2, ['True', 'False', 'Unknown'], { required: true, description: 'Whether it holds.' }),
    type: s.string(1, {
      required: true,
      description: 'ReplicaFailure: the last pods could not be made or deleted. It goes when they can.',
    }),
    lastTransitionTime: s.time(3, 'When status last took another value.'),
    reason: s.string(4, 'FailedCreate or FailedDelete.'),
    message: s.string(5, 'What the API server answered, for people.'),
  },
  { description: 'One aspect of how a ReplicaSet stands.' },
)
export type ReplicaSetCondition = TypeOf<typeof replicaSetCondition>
export const replicaSetStatus = s.object(
  'io.k8s.api.apps.v1.ReplicaSetStatus',
  {
    replicas: s.int32(1, { required: true, description: 'Pods that have not ended and are not being deleted.' }),
    fullyLabeledReplicas: s.int32(2, 'Of these, those that carry every label of the template.'),
    observedGeneration: s.int64(
      3,
      'The metadata.generation that the counts belong to; a lower one means that the last change is not seen yet.',
    ),
    readyReplicas: s.int32(4, 'Of these, those whose condition Ready is True.'),
    availableReplicas: s.int32(5, 'Of these, those that have been ready for minReadySeconds.'),
    conditions: s.list(6, replicaSetCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'What hinders it; absent when nothing does.',
    }),
    terminatingReplicas: s.int32(7, { pointer: true, description: 'Pods that are being deleted. Not counted here.' }),
  },
  {
    description:
      'Counts of the pods of a ReplicaSet, which its controller writes; zeros but that of replicas are left out.',
  },
)
export type ReplicaSetStatus = TypeOf<typeof replicaSetStatus>
export const replicaSetSchema = s.object(
  'io.k8s.api.apps.v1.ReplicaSet',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Name, namespace, labels and the like.' }),
    spec: s.of(2, replicaSetSpec, { default: {}, description: 'What is to run.' }),
    status: s.of(3, replicaSetStatus, { default: {}, description: 'What runs, as the controller saw it last.' }),
  },
  {
    description:
      'Keeps a number of equal pods running. Most are made by Deployments, which alone also replace old pods.',
  },
)
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
