// ServiceAccount (v1): who the pods of a namespace are when they talk to the API.

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { localObjectReference, objectReference } from '../types/reference.ts'

export const serviceAccountSchema = s.object(
  'io.k8s.api.core.v1.ServiceAccount',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'As a user it is system:serviceaccount:<namespace>:<name>.',
    }),
    secrets: s.list(2, objectReference, {
      listType: 'map',
      mapKeys: ['name'],
      mergeKey: 'name',
      description:
        'Secrets its pods may mount, enforced only with the annotation kubernetes.io/enforce-mountable-secrets: "true".',
    }),
    imagePullSecrets: s.list(
      3,
      localObjectReference,
      'Secrets for pulling images, given to pods that name none themselves.',
    ),
    automountServiceAccountToken: s.boolean(4, {
      pointer: true,
      description: 'false gives its pods no token unless they ask for it themselves; default true.',
    }),
  },
  { description: 'Who pods are when they talk to the API; rights are bound to it.' },
)
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
