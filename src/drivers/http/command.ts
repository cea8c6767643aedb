// exec and attach in all the protocols that kubectl 1.27 to 1.33 and other clients speak, as one CommandSession.
// WebSocket: channels in the first byte of each message. SPDY: one stream per channel.
// https://kubernetes.io/docs/reference/using-api/api-concepts/ and k8s.io/apimachinery remotecommand constants
import type { WebSocket } from 'ws'
import { type Bytes, concat, text, utf8 } from '../../lib/bytes.ts'
import type { CommandSession, CommandStreams } from '../../world/http.ts'
import { ByteQueue } from './queue.ts'
import type { SpdyConnection, SpdyStream } from './spdy.ts'
import { bytesOf, close, send } from './websocket.ts'

export const commandWebSocketProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
  '',
]
export const commandSpdyProtocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
  '',
]

const streamWaitMs = 30_000
const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 }
const resizeBytesMax = 1_024

type Size = { readonly width: number; readonly height: number }

/** {"Width":80,"Height":24}; what is no size is passed over. */
function sizeOf(json: string): Size | undefined {
  try {
    const { Width: width, Height: height } = JSON.parse(json) as { readonly Width?: unknown; readonly Height?: unknown }
    const sound = [width, height].every(n => typeof n === 'number' && Number.isInteger(n) && n >= 0 && n < 65_536)
    return sound ? { width: width as number, height: height as number } : undefined
  } catch {
    return undefined
  }
}

async function* sizes(source: AsyncIterable<Bytes>): AsyncGenerator<Size> {
  for await (const bytes of source) {
    const size = sizeOf(text(bytes))
    if (size !== undefined) yield size
  }
}

export function commandOverWebSocket(client: WebSocket, protocol: string, streams: CommandStreams): CommandSession {
  const base64 = protocol.includes('base64')
  const old = !protocol.startsWith('v4') && !protocol.startsWith('v5')
  const resume = () => client.resume()
  const stdin = new ByteQueue(resume)
  const resizes = new ByteQueue(resume)
  if (!streams.stdin) stdin.end()

  client.on('message', data => {
    const bytes = bytesOf(data)
    if (bytes.length === 0) return
    const to = (bytes[0] ?? 0) - (base64 ? 48 : 0)
    const rest = bytes.subarray(1)
    const payload = base64 ? Buffer.from(text(rest), 'base64') : rest
    if (to === channel.stdin) {
      if (streams.stdin && !stdin.push(payload)) client.pause()
    } else if (to === channel.resize) {
      if (payload.length > 0 && payload.length <= resizeBytesMax) resizes.push(payload)
    } else if (to === channel.close && protocol.startsWith('v5') && payload[0] === channel.stdin) stdin.end()
  })
  client.on('close', () => {
    stdin.end()
    resizes.end()
  })

  const write = (to: number, bytes: Bytes): Promise<void> =>
    send(client, base64 ? `${to}${Buffer.from(bytes).toString('base64')}` : concat([Uint8Array.of(to), bytes]))
  // Says that the connection stands, as upstream does: some clients wait for it.
  write(streams.stdout ? channel.stdout : streams.stderr ? channel.stderr : channel.error, new Uint8Array()).catch(() =>
    client.terminate(),
  )
  return {
    stdin: stdin.read(),
    resizes: sizes(resizes.read()),
    stdout: bytes => (streams.stdout ? write(channel.stdout, bytes) : Promise.resolve()),
    stderr: bytes => (streams.stderr ? write(channel.stderr, bytes) : Promise.resolve()),
    async finish(status) {
      const last = old ? failureText(status) : status
      if (last !== undefined) await write(channel.error, utf8(last))
      close(client)
    },
  }
}

/** The protocols before v4 know no Status: nothing for success, a sentence for failure. */
function failureText(status: string): string | undefined {
  const { status: outcome, message } = JSON.parse(status) as { readonly status?: string; readonly message?: string }
  return outcome === 'Success' ? undefined : (message ?? 'the command failed')
}

/** Waits for the streams that the client has to open; rejects when they do not come. */
export async function commandOverSpdy(
  connection: SpdyConnection,
  protocol: string,
  wanted: CommandStreams,
): Promise<CommandSession> {
  const version = Number(/^v(\d)/.exec(protocol)?.[1] ?? '1')
  const expected = new Set(['error'])
  if (wanted.stdin) expected.add('stdin')
  if (wanted.stdout) expected.add('stdout')
  if (wanted.stderr) expected.add('stderr')
  if (wanted.tty && version >= 3) expected.add('resize')

  const found = new Map<string, SpdyStream>()
  const timer = setTimeout(() => void connection.close(), streamWaitMs)
  try {
    const opened = connection.streams()[Symbol.asyncIterator]()
    while (found.size < expected.size) {
      const next = await opened.next()
      if (next.done === true) throw new Error('the client has not opened the streams that it asked for')
      const type = next.value.headers['streamtype'] ?? ''
      if (expected.has(type) && !found.has(type)) found.set(type, next.value)
      else next.value.reset()
    }
  } finally {
    clearTimeout(timer)
  }
  const stream = (type: string): SpdyStream | undefined => found.get(type)
  const nothing = new ByteQueue()
  nothing.end()
  return {
    stdin: stream('stdin')?.read() ?? nothing.read(),
    resizes: lines(stream('resize')?.read()),
    stdout: async bytes => stream('stdout')?.write(bytes),
    stderr: async bytes => stream('stderr')?.write(bytes),
    async finish(status) {
      const last = version >= 4 ? status : failureText(status)
      if (last !== undefined) await stream('error')?.write(utf8(last))
      for (const each of found.values()) await each.closeWrite()
      await connection.close()
    },
  }
}

/** Over SPDY sizes come as JSON texts one after the other, each with a line end, and a frame may hold several. */
async function* lines(source: AsyncIterable<Bytes> | undefined): AsyncGenerator<Size> {
  if (source === undefined) return
  let rest = ''
  for await (const bytes of source) {
    rest += text(bytes)
    const parts = rest.split(/(?<=\})/)
    rest = parts.at(-1)?.includes('}') ? '' : (parts.pop() ?? '')
    if (rest.length > resizeBytesMax) return
    for (const part of parts) {
      const size = sizeOf(part)
      if (size !== undefined) yield size
    }
  }
}
