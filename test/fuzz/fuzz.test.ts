// A second of every fuzzer, and what the engine itself promises. `npm run fuzz` goes on for as long as it is told.
import { expect, test } from 'vitest'
import { prng } from '../../src/lib/prng.ts'
import { fuzzAll, targets } from './all.ts'
import { canaries } from './canary.ts'
import { fuzz, type Target } from './fuzz.ts'
import { inputFeatures, inputs } from './mutate.ts'

test('no decoder throws, hangs, or allocates without bound, and the planted bugs are found', {
  timeout: 120_000,
}, () => {
  const { reports, caught, failures } = fuzzAll(targets, 1, 1)
  expect(failures).toEqual([])
  expect(reports.every(report => report.runs > 0)).toBe(true)
  expect(caught.map(report => report.findings[0]?.what)).toEqual(['threw', 'hung', 'allocated'])
})

test('a seed makes the same input again, and a finding names its seed', () => {
  for (const target of [...targets, ...canaries]) {
    for (let seed = 0; seed < 20; seed++) expect(target.make(prng(seed))).toEqual(target.make(prng(seed)))
  }
  const [throwing] = canaries
  if (throwing === undefined) throw new Error('there is a canary')
  const [finding] = fuzz(throwing, 60, 7).findings
  expect(() => throwing.run(throwing.make(prng(finding?.seed ?? -1)))).toThrow('the planted bug')
})

test('a target that never sees what it says it should is a failure', () => {
  const target: Target = {
    name: 'narrow',
    features: [...inputFeatures, 'of another kind', 'taken'],
    make: random => {
      const { bytes, features } = inputs(random, new Uint8Array(10))
      return { pieces: [bytes], features }
    },
    run: () => 'taken',
  }
  const { findings } = fuzz(target, 60, 1, 3_000)
  expect(findings).toMatchObject([{ what: 'blind', words: expect.stringContaining('of another kind') }])
})
