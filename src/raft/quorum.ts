// Majorities. Pure arithmetic over the voters; called by election.ts, replication.ts and read.ts.
import type { MemberId } from './types.ts'

/** How many of `voterCount` make a majority. */
export function majority(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1
}

/** The largest value that a majority of the voters has reached. Without voters nothing is ever agreed: -Infinity. */
export function agreed(voters: readonly MemberId[], reached: (voter: MemberId) => number): number {
  const { length } = voters
  if (length === 0) return Number.NEGATIVE_INFINITY
  // Sorted from the largest, by insertion into an array that stays: a leader asks in every step, of a few voters.
  let count = 0
  for (const voter of voters) {
    const value = reached(voter)
    let at = count++
    for (; at > 0 && (descending[at - 1] ?? 0) < value; at--) descending[at] = descending[at - 1] ?? 0
    descending[at] = value
  }
  return descending[majority(length) - 1] ?? Number.NEGATIVE_INFINITY
}

const descending: number[] = []

export type Tally = 'won' | 'lost' | 'open'

/** The state of an election: answers of those who are not voters do not count. */
export function tally(voters: readonly MemberId[], votes: ReadonlyMap<MemberId, boolean>): Tally {
  let granted = 0
  let refused = 0
  for (const voter of voters) {
    const vote = votes.get(voter)
    if (vote === true) granted++
    else if (vote === false) refused++
  }
  const needed = majority(voters.length)
  if (voters.length > 0 && granted >= needed) return 'won'
  return voters.length - refused < needed ? 'lost' : 'open'
}
