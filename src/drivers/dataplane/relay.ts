// Carries connections and datagrams from a listening socket to an endpoint, for the userspace dataplane.
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { connect, createServer, type Socket } from 'node:net'
import type { Backend } from '../../world/dataplane.ts'
import type { Balance } from './balance.ts'

/**
 * Several peers of one machine serve the same node port: the kernel deals the clients out among them, and one that closes its
 * socket leaves the others in place. Other systems than Linux deal badly or not at all.
 */
const shared = (port: number): boolean => port !== 0 && process.platform === 'linux'

export type Relay = {
  /** The port it listens on. */
  readonly port: number
  /** Endpoints have changed: what was kept for those that are gone is forgotten. */
  changed(): void
  /** Listens no more; connections that stand live on. Resolves when the port is free again. */
  close(): Promise<void>
}

const connectTimeoutMs = 5_000
/** As long as the kernel keeps an answered UDP flow. */
export const udpIdleMs = 120_000
const udpSessionsMax = 4_096

type Now = () => number

/** Rejects when the address cannot be bound. `open` holds all sockets of connections while they stand. */
export async function relayTcp(
  host: string,
  port: number,
  balance: Balance,
  now: Now,
  open: Set<Socket>,
): Promise<Relay> {
  const track = (socket: Socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  }
  // Half-open on both sides: a client that has said all still hears the answer.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, client => {
    track(client)
    client.on('error', () => client.destroy())
    reach(client, [])
  })

  function reach(client: Socket, tried: readonly Backend[]): void {
    if (client.destroyed) return
    const backend = balance.pick(client.remoteAddress ?? '', now(), tried)
    if (backend === undefined) {
      client.resetAndDestroy()
      return
    }
    const upstream = connect({ host: backend.ip, port: backend.port, allowHalfOpen: true, noDelay: true })
    track(upstream)
    const abandon = () => upstream.destroy()
    client.once('close', abandon)
    const next = () => {
      client.off('close', abandon)
      upstream.destroy()
      reach(client, [...tried, backend])
    }
    upstream.setTimeout(connectTimeoutMs, next)
    upstream.once('error', next)
    upstream.once('connect', () => {
      upstream.setTimeout(0)
      upstream.off('error', next)
      client.off('close', abandon)
      join(client, upstream)
    })
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true, reusePort: shared(port) }, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    changed() {},
    close: async () => {
      // It would call back only when the last connection has ended; the port is free at once.
      server.close()
    },
  }
}

/** Both ways until both have ended; when one breaks, the other is told by a reset. */
function join(client: Socket, upstream: Socket): void {
  client.pipe(upstream)
  upstream.pipe(client)
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on('error', () => other.resetAndDestroy())
    one.on('close', () => {
      // A side that closed without an end of its own took the conversation with it.
      if (!one.readableEnded) other.destroy()
    })
  }
}

type Session = { readonly socket: UdpSocket; readonly backend: Backend; timer: NodeJS.Timeout }

/** A client is an address and port; each has a socket of its own towards its endpoint, so that answers find back. */
export async function relayUdp(host: string, port: number, balance: Balance, now: Now): Promise<Relay> {
  const server = createSocket({ type: 'udp4', reusePort: shared(port) })
  const sessions = new Map<string, Session>()

  function end(key: string): void {
    const session = sessions.get(key)
    if (session === undefined) return
    clearTimeout(session.timer)
    sessions.delete(key)
    session.socket.close()
  }

  function begin(key: string, address: string, from: number): Session | undefined {
    const backend = balance.pick(address, now())
    if (backend === undefined) return undefined
    const socket = createSocket('udp4')
    const session: Session = { socket, backend, timer: setTimeout(() => end(key), udpIdleMs) }
    sessions.set(key, session)
    const [oldest] = sessions.keys()
    if (sessions.size > udpSessionsMax && oldest !== undefined) end(oldest)
    // Refused by the endpoint: the next datagram begins anew, maybe elsewhere.
    socket.on('error', () => end(key))
    socket.on('message', message => server.send(message, from, address))
    socket.connect(backend.port, backend.ip)
    return session
  }

  server.on('message', (message, { address, port: from }) => {
    const key = `${address}:${from}`
    const session = sessions.get(key) ?? begin(key, address, from)
    if (session === undefined) return
    session.timer.refresh()
    const send = () => {
      if (sessions.get(key) === session) session.socket.send(message)
    }
    // A connecting socket takes datagrams only once it is connected.
    try {
      session.socket.remoteAddress()
      send()
    } catch {
      session.socket.once('connect', send)
    }
  })

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.bind({ address: host, port, exclusive: true }, () => {
      server.off('error', reject)
      // An ICMP error for an answer to a client that is gone.
      server.on('error', () => {})
      resolve()
    })
  })
  return {
    port: server.address().port,
    changed() {
      for (const [key, { backend }] of sessions) if (!balance.has(backend.ip, backend.port)) end(key)
    },
    close: () =>
      new Promise(resolve => {
        for (const key of [...sessions.keys()]) end(key)
        server.close(() => resolve())
      }),
  }
}
