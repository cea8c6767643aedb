// Watchers of one prefix and the writers they hear of, inside one process of the load generator. Each value carries who
// wrote it, as which of its writes, and when on the machine's clock, so every watcher can tell what it missed, got
// twice or got in the wrong order, and how late it was.
import { monotonicMs, sleep, sleepUntil } from './clock.ts'
import { Call, Connection } from './connection.ts'
import { paths, putRequest, watchCreateRequest } from './etcd-api.ts'
import { type Counts, Histogram } from './histogram.ts'
import { Fields } from './protobuf.ts'

/** First `open`, then `run`, then `finish`: the parent lets all workers be done with each before the next. */
export type WatchTask =
  | {
      readonly kind: 'watch-open'
      readonly ports: readonly number[]
      readonly watchers: number
      readonly prefix: string
    }
  | {
      readonly kind: 'watch-run'
      readonly port: number
      readonly prefix: string
      readonly writers: number
      readonly valueBytes: number
      readonly fromMs: number
      readonly untilMs: number
    }
  /** `written`: how many writes each writer of any process made. */
  | { readonly kind: 'watch-finish'; readonly written: readonly number[] }

export type WatchResult = {
  /** Of the writers here: how many writes each made, and those that ended inside the window. */
  readonly written: readonly number[]
  readonly puts: number
  readonly errorTexts: readonly string[]
  /** Events that came inside the window. */
  readonly deliveries: number
  readonly counts: Counts
  readonly maxMs: number
  readonly lost: number
  readonly duplicated: number
  readonly outOfOrder: number
  readonly cpuMicros: number
}

const createMs = 20_000
const drainMs = 20_000
/** Of a value: when it was sent (float64, ms), which writer (uint32), which of its writes, from 1 (uint32). */
const headerBytes = 16
const writersMax = 64

export class Watchers {
  #streams: WatchStream[] = []
  #seen = new Seen(0, 0)
  #cpuMicros = 0

  async perform(task: WatchTask): Promise<WatchResult> {
    if (task.kind === 'watch-open') await this.#open(task.ports, task.watchers, task.prefix)
    else if (task.kind === 'watch-run') return await this.#run(task)
    else await this.#finish(task.written)
    return this.#result([], 0, [])
  }

  async #open(ports: readonly number[], watchers: number, prefix: string): Promise<void> {
    this.#seen = new Seen(watchers, writersMax)
    const connections = await Promise.all(ports.map(port => Connection.connect(port)))
    let first = 0
    this.#streams = connections.map((connection, i) => {
      const watches = evenly(watchers, ports.length, i)
      first += watches
      return new WatchStream(connection, this.#seen, first - watches, watches)
    })
    await Promise.all(this.#streams.map(stream => stream.create(Buffer.from(prefix))))
  }

  async #run(task: Extract<WatchTask, { kind: 'watch-run' }>): Promise<WatchResult> {
    this.#seen.fromMs = task.fromMs
    this.#seen.untilMs = task.untilMs
    const connection = task.writers === 0 ? undefined : await Connection.connect(task.port)
    const writers = Array.from({ length: task.writers }, (_, i) => new Writer(task, i))
    const running = writers.map(writer => (connection === undefined ? undefined : writer.run(connection)))
    await sleepUntil(task.fromMs)
    const before = process.cpuUsage()
    await sleepUntil(task.untilMs)
    const { user, system } = process.cpuUsage(before)
    this.#cpuMicros = user + system
    await Promise.all(running)
    connection?.close()
    const puts = writers.reduce((sum, writer) => sum + writer.puts, 0)
    const written = writers.map(writer => writer.written)
    return this.#result(
      written,
      puts,
      writers.flatMap(writer => writer.failure ?? []),
    )
  }

  async #finish(written: readonly number[]): Promise<void> {
    const until = monotonicMs() + drainMs
    while (!this.#seen.all(written) && monotonicMs() < until) await sleep(5)
    // What comes twice may come late.
    await sleep(100)
    this.#seen.close(written)
    for (const stream of this.#streams) stream.close()
  }

  #result(written: readonly number[], puts: number, errorTexts: readonly string[]): WatchResult {
    const { deliveries, histogram, lost, duplicated, outOfOrder } = this.#seen
    return {
      written,
      puts,
      errorTexts: [...errorTexts, ...this.#streams.flatMap(stream => stream.failure ?? [])],
      deliveries,
      counts: histogram.toCounts(),
      maxMs: histogram.maxMs,
      lost,
      duplicated,
      outOfOrder,
      cpuMicros: this.#cpuMicros,
    }
  }
}

/** How many of `count` the `index`th of `places` takes. */
export const evenly = (count: number, places: number, index: number): number =>
  Math.floor(count / places) + (index < count % places ? 1 : 0)

/** What the watchers of this process have seen, and what of it is wrong. */
export class Seen {
  readonly watchers: number
  readonly #writersMax: number
  readonly #last: Uint32Array
  readonly #revisions: Float64Array
  readonly histogram = new Histogram()
  fromMs = Number.POSITIVE_INFINITY
  untilMs = Number.POSITIVE_INFINITY
  deliveries = 0
  lost = 0
  duplicated = 0
  outOfOrder = 0

  constructor(watchers: number, writers: number) {
    this.watchers = watchers
    this.#writersMax = writers
    this.#last = new Uint32Array(watchers * writers)
    this.#revisions = new Float64Array(watchers)
  }

  event(watcher: number, revision: number, value: Buffer, valueAt: number): void {
    const now = monotonicMs()
    if (now >= this.fromMs && now < this.untilMs) {
      this.deliveries++
      this.histogram.record(now - value.readDoubleBE(valueAt))
    }
    if (revision <= (this.#revisions[watcher] ?? 0)) this.outOfOrder++
    this.#revisions[watcher] = revision
    const at = watcher * this.#writersMax + value.readUInt32BE(valueAt + 8)
    const sequence = value.readUInt32BE(valueAt + 12)
    const last = this.#last[at] ?? 0
    if (sequence <= last) this.duplicated++
    else {
      this.lost += sequence - last - 1
      this.#last[at] = sequence
    }
  }

  all(written: readonly number[]): boolean {
    return this.#missing(written) === 0
  }

  close(written: readonly number[]): void {
    this.lost += this.#missing(written)
  }

  #missing(written: readonly number[]): number {
    let missing = 0
    for (let watcher = 0; watcher < this.watchers; watcher++) {
      for (const [writer, count] of written.entries()) {
        missing += count - (this.#last[watcher * this.#writersMax + writer] ?? 0)
      }
    }
    return missing
  }
}

/** One stream of watches. Their IDs are 1, 2 … on each stream. */
class WatchStream extends Call {
  readonly #connection: Connection
  readonly #seen: Seen
  readonly #watches: number
  readonly #firstWatcher: number
  readonly #created = Promise.withResolvers<void>()
  readonly #response = new Fields(Buffer.alloc(0), 0, 0)
  readonly #event = new Fields(Buffer.alloc(0), 0, 0)
  readonly #keyValue = new Fields(Buffer.alloc(0), 0, 0)
  #createdCount = 0
  #closing = false
  failure: string | undefined

  constructor(connection: Connection, seen: Seen, firstWatcher: number, watches: number) {
    super()
    this.#connection = connection
    this.#seen = seen
    this.#firstWatcher = firstWatcher
    this.#watches = watches
  }

  async create(prefix: Uint8Array): Promise<void> {
    if (this.#watches === 0) return
    this.#connection.open(this, paths.watch, watchCreateRequest(prefix, 1), false)
    for (let id = 2; id <= this.#watches; id++) this.#connection.send(this, watchCreateRequest(prefix, id), false)
    this.#connection.flush()
    const late = setTimeout(() => this.#created.reject(new Error('watches were not created in time')), createMs)
    try {
      await this.#created.promise
    } finally {
      clearTimeout(late)
    }
  }

  close(): void {
    this.#closing = true
    this.#connection.close()
  }

  override onMessage(bytes: Buffer, start: number, end: number): void {
    const response = this.#response
    response.reset(bytes, start, end)
    let watchId = 0
    while (response.next()) {
      if (response.field === 2) watchId = response.value
      else if (response.field === 3 && response.value === 1) this.#onCreated()
      else if (response.field === 4 && response.value === 1) this.#fail(`watch ${watchId} was cancelled`)
      else if (response.field === 11) this.#onEvent(watchId, response.start, response.end)
    }
  }

  #onEvent(watchId: number, start: number, end: number): void {
    const event = this.#event
    event.reset(this.#response.buffer, start, end)
    while (event.next()) {
      if (event.field !== 2) continue
      const keyValue = this.#keyValue
      keyValue.reset(event.buffer, event.start, event.end)
      let revision = 0
      let valueAt = -1
      while (keyValue.next()) {
        if (keyValue.field === 3) revision = keyValue.value
        else if (keyValue.field === 5) valueAt = keyValue.start
      }
      if (valueAt < 0 || watchId < 1 || watchId > this.#watches) this.#fail('an event of no watch, or without a value')
      else this.#seen.event(this.#firstWatcher + watchId - 1, revision, keyValue.buffer, valueAt)
    }
  }

  #onCreated(): void {
    this.#createdCount++
    if (this.#createdCount === this.#watches) this.#created.resolve()
  }

  override onEnd(status: number, text: string): void {
    if (!this.#closing) this.#fail(`the watch ended with status ${status}: ${text}`)
  }

  #fail(text: string): void {
    this.failure ??= text
    this.#created.reject(new Error(text))
  }
}

/** Writes its own key again and again, the next when the last was answered. */
class Writer extends Call {
  readonly #task: Extract<WatchTask, { kind: 'watch-run' }>
  readonly #request: Buffer
  readonly #valueAt: number
  readonly #ended = Promise.withResolvers<void>()
  #connection: Connection | undefined
  written = 0
  puts = 0
  failure: string | undefined

  constructor(task: Extract<WatchTask, { kind: 'watch-run' }>, index: number) {
    super()
    this.#task = task
    if (index >= writersMax) throw new Error(`more than ${writersMax} writers`)
    const value = Buffer.alloc(Math.max(headerBytes, task.valueBytes), 0x2e)
    value.writeUInt32BE(index, 8)
    this.#request = putRequest(Buffer.from(`${task.prefix}${index}`), value)
    this.#valueAt = this.#request.length - value.length
  }

  async run(connection: Connection): Promise<void> {
    this.#connection = connection
    this.#write(connection)
    connection.flush()
    await this.#ended.promise
  }

  #write(connection: Connection): void {
    this.written++
    this.#request.writeUInt32BE(this.written, this.#valueAt + 12)
    this.#request.writeDoubleBE(monotonicMs(), this.#valueAt)
    connection.open(this, paths.put, this.#request, true)
  }

  override onMessage(): void {}

  override onEnd(status: number, text: string): void {
    const now = monotonicMs()
    if (status !== 0) {
      this.failure = `a put ended with status ${status}: ${text}`
      this.#ended.resolve()
      return
    }
    if (now >= this.#task.fromMs && now < this.#task.untilMs) this.puts++
    if (now < this.#task.untilMs && this.#connection !== undefined) this.#write(this.#connection)
    else this.#ended.resolve()
  }
}
