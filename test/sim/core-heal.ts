// The second half of a core simulation: first only a majority heals, and the rest stays as broken as it gets: cut off,
// deaf, mute, flapping, or gone. The cluster must serve all the same, and keep its leader. Then everything heals, all
// members come to the same state, and the leader can hand over.
import { utf8 } from '../../src/lib/bytes.ts'
import { lastIndex, lastTerm } from '../../src/raft/log.ts'
import { createHistory, inEffect } from '../../src/raft/membership.ts'
import { majority } from '../../src/raft/quorum.ts'
import { status } from '../../src/raft/raft.ts'
import type { MemberId, Membership } from '../../src/raft/types.ts'
import type { CoreNetwork } from './core-network.ts'
import { type Core, crashNode, electionTimeoutMs, type Node, pump, put, startNode, tickMs } from './core-node.ts'
import { type PartitionKind, partition, shuffled } from './partition.ts'
import { must } from './safety.ts'

/** The log that it votes with: one that is down has what is on its disk. */
function logOf({ up, raft, disk }: Node) {
  if (up) return { index: lastIndex(raft.log), term: lastTerm(raft.log), history: raft.history }
  const last = disk.entries.at(-1) ?? disk.base
  return { index: last.index, term: last.term, history: createHistory(disk.base, disk.entries) }
}

type LogEnd = { readonly index: number; readonly term: number }
const isNewer = (a: LogEnd, b: LogEnd) => a.term > b.term || (a.term === b.term && a.index > b.index)

const writeMsMax = 10 * electionTimeoutMs
const settleMs = 10 * electionTimeoutMs
const steadyMs = 20 * electionTimeoutMs
const leaderChangesMax = 2
const agreeMsMax = 60_000

export type HealCounts = { healedQuorums: number; absent: number; handOvers: number }

/** `drive` lets time pass until the first argument, or until the second holds. */
export function liveAgain(
  core: Core,
  network: CoreNetwork,
  drive: (untilMs: number, until?: () => boolean) => boolean,
): HealCounts {
  const { agenda, random, nodes, checker, trace } = core
  const counts = { healedQuorums: 0, absent: 0, handOvers: 0 }
  const all = () => [...nodes.values()]
  const alive = () => all().filter(node => node.up)
  const leaders = () => alive().filter(node => node.raft.lead !== undefined)
  let isFlapping = true

  core.isCalm = true
  const absent = drawAbsent()
  counts.absent = absent.size
  if (absent.size > 0) counts.healedQuorums = 1
  trace.note(`healed, without ${[...absent].join(' ')}`)
  network.links.heal(id => !absent.has(id))
  for (const id of absent) leaveBroken(id)
  for (const node of all()) if (!absent.has(node.id)) wake(node)

  const before = checker.acknowledgedIndex()
  keepWriting(() => checker.acknowledgedIndex() > before)
  const wrote = drive(agenda.nowMs() + writeMsMax, () => checker.acknowledgedIndex() > before)
  must(wrote, 'progress after healing', () => `no write in 10 election time-outs\n  ${describeNodes()}`)
  drive(agenda.nowMs() + settleMs)
  const changes = checker.counts.leaders
  drive(agenda.nowMs() + steadyMs)
  must(checker.counts.leaders - changes <= leaderChangesMax, 'stable leader', () => {
    return `${checker.counts.leaders - changes} leaders in ${steadyMs} ms on a healthy majority\n  ${describeNodes()}`
  })

  isFlapping = false
  network.links.heal(() => true)
  for (const node of all()) wake(node)
  const agreed = drive(agenda.nowMs() + agreeMsMax, agrees)
  must(agreed, 'convergence', () => `no agreement in ${agreeMsMax} ms\n  ${describeNodes()}`)
  handOver()
  return counts

  function wake(node: Node): void {
    node.pausedUntilMs = 0
    if (!node.up) startNode(core, node)
    // A disk that stood still works again.
    node.finishSave()
    pump(core, node)
  }

  /** One that may campaign, and that a majority of its own voters finds new enough. */
  function isElectable(node: Node, isOut: (id: MemberId) => boolean): boolean {
    const { voters } = inEffect(logOf(node).history)
    if (node.config.witness || isOut(node.id) || !voters.includes(node.id)) return false
    const grant = voters.filter(id => {
      const voter = nodes.get(id)
      return voter !== undefined && !isOut(id) && !isNewer(logOf(voter), logOf(node))
    })
    return grant.length >= majority(voters.length)
  }

  /** As many as can be spared: what is left is a majority of every membership in any log, and one of it can win. */
  function drawAbsent(): ReadonlySet<MemberId> {
    const some = new Set<MemberId>()
    if (random.chance(0.25)) return some
    const memberships: Membership[] = all().flatMap(({ disk, raft }) => [
      disk.base.membership,
      ...disk.entries.flatMap(entry => (entry.kind === 'membership' ? [entry.membership] : [])),
      ...raft.history.map(at => at.membership),
    ])
    const isMajority = ({ voters }: Membership) =>
      voters.length === 0 || voters.filter(voter => !some.has(voter)).length >= majority(voters.length)
    for (const id of shuffled([...nodes.keys()], random)) {
      some.add(id)
      const isEnough = memberships.every(isMajority) && all().some(node => isElectable(node, out => some.has(out)))
      if (!isEnough) some.delete(id)
    }
    return some
  }

  function leaveBroken(id: MemberId): void {
    const node = nodes.get(id)
    if (node === undefined) return
    const ids = [...nodes.keys()]
    const ways = ['down', 'isolate', 'deaf', 'mute', 'some', 'flap'] as const
    const way = ways[random.below(ways.length)] ?? 'down'
    trace.note(`${id} stays ${way}`)
    if (way === 'down') {
      if (node.up) crashNode(core, node)
      return
    }
    wake(node)
    if (way !== 'flap') {
      const drawn = partition<MemberId>(way satisfies PartitionKind, ids, id, random)
      network.links.part({ kind: drawn.kind, pairs: drawn.pairs.filter(pair => pair.includes(id)) })
      return
    }
    const drawn = partition<MemberId>('isolate', ids, id, random)
    const again = () => {
      const cut = network.links.part(drawn)
      agenda.after(50, () => {
        cut[Symbol.dispose]()
        if (isFlapping) agenda.after(50, again)
      })
    }
    again()
  }

  function keepWriting(isDone: () => boolean): void {
    if (isDone()) return
    for (const leader of leaders()) {
      const id = core.nextId++
      put(core, leader, { kind: 'propose', id, command: utf8(`live${id}`) })
    }
    agenda.after(tickMs, () => keepWriting(isDone))
  }

  function agrees(): boolean {
    const leader = leaders().find(node => status(node.raft).role.serving)
    if (leader === undefined) return false
    const { voters, learners } = status(leader.raft).membership
    return [...voters, ...learners].every(id => {
      const node = nodes.get(id)
      return node?.state.index === leader.state.index && node.state.index >= before
    })
  }

  /** To whoever can lead: with a witness first in line, the next is asked after an election time-out. */
  function handOver(): void {
    const leader = leaders().find(node => status(node.raft).role.serving)
    if (leader === undefined) return
    const { voters } = status(leader.raft).membership
    if (!voters.some(id => id !== leader.id && nodes.get(id)?.config.witness === false)) return
    const { term } = leader.raft
    counts.handOvers++
    const isDone = () => leaders().some(node => node.id !== leader.id && node.raft.term > term)
    // Refused while the leader has not heard anyone who may lead, as just after the healing.
    const ask = () => {
      if (isDone()) return
      put(core, leader, { kind: 'transfer', to: undefined })
      agenda.after(electionTimeoutMs, ask)
    }
    ask()
    const handed = drive(agenda.nowMs() + (voters.length + 1) * electionTimeoutMs, isDone)
    must(handed, 'hand-over', () => `${leader.id} leads on after a transfer\n  ${describeNodes()}`)
  }

  function describeNodes(): string {
    return all()
      .map(({ id, raft, state, inbox, busy, up, config }) => {
        const { role, commit, lastIndex, base, membership } = status(raft)
        const { voters, learners } = membership
        const where = `${up ? '' : ' down'}${absent.has(id) ? ' left broken' : ''}${config.witness ? ' witness' : ''}`
        const log = `base ${base.index} commit ${commit} last ${lastIndex} applied ${state.index}`
        const waits = `inbox ${inbox.length}${busy ? ' busy' : ''}`
        return `${id}${where}: ${role.kind} t${role.term} leader ${role.leader} ${log} voters ${voters} learners ${learners} ${waits}`
      })
      .join('\n  ')
  }
}
