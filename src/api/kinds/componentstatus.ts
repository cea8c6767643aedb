// ComponentStatus (v1): whether the parts of the control plane were well, which Kubernetes asks when it is asked, and
// deprecates. Only read.
// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/component-status-v1/

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'

export const componentCondition = s.object(
  'io.k8s.api.core.v1.ComponentCondition',
  {
    type: s.string(1, { required: true, description: 'What is observed; Healthy is the only one.' }),
    status: s.string(2, { required: true, description: 'Whether it holds: True, False or Unknown.' }),
    message: s.string(3, 'What the component says of itself.'),
    error: s.string(4, 'Why it could not be asked.'),
  },
  { description: 'One thing that is observed of a component.' },
)
export type ComponentCondition = TypeOf<typeof componentCondition>
export const componentStatusSchema = s.object(
  'io.k8s.api.core.v1.ComponentStatus',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Its name is that of the component.' }),
    conditions: s.list(2, componentCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'What is observed of it.',
    }),
  },
  { description: 'Whether a part of the control plane is well. Deprecated; none is listed here.' },
)
export type ComponentStatus = TypeOf<typeof componentStatusSchema>

function healthy({ conditions = [] }: ComponentStatus): ComponentCondition | undefined {
  return conditions.find(({ type }) => type === 'Healthy')
}

function statusText(object: ComponentStatus): string {
  const found = healthy(object)
  if (!found) return 'Unknown'
  return found.status === 'True' ? 'Healthy' : 'Unhealthy'
}

export const componentStatus = defineKind({
  group: '',
  version: 'v1',
  kind: 'ComponentStatus',
  plural: 'componentstatuses',
  shortNames: ['cs'],
  categories: [],
  scope: 'Cluster',
  deprecation: 'v1 ComponentStatus is deprecated in v1.19+',
  stored: false,
  readOnly: true,
  subresources: [],
  schema: componentStatusSchema,
  ageColumn: false,
  columns: () => [
    { name: 'Status', type: 'string', description: 'Status of the component conditions', cell: statusText },
    {
      name: 'Message',
      type: 'string',
      description: 'Message of the component conditions',
      cell: object => healthy(object)?.message ?? '',
    },
    {
      name: 'Error',
      type: 'string',
      description: 'Error of the component conditions',
      cell: object => healthy(object)?.error ?? '',
    },
  ],
})
