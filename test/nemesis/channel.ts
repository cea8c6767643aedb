// One client's connection to one member, gRPC over Node's HTTP/2: it tells apart what surely never reached the member from
// what may have. That difference is what a history stands on, so there is no retry and no queue in here.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'

export type Reply =
  | { readonly kind: 'answer'; readonly bytes: Buffer }
  /** The member said no, with gRPC's code. Whether something happened all the same depends on the code. */
  | { readonly kind: 'status'; readonly code: number; readonly text: string }
  /** Nothing was sent. */
  | { readonly kind: 'refused'; readonly why: string }
  /** It was sent, and no answer came. */
  | { readonly kind: 'lost'; readonly why: string }

const connectMs = 500
const windowBytes = 16 * 1024 * 1024
const headers = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }

export class Channel {
  private readonly url: string
  private session: Promise<ClientHttp2Session> | undefined

  constructor(url: string) {
    this.url = url
  }

  /** Connects when need be. `sending` is called right before the request leaves, and not at all when it does not. */
  async unary(path: string, request: Buffer, timeoutMs: number, sending: () => void = () => {}): Promise<Reply> {
    let session: ClientHttp2Session
    try {
      session = await this.open()
    } catch (error) {
      return { kind: 'refused', why: String(error) }
    }
    if (session.closed || session.destroyed) return { kind: 'refused', why: 'the connection is closed' }
    let stream: ClientHttp2Stream
    try {
      sending()
      stream = session.request({ ...headers, ':path': path })
    } catch (error) {
      // It throws when it cannot send on this connection any more.
      return { kind: 'refused', why: String(error) }
    }
    return await ask(stream, request, timeoutMs)
  }

  /** A stream that has sent its first message. Rejects when it cannot connect. */
  async stream(path: string, first: Buffer): Promise<ClientHttp2Stream> {
    const session = await this.open()
    const stream = session.request({ ...headers, ':path': path })
    stream.write(frame(first))
    return stream
  }

  close(): void {
    this.session?.then(
      session => session.destroy(),
      () => {},
    )
    this.session = undefined
  }

  private open(): Promise<ClientHttp2Session> {
    this.session ??= this.connect()
    return this.session
  }

  private connect(): Promise<ClientHttp2Session> {
    const opened = Promise.withResolvers<ClientHttp2Session>()
    const session = connect(this.url)
    const forget = () => {
      if (this.session === opened.promise) this.session = undefined
    }
    const late = setTimeout(() => {
      opened.reject(new Error(`no connection within ${connectMs} ms`))
      session.destroy()
    }, connectMs)
    session.once('connect', () => {
      clearTimeout(late)
      session.setLocalWindowSize(windowBytes)
      opened.resolve(session)
    })
    session.on('error', error => opened.reject(error))
    session.once('goaway', forget)
    session.once('close', () => {
      clearTimeout(late)
      forget()
      opened.reject(new Error('the connection was closed'))
    })
    // Whoever asked hears of it; the next one connects anew.
    opened.promise.catch(forget)
    return opened.promise
  }
}

async function ask(stream: ClientHttp2Stream, request: Buffer, timeoutMs: number): Promise<Reply> {
  const ended = Promise.withResolvers<Reply>()
  const late = setTimeout(() => {
    ended.resolve({ kind: 'lost', why: `no answer within ${timeoutMs} ms` })
    stream.close(constants.NGHTTP2_CANCEL)
  }, timeoutMs)
  const chunks: Buffer[] = []
  let status: { code: number; text: string } | undefined
  const look = (fields: Record<string, unknown>) => {
    const code = fields['grpc-status']
    if (code !== undefined)
      status = { code: Number(code), text: decodeURIComponent(String(fields['grpc-message'] ?? '')) }
  }
  stream.on('response', look)
  stream.on('trailers', look)
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('error', error => ended.resolve({ kind: 'lost', why: error.message }))
  stream.on('close', () => {
    if (status === undefined) ended.resolve({ kind: 'lost', why: `the stream was reset with ${stream.rstCode}` })
    else if (status.code !== 0) ended.resolve({ kind: 'status', ...status })
    else ended.resolve(answerOf(Buffer.concat(chunks)))
  })
  stream.end(frame(request))
  const reply = await ended.promise
  clearTimeout(late)
  return reply
}

/** gRPC's message: a byte "not compressed", its length, itself. */
export function frame(payload: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(payload.length, 1)
  return Buffer.concat([head, payload])
}

function answerOf(received: Buffer): Reply {
  if (received.length < 5 || received.length !== 5 + received.readUInt32BE(1))
    return { kind: 'lost', why: 'the answer is not one message' }
  return { kind: 'answer', bytes: received.subarray(5) }
}

/** Cuts what a stream receives into messages. */
export class Unframer {
  private rest: Buffer = Buffer.alloc(0)

  push(chunk: Buffer): Buffer[] {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    const messages: Buffer[] = []
    while (this.rest.length >= 5) {
      const end = 5 + this.rest.readUInt32BE(1)
      if (this.rest.length < end) break
      messages.push(this.rest.subarray(5, end))
      this.rest = this.rest.subarray(end)
    }
    return messages
  }
}
