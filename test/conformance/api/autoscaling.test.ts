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

  describe('managers who apply in different versions', () => {
    type Spec = { readonly [field: string]: unknown }
    const apply = (version: 'v1' | 'v2', name: string, manager: string, spec: Spec, force = false) =>
      ask(`${version === 'v1' ? old : current}/${name}?fieldManager=${manager}&force=${force}`, {
        method: 'PATCH',
        type: 'application/apply-patch+yaml',
        body: { apiVersion: `autoscaling/${version}`, kind: 'HorizontalPodAutoscaler', metadata: { name }, spec },
      })
    const whole = { scaleTargetRef, maxReplicas: 5 }
    const told = ({ code, message }: { code: number; message: string }) => [code, message]
    type Entry = { readonly manager: string; readonly apiVersion: string; readonly fieldsV1: { 'f:spec'?: object } }
    const owners = async (name: string) => {
      const { managedFields } = (await ask(`${current}/${name}`)).body.metadata
      return Object.fromEntries(
        (managedFields as readonly Entry[]).map(({ manager, apiVersion, fieldsV1 }) => [
          `${manager} ${apiVersion}`,
          Object.keys(fieldsV1['f:spec'] ?? {}).filter(field => field !== '.'),
        ]),
      )
    }

    test('conflict over a field that both versions have, and over one that is another in each', async () => {
      expect((await apply('v1', 'both', 'ann', { ...whole, targetCPUUtilizationPercentage: 55 })).code).toBe(201)
      expect(told(await apply('v2', 'both', 'ben', { ...whole, maxReplicas: 6 }))).toEqual([
        409,
        'Apply failed with 1 conflict: conflict with "ann": .spec.maxReplicas',
      ])
      expect(told(await apply('v2', 'both', 'ben', { ...whole, metrics: [cpu(60)] }))).toEqual([
        409,
        'Apply failed with 1 conflict: conflict with "ann": .spec.targetCPUUtilizationPercentage',
      ])
      expect((await apply('v2', 'both', 'ben', { ...whole, metrics: [cpu(55)] })).code).toBe(200)
      expect(await owners('both')).toEqual({
        'ann autoscaling/v1': ['f:maxReplicas', 'f:scaleTargetRef', 'f:targetCPUUtilizationPercentage'],
        'ben autoscaling/v2': ['f:maxReplicas', 'f:metrics', 'f:scaleTargetRef'],
      })
      expect(told(await apply('v1', 'both', 'ann', { ...whole, targetCPUUtilizationPercentage: 70 }))).toEqual([
        409,
        'Apply failed with 1 conflict: conflict with "ben": .spec.metrics',
      ])
    })

    test('who forces takes the field of the other version, and an update does', async () => {
      await apply('v1', 'forced', 'ann', { ...whole, targetCPUUtilizationPercentage: 55 })
      expect((await apply('v2', 'forced', 'ben', { metrics: [cpu(60)] }, true)).code).toBe(200)
      expect(await owners('forced')).toEqual({
        'ann autoscaling/v1': ['f:maxReplicas', 'f:scaleTargetRef'],
        'ben autoscaling/v2': ['f:metrics'],
      })
      const update = { method: 'PATCH', body: { spec: { targetCPUUtilizationPercentage: 65 } } }
      expect((await ask(`${old}/forced?fieldManager=eve`, update)).code).toBe(200)
      expect(await owners('forced')).toEqual({
        'ann autoscaling/v1': ['f:maxReplicas', 'f:scaleTargetRef'],
        'eve autoscaling/v1': ['f:targetCPUUtilizationPercentage'],
      })
    })

    test('what one had applied in v1 and no longer applies in v2 goes, unless another owns it', async () => {
      for (const name of ['moved', 'shared']) {
        await apply('v1', name, 'ann', { ...whole, minReplicas: 2, targetCPUUtilizationPercentage: 55 })
      }
      await apply('v1', 'shared', 'ben', { targetCPUUtilizationPercentage: 55 })
      const moved = await apply('v2', 'moved', 'ann', { ...whole, metrics: [memory] })
      expect([moved.code, moved.body.spec]).toEqual([200, { ...whole, minReplicas: 1, metrics: [memory] }])
      expect(await owners('moved')).toEqual({
        'ann autoscaling/v2': ['f:maxReplicas', 'f:metrics', 'f:scaleTargetRef'],
      })
      const shared = await apply('v2', 'shared', 'ann', whole)
      expect([shared.code, shared.body.spec]).toEqual([200, { ...whole, minReplicas: 1, metrics: [cpu(55)] }])
      const alone = await apply('v2', 'moved', 'ann', whole)
      expect([alone.code, alone.body.spec.metrics]).toEqual([200, [cpu(80)]])
    })
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
