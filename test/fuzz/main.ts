// `npm run fuzz -- --seconds 60`: all targets, each for its part of the time, and the canaries, which must be found.
// `--target log` is one of them; `--target log --seed 123` one input of it, in full.
import { parseArgs } from 'node:util'
import { prng } from '../../src/lib/prng.ts'
import { describe, fuzzAll, targets } from './all.ts'
import { canaries } from './canary.ts'
import { type Report, runOnce, type Target } from './fuzz.ts'

function print({ target, runs, perSecond, slowestMs, largestBytes, shares }: Report): void {
  const megabytes = (largestBytes / 2 ** 20).toFixed(1)
  console.log(
    `${target}: ${runs} runs, ${perSecond}/s, slowest ${slowestMs.toFixed(1)} ms, most memory ${megabytes} MiB`,
  )
  const cells = [...shares].map(([feature, share]) => `${feature} ${(share * 100).toFixed(1)} %`)
  console.log(`  ${cells.join(', ')}`)
}

function printOne(target: Target, seed: number): boolean {
  const input = target.make(prng(seed))
  console.log(`${target.name}, seed ${seed}: ${[...input.features].join(', ')}`)
  for (const piece of input.pieces) console.log(`  ${piece.length} bytes: ${Buffer.from(piece).toString('hex')}`)
  const { finding, ms, features } = runOnce(target, seed)
  console.log(finding === undefined ? `  ${[...features].at(-1)}, ${ms.toFixed(2)} ms` : `  ${describe(finding)}`)
  return finding === undefined
}

function main(): boolean {
  const { values } = parseArgs({
    options: { seconds: { type: 'string', default: '60' }, target: { type: 'string' }, seed: { type: 'string' } },
  })
  const seconds = Number(values.seconds)
  if (!(seconds > 0)) throw new Error('--seconds is a positive number')
  const known = [...targets, ...canaries]
  const chosen = values.target === undefined ? targets : known.filter(target => target.name === values.target)
  if (chosen.length === 0) throw new Error(`--target is one of ${known.map(target => target.name).join(', ')}`)
  const [only] = chosen
  if (values.seed !== undefined) {
    if (only === undefined || values.target === undefined) throw new Error('--seed goes with --target')
    return printOne(only, Number(values.seed))
  }
  const firstSeed = Math.floor(Math.random() * 2 ** 31)
  const { reports, caught, failures } = fuzzAll(chosen, seconds, firstSeed)
  for (const report of reports) print(report)
  for (const { target, findings, runs } of caught) {
    console.log(`${target}: ${findings[0]?.what ?? 'not found'} after ${runs} runs, as it should`)
  }
  for (const failure of failures) console.error(`FAILED ${failure}`)
  const runs = reports.reduce((sum, report) => sum + report.runs, 0)
  console.log(JSON.stringify({ fuzz: chosen.map(({ name }) => name), seconds, runs, failures: failures.length }))
  return failures.length === 0
}

process.exitCode = main() ? 0 : 1
