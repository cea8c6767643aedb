// A process that runs seeds for main.ts: each question is a seed of one simulation, with or without a bug.
import { bugs } from './bugs.ts'
import { runCore } from './core.ts'
import type { Outcome } from './outcome.ts'
import { simulate } from './simulate.ts'

export type Question = {
  readonly seed: number
  readonly where: 'core' | 'store'
  readonly safetyMs: number
  /** By name. */
  readonly bug?: string
  /** Runs it a second time and compares the digests. */
  readonly twice?: boolean
}

export async function answer({ seed, where, safetyMs, bug, twice }: Question): Promise<Outcome> {
  const found = bug === undefined ? undefined : bugs.find(one => one.name === bug)
  if (bug !== undefined && found?.where !== where) throw new Error(`there is no bug “${bug}” in the ${where}`)
  const run = async () => {
    if (where === 'core') return runCore(seed, { safetyMs, ...(found?.where === 'core' && { faults: found.core }) })
    return await simulate(seed, { safetyMs, ...(found?.where === 'store' && { bugs: found.store }) })
  }
  const outcome = await run()
  if (twice !== true || outcome.failure !== undefined) return outcome
  const { digest } = await run()
  if (digest === outcome.digest) return outcome
  const what = `the second run of the seed was another one: ${digest} after ${outcome.digest}`
  return { ...outcome, failure: { by: 'one seed does one thing', what } }
}

if (process.send !== undefined) {
  process.on('message', (question: Question) => {
    answer(question).then(
      outcome => process.send?.(outcome),
      error => {
        console.error(error)
        process.exit(1)
      },
    )
  })
}
