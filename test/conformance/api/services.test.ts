// The API of Services and of what lies behind them, as the official suite uses it where nothing has to answer.
import { describe, expect, test } from 'vitest'
import { apiServiceController } from '../../../src/controllers/apiservice.ts'
import { endpointsController } from '../../../src/controllers/endpoints.ts'
import { endpointSliceController } from '../../../src/controllers/endpointslice.ts'
import { garbageController } from '../../../src/controllers/garbage.ts'
import { defaultControllerConfig } from '../../../src/controllers/inputs.ts'
import { mirrorController } from '../../../src/controllers/mirror.ts'
import { podNamed } from '../../apiserver/ask.ts'
import { beside, patience } from './beside.ts'
import { walkThrough } from './operations.ts'
import { type Api, ask, oneApi, openWatch, patch, post, put, remove, type Shown } from './wire.ts'

const core = '/api/v1/namespaces/default'
const services = `${core}/services`
const slices = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices'
const port = (more: object = {}) => ({ name: 'http', port: 80, ...more })
const of = (name: string) => `labelSelector=kubernetes.io/service-name%3D${name}`
const controllers = [endpointsController, endpointSliceController, mirrorController, garbageController]

describe('services', () => {
  walkThrough({
    root: '/api/v1',
    namespace: 'default',
    resource: 'services',
    kind: 'Service',
    shortNames: ['svc'],
    subresources: ['proxy', 'status'],
    make: i => ({ metadata: { name: `svc-${i}` }, spec: { type: 'LoadBalancer', ports: [port()] } }),
    change: { spec: { sessionAffinity: 'ClientIP' } },
    status: {
      patch: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } },
      expected: { loadBalancer: { ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }] } },
    },
    columns: ['Name', 'Type', 'Cluster-IP', 'External-IP', 'Port(s)', 'Age'],
    cells: [
      'svc-0',
      'LoadBalancer',
      expect.stringMatching(/^10\.96\./),
      '<pending>',
      expect.stringMatching(/^80:3\d+\/TCP$/),
      '<none>',
    ],
  })
  const one = oneApi()
  const spec = (answer: { readonly body: Shown }) => answer.body['spec'] as Record<string, unknown>

  test('the life of a status: patched, replaced with a condition that has no time yet, seen by who watches', async () => {
    const since = (await ask(one.api, services)).body.metadata.resourceVersion
    const watch = await openWatch(one.api, `${services}?watch=1&resourceVersion=${since}`)
    const body = {
      metadata: { name: 'balanced', labels: { static: 'true' } },
      spec: { type: 'LoadBalancer', loadBalancerClass: 'example.com/internal-lb', ports: [port({ targetPort: 80 })] },
    }
    const made = await post(one.api, services, body)
    expect([made.code, made.body['status']]).toEqual([201, { loadBalancer: {} }])
    const at = `${services}/balanced`
    const patched = await patch(one.api, `${at}/status`, 'merge', {
      metadata: { annotations: { patchedstatus: 'true' } },
      status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } },
    })
    expect(patched.body.metadata.annotations).toEqual({ patchedstatus: 'true' })
    const read = (await ask(one.api, `${at}/status`)).body
    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from e2e test' }
    const status = { ...(read['status'] as object), conditions: [{ ...condition, lastTransitionTime: null }] }
    const updated = await put(one.api, `${at}/status`, { ...read, status })
    expect([updated.code, updated.body['status']]).toEqual([
      200,
      {
        loadBalancer: { ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }] },
        conditions: [expect.objectContaining(condition)],
      },
    ])
    const labelled = await patch(one.api, at, 'strategic', { metadata: { labels: { stage: 'patched' } } })
    expect(labelled.body.metadata.labels).toEqual({ static: 'true', stage: 'patched' })
    await remove(one.api, at)
    expect(await watch.names(5)).toEqual([
      'ADDED balanced',
      'MODIFIED balanced',
      'MODIFIED balanced',
      'MODIFIED balanced',
      'DELETED balanced',
    ])
    watch.close()
  })

  test('a collection of them is deleted by label, and others stay', async () => {
    for (const [i, type] of ['ClusterIP', 'NodePort', 'LoadBalancer'].entries()) {
      const metadata = { name: `some-${i}`, labels: { some: i === 1 ? 'other' : 'yes' } }
      expect((await post(one.api, services, { metadata, spec: { type, ports: [port()] } })).code).toBe(201)
    }
    expect((await remove(one.api, `${services}?labelSelector=some%3Dyes`)).code).toBe(200)
    const { body } = await ask(one.api, '/api/v1/services?labelSelector=some')
    expect(body.items.map(({ metadata }) => metadata.name)).toEqual(['some-1'])
    await remove(one.api, `${services}/some-1`)
  })

  test('a name elsewhere becomes an address, a port of every node, and a name again', async () => {
    const at = `${services}/changing`
    const metadata = { name: 'changing' }
    const external = { type: 'ExternalName', externalName: 'example.com' }
    const made = await post(one.api, services, { metadata, spec: external })
    expect(spec(made)).toEqual({ ...external, sessionAffinity: 'None' })
    const become = (wanted: object) => put(one.api, at, { metadata, spec: wanted })
    const ports = [port({ protocol: 'TCP', targetPort: 9376 })]
    const clustered = spec(await become({ type: 'ClusterIP', ports }))
    expect(clustered).toMatchObject({ type: 'ClusterIP', clusterIP: expect.stringMatching(/^10\.96\./) })
    expect(clustered).not.toHaveProperty('externalName')
    const noded = spec(await become({ type: 'NodePort', ports }))
    expect(noded).toMatchObject({ ports: [{ nodePort: expect.any(Number) }], externalTrafficPolicy: 'Cluster' })
    const gone = spec(await become(external))
    expect(gone).toEqual({ ...external, sessionAffinity: 'None' })
  })

  test('what was said of a load balancer goes with it, and is said of nothing else', async () => {
    const body = { metadata: { name: 'once' }, spec: { type: 'LoadBalancer', ports: [port()] } }
    await post(one.api, services, body)
    const balanced = { status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } } }
    await patch(one.api, `${services}/once/status`, 'merge', balanced)
    const plain = await patch(one.api, `${services}/once`, 'merge', { spec: { type: 'ClusterIP' } })
    expect([plain.code, plain.body['status']]).toEqual([200, { loadBalancer: {} }])
    const refused = await patch(one.api, `${services}/once/status`, 'merge', balanced)
    expect(refused.body.details?.causes).toEqual([
      {
        reason: 'FieldValueForbidden',
        field: 'status.loadBalancer.ingress',
        message: 'Forbidden: may only be used when `spec.type` is "LoadBalancer"',
      },
    ])
  })

  test.each<[string, object, string]>([
    ['spec.externalIPs[0]', { externalIPs: ['127.0.0.1'] }, 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ['spec.externalIPs[0]', { externalIPs: ['x'] }, 'must be a valid IP address'],
    ['spec.LoadBalancerSourceRanges', { loadBalancerSourceRanges: ['10.0.0.0/8'] }, "when `type` is 'LoadBalancer'"],
    [
      'spec.LoadBalancerSourceRanges[0]',
      { type: 'LoadBalancer', loadBalancerSourceRanges: ['10.0.0.0'] },
      'must be a valid CIDR value',
    ],
    ['spec.loadBalancerClass', { loadBalancerClass: 'example.com/x' }, "when `type` is 'LoadBalancer'"],
    ['spec.healthCheckNodePort', { type: 'LoadBalancer', healthCheckNodePort: 30_100 }, 'may only be set when `type`'],
    ['spec.trafficDistribution', { trafficDistribution: 'Far' }, 'supported values: "PreferClose"'],
    ['spec.ipFamilyPolicy', { ipFamilyPolicy: 'RequireDualStack' }, 'not configured for dual-stack services'],
    ['spec.ipFamilies[0]', { ipFamilies: ['IPv6'] }, 'not configured on this cluster'],
  ])('%s %j is refused', async (field, more, why) => {
    const refused = await post(one.api, services, { metadata: { name: 'wrong' }, spec: { ports: [port()], ...more } })
    expect(refused.code).toBe(422)
    expect(refused.body.details?.causes).toEqual([
      { reason: expect.any(String), field, message: expect.stringContaining(why) },
    ])
  })

  test('families: preferred ones stay preferred, and of what has no address and no selector either may come', async () => {
    const make = async (name: string, more: object) =>
      spec(await post(one.api, services, { metadata: { name }, spec: { ports: [port()], ...more } }))
    expect(await make('preferred', { ipFamilyPolicy: 'PreferDualStack' })).toMatchObject({
      ipFamilyPolicy: 'PreferDualStack',
      ipFamilies: ['IPv4'],
    })
    expect(await make('bare', { clusterIP: 'None' })).toMatchObject({
      ipFamilyPolicy: 'RequireDualStack',
      ipFamilies: ['IPv4', 'IPv6'],
    })
    expect(await make('headless', { clusterIP: 'None', selector: { a: 'b' } })).toMatchObject({
      ipFamilyPolicy: 'SingleStack',
      ipFamilies: ['IPv4'],
    })
  })

  test('affinity is switched on and off', async () => {
    await post(one.api, services, { metadata: { name: 'sticky' }, spec: { ports: [port()] } })
    const set = (sessionAffinity: string) =>
      patch(one.api, `${services}/sticky`, 'strategic', { spec: { sessionAffinity } })
    const timeout = { sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } }
    expect(spec(await set('ClientIP'))).toMatchObject(timeout)
    expect(spec(await set('None'))).not.toHaveProperty('sessionAffinityConfig')
  })

  test('one port number serves TCP and UDP, each with a node port of its own', async () => {
    const ports = [port({ name: 'tcp', protocol: 'TCP' }), port({ name: 'udp', protocol: 'UDP' })]
    const made = await post(one.api, services, { metadata: { name: 'both' }, spec: { type: 'NodePort', ports } })
    expect(spec(made)).toMatchObject({ ports: [{ nodePort: expect.any(Number) }, { nodePort: expect.any(Number) }] })
    const wrong = await patch(one.api, `${services}/both`, 'merge', { spec: { ports: [port({ nodePort: 5 })] } })
    expect(wrong.body.details?.causes?.[0]).toMatchObject({
      field: 'spec.ports[0].nodePort',
      message: expect.stringContaining('provided port is not in the valid range'),
    })
  })

  test('the service of the API itself is on 443 and leads to the API servers, in Endpoints and slices alike', async () => {
    const address = { ip: '192.0.2.7', port: 6_443 }
    const config = { ...defaultControllerConfig, kubernetesServiceIp: '10.96.0.1' }
    await using running = await beside([apiServiceController], { apiAddresses: () => [address], config })
    const { api } = running
    const found = () => ask(api, `${services}/kubernetes`)
    await expect.poll(async () => (await found()).code, patience).toBe(200)
    expect(spec(await found())).toMatchObject({ ports: [{ name: 'https', port: 443, protocol: 'TCP' }] })
    const behind = async () => [
      (await ask(api, `${core}/endpoints/kubernetes`)).body['subsets'],
      (await ask(api, `${slices}?${of('kubernetes')}`)).body.items.map(each => [each['endpoints'], each['ports']]),
    ]
    const { ip } = address
    await expect
      .poll(behind, patience)
      .toEqual([
        [{ addresses: [{ ip }], ports: [{ name: 'https', port: 6_443, protocol: 'TCP' }] }],
        [
          [
            [expect.objectContaining({ addresses: [ip], conditions: { ready: true } })],
            [{ name: 'https', port: 6_443, protocol: 'TCP' }],
          ],
        ],
      ])
  })

  test('Endpoints are created, patched with other subsets, replaced, and deleted by their label', async () => {
    const at = `${core}/endpoints`
    const metadata = { name: 'testservice', labels: { 'test-endpoint-static': 'true' } }
    const subset = (ip: string, name: string) => ({ addresses: [{ ip }], ports: [{ name, port: 80, protocol: 'TCP' }] })
    await post(one.api, at, { metadata, subsets: [subset('10.0.0.24', 'http')] })
    const patched = await patch(one.api, `${at}/testservice`, 'strategic', {
      metadata: { creationTimestamp: null, labels: { 'test-service': 'patched' } },
      subsets: [subset('10.0.0.25', 'http-test')],
    })
    expect(patched.body).toMatchObject({
      metadata: { labels: { 'test-endpoint-static': 'true', 'test-service': 'patched' } },
      subsets: [subset('10.0.0.25', 'http-test')],
    })
    const { metadata: read } = patched.body
    const next = { ...patched.body, metadata: { ...read, labels: { ...read.labels, 'test-service': 'updated' } } }
    expect((await put(one.api, `${at}/testservice`, next)).code).toBe(200)
    const all = await ask(one.api, '/api/v1/endpoints?labelSelector=test-service%3Dupdated')
    expect(all.body.items).toHaveLength(1)
    expect((await remove(one.api, `${at}?labelSelector=test-endpoint-static%3Dtrue`)).code).toBe(200)
    expect((await ask(one.api, `${at}/testservice`)).code).toBe(404)
  })
})

describe('endpointslice', () => {
  walkThrough({
    root: '/apis/discovery.k8s.io/v1',
    namespace: 'default',
    resource: 'endpointslices',
    kind: 'EndpointSlice',
    make: i => ({
      metadata: { name: `slice-${i}` },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['1.2.3.4'] }],
      ports: [{ port: 80 }],
    }),
    change: { endpoints: [{ addresses: ['2.2.3.4'], conditions: { ready: false } }] },
    columns: ['Name', 'AddressType', 'Ports', 'Endpoints', 'Age'],
    cells: ['slice-0', 'IPv4', '80', '1.2.3.4'],
  })
  const one = oneApi()

  test.each<[string, object, string]>([
    ['endpoints[0].addresses', { endpoints: [{ addresses: [] }] }, 'Required value'],
    ['endpoints[0].addresses[0]', { endpoints: [{ addresses: ['::1'] }] }, 'must be a valid IPv4 address'],
    ['endpoints[0].hostname', { endpoints: [{ addresses: ['1.2.3.4'], hostname: 'A' }] }, 'a lowercase RFC 1123 label'],
    ['endpoints[0].nodeName', { endpoints: [{ addresses: ['1.2.3.4'], nodeName: '-' }] }, 'RFC 1123 subdomain'],
    ['ports[0].name', { ports: [{ name: 'A_', port: 80 }] }, 'a lowercase RFC 1123 label'],
    ['ports[0].protocol', { ports: [{ port: 80, protocol: 'QUIC' }] }, 'supported values: "SCTP", "TCP", "UDP"'],
    ['ports[1].name', { ports: [{ port: 80 }, { port: 81 }] }, 'Duplicate value: ""'],
    ['addressType', { addressType: 'IPX' }, 'supported values: "FQDN", "IPv4", "IPv6"'],
  ])('%s %j is refused', async (field, more, why) => {
    const body = { metadata: { name: 'wrong' }, addressType: 'IPv4', endpoints: [], ...more }
    const refused = await post(one.api, slices, body)
    expect(refused.code).toBe(422)
    expect(refused.body.details?.causes).toContainEqual({
      reason: expect.any(String),
      field,
      message: expect.stringContaining(why),
    })
  })

  test('a selector that meets no pod has Endpoints and one slice that are empty, and go with the Service', async () => {
    await using running = await beside(controllers)
    const { api } = running
    const spec = { selector: { nobody: 'here' }, ports: [port()] }
    await post(api, services, { metadata: { name: 'empty' }, spec })
    await expect.poll(async () => (await ask(api, `${core}/endpoints/empty`)).code, patience).toBe(200)
    const found = async () => (await ask(api, `${slices}?${of('empty')}`)).body.items
    await expect.poll(async () => (await found()).length, patience).toBe(1)
    const [slice] = await found()
    expect(slice?.metadata.labels).toMatchObject({
      'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
    })
    expect(slice?.['endpoints'] ?? []).toEqual([])
    await remove(api, `${services}/empty`)
    await expect.poll(async () => (await ask(api, `${core}/endpoints/empty`)).code, patience).toBe(404)
    await expect.poll(async () => (await found()).length, patience).toBe(0)
  })

  test('pods that are selected stand in Endpoints and slices, one slice per set of ports; slices that are deleted come again', async () => {
    await using running = await beside(controllers)
    const { api } = running
    await pod(api, 'pod1', '10.244.0.1', [{ name: 'example-name', containerPort: 3_000 }])
    await pod(api, 'pod2', '10.244.0.2', [
      { name: 'example-name', containerPort: 3_001 },
      { name: 'other-port', containerPort: 3_002 },
    ])
    const make = (name: string, selector: object, targetPort: number | string) =>
      post(api, services, {
        metadata: { name },
        spec: { selector, publishNotReadyAddresses: true, ports: [port({ targetPort })] },
      })
    await make('int-port', { pod1: 'on' }, 3_000)
    await make('named-port', { shared: 'on' }, 'example-name')
    await make('no-match', { pod3: 'on' }, 8_080)
    const seen = async (name: string) => {
      const { items } = (await ask(api, `${slices}?${of(name)}`)).body
      return items.flatMap(each => {
        const endpoints = (each['endpoints'] ?? []) as readonly { addresses: readonly string[]; targetRef: object }[]
        const [one] = (each['ports'] ?? []) as readonly { port: number }[]
        return endpoints.map(({ addresses: [ip], targetRef }) => [ip, one?.port, targetRef])
      })
    }
    const referred = (name: string) => expect.objectContaining({ kind: 'Pod', name, namespace: 'default' })
    await expect.poll(() => seen('int-port'), patience).toEqual([['10.244.0.1', 3_000, referred('pod1')]])
    const both = [
      ['10.244.0.1', 3_000, referred('pod1')],
      ['10.244.0.2', 3_001, referred('pod2')],
    ]
    const sorted = async () => (await seen('named-port')).toSorted((a, b) => Number(a[1]) - Number(b[1]))
    await expect.poll(sorted, patience).toEqual(both)
    expect((await ask(api, `${slices}?${of('named-port')}`)).body.items).toHaveLength(2)
    const subsets = async (name: string) => (await ask(api, `${core}/endpoints/${name}`)).body['subsets']
    await expect.poll(() => subsets('named-port'), patience).toHaveLength(2)
    await expect.poll(async () => (await ask(api, `${slices}?${of('no-match')}`)).body.items.length, patience).toBe(1)
    expect(await subsets('no-match')).toBeUndefined()
    await remove(api, `${slices}?${of('named-port')}`)
    await expect.poll(sorted, patience).toEqual(both)
  })
})

async function pod(api: Api, name: string, ip: string, ports: readonly object[]): Promise<void> {
  const spec = { nodeName: 'n', containers: [{ name: 'c', image: 'i:1', ports }] }
  await post(api, `${core}/pods`, podNamed(name, spec, { labels: { [name]: 'on', shared: 'on' } }))
  const conditions = [{ type: 'Ready', status: 'True' }]
  const status = { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions }
  await patch(api, `${core}/pods/${name}/status`, 'merge', { status })
}

describe('endpointslice-mirroring', () => {
  test('Endpoints that people write are mirrored, followed, and taken away again', async () => {
    await using running = await beside(controllers)
    const { api } = running
    await post(api, services, { metadata: { name: 'custom' }, spec: { ports: [port()] } })
    const subset = (ip: string) => ({ addresses: [{ ip }], ports: [{ name: 'http', port: 80 }] })
    await post(api, `${core}/endpoints`, { metadata: { name: 'custom' }, subsets: [subset('10.1.2.3')] })
    const mirrored = async () =>
      (await ask(api, `${slices}?${of('custom')}`)).body.items.map(each => [
        each.metadata.labels?.['endpointslice.kubernetes.io/managed-by'],
        (each['endpoints'] as readonly { addresses: readonly string[] }[]).map(({ addresses }) => addresses),
        each['ports'],
      ])
    const by = 'endpointslicemirroring-controller.k8s.io'
    const ports = [{ name: 'http', port: 80, protocol: 'TCP' }]
    await expect.poll(mirrored, patience).toEqual([[by, [['10.1.2.3']], ports]])
    await patch(api, `${core}/endpoints/custom`, 'merge', { subsets: [subset('10.2.3.4')] })
    await expect.poll(mirrored, patience).toEqual([[by, [['10.2.3.4']], ports]])
    await remove(api, `${core}/endpoints/custom`)
    await expect.poll(mirrored, patience).toEqual([])
  })
})
