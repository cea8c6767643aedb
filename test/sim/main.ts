// `npm run sim`: runs seeds of both simulations on all cores, replays one and says what happened in it, or puts in bugs to
// see that they are found.
import { parseArgs } from 'node:util'
import { huntBugs } from './hunt.ts'
import { createPool } from './pool.ts'
import { replaySeed, runSeeds, type Where } from './runs.ts'

const help = `Simulates whole clusters with every fault there is, each from a seed, in two ways: the consensus core alone on a model
of disk and network (harsher, and fast), and the whole store on simulated disks, networks and clocks.

  npm run sim -- --seeds 1000             runs seeds 1 to 1000 of both; exit code 1 when one fails
  npm run sim -- --seeds 200 --from 5000  runs seeds 5000 to 5199
  npm run sim -- --seed 27 --store        replays one, with its counts and the end of its trace
  npm run sim -- --seed 27 --store --trace  prints every event of it
  npm run sim -- --bugs                   puts in each seeded bug and runs seeds until it is caught; exit code 1 when one is not
  npm run sim -- --bugs --only lease      only those whose name contains this

Options:
  --core, --store  only one of the two
  --core-ms N      virtual milliseconds in which things break in the core (default 150000)
  --store-ms N     and in the store (default 30000)
  --jobs N         processes (default: as many as there are cores)
  --twice N        of so many seeds, one runs twice and must do the same again (default 10)
  --lines N        lines of trace to print after a failure or a replay (default 40)

A failure prints its seed; the same seed on the same commit does the same again, event for event.`

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    bugs: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    core: { type: 'boolean', default: false },
    store: { type: 'boolean', default: false },
    'core-ms': { type: 'string', default: '150000' },
    'store-ms': { type: 'string', default: '30000' },
    jobs: { type: 'string' },
    twice: { type: 'string', default: '10' },
    lines: { type: 'string', default: '40' },
    trace: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

function natural(text: string, name: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 0) return number
  console.error(`--${name} must be a whole number, not ${text}`)
  process.exit(2)
}

const wheres: readonly Where[] = values.core === values.store ? ['core', 'store'] : values.core ? ['core'] : ['store']
const safetyMs = { core: natural(values['core-ms'], 'core-ms'), store: natural(values['store-ms'], 'store-ms') }
const lineCount = natural(values.lines, 'lines')

async function main(): Promise<boolean> {
  if (values.seed !== undefined) {
    const seed = natural(values.seed, 'seed')
    return await replaySeed(seed, { wheres, safetyMs, lineCount, isTraced: values.trace })
  }
  const pool = createPool(values.jobs === undefined ? undefined : natural(values.jobs, 'jobs'))
  try {
    if (values.bugs) return await huntBugs(pool, { safetyMs, wheres, only: values.only })
    const from = natural(values.from, 'from')
    const count = natural(values.seeds ?? '1', 'seeds')
    return await runSeeds(pool, { from, count, wheres, safetyMs, lineCount, twiceOf: natural(values.twice, 'twice') })
  } finally {
    pool.close()
  }
}

if (values.help || (values.seed === undefined && values.seeds === undefined && !values.bugs)) {
  console.log(help)
  process.exit(values.help ? 0 : 2)
}
process.exitCode = (await main()) ? 0 : 1
