// Attacks of the past on API servers, each refused. The letters are those of the classes in which they are known; each test
// names the guard that it needs; test/guards/ takes each of them away. Every refusal is on the record: audited.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking, podNamed } from '../../apiserver/ask.ts'
import { auditedApiserver } from '../../apiserver/audited.ts'
import { type Ask, request, testApiserver } from '../../apiserver/setup.ts'

const inDefault = '/api/v1/namespaces/default'
const rbac = '/apis/rbac.authorization.k8s.io/v1'

describe('security', () => {
  let api: Awaited<ReturnType<typeof auditedApiserver>>
  let admin: Asking
  const as = (user: string, url: string, more: Ask = {}) => admin(url, { ...more, identity: { user, groups: [] } })
  const bind = async (user: string, rules: readonly object[], namespace = 'default') => {
    await admin(`${rbac}/namespaces/${namespace}/roles`, { body: { metadata: { name: user }, rules } })
    const made = await admin(`${rbac}/namespaces/${namespace}/rolebindings`, {
      body: {
        metadata: { name: user },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: user },
        subjects: [{ kind: 'User', name: user }],
      },
    })
    expect(made.code).toBe(201)
  }
  beforeAll(async () => {
    api = await auditedApiserver()
    admin = api.ask
    await admin('/api/v1/nodes', { body: { metadata: { name: 'n1' } } })
    await admin('/api/v1/namespaces', { body: { metadata: { name: 'default2' } } })
    await admin(`${inDefault}/secrets`, { body: { metadata: { name: 's' }, stringData: { key: 'canary-4711' } } })
    await bind('local', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }])
  })
  afterAll(() => api.stop())

  test('route (A1): a path that would mean another place is no path', async () => {
    for (const path of [
      '/api/v1/namespaces/default/../kube-system/secrets',
      '/api/v1/namespaces/default/%2e%2e/kube-system/secrets',
      '/api/v1/namespaces/default%2f..%2fkube-system/secrets',
      '/api/v1/namespaces/default//secrets',
      '/api/v1/namespaces/default/secrets/..',
    ]) {
      expect((await as('local', path)).code).toBe(400)
    }
  })

  test('resource (A1, CVE-2019-11247): what is of the cluster is not reached by the path of a namespace', async () => {
    for (const path of [
      `${inDefault}/nodes`,
      `${inDefault}/nodes/n1`,
      `${rbac}/namespaces/default/clusterroles`,
      `${rbac}/namespaces/default/clusterrolebindings/cluster-admin`,
    ]) {
      expect((await as('local', path)).code).toBe(404)
      expect((await as('local', path, { method: 'DELETE' })).code).toBe(404)
    }
    expect((await as('local', '/api/v1/nodes')).code).toBe(403)
    expect((await as('local', `${rbac}/clusterroles`)).code).toBe(403)
  })

  test('prefixOf (A1): who may do all in one namespace sees nothing of another, whatever the request says', async () => {
    await admin('/api/v1/namespaces/default2/configmaps', { body: { metadata: { name: 'other' } } })
    const listed = await as('local', `${inDefault}/configmaps`)
    expect(
      listed.body.items.map(({ metadata }: { metadata: { namespace: string } }) => metadata.namespace),
    ).not.toContain('default2')
    const selector = `${inDefault}/configmaps?fieldSelector=metadata.namespace%3Ddefault2`
    expect((await as('local', selector)).body.items).toEqual([])
    const moved = { metadata: { name: 'moved', namespace: 'default2' } }
    expect((await as('local', `${inDefault}/configmaps`, { body: moved })).code).toBe(400)
    expect(
      (await as('local', `${inDefault}/configmaps?namespace=default2`, { body: { metadata: { name: 'here' } } })).body
        .metadata.namespace,
    ).toBe('default')
  })

  test('continue tokens (A1): one from another place does not lead there', async () => {
    for (const name of ['a', 'b', 'c'])
      await admin('/api/v1/namespaces/default2/secrets', { body: { metadata: { name } } })
    const { body } = await admin('/api/v1/namespaces/default2/secrets?limit=1')
    expect(body.metadata.continue).toEqual(expect.any(String))
    const token = encodeURIComponent(body.metadata.continue)
    const stolen = await as('local', `${inDefault}/secrets?limit=5&continue=${token}`)
    expect(stolen.code).toBe(400)
    const names = (stolen.body.items ?? []).map(
      ({ metadata }: { metadata: { namespace: string } }) => metadata.namespace,
    )
    expect(names).not.toContain('default2')
  })

  test('limited (A6, CVE-2016-1905): by the status nobody changes what is wanted, nor by the main path how things are', async () => {
    await admin(`${inDefault}/pods`, { body: podNamed('p') })
    await bind('reporter', [{ verbs: ['get', 'update', 'patch'], apiGroups: [''], resources: ['pods/status'] }])
    const spec = { containers: [{ name: 'c', image: 'evil:1' }], nodeName: 'n1' }
    const body = { spec, status: { phase: 'Running' } }
    const patched = await as('reporter', `${inDefault}/pods/p/status`, { method: 'PATCH', body })
    expect(patched.code).toBe(200)
    expect(patched.body.spec.containers[0].image).toBe('i:1')
    expect(patched.body.spec.nodeName).toBeUndefined()
    expect((await as('reporter', `${inDefault}/pods/p`, { method: 'PATCH', body })).code).toBe(403)
  })

  test('admission (A7, CVE-2021-25735): what is stored counts as the old object, not what the request says it was', async () => {
    const identity = { user: 'system:node:n1', groups: ['system:nodes'] }
    await admin('/api/v1/nodes/n1', {
      method: 'PATCH',
      body: { spec: { taints: [{ key: 'keep', effect: 'NoSchedule' }] } },
    })
    const { body } = await admin('/api/v1/nodes/n1')
    const { taints: _, ...spec } = body.spec
    const { resourceVersion, ...metadata } = body.metadata
    // Without a version, and so against whatever there is.
    const put = await admin('/api/v1/nodes/n1', { method: 'PUT', identity, body: { ...body, metadata, spec } })
    expect([put.code, put.message]).toEqual([403, 'nodes "n1" is forbidden: node "n1" is not allowed to modify taints'])
  })

  test('demand (A14): who may not see an object is not told whether it is there', async () => {
    const secret = (name: string) => as('joe', `${inDefault}/secrets/${name}`)
    const [there, absent] = [await secret('s'), await secret('none')]
    expect([there.code, absent.code]).toEqual([403, 403])
    expect(absent.message).toBe(there.message.replace('"s"', '"none"'))
    const of = async (method: string, name: string) =>
      (await as('joe', `${inDefault}/secrets/${name}`, { method, body: method === 'DELETE' ? undefined : {} })).code
    for (const method of ['DELETE', 'PUT', 'PATCH'])
      expect([await of(method, 's'), await of(method, 'none')]).toEqual([403, 403])
    // Nor which namespaces or kinds there are.
    for (const path of [
      '/api/v1/namespaces/none/secrets',
      '/api/v1/namespaces/none',
      '/apis/none.example.com/v1/things',
    ]) {
      expect((await as('joe', path)).code).toBe(403)
    }
  })

  test('authenticate (A15, A13): who has not said who they are gets health, the version and the keys of the issuer alone', async () => {
    const open = ['/healthz', '/livez', '/readyz', '/version', '/openid/v1/jwks', '/.well-known/openid-configuration']
    const nobody = async (path: string, more: Ask = {}) => {
      const answer = await api.apiserver.handle(request(path, { ...more, identity: null }))
      return answer.kind === 'whole' || answer.kind === 'stream' ? answer.code : 0
    }
    for (const path of open) expect([path, await nobody(path)]).toEqual([path, 200])
    for (const path of [
      '/',
      '/api',
      '/apis',
      '/metrics',
      '/metrics/slis',
      '/debug/pprof/',
      '/debug/pprof/heap',
      '/openapi/v2',
      '/openapi/v3',
      '/logs',
      '/none',
      `${inDefault}/secrets/s`,
      `${inDefault}/pods/p/exec?command=id`,
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    ]) {
      expect([path, await nobody(path)]).toEqual([path, 401])
    }
    expect(await nobody('/version', { method: 'POST', body: {} })).toBe(401)
  })

  test('demand (A13, CVE-2019-11248): measures and insides are for those who were let', async () => {
    for (const path of ['/metrics', '/debug/pprof/', '/logs/'])
      expect([path, (await as('joe', path)).code]).toEqual([path, 403])
  })

  test('authenticate (B2, B5): no cookie and nothing in the URL says who somebody is', async () => {
    const issued = await admin(`${inDefault}/serviceaccounts`, { body: { metadata: { name: 'web' } } })
    expect(issued.code).toBe(201)
    const token = (
      await admin(`${inDefault}/serviceaccounts/web/token`, {
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [] } },
      })
    ).body.status.token
    const who = async (path: string, headers: Readonly<Record<string, string>>) =>
      (await admin(path, { identity: null, headers })).code
    expect(await who('/apis', { authorization: `Bearer ${token}` })).toBe(200)
    expect(await who('/apis', { cookie: `token=${token}; authorization=Bearer ${token}` })).toBe(401)
    expect(await who(`/apis?access_token=${token}`, {})).toBe(401)
    expect(await who('/apis', { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' })).toBe(401)
  })

  test('speaker (A5): headers that name others give nothing to who has no right to', async () => {
    const headers = { 'impersonate-user': 'admin', 'impersonate-group': 'system:masters' }
    expect((await as('local', '/api/v1/nodes', { headers })).code).toBe(403)
    expect((await as('local', '/api/v1/nodes', { headers: { 'impersonate-group': 'system:masters' } })).code).toBe(400)
  })

  test('escalationHook (A5): the right over all in a namespace does not reach out of it', async () => {
    const all = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]
    // Here they may: it is no more than they have.
    expect(
      (await as('local', `${rbac}/namespaces/default/roles`, { body: { metadata: { name: 'again' }, rules: all } }))
        .code,
    ).toBe(201)
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' }
    const body = { metadata: { name: 'up' }, roleRef, subjects: [{ kind: 'User', name: 'local' }] }
    expect((await as('local', `${rbac}/clusterrolebindings`, { body })).code).toBe(403)
    expect((await as('local', `${rbac}/namespaces/kube-system/rolebindings`, { body })).code).toBe(403)
    // And the right to write roles and bindings gives none that these would give.
    const own = ['roles', 'rolebindings']
    await bind('binder', [
      { verbs: ['get', 'create', 'update', 'patch'], apiGroups: ['rbac.authorization.k8s.io'], resources: own },
    ])
    const roles = `${rbac}/namespaces/default/roles`
    expect((await as('binder', roles, { body: { metadata: { name: 'up' }, rules: all } })).code).toBe(403)
    expect((await as('binder', `${rbac}/namespaces/default/rolebindings`, { body })).code).toBe(403)
    expect((await as('binder', `${roles}/local`, { method: 'PATCH', body: { rules: all } })).code).toBe(200)
    expect((await as('binder', `${roles}/binder`, { method: 'PATCH', body: { rules: all } })).code).toBe(403)
  })

  test('every refusal is on the record', async () => {
    const lines: string[] = []
    const audit = {
      policy: { rules: [{ level: 'Metadata' as const }] },
      log: { append: async (line: string) => void lines.push(line) },
    }
    const noted = await testApiserver({ audit })
    const ask = asking(noted)
    const identity = { user: 'eve', groups: [] }
    await ask('/api/v1/secrets', { identity })
    await ask('/api/v1/secrets', { identity: null })
    await ask('/api/v1/secrets', { identity, headers: { 'impersonate-user': 'admin' } })
    await ask(`${inDefault}/../secrets`, { identity })
    const codes = lines.map(line => JSON.parse(line).responseStatus?.code).filter(code => code !== undefined)
    expect(codes).toEqual([403, 401, 403, 400])
    noted.stop()
  })
})
