// The API of workloads as the official suite uses it: their life, their scale and status by their own paths, and what it
// asks of controllers without waiting for a pod.
import { describe, expect, test } from 'vitest'
import { daemonSetController } from '../../../src/controllers/daemonset.ts'
import { deploymentController } from '../../../src/controllers/deployment.ts'
import { replicaSetController } from '../../../src/controllers/replicaset.ts'
import { resourceQuotaController } from '../../../src/controllers/resourcequota.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { beside, ownerOf, patience } from './beside.ts'
import { walkThrough } from './operations.ts'
import { type Api, ask, oneApi, openWatch, patch, post, put, remove } from './wire.ts'

const apps = { root: '/apis/apps/v1', namespace: 'default' }
const inApps = '/apis/apps/v1/namespaces/default'
const inCore = '/api/v1/namespaces/default'
const labels = { app: 'web' }
const selector = { matchLabels: labels }
const template = { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web:1' }] } }
const keeping = (name: string, more: object = {}) => ({
  metadata: { name, labels },
  spec: { replicas: 2, selector, template, ...more },
})

const workloads = [
  { plural: 'deployments', kind: 'Deployment' },
  { plural: 'replicasets', kind: 'ReplicaSet' },
  { plural: 'statefulsets', kind: 'StatefulSet' },
] as const

describe.each(workloads)('$plural', ({ plural, kind }) => {
  const one = oneApi()
  const at = `${inApps}/${plural}`
  const make = (name: string) => post(one.api, at, { apiVersion: 'apps/v1', kind, ...keeping(name) })

  test('a scale is read, updated without a version, and patched with a whole Scale', async () => {
    const made = (await make('scaled')).body
    const { body } = await ask(one.api, `${at}/scaled/scale`)
    expect(body).toMatchObject({ kind: 'Scale', apiVersion: 'autoscaling/v1', spec: { replicas: 2 } })
    expect(body.metadata).toMatchObject({ name: 'scaled', namespace: 'default', uid: made.metadata.uid })
    expect(body['status']).toEqual({ replicas: 0, selector: 'app=web' })
    const unconditional = { ...body, metadata: { ...body.metadata, resourceVersion: '' }, spec: { replicas: 3 } }
    expect((await put(one.api, `${at}/scaled/scale`, unconditional)).body['spec']).toEqual({ replicas: 3 })
    // As Go writes a Scale of which only the replicas are set.
    const whole = { metadata: { creationTimestamp: null }, spec: { replicas: 4 }, status: { replicas: 0 } }
    const patched = await patch(one.api, `${at}/scaled/scale`, 'strategic', whole)
    expect([patched.code, patched.body['spec']]).toEqual([200, { replicas: 4 }])
    const after = (await ask(one.api, `${at}/scaled`)).body
    expect(after).toMatchObject({ spec: { replicas: 4 }, metadata: { generation: 3 } })
    const stale = await put(one.api, `${at}/scaled/scale`, body)
    expect([stale.code, stale.body.reason]).toEqual([409, 'Conflict'])
  })

  test('a status is patched and updated by its own path, labels along with it, and seen by who watches', async () => {
    const made = (await make('told')).body
    const since = made.metadata.resourceVersion
    const watch = await openWatch(one.api, `${at}?watch=1&resourceVersion=${since}&labelSelector=app%3Dweb`)
    const condition = { type: 'StatusPatched', status: 'True' }
    const patched = await patch(one.api, `${at}/told/status`, 'merge', { status: { conditions: [condition] } })
    expect(patched.body['status']).toMatchObject({ conditions: [condition] })
    const read = (await ask(one.api, `${at}/told/status`)).body
    const update = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from e2e test' }
    const conditions = [condition, update]
    const updated = await put(one.api, `${at}/told/status`, {
      ...read,
      status: { ...(read['status'] as object), conditions },
    })
    expect(updated.body['status']).toMatchObject({ conditions })
    const labelled = await patch(one.api, `${at}/told/status`, 'merge', {
      metadata: { labels: { seen: 'patched-status' } },
      status: { readyReplicas: 0 },
    })
    expect(labelled.body.metadata).toMatchObject({ labels: { app: 'web', seen: 'patched-status' }, generation: 1 })
    expect(await watch.names(3)).toEqual(['MODIFIED told', 'MODIFIED told', 'MODIFIED told'])
    watch.close()
  })

  test('a status counts no more parts than pods', async () => {
    await make('counted')
    const status = { replicas: 1, readyReplicas: 2, availableReplicas: 3 }
    const refused = await patch(one.api, `${at}/counted/status`, 'merge', { status })
    expect(refused.body.details?.causes?.map(({ field = '', message }) => `${field}: ${message}`).toSorted()).toEqual([
      'status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas',
      'status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas',
      'status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas',
    ])
    const below = await patch(one.api, `${at}/counted/status`, 'merge', { status: { replicas: -1 } })
    expect(below.code).toBe(422)
  })

  test('a strategic patch changes template and replicas, containers by their name', async () => {
    await make('patched')
    const container = { name: 'web', image: 'web:2', command: ['/bin/sleep', '100000'] }
    const { body } = await patch(one.api, `${at}/patched`, 'strategic', {
      metadata: { labels: { stage: 'patched' } },
      spec: { replicas: 3, template: { spec: { terminationGracePeriodSeconds: 0, containers: [container] } } },
    })
    expect(body.metadata).toMatchObject({ labels: { app: 'web', stage: 'patched' }, generation: 2 })
    expect(body['spec']).toMatchObject({
      replicas: 3,
      template: {
        spec: { terminationGracePeriodSeconds: 0, containers: [{ ...container, imagePullPolicy: 'IfNotPresent' }] },
      },
    })
    const all = await ask(one.api, `/apis/apps/v1/${plural}?labelSelector=stage%3Dpatched`)
    expect(all.body.items.map(({ metadata }) => metadata.name)).toEqual(['patched'])
  })

  test('a collection is deleted by its label', async () => {
    await make('first')
    await make('second')
    expect((await remove(one.api, `${at}?labelSelector=app%3Dweb`)).code).toBe(200)
    expect((await ask(one.api, `${at}?labelSelector=app%3Dweb`)).body.items).toEqual([])
  })

  test('a selector that its own template does not meet is refused, and a scale below zero', async () => {
    const { code, body } = await post(one.api, at, keeping('wrong', { selector: { matchLabels: { app: 'other' } } }))
    expect([code, body.details?.causes?.[0]?.field]).toEqual([422, 'spec.template.metadata.labels'])
    await make('low')
    const scaled = await patch(one.api, `${at}/low/scale`, 'merge', { spec: { replicas: -1 } })
    expect([scaled.code, scaled.body.reason]).toEqual([422, 'Invalid'])
  })
})

describe('daemonset', () => {
  walkThrough({
    ...apps,
    resource: 'daemonsets',
    kind: 'DaemonSet',
    shortNames: ['ds'],
    subresources: ['status'],
    make: i => ({ metadata: { name: `ds-${i}` }, spec: { selector, template } }),
    change: { spec: { minReadySeconds: 3 } },
    status: {
      patch: { conditions: [{ type: 'StatusPatched', status: 'True' }] },
      expected: { conditions: [{ type: 'StatusPatched', status: 'True' }] },
    },
    columns: ['Name', 'Desired', 'Current', 'Ready', 'Up-to-date', 'Available', 'Node Selector', 'Age'],
    cells: ['ds-0', 0, 0, 0, 0, 0, '<none>', 'web', 'web:1', 'app=web'],
  })

  test('has no scale', async () => {
    const api = await testApiserver()
    await post(api, `${inApps}/daemonsets`, { metadata: { name: 'ds' }, spec: { selector, template } })
    expect((await ask(api, `${inApps}/daemonsets/ds/scale`)).code).toBe(404)
    api.stop()
  })
})

describe('controllerrevision', () => {
  walkThrough({
    ...apps,
    resource: 'controllerrevisions',
    kind: 'ControllerRevision',
    make: i => ({ metadata: { name: `revision-${i}` }, data: { spec: { template } }, revision: 1 }),
    change: { revision: 7 },
    columns: ['Name', 'Controller', 'Revision', 'Age'],
    cells: ['revision-0', '<none>', 1],
  })

  test('its data stays', async () => {
    const api = await testApiserver()
    const at = `${inApps}/controllerrevisions`
    await post(api, at, { metadata: { name: 'fixed' }, data: { a: 1 }, revision: 1 })
    const { code, body } = await patch(api, `${at}/fixed`, 'merge', { data: { a: 2 } })
    expect([code, body.details?.causes?.[0]?.field]).toEqual([422, 'data'])
    api.stop()
  })

  test('those of a DaemonSet are listed, patched, copied, deleted and replaced beside its controller', async () => {
    await using running = await beside([daemonSetController])
    const { api } = running
    const own = { 'daemonset-name': 'ds' }
    const chosen = 'labelSelector=daemonset-name%3Dds'
    const at = `${inApps}/controllerrevisions`
    const found = async () => (await ask(api, `${at}?${chosen}`)).body.items
    const count = (expected: number) => expect.poll(async () => (await found()).length, patience).toBe(expected)
    const set = { selector: { matchLabels: own }, template: { ...template, metadata: { labels: own } } }
    const made = await post(api, `${inApps}/daemonsets`, { metadata: { name: 'ds', labels: own }, spec: set })
    await count(1)
    const { body: all } = await ask(api, `/apis/apps/v1/controllerrevisions?${chosen}`)
    const [initial] = all.items
    if (initial === undefined) throw new Error('no revision')
    const { name, ownerReferences } = initial.metadata as typeof initial.metadata & { ownerReferences: object[] }
    expect(ownerReferences).toMatchObject([{ kind: 'DaemonSet', uid: made.body.metadata.uid, controller: true }])
    const patched = await patch(api, `${at}/${name}`, 'strategic', { metadata: { labels: { [name]: 'patched' } } })
    expect(patched.body.metadata.labels).toMatchObject({ ...own, [name]: 'patched' })

    const copy = { name: 'ds-copy', labels: { ...own, 'controller-revision-hash': 'copy' }, ownerReferences }
    expect((await post(api, at, { metadata: copy, data: initial['data'], revision: 2 })).code).toBe(201)
    // The controller has seen it once it has seen what was written after it.
    await patch(api, `${inApps}/daemonsets/ds`, 'merge', { spec: { minReadySeconds: 1 } })
    await expect.poll(async () => observed(api), patience).toBe(2)
    expect(await found()).toHaveLength(2)
    expect((await remove(api, `${at}/${name}`)).code).toBe(200)
    await count(1)
    const updated = await patch(api, `${at}/ds-copy`, 'merge', { metadata: { labels: { 'ds-copy': 'updated' } } })
    expect(updated.code).toBe(200)

    const grace = {
      spec: { template: { spec: { terminationGracePeriodSeconds: 1 } } },
      updateStrategy: { type: 'RollingUpdate' },
    }
    expect((await patch(api, `${inApps}/daemonsets/ds`, 'strategic', grace)).code).toBe(200)
    await count(2)
    expect((await remove(api, `${at}?labelSelector=ds-copy%3Dupdated`)).code).toBe(200)
    await count(1)
    expect((await found()).map(each => each['revision'])).toEqual([3])
  })
})

const observed = async (api: Api) =>
  ((await ask(api, `${inApps}/daemonsets/ds`)).body['status'] as { observedGeneration?: number }).observedGeneration

describe('replicaset and its pods', () => {
  test('adopts a pod that its selector meets, and releases one that it no longer meets', async () => {
    await using running = await beside([replicaSetController])
    const { api } = running
    const own = { name: 'pod-adoption-release' }
    await post(api, `${inCore}/pods`, { metadata: { name: 'orphan', labels: own }, spec: template.spec })
    const body = {
      metadata: { name: 'adopter' },
      spec: { selector: { matchLabels: own }, template: { ...template, metadata: { labels: own } } },
    }
    const made = await post(api, `${inApps}/replicasets`, body)
    const { uid } = made.body.metadata
    await expect.poll(() => ownerOf(api, 'orphan'), patience).toBe(uid)
    await patch(api, `${inCore}/pods/orphan`, 'merge', { metadata: { labels: { name: 'released' } } })
    await expect.poll(() => ownerOf(api, 'orphan'), patience).toBeUndefined()
    const status = async () => (await ask(api, `${inApps}/replicasets/adopter`)).body['status']
    await expect.poll(status, patience).toMatchObject({ replicas: 1, observedGeneration: 1 })
  })

  test('a quota that refuses its pods stands in a condition, which goes once fewer are wanted', async () => {
    await using running = await beside([replicaSetController, resourceQuotaController])
    const { api } = running
    await post(api, `${inCore}/resourcequotas`, { metadata: { name: 'two' }, spec: { hard: { pods: '2' } } })
    const quota = async () => (await ask(api, `${inCore}/resourcequotas/two`)).body['status']
    await expect.poll(quota, patience).toMatchObject({ used: { pods: '0' } })
    await post(api, `${inApps}/replicasets`, keeping('limited', { replicas: 3 }))
    const status = async () =>
      (await ask(api, `${inApps}/replicasets/limited`)).body['status'] as Record<string, unknown>
    const failure = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate' }
    await expect.poll(status, patience).toMatchObject({
      replicas: 2,
      conditions: [{ ...failure, message: expect.stringContaining('exceeded quota: two') }],
    })
    await patch(api, `${inApps}/replicasets/limited/scale`, 'merge', { spec: { replicas: 2 } })
    await expect.poll(async () => Object.keys(await status()), patience).not.toContain('conditions')
  })
})

describe('deployment and its sets', () => {
  test('makes a set with its revision, scales it, and makes another for another template', async () => {
    await using running = await beside([deploymentController, replicaSetController])
    const { api } = running
    await post(api, `${inApps}/deployments`, keeping('rolled'))
    const sets = async () => {
      const { items } = (await ask(api, `${inApps}/replicasets?labelSelector=app%3Dweb`)).body
      return items
        .map(each => [
          each.metadata.annotations?.['deployment.kubernetes.io/revision'],
          (each['spec'] as { replicas: number }).replicas,
        ])
        .toSorted()
    }
    await expect.poll(sets, patience).toEqual([['1', 2]])
    await patch(api, `${inApps}/deployments/rolled/scale`, 'merge', { spec: { replicas: 3 } })
    await expect.poll(sets, patience).toEqual([['1', 3]])
    const spec = {
      strategy: { type: 'Recreate', rollingUpdate: null },
      template: { spec: { containers: [{ name: 'web', image: 'web:2' }] } },
    }
    const changed = await patch(api, `${inApps}/deployments/rolled`, 'strategic', { spec })
    expect(changed.code).toBe(200)
    await expect.poll(sets, patience).toEqual([
      ['1', 0],
      ['2', 3],
    ])
  })
})

describe('poddisruptionbudget', () => {
  const core = '/api/v1/namespaces/default'
  const at = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
  const budget = (name: string, more: object = { minAvailable: '1%' }) => ({
    metadata: { name },
    spec: { selector, ...more },
  })
  walkThrough({
    root: '/apis/policy/v1',
    namespace: 'default',
    resource: 'poddisruptionbudgets',
    kind: 'PodDisruptionBudget',
    shortNames: ['pdb'],
    subresources: ['status'],
    make: i => budget(`pdb-${i}`),
    change: { spec: { minAvailable: '3%' } },
    status: { patch: { disruptionsAllowed: 1 }, expected: { disruptionsAllowed: 1 } },
    columns: ['Name', 'Min Available', 'Max Unavailable', 'Allowed Disruptions', 'Age'],
    cells: ['pdb-0', '1%', 'N/A', 0],
  })
  const one = oneApi()

  test('who was disrupted is noted in the status, and taken out of it by null', async () => {
    await post(one.api, at, budget('noted'))
    const read = (await ask(one.api, `${at}/noted/status`)).body
    const disruptedPods = { web: '2026-01-02T03:04:05Z' }
    const updated = await put(one.api, `${at}/noted/status`, {
      ...read,
      status: { ...(read['status'] as object), disruptedPods },
    })
    expect(updated.body['status']).toMatchObject({ disruptedPods })
    const patched = await patch(one.api, `${at}/noted/status`, 'merge', { status: { disruptedPods: null } })
    expect(patched.body['status']).not.toHaveProperty('disruptedPods')
  })

  test('either bound may be said, not both, and one can be put for the other', async () => {
    await post(one.api, at, budget('bounds'))
    const both = await patch(one.api, `${at}/bounds`, 'merge', { spec: { maxUnavailable: 0 } })
    expect(both.body.message).toContain('minAvailable and maxUnavailable cannot be both set')
    const swapped = await patch(one.api, `${at}/bounds`, 'merge', { spec: { maxUnavailable: 0, minAvailable: null } })
    expect(swapped.body['spec']).toEqual({ selector, maxUnavailable: 0 })
    const { body } = await patch(one.api, `${at}/bounds`, 'merge', { spec: { maxUnavailable: '101%' } })
    expect(body.details?.causes?.[0]).toMatchObject({ field: 'spec.maxUnavailable' })
  })

  test('an eviction is refused (429) until the budget allows it, spends it, and needs no budget once that is gone', async () => {
    const own = { evict: 'me' }
    await post(one.api, at, {
      metadata: { name: 'tight' },
      spec: { selector: { matchLabels: own }, minAvailable: 3 },
    })
    for (const name of ['first', 'second']) {
      const spec = { nodeName: 'n', containers: template.spec.containers }
      await post(one.api, `${core}/pods`, { metadata: { name, labels: own }, spec })
      const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
      await patch(one.api, `${core}/pods/${name}/status`, 'merge', { status })
    }
    const evict = (name: string) =>
      post(one.api, `${core}/pods/${name}/eviction`, {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name, namespace: 'default' },
      })
    const early = await evict('first')
    expect([early.code, early.body.reason]).toEqual([429, 'TooManyRequests'])
    expect(early.body.details?.causes).toEqual([
      { reason: 'DisruptionBudget', message: 'The disruption budget tight is still being processed by the server.' },
    ])
    expect(early.body.message).toBe("Cannot evict pod as it would violate the pod's disruption budget.")
    const say = (status: object) =>
      patch(one.api, `${at}/tight/status`, 'merge', { status: { observedGeneration: 1, ...status } })
    await say({ currentHealthy: 3, desiredHealthy: 3, expectedPods: 3, disruptionsAllowed: 0 })
    const tight = await evict('first')
    expect([tight.code, tight.body.details?.causes?.[0]]).toEqual([
      429,
      { reason: 'DisruptionBudget', message: 'The disruption budget tight needs 3 healthy pods and has 3 currently' },
    ])
    await say({ desiredHealthy: 2, disruptionsAllowed: 1 })
    const allowed = await evict('first')
    expect([allowed.code, allowed.body['status']]).toEqual([201, 'Success'])
    expect((await ask(one.api, `${at}/tight`)).body['status']).toMatchObject({
      disruptionsAllowed: 0,
      disruptedPods: { first: expect.any(String) },
    })
    const evicted = (await ask(one.api, `${core}/pods/first`)).body
    expect(evicted.metadata.deletionTimestamp).toBeDefined()
    expect(evicted['status']).toMatchObject({
      conditions: expect.arrayContaining([
        expect.objectContaining({ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }),
      ]),
    })
    expect((await evict('second')).code).toBe(429)
    await remove(one.api, `${at}/tight`)
    expect((await evict('second')).code).toBe(201)
    expect((await evict('nobody')).code).toBe(404)
    expect((await ask(one.api, `${core}/pods/second/eviction`)).code).toBe(405)
  })
})
