// Who breaks the core simulation and who uses it: crashes, pauses, partitions, clogs, changes of membership and of the
// leader; writes and newest reads. Everything is an event of the agenda, until `stop`.
import { utf8 } from '../../src/lib/bytes.ts'
import { status } from '../../src/raft/raft.ts'
import { type MemberId, type Membership, type MembershipStep, memberId } from '../../src/raft/types.ts'
import type { CoreNetwork } from './core-network.ts'
import {
  addNode,
  between,
  type Core,
  crashNode,
  electionTimeoutMs,
  type Node,
  pump,
  put,
  startNode,
} from './core-node.ts'
import type { Counts } from './outcome.ts'
import { type PartitionKind, partition, partitionKinds } from './partition.ts'

export type CoreNemesis = {
  readonly bites: () => Counts
  readonly changesAsked: () => number
  /** Founds the cluster, and begins to break it. */
  readonly start: () => void
  readonly stop: () => void
}

type Replacement = { readonly old: MemberId; readonly fresh: MemberId }

const noMembership: Membership = { voters: [], learners: [], removed: [] }
const memberCountMax = 9

export function createCoreNemesis(core: Core, network: CoreNetwork): CoreNemesis {
  const { agenda, random, swarm, nodes, trace, checker } = core
  const bites = { 'whole crash': 0, pause: 0, 'flapping link': 0, clog: 0, 'asked transfer': 0 }
  let changesAsked = 0
  let isStopped = false
  let memberCount = 0
  /** A member that is to be replaced by a fresh one, step by step. */
  let replacing: Replacement | undefined

  const pick = <T>(list: readonly T[]): T | undefined => list[random.below(list.length)]
  const alive = () => [...nodes.values()].filter(node => node.up)
  const leaders = () => alive().filter(node => node.raft.lead !== undefined)
  const isWitness = (id: MemberId) => nodes.get(id)?.config.witness === true

  function every(ms: number, act: () => void): void {
    if (!Number.isFinite(ms)) return
    agenda.after(between(random, 0.3, 1.7) * ms, () => {
      if (isStopped) return
      act()
      every(ms, act)
    })
  }

  function newNode(): Node {
    // One is the most that makes sense: with two, both may have what nobody has who may lead.
    const isTaken = [...nodes.values()].some(node => node.config.witness && !isGone(node))
    return addNode(core, nextId(), atStart(noMembership), !isTaken && random.chance(swarm.witnessChance))
  }

  /** The founders know each other from the start, as if a first leader had told them. */
  function found(): void {
    const { voterCount, learnerCount } = swarm
    const ids = Array.from({ length: voterCount + learnerCount }, nextId)
    const witnesses = voterCount > 2 && random.chance(swarm.witnessChance) ? ids.slice(1, 2) : []
    const members = { voters: ids.slice(0, voterCount), learners: ids.slice(voterCount), removed: [] }
    const membership = witnesses.length > 0 ? { ...members, witnesses } : members
    checker.founds(membership)
    for (const id of ids) addNode(core, id, atStart(membership), witnesses.includes(id))
  }

  const nextId = () => memberId(`m${++memberCount}`)
  const atStart = (membership: Membership) => ({ index: 0, term: 0, membership })

  // ---- machines ----

  function crash(node: Node): void {
    crashNode(core, node)
    const isLong = random.chance(swarm.longDownChance)
    agenda.after(isLong ? between(random, 5_000, 90_000) : between(random, 50, 4_000), () => {
      if (!node.up && !isStopped && !isGone(node)) startNode(core, node)
    })
  }

  function crashSome(): void {
    if (random.chance(swarm.crashAllChance)) {
      bites['whole crash']++
      for (const node of alive()) crash(node)
      return
    }
    const node = pick(random.chance(0.3) ? leaders() : alive()) ?? pick(alive())
    if (node !== undefined) crash(node)
  }

  /** A member whose removal is committed is switched off some day. */
  const isGone = (node: Node) => checker.membershipAt(Number.POSITIVE_INFINITY)?.removed.includes(node.id) === true

  function pause(): void {
    const node = pick(random.chance(0.4) ? leaders() : alive())
    if (node === undefined) return
    const ms = random.chance(0.1) ? between(random, 3_000, 60_000) : between(random, 10, 3_000)
    node.pausedUntilMs = agenda.nowMs() + ms
    const { life } = node
    agenda.after(ms, () => {
      if (node.life !== life) return
      if (node.inbox.length > 0) bites.pause++
      pump(core, node)
    })
    // It wakes up without knowing that it was away: it must not answer reads as if it led still.
    for (let after = 0; after < 100; after += 20) agenda.after(ms - 50 + after, () => readAt(node))
  }

  // ---- network ----

  function part(): void {
    const ids = [...nodes.values()].filter(node => !isGone(node)).map(node => node.id)
    const leader = pick(leaders())?.id
    const victim = random.chance(swarm.cutsLeaders ? 1 : 0.4) ? (leader ?? pick(ids)) : pick(ids)
    if (victim === undefined) return
    const kind: PartitionKind = swarm.cutsLeaders ? 'isolate' : (pick(partitionKinds) ?? 'isolate')
    const drawn = partition(kind, ids, victim, random)
    const ms = random.chance(0.1) ? between(random, 5_000, 30_000) : between(random, 100, 5_000)
    const isFlapping = random.chance(swarm.flapChance)
    trace.note(`${isFlapping ? 'flapping ' : ''}partition ${kind} of ${victim}, ${drawn.pairs.length} pairs`)
    if (isFlapping) flap(drawn, agenda.nowMs() + ms)
    else {
      const cut = network.links.part(drawn)
      agenda.after(ms, () => cut[Symbol.dispose]())
    }
    const node = nodes.get(victim)
    if (kind !== 'isolate' || node === undefined) return
    core.notice(node)
    // One that leads without knowing that another does must not answer reads.
    for (let after = 0; after < 800; after += 25) agenda.after(after, () => readAt(node))
  }

  /** Ten times a second. */
  function flap(drawn: ReturnType<typeof partition<MemberId>>, untilMs: number): void {
    bites['flapping link']++
    const again = () => {
      if (isStopped || agenda.nowMs() >= untilMs) return
      const cut = network.links.part(drawn)
      agenda.after(50, () => {
        cut[Symbol.dispose]()
        agenda.after(50, again)
      })
    }
    again()
  }

  function clog(): void {
    const [from, to] = [pick([...nodes.keys()]), pick([...nodes.keys()])]
    if (from === undefined || to === undefined) return
    bites.clog++
    const untilMs = agenda.nowMs() + between(random, 100, swarm.clogMsMax)
    network.links.clog(from, to, untilMs)
    if (random.chance(0.5)) network.links.clog(to, from, untilMs)
  }

  // ---- membership ----

  function ask(leader: Node, change: MembershipStep): void {
    changesAsked++
    trace.note(`${leader.id} is asked to ${change.kind} ${change.member}`)
    put(core, leader, { kind: 'proposeMembership', id: core.nextId++, change, context: utf8('') })
  }

  /** One that was made and never came in, or a new one. */
  function freshNode({ voters, learners, removed }: Membership): Node {
    const unused = [...nodes.values()].find(
      ({ id, disk }) =>
        disk.base.index + disk.entries.length === 0 && ![voters, learners, removed].some(list => list.includes(id)),
    )
    return unused ?? newNode()
  }

  /** Somebody who may lead must be left. */
  const isSpare = (id: MemberId, { voters }: Membership) => voters.some(voter => voter !== id && !isWitness(voter))

  /** Undefined: it is done, or cannot be. */
  function nextOfReplacement(membership: Membership, { old, fresh }: Replacement): MembershipStep | undefined {
    const { voters, learners, removed } = membership
    if ((!voters.includes(old) && !learners.includes(old)) || removed.includes(fresh)) return undefined
    if (learners.includes(fresh)) return { kind: 'promote', member: fresh }
    if (!voters.includes(fresh)) return addition(fresh)
    return isSpare(old, membership) ? { kind: 'remove', member: old } : undefined
  }

  const addition = (member: MemberId): MembershipStep =>
    isWitness(member) ? { kind: 'addLearner', member, witness: true } : { kind: 'addLearner', member }

  function changeMembership(): void {
    const leader = pick(leaders())
    if (leader === undefined) return
    const { membership } = status(leader.raft)
    const { voters, learners, removed } = membership
    const members = [...voters, ...learners]
    if (replacing !== undefined) {
      const next = nextOfReplacement(membership, replacing)
      if (next !== undefined) {
        ask(leader, next)
        return
      }
      replacing = undefined
    }
    const draw = random.float()
    const spare = pick(members.filter(id => isSpare(id, membership)))
    if (draw < 0.3 && members.length < memberCountMax) {
      ask(leader, addition(freshNode(membership).id))
    } else if (draw < 0.6 && learners.length > 0) {
      ask(leader, { kind: 'promote', member: pick(learners) ?? leader.id })
    } else if (draw < 0.68 && spare !== undefined) ask(leader, { kind: 'demote', member: spare })
    else if (draw < 0.82 && spare !== undefined) ask(leader, { kind: 'remove', member: spare })
    else if (draw < 0.88 && isSpare(leader.id, membership)) ask(leader, { kind: 'remove', member: leader.id })
    else if (draw < 0.95 && spare !== undefined && members.length < memberCountMax) {
      replacing = { old: spare, fresh: freshNode(membership).id }
    } else {
      // Who was removed, or is a member already: to be refused.
      ask(leader, { kind: 'addLearner', member: pick([...removed, ...members]) ?? leader.id })
    }
  }

  // ---- clients ----

  function write(): void {
    const leading = leaders()
    const node = pick(leading.length > 0 && random.chance(0.9) ? leading : alive())
    const id = core.nextId++
    const command = utf8(`w${id}${'x'.repeat(random.below(60))}`)
    if (node !== undefined) put(core, node, { kind: 'propose', id, command })
  }

  function read(): void {
    const node = random.chance(0.5) ? (pick(leaders()) ?? pick(alive())) : pick(alive())
    if (node !== undefined) readAt(node)
  }

  function readAt(node: Node): void {
    if (!node.up || isStopped) return
    const id = core.nextId++
    node.reads.set(id, { acknowledged: checker.acknowledgedIndex(), index: undefined })
    put(core, node, { kind: 'read', id })
  }

  return {
    bites: () => bites,
    changesAsked: () => changesAsked,
    start() {
      found()
      every(swarm.crashEveryMs, crashSome)
      every(swarm.cutEveryMs, part)
      every(swarm.clogEveryMs, clog)
      every(swarm.pauseEveryMs, pause)
      every(swarm.changeEveryMs, changeMembership)
      every(swarm.transferEveryMs, () => {
        const leader = pick(leaders())
        if (leader === undefined) return
        bites['asked transfer']++
        const to = random.chance(0.5) ? pick(status(leader.raft).membership.voters) : undefined
        put(core, leader, { kind: 'transfer', to })
      })
      every(swarm.writeEveryMs, write)
      every(swarm.readEveryMs, read)
      // Whoever is out of the cluster for good and for long is switched off.
      every(20 * electionTimeoutMs, () => {
        for (const node of alive()) if (isGone(node) && random.chance(0.3)) crashNode(core, node)
      })
    },
    stop() {
      isStopped = true
    },
  }
}
