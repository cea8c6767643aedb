// The mesh on libp2p: TCP, TLS before Noise, yamux, mDNS, gossipsub. It promises what world/network.ts says: every peer proved
// before a byte of a protocol is read, strangers kept to `join`, limits and time-outs on all that is read, and a disconnect
// seen at once when a process dies and after `silenceMs` when a link goes silent. The library itself is set up in library.ts.
import type { Connection, ConnectionGater, PeerId as LibraryPeerId, Stream } from '@libp2p/interface'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { onAbort } from '../../lib/abort.ts'
import type { Bytes } from '../../lib/bytes.ts'
import { frameBytesMax } from '../../wire/frame.ts'
import type { Clock } from '../../world/clock.ts'
import type { Log } from '../../world/log.ts'
import { MeshError, type Network, type PeerId, type Protocol, peerId } from '../../world/network.ts'
import type { Random } from '../../world/random.ts'
import { hintTable, namedPeer, withPeer } from './address.ts'
import { type LaneAsks, laneAsks } from './asks.ts'
import { type DiallerConfig, dialler, diallerDefaults } from './dialler.ts'
import { dialError, errorText } from './errors.ts'
import { type GateConfig, gate, gateDefaults } from './gate.ts'
import { topicsOn } from './gossip.ts'
import { createLibrary } from './library.ts'
import type { SecureConnection } from './secure.ts'
import { laneSink, type Sender, type Sink, sender, streamSink } from './sender.ts'
import {
  answerTo,
  bodyOf,
  type Handlers,
  libraryName,
  type Mode,
  openStreams,
  protocols,
  readAll,
  refusal,
  register,
  requestBytesMax,
  serveStreams,
  streamCountMax,
  takeMessage,
} from './serve.ts'

const strangerStreamCountMax = 8
const strangerCountMax = 256
/** The library opens its gossip stream once per connection; if that failed, only this tries again. */
const introduceAgainMs = 5_000
/** For the addresses that a peer told itself; what is left of a dial is for hints that nobody proved. */
const dialKnownMs = 5_000

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
   * Rejects with MeshError: unreachable (or refused by its gate), wrong-peer (someone else answered there).
   */
  dial(address: string, signal: AbortSignal): Promise<PeerId>
  hangUp(peer: PeerId): void
  statistics(): NetworkStatistics
  stop(): Promise<void>
}

export async function openNetwork(
  world: { readonly clock: Clock; readonly random: Random; readonly log: Log },
  config: NetworkConfig,
  signal: AbortSignal,
): Promise<MeshNetwork> {
  const { clock, random } = world
  const log = world.log.with({ component: 'network' })
  const silenceMs = config.silenceMs ?? 3_500
  const gateConfig = { ...gateDefaults, ...config.gate }
  const stopping = new AbortController()
  const door = gate(gateConfig)
  const counts = { dropped: 0, refusedConnections: 0, silenced: 0 }
  /** Open connections, newest last. Strangers are here too, but nowhere in what Network tells. */
  const connections = new Map<PeerId, Connection[]>()
  /** Peers that our users have been told are connected. */
  const announced = new Set<PeerId>()
  const senders = new Map<string, Sender>()
  /** The questions on each connection that has a lane. */
  const asks = new WeakMap<Connection, LaneAsks>()
  const streams = openStreams()
  const handlers: Handlers = { messages: new Map(), requests: new Map(), streams: new Map() }
  const connectionHandlers = new Set<(peer: PeerId, connected: boolean) => void>()
  const discoveryHandlers = new Set<(peer: PeerId, addresses: readonly string[]) => void>()
  const hints = hintTable(peer => door.admitted(peer))
  /** Told by the peers themselves over proved connections. */
  const learned = new Map<PeerId, readonly string[]>()
  /**
   * Peers whose gossip we refused while they were strangers to us: one that is asked to let us in admits us a moment before
   * we know it. The library offers its stream once per connection, so they need a new one when we admit them.
   */
  const refusedPeers = new Set<PeerId>()
  /** Dials to an address without a peer ID in flight: whoever answers is proved afterwards. */
  let anonymousDials = 0

  // The gate. The library calls these before and after the handshake; true means no.
  const mayMeet = (peer: LibraryPeerId): boolean => {
    const name = peerId(peer.toString())
    return door.admitted(name) || door.expected(name)
  }
  const gater: ConnectionGater = {
    denyDialPeer: peer => !mayMeet(peer),
    denyDialMultiaddr: () => false,
    denyInboundConnection: () => stopping.signal.aborted,
    denyOutboundConnection: () => false,
    denyInboundEncryptedConnection(peer, wire) {
      if (mayMeet(peer)) return false
      const host = wire.remoteAddr.getComponents()[0]?.value ?? ''
      const open = handlers.requests.has('join')
      if (open && door.letStrangerIn(peerId(peer.toString()), host, clock.monotonicMs())) return false
      counts.refusedConnections++
      return true
    },
    denyOutboundEncryptedConnection: peer => !mayMeet(peer) && anonymousDials === 0,
    denyInboundUpgradedConnection: () => false,
    denyOutboundUpgradedConnection: () => false,
    filterMultiaddrForPeer: () => true,
  }
  const library = await createLibrary(
    clock,
    log,
    { ...config, announce: config.announce ?? [], pingMs: config.pingMs ?? 1_000 },
    gater,
    peer => door.admitted(peer),
    (stream, peer) => {
      if (refusedPeers.size < strangerCountMax) refusedPeers.add(peer)
      streams.refuse(stream)
    },
  )
  const { node } = library
  const self = peerId(node.peerId.toString())

  // Connections that come and go.
  node.addEventListener('connection:open', ({ detail: connection }) => {
    const peer = peerId(connection.remotePeer.toString())
    if (connection.status !== 'open') return
    connections.set(peer, [...(connections.get(peer) ?? []), connection])
    const lane = library.lane(connection)
    if (lane !== undefined) {
      const asking = asksOn(lane, peer)
      asks.set(connection, asking)
      lane.onLane = (number, payload) => {
        if (asking.take(number, payload)) return
        const protocol = protocols[number]
        // The gate may have closed since; a stranger has no lane, though it may try.
        if (protocol !== undefined && door.admitted(peer)) takeMessage(handlers, log, protocol, peer, payload)
      }
    }
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
    refusedPeers.delete(peer)
    part(peer, connection.remotePeer)
    dial.wake()
  })
  node.addEventListener('peer:discovery', ({ detail }) => {
    hint(
      peerId(detail.id.toString()),
      detail.multiaddrs.map(address => address.toString()),
    )
  })

  /** Of strangers nothing is taken in: `join` goes by stream, within limits of its own. */
  function asksOn(connection: SecureConnection, peer: PeerId): LaneAsks {
    return laneAsks({
      connection,
      remote: peer,
      bytesMax: requestBytesMax + 1,
      countMax: streamCountMax.ask,
      admits: () => door.admitted(peer),
      refusal(number) {
        streams.countRefused()
        return refusal(protocols[number], false)
      },
      serve(number, body, gone) {
        const protocol = protocols[number]
        if (protocol !== undefined) return answerTo(handlers, log, protocol, peer, body, gone)
        return Promise.resolve(refusal(protocol, true))
      },
    })
  }

  function connectionTo(peer: PeerId): Connection | undefined {
    return connections.get(peer)?.findLast(connection => connection.status === 'open')
  }

  function meet(peer: PeerId): void {
    door.strangerLeft(peer)
    const connection = connectionTo(peer)
    if (connection === undefined || announced.has(peer)) return
    announced.add(peer)
    library.introduce(connection)
    void learnAddresses(peer, connection)
    for (const handler of [...connectionHandlers]) handler(peer, true)
  }

  function part(peer: PeerId, libraryPeer: LibraryPeerId): void {
    if (!announced.delete(peer)) return
    for (const [key, sending] of senders) {
      if (!key.startsWith(`${peer} `)) continue
      sending.stop()
      senders.delete(key)
    }
    library.dismiss(libraryPeer)
    for (const handler of [...connectionHandlers]) handler(peer, false)
  }

  async function learnAddresses(peer: PeerId, connection: Connection): Promise<void> {
    try {
      const { listenAddrs } = await node.services.identify.identify(connection)
      const addresses = listenAddrs.map(address => address.toString()).slice(0, 16)
      if (addresses.length > 0 && door.admitted(peer)) learned.set(peer, addresses)
    } catch (error) {
      // It has not admitted us yet, or went away: its addresses from `admit` serve as well.
      log.debug('a peer did not tell its addresses', { peer, error: errorText(error) })
    }
  }

  function hint(peer: PeerId, addresses: readonly string[]): void {
    if (peer === self || addresses.length === 0) return
    hints.add(peer, addresses)
    if (door.admitted(peer) && !announced.has(peer)) dial.hurry(peer)
    for (const handler of [...discoveryHandlers]) handler(peer, addresses)
  }

  async function dialAdmitted(peer: PeerId, inner: AbortSignal): Promise<void> {
    const readable = (addresses: readonly string[]): Multiaddr[] =>
      [...new Set(addresses)].map(address => withPeer(address, peer)).filter(address => address !== undefined)
    const known = readable([...door.addresses(peer), ...(learned.get(peer) ?? [])])
    const unproved = readable(hints.of(peer)).filter(one => !known.some(other => other.equals(one)))
    let failure: unknown
    for (const [target, ms] of [[known, dialKnownMs] as const, [unproved, dialKnownMs] as const]) {
      if (target.length === 0) continue
      using deadline = clock.deadline(ms, inner)
      try {
        await node.dial(target, { signal: deadline.signal })
        return
      } catch (error) {
        failure = error
        if (inner.aborted) break
      }
    }
    throw failure ?? new MeshError('unreachable', `no address of ${peer} is known`)
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

  /** Dials first where nobody has. Throws MeshError. */
  async function connectionFor(to: PeerId, protocol: Protocol, mode: Mode, inner: AbortSignal): Promise<Connection> {
    if (stopping.signal.aborted) throw new MeshError('stopped', 'the network is stopped')
    if (to === self) throw new MeshError('refused', 'a peer does not connect to itself')
    if (!door.admitted(to) && !(protocol === 'join' && mode === 'ask' && connectionTo(to) !== undefined)) {
      throw new MeshError('refused', `${to} is not a peer of this cluster`)
    }
    if (connectionTo(to) === undefined && mode !== 'send') {
      try {
        await dialAdmitted(to, inner)
      } catch (error) {
        if (connectionTo(to) === undefined) throw dialError(to, error)
      }
    }
    const connection = connectionTo(to)
    if (connection === undefined) throw new MeshError('unreachable', `not connected to ${to}`)
    return connection
  }

  async function newStream(to: PeerId, protocol: Protocol, mode: Mode, inner: AbortSignal): Promise<Stream> {
    const connection = await connectionFor(to, protocol, mode, inner)
    try {
      return await connection.newStream(libraryName(protocol, mode), {
        signal: inner,
        maxOutboundStreams: streamCountMax[mode],
      })
    } catch (error) {
      if (inner.aborted) throw new MeshError('aborted', 'the call was ended', { cause: error })
      throw new MeshError('broken', `${to} does not take the stream: ${errorText(error)}`, { cause: error })
    }
  }

  async function askByStream(to: PeerId, protocol: Protocol, body: Bytes, inner: AbortSignal): Promise<Bytes> {
    const stream = streams.track(await newStream(to, protocol, 'ask', inner), to)
    try {
      using _aborted = onAbort(inner, () => stream.abort())
      // Not awaited in sequence: a peer that refuses answers before it has read all.
      const sent = (async () => {
        await stream.write(body)
        await stream.closeWrite()
      })()
      sent.catch(() => {})
      const given = bodyOf(await readAll(stream, requestBytesMax + 1, inner), to)
      await sent
      return given
    } catch (error) {
      stream.abort()
      if (inner.aborted) throw new MeshError('aborted', 'the call was ended', { cause: inner.reason })
      throw error
    }
  }

  async function newSink(to: PeerId, protocol: Protocol, inner: AbortSignal): Promise<Sink> {
    const connection = connectionTo(to)
    const lane = connection === undefined ? undefined : library.lane(connection)
    if (lane !== undefined) return laneSink(lane, protocols.indexOf(protocol))
    return streamSink(await newStream(to, protocol, 'send', inner))
  }

  async function watch(): Promise<void> {
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
      counts.silenced += library.cutSilent(silenceMs)
      library.refresh()
      for (const [peer, { sinceMs }] of door.strangers()) {
        const theirs = connections.get(peer) ?? []
        const tooMany = theirs.some(connection => connection.streams.length > strangerStreamCountMax)
        if (!tooMany && nowMs - sinceMs <= gateConfig.strangerMs) continue
        for (const connection of theirs) connection.abort(new Error('a stranger stayed too long'))
        door.strangerLeft(peer)
      }
      if (nowMs - introducedMs <= introduceAgainMs) continue
      introducedMs = nowMs
      for (const peer of announced) {
        const connection = connectionTo(peer)
        if (connection !== undefined) library.introduce(connection)
      }
    }
  }

  await serveStreams({ clock, log }, node, handlers, streams, peer => door.admitted(peer), stopping.signal)
  try {
    await node.start()
  } catch (error) {
    stopping.abort()
    // The library lists each address with a whole stack; the system's own words are enough.
    const why = /\b(?:listen )?E[A-Z]+: [^\n]*/.exec(errorText(error))?.[0] ?? errorText(error)
    throw new MeshError('failed', `cannot listen on ${config.listen.join(', ')}: ${why}`, { cause: error })
  }
  const topics = topicsOn(node.services.pubsub, peer => door.admitted(peer), log, stopping.signal)
  const watching = watch()

  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      stopping.abort(new MeshError('stopped', 'the network is stopped'))
      // Streams are reset rather than closed: a stream that is cut by our end must not look complete.
      streams.abortAll()
      for (const connection of [...connections.values()].flat()) {
        asks.get(connection)?.end(new MeshError('stopped', 'the network is stopped'))
      }
      for (const sending of senders.values()) sending.stop()
      senders.clear()
      await Promise.all([dial.done, watching])
      await node.stop()
    })()
    return stopped
  }
  onAbort(signal, () => void stop())

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
          inner => newSink(to, protocol, inner),
          count => {
            counts.dropped += count
          },
        )
        senders.set(key, sending)
      }
      sending.push(message)
    },
    onMessage: (protocol, handler) => register(handlers.messages, protocol, handler),
    async request(to, protocol, body, inner) {
      if (body.length > requestBytesMax) {
        throw new MeshError('too-large', `a request of ${body.length} bytes is over the limit of ${requestBytesMax}`)
      }
      if (protocol !== 'join') {
        const asking = asks.get(await connectionFor(to, protocol, 'ask', inner))
        if (asking !== undefined) return bodyOf(await asking.ask(protocols.indexOf(protocol), body, inner), to)
      }
      return await askByStream(to, protocol, body, inner)
    },
    onRequest: (protocol, handler) => register(handlers.requests, protocol, handler),
    open: async (to, protocol, inner) => streams.track(await newStream(to, protocol, 'open', inner), to),
    onStream: (protocol, handler) => register(handlers.streams, protocol, handler),
    ...topics,
    connected: () => [...announced],
    onConnectionChange(handler) {
      connectionHandlers.add(handler)
      return { [Symbol.dispose]: () => void connectionHandlers.delete(handler) }
    },
    admit(peers) {
      door.replace(peers)
      for (const { peer } of peers) door.forget(peer)
      for (const peer of [...learned.keys()]) if (!door.admitted(peer)) learned.delete(peer)
      for (const [peer, theirs] of connections) {
        if (door.admitted(peer) && refusedPeers.delete(peer)) {
          for (const connection of [...theirs]) connection.abort(new MeshError('refused', 'met anew, as a peer'))
        } else if (door.admitted(peer)) meet(peer)
        else if (announced.has(peer)) {
          for (const connection of [...theirs]) connection.abort(new MeshError('refused', 'no longer admitted'))
        }
      }
      dial.wake()
    },
    addresses: () => node.getMultiaddrs().map(address => address.toString()),
    discovered: () => hints.all(),
    onDiscovered(handler) {
      discoveryHandlers.add(handler)
      return { [Symbol.dispose]: () => void discoveryHandlers.delete(handler) }
    },
    async dial(address, inner) {
      let target: Multiaddr
      try {
        target = multiaddr(address)
      } catch (error) {
        const example = '/ip4/192.0.2.1/tcp/4001/p2p/…'
        throw new MeshError('unreachable', `${address} is not a multiaddr such as ${example}`, { cause: error })
      }
      const named = namedPeer(target)
      const expected = named === undefined ? undefined : peerId(named)
      if (expected === self) throw new MeshError('wrong-peer', 'this address is our own')
      if (expected === undefined) anonymousDials++
      else door.expect(expected)
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
      refusedStreams: streams.refusedCount(),
      refusedConnections: counts.refusedConnections,
      silencedConnections: counts.silenced,
    }),
    stop,
  }
}
