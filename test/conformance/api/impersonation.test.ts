// Speaking for others. Every test is of the guard `speaker` in apiserver/run.ts, which asks for each right.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Asking } from '../../apiserver/ask.ts'
import { auditedApiserver } from '../../apiserver/audited.ts'

const rbac = '/apis/rbac.authorization.k8s.io/v1'
const who = '/apis/authentication.k8s.io/v1/selfsubjectreviews'

describe('impersonation (A5)', () => {
  let api: Awaited<ReturnType<typeof auditedApiserver>>
  let admin: Asking
  const lets = async (user: string, rules: readonly object[], namespace = '') => {
    const kind = namespace === '' ? 'ClusterRole' : 'Role'
    const at = namespace === '' ? rbac : `${rbac}/namespaces/${namespace}`
    const plural = kind.toLowerCase()
    await admin(`${at}/${plural}s`, { body: { metadata: { name: user }, rules } })
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name: user }
    const made = await admin(`${at}/${plural}bindings`, {
      body: { metadata: { name: user }, roleRef, subjects: [{ kind: 'User', name: user }] },
    })
    expect(made.code).toBe(201)
  }
  const on = (resources: string, resourceNames: readonly string[], apiGroups = ['']) => ({
    verbs: ['impersonate'],
    apiGroups,
    resources: resources.split(' '),
    ...(resourceNames.length > 0 && { resourceNames }),
  })
  const speak = (user: string, headers: Readonly<Record<string, string>>) =>
    admin(who, { identity: { user, groups: [] }, headers, body: {} })
  beforeAll(async () => {
    api = await auditedApiserver()
    admin = api.ask
    await lets('helper', [
      on('users', ['jane']),
      on('groups', ['devs', 'ops']),
      on('userextras/scopes', ['view'], ['authentication.k8s.io']),
      on('uids', ['1234'], ['authentication.k8s.io']),
    ])
    await lets('robot', [on('serviceaccounts', [])], 'default')
    await lets('people', [on('users groups', [])])
  })
  afterAll(() => api.stop())

  test('with all four headers, each of which is a right of its own', async () => {
    const all = {
      'impersonate-user': 'jane',
      'impersonate-group': 'devs, ops',
      'impersonate-uid': '1234',
      'impersonate-extra-scopes': 'view',
    }
    const { code, body } = await speak('helper', all)
    expect(code).toBe(201)
    expect(body.status.userInfo).toEqual({
      username: 'jane',
      uid: '1234',
      groups: ['devs', 'ops', 'system:authenticated'],
      extra: { scopes: ['view'] },
    })
    const wrong: readonly [string, string, string][] = [
      [
        'impersonate-user',
        'admin',
        'users "admin" is forbidden: User "helper" cannot impersonate resource "users" in API group "" at the cluster scope',
      ],
      [
        'impersonate-group',
        'devs, system:masters',
        'groups "system:masters" is forbidden: User "helper" cannot impersonate resource "groups" in API group "" at the cluster scope',
      ],
      [
        'impersonate-uid',
        '9',
        'uids.authentication.k8s.io "9" is forbidden: User "helper" cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster scope',
      ],
      [
        'impersonate-extra-scopes',
        'view, edit',
        'userextras.authentication.k8s.io "edit" is forbidden: User "helper" cannot impersonate resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope',
      ],
      [
        'impersonate-extra-other',
        'view',
        'userextras.authentication.k8s.io "view" is forbidden: User "helper" cannot impersonate resource "userextras/other" in API group "authentication.k8s.io" at the cluster scope',
      ],
    ]
    for (const [header, value, message] of wrong) {
      const refused = await speak('helper', { ...all, [header]: value })
      expect([refused.code, refused.message]).toEqual([403, message])
    }
  })

  test('a service account is asked for in its namespace, and has the groups of its namespace', async () => {
    const { body } = await speak('robot', { 'impersonate-user': 'system:serviceaccount:default:ci' })
    expect(body.status.userInfo).toEqual({
      username: 'system:serviceaccount:default:ci',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
    })
    const refused = await speak('robot', { 'impersonate-user': 'system:serviceaccount:kube-system:ci' })
    expect(refused.message).toBe(
      'serviceaccounts "ci" is forbidden: User "robot" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "kube-system"',
    )
    // Nor by the right over users.
    expect((await speak('people', { 'impersonate-user': 'system:serviceaccount:kube-system:ci' })).code).toBe(403)
  })

  test('what is done is done with the rights of the other alone', async () => {
    const identity = { user: 'people', groups: [] }
    const headers = { 'impersonate-user': 'boss', 'impersonate-group': 'system:masters' }
    expect((await admin('/api/v1/secrets', { identity })).code).toBe(403)
    expect((await admin('/api/v1/secrets', { identity, headers })).code).toBe(200)
    expect((await admin('/api/v1/secrets', { headers: { 'impersonate-user': 'jane' } })).code).toBe(403)
    // The other cannot speak for a third.
    expect((await speak('people', { 'impersonate-user': 'nobody' })).body.status.userInfo.username).toBe('nobody')
  })

  test('groups, a uid or extras without a user are refused, also to the highest', async () => {
    for (const header of ['impersonate-group', 'impersonate-uid', 'impersonate-extra-scopes', 'impersonate-user']) {
      const { code, message } = await admin(who, {
        headers: { [header]: header === 'impersonate-user' ? '' : 'x' },
        body: {},
      })
      expect([code, message]).toEqual([400, `requested [${header}] without impersonating a user`])
    }
  })

  test('who is not known is in the group of those, and may see the version', async () => {
    const headers = { 'impersonate-user': 'system:anonymous' }
    expect((await admin('/apis', { headers })).code).toBe(403)
    const spec = {
      user: 'system:anonymous',
      groups: ['system:unauthenticated'],
      nonResourceAttributes: { path: '/version', verb: 'get' },
    }
    const review = await admin('/apis/authorization.k8s.io/v1/subjectaccessreviews', { body: { spec } })
    expect(review.body.status.allowed).toBe(true)
  })

  test('keys of extras are decoded, and those that cannot be are refused', async () => {
    const key = 'impersonate-extra-example.com%2fRole'
    const { body } = await admin(who, { headers: { 'impersonate-user': 'a', [key]: 'x' }, body: {} })
    expect(body.status.userInfo.extra).toEqual({ 'example.com/role': ['x'] })
    const bad = { 'impersonate-user': 'a', 'impersonate-extra-%zz': 'x' }
    expect((await admin(who, { headers: bad, body: {} })).code).toBe(400)
  })
})
