// Binding (v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { objectReference } from '../types/reference.ts'

export const bindingSchema = s.object('io.k8s.api.core.v1.Binding', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  target: s.of(2, objectReference, { required: true }),
})
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
