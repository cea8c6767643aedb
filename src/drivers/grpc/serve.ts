// gRPC's port: HTTP/2 on plain TCP (with prior knowledge, as gRPC does it) or on TLS with client certificates. It decides
// nothing: calls go to the service. What a client may cost is in limits.ts.
import { constants } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { onAbort } from '../../lib/abort.ts'
import type { GrpcService } from '../../world/grpc.ts'
import type { Log } from '../../world/log.ts'
import { Connection, type Shared } from './connection.ts'
import { Deadlines } from './deadlines.ts'
import * as limits from './limits.ts'
import { Output } from './output.ts'

export type GrpcTls = {
  /** PEM. */
  readonly key: string
  readonly cert: string
  /** Whose client certificates are taken; without one nobody is let in. */
  readonly ca: string
  /** Who may call, by what the certificate says of its subject: common name, and organisations. */
  allow(user: string, groups: readonly string[]): boolean
}

export type GrpcOptions = {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Undefined: plain TCP, and whoever reaches the port may do all. */
  readonly tls: GrpcTls | undefined
  readonly service: GrpcService
  readonly messageBytesMax?: number
  readonly log: Log
}

export type GrpcServer = {
  readonly port: number
  /** Resolves once the signal has ended everything. */
  readonly done: Promise<void>
}

const tendMs = 5_000
const lingerMs = 1_000
/** Calls that are being answered get so long when the server stops. */
const graceMs = 2_000

/** Rejects when the address cannot be listened on. */
export async function serveGrpc(options: GrpcOptions, signal: AbortSignal): Promise<GrpcServer> {
  const { log } = options
  const messageBytesMax = Math.min(options.messageBytesMax ?? limits.messageBytesMax, limits.messageBytesMax)
  const shared: Shared = { service: options.service, deadlines: new Deadlines(), messageBytesMax, partialBytes: 0 }
  const connections = new Map<Socket, Connection>()

  function accept(socket: Socket): void {
    // The TLS layer and its socket both end here; errors say no more than that a client has gone.
    socket.on('error', error => log.debug('a gRPC connection broke', { error: String(error) }))
    if (signal.aborted || connections.size >= limits.connectionCountMax) {
      socket.destroy()
      return
    }
    socket.setNoDelay(true)
    const connection = new Connection(shared, new Output(socket), wireOf(socket), performance.now())
    connections.set(socket, connection)
    const greeting = setTimeout(() => connection.isGreeted || socket.destroy(), limits.greetingTimeoutMs)
    greeting.unref()
    socket.on('data', chunk => {
      connection.heard()
      connection.receive(chunk)
    })
    socket.on('drain', () => connection.drained())
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      clearTimeout(greeting)
      connections.delete(socket)
      connection.lost()
    })
  }

  const server = options.tls === undefined ? createServer(accept) : tlsServer(options.tls, log, accept)
  await listen(server, options.port, options.host)
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port

  const tending = setInterval(() => {
    const now = performance.now()
    for (const [socket, connection] of connections) {
      if (connection.tend(now)) continue
      log.info('a gRPC client that does not answer was cut off', { remote: socket.remoteAddress ?? '' })
      socket.destroy()
    }
  }, tendMs)
  tending.unref()

  const { promise: done, resolve } = Promise.withResolvers<void>()
  onAbort(signal, () => {
    clearInterval(tending)
    const cut = setTimeout(() => {
      for (const socket of connections.keys()) socket.destroy()
    }, graceMs)
    server.close(() => {
      clearTimeout(cut)
      shared.deadlines.stop()
      resolve()
    })
    for (const connection of connections.values()) connection.leave()
  })
  return { port, done }
}

function wireOf(socket: Socket) {
  return {
    pause() {
      socket.pause()
    },
    resume() {
      socket.resume()
    },
    end() {
      // What was written in this turn leaves at its end, and must leave before the end does. What the client still says
      // is read and dropped for a while: closing on unread bytes would take away what it has not read yet.
      process.nextTick(() => {
        socket.end()
        socket.resume()
        setTimeout(() => socket.destroy(), lingerMs).unref()
      })
    },
  }
}

function tlsServer(tls: GrpcTls, log: Log, accept: (socket: TLSSocket) => void): Server {
  const server = createTlsServer({
    key: tls.key,
    cert: tls.cert,
    ca: tls.ca,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['h2'],
    // A resumed session would keep an identity past its certificate.
    secureOptions: constants.SSL_OP_NO_TICKET,
    handshakeTimeout: limits.greetingTimeoutMs,
  })
  server.on('secureConnection', socket => {
    const { subject } = socket.getPeerCertificate()
    const groups = [subject?.O ?? []].flat()
    const user = [subject?.CN ?? ''].flat()[0] ?? ''
    if (socket.authorized && tls.allow(user, groups)) return accept(socket)
    log.warn('a gRPC client was refused: its certificate does not name a group that may', { user })
    socket.destroy()
  })
  server.on('tlsClientError', error => log.debug('a TLS handshake failed', { error: String(error) }))
  return server
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
