// PodTemplate (v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'

export const podTemplateSchema = s.object('io.k8s.api.core.v1.PodTemplate', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  template: s.of(2, podTemplateSpec),
})
export type PodTemplate = TypeOf<typeof podTemplateSchema>

export const podTemplate = defineKind({
  group: '',
  version: 'v1',
  kind: 'PodTemplate',
  plural: 'podtemplates',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: [],
  schema: podTemplateSchema,
})
