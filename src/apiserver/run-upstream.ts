// HTTPS to another API server: the connection, who it is, and one request. A server behind pods is reached through the agents of
// their nodes, as port-forward is, so it needs no route from this machine; any other endpoint at its address.
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import { onAbort } from '../lib/abort.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { Clock } from '../world/clock.ts'
import type { ByteStream } from '../world/http.ts'
import type { Claim } from './aggregate.ts'

/** Certificate and key that this cluster's API servers show other API servers, and the authority of it, all as PEM. */
export type FrontProxy = { readonly caPem: string; readonly certPem: string; readonly keyPem: string }

/** A connection to an endpoint of the claim's Service, without TLS. Rejects with what is to be said to the client. */
export type Dial = (claim: Claim, signal: AbortSignal) => Promise<Duplex>

export type UpstreamRequest = {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: Bytes
}

export type Taken = { readonly headers: IncomingMessage['headers']; readonly stream: ByteStream }

export interface Upstream {
  /** Resolves with the head of the answer; its body is read from it. Rejects when the server cannot be reached. */
  send(request: UpstreamRequest, signal: AbortSignal): Promise<IncomingMessage>
  /** Asks that the connection become something else, as the headers say: what it becomes, or the answer instead of it. */
  upgrade(request: UpstreamRequest, signal: AbortSignal): Promise<Taken | IncomingMessage>
  close(): void
}

/** `socket`: the connection is no longer HTTP. */
type Answer = { readonly response: IncomingMessage; readonly socket: Duplex | undefined }

const headersTimeoutMs = 60_000
const connectTimeoutMs = 10_000
const idleMs = 30_000
const idleSocketsMax = 16

export function openUpstream(
  clock: Clock,
  claim: Claim,
  dial: Dial,
  identity: (signal: AbortSignal) => Promise<FrontProxy | undefined>,
  signal: AbortSignal,
): Upstream {
  async function open(until: AbortSignal): Promise<Duplex> {
    using deadline = clock.deadline(connectTimeoutMs, AbortSignal.any([signal, until]))
    const own = await identity(deadline.signal)
    const raw = await dial(claim, deadline.signal)
    const socket = tlsConnect({
      socket: raw,
      // Both the name asked for and the one that its certificate must have.
      servername: `${claim.service}.${claim.namespace}.svc`,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: !claim.insecure,
      ...(claim.ca !== undefined && { ca: claim.ca }),
      ...(own && { cert: own.certPem, key: own.keyPem }),
    })
    // Whoever waits for it hears of it; a connection that nobody waits for may break in silence.
    raw.on('error', error => socket.destroy(error))
    socket.on('error', () => {})
    using _ = onAbort(deadline.signal, () => socket.destroy(new Error('the server did not answer in time')))
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve).once('error', error => {
        raw.destroy()
        reject(error)
      })
    })
    return socket
  }

  class TlsAgent extends Agent {
    override createConnection(_: object, callback?: (error: Error | null, stream: Duplex) => void): null {
      open(signal).then(
        socket => callback?.(null, socket),
        // The second argument is not looked at then.
        error => callback?.(error as Error, undefined as never),
      )
      return null
    }
  }
  const kept = new TlsAgent({ keepAlive: true, maxFreeSockets: idleSocketsMax, timeout: idleMs })
  const fresh = new TlsAgent({ keepAlive: false })

  async function send(request: UpstreamRequest, until: AbortSignal): Promise<IncomingMessage> {
    const reads = request.method === 'GET' || request.method === 'HEAD'
    // A kept connection may be gone without our knowing: what may be asked twice is, what may not gets a connection of its own.
    const [outgoing, answered] = start(request, reads ? kept : fresh, until)
    try {
      return (await answered).response
    } catch (error) {
      if (!reads || !outgoing.reusedSocket || until.aborted) throw error
      return (await start(request, fresh, until)[1]).response
    }
  }

  async function upgrade(request: UpstreamRequest, until: AbortSignal): Promise<Taken | IncomingMessage> {
    const { response, socket } = await start(request, fresh, until)[1]
    return socket === undefined ? response : { headers: response.headers, stream: streamOf(socket) }
  }

  function start(
    request: UpstreamRequest,
    agent: Agent,
    until: AbortSignal,
  ): readonly [ClientRequest, Promise<Answer>] {
    const { method, path, body } = request
    const outgoing = httpRequest({
      agent,
      method,
      path,
      host: `${claim.service}.${claim.namespace}.svc`,
      port: claim.port,
      headers: {
        ...(request.headers as Record<string, string | string[]>),
        ...(body.length > 0 && { 'content-length': body.length }),
      },
    })
    const deadline = clock.deadline(headersTimeoutMs, until)
    const gone = onAbort(until, () => outgoing.destroy(new Error('the client is gone')))
    const late = onAbort(deadline.signal, () => outgoing.destroy(new Error('no answer came in time')))
    const inTime = () => {
      late[Symbol.dispose]()
      deadline[Symbol.dispose]()
    }
    const answered = new Promise<Answer>((resolve, reject) => {
      outgoing.on('error', reject)
      outgoing.on('response', response => {
        inTime()
        response.on('close', () => gone[Symbol.dispose]())
        resolve({ response, socket: undefined })
      })
      outgoing.on('upgrade', (response: IncomingMessage, socket: Duplex, head: Buffer) => {
        inTime()
        gone[Symbol.dispose]()
        if (head.length > 0) socket.unshift(head)
        resolve({ response, socket })
      })
    })
    answered.catch(() => {
      inTime()
      gone[Symbol.dispose]()
    })
    outgoing.end(body)
    return [outgoing, answered]
  }

  return {
    send,
    upgrade,
    close() {
      kept.destroy()
      fresh.destroy()
    },
  }
}

function streamOf(socket: Duplex): ByteStream {
  return {
    read: () => socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Bytes>,
    write: bytes =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) reject(new Error('the connection is closed'))
        else socket.write(bytes, error => (error ? reject(error) : resolve()))
      }),
    closeWrite: async () => void socket.end(),
    abort: () => void socket.destroy(),
  }
}
