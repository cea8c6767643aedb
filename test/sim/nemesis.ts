// Who breaks the simulated cluster: crashes, damage, partitions, clogs, pauses, clocks, full disks, and changes of the
// membership as an operator would make them. A member that refused to start is removed and comes back as another.
import { StoreError } from '../../src/kv/store.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { type MemberId, memberId } from '../../src/raft/types.ts'
import type { PeerId } from '../../src/world/network.ts'
import type { Agenda } from './agenda.ts'
import type { Cluster, Machine, Running } from './cluster.ts'
import type { Counts } from './outcome.ts'
import { partition, partitionKinds } from './partition.ts'
import type { Swarm } from './swarm.ts'

export type Nemesis = {
  readonly counts: { added: number; promoted: number; removed: number; demoted: number; replaced: number }
  readonly bites: () => Counts
  /** Adds and promotes until there are as many voters and learners as the swarm says. */
  readonly grow: () => Promise<void>
  readonly start: () => void
  /** Nothing new breaks; what is broken stays so. */
  readonly stop: () => void
}

const never = new AbortController().signal

export function createNemesis(
  agenda: Agenda,
  random: Prng,
  swarm: Swarm,
  cluster: Cluster,
  note: (line: string) => void,
): Nemesis {
  const counts = { added: 0, promoted: 0, removed: 0, demoted: 0, replaced: 0 }
  const bites = { crash: 0, 'whole crash': 0, pause: 0, 'clock jump': 0, 'flapping link': 0, clog: 0, transfer: 0 }
  const { machines, network } = cluster
  let isStopped = false
  let isChanging = false
  const sleep = (ms: number) => new Promise<void>(resolve => agenda.after(ms, resolve))
  const pick = <T>(list: readonly T[]): T | undefined => list[random.below(list.length)]
  const between = (low: number, high: number) => low + random.float() * (high - low)

  function every(ms: number, act: () => void): void {
    if (!Number.isFinite(ms)) return
    agenda.after(between(0.3, 1.7) * ms, () => {
      if (isStopped) return
      act()
      every(ms, act)
    })
  }

  // ---- machines ----

  function crash(machine: Machine): void {
    if (machine.life === undefined) return
    cluster.crash(machine)
    bites.crash++
    if (random.chance(swarm.damageChance)) cluster.damage(machine)
    const isLong = random.chance(swarm.longDownChance)
    agenda.after(isLong ? between(5_000, 60_000) : between(50, 4_000), () => {
      if (!isStopped) cluster.start(machine)
    })
  }

  function crashSome(): void {
    if (random.chance(swarm.crashAllChance)) {
      bites['whole crash']++
      for (const machine of machines) crash(machine)
      return
    }
    const machine = random.chance(0.3) ? cluster.leader()?.machine : undefined
    const victim = machine ?? pick(machines.filter(one => one.life !== undefined))
    if (victim !== undefined) crash(victim)
  }

  /** A member that ended by itself, because its disk failed, is started again too. */
  function supervise(): void {
    agenda.after(500, () => {
      if (isStopped) return
      for (const machine of machines) if (machine.life === undefined && random.chance(0.1)) cluster.start(machine)
      supervise()
    })
  }

  function pause(): void {
    const machine = random.chance(0.4) ? (cluster.leader() ?? pick(cluster.running())) : pick(cluster.running())
    if (machine === undefined) return
    bites.pause++
    const ms = random.chance(0.1) ? between(3_000, 60_000) : between(10, 3_000)
    machine.life.pause(agenda.nowMs() + ms)
  }

  // ---- network ----

  function part(): void {
    const kind = pick(partitionKinds) ?? 'isolate'
    const victim = random.chance(0.4) ? cluster.leader()?.peer : pick(machines)?.peer
    if (victim === undefined) return
    const drawn = partition<PeerId>(
      kind,
      machines.map(machine => machine.peer),
      victim,
      random,
    )
    const ms = random.chance(0.1) ? between(5_000, 20_000) : between(100, 5_000)
    const isFlapping = random.chance(swarm.flapChance)
    note(`${isFlapping ? 'flapping ' : ''}partition ${kind} of ${victim}, ${drawn.pairs.length} pairs`)
    if (isFlapping) {
      flap(drawn, agenda.nowMs() + ms)
      return
    }
    const cut = network.part(drawn)
    agenda.after(ms, () => cut[Symbol.dispose]())
  }

  /** Ten times a second. */
  function flap(drawn: ReturnType<typeof partition<PeerId>>, untilMs: number): void {
    bites['flapping link']++
    const again = () => {
      if (isStopped || agenda.nowMs() >= untilMs) return
      const cut = network.part(drawn)
      agenda.after(50, () => {
        cut[Symbol.dispose]()
        agenda.after(50, again)
      })
    }
    again()
  }

  function clog(): void {
    const [from, to] = [pick(machines)?.peer, pick(machines)?.peer]
    if (from === undefined || to === undefined) return
    bites.clog++
    const untilMs = agenda.nowMs() + between(100, 5_000)
    network.clog(from, to, untilMs)
    if (random.chance(0.5)) network.clog(to, from, untilMs)
  }

  // ---- membership ----

  /** One try at something; refused or unknown is as good as done. */
  async function attempt(act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
    }
  }

  async function add(leader: Running): Promise<void> {
    const blank = pick(machines.filter(machine => machine.member === undefined))
    if (blank === undefined) return
    // One is the most that makes sense: with two, both may have what nobody has who may lead.
    const isWitness = !machines.some(machine => machine.isWitness) && random.chance(swarm.witnessChance)
    const change = { kind: 'add', peer: blank.peer, ...(isWitness && { witness: true }) } as const
    const info = await orGone(leader, leader.store.changeMembership(change, never))
    if (info === undefined || blank.member !== undefined) return
    counts.added++
    blank.member = memberId(info.member)
    blank.isWitness = isWitness
    cluster.start(blank)
  }

  const orGone = <T>({ life }: Running, work: Promise<T>): Promise<T | undefined> =>
    Promise.race([work, life.died.then(() => undefined)])

  const machineOf = (member: string) => machines.find(machine => machine.member === member)

  /** Whether a majority of the voters that are left would be whole, also of what a start has not found out yet. */
  function isSafe(leader: Running, without: MemberId): boolean {
    const left = leader.store.status().members.filter(info => info.role === 'voter' && info.member !== without)
    const whole = left.filter(info => {
      const machine = machineOf(info.member)
      return machine?.isBroken === false && machine.damage === undefined
    })
    return whole.length > left.length / 2
  }

  async function change(leader: Running, kind: 'promote' | 'demote' | 'remove', member: string): Promise<void> {
    const machine = machineOf(member)
    const isBroken = machine?.isBroken === true
    if (kind !== 'promote' && !isBroken && !isSafe(leader, memberId(member))) return
    const done = await orGone(leader, leader.store.changeMembership({ kind, member }, never))
    if (done === undefined) return
    if (kind === 'promote') counts.promoted++
    else if (kind === 'demote') counts.demoted++
    else {
      counts.removed++
      if (isBroken) counts.replaced++
      // It goes on for a while without knowing, or knowing; then it is wiped and may come back as another member.
      agenda.after(random.float() * 5_000, () => {
        if (machine?.member === member) cluster.wipe(machine)
      })
    }
  }

  /** First what an operator would do for one that is broken, then anything. */
  async function changeSomething(): Promise<void> {
    const leader = cluster.leader()
    if (leader === undefined) return
    const { members } = leader.store.status()
    const broken = members.find(info => machineOf(info.member)?.isBroken === true)
    if (broken !== undefined) return await change(leader, 'remove', broken.member)
    const learner = pick(members.filter(info => info.role === 'learner'))
    const voter = pick(members.filter(info => info.role === 'voter'))
    const own = members.find(info => info.peer === leader.peer)
    const draw = random.float()
    if (draw < 0.35) await add(leader)
    else if (draw < 0.65 && learner !== undefined) await change(leader, 'promote', learner.member)
    else if (draw < 0.75 && voter !== undefined) await change(leader, 'demote', voter.member)
    else if (draw < 0.85 && own !== undefined) await change(leader, 'remove', own.member)
    else {
      const any = pick(members)
      if (any !== undefined) await change(leader, 'remove', any.member)
    }
  }

  function changeMembership(): void {
    if (isChanging) return
    isChanging = true
    attempt(changeSomething)
      .catch(error => {
        throw error
      })
      .finally(() => {
        isChanging = false
      })
  }

  async function transfer(): Promise<void> {
    const leader = cluster.leader()
    if (leader === undefined) return
    bites.transfer++
    await orGone(leader, leader.store.transferLeadership(never))
  }

  return {
    counts,
    bites: () => bites,
    async grow() {
      const members = () => cluster.leader()?.store.status().members ?? []
      const count = (role: 'voter' | 'learner') => members().filter(info => info.role === role).length
      while (count('voter') < swarm.voterCount || count('learner') < swarm.learnerCount) {
        const leader = cluster.leader()
        const learner = members().find(info => info.role === 'learner')
        const wantsVoter = count('voter') < swarm.voterCount
        if (leader !== undefined) {
          await attempt(async () => {
            if (wantsVoter && learner !== undefined) await change(leader, 'promote', learner.member)
            else await add(leader)
          })
        }
        await sleep(50)
      }
    },
    start() {
      every(swarm.crashEveryMs, crashSome)
      every(swarm.cutEveryMs, part)
      every(swarm.clogEveryMs, clog)
      every(swarm.pauseEveryMs, pause)
      every(swarm.jumpEveryMs, () => {
        const machine = pick(machines)
        if (machine === undefined) return
        bites['clock jump']++
        machine.wallSkewMs = (random.float() - 0.5) * 7_200_000
      })
      every(swarm.fullEveryMs, () => {
        const machine = pick(machines)
        if (machine !== undefined) machine.disk.fullUntilMs = agenda.nowMs() + between(500, 8_000)
      })
      every(swarm.changeEveryMs, changeMembership)
      // Somebody looks after what is broken, also where nobody else changes the membership.
      every(5_000, () => {
        if (machines.some(machine => machine.isBroken)) changeMembership()
      })
      every(swarm.transferEveryMs, () => {
        attempt(transfer).catch(error => {
          throw error
        })
      })
      supervise()
    },
    stop() {
      isStopped = true
    },
  }
}
