// From what a kubelet measured to the objects of metrics.k8s.io, in metrics-server's spelling. Pure.
import { apiVersionOf } from '../api/kind.ts'
import type { Node } from '../api/kinds/node.ts'
import { type NodeMetrics, nodeMetrics } from '../api/kinds/nodemetrics.ts'
import type { Pod } from '../api/kinds/pod.ts'
import { type PodMetrics, podMetrics } from '../api/kinds/podmetrics.ts'
import type { ObjectMeta } from '../api/types/meta.ts'
import { goDuration, rfc3339 } from '../lib/duration.ts'
import { formatQuantity } from '../lib/quantity.ts'
import type { ContainerStats, StatsReply, Usage } from '../wire/gen/flotilla/v1/kubelet_pb.ts'

export function nodeMetricsOf(node: Node, stats: StatsReply, nowMs: number): NodeMetrics {
  return {
    apiVersion: apiVersionOf(nodeMetrics),
    kind: nodeMetrics.kind,
    metadata: metadataOf(node.metadata, nowMs),
    timestamp: rfc3339(Number(stats.timeMs)),
    window: goDuration(Number(stats.windowMs)),
    usage: quantitiesOf(stats.node),
  }
}

/** Undefined for a pod that does not run, or that could not be measured. */
export function podMetricsOf(pod: Pod, stats: StatsReply, nowMs: number): PodMetrics | undefined {
  const measured = stats.pods.find(({ uid }) => uid === pod.metadata.uid)
  if (measured === undefined || pod.status.phase !== 'Running') return undefined
  const { containers } = measured
  return {
    apiVersion: apiVersionOf(podMetrics),
    kind: podMetrics.kind,
    metadata: metadataOf(pod.metadata, nowMs),
    timestamp: rfc3339(Number(stats.timeMs)),
    window: goDuration(Number(longest(containers))),
    containers: containers.map(({ name, usage }) => ({ name, usage: quantitiesOf(usage) })),
  }
}

type MetaOut = NodeMetrics['metadata']

/** Labels come along, so that what was selected by them can be told apart by them. */
function metadataOf({ name, namespace, labels }: ObjectMeta, nowMs: number): MetaOut {
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    ...(labels !== undefined && { labels }),
    creationTimestamp: rfc3339(nowMs),
  } as MetaOut
}

function longest(containers: readonly ContainerStats[]): bigint {
  return BigInt(Math.max(0, ...containers.map(({ windowMs }) => Number(windowMs))))
}

function quantitiesOf(usage: Usage | undefined): Readonly<Record<string, string>> {
  return {
    cpu: formatQuantity({ nano: usage?.cpuNanocores ?? 0n, format: 'decimalSI' }),
    memory: formatQuantity({ nano: (usage?.memoryWorkingSetBytes ?? 0n) * 1_000_000_000n, format: 'binarySI' }),
  }
}
