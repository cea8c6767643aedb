import { expect, test } from 'vitest'
import { controllerRevision } from '../../src/api/kinds/controllerrevision.ts'
import { type DaemonSet, daemonSet } from '../../src/api/kinds/daemonset.ts'
import { node } from '../../src/api/kinds/node.ts'
import { type Pod, pod } from '../../src/api/kinds/pod.ts'
import { targetNode } from '../../src/controllers/daemonpods.ts'
import { daemonSetController } from '../../src/controllers/daemonset.ts'
import { type Cluster, cluster, kubelets } from './cluster.ts'

async function addNode(
  c: Cluster,
  name: string,
  more: {
    labels?: Record<string, string>
    taints?: readonly { key: string; effect: 'NoSchedule' | 'NoExecute' }[]
  } = {},
) {
  await c.client.create(
    node,
    {
      metadata: { name, ...(more.labels && { labels: more.labels }) },
      spec: { ...(more.taints && { taints: more.taints }) },
    },
    c.signal,
  )
}

async function deploy(c: Cluster, spec: Partial<DaemonSet['spec']> = {}, podSpec: object = {}): Promise<void> {
  await c.client.create(
    daemonSet,
    {
      metadata: { name: 'agent', namespace: 'default', annotations: { 'kubernetes.io/change-cause': 'first' } },
      spec: {
        selector: { matchLabels: { app: 'agent' } },
        template: {
          metadata: { labels: { app: 'agent' } },
          spec: { containers: [{ name: 'c', image: 'agent:1' }], ...podSpec },
        },
        ...spec,
      },
    },
    c.signal,
  )
}

const set = (c: Cluster) => c.client.find(daemonSet, 'agent') as DaemonSet
const places = (c: Cluster) => c.client.all(pod).map(targetNode).sort()
const image = (one: Pod) => one.spec.containers[0]?.image
const withImage =
  (text: string) =>
  (old: DaemonSet): DaemonSet => {
    const { template } = old.spec
    const containers = template.spec.containers.map(one => ({ ...one, image: text }))
    return { ...old, spec: { ...old.spec, template: { ...template, spec: { ...template.spec, containers } } } }
  }

/** Binds as the scheduler would, then one round of all kubelets. */
function round(c: Cluster, isBroken?: (one: Pod) => boolean): void {
  for (const one of c.client.all(pod)) {
    if (one.metadata.deletionTimestamp !== undefined)
      void c.client.delete(pod, { namespace: 'default', name: one.metadata.name }, { gracePeriodSeconds: 0 }, c.signal)
    else if (!one.spec.nodeName)
      void c.client.post(
        pod,
        { namespace: 'default', name: one.metadata.name },
        'binding',
        { target: { name: targetNode(one) } },
        c.signal,
      )
  }
  kubelets(c, isBroken)
}

async function settle(c: Cluster, check: () => void = () => {}): Promise<void> {
  for (let i = 0; i < 40; i++) {
    round(c)
    await c.world.pass(250)
    check()
  }
}

test('one pod per node that fits, bound by the name of the node, on new nodes too', async () => {
  await using c = cluster([daemonSetController])
  await addNode(c, 'a', { labels: { disk: 'ssd' } })
  await addNode(c, 'b')
  await addNode(c, 'cordoned', {
    labels: { disk: 'ssd' },
    taints: [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }],
  })
  await addNode(c, 'tainted', { labels: { disk: 'ssd' }, taints: [{ key: 'gpu', effect: 'NoSchedule' }] })
  await deploy(c, {}, { nodeSelector: { disk: 'ssd' } })
  await settle(c)
  expect(places(c)).toEqual(['a', 'cordoned'])
  await addNode(c, 'd', { labels: { disk: 'ssd' } })
  await settle(c)
  expect(places(c)).toEqual(['a', 'cordoned', 'd'])
  expect(set(c).status).toMatchObject({
    desiredNumberScheduled: 3,
    currentNumberScheduled: 3,
    numberReady: 3,
    numberAvailable: 3,
    updatedNumberScheduled: 3,
    numberMisscheduled: 0,
    observedGeneration: 1,
  })
  const [first] = c.client.all(node)
  if (first) c.client.change(node, first, old => ({ ...old, metadata: { ...old.metadata, labels: {} } }))
  await settle(c)
  expect(places(c)).toEqual(['cordoned', 'd'])
})

test('a rolling update takes one node at a time and keeps its history for kubectl', async () => {
  await using c = cluster([daemonSetController])
  for (const name of ['a', 'b', 'c', 'd']) await addNode(c, name)
  await deploy(c)
  await settle(c)
  c.client.change(daemonSet, set(c), withImage('agent:2'))
  let least = 99
  await settle(c, () => {
    least = Math.min(
      least,
      c.client
        .all(pod)
        .filter(
          one =>
            one.status.conditions?.some(x => x.type === 'Ready' && x.status === 'True') &&
            one.metadata.deletionTimestamp === undefined,
        ).length,
    )
  })
  expect(least).toBeGreaterThanOrEqual(3)
  expect(c.client.all(pod).map(image)).toEqual(['agent:2', 'agent:2', 'agent:2', 'agent:2'])
  const revisions = c.client.all(controllerRevision).toSorted((a, b) => a.revision - b.revision)
  expect(revisions.map(({ revision }) => revision)).toEqual([1, 2])
  expect(revisions[0]).toMatchObject({
    data: { spec: { template: { $patch: 'replace', spec: { containers: [{ image: 'agent:1' }] } } } },
    metadata: { annotations: { 'kubernetes.io/change-cause': 'first' } },
  })
  // kubectl rollout undo sends this very patch.
  const body = revisions[0]?.data ?? null
  await c.client.patch(daemonSet, { namespace: 'default', name: 'agent' }, { type: 'strategic', body }, c.signal)
  await settle(c)
  expect(c.client.all(pod).map(image)).toEqual(['agent:1', 'agent:1', 'agent:1', 'agent:1'])
  expect(
    c.client
      .all(controllerRevision)
      .map(({ revision }) => revision)
      .sort(),
  ).toEqual([2, 3])
})

test('a rollback leaves alone the pods that already run the old template', async () => {
  await using c = cluster([daemonSetController])
  for (const name of ['a', 'b', 'c']) await addNode(c, name)
  await deploy(c)
  await settle(c)
  const good = set(c).spec.template
  const before = new Set(c.client.all(pod).map(one => one.metadata.uid))
  c.client.change(daemonSet, set(c), withImage('agent:404'))
  for (let i = 0; i < 20; i++) {
    round(c, one => image(one) === 'agent:404')
    await c.world.pass(250)
  }
  expect(c.client.all(pod).filter(one => before.has(one.metadata.uid))).toHaveLength(2)
  c.client.change(daemonSet, set(c), old => ({ ...old, spec: { ...old.spec, template: good } }))
  await settle(c)
  expect(c.client.all(pod).filter(one => before.has(one.metadata.uid))).toHaveLength(2)
  expect(c.client.all(pod).map(image)).toEqual(['agent:1', 'agent:1', 'agent:1'])
})

test('with maxSurge the new pod is there before the old one goes', async () => {
  await using c = cluster([daemonSetController])
  for (const name of ['a', 'b', 'c']) await addNode(c, name)
  await deploy(c, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } })
  await settle(c)
  c.client.change(daemonSet, set(c), withImage('agent:2'))
  let [least, most] = [99, 0]
  await settle(c, () => {
    const there = c.client.all(pod).filter(one => one.metadata.deletionTimestamp === undefined)
    most = Math.max(most, there.length)
    least = Math.min(least, new Set(there.filter(one => one.status.phase === 'Running').map(targetNode)).size)
  })
  expect([least, most]).toEqual([3, 4])
  expect(c.client.all(pod).map(image)).toEqual(['agent:2', 'agent:2', 'agent:2'])
})

test('OnDelete waits for somebody to delete the old pods', async () => {
  await using c = cluster([daemonSetController])
  for (const name of ['a', 'b']) await addNode(c, name)
  await deploy(c, { updateStrategy: { type: 'OnDelete' } })
  await settle(c)
  c.client.change(daemonSet, set(c), withImage('agent:2'))
  await settle(c)
  expect(c.client.all(pod).map(image)).toEqual(['agent:1', 'agent:1'])
  const [first] = c.client.all(pod)
  await c.client.delete(pod, { namespace: 'default', name: first?.metadata.name ?? '' }, {}, c.signal)
  await settle(c)
  expect(c.client.all(pod).map(image).sort()).toEqual(['agent:1', 'agent:2'])
})

test('a failed pod is replaced after a while', async () => {
  await using c = cluster([daemonSetController])
  await addNode(c, 'a')
  await deploy(c)
  await settle(c)
  const [first] = c.client.all(pod)
  if (first)
    c.client.change(pod, first, old => ({ ...old, status: { ...old.status, phase: 'Failed' as const } }), 'status')
  await settle(c)
  expect(c.client.all(pod)).toHaveLength(1)
  expect(c.client.all(pod)[0]?.metadata.uid).not.toBe(first?.metadata.uid)
})

test('a settled set writes nothing', async () => {
  await using c = cluster([daemonSetController])
  await addNode(c, 'a')
  await deploy(c)
  await settle(c)
  const before = c.client.writes.length
  await c.world.pass(3_600_000)
  expect(c.client.writes.slice(before)).toEqual([])
})
