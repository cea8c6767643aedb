// What every suite is given: the systems, how often and how long to measure, the generator, and where to say things.
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { keepChild } from './children.ts'
import { sleep } from './clock.ts'
import { Cluster, type SystemKind } from './cluster.ts'
import type { Generator, Load } from './generator.ts'
import { type Cell, measureCell, medianOf, type Sample, Watch, worstSelf } from './measure.ts'
import type { OperationSpec } from './operations.ts'
import { rowsOf, short } from './report.ts'

export type Context = {
  /** The reference first, when there is one. */
  readonly kinds: readonly SystemKind[]
  readonly quick: boolean
  readonly repetitions: number
  readonly warmupMs: number
  readonly measureMs: number
  readonly generator: Generator
  /** Directories of clusters are made here. */
  readonly dir: string
  readonly print: (line: string) => void
  /** Says something that makes the run a failed one. */
  readonly fail: (text: string) => void
}

/** A rate above this part of what the generator reaches against nothing measures the generator. */
const ceilingPart = 0.6
const settleMs = 300

let clusterCount = 0

/** Starts one cluster of each system, and stops them whatever happens. */
export async function withClusters<T>(
  context: Context,
  use: (clusters: readonly Cluster[]) => Promise<T>,
  syncDelayMs?: number,
): Promise<T> {
  const clusters: Cluster[] = []
  try {
    for (const kind of context.kinds) {
      clusters.push(await Cluster.start(kind, join(context.dir, `${kind.name}-${clusterCount++}`), syncDelayMs))
    }
    return await use(clusters)
  } finally {
    await Promise.all(clusters.map(cluster => cluster.stop()))
  }
}

/** Measures a closed loop against the leaders, and shows it. Undefined when the generator is too near its own ceiling. */
export async function loadCell(
  context: Context,
  clusters: readonly Cluster[],
  name: string,
  clients: number,
  operationOf: (repetition: number) => OperationSpec,
): Promise<Cell | undefined> {
  const before = await ceilingOf(context, operationOf(-1), clients)
  const measure = (cluster: Cluster, repetition: number) =>
    measureLoad(context, cluster, operationOf(repetition), clients)
  const cell = await measureCell(name, clusters, context.repetitions, measure, shown => {
    for (const row of rowsOf(shown)) context.print(row)
  })
  checkErrors(context, cell)
  // The better of two: what else runs on the machine can only make it look lower than it is.
  const ceiling = Math.max(before, await ceilingOf(context, operationOf(-1), clients))
  const fastest = Math.max(...cell.systems.map(({ samples }) => medianOf(samples, 'perSecond')))
  context.print(
    `  the generator alone reaches ${short(ceiling)}/s; the rate is ${short((fastest / ceiling) * 100)} % of it`,
  )
  if (fastest <= ceiling * ceilingPart) return cell
  context.print(`  refused: above ${ceilingPart * 100} % of it a rate would tell of the generator`)
  return undefined
}

async function measureLoad(
  context: Context,
  cluster: Cluster,
  operation: OperationSpec,
  clients: number,
): Promise<Sample> {
  const { generator, warmupMs, measureMs } = context
  const leader = await cluster.leader()
  await worstSelf(cluster)
  const watch = new Watch(cluster, leader.index)
  const load: Load = { operation, clients, ports: [leader.clientPort], warmupMs, measureMs }
  const result = await generator.run(load, watch)
  const errorTexts = [...result.errorTexts]
  if ((await cluster.leader()) !== leader) errorTexts.push('the leader changed during the measurement')
  const sample = {
    ...result,
    ...(await watch.sample(result.operations)),
    errorTexts,
    generatorMicros: result.cpuMicros,
  }
  await sleep(settleMs)
  return sample
}

/** Errors of the reference are shown; those of our own system fail the run. */
export function checkErrors(context: Context, cell: Cell): void {
  const samples = cell.systems.at(-1)?.samples ?? []
  const errors = samples.reduce((sum, sample) => sum + sample.errors, 0)
  const operations = samples.reduce((sum, sample) => sum + sample.perSecond, 0)
  if (errors > 0) context.fail(`${cell.name}: ${errors} errors`)
  if (operations === 0) context.fail(`${cell.name}: nothing was measured`)
}

/** What the generator reaches with this load against a responder that does nothing. */
export async function ceilingOf(context: Context, operation: OperationSpec, clients: number): Promise<number> {
  const responder = fork(join(import.meta.dirname, 'null-responder.ts'), [operation.kind, String(operation.valueBytes)])
  keepChild(responder)
  try {
    const port = await firstMessage(responder)
    const result = await context.generator.run({ operation, clients, ports: [port], warmupMs: 1_000, measureMs: 1_000 })
    if (result.errors > 0) throw new Error(`the null responder fails: ${result.errorTexts.join('; ')}`)
    return result.perSecond
  } finally {
    responder.disconnect()
  }
}

const firstMessage = (child: ChildProcess) =>
  new Promise<number>((resolve, reject) => {
    child.once('message', message => resolve(Number(message)))
    child.once('exit', code => reject(new Error(`the null responder ended with ${code}`)))
  })
