// One seed: a cluster is founded and grows; then a time in which anything may break, and clients write and read on; then
// all heals, and the cluster must serve again soon and agree. What must never happen ends the run with an error.

import { StoreError } from '../../src/kv/store.ts'
import { type Prng, prng } from '../../src/lib/prng.ts'
import { memberId } from '../../src/raft/types.ts'
import { type Agenda, createAgenda } from './agenda.ts'
import { createChecker, SafetyError } from './checker.ts'
import { type Cluster, type ClusterFaults, createCluster, type Machine, type WrapWorld } from './cluster.ts'
import { createTrace } from './trace.ts'
import { createWorkload } from './workload.ts'

export type Outcome = {
  readonly seed: number
  readonly digest: string
  readonly counts: Readonly<Record<string, number>>
  readonly simulatedMs: number
  readonly failure: string | undefined
  readonly trace: readonly string[]
}

export type SimulateOptions = {
  readonly safetyMs?: number
  readonly print?: (line: string) => void
  /** Bugs that a test puts in. */
  readonly wrap?: WrapWorld
  readonly syncLies?: boolean
}

const tickMs = 50
const electionTicks = 10
export const electionTimeoutMs = tickMs * electionTicks
const never = new AbortController().signal

/** Lets all that is ready run: promises settle before the next turn of the event loop, and nothing else is pending. */
const settle = () => new Promise<void>(resolve => setImmediate(resolve))

/** How bad this seed is. Some runs are calm in one way and wild in another (swarm testing). */
function drawSwarm(random: Prng) {
  const some = (chance: number, most: number) => (random.chance(chance) ? random.float() * most : 0)
  const every = (chance: number, least: number, spread: number) =>
    random.chance(chance) ? least + random.below(spread) : Number.POSITIVE_INFINITY
  return {
    voterCount: 1 + random.below(5),
    network: {
      loss: some(0.6, 0.2),
      duplicate: some(0.4, 0.2),
      delayMsMin: 0.5 + random.float() * 10,
      delayMsMax: 12 + random.below(random.chance(0.2) ? 250 : 40),
      noticeMsMax: random.chance(0.7) ? 100 : 10_000,
    },
    disk: {
      crashChance: some(0.5, 0.005),
      errorChance: random.chance(0.3) ? 0.0005 : 0,
      syncMsMax: 1 + random.below(random.chance(0.2) ? 60 : 8),
      stallChance: random.chance(0.3) ? 0.002 : 0,
    },
    crashEveryMs: every(0.9, 1_000, 6_000),
    cutEveryMs: every(0.8, 1_000, 6_000),
    pauseEveryMs: every(0.4, 2_000, 8_000),
    changeEveryMs: every(0.8, 700, 4_000),
    jumpEveryMs: every(0.3, 500, 3_000),
    transferEveryMs: every(0.4, 2_000, 8_000),
    writeGapMsMax: 30 + random.below(200),
    config: {
      flushCountMax: 5 + random.below(100),
      logCountMax: 5 + random.below(random.chance(0.5) ? 30 : 300),
      segmentBytesMax: 1_000 + random.below(50_000),
      zeroBytesAhead: random.below(random.chance(0.5) ? 1 : 5_000),
      historyCountMax: 50 + random.below(1_000),
      historyAgeMs: 5_000 + random.below(20_000),
    },
  }
}

export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Outcome> {
  const random = prng(seed)
  const swarm = drawSwarm(random)
  const agenda = createAgenda()
  const trace = createTrace(agenda.nowMs, options.print)
  const checker = createChecker()
  const calm: ClusterFaults = {
    disk: {
      errorChance: 0,
      crashChance: 0,
      syncMsMax: 3,
      stallChance: 0,
      ...(options.syncLies === true ? { syncLies: true } : {}),
    },
    network: { loss: 0, duplicate: 0, delayMsMin: 1, delayMsMax: 10, noticeMsMax: 50 },
  }
  const faults: ClusterFaults = { disk: { ...calm.disk }, network: { ...calm.network } }
  const config = {
    tickMs,
    electionTicks,
    heartbeatTicks: 2,
    requestTimeoutMs: 2_000,
    historyBytesMax: 1_000_000,
    bookmarkMs: 500,
    ...swarm.config,
  }
  const cluster = createCluster(agenda, random, faults, swarm.voterCount + 3, config, checker, trace, options.wrap)
  const workload = createWorkload(agenda, random, cluster, swarm.writeGapMsMax)
  const nemesis = createNemesis(agenda, random, swarm, cluster, trace.note)
  let failure: unknown

  async function drive(untilMs: number, until: () => boolean = () => false): Promise<boolean> {
    await settle()
    while (agenda.next(untilMs)) {
      await settle()
      failure ??= cluster.failure()
      if (failure !== undefined) throw failure
      if (until()) return true
    }
    agenda.skipTo(untilMs)
    return until()
  }

  /** A task of ours beside the cluster: its error is a failure of the run. */
  function begin(work: Promise<void>): { done: boolean } {
    const task = { done: false }
    work.then(
      () => {
        task.done = true
      },
      error => {
        failure ??= error
      },
    )
    return task
  }

  async function run(): Promise<void> {
    const [founder] = cluster.machines
    if (founder === undefined) return
    cluster.start(founder)
    const grown = begin(nemesis.grow(swarm.voterCount))
    if (!(await drive(60_000, () => grown.done))) throw new SafetyError('the cluster could not be founded in a minute')

    Object.assign(faults.network, swarm.network)
    Object.assign(faults.disk, swarm.disk)
    const writing = begin(workload.run())
    nemesis.start()
    await drive(agenda.nowMs() + (options.safetyMs ?? 25_000))

    Object.assign(faults.network, calm.network)
    Object.assign(faults.disk, calm.disk)
    nemesis.stop()
    trace.note('healed')
    const isLive = begin(workload.writeOne())
    if (!(await drive(agenda.nowMs() + 10 * electionTimeoutMs, () => isLive.done))) {
      throw new SafetyError(`no write in 10 election time-outs after healing\n${describeMachines(cluster)}`)
    }
    workload.stop()
    await drive(agenda.nowMs() + 10_000, () => writing.done)
    if (!writing.done) throw new SafetyError('a client waits for ever')
    if (!(await drive(agenda.nowMs() + 60_000, () => agrees(cluster)))) {
      throw new SafetyError(`no agreement in a minute after healing\n${describeMachines(cluster)}`)
    }
    const checked = begin(
      Promise.all(
        cluster
          .running()
          .filter(isMember(cluster))
          .map(({ store }) => workload.check(store)),
      ).then(),
    )
    await drive(agenda.nowMs() + 100, () => checked.done)
    if (!checked.done) throw new SafetyError('the last check did not end')
  }

  try {
    await run()
  } catch (error) {
    failure ??= error
  }
  // What is left of the run must not go on in the next one.
  for (const machine of cluster.machines) cluster.crash(machine)
  const counts = {
    leaders: checker.counts.leaders,
    ...cluster.counts,
    ...nemesis.counts,
    ...workload.counts,
    messages: cluster.network.messageCount(),
  }
  return {
    seed,
    digest: trace.digest(),
    counts,
    simulatedMs: agenda.nowMs(),
    failure: failure === undefined ? undefined : describeError(failure),
    trace: trace.newest(),
  }
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause === undefined ? '' : `\ncaused by ${describeError(error.cause)}`
  return error instanceof SafetyError
    ? `${error.name}: ${error.message}${cause}`
    : `${error.stack ?? error.message}${cause}`
}

/** Whether a machine is of the membership that the leader has. */
function isMember(cluster: Cluster): (machine: Machine) => boolean {
  const members = cluster.leader()?.store.status().members ?? []
  return machine => members.some(info => info.member === machine.member)
}

/** All members that run have applied the same, and the leader serves. */
function agrees(cluster: Cluster): boolean {
  const leader = cluster.leader()
  if (leader === undefined) return false
  const { commitIndex } = leader.store.status()
  const members = cluster.running().filter(isMember(cluster))
  return members.every(
    ({ store }) => store.hash().index === commitIndex && store.hash().hash === leader.store.hash().hash,
  )
}

function describeMachines(cluster: Cluster): string {
  return cluster.machines
    .map(({ peer, member, life, store }) => {
      if (store === undefined) return `  ${peer}: ${life === undefined ? 'down' : 'opening'}, member ${member}`
      const { role, term, leader, commitIndex, appliedIndex, members } = store.status()
      const list = members.map(info => `${info.member}@${info.peer}${info.role === 'voter' ? '' : '(learner)'}`)
      return `  ${peer}: ${member} ${role} t${term} leader ${leader} commit ${commitIndex} applied ${appliedIndex} members ${list.join(' ')}`
    })
    .join('\n')
}

/** Who breaks things, and who changes the membership. */
function createNemesis(
  agenda: Agenda,
  random: Prng,
  swarm: ReturnType<typeof drawSwarm>,
  cluster: Cluster,
  note: (line: string) => void,
) {
  const counts = { cuts: 0, pauses: 0, added: 0, promoted: 0, removed: 0, demoted: 0, transfers: 0 }
  let isStopped = false
  const sleep = (ms: number) => new Promise<void>(resolve => agenda.after(ms, resolve))
  const pick = <T>(list: readonly T[]): T | undefined => list[random.below(list.length)]

  function every(ms: number, act: () => void): void {
    if (!Number.isFinite(ms)) return
    agenda.after((0.3 + 1.4 * random.float()) * ms, () => {
      if (isStopped) return
      act()
      every(ms, act)
    })
  }

  function restartLater(machine: Machine): void {
    agenda.after(50 + random.float() * 4_000, () => {
      if (!isStopped) cluster.start(machine)
    })
  }

  /** A member that ended by itself, because its disk failed, is started again too. */
  function supervise(): void {
    agenda.after(500, () => {
      if (isStopped) return
      for (const machine of cluster.machines)
        if (machine.life === undefined && random.chance(0.2)) cluster.start(machine)
      supervise()
    })
  }

  function cut(): void {
    counts.cuts++
    const peers = cluster.machines.map(machine => machine.peer)
    const mode = random.below(5)
    const one = pick(peers)
    const side = new Set(peers.filter(() => random.chance(0.5)))
    note(`cut ${['isolate', 'halves', 'one way', 'some', 'leader'][mode]} ${one}`)
    const leader = cluster.leader()?.peer
    for (const a of peers) {
      for (const b of peers) {
        if (a === b) continue
        const isolated = mode === 0 && (a === one || b === one)
        const halves = mode === 1 && side.has(a) !== side.has(b)
        const oneWay = mode === 2 && a === one
        const some = mode === 3 && random.chance(0.3)
        const ofLeader = mode === 4 && (a === leader || b === leader) && random.chance(0.8)
        if (isolated || halves || oneWay || some || ofLeader) cluster.network.cut(a, b)
      }
    }
    agenda.after(100 + random.float() * 5_000, () => cluster.network.heal())
  }

  function pause(): void {
    counts.pauses++
    const life = pick(cluster.running())?.life
    if (life !== undefined) life.pausedUntilMs = agenda.nowMs() + 10 + random.float() * 3_000
  }

  /** One try at something; refused or unknown is as good as done. */
  async function attempt(act: () => Promise<void>): Promise<boolean> {
    try {
      await act()
      return true
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      return false
    }
  }

  async function add(): Promise<void> {
    const leader = cluster.leader()
    const blank = cluster.machines.find(machine => machine.member === undefined)
    if (leader === undefined || blank === undefined) return
    const info = await Promise.race([
      leader.store.changeMembership({ kind: 'add', peer: blank.peer }, never),
      leader.life.died.then(() => undefined),
    ])
    if (info === undefined || blank.member !== undefined) return
    counts.added++
    blank.member = memberId(info.member)
    cluster.start(blank)
  }

  async function change(kind: 'promote' | 'demote' | 'remove'): Promise<void> {
    const leader = cluster.leader()
    if (leader === undefined) return
    const { members } = leader.store.status()
    const wanted = kind === 'promote' ? 'learner' : kind === 'demote' ? 'voter' : undefined
    const info = pick(members.filter(one => wanted === undefined || one.role === wanted))
    if (info === undefined) return
    const done = await Promise.race([
      leader.store.changeMembership({ kind, member: info.member }, never),
      leader.life.died.then(() => undefined),
    ])
    if (done === undefined) return
    if (kind === 'promote') counts.promoted++
    else if (kind === 'demote') counts.demoted++
    else {
      counts.removed++
      const machine = cluster.machines.find(one => one.member === info.member)
      // It goes on for a while without knowing, or knowing; then it is wiped and may come back as another member.
      agenda.after(random.float() * 5_000, () => {
        if (machine?.member === info.member) cluster.wipe(machine)
      })
    }
  }

  function changeMembership(): void {
    const draw = random.float()
    const kind = draw < 0.35 ? 'add' : draw < 0.65 ? 'promote' : draw < 0.75 ? 'demote' : 'remove'
    note(`membership: ${kind}`)
    attempt(() => (kind === 'add' ? add() : change(kind))).catch(error => {
      throw error
    })
  }

  return {
    counts,
    /** Adds and promotes until there are so many voters. */
    async grow(voterCount: number): Promise<void> {
      const voters = () =>
        cluster
          .leader()
          ?.store.status()
          .members.filter(info => info.role === 'voter').length ?? 0
      while (voters() < voterCount) {
        const learners =
          cluster
            .leader()
            ?.store.status()
            .members.some(info => info.role === 'learner') ?? false
        await attempt(() => (learners ? change('promote') : add()))
        await sleep(50)
      }
    },
    start(): void {
      every(swarm.crashEveryMs, () => {
        const machine = pick(cluster.machines.filter(one => one.life !== undefined))
        if (machine === undefined) return
        cluster.crash(machine)
        restartLater(machine)
      })
      every(swarm.cutEveryMs, cut)
      every(swarm.pauseEveryMs, pause)
      every(swarm.jumpEveryMs, () => {
        const machine = pick(cluster.machines)
        if (machine !== undefined) machine.wallSkewMs = (random.float() - 0.5) * 7_200_000
      })
      every(swarm.changeEveryMs, changeMembership)
      every(swarm.transferEveryMs, () => {
        counts.transfers++
        const leader = cluster.leader()
        if (leader === undefined) return
        attempt(() => Promise.race([leader.store.transferLeadership(never), leader.life.died.then(() => {})])).catch(
          error => {
            throw error
          },
        )
      })
      supervise()
    },
    stop(): void {
      isStopped = true
      cluster.network.heal()
      for (const machine of cluster.machines) {
        if (machine.life !== undefined) machine.life.pausedUntilMs = 0
        cluster.start(machine)
      }
    },
  }
}
