// ServiceAccount (v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { localObjectReference, objectReference } from '../types/reference.ts'

export const serviceAccountSchema = s.object('io.k8s.api.core.v1.ServiceAccount', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  secrets: s.list(2, objectReference, { listType: 'map', mapKeys: ['name'], mergeKey: 'name' }),
  imagePullSecrets: s.list(3, localObjectReference),
  automountServiceAccountToken: s.boolean(4, { pointer: true }),
})
export type ServiceAccount = TypeOf<typeof serviceAccountSchema>

export const serviceAccount = defineKind({
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  shortNames: ['sa'],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: [],
  schema: serviceAccountSchema,
  generation: false,
  columns: () => [{ name: 'Secrets', type: 'string', cell: ({ secrets }) => (secrets ?? []).length }],
})
