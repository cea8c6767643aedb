import { describe, expect, test } from 'vitest'
import { ApiError } from '../../src/api/error.ts'
import type { Kind, KubeObject } from '../../src/api/kind.ts'
import { clusterRole } from '../../src/api/kinds/clusterrole.ts'
import { clusterRoleBinding } from '../../src/api/kinds/clusterrolebinding.ts'
import { role } from '../../src/api/kinds/role.ts'
import { roleBinding } from '../../src/api/kinds/rolebinding.ts'
import type { JsonObject } from '../../src/api/schema.ts'
import { toTable } from '../../src/api/table.ts'
import { created, updated } from './make.ts'

function causes(act: () => unknown): readonly string[] {
  try {
    act()
  } catch (error) {
    if (error instanceof ApiError)
      return (error.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`)
    throw error
  }
  return []
}

const metadata = { name: 'x' }
const reads = { verbs: ['get'], apiGroups: [''], resources: ['pods'] }

describe.each<[string, Kind, JsonObject, readonly string[]]>([
  [
    'a rule needs verbs, groups and resources',
    role,
    { rules: [{}] },
    [
      'rules[0].verbs: Required value: verbs must contain at least one value',
      'rules[0].apiGroups: Required value: resource rules must supply at least one api group',
      'rules[0].resources: Required value: resource rules must supply at least one resource',
    ],
  ],
  [
    'a role of a namespace has no paths',
    role,
    { rules: [{ verbs: ['get'], nonResourceURLs: ['/healthz'] }] },
    ['rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs'],
  ],
  [
    'paths and resources stand in rules of their own',
    clusterRole,
    { rules: [{ ...reads, nonResourceURLs: ['/healthz'] }] },
    [
      'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: rules cannot apply to both regular resources and non-resource URLs',
    ],
  ],
  [
    'an aggregation selects something',
    clusterRole,
    { aggregationRule: {} },
    [
      'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
    ],
  ],
  [
    'a binding names a role',
    roleBinding,
    {},
    ['roleRef.kind: Unsupported value: "": supported values: "ClusterRole", "Role"', 'roleRef.name: Required value'],
  ],
  [
    "a cluster's binding names a cluster's role, and its service accounts a namespace",
    clusterRoleBinding,
    { roleRef: { kind: 'Role', name: 'a/b' }, subjects: [{ kind: 'ServiceAccount', name: 'x' }] },
    [
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
      'roleRef.name: Invalid value: "a/b": may not contain \'/\'',
      'subjects[0].namespace: Required value',
    ],
  ],
  [
    'a subject is a user, a group or a service account, by name',
    roleBinding,
    { roleRef: { kind: 'Role', name: 'r' }, subjects: [{ kind: 'Robot', name: 'x' }, { kind: 'User' }] },
    [
      'subjects[0].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"',
      'subjects[1].name: Required value',
      'subjects[1].name: Invalid value: "": user name cannot be empty',
    ],
  ],
  ['a name may hold colons', clusterRole, { metadata: { name: 'system:a:b' } }, []],
  [
    'a name is one segment of a path',
    clusterRole,
    { metadata: { name: 'a%2fb' } },
    ['metadata.name: Invalid value: "a%2fb": may not contain \'%\''],
  ],
])('%s', (_, kind, body, expected) => {
  test('is what the answer says', () => {
    expect(causes(() => created(kind, { metadata, ...body }))).toEqual(expected)
  })
})

const bound = (more: JsonObject = {}): KubeObject =>
  created(roleBinding, {
    metadata,
    roleRef: { kind: 'Role', name: 'r' },
    subjects: [{ kind: 'User', name: 'ann' }],
    ...more,
  })

test('the API group of roles, users and groups may be left out', () => {
  expect(bound()).toMatchObject({
    roleRef: { apiGroup: 'rbac.authorization.k8s.io' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io' }],
  })
})

test('roleRef never changes, subjects do', () => {
  const old = bound()
  expect(causes(() => updated(roleBinding, old, { ...old, subjects: [] } as unknown as JsonObject))).toEqual([])
  const other = { ...old, roleRef: { kind: 'ClusterRole', name: 'cluster-admin' } } as unknown as JsonObject
  expect(causes(() => updated(roleBinding, old, other))[0]).toMatch(
    /^roleRef: Invalid value: .*: cannot change roleRef$/,
  )
})

test('tables show the role with its kind, and who has it with -o wide', () => {
  const subjects = [
    { kind: 'User', name: 'ann' },
    { kind: 'User', name: 'bob' },
    { kind: 'Group', name: 'devs' },
    { kind: 'ServiceAccount', name: 'ci', namespace: 'build' },
  ]
  const options = { includeObject: 'None', version: 'v1', columnDefinitions: true, listMeta: {} } as const
  const table = toTable(roleBinding, [bound({ subjects })], Date.parse('2026-01-02T03:05:05Z'), options)
  const [row] = table['rows'] as unknown as [{ cells: unknown[] }]
  const names = (table['columnDefinitions'] as unknown as { name: string }[]).map(({ name }) => name)
  expect(names).toEqual(['Name', 'Role', 'Age', 'Users', 'Groups', 'ServiceAccounts'])
  expect(row.cells).toEqual(['x', 'Role/r', '60s', 'ann, bob', 'devs', 'build/ci'])
})
