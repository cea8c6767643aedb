// Many seeds at once, and what they came to; or one seed again, event by event.
import { runCore } from './core.ts'
import { addCounts, type Counts, isDull, type Outcome } from './outcome.ts'
import type { Pool } from './pool.ts'
import { simulate } from './simulate.ts'
import type { Question } from './worker.ts'

export type Where = Question['where']

type Total = {
  seeds: number
  events: number
  simulatedMs: number
  dull: number
  withChange: number
  counts: Record<string, number>
}

const hours = (ms: number) => (ms / 3_600_000).toFixed(1)
const share = (part: number, whole: number) => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`
const countsOf = (counts: Counts) =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

export type RunOptions = {
  readonly from: number
  readonly count: number
  readonly wheres: readonly Where[]
  readonly safetyMs: Readonly<Record<Where, number>>
  readonly lineCount: number
  /** Of so many seeds, one runs twice. */
  readonly twiceOf: number
}

/** True when none failed. */
export async function runSeeds(pool: Pool, options: RunOptions): Promise<boolean> {
  const { from, count, wheres, safetyMs, lineCount, twiceOf } = options
  const startMs = performance.now()
  const totals = new Map<Where, Total>()
  const bites: Record<string, number> = {}
  const failed: string[] = []
  let done = 0
  let twiceCount = 0

  async function run(seed: number, where: Where): Promise<void> {
    const twice = twiceOf > 0 && seed % twiceOf === 0
    const outcome = await pool.ask({ seed, where, safetyMs: safetyMs[where], twice })
    done++
    if (twice) twiceCount++
    addTo(totals, where, outcome)
    addCounts(bites, outcome.bites)
    if (outcome.failure !== undefined) {
      failed.push(`--${where} --seed ${seed}`)
      show(outcome, where, lineCount)
    }
    if (done % 200 === 0) console.log(`${done} of ${count * wheres.length} runs, ${failed.length} failed`)
  }

  const questions = Array.from({ length: count }, (_, i) => wheres.map(where => ({ seed: from + i, where }))).flat()
  await Promise.all(questions.map(({ seed, where }) => run(seed, where)))

  const seconds = (performance.now() - startMs) / 1000
  report(totals, bites, seconds)
  console.log(`\n${twiceCount} of ${done} runs were made twice and did the same again, or are listed below`)
  console.log(`${count} seeds, ${failed.length} failures`)
  for (const one of failed) console.log(`FAILED, replay with: npm run sim -- ${one}`)
  return failed.length === 0
}

function addTo(totals: Map<Where, Total>, where: Where, outcome: Outcome): void {
  const total = totals.get(where) ?? { seeds: 0, events: 0, simulatedMs: 0, dull: 0, withChange: 0, counts: {} }
  totals.set(where, total)
  const { counts } = outcome
  total.seeds++
  total.events += outcome.events
  total.simulatedMs += outcome.simulatedMs
  if (isDull(outcome)) total.dull++
  if (['memberships', 'promoted', 'removed', 'demoted'].some(name => (counts[name] ?? 0) > 0)) total.withChange++
  addCounts(total.counts, counts)
}

function report(totals: ReadonlyMap<Where, Total>, bites: Counts, seconds: number): void {
  let events = 0
  let simulatedMs = 0
  for (const [where, total] of totals) {
    events += total.events
    simulatedMs += total.simulatedMs
    console.log(`\n${where}: ${total.events} events in ${hours(total.simulatedMs)} simulated hours`)
    console.log(`  ${countsOf(total.counts)}`)
    const changed = share(total.withChange, total.seeds)
    console.log(`  ${changed} of the seeds changed the membership, ${share(total.dull, total.seeds)} were dull`)
  }
  console.log('\nfaults that bit, by kind:')
  for (const [kind, count] of Object.entries(bites).sort(([, a], [, b]) => b - a)) {
    console.log(`  ${String(count).padStart(10)}  ${kind}`)
  }
  const speed = Math.round(simulatedMs / 1000 / seconds)
  console.log(
    `\n${events} events, ${hours(simulatedMs)} simulated hours in ${seconds.toFixed(0)} s: ${speed} times real time`,
  )
}

function show(outcome: Outcome, where: Where, lineCount: number): void {
  if (lineCount > 0) console.log(`\n${outcome.trace.slice(-lineCount).join('\n')}`)
  console.log(`\n${where} seed ${outcome.seed} failed: ${outcome.failure?.what}\n`)
}

export type ReplayOptions = Pick<RunOptions, 'wheres' | 'safetyMs' | 'lineCount'> & { readonly isTraced: boolean }

/** In this process, so that a debugger or a profiler sees it. */
export async function replaySeed(seed: number, options: ReplayOptions): Promise<boolean> {
  let isGood = true
  for (const where of options.wheres) {
    const one = { safetyMs: options.safetyMs[where], ...(options.isTraced && { print: console.log }) }
    const outcome = where === 'core' ? runCore(seed, one) : await simulate(seed, one)
    const { digest, counts, bites, failure } = outcome
    if (!options.isTraced && options.lineCount > 0) console.log(outcome.trace.slice(-options.lineCount).join('\n'))
    console.log(`\n${where} seed ${seed} ${failure === undefined ? 'ok' : 'FAILED'} ${digest} ${countsOf(counts)}`)
    console.log(`bit: ${countsOf(Object.fromEntries(Object.entries(bites).filter(([, count]) => count > 0)))}`)
    if (failure !== undefined) console.log(failure.what)
    isGood &&= failure === undefined
  }
  return isGood
}
