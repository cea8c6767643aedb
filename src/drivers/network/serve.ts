// What other peers open to us: messages, questions, streams. The gate is asked again here for each, because a connection
// alone gives no right to anything; a stranger may ask `join`, within tight limits.
import type { Libp2p, Stream } from '@libp2p/interface'
import { onAbort } from '../../lib/abort.ts'
import { AssertionError, assert } from '../../lib/assert.ts'
import { type Bytes, concat, text, utf8 } from '../../lib/bytes.ts'
import { frameBytesMax, frameDecoder } from '../../wire/frame.ts'
import type { Clock } from '../../world/clock.ts'
import type { Log } from '../../world/log.ts'
import { MeshError, type Network, type PeerId, type Protocol, peerId } from '../../world/network.ts'
import { errorText } from './errors.ts'
import { type LiveStream, meshStream } from './stream.ts'

export const requestBytesMax = 16 * 1024 * 1024
/** What a stranger may send in one question. */
export const strangerRequestBytesMax = 64 * 1024

/** The place in this list is the protocol's number on a lane: only ever add at the end. */
export const protocols = [
  'raft',
  'snapshot',
  'api',
  'kubelet',
  'join',
  'status',
  'tunnel',
  'store',
] as const satisfies Protocol[]
export type Mode = 'send' | 'ask' | 'open'
export const streamCountMax: Readonly<Record<Mode, number>> = { send: 4, ask: 1024, open: 2048 }
/** The first byte of an answer. */
const status = { ok: 0, refused: 1, failed: 2 } as const

/** A whole question must have come by then; an answer may take as long as its asker waits. */
const readQuestionMs = 60_000
const readStrangerQuestionMs = 10_000
/** After its handler returned, the other side may finish reading for this long. */
const lingerMs = 10_000

export const libraryName = (protocol: Protocol, mode: Mode): string => `/flotilla/${protocol}/1/${mode}`

export type Handlers = {
  readonly messages: Map<Protocol, (from: PeerId, message: Bytes) => void>
  readonly requests: Map<Protocol, Parameters<Network['onRequest']>[1]>
  readonly streams: Map<Protocol, Parameters<Network['onStream']>[1]>
}

export type Streams = {
  /** A stream as ours, remembered until it is closed. */
  track(stream: Stream, remote: PeerId): LiveStream
  refuse(stream: Stream): void
  countRefused(): void
  readonly refusedCount: () => number
  abortAll(): void
}

export function openStreams(): Streams {
  const live = new Set<LiveStream>()
  let refused = 0
  return {
    track(stream, remote) {
      const tracked = meshStream(stream, remote)
      live.add(tracked)
      void tracked.closed.then(() => live.delete(tracked))
      return tracked
    },
    refuse(stream) {
      refused++
      stream.abort(new MeshError('refused', 'refused'))
    },
    countRefused() {
      refused++
    },
    refusedCount: () => refused,
    abortAll() {
      for (const stream of [...live]) stream.abort()
    },
  }
}

/** Puts the handlers of all protocols into the library. Those in `handlers` may come and go later. */
export async function serveStreams(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  node: Libp2p,
  handlers: Handlers,
  streams: Streams,
  admitted: (peer: PeerId) => boolean,
  signal: AbortSignal,
): Promise<void> {
  function takeMessages(protocol: Protocol, from: PeerId, stream: Stream): void {
    if (!admitted(from) || !handlers.messages.has(protocol)) {
      streams.refuse(stream)
      return
    }
    const decoder = frameDecoder(frameBytesMax)
    stream.addEventListener('message', event => {
      try {
        const bytes = event.data instanceof Uint8Array ? event.data : event.data.subarray()
        for (const message of decoder.push(bytes)) {
          // The gate may have closed, or the handler gone, since the stream was opened.
          if (!admitted(from)) break
          takeMessage(handlers, log, protocol, from, message)
        }
      } catch (error) {
        stream.abort(new MeshError('broken', 'bad message', { cause: error }))
      }
    })
    stream.addEventListener('remoteCloseWrite', () => {
      stream.close().catch(error => stream.abort(error))
    })
  }

  async function answer(protocol: Protocol, from: PeerId, stream: LiveStream): Promise<void> {
    const member = admitted(from)
    if (!handlers.requests.has(protocol) || !(member || protocol === 'join')) {
      streams.countRefused()
      await reply(stream, refusal(protocol, member))
      return
    }
    let body: Bytes
    {
      using deadline = clock.deadline(member ? readQuestionMs : readStrangerQuestionMs, signal)
      body = await readAll(stream, member ? requestBytesMax : strangerRequestBytesMax, deadline.signal)
    }
    const gone = new AbortController()
    void stream.closed.then(() => gone.abort(new MeshError('aborted', 'the asker went away')))
    using _stopped = onAbort(signal, () => gone.abort(new MeshError('stopped', 'the network is stopped')))
    await reply(stream, await answerTo(handlers, log, protocol, from, body, gone.signal))
  }

  async function serve(protocol: Protocol, from: PeerId, stream: LiveStream): Promise<void> {
    const handler = handlers.streams.get(protocol)
    if (!admitted(from) || handler === undefined) {
      streams.countRefused()
      stream.abort()
      return
    }
    const gone = new AbortController()
    void stream.closed.then(error => gone.abort(error ?? new MeshError('aborted', 'the stream ended')))
    using _stopped = onAbort(signal, () => gone.abort(new MeshError('stopped', 'the network is stopped')))
    await handler(stream, gone.signal)
    await finish(stream)
  }

  async function reply(stream: LiveStream, answer: Bytes): Promise<void> {
    await stream.write(answer)
    await finish(stream)
  }

  /** Ends our half, lets the other side read to its end, then ends all. */
  async function finish(stream: LiveStream): Promise<void> {
    await stream.closeWrite()
    using deadline = clock.deadline(lingerMs, signal)
    using _late = onAbort(deadline.signal, () => stream.abort())
    for await (const _rest of stream.read()) {
      // What still comes after the work is done is read away, so that the other side can finish.
    }
    await stream.closed
  }

  function take(protocol: Protocol, mode: Mode, from: PeerId, stream: Stream): void {
    if (signal.aborted || mode === 'send') {
      if (signal.aborted) streams.refuse(stream)
      else takeMessages(protocol, from, stream)
      return
    }
    const tracked = streams.track(stream, from)
    const work = mode === 'ask' ? answer(protocol, from, tracked) : serve(protocol, from, tracked)
    work.catch(error => {
      complain(log, error, 'a stream failed', from, protocol)
      tracked.abort()
    })
  }

  for (const protocol of protocols) {
    for (const mode of ['send', 'ask', 'open'] as const) {
      await node.handle(
        libraryName(protocol, mode),
        (stream, connection) => take(protocol, mode, peerId(connection.remotePeer.toString()), stream),
        { maxInboundStreams: streamCountMax[mode], maxOutboundStreams: streamCountMax[mode] },
      )
    }
  }
}

/** What a question is answered with, its status first. Never rejects. */
export async function answerTo(
  handlers: Handlers,
  log: Log,
  protocol: Protocol,
  from: PeerId,
  body: Bytes,
  signal: AbortSignal,
): Promise<Bytes> {
  const handler = handlers.requests.get(protocol)
  if (handler === undefined) return refusal(protocol, true)
  try {
    const given = await handler(from, body, signal)
    if (given.length <= requestBytesMax) return answered(status.ok, given)
    return answered(status.failed, utf8(`the answer of ${given.length} bytes is over the limit`))
  } catch (error) {
    complain(log, error, 'a request failed', from, protocol)
    return answered(status.failed, utf8(errorText(error)))
  }
}

export function refusal(protocol: Protocol | undefined, isMember: boolean): Bytes {
  return answered(status.refused, utf8(isMember ? `nobody answers ${protocol ?? 'this'} here` : 'you are not admitted'))
}

const answered = (code: number, body: Bytes): Bytes => concat([Uint8Array.of(code), body])

/** The body of an answer. Throws what it says instead: MeshError refused, failed, broken. */
export function bodyOf(answer: Bytes, from: PeerId): Bytes {
  const [code] = answer
  const body = answer.subarray(1)
  if (code === status.refused) throw new MeshError('refused', `${from} refused: ${text(body)}`)
  if (code === status.failed) throw new MeshError('failed', text(body))
  if (code !== status.ok) throw new MeshError('broken', `${from} gave no answer`)
  return body
}

/** Hands a message to its handler. What a handler throws is its own fault, never the sender's. */
export function takeMessage(handlers: Handlers, log: Log, protocol: Protocol, from: PeerId, message: Bytes): void {
  try {
    handlers.messages.get(protocol)?.(from, message)
  } catch (error) {
    complain(log, error, 'a message could not be taken', from, protocol)
  }
}

function complain(log: Log, error: unknown, message: string, peer: PeerId, protocol: Protocol): void {
  if (error instanceof AssertionError) {
    // A broken invariant of ours must stop the process, whoever's message showed it.
    setImmediate(() => {
      throw error
    })
  }
  log.debug(message, { peer, protocol, error: errorText(error) })
}

/** All bytes to the other side's end. Throws when it breaks before, is over the limit, or the signal aborts. */
export async function readAll(stream: LiveStream, bytesMax: number, signal: AbortSignal): Promise<Bytes> {
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

/** Puts a handler into its table; there may be one per protocol. Disposing takes it out. */
export function register<H>(table: Map<Protocol, H>, protocol: Protocol, handler: H): Disposable {
  assert(!table.has(protocol), `protocol ${protocol} already has a handler`)
  table.set(protocol, handler)
  return {
    [Symbol.dispose]() {
      if (table.get(protocol) === handler) table.delete(protocol)
    },
  }
}
