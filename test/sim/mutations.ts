// Bugs that are put in on purpose, from outside, to see that the simulator finds them. Each is a classic: a vote given
// to a candidate with an older log, a second vote in a term, an answer that leaves before the disk has it, a read from
// a leader that did not ask whether it still leads.
import { step } from '../../src/raft/raft.ts'
import type { Effects, RaftEvent } from '../../src/raft/types.ts'
import { decodeEnvelope, encodeEnvelope } from '../../src/store/message.ts'
import type { World } from '../../src/world/world.ts'
import type { CoreFaults } from './core.ts'

const anyLog = { lastIndex: Number.MAX_SAFE_INTEGER, lastTerm: Number.MAX_SAFE_INTEGER }

/** What the log of the candidate holds is not looked at. */
const votesForOldLogs: typeof step = (raft, events) =>
  step(
    raft,
    events.map((event): RaftEvent => {
      if (event.kind !== 'message') return event
      const { message } = event
      return message.kind === 'vote' || message.kind === 'preVote'
        ? { ...event, message: { ...message, ...anyLog } }
        : event
    }),
  )

/** Whoever asks gets a vote, even one who asks in a term in which the vote is given. */
const votesTwice: typeof step = (raft, events) => {
  if (events.some(event => event.kind === 'message' && event.message.kind === 'vote') && raft.lead === undefined) {
    raft.vote = undefined
    raft.leader = undefined
  }
  return step(raft, events)
}

/** A leader answers reads from what it has, and does not notice that no majority hears it. Either alone hides well. */
const readsWithoutRound: typeof step = (raft, events) => {
  for (const progress of raft.lead?.progress.values() ?? []) progress.heardAt = raft.nowTicks
  const effects: Effects = step(raft, events)
  const { lead } = raft
  if (lead === undefined) return effects
  const own = lead.readBatches.flatMap(batch => batch.requests.filter(request => request.from === undefined))
  lead.readBatches = []
  return { ...effects, reads: [...effects.reads, ...own.map(({ id }) => ({ id, index: raft.commit }))] }
}

/** Refuses to believe that a majority is needed: the leader counts itself before its disk is done. */
const countsUnsaved: typeof step = (raft, events) => {
  const effects = step(raft, events)
  raft.log.durable = raft.log.unsaved - 1
  return effects
}

export const coreMutations: Readonly<Record<string, CoreFaults>> = {
  'a vote for a candidate with an older log': { step: votesForOldLogs },
  'two votes in one term': { step: votesTwice },
  'answers before the save': { sendBeforeSave: true },
  'a leader that counts what it has not saved': { step: countsUnsaved },
  'newest reads of a leader that is alone': { step: readsWithoutRound },
}

/** In the whole store: every request for a vote that comes in claims the newest log of all. */
export function votesForOldLogsWorld(world: World): World {
  const { network } = world
  return {
    ...world,
    network: {
      ...network,
      onMessage: (protocol, handler) =>
        network.onMessage(protocol, (from, bytes) => {
          const envelope = protocol === 'raft' ? decodeEnvelope(bytes) : undefined
          const message = envelope?.message
          if (envelope === undefined || (message?.kind !== 'vote' && message?.kind !== 'preVote')) handler(from, bytes)
          else
            handler(
              from,
              encodeEnvelope({ ...envelope, message: { ...message, lastIndex: 2 ** 40, lastTerm: 2 ** 40 } }),
            )
        }),
    },
  }
}
