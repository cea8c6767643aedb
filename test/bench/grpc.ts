// What etcd's API costs before any store: the gRPC driver with an empty answer, the whole way of a put and a get through
// requests, commands and answers with a store in memory, and deliveries to watchers without a network. CPU is of one
// core and is told beside rates, since rates are the machine's and its neighbours'.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { realClock } from '../../src/drivers/clock.ts'
import { openWatch } from '../../src/etcd/run-watch.ts'
import { WireWriter } from '../../src/etcd/wire.ts'
import type { StreamCall } from '../../src/world/grpc.ts'
import { contextOn, memoryCommandStore } from '../etcd/memory-store.ts'
import { keepChild } from './kv/children.ts'
import { Generator } from './kv/generator.ts'
import type { OperationSpec } from './kv/operations.ts'
import { cpuMicrosOf } from './kv/proc.ts'
import { putOnce } from './kv/single.ts'

export const grpcBench = {
  summary: "what etcd's API costs before a store (--seconds 2 --clients 1,16,64,256 --watchers 1000)",
  async run(args: readonly string[]) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seconds: { type: 'string', default: '2' },
        clients: { type: 'string', default: '1,16,64,256' },
        watchers: { type: 'string', default: '1000' },
      },
    })
    const [seconds, watchers] = [values.seconds, values.watchers].map(Number)
    const clients = values.clients.split(',').map(Number)
    if (!seconds || !watchers || clients.some(n => !(n > 0))) throw new Error('options are positive numbers')
    const put: OperationSpec = { kind: 'put', keys: 100_000, valueBytes: 256 }
    const get: OperationSpec = { kind: 'range', serializable: false, valueBytes: 256 }
    const rows = []
    const generator = new Generator()
    try {
      console.log('              clients      per s   p50 ms   p99 ms   server CPU-µs   generator CPU-µs')
      for (const [server, operation, what] of [
        ['empty', put, 'empty answer'],
        ['memory', put, 'put'],
        ['memory', get, 'get'],
      ] as const) {
        for (const count of clients) rows.push(await load(generator, what, server, operation, count, seconds * 1_000))
      }
    } finally {
      generator.close()
    }
    const deliveries = [1, 16].map(events => deliver(watchers, events, seconds * 1_000))
    const watcherBytes = idleBytes()
    console.log(`an idle watcher: ${watcherBytes} bytes`)
    return { rows, deliveries, watcherBytes }
  },
}

async function load(
  generator: Generator,
  what: string,
  kind: string,
  operation: OperationSpec,
  clients: number,
  measureMs: number,
) {
  const child = fork(join(import.meta.dirname, 'grpc-server.ts'), [kind])
  keepChild(child)
  const [port] = await once(child, 'message')
  const pid = child.pid ?? 0
  if (operation.kind === 'range') await putOnce(port, operation.valueBytes)
  let before = 0
  let used = 0
  const window = {
    begin: () => {
      before = cpuMicrosOf(pid)
    },
    end: () => {
      used = cpuMicrosOf(pid) - before
    },
  }
  const result = await generator.run({ operation, clients, ports: [port], warmupMs: 700, measureMs }, window)
  child.disconnect()
  if (result.errors > 0) throw new Error(`calls failed: ${result.errorTexts.join(', ')}`)
  const { perSecond, p50Ms, p99Ms } = result
  const row = { what, clients, perSecond, p50Ms, p99Ms, cpuMicros: used / result.operations }
  const cells = [
    what.padEnd(12),
    String(clients).padStart(9),
    perSecond.toFixed(0).padStart(11),
    p50Ms.toFixed(3).padStart(9),
    p99Ms.toFixed(3).padStart(9),
    row.cpuMicros.toFixed(2).padStart(16),
    result.cpuMicros.toFixed(2).padStart(19),
  ]
  console.log(cells.join(''))
  return row
}

// ---- watchers without a network ----

/** Takes what it is sent as fast as memory goes, and has the next frame overwrite it. */
function nullCall(sent: { count: number; bytes: number }): StreamCall {
  const buffer = Buffer.alloc(64 * 1024)
  return {
    isOpen: true,
    header: () => undefined,
    send(head, headLength, tail) {
      for (let i = 0; i < headLength; i++) buffer[i] = head[i] ?? 0
      if (tail !== undefined) buffer.set(tail, headLength)
      sent.count += 1
      sent.bytes += headLength + (tail?.length ?? 0)
      return true
    },
    finish() {},
    fail() {},
  }
}

/** A WatchCreateRequest of all keys under `prefix`. */
function createRequest(prefix: string, end: string): Buffer {
  const out = new WireWriter()
  out.open(1, 2 + prefix.length + 2 + end.length)
  out.text(1, prefix)
  out.text(2, end)
  return out.copy()
}

/** So many watchers of one prefix on eight streams; `events` changes at once. */
function deliver(watchers: number, events: number, ms: number) {
  const store = memoryCommandStore()
  const watch = openWatch(contextOn(store, realClock()), { progressMs: 600_000 })
  const sent = { count: 0, bytes: 0 }
  const handlers = Array.from({ length: 8 }, () => watch.open(nullCall(sent)))
  const request = createRequest('/watch/', '/watch0')
  for (let i = 0; i < watchers; i++) handlers[i % handlers.length]?.message(request, 0, request.length)
  const value = 'v'.repeat(256)
  const turn = () =>
    store.applyAll(
      Array.from({ length: events }, (_, i) => ({
        kind: 'write',
        write: { compare: [], operations: [{ key: `/watch/${i}`, value }] },
      })),
    )
  for (let i = 0; i < 200; i++) turn()
  const before = { ...sent }
  const cpu = process.cpuUsage()
  const started = performance.now()
  let turns = 0
  for (; performance.now() - started < ms; turns++) turn()
  const elapsedMs = performance.now() - started
  const used = process.cpuUsage(cpu)
  const deliveries = turns * events * watchers
  const row = {
    watchers,
    eventsAtOnce: events,
    deliveriesPerSecond: Math.round((deliveries * 1_000) / elapsedMs),
    messagesPerSecond: Math.round(((sent.count - before.count) * 1_000) / elapsedMs),
    cpuMicrosPerDelivery: (used.user + used.system) / deliveries,
  }
  if (sent.count - before.count !== turns * watchers) throw new Error('a watcher was left out')
  console.log(
    `${watchers} watchers, ${events} events at once: ${row.deliveriesPerSecond} deliveries/s, ` +
      `${row.messagesPerSecond} messages/s, ${row.cpuMicrosPerDelivery.toFixed(3)} CPU-µs per delivery`,
  )
  return row
}

/** Of the heap, per watcher, each with a range of its own. */
function idleBytes(): number {
  const count = 50_000
  const store = memoryCommandStore()
  const watch = openWatch(contextOn(store, realClock()), { progressMs: 600_000 })
  const handler = watch.open(nullCall({ count: 0, bytes: 0 }))
  const heapNow = () => {
    globalThis.gc?.()
    return process.memoryUsage().heapUsed
  }
  const before = heapNow()
  for (let i = 0; i < count; i++) {
    const request = createRequest(`/registry/pods/${i}/`, `/registry/pods/${i}0`)
    handler.message(request, 0, request.length)
  }
  const used = heapNow() - before
  if (watch.hub.watcherCount !== count) throw new Error('a watcher is missing')
  return Math.round(used / count)
}
