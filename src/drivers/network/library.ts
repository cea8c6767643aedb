// The library, set up: what it may do by itself, what it must not, and the watch over silent links. Everything that it does
// with peers on its own account (identify, gossip) passes our gate, because its own services would serve strangers.
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { type GossipSub, gossipsub } from '@libp2p/gossipsub'
import { type Identify, identify } from '@libp2p/identify'
import type {
  ComponentLogger,
  Connection,
  ConnectionEncrypter,
  ConnectionGater,
  Libp2p,
  PeerId as LibraryPeerId,
  Logger,
  MessageStream,
  Stream,
  StreamMuxerFactory,
  Topology,
  Upgrader,
} from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { mdns } from '@libp2p/mdns'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { createLibp2p } from 'libp2p'
import type { Bytes } from '../../lib/bytes.ts'
import type { Clock } from '../../world/clock.ts'
import type { Log } from '../../world/log.ts'
import { type PeerId, peerId } from '../../world/network.ts'
import { usefulAddresses } from './address.ts'
import { errorText } from './errors.ts'
import { SecureConnection } from './secure.ts'
import { nativeTls } from './tls.ts'

export const gossipBytesMax = 256 * 1024
const never = 2 ** 31 - 1
/** How long Noise is used alone after a peer's clock made TLS impossible. */
const noiseAloneMs = 10 * 60_000

export type LibraryConfig = {
  readonly privateKey: Bytes
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly mdns: boolean
  readonly pingMs: number
}

export type Library = {
  readonly node: Libp2p<{ identify: Identify; pubsub: GossipSub }>
  /** Tells gossip that an admitted peer is there. Idempotent. */
  introduce(connection: Connection): void
  dismiss(peer: LibraryPeerId): void
  /** Cuts each connection that has brought no byte for `silenceMs`; how many there were. */
  cutSilent(silenceMs: number): number
  /** To be called now and then: goes back to TLS when its time has come. */
  refresh(): void
  /** The encryption of this connection, when it has a lane for messages. */
  lane(connection: Connection): SecureConnection | undefined
}

/** Not started yet: handlers go in first. `refuse` ends a stream of a peer that is not `admitted`. */
export async function createLibrary(
  clock: Clock,
  log: Log,
  config: LibraryConfig,
  gater: ConnectionGater,
  admitted: (peer: PeerId) => boolean,
  refuse: (stream: Stream, peer: PeerId) => void,
): Promise<Library> {
  /** By the wire beneath it, which is all that the library shows of a connection's inside. */
  const lanes = new WeakMap<object, SecureConnection>()
  const secured = (wire: MessageStream, connection: SecureConnection): void => {
    if (connection.hasLane) lanes.set(wire, connection)
  }
  const links = new Set<{ readonly wire: MessageStream; heardMs: number }>()
  /** Gossipsub's hooks for peers that come and go. The library would call them for anybody, and not for peers that it has
   * forgotten after six hours; we call them ourselves. */
  const topologies = new Set<Topology>()
  let upgrader: Upgrader | undefined
  let tlsAgainMs: number | undefined

  // The muxer pings; any byte that comes shows that the other side lives, so a link that is busy one way is not taken for
  // dead because the pong waits behind a snapshot.
  function watched(factory: StreamMuxerFactory): StreamMuxerFactory {
    return {
      protocol: factory.protocol,
      createStreamMuxer(wire) {
        const muxer = factory.createStreamMuxer(wire)
        const link = { wire, heardMs: clock.monotonicMs() }
        links.add(link)
        const heard = () => {
          link.heardMs = clock.monotonicMs()
        }
        if (wire instanceof SecureConnection) wire.onHeard = heard
        else wire.addEventListener('message', heard)
        wire.addEventListener('close', () => links.delete(link))
        return muxer
      },
    }
  }

  // libp2p's TLS dates its certificate one hour back and checks the other's dates: a Pi that starts without a clock could reach
  // nobody, and so never set its clock. Noise knows no time. When TLS fails for this reason, only Noise is offered for a while.
  function timeless(secure: ConnectionEncrypter): ConnectionEncrypter {
    const guard = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work
      } catch (error) {
        if (/not valid yet|has expired/i.test(errorText(error))) useNoiseAlone()
        throw error
      }
    }
    return {
      protocol: secure.protocol,
      secureInbound: (wire, options) => guard(secure.secureInbound(wire, options)),
      secureOutbound: (wire, options) => guard(secure.secureOutbound(wire, options)),
    }
  }

  function useNoiseAlone(): void {
    if (tlsAgainMs === undefined) {
      log.warn('the clock of this machine or of a peer is wrong by more than an hour: TLS fails, using Noise')
    }
    tlsAgainMs = clock.monotonicMs() + noiseAloneMs
    const encrypters = upgrader?.getConnectionEncrypters()
    for (const protocol of [...(encrypters?.keys() ?? [])]) if (protocol.includes('tls')) encrypters?.delete(protocol)
  }

  let encrypter: ConnectionEncrypter | undefined
  function refresh(): void {
    if (tlsAgainMs === undefined || clock.monotonicMs() < tlsAgainMs || encrypter === undefined) return
    tlsAgainMs = undefined
    const encrypters = upgrader?.getConnectionEncrypters()
    const others = [...(encrypters ?? [])]
    // Their order is their rank: TLS goes first again.
    encrypters?.clear()
    encrypters?.set(encrypter.protocol, encrypter)
    for (const [protocol, other] of others) encrypters?.set(protocol, other)
  }

  function guarded(registrar: Registrar): Registrar {
    return {
      getProtocols: () => registrar.getProtocols(),
      getHandler: protocol => registrar.getHandler(protocol),
      unhandle: (protocol, options) => registrar.unhandle(protocol, options),
      use: (protocol, middleware) => registrar.use(protocol, middleware),
      unuse: protocol => registrar.unuse(protocol),
      getMiddleware: protocol => registrar.getMiddleware(protocol),
      unregister: () => topologies.clear(),
      getTopologies: () => [...topologies],
      register(_protocol, topology) {
        topologies.add(topology)
        return Promise.resolve('flotilla')
      },
      handle: (protocol, handler, options) =>
        registrar.handle(
          protocol,
          (stream, connection) => {
            const peer = peerId(connection.remotePeer.toString())
            if (admitted(peer)) return handler(stream, connection)
            refuse(stream, peer)
          },
          options,
        ),
    }
  }

  const privateKey = privateKeyFromProtobuf(config.privateKey)
  const muxer = watched(
    yamux({
      enableKeepAlive: true,
      keepAliveInterval: config.pingMs,
      maxInboundStreams: 4096,
      maxOutboundStreams: 4096,
      streamOptions: {
        // A paused reader may still get a whole window: the read buffer must hold it, or the stream is reset.
        maxStreamWindowSize: 4 * 1024 * 1024,
        maxReadBufferLength: 8 * 1024 * 1024,
        inactivityTimeout: never,
      },
    })(),
  )
  const node = await createLibp2p<{ identify: Identify; pubsub: GossipSub }>({
    start: false,
    privateKey,
    nodeInfo: { name: 'flotilla', userAgent: 'flotilla' },
    addresses: {
      listen: [...config.listen],
      appendAnnounce: [...config.announce],
      announceFilter: usefulAddresses,
    },
    // A connection may be idle for ever, as far as its socket is concerned: the pings decide.
    transports: [tcp({ outboundSocketInactivityTimeout: never, inboundSocketInactivityTimeout: never })],
    // TLS before Noise: one socket write per message instead of four.
    connectionEncrypters: [
      components => {
        encrypter = timeless(nativeTls({ privateKey, library: tls()(components), muxer, log: quiet, secured }))
        return encrypter
      },
      noise(),
    ],
    streamMuxers: [() => muxer],
    connectionGater: gater,
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: 4096,
      maxParallelDials: 64,
      maxIncomingPendingConnections: 256,
      inboundConnectionThreshold: 200,
      inboundUpgradeTimeout: 5_000,
      addressDialTimeout: 3_000,
      dialTimeout: 10_000,
      reconnectRetries: 0,
    },
    logger: quietLogger,
    peerDiscovery: config.mdns ? [mdns({ serviceTag: '_flotilla._udp.local', interval: 10_000 })] : [],
    services: {
      identify(components) {
        upgrader = components.upgrader
        return identify({ protocolPrefix: 'flotilla', runOnConnectionOpen: false, timeout: 5_000 })({
          peerId: components.peerId,
          privateKey: components.privateKey,
          peerStore: components.peerStore,
          addressManager: components.addressManager,
          events: components.events,
          logger: components.logger,
          nodeInfo: components.nodeInfo,
          registrar: guarded(components.registrar),
        })
      },
      pubsub: components =>
        gossipsub({
          globalSignaturePolicy: 'StrictSign',
          allowPublishToZeroTopicPeers: true,
          ignoreDuplicatePublishError: true,
          fallbackToFloodsub: false,
          // The origin sends to all that it is connected to; passing on is for those that it cannot reach, so few do it.
          floodPublish: true,
          D: 3,
          Dlo: 2,
          Dhi: 6,
          Dout: 1,
          Dscore: 2,
          // A copy of a message that has been verified is known by its signature, before the cost of verifying it again.
          fastMsgIdFn: message => Buffer.from(message.signature ?? new Uint8Array()).toString('latin1'),
          tagMeshPeers: false,
          maxInboundDataLength: gossipBytesMax,
          maxOutboundBufferSize: 8 * gossipBytesMax,
          maxTopicBytesPerPeer: 64 * 1024,
          maxInboundStreams: 4,
          maxOutboundStreams: 4,
          // Many peers behind one home router, or one test on one machine, are no attack.
          scoreParams: { IPColocationFactorWeight: 0 },
        })({
          privateKey: components.privateKey,
          peerId: components.peerId,
          peerStore: components.peerStore,
          connectionManager: components.connectionManager,
          logger: components.logger,
          registrar: guarded(components.registrar),
        }),
    },
  })

  const tell = (what: () => void | Promise<void> | undefined): void => {
    Promise.resolve()
      .then(what)
      .catch(error => log.debug('gossip could not take a peer', { error: errorText(error) }))
  }
  return {
    node,
    introduce(connection) {
      for (const topology of topologies) tell(() => topology.onConnect?.(connection.remotePeer, connection))
    },
    dismiss(peer) {
      for (const topology of topologies) tell(() => topology.onDisconnect?.(peer))
    },
    cutSilent(silenceMs) {
      const nowMs = clock.monotonicMs()
      let cut = 0
      for (const link of links) {
        if (nowMs - link.heardMs <= silenceMs) continue
        cut++
        link.wire.abort(new Error(`nothing heard for ${Math.round(nowMs - link.heardMs)} ms`))
      }
      return cut
    },
    refresh,
    lane(connection) {
      const { maConn } = connection as unknown as { maConn?: object }
      return maConn === undefined ? undefined : lanes.get(maConn)
    },
  }
}

/** The library's log lines go nowhere: it formats each at a cost, and what matters of them we say ourselves. */
const quiet: Logger = Object.assign(() => {}, {
  error: () => {},
  trace: () => {},
  enabled: false,
  newScope: (): Logger => quiet,
})
const quietLogger: ComponentLogger = { forComponent: () => quiet }
