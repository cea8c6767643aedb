// What a kubelet's own port says of statistics upstream, made of what our kubelets answer: /stats/summary and
// /metrics/resource, which monitoring reads through nodes/<name>/proxy. Pure.
// https://kubernetes.io/docs/reference/instrumentation/node-metrics/
import type { Json, JsonObject } from '../api/schema.ts'
import { rfc3339 } from '../lib/duration.ts'
import type { StatsReply, Usage } from '../wire/gen/flotilla/v1/kubelet_pb.ts'

/** stats/v1alpha1 Summary, without what is not measured (network, single volumes, processes). */
export function summaryOf(nodeName: string, stats: StatsReply): JsonObject {
  const time = rfc3339(Number(stats.timeMs))
  const { filesystem } = stats
  return {
    node: {
      nodeName,
      startTime: rfc3339(Number(stats.bootMs)),
      cpu: cpuOf(stats.node, time),
      memory: { ...memoryOf(stats.node, time), availableBytes: Number(stats.memoryAvailableBytes) },
      ...(filesystem && {
        fs: {
          time,
          availableBytes: Number(filesystem.availableBytes),
          capacityBytes: Number(filesystem.capacityBytes),
          usedBytes: Number(filesystem.capacityBytes - filesystem.availableBytes),
          inodesFree: Number(filesystem.inodesFree),
          inodes: Number(filesystem.inodes),
          inodesUsed: Number(filesystem.inodes - filesystem.inodesFree),
        },
      }),
    },
    pods: stats.pods.map(({ namespace, name, uid, startedMs, containers }): Json => {
      const all = sum(containers.map(({ usage }) => usage))
      return {
        podRef: { name, namespace, uid },
        startTime: rfc3339(Number(startedMs)),
        containers: containers.map(each => ({
          name: each.name,
          startTime: rfc3339(Number(each.startedMs)),
          cpu: cpuOf(each.usage, time),
          memory: memoryOf(each.usage, time),
        })),
        cpu: cpuOf(all, time),
        memory: memoryOf(all, time),
      }
    }),
  }
}

type Counted = Omit<Usage, '$typeName' | '$unknown'>

function cpuOf(usage: Counted | undefined, time: string): JsonObject {
  return {
    time,
    usageNanoCores: Number(usage?.cpuNanocores ?? 0n),
    usageCoreNanoSeconds: Number(usage?.cpuNanoseconds ?? 0n),
  }
}

function memoryOf(usage: Counted | undefined, time: string): JsonObject {
  return {
    time,
    usageBytes: Number(usage?.memoryUsageBytes ?? 0n),
    workingSetBytes: Number(usage?.memoryWorkingSetBytes ?? 0n),
  }
}

function sum(usages: readonly (Counted | undefined)[]): Counted {
  const total = (field: keyof Counted) => usages.reduce((all, usage) => all + (usage?.[field] ?? 0n), 0n)
  return {
    cpuNanoseconds: total('cpuNanoseconds'),
    cpuNanocores: total('cpuNanocores'),
    memoryUsageBytes: total('memoryUsageBytes'),
    memoryWorkingSetBytes: total('memoryWorkingSetBytes'),
  }
}

type Line = { readonly labels: Readonly<Record<string, string>>; readonly usage: Counted }

/** The text that metrics-server and Prometheus scrape. Names in labels are names of objects: nothing in them needs escaping. */
export function resourceMetrics(stats: StatsReply): string {
  const containers = stats.pods.flatMap(({ namespace, name, containers: all }) =>
    all.flatMap(({ name: container, usage }): Line[] =>
      usage ? [{ labels: { container, namespace, pod: name }, usage }] : [],
    ),
  )
  const pods = stats.pods.map(
    ({ namespace, name, containers: all }): Line => ({
      labels: { namespace, pod: name },
      usage: sum(all.map(({ usage }) => usage)),
    }),
  )
  const node: readonly Line[] = stats.node ? [{ labels: {}, usage: stats.node }] : []
  const family = (of: string, lines: readonly Line[]) =>
    [
      `# HELP ${of}_cpu_usage_seconds_total Cumulative cpu time consumed by the ${of} in core-seconds`,
      `# TYPE ${of}_cpu_usage_seconds_total counter`,
      ...lines.map(one => line(`${of}_cpu_usage_seconds_total`, one, Number(one.usage.cpuNanoseconds) / 1e9)),
      `# HELP ${of}_memory_working_set_bytes Current working set of the ${of} in bytes`,
      `# TYPE ${of}_memory_working_set_bytes gauge`,
      ...lines.map(one => line(`${of}_memory_working_set_bytes`, one, Number(one.usage.memoryWorkingSetBytes))),
    ] as const
  const line = (name: string, { labels }: Line, value: number) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${text}"`)
    return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value} ${stats.timeMs}`
  }
  return `${[...family('container', containers), ...family('node', node), ...family('pod', pods)].join('\n')}\n`
}
