// Whether this replica is what the others are. Each keeps the chained hash of its state at the last indexes; a majority of
// the voters that have the same one at some index is right, whoever leads (etcd's guide to data corruption), and a member
// that has another one there must not serve. Pure.
import type { MemberId } from '../raft/types.ts'
import type { IndexHash } from './ask.ts'

const recentCount = 2_048
const markEvery = 1_024
const markCount = 64

export type Hashes = {
  /** After every applied entry. */
  note(index: number, hash: number): void
  get(index: number): number | undefined
  /** Indexes that the others may know too, newest first: those of now and of some that are behind or ahead. */
  candidates(): readonly number[]
  /** The state was replaced. */
  clear(): void
}

export function createHashes(): Hashes {
  const recent = new Uint32Array(recentCount)
  let first = 0
  let last = 0
  let marks = new Map<number, number>()
  return {
    note(index, hash) {
      if (index !== last + 1) first = index
      last = index
      if (last - first >= recentCount) first = last - recentCount + 1
      recent[index % recentCount] = hash
      if (index % markEvery !== 0) return
      marks.set(index, hash)
      for (const oldest of marks.keys()) {
        if (marks.size <= markCount) break
        marks.delete(oldest)
      }
    },
    get: index => (last > 0 && index >= first && index <= last ? recent[index % recentCount] : marks.get(index)),
    candidates() {
      if (last === 0) return []
      const marked = [...marks.keys()].slice(-3).reverse()
      return [...new Set([last, ...marked])]
    },
    clear() {
      first = 0
      last = 0
      marks = new Map()
    },
  }
}

export type Verdict =
  /** Too few have told. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'equal'; readonly index: number }
  /** `others`: who differs from the majority, which this member is of. */
  | { readonly kind: 'others-differ'; readonly index: number; readonly others: readonly MemberId[] }
  | { readonly kind: 'self-differs'; readonly index: number; readonly hash: number; readonly majority: number }
  /** There are different ones, and none has a majority. */
  | { readonly kind: 'undecided'; readonly index: number }

/** `told`: what each member said, this one among them. Learners are judged and have no say. */
export function judge(
  self: MemberId,
  voters: readonly MemberId[],
  candidates: readonly number[],
  told: ReadonlyMap<MemberId, readonly IndexHash[]>,
): Verdict {
  let undecided: Verdict = { kind: 'unknown' }
  for (const index of candidates) {
    const at = new Map<MemberId, number>()
    for (const [member, hashes] of told) {
      const found = hashes.find(one => one.index === index)
      if (found !== undefined) at.set(member, found.hash)
    }
    const mine = at.get(self)
    if (mine === undefined) continue
    const majority = [...new Set(at.values())].find(
      hash => voters.filter(voter => at.get(voter) === hash).length * 2 > voters.length,
    )
    if (majority === undefined) {
      if (new Set(at.values()).size > 1 && undecided.kind === 'unknown') undecided = { kind: 'undecided', index }
      continue
    }
    if (mine !== majority) return { kind: 'self-differs', index, hash: mine, majority }
    const others = [...at].filter(([, hash]) => hash !== majority).map(([member]) => member)
    return others.length > 0 ? { kind: 'others-differ', index, others } : { kind: 'equal', index }
  }
  return undecided
}
