// Nobody takes the server from the others: priority levels and flows as the cluster's objects say.
import { describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../src/api/kind.ts'
import { flowSchema } from '../../../src/api/kinds/flowschema.ts'
import { priorityLevelConfiguration } from '../../../src/api/kinds/prioritylevelconfiguration.ts'
import { asking } from '../../apiserver/ask.ts'
import { request, testApiserver } from '../../apiserver/setup.ts'

const flowcontrol = '/apis/flowcontrol.apiserver.k8s.io/v1'
const rbac = '/apis/rbac.authorization.k8s.io/v1'

/** A request whose body comes when it is told to: it holds its seat until then. */
function held(user: string) {
  const { promise, resolve } = Promise.withResolvers<void>()
  const given = request('/api/v1/namespaces/default/configmaps', { body: {}, identity: { user, groups: [] } })
  const body = async () => {
    await promise
    return new TextEncoder().encode('{"metadata":{"generateName":"m-"}}')
  }
  return {
    request: { ...given, headers: { ...given.headers, 'content-type': 'application/json' }, body },
    release: resolve,
  }
}

describe('priority and fairness', () => {
  test('the defaults are there, and their levels too', async () => {
    const api = await testApiserver()
    const levels = await api.client.list(priorityLevelConfiguration, {}, api.signal)
    expect(levels.items.map(({ metadata }) => metadata.name)).toEqual([
      'catch-all',
      'exempt',
      'global-default',
      'leader-election',
      'node-high',
      'system',
      'workload-high',
      'workload-low',
    ])
    const names = new Set(levels.items.map(({ metadata }) => metadata.name))
    const { items } = await api.client.list(flowSchema, {}, api.signal)
    expect(items).toHaveLength(13)
    for (const { spec } of items) expect(names).toContain(spec.priorityLevelConfiguration.name)
    api.stop()
  })

  test('fairness.enter (D5): one who floods gets 429 with Retry-After, while others and the highest are served', async () => {
    const api = await testApiserver()
    const ask = asking(api)
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' }
    const subjects = [{ kind: 'Group', name: 'system:authenticated' }]
    await ask(`${rbac}/namespaces/default/rolebindings`, { body: { metadata: { name: 'all' }, roleRef, subjects } })
    // One seat and a short queue for everybody who floods.
    await ask(`${flowcontrol}/prioritylevelconfigurations`, {
      body: {
        metadata: { name: 'narrow' },
        spec: {
          type: 'Limited',
          limited: {
            nominalConcurrencyShares: 0,
            borrowingLimitPercent: 0,
            limitResponse: { type: 'Queue', queuing: { queues: 2, handSize: 1, queueLengthLimit: 3 } },
          },
        },
      },
    })
    const schema = await ask(`${flowcontrol}/flowschemas`, {
      body: {
        metadata: { name: 'floods' },
        spec: {
          priorityLevelConfiguration: { name: 'narrow' },
          matchingPrecedence: 50,
          distinguisherMethod: { type: 'ByUser' },
          rules: [
            {
              subjects: [{ kind: 'User', user: { name: 'flood' } }],
              resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'] }],
            },
          ],
        },
      },
    })
    expect(schema.code).toBe(201)
    const many = Array.from({ length: 5 }, () => held('flood'))
    const answers = many.map(({ request: each }) => api.apiserver.handle(each))
    const refused = await Promise.race(answers)
    if (refused.kind !== 'whole') throw new Error('no answer')
    expect(refused.code).toBe(429)
    expect(refused.headers['retry-after']).toBe('1')
    expect(JSON.parse(String(refused.body))).toMatchObject({
      reason: 'TooManyRequests',
      message: 'too many requests, please try again later',
    })
    expect((await ask('/api/v1/namespaces/default/configmaps', { identity: { user: 'calm', groups: [] } })).code).toBe(
      200,
    )
    expect((await ask('/api/v1/namespaces/default/configmaps')).code).toBe(200)
    // Whoever waits is let in when the level is gone.
    await ask(`${flowcontrol}/prioritylevelconfigurations/narrow`, { method: 'DELETE' })
    for (const { release } of many) release()
    await ask('/api/v1/namespaces/default/configmaps', { identity: { user: 'calm', groups: [] } })
    const codes = (await Promise.all(answers)).map(answer => (answer.kind === 'whole' ? answer.code : 0))
    expect(codes.toSorted()).toEqual([201, 201, 201, 429, 429])
    api.stop()
  })

  test('every answer says by which schema and level it was let in, and by which ID it is known', async () => {
    const api = await testApiserver()
    const schemas = await api.client.list(flowSchema, {}, api.signal)
    const levels = await api.client.list(priorityLevelConfiguration, {}, api.signal)
    const uidOf = (items: readonly KubeObject[], name: string) =>
      items.find(({ metadata }) => metadata.name === name)?.metadata.uid
    for (const [identity, schema, level, code] of [
      [{ user: 'admin', groups: ['system:masters'] }, 'exempt', 'exempt', 200],
      [{ user: 'ann', groups: [] }, 'global-default', 'global-default', 403],
    ] as const) {
      const answer = await api.apiserver.handle(request('/api/v1/pods', { identity, headers: { 'audit-id': 'mine' } }))
      if (answer.kind !== 'whole') throw new Error('no answer')
      expect(answer.code).toBe(code)
      expect(answer.headers).toMatchObject({
        'audit-id': 'mine',
        'x-kubernetes-pf-flowschema-uid': uidOf(schemas.items, schema),
        'x-kubernetes-pf-prioritylevel-uid': uidOf(levels.items, level),
      })
    }
    api.stop()
  })

  test('a schema that names no level that is there counts for nothing', async () => {
    const api = await testApiserver()
    const ask = asking(api)
    await ask(`${flowcontrol}/flowschemas`, {
      body: {
        metadata: { name: 'dangling' },
        spec: {
          priorityLevelConfiguration: { name: 'none' },
          matchingPrecedence: 3,
          rules: [
            {
              subjects: [{ kind: 'User', user: { name: '*' } }],
              nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
            },
          ],
        },
      },
    })
    expect((await ask('/apis', { identity: { user: 'ann', groups: [] } })).code).toBe(200)
    api.stop()
  })

  test('limiter.enter (D5): the watches of one user are bounded', async () => {
    const api = await testApiserver()
    const controller = new AbortController()
    const open = () =>
      api.apiserver.handle(request('/api/v1/namespaces?watch=true&resourceVersion=0', { signal: controller.signal }))
    let code = 200
    for (let i = 0; i < 2_000 && code === 200; i++) {
      const answer = await open()
      code = answer.kind === 'whole' || answer.kind === 'stream' ? answer.code : 0
    }
    expect(code).toBe(429)
    controller.abort()
    api.stop()
  })
})
