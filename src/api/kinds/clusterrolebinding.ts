// ClusterRoleBinding (rbac.authorization.k8s.io/v1): who has a cluster's role everywhere. Its roleRef never changes.
import { defineKind } from '../kind.ts'
import { pathSegment } from '../names.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { bindingColumns, defaultBinding, rbacGroup, roleRef, subject, validateBinding } from '../types/rbac.ts'

export const clusterRoleBindingSchema = s.object(
  'io.k8s.api.rbac.v1.ClusterRoleBinding',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'The name may hold capitals and colons, but neither / nor %.',
    }),
    subjects: s.list(2, subject, 'Who gets the role; empty for nobody.'),
    roleRef: s.of(3, roleRef, {
      required: true,
      default: {},
      description:
        'The ClusterRole that is granted. Immutable: to grant another, delete the binding and make a new one.',
    }),
  },
  { description: 'Grants a ClusterRole in all namespaces and for the cluster itself.' },
)
export type ClusterRoleBinding = TypeOf<typeof clusterRoleBindingSchema>

export const clusterRoleBinding = defineKind({
  group: rbacGroup,
  version: 'v1',
  kind: 'ClusterRoleBinding',
  plural: 'clusterrolebindings',
  scope: 'Cluster',
  updateCreates: true,
  schema: clusterRoleBindingSchema,
  nameRule: pathSegment,
  generation: false,
  columns: () => bindingColumns,
  defaults: defaultBinding,
  validate: (object, old) => validateBinding(object, old, 'Cluster'),
})
