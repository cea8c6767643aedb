// Whether the time of a function tells apart two kinds of inputs: Welch's t-test, as dudect uses it (Reparaz, Balasch and
// Verbauwhede, "Dude, is my code constant time?", 2017). Both kinds come in turn by chance, so whatever else the machine does
// meets them alike, and what took longest is left out: there, others had the processor.

import { randomBytes } from 'node:crypto'

export type Samples = { readonly ns: Float64Array; readonly kinds: Uint8Array }

/**
 * `prepare` makes the input of a kind, in the same memory or in new memory for both alike, and without a branch: where an
 * input lies, and what the processor has just guessed, have an effect on the time, too.
 */
export function measure<T>(prepare: (kind: 0 | 1) => T, count: number, act: (input: T) => unknown): Samples {
  const ns = new Float64Array(count)
  const kinds = new Uint8Array(count)
  let kept = 0
  // Drawn before, and without a branch: what the processor has guessed of one would go on into what is measured.
  for (const [i, byte] of randomBytes(count).entries()) kinds[i] = byte & 1
  // The first ones find nothing compiled.
  for (let i = -10_000; i < count; i++) {
    const input = prepare(kinds[Math.abs(i)] as 0 | 1)
    const begun = process.hrtime.bigint()
    const result = act(input)
    const tookNs = Number(process.hrtime.bigint() - begun)
    if (result) kept += 1
    if (i >= 0) ns[i] = tookNs
  }
  if (kept === count) throw new Error('no input of either kind is refused')
  return { ns, kinds }
}

/** Absolute t of those that are not above the given part of all, both kinds together. */
export function welch({ ns, kinds }: Samples, part: number): number {
  const bound = ns.toSorted()[Math.floor((ns.length - 1) * part)] ?? 0
  const ofKind = (kind: number) => {
    let [count, mean, squares] = [0, 0, 0]
    for (let i = 0; i < ns.length; i++) {
      const value = ns[i] ?? 0
      if (kinds[i] !== kind || value > bound) continue
      count += 1
      const off = value - mean
      mean += off / count
      squares += off * (value - mean)
    }
    return { mean, spread: squares / Math.max(1, count - 1) / Math.max(1, count) }
  }
  const [a, b] = [ofKind(0), ofKind(1)]
  const error = Math.sqrt(a.spread + b.spread)
  return error === 0 ? 0 : Math.abs(a.mean - b.mean) / error
}
