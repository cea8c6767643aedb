// Scale (autoscaling/v1): the size of whatever can be scaled, in one form for all. Never stored: apiserver/subresource.ts
// makes it of the object.

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'

export const scaleSpec = s.object(
  'io.k8s.api.autoscaling.v1.ScaleSpec',
  {
    replicas: s.int32(1, 'Number of pods wanted; written into the object that is scaled.'),
  },
  { description: 'The size wanted.' },
)
export type ScaleSpec = TypeOf<typeof scaleSpec>
export const scaleStatus = s.object(
  'io.k8s.api.autoscaling.v1.ScaleStatus',
  {
    replicas: s.int32(1, {
      required: true,
      description: 'Number of pods that there are, by the status of the object that is scaled.',
    }),
    selector: s.string(2, 'Labels of the pods in the form of a query, as in app=web,tier in (a,b).'),
  },
  { description: 'The size found.' },
)
export type ScaleStatus = TypeOf<typeof scaleStatus>
export const scaleSchema = s.object(
  'io.k8s.api.autoscaling.v1.Scale',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, namespace, uid and resourceVersion of the object that is scaled.',
    }),
    spec: s.of(2, scaleSpec, { default: {}, description: 'The size that is wanted.' }),
    status: s.of(3, scaleStatus, { default: {}, description: 'The size that there is.' }),
  },
  {
    description:
      'The size of a Deployment, ReplicaSet or the like, in one form for all of them. Made of that object when it is asked for.',
  },
)
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
