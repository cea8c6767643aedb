// Machines with a disk each, the network between them, and the real store on top. A machine starts, crashes, is wiped
// and may come back as a new member. Everything seen here is told to the checker.
import type { Prng } from '../../src/lib/prng.ts'
import { describeMessage } from '../../src/raft/describe.ts'
import { type MemberId, memberId } from '../../src/raft/types.ts'
import { decodeEnvelope } from '../../src/store/message.ts'
import { openStore, type RunningStore, type StoreConfig } from '../../src/store/run.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'
import type { World } from '../../src/world/world.ts'
import type { Agenda } from './agenda.ts'
import type { Checker } from './checker.ts'
import { createSimDisk, DiskError, type DiskFaults, type SimDisk } from './disk.ts'
import { createLife, type Life } from './life.ts'
import { createSimNetwork, type NetworkFaults, type SimNetwork } from './network.ts'
import type { Trace } from './trace.ts'
import { simWorld } from './world.ts'

export type Machine = {
  readonly peer: PeerId
  readonly disk: SimDisk
  /** Which member the disk is of; undefined: it is blank. */
  member: MemberId | undefined
  isFounder: boolean
  hasRun: boolean
  life: Life | undefined
  store: RunningStore | undefined
  lives: number
  /** How wrong its wall clock is. */
  wallSkewMs: number
}

export type ClusterFaults = { readonly disk: DiskFaults; readonly network: NetworkFaults }

export type Cluster = {
  readonly machines: readonly Machine[]
  readonly network: SimNetwork
  readonly running: () => readonly (Machine & { store: RunningStore; life: Life })[]
  readonly leader: () => (Machine & { store: RunningStore; life: Life }) | undefined
  readonly start: (machine: Machine) => void
  readonly crash: (machine: Machine) => void
  readonly wipe: (machine: Machine) => void
  readonly counts: { crashes: number; diskFailures: number; snapshots: number }
  /** The first thing that must never happen. */
  readonly failure: () => Error | undefined
}

const never = new AbortController().signal
/** Where a test puts a bug in: what a message becomes on its way from or to a store. */
export type WrapWorld = (world: World, machine: Machine) => World

export function createCluster(
  agenda: Agenda,
  random: Prng,
  faults: ClusterFaults,
  machineCount: number,
  config: Partial<StoreConfig>,
  checker: Checker,
  trace: Trace,
  wrap: WrapWorld = world => world,
): Cluster {
  let failure: Error | undefined
  const fail = (error: unknown) => {
    failure ??= error instanceof Error ? error : new Error(String(error))
  }
  const guard = (check: () => void) => {
    try {
      check()
    } catch (error) {
      fail(error)
    }
  }
  const counts = { crashes: 0, diskFailures: 0, snapshots: 0 }
  const network = createSimNetwork(agenda, random, faults.network, (what, from, to, protocol, bytes) => {
    const envelope = protocol === 'raft' ? decodeEnvelope(bytes) : undefined
    if (envelope === undefined) return
    if (what === 'sent') guard(() => checker.sends(envelope.from, envelope.to, envelope.message))
    else trace.note(`${from}>${to} ${describeShort(envelope.message)}`)
  })
  const machines = Array.from({ length: machineCount }, (_, i): Machine => {
    const peer = peerId(`p${i + 1}`)
    const machine: Machine = {
      peer,
      disk: createSimDisk(random, faults.disk, () => crash(machine)),
      member: undefined,
      isFounder: i === 0,
      hasRun: false,
      life: undefined,
      store: undefined,
      lives: 0,
      wallSkewMs: 0,
    }
    return machine
  })
  const [first] = machines
  if (first !== undefined) first.member = memberId('founder')

  /** What the stores say is part of the trace, and the only sign of some events. */
  function note(line: string): void {
    if (line.includes('installed a snapshot')) counts.snapshots++
    trace.note(line)
  }

  function start(machine: Machine): void {
    const { member, peer } = machine
    if (machine.life !== undefined || member === undefined) return
    const life = createLife(`${peer}.${++machine.lives}`, agenda)
    machine.life = life
    trace.note(`${life.name} starts as ${member}`)
    const outside = { network, disk: machine.disk, random, wallSkewMs: () => machine.wallSkewMs, note }
    const world = wrap(simWorld(peer, life, outside), machine)
    const whole = { clusterId: 'sim', member, bootstrap: machine.isFounder && !machine.hasRun, ...config }
    openStore(world, machine.hasRun ? { ...whole, expectExisting: true } : whole, never).then(
      store => {
        if (!life.alive) return
        machine.store = store
        machine.hasRun = true
        store.done.catch(error => ended(machine, life, error))
        watchState(life, store)
      },
      error => ended(machine, life, error),
    )
  }

  /** Its process ends by itself: right after a fault of the disk, and never else. */
  function ended(machine: Machine, life: Life, error: unknown): void {
    if (!life.alive) return
    trace.note(`${life.name} ended: ${String(error)}`)
    if (!String(error).includes('EIO') && !String(error).includes('ENOSPC')) {
      fail(new Error(`${life.name} ended by itself`, { cause: error }))
      return
    }
    if (error instanceof DiskError) counts.diskFailures++
    crash(machine)
  }

  /** Equal states at equal indexes, seen often enough that a difference cannot hide. */
  function watchState(life: Life, store: RunningStore): void {
    const look = () => {
      if (!life.alive) return
      const { index, hash } = store.hash()
      guard(() => checker.hashes(life.name, index, String(hash)))
      agenda.after(17, look)
    }
    look()
  }

  function crash(machine: Machine): void {
    const { life } = machine
    if (life === undefined) return
    trace.note(`${life.name} crashes`)
    counts.crashes++
    life.end()
    machine.life = undefined
    machine.store = undefined
    machine.disk.crash()
    network.leave(machine.peer)
  }

  const running = () =>
    machines.filter(
      (one): one is Machine & { store: RunningStore; life: Life } => one.store !== undefined && one.life !== undefined,
    )

  return {
    machines,
    network,
    running,
    leader: () => running().find(({ store }) => store.status().role === 'leader'),
    start,
    crash,
    wipe(machine) {
      crash(machine)
      machine.disk.wipe()
      machine.member = undefined
      machine.isFounder = false
      machine.hasRun = false
    },
    counts,
    failure: () => failure,
  }
}

function describeShort(message: Parameters<typeof describeMessage>[0]): string {
  if (message.kind !== 'append') return describeMessage(message)
  const { term, previousIndex, entries, commit, round } = message
  return `append t${term} after ${previousIndex} +${entries.length} commit ${commit} round ${round}`
}
