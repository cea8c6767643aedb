// What a kubelet says of the use of its node: the arithmetic on made-up samples, the pace on virtual time, and the whole on
// real processes.
import { describe, expect, test } from 'vitest'
import { firstWindowMs, openStats } from '../../src/kubelet/run-stats.ts'
import { cpuNanosecondsOf, memoryOf, type Sample, statsReply } from '../../src/kubelet/stats.ts'
import type { StatsReply } from '../../src/wire/gen/flotilla/v1/kubelet_pb.ts'
import type { Observed, ObservedContainer, Usage } from '../../src/world/runtime.ts'
import { virtualWorld } from '../client/virtual-world.ts'
import { openRig, shell, statsOver } from './rig.ts'

const second = 1_000_000_000
const usage = (cpuSeconds: number, memory = 0): Usage => ({
  cpuNanoseconds: cpuSeconds * second,
  memoryUsageBytes: memory + 5,
  memoryWorkingSetBytes: memory,
})

const sample = (atMs: number, nodeCpu: number, containers: Record<string, Usage>): Sample => ({
  wallMs: 1_000_000 + atMs,
  monotonicMs: atMs,
  node: { ...usage(nodeCpu, 100), memoryAvailableBytes: 900 },
  containers: new Map(Object.entries(containers)),
})

const container = (name: string, startedAtMs = -60_000): ObservedContainer => ({
  id: name,
  statusId: `process://${name}`,
  name,
  kind: 'app',
  attempt: 0,
  specHash: '',
  image: '',
  imageId: '',
  annotations: {},
  createdMs: 0,
  state: { kind: 'running', startedMs: 1_000_000 + startedAtMs, pid: 1 },
})

const pod = (name: string, containers: readonly ObservedContainer[]): Observed => ({
  uid: `uid-${name}`,
  namespace: 'default',
  name,
  containers,
})

describe('statistics of a node', () => {
  test('rates are what was used between two looks, per second of them', () => {
    const before = sample(0, 10, { a: usage(1) })
    const now = sample(10_000, 25, { a: usage(6, 4_096) })
    const reply = statsReply(before, now, [pod('web', [container('a')])], 500)
    expect(reply.node).toMatchObject({ cpuNanocores: BigInt(1.5 * second), memoryWorkingSetBytes: 100n })
    expect(reply).toMatchObject({ timeMs: 1_010_000n, windowMs: 10_000n, memoryAvailableBytes: 900n, bootMs: 500n })
    expect(reply.pods[0]?.containers[0]).toMatchObject({
      windowMs: 10_000n,
      usage: { cpuNanocores: BigInt(0.5 * second), memoryWorkingSetBytes: 4_096n, memoryUsageBytes: 4_101n },
    })
  })

  test('a container that began in between is measured from its beginning', () => {
    const now = sample(10_000, 0, { a: usage(1) })
    const reply = statsReply(sample(0, 0, {}), now, [pod('web', [container('a', 5_000)])], 0)
    expect(reply.pods[0]?.containers[0]).toMatchObject({
      windowMs: 5_000n,
      usage: { cpuNanocores: BigInt(0.2 * second) },
    })
  })

  test('a pod of which a running container cannot be measured is left out', () => {
    const before = sample(0, 0, { a: usage(1), back: usage(9) })
    const now = sample(10_000, 0, { a: usage(2), old: usage(3), back: usage(1), young: usage(1) })
    const names = (...containers: ObservedContainer[]) =>
      statsReply(before, now, [pod('web', containers)], 0).pods.flatMap(one => one.containers.map(each => each.name))
    expect(names(container('a'))).toEqual(['a'])
    expect(names(container('a'), container('gone'))).toEqual([])
    // Seen by the second look alone, though it ran before the first.
    expect(names(container('a'), container('old'))).toEqual([])
    expect(names(container('back'))).toEqual([])
    expect(names(container('young', 9_500))).toEqual([])
    const exited = {
      ...container('done'),
      state: { kind: 'exited', startedMs: 0, finishedMs: 1, exitCode: 0, oomKilled: false },
    }
    expect(names(container('a'), exited as ObservedContainer)).toEqual(['a'])
  })

  test('/proc/stat and /proc/meminfo are read as the kernel writes them', () => {
    expect(cpuNanosecondsOf('cpu  100 20 30 9999 77 1 2 3 50 0\ncpu0 1 1 1 1\n')).toBe(1.56 * second)
    expect(cpuNanosecondsOf('')).toBeUndefined()
    const meminfo = 'MemTotal:   1000 kB\nMemFree:    300 kB\nInactive:    600 kB\nInactive(file):   200 kB\n'
    expect(memoryOf(meminfo)).toEqual({
      memoryUsageBytes: 700 * 1_024,
      memoryWorkingSetBytes: 500 * 1_024,
      memoryAvailableBytes: 500 * 1_024,
    })
    expect(memoryOf('')).toBeUndefined()
  })

  test('the runtime is looked at while somebody asks, and no longer', async () => {
    const world = virtualWorld()
    const { signal } = new AbortController()
    let looks = 0
    const measure = async () => {
      looks++
      return { node: sample(0, looks, {}).node, containers: new Map([['a', usage(looks)]]) }
    }
    const stats = openStats(world, measure, () => [pod('web', [container('a')])], signal)
    const answered = async (): Promise<StatsReply> => {
      const asked = stats.ask(signal)
      await world.pass(firstWindowMs)
      return await asked
    }
    expect(looks).toBe(0)
    const [first, together] = await Promise.all([answered(), stats.ask(signal)])
    expect(looks).toBe(2)
    expect(first.windowMs).toBe(BigInt(firstWindowMs))
    expect(together).toEqual(first)
    expect(first.pods[0]?.containers[0]?.usage?.cpuNanocores).toBeGreaterThan(0n)
    await world.pass(600_000)
    const idle = looks
    await world.pass(600_000)
    expect(looks).toBe(idle)
    await answered()
    expect(looks).toBe(idle + 2)
  })

  test('real processes are measured over the stream that API servers open', async () => {
    const rig = await openRig()
    try {
      const { kubelet } = rig.agent()
      await rig.run('busy', { containers: [shell('while :; do :; done')] })
      await rig.until(() => rig.pod('busy')?.status.containerStatuses?.[0]?.state?.running, 'busy runs')
      const found = await rig.until(async () => {
        const reply = await statsOver(kubelet)
        return reply.pods.find(({ name }) => name === 'busy') && reply
      }, 'its use')
      const [one] = found.pods
      expect(one).toMatchObject({ namespace: 'default', name: 'busy', uid: rig.pod('busy')?.metadata.uid })
      expect(one?.containers[0]?.usage?.cpuNanocores).toBeGreaterThan(0n)
      expect(one?.containers[0]?.usage?.memoryWorkingSetBytes).toBeGreaterThan(0n)
      expect(found.node?.cpuNanocores).toBeGreaterThan(0n)
      expect(found.node?.memoryWorkingSetBytes).toBeGreaterThan(2n ** 20n)
    } finally {
      await rig.close()
    }
  })
})
