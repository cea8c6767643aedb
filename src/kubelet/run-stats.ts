// Looks at what this node's containers use, at its own pace and only while somebody asks: a cluster in which nobody asks does
// none of this work.
import { readFile, statfs } from 'node:fs/promises'
import * as os from 'node:os'
import { onAbort } from '../lib/abort.ts'
import type { StatsReply } from '../wire/gen/flotilla/v1/kubelet_pb.ts'
import type { ContainerRuntime, Observed } from '../world/runtime.ts'
import type { World } from '../world/world.ts'
import { cpuNanosecondsOf, memoryOf, type NodeUsage, type Sample, statsReply } from './stats.ts'

/** Between the first look and the second, for which whoever asked first waits. */
export const firstWindowMs = 1_000
export const windowMs = 10_000
/** Nobody asked for this long: the looking ends. */
export const idleMs = 60_000

export type Measured = Pick<Sample, 'containers' | 'node' | 'filesystem'>

export interface Stats {
  /** Resolves at once, but for the first that asks after a pause. Rejects when the runtime cannot be read. */
  ask(signal: AbortSignal): Promise<StatsReply>
}

export function openStats(
  world: Pick<World, 'clock' | 'log'>,
  measure: () => Promise<Measured>,
  observed: () => readonly Observed[],
  signal: AbortSignal,
): Stats {
  const { clock } = world
  const bootMs = clock.nowMs() - os.uptime() * 1_000
  let before: Sample | undefined
  let now: Sample | undefined
  let askedMs = 0
  let looking: Promise<void> | undefined

  async function look(): Promise<void> {
    const measured = await measure()
    before = now
    now = { ...measured, wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() }
  }

  /** Resolves with the second look; the later ones go on behind it. */
  async function begin(): Promise<void> {
    before = undefined
    now = undefined
    await look()
    await clock.sleep(firstWindowMs, signal)
    await look()
    void goOn()
  }

  async function goOn(): Promise<void> {
    try {
      for (;;) {
        await clock.sleep(windowMs, signal)
        if (signal.aborted || clock.monotonicMs() - askedMs > idleMs) break
        await look()
      }
    } catch (error) {
      if (!signal.aborted) world.log.warn('what containers use cannot be read', { error: String(error) })
    }
    looking = undefined
  }

  return {
    async ask(until) {
      askedMs = clock.monotonicMs()
      looking ??= begin().catch(error => {
        looking = undefined
        throw error
      })
      await ended(looking, until)
      if (before === undefined || now === undefined) throw new Error('this node has not measured anything yet')
      return statsReply(before, now, observed(), bootMs)
    },
  }
}

/** Rejects when the signal aborts first. */
function ended(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const listening = onAbort(signal, () => reject(new Error('whoever asked is gone')))
    work.then(resolve, reject).finally(() => listening[Symbol.dispose]())
  })
}

/** One look at this machine and at what the runtime runs on it. */
export async function measureMachine(
  stateDir: string,
  runtime: Pick<ContainerRuntime, 'usage'>,
  signal: AbortSignal,
): Promise<Measured> {
  const [containers, node, disk] = await Promise.all([
    runtime.usage(signal),
    nodeUsage(),
    // A machine that cannot say how full its disk is still says the rest.
    statfs(stateDir).catch(() => undefined),
  ])
  const filesystem = disk && {
    capacityBytes: disk.blocks * disk.bsize,
    availableBytes: disk.bavail * disk.bsize,
    inodes: disk.files,
    inodesFree: disk.ffree,
  }
  return { containers, node, ...(filesystem && { filesystem }) }
}

/** Of the whole machine. Where there is no /proc, as the platform counts it. */
async function nodeUsage(): Promise<NodeUsage> {
  const text = (file: string) => readFile(file, 'utf8').catch(() => '')
  const [stat, meminfo] = await Promise.all([text('/proc/stat'), text('/proc/meminfo')])
  const used = os.totalmem() - os.freemem()
  const memory = memoryOf(meminfo) ?? {
    memoryUsageBytes: used,
    memoryWorkingSetBytes: used,
    memoryAvailableBytes: os.freemem(),
  }
  return { ...memory, cpuNanoseconds: cpuNanosecondsOf(stat) ?? platformCpuNanoseconds() }
}

function platformCpuNanoseconds(): number {
  const busy = os.cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq)
  return busy.reduce((sum, ms) => sum + ms, 0) * 1_000_000
}
