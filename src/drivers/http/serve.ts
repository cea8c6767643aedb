// The API's port: TLS with optional client certificates, HTTP/2 and HTTP/1.1 on one socket, and upgrades to WebSocket and
// SPDY/3.1. It decides nothing: requests go to `handle`, answers come back. Every upgraded or failed upgrade connection is
// ours to close (CVE-2018-1002105), and nobody who is slow holds more than a socket.

import { constants } from 'node:crypto'
import type { IncomingMessage, ServerOptions, ServerResponse } from 'node:http'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  constants as http2,
  type ServerHttp2Session,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { ApiError } from '../../api/error.ts'
import { onAbort } from '../../lib/abort.ts'
import type { HttpRequest, HttpResponse, Identity } from '../../world/http.ts'
import type { Log } from '../../world/log.ts'
import { respond } from './respond.ts'
import { upgrade } from './upgrade.ts'

export type ServeOptions = {
  /** 0: any free one. */
  readonly port: number
  readonly hosts: readonly string[]
  /** PEM. */
  readonly key: string
  readonly cert: string
  /** Whose client certificates say who somebody is. */
  readonly ca: string
  handle(request: HttpRequest): Promise<HttpResponse>
  readonly log: Log
  /** Where they are to be others than the usual ones. */
  readonly bounds?: Partial<Bounds>
}

/** What one client may take up of the port. */
export type Bounds = {
  /** From the first byte of a request to the end of its headers. HTTP/1.1 alone: HTTP/2 bounds them by their size. */
  readonly headersMs: number
  /** From there to the end of the body. */
  readonly bodyMs: number
  readonly connectionsPerAddress: number
}

export const usualBounds: Bounds = { headersMs: 10_000, bodyMs: 60_000, connectionsPerAddress: 1_000 }

export type Served = {
  readonly port: number
  /** For new connections. */
  setCertificate(key: string, cert: string): void
  /** Resolves once the signal has ended everything. */
  readonly done: Promise<void>
}

const idleTimeoutMs = 180_000
const graceMs = 3_000

export async function serveHttps(options: ServeOptions, signal: AbortSignal): Promise<Served> {
  const servers: Http2SecureServer[] = []
  const sockets = new Set<Socket>()
  const perAddress = new Map<string, number>()
  const sessions = new Set<ServerHttp2Session>()
  let port = options.port
  try {
    for (const host of options.hosts) {
      const server = makeServer(options, sockets, perAddress, sessions)
      await listen(server, port, host)
      servers.push(server)
      const address = server.address()
      if (typeof address === 'object' && address !== null) port = address.port
    }
  } catch (error) {
    for (const server of servers) server.close()
    throw error
  }

  const done = new Promise<void>(resolve => {
    onAbort(signal, () => {
      let open = servers.length
      for (const server of servers) {
        server.close(() => {
          open -= 1
          if (open === 0) resolve()
        })
      }
      if (open === 0) resolve()
      // Watches end when their requests are aborted; what stays open after that is cut.
      setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, graceMs).unref()
      for (const session of sessions) session.close()
    })
  })
  return {
    port,
    setCertificate(key, cert) {
      for (const server of servers) server.setSecureContext({ key, cert, ca: options.ca })
    },
    done,
  }
}

/** Of the HTTP/1.1 side, which the types of node do not name for an Http2SecureServer, though it takes them. */
const http1 = ({ headersMs, bodyMs }: Bounds): Partial<ServerOptions> & { readonly headersTimeout: number } => ({
  headersTimeout: headersMs,
  requestTimeout: bodyMs,
  keepAliveTimeout: idleTimeoutMs,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 64 * 1024,
})

function listen(server: Http2SecureServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function makeServer(
  options: ServeOptions,
  sockets: Set<Socket>,
  perAddress: Map<string, number>,
  sessions: Set<ServerHttp2Session>,
): Http2SecureServer {
  const { log } = options
  const bounds = { ...usualBounds, ...options.bounds }
  const server = createSecureServer({
    key: options.key,
    cert: options.cert,
    ca: options.ca,
    allowHTTP1: true,
    requestCert: true,
    // Who brings none, or one that is not ours, may still bring a token.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    // A resumed session would keep an identity past its certificate.
    secureOptions: constants.SSL_OP_NO_TICKET,
    handshakeTimeout: 10_000,
    settings: { maxConcurrentStreams: 1_000, initialWindowSize: 1024 * 1024, maxHeaderListSize: 64 * 1024 },
    maxSessionMemory: 128,
    unknownProtocolTimeout: 10_000,
    ...http1(bounds),
  })
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    const count = perAddress.get(address) ?? 0
    if (count >= bounds.connectionsPerAddress) {
      socket.destroy()
      return
    }
    perAddress.set(address, count + 1)
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      const left = (perAddress.get(address) ?? 1) - 1
      if (left > 0) perAddress.set(address, left)
      else perAddress.delete(address)
    })
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => {})
  })
  server.on('session', session => {
    let streams = 0
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('stream', stream => {
      streams += 1
      stream.on('close', () => {
        streams -= 1
      })
    })
    session.on('error', () => {})
    session.setTimeout(idleTimeoutMs, () => {
      if (streams === 0) session.close()
    })
  })
  server.on('sessionError', error => log.debug('an HTTP/2 session failed', { error: error.message }))
  server.on('tlsClientError', error => log.debug('a TLS handshake failed', { error: error.message }))
  server.on('clientError', (_error: Error, socket: Socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    else socket.destroy()
  })
  server.on('request', (request, response) => {
    serveOne(options, request as unknown as IncomingMessage, response as unknown as ServerResponse).catch(error => {
      log.error('a request could not be answered', { error: String(error) })
      response.stream?.destroy?.()
      ;(response as unknown as ServerResponse).destroy?.()
    })
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.setNoDelay(true)
    socket.on('error', () => {})
    const controller = new AbortController()
    socket.on('close', () => controller.abort())
    const wanted = (request.headers['upgrade'] ?? '').toLowerCase()
    const kind = wanted === 'websocket' ? 'websocket' : wanted === 'spdy/3.1' ? 'spdy' : undefined
    const asked: HttpRequest = {
      ...headOf(request, socket as TLSSocket),
      upgrade: kind,
      body: async () => new Uint8Array(),
      signal: controller.signal,
    }
    upgrade(asked, options.handle, request, socket, head, controller.signal).catch(error => {
      log.debug('an upgraded connection ended with an error', { path: asked.path, error: String(error) })
      socket.destroy()
    })
  })
  return server
}

/** Made once: each new one would look at the stack. */
const over = new DOMException('the request is over', 'AbortError')

async function serveOne(options: ServeOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const asked = new Asked(request, response, options.bounds?.bodyMs ?? usualBounds.bodyMs)
  response.on('close', () => asked.end())
  response.on('error', () => asked.end())
  const answer = await options.handle(asked)
  await respond(answer, request.method ?? 'GET', asked.headers['accept-encoding'] ?? '', response, asked)
}

type Head = ReturnType<typeof headOf>

/** A class, for there are many: objects with a getter of their own would each have a shape of their own. */
class Asked implements HttpRequest {
  readonly method: Head['method']
  readonly path: Head['path']
  readonly query: Head['query']
  readonly headers: Head['headers']
  readonly certificate: Head['certificate']
  readonly remote: Head['remote']
  readonly upgrade = undefined
  isOver = false
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #bodyMs: number
  #controller: AbortController | undefined

  constructor(request: IncomingMessage, response: ServerResponse, bodyMs: number) {
    const { method, path, query, headers, certificate, remote } = headOf(request, tlsSocketOf(request))
    this.method = method
    this.path = path
    this.query = query
    this.headers = headers
    this.certificate = certificate
    this.remote = remote
    this.#request = request
    this.#response = response
    this.#bodyMs = bodyMs
  }

  body(bytesMax: number) {
    return readBody(this.#request, this.#response, bytesMax, this.#bodyMs)
  }

  /** Made when somebody asks for it: most requests are answered before anybody has to wait. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.isOver) this.#controller.abort(over)
    }
    return this.#controller.signal
  }

  end(): void {
    this.isOver = true
    this.#controller?.abort(over)
  }
}

function tlsSocketOf(request: IncomingMessage | Http2ServerRequest): TLSSocket | undefined {
  const session = (request as Http2ServerRequest).stream?.session
  return (session?.socket ?? request.socket) as TLSSocket | undefined
}

function headOf(request: IncomingMessage, socket: TLSSocket | undefined) {
  const url = request.url ?? '/'
  const at = url.indexOf('?')
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  const sent = request.headers
  for (const name in sent) {
    const value = sent[name]
    // Those with a colon are HTTP/2's own.
    if (value === undefined || name.startsWith(':')) continue
    headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  const authority = request.headers[':authority']
  if (typeof authority === 'string') headers['host'] ??= authority
  return {
    method: request.method ?? 'GET',
    path: at < 0 ? url : url.slice(0, at),
    query: at < 0 ? '' : url.slice(at + 1),
    headers,
    certificate: identityOf(socket),
    remote: socket?.remoteAddress ?? '',
  }
}

type Subject = { readonly identity: Identity; readonly endMs: number }
const subjects = new WeakMap<TLSSocket, Subject | undefined>()

/** CN is the user and each O a group, of a certificate that the CA signed and that is not over. */
function identityOf(socket: TLSSocket | undefined): Identity | undefined {
  if (socket === undefined || socket.authorized !== true) return undefined
  // Read once: a certificate is parsed anew each time it is asked for, and stays the same as long as the connection.
  if (!subjects.has(socket)) subjects.set(socket, subjectOf(socket))
  const subject = subjects.get(socket)
  return subject !== undefined && subject.endMs >= Date.now() ? subject.identity : undefined
}

function subjectOf(socket: TLSSocket): Subject | undefined {
  const { subject, valid_to: end } = socket.getPeerCertificate()
  const { CN: user, O: organizations } = subject as { readonly CN?: string; readonly O?: string | string[] }
  if (typeof user !== 'string' || user === '') return undefined
  const groups = organizations === undefined ? [] : [organizations].flat()
  return { identity: { user, groups }, endMs: Date.parse(end) }
}

/** undefined when there is more than `bytesMax`; what comes after that is not kept. */
function readBody(request: IncomingMessage, response: ServerResponse, bytesMax: number, timeoutMs: number) {
  const announced = Number(request.headers['content-length'] ?? '0')
  if (announced > bytesMax) {
    closeAfter(response)
    return Promise.resolve(undefined)
  }
  return new Promise<Uint8Array | undefined>((resolve, reject) => {
    const parts: Buffer[] = []
    let length = 0
    const timer = setTimeout(() => {
      request.pause()
      closeAfter(response)
      reject(new ApiError('BadRequest', 'the body did not come in time'))
    }, timeoutMs)
    request.on('data', (part: Buffer) => {
      length += part.length
      if (length <= bytesMax) {
        parts.push(part)
        return
      }
      clearTimeout(timer)
      request.pause()
      closeAfter(response)
      resolve(undefined)
    })
    request.on('end', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(parts))
    })
    request.on('error', error => {
      clearTimeout(timer)
      reject(new ApiError('BadRequest', 'the body broke off', undefined, { cause: error }))
    })
    request.on('close', () => {
      clearTimeout(timer)
      if (!request.complete) reject(new ApiError('BadRequest', 'the client went before its body had come'))
    })
  })
}

/** The rest of the body is not read: over HTTP/1.1 the connection cannot be used again, over HTTP/2 the stream ends. */
function closeAfter(response: ServerResponse | Http2ServerResponse): void {
  if (response.req.httpVersionMajor === 1) {
    ;(response as ServerResponse).setHeader('connection', 'close')
    return
  }
  const { stream } = response as Http2ServerResponse
  stream.on('finish', () => stream.close(http2.NGHTTP2_NO_ERROR))
}
