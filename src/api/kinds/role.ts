// Role (rbac.authorization.k8s.io/v1): what may be done in one namespace. apiserver/rbac.ts judges by it.
import { defineKind } from '../kind.ts'
import { pathSegment } from '../names.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { createdColumn, policyRule, rbacGroup, validateRules } from '../types/rbac.ts'

export const roleSchema = s.object(
  'io.k8s.api.rbac.v1.Role',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'The rules hold in its namespace. The name may hold capitals and colons, but neither / nor %.',
    }),
    rules: s.list(
      2,
      policyRule,
      'Each grants something; together they are all that the role allows. No rule can deny.',
    ),
  },
  { description: 'What may be done in one namespace, by whoever a RoleBinding gives it to.' },
)
export type Role = TypeOf<typeof roleSchema>

export const role = defineKind({
  group: rbacGroup,
  version: 'v1',
  kind: 'Role',
  plural: 'roles',
  scope: 'Namespaced',
  updateCreates: true,
  schema: roleSchema,
  nameRule: pathSegment,
  generation: false,
  columns: () => [createdColumn],
  ageColumn: false,
  validate: ({ rules }) => validateRules(rules, 'Namespaced'),
})
