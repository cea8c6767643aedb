// Eviction (policy/v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { deleteOptions, objectMeta } from '../types/meta.ts'

export const evictionSchema = s.object('io.k8s.api.policy.v1.Eviction', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  deleteOptions: s.of(2, deleteOptions),
})
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
