// libp2p's TLS 1.3 (specs/tls) straight on the TCP socket: the library's own module puts it on a stream of JavaScript, which
// costs each message two more trips through it. The bytes on the wire are the same. Peers of ours agree by ALPN to have a
// lane (secure.ts) beside the multiplexer; with others it is left out. What is no plain socket goes to the library's module.
import { Socket } from 'node:net'
import { connect, TLSSocket } from 'node:tls'
import type {
  ConnectionEncrypter,
  Logger,
  MessageStream,
  PrivateKey,
  SecureConnectionOptions,
  SecuredConnection,
  StreamMuxerFactory,
} from '@libp2p/interface'
import { generateCertificate, verifyPeerCertificate } from '@libp2p/tls/utils'
import { AbstractMessageStream } from '@libp2p/utils'
import { onAbort } from '../../lib/abort.ts'
import { SecureConnection } from './secure.ts'

const laneProtocol = '/flotilla/lane+yamux/2'

export type NativeTlsConfig = {
  readonly privateKey: PrivateKey
  /** For connections that are not made on a socket of this process. */
  readonly library: ConnectionEncrypter
  readonly muxer: StreamMuxerFactory
  readonly log: Logger
  /** Called for each connection that was made. */
  readonly secured: (wire: MessageStream, connection: SecureConnection) => void
}

export function nativeTls({ privateKey, library, muxer, log, secured: tell }: NativeTlsConfig): ConnectionEncrypter {
  async function secure(
    wire: MessageStream,
    isServer: boolean,
    options: SecureConnectionOptions = {},
  ): Promise<SecuredConnection> {
    const certificate = await generateCertificate(privateKey, options)
    const socket = takeSocket(wire)
    if (socket === undefined) throw new Error('the connection ended before it was encrypted')
    const wantsMuxer = options.skipStreamMuxerNegotiation !== true
    const protocols = wantsMuxer ? [laneProtocol, muxer.protocol, 'libp2p'] : ['libp2p']
    const settings = {
      ...certificate,
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      // Certificates are made by the peers themselves: what they prove is looked at below.
      rejectUnauthorized: false,
      ALPNProtocols: protocols,
    } as const
    const secured = isServer
      ? new TLSSocket(socket, { ...settings, isServer: true, requestCert: true })
      : connect({ socket, ...settings })
    endByEncryption(wire, secured)
    const { promise: ended, reject } = Promise.withResolvers<never>()
    secured.on('error', reject)
    secured.once('close', () => reject(new Error('the connection ended before it was encrypted')))
    using _listener =
      options.signal && onAbort(options.signal, () => reject(options.signal?.reason ?? new Error('out of time')))
    // Once all is done, its end is told by the connection's own events.
    ended.catch(() => {})
    try {
      await Promise.race([new Promise<void>(resolve => secured.once('secure', () => resolve())), ended])
      const { raw } = secured.getPeerCertificate()
      const remotePeer = await verifyPeerCertificate(raw, options.remotePeer, log)
      const chosen = wantsMuxer ? secured.alpnProtocol : false
      const hasLane = chosen === laneProtocol
      const connection = new SecureConnection(wire, secured, hasLane)
      tell(wire, connection)
      if (!hasLane && chosen !== muxer.protocol) return { remotePeer, connection }
      // A client of TLS 1.3 is done before the server has looked at its certificate. The server's multiplexer pings as soon
      // as it is made: until then a connection that will be refused looks like one.
      if (!isServer) await Promise.race([heard(connection), ended])
      return { remotePeer, connection, streamMuxer: muxer }
    } catch (error) {
      secured.destroy()
      wire.abort(error instanceof Error ? error : new Error(String(error)))
      throw error
    }
  }

  const hasSocket = (wire: MessageStream) => 'socket' in wire && wire.socket instanceof Socket
  return {
    protocol: library.protocol,
    secureInbound: (wire, options) =>
      hasSocket(wire) ? secure(wire, true, options) : library.secureInbound(wire, options),
    secureOutbound: (wire, options) =>
      hasSocket(wire) ? secure(wire, false, options) : library.secureOutbound(wire, options),
  }
}

function heard(connection: SecureConnection): Promise<void> {
  return new Promise(resolve => {
    connection.onHeard = resolve
  })
}

/** The socket beneath, with what was read from it already put back; undefined when it is gone. From now on it is ours. */
function takeSocket(wire: MessageStream): Socket | undefined {
  if (!('socket' in wire && wire.socket instanceof Socket && wire instanceof AbstractMessageStream)) return undefined
  const { socket } = wire
  if (socket.destroyed) return undefined
  socket.removeAllListeners('data')
  socket.removeAllListeners('drain')
  socket.pause()
  const early = readBufferOf(wire)
  if (early.length > 0) socket.unshift(early)
  return socket
}

/**
 * The library would close the socket beneath the encryption, which then works on a handle that is gone: that crashes
 * Node. Closed from above, both end in order.
 */
function endByEncryption(wire: MessageStream, secured: TLSSocket): void {
  const inner = wire as unknown as { sendReset(): void; sendClose(): Promise<void> }
  inner.sendReset = () => void secured.destroy()
  inner.sendClose = async () => {
    if (secured.closed) return
    const closed = new Promise<void>(resolve => secured.once('close', () => resolve()))
    secured.destroySoon()
    await closed
  }
}

/** What was read before the encryption began. The library hides it by type alone. */
function readBufferOf(wire: AbstractMessageStream): Uint8Array {
  const { readBuffer } = wire as unknown as {
    readBuffer: { byteLength: number; subarray(): Uint8Array; consume(count: number): void }
  }
  const bytes = readBuffer.subarray().slice()
  readBuffer.consume(readBuffer.byteLength)
  return bytes
}
