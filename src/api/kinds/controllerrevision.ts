// ControllerRevision (apps/v1).

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { fixed, validateCounts } from '../workload.ts'

export const controllerRevisionSchema = s.object('io.k8s.api.apps.v1.ControllerRevision', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  data: s.any(2),
  revision: s.int64(3, { required: true }),
})
export type ControllerRevision = TypeOf<typeof controllerRevisionSchema>

function controllerText({ metadata }: ControllerRevision): string {
  const owner = (metadata.ownerReferences ?? []).find(({ controller }) => controller === true)
  if (!owner) return '<none>'
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : ''
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`
}

export const controllerRevision = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  stored: true,
  subresources: [],
  schema: controllerRevisionSchema,
  generation: false,
  columns: () => [
    { name: 'Controller', type: 'string', cell: controllerText },
    { name: 'Revision', type: 'string', cell: ({ revision }) => revision },
  ],
  validate: (object, old) => [
    ...validateCounts({ revision: object.revision }),
    ...fixed('data', object.data, old, old?.data),
  ],
})
