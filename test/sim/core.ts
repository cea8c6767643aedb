// The consensus core alone, on a model of a disk and a network: no promises, so thousands of virtual seconds pass in a
// real one. Harsher than any network: messages of one connection may overtake each other. `stepOf` and `saveLiesOf` are
// where a test puts a bug in, to see it found.
import { text, utf8 } from '../../src/lib/bytes.ts'
import { type Prng, prng } from '../../src/lib/prng.ts'
import { describeMessage } from '../../src/raft/describe.ts'
import { termAt } from '../../src/raft/log.ts'
import { majority } from '../../src/raft/quorum.ts'
import { createRaft, type Raft, snapshotMeta, status, step, wantsSnapshot } from '../../src/raft/raft.ts'
import {
  type Effects,
  type Entry,
  type HardState,
  type Index,
  type MemberId,
  type MembershipStep,
  type Message,
  memberId,
  type RaftConfig,
  type RaftEvent,
  type SnapshotMeta,
} from '../../src/raft/types.ts'
import { createAgenda } from './agenda.ts'
import { createChecker, SafetyError } from './checker.ts'
import { createTrace } from './trace.ts'

export type CoreFaults = {
  readonly step?: typeof step
  /** Answers leave before the save is on disk. */
  readonly sendBeforeSave?: boolean
}

export type CoreResult = {
  readonly seed: number
  readonly digest: string
  readonly counts: Readonly<Record<string, number>>
  readonly failure: string | undefined
  readonly trace: readonly string[]
}

const tickMs = 50
const electionTicks = 10
const electionTimeoutMs = tickMs * electionTicks

type State = { readonly index: Index; readonly hash: string }
type Stored = { hard: HardState; base: SnapshotMeta; entries: Entry[]; state: State }
type Save = {
  readonly hard: HardState
  readonly entries: readonly Entry[]
  readonly changesHard: boolean
  readonly afterwards: () => void
}
type Node = {
  readonly id: MemberId
  readonly disk: Stored
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
  proposals: Map<string, { id: number; isWrite: boolean }>
  reads: Map<number, { acknowledged: Index; index: Index | undefined }>
}

/** How bad this seed is: drawn once, so that some runs are calm in one way and wild in another (swarm testing). */
function drawSwarm(random: Prng) {
  const some = (chance: number, most: number) => (random.chance(chance) ? random.float() * most : 0)
  return {
    voterCount: 1 + random.below(6),
    loss: some(0.7, 0.3),
    duplicate: some(0.5, 0.3),
    delayMsMin: 1 + random.below(20),
    delayMsMax: 25 + random.below(random.chance(0.2) ? 500 : 80),
    saveMsMax: 1 + random.below(random.chance(0.2) ? 300 : 25),
    crashInSaveChance: some(0.6, random.chance(0.3) ? 0.1 : 0.01),
    crashEveryMs: random.chance(0.85) ? 700 + random.below(8_000) : Number.POSITIVE_INFINITY,
    cutEveryMs: random.chance(0.8) ? 700 + random.below(6_000) : Number.POSITIVE_INFINITY,
    pauseEveryMs: random.chance(0.5) ? 1_000 + random.below(8_000) : Number.POSITIVE_INFINITY,
    changeEveryMs: random.chance(0.8) ? 500 + random.below(5_000) : Number.POSITIVE_INFINITY,
    transferEveryMs: random.chance(0.5) ? 1_000 + random.below(8_000) : Number.POSITIVE_INFINITY,
    writeEveryMs: 5 + random.below(120),
    readEveryMs: 20 + random.below(300),
    keptEntries: 1 + random.below(random.chance(0.5) ? 20 : 200),
    pull: random.chance(0.5),
    pipelined: random.chance(0.6),
    snapshotFails: some(0.5, 0.5),
    noticesCuts: random.chance(0.6),
    /** Every cut takes away a leader that has followers enough to replace it while it still believes. */
    cutsLeaders: random.chance(0.25),
  }
}

export function runCore(
  seed: number,
  options: {
    safetyMs?: number
    faults?: CoreFaults
    print?: (line: string) => void
    /** Does not look at what answers promise, to see whether clients would notice. */
    withoutPromises?: boolean
  } = {},
): CoreResult {
  const { safetyMs = 40_000, faults = {} } = options
  const random = prng(seed)
  const swarm = drawSwarm(random)
  const agenda = createAgenda()
  const trace = createTrace(agenda.nowMs, options.print)
  const checker = createChecker()
  const counts = { crashes: 0, cuts: 0, snapshots: 0, messages: 0 }
  const nodes = new Map<MemberId, Node>()
  const cuts = new Set<string>()
  const theStep = faults.step ?? step
  let isHealed = false
  /** Kept away while the others must serve. */
  let absent: Node | undefined
  let memberCount = 0
  let nextId = 1

  const configFor = (self: MemberId): RaftConfig => ({
    self,
    electionTicks,
    heartbeatTicks: 2,
    inflightCountMax: 1 + (seed % 8),
    appendBytesMax: 100 + 40 * (seed % 50),
    uncommittedBytesMax: 4_000,
    witness: false,
  })
  const between = (low: number, high: number) => low + random.float() * (high - low)
  const chance = (probability: number) => !isHealed && random.chance(probability)
  const alive = () => [...nodes.values()].filter(node => node.up)
  const pick = <T>(list: readonly T[]): T | undefined => list[random.below(list.length)]
  const lifeOf = (node: Node) => `${node.id}.${node.life}`

  function addNode(base: SnapshotMeta): Node {
    const id = memberId(`m${++memberCount}`)
    const state = { index: base.index, hash: '' }
    const disk: Stored = { hard: { term: 0, vote: undefined }, base, entries: [], state }
    const node: Node = {
      id,
      disk,
      raft: createRaft(configFor(id), { hard: disk.hard, base, entries: [] }, () => random.float()),
      life: 0,
      up: false,
      busy: false,
      pausedUntilMs: 0,
      inbox: [],
      installs: [],
      fetching: false,
      state,
      saves: [],
      proposals: new Map(),
      reads: new Map(),
    }
    nodes.set(id, node)
    start(node)
    return node
  }

  function start(node: Node): void {
    const { hard, base, entries, state } = node.disk
    node.life++
    node.up = true
    node.busy = false
    node.inbox = []
    node.installs = []
    node.fetching = false
    node.state = state
    node.saves = []
    node.proposals = new Map()
    node.reads = new Map()
    node.raft = createRaft(configFor(node.id), { hard, base, entries, commit: state.index }, () => random.float())
    checker.installs(lifeOf(node), state.index)
    trace.note(`${node.id} starts at ${base.index}+${entries.length} state ${state.index}`)
    scheduleTick(node, node.life)
  }

  function scheduleTick(node: Node, life: number): void {
    agenda.after(tickMs, () => {
      if (node.life !== life || !node.up) return
      // A process that stood still does not catch up on its ticks: it only finds that time has passed.
      if (node.pausedUntilMs <= agenda.nowMs()) put(node, { kind: 'tick' })
      scheduleTick(node, life)
    })
  }

  function put(node: Node, event: RaftEvent): void {
    if (!node.up) return
    node.inbox.push(event)
    pump(node)
  }

  /** The shell's loop: one batch at a time, and the next only after the whole of the last. */
  function pump(node: Node): void {
    if (!node.up || node.busy || node.pausedUntilMs > agenda.nowMs()) return
    if (node.saves.length > 0 && (!swarm.pipelined || node.installs.length > 0)) return
    const install = node.installs.shift()
    if (install !== undefined) {
      installNow(node, install.snapshot, install.state)
      return
    }
    if (node.inbox.length === 0) return
    const events = node.inbox
    node.inbox = []
    carryOut(node, theStep(node.raft, events))
  }

  function whenIdle(node: Node, ms: number, act: () => void): void {
    const { life } = node
    node.busy = true
    agenda.after(ms, () => {
      if (node.life !== life || !node.up) return
      node.busy = false
      act()
      pump(node)
    })
  }

  function installNow(node: Node, snapshot: SnapshotMeta, state: State): void {
    if (!wantsSnapshot(node.raft, snapshot)) {
      pump(node)
      return
    }
    whenIdle(node, between(1, 2 * swarm.saveMsMax), () => {
      node.disk.base = snapshot
      node.disk.entries = []
      node.disk.state = state
      node.state = state
      counts.snapshots++
      checker.installs(lifeOf(node), state.index)
      checker.hashes(lifeOf(node), state.index, state.hash)
      trace.note(`${node.id} installs ${snapshot.index}/${snapshot.term}`)
      carryOut(node, theStep(node.raft, [{ kind: 'installed', snapshot }]))
    })
  }

  function carryOut(node: Node, effects: Effects): void {
    const { save, role } = effects
    const { raft } = node
    // A lone voter elects itself before its vote is on disk; it leads for others once it sends, or serves.
    if (role?.serving === true) checker.leads(node.id, role.term)
    if (role?.kind === 'leader') {
      checker.elected(node.id, role.term, index =>
        index <= raft.log.base.index ? undefinedBelow(index) : termAt(raft.log, index),
      )
    }
    if (role !== undefined) trace.note(`${node.id} ${role.kind} t${role.term}${role.serving ? ' serving' : ''}`)
    function undefinedBelow(index: Index) {
      // Compacted entries were committed; that they are the right ones was checked when they were applied.
      return termOfCommitted.get(index)
    }
    for (const { id, index, term } of effects.accepted) node.proposals.set(`${index}/${term}`, { id, isWrite: true })
    const hard = save?.hard ?? node.raft.savedHard
    const before = node.saves.at(-1)?.hard ?? node.disk.hard
    const changesHard = hard.term !== before.term || hard.vote !== before.vote
    // Nothing may be said in the name of a term that is still on its way to the disk.
    const isHeld = faults.sendBeforeSave !== true && node.saves.some(one => one.changesHard)
    const late = isHeld ? [...effects.sendEarly, ...effects.send] : effects.send
    if (!isHeld) sendAll(node, effects.sendEarly)
    if (save === undefined && (node.saves.length === 0 || late.length === 0)) {
      sendAll(node, late)
      finishStep(node, effects)
      return
    }
    if (faults.sendBeforeSave === true) sendAll(node, late)
    node.saves.push({
      hard,
      entries: save?.entries ?? [],
      changesHard,
      afterwards() {
        if (faults.sendBeforeSave !== true) sendAll(node, late)
        if (!swarm.pipelined) finishStep(node, effects)
      },
    })
    if (node.saves.length === 1) saveNext(node)
    // With saves behind it, the core goes on at once: what is committed is on the disks of others.
    if (swarm.pipelined) finishStep(node, effects)
  }

  function saveNext(node: Node): void {
    const [save] = node.saves
    if (save === undefined) return
    const { life } = node
    const isLive = () => node.life === life && node.up && node.saves[0] === save
    const ms = isHealed ? 1 : between(0.1, swarm.saveMsMax)
    if (chance(swarm.crashInSaveChance)) {
      agenda.after(random.float() * ms, () => {
        if (isLive()) crash(node)
      })
    }
    agenda.after(ms, () => {
      if (!isLive()) return
      write(node, save.hard, save.entries)
      const last = save.entries.at(-1)
      node.saves.shift()
      if (last !== undefined) node.inbox.unshift({ kind: 'durable', index: last.index, term: last.term })
      save.afterwards()
      if (node.saves[0] !== undefined) saveNext(node)
      pump(node)
    })
  }

  function sendAll(node: Node, messages: Effects['send']): void {
    for (const { to, message } of messages) send(node, to, message)
  }

  /** What is on the disk counts; what was lost with an unfinished save was never promised. */
  function write({ id, disk }: Node, hard: HardState, entries: readonly Entry[]): void {
    disk.hard = hard
    const [first] = entries
    if (first !== undefined) {
      disk.entries.length = first.index - disk.base.index - 1
      disk.entries.push(...entries)
    }
    const before = first === undefined ? undefined : disk.entries[first.index - disk.base.index - 2]
    checker.saves(id, hard, entries, before?.term)
  }

  function finishStep(node: Node, effects: Effects): void {
    for (const entry of effects.commit) applyEntry(node, entry)
    for (const { id, why } of effects.refused) trace.note(`${node.id} refuses ${id} ${why}`)
    for (const { id, index } of effects.reads) {
      const read = node.reads.get(id)
      if (read === undefined) continue
      if (index === undefined) node.reads.delete(id)
      else read.index = index
    }
    for (const [id, { acknowledged, index }] of node.reads) {
      if (index === undefined || node.state.index < index) continue
      node.reads.delete(id)
      checker.reads(lifeOf(node), index, acknowledged)
    }
    for (const { to } of effects.sendSnapshot) if (!swarm.pull) pushSnapshot(node, to)
    const fetch = effects.fetchSnapshot
    if (fetch !== undefined && swarm.pull) pullSnapshot(node, fetch.from)
    if (effects.commit.length > 0) {
      put(node, { kind: 'applied', index: node.state.index })
      compactMaybe(node)
    }
  }

  const termOfCommitted = new Map<Index, number>()

  function applyEntry(node: Node, entry: Entry): void {
    const content = entry.kind === 'command' ? text(entry.command) : entry.kind
    node.state = { index: entry.index, hash: mix(node.state.hash, `${entry.index}${content}`) }
    termOfCommitted.set(entry.index, entry.term)
    checker.applies(lifeOf(node), entry, node.state.hash)
    const key = `${entry.index}/${entry.term}`
    const proposal = node.proposals.get(key)
    if (proposal === undefined) return
    node.proposals.delete(key)
    checker.acknowledges(entry.index)
  }

  /** The applied state reaches the disk now and then; the log may only be cut below it. */
  function compactMaybe(node: Node): void {
    // The state must not know more than the log.
    if (!random.chance(0.3) || node.saves.length > 0) return
    node.disk.state = node.state
    const index = node.state.index - random.below(swarm.keptEntries)
    if (index - node.disk.base.index < swarm.keptEntries) return
    const snapshot = snapshotMeta(node.raft, index)
    node.disk.entries.splice(0, index - node.disk.base.index)
    node.disk.base = snapshot
    put(node, { kind: 'compacted', snapshot })
  }

  function pushSnapshot(node: Node, to: MemberId): void {
    const { life, state } = node
    const snapshot = snapshotMeta(node.raft, state.index)
    const fails = chance(swarm.snapshotFails)
    agenda.after(between(20, 400), () => {
      const target = nodes.get(to)
      const ok = !fails && target !== undefined && target.up && !isCut(node.id, to)
      if (ok) {
        target.installs.push({ snapshot, state })
        pump(target)
      }
      if (node.life === life) put(node, { kind: 'snapshotSent', to, ok, index: snapshot.index })
    })
  }

  function pullSnapshot(node: Node, from: MemberId): void {
    if (node.fetching) return
    node.fetching = true
    const { life } = node
    const fails = chance(swarm.snapshotFails)
    agenda.after(between(20, 400), () => {
      if (node.life !== life) return
      node.fetching = false
      const source = nodes.get(from)
      if (source === undefined || !source.up || isCut(from, node.id)) return
      const { state } = source
      const ok = !fails && state.index >= source.raft.log.base.index
      if (ok) {
        node.installs.push({ snapshot: snapshotMeta(source.raft, state.index), state })
        pump(node)
      }
      put(source, { kind: 'snapshotSent', to: node.id, ok, index: state.index })
    })
  }

  const isCut = (from: MemberId, to: MemberId) => cuts.has(`${from}>${to}`)

  function send(node: Node, to: MemberId, message: Message): void {
    counts.messages++
    checker.sends(node.id, to, message)
    checkPromise(node, message)
    if (isCut(node.id, to) || chance(swarm.loss)) return
    const times = chance(swarm.duplicate) ? 2 : 1
    for (let i = 0; i < times; i++) {
      const delayMs = isHealed ? between(1, 20) : between(swarm.delayMsMin, swarm.delayMsMax)
      agenda.after(delayMs, () => {
        const target = nodes.get(to)
        if (target === undefined || !target.up || isCut(node.id, to)) return
        trace.note(`${node.id}>${to} ${message.kind === 'append' ? appendLine(message) : describeMessage(message)}`)
        put(target, { kind: 'message', from: node.id, message })
      })
    }
  }

  /** What an answer promises stands on the disk when it leaves. */
  function checkPromise({ id, disk }: Node, message: Message): void {
    const isVote = message.kind === 'voteAnswer' && message.granted
    const isAppend = message.kind === 'appendAnswer' && message.accepted
    if ((!isVote && !isAppend) || options.withoutPromises === true) return
    const hasTerm = disk.hard.term >= message.term
    // A later leader may have replaced them within the same step: it won without this answer, which comes too late to count.
    const isPast = disk.hard.term > message.term
    const hasEntries = !isAppend || isPast || message.index <= disk.base.index + disk.entries.length
    if (hasTerm && hasEntries) return
    throw new SafetyError(`${id} says ${describeMessage(message)}, but its disk is at term ${disk.hard.term}`)
  }

  function crash(node: Node): void {
    counts.crashes++
    node.up = false
    const [unfinished] = node.saves
    const { disk } = node
    if (unfinished !== undefined) {
      // Of an unfinished save any beginning of the entries may be there, with or without the hard state.
      const kept = unfinished.entries.slice(0, random.below(unfinished.entries.length + 1))
      write(node, random.chance(0.5) ? unfinished.hard : disk.hard, kept)
    }
    trace.note(`${node.id} crashes`)
    notice(node)
    agenda.after(between(50, 4_000), () => {
      if (!node.up && node !== absent) start(node)
    })
  }

  /** Some peers notice a broken connection at once, others only by silence. */
  function notice(node: Node): void {
    for (const other of nodes.values()) {
      if (other === node || !other.up || !swarm.noticesCuts || !random.chance(0.7)) continue
      const { life } = other
      agenda.after(between(1, 100), () => {
        if (other.life === life) put(other, { kind: 'unreachable', member: node.id })
      })
    }
  }

  function cut(): void {
    counts.cuts++
    const ids = [...nodes.keys()]
    const mode = swarm.cutsLeaders ? 0 : random.below(4)
    const leaders = alive().filter(node => node.raft.lead !== undefined)
    const one = random.chance(swarm.cutsLeaders ? 1 : 0.4) ? (pick(leaders)?.id ?? pick(ids)) : pick(ids)
    const side = new Set(ids.filter(() => random.chance(0.5)))
    for (const a of ids) {
      for (const b of ids) {
        if (a === b) continue
        const isolated = mode === 0 && (a === one || b === one)
        const halves = mode === 1 && side.has(a) !== side.has(b)
        const oneWay = mode === 2 && a === one
        const bridge = mode === 3 && random.chance(0.3)
        if (isolated || halves || oneWay || bridge) cuts.add(`${a}>${b}`)
      }
    }
    trace.note(`cut mode ${mode} ${cuts.size}`)
    const victim = one === undefined ? undefined : nodes.get(one)
    if (mode === 0 && victim !== undefined) {
      notice(victim)
      // One that leads without knowing that another does must not answer reads.
      for (let ms = 0; ms < 800; ms += 25) agenda.after(ms, () => readAt(victim))
    }
    agenda.after(between(100, 5_000), () => cuts.clear())
  }

  function changeMembership(): void {
    const leader = pick(alive().filter(node => node.raft.lead !== undefined))
    if (leader === undefined) return
    const { voters, learners } = status(leader.raft).membership
    const draw = random.float()
    let change: MembershipStep | undefined
    if (draw < 0.35 && voters.length + learners.length < 7) {
      const fresh = addNode({ index: 0, term: 0, membership: { voters: [], learners: [], removed: [] } })
      change = { kind: 'addLearner', member: fresh.id }
    } else if (draw < 0.65 && learners.length > 0) {
      change = { kind: 'promote', member: pick(learners) ?? leader.id }
    } else if (draw < 0.75) change = { kind: 'demote', member: pick(voters) ?? leader.id }
    else if (draw < 0.95) change = { kind: 'remove', member: pick([...voters, ...learners]) ?? leader.id }
    else change = { kind: 'addLearner', member: pick([...nodes.keys()]) ?? leader.id }
    trace.note(`${leader.id} is asked to ${change.kind} ${change.member}`)
    put(leader, { kind: 'proposeMembership', id: nextId++, change, context: utf8('') })
  }

  function every(ms: number, act: () => void): void {
    if (!Number.isFinite(ms)) return
    const again = () => {
      agenda.after(between(0.3, 1.7) * ms, () => {
        if (isHealed) return
        act()
        again()
      })
    }
    again()
  }

  function writeSomewhere(): void {
    const leading = alive().filter(node => node.raft.lead !== undefined)
    const node = pick(leading.length > 0 && random.chance(0.9) ? leading : alive())
    const id = nextId++
    if (node !== undefined) put(node, { kind: 'propose', id, command: utf8(`w${id}${'x'.repeat(random.below(60))}`) })
  }

  function readSomewhere(): void {
    const leaders = alive().filter(one => one.raft.lead !== undefined)
    const node = random.chance(0.5) ? (pick(leaders) ?? pick(alive())) : pick(alive())
    if (node !== undefined) readAt(node)
  }

  function readAt(node: Node): void {
    const id = nextId++
    node.reads.set(id, { acknowledged: checker.acknowledgedIndex(), index: undefined })
    put(node, { kind: 'read', id })
  }

  function drive(untilMs: number, until: () => boolean = () => false): boolean {
    while (agenda.next(untilMs)) if (until()) return true
    agenda.skipTo(untilMs)
    return until()
  }

  function run(): void {
    const founders = Array.from({ length: swarm.voterCount }, (_, i) => memberId(`m${i + 1}`))
    for (const _ of founders)
      addNode({ index: 0, term: 0, membership: { voters: founders, learners: [], removed: [] } })
    every(swarm.crashEveryMs, () => {
      const node = pick(alive())
      if (node !== undefined) crash(node)
    })
    every(swarm.cutEveryMs, cut)
    every(swarm.pauseEveryMs, () => {
      const node = pick(alive())
      if (node === undefined) return
      const ms = between(10, 3_000)
      node.pausedUntilMs = agenda.nowMs() + ms
      agenda.after(ms, () => pump(node))
    })
    every(swarm.changeEveryMs, changeMembership)
    every(swarm.transferEveryMs, () => {
      const node = pick(alive().filter(one => one.raft.lead !== undefined))
      if (node !== undefined) put(node, { kind: 'transfer', to: undefined })
    })
    every(swarm.writeEveryMs, writeSomewhere)
    every(swarm.readEveryMs, readSomewhere)
    drive(safetyMs)
    live()
  }

  /** Everything heals; then a write must commit within ten election time-outs, and all members must come to agree. */
  function live(): void {
    isHealed = true
    cuts.clear()
    trace.note('healed')
    absent = spareable()
    if (absent !== undefined) {
      trace.note(`${absent.id} stays away`)
      if (absent.up) crash(absent)
    }
    for (const node of nodes.values()) {
      node.pausedUntilMs = 0
      if (!node.up && node !== absent) start(node)
      pump(node)
    }
    const before = checker.acknowledgedIndex()
    const asking = () => {
      if (checker.acknowledgedIndex() > before) return
      const leader = alive().find(node => node.raft.lead !== undefined)
      const id = nextId++
      if (leader !== undefined) put(leader, { kind: 'propose', id, command: utf8(`live${id}`) })
      agenda.after(tickMs, asking)
    }
    asking()
    const startMs = agenda.nowMs()
    const wrote = drive(startMs + 10 * electionTimeoutMs, () => checker.acknowledgedIndex() > before)
    if (!wrote) throw new SafetyError(`no write in 10 election time-outs after healing; ${describeNodes()}`)
    if (absent !== undefined && !absent.up) start(absent)
    absent = undefined
    const done = () => {
      const leader = alive().find(node => node.raft.lead !== undefined && status(node.raft).role.serving)
      if (leader === undefined) return false
      const { voters, learners } = status(leader.raft).membership
      const members = [...voters, ...learners].map(id => nodes.get(id))
      return members.every(
        node => node !== undefined && node.state.index === leader.state.index && node.state.index >= before,
      )
    }
    if (!drive(agenda.nowMs() + 60_000, done)) throw new SafetyError(`no agreement in 60 s; ${describeNodes()}`)
  }

  /** Half of the time one that no membership in any log needs for its majority: the others must do without it. */
  function spareable(): Node | undefined {
    if (random.chance(0.5)) return undefined
    const histories = [...nodes.values()].flatMap(({ disk, raft }) => [
      disk.base.membership,
      ...disk.entries.flatMap(entry => (entry.kind === 'membership' ? [entry.membership] : [])),
      ...raft.history.map(at => at.membership),
    ])
    const isSpare = (id: MemberId) =>
      histories.every(({ voters }) => !voters.includes(id) || voters.length - 1 >= majority(voters.length))
    return pick([...nodes.values()].filter(node => isSpare(node.id)))
  }

  const describeNodes = () =>
    [...nodes.values()]
      .map(({ id, raft, state, inbox, busy }) => {
        const { role, commit, lastIndex, base, membership } = status(raft)
        return `${id}: ${role.kind} t${role.term} leader ${role.leader} base ${base.index} commit ${commit} last ${lastIndex} applied ${state.index} voters ${membership.voters} learners ${membership.learners} inbox ${inbox.length}${busy ? ' busy' : ''}`
      })
      .join('\n  ')

  let failure: string | undefined
  try {
    run()
  } catch (error) {
    if (!(error instanceof Error)) throw error
    failure = `${error.name}: ${error.message}${error instanceof SafetyError ? '' : `\n${error.stack}`}`
  }
  return { seed, digest: trace.digest(), counts: { ...checker.counts, ...counts }, failure, trace: trace.newest() }
}

const appendLine = ({ term, previousIndex, entries, commit, round }: Extract<Message, { kind: 'append' }>) =>
  `append t${term} after ${previousIndex} +${entries.length} commit ${commit} round ${round}`

function mix(hash: string, more: string): string {
  let value = Number.parseInt(hash === '' ? '0' : hash, 36)
  for (let i = 0; i < more.length; i++) value = Math.imul(value ^ more.charCodeAt(i), 0x01000193) >>> 0
  return value.toString(36)
}
