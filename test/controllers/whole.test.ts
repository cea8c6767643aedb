// All controllers and the scheduler together, against the API in memory, with stand-ins for the kubelets.
import { expect, test } from 'vitest'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { daemonSet } from '../../src/api/kinds/daemonset.ts'
import { deployment } from '../../src/api/kinds/deployment.ts'
import { endpoints } from '../../src/api/kinds/endpoints.ts'
import { endpointSlice } from '../../src/api/kinds/endpointslice.ts'
import { event } from '../../src/api/kinds/event.ts'
import { namespace } from '../../src/api/kinds/namespace.ts'
import { type Node, node } from '../../src/api/kinds/node.ts'
import { type Pod, pod } from '../../src/api/kinds/pod.ts'
import { secret } from '../../src/api/kinds/secret.ts'
import { service } from '../../src/api/kinds/service.ts'
import { controllers } from '../../src/controllers/all.ts'
import { rfc3339 } from '../../src/lib/duration.ts'
import { runScheduler } from '../../src/scheduler/run.ts'
import { peerId } from '../../src/world/network.ts'
import { asReady, type Cluster, cluster } from './cluster.ts'
import { type ToldGossip, toldGossip } from './gossip.ts'

type Whole = Cluster & { readonly gossip: ToldGossip; tend(ms: number): Promise<void>; readonly dead: Set<string> }

async function whole(names: readonly string[]): Promise<Whole> {
  let world: Cluster['world'] | undefined
  const gossip = toldGossip(() => {
    if (world === undefined) throw new Error('no world yet')
    return world
  })
  const addresses = names.map((nodeName, i) => ({ ip: `192.0.2.${i + 1}`, port: 6_443, nodeName }))
  const c = cluster(controllers, {
    gossip,
    peerOf: one => peerId(`peer-${one.metadata.name}`),
    apiAddresses: () => addresses,
  })
  world = c.world
  const scheduling = runScheduler(c.world, c.client, c.signal)
  const dead = new Set<string>()
  for (const name of ['default', 'kube-system']) await c.client.create(namespace, { metadata: { name } }, c.signal)
  for (const name of names) {
    await c.client.create(node, { metadata: { name, labels: { 'kubernetes.io/hostname': name } } }, c.signal)
    gossip.say(name, 'alive')
  }

  /** One round of every living kubelet: its Node, its pods. */
  function kubelets(): void {
    const now = rfc3339(c.world.clock.nowMs())
    for (const one of c.client.all(node)) {
      const ready = one.status.conditions?.find(({ type }) => type === 'Ready')
      if (dead.has(one.metadata.name) || ready?.status === 'True') continue
      const allocatable = { cpu: '4', memory: '8Gi', pods: '110' }
      const conditions = [{ type: 'Ready', status: 'True' as const, reason: 'KubeletReady', lastTransitionTime: now }]
      c.client.change(
        node,
        one,
        (old: Node) => ({ ...old, status: { ...old.status, conditions, allocatable, capacity: allocatable } }),
        'status',
      )
    }
    for (const [i, one] of c.client.all(pod).entries()) {
      if (!one.spec.nodeName || dead.has(one.spec.nodeName)) continue
      const key = { namespace: one.metadata.namespace ?? '', name: one.metadata.name }
      const isReady = one.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
      if (one.metadata.deletionTimestamp !== undefined)
        void c.client.delete(pod, key, { gracePeriodSeconds: 0 }, c.signal)
      else if (!isReady)
        c.client.change(pod, one, (old: Pod) => asReady(old, c.world.clock.nowMs(), `10.42.1.${i + 1}`), 'status')
    }
  }

  return {
    ...c,
    gossip,
    dead,
    async tend(ms) {
      for (let passed = 0; passed < ms; passed += 500) {
        kubelets()
        await c.world.pass(500)
      }
    },
    async [Symbol.asyncDispose]() {
      await c[Symbol.asyncDispose]()
      await scheduling
    },
  }
}

const toleration = (key: string) => ({
  key: `node.kubernetes.io/${key}`,
  operator: 'Exists' as const,
  effect: 'NoExecute' as const,
  tolerationSeconds: 10,
})

async function deploy(c: Whole, replicas: number): Promise<void> {
  const tolerations = [toleration('unreachable'), toleration('not-ready')]
  const labels = { app: 'web' }
  const template = {
    metadata: { labels },
    spec: { tolerations, containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '100m' } } }] },
  }
  await c.client.create(
    deployment,
    {
      metadata: { name: 'web', namespace: 'default' },
      spec: { replicas, selector: { matchLabels: labels }, template },
    },
    c.signal,
  )
  await c.client.create(
    service,
    {
      metadata: { name: 'web', namespace: 'default' },
      spec: { selector: labels, clusterIP: '10.43.0.9', ports: [{ port: 80 }] },
    },
    c.signal,
  )
  const agent = { app: 'agent' }
  await c.client.create(
    daemonSet,
    {
      metadata: { name: 'agent', namespace: 'default' },
      spec: {
        selector: { matchLabels: agent },
        template: { metadata: { labels: agent }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    },
    c.signal,
  )
}

const running = (c: Whole, app: string) =>
  c.client.all(pod).filter(one => one.metadata.labels?.['app'] === app && one.metadata.deletionTimestamp === undefined)
const serving = (c: Whole) =>
  c.client
    .all(endpointSlice)
    .filter(one => one.metadata.name.startsWith('web'))
    .flatMap(one => one.endpoints.filter(x => x.conditions?.ready).map(x => x.nodeName))

test('from an empty cluster to a served Deployment, and through the death and return of a node', async () => {
  await using c = await whole(['a', 'b', 'c'])
  await deploy(c, 6)
  await c.tend(10_000)
  expect(
    running(c, 'web')
      .map(one => one.spec.nodeName)
      .sort(),
  ).toEqual(['a', 'a', 'b', 'b', 'c', 'c'])
  expect(
    running(c, 'agent')
      .map(one => one.spec.nodeName)
      .sort(),
  ).toEqual(['a', 'b', 'c'])
  expect(serving(c)).toHaveLength(6)
  expect(c.client.all(node).map(one => one.spec.podCIDR)).toEqual(['10.42.0.0/24', '10.42.1.0/24', '10.42.2.0/24'])
  expect(c.client.find(configMap, 'kube-root-ca.crt')).toBeDefined()
  expect(c.client.find(service, 'kubernetes')?.spec.clusterIP).toBe('10.43.0.1')
  expect(c.client.find(endpoints, 'kubernetes')?.subsets?.[0]?.addresses).toHaveLength(3)

  c.dead.add('b')
  c.gossip.say('b', 'dead')
  await c.tend(1_000)
  expect(serving(c).filter(name => name === 'b')).toEqual([])
  await c.tend(14_000)
  const after = running(c, 'web')
  expect(after).toHaveLength(6)
  expect(after.filter(one => one.spec.nodeName === 'b')).toEqual([])
  expect(serving(c)).toHaveLength(6)
  expect(c.client.find(endpoints, 'kubernetes')?.subsets?.[0]?.addresses).toHaveLength(2)
  // The daemon of the silent node stays: it is bound to it.
  expect(running(c, 'agent')).toHaveLength(3)

  c.dead.delete('b')
  c.gossip.say('b', 'alive')
  await c.tend(10_000)
  expect(running(c, 'web')).toHaveLength(6)
  expect(c.client.all(pod).filter(one => one.metadata.deletionTimestamp !== undefined)).toEqual([])
  expect(c.client.find(node, 'b')?.spec.taints ?? []).toEqual([])
  expect(c.client.find(endpoints, 'kubernetes')?.subsets?.[0]?.addresses).toHaveLength(3)
})

test('an idle cluster writes nothing but the removal of old Events', async () => {
  await using c = await whole(['a', 'b', 'c'])
  await deploy(c, 6)
  await c.tend(20_000)
  const before = c.client.writes.length
  await c.world.pass(7_200_000)
  expect(c.client.writes.slice(before).filter(line => !line.startsWith('delete events'))).toEqual([])
  expect(c.client.all(event)).toEqual([])
})

test('a join token goes an hour after it expired', async () => {
  await using c = await whole(['a'])
  const record = btoa(JSON.stringify({ expiresMs: c.world.clock.nowMs() + 60_000 }))
  const make = (name: string, data: Record<string, string>) =>
    c.client.create(
      secret,
      { metadata: { name, namespace: 'kube-system' }, type: 'flotilla.dev/join-token', data },
      c.signal,
    )
  await make('token', { record })
  await make('unread', { record: btoa('?') })
  await c.world.pass(3_600_000)
  expect(c.client.all(secret)).toHaveLength(2)
  await c.world.pass(62_000)
  expect(c.client.all(secret).map(one => one.metadata.name)).toEqual(['unread'])
})
