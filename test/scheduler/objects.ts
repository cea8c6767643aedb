// Nodes and pods for tests of the scheduler, as short as possible.
import type { Node } from '../../src/api/kinds/node.ts'
import type { Pod } from '../../src/api/kinds/pod.ts'
import { type ClusterState, clusterState } from '../../src/scheduler/state.ts'

let serial = 0
const meta = (name: string) => ({
  name,
  uid: `uid-${name}`,
  resourceVersion: '1',
  creationTimestamp: '2026-01-01T00:00:00Z',
})

export function aNode(
  name: string,
  more: {
    labels?: Record<string, string>
    cpu?: string
    memory?: string
    pods?: string
    spec?: Partial<Node['spec']>
    status?: Partial<Node['status']>
    extended?: Record<string, string>
  } = {},
): Node {
  const allocatable = { cpu: more.cpu ?? '4', memory: more.memory ?? '8Gi', pods: more.pods ?? '110', ...more.extended }
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { ...meta(name), labels: { 'kubernetes.io/hostname': name, ...more.labels } },
    spec: more.spec ?? {},
    status: { allocatable, capacity: allocatable, ...more.status },
  }
}

export type PodSpec = Partial<Pod['spec']> & {
  readonly cpu?: string
  readonly memory?: string
  readonly labels?: Record<string, string>
  readonly namespace?: string
  readonly owner?: string
  readonly requests?: Record<string, string>
  readonly hostPort?: number
  readonly nominated?: string
}

export function aPod(name = `pod-${++serial}`, given: PodSpec = {}): Pod {
  const { cpu, memory, labels, namespace = 'default', owner, requests, hostPort, nominated, ...spec } = given
  const all = { ...(cpu && { cpu }), ...(memory && { memory }), ...requests }
  const container = {
    name: 'c',
    image: 'web:1',
    ...(Object.keys(all).length > 0 && { resources: { requests: all } }),
    ...(hostPort !== undefined && { ports: [{ containerPort: hostPort, hostPort, protocol: 'TCP' as const }] }),
  }
  const reference = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner ?? '', uid: owner ?? '', controller: true }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...meta(name),
      namespace,
      ...(labels && { labels }),
      ...(owner !== undefined && { ownerReferences: [reference] }),
    },
    spec: { containers: [container], schedulerName: 'default-scheduler', ...spec },
    status: { ...(nominated !== undefined && { nominatedNodeName: nominated }) },
  } as unknown as Pod
}

export function aCluster(nodes: readonly Node[], pods: readonly Pod[] = []): ClusterState {
  const state = clusterState()
  for (const node of nodes) state.setNode(node)
  for (const pod of pods) state.setPod(pod)
  return state
}
