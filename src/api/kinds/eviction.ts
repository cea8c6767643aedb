// Eviction (policy/v1): asks to delete a pod unless a PodDisruptionBudget forbids it. Posted to pods/<name>/eviction, as by
// kubectl drain; it is never stored. https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { deleteOptions, objectMeta } from '../types/meta.ts'

export const evictionSchema = s.object(
  'io.k8s.api.policy.v1.Eviction',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Name and namespace of the pod.' }),
    deleteOptions: s.of(2, deleteOptions, 'As for a deletion: grace period, preconditions, dry run.'),
  },
  {
    description:
      'Deletes a pod if its PodDisruptionBudget allows, else is answered with 429. Posted to pods/<name>/eviction; not stored.',
  },
)
export type Eviction = TypeOf<typeof evictionSchema>

export const eviction = defineKind({
  group: 'policy',
  version: 'v1',
  kind: 'Eviction',
  plural: 'evictions',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  stored: false,
  subresources: [],
  schema: evictionSchema,
})
