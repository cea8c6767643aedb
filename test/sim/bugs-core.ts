// Bugs of consensus that are put in on purpose, from outside, to see that the simulator finds them. Each wraps `step`: it
// changes what goes in, or what the state is around it, the way the mistaken line would.

import { lastIndex, termAt, truncateFrom } from '../../src/raft/log.ts'
import { inEffectSince, rollBack } from '../../src/raft/membership.ts'
import { type Raft, step } from '../../src/raft/raft.ts'
import { agreedByVoters, resetTimer } from '../../src/raft/state.ts'
import type { Effects, MemberId, Membership, Message } from '../../src/raft/types.ts'
import type { CoreFaults } from './core-node.ts'

type Step = typeof step
type MessageOf<K extends Message['kind']> = Extract<Message, { kind: K }>

/** What a message becomes on its way in. */
const rewriting =
  (rewrite: (raft: Raft, message: Message, from: MemberId) => Message): Step =>
  (raft, events) =>
    step(
      raft,
      events.map(event =>
        event.kind === 'message' ? { ...event, message: rewrite(raft, event.message, event.from) } : event,
      ),
    )

/** Something around the step of one message. Needs `oneByOne`. */
const around =
  <K extends Message['kind']>(
    kind: K,
    act: (raft: Raft, message: MessageOf<K>, next: () => Effects) => Effects,
  ): Step =>
  (raft, events) => {
    const [event] = events
    const isIt = event?.kind === 'message' && event.message.kind === kind
    return isIt ? act(raft, event.message as MessageOf<K>, () => step(raft, events)) : step(raft, events)
  }

/** Before each step of a leader. */
const leading =
  (act: (raft: Raft, lead: NonNullable<Raft['lead']>) => void): Step =>
  (raft, events) => {
    if (raft.lead !== undefined) act(raft, raft.lead)
    return step(raft, events)
  }

/** Fields that are readonly to everybody else. */
function force<T extends object>(target: T, fields: Partial<T>): void {
  Object.assign(target, fields)
}

const anyLog = { lastIndex: Number.MAX_SAFE_INTEGER, lastTerm: Number.MAX_SAFE_INTEGER }
const isVote = (message: Message) => message.kind === 'vote' || message.kind === 'preVote'

const votesTwice = around('vote', (raft, _message, next) => {
  if (raft.lead === undefined) {
    raft.vote = undefined
    raft.leader = undefined
  }
  return next()
})

/** Entries count by how many have them, of whatever term they are (Raft paper, figure 8). */
const countsOldTerms = leading((raft, lead) => {
  const index = agreedByVoters(raft, lead, raft.log.durable, progress => progress.match)
  if (index > raft.commit) raft.commit = index
})

const countsUnsaved: Step = (raft, events) => {
  const effects = step(raft, events)
  raft.log.durable = raft.log.unsaved - 1
  return effects
}

/** A change of membership that is asked for before the leader's first entry is committed is made all the same. */
const changesBeforeFirst: Step = (raft, events) => {
  const { lead } = raft
  if (lead === undefined || events[0]?.kind !== 'proposeMembership') return step(raft, events)
  const { first, arrivedReads } = lead
  force(lead, { first: 0 })
  lead.arrivedReads = []
  const effects = step(raft, events)
  force(lead, { first })
  lead.arrivedReads = arrivedReads
  return effects
}

/** The change before the one that is asked for need not be committed. */
const changesTwice: Step = (raft, events) => {
  const last = raft.history.at(-1)
  const isOpen = inEffectSince(raft.history) > raft.commit
  if (raft.lead === undefined || last === undefined || !isOpen || events[0]?.kind !== 'proposeMembership') {
    return step(raft, events)
  }
  const { index } = last
  force(last, { index: raft.commit })
  const effects = step(raft, events)
  force(last, { index })
  return effects
}

/** A membership stays in effect when its entry is cut off. */
const keepsCutMembership: Step = (raft, events) => {
  const before = [...raft.history]
  const effects = step(raft, events)
  const lost = before.at(-1)
  const isCut = lost !== undefined && before.length > 1 && !raft.history.includes(lost)
  const isTruncated = isCut && termAt(raft.log, lost.index) !== undefined && raft.log.base.index < lost.index
  if (isTruncated && inEffectSince(raft.history) < lost.index) raft.history.push(lost)
  return effects
}

const keepsMembership: Step = (raft, events) => {
  const before = raft.history.at(-1)?.membership
  const effects = step(raft, events)
  const base = raft.history[0]
  if (events[0]?.kind === 'installed' && base !== undefined && before !== undefined) force(base, { membership: before })
  return effects
}

/** A removed member may come in again under its old name. */
const forgetsRemoved: Step = (raft, events) => {
  const last = raft.history.at(-1)
  if (raft.lead === undefined || last === undefined || events[0]?.kind !== 'proposeMembership')
    return step(raft, events)
  const { membership } = last
  force(last, { membership: { ...membership, removed: [] } })
  const effects = step(raft, events)
  force(last, { membership })
  return effects
}

/** The learners have a say in what is committed. */
const countsLearners: Step = (raft, events) => {
  const last = raft.history.at(-1)
  const kind = events[0]?.kind
  if (raft.lead === undefined || last === undefined || (kind !== 'message' && kind !== 'durable')) {
    return step(raft, events)
  }
  const { membership } = last
  const everybody: Membership = { ...membership, voters: [...membership.voters, ...membership.learners], learners: [] }
  force(last, { membership: everybody })
  const effects = step(raft, events)
  force(last, { membership })
  return effects
}

/** A leader answers reads at once, from what it knows to be committed. */
function answersReads(effects: Effects, raft: Raft): Effects {
  const { lead } = raft
  if (lead === undefined) return effects
  const own = lead.readBatches.flatMap(batch => batch.requests.filter(request => request.from === undefined))
  lead.readBatches = lead.readBatches.map(batch => ({
    ...batch,
    requests: batch.requests.filter(request => request.from !== undefined),
  }))
  return { ...effects, reads: [...effects.reads, ...own.map(({ id }) => ({ id, index: raft.commit }))] }
}

const readsAlone: Step = (raft, events) => answersReads(step(raft, events), raft)

/** The same, as long as a majority was heard within an election time-out of its own clock. */
const readsByLease: Step = (raft, events) => {
  const effects = step(raft, events)
  const { lead } = raft
  if (lead === undefined) return effects
  const heardAt = agreedByVoters(raft, lead, raft.nowTicks, progress => progress.heardAt)
  return raft.nowTicks - heardAt < raft.config.electionTicks ? answersReads(effects, raft) : effects
}

/** A granted pre-vote gives the vote away, or takes it back (canonical/raft#196). */
const preVoteResetsVote = around('preVote', (raft, _message, next) => {
  const effects = next()
  if (effects.sendEarly.some(({ message }) => message.kind === 'preVoteAnswer' && message.granted))
    raft.vote = undefined
  return effects
})

/** Who asks for a pre-vote counts as a sign of life of the leader (hashicorp/raft#609). */
const preVoteIsContact = around('preVote', (raft, _message, next) => {
  const effects = next()
  if (raft.lead === undefined) resetTimer(raft)
  return effects
})

const neverStepsDown = leading((raft, lead) => {
  for (const progress of lead.progress.values()) progress.heardAt = raft.nowTicks
})

const notSticky: Step = (raft, events) => {
  const { leaderLost } = raft
  if (events.some(event => event.kind === 'message' && isVote(event.message))) raft.leaderLost = true
  const effects = step(raft, events)
  if (raft.leaderLost) raft.leaderLost = leaderLost
  return effects
}

/** What is longer than the message is cut off, as if it were in conflict with it. */
const cutsWithoutConflict = around('append', (raft, message, next) => {
  const { log } = raft
  const end = message.previousIndex + message.entries.length
  const agrees =
    message.term === raft.term && raft.lead === undefined && termAt(log, message.previousIndex) === message.previousTerm
  if (agrees && end < lastIndex(log) && end >= raft.commit && end > log.base.index) {
    truncateFrom(log, end + 1, raft.term)
    rollBack(raft.history, end + 1)
  }
  return next()
})

/** A follower commits up to the end of its own log, not of what it has just compared (Raft paper, figure 2). */
const commitsUnmatched = around('append', (raft, message, next) => {
  if (message.term >= raft.term && message.commit > raft.commit) {
    raft.commit = Math.max(raft.commit, Math.min(message.commit, lastIndex(raft.log)))
  }
  return next()
})

const withoutPass = rewriting((_raft, message) => (message.kind === 'vote' ? { ...message, transfer: false } : message))

const votesForOldLogs = rewriting((_raft, message) =>
  message.kind === 'vote' || message.kind === 'preVote' ? { ...message, ...anyLog } : message,
)

const witnessCampaigns: Step = (raft, events) => {
  force(raft.config, { witness: false })
  const last = raft.history.at(-1)
  if (last === undefined) return step(raft, events)
  const { membership } = last
  const { voters, learners, removed } = membership
  force(last, { membership: { voters, learners, removed } })
  const effects = step(raft, events)
  force(last, { membership })
  return effects
}

export const coreBugs: Readonly<Record<string, CoreFaults>> = {
  'vote without log check': { step: votesForOldLogs },
  'two votes in one term': { step: votesTwice, oneByOne: true },
  'vote not persisted': { keepHard: hard => ({ ...hard, vote: undefined }) },
  'term not persisted before the reply': { keepHard: (hard, before) => ({ ...hard, term: before.term }) },
  'send before durable': { sendBeforeSave: true },
  'leader counts unsaved': { step: countsUnsaved },
  'commit of an old term by counting': { step: countsOldTerms },
  'follower commits what it has not matched': { step: commitsUnmatched, oneByOne: true },
  'late append truncates without conflict': { step: cutsWithoutConflict, oneByOne: true },
  "configuration change before the term's first entry": { step: changesBeforeFirst, oneByOne: true },
  'second configuration change before the first is committed': { step: changesTwice, oneByOne: true },
  'configuration not rolled back on truncation': { step: keepsCutMembership, oneByOne: true },
  'snapshot install keeps the old membership': { step: keepsMembership, oneByOne: true },
  'snapshot forgets membership': {
    snapshot: (snapshot, raft) => ({ ...snapshot, membership: raft.history[0]?.membership ?? snapshot.membership }),
  },
  'member ID used again after removal': { step: forgetsRemoved, oneByOne: true },
  'learner counted as voter': { step: countsLearners, oneByOne: true },
  'witness campaigns': { step: witnessCampaigns },
  'newest read without a quorum round': { step: readsAlone },
  'lease read': { step: readsByLease },
  'read answered before it is applied': { readBeforeApply: true },
  'pre-vote resets the vote': { step: preVoteResetsVote, oneByOne: true },
  'pre-vote refreshes leader contact': { step: preVoteIsContact, oneByOne: true },
  'check-quorum off': { step: neverStepsDown },
  'stickiness off': { step: notSticky },
  'transfer without stickiness pass': { step: withoutPass },
}
