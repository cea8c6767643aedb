// HorizontalPodAutoscalers of autoscaling/v1 and autoscaling/v2 are the same objects, seen in two forms.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { walkThrough, watched } from './operations.ts'

const old = '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers'
const current = '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers'
const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }
const oldNamed = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { scaleTargetRef, maxReplicas: 5, ...spec },
})
const cpu = (averageUtilization: number) => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
})
const memory = {
  type: 'Resource',
  resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '100Mi' } },
}
const merge = (body: object) => ({ method: 'PATCH', body })

describe('autoscaling/v1', () => {
  walkThrough({
    root: '/apis/autoscaling/v1',
    namespace: 'default',
    resource: 'horizontalpodautoscalers',
    kind: 'HorizontalPodAutoscaler',
    shortNames: ['hpa'],
    subresources: ['status'],
    make: i => oldNamed(`hpa-${i}`, { targetCPUUtilizationPercentage: 70 }),
    change: { spec: { maxReplicas: 9 } },
    status: {
      patch: { currentReplicas: 2, desiredReplicas: 3, currentCPUUtilizationPercentage: 40 },
      expected: { currentReplicas: 2, desiredReplicas: 3, currentCPUUtilizationPercentage: 40 },
    },
    columns: ['Name', 'Reference', 'Targets', 'MinPods', 'MaxPods', 'Replicas', 'Age'],
    cells: ['hpa-0', 'Deployment/web', 'cpu: <unknown>/70%', '1', 5, 0],
  })
})

describe('autoscalers of both versions over one store', () => {
  let api: Awaited<ReturnType<typeof testApiserver>>
  let ask: Asking
  beforeAll(async () => {
    api = await testApiserver()
    ask = asking(api)
  })
  afterAll(() => api.stop())

  test('v2 is preferred, and both have the hash of one storage', async () => {
    const { body } = await ask('/apis/autoscaling')
    expect(body.preferredVersion.version).toBe('v2')
    const hashes = await Promise.all(
      ['v1', 'v2'].map(async version => {
        const { resources } = (await ask(`/apis/autoscaling/${version}`)).body
        return resources.find(({ name }: { name: string }) => name === 'horizontalpodautoscalers').storageVersionHash
      }),
    )
    expect(hashes[0]).toBe(hashes[1])
  })

  test('the one metric of v1 is a metric of v2, 80 per cent where none is named', async () => {
    const made = await ask(old, { body: oldNamed('plain') })
    expect(made.body.spec).toEqual({
      scaleTargetRef,
      minReplicas: 1,
      maxReplicas: 5,
      targetCPUUtilizationPercentage: 80,
    })
    const { body } = await ask(`${current}/plain`)
    expect(body).toMatchObject({ apiVersion: 'autoscaling/v2', spec: { metrics: [cpu(80)], minReplicas: 1 } })
    expect(body.metadata.annotations).toBeUndefined()
    expect(body.metadata.uid).toBe(made.body.metadata.uid)
  })

  test('a client of v1 that writes back what it read loses nothing of v2', async () => {
    const rules = {
      stabilizationWindowSeconds: 60,
      selectPolicy: 'Min',
      policies: [{ type: 'Pods', value: 1, periodSeconds: 30 }],
    }
    const pods = {
      type: 'Pods',
      pods: { metric: { name: 'hits' }, target: { type: 'AverageValue', averageValue: '10' } },
    }
    const spec = {
      scaleTargetRef,
      minReplicas: 2,
      maxReplicas: 5,
      metrics: [memory, pods, cpu(50)],
      behavior: { scaleDown: rules },
    }
    const before = (await ask(current, { body: { metadata: { name: 'rich' }, spec } })).body
    const read = (await ask(`${old}/rich`)).body
    expect(read.spec).toEqual({ scaleTargetRef, minReplicas: 2, maxReplicas: 5, targetCPUUtilizationPercentage: 50 })
    const { annotations } = read.metadata
    expect(JSON.parse(annotations['autoscaling.alpha.kubernetes.io/metrics'])).toEqual([
      { type: 'Resource', resource: { name: 'memory', targetAverageValue: '100Mi' } },
      { type: 'Pods', pods: { metricName: 'hits', targetAverageValue: '10' } },
    ])
    expect(JSON.parse(annotations['autoscaling.alpha.kubernetes.io/behavior']).ScaleDown).toEqual({
      StabilizationWindowSeconds: 60,
      SelectPolicy: 'Min',
      Policies: [{ Type: 'Pods', Value: 1, PeriodSeconds: 30 }],
      Tolerance: null,
    })
    const written = await ask(`${old}/rich`, {
      method: 'PUT',
      body: { ...read, spec: { ...read.spec, maxReplicas: 7 } },
    })
    expect(written.message).toBe('')
    const after = (await ask(`${current}/rich`)).body
    expect(after.spec).toEqual({ ...before.spec, maxReplicas: 7 })
    expect(after.metadata.annotations).toBeUndefined()
    expect(after.metadata.generation).toBeUndefined()
  })

  test('writing back what was read changes nothing', async () => {
    const read = (await ask(`${old}/rich`)).body
    const { body } = await ask(`${old}/rich`, { method: 'PUT', body: read })
    expect(body.metadata.resourceVersion).toBe(read.metadata.resourceVersion)
  })

  test('what v2 says of its metrics and conditions is in annotations of v1', async () => {
    await ask(current, { body: { metadata: { name: 'told' }, spec: { scaleTargetRef, maxReplicas: 5 } } })
    const conditions = [{ type: 'AbleToScale', status: 'True', reason: 'Ready', message: 'yes' }]
    const now = {
      type: 'Resource',
      resource: { name: 'cpu', current: { averageUtilization: 33, averageValue: '12m' } },
    }
    const status = { currentReplicas: 1, desiredReplicas: 2, conditions, currentMetrics: [now] }
    expect((await ask(`${current}/told/status`, merge({ status }))).message).toBe('')
    const { body } = await ask(`${old}/told`)
    expect(body.status).toEqual({ currentReplicas: 1, desiredReplicas: 2, currentCPUUtilizationPercentage: 33 })
    const { annotations } = body.metadata
    expect(JSON.parse(annotations['autoscaling.alpha.kubernetes.io/conditions'])).toEqual(conditions)
    expect(JSON.parse(annotations['autoscaling.alpha.kubernetes.io/current-metrics'])).toEqual([
      { type: 'Resource', resource: { name: 'cpu', currentAverageUtilization: 33, currentAverageValue: '12m' } },
    ])
    await ask(`${old}/told`, merge({ metadata: { labels: { a: 'b' } } }))
    expect((await ask(`${current}/told`)).body.status).toEqual(status)
  })

  test('an annotation of v1 that cannot be read is nothing', async () => {
    const annotations = { 'autoscaling.alpha.kubernetes.io/metrics': '{not json', kept: 'yes' }
    await ask(old, { body: { ...oldNamed('odd'), metadata: { name: 'odd', annotations } } })
    const { body } = await ask(`${current}/odd`)
    expect([body.spec.metrics, body.metadata.annotations]).toEqual([[cpu(80)], { kept: 'yes' }])
  })

  test('a watch of one version sees what is written in the other', async () => {
    const since = (await ask(old)).body.metadata.resourceVersion
    await ask(current, {
      body: { metadata: { name: 'watched' }, spec: { scaleTargetRef, maxReplicas: 5, metrics: [cpu(60)] } },
    })
    const [event] = await watched(api, `${old}?watch=true&resourceVersion=${since}`, () => true)
    expect(event).toMatchObject({
      type: 'ADDED',
      object: { apiVersion: 'autoscaling/v1', spec: { targetCPUUtilizationPercentage: 60 } },
    })
  })

  test('server-side apply in v1 owns fields of v1', async () => {
    const body = {
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      ...oldNamed('applied', { targetCPUUtilizationPercentage: 55 }),
    }
    const apply = { method: 'PATCH', type: 'application/apply-patch+yaml', body }
    expect((await ask(`${old}/applied?fieldManager=me`, apply)).code).toBe(201)
    const again = await ask(`${old}/applied?fieldManager=me`, apply)
    expect(again.code).toBe(200)
    const [entry] = again.body.metadata.managedFields
    expect(entry).toMatchObject({ manager: 'me', apiVersion: 'autoscaling/v1', operation: 'Apply' })
    expect(entry.fieldsV1['f:spec']).toHaveProperty(['f:targetCPUUtilizationPercentage'])
    expect((await ask(`${current}/applied`)).body.spec.metrics).toEqual([cpu(55)])
  })

  test('what v2 refuses, v1 refuses', async () => {
    const { code, message } = await ask(old, {
      body: oldNamed('bad', { minReplicas: 9, targetCPUUtilizationPercentage: 0 }),
    })
    expect(code).toBe(422)
    expect(message).toContain('averageUtilization: Invalid value: 0: must be greater than 0')
    expect(message).toContain('spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`')
  })
})
