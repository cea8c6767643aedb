// Messages between two peers, each its own process: round trip and cost, with one and with many on the way, beside the
// same over a plain socket. What a vote, an append and its answer pay on their way.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { encodeFrame, frameDecoder } from '../../src/wire/frame.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'
import { openMesh, until } from '../conformance/mesh.ts'

type Row = { readonly name: string; readonly outstanding: number } & Measured
type Measured = {
  readonly perSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
  /** Of the asking and of the answering process, per message. */
  readonly cpuMicros: readonly [number, number]
}

/** One way to send bytes to the other process and to hear its echo. */
type Line = { send(message: Uint8Array): void; onMessage(handler: (message: Uint8Array) => void): void }

export const meshBench = {
  summary: 'messages between two peers by libp2p, beside a plain socket (--seconds 3 --bytes 256 --outstanding 1,64)',
  async run(args: readonly string[]) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seconds: { type: 'string', default: '3' },
        bytes: { type: 'string', default: '256' },
        outstanding: { type: 'string', default: '1,64' },
      },
    })
    const ms = Number(values.seconds) * 1_000
    const bytes = Number(values.bytes)
    const counts = values.outstanding.split(',').map(Number)
    if (!(ms > 0) || !(bytes >= 8) || counts.some(n => !(n > 0))) throw new Error('options are positive numbers')

    const child = fork(import.meta.filename, ['--echo'])
    await using mesh = openMesh()
    const network = await mesh.open('asker')
    const [told] = (await once(child, 'message')) as [{ peer: string; addresses: string[]; port: number }]
    const other = peerId(told.peer)
    network.admit([{ peer: other, addresses: told.addresses }])
    child.send({ peer: network.self, addresses: network.addresses() })
    await until('connected', () => network.connected().includes(other))
    const lines = { 'plain socket': await socketLine(told.port), libp2p: meshLine(network, other) }
    const rows: Row[] = []
    console.log('way            outstanding     msg/s   p50 µs   p99 µs   CPU-µs asker/echo')
    for (const outstanding of counts) {
      for (const [name, line] of Object.entries(lines)) {
        const row = { name, outstanding, ...(await measure(line, child, outstanding, ms, bytes)) }
        rows.push(row)
        const { perSecond, p50Micros, p99Micros, cpuMicros } = row
        const cells = [outstanding, perSecond, p50Micros, p99Micros].map(Math.round)
        console.log(
          `${name.padEnd(14)} ${cells.map((cell, i) => String(cell).padStart([11, 9, 8, 8][i] ?? 8)).join(' ')}   ${cpuMicros.map(n => n.toFixed(1)).join(' / ')}`,
        )
      }
    }
    child.disconnect()
    return { bytes, rows }
  },
}

async function measure(
  line: Line,
  child: ChildProcess,
  outstanding: number,
  ms: number,
  bytes: number,
): Promise<Measured> {
  const message = new Uint8Array(bytes)
  const sentAt: number[] = []
  const times: number[] = []
  const started = performance.now()
  const over = Promise.withResolvers<void>()
  let waiting = 0
  const send = () => {
    waiting++
    sentAt.push(performance.now())
    line.send(message)
  }
  line.onMessage(() => {
    waiting--
    times.push(performance.now() - (sentAt.shift() ?? 0))
    if (performance.now() - started < ms) send()
    else if (waiting === 0) over.resolve()
  })
  const cpu = process.cpuUsage()
  const theirs = await cpuOf(child)
  for (let i = 0; i < outstanding; i++) send()
  await over.promise
  const elapsed = performance.now() - started
  const used = process.cpuUsage(cpu)
  const used2 = (await cpuOf(child)) - theirs
  times.sort((a, b) => a - b)
  const at = (part: number) => (times[Math.floor(times.length * part)] ?? Number.NaN) * 1_000
  return {
    perSecond: Math.round((times.length * 1_000) / elapsed),
    p50Micros: at(0.5),
    p99Micros: at(0.99),
    cpuMicros: [(used.user + used.system) / times.length, used2 / times.length],
  }
}

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [{ cpu }] = (await once(child, 'message')) as [{ cpu: number }]
  return cpu
}

function meshLine(network: Awaited<ReturnType<ReturnType<typeof openMesh>['open']>>, other: PeerId): Line {
  let handler: (message: Uint8Array) => void = () => {}
  network.onMessage('raft', (_from, message) => handler(message))
  return {
    send: message => network.send(other, 'raft', message),
    onMessage(next) {
      handler = next
    },
  }
}

async function socketLine(port: number): Promise<Line> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return lineOf(socket)
}

function lineOf(socket: Socket): Line {
  socket.setNoDelay(true)
  const decoder = frameDecoder()
  let handler: (message: Uint8Array) => void = () => {}
  socket.on('data', chunk => {
    socket.cork()
    for (const message of decoder.push(chunk)) handler(message)
    socket.uncork()
  })
  return {
    send: message => void socket.write(encodeFrame(message)),
    onMessage(next) {
      handler = next
    },
  }
}

async function echo(): Promise<void> {
  const server = createServer(socket => {
    const line = lineOf(socket)
    line.onMessage(message => line.send(message))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const mesh = openMesh()
  const network = await mesh.open('echo')
  network.onMessage('raft', (from, message) => network.send(from, 'raft', message))
  process.on('message', (told: 'cpu' | { peer: string; addresses: string[] }) => {
    if (told === 'cpu') {
      const { user, system } = process.cpuUsage()
      process.send?.({ cpu: user + system })
    } else network.admit([{ peer: peerId(told.peer), addresses: told.addresses }])
  })
  process.once('disconnect', () => process.exit(0))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  process.send?.({ peer: network.self, addresses: network.addresses(), port })
}

if (process.argv[2] === '--echo') await echo()
