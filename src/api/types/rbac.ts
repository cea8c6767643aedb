// What roles and bindings consist of, and the rules that they share (upstream: pkg/apis/rbac/validation).
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/
import { invalidValue, notSupported, requiredValue } from '../field.ts'
import type { Column, FieldError, KubeObject } from '../kind.ts'
import { dnsSubdomain, pathSegment } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'

export const rbacGroup = 'rbac.authorization.k8s.io'

export const policyRule = s.object(
  'io.k8s.api.rbac.v1.PolicyRule',
  {
    verbs: s.list(1, scalars.string, {
      required: true,
      default: [],
      description:
        'get, list, watch, create, update, patch, delete, deletecollection and special ones such as bind; * for all. For paths, HTTP methods as get.',
    }),
    apiGroups: s.list(
      2,
      scalars.string,
      "Groups of the resources: '' for pods and other core kinds, * for all. Required beside resources.",
    ),
    resources: s.list(
      3,
      scalars.string,
      "Plurals in lower case, with a subresource after a slash: 'pods', 'pods/log', '*/scale'. * covers all, their subresources too.",
    ),
    resourceNames: s.list(
      4,
      scalars.string,
      'Limits the rule to objects of these names; empty for any. A request that names no object, as a create, is then not covered.',
    ),
    nonResourceURLs: s.list(
      5,
      scalars.string,
      "Paths such as '/healthz', or '/logs/*' for all that begins so. In a ClusterRole only, and granted by a ClusterRoleBinding only.",
    ),
  },
  {
    description:
      'Grants verbs on what it names: resources, or paths that are no resources, but never both in one rule.',
  },
)
export type PolicyRule = TypeOf<typeof policyRule>

export const subject = s.object(
  'io.k8s.api.rbac.v1.Subject',
  {
    kind: s.string(1, { required: true, default: '', description: 'User, Group or ServiceAccount.' }),
    apiGroup: s.string(
      2,
      'rbac.authorization.k8s.io for users and groups, filled in when empty; empty for service accounts.',
    ),
    name: s.string(3, {
      required: true,
      default: '',
      description: 'User or group exactly as authentication calls it, or the name of the ServiceAccount object.',
    }),
    namespace: s.string(
      4,
      'Of a service account. Required in a ClusterRoleBinding; in a RoleBinding that of the binding when empty.',
    ),
  },
  { atomic: true, description: 'Somebody who is given a role: a user, a group or a service account.' },
)
export type Subject = TypeOf<typeof subject>

export const roleRef = s.object(
  'io.k8s.api.rbac.v1.RoleRef',
  {
    apiGroup: s.string(1, {
      required: true,
      default: '',
      description: 'rbac.authorization.k8s.io, filled in when empty.',
    }),
    kind: s.string(2, {
      required: true,
      default: '',
      description:
        'Role, looked for in the namespace of the binding, or ClusterRole. A ClusterRoleBinding takes ClusterRole only.',
    }),
    name: s.string(3, {
      required: true,
      default: '',
      description: 'Of the role; while it does not exist, nothing is granted.',
    }),
  },
  { atomic: true, description: 'Points to the role that a binding grants.' },
)
export type RoleRef = TypeOf<typeof roleRef>

export function validateRules(
  rules: readonly PolicyRule[] | undefined,
  scope: 'Namespaced' | 'Cluster',
): readonly FieldError[] {
  return (rules ?? []).flatMap((rule, i) => validateRule(rule, scope, `rules[${i}]`))
}

function validateRule(rule: PolicyRule, scope: 'Namespaced' | 'Cluster', path: string): readonly FieldError[] {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule
  const errors: FieldError[] = []
  if (verbs.length === 0) errors.push(requiredValue(`${path}.verbs`, 'verbs must contain at least one value'))
  if (nonResourceURLs.length > 0) {
    const at = `${path}.nonResourceURLs`
    if (scope === 'Namespaced') {
      errors.push(invalidValue(at, nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'))
    }
    if (apiGroups.length > 0 || resources.length > 0 || resourceNames.length > 0) {
      const why = 'rules cannot apply to both regular resources and non-resource URLs'
      errors.push(invalidValue(at, nonResourceURLs, why))
    }
    return errors
  }
  if (apiGroups.length === 0) {
    errors.push(requiredValue(`${path}.apiGroups`, 'resource rules must supply at least one api group'))
  }
  if (resources.length === 0) {
    errors.push(requiredValue(`${path}.resources`, 'resource rules must supply at least one resource'))
  }
  return errors
}

type Binding = KubeObject & { readonly subjects?: readonly Subject[]; readonly roleRef: RoleRef }

/** The group of a role, of a user and of a group may be left out. */
export function defaultBinding<T extends Binding>(binding: T): T {
  const { subjects } = binding
  return {
    ...binding,
    ...(subjects && { subjects: subjects.map(defaultSubject) }),
    roleRef: { ...binding.roleRef, apiGroup: binding.roleRef.apiGroup || rbacGroup },
  }
}

function defaultSubject(one: Subject): Subject {
  const isPerson = one.kind === 'User' || one.kind === 'Group'
  return isPerson && (one.apiGroup ?? '') === '' ? { ...one, apiGroup: rbacGroup } : one
}

export function validateBinding(
  binding: Binding,
  old: Binding | undefined,
  scope: 'Namespaced' | 'Cluster',
): readonly FieldError[] {
  const { apiGroup, kind, name } = binding.roleRef
  const errors: FieldError[] = []
  if (apiGroup !== rbacGroup) errors.push(notSupported('roleRef.apiGroup', apiGroup, [rbacGroup]))
  const kinds = scope === 'Cluster' ? ['ClusterRole'] : ['Role', 'ClusterRole']
  if (!kinds.includes(kind)) errors.push(notSupported('roleRef.kind', kind, kinds))
  const wrong = name === '' ? undefined : pathSegment(name)
  if (name === '') errors.push(requiredValue('roleRef.name'))
  if (wrong !== undefined) errors.push(invalidValue('roleRef.name', name, wrong))
  for (const [i, one] of (binding.subjects ?? []).entries()) {
    errors.push(...validateSubject(one, scope, `subjects[${i}]`))
  }
  // Whoever may change a binding may choose who has the role, never which: for that they have to make another.
  if (old !== undefined && !sameRef(old.roleRef, binding.roleRef)) {
    errors.push(invalidValue('roleRef', binding.roleRef, 'cannot change roleRef'))
  }
  return errors
}

function sameRef(a: RoleRef, b: RoleRef): boolean {
  return a.apiGroup === b.apiGroup && a.kind === b.kind && a.name === b.name
}

function validateSubject(one: Subject, scope: 'Namespaced' | 'Cluster', path: string): readonly FieldError[] {
  const { kind, name, apiGroup = '', namespace = '' } = one
  const errors: FieldError[] = name === '' ? [requiredValue(`${path}.name`)] : []
  switch (kind) {
    case 'ServiceAccount': {
      const wrong = name === '' ? undefined : dnsSubdomain(name)
      if (wrong !== undefined) errors.push(invalidValue(`${path}.name`, name, wrong))
      if (apiGroup !== '') errors.push(notSupported(`${path}.apiGroup`, apiGroup, ['']))
      if (scope === 'Cluster' && namespace === '') errors.push(requiredValue(`${path}.namespace`))
      return errors
    }
    case 'User':
    case 'Group':
      if (name === '') errors.push(invalidValue(`${path}.name`, name, `${kind.toLowerCase()} name cannot be empty`))
      if (apiGroup !== rbacGroup) errors.push(notSupported(`${path}.apiGroup`, apiGroup, [rbacGroup]))
      return errors
    default:
      return [...errors, notSupported(`${path}.kind`, kind, ['ServiceAccount', 'User', 'Group'])]
  }
}

/** When a role was made, which `kubectl get` shows instead of its age. */
export const createdColumn: Column<KubeObject> = {
  name: 'Created At',
  type: 'date',
  description: 'CreationTimestamp is the time at which the object was created.',
  cell: ({ metadata }) => metadata.creationTimestamp,
}

/** The role of a binding, and who has it. */
export const bindingColumns: readonly Column<Binding>[] = [
  { name: 'Role', type: 'string', cell: ({ roleRef }) => `${roleRef?.kind}/${roleRef?.name}` },
  { name: 'Users', type: 'string', priority: 1, cell: binding => names(binding, 'User') },
  { name: 'Groups', type: 'string', priority: 1, cell: binding => names(binding, 'Group') },
  { name: 'ServiceAccounts', type: 'string', priority: 1, cell: binding => names(binding, 'ServiceAccount') },
]

function names({ subjects = [] }: Binding, kind: string): string {
  return subjects
    .filter(one => one.kind === kind)
    .map(({ namespace = '', name }) => (namespace === '' || kind !== 'ServiceAccount' ? name : `${namespace}/${name}`))
    .join(', ')
}
