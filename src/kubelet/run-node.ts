// Reads this machine, and keeps its Node object saying so. The Node itself is made by admission, never here: a machine that
// was removed must not come back by its own word.
import * as fs from 'node:fs/promises'
import * as os from 'node:os'
import { ApiError } from '../api/error.ts'
import { node as nodeKind } from '../api/kinds/node.ts'
import type { Client } from '../client/client.ts'
import { follow } from '../client/run-follow.ts'
import { aborted } from '../lib/abort.ts'
import { sameJson } from '../lib/canonical.ts'
import type { ContainerRuntime } from '../world/runtime.ts'
import type { World } from '../world/world.ts'
import { type Health, labelsOf, type Machine, nodeStatusOf } from './node.ts'

export const lookMs = 10_000
export const writeGapMs = 1_000
/** Below this share of free disk, new pods are kept away; upstream's nodefs.available default. */
export const diskFreeShareMin = 0.1
/** A large disk need not keep a tenth free. */
export const diskFreeBytesMax = 2 ** 30
export const memoryFreeBytesMin = 100 * 2 ** 20

export async function readMachine(
  name: string,
  ip: string,
  stateDir: string,
  runtime: { readonly capabilities: { readonly name: string; readonly version: string } },
  version: string,
): Promise<Machine> {
  const line = async (file: string) => (await fs.readFile(file, 'utf8').catch(() => '')).trim()
  const disk = await fs.statfs(stateDir)
  const release = await line('/etc/os-release')
  const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'arm' }
  return {
    hostname: name,
    ip,
    cpus: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    diskBytes: disk.blocks * disk.bsize,
    podsMax: 110,
    machineId: (await line('/etc/machine-id')) || os.hostname(),
    systemUuid: (await line('/sys/class/dmi/id/product_uuid')) || os.hostname(),
    bootId: await line('/proc/sys/kernel/random/boot_id'),
    kernel: os.release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? os.type(),
    operatingSystem: os.platform(),
    architecture: architectures[os.arch()] ?? os.arch(),
    runtime: `${runtime.capabilities.name}://${runtime.capabilities.version}`,
    version,
  }
}

export async function runNode(
  world: World,
  machine: Machine,
  options: {
    readonly stateDir: string
    readonly annotations: Readonly<Record<string, string>>
  },
  client: Client,
  runtime: Pick<ContainerRuntime, 'observe'>,
  signal: AbortSignal,
): Promise<void> {
  const nodes = follow(world, client, nodeKind, { fieldSelector: `metadata.name=${machine.hostname}` }, {}, signal)
  let bell: (() => void) | undefined
  let changed = false
  using _ = nodes.onChange(() => {
    changed = true
    bell?.()
  })
  await Promise.race([nodes.synced, aborted(signal)])
  while (!signal.aborted) {
    changed = false
    try {
      await write()
    } catch (error) {
      const expected = error instanceof ApiError && (error.reason === 'Conflict' || error.reason === 'NotFound')
      if (!expected && !signal.aborted) world.log.warn('the Node could not be written', { error: String(error) })
    }
    // Others write this Node too; a disagreement must not become a race of writes.
    await world.clock.sleep(writeGapMs, signal)
    if (changed) continue
    const timer = new AbortController()
    await Promise.race([
      world.clock.sleep(lookMs, AbortSignal.any([signal, timer.signal])),
      new Promise<void>(resolve => {
        bell = resolve
      }),
    ])
    timer.abort()
  }

  async function write(): Promise<void> {
    const node = nodes.view.get(undefined, machine.hostname)
    if (node === undefined) return
    const labels = { ...node.metadata.labels, ...labelsOf(machine) }
    const annotations = { ...node.metadata.annotations, ...options.annotations }
    using deadline = world.clock.deadline(10_000, signal)
    let current = node
    if (!sameJson(labels, node.metadata.labels) || !sameJson(annotations, node.metadata.annotations)) {
      const body = { metadata: { labels, annotations } }
      current = await client.patch(nodeKind, { name: machine.hostname }, { type: 'merge', body }, deadline.signal)
    }
    const status = nodeStatusOf(current.status, machine, await health(current.spec.podCIDR), world.clock.nowMs())
    if (sameJson(status, current.status)) return
    const written = await client.updateStatus(nodeKind, { ...current, status }, deadline.signal)
    await nodes.reached(Number(written.metadata.resourceVersion), deadline.signal)
  }

  async function health(podCidr: string | undefined): Promise<Health> {
    const disk = await fs.statfs(options.stateDir)
    using deadline = world.clock.deadline(5_000, signal)
    const runtimeError = await runtime.observe(deadline.signal).then(
      () => undefined,
      error => String(error),
    )
    return {
      runtimeReady: runtimeError === undefined,
      runtimeMessage: `container runtime is down: ${runtimeError ?? ''}`,
      networkReady: podCidr !== undefined,
      networkMessage: 'this node has no pod CIDR yet',
      diskPressure: disk.bavail * disk.bsize < Math.min(disk.blocks * disk.bsize * diskFreeShareMin, diskFreeBytesMax),
      memoryPressure: os.freemem() < memoryFreeBytesMin && (await availableMemory()) < memoryFreeBytesMin,
    }
  }
}

async function availableMemory(): Promise<number> {
  const meminfo = await fs.readFile('/proc/meminfo', 'utf8').catch(() => '')
  const match = /^MemAvailable:\s+(\d+) kB/m.exec(meminfo)
  return match === null ? os.freemem() : Number(match[1]) * 1024
}
