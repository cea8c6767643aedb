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
export function change(membership: Membership, { kind, member }: MembershipStep): MembershipResult {
  const { voters, learners, removed } = membership
  const isVoter = voters.includes(member)
  const isLearner = learners.includes(member)
  if (removed.includes(member)) return refused('removed')
  if (kind === 'addLearner') {
    if (isVoter || isLearner) return refused('already-member')
    return { kind: 'changed', membership: { voters, learners: plus(learners, member), removed } }
  }
  if (!isVoter && !isLearner) return refused('unknown-member')
  if (kind === 'promote') {
    if (isVoter) return refused('already-member')
    return {
      kind: 'changed',
      membership: { voters: plus(voters, member), learners: minus(learners, member), removed },
    }
  }
  if (isVoter && voters.length === 1) return refused('last-voter')
  if (kind === 'demote') {
    if (isLearner) return refused('already-member')
    return {
      kind: 'changed',
      membership: { voters: minus(voters, member), learners: plus(learners, member), removed },
    }
  }
  return {
    kind: 'changed',
    membership: { voters: minus(voters, member), learners: minus(learners, member), removed: plus(removed, member) },
  }
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
