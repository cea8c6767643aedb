// What the node and its containers use, from two looks at counters that only grow. Pure; run-stats.ts takes the looks.
// https://kubernetes.io/docs/reference/instrumentation/node-metrics/
import { create } from '@bufbuild/protobuf'
import {
  type ContainerStats,
  ContainerStatsSchema,
  type PodStats,
  PodStatsSchema,
  type StatsReply,
  StatsReplySchema,
} from '../wire/gen/flotilla/v1/kubelet_pb.ts'
import type { Observed, ObservedContainer, Usage } from '../world/runtime.ts'

export type NodeUsage = Usage & { readonly memoryAvailableBytes: number }

export type FilesystemUse = {
  readonly capacityBytes: number
  readonly availableBytes: number
  readonly inodes: number
  readonly inodesFree: number
}

/** One look. `monotonicMs` measures windows, `wallMs` is what people read. */
export type Sample = {
  readonly wallMs: number
  readonly monotonicMs: number
  readonly node: NodeUsage
  readonly filesystem?: FilesystemUse
  /** By container ID. */
  readonly containers: ReadonlyMap<string, Usage>
}

/** A container that began between the two looks is measured from its beginning, once it has run this long. */
export const freshMsMin = 1_000

export function statsReply(before: Sample, now: Sample, observed: readonly Observed[], bootMs: number): StatsReply {
  const windowMs = Math.max(1, now.monotonicMs - before.monotonicMs)
  return create(StatsReplySchema, {
    timeMs: BigInt(Math.round(now.wallMs)),
    windowMs: BigInt(Math.round(windowMs)),
    bootMs: BigInt(Math.round(bootMs)),
    node: usageOf(now.node, now.node.cpuNanoseconds - before.node.cpuNanoseconds, windowMs),
    memoryAvailableBytes: whole(now.node.memoryAvailableBytes),
    ...(now.filesystem && {
      filesystem: {
        capacityBytes: whole(now.filesystem.capacityBytes),
        availableBytes: whole(now.filesystem.availableBytes),
        inodes: whole(now.filesystem.inodes),
        inodesFree: whole(now.filesystem.inodesFree),
      },
    }),
    pods: observed.flatMap(pod => podStats(before, now, pod) ?? []),
  })
}

/** Undefined when a running container could not be measured: half a pod would look like one that uses little. */
function podStats(before: Sample, now: Sample, pod: Observed): PodStats | undefined {
  const running = pod.containers.filter(({ state }) => state.kind === 'running')
  const containers = running.flatMap(container => containerStats(before, now, container) ?? [])
  if (containers.length === 0 || containers.length < running.length) return undefined
  const { namespace, name, uid } = pod
  const startedMs = BigInt(Math.round(pod.sandbox?.createdMs ?? 0))
  return create(PodStatsSchema, { namespace, name, uid, startedMs, containers })
}

function containerStats(before: Sample, now: Sample, container: ObservedContainer): ContainerStats | undefined {
  const { id, name, state } = container
  const usage = now.containers.get(id)
  if (usage === undefined || state.kind !== 'running') return undefined
  const old = before.containers.get(id)
  // Its counter began at zero with it.
  const fresh = old === undefined && state.startedMs > before.wallMs
  const windowMs = fresh ? now.wallMs - state.startedMs : now.monotonicMs - before.monotonicMs
  const used = usage.cpuNanoseconds - (old?.cpuNanoseconds ?? 0)
  if ((old === undefined && !fresh) || (fresh && windowMs < freshMsMin) || windowMs <= 0 || used < 0) return undefined
  return create(ContainerStatsSchema, {
    name,
    startedMs: BigInt(Math.round(state.startedMs)),
    windowMs: BigInt(Math.round(windowMs)),
    usage: usageOf(usage, used, windowMs),
  })
}

function usageOf(usage: Usage, usedNanoseconds: number, windowMs: number) {
  return {
    cpuNanoseconds: whole(usage.cpuNanoseconds),
    cpuNanocores: whole((usedNanoseconds * 1_000) / windowMs),
    memoryUsageBytes: whole(usage.memoryUsageBytes),
    memoryWorkingSetBytes: whole(usage.memoryWorkingSetBytes),
  }
}

function whole(value: number): bigint {
  return Number.isFinite(value) && value > 0 ? BigInt(Math.round(value)) : 0n
}

/** Linux counts the time of processors in hundredths of a second, whatever the kernel's own clock (USER_HZ). */
const nanosecondsPerTick = 10_000_000

/** The first line of /proc/stat; undefined when it is not there. Waiting and what guests used (counted in user) stay out. */
export function cpuNanosecondsOf(procStat: string): number | undefined {
  const [, line] = /^cpu +(.*)$/m.exec(procStat) ?? []
  if (line === undefined) return undefined
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number)
  return (user + nice + system + irq + softirq + steal) * nanosecondsPerTick
}

/** /proc/meminfo; undefined when it is not there. The working set is what the kernel could not take back without hurting. */
export function memoryOf(meminfo: string): Omit<NodeUsage, 'cpuNanoseconds'> | undefined {
  const bytes = (name: string): number | undefined => {
    const [, kibibytes] = new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(meminfo) ?? []
    return kibibytes === undefined ? undefined : Number(kibibytes) * 1_024
  }
  const total = bytes('MemTotal')
  const free = bytes('MemFree')
  if (total === undefined || free === undefined) return undefined
  const workingSet = Math.max(0, total - free - (bytes('Inactive\\(file\\)') ?? 0))
  return {
    memoryUsageBytes: total - free,
    memoryWorkingSetBytes: workingSet,
    memoryAvailableBytes: total - workingSet,
  }
}
