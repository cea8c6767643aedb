// Secret (v1).

import { defineKind } from '../kind.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'

export const secretSchema = s.object('io.k8s.api.core.v1.Secret', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  data: s.map(2, scalars.bytes),
  type: s.string(3, { default: 'Opaque' }),
  stringData: s.map(4, scalars.string),
  immutable: s.boolean(5),
})
export type Secret = TypeOf<typeof secretSchema>

export const secret = defineKind({
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: [],
  schema: secretSchema,
})
