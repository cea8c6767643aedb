// One of the two processes of the load generator. It does what its parent tells it by IPC and ends with its parent.
import { monotonicMs, sleep, sleepUntil } from './clock.ts'
import { Call, Connection } from './connection.ts'
import { type Counts, Histogram } from './histogram.ts'
import { type Operation, type OperationSpec, operationOf } from './operations.ts'
import { Watchers, type WatchResult, type WatchTask } from './watchers.ts'

/** What one worker does of a closed loop: `clients` calls always under way, on `ports.length` connections. */
export type LoopTask = {
  readonly kind: 'loop'
  readonly operation: OperationSpec
  readonly worker: number
  readonly workers: number
  readonly clients: number
  /** The port of each connection. */
  readonly ports: readonly number[]
  /** The window in which ends of calls count, on `monotonicMs()`. Without an end: until there is nothing more to do. */
  readonly fromMs: number
  readonly untilMs: number | undefined
}

export type LoopResult = {
  readonly operations: number
  readonly counts: Counts
  readonly maxMs: number
  readonly errors: number
  /** Some of the errors, as the server said them. */
  readonly errorTexts: readonly string[]
  /** All that were answered with success, also outside of the window. */
  readonly acknowledged: number
  readonly cpuMicros: number
  /** When the last call ended. */
  readonly endedMs: number
}

export type Task = LoopTask | WatchTask
export type Reply<R> = { readonly result: R } | { readonly failure: string }

/** How long an answer may be late after the end of the window before it counts as an error. */
const graceMs = 10_000
const errorPauseMs = 10
const errorTextsMax = 5

class Client extends Call {
  readonly #loop: Loop
  readonly #connection: Connection
  #sentAt = 0
  #answered = false

  constructor(loop: Loop, connection: Connection) {
    super()
    this.#loop = loop
    this.#connection = connection
  }

  start(now: number): boolean {
    const request = this.#loop.operation.next()
    if (request === undefined) return false
    this.#sentAt = now
    this.#answered = false
    this.#connection.open(this, this.#loop.operation.path, request, true)
    return true
  }

  flush(): void {
    this.#connection.flush()
  }

  override onMessage(bytes: Buffer, start: number, end: number): void {
    this.#answered = this.#loop.operation.check(bytes, start, end)
  }

  override onEnd(status: number, text: string): void {
    const now = monotonicMs()
    if (status === 0 && this.#answered) this.#loop.succeeded(this, now, now - this.#sentAt)
    else this.#loop.failed(this, status === 0 ? 'the answer is wrong' : `status ${status}: ${text}`)
  }

  get usable(): boolean {
    return this.#connection.closed === undefined
  }
}

class Loop {
  readonly operation: Operation
  readonly #task: LoopTask
  readonly #histogram = new Histogram()
  readonly #errorTexts = new Set<string>()
  readonly #finished = Promise.withResolvers<void>()
  readonly #untilMs: number
  #operations = 0
  #errors = 0
  #acknowledged = 0
  #busy = 0
  #endedMs = 0
  #over = false

  constructor(task: LoopTask) {
    this.#task = task
    this.#untilMs = task.untilMs ?? Number.POSITIVE_INFINITY
    this.operation = operationOf(task.operation, task.worker, task.workers)
  }

  async run(): Promise<LoopResult> {
    const connections = await Promise.all(this.#task.ports.map(port => Connection.connect(port)))
    this.#start(connections)
    await sleepUntil(this.#task.fromMs)
    const before = process.cpuUsage()
    if (this.#task.untilMs === undefined) await this.#finished.promise
    else await sleepUntil(this.#task.untilMs)
    const { user, system } = process.cpuUsage(before)
    await Promise.race([this.#finished.promise, sleep(graceMs)])
    if (this.#busy > 0) this.#count(`${this.#busy} calls were not answered within ${graceMs} ms`, this.#busy)
    this.#over = true
    for (const connection of connections) connection.close()
    return {
      operations: this.#operations,
      counts: this.#histogram.toCounts(),
      maxMs: this.#histogram.maxMs,
      errors: this.#errors,
      errorTexts: [...this.#errorTexts],
      acknowledged: this.#acknowledged,
      cpuMicros: user + system,
      endedMs: this.#endedMs,
    }
  }

  #start(connections: readonly Connection[]): void {
    for (let i = 0; i < this.#task.clients; i++) {
      const connection = connections[i % connections.length]
      if (connection !== undefined && new Client(this, connection).start(monotonicMs())) this.#busy++
    }
    for (const connection of connections) connection.flush()
    if (this.#busy === 0) this.#finished.resolve()
  }

  succeeded(client: Client, now: number, latencyMs: number): void {
    this.#acknowledged++
    if (now >= this.#task.fromMs && now < this.#untilMs) {
      this.#operations++
      this.#histogram.record(latencyMs)
    }
    this.#again(client, now)
  }

  /** A client that failed waits a little: an error must not win by being quick. */
  failed(client: Client, text: string): void {
    if (this.#over) return
    this.#count(text, 1)
    setTimeout(() => {
      this.#again(client, monotonicMs())
      client.flush()
    }, errorPauseMs)
  }

  #again(client: Client, now: number): void {
    if (now < this.#untilMs && client.usable && client.start(now)) return
    this.#busy--
    this.#endedMs = now
    if (this.#busy === 0) this.#finished.resolve()
  }

  #count(text: string, errors: number): void {
    this.#errors += errors
    if (this.#errorTexts.size < errorTextsMax) this.#errorTexts.add(text)
  }
}

const watchers = new Watchers()

async function perform(task: Task): Promise<LoopResult | WatchResult> {
  return task.kind === 'loop' ? await new Loop(task).run() : await watchers.perform(task)
}

process.on('message', (task: Task) => {
  perform(task).then(
    result => process.send?.({ result } satisfies Reply<unknown>),
    (error: unknown) => process.send?.({ failure: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit())
// An interrupt of the terminal reaches every process; the parent decides what it means.
process.on('SIGINT', () => {})
