// A SPDY/3.1 connection as its server: it takes the streams that the client opens. Kubernetes' clients (moby/spdystream)
// know no flow control and never give window back, so windows are counted only with a peer that has shown it counts;
// with the others the connection's own back-pressure holds.
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib'
import type { Bytes } from '../../lib/bytes.ts'
import { ByteQueue } from './queue.ts'
import {
  dataFrame,
  dictionary,
  type Frame,
  FrameReader,
  goAwayFrame,
  pingFrame,
  readHeaders,
  resetFrame,
  resetStatus,
  SpdyError,
  synReplyFrame,
  windowUpdateFrame,
  writeHeaders,
} from './spdy-frame.ts'

/** What carries the frames: a socket, or binary messages of a WebSocket. */
export interface Transport {
  read(): AsyncIterable<Bytes>
  /** Resolves when there is room for more. */
  write(bytes: Bytes): Promise<void>
  close(): void
}

export interface SpdyStream {
  readonly id: number
  readonly headers: Readonly<Record<string, string>>
  /** Ends when the client closes its half; throws when it resets the stream. */
  read(): AsyncIterable<Bytes>
  write(bytes: Bytes): Promise<void>
  closeWrite(): Promise<void>
  reset(): void
  /** Aborts when the stream is reset or the connection is gone. */
  readonly signal: AbortSignal
}

export interface SpdyConnection {
  /** Each stream that the client opens, already answered. Ends with the connection. */
  streams(): AsyncIterable<SpdyStream>
  /** Says goodbye and closes. */
  close(): Promise<void>
  /** Resolves when the connection is gone. */
  readonly done: Promise<void>
}

const streamCountMax = 1_000
const windowDefault = 64 * 1024
const chunkBytesMax = 32 * 1024
const headerBytesMax = 64 * 1024

type Live = {
  readonly stream: SpdyStream
  readonly queue: ByteQueue
  readonly controller: AbortController
  remoteClosed: boolean
  localClosed: boolean
  /** How much we may still send. */
  window: number
  wake: (() => void) | undefined
}

export function openSpdy(transport: Transport): SpdyConnection {
  const inflate = new Zlib(createInflate({ dictionary, flush: constants.Z_SYNC_FLUSH }))
  const deflate = new Zlib(createDeflate({ dictionary, flush: constants.Z_SYNC_FLUSH }))
  const live = new Map<number, Live>()
  const opened: SpdyStream[] = []
  let wakeOpened: (() => void) | undefined
  let ended = false
  let leaving = false
  let lastStream = 0
  let counts = false
  let initialWindow = windowDefault
  // While a stream's reader has too much waiting, nothing more is read from the connection.
  let held = false
  let wakeHeld: (() => void) | undefined
  const goOn = () => {
    held = false
    wakeHeld?.()
  }
  // One frame after the other, whole.
  let writing: Promise<void> = Promise.resolve()
  const send = (frame: Bytes): Promise<void> => {
    writing = writing.then(() => (ended ? undefined : transport.write(frame)))
    return writing
  }

  function forget(each: Live): void {
    if (each.remoteClosed && each.localClosed) live.delete(each.stream.id)
  }

  function fail(each: Live, error: Error): void {
    live.delete(each.stream.id)
    each.remoteClosed = true
    each.localClosed = true
    each.queue.fail(error)
    each.controller.abort(error)
    each.wake?.()
  }

  function makeStream(id: number, headers: Readonly<Record<string, string>>): Live {
    const controller = new AbortController()
    const queue = new ByteQueue(goOn)
    const stream: SpdyStream = {
      id,
      headers,
      signal: controller.signal,
      async *read() {
        let taken = 0
        for await (const bytes of queue.read()) {
          yield bytes
          taken += bytes.length
          if (counts && taken >= windowDefault / 2) {
            await send(windowUpdateFrame(id, taken))
            taken = 0
          }
        }
      },
      async write(bytes) {
        let at = 0
        while (at < bytes.length) {
          if (each.localClosed) throw new SpdyError('the stream is closed')
          const room = counts ? Math.min(each.window, chunkBytesMax) : chunkBytesMax
          if (room <= 0) {
            await new Promise<void>(resolve => {
              each.wake = resolve
            })
            continue
          }
          const part = bytes.subarray(at, at + room)
          each.window -= part.length
          at += part.length
          await send(dataFrame(id, part, false))
        }
      },
      async closeWrite() {
        if (each.localClosed) return
        each.localClosed = true
        forget(each)
        await send(dataFrame(id, new Uint8Array(), true))
      },
      reset() {
        if (each.localClosed && each.remoteClosed) return
        fail(each, new SpdyError('the stream was reset'))
        send(resetFrame(id, resetStatus.cancel)).catch(() => {})
      },
    }
    const each: Live = {
      stream,
      queue,
      controller,
      remoteClosed: false,
      localClosed: false,
      window: initialWindow,
      wake: undefined,
    }
    return each
  }

  async function take(frame: Frame): Promise<void> {
    switch (frame.kind) {
      case 'synStream': {
        const headers = readHeaders(await inflate.run(frame.block))
        const wrong = frame.stream % 2 === 0 || frame.stream <= lastStream
        if (wrong || leaving || live.size >= streamCountMax) {
          await send(resetFrame(frame.stream, wrong ? resetStatus.protocolError : resetStatus.refused))
          return
        }
        lastStream = frame.stream
        const each = makeStream(frame.stream, headers)
        live.set(frame.stream, each)
        if (frame.fin) closedByPeer(each)
        await send(synReplyFrame(frame.stream, await deflate.run(writeHeaders({}))))
        opened.push(each.stream)
        wakeOpened?.()
        return
      }
      case 'data': {
        const each = live.get(frame.stream)
        if (each === undefined || each.remoteClosed) return
        if (!each.queue.push(frame.bytes)) held = true
        if (frame.fin) closedByPeer(each)
        return
      }
      case 'headers':
      case 'synReply': {
        // The block must go through, or what follows cannot be inflated.
        await inflate.run(frame.block)
        const each = live.get(frame.stream)
        if (frame.fin && each) closedByPeer(each)
        return
      }
      case 'reset': {
        const each = live.get(frame.stream)
        if (each) fail(each, new SpdyError('the client has reset the stream'))
        return
      }
      case 'settings': {
        if (frame.initialWindow === undefined) return
        counts = true
        for (const each of live.values()) each.window += frame.initialWindow - initialWindow
        initialWindow = frame.initialWindow
        return
      }
      case 'windowUpdate': {
        const each = live.get(frame.stream)
        if (!each) return
        counts = true
        each.window += frame.delta
        each.wake?.()
        each.wake = undefined
        return
      }
      case 'ping':
        // Odd numbers are the client's: they come back to it. Ours we never send.
        if (frame.id % 2 === 1) await send(pingFrame(frame.id))
        return
      case 'goAway':
        leaving = true
        wakeOpened?.()
        return
      case 'other':
        return
    }
  }

  function closedByPeer(each: Live): void {
    each.remoteClosed = true
    each.queue.end()
    forget(each)
  }

  async function run(): Promise<void> {
    const reader = new FrameReader()
    let why = new SpdyError('the client has closed the connection')
    try {
      for await (const bytes of transport.read()) {
        for (const frame of reader.push(bytes)) await take(frame)
        while (held && !ended) {
          await new Promise<void>(resolve => {
            wakeHeld = resolve
          })
        }
      }
    } catch (error) {
      why = new SpdyError(`the connection broke: ${String(error)}`, { cause: error })
    } finally {
      ended = true
      leaving = true
      for (const each of [...live.values()]) fail(each, why)
      wakeOpened?.()
      inflate.close()
      deflate.close()
      transport.close()
    }
  }

  const done = run()
  return {
    done,
    async *streams() {
      for (;;) {
        const next = opened.shift()
        if (next !== undefined) yield next
        else if (leaving || ended) return
        else {
          await new Promise<void>(resolve => {
            wakeOpened = resolve
          })
          wakeOpened = undefined
        }
      }
    },
    async close() {
      if (!ended) {
        leaving = true
        await send(goAwayFrame(lastStream)).catch(() => {})
        await writing.catch(() => {})
      }
      ended = true
      goOn()
      transport.close()
    },
  }
}

/** One direction of header compression: its state goes on from block to block. */
class Zlib {
  readonly #stream: Inflate | Deflate
  constructor(stream: Inflate | Deflate) {
    this.#stream = stream
    stream.on('error', () => {})
  }

  run(block: Bytes): Promise<Bytes> {
    const stream = this.#stream
    return new Promise((resolve, reject) => {
      const onError = (error: Error) => reject(new SpdyError(`a header block is not well compressed: ${error.message}`))
      stream.once('error', onError)
      stream.write(block, () => {
        stream.off('error', onError)
        const parts: Buffer[] = []
        let length = 0
        for (;;) {
          const part = stream.read() as Buffer | null
          if (part === null) break
          length += part.length
          if (length > headerBytesMax) {
            reject(new SpdyError('a header block is too large'))
            return
          }
          parts.push(part)
        }
        resolve(Buffer.concat(parts))
      })
    })
  }

  close(): void {
    this.#stream.close()
  }
}
