// The network of the core simulation, harsher than any real one: messages of one connection overtake each other, get
// lost, come twice or much later again, wait behind a clog; pairs are cut. Healed members speak as on a quiet cable.
import { describeMessage } from '../../src/raft/describe.ts'
import type { MemberId, Message } from '../../src/raft/types.ts'
import { between, type Core, type Node, put } from './core-node.ts'
import { createLinks, type Links } from './links.ts'
import type { Counts } from './outcome.ts'

export type CoreNetwork = {
  readonly links: Links<MemberId>
  readonly messageCount: () => number
  /** Messages that a fault changed the way of, and the partitions of each kind that kept one back. */
  readonly bites: () => Counts
  readonly send: (core: Core, from: Node, to: MemberId, message: Message) => void
}

export function createCoreNetwork(): CoreNetwork {
  const counts = { lost: 0, doubled: 0, replayed: 0, overtaken: 0, clogged: 0, 'cut off': 0 }
  const links = createLinks<MemberId>()
  const newestArrival = new Map<string, number>()
  let messageCount = 0

  function send(core: Core, from: Node, to: MemberId, message: Message): void {
    const { random, swarm } = core
    messageCount++
    if (links.isCut(from.id, to)) {
      counts['cut off']++
      links.bites(from.id, to)
      return
    }
    const isCalm = links.isHealthy(from.id, to)
    // Each copy has a fate of its own: one that comes late may be the only one.
    if (!isCalm && random.chance(swarm.loss)) counts.lost++
    else deliver(core, from, to, message, 0)
    if (isCalm || !random.chance(swarm.duplicate)) return
    counts.doubled++
    const isReplay = random.chance(0.1) && swarm.replayMsMax > 0
    if (isReplay) counts.replayed++
    deliver(core, from, to, message, isReplay ? random.float() * swarm.replayMsMax : 0)
  }

  function deliver(core: Core, from: Node, to: MemberId, message: Message, extraMs: number): void {
    const { agenda, random, swarm, trace, checker } = core
    const isCalm = links.isHealthy(from.id, to)
    const delayMs = isCalm ? between(random, 1, 20) : between(random, swarm.delayMsMin, swarm.delayMsMax) + extraMs
    const link = `${from.id}>${to}`
    let atMs = agenda.nowMs() + delayMs
    const cloggedUntilMs = links.cloggedUntilMs(from.id, to)
    if (cloggedUntilMs > atMs) {
      counts.clogged++
      atMs = cloggedUntilMs + random.float() * 20
    }
    const newest = newestArrival.get(link) ?? 0
    if (atMs < newest) counts.overtaken++
    else newestArrival.set(link, atMs)
    agenda.at(atMs, () => {
      const target = core.nodes.get(to)
      if (target?.up !== true) return
      if (links.isCut(from.id, to)) {
        links.bites(from.id, to)
        return
      }
      trace.note(`${link} ${message.kind === 'append' ? appendLine(message) : describeMessage(message)}`)
      checker.hears(to, message)
      put(core, target, { kind: 'message', from: from.id, message })
    })
  }

  return { links, messageCount: () => messageCount, bites: () => ({ ...counts, ...links.counts() }), send }
}

const appendLine = ({ term, previousIndex, entries, commit, round }: Extract<Message, { kind: 'append' }>) =>
  `append t${term} after ${previousIndex} +${entries.length} commit ${commit} round ${round}`
