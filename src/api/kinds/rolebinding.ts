// RoleBinding (rbac.authorization.k8s.io/v1): who has a role, or a cluster's role, in one namespace. Its roleRef never changes.
import { defineKind } from '../kind.ts'
import { pathSegment } from '../names.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { bindingColumns, defaultBinding, rbacGroup, roleRef, subject, validateBinding } from '../types/rbac.ts'

export const roleBindingSchema = s.object(
  'io.k8s.api.rbac.v1.RoleBinding',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'The role is granted in its namespace. The name may hold capitals and colons, but neither / nor %.',
    }),
    subjects: s.list(2, subject, 'Who gets the role; empty for nobody. Service accounts may be of any namespace.'),
    roleRef: s.of(3, roleRef, {
      required: true,
      default: {},
      description:
        'The Role or ClusterRole that is granted. Immutable: to grant another, delete the binding and make a new one.',
    }),
  },
  { description: 'Grants a Role or a ClusterRole within one namespace.' },
)
export type RoleBinding = TypeOf<typeof roleBindingSchema>

export const roleBinding = defineKind({
  group: rbacGroup,
  version: 'v1',
  kind: 'RoleBinding',
  plural: 'rolebindings',
  scope: 'Namespaced',
  updateCreates: true,
  schema: roleBindingSchema,
  nameRule: pathSegment,
  generation: false,
  columns: () => bindingColumns,
  defaults: defaultBinding,
  validate: (object, old) => validateBinding(object, old, 'Namespaced'),
})
