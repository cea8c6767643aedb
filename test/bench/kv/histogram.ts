// Latencies of a run as counts in buckets that are less than 1 % wide: cheap to fill, small to send between processes,
// and exact to add up.

/** One unit is an eighth of a microsecond. */
const unitsPerMs = 8_000
const subBits = 7
const subCount = 1 << subBits

/** Buckets that are not empty: index, count, index, count … */
export type Counts = readonly number[]

export class Histogram {
  readonly #counts = new Uint32Array(subCount * (33 - subBits))
  count = 0
  maxMs = 0

  /** Latencies past 268 s count as 268 s. */
  record(ms: number): void {
    const units = Math.min(0x7fffffff, Math.max(0, Math.round(ms * unitsPerMs)))
    const at = bucketOf(units)
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.count++
    if (ms > this.maxMs) this.maxMs = ms
  }

  /** The latency, in ms, that `part` (0 to 1) of them did not exceed: the middle of its bucket. NaN of nothing. */
  percentile(part: number): number {
    if (this.count === 0) return Number.NaN
    let left = Math.max(1, Math.ceil(this.count * part))
    for (const [at, count] of this.#counts.entries()) {
      left -= count
      if (left <= 0) return Math.min(this.maxMs, middleOf(at) / unitsPerMs)
    }
    return this.maxMs
  }

  toCounts(): Counts {
    return [...this.#counts.entries()].filter(([, count]) => count > 0).flat()
  }

  add(counts: Counts, maxMs: number): void {
    for (let i = 0; i + 1 < counts.length; i += 2) {
      const [at = 0, count = 0] = [counts[i], counts[i + 1]]
      this.#counts[at] = (this.#counts[at] ?? 0) + count
      this.count += count
    }
    if (maxMs > this.maxMs) this.maxMs = maxMs
  }
}

/** Units below 256 have a bucket each; above, each power of two has 128. */
function bucketOf(units: number): number {
  const shift = Math.max(0, 31 - Math.clz32(units) - subBits)
  return shift * subCount + (units >>> shift)
}

function middleOf(bucket: number): number {
  if (bucket < 2 * subCount) return bucket
  const shift = Math.floor(bucket / subCount) - 1
  return (bucket - shift * subCount + 0.5) * 2 ** shift
}

/** The middle one, or the mean of the two in the middle. NaN of nothing. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const half = Math.floor(sorted.length / 2)
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[half]]
  return (low + high) / 2
}
