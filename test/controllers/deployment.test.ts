import { expect, test } from 'vitest'
import { type Deployment, deployment } from '../../src/api/kinds/deployment.ts'
import { event } from '../../src/api/kinds/event.ts'
import { pod } from '../../src/api/kinds/pod.ts'
import { replicaSet } from '../../src/api/kinds/replicaset.ts'
import { deploymentController } from '../../src/controllers/deployment.ts'
import { replicaSetController } from '../../src/controllers/replicaset.ts'
import { assert } from '../../src/lib/assert.ts'
import { type Cluster, cluster, kubelets } from './cluster.ts'

const both = [deploymentController, replicaSetController]

async function deploy(c: Cluster, spec: Record<string, unknown> = {}): Promise<Deployment> {
  return await c.client.create(
    deployment,
    {
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'web:1' }] } },
        ...spec,
      },
    },
    c.signal,
  )
}

function withImage(image: string) {
  return (d: Deployment): Deployment => {
    const { template } = d.spec
    const containers = template.spec.containers.map(container => ({ ...container, image }))
    return { ...d, spec: { ...d.spec, template: { ...template, spec: { ...template.spec, containers } } } }
  }
}

const web = (c: Cluster) => c.client.find(deployment, 'web') as Deployment
const images = (c: Cluster) => c.client.all(pod).map(one => one.spec.containers[0]?.image)
const ready = (c: Cluster) =>
  c.client.all(pod).filter(one => one.status.conditions?.some(x => x.type === 'Ready' && x.status === 'True'))
const condition = (c: Cluster, type: string) => web(c).status.conditions?.find(one => one.type === type)

async function rollOut(
  c: Cluster,
  isBroken?: Parameters<typeof kubelets>[1],
  check: () => void = () => {},
): Promise<void> {
  await c.world.until(
    () => {
      kubelets(c, isBroken)
      check()
      return (
        condition(c, 'Progressing')?.reason === 'NewReplicaSetAvailable' &&
        web(c).status.observedGeneration === web(c).metadata.generation
      )
    },
    60_000,
    'rolled out',
  )
  await c.world.pass(100)
}

test('a Deployment gets one ReplicaSet, its pods, and a full status', async () => {
  await using c = cluster(both)
  await deploy(c)
  await rollOut(c)
  const [set] = c.client.all(replicaSet)
  expect(set?.metadata.name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{8,10}$/)
  expect(set?.metadata.annotations).toEqual({
    'deployment.kubernetes.io/desired-replicas': '3',
    'deployment.kubernetes.io/max-replicas': '4',
    'deployment.kubernetes.io/revision': '1',
  })
  expect(c.client.all(pod)).toHaveLength(3)
  expect(web(c).metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('1')
  expect(web(c).status).toMatchObject({
    observedGeneration: 1,
    replicas: 3,
    updatedReplicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
  })
  expect(web(c).status.unavailableReplicas).toBeUndefined()
  expect(condition(c, 'Available')).toMatchObject({ status: 'True', reason: 'MinimumReplicasAvailable' })
  expect(condition(c, 'Progressing')?.message).toBe(`ReplicaSet "${set?.metadata.name}" has successfully progressed.`)
  const reasons = c.client.all(event).map(one => `${one.reason}: ${one.message}`)
  expect(reasons).toContain(`ScalingReplicaSet: Scaled up replica set ${set?.metadata.name} from 0 to 3`)
  expect(reasons.filter(text => text.startsWith('SuccessfulCreate: Created pod: web-'))).toHaveLength(3)
})

test('a settled cluster writes nothing', async () => {
  await using c = cluster(both)
  await deploy(c)
  await rollOut(c)
  await c.world.pass(1_000)
  const before = c.client.writes.length
  await c.world.pass(3_600_000)
  expect(c.client.writes.slice(before)).toEqual([])
})

test.each([
  ['1', '0'],
  ['0', '1'],
  ['25%', '25%'],
  ['100%', '0'],
  ['50%', '50%'],
])(
  'a rolling update with maxSurge %s, maxUnavailable %s keeps within both at every moment',
  async (maxSurge, maxUnavailable) => {
    await using c = cluster(both)
    const number = (text: string) => (text.endsWith('%') ? text : Number(text))
    const share = (text: string) => (text.endsWith('%') ? (Number(text.slice(0, -1)) * 8) / 100 : Number(text))
    await deploy(c, {
      replicas: 8,
      strategy: { rollingUpdate: { maxSurge: number(maxSurge), maxUnavailable: number(maxUnavailable) } },
    })
    await rollOut(c)
    c.client.change(deployment, web(c), withImage('web:2'))
    let [most, least] = [0, 99]
    await rollOut(c, undefined, () => {
      most = Math.max(most, c.client.all(pod).length)
      least = Math.min(least, ready(c).length)
    })
    expect(most).toBeLessThanOrEqual(8 + Math.ceil(share(maxSurge)))
    expect(least).toBeGreaterThanOrEqual(8 - Math.floor(share(maxUnavailable)))
    expect(images(c)).toEqual(Array.from({ length: 8 }, () => 'web:2'))
    expect(
      c.client
        .all(replicaSet)
        .map(set => set.spec.replicas)
        .sort(),
    ).toEqual([0, 8])
  },
)

test('a template that never becomes ready stops at maxUnavailable, and rolling back keeps the revisions that kubectl shows', async () => {
  await using c = cluster(both)
  await deploy(c, { replicas: 4, progressDeadlineSeconds: 30 })
  await rollOut(c)
  const good = web(c)
  c.client.change(deployment, web(c), withImage('web:404'))
  await c.world.until(() => {
    kubelets(c, one => one.spec.containers[0]?.image === 'web:404')
    return condition(c, 'Progressing')?.reason === 'ProgressDeadlineExceeded'
  })
  expect(ready(c).length).toBe(3)
  expect(condition(c, 'Progressing')).toMatchObject({ status: 'False' })
  c.client.change(deployment, web(c), now => ({ ...now, spec: { ...now.spec, template: good.spec.template } }))
  await rollOut(c)
  const sets = c.client.all(replicaSet).map(set => ({ size: set.spec.replicas, ...set.metadata.annotations }))
  expect(sets.find(set => set.size === 4)).toMatchObject({
    'deployment.kubernetes.io/revision': '3',
    'deployment.kubernetes.io/revision-history': '1',
  })
  expect(web(c).metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3')
})

test('Recreate has no old pod left before the first new one is made', async () => {
  await using c = cluster(both)
  await deploy(c, { strategy: { type: 'Recreate' } })
  await rollOut(c)
  c.client.change(deployment, web(c), withImage('web:2'))
  await rollOut(c, undefined, () => expect(new Set(images(c)).size).toBeLessThanOrEqual(1))
  expect(images(c)).toEqual(['web:2', 'web:2', 'web:2'])
})

test('a paused Deployment scales but does not roll, and rolls when resumed', async () => {
  await using c = cluster(both)
  await deploy(c)
  await rollOut(c)
  c.client.change(deployment, web(c), d => withImage('web:2')({ ...d, spec: { ...d.spec, paused: true, replicas: 5 } }))
  await c.world.until(() => {
    kubelets(c)
    return c.client.all(pod).length === 5 && condition(c, 'Progressing')?.reason === 'DeploymentPaused'
  })
  expect(new Set(images(c))).toEqual(new Set(['web:1']))
  c.client.change(deployment, web(c), d => ({ ...d, spec: { ...d.spec, paused: false } }))
  await rollOut(c)
  expect(new Set(images(c))).toEqual(new Set(['web:2']))
})

test('scaling in the middle of a rollout is shared in proportion', async () => {
  await using c = cluster(both)
  await deploy(c, { replicas: 10, strategy: { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } })
  await rollOut(c)
  c.client.change(deployment, web(c), withImage('web:404'))
  const isBroken = {
    isBroken: (one: { spec: { containers: readonly { image?: string }[] } }) =>
      one.spec.containers[0]?.image === 'web:404',
  }
  for (let i = 0; i < 20; i++) {
    kubelets(c, isBroken.isBroken)
    await c.world.pass(200)
  }
  const sizes = () =>
    c.client
      .all(replicaSet)
      .map(set => set.spec.replicas)
      .sort((a, b) => a - b)
  // As in the Kubernetes documentation: 8 old and 5 new become 18 and 12 when 10 wanted become 30 - upstream's e2e: 20 and 13 of 33.
  expect(sizes()).toEqual([5, 8])
  c.client.change(deployment, web(c), d => ({ ...d, spec: { ...d.spec, replicas: 30 } }))
  await c.world.pass(500)
  expect(sizes()).toEqual([13, 20])
})

test('only revisionHistoryLimit old sets are kept', async () => {
  await using c = cluster(both)
  await deploy(c, { replicas: 1, revisionHistoryLimit: 2 })
  await rollOut(c)
  for (const version of [2, 3, 4, 5]) {
    c.client.change(deployment, web(c), withImage(`web:${version}`))
    await rollOut(c)
  }
  const revisions = c.client.all(replicaSet).map(set => set.metadata.annotations?.['deployment.kubernetes.io/revision'])
  expect(revisions.sort()).toEqual(['3', '4', '5'])
})

test('a ReplicaSet name that belongs to somebody else is stepped around by collisionCount', async () => {
  await using c = cluster(both)
  await deploy(c)
  await rollOut(c)
  const [set] = c.client.all(replicaSet)
  assert(set !== undefined, 'no set')
  await c.client.delete(deployment, { namespace: 'default', name: 'web' }, {}, c.signal)
  await c.world.pass(100)
  c.client.change(replicaSet, set, old => ({
    ...old,
    metadata: { ...old.metadata, ownerReferences: [], labels: { other: 'x' } },
  }))
  await deploy(c)
  await rollOut(c)
  expect(web(c).status.collisionCount).toBe(1)
  expect(c.client.all(replicaSet)).toHaveLength(2)
})

test('a watch that lags never makes pods twice', async () => {
  await using c = cluster(both)
  c.client.lagMs = 300
  await deploy(c, { replicas: 20 })
  await c.world.pass(60_000)
  expect(c.client.all(pod)).toHaveLength(20)
  expect(c.client.writes.filter(line => line.startsWith('create pods'))).toHaveLength(20)
})
