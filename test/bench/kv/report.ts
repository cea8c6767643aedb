// The tables for people.

import { median } from './histogram.ts'
import { type Cell, medianOf, pairRatiosOf, ratioOf, type Sample } from './measure.ts'

const columns = [
  ['', 34],
  ['per s', 9],
  ['min–max', 18],
  ['p50 ms', 9],
  ['p90', 8],
  ['p99', 8],
  ['p99.9', 8],
  ['max', 8],
  ['CPU-µs/op', 10],
  ['by member', 18],
  ['gen', 6],
  ['RSS MB', 13],
  ['loop/gc', 10],
  ['idle/steal', 11],
  ['load', 6],
  ['errors', 7],
] as const

const line = (cells: readonly string[]) =>
  columns.map(([, width], i) => (i === 0 ? (cells[i] ?? '').padEnd(width) : (cells[i] ?? '').padStart(width))).join('')

export const tableHead = (): string => line(columns.map(([title]) => title))

/** Three significant digits, and no exponent. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 100) return value.toFixed(0)
  return value.toPrecision(Math.abs(value) >= 10 ? 3 : Math.abs(value) >= 0.1 ? 3 : 2)
}

export const megabytes = (bytes: number): string => (bytes / 1024 ** 2).toFixed(0)

/** A row for each system and, of two, one with the ratios. */
export function rowsOf(cell: Cell): readonly string[] {
  const rows = cell.systems.map(({ system, samples }) => line([`${cell.name} ${system}`, ...cellsOf(samples)]))
  if (cell.systems.length > 1) {
    const ratio = (metric: Parameters<typeof ratioOf>[1]) => short(ratioOf(cell, metric) ?? Number.NaN)
    const cpu = cpuOf(cell.systems[1]?.samples ?? []) / cpuOf(cell.systems[0]?.samples ?? [])
    rows.push(
      line([
        '  ratio',
        ratio('perSecond'),
        pairRatiosOf(cell, 'perSecond').map(short).join('–'),
        ratio('p50Ms'),
        ratio('p90Ms'),
        ratio('p99Ms'),
        ratio('p999Ms'),
        ratio('maxMs'),
        short(cpu),
      ]),
    )
  }
  if (cell.noisy) rows.push('  noisy: rates of one system differ by more than a factor of two')
  const texts = new Set(
    cell.systems.flatMap(({ system, samples }) => samples.flatMap(s => s.errorTexts.map(t => `  ${system}: ${t}`))),
  )
  return [...rows, ...texts]
}

const cpuOf = (samples: readonly Sample[]) =>
  median(samples.map(sample => sample.memberMicros.reduce((sum, micros) => sum + micros, 0)))

function cellsOf(samples: readonly Sample[]): readonly string[] {
  const rates = samples.map(sample => sample.perSecond)
  const members =
    samples[0]?.memberMicros.map((_, i) => median(samples.map(sample => sample.memberMicros[i] ?? 0))) ?? []
  const rss = samples.at(-1)?.rssBytes.map(megabytes).join('/') ?? ''
  const selves = samples.flatMap(sample => sample.self ?? [])
  const part = (metric: 'idlePart' | 'stealPart') => (median(samples.map(sample => sample[metric])) * 100).toFixed(0)
  return [
    short(medianOf(samples, 'perSecond')),
    `${short(Math.min(...rates))}–${short(Math.max(...rates))}`,
    short(medianOf(samples, 'p50Ms')),
    short(medianOf(samples, 'p90Ms')),
    short(medianOf(samples, 'p99Ms')),
    short(medianOf(samples, 'p999Ms')),
    short(medianOf(samples, 'maxMs')),
    short(cpuOf(samples)),
    members.map(short).join('+'),
    short(medianOf(samples, 'generatorMicros')),
    rss,
    selves.length === 0
      ? '–'
      : `${short(median(selves.map(self => self.loopP99Ms)))}/${short(Math.max(...selves.map(self => self.gcMaxMs)))}`,
    `${part('idlePart')}/${part('stealPart')}%`,
    short(median(samples.map(sample => sample.load))),
    String(samples.reduce((sum, sample) => sum + sample.errors, 0)),
  ]
}
