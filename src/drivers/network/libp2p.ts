// The mesh on libp2p: TCP, TLS before Noise, yamux, mDNS, gossipsub. The only file that calls the library. It promises what
// world/network.ts says: every peer proved before a byte of a protocol is read, strangers kept to `join`, limits and time-outs
// on all that is read, and a disconnect seen at once when a process dies and after `silenceMs` when a link goes silent.
// What each limit is against stands in reference/reliability-security.md C4 and D11.
import { noise } from '@chainsafe/libp2p-noise'
import { type YamuxMuxerInit, yamux } from '@chainsafe/libp2p-yamux'
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { type GossipSub, gossipsub, TopicValidatorResult } from '@libp2p/gossipsub'
import { type Identify, identify } from '@libp2p/identify'
import type {
  ComponentLogger,
  Connection,
  ConnectionGater,
  Libp2p,
  PeerId as LibraryPeerId,
  Logger,
  MessageStream,
  Stream,
  StreamMuxerFactory,
  Topology,
} from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { mdns } from '@libp2p/mdns'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { onAbort } from '../../lib/abort.ts'
import { AssertionError, assert } from '../../lib/assert.ts'
import { type Bytes, concat, text, utf8 } from '../../lib/bytes.ts'
import { frameBytesMax, frameDecoder } from '../../wire/frame.ts'
import type { Clock } from '../../world/clock.ts'
import type { Log } from '../../world/log.ts'
import { MeshError, type Network, type PeerId, type Protocol, peerId } from '../../world/network.ts'
import type { Random } from '../../world/random.ts'
import { type DiallerConfig, dialler, diallerDefaults } from './dialler.ts'
import { type GateConfig, gate, gateDefaults } from './gate.ts'
import { type Sender, sender } from './sender.ts'
import { type LiveStream, meshStream } from './stream.ts'

export const requestBytesMax = 16 * 1024 * 1024
/** What a stranger may send in one question. */
export const strangerRequestBytesMax = 64 * 1024
export const gossipBytesMax = 256 * 1024

const protocols = ['raft', 'snapshot', 'api', 'kubelet', 'join', 'status', 'tunnel'] as const satisfies Protocol[]
type Mode = 'send' | 'ask' | 'open'
const streamCountMax: Readonly<Record<Mode, number>> = { send: 4, ask: 1024, open: 2048 }
const strangerStreamCountMax = 8
/** A whole question must have come by then; an answer may take as long as its asker waits. */
const readQuestionMs = 60_000,
  readStrangerQuestionMs = 10_000
/** After its handler returned, the other side may finish reading for this long. */
const lingerMs = 10_000
const introduceAgainMs = 5_000
const discoveredCountMax = 256,
  discoveredAddressCountMax = 16

export type NetworkConfig = {
  /** The libp2p protobuf form, as drivers/identity.ts gives it. */
  readonly privateKey: Bytes
  /** Multiaddrs, for example /ip4/0.0.0.0/tcp/4001. Empty: this peer only dials. */
  readonly listen: readonly string[]
  /** Told to others beside the addresses that are listened on. */
  readonly announce?: readonly string[]
  readonly mdns: boolean
  /** A connection that brought no byte for this long is dead. Pings keep a healthy one from being silent. */
  readonly silenceMs?: number
  readonly pingMs?: number
  readonly gate?: Partial<GateConfig>
  readonly dialler?: Partial<DiallerConfig>
}

export type NetworkStatistics = {
  readonly connections: number
  readonly strangers: number
  readonly droppedMessages: number
  readonly refusedStreams: number
  readonly refusedConnections: number
  readonly silencedConnections: number
}

export interface MeshNetwork extends Network {
  /** Where this peer can be dialled, as multiaddrs that end in /p2p/<peer ID>. */
  addresses(): readonly string[]
  /** Peers that mDNS has heard of or that were met, with hints where they are. Nothing here is proved. */
  discovered(): ReadonlyMap<PeerId, readonly string[]>
  onDiscovered(handler: (peer: PeerId, addresses: readonly string[]) => void): Disposable
  /**
   * Dials a multiaddr to ask to join; who answers is proved. `hangUp` when done with a peer that did not admit us.
   * Rejects with MeshError: unreachable, refused, wrong-peer (someone else answered there).
   */
  dial(address: string, signal: AbortSignal): Promise<PeerId>
  hangUp(peer: PeerId): void
  statistics(): NetworkStatistics
  stop(): Promise<void>
}

type MessageHandler = (from: PeerId, message: Bytes) => void
type RequestHandler = Parameters<Network['onRequest']>[1]
type StreamHandler = Parameters<Network['onStream']>[1]

export async function openNetwork(
  world: { readonly clock: Clock; readonly random: Random; readonly log: Log },
  config: NetworkConfig,
  signal: AbortSignal,
): Promise<MeshNetwork> {
  const { clock, random } = world
  const log = world.log.with({ component: 'network' })
  const silenceMs = config.silenceMs ?? 3_500
  const pingMs = config.pingMs ?? 1_000
  const privateKey = privateKeyFromProtobuf(config.privateKey)
  const stopping = new AbortController()

  const door = gate({ ...gateDefaults, ...config.gate })
  const counts = { dropped: 0, refusedStreams: 0, refusedConnections: 0, silenced: 0 }
  /** Open connections, newest last. Strangers are here too, but nowhere in what Network tells. */
  const connections = new Map<PeerId, Connection[]>()
  const senders = new Map<string, Sender>()
  const liveStreams = new Set<LiveStream>()
  const hints = new Map<PeerId, readonly string[]>()
  const messageHandlers = new Map<Protocol, MessageHandler>()
  const requestHandlers = new Map<Protocol, RequestHandler>()
  const streamHandlers = new Map<Protocol, StreamHandler>()
  const connectionHandlers = new Set<(peer: PeerId, connected: boolean) => void>()
  const discoveryHandlers = new Set<(peer: PeerId, addresses: readonly string[]) => void>()
  const topicHandlers = new Map<string, Set<MessageHandler>>()
  /** Gossipsub's own hooks for peers that come and go; we call them, for admitted peers only. */
  const topologies = new Set<Topology>()
  /** Peers that our users have been told are connected. */
  const announced = new Set<PeerId>()
  const links = new Set<{ readonly wire: MessageStream; heardMs: number }>()

  // Gate. The library calls these before and after the handshake; true means no.
  const gater: ConnectionGater = {
    denyDialPeer: peer => !mayMeet(peerId(peer.toString())),
    denyDialMultiaddr: () => false,
    denyInboundConnection: () => stopping.signal.aborted,
    denyOutboundConnection: () => false,
    denyInboundEncryptedConnection(peer, wire) {
      const name = peerId(peer.toString())
      if (mayMeet(name)) return false
      const host = wire.remoteAddr.getComponents()[0]?.value ?? ''
      if (requestHandlers.has('join') && door.letStrangerIn(name, host, clock.monotonicMs())) return false
      counts.refusedConnections++
      return true
    },
    denyOutboundEncryptedConnection: peer => !mayMeet(peerId(peer.toString())) && anonymousDials === 0,
    denyInboundUpgradedConnection: () => false,
    denyOutboundUpgradedConnection: () => false,
    filterMultiaddrForPeer: () => true,
  }
  /** Dials to an address without a peer ID in flight: whoever answers is proved afterwards. */
  let anonymousDials = 0
  const mayMeet = (peer: PeerId): boolean => door.admitted(peer) || door.expected(peer)

  // Silence. The muxer pings; any byte that comes shows that the other side lives, so a link that is busy one way is not
  // taken for dead because the pong waits behind a snapshot.
  function watchedMuxer(factory: StreamMuxerFactory): StreamMuxerFactory {
    return {
      protocol: factory.protocol,
      createStreamMuxer(wire) {
        const muxer = factory.createStreamMuxer(wire)
        const link = { wire, heardMs: clock.monotonicMs() }
        links.add(link)
        wire.addEventListener('message', () => {
          link.heardMs = clock.monotonicMs()
        })
        wire.addEventListener('close', () => links.delete(link))
        return muxer
      },
    }
  }

  async function watchSilence(): Promise<void> {
    const tickMs = Math.max(50, Math.min(500, silenceMs / 4))
    let lastMs = clock.monotonicMs()
    let introducedMs = lastMs
    while (!stopping.signal.aborted) {
      await clock.sleep(tickMs, stopping.signal)
      const nowMs = clock.monotonicMs()
      // When this process itself was held up, what was sent to it waits unread in the sockets: look again next time.
      const stalled = nowMs - lastMs > 2 * tickMs
      lastMs = nowMs
      if (stalled) continue
      for (const link of links) {
        if (nowMs - link.heardMs <= silenceMs) continue
        counts.silenced++
        link.wire.abort(new Error(`nothing heard for ${Math.round(nowMs - link.heardMs)} ms`))
      }
      for (const [peer, { sinceMs }] of door.strangers()) {
        const theirs = connections.get(peer) ?? []
        const tooMany = theirs.some(connection => connection.streams.length > strangerStreamCountMax)
        if (tooMany || nowMs - sinceMs > (config.gate?.strangerMs ?? gateDefaults.strangerMs)) {
          for (const connection of theirs) connection.abort(new Error('a stranger stayed too long'))
          door.strangerLeft(peer)
        }
      }
      if (nowMs - introducedMs > introduceAgainMs) {
        introducedMs = nowMs
        // The library opens its gossip stream once per connection; if that failed, only this tries again.
        for (const peer of announced) introduce(peer)
      }
    }
  }

  // What the library's own services may do with a peer is up to the gate too.
  function guardedRegistrar(registrar: Registrar): Registrar {
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
            if (door.admitted(peerId(connection.remotePeer.toString()))) return handler(stream, connection)
            refuse(stream)
          },
          options,
        ),
    }
  }

  const streamOptions = {
    // A paused reader may still get a whole window: the read buffer must hold it, or the library resets the stream.
    maxStreamWindowSize: 4 * 1024 * 1024,
    maxReadBufferLength: 8 * 1024 * 1024,
    inactivityTimeout: 2 ** 31 - 1,
  }
  const muxerInit: YamuxMuxerInit = {
    enableKeepAlive: true,
    keepAliveInterval: pingMs,
    maxInboundStreams: 4096,
    maxOutboundStreams: 4096,
    streamOptions,
  }
  const node: Libp2p<{ identify: Identify; pubsub: GossipSub }> = await createLibp2p({
    start: false,
    privateKey,
    nodeInfo: { name: 'flotilla', userAgent: 'flotilla' },
    addresses: {
      listen: [...config.listen],
      appendAnnounce: [...(config.announce ?? [])],
      announceFilter: addresses => usefulAddresses(addresses),
    },
    transports: [tcp({ outboundSocketInactivityTimeout: 2 ** 31 - 1, inboundSocketInactivityTimeout: 2 ** 31 - 1 })],
    connectionEncrypters: [tls(), noise()],
    streamMuxers: [() => watchedMuxer(yamux(muxerInit)())],
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
      identify: components =>
        identify({ protocolPrefix: 'flotilla', runOnConnectionOpen: false, timeout: 5_000 })({
          peerId: components.peerId,
          privateKey: components.privateKey,
          peerStore: components.peerStore,
          addressManager: components.addressManager,
          events: components.events,
          logger: components.logger,
          nodeInfo: components.nodeInfo,
          registrar: guardedRegistrar(components.registrar),
        }),
      pubsub: components =>
        gossipsub({
          globalSignaturePolicy: 'StrictSign',
          allowPublishToZeroTopicPeers: true,
          ignoreDuplicatePublishError: true,
          fallbackToFloodsub: false,
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
          registrar: guardedRegistrar(components.registrar),
        }),
    },
  })
  const self = peerId(node.peerId.toString())
  const pubsub = node.services.pubsub

  // Connections.
  node.addEventListener('connection:open', ({ detail: connection }) => {
    const peer = peerId(connection.remotePeer.toString())
    if (connection.status !== 'open') return
    connections.set(peer, [...(connections.get(peer) ?? []), connection])
    if (!door.admitted(peer)) return
    // A second connection from a peer mostly means that it restarted and the first is dead: talk on the newest.
    for (const protocol of protocols) senders.get(`${peer} ${protocol}`)?.renew()
    meet(peer)
  })
  node.addEventListener('connection:close', ({ detail: connection }) => {
    const peer = peerId(connection.remotePeer.toString())
    const left = (connections.get(peer) ?? []).filter(other => other.id !== connection.id)
    if (left.length > 0) {
      connections.set(peer, left)
      return
    }
    connections.delete(peer)
    door.strangerLeft(peer)
    part(peer, connection.remotePeer)
    dial.wake()
  })
  node.addEventListener('peer:discovery', ({ detail }) => {
    hint(
      peerId(detail.id.toString()),
      detail.multiaddrs.map(address => address.toString()),
    )
  })

  function connectionTo(peer: PeerId): Connection | undefined {
    return connections.get(peer)?.findLast(connection => connection.status === 'open')
  }

  function meet(peer: PeerId): void {
    door.strangerLeft(peer)
    if (announced.has(peer)) return
    announced.add(peer)
    introduce(peer)
    void learnAddresses(peer)
    for (const handler of [...connectionHandlers]) handler(peer, true)
  }

  function part(peer: PeerId, libraryPeer: LibraryPeerId): void {
    if (!announced.delete(peer)) return
    for (const [key, sending] of senders) {
      if (!key.startsWith(`${peer} `)) continue
      sending.stop()
      senders.delete(key)
    }
    for (const topology of topologies) void topology.onDisconnect?.(libraryPeer)
    for (const handler of [...connectionHandlers]) handler(peer, false)
  }

  function introduce(peer: PeerId): void {
    const connection = connectionTo(peer)
    if (connection === undefined) return
    for (const topology of topologies) void topology.onConnect?.(connection.remotePeer, connection)
  }

  async function learnAddresses(peer: PeerId): Promise<void> {
    const connection = connectionTo(peer)
    if (connection === undefined) return
    try {
      const found = await node.services.identify.identify(connection)
      hint(
        peer,
        found.listenAddrs.map(address => address.toString()),
      )
    } catch (error) {
      // It has not admitted us yet, or went away: its addresses from `admit` serve as well.
      log.debug('peer did not tell its addresses', { peer, error: String(error) })
    }
  }

  function hint(peer: PeerId, addresses: readonly string[]): void {
    if (peer === self || addresses.length === 0) return
    const known = hints.get(peer)
    hints.delete(peer)
    const oldest = hints.keys().next()
    if (hints.size >= discoveredCountMax && oldest.done !== true) hints.delete(oldest.value)
    hints.set(peer, [...new Set([...addresses, ...(known ?? [])])].slice(0, discoveredAddressCountMax))
    if (door.admitted(peer) && !announced.has(peer)) dial.hurry(peer)
    for (const handler of [...discoveryHandlers]) handler(peer, addresses)
  }

  async function dialAdmitted(peer: PeerId, inner: AbortSignal): Promise<void> {
    const target = [...new Set([...door.addresses(peer), ...(hints.get(peer) ?? [])])]
      .map(address => withPeer(address, peer))
      .filter(address => address !== undefined)
    if (target.length === 0) throw new MeshError('unreachable', `no address of ${peer} is known`)
    await node.dial(target, { signal: inner })
  }

  const dial = dialler(
    { clock, random },
    { ...diallerDefaults, ...config.dialler },
    self,
    () => door.peers(),
    peer => connectionTo(peer) !== undefined,
    dialAdmitted,
    stopping.signal,
  )

  async function newStream(
    to: PeerId,
    protocol: Protocol,
    mode: Mode,
    inner: AbortSignal,
    dialFirst: boolean,
  ): Promise<Stream> {
    if (stopping.signal.aborted) throw new MeshError('stopped', 'the network is stopped')
    if (to === self) throw new MeshError('refused', 'a peer does not connect to itself')
    if (!door.admitted(to) && !(protocol === 'join' && mode === 'ask' && connectionTo(to) !== undefined)) {
      throw new MeshError('refused', `${to} is not a peer of this cluster`)
    }
    let connection = connectionTo(to)
    if (connection === undefined && dialFirst) {
      try {
        await dialAdmitted(to, inner)
      } catch (error) {
        if (connectionTo(to) === undefined) throw dialError(to, error)
      }
      connection = connectionTo(to)
    }
    if (connection === undefined) throw new MeshError('unreachable', `not connected to ${to}`)
    try {
      return await connection.newStream(`/flotilla/${protocol}/1/${mode}`, {
        signal: inner,
        maxOutboundStreams: streamCountMax[mode],
      })
    } catch (error) {
      if (inner.aborted) throw new MeshError('aborted', 'the call was ended', { cause: error })
      throw new MeshError('broken', `${to} does not take the stream: ${errorText(error)}`, { cause: error })
    }
  }

  // What others open to us.
  function refuse(stream: Stream): void {
    counts.refusedStreams++
    stream.abort(new MeshError('refused', 'refused'))
  }

  function takeMessages(protocol: Protocol, from: PeerId, stream: Stream): void {
    const handler = messageHandlers.get(protocol)
    if (!door.admitted(from) || handler === undefined) {
      refuse(stream)
      return
    }
    const decoder = frameDecoder(frameBytesMax)
    stream.addEventListener('message', event => {
      try {
        const bytes = event.data instanceof Uint8Array ? event.data : event.data.subarray()
        for (const message of decoder.push(bytes)) {
          // The gate may have closed, or the handler gone, since the stream was opened.
          if (!door.admitted(from)) break
          messageHandlers.get(protocol)?.(from, message)
        }
      } catch (error) {
        stream.abort(new MeshError('broken', 'bad message', { cause: error }))
        complain(error, 'a message could not be taken', { peer: from, protocol })
      }
    })
    stream.addEventListener('remoteCloseWrite', () => {
      stream.close().catch(error => stream.abort(error))
    })
  }

  async function answer(protocol: Protocol, from: PeerId, stream: LiveStream): Promise<void> {
    const admitted = door.admitted(from)
    const handler = requestHandlers.get(protocol)
    if (handler === undefined || !(admitted || protocol === 'join')) {
      counts.refusedStreams++
      await reply(stream, status.refused, utf8(admitted ? `nobody answers ${protocol} here` : 'you are not admitted'))
      return
    }
    let body: Bytes
    {
      using deadline = clock.deadline(admitted ? readQuestionMs : readStrangerQuestionMs, stopping.signal)
      body = await readAll(stream, admitted ? requestBytesMax : strangerRequestBytesMax, deadline.signal)
    }
    const gone = new AbortController()
    void stream.closed.then(() => gone.abort(new MeshError('aborted', 'the asker went away')))
    using _stopped = onAbort(stopping.signal, () => gone.abort(new MeshError('stopped', 'the network is stopped')))
    let given: Bytes
    try {
      given = await handler(from, body, gone.signal)
    } catch (error) {
      complain(error, 'a request failed', { peer: from, protocol })
      await reply(stream, status.failed, utf8(errorText(error)))
      return
    }
    if (given.length > requestBytesMax) {
      await reply(stream, status.failed, utf8(`the answer of ${given.length} bytes is over the limit`))
      return
    }
    await reply(stream, status.ok, given)
  }

  async function serve(protocol: Protocol, from: PeerId, stream: LiveStream): Promise<void> {
    const handler = streamHandlers.get(protocol)
    if (!door.admitted(from) || handler === undefined) {
      counts.refusedStreams++
      stream.abort()
      return
    }
    const gone = new AbortController()
    void stream.closed.then(error => gone.abort(error ?? new MeshError('aborted', 'the stream ended')))
    using _stopped = onAbort(stopping.signal, () => gone.abort(new MeshError('stopped', 'the network is stopped')))
    await handler(stream, gone.signal)
    await finish(stream)
  }

  /** Ends our half, lets the other side read to its end, then ends all. */
  async function finish(stream: LiveStream): Promise<void> {
    await stream.closeWrite()
    using deadline = clock.deadline(lingerMs, stopping.signal)
    using _late = onAbort(deadline.signal, () => stream.abort())
    for await (const _rest of stream.read()) {
      // What still comes after the work is done is read away, so that the other side can finish.
    }
    await stream.closed
  }

  async function reply(stream: LiveStream, code: number, body: Bytes): Promise<void> {
    await stream.write(concat([Uint8Array.of(code), body]))
    await finish(stream)
  }

  function complain(error: unknown, message: string, fields: { peer: PeerId; protocol: Protocol }): void {
    if (error instanceof AssertionError) {
      // A broken invariant of ours must stop the process, whoever's message showed it.
      setImmediate(() => {
        throw error
      })
    }
    log.debug(message, { ...fields, error: errorText(error) })
  }

  function track(stream: Stream, remote: PeerId): LiveStream {
    const live = meshStream(stream, remote)
    liveStreams.add(live)
    void live.closed.then(() => liveStreams.delete(live))
    return live
  }

  for (const protocol of protocols) {
    const handle = (mode: Mode, take: (from: PeerId, stream: Stream) => void) =>
      node.handle(
        `/flotilla/${protocol}/1/${mode}`,
        (stream, connection) => {
          if (stopping.signal.aborted) refuse(stream)
          else take(peerId(connection.remotePeer.toString()), stream)
        },
        { maxInboundStreams: streamCountMax[mode], maxOutboundStreams: streamCountMax[mode] },
      )
    const live =
      (mode: 'ask' | 'open', work: (protocol: Protocol, from: PeerId, stream: LiveStream) => Promise<void>) =>
      (from: PeerId, stream: Stream) => {
        const tracked = track(stream, from)
        work(protocol, from, tracked).catch(error => {
          complain(error, `a stream failed`, { peer: from, protocol })
          log.debug('stream mode', { mode })
          tracked.abort()
        })
      }
    await handle('send', (from, stream) => takeMessages(protocol, from, stream))
    await handle('ask', live('ask', answer))
    await handle('open', live('open', serve))
  }

  // Gossip.
  pubsub.addEventListener('message', ({ detail: message }) => {
    if (message.type !== 'signed') return
    const from = peerId(message.from.toString())
    if (!door.admitted(from)) return
    for (const handler of [...(topicHandlers.get(message.topic) ?? [])]) handler(from, message.data)
  })

  try {
    await node.start()
  } catch (error) {
    throw new MeshError('failed', `cannot listen on ${config.listen.join(', ')}: ${errorText(error)}`, { cause: error })
  }
  const watching = watchSilence()

  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      stopping.abort(new MeshError('stopped', 'the network is stopped'))
      ending[Symbol.dispose]()
      // Streams are reset rather than closed: a stream that is cut by our end must not look complete.
      for (const stream of [...liveStreams]) stream.abort()
      for (const sending of senders.values()) sending.stop()
      senders.clear()
      await Promise.all([dial.done, watching])
      await node.stop()
    })()
    return stopped
  }
  const ending = onAbort(signal, () => void stop())

  return {
    self,
    send(to, protocol, message) {
      if (message.length > frameBytesMax) {
        counts.dropped++
        log.error('a message is over the limit and was not sent', { protocol, bytes: message.length })
        return
      }
      if (stopping.signal.aborted || !door.admitted(to) || connectionTo(to) === undefined) {
        counts.dropped++
        return
      }
      const key = `${to} ${protocol}`
      let sending = senders.get(key)
      if (sending === undefined) {
        sending = sender(
          clock,
          inner => newStream(to, protocol, 'send', inner, false),
          count => {
            counts.dropped += count
          },
        )
        senders.set(key, sending)
      }
      sending.push(message)
    },
    onMessage: (protocol, handler) => register(messageHandlers, protocol, handler),
    async request(to, protocol, body, inner) {
      if (body.length > requestBytesMax) {
        throw new MeshError('too-large', `a request of ${body.length} bytes is over the limit of ${requestBytesMax}`)
      }
      const stream = track(await newStream(to, protocol, 'ask', inner, true), to)
      try {
        using _aborted = onAbort(inner, () => stream.abort())
        // Not awaited in sequence: a peer that refuses answers before it has read all.
        const sent = (async () => {
          await stream.write(body)
          await stream.closeWrite()
        })()
        sent.catch(() => {})
        const answered = await readAll(stream, requestBytesMax + 1, inner)
        const [code] = answered
        const rest = answered.subarray(1)
        if (code === status.refused) throw new MeshError('refused', `${to} refused: ${text(rest)}`)
        if (code === status.failed) throw new MeshError('failed', text(rest))
        if (code !== status.ok) throw new MeshError('broken', `${to} gave no answer`)
        await sent
        return rest
      } catch (error) {
        stream.abort()
        if (inner.aborted) throw new MeshError('aborted', 'the call was ended', { cause: inner.reason })
        throw error
      }
    },
    onRequest: (protocol, handler) => register(requestHandlers, protocol, handler),
    open: async (to, protocol, inner) => track(await newStream(to, protocol, 'open', inner, true), to),
    onStream: (protocol, handler) => register(streamHandlers, protocol, handler),
    publish(topic, message) {
      if (stopping.signal.aborted) return
      if (message.length > gossipBytesMax) {
        log.error('gossip is over the limit and was not sent', { topic, bytes: message.length })
        return
      }
      pubsub.publish(topicName(topic), message).catch(error => {
        log.debug('gossip could not be published', { topic, error: errorText(error) })
      })
    },
    onGossip(topic, handler) {
      const name = topicName(topic)
      let handlers = topicHandlers.get(name)
      if (handlers === undefined) {
        handlers = new Set()
        topicHandlers.set(name, handlers)
        pubsub.topicValidators.set(name, (_hop, message) => {
          if (message.type !== 'signed' || message.data.length > gossipBytesMax) return TopicValidatorResult.Reject
          // Another peer may have admitted the origin before us: no fault of the one who passed it on.
          return door.admitted(peerId(message.from.toString()))
            ? TopicValidatorResult.Accept
            : TopicValidatorResult.Ignore
        })
        pubsub.subscribe(name)
      }
      handlers.add(handler)
      return {
        [Symbol.dispose]() {
          if (!handlers.delete(handler) || handlers.size > 0 || stopping.signal.aborted) return
          topicHandlers.delete(name)
          pubsub.topicValidators.delete(name)
          pubsub.unsubscribe(name)
        },
      }
    },
    connected: () => [...announced],
    onConnectionChange(handler) {
      connectionHandlers.add(handler)
      return { [Symbol.dispose]: () => void connectionHandlers.delete(handler) }
    },
    admit(peers) {
      door.replace(peers)
      for (const { peer } of peers) door.forget(peer)
      for (const [peer, theirs] of connections) {
        if (door.admitted(peer)) meet(peer)
        else if (announced.has(peer)) {
          for (const connection of [...theirs]) connection.abort(new MeshError('refused', 'no longer admitted'))
        }
      }
      dial.wake()
    },
    addresses: () => node.getMultiaddrs().map(address => address.toString()),
    discovered: () => new Map(hints),
    onDiscovered(handler) {
      discoveryHandlers.add(handler)
      return { [Symbol.dispose]: () => void discoveryHandlers.delete(handler) }
    },
    async dial(address, inner) {
      let target: Multiaddr
      try {
        target = multiaddr(address)
      } catch (error) {
        throw new MeshError('unreachable', `${address} is not a multiaddr such as /ip4/192.0.2.1/tcp/4001/p2p/…`, {
          cause: error,
        })
      }
      const named = target.getComponents().findLast(component => component.name === 'p2p')?.value
      const expected = named === undefined ? undefined : peerId(named)
      if (expected === self) throw new MeshError('wrong-peer', 'this address is our own')
      if (expected !== undefined) door.expect(expected)
      else anonymousDials++
      try {
        const connection = await node.dial(target, { signal: inner })
        const found = peerId(connection.remotePeer.toString())
        door.expect(found)
        return found
      } catch (error) {
        if (expected !== undefined) door.forget(expected)
        throw dialError(address, error)
      } finally {
        if (expected === undefined) anonymousDials--
      }
    },
    hangUp(peer) {
      door.forget(peer)
      if (door.admitted(peer)) return
      for (const connection of [...(connections.get(peer) ?? [])]) connection.abort(new MeshError('aborted', 'hung up'))
    },
    statistics: () => ({
      connections: [...connections.values()].reduce((sum, list) => sum + list.length, 0),
      strangers: door.strangers().size,
      droppedMessages: counts.dropped,
      refusedStreams: counts.refusedStreams,
      refusedConnections: counts.refusedConnections,
      silencedConnections: counts.silenced,
    }),
    stop,
  }
}

const status = { ok: 0, refused: 1, failed: 2 } as const

const topicName = (topic: string): string => `/flotilla/${topic}/1`

function register<H>(handlers: Map<Protocol, H>, protocol: Protocol, handler: H): Disposable {
  assert(!handlers.has(protocol), `protocol ${protocol} already has a handler`)
  handlers.set(protocol, handler)
  return {
    [Symbol.dispose]() {
      if (handlers.get(protocol) === handler) handlers.delete(protocol)
    },
  }
}

/** All bytes to the other side's end. Throws when it breaks before, is over the limit, or the signal aborts. */
async function readAll(stream: LiveStream, bytesMax: number, signal: AbortSignal): Promise<Bytes> {
  using _aborted = onAbort(signal, () => stream.abort())
  const parts: Bytes[] = []
  let size = 0
  for await (const part of stream.read()) {
    size += part.length
    if (size > bytesMax) {
      stream.abort()
      throw new MeshError('too-large', `more than ${bytesMax} bytes came from ${stream.remote}`)
    }
    parts.push(part)
  }
  return concat(parts)
}

function withPeer(address: string, peer: PeerId): Multiaddr | undefined {
  try {
    const parsed = multiaddr(address)
    const named = parsed.getComponents().findLast(component => component.name === 'p2p')?.value
    if (named === undefined) return parsed.encapsulate(`/p2p/${peer}`)
    return named === peer ? parsed : undefined
  } catch {
    // Addresses of others come from their Node objects: one that cannot be read is no address.
    return undefined
  }
}

/** Addresses that help another machine: not link-local ones (a pod's gateway, the DNS address), loopback only when alone. */
function usefulAddresses(addresses: Multiaddr[]): Multiaddr[] {
  const hostOf = (address: Multiaddr) => address.getComponents()[0]?.value ?? ''
  const linked = addresses.filter(address => !/^(169\.254\.|fe80:)/i.test(hostOf(address)))
  const remote = linked.filter(address => !/^(127\.|::1$)/.test(hostOf(address)))
  return remote.length > 0 ? remote : linked
}

function dialError(what: string, error: unknown): MeshError {
  const message = errorText(error)
  if (/unexpected peer|payload identity key|peer id mismatch/i.test(message)) {
    return new MeshError('wrong-peer', `another peer than the one named answered at ${what}`, { cause: error })
  }
  return new MeshError('unreachable', `cannot reach ${what}: ${message}`, { cause: error })
}

function errorText(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(errorText).join('; ')
  return error instanceof Error ? error.message : String(error)
}

/** The library's log lines go nowhere: it formats each at a cost, and what matters of them we say ourselves. */
const quiet: Logger = Object.assign(() => {}, {
  error: () => {},
  trace: () => {},
  enabled: false,
  newScope: (): Logger => quiet,
})
const quietLogger: ComponentLogger = { forComponent: () => quiet }
