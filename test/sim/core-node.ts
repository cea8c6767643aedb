// One member of the core simulation: the core, a model of its disk, and the loop of a shell around them. A save takes
// time, is in order, and a crash keeps any beginning of it; what is on the disk counts.
import { text } from '../../src/lib/bytes.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { createRaft, type Raft, snapshotMeta, type step, wantsSnapshot } from '../../src/raft/raft.ts'
import type {
  Effects,
  Entry,
  HardState,
  Index,
  MemberId,
  Membership,
  Message,
  RaftConfig,
  RaftEvent,
  SnapshotMeta,
  Term,
} from '../../src/raft/types.ts'
import type { Agenda } from './agenda.ts'
import type { Checker } from './checker.ts'
import { checkAnswer, checkStep, checkSticky } from './core-invariants.ts'
import type { CoreSwarm } from './core-swarm.ts'
import type { Trace } from './trace.ts'

export const tickMs = 50
export const electionTicks = 10
export const electionTimeoutMs = tickMs * electionTicks

/** Where a bug can be put in. */
export type CoreFaults = {
  readonly step?: typeof step
  /** One event for each step, so that a bug can be put around the one that it is about. */
  readonly oneByOne?: boolean
  /** Answers leave before the save is on disk. */
  readonly sendBeforeSave?: boolean
  /** What reaches the disk of a new hard state. */
  readonly keepHard?: (hard: HardState, before: HardState) => HardState
  /** Newest reads are answered from what is applied at once. */
  readonly readBeforeApply?: boolean
  /** What a snapshot says of itself when it is made. */
  readonly snapshot?: (snapshot: SnapshotMeta, raft: Raft) => SnapshotMeta
}

export type State = { readonly index: Index; readonly hash: string }
export type Stored = { hard: HardState; base: SnapshotMeta; entries: Entry[]; state: State }
type Save = {
  readonly hard: HardState
  readonly entries: readonly Entry[]
  readonly changesHard: boolean
  readonly afterwards: () => void
}

export type Node = {
  readonly id: MemberId
  readonly config: RaftConfig
  readonly disk: Stored
  /** Real time that its clock takes for a tick. */
  readonly tickMs: number
  raft: Raft
  /** Counts up with each start; what was scheduled in an earlier life is void. */
  life: number
  up: boolean
  busy: boolean
  pausedUntilMs: number
  inbox: RaftEvent[]
  installs: { snapshot: SnapshotMeta; state: State }[]
  fetching: boolean
  state: State
  /** Saves in order; the first is being written. */
  saves: Save[]
  /** Ends the save under way now. */
  finishSave: () => void
  proposals: Set<string>
  reads: Map<number, { acknowledged: Index; index: Index | undefined }>
  /** When it last heard its leader, by its own ticks; undefined: it noticed that the connection is gone. */
  heard: { readonly leader: MemberId; readonly term: Term; readonly atTick: number } | undefined
  /** The memberships of its log, as its saves show them: what its core must believe. */
  memberships: { readonly index: Index; readonly membership: Membership }[]
}

export type Core = {
  readonly agenda: Agenda
  readonly random: Prng
  readonly swarm: CoreSwarm
  readonly checker: Checker
  readonly trace: Trace
  readonly faults: CoreFaults
  readonly step: typeof step
  readonly nodes: Map<MemberId, Node>
  readonly counts: { crashes: number; snapshots: number; truncations: number }
  readonly bites: CoreBites
  /** Disks and machines do not fail any more. */
  isCalm: boolean
  nextId: number
  readonly send: (from: Node, to: MemberId, message: Message) => void
  readonly reaches: (from: MemberId, to: MemberId) => boolean
  /** A node went down: whoever notices. */
  readonly notice: (node: Node) => void
}

/** Faults that bit. */
export type CoreBites = {
  crash: number
  'crash in a save': number
  'torn save': number
  'failed snapshot': number
  'stalled save': number
}

export const between = (random: Prng, low: number, high: number) => low + random.float() * (high - low)
export const chance = (core: Core, probability: number) => !core.isCalm && core.random.chance(probability)
const lifeOf = (node: Node) => `${node.id}.${node.life}`

export function addNode(core: Core, id: MemberId, base: SnapshotMeta, witness: boolean): Node {
  const { random, swarm, nodes } = core
  const state = { index: base.index, hash: '' }
  const disk: Stored = { hard: { term: 0, vote: undefined }, base, entries: [], state }
  const config: RaftConfig = {
    self: id,
    electionTicks,
    heartbeatTicks: 2,
    inflightCountMax: swarm.inflightCountMax,
    appendBytesMax: swarm.appendBytesMax,
    uncommittedBytesMax: 4_000,
    witness,
  }
  const node: Node = {
    id,
    config,
    disk,
    tickMs: tickMs * (1 + (random.float() * 2 - 1) * swarm.driftMax),
    raft: createRaft(config, { hard: disk.hard, base, entries: [] }, () => random.float()),
    life: 0,
    up: false,
    busy: false,
    pausedUntilMs: 0,
    inbox: [],
    installs: [],
    fetching: false,
    state,
    saves: [],
    finishSave: () => {},
    proposals: new Set(),
    reads: new Map(),
    heard: undefined,
    memberships: [],
  }
  nodes.set(id, node)
  if (witness) core.checker.witness(id)
  startNode(core, node)
  return node
}

export function startNode(core: Core, node: Node): void {
  const { hard, base, entries, state } = node.disk
  node.life++
  node.up = true
  node.busy = false
  node.pausedUntilMs = 0
  node.inbox = []
  node.installs = []
  node.fetching = false
  node.state = state
  node.saves = []
  node.finishSave = () => {}
  node.proposals = new Set()
  node.reads = new Map()
  node.heard = undefined
  node.memberships = [{ index: base.index, membership: base.membership }, ...entries.flatMap(membershipOf)]
  node.raft = createRaft(node.config, { hard, base, entries, commit: state.index }, () => core.random.float())
  core.checker.installs(lifeOf(node), state.index, node.id)
  core.trace.note(`${node.id} starts at ${base.index}+${entries.length} state ${state.index}`)
  scheduleTick(core, node, node.life)
}

const membershipOf = (entry: Entry) =>
  entry.kind === 'membership' ? [{ index: entry.index, membership: entry.membership }] : []

function scheduleTick(core: Core, node: Node, life: number): void {
  core.agenda.after(node.tickMs, () => {
    if (node.life !== life || !node.up) return
    // A process that stood still does not catch up on its ticks: it only finds that time has passed.
    if (node.pausedUntilMs <= core.agenda.nowMs()) put(core, node, { kind: 'tick' })
    scheduleTick(core, node, life)
  })
}

export function put(core: Core, node: Node, event: RaftEvent): void {
  if (!node.up) return
  node.inbox.push(event)
  pump(core, node)
}

/** The shell's loop: one batch at a time, and the next only after the whole of the last. */
export function pump(core: Core, node: Node): void {
  const { swarm, faults } = core
  if (!node.up || node.busy || node.pausedUntilMs > core.agenda.nowMs()) return
  if (node.saves.length > 0 && (!swarm.pipelined || node.installs.length > 0)) return
  const install = node.installs.shift()
  if (install !== undefined) {
    installNow(core, node, install.snapshot, install.state)
    return
  }
  if (node.inbox.length === 0) return
  const events = faults.oneByOne === true ? node.inbox.slice(0, 1) : node.inbox
  node.inbox = faults.oneByOne === true ? node.inbox.slice(1) : []
  carryOut(core, node, events)
  if (node.inbox.length > 0) pump(core, node)
}

function installNow(core: Core, node: Node, snapshot: SnapshotMeta, state: State): void {
  const { checker, counts, trace } = core
  if (!wantsSnapshot(node.raft, snapshot)) {
    pump(core, node)
    return
  }
  const { life } = node
  node.busy = true
  core.agenda.after(between(core.random, 1, 2 * core.swarm.saveMsMax), () => {
    if (node.life !== life || !node.up) return
    node.busy = false
    node.disk.base = snapshot
    node.disk.entries = []
    node.disk.state = state
    node.state = state
    counts.snapshots++
    checker.installs(lifeOf(node), state.index, node.id)
    checker.hashes(lifeOf(node), state.index, state.hash)
    // What it should say, not what it says.
    const membership = checker.membershipAt(snapshot.index) ?? snapshot.membership
    node.memberships = [{ index: snapshot.index, membership }]
    trace.note(`${node.id} installs ${snapshot.index}/${snapshot.term}`)
    carryOut(core, node, [{ kind: 'installed', snapshot }])
    pump(core, node)
  })
}

function carryOut(core: Core, node: Node, events: readonly RaftEvent[]): void {
  const { swarm, faults, trace } = core
  const before = { commit: node.raft.commit, membership: node.raft.history.at(-1)?.membership }
  const lastBefore = node.raft.log.base.index + node.raft.log.entries.length
  const effects = core.step(node.raft, events)
  const { save, role } = effects
  const first = save?.entries[0]
  if (first !== undefined) {
    if (first.index <= lastBefore) core.counts.truncations++
    while ((node.memberships.at(-1)?.index ?? 0) >= first.index && node.memberships.length > 1) node.memberships.pop()
    for (const entry of save?.entries ?? []) node.memberships.push(...membershipOf(entry))
  }
  checkStep(core, node, effects, before)
  checkSticky(node, events, effects)
  if (role !== undefined) trace.note(`${node.id} ${role.kind} t${role.term}${role.serving ? ' serving' : ''}`)

  for (const { index, term } of effects.accepted) node.proposals.add(`${index}/${term}`)
  const old = node.saves.at(-1)?.hard ?? node.disk.hard
  const wanted = save?.hard ?? node.raft.savedHard
  const changesHard = wanted.term !== old.term || wanted.vote !== old.vote
  const hard = changesHard && faults.keepHard !== undefined ? faults.keepHard(wanted, old) : wanted
  // Nothing may be said in the name of a term that is still on its way to the disk.
  const isHeld = faults.sendBeforeSave !== true && node.saves.some(one => one.changesHard)
  const late = isHeld ? [...effects.sendEarly, ...effects.send] : effects.send
  if (!isHeld) sendAll(core, node, effects.sendEarly)
  if (save === undefined && (node.saves.length === 0 || late.length === 0)) {
    sendAll(core, node, late)
    finishStep(core, node, effects)
    return
  }
  if (faults.sendBeforeSave === true) sendAll(core, node, late)
  node.saves.push({
    hard,
    entries: save?.entries ?? [],
    changesHard,
    afterwards() {
      if (faults.sendBeforeSave !== true) sendAll(core, node, late)
      if (!swarm.pipelined) finishStep(core, node, effects)
    },
  })
  if (node.saves.length === 1) saveNext(core, node)
  // With saves behind it, the core goes on at once: what is committed is on the disks of others.
  if (swarm.pipelined) finishStep(core, node, effects)
}

function saveNext(core: Core, node: Node): void {
  const { agenda, random, swarm } = core
  const [save] = node.saves
  if (save === undefined) return
  const { life } = node
  const isLive = () => node.life === life && node.up && node.saves[0] === save
  const isStalled = chance(core, swarm.stallChance)
  if (isStalled) core.bites['stalled save']++
  const ms = core.isCalm ? 1 : between(random, 0.1, isStalled ? swarm.stallMsMax : swarm.saveMsMax)
  if (chance(core, swarm.crashInSaveChance)) {
    agenda.after(random.float() * ms, () => {
      if (!isLive()) return
      core.bites['crash in a save']++
      crashNode(core, node)
    })
  }
  node.finishSave = () => {
    if (!isLive()) return
    write(core, node, save.hard, save.entries)
    const last = save.entries.at(-1)
    node.saves.shift()
    if (last !== undefined) node.inbox.unshift({ kind: 'durable', index: last.index, term: last.term })
    save.afterwards()
    if (node.saves[0] !== undefined) saveNext(core, node)
    pump(core, node)
  }
  agenda.after(ms, node.finishSave)
}

function sendAll(core: Core, node: Node, messages: Effects['send']): void {
  for (const { to, message } of messages) {
    core.checker.sends(node.id, to, message)
    checkAnswer(node, message)
    core.send(node, to, message)
  }
}

/** What is on the disk counts; what was lost with an unfinished save was never promised. */
function write({ checker }: Core, { id, disk }: Node, hard: HardState, entries: readonly Entry[]): void {
  disk.hard = hard
  const [first] = entries
  if (first !== undefined) {
    disk.entries.length = first.index - disk.base.index - 1
    disk.entries.push(...entries)
  }
  const before = first === undefined ? undefined : disk.entries[first.index - disk.base.index - 2]
  checker.saves(id, hard, entries, before?.term)
}

function finishStep(core: Core, node: Node, effects: Effects): void {
  const { checker, trace, faults, swarm } = core
  for (const entry of effects.commit) applyEntry(core, node, entry)
  for (const { id, why } of effects.refused) trace.note(`${node.id} refuses ${id} ${why}`)
  for (const { id, index } of effects.reads) {
    const read = node.reads.get(id)
    if (read === undefined) continue
    if (index === undefined) node.reads.delete(id)
    else read.index = index
  }
  for (const [id, { acknowledged, index }] of node.reads) {
    if (index === undefined || (node.state.index < index && faults.readBeforeApply !== true)) continue
    node.reads.delete(id)
    checker.reads(lifeOf(node), node.state.index, acknowledged)
  }
  for (const { to } of effects.sendSnapshot) if (!swarm.pull) pushSnapshot(core, node, to)
  const fetch = effects.fetchSnapshot
  if (fetch !== undefined && swarm.pull) pullSnapshot(core, node, fetch.from)
  if (effects.commit.length > 0) {
    put(core, node, { kind: 'applied', index: node.state.index })
    compactMaybe(core, node)
  }
}

function applyEntry({ checker }: Core, node: Node, entry: Entry): void {
  const content = entry.kind === 'command' ? text(entry.command) : entry.kind
  node.state = { index: entry.index, hash: mix(node.state.hash, `${entry.index}${content}`) }
  checker.applies(lifeOf(node), entry, node.state.hash)
  if (node.proposals.delete(`${entry.index}/${entry.term}`)) checker.acknowledges(entry.index)
}

function metaOf({ faults }: Core, node: Node, index: Index): SnapshotMeta {
  const meta = snapshotMeta(node.raft, index)
  return faults.snapshot === undefined ? meta : faults.snapshot(meta, node.raft)
}

/** The applied state reaches the disk now and then; the log may only be cut below it. */
function compactMaybe(core: Core, node: Node): void {
  const { random, swarm } = core
  // The state must not know more than the log.
  if (!random.chance(0.3) || node.saves.length > 0) return
  node.disk.state = node.state
  const index = node.state.index - random.below(swarm.keptEntries)
  if (index - node.disk.base.index < swarm.keptEntries) return
  const snapshot = snapshotMeta(node.raft, index)
  node.disk.entries.splice(0, index - node.disk.base.index)
  node.disk.base = snapshot
  const at = node.memberships.findLastIndex(one => one.index <= index)
  if (at > 0) node.memberships.splice(0, at)
  put(core, node, { kind: 'compacted', snapshot })
}

function pushSnapshot(core: Core, node: Node, to: MemberId): void {
  const { life, state } = node
  const snapshot = metaOf(core, node, state.index)
  const fails = chance(core, core.swarm.snapshotFails)
  core.agenda.after(between(core.random, 20, 400), () => {
    const target = core.nodes.get(to)
    const ok = !fails && target?.up === true && core.reaches(node.id, to)
    if (!ok) core.bites['failed snapshot']++
    if (ok && target !== undefined) {
      target.installs.push({ snapshot, state })
      pump(core, target)
    }
    if (node.life === life) put(core, node, { kind: 'snapshotSent', to, ok, index: snapshot.index })
  })
}

function pullSnapshot(core: Core, node: Node, from: MemberId): void {
  if (node.fetching) return
  node.fetching = true
  const { life } = node
  const fails = chance(core, core.swarm.snapshotFails)
  core.agenda.after(between(core.random, 20, 400), () => {
    if (node.life !== life) return
    node.fetching = false
    const source = core.nodes.get(from)
    if (source === undefined || !source.up || !core.reaches(from, node.id)) return
    const { state } = source
    const ok = !fails && state.index >= source.raft.log.base.index
    if (!ok) core.bites['failed snapshot']++
    if (ok) {
      node.installs.push({ snapshot: metaOf(core, source, state.index), state })
      pump(core, node)
    }
    put(core, source, { kind: 'snapshotSent', to: node.id, ok, index: state.index })
  })
}

export function crashNode(core: Core, node: Node): void {
  const { random } = core
  core.counts.crashes++
  core.bites.crash++
  node.up = false
  const [unfinished] = node.saves
  if (unfinished !== undefined) {
    // Of an unfinished save any beginning of the entries may be there, with or without the hard state.
    const kept = unfinished.entries.slice(0, random.below(unfinished.entries.length + 1))
    if (kept.length < unfinished.entries.length) core.bites['torn save']++
    write(core, node, random.chance(0.5) ? unfinished.hard : node.disk.hard, kept)
  }
  core.trace.note(`${node.id} crashes`)
  core.notice(node)
}

/** FNV-1a over what was applied. */
function mix(hash: string, more: string): string {
  let value = Number.parseInt(hash === '' ? '0' : hash, 36)
  for (let i = 0; i < more.length; i++) value = Math.imul(value ^ more.charCodeAt(i), 0x01000193) >>> 0
  return value.toString(36)
}
