// The cluster's DNS server on this node: follows services and slices, answers on UDP and TCP, and asks the node's resolvers
// for all other names. It listens on addresses that may come later (the overlay puts 169.254.20.10 there): each is tried
// until it is there, and again when it was lost.
import { createSocket, type RemoteInfo } from 'node:dgram'
import { createServer, type Socket } from 'node:net'
import { endpointSlice } from '../api/kinds/endpointslice.ts'
import { service } from '../api/kinds/service.ts'
import type { Client } from '../client/client.ts'
import { follow } from '../client/run-follow.ts'
import { onAbort } from '../lib/abort.ts'
import { type Bytes, concat } from '../lib/bytes.ts'
import type { Clock } from '../world/clock.ts'
import type { Log } from '../world/log.ts'
import type { Random } from '../world/random.ts'
import {
  type DnsRecord,
  decodeQuery,
  encodeMalformed,
  encodeResponse,
  type Query,
  type Rcode,
  type Response,
  udpLimit,
} from './packet.ts'
import { type ForwardConfig, type Forwarder, openForwarder, type Transport } from './run-forward.ts'
import { answer, type ZoneConfig, type ZoneView } from './zone.ts'

export type DnsConfig = ZoneConfig & {
  /** Where to listen, UDP and TCP alike: `dnsIp` and what else a cluster wants. */
  readonly listen: readonly { readonly ip: string; readonly port: number }[]
} & Omit<ForwardConfig, 'own'>

const tcpMessageMax = 65_535
const tcpIdleMs = 10_000
const tcpConnectionsMax = 256
/** Answers of one TCP connection that are under way; the client waits to send more. */
const tcpPipelineMax = 32
const aliasesMax = 8
const retryMs = 200
const retryMsMax = 15_000

type World = { readonly clock: Clock; readonly random: Random; readonly log: Log }

/** Lives until the signal aborts. */
export async function runDns(world: World, config: DnsConfig, client: Client, signal: AbortSignal): Promise<void> {
  const log = world.log.with({ component: 'dns' })
  const services = follow(
    world,
    client,
    service,
    {},
    {
      ip: one => one.spec.clusterIPs ?? (one.spec.clusterIP === undefined ? [] : [one.spec.clusterIP]),
      namespace: one => [one.metadata.namespace ?? ''],
    },
    signal,
  )
  const slices = follow(
    world,
    client,
    endpointSlice,
    {},
    {
      service: one => [`${one.metadata.namespace}/${one.metadata.labels?.['kubernetes.io/service-name'] ?? ''}`],
      ip: one => one.endpoints.flatMap(endpoint => endpoint.addresses),
    },
    signal,
  )
  let synced = false
  const syncing = Promise.all([services.synced, slices.synced]).then(
    () => {
      synced = true
    },
    () => undefined,
  )
  const view: ZoneView = {
    service: (namespace, name) => services.view.get(namespace, name),
    slices: (namespace, name) => slices.view.by('service', `${namespace}/${name}`),
    servicesByIp: ip => services.view.by('ip', ip),
    slicesByIp: ip => slices.view.by('ip', ip),
    hasNamespace: namespace => services.view.by('namespace', namespace).length > 0,
  }
  const own = [config.dnsIp, ...config.listen.map(({ ip }) => ip)]
  const forwarder = openForwarder({ ...world, log }, { ...config, own })
  const handle = openHandler(view, () => synced, config, forwarder, signal)

  await Promise.all([
    syncing,
    services.done,
    slices.done,
    ...config.listen.flatMap(({ ip, port }) => [
      keepListening(world.clock, log, `udp ${ip}:${port}`, () => serveUdp(ip, port, handle, log, signal), signal),
      keepListening(world.clock, log, `tcp ${ip}:${port}`, () => serveTcp(ip, port, handle, log, signal), signal),
    ]),
  ])
}

type Handler = (bytes: Bytes, transport: Transport) => Promise<Uint8Array | undefined>

/** From a message to the bytes of its answer; undefined when there should be none. */
export function openHandler(
  view: ZoneView,
  synced: () => boolean,
  config: ZoneConfig,
  forwarder: Forwarder,
  signal: AbortSignal,
): Handler {
  let turn = 0
  const plain = (rcode: Rcode): Response => ({
    rcode,
    authoritative: false,
    answers: [],
    authorities: [],
    additionals: [],
  })

  /** Other names than the cluster's are not looked up here: undefined. */
  async function ownResponse(query: Query): Promise<Response | undefined> {
    const { type } = query.question
    let { name } = query.question
    const aliases: DnsRecord[] = []
    for (let step = 0; step < aliasesMax; step++) {
      const found = answer(name, type, view, config)
      if (found.kind === 'forward') {
        if (aliases.length === 0) return undefined
        // Stub resolvers do not follow an alias themselves: the whole chain belongs into the answer.
        const resolved = await forwarder.resolve(name, type, signal)
        return { ...plain(resolved.rcode), authoritative: true, answers: [...aliases, ...resolved.answers] }
      }
      if (!synced()) return plain('SERVFAIL')
      if (found.kind === 'response') {
        const answers = [...aliases, ...rotated(found.response.answers)]
        return { ...found.response, answers }
      }
      aliases.push(found.alias)
      name = found.target
    }
    return plain('SERVFAIL')
  }

  /** Clients take the first address: each answer begins with another. */
  function rotated(answers: readonly DnsRecord[]): readonly DnsRecord[] {
    if (answers.length < 2) return answers
    const at = turn++ % answers.length
    return [...answers.slice(at), ...answers.slice(0, at)]
  }

  return async (bytes, transport) => {
    const query = decodeQuery(bytes)
    if (query.kind === 'malformed') return encodeMalformed(query)
    const limit = transport === 'udp' ? udpLimit(query) : tcpMessageMax
    if (query.opcode !== 0) return encodeResponse(query, plain('NOTIMP'), limit)
    if (query.question.class !== 1) return encodeResponse(query, plain('REFUSED'), limit)
    const own = await ownResponse(query)
    if (own !== undefined) return encodeResponse(query, own, limit)
    const forwarded = await forwarder.forward(query, bytes, transport, signal)
    return forwarded ?? encodeResponse(query, plain('SERVFAIL'), limit)
  }
}

/** `serve` rejects when it cannot listen, or not any more; resolves when the signal aborts. */
async function keepListening(clock: Clock, log: Log, what: string, serve: () => Promise<void>, signal: AbortSignal) {
  let waitMs = retryMs
  let said = ''
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs()
    try {
      await serve()
    } catch (error) {
      if (signal.aborted) return
      const text = String(error)
      // The address comes with the pod network, which may be later.
      const early = (error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL'
      if (text !== said) log[early ? 'info' : 'warn'](`cannot answer on ${what}, trying again`, { error: text })
      said = text
    }
    waitMs = clock.monotonicMs() - startedMs > retryMsMax ? retryMs : Math.min(waitMs * 2, retryMsMax)
    await clock.sleep(waitMs, signal)
  }
}

function serveUdp(ip: string, port: number, handle: Handler, log: Log, signal: AbortSignal): Promise<void> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 })
  const reply = async (message: Bytes, from: RemoteInfo) => {
    const bytes = await handle(message, 'udp')
    if (bytes === undefined || signal.aborted) return
    // A client that is gone, or a full buffer: the answer is lost, as any may be.
    socket.send(bytes, from.port, from.address, error => {
      if (error) log.debug('an answer was not sent', { error: String(error) })
    })
  }
  return new Promise((resolve, reject) => {
    const listener = onAbort(signal, () => {
      socket.close()
      resolve()
    })
    socket.on('error', error => {
      listener[Symbol.dispose]()
      if (!signal.aborted) socket.close()
      reject(error)
    })
    socket.on('message', (message, from) => {
      // Port 0 cannot be answered; Node would throw.
      if (from.port !== 0) reply(message, from).catch(error => log.error('a query broke', { error: String(error) }))
    })
    if (!signal.aborted) socket.bind({ address: ip, port, exclusive: true }, () => log.info('answering', { ip, port }))
  })
}

function serveTcp(ip: string, port: number, handle: Handler, log: Log, signal: AbortSignal): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    converse(socket, handle).catch(error => {
      log.debug('a TCP client broke off', { error: String(error) })
      socket.destroy()
    })
  })
  server.maxConnections = tcpConnectionsMax
  const sockets = new Set<Socket>()
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  return new Promise((resolve, reject) => {
    const listener = onAbort(signal, () => {
      for (const socket of sockets) socket.destroy()
      server.close(() => resolve())
    })
    server.on('error', error => {
      listener[Symbol.dispose]()
      server.close()
      reject(error)
    })
    if (!signal.aborted) server.listen({ host: ip, port, exclusive: true })
  })
}

/** Messages with their length before them (RFC 1035, 4.2.2); answers go out as they are ready (RFC 7766, 7). */
async function converse(socket: Socket, handle: Handler): Promise<void> {
  socket.setTimeout(tcpIdleMs, () => socket.destroy())
  let rest: Bytes = new Uint8Array()
  const under = new Set<Promise<void>>()
  const reply = async (message: Bytes) => {
    const bytes = await handle(message, 'tcp')
    if (bytes !== undefined && socket.writable)
      socket.write(concat([Uint8Array.of(bytes.length >>> 8, bytes.length & 255), bytes]))
  }
  for await (const chunk of socket) {
    rest = concat([rest, chunk as Bytes])
    for (;;) {
      const [high = 0, low = 0] = rest
      const size = high * 256 + low
      if (rest.length < 2 || rest.length < 2 + size) break
      const message = rest.slice(2, 2 + size)
      rest = rest.subarray(2 + size)
      const work = reply(message)
        .catch((error: Error) => void socket.destroy(error))
        .finally(() => under.delete(work))
      under.add(work)
      if (under.size >= tcpPipelineMax) await Promise.race(under)
    }
  }
  await Promise.all(under)
  socket.end()
}
