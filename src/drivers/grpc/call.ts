// One call, which is one stream of HTTP/2: what of its messages has come, and what of the answer has not gone yet.
import type { Bytes } from '../../lib/bytes.ts'
import { type StatusCode, type StreamCall, type StreamHandler, statusCode, type UnaryCall } from '../../world/grpc.ts'
import type { Connection } from './connection.ts'
import { readU32 } from './frame.ts'
import { prefixBytes } from './message.ts'
import type { RequestHead } from './request.ts'

export class Call implements UnaryCall, StreamCall {
  readonly connection: Connection
  readonly id: number
  readonly head: RequestHead
  /** The service may still answer. */
  isOpen = true
  /** Handed to a service that has not answered yet. */
  isRunning = false
  /** The client has said all. */
  isHalfClosed = false
  headersSent = false
  /** How much the client still takes on this stream. */
  sendWindow: number
  /** Taken from the client's window and not given back yet. */
  uncredited = 0
  handler: StreamHandler | undefined
  /** Messages that wait for the client's window or for the socket, with how much of the first has gone. */
  queue: Buffer[] | undefined
  queueAt = 0
  /** `send` said false. */
  wantsDrain = false
  /** After the queue comes the end. */
  isFinishing = false
  /** Of a message that is not whole yet, prefix included. */
  #parts: Buffer[] | undefined
  #partBytes = 0
  /** The one message of a unary call, until the client says that it was the only one. */
  #message: Bytes | undefined

  constructor(connection: Connection, id: number, head: RequestHead, sendWindow: number) {
    this.connection = connection
    this.id = id
    this.head = head
    this.sendWindow = sendWindow
  }

  // ---- for the service ----

  header(name: string): string | undefined {
    return this.head.headers.get(name)
  }

  whenRoom(work: () => void): void {
    if (this.isOpen) this.connection.sender.whenRoom(this, work)
    else this.#settle()
  }

  respond(bytes: Bytes, start: number, end: number): void {
    if (this.isOpen) this.connection.sender.respond(this, bytes, start, end)
    else this.#settle()
  }

  send(head: Bytes, headLength: number, tail?: Bytes): boolean {
    return this.isOpen && this.connection.sender.send(this, head, headLength, tail)
  }

  finish(): void {
    if (this.isOpen) this.connection.sender.finish(this, statusCode.ok, '')
  }

  fail(code: StatusCode, message: string): void {
    if (this.isOpen) this.connection.sender.finish(this, code, message)
    else this.#settle()
  }

  /** `whenRoom` comes to run it, or not. */
  resume(work: () => void): void {
    if (this.isOpen) work()
    else this.#settle()
  }

  /** A late answer to a client that has gone: now nothing runs for it any more. */
  #settle(): void {
    if (!this.isRunning) return
    this.isRunning = false
    this.connection.orphanEnded()
  }

  expire(): void {
    this.connection.abandon(this)
    this.connection.sender.finish(this, statusCode.deadlineExceeded, 'context deadline exceeded')
  }

  // ---- for the connection ----

  /** What DATA brought. */
  receive(bytes: Bytes, start: number, end: number): void {
    if (this.#parts !== undefined) {
      this.#keep(bytes, start, end)
      if (this.#partBytes < prefixBytes) return
      const needed = prefixBytes + this.#lengthOf(this.#first(), 0)
      if (!this.isOpen || this.#partBytes < needed) return
      bytes = this.#parts.length === 1 ? this.#first() : Buffer.concat(this.#parts)
      start = 0
      end = bytes.length
      this.dropParts()
    }
    while (end - start >= prefixBytes) {
      const length = this.#lengthOf(bytes, start)
      if (!this.isOpen) return
      const next = start + prefixBytes + length
      if (next > end) break
      this.#deliver(bytes, start + prefixBytes, next)
      if (!this.isOpen) return
      start = next
    }
    if (start < end) this.#keep(bytes, start, end)
  }

  /** The client has sent its last byte. */
  halfClose(): void {
    this.isHalfClosed = true
    if (!this.isOpen || this.isRunning) return
    if (this.handler !== undefined) {
      this.handler.halfClosed()
      return
    }
    const { route } = this.head
    const message = this.#message
    if (message === undefined || this.#parts !== undefined || route.kind !== 'unary') {
      this.fail(statusCode.internal, 'the request is not one whole message')
      return
    }
    this.#message = undefined
    this.connection.keptBytes(-message.length)
    this.isRunning = true
    route.handle(message, 0, message.length, this)
  }

  /** One whole message in one frame that is also the last: nothing is kept. False when it is not that. */
  runAtOnce(bytes: Bytes, start: number, end: number): boolean {
    const { route } = this.head
    if (route.kind !== 'unary' || this.#parts !== undefined || this.#message !== undefined) return false
    if (end - start < prefixBytes || end - start - prefixBytes !== this.#lengthOf(bytes, start)) return false
    this.isHalfClosed = true
    if (!this.isOpen) return true
    this.isRunning = true
    route.handle(bytes, start + prefixBytes, end, this)
    return true
  }

  dropParts(): void {
    this.connection.keptBytes(-this.#partBytes)
    this.#parts = undefined
    this.#partBytes = 0
  }

  dropAll(): void {
    if (this.#parts !== undefined) this.dropParts()
    if (this.#message !== undefined) this.connection.keptBytes(-this.#message.length)
    this.#message = undefined
  }

  /** At least the prefix, in one piece. */
  #first(): Buffer {
    const [first = Buffer.alloc(0), ...more] = this.#parts ?? []
    if (first.length >= prefixBytes || more.length === 0) return first
    const joined = Buffer.concat([first, ...more])
    this.#parts = [joined]
    return joined
  }

  #keep(bytes: Bytes, start: number, end: number): void {
    this.#parts ??= []
    // A copy: the bytes are of a buffer that holds much else.
    this.#parts.push(Buffer.from(bytes.subarray(start, end)))
    this.#partBytes += end - start
    this.connection.keptBytes(end - start)
  }

  /** Of the message whose prefix stands at `at`. A message that may not be fails the call. */
  #lengthOf(bytes: Bytes, at: number): number {
    const length = readU32(bytes, at + 1)
    const max = this.connection.messageBytesMax
    if (length > max) {
      this.fail(statusCode.resourceExhausted, `grpc: received message larger than max (${length} vs. ${max})`)
    } else if (bytes[at] !== 0) {
      const encoding = this.header('grpc-encoding') ?? 'unknown'
      this.fail(statusCode.unimplemented, `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`)
    }
    return length
  }

  #deliver(bytes: Bytes, start: number, end: number): void {
    if (this.handler !== undefined) {
      this.handler.message(bytes, start, end)
      return
    }
    if (this.#message !== undefined || this.isRunning) {
      this.fail(statusCode.internal, 'a second message in a call that has one')
      return
    }
    this.#message = Buffer.from(bytes.subarray(start, end))
    this.connection.keptBytes(end - start)
  }
}
