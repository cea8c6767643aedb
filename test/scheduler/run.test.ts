import { expect, test } from 'vitest'
import { ApiError } from '../../src/api/error.ts'
import { event } from '../../src/api/kinds/event.ts'
import { node } from '../../src/api/kinds/node.ts'
import { pod } from '../../src/api/kinds/pod.ts'
import { runScheduler } from '../../src/scheduler/run.ts'
import { memoryClient } from '../client/memory-client.ts'
import { virtualWorld } from '../client/virtual-world.ts'

function start() {
  const world = virtualWorld()
  const client = memoryClient(world)
  const stop = new AbortController()
  const running = runScheduler(world, client, stop.signal)
  return {
    world,
    client,
    signal: stop.signal,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await world.pass(0)
      await running
    },
  }
}
type Started = ReturnType<typeof start>

async function addNode({ client, signal }: Started, name: string, cpu = '1'): Promise<void> {
  const allocatable = { cpu, memory: '4Gi', pods: '110' }
  await client.create(
    node,
    {
      metadata: { name, labels: { 'kubernetes.io/hostname': name } },
      spec: {},
      status: { allocatable, capacity: allocatable },
    },
    signal,
  )
  const made = client.find(node, name)
  if (made !== undefined && made.status.allocatable === undefined)
    client.change(node, made, old => ({ ...old, status: { allocatable, capacity: allocatable } }), 'status')
}

async function addPod({ client, signal }: Started, name: string, cpu = '500m', more: object = {}): Promise<void> {
  await client.create(
    pod,
    {
      metadata: { name, namespace: 'default' },
      spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }], ...more },
    },
    signal,
  )
}

const places = (s: Started) =>
  Object.fromEntries(s.client.all(pod).map(one => [one.metadata.name, one.spec.nodeName ?? '']))
const told = (s: Started, name: string) =>
  s.client
    .all(event)
    .filter(one => one.involvedObject.name === name)
    .map(one => `${one.reason}: ${one.message}`)

test('pods are bound to nodes that have room, and told so', async () => {
  await using s = start()
  await addNode(s, 'n1')
  await addNode(s, 'n2')
  for (const name of ['a', 'b', 'c', 'd']) await addPod(s, name)
  await s.world.pass(1_000)
  expect(Object.values(places(s)).sort()).toEqual(['n1', 'n1', 'n2', 'n2'])
  expect(told(s, 'a')).toEqual([`Scheduled: Successfully assigned default/a to ${places(s)['a']}`])
})

test('a pod that fits nowhere says why, and is bound as soon as there is room', async () => {
  await using s = start()
  await addNode(s, 'n1')
  await addPod(s, 'a', '1')
  await s.world.pass(100)
  await addPod(s, 'b', '1')
  await s.world.pass(100)
  const why =
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.'
  expect(s.client.find(pod, 'b')?.status.conditions).toMatchObject([
    { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: why },
  ])
  expect(told(s, 'b')).toEqual([`FailedScheduling: ${why}`])
  const before = s.client.writes.length
  await s.world.pass(200_000)
  expect(s.client.writes.length).toBe(before)
  await addNode(s, 'n2')
  await s.world.pass(1_500)
  expect(places(s)['b']).toBe('n2')
  await addPod(s, 'c', '1')
  await s.world.pass(2_000)
  await s.client.delete(pod, { namespace: 'default', name: 'a' }, { gracePeriodSeconds: 0 }, s.signal)
  await s.world.pass(12_000)
  expect(places(s)['c']).toBe('n1')
})

test('a binding that fails is tried again, and the room is not lost meanwhile', async () => {
  await using s = start()
  let failures = 2
  s.client.refuse = verb =>
    verb === 'bind' && failures-- > 0 ? new ApiError('ServiceUnavailable', 'no leader') : undefined
  await addNode(s, 'n1')
  await addPod(s, 'a', '1')
  await s.world.pass(10_000)
  expect(places(s)).toEqual({ a: 'n1' })
})

test('a gated pod waits until its gates are gone', async () => {
  await using s = start()
  await addNode(s, 'n1')
  await addPod(s, 'a', '1', { schedulingGates: [{ name: 'x.io/wait' }] })
  await s.world.pass(5_000)
  expect(places(s)).toEqual({ a: '' })
  expect(s.client.find(pod, 'a')?.status.conditions).toMatchObject([{ reason: 'SchedulingGated' }])
  const gated = s.client.find(pod, 'a')
  if (gated) s.client.change(pod, gated, ({ spec, ...rest }) => ({ ...rest, spec: { ...spec, schedulingGates: [] } }))
  await s.world.pass(2_000)
  expect(places(s)).toEqual({ a: 'n1' })
})

test('an important pod takes the place of a lesser one', async () => {
  await using s = start()
  await addNode(s, 'n1')
  await addPod(s, 'low', '1', { priority: 1 })
  await s.world.pass(100)
  await addPod(s, 'high', '1', { priority: 100 })
  await s.world.pass(500)
  expect(s.client.find(pod, 'high')?.status.nominatedNodeName).toBe('n1')
  expect(s.client.find(pod, 'low')?.metadata.deletionTimestamp).toBeDefined()
  await addPod(s, 'thief', '1', { priority: 1 })
  await s.client.delete(pod, { namespace: 'default', name: 'low' }, { gracePeriodSeconds: 0 }, s.signal)
  await s.world.pass(5_000)
  expect(places(s)).toEqual({ high: 'n1', thief: '' })
})
