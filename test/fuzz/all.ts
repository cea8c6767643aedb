// The list of targets, and a run of all of them with the canaries.
import { canaries } from './canary.ts'
import { type Finding, fuzz, type Target } from './fuzz.ts'
import { kvTargets } from './kv-targets.ts'
import { storeTargets } from './store-targets.ts'

export const targets: readonly Target[] = [...storeTargets, ...kvTargets]

/** Everything for so many seconds in all. `failures` is empty when all is well. */
export function fuzzAll(chosen: readonly Target[], seconds: number, firstSeed: number) {
  const share = (seconds * 0.9) / chosen.length
  const reports = chosen.map(target => fuzz(target, share, firstSeed))
  const failures = reports.flatMap(report => report.findings.map(describe))
  const caught = canaries.map(canary => fuzz(canary, Math.max(2, (seconds * 0.1) / canaries.length), firstSeed))
  for (const { target, findings, runs } of caught) {
    const isCaught = findings.some(finding => finding.what !== 'blind')
    if (!isCaught)
      failures.push(`${target}: the bug that was put in was not found in ${runs} runs: this fuzzer is blind`)
  }
  return { reports, caught, failures }
}

export const describe = ({ target, seed, what, words }: Finding): string =>
  what === 'blind'
    ? `${target}: ${words}`
    : `${target} ${what}: ${words}\n  again: npm run fuzz -- --target ${target} --seed ${seed}`
