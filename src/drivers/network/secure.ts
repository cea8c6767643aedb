// An encrypted connection between two peers, with a lane: messages of `send`, and questions (asks.ts), that go on the
// connection itself, between the frames of the multiplexer. A stream of the library costs more than all the rest of a message's
// way (about 45 µs on each side), and Raft's latency is made of such messages. On the wire a lane frame begins with a byte that
// no frame of yamux begins with (its version is 0), at a place where a frame begins: [mark][number][u32 length,
// big-endian][payload]. The number is a message's protocol, or says that the frame is part of a question or an answer.
import type { TLSSocket } from 'node:tls'
import type { MessageStream, StreamCloseEvent } from '@libp2p/interface'
import { AbstractMessageStream, type SendResult } from '@libp2p/utils'
import { type Bytes, concat } from '../../lib/bytes.ts'
import { frameBytesMax } from '../../wire/frame.ts'

const laneMark = 0xf1
const laneHeadBytes = 6
const earlyBytesMax = 1024 * 1024
const yamuxHeadBytes = 12

/** The beginning of a lane frame; its length follows. */
export const laneHead = (number: number): Bytes => Uint8Array.of(laneMark, number)

export type LaneHandler = (number: number, payload: Bytes) => void

export class SecureConnection extends AbstractMessageStream {
  readonly #wire: MessageStream
  readonly #socket: TLSSocket
  readonly #parser: LaneParser | undefined
  #closing: Promise<void> | undefined
  #onLane: LaneHandler | undefined
  /** What came before anybody took it: the other side may know of the connection a moment before we do. */
  #early: { readonly number: number; readonly frame: Bytes }[] = []
  #earlyBytes = 0
  /** Bytes came, of whatever kind. */
  onHeard: (() => void) | undefined

  /** `wire` is the connection beneath, `socket` the encryption on it. Both peers know whether there is a lane. */
  constructor(wire: MessageStream, socket: TLSSocket, hasLane: boolean) {
    super({
      log: wire.log,
      inactivityTimeout: wire.inactivityTimeout,
      maxReadBufferLength: wire.maxReadBufferLength,
      direction: wire.direction,
    })
    this.#wire = wire
    this.#socket = socket
    this.#parser = hasLane
      ? laneParser(
          bytes => this.onData(bytes),
          (number, frame) => this.#takeLane(number, frame),
        )
      : undefined
    socket.on('data', bytes => this.#take(bytes))
    socket.on('error', error => wire.abort(error))
    socket.on('close', () => {
      this.#closing = wire.close().catch(error => wire.abort(error))
    })
    socket.on('drain', () => this.safeDispatchEvent('drain'))
    wire.addEventListener('close', (event: StreamCloseEvent) => {
      socket.destroy()
      // Why it closed is told on: a failure must not look like an end.
      if (event.error === undefined || event.error === null) this.onTransportClosed()
      else if (event.local === true) this.abort(event.error)
      else this.onRemoteReset()
    })
  }

  get hasLane(): boolean {
    return this.#parser !== undefined
  }

  /** Takes the frames of the lane, also those that have come already. What it throws ends the connection. */
  set onLane(handler: LaneHandler) {
    this.#onLane = handler
    const early = this.#early
    this.#early = []
    this.#guarded(() => {
      for (const { number, frame } of early) handler(number, frame)
    })
  }

  #takeLane(number: number, frame: Bytes): void {
    if (this.#onLane !== undefined) {
      this.#onLane(number, frame)
      return
    }
    this.#earlyBytes += laneHeadBytes + frame.length
    if (this.#earlyBytes > earlyBytesMax) throw new Error('the other side talks before it is heard')
    this.#early.push({ number, frame })
  }

  #guarded(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #take(bytes: Bytes): void {
    this.onHeard?.()
    const parser = this.#parser
    if (parser === undefined) this.onData(bytes)
    else this.#guarded(() => parser.push(bytes))
  }

  /**
   * Sends whole lane frames; false when there is no room for more until `drain`. Throws when the connection is closing.
   * Calls `sent` when their memory is free again.
   */
  sendLane(frames: Bytes, sent: () => void): boolean {
    const isFree = this.writeBuffer.byteLength === 0 && !this.writableNeedsDrain && !this.sendingData
    if (!isFree || this.writeStatus !== 'writable') {
      const hasRoom = this.send(frames.slice())
      sent()
      return hasRoom
    }
    const hasRoom = this.#socket.write(frames, sent)
    if (!hasRoom) this.writableNeedsDrain = true
    return hasRoom
  }

  async close(): Promise<void> {
    if (this.#closing === undefined) {
      const closed = new Promise<void>(resolve => this.#socket.once('close', () => resolve()))
      this.#socket.destroySoon()
      await closed
    }
    await this.#closing
  }

  override sendPause(): void {
    this.#socket.pause()
  }

  override sendResume(): void {
    this.#socket.resume()
  }

  override sendReset(error: Error): void {
    this.#wire.abort(error)
  }

  override sendData(data: Parameters<AbstractMessageStream['sendData']>[0]): SendResult {
    // One record and one packet for the head of a frame and its body.
    const bytes = data.subarray()
    return { sentBytes: bytes.length, canSendMore: this.#socket.write(bytes) }
  }
}

export type LaneParser = { push(bytes: Bytes): void }

/** Parts what comes into frames of the multiplexer, passed on as bytes, and lane messages. Throws on a frame over the limit. */
export function laneParser(onRest: (bytes: Bytes) => void, onMessage: LaneHandler): LaneParser {
  /** Bytes of a yamux frame that are still to come. */
  let passing = 0
  /** The beginning of a frame whose head, or whose message, is not whole yet. */
  let kept: Bytes[] = []
  let keptBytes = 0
  let wanted = 0

  function parse(bytes: Bytes): void {
    let at = 0
    let restFrom = 0
    while (at < bytes.length) {
      if (passing > 0) {
        const count = Math.min(passing, bytes.length - at)
        passing -= count
        at += count
        continue
      }
      const isLane = bytes[at] === laneMark
      const left = bytes.length - at
      if (left < (isLane ? laneHeadBytes : yamuxHeadBytes)) {
        wanted = isLane ? laneHeadBytes : yamuxHeadBytes
        break
      }
      if (!isLane) {
        // Only data frames (type 0) have a body.
        passing = yamuxHeadBytes + (bytes[at + 1] === 0 ? u32(bytes, at + 8) : 0)
        continue
      }
      const length = u32(bytes, at + 2)
      if (length > frameBytesMax) throw new Error(`a message of ${length} bytes is over the limit of ${frameBytesMax}`)
      if (left < laneHeadBytes + length) {
        wanted = laneHeadBytes + length
        break
      }
      if (at > restFrom) onRest(bytes.subarray(restFrom, at))
      const from = at + laneHeadBytes
      at = from + length
      restFrom = at
      onMessage(bytes[from - laneHeadBytes + 1] ?? 0, bytes.subarray(from, at))
    }
    if (at > restFrom) onRest(bytes.subarray(restFrom, at))
    if (at < bytes.length) {
      kept = [bytes.subarray(at)]
      keptBytes = bytes.length - at
    }
  }

  return {
    push(bytes) {
      if (keptBytes === 0) {
        parse(bytes)
        return
      }
      kept.push(bytes)
      keptBytes += bytes.length
      if (keptBytes < wanted) return
      const all = concat(kept)
      kept = []
      keptBytes = 0
      parse(all)
    },
  }
}

function u32(bytes: Bytes, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
  )
}
