import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ClusterRole } from '../../src/api/kinds/clusterrole.ts'
import type { ClusterRoleBinding } from '../../src/api/kinds/clusterrolebinding.ts'
import type { Role } from '../../src/api/kinds/role.ts'
import type { RoleBinding } from '../../src/api/kinds/rolebinding.ts'
import type { PolicyRule, Subject } from '../../src/api/types/rbac.ts'
import {
  type Attributes,
  compile,
  evaluate,
  type Rbac,
  type ResourceAttributes,
  ruleAllows,
} from '../../src/apiserver/rbac.ts'
import { escalation, uncovered } from '../../src/apiserver/rbac-cover.ts'
import type { Identity } from '../../src/world/http.ts'

const asks = (verb: string, what: string, more: Partial<ResourceAttributes> = {}): Attributes => {
  const [resource = '', subresource = ''] = what.split('/')
  return { kind: 'resource', verb, group: '', resource, subresource, namespace: 'default', name: '', ...more }
}
const gets = (path: string): Attributes => ({ kind: 'path', verb: 'get', path })
const rule = (verbs: string, resources: string, more: Partial<PolicyRule> = {}): PolicyRule => ({
  verbs: verbs.split(' '),
  apiGroups: [''],
  resources: resources.split(' '),
  ...more,
})

test.each<[string, PolicyRule, Attributes, boolean]>([
  ['a verb on a resource', rule('get list', 'pods'), asks('list', 'pods'), true],
  ['no other verb', rule('get list', 'pods'), asks('watch', 'pods'), false],
  ['every verb', rule('*', 'pods'), asks('proxy', 'pods'), true],
  ['a group', rule('get', 'deployments', { apiGroups: ['apps'] }), asks('get', 'deployments', { group: 'apps' }), true],
  ['no other group', rule('get', 'deployments', { apiGroups: ['apps'] }), asks('get', 'deployments'), false],
  ['every group', rule('get', 'x', { apiGroups: ['*'] }), asks('get', 'x', { group: 'any' }), true],
  ['every resource, its subresources too', rule('get', '*'), asks('get', 'pods/log'), true],
  ['a resource is not its subresources', rule('get', 'pods'), asks('get', 'pods/log'), false],
  ['a subresource is not its resource', rule('get', 'pods/log'), asks('get', 'pods'), false],
  ['a subresource', rule('get', 'pods/log'), asks('get', 'pods/log'), true],
  ['a subresource of everything', rule('update', '*/scale'), asks('update', 'anything/scale'), true],
  ['of everything, no other subresource', rule('update', '*/scale'), asks('update', 'anything/status'), false],
  ['all subresources of one resource are no form', rule('get', 'pods/*'), asks('get', 'pods/log'), false],
  ['a name', rule('get', 'pods', { resourceNames: ['a'] }), asks('get', 'pods', { name: 'a' }), true],
  ['no other name', rule('get', 'pods', { resourceNames: ['a'] }), asks('get', 'pods', { name: 'b' }), false],
  ['with names, no list', rule('list', 'pods', { resourceNames: ['a'] }), asks('list', 'pods'), false],
  ['resources are no paths', rule('*', '*', { apiGroups: ['*'] }), gets('/healthz'), false],
  ['a path', { verbs: ['get'], nonResourceURLs: ['/healthz'] }, gets('/healthz'), true],
  ['what begins like a path', { verbs: ['get'], nonResourceURLs: ['/healthz/*'] }, gets('/healthz/etcd'), true],
  ['but not the path itself', { verbs: ['get'], nonResourceURLs: ['/healthz/*'] }, gets('/healthz'), false],
  ['every path', { verbs: ['*'], nonResourceURLs: ['*'] }, gets('/metrics'), true],
  ['a star in the middle is a character', { verbs: ['get'], nonResourceURLs: ['/a/*/b'] }, gets('/a/x/b'), false],
  ['paths are no resources', { verbs: ['*'], nonResourceURLs: ['*'] }, asks('get', 'pods'), false],
])('a rule is %s', (_, given, asked, allowed) => {
  expect(ruleAllows(given, asked)).toBe(allowed)
})

type Objects = {
  readonly roles: readonly Role[]
  readonly roleBindings: readonly RoleBinding[]
  readonly clusterRoles: readonly ClusterRole[]
  readonly clusterRoleBindings: readonly ClusterRoleBinding[]
}

const none: Objects = { roles: [], roleBindings: [], clusterRoles: [], clusterRoleBindings: [] }
const metadata = (name: string, namespace?: string) =>
  ({ name, ...(namespace !== undefined && { namespace }) }) as Role['metadata']
const role = (namespace: string, name: string, rules: readonly PolicyRule[]): Role => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'Role',
  metadata: metadata(name, namespace),
  rules,
})
const clusterRole = (name: string, rules: readonly PolicyRule[]): ClusterRole => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: metadata(name),
  rules,
})
const binding = (namespace: string, name: string, kind: string, to: string, subjects: readonly Subject[]) =>
  ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: namespace === '' ? 'ClusterRoleBinding' : 'RoleBinding',
    metadata: metadata(name, namespace === '' ? undefined : namespace),
    subjects,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: to },
  }) as RoleBinding & ClusterRoleBinding

const ann: Identity = { user: 'ann', groups: ['devs'] }
const ci: Identity = { user: 'system:serviceaccount:build:ci', groups: ['system:serviceaccounts'] }
const may = (rbac: Rbac, who: Identity, verb: string, what: string, namespace = 'default') =>
  evaluate(rbac, who, asks(verb, what, { namespace }))

describe('bindings', () => {
  const rbac = compile({
    ...none,
    clusterRoles: [clusterRole('view', [rule('get', 'pods')])],
    roles: [role('default', 'edit', [rule('update', 'pods')])],
    clusterRoleBindings: [
      binding('', 'devs', 'ClusterRole', 'view', [{ kind: 'Group', name: 'devs' }]),
      binding('', 'gone', 'ClusterRole', 'none', [{ kind: 'User', name: 'bob' }]),
    ],
    roleBindings: [
      binding('default', 'ann', 'Role', 'edit', [{ kind: 'User', name: 'ann' }]),
      binding('default', 'ci', 'ClusterRole', 'view', [{ kind: 'ServiceAccount', name: 'ci', namespace: 'build' }]),
      binding('build', 'own', 'ClusterRole', 'view', [{ kind: 'ServiceAccount', name: 'ci' }]),
    ],
  })
  test('of the cluster give everywhere, those of a namespace there', () => {
    expect(may(rbac, ann, 'get', 'pods', 'any')).toEqual({
      allowed: true,
      why: 'RBAC: allowed by ClusterRoleBinding "devs" of ClusterRole "view" to Group "devs"',
    })
    expect(may(rbac, ann, 'get', 'pods', '').allowed).toBe(true)
    expect(may(rbac, ann, 'update', 'pods')).toEqual({
      allowed: true,
      why: 'RBAC: allowed by RoleBinding "ann/default" of Role "edit" to User "ann"',
    })
    expect(may(rbac, ann, 'update', 'pods', 'other').allowed).toBe(false)
    expect(may(rbac, ann, 'update', 'pods', '').allowed).toBe(false)
  })
  test('name service accounts of other namespaces, and of their own', () => {
    expect(may(rbac, ci, 'get', 'pods', 'default').allowed).toBe(true)
    expect(may(rbac, ci, 'get', 'pods', 'build').why).toContain('to ServiceAccount "ci/build"')
    expect(may(rbac, ci, 'get', 'pods', 'other').allowed).toBe(false)
  })
  test('to a role that is not there give nothing and say so', () => {
    expect(may(rbac, { user: 'bob', groups: [] }, 'get', 'pods')).toEqual({
      allowed: false,
      why: 'RBAC: clusterrole.rbac.authorization.k8s.io "none" not found',
    })
  })
  test('give nothing for a path by a binding of a namespace', () => {
    const paths = compile({
      ...none,
      clusterRoles: [clusterRole('p', [{ verbs: ['get'], nonResourceURLs: ['*'] }])],
      roleBindings: [binding('default', 'ann', 'ClusterRole', 'p', [{ kind: 'User', name: 'ann' }])],
    })
    expect(evaluate(paths, ann, gets('/metrics')).allowed).toBe(false)
  })
})

/** The same by the words of the documentation, without any index. */
function naive(objects: Objects, who: Identity, asked: Attributes): boolean {
  const subjectIs = (subject: Subject, home: string): boolean => {
    if (subject.kind === 'User') return subject.name === who.user
    if (subject.kind === 'Group') return who.groups.includes(subject.name)
    if (subject.kind !== 'ServiceAccount') return false
    const namespace = subject.namespace || home
    return namespace !== '' && who.user === `system:serviceaccount:${namespace}:${subject.name}`
  }
  const all = [...objects.clusterRoleBindings, ...objects.roleBindings] as readonly RoleBinding[]
  return all.some(({ metadata: { namespace = '' }, subjects = [], roleRef }) => {
    if (!subjects.some(subject => subjectIs(subject, namespace))) return false
    if (namespace !== '' && (asked.kind === 'path' || asked.namespace !== namespace)) return false
    const rules =
      roleRef.kind === 'ClusterRole'
        ? objects.clusterRoles.find(one => one.metadata.name === roleRef.name)?.rules
        : objects.roles.find(one => one.metadata.name === roleRef.name && one.metadata.namespace === namespace)?.rules
    return (rules ?? []).some(one => {
      if (!one.verbs.some(verb => verb === '*' || verb === asked.verb)) return false
      if (asked.kind === 'path') {
        return (one.nonResourceURLs ?? []).some(url =>
          url.endsWith('*') ? asked.path.startsWith(url.slice(0, -1)) : url === asked.path,
        )
      }
      const whole = asked.subresource === '' ? asked.resource : `${asked.resource}/${asked.subresource}`
      const forms = ['*', whole, ...(asked.subresource === '' ? [] : [`*/${asked.subresource}`])]
      return (
        (one.apiGroups ?? []).some(group => group === '*' || group === asked.group) &&
        (one.resources ?? []).some(resource => forms.includes(resource)) &&
        ((one.resourceNames ?? []).length === 0 || (one.resourceNames ?? []).includes(asked.name))
      )
    })
  })
}

const among = <T>(...values: readonly T[]) => fc.constantFrom(...values)
const some = <T>(...values: readonly T[]) => fc.subarray([...values], { minLength: 0, maxLength: 2 })
const rules: fc.Arbitrary<readonly PolicyRule[]> = fc.array(
  fc.oneof(
    fc.record({
      verbs: some('*', 'get', 'list', 'update'),
      apiGroups: some('*', '', 'apps'),
      resources: some('*', 'pods', 'pods/log', '*/log', 'nodes'),
      resourceNames: fc.oneof(fc.constant([]), some('a', 'b')),
    }),
    fc.record({ verbs: some('*', 'get'), nonResourceURLs: some('*', '/a', '/a/*') }),
  ),
  { maxLength: 3 },
)
const subjects: fc.Arbitrary<readonly Subject[]> = fc.array(
  fc.oneof(
    fc.record({ kind: among('User', 'Group', 'Robot'), name: among('ann', 'devs', 'x') }),
    fc.record({ kind: fc.constant('ServiceAccount'), name: among('ci', 'cd'), namespace: among('', 'n1', 'n2') }),
  ),
  { maxLength: 3 },
)
const named = <T>(make: (name: string) => fc.Arbitrary<T>) => fc.tuple(make('a'), make('b'))
const objects: fc.Arbitrary<Objects> = fc.record({
  roles: named(name => rules.map(all => role('n1', name, all))),
  clusterRoles: named(name => rules.map(all => clusterRole(name, all))),
  roleBindings: named(name =>
    fc
      .tuple(among('n1', 'n2'), among('Role', 'ClusterRole'), among('a', 'b', 'c'), subjects)
      .map(([namespace, kind, to, whom]) => binding(namespace, name, kind, to, whom)),
  ),
  clusterRoleBindings: named(name =>
    fc.tuple(among('a', 'b', 'c'), subjects).map(([to, whom]) => binding('', name, 'ClusterRole', to, whom)),
  ),
})
const identity: fc.Arbitrary<Identity> = fc.record({
  user: among('ann', 'x', 'system:serviceaccount:n1:ci', 'system:serviceaccount:n2:cd'),
  groups: some('devs', 'x', 'ann'),
})
const question: fc.Arbitrary<Attributes> = fc.oneof(
  fc.record({
    kind: fc.constant('resource' as const),
    verb: among('get', 'list', 'update', 'delete'),
    group: among('', 'apps'),
    resource: among('pods', 'nodes'),
    subresource: among('', 'log', 'status'),
    namespace: among('', 'n1', 'n2'),
    name: among('', 'a', 'b'),
  }),
  fc.record({ kind: fc.constant('path' as const), verb: among('get', 'post'), path: among('/a', '/a/b', '/b') }),
)

test('the index answers as one who reads every binding', () => {
  fc.assert(
    fc.property(objects, identity, fc.array(question, { minLength: 1, maxLength: 8 }), (given, who, questions) => {
      const rbac = compile(given)
      for (const asked of questions) expect(evaluate(rbac, who, asked).allowed).toBe(naive(given, who, asked))
    }),
    { numRuns: 400 },
  )
})

test('rights that are covered allow nothing that was not allowed before', () => {
  fc.assert(
    fc.property(rules, rules, fc.array(question, { minLength: 1, maxLength: 20 }), (held, wanted, questions) => {
      fc.pre(uncovered(held, wanted).length === 0)
      for (const asked of questions) {
        if (wanted.some(one => ruleAllows(one, asked))) expect(held.some(one => ruleAllows(one, asked))).toBe(true)
      }
    }),
    { numRuns: 400 },
  )
})

describe('whoever gives away more than they hold', () => {
  const bob: Identity = { user: 'bob', groups: ['devs', 'system:authenticated'] }
  const told = (held: readonly PolicyRule[], wanted: readonly PolicyRule[], errors: readonly string[] = []) =>
    escalation(bob, { rules: held, errors }, wanted)
  const begins =
    'user "bob" (groups=["devs" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'

  test('is told what is missing, verbs of one resource together', () => {
    expect(told([rule('get', 'pods')], [rule('get list watch', 'pods secrets')])).toBe(
      `${begins}{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list" "watch"]}`,
    )
  })
  test('is told of paths and names', () => {
    const wanted = [{ verbs: ['get'], nonResourceURLs: ['/metrics'] }, rule('get', 'pods', { resourceNames: ['a'] })]
    expect(told([], wanted)).toBe(
      `${begins}{APIGroups:[""], Resources:["pods"], ResourceNames:["a"], Verbs:["get"]}\n{NonResourceURLs:["/metrics"], Verbs:["get"]}`,
    )
  })
  test('is told which of their own roles are not there', () => {
    expect(told([], [rule('get', 'pods')], ['clusterrole.rbac.authorization.k8s.io "x" not found'])).toContain(
      '; resolution errors: [clusterrole.rbac.authorization.k8s.io "x" not found]',
    )
  })
  test.each<[string, readonly PolicyRule[], readonly PolicyRule[], boolean]>([
    ['a star covers all', [rule('*', '*', { apiGroups: ['*'] })], [rule('get', 'pods/log')], true],
    ['a star is more than all that there is', [rule('get list', 'pods')], [rule('*', 'pods')], false],
    ['a name is less than every name', [rule('get', 'pods')], [rule('get', 'pods', { resourceNames: ['a'] })], true],
    ['every name is more', [rule('get', 'pods', { resourceNames: ['a'] })], [rule('get', 'pods')], false],
    ['several rules cover one', [rule('get', 'pods'), rule('list', 'pods')], [rule('get list', 'pods')], true],
    ['*/scale covers x/scale', [rule('get', '*/scale')], [rule('get', 'x/scale')], true],
    ['x/scale does not cover */scale', [rule('get', 'x/scale')], [rule('get', '*/scale')], false],
  ])('%s', (_, held, wanted, covered) => {
    expect(uncovered(held, wanted).length === 0).toBe(covered)
  })
})

test('a question among ten thousand bindings looks at its own', () => {
  const many = Array.from({ length: 10_000 }, (_, i) =>
    binding('', `b${i}`, 'ClusterRole', 'view', [{ kind: 'User', name: `user${i}` }]),
  )
  const rbac = compile({
    ...none,
    clusterRoles: [clusterRole('view', [rule('get', 'pods')])],
    clusterRoleBindings: many,
  })
  expect(rbac.everywhere.get('u:user77')).toHaveLength(1)
  expect(may(rbac, { user: 'user77', groups: [] }, 'get', 'pods').allowed).toBe(true)
})
