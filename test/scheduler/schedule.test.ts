import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Pod } from '../../src/api/kinds/pod.ts'
import { preempt } from '../../src/scheduler/preempt.ts'
import { requestsOf } from '../../src/scheduler/requests.ts'
import { explain, schedule } from '../../src/scheduler/schedule.ts'
import { type ClusterView, nodeInfo } from '../../src/scheduler/state.ts'
import { aCluster, aNode, aPod, type PodSpec } from './objects.ts'

const nodeOf = (pod: Pod, view: ClusterView, tie = 0) => {
  const decision = schedule(pod, view, tie)
  return decision.kind === 'bind' ? decision.node : explain(decision.reasons)
}
const on = (node: string, more: PodSpec = {}) => aPod(undefined, { nodeName: node, ...more })
const zones = [
  aNode('a1', { labels: { zone: 'a' } }),
  aNode('a2', { labels: { zone: 'a' } }),
  aNode('b1', { labels: { zone: 'b' } }),
]
const app = (name: string) => ({ matchLabels: { app: name } })

test('requests: init containers count by the largest, sidecars and overhead add up', () => {
  const container = (cpu: string, more: object = {}) => ({ name: 'x', resources: { requests: { cpu } }, ...more })
  const pod = aPod('p', {
    containers: [container('100m'), container('200m')] as never,
    initContainers: [container('50m', { restartPolicy: 'Always' }), container('900m')] as never,
    overhead: { cpu: '10m' },
  })
  expect(requestsOf(pod).get('cpu')).toBe(960)
})

test('without nodes the message says so', () => {
  expect(nodeOf(aPod(), aCluster([]))).toBe('no nodes available to schedule pods')
})

test('each way not to fit is told in the words of Kubernetes', () => {
  const view = aCluster(
    [
      aNode('cordoned', { spec: { unschedulable: true } }),
      aNode('tainted', { spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] } }),
      aNode('small', { cpu: '100m', memory: '64Mi' }),
      aNode('small2', { cpu: '100m' }),
      aNode('full', { pods: '1' }),
      aNode('port'),
    ],
    [on('full'), on('port', { hostPort: 80 })],
  )
  expect(nodeOf(aPod('p', { cpu: '1', memory: '1Gi', hostPort: 80 }), view)).toBe(
    '0/6 nodes are available: 1 Insufficient memory, 1 Too many pods, ' +
      "1 node(s) didn't have free ports for the requested pod ports, 1 node(s) had untolerated taint {gpu: yes}, " +
      '1 node(s) were unschedulable, 2 Insufficient cpu.',
  )
})

test.each<[string, PodSpec, string]>([
  ['nodeSelector', { nodeSelector: { zone: 'b' } }, 'b1'],
  ['In', required([{ key: 'zone', operator: 'In', values: ['b', 'c'] }]), 'b1'],
  ['NotIn', required([{ key: 'zone', operator: 'NotIn', values: ['a'] }]), 'b1'],
  ['Exists', required([{ key: 'ssd', operator: 'Exists' }]), 'b1'],
  ['DoesNotExist', required([{ key: 'hdd', operator: 'DoesNotExist' }]), 'b1'],
  ['Gt', required([{ key: 'cores', operator: 'Gt', values: ['4'] }]), 'b1'],
  ['Lt', required([{ key: 'cores', operator: 'Lt', values: ['4'] }]), 'a1'],
  [
    'nothing',
    required([{ key: 'zone', operator: 'In', values: ['x'] }]),
    "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
  ],
])('node affinity by %s', (_, spec, expected) => {
  const view = aCluster([
    aNode('a1', { labels: { zone: 'a', hdd: '', cores: '2' } }),
    aNode('b1', { labels: { zone: 'b', ssd: '', cores: '8' } }),
  ])
  expect(nodeOf(aPod('p', spec), view)).toBe(expected)
})

function required(matchExpressions: readonly object[]): PodSpec {
  const nodeSelectorTerms = [{ matchExpressions }]
  return {
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
  } as never
}

test('a pod bound by node name in its affinity goes there only', () => {
  const terms = [{ matchFields: [{ key: 'metadata.name', operator: 'In' as const, values: ['a2'] }] }]
  const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } }
  expect(nodeOf(aPod('p', { affinity }), aCluster(zones))).toBe('a2')
})

test('preferred node affinity decides between equals, and taints are tolerated', () => {
  const preferred = [
    { weight: 10, preference: { matchExpressions: [{ key: 'zone', operator: 'In' as const, values: ['b'] }] } },
  ]
  const affinity = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: preferred } }
  expect(nodeOf(aPod('p', { affinity }), aCluster(zones))).toBe('b1')
  const tainted = [aNode('t', { spec: { taints: [{ key: 'k', effect: 'NoExecute' }] } })]
  expect(nodeOf(aPod('p', { tolerations: [{ operator: 'Exists' }] }), aCluster(tainted))).toBe('t')
  expect(nodeOf(aPod('p', { tolerations: [{ key: 'k', operator: 'Equal', value: '' }] }), aCluster(tainted))).toBe('t')
  expect(
    nodeOf(aPod('p', { tolerations: [{ key: 'k', effect: 'NoSchedule', operator: 'Exists' }] }), aCluster(tainted)),
  ).toContain('untolerated')
})

test('PreferNoSchedule is a wish', () => {
  const soft = aNode('a', { cpu: '64', spec: { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] } })
  expect(nodeOf(aPod('p', { cpu: '1' }), aCluster([soft, aNode('b')]))).toBe('b')
  expect(nodeOf(aPod('p', { cpu: '1' }), aCluster([soft]))).toBe('a')
})

test('the emptier node is preferred, and siblings are spread', () => {
  const view = aCluster([aNode('a'), aNode('b')], [on('a', { cpu: '2', memory: '4Gi' })])
  expect(nodeOf(aPod('p', { cpu: '1', memory: '1Gi' }), view)).toBe('b')
  const three = aCluster([aNode('a'), aNode('b'), aNode('c')])
  const placed: string[] = []
  for (let i = 0; i < 6; i++) {
    const pod = aPod(`w${i}`, { owner: 'web' })
    const node = nodeOf(pod, three, i / 6)
    three.assume(pod, node)
    placed.push(node)
  }
  expect(placed.toSorted()).toEqual(['a', 'a', 'b', 'b', 'c', 'c'])
})

test('host ports clash by address and protocol', () => {
  const view = aCluster([aNode('a'), aNode('b')], [on('a', { hostPort: 53 })])
  expect(nodeOf(aPod('p', { hostPort: 53 }), view)).toBe('b')
  expect(nodeOf(aPod('p', { hostPort: 54, nodeSelector: { 'kubernetes.io/hostname': 'a' } }), view)).toBe('a')
})

function podAffinity(kind: 'podAffinity' | 'podAntiAffinity', name: string, more: object = {}): PodSpec {
  const term = { labelSelector: app(name), topologyKey: 'zone', ...more }
  return { affinity: { [kind]: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } }
}

test('required pod affinity: near the other, in its zone; the first of a group that likes itself may start anywhere', () => {
  const view = aCluster(zones, [on('b1', { labels: { app: 'db' } })])
  expect(nodeOf(aPod('p', podAffinity('podAffinity', 'db')), view)).toBe('b1')
  expect(nodeOf(aPod('p', podAffinity('podAffinity', 'none')), view)).toContain(
    "3 node(s) didn't match pod affinity rules",
  )
  expect(nodeOf(aPod('p', { ...podAffinity('podAffinity', 'me'), labels: { app: 'me' } }), view)).toMatch(/^[ab]\d$/)
})

test('required anti-affinity holds both ways, and only within its namespaces', () => {
  const view = aCluster(zones, [on('a1', { labels: { app: 'db' } })])
  expect(nodeOf(aPod('p', podAffinity('podAntiAffinity', 'db')), view)).toBe('b1')
  expect(
    nodeOf(
      aPod('p', { ...podAffinity('podAntiAffinity', 'db'), namespace: 'other', nodeSelector: { zone: 'a' } }),
      view,
    ),
  ).toMatch(/^a/)
  const shy = aCluster(zones, [
    on('a1', podAffinity('podAntiAffinity', 'web')),
    on('b1', podAffinity('podAntiAffinity', 'web')),
  ])
  expect(nodeOf(aPod('p', { labels: { app: 'web' } }), shy)).toContain(
    "3 node(s) didn't satisfy existing pods anti-affinity rules",
  )
  view.setNamespace('team', { metadata: { labels: { env: 'x' } } } as never)
  view.setPod(on('b1', { labels: { app: 'db' }, namespace: 'team' }))
  const spaces = podAffinity('podAntiAffinity', 'db', { namespaceSelector: { matchLabels: { env: 'x' } } })
  expect(nodeOf(aPod('p', spaces), view)).toMatch(/^a/)
})

test('preferred pod affinity and anti-affinity tip the scales', () => {
  const wish = (kind: string) => ({
    affinity: {
      [kind]: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 100, podAffinityTerm: { labelSelector: app('db'), topologyKey: 'zone' } },
        ],
      },
    },
  })
  const view = aCluster(zones, [on('b1', { labels: { app: 'db' } })])
  expect(nodeOf(aPod('p', wish('podAffinity')), view)).toBe('b1')
  expect(nodeOf(aPod('p', wish('podAntiAffinity')), view)).toMatch(/^a/)
})

test('topology spread: skew, missing labels, minDomains', () => {
  const constraint = {
    maxSkew: 1,
    topologyKey: 'zone',
    whenUnsatisfiable: 'DoNotSchedule' as const,
    labelSelector: app('w'),
  }
  const web = { labels: { app: 'w' }, topologySpreadConstraints: [constraint] }
  const view = aCluster([...zones, aNode('nozone')], [on('a1', { labels: { app: 'w' } })])
  expect(nodeOf(aPod('p', web), view)).toBe('b1')
  view.removeNode('b1')
  expect(nodeOf(aPod('p', web), view)).toMatch(/^a/)
  const three = { labels: { app: 'w' }, topologySpreadConstraints: [{ ...constraint, minDomains: 3 }] }
  expect(nodeOf(aPod('p', three), view)).toBe(
    "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label), " +
      "2 node(s) didn't match pod topology spread constraints.",
  )
})

test('an image that is there already is worth something', () => {
  const images = [{ names: ['web:1'], sizeBytes: 900 * 2 ** 20 }]
  expect(nodeOf(aPod(), aCluster([aNode('a'), aNode('b', { status: { images } })]))).toBe('b')
})

test('extended resources count', () => {
  const view = aCluster([aNode('a', { cpu: '64' }), aNode('b', { extended: { 'x.io/gpu': '1' } })])
  expect(nodeOf(aPod('p', { requests: { 'x.io/gpu': '1' } }), view)).toBe('b')
  expect(nodeOf(aPod('p', { requests: { 'x.io/gpu': '2' } }), view)).toBe(
    '0/2 nodes are available: 2 Insufficient x.io/gpu.',
  )
})

test('preemption takes the fewest and least important, and none when it does not help', () => {
  const view = aCluster(
    [aNode('a', { cpu: '2' }), aNode('b', { cpu: '2' })],
    [
      on('a', { cpu: '1', priority: 5 }),
      on('a', { cpu: '1', priority: 1 }),
      on('b', { cpu: '1', priority: 9 }),
      on('b', { cpu: '1', priority: 9 }),
    ],
  )
  const pod = aPod('p', { cpu: '1', priority: 10 })
  const decision = schedule(pod, view, 0)
  const result = preempt(pod, view, decision.kind === 'none' ? decision.reasons : new Map())
  expect(result).toMatchObject({ kind: 'evict', node: 'a', victims: [{ spec: { priority: 1 } }] })
  const low = aPod('q', { cpu: '1', priority: 1 })
  const lowDecision = schedule(low, view, 0)
  expect(preempt(low, view, lowDecision.kind === 'none' ? lowDecision.reasons : new Map())).toEqual({
    kind: 'none',
    message: '0/2 nodes are available: 2 No preemption victims found for incoming pod.',
  })
  const huge = aPod('h', { cpu: '3', priority: 10 })
  const hugeDecision = schedule(huge, view, 0)
  expect(preempt(huge, view, hugeDecision.kind === 'none' ? hugeDecision.reasons : new Map())).toEqual({
    kind: 'none',
    message: '0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
  })
})

test('room made for a nominated pod is not given to others', () => {
  const view = aCluster([aNode('a', { cpu: '1' })])
  const important = aPod('i', { cpu: '1', priority: 10, nominated: 'a' })
  view.nominate(important, 'a')
  expect(nodeOf(aPod('o', { cpu: '1' }), view)).toContain('1 Insufficient cpu')
  expect(nodeOf(important, view)).toBe('a')
})

test('the sums per node are what a count from scratch gives, whatever the order of changes', () => {
  const change = fc.record({
    kind: fc.constantFrom('set', 'remove', 'assume', 'forget', 'finish'),
    pod: fc.nat(8),
    node: fc.nat(2),
    cpu: fc.integer({ min: 1, max: 9 }),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), changes => {
      const state = aCluster([aNode('n0'), aNode('n1'), aNode('n2')])
      const model = new Map<string, { node: string; pod: Pod; assumed: boolean }>()
      for (const { kind, pod: number, node, cpu } of changes) {
        const uid = `uid-p${number}`
        const bound = aPod(`p${number}`, { cpu: `${cpu}`, nodeName: `n${node}`, owner: 'o' })
        if (kind === 'set') {
          state.setPod(bound)
          model.set(uid, { node: `n${node}`, pod: bound, assumed: false })
        } else if (kind === 'remove') {
          state.removePod(uid)
          model.delete(uid)
        } else if (kind === 'finish') {
          state.setPod({ ...bound, status: { phase: 'Succeeded' } })
          model.delete(uid)
        } else if (kind === 'assume' && !model.has(uid)) {
          const free = aPod(`p${number}`, { cpu: `${cpu}`, owner: 'o' })
          state.assume(free, `n${node}`)
          model.set(uid, { node: `n${node}`, pod: free, assumed: true })
        } else if (kind === 'forget') {
          state.forget(uid)
          if (model.get(uid)?.assumed) model.delete(uid)
        }
      }
      for (const info of state.nodes) {
        const expected = nodeInfo(
          info.node,
          [...model.values()].filter(one => one.node === info.name).map(({ pod }) => pod),
        )
        expect(info.requested.get('cpu') ?? 0).toBe(expected.requested.get('cpu') ?? 0)
        expect(info.scored).toEqual(expected.scored)
        expect([...info.pods.keys()].sort()).toEqual([...expected.pods.keys()].sort())
        expect(info.owners).toEqual(expected.owners)
      }
    }),
    { numRuns: 100 },
  )
})

test('a thousand pods on a hundred nodes take well under a second', () => {
  const nodes = Array.from({ length: 100 }, (_, i) =>
    aNode(`n${String(i).padStart(3, '0')}`, { cpu: '16', memory: '64Gi', labels: { zone: `z${i % 3}` } }),
  )
  const state = aCluster(nodes)
  const pods = Array.from({ length: 1_000 }, (_, i) =>
    aPod(`p${i}`, { cpu: '100m', memory: '128Mi', owner: `o${i % 20}`, labels: { app: `o${i % 20}` } }),
  )
  const start = performance.now()
  for (const pod of pods) state.assume(pod, nodeOf(pod, state, 0.5))
  const ms = performance.now() - start
  console.log(`1000 pods on 100 nodes: ${ms.toFixed(0)} ms`)
  // Generous, for a machine that does other things at the same time.
  expect(ms).toBeLessThan(5_000)
  expect(Math.max(...state.nodes.map(info => info.pods.size))).toBeLessThanOrEqual(11)
})
