// The consensus core alone, on a model of a disk and a network: no promises, so hundreds of virtual seconds pass in a
// real one. One seed: a time in which anything may break while clients write and read on, then healing (core-heal.ts).
import { prng } from '../../src/lib/prng.ts'
import { step } from '../../src/raft/raft.ts'
import type { MemberId } from '../../src/raft/types.ts'
import { createAgenda } from './agenda.ts'
import { createChecker } from './checker.ts'
import { liveAgain } from './core-heal.ts'
import { createCoreNemesis } from './core-nemesis.ts'
import { createCoreNetwork } from './core-network.ts'
import { between, type Core, type CoreFaults, put } from './core-node.ts'
import { drawCoreSwarm } from './core-swarm.ts'
import type { Outcome } from './outcome.ts'
import { failureOf } from './safety.ts'
import { createTrace } from './trace.ts'

export type CoreOptions = {
  /** How long things break, in virtual milliseconds. */
  readonly safetyMs?: number
  readonly faults?: CoreFaults
  readonly print?: (line: string) => void
}

export function runCore(seed: number, options: CoreOptions = {}): Outcome {
  const { safetyMs = 60_000, faults = {} } = options
  const random = prng(seed)
  const swarm = drawCoreSwarm(random)
  const agenda = createAgenda()
  const trace = createTrace(agenda.nowMs, options.print)
  const checker = createChecker()
  const network = createCoreNetwork()
  let events = 0
  const core: Core = {
    agenda,
    random,
    swarm,
    checker,
    trace,
    faults,
    step: faults.step ?? step,
    nodes: new Map(),
    counts: { crashes: 0, snapshots: 0, truncations: 0 },
    bites: { crash: 0, 'crash in a save': 0, 'torn save': 0, 'failed snapshot': 0, 'stalled save': 0 },
    isCalm: false,
    nextId: 1,
    send: (from, to, message) => network.send(core, from, to, message),
    reaches: (from, to) => !network.links.isCut(from, to),
    notice,
  }
  const nemesis = createCoreNemesis(core, network)

  /** Some peers notice a broken connection at once, others only by silence. */
  function notice(node: { readonly id: MemberId }): void {
    for (const other of core.nodes.values()) {
      if (other.id === node.id || !other.up || !swarm.noticesCuts || !random.chance(0.7)) continue
      const { life } = other
      agenda.after(between(random, 1, 100), () => {
        if (other.life !== life) return
        put(core, other, { kind: 'unreachable', member: node.id })
        // Its shell waits for a moment, so that not everybody asks at once.
        agenda.after(between(random, 0, 30), () => {
          if (other.life === life) put(core, other, { kind: 'campaign' })
        })
      })
    }
  }

  function drive(untilMs: number, until: () => boolean = () => false): boolean {
    while (agenda.next(untilMs)) {
      events++
      if (until()) return true
    }
    agenda.skipTo(untilMs)
    return until()
  }

  let failure: unknown
  let healed: Record<string, number> = {}
  try {
    nemesis.start()
    drive(safetyMs)
    nemesis.stop()
    healed = liveAgain(core, network, drive)
  } catch (error) {
    failure = error
  }

  return {
    seed,
    digest: trace.digest(),
    events,
    counts: {
      ...checker.counts,
      ...core.counts,
      ...healed,
      changesAsked: nemesis.changesAsked(),
      messages: network.messageCount(),
    },
    bites: { ...core.bites, ...network.bites(), ...nemesis.bites() },
    simulatedMs: agenda.nowMs(),
    failure: failure === undefined ? undefined : failureOf(failure),
    trace: trace.newest(),
  }
}
