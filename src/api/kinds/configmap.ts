// ConfigMap (v1).

import { defineKind } from '../kind.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'

export const configMapSchema = s.object('io.k8s.api.core.v1.ConfigMap', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  data: s.map(2, scalars.string),
  binaryData: s.map(3, scalars.bytes),
  immutable: s.boolean(4),
})
export type ConfigMap = TypeOf<typeof configMapSchema>

export const configMap = defineKind({
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  shortNames: ['cm'],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: [],
  schema: configMapSchema,
})
