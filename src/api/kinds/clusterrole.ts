// ClusterRole (rbac.authorization.k8s.io/v1): what may be done in the cluster, or, by a RoleBinding, in one namespace.
// The rules of one with an aggregationRule are written by controllers/clusterrole.ts.
import { requiredValue } from '../field.ts'
import { defineKind, type FieldError } from '../kind.ts'
import { pathSegment } from '../names.ts'
import { validateSelector } from '../pod/selector.ts'
import { s, type TypeOf } from '../schema.ts'
import { labelSelector, objectMeta } from '../types/meta.ts'
import { createdColumn, policyRule, rbacGroup, validateRules } from '../types/rbac.ts'

export const aggregationRule = s.object(
  'io.k8s.api.rbac.v1.AggregationRule',
  {
    clusterRoleSelectors: s.list(
      1,
      labelSelector,
      'By labels: whichever ClusterRole fits one of them gives its rules. At least one.',
    ),
  },
  { description: 'Which ClusterRoles give their rules to this one.' },
)
export type AggregationRule = TypeOf<typeof aggregationRule>

export const clusterRoleSchema = s.object(
  'io.k8s.api.rbac.v1.ClusterRole',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'The name may hold capitals and colons, but neither / nor %.',
    }),
    rules: s.list(
      2,
      policyRule,
      'Each grants something; no rule can deny. With an aggregationRule a controller writes them, and overwrites what others wrote.',
    ),
    aggregationRule: s.of(
      3,
      aggregationRule,
      'Gathers the rules of other ClusterRoles into this one, and follows their changes.',
    ),
  },
  { description: 'What may be done everywhere by a ClusterRoleBinding, or in one namespace by a RoleBinding there.' },
)
export type ClusterRole = TypeOf<typeof clusterRoleSchema>

const selectorsPath = 'aggregationRule.clusterRoleSelectors'

function validateAggregation({ clusterRoleSelectors = [] }: AggregationRule): readonly FieldError[] {
  if (clusterRoleSelectors.length === 0) {
    return [requiredValue(selectorsPath, 'at least one clusterRoleSelector required if aggregationRule is non-nil')]
  }
  return clusterRoleSelectors.flatMap((selector, i) => validateSelector(selector, `${selectorsPath}[${i}]`))
}

export const clusterRole = defineKind({
  group: rbacGroup,
  version: 'v1',
  kind: 'ClusterRole',
  plural: 'clusterroles',
  scope: 'Cluster',
  updateCreates: true,
  schema: clusterRoleSchema,
  nameRule: pathSegment,
  generation: false,
  columns: () => [createdColumn],
  ageColumn: false,
  validate: object => [
    ...validateRules(object.rules, 'Cluster'),
    ...(object.aggregationRule ? validateAggregation(object.aggregationRule) : []),
  ],
})
