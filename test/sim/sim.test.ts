// A few seeds of everything, small enough for each change; `npm run sim -- --seeds 200` is the real thing.
import { expect, test } from 'vitest'
import { runCore } from './core.ts'
import { coreMutations, votesForOldLogsWorld } from './mutations.ts'
import { type Outcome, type SimulateOptions, simulate } from './simulate.ts'

const seeds = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

test('the core keeps its promises on a broken disk and network, and one seed does one thing', () => {
  for (const seed of seeds(25)) {
    const first = runCore(seed, { safetyMs: 15_000 })
    expect(first.failure, `seed ${seed}`).toBeUndefined()
    expect(runCore(seed, { safetyMs: 15_000 }).digest, `seed ${seed}`).toBe(first.digest)
  }
}, 120_000)

test('the whole store keeps its promises, and one seed does one thing', async () => {
  for (const seed of seeds(10)) {
    const first = await simulate(seed, { safetyMs: 8_000 })
    expect(first.failure, `seed ${seed}`).toBeUndefined()
    expect((await simulate(seed, { safetyMs: 8_000 })).digest, `seed ${seed}`).toBe(first.digest)
  }
}, 240_000)

for (const [name, faults] of Object.entries(coreMutations)) {
  test(`found in the core: ${name}`, () => {
    const found = seeds(60).find(seed => runCore(seed, { faults, withoutPromises: true }).failure !== undefined)
    expect(found).toBeDefined()
  }, 120_000)
}

/** The first seed that sees the bug. */
async function firstFailure(count: number, options: SimulateOptions): Promise<Outcome | undefined> {
  for (const seed of seeds(count)) {
    const outcome = await simulate(seed, options)
    if (outcome.failure !== undefined) return outcome
  }
  return undefined
}

test('found in the store: votes for candidates with an older log', async () => {
  expect((await firstFailure(40, { wrap: votesForOldLogsWorld }))?.failure).toContain('SafetyError')
}, 240_000)

test('found in the store: answers that leave before the disk has what they promise', async () => {
  expect((await firstFailure(10, { syncLies: true }))?.failure).toBeDefined()
}, 120_000)
