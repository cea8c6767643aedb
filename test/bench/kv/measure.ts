// How a cell is measured: both systems in turn, several times, medians and their ratio, and what they cost meanwhile.
import type { Cluster, SelfReport } from './cluster.ts'
import type { Latency, Window } from './generator.ts'
import { median } from './histogram.ts'
import { cpuMicrosOf, loadAverage, machineTimes, memoryOf } from './proc.ts'

/** One measurement of one system. */
export type Sample = Latency & {
  /** Operations, or deliveries, per second. */
  readonly perSecond: number
  readonly errors: number
  readonly errorTexts: readonly string[]
  /** CPU of each member per operation, the one that led first. */
  readonly memberMicros: readonly number[]
  readonly generatorMicros: number
  readonly rssBytes: readonly number[]
  readonly idlePart: number
  readonly stealPart: number
  readonly load: number
  /** The worst of the members, of those that report it. */
  readonly self: SelfReport | undefined
}

export type Cell = {
  readonly name: string
  readonly systems: readonly { readonly system: string; readonly samples: readonly Sample[] }[]
  /** Some system's rates differ by more than a factor of two. */
  readonly noisy: boolean
}

export type Metric = 'perSecond' | 'p50Ms' | 'p90Ms' | 'p99Ms' | 'p999Ms' | 'maxMs' | 'generatorMicros'

/** Measures the clusters in turn, `repetitions` times; a noisy cell once more. `report` is shown what came of each. */
export async function measureCell(
  name: string,
  clusters: readonly Cluster[],
  repetitions: number,
  measure: (cluster: Cluster, repetition: number) => Promise<Sample>,
  report: (cell: Cell) => void,
): Promise<Cell> {
  for (let attempt = 0; ; attempt++) {
    const systems = clusters.map(cluster => ({ system: cluster.name, samples: [] as Sample[] }))
    for (let repetition = 0; repetition < repetitions; repetition++) {
      for (const [i, cluster] of clusters.entries()) {
        systems[i]?.samples.push(await measure(cluster, attempt * repetitions + repetition))
      }
    }
    const cell = { name, systems, noisy: systems.some(({ samples }) => spreadOf(samples, 'perSecond') > 2) }
    report(cell)
    if (!cell.noisy || attempt > 0) return cell
  }
}

export const medianOf = (samples: readonly Sample[], metric: Metric): number =>
  median(samples.map(sample => sample[metric]))

const spreadOf = (samples: readonly Sample[], metric: Metric) => {
  const numbers = samples.map(sample => sample[metric])
  return Math.max(...numbers) / Math.min(...numbers)
}

/** Median of the second system over median of the first; null when there is only one. */
export function ratioOf(cell: Cell, metric: Metric): number | null {
  const [reference, ours] = cell.systems
  if (reference === undefined || ours === undefined) return null
  const ratio = medianOf(ours.samples, metric) / medianOf(reference.samples, metric)
  return Number.isFinite(ratio) ? ratio : null
}

/** Smallest and largest ratio of two measurements that followed one another. */
export function pairRatiosOf(cell: Cell, metric: Metric): readonly [least: number, most: number] {
  const [reference, ours] = cell.systems
  const ratios = (ours?.samples ?? []).map(
    (sample, i) => sample[metric] / (reference?.samples[i]?.[metric] ?? Number.NaN),
  )
  return [Math.min(...ratios), Math.max(...ratios)]
}

/** What the members and the machine did between `begin` and `end`. */
export class Watch implements Window {
  readonly #cluster: Cluster
  readonly #first: number
  #cpuBefore: readonly number[] = []
  #cpuUsed: readonly number[] = []
  #machineBefore = machineTimes()
  #idlePart = Number.NaN
  #stealPart = Number.NaN

  /** `first` is the index of the member to be named first. */
  constructor(cluster: Cluster, first: number) {
    this.#cluster = cluster
    this.#first = first
  }

  begin(): void {
    this.#machineBefore = machineTimes()
    this.#cpuBefore = this.#members().map(member => cpuMicrosOf(member.pid))
  }

  end(): void {
    this.#cpuUsed = this.#members().map((member, i) => cpuMicrosOf(member.pid) - (this.#cpuBefore[i] ?? 0))
    const now = machineTimes()
    const total = now.total - this.#machineBefore.total
    this.#idlePart = (now.idle - this.#machineBefore.idle) / total
    this.#stealPart = (now.steal - this.#machineBefore.steal) / total
  }

  async sample(
    operations: number,
  ): Promise<Omit<Sample, keyof Latency | 'perSecond' | 'errors' | 'errorTexts' | 'generatorMicros'>> {
    return {
      memberMicros: this.#cpuUsed.map(used => used / operations),
      rssBytes: this.#members().map(member => memoryOf(member.pid).rss),
      idlePart: this.#idlePart,
      stealPart: this.#stealPart,
      load: loadAverage(),
      self: await worstSelf(this.#cluster),
    }
  }

  #members() {
    const { members } = this.#cluster
    return members.toSorted((a, b) => Number(b.index === this.#first) - Number(a.index === this.#first))
  }
}

/** Asks every member; also to begin anew. */
export async function worstSelf(cluster: Cluster): Promise<SelfReport | undefined> {
  const reports = (await Promise.all(cluster.members.map(member => member.selfReport()))).filter(r => r !== undefined)
  if (reports.length === 0) return undefined
  const worst = (name: keyof SelfReport) => Math.max(...reports.map(report => report[name]))
  return {
    loopP99Ms: worst('loopP99Ms'),
    loopMaxMs: worst('loopMaxMs'),
    busyMaxMs: worst('busyMaxMs'),
    gcMaxMs: worst('gcMaxMs'),
    heldBytes: worst('heldBytes'),
  }
}
