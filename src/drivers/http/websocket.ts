// WebSocket connections as Kubernetes' clients use them: the handshake with a sub-protocol of our choice, messages in and
// out with back-pressure, and a watch on clients that have silently gone.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import type { Bytes } from '../../lib/bytes.ts'
import { ByteQueue } from './queue.ts'
import type { Transport } from './spdy.ts'

const messageBytesMax = 4 * 1024 * 1024
const pingEveryMs = 30_000
const closeWaitMs = 5_000

const chosen = new WeakMap<IncomingMessage, string>()
const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: messageBytesMax })
server.on('headers', (headers, request) => {
  const protocol = chosen.get(request)
  if (protocol !== undefined && protocol !== '') headers.push(`Sec-WebSocket-Protocol: ${protocol}`)
})

/** What the client offers, in its order. */
export function offered(request: IncomingMessage): readonly string[] {
  const header = request.headers['sec-websocket-protocol'] ?? ''
  return header
    .split(',')
    .map(text => text.trim())
    .filter(text => text !== '')
}

/** The first that the client offers and that we speak; '' when it offers none and that is spoken too. */
export function choose(offers: readonly string[], spoken: readonly string[]): string | undefined {
  if (offers.length === 0) return spoken.includes('') ? '' : undefined
  return offers.find(offer => spoken.includes(offer))
}

export function accept(request: IncomingMessage, socket: Duplex, head: Buffer, protocol: string): Promise<WebSocket> {
  chosen.set(request, protocol)
  // ws takes no sub-protocol with a slash in its name, as port-forward's has, so it is not shown the header.
  delete request.headers['sec-websocket-protocol']
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('the client went during the handshake'))
    socket.once('close', onClose)
    server.handleUpgrade(request, socket, head, client => {
      socket.off('close', onClose)
      watchOver(client)
      resolve(client)
    })
  })
}

/** A client whose machine is gone says nothing: it is dropped after two pings without an answer. */
function watchOver(client: WebSocket): void {
  let missed = 0
  const timer = setInterval(() => {
    missed += 1
    if (missed > 2) client.terminate()
    else client.ping()
  }, pingEveryMs)
  timer.unref()
  const alive = () => {
    missed = 0
  }
  client.on('pong', alive)
  client.on('ping', alive)
  client.on('message', alive)
  client.on('close', () => clearInterval(timer))
  client.on('error', () => client.terminate())
}

export function bytesOf(data: RawData): Bytes {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}

/** Resolves when the message has gone to the operating system; rejects when the client is gone. */
export function send(client: WebSocket, message: string | Bytes): Promise<void> {
  return new Promise((resolve, reject) => {
    client.send(message, error => (error ? reject(error) : resolve()))
  })
}

/** Closes in good order; a client that does not answer is cut off. */
export function close(client: WebSocket, code = 1000): void {
  client.close(code)
  const timer = setTimeout(() => client.terminate(), closeWaitMs)
  timer.unref()
  client.on('close', () => clearTimeout(timer))
}

/** The binary messages of a WebSocket as one stream of bytes: what SPDY is tunnelled in. */
export function transportOf(client: WebSocket): Transport {
  const queue = new ByteQueue(() => client.resume())
  client.on('message', (data: RawData) => {
    if (!queue.push(bytesOf(data))) client.pause()
  })
  client.on('close', () => queue.end())
  return {
    read: () => queue.read(),
    write: bytes => send(client, bytes),
    close: () => close(client),
  }
}
