// What goes to one client: answers and messages as frames, within the windows that it opened and the socket's room. An answer
// that fits, which is nearly every one, is written at once: headers, message and trailers in one piece.
import type { Bytes } from '../../lib/bytes.ts'
import { type StatusCode, statusCode } from '../../world/grpc.ts'
import type { Call } from './call.ts'
import {
  type ErrorCode,
  errorCode,
  flag,
  frameBytesDefault,
  frameHeadBytes,
  frameType,
  windowDefault,
  windowMax,
  writeFrameHead,
  writeU32,
} from './frame.ts'
import { backlogBytesMax } from './limits.ts'
import { message, prefixBytes, writeBlock, writeMessage, writeTwo } from './message.ts'
import type { Output } from './output.ts'
import { ReplyBlocks } from './reply.ts'

export class Sender {
  readonly #output: Output
  readonly #answered: (call: Call) => void
  readonly replies = new ReplyBlocks()
  /** Calls with messages that wait. */
  readonly #blocked = new Set<Call>()
  /** Of the whole connection. */
  #window = windowDefault
  frameBytesMax = frameBytesDefault
  /** In the queues of calls. */
  #queuedBytes = 0
  #deferred: { readonly call: Call; readonly work: () => void }[] = []
  /** Messages, parts of them, and ends of calls: what the client has asked for. */
  sentCount = 0

  /** `answered` is called when the last byte of a call's answer is written. */
  constructor(output: Output, answered: (call: Call) => void) {
    this.#output = output
    this.#answered = answered
  }

  get backlogBytes(): number {
    return this.#output.backlogBytes
  }

  get #hasRoom(): boolean {
    return this.#output.backlogBytes + this.#queuedBytes <= backlogBytesMax
  }

  // ---- for calls ----

  /** The whole answer of a unary call. */
  respond(call: Call, bytes: Bytes, start: number, end: number): void {
    const size = end - start + prefixBytes
    if (size > this.frameBytesMax || size > call.sendWindow || size > this.#window) {
      this.#enqueue(call, message(bytes, start, end, undefined))
      this.finish(call, statusCode.ok, '')
      return
    }
    const headers = this.replies.headers()
    const trailers = this.replies.trailersOk()
    const output = this.#output
    output.reserve(3 * frameHeadBytes + headers.length + size + trailers.length)
    const { buffer } = output
    let at = output.at
    at = writeBlock(buffer, at, call.id, flag.endHeaders, headers)
    writeFrameHead(buffer, at, size, frameType.data, 0, call.id)
    at = writeMessage(buffer, at + frameHeadBytes, bytes, start, end)
    output.at = writeBlock(buffer, at, call.id, flag.endHeaders | flag.endStream, trailers)
    this.#window -= size
    this.sentCount += 1
    call.isRunning = false
    this.#answered(call)
  }

  whenRoom(call: Call, work: () => void): void {
    if (this.#deferred.length === 0 && this.#hasRoom) work()
    else this.#deferred.push({ call, work })
  }

  /** One of many messages. False: wait for `drained`. */
  send(call: Call, head: Bytes, headLength: number, tail: Bytes | undefined): boolean {
    const size = prefixBytes + headLength + (tail === undefined ? 0 : tail.length)
    if (!call.headersSent) this.#sendHeaders(call)
    const isFree = call.queue === undefined && this.#output.backlogBytes <= backlogBytesMax
    if (isFree && size <= call.sendWindow && size <= this.#window && size <= this.frameBytesMax) {
      const output = this.#output
      output.reserve(frameHeadBytes + size)
      const { buffer } = output
      writeFrameHead(buffer, output.at, size, frameType.data, 0, call.id)
      output.at = writeTwo(buffer, output.at + frameHeadBytes, head, headLength, tail)
      this.#spend(call, size)
      return true
    }
    this.#enqueue(call, message(head, 0, headLength, tail))
    if (isFree) this.pump(call)
    call.wantsDrain = call.queue !== undefined
    return !call.wantsDrain
  }

  /** The end of a call; a good one comes after what waits. */
  finish(call: Call, code: StatusCode, text: string): void {
    // One that was abandoned still runs.
    if (call.isOpen) call.isRunning = false
    call.isOpen = false
    if (code === statusCode.ok) {
      this.#sendHeaders(call)
      call.isFinishing = true
      if (call.queue === undefined) this.#sendTrailers(call, this.replies.trailersOk())
      else this.pump(call)
    } else {
      this.#dropQueue(call)
      this.#sendTrailers(call, this.replies.failure(code, text, !call.headersSent))
    }
  }

  /** Nothing more of this call goes. */
  drop(call: Call): void {
    if (this.#blocked.size > 0) this.#blocked.delete(call)
    if (call.queue !== undefined) this.#dropQueue(call)
  }

  #dropQueue(call: Call): void {
    for (const bytes of call.queue ?? []) this.#queuedBytes -= bytes.length
    this.#queuedBytes += call.queueAt
    call.queue = undefined
    call.queueAt = 0
  }

  #spend(call: Call, size: number): void {
    call.sendWindow -= size
    this.#window -= size
    this.sentCount += 1
  }

  #sendHeaders(call: Call): void {
    if (call.headersSent) return
    call.headersSent = true
    this.frame(frameType.headers, flag.endHeaders, call.id, this.replies.headers())
  }

  #sendTrailers(call: Call, block: Buffer): void {
    this.frame(frameType.headers, flag.endHeaders | flag.endStream, call.id, block)
    // RFC 9113, section 8.1: what the client still wants to say is not wanted.
    if (!call.isHalfClosed) this.reset(call.id, errorCode.none)
    this.sentCount += 1
    this.#answered(call)
  }

  // ---- what waits ----

  /** The client takes so much more. False when that is more than may be. */
  open(more: number): boolean {
    this.#window += more
    if (this.#window > windowMax) return false
    this.pumpAll()
    return true
  }

  pumpAll(): void {
    for (const call of this.#blocked) {
      if (this.#window <= 0) break
      this.#pump(call)
    }
    if (this.#deferred.length > 0) this.#resume()
  }

  #resume(): void {
    while (this.#hasRoom) {
      const next = this.#deferred.shift()
      if (next === undefined) return
      next.call.resume(next.work)
    }
  }

  /** Sends of the call's queue what the windows and the socket take. */
  pump(call: Call): void {
    this.#pump(call)
    if (this.#deferred.length > 0) this.#resume()
  }

  #pump(call: Call): void {
    if (!this.#blocked.has(call)) return
    this.#sendHeaders(call)
    while (call.queue !== undefined) {
      const [first] = call.queue
      if (first === undefined) break
      if (this.#output.backlogBytes > backlogBytesMax) return
      const size = Math.min(first.length - call.queueAt, this.frameBytesMax, call.sendWindow, this.#window)
      if (size <= 0) return
      this.frame(frameType.data, 0, call.id, first.subarray(call.queueAt, call.queueAt + size))
      this.#spend(call, size)
      this.#queuedBytes -= size
      call.queueAt += size
      if (call.queueAt < first.length) continue
      call.queue.shift()
      call.queueAt = 0
      if (call.queue.length === 0) call.queue = undefined
    }
    this.#blocked.delete(call)
    if (call.isFinishing) this.#sendTrailers(call, this.replies.trailersOk())
    else if (call.wantsDrain) {
      call.wantsDrain = false
      call.handler?.drained()
    }
  }

  #enqueue(call: Call, bytes: Buffer): void {
    call.queue ??= []
    call.queue.push(bytes)
    this.#queuedBytes += bytes.length
    this.#blocked.add(call)
  }

  // ---- frames ----

  reset(id: number, code: ErrorCode): void {
    this.#number(frameType.resetStream, id, code)
  }

  windowUpdate(id: number, more: number): void {
    this.#number(frameType.windowUpdate, id, more)
  }

  goAway(lastId: number, code: ErrorCode, why: string): void {
    const payload = Buffer.alloc(8 + Buffer.byteLength(why))
    writeU32(payload, 0, lastId)
    writeU32(payload, 4, code)
    payload.write(why, 8)
    this.frame(frameType.goAway, 0, 0, payload)
  }

  #number(type: number, id: number, value: number): void {
    this.#output.reserve(frameHeadBytes + 4)
    const { buffer, at } = this.#output
    writeFrameHead(buffer, at, 4, type, 0, id)
    writeU32(buffer, at + frameHeadBytes, value)
    this.#output.at = at + frameHeadBytes + 4
  }

  frame(type: number, flags: number, id: number, payload: Buffer | undefined): void {
    const size = payload === undefined ? 0 : payload.length
    this.#output.reserve(frameHeadBytes + size)
    const { buffer, at } = this.#output
    writeFrameHead(buffer, at, size, type, flags, id)
    payload?.copy(buffer, at + frameHeadBytes)
    this.#output.at = at + frameHeadBytes + size
  }
}
