// Which peers hold a vote. The leader looks at each change of what it reads, at least once a second while something is to be
// done, and takes one step at a time; the next waits until that one is committed.
//
// How many: one vote for one or two peers, three for three or four, five from five on (a witness is a peer here). Two votes
// are worse than one, because either's loss stops both: an odd number is left only when the next odd one can be reached.
// Who: of those that are alive and have caught up, those with the least cost. Cost is what a vote of this peer adds to a write,
// in ms: the 99th percentile of its disk's sync, and the 90th of the way there and back; 50 for each recent greeting it left
// unanswered and each connection that broke; 25 while its agent runs for less than five minutes. What is not measured yet counts as 10 and 5. A witness votes
// where votes are wanting otherwise, before nobody and after everybody else.
// When a vote moves: a voter that was not heard of for `replaceVoterMs` (10 min) makes room as soon as another can take its
// place. A living one makes room only for one that costs less than half as much and 5 ms less, and only when no vote has moved
// for `settleVotesMs` (10 min), which a new leader counts from its own beginning: so votes do not wander. The new one is
// promoted first and the old one demoted then, so that there are never fewer living votes in between; a dead one goes first.
// Never: a step after which not more than half of the voters would be alive; the demotion of the leader.
// Who has no Node any more is removed; who leaves (run-leave.ts) loses its vote and is removed. Admission adds the learners.
import { leavingAnnotation, witnessAnnotation } from '../api/annotations.ts'
import { node as nodeKind } from '../api/kinds/node.ts'
import type { MemberState } from '../gossip/gossip.ts'
import type { MemberInfo, MembershipChange, StoreStatus } from '../kv/store.ts'
import { humanDuration } from '../lib/duration.ts'
import { compareText } from '../lib/sorted.ts'
import type { PeerId } from '../world/network.ts'
import { type Context, defineSweep, nothing, type Plan } from './controller.ts'
import type { Inputs, PeerVitals } from './inputs.ts'

const lookAgainMs = 1_000
const unmeasuredSyncMs = 10
const unmeasuredRoundTripMs = 5
const failureCostMs = 50
const youthCostMs = 25
const youthMs = 5 * 60_000
const gainMsMin = 5

export const membershipController = defineSweep({
  name: 'membership',
  listens: true,
  reads: { nodes: nodeKind },
  reconcile({ nodes }, context): Plan {
    const { nowMs, inputs } = context
    if (inputs.store === undefined || inputs.gossip === undefined) return nothing
    const step = nextStep(inputs.store.status(), surroundings(nodes.list(), context))
    const again = { againAtMs: nowMs + lookAgainMs }
    switch (step.kind) {
      case 'settled':
        // Costs change without a sound.
        return inputs.vitalsOf === undefined ? nothing : { changes: [], againAtMs: nowMs + 10 * lookAgainMs }
      case 'wait':
        return { changes: [], ...again }
      case 'change':
        return { changes: [{ ...step, kind: 'membership' }], ...again }
    }
  },
})

type Nodes = readonly Parameters<Inputs['peerOf']>[0][]

/** What the Nodes, gossip and the measurements say at this moment. */
export function surroundings(
  nodes: Nodes,
  { monotonicMs, inputs }: Pick<Context, 'monotonicMs' | 'inputs'>,
): Surroundings {
  const { config, gossip } = inputs
  const members = gossip?.view().members
  return {
    admitted: new Map(
      nodes.flatMap(node => {
        const peer = inputs.peerOf(node)
        if (peer === undefined) return []
        const says = (name: string) => node.metadata.annotations?.[name] === 'true'
        return [[peer, { witness: says(witnessAnnotation), leaving: says(leavingAnnotation) }] as const]
      }),
    ),
    stateOf: peer => members?.get(peer)?.state,
    deadMs: peer => {
      const member = members?.get(peer)
      return member === undefined || member.state === 'alive' ? 0 : monotonicMs - member.sinceMs
    },
    vitalsOf: peer => inputs.vitalsOf?.(peer),
    votesRestMs: inputs.votesRestMs?.() ?? 0,
    replaceVoterMs: config.replaceVoterMs,
    settleVotesMs: config.settleVotesMs,
    caughtUpEntries: config.caughtUpEntries,
  }
}

export type Surroundings = {
  /** Peers that a Node stands for. */
  readonly admitted: ReadonlyMap<PeerId, { readonly witness: boolean; readonly leaving: boolean }>
  readonly stateOf: (peer: PeerId) => MemberState | undefined
  /** For how long gossip has not called it alive. */
  readonly deadMs: (peer: PeerId) => number
  readonly vitalsOf: (peer: PeerId) => PeerVitals | undefined
  /** For how long no vote has moved, as far as this leader saw. */
  readonly votesRestMs: number
  readonly replaceVoterMs: number
  readonly settleVotesMs: number
  readonly caughtUpEntries: number
}

export type Step =
  /** `unlessAdmitted`: to be checked once more against the Nodes themselves. */
  | { readonly kind: 'change'; readonly change: MembershipChange; readonly unlessAdmitted?: PeerId }
  /** Something is to be done that cannot be done yet. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'settled' }

export function votersWanted(peers: number): number {
  return peers <= 2 ? 1 : peers <= 4 ? 3 : 5
}

/** What a vote of this peer adds to a write, in ms; infinite for a witness, which is nobody's first choice. */
export function costOf(peer: PeerId, around: Surroundings): number {
  if (around.admitted.get(peer)?.witness === true) return Number.POSITIVE_INFINITY
  const { syncMs, roundTripMs, failures = 0, upMs = 0 } = around.vitalsOf(peer) ?? {}
  const measured = (syncMs ?? unmeasuredSyncMs) + (roundTripMs ?? unmeasuredRoundTripMs)
  return measured + failures * failureCostMs + (upMs < youthMs ? youthCostMs : 0)
}

/** The members as the rules see them. */
function sizeUp({ leader, members, matchIndex, commitIndex }: StoreStatus, around: Surroundings) {
  // The leader is alive: it is who asks.
  const isAlive = ({ peer }: MemberInfo) => peer === leader || around.stateOf(peer) === 'alive'
  const has = ({ peer }: MemberInfo) => around.admitted.has(peer) || peer === leader
  const isLeaving = ({ peer }: MemberInfo) => around.admitted.get(peer)?.leaving === true
  const cost = new Map(members.map(({ peer }) => [peer, costOf(peer, around)]))
  const dear = ({ peer }: MemberInfo) => cost.get(peer) ?? Number.POSITIVE_INFINITY
  const byCost = members.toSorted((a, b) => compareCost(dear(a), dear(b)) || compareText(a.member, b.member))
  const voters = byCost.filter(({ role }) => role === 'voter')
  const staying = voters.filter(one => has(one) && !isLeaving(one))
  const lag = ({ member }: MemberInfo) => commitIndex - (matchIndex[member] ?? 0)
  const fit = byCost.filter(one => one.role === 'learner' && has(one) && !isLeaving(one) && isAlive(one))
  const ready = fit.filter(one => lag(one) <= around.caughtUpEntries)
  const wanted = votersWanted(byCost.filter(one => has(one) && !isLeaving(one)).length)
  return { isAlive, has, isLeaving, dear, byCost, voters, staying, lag, ready, wanted }
}

/** Infinity minus itself is no order. */
function compareCost(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1
}

export function nextStep(status: StoreStatus, around: Surroundings): Step {
  const { leader, members } = status
  const { isAlive, has, isLeaving, dear, byCost, voters, staying, ready, wanted } = sizeUp(status, around)
  const lives = (left: readonly MemberInfo[]) => left.filter(isAlive).length * 2 > left.length
  const canLose = (voter: MemberInfo) => lives(voters.filter(other => other !== voter))
  const step = (kind: 'promote' | 'demote' | 'remove', { member }: MemberInfo): Step => ({
    kind: 'change',
    change: { kind, member },
  })

  const strays = byCost.filter(member => !has(member))
  for (const stray of strays) {
    if (stray.role === 'voter' && !canLose(stray)) continue
    const kind = stray.role === 'voter' ? 'demote' : 'remove'
    return { kind: 'change', change: { kind, member: stray.member }, unlessAdmitted: stray.peer }
  }

  const isOdd = staying.length % 2 === 1
  const [first] = ready
  if (staying.length < wanted && first !== undefined && (!isOdd || ready.length >= 2)) return step('promote', first)

  const leaving = byCost.filter(one => isLeaving(one) && one.peer !== leader)
  for (const one of leaving) {
    if (one.role === 'learner') return step('remove', one)
    if (canLose(one)) return step('demote', one)
  }

  const losable = voters.filter(voter => voter.peer !== leader && canLose(voter))
  if (staying.length > wanted) {
    const surplus = losable.find(voter => !isAlive(voter)) ?? losable.at(-1)
    if (surplus !== undefined) return step('demote', surplus)
  }
  const isLongDead = (voter: MemberInfo) => !isAlive(voter) && around.deadMs(voter.peer) >= around.replaceVoterMs
  const dead = losable.find(isLongDead)
  if (first !== undefined && dead !== undefined) return step('demote', dead)
  const worst = losable.findLast(isAlive)
  const mayMove = around.votesRestMs >= around.settleVotesMs && voters.every(isAlive)
  if (first !== undefined && worst !== undefined && mayMove && isWorthIt(dear(first), dear(worst))) {
    return step('promote', first)
  }

  const isJoining = [...around.admitted].some(
    ([peer, { leaving: leaves }]) => !leaves && !members.some(member => member.peer === peer),
  )
  const isWanting = staying.length < wanted && byCost.some(one => one.role === 'learner' && isAlive(one))
  const isReplacing = voters.some(voter => !isAlive(voter)) && byCost.some(({ role }) => role === 'learner')
  const isWaiting = isJoining || isWanting || isReplacing || strays.length > 0 || byCost.some(isLeaving)
  return { kind: isWaiting ? 'wait' : 'settled' }
}

function isWorthIt(cost: number, instead: number): boolean {
  return cost * 2 < instead && instead - cost >= gainMsMin
}

/** Why a peer is what it is, for people. */
export function explain(peer: PeerId, status: StoreStatus, around: Surroundings): string {
  const sized = sizeUp(status, around)
  const { isAlive, dear, staying, lag, ready, wanted } = sized
  const member = status.members.find(one => one.peer === peer)
  const seat = around.admitted.get(peer)
  if (member === undefined) return seat?.leaving === true ? 'has left' : 'not a member yet'
  if (!sized.has(member)) return 'has no Node any more: it is being removed'
  if (sized.isLeaving(member)) return 'leaves: it loses its vote when the others can do without'
  const silence = `not heard of for ${humanDuration(around.deadMs(peer))}`
  const cost = seat?.witness === true ? 'a witness' : `costs ${dear(member).toFixed(1)} ms`
  if (member.role === 'voter') {
    if (peer === status.leader) return `leads; ${cost}`
    if (isAlive(member)) return `one of ${wanted} votes; ${cost}`
    const then =
      ready.length === 0 ? 'nobody could take its vote' : `its vote moves after ${humanDuration(around.replaceVoterMs)}`
    return `${silence}; ${then}`
  }
  if (!isAlive(member)) return silence
  if (!ready.includes(member)) return `catches up: ${lag(member)} entries behind`
  if (staying.length < wanted) return `waits for another: ${staying.length + 1} votes are worse than ${staying.length}`
  return `spare: ${wanted} of ${wanted} votes are given; ${cost}`
}
