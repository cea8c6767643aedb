// The messages that go to one peer on one protocol: a bounded queue, one way out, one write per event-loop turn. The way
// is the lane of the connection (secure.ts), or a long-lived stream where there is none. A full queue loses its oldest
// message, because a newer one of the same kind nearly always makes it stale.
import type { Stream } from '@libp2p/interface'
import type { Bytes } from '../../lib/bytes.ts'
import { frameBytesMax } from '../../wire/frame.ts'
import type { Clock } from '../../world/clock.ts'
import { laneHead, type SecureConnection } from './secure.ts'

export const queueBytesMax = 2 * frameBytesMax
export const queueCountMax = 4096
/** What is handed to the stream in one go; a larger single message goes alone. */
const batchBytesMax = 1024 * 1024
/** Memory for batches of this size is used again and again: new memory is for the collector of garbage to find. */
const keptBytes = 128 * 1024
/** After a stream that failed at once (the other side does not admit us yet), before the next is tried. */
const reopenMs = 300
const openTimeoutMs = 10_000

/** Where messages leave: a stream, or the lane of a connection. */
export type Sink = {
  /** Stands before the length of each message. */
  readonly head: Bytes
  readonly isOpen: () => boolean
  readonly needsDrain: () => boolean
  /** Calls `sent` once it needs the memory of what it was given no more. */
  readonly givesBack: boolean
  /** Throws when it is broken. */
  send(bytes: Bytes, sent: () => void): void
  on(event: 'drain' | 'close', listener: () => void): void
  /** Ends it after what was sent, or at once. */
  close(): void
  abort(): void
}

export type Sender = {
  push(message: Bytes): void
  /** A newer connection stands, or the old one is gone: the next message opens a new stream. */
  renew(): void
  stop(): void
}

export function sender(
  clock: Clock,
  open: (signal: AbortSignal) => Promise<Sink>,
  dropped: (count: number) => void,
): Sender {
  let queue: Bytes[] = []
  let queuedBytes = 0
  let sink: Sink | undefined
  let openedAtMs = 0
  let notBeforeMs = 0
  let opening = false
  let scheduled = false
  let stopped = false
  let spare: Uint8Array<ArrayBuffer> | undefined
  const controller = new AbortController()

  function stop(): void {
    if (stopped) return
    stopped = true
    controller.abort()
    sink?.abort()
    sink = undefined
    clear()
  }

  function clear(): void {
    if (queue.length > 0) dropped(queue.length)
    queue = []
    queuedBytes = 0
  }

  function schedule(): void {
    if (scheduled || stopped) return
    scheduled = true
    // What one turn says is one write, and it leaves before the turn's work on the disk begins.
    queueMicrotask(() => {
      scheduled = false
      flush()
    })
  }

  function flush(): void {
    if (stopped || queue.length === 0) return
    if (sink === undefined) {
      void reopen()
      return
    }
    if (sink.needsDrain()) return // its drain event schedules the next flush
    const batch = takeBatch(sink)
    try {
      sink.send(batch.bytes, batch.giveBack)
    } catch {
      dropped(batch.count)
      sink.abort()
      sink = undefined
    }
    if (queue.length > 0) schedule()
  }

  function takeBatch({ head, givesBack }: Sink): { bytes: Bytes; count: number; giveBack: () => void } {
    const headBytes = head.length + 4
    let count = 0
    let size = 0
    for (const message of queue) {
      if (count > 0 && size + message.length + headBytes > batchBytesMax) break
      size += message.length + headBytes
      count++
    }
    const taken = queue.splice(0, count)
    queuedBytes -= size - headBytes * count
    const memory = givesBack && size <= keptBytes ? keptMemory() : new Uint8Array(size)
    const bytes = memory.subarray(0, size)
    const view = new DataView(bytes.buffer)
    let at = 0
    for (const message of taken) {
      bytes.set(head, at)
      view.setUint32(at + head.length, message.length)
      bytes.set(message, at + headBytes)
      at += message.length + headBytes
    }
    const giveBack = () => {
      if (memory.length === keptBytes) spare = memory
    }
    return { bytes, count, giveBack }
  }

  function keptMemory(): Uint8Array<ArrayBuffer> {
    const kept = spare ?? new Uint8Array(keptBytes)
    spare = undefined
    return kept
  }

  async function reopen(): Promise<void> {
    if (opening || stopped) return
    opening = true
    try {
      const waitMs = notBeforeMs - clock.monotonicMs()
      if (waitMs > 0) await clock.sleep(waitMs, controller.signal)
      if (stopped) return
      using deadline = clock.deadline(openTimeoutMs, controller.signal)
      const opened = await open(deadline.signal)
      if (stopped) {
        opened.abort()
        return
      }
      sink = opened
      openedAtMs = clock.monotonicMs()
      opened.on('drain', schedule)
      opened.on('close', () => lost(opened))
      if (!opened.isOpen()) lost(opened)
      schedule()
    } catch {
      // Not connected, or refused: what waited is stale by the time it could leave.
      notBeforeMs = clock.monotonicMs() + reopenMs
      clear()
    } finally {
      opening = false
    }
  }

  function lost(which: Sink): void {
    if (sink !== which) return
    sink = undefined
    if (clock.monotonicMs() - openedAtMs < reopenMs) notBeforeMs = clock.monotonicMs() + reopenMs
    clear()
  }

  return {
    push(message) {
      if (stopped) return
      queue.push(message)
      queuedBytes += message.length
      let over = 0
      while (queue.length - over > 1 && (queue.length - over > queueCountMax || queuedBytes > queueBytesMax)) {
        queuedBytes -= queue[over]?.length ?? 0
        over++
      }
      if (over > 0) {
        queue.splice(0, over)
        dropped(over)
      }
      schedule()
    },
    renew() {
      const old = sink
      sink = undefined
      notBeforeMs = 0
      old?.close()
      schedule()
    },
    stop,
  }
}

export function streamSink(stream: Stream): Sink {
  return {
    head: new Uint8Array(0),
    isOpen: () => stream.status === 'open',
    needsDrain: () => stream.writableNeedsDrain,
    givesBack: false,
    send: bytes => void stream.send(bytes),
    on: (event, listener) => stream.addEventListener(event, listener),
    close: () => void stream.close().catch(error => stream.abort(error)),
    abort: () => stream.abort(new Error('the send stream was ended')),
  }
}

/** The lane outlives its senders: it ends with its connection. */
export function laneSink(connection: SecureConnection, protocol: number): Sink {
  const listeners: (() => void)[] = []
  const leave = () => {
    for (const stop of listeners) stop()
  }
  return {
    head: laneHead(protocol),
    isOpen: () => connection.status === 'open',
    needsDrain: () => connection.writableNeedsDrain,
    givesBack: true,
    send: (bytes, sent) => void connection.sendLane(bytes, sent),
    on(event, listener) {
      connection.addEventListener(event, listener)
      listeners.push(() => connection.removeEventListener(event, listener))
    },
    close: leave,
    abort: leave,
  }
}
