// Roles and bindings, and what they allow. Tests that name a guard fail when it is taken out.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clusterRole } from '../../../src/api/kinds/clusterrole.ts'
import { clusterRoleBinding } from '../../../src/api/kinds/clusterrolebinding.ts'
import { defaultClusterRoles } from '../../../src/apiserver/bootstrap/policy.ts'
import { type Asking, podNamed } from '../../apiserver/ask.ts'
import { auditedApiserver } from '../../apiserver/audited.ts'
import type { Ask } from '../../apiserver/setup.ts'
import { walkThrough } from './operations.ts'

const root = '/apis/rbac.authorization.k8s.io/v1'
const inDefault = `${root}/namespaces/default`
const reads = { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] }
const ann = { kind: 'User', name: 'ann' }
const refTo = (kind: string, name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name })

walkThrough({
  root,
  resource: 'roles',
  kind: 'Role',
  namespace: 'default',
  make: i => ({ metadata: { name: `r-${i}` }, rules: [reads] }),
  change: { rules: [{ ...reads, verbs: ['watch'] }] },
  columns: ['Name', 'Created At'],
  cells: ['r-0', expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)],
})
walkThrough({
  root,
  resource: 'clusterrolebindings',
  kind: 'ClusterRoleBinding',
  make: i => ({ metadata: { name: `b-${i}` }, roleRef: refTo('ClusterRole', 'view'), subjects: [ann] }),
  change: { subjects: [{ kind: 'Group', name: 'devs', apiGroup: 'rbac.authorization.k8s.io' }] },
  columns: ['Name', 'Role', 'Age'],
  cells: ['b-0', 'ClusterRole/view', 'ann', '', ''],
})

type Api = Awaited<ReturnType<typeof auditedApiserver>>

describe('rbac', () => {
  let api: Api
  let admin: Asking
  const as = (user: string, url: string, more: Ask = {}) => admin(url, { ...more, identity: { user, groups: [] } })
  const bind = (name: string, ref: object, subjects: readonly object[], namespace = 'default') =>
    admin(namespace === '' ? `${root}/clusterrolebindings` : `${root}/namespaces/${namespace}/rolebindings`, {
      body: { metadata: { name }, roleRef: ref, subjects },
    })
  beforeAll(async () => {
    api = await auditedApiserver()
    admin = api.ask
    await admin('/api/v1/namespaces', { body: { metadata: { name: 'other' } } })
    await admin('/api/v1/namespaces/default/pods', { body: podNamed('p') })
    await admin('/api/v1/namespaces/default/secrets', { body: { metadata: { name: 's' } } })
  })
  afterAll(() => api.stop())

  test('authorizeByRoles: nobody may do what nobody has granted, and the answer names who, what and where', async () => {
    const { code, body, message } = await as('joe', '/api/v1/namespaces/default/pods')
    expect(code).toBe(403)
    expect(message).toBe(
      'pods is forbidden: User "joe" cannot list resource "pods" in API group "" in the namespace "default"',
    )
    expect(body).toMatchObject({ kind: 'Status', status: 'Failure', reason: 'Forbidden', details: { kind: 'pods' } })
    const cluster = await as('joe', '/apis/apps/v1/deployments/x')
    expect(cluster.code).toBe(403)
    expect((await as('joe', '/apis/apps/v1/deployments')).message).toBe(
      'deployments.apps is forbidden: User "joe" cannot list resource "deployments" in API group "apps" at the cluster scope',
    )
    expect((await as('joe', '/metrics')).message).toBe('forbidden: User "joe" cannot get path "/metrics"')
  })

  test('a binding to a role that is not there is named in the refusal', async () => {
    await bind('nothing', refTo('Role', 'none'), [{ kind: 'User', name: 'eve' }])
    expect((await as('eve', '/api/v1/namespaces/default/pods')).message).toBe(
      'pods is forbidden: User "eve" cannot list resource "pods" in API group "" in the namespace "default": RBAC: role.rbac.authorization.k8s.io "none" not found',
    )
  })

  test('wrote: a right holds with the answer that gave it, and is gone with the answer that took it', async () => {
    for (let i = 0; i < 20; i++) {
      const made = await bind(`quick-${i}`, refTo('ClusterRole', 'view'), [{ kind: 'User', name: `u${i}` }])
      expect(made.code).toBe(201)
      expect((await as(`u${i}`, '/api/v1/namespaces/default/pods')).code).toBe(200)
      expect((await as(`u${i}`, '/api/v1/namespaces/other/pods')).code).toBe(403)
      await admin(`${inDefault}/rolebindings/quick-${i}`, { method: 'DELETE' })
      expect((await as(`u${i}`, '/api/v1/namespaces/default/pods')).code).toBe(403)
    }
  })

  test('a write that changes nothing holds up nobody', async () => {
    await bind('same', refTo('ClusterRole', 'view'), [{ kind: 'User', name: 'sam' }])
    await admin(`${inDefault}/rolebindings/same`, { method: 'PATCH', body: {} })
    expect((await as('sam', '/api/v1/namespaces/default/pods')).code).toBe(200)
  })

  test('names, subresources and every verb are asked for as they are', async () => {
    await admin(`${inDefault}/roles`, {
      body: {
        metadata: { name: 'narrow' },
        rules: [
          { verbs: ['get'], apiGroups: [''], resources: ['pods/log'] },
          { verbs: ['get'], apiGroups: [''], resources: ['secrets'], resourceNames: ['s'] },
          { verbs: ['deletecollection', 'watch'], apiGroups: [''], resources: ['pods'] },
        ],
      },
    })
    await bind('narrow', refTo('Role', 'narrow'), [ann])
    const pods = '/api/v1/namespaces/default/pods'
    expect((await as('ann', `${pods}/p`)).code).toBe(403)
    expect((await as('ann', `${pods}/p/log`)).code).not.toBe(403)
    expect((await as('ann', `${pods}/p`, { method: 'DELETE' })).code).toBe(403)
    expect((await as('ann', `${pods}?labelSelector=none`, { method: 'DELETE' })).code).toBe(200)
    expect((await as('ann', '/api/v1/namespaces/default/secrets/s')).code).toBe(200)
    expect((await as('ann', '/api/v1/namespaces/default/secrets/t')).code).toBe(403)
    expect((await as('ann', '/api/v1/namespaces/default/secrets')).code).toBe(403)
    expect((await as('ann', `${pods}/p/exec?command=id`, { method: 'POST', body: '' })).code).toBe(403)
    expect((await as('ann', `${pods}/p/proxy/x`)).code).toBe(403)
  })

  describe('what every cluster has', () => {
    test('view reads all but secrets, edit writes all but roles, admin writes roles, each in its namespace', async () => {
      for (const name of ['view', 'edit', 'admin']) {
        await bind(name, refTo('ClusterRole', name), [{ kind: 'User', name }])
      }
      const can = async (user: string, url: string, more: Ask = {}) => (await as(user, url, more)).code !== 403
      const secrets = '/api/v1/namespaces/default/secrets'
      const maps = '/api/v1/namespaces/default/configmaps'
      const roles = `${inDefault}/roles`
      const make = (name: string): Ask => ({ body: { metadata: { name } } })
      expect([await can('view', maps), await can('edit', maps), await can('admin', maps)]).toEqual([true, true, true])
      expect([await can('view', secrets), await can('edit', secrets)]).toEqual([false, true])
      expect([await can('view', maps, make('v')), await can('edit', maps, make('e'))]).toEqual([false, true])
      expect([await can('edit', roles, make('e')), await can('admin', roles, make('a'))]).toEqual([false, true])
      expect(await can('admin', '/api/v1/namespaces/other/configmaps')).toBe(false)
      expect(await can('admin', '/api/v1/nodes')).toBe(false)
      expect(await can('view', '/apis/metrics.k8s.io/v1beta1/namespaces/default/pods')).toBe(true)
      expect(await can('view', '/apis/metrics.k8s.io/v1beta1/namespaces/other/pods')).toBe(false)
    })

    test('everybody who is known reads discovery and asks about themselves, and nothing else', async () => {
      for (const path of ['/api', '/apis', '/apis/apps/v1', '/openapi/v3', '/version']) {
        expect((await as('nobody', path)).code).toBe(200)
      }
      expect((await as('nobody', '/metrics')).code).toBe(403)
    })

    test('reconcileRole, reconcileBinding: what was taken away comes back, what was added stays, what is protected is left', async () => {
      const get = async (name: string) => (await admin(`${root}/clusterroles/${name}`)).body
      const [discovery, basic] = [await get('system:discovery'), await get('system:basic-user')]
      const added = { verbs: ['get'], nonResourceURLs: ['/mine'] }
      await admin(`${root}/clusterroles/system:discovery`, { method: 'PUT', body: { ...discovery, rules: [added] } })
      const autoupdate = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' }
      await admin(`${root}/clusterroles/system:basic-user`, {
        method: 'PUT',
        body: { ...basic, metadata: { ...basic.metadata, annotations: autoupdate }, rules: [] },
      })
      await admin(`${root}/clusterroles/view`, { method: 'DELETE' })
      await admin(`${root}/clusterrolebindings/cluster-admin`, { method: 'PATCH', body: { subjects: [] } })
      await api.apiserver.bootstrap(1, api.signal)
      const { rules } = await get('system:discovery')
      expect(rules[0]).toEqual(added)
      expect(rules).toContainEqual({ verbs: ['get'], nonResourceURLs: ['/apis/*'] })
      expect((await get('system:basic-user')).rules ?? []).toEqual([])
      expect((await get('view')).rules.length).toBeGreaterThan(5)
      expect((await admin(`${root}/clusterrolebindings/cluster-admin`)).body.subjects).toMatchObject([
        { kind: 'Group', name: 'system:masters' },
      ])
      await admin(`${root}/clusterroles/system:basic-user`, { method: 'DELETE' })
      await api.apiserver.bootstrap(1, api.signal)
    })

    test('a second start changes nothing', async () => {
      const before = api.store.revision()
      await api.apiserver.bootstrap(1, api.signal)
      expect(api.store.revision()).toBe(before)
    })

    test('every default is a valid object, and bound to a role that is there', async () => {
      const roles = await api.client.list(clusterRole, {}, api.signal)
      const names = new Set(roles.items.map(({ metadata }) => metadata.name))
      for (const { metadata } of defaultClusterRoles) expect(names).toContain(metadata.name)
      const bindings = await api.client.list(clusterRoleBinding, {}, api.signal)
      for (const { roleRef } of bindings.items) expect(names).toContain(roleRef.name)
    })
  })

  describe('nobody gives away more than they hold (A5)', () => {
    const pods = { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods'] }
    const post = (url: string, body: object) => as('boss', url, { body })
    beforeAll(async () => {
      await admin(`${root}/clusterroles`, {
        body: {
          metadata: { name: 'boss' },
          rules: [
            pods,
            {
              verbs: ['create', 'update', 'patch', 'get'],
              apiGroups: ['rbac.authorization.k8s.io'],
              resources: ['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'],
            },
          ],
        },
      })
      await bind('boss', refTo('ClusterRole', 'boss'), [{ kind: 'User', name: 'boss' }], '')
    })

    test('escalationHook: a role holds what its writer holds', async () => {
      expect((await post(`${inDefault}/roles`, { metadata: { name: 'some' }, rules: [pods] })).code).toBe(201)
      const more = { ...pods, resources: ['secrets'] }
      const refused = await post(`${inDefault}/roles`, { metadata: { name: 'more' }, rules: [more] })
      expect(refused.code).toBe(403)
      expect(refused.message).toBe(
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "boss" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list" "watch"]}',
      )
      const patched = await as('boss', `${inDefault}/roles/some`, { method: 'PATCH', body: { rules: [more] } })
      expect(patched.code).toBe(403)
      const applied = await as('boss', `${inDefault}/roles/some?fieldManager=t&force=true`, {
        method: 'PATCH',
        type: 'application/apply-patch+yaml',
        body: { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'some' }, rules: [more] },
      })
      expect(applied.code).toBe(403)
      const metadata = { name: 'some', annotations: { a: 'b' } }
      expect((await as('boss', `${inDefault}/roles/some`, { method: 'PATCH', body: { metadata } })).code).toBe(200)
    })

    test('escalationHook: a dry run tells the same', async () => {
      const rules = [{ ...pods, resources: ['secrets'] }]
      expect((await post(`${inDefault}/roles?dryRun=All`, { metadata: { name: 'dry' }, rules })).code).toBe(403)
    })

    test('escalationHook: a binding is to a role whose rules its writer holds', async () => {
      const to = (kind: string, name: string) => ({
        metadata: { name: `to-${name}` },
        roleRef: refTo(kind, name),
        subjects: [ann],
      })
      expect((await post(`${inDefault}/rolebindings`, to('Role', 'some'))).code).toBe(201)
      const refused = await post(`${root}/clusterrolebindings`, to('ClusterRole', 'cluster-admin'))
      expect(refused.message).toBe(
        'clusterrolebindings.rbac.authorization.k8s.io "to-cluster-admin" is forbidden: user "boss" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}',
      )
      expect((await post(`${inDefault}/rolebindings`, to('ClusterRole', 'edit'))).code).toBe(403)
      expect((await post(`${inDefault}/rolebindings`, to('Role', 'absent'))).code).toBe(404)
    })

    test('needed: the verbs escalate and bind let somebody, for one role by its name', async () => {
      const rules = [
        { verbs: ['escalate'], apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'] },
        {
          verbs: ['bind'],
          apiGroups: ['rbac.authorization.k8s.io'],
          resources: ['clusterroles'],
          resourceNames: ['edit'],
        },
      ]
      await admin(`${root}/clusterroles`, { body: { metadata: { name: 'lets' }, rules } })
      await bind('lets', refTo('ClusterRole', 'lets'), [{ kind: 'User', name: 'boss' }])
      const secrets = { ...pods, resources: ['secrets'] }
      expect((await post(`${inDefault}/roles`, { metadata: { name: 'lets' }, rules: [secrets] })).code).toBe(201)
      expect((await post(`${root}/namespaces/other/roles`, { metadata: { name: 'x' }, rules: [secrets] })).code).toBe(
        403,
      )
      const edit = { metadata: { name: 'edits' }, roleRef: refTo('ClusterRole', 'edit'), subjects: [ann] }
      expect((await post(`${inDefault}/rolebindings`, edit)).code).toBe(201)
      const adminRef = { ...edit, metadata: { name: 'admins' }, roleRef: refTo('ClusterRole', 'admin') }
      expect((await post(`${inDefault}/rolebindings`, adminRef)).code).toBe(403)
    })

    test('check: who collects rules by labels holds everything', async () => {
      const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] }
      const refused = await post(`${root}/clusterroles`, { metadata: { name: 'all' }, aggregationRule })
      expect(refused.message).toBe(
        'clusterroles.rbac.authorization.k8s.io "all" is forbidden: must have cluster-admin privileges to use an aggregationRule',
      )
      // Nor may rules be put where view will collect them.
      const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' }
      const rules = [{ ...pods, resources: ['secrets'] }]
      expect((await post(`${root}/clusterroles`, { metadata: { name: 'sly', labels }, rules })).code).toBe(403)
    })

    test('onlyForGarbage: owners and finalizers can be taken off what one could not have made', async () => {
      const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'y' }]
      const rules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]
      await admin(`${root}/namespaces/other/roles`, { body: { metadata: { name: 'owned', ownerReferences }, rules } })
      const { body } = await admin(`${root}/namespaces/other/roles/owned`)
      const { ownerReferences: _, ...metadata } = body.metadata
      const put = (next: object) => as('boss', `${root}/namespaces/other/roles/owned`, { method: 'PUT', body: next })
      expect((await put({ ...body, metadata })).code).toBe(200)
      const labelled = (await admin(`${root}/namespaces/other/roles/owned`)).body
      expect((await put({ ...labelled, metadata: { ...labelled.metadata, labels: { a: 'b' } } })).code).toBe(403)
    })

    test('isMaster: the highest are not asked', async () => {
      const rules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]
      expect((await admin(`${root}/clusterroles`, { body: { metadata: { name: 'any' }, rules } })).code).toBe(201)
    })
  })
})
