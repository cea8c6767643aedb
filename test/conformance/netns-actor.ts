// A process inside a network namespace, told what to do by lines of JSON on stdin: carry out the real drivers as a node's
// agent would, be a pod's server, or be a client. Each answer is one line: { id, value } or { id, error }.
import dgram from 'node:dgram'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { openNftables } from '../../src/drivers/dataplane/nftables.ts'
import { attachPod, detachPod, type PodAttachment } from '../../src/drivers/podnet.ts'
import type { OverlayPlan, RouteTable } from '../../src/world/dataplane.ts'
import type { Log } from '../../src/world/log.ts'

export type Ask =
  | { readonly kind: 'apply'; readonly table: RouteTable }
  | { readonly kind: 'connect'; readonly plan: OverlayPlan }
  | { readonly kind: 'clear' }
  | { readonly kind: 'attach'; readonly pod: PodAttachment }
  | { readonly kind: 'detach'; readonly name: string }
  /** TCP and UDP, both answer `<name> <client's address>`; the port after it gives back all that a TCP client says. */
  | { readonly kind: 'serve'; readonly name: string; readonly port: number; readonly host?: string }
  | { readonly kind: 'tcp'; readonly ip: string; readonly port: number; readonly from?: string }
  /** Sends that many bytes to an echo and answers how many came back. */
  | { readonly kind: 'bulk'; readonly ip: string; readonly port: number; readonly bytes: number }
  | { readonly kind: 'udp'; readonly ip: string; readonly port: number; readonly fromPort?: number }

const signal = new AbortController().signal
const write = (level: string) => (message: string, fields?: object) =>
  process.stderr.write(`${level} ${message} ${JSON.stringify(fields ?? {})}\n`)
const log: Log = { debug() {}, info: write('info'), warn: write('warn'), error: write('error'), with: () => log }
const clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms)),
  soon: (act: () => void) => void setImmediate(act),
  deadline: () => ({ signal, [Symbol.dispose]() {} }),
}
const dataplane = openNftables({ clock, log })
const udpSockets = new Map<number, dgram.Socket>()

async function serve(name: string, port: number, host: string): Promise<string> {
  const tcp = net.createServer(socket => {
    socket.on('error', () => {})
    socket.end(`${name} ${socket.remoteAddress}`)
  })
  const echo = net.createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  const udp = dgram.createSocket('udp4')
  udp.on('message', (_, from) => udp.send(`${name} ${from.address}`, from.port, from.address))
  await Promise.all([
    new Promise<void>((resolve, reject) => tcp.once('error', reject).listen(port, host, resolve)),
    new Promise<void>((resolve, reject) => echo.once('error', reject).listen(port + 1, host, resolve)),
    new Promise<void>((resolve, reject) => udp.once('error', reject).bind(port, host, resolve)),
  ])
  return 'serving'
}

/** What the server says; `refused`, `timeout`, or another error's code. */
function tcp(ip: string, port: number, from: string | undefined): Promise<string> {
  return new Promise(resolve => {
    const socket = net.connect({ host: ip, port, ...(from === undefined ? {} : { localAddress: from }) })
    let said = ''
    socket.setTimeout(4_000, () => {
      socket.destroy()
      resolve('timeout')
    })
    socket.on('data', chunk => {
      said += chunk.toString()
    })
    socket.on('end', () => resolve(said))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'ECONNREFUSED' ? 'refused' : (error.code ?? error.message)),
    )
  })
}

function bulk(ip: string, port: number, bytes: number): Promise<string> {
  return new Promise(resolve => {
    const socket = net.connect({ host: ip, port })
    let heard = 0
    socket.setTimeout(10_000, () => {
      socket.destroy()
      resolve(`stuck after ${heard}`)
    })
    socket.on('data', chunk => {
      heard += chunk.length
    })
    socket.on('end', () => resolve(String(heard)))
    socket.on('error', error => resolve(error.message))
    socket.end(Buffer.alloc(bytes))
  })
}

/** With `fromPort` the socket stays open and is used again: one client with one source port. */
async function udp(ip: string, port: number, fromPort: number | undefined): Promise<string> {
  let socket = fromPort === undefined ? undefined : udpSockets.get(fromPort)
  if (socket === undefined) {
    const fresh = dgram.createSocket('udp4')
    await new Promise<void>(resolve => fresh.bind(fromPort ?? 0, resolve))
    socket = fresh
    if (fromPort !== undefined) udpSockets.set(fromPort, fresh)
  }
  const asked = socket
  return new Promise(resolve => {
    const done = (value: string) => {
      clearTimeout(timer)
      asked.removeAllListeners()
      if (fromPort === undefined) asked.close()
      resolve(value)
    }
    const timer = setTimeout(() => done('timeout'), 1_500)
    asked.on('message', message => done(message.toString()))
    asked.on('error', (error: NodeJS.ErrnoException) => done(error.code === 'ECONNREFUSED' ? 'refused' : String(error)))
    asked.send('?', port, ip)
  })
}

async function perform(ask: Ask): Promise<string> {
  switch (ask.kind) {
    case 'apply':
      await dataplane.apply(ask.table, signal)
      return 'applied'
    case 'connect':
      await dataplane.connect(ask.plan, signal)
      return 'connected'
    case 'clear':
      await dataplane.clear()
      return 'cleared'
    case 'attach':
      await attachPod(ask.pod, signal)
      return 'attached'
    case 'detach':
      await detachPod(ask.name)
      return 'detached'
    case 'serve':
      return await serve(ask.name, ask.port, ask.host ?? '0.0.0.0')
    case 'tcp':
      return await tcp(ask.ip, ask.port, ask.from)
    case 'bulk':
      return await bulk(ask.ip, ask.port, ask.bytes)
    case 'udp':
      return await udp(ask.ip, ask.port, ask.fromPort)
  }
}

const lines = createInterface({ input: process.stdin })
lines.on('line', line => {
  const { id, ask } = JSON.parse(line) as { readonly id: number; readonly ask: Ask }
  perform(ask).then(
    value => process.stdout.write(`${JSON.stringify({ id, value })}\n`),
    (error: unknown) => process.stdout.write(`${JSON.stringify({ id, error: String(error) })}\n`),
  )
})
// The test's end, however it comes, closes stdin: nothing of ours outlives it.
lines.on('close', () => process.exit(0))
