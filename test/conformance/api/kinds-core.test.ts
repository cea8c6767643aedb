// ReplicationController, PodTemplate, ResourceQuota, LimitRange, RuntimeClass and ComponentStatus, as the official suite
// walks through their API, and what is special about each.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { walkThrough } from './operations.ts'

const core = { root: '/api/v1', namespace: 'default' }
const inDefault = '/api/v1/namespaces/default'
const container = { name: 'web', image: 'web:1' }
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [container] } }
const controllerNamed = (name: string, spec: object = {}) => ({ metadata: { name }, spec: { template, ...spec } })

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
})
afterAll(() => api.stop())

describe('replicationcontroller API', () => {
  walkThrough({
    ...core,
    resource: 'replicationcontrollers',
    kind: 'ReplicationController',
    shortNames: ['rc'],
    subresources: ['scale', 'status'],
    make: i => controllerNamed(`rc-${i}`, { replicas: 2 }),
    change: { spec: { replicas: 3 } },
    status: { patch: { replicas: 1, readyReplicas: 1 }, expected: { replicas: 1, readyReplicas: 1 } },
    columns: ['Name', 'Desired', 'Current', 'Ready', 'Age'],
    cells: ['rc-0', 2, 0, 0, 'web', 'web:1', 'app=web'],
  })

  test('selector and labels are those of the template, and the generation counts changes of the spec', async () => {
    const { body } = await ask(`${inDefault}/replicationcontrollers`, { body: controllerNamed('rc') })
    expect(body.spec).toMatchObject({ replicas: 1, selector: { app: 'web' } })
    expect(body.metadata).toMatchObject({ labels: { app: 'web' }, generation: 1 })
    const change = { method: 'PATCH', body: { spec: { minReadySeconds: 5 } } }
    expect((await ask(`${inDefault}/replicationcontrollers/rc`, change)).body.metadata.generation).toBe(2)
  })

  test('its scale says whom it selects, and sets the replicas', async () => {
    await ask(`${inDefault}/replicationcontrollers`, { body: controllerNamed('scaled') })
    const at = `${inDefault}/replicationcontrollers/scaled`
    const { body } = await ask(`${at}/scale`)
    expect(body).toMatchObject({ kind: 'Scale', spec: { replicas: 1 }, status: { replicas: 0, selector: 'app=web' } })
    const scaled = await ask(`${at}/scale`, { method: 'PUT', body: { ...body, spec: { replicas: 4 } } })
    expect(scaled.body.spec).toEqual({ replicas: 4 })
    expect((await ask(at)).body.spec.replicas).toBe(4)
  })

  test('is found by the replicas that it says it has', async () => {
    await ask(`${inDefault}/replicationcontrollers`, { body: controllerNamed('full') })
    const status = { method: 'PATCH', body: { status: { replicas: 7 } } }
    await ask(`${inDefault}/replicationcontrollers/full/status`, status)
    const { body } = await ask(`${inDefault}/replicationcontrollers?fieldSelector=status.replicas%3D7`)
    expect(body.items.map((each: { metadata: { name: string } }) => each.metadata.name)).toEqual(['full'])
  })
})

describe('podtemplates', () => {
  walkThrough({
    ...core,
    resource: 'podtemplates',
    kind: 'PodTemplate',
    make: i => ({ metadata: { name: `template-${i}` }, template }),
    columns: ['Name', 'Containers', 'Images', 'Pod Labels'],
    cells: ['template-0', 'web', 'web:1', 'app=web'],
  })
})

describe('resource-quota API', () => {
  walkThrough({
    ...core,
    resource: 'resourcequotas',
    kind: 'ResourceQuota',
    shortNames: ['quota'],
    subresources: ['status'],
    make: i => ({ metadata: { name: `quota-${i}` }, spec: { hard: { cpu: '1', pods: '5' } } }),
    change: { spec: { hard: { cpu: '2', pods: '5' } } },
    status: {
      patch: { hard: { cpu: '2', 'limits.cpu': '4' }, used: { cpu: '500m' } },
      expected: { hard: { cpu: '2', 'limits.cpu': '4' }, used: { cpu: '500m' } },
    },
    columns: ['Name', 'Request', 'Limit', 'Age'],
    cells: ['quota-0', '', ''],
  })

  test('its table shows what is used, the limits apart', async () => {
    const at = `${inDefault}/resourcequotas`
    await ask(at, { body: { metadata: { name: 'used' }, spec: { hard: { pods: '5' } } } })
    const hard = { pods: '5', 'requests.cpu': '1', 'limits.cpu': '2' }
    await ask(`${at}/used/status`, {
      method: 'PATCH',
      body: { status: { hard, used: { pods: '2', 'limits.cpu': '1' } } },
    })
    const { body } = await ask(`${at}/used`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
    expect(body.rows[0].cells.slice(0, 3)).toEqual(['used', 'pods: 2/5, requests.cpu: 0/1', 'limits.cpu: 1/2'])
  })

  test('a status that names what no quota can hold is refused', async () => {
    const at = `${inDefault}/resourcequotas`
    await ask(at, { body: { metadata: { name: 'refused' }, spec: { hard: { pods: '5' } } } })
    const status = { hard: { apples: '1' } }
    const { code, message } = await ask(`${at}/refused/status`, { method: 'PATCH', body: { status } })
    expect([code, message]).toEqual([422, expect.stringContaining('status.hard[apples]: Invalid value: "apples"')])
  })
})

describe('limitrange API', () => {
  walkThrough({
    ...core,
    resource: 'limitranges',
    kind: 'LimitRange',
    shortNames: ['limits'],
    make: i => ({ metadata: { name: `range-${i}` }, spec: { limits: [{ type: 'Pod', max: { cpu: '1' } }] } }),
    change: { spec: { limits: [{ type: 'Pod', max: { cpu: '2' } }] } },
    columns: ['Name', 'Created At'],
    cells: ['range-0', expect.stringMatching(/^\d{4}-.*Z$/)],
  })

  test('of a container, max is the limit, the limit the request, and min the request where there is no limit', async () => {
    const limits = [{ type: 'Container', max: { cpu: '2' }, min: { memory: '64Mi', cpu: '100m' } }]
    const { body } = await ask(`${inDefault}/limitranges`, { body: { metadata: { name: 'filled' }, spec: { limits } } })
    expect(body.spec.limits).toEqual([
      { ...limits[0], default: { cpu: '2' }, defaultRequest: { cpu: '2', memory: '64Mi' } },
    ])
  })
})

describe('runtimeclass', () => {
  walkThrough({
    root: '/apis/node.k8s.io/v1',
    resource: 'runtimeclasses',
    kind: 'RuntimeClass',
    make: i => ({ metadata: { name: `class-${i}` }, handler: 'runc' }),
    change: { scheduling: { nodeSelector: { kind: 'fast' } } },
    columns: ['Name', 'Handler', 'Age'],
    cells: ['class-0', 'runc'],
  })
})

describe('componentstatuses', () => {
  test('can be read, and there are none', async () => {
    const { code, body, warnings } = await ask('/api/v1/componentstatuses')
    expect(warnings).toEqual(['v1 ComponentStatus is deprecated in v1.19+'])
    expect([code, body.kind, body.items]).toEqual([200, 'ComponentStatusList', []])
    expect((await ask('/api/v1/componentstatuses/etcd-0')).code).toBe(404)
    expect((await ask('/api/v1/componentstatuses', { body: { metadata: { name: 'x' } } })).code).toBe(405)
  })
})
