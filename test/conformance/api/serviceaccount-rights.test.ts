// A pod asks the API with the token of its service account: it may do what roles grant the account, and nothing else.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking, podNamed } from '../../apiserver/ask.ts'
import { type Ask, testApiserver } from '../../apiserver/setup.ts'

const rbac = '/apis/rbac.authorization.k8s.io/v1'
const inDefault = '/api/v1/namespaces/default'

describe('service account rights', () => {
  let api: Awaited<ReturnType<typeof testApiserver>>
  let admin: Asking
  let token = ''
  let podUid = ''
  const pod = (url: string, more: Ask = {}) =>
    admin(url, { ...more, identity: null, headers: { authorization: `Bearer ${token}` } })
  const grant = (name: string, subject: object) =>
    admin(`${rbac}/namespaces/default/rolebindings`, {
      body: {
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
        subjects: [subject],
      },
    })
  beforeAll(async () => {
    api = await testApiserver()
    admin = asking(api)
    await admin(`${inDefault}/serviceaccounts`, { body: { metadata: { name: 'app' } } })
    const made = await admin(`${inDefault}/pods`, { body: podNamed('p', { serviceAccountName: 'app' }) })
    podUid = made.body.metadata.uid
    const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: podUid }
    const issued = await admin(`${inDefault}/serviceaccounts/app/token`, {
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [], boundObjectRef } },
    })
    token = issued.body.status.token
  })
  afterAll(() => api.stop())

  test('before anything is granted it reads discovery and the keys of the issuer, and no object', async () => {
    expect((await pod('/apis')).code).toBe(200)
    expect((await pod('/openid/v1/jwks')).code).toBe(200)
    const { code, message } = await pod(`${inDefault}/configmaps`)
    expect(code).toBe(403)
    expect(message).toBe(
      'configmaps is forbidden: User "system:serviceaccount:default:app" cannot list resource "configmaps" in API group "" in the namespace "default"',
    )
  })

  test.each<[string, object]>([
    ['its account', { kind: 'ServiceAccount', name: 'app', namespace: 'default' }],
    ['its account, in the namespace of the binding', { kind: 'ServiceAccount', name: 'app' }],
    ['its user name', { kind: 'User', name: 'system:serviceaccount:default:app' }],
    ['all accounts of its namespace', { kind: 'Group', name: 'system:serviceaccounts:default' }],
    ['all accounts', { kind: 'Group', name: 'system:serviceaccounts' }],
    ['everybody who is known', { kind: 'Group', name: 'system:authenticated' }],
  ])('what is bound to %s it may do, until it is taken back', async (_, subject) => {
    expect((await grant('given', subject)).code).toBe(201)
    expect((await pod(`${inDefault}/configmaps`, { body: { metadata: { name: 'made' } } })).code).toBe(201)
    expect((await pod(`${inDefault}/configmaps/made`, { method: 'DELETE' })).code).toBe(200)
    expect((await pod('/api/v1/namespaces/kube-system/configmaps')).code).toBe(403)
    await admin(`${rbac}/namespaces/default/rolebindings/given`, { method: 'DELETE' })
    expect((await pod(`${inDefault}/configmaps`)).code).toBe(403)
  })

  test('an account of another namespace with the same name is another', async () => {
    await grant('other', { kind: 'ServiceAccount', name: 'app', namespace: 'kube-system' })
    expect((await pod(`${inDefault}/configmaps`)).code).toBe(403)
  })

  test('it says who it is and which pod it runs in', async () => {
    const { body } = await pod('/apis/authentication.k8s.io/v1/selfsubjectreviews', { body: {} })
    expect(body.status.userInfo).toMatchObject({
      username: 'system:serviceaccount:default:app',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/pod-name': ['p'],
        'authentication.kubernetes.io/pod-uid': [podUid],
      },
    })
  })
})
