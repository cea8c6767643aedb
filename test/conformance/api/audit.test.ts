// Who did what is written down as the policy says, and what lets somebody in never is.
import { describe, expect, test } from 'vitest'
import { defaultPolicy, type Policy, PolicyError, parsePolicy } from '../../../src/apiserver/audit.ts'
import { asking, podNamed } from '../../apiserver/ask.ts'
import { request, testApiserver } from '../../apiserver/setup.ts'

// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON came
type Line = any

async function audited(policy: Policy) {
  const lines: Line[] = []
  const texts: string[] = []
  const append = async (line: string) => {
    texts.push(line)
    lines.push(JSON.parse(line))
  }
  const api = await testApiserver({ audit: { policy, log: { append } } })
  return { api, ask: asking(api), lines, texts }
}

const inDefault = '/api/v1/namespaces/default'
const all = (level: 'Metadata' | 'Request' | 'RequestResponse'): Policy => ({ rules: [{ level }] })
const canary = 'canary-4711'

describe('audit', () => {
  test('a request has one event as it comes and one as it is answered, with one ID, that the client may choose', async () => {
    const { api, ask, lines } = await audited(all('Metadata'))
    const identity = { user: 'ann', groups: ['devs'], uid: 'u1' }
    await ask(`${inDefault}/pods?limit=5`, { identity, headers: { 'audit-id': 'mine' } })
    expect(lines).toHaveLength(2)
    const [received, complete] = lines
    expect(received).toMatchObject({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'Metadata',
      auditID: 'mine',
      stage: 'RequestReceived',
      requestURI: `${inDefault}/pods?limit=5`,
      verb: 'list',
      user: { username: 'ann', uid: 'u1', groups: ['devs', 'system:authenticated'] },
      sourceIPs: ['127.0.0.1'],
      userAgent: 'test/1',
      objectRef: { resource: 'pods', namespace: 'default', apiVersion: 'v1' },
    })
    expect(received.responseStatus).toBeUndefined()
    expect(received.requestReceivedTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    expect(complete).toMatchObject({
      stage: 'ResponseComplete',
      auditID: 'mine',
      responseStatus: {
        code: 403,
        status: 'Failure',
        reason: 'Forbidden',
        message: expect.stringContaining('User "ann" cannot list resource "pods"'),
      },
      annotations: { 'authorization.k8s.io/decision': 'forbid', 'authorization.k8s.io/reason': '' },
    })
    api.stop()
  })

  test('the reason of a yes, and for whom somebody speaks, are there', async () => {
    const { api, ask, lines } = await audited({ ...all('Metadata'), omitStages: ['RequestReceived'] })
    await ask('/apis', { headers: { 'impersonate-user': 'jane', 'impersonate-group': 'ops' } })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      user: { username: 'admin' },
      impersonatedUser: { username: 'jane', groups: ['ops', 'system:authenticated'] },
      annotations: {
        'authorization.k8s.io/decision': 'allow',
        'authorization.k8s.io/reason':
          'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" to Group "system:authenticated"',
      },
    })
    api.stop()
  })

  test('levels: nothing, who and what, the body too, the answer too', async () => {
    const make = podNamed('p')
    for (const level of ['Metadata', 'Request', 'RequestResponse'] as const) {
      const { api, ask, lines } = await audited({ ...all(level), omitStages: ['RequestReceived'] })
      await ask(`${inDefault}/pods`, { body: make })
      expect(lines[0]).toMatchObject({ level, objectRef: { name: 'p' }, responseStatus: { code: 201 } })
      expect(lines[0].requestObject).toEqual(level === 'Metadata' ? undefined : make)
      expect(lines[0].responseObject?.metadata.uid).toEqual(
        level === 'RequestResponse' ? expect.any(String) : undefined,
      )
      api.stop()
    }
    const { api, ask, lines } = await audited({ rules: [{ level: 'None' }] })
    await ask(`${inDefault}/pods`, { body: make })
    expect(lines).toEqual([])
    api.stop()
  })

  test('the first rule that fits counts', async () => {
    const policy = parsePolicy({
      apiVersion: 'audit.k8s.io/v1',
      kind: 'Policy',
      rules: [
        { level: 'None', users: ['system:serviceaccount:kube-system:noisy'] },
        { level: 'None', nonResourceURLs: ['/api*', '/version'] },
        { level: 'RequestResponse', verbs: ['delete'], namespaces: ['default'] },
        { level: 'Request', resources: [{ group: 'apps', resources: ['deployments', '*/scale'] }] },
        { level: 'None', resources: [{ group: '', resources: ['pods'], resourceNames: ['quiet'] }] },
        { level: 'Metadata', omitStages: ['RequestReceived'] },
      ],
    })
    const { api, ask, lines } = await audited(policy)
    const levelOf = async (url: string, more: Parameters<typeof ask>[1] = {}) => {
      lines.length = 0
      await ask(url, more)
      return lines.map(({ level }) => level)
    }
    expect(await levelOf('/apis/apps')).toEqual([])
    expect(await levelOf(`${inDefault}/pods/quiet`)).toEqual([])
    expect(await levelOf(`${inDefault}/pods/loud`)).toEqual(['Metadata'])
    expect(await levelOf(`${inDefault}/pods/loud`, { method: 'DELETE' })).toEqual([
      'RequestResponse',
      'RequestResponse',
    ])
    expect(await levelOf('/apis/apps/v1/namespaces/default/deployments/d/scale')).toEqual(['Request', 'Request'])
    expect(await levelOf('/apis/apps/v1/namespaces/default/replicasets/d/scale')).toEqual(['Request', 'Request'])
    expect(await levelOf('/apis/apps/v1/namespaces/default/replicasets/d')).toEqual(['Metadata'])
    expect(
      await levelOf(`${inDefault}/pods`, { identity: { user: 'system:serviceaccount:kube-system:noisy', groups: [] } }),
    ).toEqual([])
    api.stop()
  })

  test('a watch says when it begins and when it ends', async () => {
    const { api, lines } = await audited(all('Metadata'))
    const controller = new AbortController()
    const response = await api.apiserver.handle(
      request(`${inDefault}/configmaps?watch=true&resourceVersion=0`, { signal: controller.signal }),
    )
    expect(lines.map(({ stage }) => stage)).toEqual(['RequestReceived', 'ResponseStarted'])
    if (response.kind !== 'stream') throw new Error('no stream')
    controller.abort()
    for await (const _ of response.body);
    expect(lines.at(-1)).toMatchObject({ stage: 'ResponseComplete', verb: 'watch', responseStatus: { code: 200 } })
    api.stop()
  })

  test('isSensitive (A9): no secret, config map or token is in it, at any level, in any form, also when it is refused', async () => {
    const { api, ask, texts } = await audited(all('RequestResponse'))
    const secrets = `${inDefault}/secrets`
    const bearer = { authorization: `Bearer ${canary}` }
    await ask(secrets, { body: { metadata: { name: 's' }, stringData: { key: canary } } })
    await ask(secrets, { body: { metadata: { name: 's2' }, data: { key: `${canary}!` }, type: canary } })
    await ask(`${secrets}/s`, { method: 'PATCH', body: { stringData: { other: canary } } })
    // The refusal repeats what was refused.
    const refused = await ask(`${secrets}/s`, { method: 'PATCH', body: { type: canary } })
    expect(refused.message).toContain(canary)
    await ask(`${secrets}/s`)
    await ask(secrets)
    await ask(`${inDefault}/configmaps`, { body: { metadata: { name: 'c' }, data: { key: canary } } })
    await ask('/apis/authentication.k8s.io/v1/tokenreviews', { body: { spec: { token: canary } } })
    await ask(`${inDefault}/pods`, { identity: null, headers: bearer })
    await ask(`${inDefault}/pods`, { headers: { ...bearer, cookie: canary, 'x-token': canary } })
    await ask(`${inDefault}/serviceaccounts`, { body: { metadata: { name: 'a' } } })
    const issued = await ask(`${inDefault}/serviceaccounts/a/token`, {
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [] } },
    })
    const { token } = issued.body.status
    await ask('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      identity: null,
      headers: { authorization: `Bearer ${token}` },
      body: {},
    })
    expect(texts.length).toBeGreaterThan(20)
    const text = texts.join('\n')
    expect(text).not.toContain(canary)
    expect(text).not.toContain(Buffer.from(canary).toString('base64').slice(0, 12))
    expect(text).not.toContain(token.split('.')[2])
    api.stop()
  })

  test('managed fields are left out where the policy says so', async () => {
    const { api, ask, lines } = await audited({ ...all('RequestResponse'), omitManagedFields: true })
    await ask(`${inDefault}/pods`, { body: podNamed('p') })
    expect(lines.at(-1).responseObject.metadata).not.toHaveProperty('managedFields')
    api.stop()
  })

  test('a log that cannot be written stops no request, and this peer says so once', async () => {
    const append = () => Promise.reject(new Error('no room'))
    const api = await testApiserver({ audit: { policy: all('Metadata'), log: { append } } })
    const ask = asking(api)
    for (let i = 0; i < 5; i++) expect((await ask(`${inDefault}/pods`)).code).toBe(200)
    expect(api.lines.filter(({ message }) => message === 'an audit event could not be written')).toHaveLength(1)
    api.stop()
  })

  test('by default changes by people and workloads are noted, and nothing that agents report', async () => {
    const { api, ask, lines } = await audited(defaultPolicy)
    await ask(`${inDefault}/pods`)
    await ask('/api/v1/nodes/n1', {
      method: 'PATCH',
      body: {},
      identity: { user: 'system:node:n1', groups: ['system:nodes'] },
    })
    await ask('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { body: { spec: {} } })
    expect(lines).toEqual([])
    await ask(`${inDefault}/pods`, { body: podNamed('p') })
    expect(lines.map(({ stage, level, verb }) => [stage, level, verb])).toEqual([
      ['ResponseComplete', 'Metadata', 'create'],
    ])
    api.stop()
  })

  test.each<[string, object, string]>([
    ['another kind', { kind: 'Other' }, 'the policy must have apiVersion: audit.k8s.io/v1 and kind: Policy'],
    ['no rules', { rules: [] }, 'rules: a policy needs at least one rule'],
    [
      'a level that is none',
      { rules: [{ level: 'All' }] },
      'rules[0].level: "All" is not one of None, Metadata, Request, RequestResponse',
    ],
    ['a misspelt field', { rules: [{ level: 'None', user: ['a'] }] }, 'rules[0]: unknown field "user"'],
    ['a stage that is none', { omitStages: ['Done'], rules: [{ level: 'None' }] }, 'omitStages: "Done" is not one of'],
    [
      'names without resources',
      { rules: [{ level: 'None', resources: [{ group: '', resourceNames: ['a'] }] }] },
      'requires at least one resource',
    ],
    [
      'paths and resources',
      { rules: [{ level: 'None', nonResourceURLs: ['/a'], namespaces: ['b'] }] },
      'cannot apply to both',
    ],
  ])('a policy with %s is refused', (_, part, message) => {
    const given = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'None' }], ...part }
    expect(() => parsePolicy(given as never)).toThrow(PolicyError)
    expect(() => parsePolicy(given as never)).toThrow(message)
  })
})
