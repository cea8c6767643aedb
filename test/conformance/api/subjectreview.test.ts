// What the API says that somebody may do is what happens when they do it.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking, podNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'

const authorization = '/apis/authorization.k8s.io/v1'
const rbac = '/apis/rbac.authorization.k8s.io/v1'
const inDefault = '/api/v1/namespaces/default'

describe('subjectreview', () => {
  let api: Awaited<ReturnType<typeof testApiserver>>
  let admin: Asking
  beforeAll(async () => {
    api = await testApiserver()
    admin = asking(api)
    await admin('/api/v1/namespaces', { body: { metadata: { name: 'other' } } })
    await admin(`${inDefault}/pods`, { body: podNamed('p') })
    await admin(`${inDefault}/secrets`, { body: { metadata: { name: 's' } } })
    const rules = [
      { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] },
      { verbs: ['get'], apiGroups: [''], resources: ['secrets'], resourceNames: ['s'] },
      { verbs: ['get'], apiGroups: [''], resources: ['pods/log'] },
    ]
    await admin(`${rbac}/namespaces/default/roles`, { body: { metadata: { name: 'r' }, rules } })
    const paths = [{ verbs: ['get'], nonResourceURLs: ['/logs/*'] }]
    await admin(`${rbac}/clusterroles`, { body: { metadata: { name: 'logs' }, rules: paths } })
    for (const [name, kind, namespace] of [
      ['r', 'Role', 'default'],
      ['logs', 'ClusterRole', ''],
    ] as const) {
      const subjects = [
        { kind: 'User', name: 'ann' },
        { kind: 'Group', name: 'devs' },
      ]
      const at = namespace === '' ? `${rbac}/clusterrolebindings` : `${rbac}/namespaces/${namespace}/rolebindings`
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name }
      await admin(at, { body: { metadata: { name }, roleRef, subjects } })
    }
  })
  afterAll(() => api.stop())

  const review = (spec: object) => admin(`${authorization}/subjectaccessreviews`, { body: { spec } })
  const answer = async (spec: object) => (await review(spec)).body.status

  // Each request, and how a review asks about it.
  const questions: readonly [string, string, object][] = [
    ['GET', `${inDefault}/pods/p`, { verb: 'get', resource: 'pods', namespace: 'default', name: 'p' }],
    ['GET', `${inDefault}/pods`, { verb: 'list', resource: 'pods', namespace: 'default' }],
    ['GET', '/api/v1/namespaces/other/pods', { verb: 'list', resource: 'pods', namespace: 'other' }],
    ['GET', '/api/v1/pods', { verb: 'list', resource: 'pods' }],
    ['DELETE', `${inDefault}/pods/none`, { verb: 'delete', resource: 'pods', namespace: 'default', name: 'none' }],
    ['GET', `${inDefault}/secrets/s`, { verb: 'get', resource: 'secrets', namespace: 'default', name: 's' }],
    ['GET', `${inDefault}/secrets/t`, { verb: 'get', resource: 'secrets', namespace: 'default', name: 't' }],
    ['GET', `${inDefault}/secrets`, { verb: 'list', resource: 'secrets', namespace: 'default' }],
    [
      'GET',
      '/api/v1/namespaces/default',
      { verb: 'get', resource: 'namespaces', namespace: 'default', name: 'default' },
    ],
    ['GET', '/apis/apps/v1/deployments', { verb: 'list', group: 'apps', resource: 'deployments' }],
    [
      'GET',
      `${inDefault}/pods/none/log`,
      { verb: 'get', resource: 'pods', subresource: 'log', namespace: 'default', name: 'none' },
    ],
  ]
  test.each(questions)(
    '%s %s: the review of somebody, by name and by group, is what they meet',
    async (method, url, attributes) => {
      for (const [user, groups] of [
        ['ann', ['system:authenticated']],
        ['bob', ['devs', 'system:authenticated']],
        ['joe', ['system:authenticated']],
      ] as const) {
        const headers = { 'impersonate-user': user, 'impersonate-group': groups.join(', ') }
        const met = await admin(url, { method, headers })
        const said = await answer({ user, groups, resourceAttributes: attributes })
        expect([user, said.allowed]).toEqual([user, met.code !== 403])
        const self = await admin(`${authorization}/selfsubjectaccessreviews`, {
          headers,
          body: { spec: { resourceAttributes: attributes } },
        })
        expect(self.body.status).toEqual(said)
      }
    },
  )

  test('paths are reviewed as paths', async () => {
    const of = (path: string, verb = 'get') => answer({ user: 'ann', nonResourceAttributes: { path, verb } })
    expect(await of('/logs/kern')).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by ClusterRoleBinding "logs" of ClusterRole "logs" to User "ann"',
    })
    expect(await of('/logs/kern', 'post')).toEqual({ allowed: false })
    expect(await of('/other')).toEqual({ allowed: false })
  })

  test('a local review is of its own namespace', async () => {
    const at = `${authorization}/namespaces/default/localsubjectaccessreviews`
    const ask = (namespace: string) =>
      admin(at, { body: { spec: { user: 'ann', resourceAttributes: { namespace, verb: 'list', resource: 'pods' } } } })
    expect((await ask('default')).body.status.allowed).toBe(true)
    const refused = await ask('other')
    expect(refused.code).toBe(422)
    expect(refused.message).toContain(
      'spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace',
    )
  })

  test('a review says about whom and what, or is refused', async () => {
    const nobody = await review({ resourceAttributes: { verb: 'get', resource: 'pods' } })
    expect([nobody.code, nobody.message]).toEqual([
      422,
      'SubjectAccessReview.authorization.k8s.io "" is invalid: spec.user: Invalid value: "": at least one of user or group must be specified',
    ])
    expect((await review({ user: 'ann' })).message).toContain(
      'exactly one of nonResourceAttributes or resourceAttributes must be specified',
    )
    const both = { user: 'ann', resourceAttributes: { verb: 'get' }, nonResourceAttributes: { path: '/' } }
    expect((await review(both)).message).toContain('cannot be specified in combination with resourceAttributes')
  })

  test('asking about others takes the right to, asking about oneself does not', async () => {
    const identity = { user: 'joe', groups: [] }
    const spec = { user: 'ann', resourceAttributes: { verb: 'get', resource: 'pods' } }
    expect((await admin(`${authorization}/subjectaccessreviews`, { identity, body: { spec } })).code).toBe(403)
    const self = { resourceAttributes: spec.resourceAttributes }
    expect((await admin(`${authorization}/selfsubjectaccessreviews`, { identity, body: { spec: self } })).code).toBe(
      201,
    )
    expect((await admin('/apis/authentication.k8s.io/v1/tokenreviews', { identity, body: { spec: {} } })).code).toBe(
      403,
    )
  })

  test('all rules of oneself in a namespace', async () => {
    const rules = async (namespace: string) => {
      const identity = { user: 'ann', groups: [] }
      return await admin(`${authorization}/selfsubjectrulesreviews`, { identity, body: { spec: { namespace } } })
    }
    const { status } = (await rules('default')).body
    expect(status.incomplete).toBe(false)
    expect(status.resourceRules).toContainEqual({ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] })
    expect(status.resourceRules).toContainEqual({
      verbs: ['create'],
      apiGroups: ['authorization.k8s.io'],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
    })
    expect(status.nonResourceRules).toContainEqual({ verbs: ['get'], nonResourceURLs: ['/logs/*'] })
    expect(JSON.stringify((await rules('other')).body.status)).not.toContain('"pods"')
    expect((await rules('')).message).toBe('no namespace on request')
  })
})
