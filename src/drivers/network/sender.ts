// The messages that go to one peer on one protocol: a bounded queue, one long-lived stream, one write per event-loop turn.
// A full queue loses its oldest message, because a newer one of the same kind nearly always makes it stale.
import type { Stream } from '@libp2p/interface'
import type { Bytes } from '../../lib/bytes.ts'
import { frameBytesMax } from '../../wire/frame.ts'
import type { Clock } from '../../world/clock.ts'

export const queueBytesMax = 2 * frameBytesMax
export const queueCountMax = 4096
/** What is handed to the stream in one go; a larger single message goes alone. */
const batchBytesMax = 1024 * 1024
/** After a stream that failed at once (the other side does not admit us yet), before the next is tried. */
const reopenMs = 300
const openTimeoutMs = 10_000

export type Sender = {
  push(message: Bytes): void
  /** A newer connection stands, or the old one is gone: the next message opens a new stream. */
  renew(): void
  stop(): void
}

export function sender(
  clock: Clock,
  open: (signal: AbortSignal) => Promise<Stream>,
  dropped: (count: number) => void,
): Sender {
  let queue: Bytes[] = []
  let queuedBytes = 0
  let stream: Stream | undefined
  let openedAtMs = 0
  let notBeforeMs = 0
  let opening = false
  let scheduled = false
  let stopped = false
  const controller = new AbortController()

  function stop(): void {
    if (stopped) return
    stopped = true
    controller.abort()
    stream?.abort(new Error('stopped'))
    stream = undefined
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
    if (stream === undefined) {
      void reopen()
      return
    }
    if (stream.writableNeedsDrain) return // its drain event schedules the next flush
    const batch = takeBatch()
    try {
      stream.send(batch.bytes)
    } catch {
      dropped(batch.count)
      stream.abort(new Error('the send stream broke'))
      stream = undefined
    }
    if (queue.length > 0) schedule()
  }

  function takeBatch(): { bytes: Bytes; count: number } {
    let count = 0
    let size = 0
    for (const message of queue) {
      if (count > 0 && size + message.length + 4 > batchBytesMax) break
      size += message.length + 4
      count++
    }
    const taken = queue.splice(0, count)
    queuedBytes -= size - 4 * count
    const bytes = new Uint8Array(size)
    const view = new DataView(bytes.buffer)
    let at = 0
    for (const message of taken) {
      view.setUint32(at, message.length)
      bytes.set(message, at + 4)
      at += message.length + 4
    }
    return { bytes, count }
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
        opened.abort(new Error('stopped'))
        return
      }
      stream = opened
      openedAtMs = clock.monotonicMs()
      opened.addEventListener('drain', schedule)
      opened.addEventListener('close', () => lost(opened))
      if (opened.status !== 'open') lost(opened)
      schedule()
    } catch {
      // Not connected, or refused: what waited is stale by the time it could leave.
      notBeforeMs = clock.monotonicMs() + reopenMs
      clear()
    } finally {
      opening = false
    }
  }

  function lost(which: Stream): void {
    if (stream !== which) return
    stream = undefined
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
      const old = stream
      stream = undefined
      notBeforeMs = 0
      if (old !== undefined) old.close().catch(error => old.abort(error))
      schedule()
    },
    stop,
  }
}
