// A quota as it follows the life of what it counts, kind by kind: charged on creation, refused beyond it, given back. How
// amounts are charged and what scopes mean stands in resource-quota.test.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { definitionNamesController } from '../../../src/controllers/definition.ts'
import { resourceQuotaController } from '../../../src/controllers/resourcequota.ts'
import { runControllers } from '../../../src/controllers/run.ts'
import { type Asking, asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { define, definition } from '../../apiserver/definitions.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { inputs } from '../../controllers/cluster.ts'
import { openWatch } from './wire.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
let running: Promise<void>
const patience = { timeout: 20_000 }

const controllers = [resourceQuotaController, definitionNamesController]

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
  running = runControllers(api.world, api.client, inputs(), controllers, api.signal)
})
afterAll(async () => {
  api.stop()
  await running
})

const place = (namespace: string, plural: string) => `/api/v1/namespaces/${namespace}/${plural}`
const quotaUrl = (namespace: string, name = 'test-quota') => `${place(namespace, 'resourcequotas')}/${name}`
const hardOfAll = {
  pods: '5',
  services: '10',
  'services.nodeports': '1',
  'services.loadbalancers': '1',
  replicationcontrollers: '10',
  resourcequotas: '1',
  cpu: '1',
  memory: '500Mi',
  configmaps: '10',
  secrets: '10',
  persistentvolumeclaims: '10',
  'requests.storage': '10Gi',
  'requests.ephemeral-storage': '50Gi',
  'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '10',
  'gold.storageclass.storage.k8s.io/requests.storage': '10Gi',
  'requests.example.com/dongle': '3',
  'count/replicasets.apps': '5',
}
const zeroes = Object.fromEntries(Object.keys(hardOfAll).map(key => [key, '0']))

async function spaceWithQuota(
  namespace: string,
  hard: Readonly<Record<string, string>> = hardOfAll,
  more: object = {},
) {
  await ask('/api/v1/namespaces', { body: namespaceNamed(namespace) })
  const body = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'test-quota' }, spec: { hard, ...more } }
  const made = await ask(place(namespace, 'resourcequotas'), { body })
  expect([made.code, made.body.spec.hard]).toEqual([201, hard])
}
const used = async (namespace: string, name = 'test-quota') => (await ask(quotaUrl(namespace, name))).body.status?.used
const usedBecomes = (namespace: string, wanted: object) =>
  expect.poll(() => used(namespace), patience).toMatchObject(wanted)

const amounts = (requests: object) => ({
  containers: [{ name: 'c', image: 'i', resources: { requests, limits: pick(requests) } }],
})
/** Extended resources have the same request and limit. */
const pick = (requests: object) => Object.fromEntries(Object.entries(requests).filter(([key]) => key.includes('/')))

describe('resource-quota', () => {
  test('the status shows all that is bounded as soon as it was counted', async () => {
    await spaceWithQuota('ensured')
    await usedBecomes('ensured', { ...zeroes, resourcequotas: '1' })
    expect((await ask(quotaUrl('ensured'))).body.status.hard).toEqual(hardOfAll)
  })

  test.each<[string, string, object, object, object?]>([
    ['ConfigMap', '/api/v1/namespaces/NS/configmaps', { apiVersion: 'v1', kind: 'ConfigMap' }, { configmaps: '1' }],
    ['Secret', '/api/v1/namespaces/NS/secrets', { apiVersion: 'v1', kind: 'Secret' }, { secrets: '1' }],
    [
      'ReplicationController',
      '/api/v1/namespaces/NS/replicationcontrollers',
      {
        apiVersion: 'v1',
        kind: 'ReplicationController',
        spec: {
          replicas: 0,
          selector: { a: 'b' },
          template: { metadata: { labels: { a: 'b' } }, spec: podNamed('x').spec },
        },
      },
      { replicationcontrollers: '1' },
    ],
    [
      'ReplicaSet',
      '/apis/apps/v1/namespaces/NS/replicasets',
      {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        spec: {
          replicas: 0,
          selector: { matchLabels: { a: 'b' } },
          template: { metadata: { labels: { a: 'b' } }, spec: podNamed('x').spec },
        },
      },
      { 'count/replicasets.apps': '1' },
    ],
    [
      'PersistentVolumeClaim',
      '/api/v1/namespaces/NS/persistentvolumeclaims',
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName: 'gold' },
      },
      {
        persistentvolumeclaims: '1',
        'requests.storage': '1Gi',
        'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
        'gold.storageclass.storage.k8s.io/requests.storage': '1Gi',
      },
    ],
  ])('the life of a %s', async (kind, path, body, charge) => {
    const namespace = `life-of-${kind.toLowerCase()}`
    await spaceWithQuota(namespace)
    await usedBecomes(namespace, { resourcequotas: '1' })
    const url = path.replace('NS', namespace)
    const made = await ask(url, { body: { ...body, metadata: { name: 'one' } } })
    expect([made.code, made.message]).toEqual([201, ''])
    await usedBecomes(namespace, charge)
    await ask(`${url}/one`, { method: 'DELETE', body: { propagationPolicy: 'Background' } })
    // The plugin that protects claims in use holds them by a finalizer that only its controller takes.
    await ask(`${url}/one`, { method: 'PATCH', body: { metadata: { finalizers: null } } })
    await usedBecomes(namespace, { ...zeroes, resourcequotas: '1' })
  })

  test('the life of Services: a node port more, or a load balancer that brings one, is refused', async () => {
    await spaceWithQuota('services')
    await usedBecomes('services', { resourcequotas: '1' })
    const service = (name: string, type: string, more: object = {}) =>
      ask(place('services', 'services'), {
        body: { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { type, ports: [{ port: 80 }], ...more } },
      })
    expect((await service('cluster', 'ClusterIP')).code).toBe(201)
    expect((await service('node', 'NodePort')).code).toBe(201)
    const refused = await service('balancer', 'LoadBalancer', { allocateLoadBalancerNodePorts: true })
    expect([refused.code, refused.message]).toEqual([403, expect.stringContaining('exceeded quota: test-quota')])
    await usedBecomes('services', { services: '2', 'services.nodeports': '1', 'services.loadbalancers': '0' })
    const without = await service('balancer', 'LoadBalancer', { allocateLoadBalancerNodePorts: false })
    expect(without.code).toBe(201)
    await usedBecomes('services', { services: '3', 'services.nodeports': '1', 'services.loadbalancers': '1' })
    for (const name of ['cluster', 'node', 'balancer']) {
      await ask(`${place('services', 'services')}/${name}`, { method: 'DELETE' })
    }
    await usedBecomes('services', { services: '0', 'services.nodeports': '0', 'services.loadbalancers': '0' })
  })

  test('the life of a pod: what it takes, what is too much, what may change and what may not', async () => {
    await spaceWithQuota('pods')
    await usedBecomes('pods', { pods: '0' })
    const requests = {
      cpu: '500m',
      memory: '252Mi',
      'ephemeral-storage': '30Gi',
      'example.com/dongle': '2',
    }
    const pods = place('pods', 'pods')
    expect((await ask(pods, { body: podNamed('test-pod', amounts(requests)) })).message).toBe('')
    const charged = {
      pods: '1',
      cpu: '500m',
      memory: '252Mi',
      'requests.ephemeral-storage': '30Gi',
      'requests.example.com/dongle': '2',
    }
    await usedBecomes('pods', charged)
    for (const more of [
      { cpu: '600m', memory: '100Mi', 'ephemeral-storage': '1Gi' },
      { cpu: '100m', memory: '100Mi', 'ephemeral-storage': '1Gi', 'example.com/dongle': '2' },
    ]) {
      const refused = await ask(pods, { body: podNamed('fail', amounts(more)) })
      expect([refused.code, refused.message]).toEqual([403, expect.stringContaining('exceeded quota: test-quota')])
    }
    const { body } = await ask(`${pods}/test-pod`)
    const relabelled = { ...body, metadata: { ...body.metadata, labels: { a: 'b.c.d' } } }
    const put = await ask(`${pods}/test-pod`, { method: 'PUT', body: relabelled })
    expect(put.code).toBe(200)
    const [container] = put.body.spec.containers
    const grown = { ...put.body.spec, containers: [{ ...container, resources: { requests: { cpu: '100m' } } }] }
    expect((await ask(`${pods}/test-pod`, { method: 'PUT', body: { ...put.body, spec: grown } })).code).toBe(422)
    expect(await used('pods')).toMatchObject(charged)
    await ask(`${pods}/test-pod?gracePeriodSeconds=0`, { method: 'DELETE' })
    await usedBecomes('pods', { ...zeroes, resourcequotas: '1' })
  })

  test('the life of a custom object', async () => {
    await define(ask, definition('gadgets', 'Gadget', [{}]))
    await spaceWithQuota('customs', { 'count/gadgets.stable.example.com': '1' })
    await usedBecomes('customs', { 'count/gadgets.stable.example.com': '0' })
    const url = '/apis/stable.example.com/v1/namespaces/customs/gadgets'
    const gadget = (name: string) =>
      ask(url, { body: { apiVersion: 'stable.example.com/v1', kind: 'Gadget', metadata: { name } } })
    expect((await gadget('one')).code).toBe(201)
    expect((await gadget('two')).message).toContain('exceeded quota: test-quota')
    await usedBecomes('customs', { 'count/gadgets.stable.example.com': '1' })
    await ask(`${url}/one`, { method: 'DELETE' })
    await usedBecomes('customs', { 'count/gadgets.stable.example.com': '0' })
  })

  test('two quotas with opposite scopes: each counts its own pods', async () => {
    await spaceWithQuota('scopes', { pods: '5' }, { scopes: ['BestEffort'] })
    const other = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'quota-not-besteffort' },
      spec: { hard: { pods: '5' }, scopes: ['NotBestEffort'] },
    }
    await ask(place('scopes', 'resourcequotas'), { body: other })
    const both = async () => [(await used('scopes'))?.pods, (await used('scopes', 'quota-not-besteffort'))?.pods]
    await expect.poll(both, patience).toEqual(['0', '0'])
    await ask(place('scopes', 'pods'), { body: podNamed('test-pod') })
    await expect.poll(both, patience).toEqual(['1', '0'])
    await ask(`${place('scopes', 'pods')}/test-pod?gracePeriodSeconds=0`, { method: 'DELETE' })
    await expect.poll(both, patience).toEqual(['0', '0'])
    await ask(place('scopes', 'pods'), { body: podNamed('burstable', amounts({ cpu: '1m', memory: '1Mi' })) })
    await expect.poll(both, patience).toEqual(['0', '1'])
  })

  test('a quota is changed and deleted', async () => {
    await spaceWithQuota('changed', { cpu: '1', memory: '500Mi' })
    await usedBecomes('changed', { cpu: '0', memory: '0' })
    const { body } = await ask(quotaUrl('changed'))
    expect(body.spec.hard).toEqual({ cpu: '1', memory: '500Mi' })
    const next = { ...body, spec: { hard: { cpu: '2', memory: '1Gi' } } }
    expect((await ask(quotaUrl('changed'), { method: 'PUT', body: next })).body.spec.hard).toEqual(next.spec.hard)
    await expect
      .poll(async () => (await ask(quotaUrl('changed'))).body.status?.hard, patience)
      .toEqual({ cpu: '2', memory: '1Gi' })
    expect((await ask(quotaUrl('changed'), { method: 'DELETE' })).code).toBe(200)
    expect((await ask(quotaUrl('changed'))).code).toBe(404)
  })

  test('quotas are found by label in all namespaces, patched and deleted together', async () => {
    await ask('/api/v1/namespaces', { body: namespaceNamed('walked') })
    const labels = { walked: 'yes' }
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'one', labels },
      spec: { hard: { cpu: '500m' } },
    }
    await ask(place('walked', 'resourcequotas'), { body: quota })
    const listed = await ask('/api/v1/resourcequotas?labelSelector=walked%3Dyes')
    expect(listed.body.items).toHaveLength(1)
    const patched = await ask(quotaUrl('walked', 'one'), {
      method: 'PATCH',
      type: 'application/strategic-merge-patch+json',
      body: { metadata: { labels: { one: 'patched' } }, spec: { hard: { memory: '750Mi' } } },
    })
    expect(patched.body.spec.hard).toEqual({ cpu: '500m', memory: '750Mi' })
    const gone = await ask(`${place('walked', 'resourcequotas')}?labelSelector=one%3Dpatched`, { method: 'DELETE' })
    expect(gone.code).toBe(200)
    expect((await ask('/api/v1/resourcequotas?labelSelector=walked%3Dyes')).body.items).toEqual([])
  })

  test('a status that somebody wrote is seen by watches, and put right', async () => {
    await spaceWithQuota('status', { cpu: '500m', memory: '500Mi' })
    await usedBecomes('status', { cpu: '0', memory: '0' })
    const { body } = await ask(quotaUrl('status'))
    const since = `watch=true&fieldSelector=metadata.name%3Dtest-quota&resourceVersion=${body.metadata.resourceVersion}`
    const watch = await openWatch(api, `${place('status', 'resourcequotas')}?${since}`)
    const written = { ...body, status: { hard: { cpu: '1', memory: '1Gi' }, used: {} } }
    const put = await ask(`${quotaUrl('status')}/status`, { method: 'PUT', body: written })
    expect(put.body.status.hard).toEqual({ cpu: '1', memory: '1Gi' })
    const hards: unknown[] = []
    while (hards.length < 2) {
      const { object } = await watch.next()
      hards.push((object['status'] as { hard: unknown }).hard)
    }
    expect(hards).toEqual([
      { cpu: '1', memory: '1Gi' },
      { cpu: '500m', memory: '500Mi' },
    ])
    const patched = await ask(`${quotaUrl('status')}/status`, {
      method: 'PATCH',
      body: { metadata: { annotations: { 'example.com/name': 'x' } }, status: { hard: { memory: '2Gi', cpu: '2' } } },
    })
    expect([patched.code, patched.body.status.hard]).toEqual([200, { memory: '2Gi', cpu: '2' }])
    await expect
      .poll(async () => (await ask(quotaUrl('status'))).body.status.hard, patience)
      .toEqual({ cpu: '500m', memory: '500Mi' })
    watch.close()
  })
})
