// Who belongs to the cluster: one change at a time (dissertation 4.1), each a whole new membership in an entry that
// takes effect when it is appended and is undone when it is truncated. `removed` grows: an ID is never used again.
import { assert } from '../lib/assert.ts'
import { sortedBy } from '../lib/sorted.ts'
import type { Entry, Index, MemberId, Membership, MembershipStep, Refusal } from './types.ts'

export const emptyMembership: Membership = { voters: [], learners: [], removed: [] }

export type MembershipResult =
  | { readonly kind: 'changed'; readonly membership: Membership }
  | { readonly kind: 'refused'; readonly why: Refusal }

const refused = (why: Refusal): MembershipResult => ({ kind: 'refused', why })
const plus = (members: readonly MemberId[], member: MemberId) => sortedBy([...members, member], id => id)
const minus = (members: readonly MemberId[], member: MemberId) => members.filter(id => id !== member)

/** The membership after one step, or why it may not be. Says nothing about who has caught up. */
export function change(membership: Membership, step: MembershipStep): MembershipResult {
  const { voters, learners, removed, witnesses = [] } = membership
  const { kind, member } = step
  const isVoter = voters.includes(member)
  const isLearner = learners.includes(member)
  if (removed.includes(member)) return refused('removed')
  if (kind === 'addLearner') {
    if (isVoter || isLearner) return refused('already-member')
    const withIt = step.witness === true ? plus(witnesses, member) : witnesses
    return changed(voters, plus(learners, member), removed, withIt)
  }
  if (!isVoter && !isLearner) return refused('unknown-member')
  if (kind === 'promote') {
    if (isVoter) return refused('already-member')
    return changed(plus(voters, member), minus(learners, member), removed, witnesses)
  }
  if (isVoter && !othersMayLead(membership, member)) return refused('last-voter')
  if (kind === 'demote') {
    if (isLearner) return refused('already-member')
    return changed(minus(voters, member), plus(learners, member), removed, witnesses)
  }
  return changed(minus(voters, member), minus(learners, member), plus(removed, member), minus(witnesses, member))
}

function changed(
  voters: readonly MemberId[],
  learners: readonly MemberId[],
  removed: readonly MemberId[],
  witnesses: readonly MemberId[],
): MembershipResult {
  const membership = { voters, learners, removed }
  return { kind: 'changed', membership: witnesses.length === 0 ? membership : { ...membership, witnesses } }
}

/** Whether somebody may lead without this member: voters that are all witnesses would elect nobody, ever. */
export function othersMayLead(membership: Membership, member: MemberId): boolean {
  return membership.voters.some(voter => voter !== member && !isWitness(membership, voter))
}

/** Votes, if it is a voter, and never campaigns. */
export function isWitness({ witnesses }: Membership, member: MemberId): boolean {
  return witnesses?.includes(member) === true
}

/** The memberships in the log, oldest first; the first is the one at the base. The last is in effect. */
export type MembershipHistory = { readonly index: Index; readonly membership: Membership }[]

export function createHistory(
  base: { index: Index; membership: Membership },
  entries: readonly Entry[],
): MembershipHistory {
  const history: MembershipHistory = [{ index: base.index, membership: base.membership }]
  for (const entry of entries) noteEntry(history, entry)
  return history
}

export function inEffect(history: MembershipHistory): Membership {
  return history[history.length - 1]?.membership ?? emptyMembership
}

/** The index of the entry that made the membership in effect. */
export function inEffectSince(history: MembershipHistory): Index {
  return history[history.length - 1]?.index ?? 0
}

/** The membership as of `index`, which must not be compacted away. */
export function membershipAt(history: MembershipHistory, index: Index): Membership {
  const found = history.findLast(at => at.index <= index)
  assert(found !== undefined, `the membership at ${index} is compacted away`)
  return found.membership
}

export function noteEntry(history: MembershipHistory, entry: Entry): void {
  if (entry.kind === 'membership') history.push({ index: entry.index, membership: entry.membership })
}

/** Truncation undoes what took effect in the dropped tail. */
export function rollBack(history: MembershipHistory, from: Index): void {
  while (history.length > 1 && inEffectSince(history) >= from) history.pop()
}

export function compactHistory(history: MembershipHistory, index: Index): void {
  const at = history.findLastIndex(one => one.index <= index)
  if (at > 0) history.splice(0, at)
}
