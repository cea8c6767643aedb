// ControllerRevision (apps/v1): what a DaemonSet once wanted, to go back to.

import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { fixed, validateCounts } from '../workload.ts'

export const controllerRevisionSchema = s.object(
  'io.k8s.api.apps.v1.ControllerRevision',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, namespace and labels; the owner reference names the object whose past this is.',
    }),
    data: s.any(
      2,
      "The past state, in a form of its controller's: that of a DaemonSet is a patch that puts its template back. Immutable.",
    ),
    revision: s.int64(3, {
      required: true,
      description: 'Orders the revisions of one object: the highest is the present one. Not below 0.',
    }),
  },
  { description: 'What another object once wanted, kept to go back to. Controllers make them; no one else needs to.' },
)
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
