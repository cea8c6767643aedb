// Which peers hold a vote: one of one or two, three of three or four, five of more. One change at a time; a learner is
// promoted when it has caught up; a voter that was dead for long makes room when somebody can take its place; who has no Node
// any more is removed. Never a step that would leave too few living voters. Admission adds the learners (node/run-admission.ts).
import { node as nodeKind } from '../api/kinds/node.ts'
import type { MemberState } from '../gossip/gossip.ts'
import type { MemberInfo, MembershipChange, StoreStatus } from '../kv/store.ts'
import { compareText } from '../lib/sorted.ts'
import type { PeerId } from '../world/network.ts'
import { defineSweep, nothing, type Plan } from './controller.ts'

const lookAgainMs = 1_000

export const membershipController = defineSweep({
  name: 'membership',
  listens: true,
  reads: { nodes: nodeKind },
  reconcile({ nodes }, { nowMs, monotonicMs, inputs }): Plan {
    const { store, gossip, config } = inputs
    if (store === undefined || gossip === undefined) return nothing
    const admitted = nodes.list().flatMap(node => inputs.peerOf(node) ?? [])
    const { members } = gossip.view()
    const step = nextStep(store.status(), {
      admitted: new Set(admitted),
      stateOf: peer => members.get(peer)?.state,
      deadMs: peer => {
        const member = members.get(peer)
        return member === undefined || member.state === 'alive' ? 0 : monotonicMs - member.sinceMs
      },
      replaceVoterMs: config.replaceVoterMs,
      caughtUpEntries: config.caughtUpEntries,
    })
    const again = { againAtMs: nowMs + lookAgainMs }
    switch (step.kind) {
      case 'settled':
        return nothing
      case 'wait':
        return { changes: [], ...again }
      case 'change':
        return { changes: [{ ...step, kind: 'membership' }], ...again }
    }
  },
})

export type Surroundings = {
  /** Peers that a Node stands for. */
  readonly admitted: ReadonlySet<PeerId>
  readonly stateOf: (peer: PeerId) => MemberState | undefined
  /** For how long gossip has not called it alive. */
  readonly deadMs: (peer: PeerId) => number
  readonly replaceVoterMs: number
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

export function nextStep(status: StoreStatus, around: Surroundings): Step {
  const { leader, members, matchIndex, commitIndex } = status
  const byAge = members.toSorted((a, b) => compareText(a.member, b.member))
  const voters = byAge.filter(({ role }) => role === 'voter')
  const learners = byAge.filter(({ role }) => role === 'learner')
  // The leader is alive: it is who asks.
  const isAlive = ({ peer }: MemberInfo) => peer === leader || around.stateOf(peer) === 'alive'
  const lives = (left: readonly MemberInfo[]) => left.filter(isAlive).length * 2 > left.length
  const canLose = (voter: MemberInfo) => lives(voters.filter(other => other !== voter))
  const has = ({ peer }: MemberInfo) => around.admitted.has(peer)

  const strays = byAge.filter(member => !has(member) && member.peer !== leader)
  for (const stray of strays) {
    if (stray.role === 'voter' && !canLose(stray)) continue
    const kind = stray.role === 'voter' ? 'demote' : 'remove'
    return { kind: 'change', change: { kind, member: stray.member }, unlessAdmitted: stray.peer }
  }

  const wanted = votersWanted(byAge.filter(member => has(member) || member.peer === leader).length)
  const ready = learners.filter(
    one => has(one) && isAlive(one) && commitIndex - (matchIndex[one.member] ?? 0) <= around.caughtUpEntries,
  )
  const isOdd = voters.length % 2 === 1
  const [first] = ready
  // Two of two is worse than one of one: an odd number is left only when the next odd number can be reached.
  if (voters.length < wanted && first !== undefined && (!isOdd || ready.length >= 2)) {
    return { kind: 'change', change: { kind: 'promote', member: first.member } }
  }
  const losable = voters.filter(voter => voter.peer !== leader && canLose(voter))
  const longDead = losable.find(voter => !isAlive(voter) && around.deadMs(voter.peer) >= around.replaceVoterMs)
  if (longDead !== undefined && first !== undefined) {
    return { kind: 'change', change: { kind: 'demote', member: longDead.member } }
  }
  if (voters.length > wanted) {
    const surplus = losable.find(voter => !isAlive(voter)) ?? losable.at(-1)
    if (surplus !== undefined) return { kind: 'change', change: { kind: 'demote', member: surplus.member } }
  }
  const isJoining = [...around.admitted].some(peer => !members.some(member => member.peer === peer))
  const isWanting = voters.length < wanted && learners.some(one => isAlive(one))
  const isReplacing = voters.some(voter => !isAlive(voter)) && learners.length > 0
  return { kind: isJoining || isWanting || isReplacing || strays.length > 0 ? 'wait' : 'settled' }
}
