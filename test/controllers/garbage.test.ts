import { expect, test } from 'vitest'
import { ApiError } from '../../src/api/error.ts'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { deployment } from '../../src/api/kinds/deployment.ts'
import { namespace } from '../../src/api/kinds/namespace.ts'
import { pod } from '../../src/api/kinds/pod.ts'
import { replicaSet } from '../../src/api/kinds/replicaset.ts'
import { serviceAccount } from '../../src/api/kinds/serviceaccount.ts'
import { deploymentController } from '../../src/controllers/deployment.ts'
import { garbageController } from '../../src/controllers/garbage.ts'
import { namespaceController } from '../../src/controllers/namespace.ts'
import { replicaSetController } from '../../src/controllers/replicaset.ts'
import { rootCaController, serviceAccountController } from '../../src/controllers/serviceaccount.ts'
import { type Cluster, cluster } from './cluster.ts'

const workloads = [deploymentController, replicaSetController, garbageController]

async function deploy(c: Cluster): Promise<void> {
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  await c.client.create(
    deployment,
    {
      metadata: { name: 'web', namespace: 'default' },
      spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template },
    },
    c.signal,
  )
  await c.world.pass(500)
  expect(c.client.all(pod)).toHaveLength(2)
}

const web = { namespace: 'default', name: 'web' }

test('Background: the owner goes first, then what it owned, and what that owned', async () => {
  await using c = cluster(workloads)
  await deploy(c)
  await c.client.delete(deployment, web, { propagationPolicy: 'Background' }, c.signal)
  expect(c.client.all(deployment)).toEqual([])
  await c.world.pass(2_000)
  expect(c.client.all(replicaSet)).toEqual([])
  expect(c.client.all(pod)).toEqual([])
})

test('Foreground: the owner stays until all that blocks it is gone', async () => {
  await using c = cluster(workloads)
  await deploy(c)
  const [first] = c.client.all(pod)
  if (first) c.client.change(pod, first, old => ({ ...old, metadata: { ...old.metadata, finalizers: ['x.io/hold'] } }))
  await c.client.delete(deployment, web, { propagationPolicy: 'Foreground' }, c.signal)
  await c.world.pass(5_000)
  expect(c.client.all(pod)).toHaveLength(1)
  expect(c.client.all(replicaSet)).toHaveLength(1)
  expect(c.client.all(deployment)).toHaveLength(1)
  const [held] = c.client.all(pod)
  if (held) c.client.change(pod, held, old => ({ ...old, metadata: { ...old.metadata, finalizers: [] } }))
  await c.world.pass(5_000)
  expect([c.client.all(pod), c.client.all(replicaSet), c.client.all(deployment)]).toEqual([[], [], []])
})

test('Orphan: what it owned stays, without owner, and is adopted by the next one', async () => {
  await using c = cluster(workloads)
  await deploy(c)
  await c.client.delete(deployment, web, { propagationPolicy: 'Orphan' }, c.signal)
  await c.world.pass(5_000)
  expect(c.client.all(deployment)).toEqual([])
  expect(c.client.all(replicaSet)[0]?.metadata.ownerReferences ?? []).toEqual([])
  expect(c.client.all(pod)).toHaveLength(2)
  const before = c.client.all(pod).map(one => one.metadata.uid)
  await deploy(c)
  expect(c.client.all(replicaSet)).toHaveLength(1)
  expect(c.client.all(pod).map(one => one.metadata.uid)).toEqual(before)
})

test('an owner counts by uid, one of two owners is enough, and an unknown kind of owner is left alone', async () => {
  await using c = cluster([garbageController])
  const make = async (name: string, owners: readonly object[]) =>
    await c.client.create(
      configMap,
      { metadata: { name, namespace: 'default', ownerReferences: owners as never } },
      c.signal,
    )
  const owner = await make('owner', [])
  const reference = (uid: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid })
  await make('mine', [reference(owner.metadata.uid)])
  await make('stale', [reference('another-uid')])
  await make('both', [reference('another-uid'), reference(owner.metadata.uid)])
  await make('foreign', [{ apiVersion: 'x.io/v1', kind: 'Thing', name: 't', uid: 'u' }])
  await c.world.pass(2_000)
  expect(c.client.all(configMap).map(one => one.metadata.name)).toEqual(['both', 'foreign', 'mine', 'owner'])
  expect(c.client.find(configMap, 'both')?.metadata.ownerReferences).toHaveLength(1)
})

test('a view that lags never makes the collector remove what has an owner', async () => {
  await using c = cluster(workloads)
  c.client.lagMs = 250
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  await c.client.create(
    deployment,
    { metadata: web, spec: { replicas: 5, selector: { matchLabels: { app: 'web' } }, template } },
    c.signal,
  )
  await c.world.pass(60_000)
  expect(c.client.writes.filter(line => line.startsWith('delete'))).toEqual([])
  expect(c.client.all(pod)).toHaveLength(5)
})

test('a deleted namespace is emptied, pods first, says what it waits for, and goes', async () => {
  await using c = cluster([namespaceController, garbageController, serviceAccountController, rootCaController])
  await c.client.create(namespace, { metadata: { name: 'team' } }, c.signal)
  await c.world.pass(500)
  expect(c.client.find(serviceAccount, 'default', 'team')).toBeDefined()
  expect(c.client.find(configMap, 'kube-root-ca.crt', 'team')?.data).toEqual({ 'ca.crt': 'PEM' })
  const space = c.client.find(namespace, 'team')
  if (space && !space.spec.finalizers?.length)
    c.client.change(namespace, space, old => ({ ...old, spec: { finalizers: ['kubernetes'] } }))
  await c.client.create(
    pod,
    {
      metadata: { name: 'p', namespace: 'team', finalizers: ['x.io/hold'] },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    },
    c.signal,
  )
  await c.client.delete(namespace, { name: 'team' }, {}, c.signal)
  await c.world.pass(2_000)
  const conditions = () =>
    Object.fromEntries((c.client.find(namespace, 'team')?.status.conditions ?? []).map(one => [one.type, one.message]))
  expect(c.client.find(namespace, 'team')?.status.phase).toBe('Terminating')
  expect(conditions()).toMatchObject({
    NamespaceFinalizersRemaining:
      'Some content in the namespace has finalizers remaining: x.io/hold in 1 resource instances',
  })
  expect(c.client.find(configMap, 'kube-root-ca.crt', 'team')).toBeDefined()
  const held = c.client.find(pod, 'p', 'team')
  if (held) c.client.change(pod, held, old => ({ ...old, metadata: { ...old.metadata, finalizers: [] } }))
  await c.world.pass(2_000)
  expect(c.client.find(namespace, 'team')).toBeUndefined()
  expect(c.client.all(configMap, 'team')).toEqual([])
})

test('the root certificate is put right when somebody changes or removes it', async () => {
  await using c = cluster([rootCaController])
  await c.client.create(namespace, { metadata: { name: 'team' } }, c.signal)
  await c.world.pass(100)
  const map = () => c.client.find(configMap, 'kube-root-ca.crt', 'team')
  const found = map()
  if (found) c.client.change(configMap, found, old => ({ ...old, data: { 'ca.crt': 'evil' } }))
  await c.world.pass(100)
  expect(map()?.data).toEqual({ 'ca.crt': 'PEM' })
  await c.client.delete(configMap, { namespace: 'team', name: 'kube-root-ca.crt' }, {}, c.signal)
  await c.world.pass(100)
  expect(map()).toBeDefined()
})

test('what fails for good is tried ever more rarely, and does not drive itself', async () => {
  await using c = cluster(workloads)
  let attempts = 0
  c.client.refuse = (verb, kind) => {
    if (verb !== 'create' || kind !== pod) return undefined
    attempts += 1
    return new ApiError('Forbidden', `exceeded quota: attempt ${attempts}`)
  }
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  await c.client.create(
    deployment,
    { metadata: web, spec: { replicas: 3, selector: { matchLabels: { app: 'web' } }, template } },
    c.signal,
  )
  await c.world.pass(600_000)
  expect(attempts).toBeLessThan(40)
  expect(c.client.writes.filter(line => line.startsWith('status')).length).toBeLessThan(10)
  expect(c.client.all(replicaSet)[0]?.status.conditions).toMatchObject([
    { type: 'ReplicaFailure', reason: 'FailedCreate' },
  ])
  const types = c.client.find(deployment, 'web')?.status.conditions?.map(({ type }) => type)
  expect(types).toContain('ReplicaFailure')
})

test('an API that refuses for a while only delays', async () => {
  await using c = cluster(workloads)
  let failures = 12
  c.client.refuse = () => (failures-- > 0 ? new ApiError('ServiceUnavailable', 'no leader') : undefined)
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  failures = 0
  await c.client.create(
    deployment,
    { metadata: web, spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template } },
    c.signal,
  )
  failures = 12
  await c.world.pass(120_000)
  expect(c.client.all(pod)).toHaveLength(2)
})
