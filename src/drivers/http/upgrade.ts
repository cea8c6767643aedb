// A connection that wants to become something else. `handle` says what: exec and attach, port-forward, or a stream of
// messages (logs, watches); anything else is an answer after which the connection is closed.
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Bytes } from '../../lib/bytes.ts'
import type { HttpRequest, HttpResponse } from '../../world/http.ts'
import { commandOverSpdy, commandOverWebSocket, commandSpdyProtocols, commandWebSocketProtocols } from './command.ts'
import { forwardOverSpdy, forwardSpdyProtocols, forwardWebSocketProtocols } from './forward.ts'
import { openSpdy, type Transport } from './spdy.ts'
import { accept, choose, close, offered, send, transportOf } from './websocket.ts'

const streamWebSocketProtocols = ['', 'binary.k8s.io', 'base64.binary.k8s.io']

export async function upgrade(
  asked: HttpRequest,
  handle: (request: HttpRequest) => Promise<HttpResponse>,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  signal: AbortSignal,
): Promise<void> {
  if (asked.upgrade === undefined) return refuse(socket, 400, 'this connection can become a WebSocket or SPDY/3.1')
  const answer = await handle(asked)
  if (signal.aborted) return
  if (answer.kind === 'tunnel') return await tunnel(answer, socket, head, signal)
  if (asked.upgrade === 'websocket') await overWebSocket(answer, request, socket, head, signal)
  else await overSpdy(answer, request, socket, head, signal)
}

type Upgraded = Exclude<HttpResponse, { readonly kind: 'tunnel' }>

async function overWebSocket(
  answer: Upgraded,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  signal: AbortSignal,
) {
  const offers = offered(request)
  const pick = (spoken: readonly string[]) => choose(offers, spoken)
  const unknown = () => refuse(socket, 403, `none of the sub-protocols offered is spoken here: ${offers.join(', ')}`)
  switch (answer.kind) {
    case 'whole':
      return end(socket, answer.code, answer.headers, answer.body)
    case 'stream': {
      const protocol = pick(streamWebSocketProtocols)
      if (protocol === undefined) return unknown()
      const client = await accept(request, socket, head, protocol)
      const base64 = protocol.startsWith('base64')
      for await (const chunk of answer.body) {
        if (signal.aborted) break
        if (chunk.length === 0) continue
        const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
        const watch = answer.headers['content-type'] === 'application/json' && protocol === ''
        await send(
          client,
          base64 ? Buffer.from(bytes).toString('base64') : watch ? Buffer.from(bytes).toString() : bytes,
        )
      }
      return close(client)
    }
    case 'command': {
      const protocol = pick(commandWebSocketProtocols)
      if (protocol === undefined) return unknown()
      const client = await accept(request, socket, head, protocol)
      return await answer.run(commandOverWebSocket(client, protocol, answer.streams), signal)
    }
    case 'forward': {
      const protocol = pick(forwardWebSocketProtocols)
      if (protocol === undefined) return unknown()
      const client = await accept(request, socket, head, protocol)
      const connection = openSpdy(transportOf(client))
      return await answer.run(forwardOverSpdy(connection), signal)
    }
  }
}

async function overSpdy(answer: Upgraded, request: IncomingMessage, socket: Duplex, head: Buffer, signal: AbortSignal) {
  if (answer.kind === 'whole') return end(socket, answer.code, answer.headers, answer.body)
  if (answer.kind === 'stream') return refuse(socket, 400, 'this is not given over SPDY')
  const spoken = answer.kind === 'command' ? commandSpdyProtocols : forwardSpdyProtocols
  const header = String(request.headers['x-stream-protocol-version'] ?? '')
  const offers = header
    .split(',')
    .map(text => text.trim())
    .filter(text => text !== '')
  const protocol = offers.length === 0 ? spoken.at(-1) : offers.find(offer => spoken.includes(offer))
  if (protocol === undefined) {
    const accepted = spoken.filter(each => each !== '').join(', ')
    const headers = { 'x-accepted-stream-protocol-versions': accepted }
    return end(
      socket,
      403,
      headers,
      `unable to negotiate protocol: client supports ${header}, server accepts ${accepted}`,
    )
  }
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: SPDY/3.1']
  if (protocol !== '') lines.push(`X-Stream-Protocol-Version: ${protocol}`)
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  if (head.length > 0) socket.unshift(head)
  const connection = openSpdy(transportOfSocket(socket))
  if (answer.kind === 'forward') return await answer.run(forwardOverSpdy(connection), signal)
  return await answer.run(await commandOverSpdy(connection, protocol, answer.streams), signal)
}

async function tunnel(
  { headers, run }: Extract<HttpResponse, { readonly kind: 'tunnel' }>,
  socket: Duplex,
  head: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value.replace(/[\r\n]/g, ' ')}`)
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`)
  if (head.length > 0) socket.unshift(head)
  const { read, write } = transportOfSocket(socket)
  const client = { read, write, closeWrite: async () => void socket.end(), abort: () => void socket.destroy() }
  await run(client, signal)
}

function transportOfSocket(socket: Duplex): Transport {
  return {
    // Whoever has no more to say may still listen.
    read: () => socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Bytes>,
    write: bytes =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) reject(new Error('the connection is closed'))
        else socket.write(bytes, error => (error ? reject(error) : resolve()))
      }),
    close: () => void socket.end(),
  }
}

function refuse(socket: Duplex, code: number, message: string): void {
  end(socket, code, { 'content-type': 'text/plain' }, `${message}\n`)
}

/** An answer instead of an upgrade; the connection serves nothing after it. */
function end(socket: Duplex, code: number, headers: Readonly<Record<string, string>>, body: string | Bytes): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const fields = { ...headers, 'content-length': String(bytes.length), connection: 'close' }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value.replace(/[\r\n]/g, ' ')}`)
  socket.write(`HTTP/1.1 ${code} ${STATUS_CODES[code] ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n`)
  socket.end(bytes)
}
