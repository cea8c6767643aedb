// Proves that the simulator sees what it looks for: each seeded bug is put in, and seeds run until one fails that does not
// fail without it. A bug that no seed finds is a hole in the simulator.
import { type Bug, bugs } from './bugs.ts'
import type { Pool } from './pool.ts'
import type { RunOptions } from './runs.ts'

const seedCountMax = 1_000

type Catch = { readonly bug: Bug; readonly seed: number | undefined; readonly by: string }

/** True when all are caught. */
export async function huntBugs(
  pool: Pool,
  { safetyMs, wheres, only }: Pick<RunOptions, 'safetyMs' | 'wheres'> & { readonly only: string },
): Promise<boolean> {
  const wanted = bugs.filter(bug => bug.name.includes(only) && wheres.includes(bug.where))
  const startMs = performance.now()
  const width = Math.max(4, ...wanted.map(bug => bug.name.length))
  console.log(`${'bug'.padEnd(width)}  where  at seed  by`)

  async function hunt(bug: Bug): Promise<Catch> {
    const { name, where } = bug
    // Bugs show early, and a shorter run is a cheaper one.
    const question = { where, safetyMs: Math.min(safetyMs[where], 60_000) }
    for (let seed = 1; seed <= seedCountMax; seed++) {
      const { failure } = await pool.ask({ ...question, seed, bug: name })
      if (failure === undefined) continue
      const without = await pool.ask({ ...question, seed })
      if (without.failure === undefined) return { bug, seed, by: failure.by }
      console.log(`${where} seed ${seed} fails without any bug too: ${without.failure.by}`)
    }
    return { bug, seed: undefined, by: '' }
  }

  const caught: Catch[] = []
  const queue = [...wanted]
  async function work(): Promise<void> {
    for (let bug = queue.shift(); bug !== undefined; bug = queue.shift()) {
      const one = await hunt(bug)
      caught.push(one)
      const at = one.seed === undefined ? 'MISSED' : String(one.seed)
      console.log(`${bug.name.padEnd(width)}  ${bug.where.padEnd(5)}  ${at.padStart(7)}  ${one.by}`)
    }
  }
  await Promise.all(Array.from({ length: pool.size }, work))

  const missed = caught.filter(one => one.seed === undefined)
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
  const seeds = caught.map(one => one.seed ?? seedCountMax).sort((a, b) => a - b)
  const median = seeds[Math.floor(seeds.length / 2)] ?? 0
  console.log(
    `\n${caught.length - missed.length} of ${caught.length} bugs caught, median seed ${median}, in ${seconds} s`,
  )
  for (const { bug } of missed) console.log(`MISSED in ${seedCountMax} seeds: ${bug.name}`)
  return missed.length === 0 && caught.length > 0
}
