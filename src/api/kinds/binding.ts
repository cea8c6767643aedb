// Binding (v1): puts a pod on a node. A scheduler posts it to pods/<name>/binding; it is never stored.
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/binding-v1/

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { objectReference } from '../types/reference.ts'

export const bindingSchema = s.object(
  'io.k8s.api.core.v1.Binding',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name of the pod; with uid or resourceVersion, that very pod. Annotations are added to it.',
    }),
    target: s.of(2, objectReference, { required: true, description: 'The node, by its name; kind Node or none.' }),
  },
  {
    description:
      'Puts a pod without a node on one, once and for all. Schedulers post it to pods/<name>/binding; it is not stored.',
  },
)
export type Binding = TypeOf<typeof bindingSchema>

export const binding = defineKind({
  group: '',
  version: 'v1',
  kind: 'Binding',
  plural: 'bindings',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  stored: false,
  subresources: [],
  schema: bindingSchema,
})
