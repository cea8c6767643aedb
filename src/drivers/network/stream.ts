// A libp2p stream as a MeshStream: bytes pulled by the reader, written when there is room. The library's stream is an event
// target with four traps, handled here and nowhere else:
// - its onDrain() promise is made once and stays resolved, so the second wait would not wait: we listen to `drain` itself;
// - pausing inside a `message` event that resume() fired leaves the muxer's window open and overruns the read buffer: we
//   pause in the next microtask;
// - a lost connection looks like a clean end, except that the other side's "no more" (`remoteCloseWrite`) never came: only
//   with it is the end an end, without it the stream broke;
// - `end` fires once, and may have fired while the protocol was negotiated, with bytes that came early pushed back after
//   it: we look at the read buffer instead.
import type { Stream } from '@libp2p/interface'
import type { Bytes } from '../../lib/bytes.ts'
import { MeshError, type MeshStream, type PeerId } from '../../world/network.ts'

/** Above it the other side is told to stop, below the other it may go on. A yamux window comes on top. */
const readQueueBytesMax = 256 * 1024
const readQueueBytesLow = 64 * 1024

export type LiveStream = MeshStream & {
  /** Resolves, never rejects, when both halves are gone: undefined after a clean end. */
  readonly closed: Promise<Error | undefined>
  /** The other side has ended its writing half, cleanly. Resolves also when the stream is gone. */
  readonly remoteEnded: Promise<void>
}

export function meshStream(stream: Stream, remote: PeerId): LiveStream {
  const chunks: Bytes[] = []
  let queuedBytes = 0
  let paused = false
  /** The other side said that nothing more comes. */
  let announced = stream.status === 'open' && stream.remoteWriteStatus === 'closed'
  /** All that came has been handed to us. */
  let ended = false
  let broken: Error | undefined
  let wakeReader = () => {}
  let wakeWriters: (() => void)[] = []
  const { promise: closed, resolve: resolveClosed } = Promise.withResolvers<Error | undefined>()
  const { promise: remoteEnded, resolve: resolveRemoteEnded } = Promise.withResolvers<void>()

  function wake(): void {
    wakeReader()
    const writers = wakeWriters
    wakeWriters = []
    for (const writer of writers) writer()
  }

  function fail(error: Error): void {
    broken ??= error
    resolveRemoteEnded()
    resolveClosed(broken)
    wake()
  }

  function setPaused(value: boolean): void {
    if (paused === value || stream.readStatus === 'closed' || stream.readStatus === 'closing') return
    paused = value
    try {
      if (value) stream.pause()
      else stream.resume()
    } catch (error) {
      // The connection went away between the check and the call; its close event follows or has come.
      fail(new MeshError('broken', 'the stream broke', { cause: error }))
    }
  }

  function lookForEnd(): void {
    if (ended || !announced || stream.readBufferLength > 0) return
    ended = true
    resolveRemoteEnded()
    wakeReader()
  }

  stream.addEventListener('remoteCloseWrite', () => {
    announced = true
    lookForEnd()
  })
  stream.addEventListener('drain', wake)
  stream.addEventListener('close', event => {
    if (event.error !== undefined && event.error !== null) {
      fail(new MeshError('broken', `the stream to ${remote} broke: ${event.error.message}`, { cause: event.error }))
    } else if (!announced) {
      fail(new MeshError('broken', `the connection to ${remote} was lost`))
    } else {
      lookForEnd()
      resolveClosed(undefined)
      wake()
    }
  })
  stream.addEventListener('message', event => {
    const bytes = event.data instanceof Uint8Array ? event.data : event.data.subarray()
    chunks.push(bytes)
    queuedBytes += bytes.length
    if (queuedBytes > readQueueBytesMax && !paused) {
      queueMicrotask(() => {
        if (queuedBytes > readQueueBytesMax) setPaused(true)
      })
    }
    lookForEnd()
    wakeReader()
  })
  lookForEnd()
  if (stream.status !== 'open' && stream.status !== 'closing') fail(new MeshError('broken', 'the stream broke'))

  return {
    remote,
    closed,
    remoteEnded,
    async *read() {
      while (true) {
        const chunk = chunks.shift()
        if (chunk !== undefined) {
          queuedBytes -= chunk.length
          if (queuedBytes < readQueueBytesLow) setPaused(false)
          yield chunk
          continue
        }
        if (broken !== undefined) throw broken
        if (ended) return
        await new Promise<void>(resolve => {
          wakeReader = resolve
        })
        wakeReader = () => {}
      }
    },
    async write(bytes) {
      await roomToWrite()
      try {
        stream.send(bytes)
      } catch (error) {
        throw broken ?? new MeshError('broken', `the stream to ${remote} is closed`, { cause: error })
      }
      await roomToWrite()
    },
    async closeWrite() {
      if (broken !== undefined) throw broken
      try {
        await stream.close()
      } catch (error) {
        throw broken ?? new MeshError('broken', `the stream to ${remote} broke`, { cause: error })
      }
    },
    abort() {
      stream.abort(new MeshError('aborted', 'the stream was ended here'))
    },
  }

  async function roomToWrite(): Promise<void> {
    while (broken === undefined && stream.writableNeedsDrain && stream.writeStatus === 'writable') {
      await new Promise<void>(resolve => wakeWriters.push(resolve))
    }
    if (broken !== undefined) throw broken
  }
}
