import fc from 'fast-check'
import { expect, test } from 'vitest'
import { agreed, majority, tally } from '../../src/raft/quorum.ts'
import { memberId } from '../../src/raft/types.ts'

const voters = (count: number) => Array.from({ length: count }, (_, i) => memberId(`m${i}`))

test('two majorities of one membership, or of two that differ by one voter, always meet', () => {
  for (let count = 1; count < 50; count++) {
    expect(2 * majority(count)).toBeGreaterThan(count)
    // All voters of the larger: a majority of each cannot fit in without sharing one.
    expect(majority(count) + majority(count + 1)).toBeGreaterThan(count + 1)
  }
})

test('what is agreed is the largest value that a majority has reached', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 9 }), values => {
      const members = voters(values.length)
      const found = agreed(members, member => values[members.indexOf(member)] ?? 0)
      const reached = (value: number) => values.filter(one => one >= value).length
      expect(reached(found)).toBeGreaterThanOrEqual(majority(values.length))
      expect(reached(found + 1)).toBeLessThan(majority(values.length))
    }),
  )
})

test('nothing is agreed and nobody is elected without voters', () => {
  expect(agreed([], () => 7)).toBe(Number.NEGATIVE_INFINITY)
  expect(tally([], new Map([[memberId('a'), true]]))).not.toBe('won')
})

test('an election is won by a majority of the voters, lost when none is possible, and others do not count', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(true, false, undefined), { minLength: 1, maxLength: 9 }),
      fc.array(fc.boolean(), { maxLength: 5 }),
      (answers, strangers) => {
        const members = voters(answers.length)
        const votes = new Map(strangers.map((answer, i) => [memberId(`stranger${i}`), answer]))
        answers.forEach((answer, i) => {
          const member = members[i]
          if (answer !== undefined && member !== undefined) votes.set(member, answer)
        })
        const yes = answers.filter(answer => answer === true).length
        const no = answers.filter(answer => answer === false).length
        const need = Math.floor(answers.length / 2) + 1
        expect(tally(members, votes)).toBe(yes >= need ? 'won' : answers.length - no < need ? 'lost' : 'open')
      },
    ),
  )
})
