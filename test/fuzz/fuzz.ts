// The engine: makes an input from a seed, gives it to a target, and watches for what must never happen: an exception that
// the target does not declare, a call that hangs, memory that has nothing to do with the size of the input. It also counts
// what the inputs were like: a fuzzer whose inputs are all of one kind finds nothing and says so of nothing.
import { getHeapStatistics } from 'node:v8'
import { type Prng, prng } from '../../src/lib/prng.ts'

export type Input = {
  /** One piece, or several that come one after the other. */
  readonly pieces: readonly Uint8Array[]
  /** What is special about it, each one of the target's `features`. */
  readonly features: ReadonlySet<string>
}

export type Target = {
  readonly name: string
  /** Each of them must be seen in at least 1 % of the runs; what `run` gives back counts too. */
  readonly features: readonly string[]
  /** The same seed makes the same input. */
  make(random: Prng): Input
  /** Gives what became of it, one of `features`. Throws when something is wrong. */
  run(input: Input): string
}

export const hangMs = 100
export const featureShareMin = 0.01
/** What one call may allocate: so much, and so many times the input's size. */
const allocatedBytesMax = 8 * 1024 * 1024
const allocatedTimesMax = 64

export type Finding = {
  readonly target: string
  readonly seed: number
  readonly what: 'threw' | 'hung' | 'allocated' | 'blind'
  readonly words: string
}

export type Report = {
  readonly target: string
  readonly runs: number
  readonly perSecond: number
  readonly slowestMs: number
  readonly largestBytes: number
  readonly shares: ReadonlyMap<string, number>
  readonly findings: readonly Finding[]
}

/** Until the time or the runs are over, or the first finding. Seeds count up from `firstSeed`. */
export function fuzz(target: Target, seconds: number, firstSeed: number, runsMax = Number.POSITIVE_INFINITY): Report {
  const counts = new Map<string, number>(target.features.map(feature => [feature, 0]))
  const findings: Finding[] = []
  const began = performance.now()
  let runs = 0
  let slowestMs = 0
  let largestBytes = 0
  while (findings.length === 0 && runs < runsMax && performance.now() - began < seconds * 1_000) {
    for (let i = 0; i < 64 && findings.length === 0; i++) {
      const seed = firstSeed + runs
      const one = runOnce(target, seed)
      runs += 1
      slowestMs = Math.max(slowestMs, one.ms)
      largestBytes = Math.max(largestBytes, one.bytes)
      for (const feature of one.features) counts.set(feature, (counts.get(feature) ?? 0) + 1)
      if (one.finding !== undefined) findings.push(one.finding)
    }
  }
  const shares = new Map([...counts].map(([feature, count]) => [feature, count / Math.max(1, runs)]))
  if (findings.length === 0) findings.push(...blindSpots(target, runs, shares))
  const perSecond = Math.round((runs * 1_000) / (performance.now() - began))
  return { target: target.name, runs, perSecond, slowestMs, largestBytes, shares, findings }
}

/** Too few runs say nothing of shares. */
const runsMin = 2_000

function blindSpots(target: Target, runs: number, shares: ReadonlyMap<string, number>): Finding[] {
  if (runs < runsMin) return []
  const rare = [...shares].filter(([, share]) => share < featureShareMin).map(([feature]) => feature)
  const unknown = [...shares.keys()].filter(feature => !target.features.includes(feature))
  const words = [
    ...(rare.length > 0 ? [`in less than 1 % of ${runs} runs: ${rare.join(', ')}`] : []),
    ...(unknown.length > 0 ? [`not declared: ${unknown.join(', ')}`] : []),
  ]
  return words.length === 0 ? [] : [{ target: target.name, seed: 0, what: 'blind', words: words.join('; ') }]
}

type Once = {
  readonly features: ReadonlySet<string>
  readonly ms: number
  readonly bytes: number
  readonly finding: Finding | undefined
}

export function runOnce(target: Target, seed: number): Once {
  const input = target.make(prng(seed))
  const features = new Set(input.features)
  let first = call(target, input)
  // A machine that does something else looks like a hang; an input that hangs does so again.
  for (let again = 0; again < 2 && first.ms > hangMs; again++) {
    const next = call(target, input)
    if (next.ms < first.ms) first = next
  }
  const { ms, bytes, outcome, error } = first
  if (outcome !== undefined) features.add(outcome)
  const size = input.pieces.reduce((sum, piece) => sum + piece.length, 0)
  const found = (what: Finding['what'], words: string): Once => {
    return { features, ms, bytes, finding: { target: target.name, seed, what, words } }
  }
  if (error !== undefined)
    return found('threw', error instanceof Error ? (error.stack ?? error.message) : String(error))
  if (ms > hangMs) return found('hung', `${ms.toFixed(0)} ms for ${size} bytes`)
  if (bytes > allocatedBytesMax + allocatedTimesMax * size) return found('allocated', `${bytes} bytes for ${size}`)
  return { features, ms, bytes, finding: undefined }
}

function call(target: Target, input: Input) {
  const before = allocated()
  const began = performance.now()
  let outcome: string | undefined
  let error: unknown
  try {
    outcome = target.run(input)
  } catch (thrown) {
    error = thrown ?? new Error('threw nothing')
  }
  const ms = performance.now() - began
  return { ms, bytes: Math.max(0, allocated() - before), outcome, error }
}

/** A collection in between makes it look like less; many runs make up for that. */
function allocated(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}
