// Where the API server goes on behalf of its clients, and where clients may send the traffic of others: never to an address
// that somebody wrote. Each test names the guard that it needs. Every refusal is on the record: audited.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '../../../src/apiserver/limits.ts'
import { peerId } from '../../../src/world/network.ts'
import { type Asking, podNamed } from '../../apiserver/ask.ts'
import { auditedApiserver } from '../../apiserver/audited.ts'
import { fakeKubelet } from '../../apiserver/fake-kubelet.ts'
import { type Ask, request } from '../../apiserver/setup.ts'

const inDefault = '/api/v1/namespaces/default'
const slices = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices'
const rbac = '/apis/rbac.authorization.k8s.io/v1'
const metadataAddress = '169.254.169.254'
const special = ['127.0.0.1', '127.1.2.3', metadataAddress, '0.0.0.0', '224.0.0.251']
const special6 = ['::1', '::', 'fe80::1', '::ffff:127.0.0.1', '::ffff:a9fe:a9fe']

describe('security', () => {
  const kubelet = fakeKubelet()
  const opened: string[] = []
  let api: Awaited<ReturnType<typeof auditedApiserver>>
  let admin: Asking
  const as = (user: string, url: string, more: Ask = {}) => admin(url, { ...more, identity: { user, groups: [] } })
  const bindTo = async (user: string, role: string) => {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role }
    const body = { metadata: { name: user }, roleRef, subjects: [{ kind: 'User', name: user }] }
    expect((await admin(`${rbac}/namespaces/default/rolebindings`, { body })).code).toBe(201)
  }
  const slice = (name: string, service: string, endpoint: object, port = 80) => ({
    metadata: { name, labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    endpoints: [endpoint],
    ports: [{ name: '', port }],
  })
  /** Which peers were asked meanwhile. */
  const openedBy = async (act: () => Promise<unknown>) => {
    const before = opened.length
    const answer = await act()
    return { answer, peers: opened.slice(before) }
  }
  beforeAll(async () => {
    api = await auditedApiserver({
      peerOfNode: name => (['n1', 'n2'].includes(name) ? peerId(`peer-of-${name}`) : undefined),
      kubeletOf: peer => {
        opened.push(peer)
        return kubelet.open()
      },
    })
    admin = api.ask
    for (const name of ['n1', 'n2']) await admin('/api/v1/nodes', { body: { metadata: { name } } })
    await admin(`${inDefault}/pods`, { body: podNamed('p', { nodeName: 'n1' }) })
    await bindTo('owner', 'admin')
    await bindTo('writer', 'edit')
  })
  afterAll(() => api.stop())

  test('connect (A4): a node that writes the address of another into its status is reached by its peer all the same', async () => {
    const addresses = [
      { type: 'InternalIP', address: metadataAddress },
      { type: 'Hostname', address: 'n2' },
    ]
    const written = await admin('/api/v1/nodes/n1/status', { method: 'PATCH', body: { status: { addresses } } })
    expect(written.body.status.addresses).toEqual(addresses)
    const moved = { status: { podIP: metadataAddress, hostIP: '10.0.0.2' } }
    expect((await admin(`${inDefault}/pods/p/status`, { method: 'PATCH', body: moved })).code).toBe(200)
    const asked = () => api.apiserver.handle(request(`${inDefault}/pods/p/log`))
    const { answer, peers } = await openedBy(asked)
    expect([(answer as { code?: number }).code, peers]).toEqual([200, ['peer-of-n1']])
  })

  test('serviceTarget (A3, CVE-2020-8555): endpoints that are no pod are not proxied to, wherever they lead', async () => {
    const ports = [{ port: 80 }]
    await admin(`${inDefault}/services`, { body: { metadata: { name: 'out' }, spec: { ports } } })
    const elsewhere = [
      { addresses: ['10.0.0.9'] },
      { addresses: ['10.0.0.9'], targetRef: { kind: 'Node', name: 'n1' } },
      { addresses: ['10.0.0.9'], targetRef: { kind: 'Node', name: 'p' } },
      // Of another namespace: looked for in the own one, where there is none.
      { addresses: ['10.0.0.9'], targetRef: { kind: 'Pod', name: 'q', namespace: 'kube-system' } },
    ]
    for (const [i, endpoint] of elsewhere.entries()) {
      const path = `${slices}/out-${i}`
      expect((await admin(slices, { body: slice(`out-${i}`, 'out', endpoint) })).code).toBe(201)
      const { answer, peers } = await openedBy(() => admin(`${inDefault}/services/out/proxy/latest/meta-data`))
      expect([(answer as { code: number }).code, peers]).toEqual([503, []])
      await admin(path, { method: 'DELETE' })
    }
  })

  test('nodeProxy (A3): a node is no door to an address', async () => {
    for (const path of [
      `/api/v1/nodes/${metadataAddress}/proxy/latest/meta-data`,
      '/api/v1/nodes/n1:22/proxy/',
      '/api/v1/nodes/n1/proxy/latest/meta-data',
      '/api/v1/nodes/n1/proxy/..%2f..%2fsecrets',
    ]) {
      const { answer, peers } = await openedBy(() => api.apiserver.handle(request(path)))
      const { code } = answer as { code: number }
      expect([path, code >= 400 && code < 500, peers]).toEqual([path, true, []])
    }
    expect((await as('owner', '/api/v1/nodes/n1/proxy/stats/summary')).code).toBe(403)
  })

  test('specialAddresses (A12, A3, CVE-2020-8558): no endpoint is a machine’s own loopback or its link', async () => {
    await admin(`${inDefault}/services`, { body: { metadata: { name: 'own' }, spec: { ports: [{ port: 80 }] } } })
    for (const [addressType, address] of [
      ...special.map(address => ['IPv4', address]),
      ...special6.map(address => ['IPv6', address]),
    ]) {
      const body = { ...slice('bad', 'own', { addresses: [address] }), addressType }
      const refused = await admin(slices, { body })
      expect([address, refused.code]).toEqual([address, 422])
      expect(refused.message).toContain(`endpoints[0].addresses[0]: Invalid value: "${address}": `)
      const subsets = [{ notReadyAddresses: [{ ip: address }], ports: [{ port: 80 }] }]
      expect((await admin(`${inDefault}/endpoints`, { body: { metadata: { name: 'own' }, subsets } })).code).toBe(422)
    }
    expect((await admin(slices, { body: slice('good', 'own', { addresses: ['10.0.0.9'] }) })).code).toBe(201)
    const moved = { endpoints: [{ addresses: [metadataAddress] }] }
    const patched = await admin(`${slices}/good`, { method: 'PATCH', body: moved })
    expect(patched.message).toBe(
      'EndpointSlice.discovery.k8s.io "good" is invalid: endpoints[0].addresses[0]: Invalid value: "169.254.169.254": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
    )
    const spec = { ports: [{ port: 80 }], externalIPs: [metadataAddress] }
    expect((await admin(`${inDefault}/services`, { body: { metadata: { name: 'x' }, spec } })).code).toBe(422)
  })

  test('externalIpsHook (A12, CVE-2020-8554): who may write Services takes no address from the others', async () => {
    const spec = (...externalIPs: string[]) => ({ ports: [{ port: 80 }], externalIPs })
    const named = (name: string, ...ips: string[]) => ({ body: { metadata: { name }, spec: spec(...ips) } })
    for (const user of ['owner', 'writer']) {
      const refused = await as(user, `${inDefault}/services`, named('taken', '10.9.9.9'))
      expect([refused.code, refused.message]).toEqual([
        403,
        'services "taken" is forbidden: Use of external IPs is denied by admission control.',
      ])
    }
    expect((await as('writer', `${inDefault}/services`, named('plain'))).code).toBe(201)
    const one = `${inDefault}/services/plain`
    const set = (...ips: string[]) => ({ method: 'PATCH', body: { spec: { externalIPs: ips } } })
    expect((await as('writer', one, set('10.9.9.9'))).code).toBe(403)
    // An administrator may, and then others may leave it, or take it away, and add nothing.
    expect((await admin(one, set('10.9.9.9', '10.9.9.8'))).code).toBe(200)
    expect((await as('writer', one, { method: 'PATCH', body: { metadata: { labels: { a: 'b' } } } })).code).toBe(200)
    expect((await as('writer', one, set('10.9.9.8', '10.9.9.7'))).code).toBe(403)
    expect((await as('writer', one, set('10.9.9.8'))).code).toBe(200)
    await admin(`${rbac}/namespaces/default/roles`, {
      body: {
        metadata: { name: 'addresses' },
        rules: [{ verbs: ['create'], apiGroups: [''], resources: ['services/externalips'] }],
      },
    })
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'addresses' }
    const subjects = [{ kind: 'User', name: 'writer' }]
    await admin(`${rbac}/namespaces/default/rolebindings`, {
      body: { metadata: { name: 'addresses' }, roleRef, subjects },
    })
    expect((await as('writer', one, set('10.9.9.8', '10.9.9.7'))).code).toBe(200)
  })

  test('demand (A11): who administers a namespace does not say how strict it is', async () => {
    const body = { metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } } }
    expect((await as('owner', inDefault, { method: 'PATCH', body })).code).toBe(403)
    expect((await as('owner', inDefault, { method: 'PUT', body })).code).toBe(403)
  })

  test('place (D7, CVE-2025-0426): logs and commands are for those who may, and of one user there are only so many', async () => {
    for (const path of [`${inDefault}/pods/p/log`, `${inDefault}/pods/p/exec?command=id`]) {
      expect((await admin(path, { identity: null })).code).toBe(401)
      expect((await as('stranger', path, { method: path.endsWith('log') ? 'GET' : 'POST' })).code).toBe(403)
    }
    const controller = new AbortController()
    const open = (user: string) =>
      api.apiserver.handle(
        request(`${inDefault}/pods/p/log?follow=true`, {
          identity: { user, groups: ['system:masters'] },
          signal: controller.signal,
        }),
      )
    for (let i = 0; i < limits.session.user; i++) expect((await open('many')).kind).toBe('stream')
    const refused = await open('many')
    expect([refused.kind, refused.kind === 'whole' && refused.code]).toEqual(['whole', 429])
    expect((await open('other')).kind).toBe('stream')
    controller.abort()
  })

  test('demand (A9): a secret comes by no side door, and is in nothing that is written down', async () => {
    const canary = 'canary-2217'
    const base64 = Buffer.from(canary).toString('base64')
    const secrets = `${inDefault}/secrets`
    const labels = { find: 'me' }
    const made = { metadata: { name: 's', labels }, stringData: { key: canary } }
    expect((await admin(secrets, { body: made })).code).toBe(201)
    const answers: string[] = []
    const note = async (answer: ReturnType<Asking>) => {
      const { code, body } = await answer
      answers.push(JSON.stringify(body))
      return code
    }
    for (const user of ['writer', 'nobody']) {
      const isWriter = user === 'writer'
      for (const path of [
        `${secrets}?watch=true&labelSelector=find%3Dme`,
        `${secrets}?labelSelector=find%3Dme`,
        `${secrets}?fieldSelector=metadata.name%3Ds`,
        `${secrets}/s`,
        '/api/v1/secrets',
        '/api/v1/watch/namespaces/default/secrets',
      ]) {
        // Whoever may edit a namespace may read its secrets, as upstream; no other namespace's, and nobody else any.
        if (isWriter && path.startsWith(secrets)) continue
        if (isWriter && path.includes('/watch/')) continue
        expect([user, path, await note(as(user, path))]).toEqual([user, path, 403])
      }
    }
    // Refusals repeat no value.
    await note(admin(secrets, { body: made }))
    await note(admin(`${secrets}/s`, { method: 'PATCH', body: { data: { '/': base64 } } }))
    await note(admin(`${secrets}/s`, { method: 'PATCH', body: { data: { key: `${base64}!` } } }))
    await note(admin(`${secrets}?fieldValidation=Strict`, { body: { ...made, unknown: canary } }))
    await note(admin(`${inDefault}/events`))
    const metrics = await api.apiserver.handle(request('/metrics'))
    answers.push(metrics.kind === 'whole' ? String(metrics.body) : '')
    const written = [...answers, ...api.audit, JSON.stringify(api.lines)].join('\n')
    expect(written).not.toContain(canary)
    expect(written).not.toContain(base64)
  })
})
