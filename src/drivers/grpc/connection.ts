// One client's connection: HTTP/2 (RFC 9113) as gRPC uses it, parsed and written by hand, since an answer must cost about as
// much as the bytes of it. It knows sockets only by `Output` and `Wire`. What a client may cost is in limits.ts.
import type { Bytes } from '../../lib/bytes.ts'
import { type GrpcService, statusCode } from '../../world/grpc.ts'
import { Call } from './call.ts'
import type { Deadlines } from './deadlines.ts'
import {
  ConnectionError,
  type ErrorCode,
  errorCode,
  flag,
  frameBytesDefault,
  frameHeadBytes,
  frameType,
  preface,
  readU32,
  setting,
  settingsPayload,
  windowDefault,
  windowMax,
} from './frame.ts'
import { HpackError } from './hpack.ts'
import * as limits from './limits.ts'
import type { Output } from './output.ts'
import { type RequestHead, RequestReader } from './request.ts'
import { Sender } from './sender.ts'

/** What all connections of a server share. */
export type Shared = {
  readonly service: GrpcService
  readonly deadlines: Deadlines
  readonly messageBytesMax: number
  /** Of messages that are not whole yet, over all connections. */
  partialBytes: number
}

/** What a connection asks of its socket beside writing. */
export type Wire = {
  /** No more is read until `resume`. */
  pause(): void
  resume(): void
  /** Sends what was written and ends. */
  end(): void
}

const ourSettings = settingsPayload([
  [setting.maxConcurrentStreams, limits.streamCountMax],
  [setting.initialWindowSize, limits.streamWindow],
  [setting.maxHeaderListSize, limits.headerListBytesMax],
])

/** A header block that goes on in CONTINUATION frames. */
type OpenBlock = { readonly id: number; readonly endsStream: boolean; parts: Bytes[]; bytes: number }

export class Connection {
  readonly messageBytesMax: number
  readonly #shared: Shared
  readonly sender: Sender
  readonly #wire: Wire
  readonly #reader: RequestReader
  readonly #calls = new Map<number, Call>()
  #rest: Buffer | undefined
  #phase: 'preface' | 'settings' | 'open' | 'ended' = 'preface'
  #openBlock: OpenBlock | undefined
  #lastId = 0
  #lastCall: Call | undefined
  #isLeaving = false
  #isPaused = false
  /** What the client takes of a stream that begins. */
  #streamWindow = windowDefault
  /** Of the window that we gave the client. */
  #uncredited = 0
  #partialBytes = 0
  #orphanCount = 0
  #nuisanceCount = 0
  /** How much had been sent when the nuisances were last halved. */
  #sentCount = 0
  #nuisanceAtMs = 0
  #pingAtMs: number | undefined
  #heardAtMs: number
  #wasHeard = false
  /** What the socket kept back when it was last looked at, and when that last changed. */
  #backlogBytes = 0
  #movedAtMs: number

  constructor(shared: Shared, output: Output, wire: Wire, nowMs: number) {
    this.#shared = shared
    this.messageBytesMax = shared.messageBytesMax
    this.sender = new Sender(output, call => this.#close(call))
    this.#wire = wire
    this.#reader = new RequestReader(shared.service)
    this.#heardAtMs = nowMs
    this.#nuisanceAtMs = nowMs
    this.#movedAtMs = nowMs
    this.sender.frame(frameType.settings, 0, 0, ourSettings)
    this.sender.windowUpdate(0, limits.connectionWindow - windowDefault)
  }

  /** True once the client has spoken HTTP/2. */
  get isGreeted(): boolean {
    return this.#phase === 'open'
  }

  get #hasEnded(): boolean {
    return this.#phase === 'ended'
  }

  // ---- what comes ----

  receive(chunk: Buffer): void {
    try {
      this.#parse(chunk)
    } catch (error) {
      if (error instanceof ConnectionError) this.#breakOff(error.code, error.message)
      else if (error instanceof HpackError) this.#breakOff(errorCode.compression, error.message)
      else throw error
    }
    if (!this.#isPaused && this.sender.backlogBytes > limits.backlogBytesMax) {
      this.#isPaused = true
      this.#wire.pause()
    }
  }

  #parse(chunk: Buffer): void {
    if (this.#hasEnded) return
    let bytes = chunk
    if (this.#rest !== undefined) bytes = Buffer.concat([this.#rest, chunk])
    this.#rest = undefined
    let at = 0
    if (this.#phase === 'preface') {
      const length = Math.min(preface.length, bytes.length)
      if (bytes.compare(preface, 0, length, 0, length) !== 0) {
        throw new ConnectionError(errorCode.protocol, 'this is not HTTP/2')
      }
      if (length === preface.length) {
        at = length
        this.#phase = 'settings'
      }
    }
    if (this.#phase !== 'preface') {
      while (bytes.length - at >= frameHeadBytes) {
        const length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
        if (length > frameBytesDefault) throw new ConnectionError(errorCode.frameSize, `a frame of ${length} bytes`)
        const start = at + frameHeadBytes
        if (bytes.length - start < length) break
        const id = readU32(bytes, at + 5) & 0x7fffffff
        this.#take(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, id, bytes, start, start + length)
        if (this.#hasEnded) return
        at = start + length
      }
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at)
  }

  #take(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.#openBlock !== undefined && type !== frameType.continuation) {
      throw new ConnectionError(errorCode.protocol, 'a frame inside a header block')
    }
    if (this.#phase === 'settings') {
      if (type !== frameType.settings || (flags & flag.ack) !== 0) {
        throw new ConnectionError(errorCode.protocol, 'the first frame is not SETTINGS')
      }
      this.#phase = 'open'
    }
    switch (type) {
      case frameType.data:
        this.#takeData(flags, id, bytes, start, end)
        break
      case frameType.headers:
        this.#takeHeaders(flags, id, bytes, start, end)
        break
      case frameType.continuation:
        this.#takeContinuation(flags, id, bytes, start, end)
        break
      case frameType.windowUpdate:
        this.#takeWindowUpdate(id, bytes, start, end)
        break
      case frameType.resetStream:
        this.#takeReset(id, end - start)
        break
      case frameType.settings:
        this.#takeSettings(flags, id, bytes, start, end)
        break
      case frameType.ping:
        this.#takePing(flags, id, bytes, start, end)
        break
      case frameType.pushPromise:
        throw new ConnectionError(errorCode.protocol, 'a client does not push')
      case frameType.priority:
        if (end - start !== 5) throw new ConnectionError(errorCode.frameSize, 'a PRIORITY frame of a wrong size')
        this.#nuisance()
        break
      case frameType.goAway:
        if (id !== 0) throw new ConnectionError(errorCode.protocol, 'GOAWAY on a stream')
        break
      default:
        // Extensions that nobody has agreed on are passed over (section 5.5).
        this.#nuisance()
        break
    }
  }

  #takeData(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const size = end - start
    this.#uncredited += size
    if (this.#uncredited > limits.connectionWindow) {
      throw new ConnectionError(errorCode.flowControl, "more DATA than the connection's window")
    }
    if (this.#uncredited >= limits.connectionWindow / 2) {
      this.sender.windowUpdate(0, this.#uncredited)
      this.#uncredited = 0
    }
    if ((flags & flag.padded) !== 0) {
      const padding = bytes[start] ?? 0
      start += 1
      end -= padding
      if (end < start) throw new ConnectionError(errorCode.protocol, 'more padding than frame')
    }
    const last = this.#lastCall
    const call = last !== undefined && last.id === id ? last : this.#calls.get(id)
    if (call === undefined) {
      if (id === 0 || id > this.#lastId)
        throw new ConnectionError(errorCode.protocol, 'DATA on a stream that is not open')
      // What was on its way when the call ended.
      this.#nuisance()
      return
    }
    if (call.isHalfClosed) {
      this.#resetCall(call, errorCode.streamClosed)
      return
    }
    const isLast = (flags & flag.endStream) !== 0
    if (isLast && call.runAtOnce(bytes, start, end)) return
    call.uncredited += size
    if (call.uncredited > limits.streamWindow) {
      this.#resetCall(call, errorCode.flowControl)
      return
    }
    if (size === 0 && !isLast) this.#nuisance()
    call.receive(bytes, start, end)
    if (isLast) call.halfClose()
    else if (call.handler !== undefined && call.isOpen && call.uncredited >= limits.streamWindow / 2) {
      this.sender.windowUpdate(id, call.uncredited)
      call.uncredited = 0
    }
  }

  #takeHeaders(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if ((flags & flag.padded) !== 0) {
      const padding = bytes[start] ?? 0
      start += 1
      end -= padding
    }
    if ((flags & flag.priority) !== 0) start += 5
    if (end < start) throw new ConnectionError(errorCode.protocol, 'more padding than frame')
    const endsStream = (flags & flag.endStream) !== 0
    if ((flags & flag.endHeaders) !== 0) {
      this.#takeBlock(id, endsStream, bytes, start, end)
      return
    }
    this.#openBlock = { id, endsStream, parts: [Buffer.from(bytes.subarray(start, end))], bytes: end - start }
  }

  #takeContinuation(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const open = this.#openBlock
    if (open === undefined || open.id !== id) throw new ConnectionError(errorCode.protocol, 'CONTINUATION of nothing')
    open.parts.push(Buffer.from(bytes.subarray(start, end)))
    open.bytes += end - start
    if (open.bytes > limits.headerBlockBytesMax || open.parts.length > limits.continuationCountMax) {
      throw new ConnectionError(errorCode.enhanceYourCalm, 'a header block without end')
    }
    if ((flags & flag.endHeaders) === 0) return
    this.#openBlock = undefined
    const block = Buffer.concat(open.parts)
    this.#takeBlock(id, open.endsStream, block, 0, block.length)
  }

  #takeBlock(id: number, endsStream: boolean, bytes: Buffer, start: number, end: number): void {
    if (id % 2 === 0) throw new ConnectionError(errorCode.protocol, 'a stream number that is not a client’s')
    if (id <= this.#lastId) {
      this.#takeTrailers(id, endsStream, bytes, start, end)
      return
    }
    this.#lastId = id
    const head = this.#reader.read(bytes, start, end)
    if (this.#isLeaving) return
    if (this.#calls.size >= limits.streamCountMax || this.#orphanCount >= limits.orphanCountMax) {
      this.#nuisance()
      this.sender.reset(id, errorCode.refusedStream)
      return
    }
    this.#open(new Call(this, id, head, this.#streamWindow), head, endsStream)
  }

  #open(call: Call, head: RequestHead, endsStream: boolean): void {
    this.#calls.set(call.id, call)
    this.#lastCall = call
    if (head.timeoutMs !== undefined) this.#shared.deadlines.add(call, head.timeoutMs)
    const { route } = head
    if (endsStream) call.isHalfClosed = true
    if (route.kind === 'unary') {
      if (endsStream) call.fail(statusCode.internal, 'the request has no message')
    } else if (route.kind === 'stream') {
      const handler = route.open(call)
      if (!call.isOpen) handler.ended()
      else {
        call.handler = handler
        if (endsStream) handler.halfClosed()
      }
    } else if (route.kind === 'unknown') call.fail(statusCode.unimplemented, unknownText(route.path))
    else {
      this.#nuisance()
      this.sender.frame(
        frameType.headers,
        flag.endHeaders | flag.endStream,
        call.id,
        this.sender.replies.httpStatus(route.httpStatus),
      )
      this.#close(call)
    }
  }

  #takeTrailers(id: number, endsStream: boolean, bytes: Buffer, start: number, end: number): void {
    this.#reader.skip(bytes, start, end)
    const call = this.#calls.get(id)
    if (call === undefined) {
      this.#nuisance()
      return
    }
    if (!endsStream || call.isHalfClosed) {
      this.#resetCall(call, errorCode.protocol)
      return
    }
    call.halfClose()
  }

  #takeWindowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw new ConnectionError(errorCode.frameSize, 'a WINDOW_UPDATE of a wrong size')
    const more = readU32(bytes, start) & 0x7fffffff
    if (id === 0) {
      if (more === 0) throw new ConnectionError(errorCode.protocol, 'a window that grows by nothing')
      if (!this.sender.open(more)) throw new ConnectionError(errorCode.flowControl, 'a window beyond all bounds')
      return
    }
    if (id > this.#lastId) throw new ConnectionError(errorCode.protocol, 'WINDOW_UPDATE on a stream that is not open')
    const call = this.#calls.get(id)
    if (call === undefined) return
    call.sendWindow += more
    if (more === 0) {
      this.#resetCall(call, errorCode.protocol)
      return
    }
    if (call.sendWindow > windowMax) {
      this.#resetCall(call, errorCode.flowControl)
      return
    }
    this.sender.pump(call)
  }

  #takeReset(id: number, size: number): void {
    if (size !== 4) throw new ConnectionError(errorCode.frameSize, 'a RST_STREAM of a wrong size')
    if (id === 0 || id > this.#lastId) throw new ConnectionError(errorCode.protocol, 'RST_STREAM on an idle stream')
    this.#nuisance()
    const call = this.#calls.get(id)
    if (call === undefined) return
    this.abandon(call)
    this.#close(call)
    this.sender.pumpAll()
  }

  #takeSettings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw new ConnectionError(errorCode.protocol, 'SETTINGS on a stream')
    if ((end - start) % 6 !== 0) throw new ConnectionError(errorCode.frameSize, 'SETTINGS of a wrong size')
    this.#nuisance()
    if ((flags & flag.ack) !== 0) return
    for (let at = start; at < end; at += 6) this.#apply(bytes.readUInt16BE(at), readU32(bytes, at + 2))
    this.sender.frame(frameType.settings, flag.ack, 0, undefined)
  }

  #apply(id: number, value: number): void {
    if (id === setting.headerTableSize) this.sender.replies.limitTable(value)
    else if (id === setting.initialWindowSize) {
      if (value > windowMax) throw new ConnectionError(errorCode.flowControl, 'a window beyond all bounds')
      const more = value - this.#streamWindow
      this.#streamWindow = value
      for (const call of this.#calls.values()) {
        call.sendWindow += more
        if (call.sendWindow > windowMax) throw new ConnectionError(errorCode.flowControl, 'a window beyond all bounds')
      }
      if (more > 0) this.sender.pumpAll()
    } else if (id === setting.maxFrameSize) {
      if (value < frameBytesDefault || value > 2 ** 24 - 1) {
        throw new ConnectionError(errorCode.protocol, 'a frame size that may not be')
      }
      // Larger frames would save little, and a stream would hold up the others for longer.
      this.sender.frameBytesMax = Math.min(value, 64 * 1024)
    } else if (id === setting.enablePush && value > 1) {
      throw new ConnectionError(errorCode.protocol, 'ENABLE_PUSH that is neither 0 nor 1')
    }
  }

  #takePing(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) throw new ConnectionError(errorCode.protocol, 'PING on a stream')
    if (end - start !== 8) throw new ConnectionError(errorCode.frameSize, 'a PING of a wrong size')
    this.#nuisance()
    if ((flags & flag.ack) === 0) this.sender.frame(frameType.ping, flag.ack, 0, bytes.subarray(start, end))
  }

  /** What only costs us. A client that sends little else is mad or bad. */
  #nuisance(): void {
    this.#nuisanceCount += 1
    const useful = this.sender.sentCount - this.#sentCount
    if (this.#nuisanceCount > limits.nuisanceCountMax + useful) {
      throw new ConnectionError(errorCode.enhanceYourCalm, 'too many frames that ask for nothing')
    }
  }

  // ---- calls ----

  /** Nobody waits for the answer any more. */
  abandon(call: Call): void {
    if (!call.isRunning || !call.isOpen) return
    call.isOpen = false
    this.#orphanCount += 1
  }

  orphanEnded(): void {
    this.#orphanCount -= 1
  }

  keptBytes(change: number): void {
    this.#partialBytes += change
    this.#shared.partialBytes += change
    if (change <= 0) return
    if (this.#partialBytes > limits.partialBytesMax || this.#shared.partialBytes > limits.partialBytesMaxOfAll) {
      throw new ConnectionError(errorCode.enhanceYourCalm, 'too much of messages that are not whole')
    }
  }

  #resetCall(call: Call, code: ErrorCode): void {
    this.#nuisance()
    this.sender.reset(call.id, code)
    this.abandon(call)
    this.#close(call)
  }

  #close(call: Call): void {
    call.isOpen = false
    call.dropAll()
    this.#calls.delete(call.id)
    this.sender.drop(call)
    if (this.#lastCall === call) this.#lastCall = undefined
    const { handler } = call
    call.handler = undefined
    handler?.ended()
    if (this.#isLeaving && this.#calls.size === 0) this.#wire.end()
  }

  // ---- life and end ----

  /** The socket took all that waited. */
  drained(): void {
    this.sender.pumpAll()
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#wire.resume()
  }

  /** Something was read. */
  heard(): void {
    this.#wasHeard = true
  }

  /** To be called every few seconds. False when the connection has to be cut: nobody is there. */
  tend(nowMs: number): boolean {
    if (this.#wasHeard) {
      this.#wasHeard = false
      this.#heardAtMs = nowMs
      this.#pingAtMs = undefined
    }
    if (nowMs - this.#nuisanceAtMs >= limits.nuisanceHalfLifeMs) {
      this.#nuisanceAtMs = nowMs
      this.#nuisanceCount >>= 1
      this.#sentCount = this.sender.sentCount
    }
    const { backlogBytes } = this.sender
    if (backlogBytes === 0 || backlogBytes !== this.#backlogBytes) this.#movedAtMs = nowMs
    this.#backlogBytes = backlogBytes
    if (nowMs - this.#movedAtMs > limits.stalledMsMax) return false
    if (this.#isPaused) return true
    if (this.#pingAtMs !== undefined) return nowMs - this.#pingAtMs < limits.pingTimeoutMs
    if (nowMs - this.#heardAtMs < limits.silenceMs) return true
    this.#pingAtMs = nowMs
    this.sender.frame(frameType.ping, 0, 0, Buffer.alloc(8))
    return true
  }

  /** Takes no new calls, lets those end that are answered anyway, and ends the others' streams. */
  leave(): void {
    if (this.#phase === 'ended' || this.#isLeaving) return
    this.sender.goAway(this.#lastId, errorCode.none, '')
    this.#isLeaving = true
    for (const call of [...this.#calls.values()]) {
      if (call.handler !== undefined) call.fail(statusCode.unavailable, 'the server is stopping')
    }
    if (this.#calls.size === 0) this.#wire.end()
  }

  /** The socket is gone. */
  lost(): void {
    this.#phase = 'ended'
    for (const call of [...this.#calls.values()]) {
      this.abandon(call)
      this.#close(call)
    }
  }

  #breakOff(code: ErrorCode, why: string): void {
    this.sender.goAway(this.#lastId, code, why)
    this.lost()
    this.#wire.end()
  }
}

function unknownText(path: string): string {
  const [, service = '', method = ''] = path.split('/')
  // In grpc-go's words; whether the service or only the method is unknown makes no difference to a client.
  return `unknown method ${method} for service ${service}`
}
