// What a Node object says of this machine. Pure; run-node.ts writes it when, and only when, it differs from what stands:
// an idle cluster writes nothing, so there are no heartbeats here. Liveness is gossip's.
import type { ObjectOf } from '../api/kind.ts'
import type { node as nodeKind } from '../api/kinds/node.ts'
import { rfc3339 } from '../lib/duration.ts'

export type Node = ObjectOf<typeof nodeKind>

export type Machine = {
  readonly hostname: string
  readonly ip: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly diskBytes: number
  readonly podsMax: number
  readonly machineId: string
  readonly systemUuid: string
  readonly bootId: string
  readonly kernel: string
  readonly osImage: string
  readonly operatingSystem: string
  /** As Go names it: amd64, arm64. */
  readonly architecture: string
  readonly runtime: string
  readonly version: string
}

export type Health = {
  readonly runtimeReady: boolean
  readonly runtimeMessage: string
  readonly networkReady: boolean
  readonly networkMessage: string
  readonly diskPressure: boolean
  readonly memoryPressure: boolean
}

/** Labels that scheduling and people use. */
export function labelsOf(machine: Machine): Readonly<Record<string, string>> {
  return {
    'kubernetes.io/hostname': machine.hostname,
    'kubernetes.io/os': machine.operatingSystem,
    'kubernetes.io/arch': machine.architecture,
    'beta.kubernetes.io/os': machine.operatingSystem,
    'beta.kubernetes.io/arch': machine.architecture,
  }
}

/** What pods may use: everything but a reserve for the system and the agent. */
export function allocatableOf(machine: Machine): { cpuMilli: number; memoryBytes: number; pods: number } {
  const reservedBytes = Math.min(256 * 2 ** 20, Math.floor(machine.memoryBytes * 0.1))
  return { cpuMilli: machine.cpus * 1_000, memoryBytes: machine.memoryBytes - reservedBytes, pods: machine.podsMax }
}

export function nodeStatusOf(before: Node['status'], machine: Machine, health: Health, nowMs: number): Node['status'] {
  const allocatable = allocatableOf(machine)
  const kibi = (bytes: number) => `${Math.floor(bytes / 1024)}Ki`
  const common = { pods: String(machine.podsMax), 'ephemeral-storage': kibi(machine.diskBytes) }
  return {
    ...before,
    capacity: { cpu: String(machine.cpus), memory: kibi(machine.memoryBytes), ...common },
    allocatable: { cpu: `${allocatable.cpuMilli}m`, memory: kibi(allocatable.memoryBytes), ...common },
    addresses: [
      { type: 'InternalIP', address: machine.ip },
      { type: 'Hostname', address: machine.hostname },
    ],
    conditions: conditionsOf(before, health, nowMs),
    nodeInfo: {
      machineID: machine.machineId,
      systemUUID: machine.systemUuid,
      bootID: machine.bootId,
      kernelVersion: machine.kernel,
      osImage: machine.osImage,
      containerRuntimeVersion: machine.runtime,
      kubeletVersion: machine.version,
      kubeProxyVersion: '',
      operatingSystem: machine.operatingSystem,
      architecture: machine.architecture,
    },
  }
}

function conditionsOf(
  before: Node['status'],
  health: Health,
  nowMs: number,
): NonNullable<Node['status']['conditions']> {
  const ready = health.runtimeReady && health.networkReady
  const why = [health.runtimeReady ? '' : health.runtimeMessage, health.networkReady ? '' : health.networkMessage]
  const wanted = [
    pressure(
      'MemoryPressure',
      health.memoryPressure,
      'KubeletHasInsufficientMemory',
      'KubeletHasSufficientMemory',
      'memory available',
    ),
    pressure(
      'DiskPressure',
      health.diskPressure,
      'KubeletHasDiskPressure',
      'KubeletHasNoDiskPressure',
      'disk pressure',
    ),
    pressure('PIDPressure', false, 'KubeletHasInsufficientPID', 'KubeletHasSufficientPID', 'PID available'),
    {
      type: 'Ready',
      status: ready ? ('True' as const) : ('False' as const),
      reason: ready ? 'KubeletReady' : 'KubeletNotReady',
      message: ready ? 'kubelet is posting ready status' : why.filter(text => text !== '').join('; '),
    },
  ]
  const ours = new Set(wanted.map(one => one.type))
  const others = (before.conditions ?? []).filter(one => !ours.has(one.type))
  const stamped = wanted.map(one => {
    const old = before.conditions?.find(condition => condition.type === one.type)
    const same = old?.status === one.status && old.reason === one.reason && old.message === one.message
    // The heartbeat moves only when something else did.
    if (same) return old
    const moved = old?.status !== one.status
    const now = rfc3339(nowMs)
    return { ...one, lastHeartbeatTime: now, lastTransitionTime: moved ? now : (old?.lastTransitionTime ?? now) }
  })
  return [...others, ...stamped]
}

function pressure(type: string, holds: boolean, yes: string, no: string, what: string) {
  const message =
    type === 'DiskPressure'
      ? `kubelet has ${holds ? '' : 'no '}${what}`
      : `kubelet has ${holds ? 'in' : ''}sufficient ${what}`
  return { type, status: holds ? ('True' as const) : ('False' as const), reason: holds ? yes : no, message }
}
