// The load generator as its user sees it: two processes (gen-worker.ts), tasks for both, one sum of what they say.
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { keepChild } from './children.ts'
import { monotonicMs, sleepUntil } from './clock.ts'
import type { LoopResult, Reply, Task } from './gen-worker.ts'
import { Histogram } from './histogram.ts'
import type { OperationSpec } from './operations.ts'
import { evenly, type WatchResult } from './watchers.ts'

const workerCount = 2
export const connectionsMax = 16
const watchConnections = 8
/** Time for a task to reach the workers and for their connections to open, before the warm-up begins. */
const openMs = 100

export type Load = {
  readonly operation: OperationSpec
  readonly clients: number
  /** Where the connections go, in turn. */
  readonly ports: readonly number[]
  readonly warmupMs: number
  readonly measureMs: number
}

export type Latency = {
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export type LoadResult = Latency & {
  readonly perSecond: number
  readonly operations: number
  readonly errors: number
  readonly errorTexts: readonly string[]
  /** All that were answered with success, also outside of the measured window. */
  readonly acknowledged: number
  /** CPU of the generator per operation. */
  readonly cpuMicros: number
}

export type WatchLoad = {
  readonly watchers: number
  readonly writers: number
  readonly port: number
  readonly prefix: string
  readonly valueBytes: number
  readonly warmupMs: number
  readonly measureMs: number
}

export type WatchLoadResult = Latency & {
  readonly puts: number
  readonly deliveries: number
  readonly deliveriesPerSecond: number
  readonly lost: number
  readonly duplicated: number
  readonly outOfOrder: number
  readonly errorTexts: readonly string[]
  readonly cpuMicros: number
}

/** Told when a measured window begins and when it ends, so that others can be measured over the same time. */
export type Window = { readonly begin: () => void; readonly end: () => void }

export class Generator {
  readonly #workers: readonly ChildProcess[]

  constructor() {
    this.#workers = Array.from({ length: workerCount }, () => {
      const worker = fork(join(import.meta.dirname, 'gen-worker.ts'), { serialization: 'advanced' })
      keepChild(worker)
      return worker
    })
  }

  /** A closed loop over a window of time. */
  async run(load: Load, window?: Window): Promise<LoadResult> {
    const fromMs = monotonicMs() + openMs + load.warmupMs
    const untilMs = fromMs + load.measureMs
    const [results] = await Promise.all([this.#loops(load, fromMs, untilMs), bracket(fromMs, untilMs, window)])
    return summary(results, load.measureMs)
  }

  /** The same without a window: until the operation has nothing more to do. */
  async drain(load: Omit<Load, 'warmupMs' | 'measureMs'>): Promise<LoadResult> {
    const fromMs = monotonicMs()
    const results = await this.#loops(load, fromMs, undefined)
    return summary(results, Math.max(...results.map(result => result.endedMs)) - fromMs)
  }

  /** Watchers of one prefix, and writers to it. */
  async watch(load: WatchLoad, window?: Window): Promise<WatchLoadResult> {
    const connections = Math.min(watchConnections, load.watchers)
    await this.#watchTasks(worker => ({
      kind: 'watch-open',
      ports: new Array<number>(share(connections, worker)).fill(load.port),
      watchers: share(load.watchers, worker),
      prefix: load.prefix,
    }))
    const fromMs = monotonicMs() + openMs + load.warmupMs
    const untilMs = fromMs + load.measureMs
    // All writers in one process, the one that has fewer watchers when their number is odd.
    const runs = this.#watchTasks(worker => ({
      kind: 'watch-run',
      port: load.port,
      prefix: load.prefix,
      writers: worker === workerCount - 1 ? load.writers : 0,
      valueBytes: load.valueBytes,
      fromMs,
      untilMs,
    }))
    const [ran] = await Promise.all([runs, bracket(fromMs, untilMs, window)])
    const written = ran.flatMap(result => result.written)
    const finished = await this.#watchTasks(() => ({ kind: 'watch-finish', written }))
    return watchSummary(ran, finished, load.measureMs)
  }

  /** Ends both processes. */
  close(): void {
    for (const worker of this.#workers) worker.disconnect()
  }

  async #loops(
    load: Omit<Load, 'warmupMs' | 'measureMs'>,
    fromMs: number,
    untilMs: number | undefined,
  ): Promise<readonly LoopResult[]> {
    const connections = Math.min(connectionsMax, load.clients)
    const results = this.#workers.map((_, worker) => {
      const ports = Array.from({ length: share(connections, worker) }, (_, i) => load.ports[i % load.ports.length] ?? 0)
      if (ports.length === 0) return undefined
      const clients = share(load.clients, worker)
      const { operation } = load
      return this.#ask<LoopResult>(worker, {
        kind: 'loop',
        operation,
        worker,
        workers: Math.min(workerCount, connections),
        clients,
        ports,
        fromMs,
        untilMs,
      })
    })
    return await Promise.all(results.filter(result => result !== undefined))
  }

  #watchTasks(taskOf: (worker: number) => Task): Promise<WatchResult[]> {
    return Promise.all(this.#workers.map((_, worker) => this.#ask<WatchResult>(worker, taskOf(worker))))
  }

  /** One task at a time and worker. Rejects when the task fails or the worker ends. */
  #ask<R>(index: number, task: Task): Promise<R> {
    const worker = this.#workers[index]
    if (worker === undefined) throw new Error(`there is no worker ${index}`)
    return new Promise<R>((resolve, reject) => {
      const onExit = (code: number | null) => reject(new Error(`a process of the generator ended with ${code}`))
      worker.once('exit', onExit)
      worker.once('message', (reply: Reply<R>) => {
        worker.off('exit', onExit)
        if ('result' in reply) resolve(reply.result)
        else reject(new Error(`the generator failed: ${reply.failure}`))
      })
      worker.send(task)
    })
  }
}

const share = (count: number, worker: number) => evenly(count, workerCount, worker)

async function bracket(fromMs: number, untilMs: number, window: Window | undefined): Promise<void> {
  if (window === undefined) return
  await sleepUntil(fromMs)
  window.begin()
  await sleepUntil(untilMs)
  window.end()
}

function latencyOf(results: readonly { counts: readonly number[]; maxMs: number }[]): Latency {
  const histogram = new Histogram()
  for (const { counts, maxMs } of results) histogram.add(counts, maxMs)
  return {
    p50Ms: histogram.percentile(0.5),
    p90Ms: histogram.percentile(0.9),
    p99Ms: histogram.percentile(0.99),
    p999Ms: histogram.percentile(0.999),
    maxMs: histogram.maxMs,
  }
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

function summary(results: readonly LoopResult[], elapsedMs: number): LoadResult {
  const operations = sum(results.map(result => result.operations))
  return {
    ...latencyOf(results),
    perSecond: (operations * 1_000) / elapsedMs,
    operations,
    errors: sum(results.map(result => result.errors)),
    errorTexts: [...new Set(results.flatMap(result => result.errorTexts))],
    acknowledged: sum(results.map(result => result.acknowledged)),
    cpuMicros: sum(results.map(result => result.cpuMicros)) / operations,
  }
}

function watchSummary(
  ran: readonly WatchResult[],
  finished: readonly WatchResult[],
  elapsedMs: number,
): WatchLoadResult {
  const deliveries = sum(finished.map(result => result.deliveries))
  return {
    ...latencyOf(finished),
    puts: sum(ran.map(result => result.puts)),
    deliveries,
    deliveriesPerSecond: (deliveries * 1_000) / elapsedMs,
    lost: sum(finished.map(result => result.lost)),
    duplicated: sum(finished.map(result => result.duplicated)),
    outOfOrder: sum(finished.map(result => result.outOfOrder)),
    errorTexts: [...new Set([...ran, ...finished].flatMap(result => result.errorTexts))],
    cpuMicros: sum(finished.map(result => result.cpuMicros)) / deliveries,
  }
}
