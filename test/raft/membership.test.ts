import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  change,
  compactHistory,
  createHistory,
  emptyMembership,
  inEffect,
  isWitness,
  membershipAt,
  noteEntry,
  rollBack,
} from '../../src/raft/membership.ts'
import { majority } from '../../src/raft/quorum.ts'
import { type Entry, type MemberId, type Membership, type MembershipStep, memberId } from '../../src/raft/types.ts'

const member = fc.constantFrom('a', 'b', 'c', 'd', 'e').map(memberId)
const oneStep: fc.Arbitrary<MembershipStep> = fc.oneof(
  fc.record({ kind: fc.constant('addLearner' as const), member, witness: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('promote' as const, 'demote' as const, 'remove' as const), member }),
)
const founded: Membership = { voters: [memberId('a')], learners: [], removed: [] }

test('whatever is asked, one voter at most comes or goes, the last stays, and no removed ID comes back', () => {
  fc.assert(
    fc.property(fc.array(oneStep, { maxLength: 40 }), steps => {
      let now = founded
      for (const step of steps) {
        const result = change(now, step)
        if (result.kind === 'refused') continue
        const next = result.membership
        const all = [...next.voters, ...next.learners, ...next.removed]
        expect(new Set(all).size).toBe(all.length)
        expect(next.voters.length).toBeGreaterThan(0)
        const kept = next.voters.filter(id => now.voters.includes(id)).length
        expect(Math.max(now.voters.length, next.voters.length) - kept).toBeLessThanOrEqual(1)
        // So any majority of one shares a voter with any majority of the other.
        const union = new Set([...now.voters, ...next.voters]).size
        expect(majority(now.voters.length) + majority(next.voters.length)).toBeGreaterThan(union)
        for (const id of now.removed) expect(next.removed).toContain(id)
        // Who is a witness is settled when it is admitted, and somebody can always lead.
        for (const id of [...next.voters, ...next.learners]) {
          if (all.includes(id) && [...now.voters, ...now.learners].includes(id)) {
            expect(isWitness(next, id)).toBe(isWitness(now, id))
          }
        }
        expect(next.voters.some(id => !isWitness(next, id))).toBe(true)
        for (const id of next.witnesses ?? []) expect([...next.voters, ...next.learners]).toContain(id)
        now = next
      }
    }),
  )
})

test('from any membership each possible step keeps the majorities of before and after meeting, one by one', () => {
  const subsetsOf = (members: readonly MemberId[]) =>
    Array.from({ length: 2 ** members.length }, (_, set) => members.filter((_, i) => (set >>> i) % 2 === 1))
  const majoritiesOf = ({ voters }: Membership) =>
    subsetsOf(voters).filter(some => some.length >= majority(voters.length))
  const names = ['a', 'b', 'c', 'd', 'e'].map(memberId)
  // All ways to give five members a role each: voter, learner, removed or none.
  for (let code = 0; code < 4 ** names.length; code++) {
    const roleOf = (i: number) => Math.floor(code / 4 ** i) % 4
    const having = (role: number) => names.filter((_, i) => roleOf(i) === role)
    const before: Membership = { voters: having(0), learners: having(1), removed: having(2) }
    if (before.voters.length === 0) continue
    const mine = majoritiesOf(before)
    for (const member of names) {
      for (const kind of ['addLearner', 'promote', 'demote', 'remove'] as const) {
        const result = change(before, { kind, member })
        if (result.kind === 'refused') continue
        for (const theirs of majoritiesOf(result.membership)) {
          const isMet = mine.every(some => some.some(id => theirs.includes(id)))
          if (!isMet) throw new Error(`${kind} ${member} of ${JSON.stringify(before)} parts the majorities`)
        }
      }
    }
  }
})

test('a refusal says why', () => {
  const now: Membership = { voters: [memberId('a')], learners: [memberId('b')], removed: [memberId('c')] }
  const why = (kind: MembershipStep['kind'], id: string) => {
    const result = change(now, { kind, member: memberId(id) })
    return result.kind === 'refused' ? result.why : 'changed'
  }
  expect(why('remove', 'a')).toBe('last-voter')
  expect(why('demote', 'a')).toBe('last-voter')
  expect(why('addLearner', 'a')).toBe('already-member')
  expect(why('addLearner', 'b')).toBe('already-member')
  expect(why('addLearner', 'c')).toBe('removed')
  expect(why('promote', 'd')).toBe('unknown-member')
  expect(why('promote', 'a')).toBe('already-member')
  expect(why('demote', 'b')).toBe('already-member')
  expect(why('promote', 'b')).toBe('changed')
})

test('the membership in effect is always that of the last entry in the log, through appends, truncation, compaction', () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), change: fc.option(oneStep, { nil: undefined }) }),
    fc.record({ kind: fc.constant('truncate' as const), at: fc.nat(30) }),
    fc.record({ kind: fc.constant('compact' as const), at: fc.nat(30) }),
  )
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), actions => {
      const history = createHistory({ index: 0, membership: founded }, [])
      let twin: Membership[] = []
      let base = 0
      for (const one of actions) {
        const now = twin.at(-1) ?? founded
        if (one.kind === 'append') {
          const index = twin.length + 1
          const result = one.change === undefined ? undefined : change(now, one.change)
          const next = result?.kind === 'changed' ? result.membership : now
          const entry: Entry =
            result?.kind === 'changed'
              ? { index, term: 1, kind: 'membership', membership: next, context: new Uint8Array(0) }
              : { index, term: 1, kind: 'empty' }
          noteEntry(history, entry)
          twin.push(next)
        } else if (one.kind === 'truncate' && one.at > base && one.at <= twin.length) {
          rollBack(history, one.at)
          twin = twin.slice(0, one.at - 1)
        } else if (one.kind === 'compact' && one.at <= twin.length) {
          compactHistory(history, one.at)
          base = Math.max(base, one.at)
        }
        expect(inEffect(history)).toEqual(twin.at(-1) ?? founded)
        for (let index = base; index <= twin.length; index++) {
          expect(membershipAt(history, index)).toEqual(index === 0 ? founded : twin[index - 1])
        }
      }
    }),
  )
})

test('a member that knows nothing yet has nobody to count', () => {
  expect(inEffect(createHistory({ index: 0, membership: emptyMembership }, [])).voters).toEqual([])
})
