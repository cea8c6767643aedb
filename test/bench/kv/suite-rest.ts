// What members need when nothing happens, and the memory they need after a load.
import { monotonicMs, sleep } from './clock.ts'
import type { Cluster } from './cluster.ts'
import { type Context, withClusters } from './context.ts'
import { median } from './histogram.ts'
import { cpuMicrosOf, diskBytesOf, memoryOf } from './proc.ts'
import { megabytes, short } from './report.ts'

const settleMs = 5_000
/** A member is idle once it has written nothing for this long after its start; it must come to that. */
const quietMs = 10_000
const quietWithinMs = 120_000
const afterLoadMs = 1_000
const idleMs = 60_000
const keys = 100_000
const valueBytes = 256

export type Memory = { readonly idleBytes: number; readonly loadedBytes: number }

/** Means over the members, by system: 5 s after the start, and 1 s after 100,000 keys of 256 bytes were put. */
export async function memorySuite(context: Context, repetitions: number): Promise<readonly Memory[]> {
  const runs: Memory[][] = []
  for (let repetition = 0; repetition < repetitions; repetition++) {
    runs.push(await withClusters(context, clusters => measureMemory(context, clusters)))
  }
  return context.kinds.map((_, i) => ({
    idleBytes: median(runs.map(run => run[i]?.idleBytes ?? Number.NaN)),
    loadedBytes: median(runs.map(run => run[i]?.loadedBytes ?? Number.NaN)),
  }))
}

async function measureMemory(context: Context, clusters: readonly Cluster[]): Promise<Memory[]> {
  await sleep(settleMs)
  const memories: Memory[] = []
  for (const cluster of clusters) {
    const leader = await cluster.leader()
    const ordered = [leader, ...cluster.members.filter(member => member !== leader)]
    const idle = ordered.map(member => memoryOf(member.pid).rss)
    const operation = { kind: 'fill', keys, valueBytes } as const
    const result = await context.generator.drain({ operation, clients: 64, ports: [leader.clientPort] })
    if (result.acknowledged !== keys) {
      context.fail(`${cluster.name} took ${result.acknowledged} of ${keys} puts: ${result.errorTexts.join('; ')}`)
    }
    await sleep(afterLoadMs)
    const loaded = ordered.map(member => memoryOf(member.pid))
    const list = (bytes: readonly number[]) => bytes.map(megabytes).join(' / ')
    context.print(
      `RSS in MB, leader / followers, ${cluster.name}: idle ${list(idle)}; after ${keys} puts of ${valueBytes} B ` +
        `${list(loaded.map(({ rss }) => rss))}, at most ${list(loaded.map(({ peak }) => peak))}`,
    )
    memories.push({ idleBytes: mean(idle), loadedBytes: mean(loaded.map(({ rss }) => rss)) })
  }
  return memories
}

const mean = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length

/** Bytes that all members of a system together wrote to the disk in 60 s without a client, by system. */
export async function idleSuite(context: Context): Promise<readonly number[]> {
  return await withClusters(context, async clusters => {
    const bytesOf = (cluster: Cluster) => cluster.members.map(member => diskBytesOf(member.pid))
    const cpuOf = (cluster: Cluster) => cluster.members.map(member => cpuMicrosOf(member.pid))
    await becomeQuiet(() => clusters.flatMap(bytesOf).join())
    const before = clusters.map(cluster => ({ bytes: bytesOf(cluster), cpu: cpuOf(cluster) }))
    await sleep(idleMs)
    return clusters.map((cluster, i) => {
      const bytes = bytesOf(cluster).map((now, m) => now - (before[i]?.bytes[m] ?? 0))
      const cores = cpuOf(cluster).map((now, m) => (now - (before[i]?.cpu[m] ?? 0)) / (idleMs * 1_000))
      const percent = cores.map(part => `${short(part * 100)} %`).join(', ')
      context.print(`idle for 60 s, ${cluster.name}: bytes to disk ${bytes.join(', ')}; CPU of a core ${percent}`)
      return bytes.reduce((sum, count) => sum + count, 0)
    })
  })
}

/** Waits until what `look` sees has not changed for `quietMs`; not for ever: what never rests is measured as it is. */
async function becomeQuiet(look: () => string): Promise<void> {
  const began = monotonicMs()
  let seen = look()
  let changedAt = began
  while (monotonicMs() - changedAt < quietMs && monotonicMs() - began < quietWithinMs) {
    await sleep(200)
    const now = look()
    if (now !== seen) changedAt = monotonicMs()
    seen = now
  }
}
