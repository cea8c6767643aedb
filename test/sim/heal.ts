// The second half of a simulation of the store: first only a majority heals, and the rest stays as broken as it gets. The
// cluster must serve all the same, and keep its leader. Then all heals; members whose disks lost something are replaced,
// and all that run must come to the same state.
import { StoreError } from '../../src/kv/store.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { PeerId } from '../../src/world/network.ts'
import type { Agenda } from './agenda.ts'
import type { Checker } from './checker.ts'
import type { Clients } from './clients.ts'
import type { Cluster, Machine, Running } from './cluster.ts'
import { partition, shuffled } from './partition.ts'
import { must } from './safety.ts'

export type Healing = {
  readonly agenda: Agenda
  readonly random: Prng
  readonly cluster: Cluster
  readonly checker: Checker
  readonly clients: Clients
  readonly note: (line: string) => void
  /** Lets time pass until the first argument, or until the second holds. */
  readonly drive: (untilMs: number, until?: () => boolean) => Promise<boolean>
  readonly begin: (work: Promise<void>) => { readonly done: boolean }
  /** Disks work again. */
  readonly calm: () => void
}

const never = new AbortController().signal
const agreeMsMax = 60_000
const leaderChangesMax = 2

export type HealCounts = { healedQuorums: number; absent: number }

export async function liveAgain(healing: Healing, electionTimeoutMs: number): Promise<HealCounts> {
  const { agenda, random, cluster, checker, clients, note, drive, begin, calm } = healing
  const { machines, network } = cluster
  let isFlapping = true

  calm()
  const absent = drawAbsent()
  note(`healed, without ${[...absent].map(machine => machine.peer).join(' ')}`)
  const absentPeers = new Set([...absent].map(machine => machine.peer))
  const isAbsent = (peer: PeerId) => absentPeers.has(peer)
  network.heal(peer => !isAbsent(peer))
  for (const machine of absent) leaveBroken(machine)
  for (const machine of machines) if (!absent.has(machine)) wake(machine)

  const isLive = begin(clients.writeOne(machine => !isAbsent(machine.peer)))
  const wrote = await drive(agenda.nowMs() + 10 * electionTimeoutMs, () => isLive.done)
  must(wrote, 'progress after healing', () => `no write in 10 election time-outs\n${describeMachines(cluster)}`)
  await drive(agenda.nowMs() + 4 * electionTimeoutMs)
  const before = checker.counts.leaders
  await drive(agenda.nowMs() + 6 * electionTimeoutMs)
  must(checker.counts.leaders - before <= leaderChangesMax, 'stable leader', () => {
    return `${checker.counts.leaders - before} leaders on a healthy majority\n${describeMachines(cluster)}`
  })

  isFlapping = false
  network.heal(() => true)
  for (const machine of machines) wake(machine)
  const mended = begin(replaceBroken())
  const agreed = await drive(agenda.nowMs() + agreeMsMax, () => mended.done && agrees(cluster))
  must(agreed, 'convergence', () => `no agreement in ${agreeMsMax} ms\n${describeMachines(cluster)}`)
  return { healedQuorums: absent.size > 0 ? 1 : 0, absent: absent.size }

  function wake(machine: Machine): void {
    machine.life?.resume()
    machine.disk.fullUntilMs = 0
    machine.disk.unstall()
    cluster.start(machine)
  }

  /**
   * As many as can be spared. Only while all voters run and are of one mind about who the voters are: else it could be
   * that the one which may lead and has the newest log is spared too (see core-heal.ts, which can look into the logs).
   */
  function drawAbsent(): ReadonlySet<Machine> {
    const some = new Set<Machine>()
    const views = cluster.running().map(({ store }) => votersOf(store.status().members))
    const [first] = views
    const isOneMind = first !== undefined && views.every(view => view === first)
    const voters = first?.split(' ') ?? []
    const isUp = voters.every(id => cluster.running().some(machine => machine.member === id))
    if (random.chance(0.2) || !isOneMind || !isUp) return some
    const isVoter = ({ member }: Machine) => member !== undefined && voters.includes(member)
    const isWitness = ({ member }: Machine) => member !== undefined && cluster.atlas.witnesses.has(member)
    const hasWitness = machines.some(machine => isWitness(machine) && isVoter(machine))
    for (const machine of shuffled(machines, random)) {
      // A witness may be the only one that is up with the newest log: then nobody could be elected.
      if (hasWitness && isVoter(machine) && !isWitness(machine)) continue
      some.add(machine)
      if (!cluster.canSpare(one => some.has(one))) some.delete(machine)
    }
    return some
  }

  function leaveBroken(machine: Machine): void {
    const ways = ['down', 'isolate', 'deaf', 'mute', 'some', 'flap'] as const
    const way = ways[random.below(ways.length)] ?? 'down'
    note(`${machine.peer} stays ${way}`)
    if (way === 'down') {
      cluster.crash(machine)
      return
    }
    wake(machine)
    const peers = machines.map(one => one.peer)
    const drawn = partition(way === 'flap' ? 'isolate' : way, peers, machine.peer, random)
    const own = { kind: drawn.kind, pairs: drawn.pairs.filter(pair => pair.includes(machine.peer)) }
    const again = () => {
      const cut = network.part(own)
      if (way !== 'flap') return
      agenda.after(50, () => {
        cut[Symbol.dispose]()
        if (isFlapping) agenda.after(50, again)
      })
    }
    again()
  }

  /** What an operator does with members whose disks lost something. */
  async function replaceBroken(): Promise<void> {
    for (;;) {
      // One that is starting may yet refuse.
      const isStarting = machines.some(machine => machine.life !== undefined && machine.store === undefined)
      const leader = cluster.leader()
      const members = leader?.store.status().members ?? []
      const broken = machines.find(machine => machine.isBroken && members.some(info => info.member === machine.member))
      if (!isStarting && leader !== undefined && broken === undefined) return
      if (leader !== undefined && broken?.member !== undefined) await remove(leader, broken.member)
      await new Promise<void>(resolve => agenda.after(100, resolve))
    }
  }

  async function remove(leader: Running, member: string): Promise<void> {
    try {
      const removing = leader.store.changeMembership({ kind: 'remove', member }, never)
      await Promise.race([removing, leader.life.died])
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
    }
  }
}

const votersOf = (members: readonly { readonly member: string; readonly role: string }[]) =>
  members
    .filter(info => info.role === 'voter')
    .map(info => info.member)
    .sort()
    .join(' ')

/** Whether a machine is of the membership that the leader has. */
export function isMember(cluster: Cluster): (machine: Pick<Machine, 'member'>) => boolean {
  const members = cluster.leader()?.store.status().members ?? []
  return machine => members.some(info => info.member === machine.member)
}

/** All members run and have applied the same, and the leader serves. */
function agrees(cluster: Cluster): boolean {
  const leader = cluster.leader()
  if (leader === undefined) return false
  const { commitIndex } = leader.store.status()
  const members = cluster.machines.filter(isMember(cluster))
  return members.every(({ store }) => {
    const own = store?.hash()
    return own !== undefined && own.index === commitIndex && own.hash === leader.store.hash().hash
  })
}

export function describeMachines(cluster: Cluster): string {
  return cluster.machines
    .map(({ peer, member, life, store, isBroken }) => {
      const how = isBroken ? 'broken' : life === undefined ? 'down' : 'opening'
      if (store === undefined) return `  ${peer}: ${how}, member ${member}`
      const { role, term, leader, commitIndex, appliedIndex, members } = store.status()
      const list = members.map(info => `${info.member}@${info.peer}${info.role === 'voter' ? '' : '(learner)'}`)
      return `  ${peer}: ${member} ${role} t${term} leader ${leader} commit ${commitIndex} applied ${appliedIndex} members ${list.join(' ')}`
    })
    .join('\n')
}
