// PodTemplate (v1): a template for pods by itself, for programs that make pods of it; no controller here does.
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-template-v1/

import { containerColumns, labelsText } from '../cells.ts'
import { defineKind } from '../kind.ts'
import { templateDefaults } from '../pod/defaults.ts'
import { validateTemplate } from '../pod/validate.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { podTemplateSpec } from '../types/podspec.ts'

export const podTemplateSchema = s.object(
  'io.k8s.api.core.v1.PodTemplate',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, namespace and labels of the template, not of its pods.',
    }),
    template: s.of(2, podTemplateSpec, { default: {}, description: 'Metadata and spec of pods made from it.' }),
  },
  {
    description:
      'A template of pods kept by itself. Nothing makes pods of it alone: Deployments and their kin hold their own.',
  },
)
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
  ageColumn: false,
  columns: () => [
    ...containerColumns<PodTemplate>(({ template }) => template?.spec, 0),
    { name: 'Pod Labels', type: 'string', cell: ({ template }) => labelsText(template?.metadata?.labels) },
  ],
  defaults: object => ({ ...object, template: templateDefaults(object.template) }),
  validate: ({ template }) => validateTemplate(template, 'template'),
})
