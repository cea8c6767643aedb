// One seed of the whole store: a cluster is founded and grows; then a time in which anything may break, and clients write,
// read and watch on; then healing (heal.ts), and the verdict on what the clients saw. What must never happen ends the run.
import { prng } from '../../src/lib/prng.ts'
import { createAgenda } from './agenda.ts'
import { createChecker } from './checker.ts'
import { createClients } from './clients.ts'
import { type ClusterFaults, createCluster, type StoreBugs } from './cluster.ts'
import { isMember, liveAgain } from './heal.ts'
import { checkHistory } from './history.ts'
import { createLeaseClients, leaseEndMsMax } from './lease-clients.ts'
import { createNemesis } from './nemesis.ts'
import type { Outcome } from './outcome.ts'
import { failureOf, must } from './safety.ts'
import { drawSwarm } from './swarm.ts'
import { createTrace } from './trace.ts'
import { createTruth } from './truth.ts'
import { createWatchers } from './watchers.ts'

export type SimulateOptions = {
  /** How long things break, in virtual milliseconds. */
  readonly safetyMs?: number
  readonly print?: (line: string) => void
  readonly bugs?: StoreBugs
}

const tickMs = 50
const electionTicks = 10
const electionTimeoutMs = tickMs * electionTicks
const foundMsMax = 60_000

/** Lets all that is ready run: promises settle before the next turn of the event loop, and nothing else is pending. */
const settle = () => new Promise<void>(resolve => setImmediate(resolve))

const calm = (): ClusterFaults => ({
  disk: { errorChance: 0, syncMsMax: 3, stallChance: 0, stallMsMax: 0, crashChance: 0, tearsSectors: false },
  network: { loss: 0, duplicate: 0, delayMsMin: 1, delayMsMax: 10, noticeMsMax: 50 },
})

export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Outcome> {
  const random = prng(seed)
  const swarm = drawSwarm(random)
  const agenda = createAgenda()
  const trace = createTrace(agenda.nowMs, options.print)
  const checker = createChecker()
  const faults = calm()
  const config = {
    tickMs,
    electionTicks,
    heartbeatTicks: 2,
    requestTimeoutMs: 2_000,
    historyBytesMax: 1_000_000,
    bookmarkMs: 500,
    ...swarm.config,
  }
  const shape = { machineCount: swarm.voterCount + swarm.learnerCount + 2, driftMax: swarm.driftMax, config }
  const truth = createTruth()
  const cluster = createCluster(agenda, random, faults, shape, checker, truth, trace, options.bugs ?? {})
  const clients = createClients(agenda, random, cluster, truth, swarm.clients)
  const leases = createLeaseClients(agenda, random, cluster, truth, swarm.leaseClientCount)
  const watchers = createWatchers(agenda, random, cluster, truth)
  const nemesis = createNemesis(agenda, random, swarm, cluster, trace.note)
  let events = 0
  let failure: unknown
  let healed = {}

  async function drive(untilMs: number, until: () => boolean = () => false): Promise<boolean> {
    await settle()
    while (agenda.next(untilMs)) {
      events++
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
    const grown = begin(nemesis.grow())
    const isFounded = await drive(foundMsMax, () => grown.done)
    must(isFounded, 'progress after healing', () => `the cluster could not be founded in ${foundMsMax} ms`)

    Object.assign(faults.network, swarm.network)
    Object.assign(faults.disk, swarm.disk)
    const working = [begin(clients.run()), begin(leases.run()), begin(watchers.run())]
    nemesis.start()
    await drive(agenda.nowMs() + (options.safetyMs ?? 30_000))

    nemesis.stop()
    const calmDown = () => Object.assign(faults.disk, calm().disk)
    const healing = { agenda, random, cluster, checker, clients, note: trace.note, drive, begin, calm: calmDown }
    healed = await liveAgain(healing, electionTimeoutMs)
    clients.stop()
    leases.stop()
    watchers.stop()
    const ended = await drive(agenda.nowMs() + 15_000, () => working.every(task => task.done))
    must(ended, 'progress after healing', () => 'a client waits for ever')
    const areGone = await drive(agenda.nowMs() + leaseEndMsMax, () => leases.overdue().length === 0)
    must(areGone, 'leases', () => `nobody keeps the leases of ${leases.overdue()} alive, and they do not end`)
    const checked = begin(checkReplicas())
    await drive(agenda.nowMs() + 5_000, () => checked.done)
    must(checked.done, 'convergence', () => 'the last look at the replicas did not end')
    checkHistory([...clients.history, ...leases.operations()], truth)
  }

  /** Every member holds what happened. */
  async function checkReplicas(): Promise<void> {
    const signal = AbortSignal.any([])
    for (const { store, life } of cluster.running().filter(isMember(cluster))) {
      await store.applied(truth.newest(), signal)
      const { items } = await store.range({ from: '', to: '\u0100' })
      truth.holds(life.name, items)
    }
  }

  try {
    await run()
  } catch (error) {
    failure ??= error
  }
  // What is left of the run must not go on in the next one.
  for (const machine of cluster.machines) cluster.crash(machine)
  return {
    seed,
    digest: trace.digest(),
    events,
    counts: {
      leaders: checker.counts.leaders,
      ...cluster.counts,
      ...nemesis.counts,
      ...clients.counts,
      leases: leases.counts.granted,
      renewed: leases.counts.renewed,
      leaseEnds: leases.counts.ended,
      watched: watchers.counts.events,
      revisions: truth.newest(),
      messages: cluster.network.messageCount(),
      ...healed,
    },
    bites: { ...nemesis.bites(), ...cluster.bites(), 'watch below the compacted': watchers.counts.compacted },
    simulatedMs: agenda.nowMs(),
    failure: failure === undefined ? undefined : failureOf(failure),
    trace: trace.newest(),
  }
}
