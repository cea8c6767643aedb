// Machines with a disk each, the network between them, and the real store on top. A machine starts, crashes, is damaged,
// is wiped and may come back as a new member. Everything seen here is told to the checker.
import type { Bytes } from '../../src/lib/bytes.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { describeMessage } from '../../src/raft/describe.ts'
import { type MemberId, memberId } from '../../src/raft/types.ts'
import { decodeEnvelope, type Envelope } from '../../src/store/message.ts'
import { openStore, type RunningStore, type StoreConfig } from '../../src/store/run.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'
import type { World } from '../../src/world/world.ts'
import type { Agenda } from './agenda.ts'
import { type Atlas, createAtlas } from './atlas.ts'
import type { Checker } from './checker.ts'
import { createSimDisk, type DiskBugs, DiskError, type DiskFaults, noDiskBites, type SimDisk } from './disk.ts'
import { type Damage, damage, damageKinds } from './disk-damage.ts'
import { createLife, type Life } from './life.ts'
import { createSimNetwork, type NetworkFaults, type SimNetwork } from './network.ts'
import { addCounts, type Counts } from './outcome.ts'
import { must, SafetyError } from './safety.ts'
import type { Trace } from './trace.ts'
import type { Truth } from './truth.ts'
import { simWorld } from './world.ts'

export type Machine = {
  readonly peer: PeerId
  readonly disk: SimDisk
  /** True milliseconds for each of its own. */
  readonly clockRate: number
  /** Which member the disk is of; undefined: it is blank. */
  member: MemberId | undefined
  isFounder: boolean
  /** It was admitted to vote and never to lead. */
  isWitness: boolean
  hasRun: boolean
  life: Life | undefined
  store: RunningStore | undefined
  lives: number
  /** How wrong its wall clock is. */
  wallSkewMs: number
  /** What its disk lost since it last ran. */
  damage: Damage | undefined
  /** It has refused to start: only a new member may come of it. */
  isBroken: boolean
}

/** A machine as it runs now: the life and the store stay what they are when it crashes. */
export type Running = {
  readonly machine: Machine
  readonly peer: PeerId
  readonly member: MemberId | undefined
  readonly store: RunningStore
  readonly life: Life
}
export type ClusterFaults = { readonly disk: DiskFaults; readonly network: NetworkFaults }

/** Bugs that a test puts in, around the store. */
export type StoreBugs = {
  readonly world?: (world: World, machine: Machine) => World
  readonly store?: (store: RunningStore, machine: Machine) => RunningStore
  readonly config?: (config: StoreConfig) => StoreConfig
  readonly disk?: DiskBugs
}

export type Cluster = {
  readonly machines: readonly Machine[]
  readonly network: SimNetwork
  readonly atlas: Atlas
  readonly running: () => readonly Running[]
  readonly leader: () => Running | undefined
  readonly start: (machine: Machine) => void
  readonly crash: (machine: Machine) => void
  readonly wipe: (machine: Machine) => void
  /** Takes away something that was synced, of one that is down, if enough others are whole. */
  readonly damage: (machine: Machine) => void
  /** A majority of every membership that may count is whole without those that `isOut` names. */
  readonly canSpare: (isOut: (machine: Machine) => boolean) => boolean
  readonly counts: { crashes: number; snapshots: number; refusedStarts: number }
  readonly bites: () => Counts
  /** The first thing that must never happen. */
  readonly failure: () => Error | undefined
}

const never = new AbortController().signal

export function createCluster(
  agenda: Agenda,
  random: Prng,
  faults: ClusterFaults,
  shape: { readonly machineCount: number; readonly driftMax: number; readonly config: Partial<StoreConfig> },
  checker: Checker,
  truth: Truth,
  trace: Trace,
  bugs: StoreBugs,
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
  const counts = { crashes: 0, snapshots: 0, refusedStarts: 0 }
  const diskBites = noDiskBites()
  const damages: Record<string, number> = {}
  const founder = memberId('founder')
  const atlas = createAtlas(founder)
  const decoded = new WeakMap<Bytes, Envelope>()

  const network = createSimNetwork(agenda, random, faults.network, (what, from, to, protocol, bytes) => {
    if (protocol !== 'raft') {
      if (what === 'heard') trace.note(`${from}>${to} ${protocol} ${bytes.length}`)
      return
    }
    const envelope = decoded.get(bytes) ?? decodeEnvelope(bytes)
    if (envelope === undefined) return
    decoded.set(bytes, envelope)
    const { message } = envelope
    if (what === 'sent') {
      atlas.sees(message)
      for (const member of atlas.witnesses) checker.witness(member)
      guard(() => checker.sends(envelope.from, envelope.to, message))
    } else {
      checker.hears(envelope.to, message)
      trace.note(`${from}>${to} ${describeShort(message)}`)
    }
  })

  const machines = Array.from({ length: shape.machineCount }, (_, i): Machine => {
    const machine: Machine = {
      peer: peerId(`p${i + 1}`),
      disk: createSimDisk(random, faults.disk, diskBites, () => crash(machine), bugs.disk),
      clockRate: 1 + (random.float() * 2 - 1) * shape.driftMax,
      member: i === 0 ? founder : undefined,
      isFounder: i === 0,
      isWitness: false,
      hasRun: false,
      life: undefined,
      store: undefined,
      lives: 0,
      wallSkewMs: 0,
      damage: undefined,
      isBroken: false,
    }
    return machine
  })

  /** What the stores say is part of the trace, and the only sign of some events. */
  function note(line: string): void {
    if (line.includes('installed a snapshot')) counts.snapshots++
    trace.note(line)
  }

  function start(machine: Machine): void {
    const { member, peer } = machine
    if (machine.life !== undefined || member === undefined || machine.isBroken) return
    const life = createLife(`${peer}.${++machine.lives}`, agenda)
    machine.life = life
    trace.note(`${life.name} starts as ${member}`)
    const { disk, clockRate } = machine
    const outside = { network, disk, random, clockRate, wallSkewMs: () => machine.wallSkewMs, note }
    const world = (bugs.world ?? (same => same))(simWorld(peer, life, outside), machine)
    const bootstrap = machine.isFounder && !machine.hasRun
    const whole = { clusterId: 'sim', member, bootstrap, witness: machine.isWitness, ...shape.config }
    const config = (bugs.config ?? (same => same))(machine.hasRun ? { ...whole, expectExisting: true } : whole)
    openStore(world, config, never).then(
      store => {
        if (life.alive) opened(machine, life, store)
      },
      error => ended(machine, life, error),
    )
  }

  function opened(machine: Machine, life: Life, store: RunningStore): void {
    guard(() => {
      const what = machine.damage
      must(what?.mustRefuse !== true, 'damage is told', () => `${life.name} opened in spite of a ${what?.kind}`)
    })
    machine.damage = undefined
    machine.store = (bugs.store ?? (same => same))(store, machine)
    machine.hasRun = true
    store.onApplied(change => guard(() => truth.applies(life.name, change)))
    store.done.catch(error => ended(machine, life, error))
    watchState(life, store)
  }

  /** Its process ends by itself: after a fault of the disk, and never else. */
  function ended(machine: Machine, life: Life, error: unknown): void {
    if (!life.alive) return
    trace.note(`${life.name} ended: ${String(error)}`)
    if (error instanceof Error && error.name === 'StoreDamage') {
      if (machine.damage === undefined || machine.damage.mustRefuse === false) {
        fail(new SafetyError('damage is told', `${life.name} sees damage where there is none`, { cause: error }))
      }
      counts.refusedStarts++
      crash(machine)
      machine.isBroken = true
      return
    }
    if (isOfDisk(error)) crash(machine)
    else fail(new SafetyError('nothing ends by itself', life.name, { cause: error }))
  }

  /** Equal states at equal indexes, seen often enough that a difference cannot hide. */
  function watchState(life: Life, store: RunningStore): void {
    const look = () => {
      if (!life.alive) return
      const { index, hash } = store.hash()
      guard(() => checker.hashes(life.name, index, String(hash)))
      agenda.after(50, look)
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

  const isWhole = (machine: Machine) => machine.damage === undefined && !machine.isBroken
  const canSpare = (isOut: (machine: Machine) => boolean) =>
    atlas.isQuorum(id => machines.some(one => one.member === id && isWhole(one) && !isOut(one)))

  function damageOne(machine: Machine): void {
    const { disk } = machine
    const isDue = machine.life === undefined && machine.hasRun && isWhole(machine)
    if (!isDue || !canSpare(one => one === machine)) return
    const draw = random.below(damageKinds.length + 1)
    const kind = damageKinds[draw]
    if (kind === undefined) {
      disk.misdirectsRead = true
      machine.damage = { kind: 'lost write', mustRefuse: undefined }
    } else machine.damage = damage(disk, kind, random)
    if (machine.damage === undefined) return
    const name = kind ?? 'misdirected read'
    trace.note(`${machine.peer} has a ${name}`)
    if (kind !== undefined) addCounts(damages, { [`damage: ${name}`]: 1 })
  }

  const running = () =>
    machines.flatMap((machine): Running[] => {
      const { peer, member, store, life } = machine
      return store === undefined || life === undefined ? [] : [{ machine, peer, member, store, life }]
    })

  return {
    machines,
    network,
    atlas,
    running,
    leader: () => running().find(({ store }) => store.status().role === 'leader'),
    start,
    crash,
    wipe(machine) {
      crash(machine)
      machine.disk.wipe()
      machine.disk.misdirectsRead = false
      machine.member = undefined
      machine.isFounder = false
      machine.isWitness = false
      machine.hasRun = false
      machine.damage = undefined
      machine.isBroken = false
    },
    damage: damageOne,
    canSpare,
    counts,
    bites: () => ({ ...diskBites, ...damages, ...network.bites() }),
    failure: () => failure,
  }
}

function isOfDisk(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error instanceof DiskError || /\b(?:EIO|FULL)\b/.test(error.message) || isOfDisk(error.cause)
}

function describeShort(message: Parameters<typeof describeMessage>[0]): string {
  if (message.kind !== 'append') return describeMessage(message)
  const { term, previousIndex, entries, commit, round } = message
  return `append t${term} after ${previousIndex} +${entries.length} commit ${commit} round ${round}`
}
