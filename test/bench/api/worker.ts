// The load generator of the API bench, a process of its own: closed loops of clients, watchers, idle watches. It does what
// its parent tells it by IPC and ends with its parent.
import { connect } from 'node:http2'
import { monotonicMs, sleep, sleepUntil } from '../kv/clock.ts'
import { Histogram } from '../kv/histogram.ts'
import { Connection, type Target } from './client.ts'
import { ask, type Operation, podsPath, requestOf } from './requests.ts'

export type Task =
  | {
      readonly kind: 'loop'
      readonly target: Target
      readonly operation: Operation
      readonly clients: number
      readonly warmupMs: number
      readonly measureMs: number
    }
  | {
      readonly kind: 'watch'
      readonly target: Target
      readonly namespace: string
      readonly watchers: number
      /** Clients that patch meanwhile; 0: whatever comes by itself. */
      readonly writers: number
      readonly warmupMs: number
      readonly measureMs: number
    }
  /** Opens watches on a few HTTP/2 connections, as clients do, and holds them until `release`. */
  | { readonly kind: 'hold'; readonly target: Target; readonly namespace: string; readonly watches: number }
  | { readonly kind: 'release' }

export type Measured = {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly errors: readonly string[]
}

const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
const held: { close(): void }[] = []

async function loop(task: Extract<Task, { kind: 'loop' }>): Promise<Measured> {
  const fromMs = monotonicMs() + task.warmupMs
  const untilMs = fromMs + task.measureMs
  const histogram = new Histogram()
  const errors: string[] = []
  let count = 0
  async function client(index: number): Promise<void> {
    const connection = new Connection(task.target)
    for (let turn = 0; ; turn++) {
      const sentMs = monotonicMs()
      if (sentMs >= untilMs) break
      const text = requestOf(task.operation, index, turn)
      const answer = await connection.request(text).catch((error: Error) => {
        errors.push(error.message)
        return undefined
      })
      if (answer === undefined) break
      if (answer.status >= 300) errors.push(`status ${answer.status}`)
      const nowMs = monotonicMs()
      if (nowMs < fromMs || nowMs > untilMs) continue
      count++
      histogram.record(nowMs - sentMs)
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: task.clients }, (_, i) => client(i)))
  return {
    perSecond: (count * 1_000) / task.measureMs,
    p50Ms: histogram.percentile(0.5),
    p99Ms: histogram.percentile(0.99),
    errors: [...new Set(errors)].slice(0, 5),
  }
}

async function watch(task: Extract<Task, { kind: 'watch' }>): Promise<Measured> {
  let lines = 0
  const connections: Connection[] = []
  const errors: string[] = []
  for (let i = 0; i < task.watchers; i += 50) {
    const some = Array.from({ length: Math.min(50, task.watchers - i) }, (_, j) => {
      const from = addresses[(i + j) % addresses.length] ?? '127.0.0.1'
      const connection = new Connection({ ...task.target, from })
      connection.onLines = count => {
        lines += count
      }
      connections.push(connection)
      return connection.stream(ask(`${podsPath(task.namespace)}?watch=true`))
    })
    for (const status of await Promise.all(some)) if (status !== 200) errors.push(`a watch got ${status}`)
  }
  let over = false
  const writing = Array.from({ length: task.writers }, async (_, i) => {
    const connection = new Connection(task.target)
    for (let turn = 0; !over; turn++) {
      const answer = await connection.request(requestOf({ kind: 'patch' }, i, turn))
      if (answer.status >= 300) errors.push(`a patch got ${answer.status}`)
    }
    connection.close()
  })
  await sleep(task.warmupMs)
  const before = lines
  const fromMs = monotonicMs()
  await sleepUntil(fromMs + task.measureMs)
  const tookMs = monotonicMs() - fromMs
  const delivered = lines - before
  over = true
  await Promise.all(writing)
  for (const connection of connections) connection.close()
  const perSecond = (delivered * 1_000) / tookMs
  return { perSecond, p50Ms: Number.NaN, p99Ms: Number.NaN, errors: [...new Set(errors)].slice(0, 5) }
}

async function hold(task: Extract<Task, { kind: 'hold' }>): Promise<Measured> {
  const perConnection = 100
  for (let i = 0; i < task.watches; i += perConnection) {
    const { ca, cert, key, port } = task.target
    const session = connect(`https://127.0.0.1:${port}`, { ca, cert, key, checkServerIdentity: () => undefined })
    const opened = Array.from({ length: Math.min(perConnection, task.watches - i) }, async () => {
      const stream = session.request({
        ':path': `${podsPath(task.namespace)}?watch=true&resourceVersion=0&labelSelector=app%3Dnothing`,
      })
      stream.resume()
      await new Promise((resolve, reject) => {
        stream.once('response', resolve)
        stream.once('error', reject)
      })
    })
    await Promise.all(opened)
    held.push(session)
  }
  return { perSecond: 0, p50Ms: 0, p99Ms: 0, errors: [] }
}

async function perform(task: Task): Promise<Measured | undefined> {
  switch (task.kind) {
    case 'loop':
      return await loop(task)
    case 'watch':
      return await watch(task)
    case 'hold':
      return await hold(task)
    case 'release':
      for (const session of held.splice(0)) session.close()
      return undefined
  }
}

process.on('message', (task: Task) => {
  perform(task).then(
    result => process.send?.({ result }),
    (error: unknown) => process.send?.({ failure: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
