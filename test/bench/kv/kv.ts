// `npm run bench -- kv`: three members of our store and three of etcd on the same disk, driven in turn by the same
// generator over the same protocol. The last line gives the ratios of the medians, ours over etcd's. Two systems, their
// clients and whatever else runs share the cores: rates say little about other machines, ratios and CPU per operation
// say more. etcd is the Debian package `etcd-server`, the delays of the suite `slow` need `strace`.
import { spawnSync } from 'node:child_process'
import { closeSync, fdatasyncSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { SystemKind } from './cluster.ts'
import type { Context } from './context.ts'
import { Generator } from './generator.ts'
import { Histogram } from './histogram.ts'
import { type Cell, type Metric, ratioOf } from './measure.ts'
import { loadAverage } from './proc.ts'
import { short, tableHead } from './report.ts'
import { failoverSuite, type Outages } from './suite-failover.ts'
import { type Cells, createSuite, putSuite, readSuite } from './suite-load.ts'
import { idleSuite, type Memory, memorySuite } from './suite-rest.ts'
import { slowSuite } from './suite-slow.ts'
import { watchSuite } from './suite-watch.ts'
import { bundleMember, etcd, etcdVersion, flotilla } from './systems.ts'

const suites = ['put', 'read', 'txn', 'watch', 'failover', 'slow', 'rss', 'idle'] as const
type Suite = (typeof suites)[number]

/** Our own load alone comes to about three. */
const busyLoad = 3

const help = `npm run bench -- kv [options]
  --suite put,read,…  of ${suites.join(', ')}; all of them by default
  --quick             3 repetitions instead of 5, fewer failovers
  --against etcd|none none: our own numbers alone
  --subject etcd      measure etcd against itself: every ratio must come out near 1
  --dir <folder>      where the members keep their data; it must not be in memory`

export const kvBench = {
  summary: 'our store beside etcd: rates, latencies, CPU, memory, failover (--suite … --quick --against etcd|none)',
  async run(args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    const options = readOptions(args)
    const failures: string[] = []
    const dir = mkdtempSync(join(options.dir, 'flotilla-bench-'))
    const generator = new Generator()
    // After the generator, whose children's end is the first thing to happen at the exit: who still writes is in the way.
    process.once('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
    const print = (line: string) => console.log(line)
    const context: Context = {
      kinds: options.kinds,
      quick: options.quick,
      repetitions: options.quick ? 3 : 5,
      warmupMs: 800,
      measureMs: options.quick ? 2_000 : 3_000,
      generator,
      dir,
      print,
      fail: text => {
        failures.push(text)
        print(`FAILED: ${text}`)
      },
    }
    try {
      await bundleMember()
      printHead(context)
      const results = await runSuites(context, options.suites)
      if (failures.length > 0) process.exitCode = 1
      for (const failure of failures) print(`FAILED: ${failure}`)
      return lastLine(results)
    } finally {
      generator.close()
    }
  },
}

type Options = {
  readonly suites: readonly Suite[]
  readonly quick: boolean
  readonly kinds: readonly SystemKind[]
  readonly dir: string
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      suite: { type: 'string', default: suites.join(',') },
      quick: { type: 'boolean', default: false },
      against: { type: 'string', default: 'etcd' },
      subject: { type: 'string', default: 'flotilla' },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(help)
    process.exit(0)
  }
  const chosen = values.suite.split(',').map(name => {
    const suite = suites.find(known => known === name)
    if (suite === undefined) throw new Error(`no suite is called ${name}; there are ${suites.join(', ')}`)
    return suite
  })
  if (chosen.includes('slow') && spawnSync('strace', ['-V']).status !== 0) {
    throw new Error('the suite `slow` needs strace: install it, or leave the suite out with --suite')
  }
  return {
    suites: chosen,
    quick: values.quick,
    kinds: kindsOf(values.against, values.subject),
    dir: diskFolder(values.dir),
  }
}

function kindsOf(against: string, subject: string): readonly SystemKind[] {
  if (against !== 'etcd' && against !== 'none') throw new Error(`--against knows etcd and none, not ${against}`)
  if (subject !== 'etcd' && subject !== 'flotilla') throw new Error(`--subject knows flotilla and etcd, not ${subject}`)
  const version = etcdVersion()
  if (subject === 'etcd' && version === undefined) throw new Error('etcd is not installed')
  const ours = subject === 'etcd' ? { ...etcd, name: 'etcd-again' } : flotilla
  if (against === 'none') return [ours]
  if (version === undefined) {
    console.log('reference missing: etcd is not installed (Debian: etcd-server); our own numbers follow')
    return [ours]
  }
  return [etcd, ours]
}

/** A disk in memory syncs for nothing. */
function diskFolder(dir: string): string {
  const tmpfs = 0x01021994
  mkdirSync(dir, { recursive: true })
  if (statfsSync(dir).type === tmpfs) throw new Error(`${dir} is in memory; name a folder on a disk with --dir`)
  return dir
}

function printHead(context: Context): void {
  const [cpu] = cpus()
  const disk = rawSyncs(context.dir)
  const names = context.kinds.map(kind => kind.name).join(' and ')
  context.print(
    `${names}, three members each; etcd ${etcdVersion() ?? 'missing'}, Node ${process.version}, Linux ${release()}`,
  )
  context.print(`${cpus().length} × ${cpu?.model ?? 'unknown CPU'}; load average ${short(loadAverage())}`)
  if (loadAverage() > busyLoad)
    context.print('others use this machine now: rates will be low, and latencies say little')
  context.print(
    `disk: append of 128 bytes + fdatasync p50 ${short(disk.percentile(0.5))} ms, p99 ${short(disk.percentile(0.99))} ms`,
  )
  context.print(
    `${context.repetitions} repetitions of ${context.measureMs} ms after ${context.warmupMs} ms, in turn; medians; ` +
      'CPU of the members summed, then leader + followers; loop/gc: p99 of the event loop, longest pause, in ms',
  )
  context.print('')
  context.print(tableHead())
}

function rawSyncs(dir: string): Histogram {
  const histogram = new Histogram()
  const file = openSync(join(dir, 'raw'), 'w')
  const payload = Buffer.alloc(128)
  const until = performance.now() + 1_000
  for (let now = performance.now(); now < until; ) {
    writeSync(file, payload)
    fdatasyncSync(file)
    const then = performance.now()
    histogram.record(then - now)
    now = then
  }
  closeSync(file)
  return histogram
}

type Results = {
  readonly put?: Cells
  readonly read?: Cells
  readonly txn?: Cells
  readonly watch?: Cells
  readonly kills?: readonly Outages[]
  readonly stops?: readonly Outages[]
  readonly slow10?: Cells
  readonly memory?: readonly Memory[]
  readonly idleBytes?: readonly number[]
}

async function runSuites(context: Context, chosen: readonly Suite[]): Promise<Results> {
  const { quick } = context
  let results: Results = {}
  for (const suite of chosen) {
    if (suite === 'put') results = { ...results, put: await putSuite(context) }
    else if (suite === 'read') results = { ...results, read: await readSuite(context) }
    else if (suite === 'txn') results = { ...results, txn: await createSuite(context) }
    else if (suite === 'watch') results = { ...results, watch: await watchSuite(context) }
    else if (suite === 'failover') {
      const kills = await failoverSuite(context, 'SIGKILL', quick ? 5 : 20)
      results = { ...results, kills, stops: await failoverSuite(context, 'SIGSTOP', quick ? 3 : 6) }
    } else if (suite === 'slow') {
      await slowSuite(context, 2)
      results = { ...results, slow10: await slowSuite(context, 10) }
    } else if (suite === 'rss') results = { ...results, memory: await memorySuite(context, quick ? 1 : 3) }
    else results = { ...results, idleBytes: await idleSuite(context) }
  }
  return results
}

/** What was not measured is null. */
function lastLine(results: Results): Readonly<Record<string, unknown>> {
  const of = (cells: Cells | undefined, clients: number, metric: Metric) =>
    rounded(ratioOfCell(cells?.[clients], metric))
  const outage = (all: readonly Outages[] | undefined, metric: 'medianMs' | 'worstMs') =>
    overReference(all?.map(o => o[metric]))
  const memory = (metric: keyof Memory) => overReference(results.memory?.map(m => m[metric]))
  return {
    ratios: {
      putRate64: of(results.put, 64, 'perSecond'),
      putRate256: of(results.put, 256, 'perSecond'),
      putP50: of(results.put, 1, 'p50Ms'),
      putP99: of(results.put, 1, 'p99Ms'),
      put64P99: of(results.put, 64, 'p99Ms'),
      readRate64: of(results.read, 64, 'perSecond'),
      readRate256: of(results.read, 256, 'perSecond'),
      txnRate64: of(results.txn, 64, 'perSecond'),
      txnRate256: of(results.txn, 256, 'perSecond'),
      watch1P50: of(results.watch, 1, 'p50Ms'),
      watch1000P50: of(results.watch, 1_000, 'p50Ms'),
      watchDeliveries: of(results.watch, 1_000, 'perSecond'),
      failoverMedian: outage(results.kills, 'medianMs'),
      failoverWorst: outage(results.kills, 'worstMs'),
      stopMedian: outage(results.stops, 'medianMs'),
      slow10Rate1: of(results.slow10, 1, 'perSecond'),
      slow10Rate16: of(results.slow10, 16, 'perSecond'),
      slow10Rate256: of(results.slow10, 256, 'perSecond'),
      rssIdle: memory('idleBytes'),
      rssLoaded: memory('loadedBytes'),
    },
    idleDiskBytes60s: results.idleBytes?.at(-1) ?? null,
  }
}

const ratioOfCell = (cell: Cell | undefined, metric: Metric) => (cell === undefined ? null : ratioOf(cell, metric))

function overReference(values: readonly number[] | undefined): number | null {
  const [reference, ours] = values ?? []
  return reference === undefined || ours === undefined ? null : rounded(ours / reference)
}

const rounded = (ratio: number | null) => (ratio === null ? null : Number(ratio.toPrecision(3)))
