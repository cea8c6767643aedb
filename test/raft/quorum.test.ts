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

test('any two majorities of up to seven voters share one, also across the coming or going of one voter', () => {
  for (let count = 1; count <= 7; count++) {
    for (let one = 0; one < 2 ** count; one++) {
      if (sizeOf(one) < majority(count)) continue
      // Of the same voters, and of these and one more, whose place is the bit after theirs.
      for (let other = 0; other < 2 ** (count + 1); other++) {
        const isMajority =
          sizeOf(other) >= majority(count + 1) || (other < 2 ** count && sizeOf(other) >= majority(count))
        if (isMajority && (one & other) === 0) throw new Error(`${one} and ${other} of ${count} voters share nobody`)
      }
    }
  }
})

const sizeOf = (set: number): number => (set === 0 ? 0 : (set & 1) + sizeOf(set >>> 1))

test('what is agreed is what brute force over all majorities finds', () => {
  for (let count = 1; count <= 5; count++) {
    const members = voters(count)
    for (let code = 0; code < 4 ** count; code++) {
      const digit = (i: number) => Math.floor(code / 4 ** i) % 4
      let best = Number.NEGATIVE_INFINITY
      for (let set = 0; set < 2 ** count; set++) {
        if (sizeOf(set) < majority(count)) continue
        const values = members.map((_, i) => digit(i)).filter((_, i) => (set >>> i) % 2 === 1)
        best = Math.max(best, Math.min(...values))
      }
      expect(agreed(members, member => digit(members.indexOf(member)))).toBe(best)
    }
  }
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
