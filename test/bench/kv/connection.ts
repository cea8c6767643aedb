// A gRPC client connection by hand: HTTP/2 with prior knowledge on a plain socket (RFC 9113), no stream objects, one
// write per turn, so that a load generator costs a fraction of what it measures. It keeps the protocol's rules in both
// directions: flow control, SETTINGS, PING, RST_STREAM, GOAWAY, trailers, any legal HPACK.
import { connect as connectSocket, type Socket } from 'node:net'
import { flags, frameBytes, goAwayReason, preface, settingIds, types, windowDefault, writeFrameHead } from './frames.ts'
import { Decoder, Encoder, type Field } from './hpack.ts'

/** What this side lets the server send before a WINDOW_UPDATE, per stream and per connection. */
const receiveWindow = 16 * 1024 * 1024
const frameBytesMaxDefault = 16_384
const grpcPrefixBytes = 5
/** The status that a call ends with when the connection, not the server, ended it (gRPC's UNAVAILABLE). */
export const unavailable = 14

/** One call. It may be used again once it has ended; a closed loop makes no garbage that way. */
export abstract class Call {
  /** 0 when not under way. */
  streamId = 0
  /** How much the server still lets this stream send. */
  sendWindow = 0
  /** Received since the last WINDOW_UPDATE of this stream. */
  received = 0
  /** The beginning of a message whose end has not come yet, its bytes, and how many make it worth looking again. */
  parts: Buffer[] = []
  partsBytes = 0
  neededBytes = 0
  /** What flow control holds back. */
  unsent: Buffer[] = []
  endAfterUnsent = false

  /** A whole message, `bytes[start, end)`. The bytes are valid during the call only. */
  abstract onMessage(bytes: Buffer, start: number, end: number): void
  /** The end, once: status 0 is success. */
  abstract onEnd(status: number, text: string): void
}

type Ending = { readonly status: number; readonly text: string }

export class Connection {
  readonly #socket: Socket
  readonly #authority: string
  readonly #calls = new Map<number, Call>()
  readonly #headers = new Map<string, readonly Field[]>()
  readonly #encoder = new Encoder()
  readonly #decoder = new Decoder()
  /** Calls of which flow control holds something back, first come, first served. */
  readonly #blocked = new Set<Call>()
  /** Calls that the server's limit of streams does not let begin yet. */
  readonly #waiting: { readonly call: Call; readonly path: string; readonly message: Buffer; readonly end: boolean }[] =
    []
  readonly #endings = new WeakMap<readonly Field[], Ending>()
  #out = Buffer.allocUnsafe(64 * 1024)
  #outAt = 0
  #inParse = false
  #rest = Buffer.alloc(0)
  #nextId = 1
  #sendWindow = windowDefault
  #received = 0
  #streamWindow = windowDefault
  #frameBytesMax = frameBytesMaxDefault
  #streamsMax = Number.POSITIVE_INFINITY
  #fragments: { readonly streamId: number; readonly flags: number; readonly parts: Buffer[] } | undefined
  #closed: string | undefined
  #ended = false

  /** Why no call can begin here any more, undefined while one can. */
  get closed(): string | undefined {
    return this.#closed
  }

  /** Rejects when nobody listens. The first bytes are under way when it resolves. */
  static async connect(port: number): Promise<Connection> {
    const socket = connectSocket({ port, host: '127.0.0.1', noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    socket.removeAllListeners('error')
    return new Connection(socket, `127.0.0.1:${port}`)
  }

  private constructor(socket: Socket, authority: string) {
    this.#socket = socket
    this.#authority = authority
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('error', error => this.#end(`the connection broke: ${error.message}`))
    socket.on('close', () => this.#end('the connection was closed'))
    this.#put(preface)
    this.#settings([
      [settingIds.enablePush, 0],
      [settingIds.initialWindowSize, receiveWindow],
    ])
    this.#windowUpdate(0, receiveWindow - windowDefault)
    this.flush()
  }

  /** Begins a call with its first message. `end`: there will be no other. Goes out at the next flush. */
  open(call: Call, path: string, message: Uint8Array, end: boolean): void {
    if (this.#closed !== undefined) {
      const why = this.#closed
      queueMicrotask(() => call.onEnd(unavailable, why))
      return
    }
    if (this.#calls.size >= this.#streamsMax) {
      this.#waiting.push({ call, path, message: Buffer.from(message), end })
      return
    }
    call.streamId = this.#nextId
    this.#nextId += 2
    call.sendWindow = this.#streamWindow
    call.received = 0
    this.#calls.set(call.streamId, call)
    const block = this.#encoder.encode(path, this.#headersOf(path))
    this.#frame(types.headers, flags.endHeaders, call.streamId, block)
    this.send(call, message, end)
  }

  /** One more message of a call that was opened with `end` false. */
  send(call: Call, message: Uint8Array, end: boolean): void {
    const bytes = grpcPrefixBytes + message.length
    const free = Math.min(this.#sendWindow, call.sendWindow, this.#frameBytesMax)
    if (bytes <= free && call.unsent.length === 0) {
      this.#room(frameBytes + bytes)
      this.#outAt = writeFrameHead(this.#out, this.#outAt, bytes, types.data, end ? flags.endStream : 0, call.streamId)
      this.#out[this.#outAt] = 0
      this.#out.writeUInt32BE(message.length, this.#outAt + 1)
      this.#out.set(message, this.#outAt + grpcPrefixBytes)
      this.#outAt += bytes
      this.#sendWindow -= bytes
      call.sendWindow -= bytes
      return
    }
    const framed = Buffer.alloc(bytes)
    framed.writeUInt32BE(message.length, 1)
    framed.set(message, grpcPrefixBytes)
    call.unsent.push(framed)
    call.endAfterUnsent = end
    this.#blocked.add(call)
    this.#pump()
  }

  /** Writes what has gathered. Not needed inside of onMessage and onEnd: those are followed by one for all. */
  flush(): void {
    if (this.#outAt === 0 || this.#inParse) return
    this.#socket.write(Buffer.from(this.#out.subarray(0, this.#outAt)))
    this.#outAt = 0
  }

  /** Ends the connection; what is under way ends as unavailable. */
  close(): void {
    this.#end('closed by the client')
  }

  #headersOf(path: string): readonly Field[] {
    const known = this.#headers.get(path)
    if (known !== undefined) return known
    const fields: readonly Field[] = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', this.#authority],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
    ]
    this.#headers.set(path, fields)
    return fields
  }

  #onData(chunk: Buffer): void {
    if (this.#ended) return
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    this.#inParse = true
    try {
      while (bytes.length - at >= frameBytes) {
        const length = bytes.readUIntBE(at, 3)
        // Only SETTINGS_MAX_FRAME_SIZE of this side allows more, and it never says it.
        if (length > frameBytesMaxDefault) throw new Error(`a frame of ${length} bytes was not allowed`)
        const end = at + frameBytes + length
        if (end > bytes.length) break
        this.#onFrame(
          bytes,
          bytes[at + 3] ?? 0,
          bytes[at + 4] ?? 0,
          bytes.readUInt32BE(at + 5) & 0x7fffffff,
          at + frameBytes,
          end,
        )
        at = end
      }
    } catch (error) {
      this.#end(`protocol error: ${error instanceof Error ? error.message : error}`)
    } finally {
      this.#inParse = false
    }
    // A copy: the rest of a chunk would keep all of it.
    this.#rest = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at))
    if (this.#received > receiveWindow / 2) {
      this.#windowUpdate(0, this.#received)
      this.#received = 0
    }
    this.flush()
  }

  #onFrame(bytes: Buffer, type: number, flag: number, streamId: number, start: number, end: number): void {
    if (this.#fragments !== undefined && type !== types.continuation) throw new Error('a header block was interrupted')
    if (type === types.data) this.#onDataFrame(bytes, flag, streamId, start, end)
    else if (type === types.headers) this.#onHeaders(bytes, flag, streamId, start, end)
    else if (type === types.continuation) this.#onContinuation(bytes, flag, streamId, start, end)
    else if (type === types.windowUpdate) this.#onWindowUpdate(streamId, bytes.readUInt32BE(start) & 0x7fffffff)
    else if (type === types.settings) this.#onSettings(bytes, flag, start, end)
    else if (type === types.ping) {
      if ((flag & flags.ack) === 0) this.#frame(types.ping, flags.ack, 0, bytes.subarray(start, end))
    } else if (type === types.reset) {
      this.#endCall(streamId, { status: unavailable, text: `the stream was reset, code ${bytes.readUInt32BE(start)}` })
    } else if (type === types.goAway) this.#onGoAway(bytes, start, end)
    else if (type === types.pushPromise) throw new Error('a push was promised though push is off')
    // Anything else, PRIORITY among them, is to be ignored (section 4.1).
  }

  #onDataFrame(bytes: Buffer, flag: number, streamId: number, start: number, end: number): void {
    this.#received += end - start
    const call = this.#calls.get(streamId)
    if (call === undefined) return
    call.received += end - start
    if (call.received > receiveWindow / 2 && (flag & flags.endStream) === 0) {
      this.#windowUpdate(streamId, call.received)
      call.received = 0
    }
    const unpadded = unpad(bytes, flag, start, end)
    this.#messages(call, bytes, unpadded.start, unpadded.end)
    if ((flag & flags.endStream) !== 0) this.#endCall(streamId, { status: unavailable, text: 'no trailers came' })
  }

  #messages(call: Call, bytes: Buffer, start: number, end: number): void {
    if (call.partsBytes > 0) {
      keepPart(call, bytes, start, end)
      if (call.partsBytes < call.neededBytes) return
      bytes = Buffer.concat(call.parts)
      start = 0
      end = bytes.length
      dropParts(call)
    }
    let needed = grpcPrefixBytes
    while (end - start >= grpcPrefixBytes) {
      if (bytes[start] !== 0) throw new Error('a message is compressed, which nobody asked for')
      needed = grpcPrefixBytes + bytes.readUInt32BE(start + 1)
      if (start + needed > end) break
      call.onMessage(bytes, start + grpcPrefixBytes, start + needed)
      start += needed
      needed = grpcPrefixBytes
    }
    call.neededBytes = needed
    if (start < end) keepPart(call, bytes, start, end)
  }

  #onHeaders(bytes: Buffer, flag: number, streamId: number, start: number, end: number): void {
    const unpadded = unpad(bytes, flag, start, end)
    const first = unpadded.start + ((flag & flags.priority) === 0 ? 0 : 5)
    if ((flag & flags.endHeaders) !== 0) this.#onBlock(bytes, flag, streamId, first, unpadded.end)
    else this.#fragments = { streamId, flags: flag, parts: [Buffer.from(bytes.subarray(first, unpadded.end))] }
  }

  #onContinuation(bytes: Buffer, flag: number, streamId: number, start: number, end: number): void {
    const fragments = this.#fragments
    if (fragments?.streamId !== streamId) throw new Error('a CONTINUATION continues nothing')
    fragments.parts.push(Buffer.from(bytes.subarray(start, end)))
    if ((flag & flags.endHeaders) === 0) return
    this.#fragments = undefined
    const block = Buffer.concat(fragments.parts)
    this.#onBlock(block, fragments.flags, streamId, 0, block.length)
  }

  /** Headers at the beginning, trailers at the end, or both in one when a call fails at once. */
  #onBlock(bytes: Buffer, flag: number, streamId: number, start: number, end: number): void {
    const fields = this.#decoder.decode(bytes, start, end)
    if ((flag & flags.endStream) === 0) return
    let ending = this.#endings.get(fields)
    if (ending === undefined) {
      ending = endingOf(fields)
      this.#endings.set(fields, ending)
    }
    this.#endCall(streamId, ending)
  }

  #onWindowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) this.#sendWindow += increment
    else {
      const call = this.#calls.get(streamId)
      if (call !== undefined) call.sendWindow += increment
    }
    this.#pump()
  }

  #onSettings(bytes: Buffer, flag: number, start: number, end: number): void {
    if ((flag & flags.ack) !== 0) return
    for (let at = start; at + 6 <= end; at += 6) this.#onSetting(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2))
    this.#frame(types.settings, flags.ack, 0, Buffer.alloc(0))
    this.#pump()
    this.#openWaiting()
  }

  #onSetting(id: number, value: number): void {
    if (id === settingIds.headerTableSize) this.#encoder.limit(value)
    else if (id === settingIds.maxConcurrentStreams) this.#streamsMax = value
    else if (id === settingIds.maxFrameSize) this.#frameBytesMax = value
    else if (id === settingIds.initialWindowSize) {
      // Section 6.9.2: the streams that exist change by the difference, even below zero.
      for (const call of this.#calls.values()) call.sendWindow += value - this.#streamWindow
      this.#streamWindow = value
    }
  }

  #onGoAway(bytes: Buffer, start: number, end: number): void {
    const last = bytes.readUInt32BE(start) & 0x7fffffff
    const text = `the server goes away: ${goAwayReason(bytes, start, end)}`
    this.#closed ??= text
    this.#endWaiting(text)
    for (const streamId of [...this.#calls.keys()]) {
      if (streamId > last) this.#endCall(streamId, { status: unavailable, text })
    }
    // What the server still answers has its time.
    if (this.#calls.size === 0) this.#end(text)
  }

  /** Sends of what was held back as much as the windows now allow. */
  #pump(): void {
    for (const call of this.#blocked) {
      while (call.unsent[0] !== undefined) {
        const head = call.unsent[0]
        const bytes = Math.min(head.length, this.#sendWindow, call.sendWindow, this.#frameBytesMax)
        if (bytes <= 0) break
        const last = call.unsent.length === 1 && bytes === head.length && call.endAfterUnsent
        this.#frame(types.data, last ? flags.endStream : 0, call.streamId, head.subarray(0, bytes))
        this.#sendWindow -= bytes
        call.sendWindow -= bytes
        if (bytes === head.length) call.unsent.shift()
        else call.unsent[0] = head.subarray(bytes)
      }
      if (call.unsent.length === 0) this.#blocked.delete(call)
    }
  }

  #endCall(streamId: number, ending: Ending): void {
    const call = this.#calls.get(streamId)
    if (call === undefined) return
    this.#calls.delete(streamId)
    this.#blocked.delete(call)
    const incomplete = call.partsBytes > 0
    call.streamId = 0
    dropParts(call)
    call.unsent = []
    if (incomplete && ending.status === 0) call.onEnd(unavailable, 'the last message is incomplete')
    else call.onEnd(ending.status, ending.text)
    if (this.#closed === undefined) this.#openWaiting()
    else if (this.#calls.size === 0) this.#end(this.#closed)
  }

  #openWaiting(): void {
    while (this.#waiting.length > 0 && this.#calls.size < this.#streamsMax) {
      const next = this.#waiting.shift()
      if (next !== undefined) this.open(next.call, next.path, next.message, next.end)
    }
  }

  #endWaiting(text: string): void {
    for (const { call } of this.#waiting.splice(0)) call.onEnd(unavailable, text)
  }

  #end(why: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#closed ??= why
    this.#socket.destroy()
    this.#endWaiting(why)
    for (const streamId of [...this.#calls.keys()]) this.#endCall(streamId, { status: unavailable, text: why })
  }

  #settings(settings: readonly (readonly [id: number, value: number])[]): void {
    const payload = Buffer.alloc(settings.length * 6)
    for (const [i, [id, value]] of settings.entries()) {
      payload.writeUInt16BE(id, i * 6)
      payload.writeUInt32BE(value, i * 6 + 2)
    }
    this.#frame(types.settings, 0, 0, payload)
  }

  #windowUpdate(streamId: number, increment: number): void {
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(increment)
    this.#frame(types.windowUpdate, 0, streamId, payload)
  }

  #frame(type: number, flag: number, streamId: number, payload: Uint8Array): void {
    this.#room(frameBytes + payload.length)
    this.#outAt = writeFrameHead(this.#out, this.#outAt, payload.length, type, flag, streamId)
    this.#put(payload)
  }

  #put(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#out.set(bytes, this.#outAt)
    this.#outAt += bytes.length
  }

  #room(bytes: number): void {
    if (this.#outAt + bytes <= this.#out.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#out.length * 2, this.#outAt + bytes))
    larger.set(this.#out.subarray(0, this.#outAt))
    this.#out = larger
  }
}

/** A copy: the bytes belong to a chunk that is larger, or that is used again. */
function keepPart(call: Call, bytes: Buffer, start: number, end: number): void {
  call.parts.push(Buffer.from(bytes.subarray(start, end)))
  call.partsBytes += end - start
}

function dropParts(call: Call): void {
  if (call.partsBytes === 0) return
  call.parts = []
  call.partsBytes = 0
}

function unpad(bytes: Buffer, flag: number, start: number, end: number): { start: number; end: number } {
  if ((flag & flags.padded) === 0) return { start, end }
  const unpadded = { start: start + 1, end: end - (bytes[start] ?? 0) }
  if (unpadded.end < unpadded.start) throw new Error('more padding than frame')
  return unpadded
}

function endingOf(fields: readonly Field[]): Ending {
  const textOf = (name: string) => fields.find(field => field[0] === name)?.[1]
  const status = textOf('grpc-status')
  const text = percentDecode(textOf('grpc-message') ?? '')
  if (status !== undefined) return { status: Number(status), text }
  return { status: unavailable, text: `no grpc-status; HTTP status ${textOf(':status') ?? 'unknown'}` }
}

/** The percent-encoding of grpc-message; a message that breaks its rules is shown as it came. */
function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
