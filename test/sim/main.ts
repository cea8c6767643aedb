// `npm run sim`: runs seeds of the whole store in the simulator, or replays one and says what happened in it.
import { parseArgs } from 'node:util'
import { runCore } from './core.ts'
import { type Outcome, type SimulateOptions, simulate } from './simulate.ts'

const help = `Simulates whole clusters with every fault there is, each from a seed.

  npm run sim -- --seeds 200             runs seeds 1 to 200; exit code 1 when one fails
  npm run sim -- --seeds 200 --from 1000 runs seeds 1000 to 1199
  npm run sim -- --seed 27               replays one, with its counts and the end of its trace
  npm run sim -- --seed 27 --trace       prints every event of it

Options:
  --core          the consensus core alone, on a model of disk and network: harsher, and ten times as many seeds in a time
  --safety-ms N   virtual milliseconds in which things break (default 25000)
  --lines N       lines of trace to print after a failure or a replay (default 40)

A failure prints its seed; the same seed on the same commit does the same again, event for event.`

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    'safety-ms': { type: 'string', default: '25000' },
    lines: { type: 'string', default: '40' },
    trace: { type: 'boolean', default: false },
    core: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

function natural(text: string, name: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  console.error(`--${name} must be a whole number, not ${text}`)
  process.exit(2)
}

async function runSeed(seed: number, options: SimulateOptions): Promise<Outcome> {
  return values.core ? { ...runCore(seed, options), simulatedMs: options.safetyMs ?? 0 } : await simulate(seed, options)
}

const line = (outcome: Outcome) =>
  `seed ${outcome.seed} ${outcome.failure === undefined ? 'ok' : 'FAILED'} ${outcome.digest} ${countsOf(outcome.counts)}`
const countsOf = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

function show(outcome: Outcome, lineCount: number): void {
  if (lineCount > 0) console.log(outcome.trace.slice(-lineCount).join('\n'))
  if (outcome.failure !== undefined) console.log(`\nseed ${outcome.seed} failed: ${outcome.failure}`)
}

async function replayOne(seed: number, safetyMs: number, lineCount: number, isTraced: boolean): Promise<number> {
  const outcome = await runSeed(seed, isTraced ? { safetyMs, print: console.log } : { safetyMs })
  console.log(line(outcome))
  show(outcome, isTraced ? 0 : lineCount)
  return outcome.failure === undefined ? 0 : 1
}

async function runMany(from: number, count: number, safetyMs: number, lineCount: number): Promise<number> {
  const startMs = performance.now()
  const total: Record<string, number> = {}
  const failed: number[] = []
  let simulatedMs = 0
  let withChange = 0
  for (let seed = from; seed < from + count; seed++) {
    const outcome = await runSeed(seed, { safetyMs })
    console.log(line(outcome))
    simulatedMs += outcome.simulatedMs
    for (const [name, more] of Object.entries(outcome.counts)) total[name] = (total[name] ?? 0) + more
    if ((outcome.counts['promoted'] ?? 0) + (outcome.counts['removed'] ?? 0) + (outcome.counts['memberships'] ?? 0) > 0)
      withChange++
    if (outcome.failure === undefined) continue
    failed.push(seed)
    show(outcome, lineCount)
  }
  const seconds = (performance.now() - startMs) / 1000
  const speed = Math.round(simulatedMs / 1000 / seconds)
  console.log(`\n${count} seeds in ${seconds.toFixed(1)} s, ${speed} times as fast as time; total ${countsOf(total)}`)
  console.log(`${Math.round((100 * withChange) / count)} % of the seeds changed the membership`)
  if (failed.length > 0) console.log(`FAILED: ${failed.join(' ')}; replay one with: npm run sim -- --seed ${failed[0]}`)
  return failed.length === 0 ? 0 : 1
}

if (values.help || (values.seed === undefined && values.seeds === undefined)) {
  console.log(help)
  process.exit(values.help ? 0 : 2)
}
const safetyMs = natural(values['safety-ms'], 'safety-ms')
const lineCount = natural(values.lines, 'lines')
process.exitCode =
  values.seed === undefined
    ? await runMany(natural(values.from, 'from'), natural(values.seeds ?? '1', 'seeds'), safetyMs, lineCount)
    : await replayOne(natural(values.seed, 'seed'), safetyMs, lineCount, values.trace)
