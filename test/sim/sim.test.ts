// A few seeds of everything, small enough for each change; `npm run sim -- --seeds 1000` is the real thing, and so is
// `npm run sim -- --bugs`, of which the cheap ones are here.
import { expect, test } from 'vitest'
import { bugs } from './bugs.ts'
import { corpus } from './corpus.ts'
import { answer } from './worker.ts'

const seeds = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

test('the core keeps its promises on a broken disk and network, and one seed does one thing', async () => {
  for (const seed of seeds(20)) {
    const { failure } = await answer({ where: 'core', seed, safetyMs: 15_000, twice: true })
    expect(failure?.what, `seed ${seed}`).toBeUndefined()
  }
}, 240_000)

test('the whole store keeps its promises, and one seed does one thing', async () => {
  for (const seed of seeds(8)) {
    const { failure } = await answer({ where: 'store', seed, safetyMs: 8_000, twice: true })
    expect(failure?.what, `seed ${seed}`).toBeUndefined()
  }
}, 240_000)

test('seeds that failed once do not fail again', async () => {
  for (const one of corpus) {
    const { failure } = await answer(one)
    expect(failure?.what, `${one.where} seed ${one.seed}: ${one.why}`).toBeUndefined()
  }
}, 240_000)

/** Found within a few short runs. */
const quickBugs = [
  'send before durable',
  'vote without log check',
  'two votes in one term',
  'read answered before it is applied',
  'watermark ignored',
]

for (const name of quickBugs) {
  test(`found: ${name}`, async () => {
    const bug = bugs.find(one => one.name === name)
    expect(bug).toBeDefined()
    let found: string | undefined
    for (const seed of seeds(60)) {
      if (bug === undefined || found !== undefined) break
      const { failure } = await answer({ where: bug.where, seed, safetyMs: 30_000, bug: name })
      found = failure?.by
    }
    expect(found).toBeDefined()
  }, 240_000)
}
