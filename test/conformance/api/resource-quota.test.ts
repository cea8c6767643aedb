// ResourceQuotas: what is counted and charged, what is refused and how, and that many at once never go over.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { resourceQuotaController } from '../../../src/controllers/resourcequota.ts'
import { runControllers } from '../../../src/controllers/run.ts'
import { type Answered, type Asking, asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { inputs } from '../../controllers/cluster.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
let running: Promise<void>

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
  running = runControllers(api.world, api.client, inputs(), [resourceQuotaController], api.signal)
})
afterAll(async () => {
  api.stop()
  await running
})

const place = (namespace: string, plural: string) => `/api/v1/namespaces/${namespace}/${plural}`

async function usage(namespace: string, name = 'q'): Promise<Record<string, string>> {
  return (await ask(`${place(namespace, 'resourcequotas')}/${name}`)).body.status?.used ?? {}
}

/** A namespace with a quota that has been counted. */
async function bounded(namespace: string, hard: Record<string, string>, more: object = {}, name = 'q'): Promise<void> {
  await ask('/api/v1/namespaces', { body: namespaceNamed(namespace) })
  const body = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name }, spec: { hard, ...more } }
  const { code, message } = await ask(place(namespace, 'resourcequotas'), { body })
  expect({ code, message }).toEqual({ code: 201, message: '' })
  await expect
    .poll(() => usage(namespace, name), { timeout: 20_000 })
    .toMatchObject(Object.fromEntries(Object.keys(hard).map(key => [key, expect.any(String)])))
}

const demanding = (requests: object, limits: object = {}) => ({
  containers: [{ name: 'c', image: 'i:1', resources: { requests, limits } }],
})
const pod = (namespace: string, name: string, spec: object = {}): Promise<Answered> =>
  ask(place(namespace, 'pods'), { body: podNamed(name, spec) })
const map = (namespace: string, name: string): Promise<Answered> =>
  ask(place(namespace, 'configmaps'), { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } } })

describe('resource-quota', () => {
  test('the status says at once what there is and what is used', async () => {
    await bounded('counted', { pods: '5', 'count/configmaps': '3', services: '2' })
    const { body } = await ask(`${place('counted', 'resourcequotas')}/q`)
    expect(body.status).toEqual({
      hard: { pods: '5', 'count/configmaps': '3', services: '2' },
      used: { pods: '0', 'count/configmaps': '0', services: '0' },
    })
  })

  test('what is made is charged with it, and what goes over is refused', async () => {
    await bounded('pods', { pods: '2', 'requests.cpu': '1', 'limits.memory': '1Gi' })
    const spec = demanding({ cpu: '400m' }, { memory: '512Mi' })
    expect((await pod('pods', 'a', spec)).code).toBe(201)
    expect(await usage('pods')).toEqual({ pods: '1', 'requests.cpu': '400m', 'limits.memory': '512Mi' })
    const { code, message } = await pod('pods', 'b', demanding({ cpu: '700m' }, { memory: '512Mi' }))
    expect({ code, message }).toEqual({
      code: 403,
      message:
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=700m, used: requests.cpu=400m, limited: requests.cpu=1',
    })
    expect(await usage('pods')).toEqual({ pods: '1', 'requests.cpu': '400m', 'limits.memory': '512Mi' })
  })

  test('a dry run is judged and charges nothing', async () => {
    await bounded('dry', { pods: '1' })
    const dry = () => ask(`${place('dry', 'pods')}?dryRun=All`, { body: podNamed('p') })
    expect((await dry()).code).toBe(201)
    expect(await usage('dry')).toEqual({ pods: '0' })
    await pod('dry', 'p')
    expect((await ask(`${place('dry', 'pods')}?dryRun=All`, { body: podNamed('q') })).code).toBe(403)
  })

  test('with a quota of computing resources each container has to say what it needs', async () => {
    await bounded('said', { 'requests.cpu': '1', 'limits.memory': '1Gi' })
    expect((await pod('said', 'p')).message).toBe(
      'pods "p" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c',
    )
  })

  test('what is deleted, or has ended, gives back what it took', async () => {
    await bounded('back', { pods: '2', 'count/pods': '3' })
    for (const name of ['a', 'b']) await pod('back', name)
    await ask(`${place('back', 'pods')}/a`, { method: 'DELETE' })
    await expect.poll(() => usage('back'), { timeout: 20_000 }).toEqual({ pods: '1', 'count/pods': '1' })
    await ask(`${place('back', 'pods')}/b/status`, { method: 'PATCH', body: { status: { phase: 'Succeeded' } } })
    await expect.poll(() => usage('back'), { timeout: 20_000 }).toEqual({ pods: '0', 'count/pods': '1' })
  })

  test('the controller puts right what somebody wrote into the status', async () => {
    await bounded('reset', { configmaps: '5' })
    await map('reset', 'a')
    const body = { status: { hard: { configmaps: '9' }, used: { configmaps: '7' } } }
    const patched = await ask(`${place('reset', 'resourcequotas')}/q/status`, { method: 'PATCH', body })
    expect(patched.body.status).toEqual({ hard: { configmaps: '9' }, used: { configmaps: '7' } })
    await expect
      .poll(async () => (await ask(`${place('reset', 'resourcequotas')}/q`)).body.status, { timeout: 20_000 })
      .toEqual({ hard: { configmaps: '5' }, used: { configmaps: '1' } })
  })

  test('objects of any kind are counted by their resource, some also by their plain name', async () => {
    await bounded('objects', { configmaps: '1', 'count/secrets': '1', 'count/deployments.apps': '1' })
    await map('objects', 'a')
    expect((await map('objects', 'b')).message).toBe(
      'configmaps "b" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1',
    )
    const secret = (name: string) =>
      ask(place('objects', 'secrets'), { body: { apiVersion: 'v1', kind: 'Secret', metadata: { name } } })
    expect([(await secret('a')).code, (await secret('b')).code]).toEqual([201, 403])
    const labels = { app: 'a' }
    const deployment = (name: string) =>
      ask('/apis/apps/v1/namespaces/objects/deployments', {
        body: {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name },
          spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: podNamed('p').spec } },
        },
      })
    expect((await deployment('a')).code).toBe(201)
    expect((await deployment('b')).message).toContain('deployments.apps "b" is forbidden: exceeded quota: q')
  })

  test('services count, and their node ports and load balancers, also when one becomes another', async () => {
    await bounded('services', { services: '3', 'services.nodeports': '1', 'services.loadbalancers': '1' })
    const service = (name: string, type: string, ports = 1) =>
      ask(place('services', 'services'), {
        body: {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name },
          spec: { type, ports: Array.from({ length: ports }, (_, i) => ({ name: `p${i}`, port: 80 + i })) },
        },
      })
    expect((await service('a', 'ClusterIP', 2)).code).toBe(201)
    expect((await service('b', 'NodePort', 2)).message).toContain(
      'requested: services.nodeports=2, used: services.nodeports=0',
    )
    expect((await service('b', 'NodePort')).code).toBe(201)
    const changed = await ask(`${place('services', 'services')}/a`, {
      method: 'PATCH',
      body: { spec: { type: 'LoadBalancer' } },
    })
    expect(changed.message).toContain('services "a" is forbidden: exceeded quota: q, requested: services.nodeports=2')
    const back = await ask(`${place('services', 'services')}/b`, {
      method: 'PATCH',
      body: { spec: { type: 'ClusterIP', externalTrafficPolicy: null, ports: [{ name: 'p0', port: 80 }] } },
    })
    expect({ code: back.code, message: back.message }).toEqual({ code: 200, message: '' })
    expect(await usage('services')).toEqual({ services: '2', 'services.nodeports': '0', 'services.loadbalancers': '0' })
  })

  test('claims count, and their storage, in all and by class', async () => {
    const fast = 'fast.storageclass.storage.k8s.io'
    await bounded('claims', {
      persistentvolumeclaims: '2',
      'requests.storage': '10Gi',
      [`${fast}/requests.storage`]: '4Gi',
      [`${fast}/persistentvolumeclaims`]: '1',
    })
    const claim = (name: string, storageClassName: string, storage: string) =>
      ask(place('claims', 'persistentvolumeclaims'), {
        body: {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name },
          spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage } } },
        },
      })
    expect((await claim('a', 'fast', '5Gi')).message).toContain(`requested: ${fast}/requests.storage=5Gi`)
    expect((await claim('a', 'fast', '3Gi')).code).toBe(201)
    expect((await claim('b', 'slow', '8Gi')).message).toContain(
      'requested: requests.storage=8Gi, used: requests.storage=3Gi',
    )
    expect((await claim('b', 'slow', '6Gi')).code).toBe(201)
    expect(await usage('claims')).toEqual({
      persistentvolumeclaims: '2',
      'requests.storage': '9Gi',
      [`${fast}/requests.storage`]: '3Gi',
      [`${fast}/persistentvolumeclaims`]: '1',
    })
  })

  test('extended resources count by what is requested', async () => {
    await bounded('extended', { 'requests.example.com/gpu': '1' })
    const amount = { 'example.com/gpu': '1' }
    expect((await pod('extended', 'a', demanding(amount, amount))).code).toBe(201)
    expect((await pod('extended', 'b', demanding(amount, amount))).code).toBe(403)
  })

  test.each<[string, object, object, object]>([
    ['Terminating', { scopes: ['Terminating'] }, { activeDeadlineSeconds: 60 }, {}],
    ['NotTerminating', { scopes: ['NotTerminating'] }, {}, { activeDeadlineSeconds: 60 }],
    ['BestEffort', { scopes: ['BestEffort'] }, {}, demanding({ cpu: '1m' })],
    ['NotBestEffort', { scopes: ['NotBestEffort'] }, demanding({ cpu: '1m' }), {}],
    [
      'PriorityClass',
      {
        scopeSelector: {
          matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['system-node-critical'] }],
        },
      },
      { priorityClassName: 'system-node-critical' },
      { priorityClassName: 'system-cluster-critical' },
    ],
    [
      'CrossNamespacePodAffinity',
      { scopeSelector: { matchExpressions: [{ scopeName: 'CrossNamespacePodAffinity', operator: 'Exists' }] } },
      {
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              { topologyKey: 'zone', namespaces: ['other'], labelSelector: {} },
            ],
          },
        },
      },
      {
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone', labelSelector: {} }],
          },
        },
      },
    ],
  ])('the scope %s bounds the pods in it alone', async (scope, more, inside, outside) => {
    const namespace = `scope-${scope.toLowerCase()}`
    await bounded(namespace, { pods: '1' }, more)
    for (const name of ['o1', 'o2']) expect((await pod(namespace, name, outside)).code).toBe(201)
    expect(await usage(namespace)).toEqual({ pods: '0' })
    expect((await pod(namespace, 'i1', inside)).code).toBe(201)
    expect((await pod(namespace, 'i2', inside)).code).toBe(403)
    expect(await usage(namespace)).toEqual({ pods: '1' })
  })

  test('each quota of a namespace has to have room', async () => {
    await bounded('two', { pods: '5' })
    await bounded('two', { 'count/pods': '1' }, {}, 'other')
    await pod('two', 'a')
    expect((await pod('two', 'b')).message).toContain('exceeded quota: other')
    expect(await usage('two')).toEqual({ pods: '1' })
  })

  test('many at once never go over, and none is lost for want of a turn', async () => {
    await bounded('many', { configmaps: '40', pods: '20' })
    const asked = [
      ...Array.from({ length: 60 }, (_, i) => map('many', `m${i}`)),
      ...Array.from({ length: 60 }, (_, i) => pod('many', `p${i}`)),
    ]
    const codes = (await Promise.all(asked)).map(({ code }) => code)
    const made = (from: number) => codes.slice(from, from + 60).filter(code => code === 201).length
    expect(new Set(codes)).toEqual(new Set([201, 403]))
    expect([made(0), made(60)]).toEqual([40, 20])
    expect(await usage('many')).toEqual({ configmaps: '40', pods: '20' })
    expect((await ask(place('many', 'configmaps'))).body.items).toHaveLength(40)
    expect((await ask(place('many', 'pods'))).body.items).toHaveLength(20)
  })

  test('makers, removers and the controller at once never go over', async () => {
    await bounded('busy', { configmaps: '10' })
    let most = 0
    await Promise.all(
      Array.from({ length: 8 }, async (_, worker) => {
        for (let i = 0; i < 12; i++) {
          const name = `w${worker}-${i}`
          const { code } = await map('busy', name)
          most = Math.max(most, (await ask(place('busy', 'configmaps'))).body.items.length)
          if (code === 201 && i % 2 === 0) await ask(`${place('busy', 'configmaps')}/${name}`, { method: 'DELETE' })
        }
      }),
    )
    expect(most).toBeLessThanOrEqual(10)
    const left = (await ask(place('busy', 'configmaps'))).body.items.length
    await expect.poll(() => usage('busy'), { timeout: 20_000 }).toEqual({ configmaps: String(left) })
  })
})
