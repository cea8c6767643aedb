import { expect, test } from 'vitest'
import { endpoints } from '../../src/api/kinds/endpoints.ts'
import { endpointSlice } from '../../src/api/kinds/endpointslice.ts'
import { type Pod, pod } from '../../src/api/kinds/pod.ts'
import { type Service, service } from '../../src/api/kinds/service.ts'
import { endpointsController } from '../../src/controllers/endpoints.ts'
import { endpointSliceController } from '../../src/controllers/endpointslice.ts'
import { mirrorController } from '../../src/controllers/mirror.ts'
import { asReady, type Cluster, cluster } from './cluster.ts'

const both = [endpointSliceController, endpointsController]

async function serve(c: Cluster, spec: Partial<Service['spec']> = {}): Promise<Service> {
  return await c.client.create(
    service,
    {
      metadata: { name: 'web', namespace: 'default', labels: { team: 'a' } },
      spec: {
        selector: { app: 'web' },
        ports: [{ name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' }],
        clusterIP: '10.43.0.7',
        ...spec,
      },
    },
    c.signal,
  )
}

async function run(c: Cluster, name: string, port = 8080, spec: Partial<Pod['spec']> = {}): Promise<Pod> {
  return await c.client.create(
    pod,
    {
      metadata: { name, namespace: 'default', labels: { app: 'web' } },
      spec: {
        nodeName: 'n1',
        containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: port }] }],
        ...spec,
      },
    },
    c.signal,
  )
}

let next = 0
function ready(c: Cluster, one: Pod): void {
  next += 1
  c.client.change(pod, one, old => asReady(old, c.world.clock.nowMs(), `10.42.${next >> 8}.${next & 255}`), 'status')
}

const slices = (c: Cluster) => c.client.all(endpointSlice)
const states = (c: Cluster) =>
  slices(c).flatMap(slice =>
    slice.endpoints.map(({ targetRef, conditions }) => [
      targetRef?.name,
      conditions?.ready,
      conditions?.serving,
      conditions?.terminating,
    ]),
  )

test('a service without pods has one empty slice and empty Endpoints', async () => {
  await using c = cluster(both)
  await serve(c)
  await c.world.pass(100)
  expect(slices(c)).toHaveLength(1)
  expect(slices(c)[0]?.metadata.labels).toEqual({
    team: 'a',
    'kubernetes.io/service-name': 'web',
    'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
  })
  expect(slices(c)[0]?.endpoints).toEqual([])
  expect(c.client.find(endpoints, 'web')?.subsets ?? []).toEqual([])
})

test('ready, not ready and terminating pods are told apart', async () => {
  await using c = cluster(both)
  await serve(c)
  const [a, b] = [await run(c, 'a'), await run(c, 'b')]
  ready(c, a)
  ready(c, b)
  await c.world.pass(100)
  expect(states(c)).toEqual([
    ['a', true, true, false],
    ['b', true, true, false],
  ])
  expect(slices(c)[0]).toMatchObject({ addressType: 'IPv4', ports: [{ name: 'http', port: 8080, protocol: 'TCP' }] })
  expect(slices(c)[0]?.endpoints[0]).toMatchObject({
    nodeName: 'n1',
    targetRef: { kind: 'Pod', name: 'a', namespace: 'default' },
  })
  await c.client.delete(pod, { namespace: 'default', name: 'a' }, {}, c.signal)
  await c.world.pass(100)
  expect(states(c)).toEqual([
    ['a', false, true, true],
    ['b', true, true, false],
  ])
  expect(c.client.find(endpoints, 'web')?.subsets?.flatMap(s => s.addresses?.map(x => x.targetRef?.name))).toEqual([
    'b',
  ])
  await c.client.delete(pod, { namespace: 'default', name: 'a' }, { gracePeriodSeconds: 0 }, c.signal)
  await c.world.pass(100)
  expect(states(c)).toEqual([['b', true, true, false]])
})

test('250 pods make three slices, and losing one pod writes one slice', async () => {
  await using c = cluster(both)
  await serve(c)
  for (let i = 0; i < 250; i++) ready(c, await run(c, `p${i}`))
  await c.world.pass(1_000)
  expect(
    slices(c)
      .map(slice => slice.endpoints.length)
      .sort(),
  ).toEqual([100, 100, 50])
  const before = c.client.writes.length
  await c.client.delete(pod, { namespace: 'default', name: 'p17' }, { gracePeriodSeconds: 0 }, c.signal)
  await c.world.pass(1_000)
  expect(c.client.writes.slice(before).filter(line => line.includes('endpointslices'))).toHaveLength(1)
  expect(states(c)).toHaveLength(249)
})

test('pods whose named port differs are in slices of their own', async () => {
  await using c = cluster(both)
  await serve(c)
  ready(c, await run(c, 'a', 8080))
  ready(c, await run(c, 'b', 9090))
  await c.world.pass(100)
  expect(
    slices(c)
      .map(slice => slice.ports?.[0]?.port)
      .sort(),
  ).toEqual([8080, 9090])
})

test('a headless service says the hostnames of its pods', async () => {
  await using c = cluster(both)
  await serve(c, { clusterIP: 'None', ports: [] })
  ready(c, await run(c, 'a', 8080, { hostname: 'zero', subdomain: 'web' }))
  await c.world.pass(100)
  expect(slices(c)[0]?.endpoints[0]?.hostname).toBe('zero')
  expect(slices(c)[0]?.metadata.labels).toHaveProperty(['service.kubernetes.io/headless'], '')
})

test('Endpoints go with their service, and a service without selector is left alone', async () => {
  await using c = cluster(both)
  await serve(c)
  await c.world.pass(100)
  await c.client.delete(service, { namespace: 'default', name: 'web' }, {}, c.signal)
  await c.world.pass(100)
  expect(c.client.all(endpoints)).toEqual([])
  await c.client.create(
    service,
    { metadata: { name: 'ext', namespace: 'default' }, spec: { ports: [{ port: 80 }] } },
    c.signal,
  )
  await c.world.pass(100)
  expect(c.client.all(endpoints)).toEqual([])
  expect(c.client.all(endpointSlice).filter(x => x.metadata.labels?.['kubernetes.io/service-name'] === 'ext')).toEqual(
    [],
  )
})

test('Endpoints written by hand for a service without selector are mirrored, changed and removed with them', async () => {
  await using c = cluster([...both, mirrorController])
  const metadata = { name: 'nas', namespace: 'default' }
  await c.client.create(service, { metadata, spec: { ports: [{ port: 80 }] } }, c.signal)
  const subsets = [
    { addresses: [{ ip: '192.0.2.7' }, { ip: '2001:db8::7' }], ports: [{ port: 8080, protocol: 'TCP' }] },
  ]
  const made = await c.client.create(endpoints, { metadata, subsets }, c.signal)
  await c.world.pass(100)
  expect(slices(c).map(one => [one.addressType, one.endpoints.map(x => x.addresses[0]), one.ports?.[0]?.port])).toEqual(
    expect.arrayContaining([
      ['IPv4', ['192.0.2.7'], 8080],
      ['IPv6', ['2001:db8::7'], 8080],
    ]),
  )
  c.client.change(endpoints, made, old => ({
    ...old,
    subsets: [{ addresses: [{ ip: '192.0.2.8' }], ports: [{ port: 1 }] }],
  }))
  await c.world.pass(100)
  expect(slices(c).map(one => one.endpoints[0]?.addresses[0])).toEqual(['192.0.2.8'])
  await c.client.delete(endpoints, metadata, {}, c.signal)
  await c.world.pass(100)
  expect(slices(c)).toEqual([])
})
