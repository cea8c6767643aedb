import { expect, test } from 'vitest'
import { type Node, node } from '../../src/api/kinds/node.ts'
import { pod } from '../../src/api/kinds/pod.ts'
import type { Taint } from '../../src/api/types/affinity.ts'
import { evictionMs, nodeHealthController } from '../../src/controllers/nodehealth.ts'
import { podCidrController } from '../../src/controllers/podcidr.ts'
import { podGarbageController } from '../../src/controllers/podgarbage.ts'
import { rfc3339 } from '../../src/lib/duration.ts'
import { peerId } from '../../src/world/network.ts'
import { aPod } from '../scheduler/objects.ts'
import { asReady, type Cluster, cluster } from './cluster.ts'
import { type ToldGossip, toldGossip } from './gossip.ts'

type Started = Cluster & { readonly gossip: ToldGossip }

function start(): Started {
  let world: Cluster['world'] | undefined
  const gossip = toldGossip(() => {
    if (world === undefined) throw new Error('no world yet')
    return world
  })
  const controllers = [nodeHealthController, podCidrController, podGarbageController]
  const c = cluster(controllers, { gossip, peerOf: one => peerId(`peer-${one.metadata.name}`) })
  world = c.world
  return Object.assign(c, { gossip })
}

async function join(s: Started, name: string): Promise<void> {
  await s.client.create(node, { metadata: { name } }, s.signal)
  markReady(s, name)
  s.gossip.say(name, 'alive')
  await s.world.pass(100)
}

function markReady(s: Started, name: string): void {
  const now = rfc3339(s.world.clock.nowMs())
  const conditions = [{ type: 'Ready', status: 'True' as const, reason: 'KubeletReady', lastTransitionTime: now }]
  s.client.change(node, get(s, name), old => ({ ...old, status: { ...old.status, conditions } }), 'status')
}

const get = (s: Started, name: string) => s.client.find(node, name) as Node
const ready = (s: Started, name: string) => get(s, name).status.conditions?.find(one => one.type === 'Ready')?.status
const taints = (s: Started, name: string) =>
  (get(s, name).spec.taints ?? []).map(({ key, effect }) => `${key.split('/')[1]}:${effect}`)

async function run(s: Started, name: string, nodeName: string, tolerationSeconds: number): Promise<void> {
  const keys = ['node.kubernetes.io/unreachable', 'node.kubernetes.io/not-ready']
  const tolerations = keys.map(key => ({
    key,
    operator: 'Exists' as const,
    effect: 'NoExecute' as const,
    tolerationSeconds,
  }))
  const made = await s.client.create(
    pod,
    {
      metadata: { name, namespace: 'default' },
      spec: { nodeName, tolerations, containers: [{ name: 'c', image: 'i' }] },
    },
    s.signal,
  )
  s.client.change(pod, made, old => asReady(old, s.world.clock.nowMs()), 'status')
}

const isLeaving = (s: Started, name: string) => s.client.find(pod, name)?.metadata.deletionTimestamp !== undefined
const isReady = (s: Started, name: string) =>
  s.client.find(pod, name)?.status.conditions?.find(one => one.type === 'Ready')?.status

test('one of three nodes dies: Unknown, tainted, its pods leave the services at once and are evicted in time', async () => {
  await using s = start()
  for (const name of ['a', 'b', 'c']) await join(s, name)
  await run(s, 'web', 'b', 5)
  await run(s, 'slow', 'b', 300)
  await s.world.pass(10_000)
  expect(taints(s, 'b')).toEqual([])
  s.gossip.say('b', 'suspect')
  await s.world.pass(10_000)
  expect(ready(s, 'b')).toBe('True')
  s.gossip.say('b', 'dead')
  await s.world.pass(100)
  expect(ready(s, 'b')).toBe('Unknown')
  expect(taints(s, 'b')).toEqual(['unreachable:NoSchedule', 'unreachable:NoExecute'])
  expect(isReady(s, 'web')).toBe('False')
  expect(isLeaving(s, 'web')).toBe(false)
  await s.world.pass(6_000)
  expect(isLeaving(s, 'web')).toBe(true)
  expect(isLeaving(s, 'slow')).toBe(false)
  expect(s.client.find(pod, 'web')?.status.conditions?.find(one => one.type === 'DisruptionTarget')?.reason).toBe(
    'DeletionByTaintManager',
  )
  await s.world.pass(300_000)
  expect(isLeaving(s, 'slow')).toBe(true)
})

test('a node that comes back in time keeps its pods and loses its taints', async () => {
  await using s = start()
  for (const name of ['a', 'b', 'c']) await join(s, name)
  await run(s, 'web', 'b', 60)
  await s.world.pass(10_000)
  s.gossip.say('b', 'dead')
  await s.world.pass(10_000)
  s.gossip.say('b', 'alive')
  markReady(s, 'b')
  await s.world.pass(100)
  expect(taints(s, 'b')).toEqual([])
  await s.world.pass(600_000)
  expect(isLeaving(s, 'web')).toBe(false)
})

test('a node whose kubelet does not speak up is taken back on the word of its peer', async () => {
  await using s = start()
  for (const name of ['a', 'b', 'c']) await join(s, name)
  await s.world.pass(10_000)
  s.gossip.say('b', 'dead')
  await s.world.pass(10_000)
  s.gossip.say('b', 'alive')
  await s.world.pass(10_000)
  expect(ready(s, 'b')).toBe('True')
  expect(taints(s, 'b')).toEqual([])
})

test('when most nodes look dead nothing is evicted, and eviction goes on when they are back', async () => {
  await using s = start()
  for (const name of ['a', 'b', 'c', 'd', 'e']) await join(s, name)
  await run(s, 'web', 'c', 5)
  await s.world.pass(10_000)
  for (const name of ['c', 'd', 'e']) s.gossip.say(name, 'dead')
  await s.world.pass(60_000)
  expect(ready(s, 'c')).toBe('Unknown')
  expect(isReady(s, 'web')).toBe('False')
  expect(isLeaving(s, 'web')).toBe(false)
  for (const name of ['d', 'e']) s.gossip.say(name, 'alive')
  await s.world.pass(30_000)
  expect(isLeaving(s, 'web')).toBe(true)
})

test('a kubelet that can still write is not called silent over and over', async () => {
  await using s = start()
  for (const name of ['a', 'b', 'c']) await join(s, name)
  s.gossip.say('b', 'dead')
  await s.world.pass(3_000)
  expect(ready(s, 'b')).toBe('True')
})

test('a cordoned node and one under pressure carry the taints of Kubernetes', async () => {
  await using s = start()
  await join(s, 'a')
  const mine: Taint = { key: 'mine', effect: 'NoSchedule' }
  s.client.change(node, get(s, 'a'), old => ({ ...old, spec: { ...old.spec, unschedulable: true, taints: [mine] } }))
  const pressure = { type: 'DiskPressure', status: 'True' as const }
  const withPressure = (old: Node): Node => ({
    ...old,
    status: { ...old.status, conditions: [...(old.status.conditions ?? []), pressure] },
  })
  s.client.change(node, get(s, 'a'), withPressure, 'status')
  await s.world.pass(100)
  const keys = () => get(s, 'a').spec.taints?.map(({ key }) => key)
  expect(keys()).toEqual(['mine', 'node.kubernetes.io/unschedulable', 'node.kubernetes.io/disk-pressure'])
  s.client.change(node, get(s, 'a'), ({ spec: { unschedulable: _, ...spec }, ...old }) => ({ ...old, spec }))
  await s.world.pass(100)
  expect(keys()).toEqual(['mine', 'node.kubernetes.io/disk-pressure'])
})

test.each<[string, Parameters<typeof aPod>[1], number]>([
  ['none: at once', {}, Number.NEGATIVE_INFINITY],
  ['forever', { tolerations: [{ operator: 'Exists' }] }, Number.POSITIVE_INFINITY],
  ['60 seconds', { tolerations: [{ key: 'k', operator: 'Exists', tolerationSeconds: 60 }] }, 61_000],
  [
    'the shortest counts',
    {
      tolerations: [
        { key: 'k', operator: 'Exists', tolerationSeconds: 60 },
        { operator: 'Exists', tolerationSeconds: 10 },
      ],
    },
    11_000,
  ],
  [
    'another effect',
    { tolerations: [{ key: 'k', operator: 'Exists', effect: 'NoSchedule' }] },
    Number.NEGATIVE_INFINITY,
  ],
])('tolerations: %s', (_, spec, expected) => {
  const taint: Taint = { key: 'k', effect: 'NoExecute', timeAdded: '1970-01-01T00:00:01Z' }
  expect(evictionMs(aPod('p', spec), [taint], 5_000)).toBe(expected)
})

test('every node gets a range of its own, and a range is free again when its node is deleted', async () => {
  await using s = start()
  for (const name of ['a', 'b', 'c']) await join(s, name)
  const ranges = () => s.client.all(node).map(one => one.spec.podCIDR)
  expect(ranges()).toEqual(['10.42.0.0/24', '10.42.1.0/24', '10.42.2.0/24'])
  await s.client.delete(node, { name: 'b' }, {}, s.signal)
  await join(s, 'd')
  expect(get(s, 'd').spec.podCIDRs).toEqual(['10.42.1.0/24'])
})

test('pods of a deleted node fail and go', async () => {
  await using s = start()
  for (const name of ['a', 'b']) await join(s, name)
  await run(s, 'web', 'b', 300)
  await s.client.delete(node, { name: 'b' }, {}, s.signal)
  await s.world.pass(5_000)
  expect(s.client.find(pod, 'web')).toBeUndefined()
  expect(s.client.writes).toContain('patch pods default/web')
})
