// Questions of `request` and their answers on the lane of a connection (secure.ts): a stream of the library for each costs
// more than all the rest of a write that goes to the leader. Each is cut into parts, so that heartbeats get between those of a
// large one. In a lane frame stand [u32 id][flags][bytes]; the id is the asker's, and an answer bears that of its question.
import { onAbort } from '../../lib/abort.ts'
import { type Bytes, concat } from '../../lib/bytes.ts'
import { MeshError } from '../../world/network.ts'
import { laneHead, type SecureConnection } from './secure.ts'

/** The numbers of lane frames: those of messages lie below, of a question it is this and its protocol's. */
const questionNumber = 64
const answerNumber = 128

const flags = { more: 0, last: 1, cancel: 2 } as const
const headBytes = 11
const partBytes = 64 * 1024
/** What is handed to the connection in one go. */
const batchBytesMax = 256 * 1024
const none: Bytes = new Uint8Array(0)

export type LaneAsks = {
  /** The whole answer. MeshError: broken, too-large, aborted. */
  ask(protocol: number, body: Bytes, signal: AbortSignal): Promise<Bytes>
  /** False: the frame is none of these. Throws when the other side does what it may not. */
  take(number: number, frame: Bytes): boolean
  /** All that is open ends with this error; so it does when the connection ends. */
  end(why: MeshError): void
}

export type LaneAsksConfig = {
  readonly connection: SecureConnection
  /** The other side, for errors. */
  readonly remote: string
  readonly bytesMax: number
  /** How many questions of the other side, and how many of ours, may be open at once. */
  readonly countMax: number
  /** Whether its questions are taken in at all; others get what `refusal` gives. */
  readonly admits: () => boolean
  readonly refusal: (protocol: number) => Bytes
  /** Answers a question; never rejects. The signal aborts when the asker has gone or wants no answer any more. */
  readonly serve: (protocol: number, body: Bytes, signal: AbortSignal) => Promise<Bytes>
}

type Parts = { readonly bytes: Bytes[]; size: number }
type Asked = Parts & { readonly resolve: (answer: Bytes) => void; readonly reject: (error: MeshError) => void }
type Serving = Parts & { readonly gone: AbortController }

export function laneAsks(config: LaneAsksConfig): LaneAsks {
  const { connection, remote, bytesMax, countMax } = config
  const asked = new Map<number, Asked>()
  const serving = new Map<number, Serving>()
  const lost = () => new MeshError('broken', `the connection to ${remote} was lost`)
  const writer = laneWriter(connection, () => end(lost()))
  let lastId = 0
  connection.addEventListener('close', () => end(lost()))

  function end(why: MeshError): void {
    for (const [id, { reject }] of asked) {
      asked.delete(id)
      reject(why)
    }
    for (const [id, { gone }] of serving) {
      serving.delete(id)
      gone.abort(why)
    }
  }

  async function send(number: number, id: number, body: Bytes, isWanted: () => boolean): Promise<void> {
    for (let from = 0; from + partBytes < body.length; from += partBytes) {
      await writer.push(number, id, flags.more, body.subarray(from, from + partBytes))
      if (!isWanted()) return
    }
    const left = body.length === 0 ? 0 : (Math.ceil(body.length / partBytes) - 1) * partBytes
    void writer.push(number, id, flags.last, body.subarray(left))
  }

  /** All of it once the last part has come. Undefined before, and false when it is too large. */
  function joined(parts: Parts, flag: number, bytes: Bytes): Bytes | undefined | false {
    parts.size += bytes.length
    if (parts.size > bytesMax) return false
    if (flag === flags.last && parts.bytes.length === 0) return bytes
    parts.bytes.push(bytes)
    return flag === flags.last ? concat(parts.bytes) : undefined
  }

  function takeAnswer(id: number, flag: number, bytes: Bytes): void {
    const open = asked.get(id)
    if (open === undefined) return
    const answer = joined(open, flag, bytes)
    if (answer === undefined) return
    asked.delete(id)
    if (answer !== false) {
      open.resolve(answer)
      return
    }
    void writer.push(questionNumber, id, flags.cancel, none)
    open.reject(new MeshError('too-large', `more than ${bytesMax} bytes came from ${remote}`))
  }

  function takeQuestion(protocol: number, id: number, flag: number, bytes: Bytes): void {
    if (flag === flags.cancel) {
      serving.get(id)?.gone.abort(new MeshError('aborted', 'the asker wants no answer any more'))
      serving.delete(id)
      return
    }
    if (!config.admits()) {
      serving.delete(id)
      if (flag === flags.last) void writer.push(answerNumber, id, flags.last, config.refusal(protocol))
      return
    }
    let open = serving.get(id)
    if (open === undefined) {
      if (serving.size >= countMax) throw new Error(`${remote} asks more than ${countMax} questions at once`)
      open = { bytes: [], size: 0, gone: new AbortController() }
      serving.set(id, open)
    }
    const body = joined(open, flag, bytes)
    if (body === false) throw new Error(`a question of more than ${bytesMax} bytes`)
    if (body !== undefined) void answer(protocol, id, open, body)
  }

  async function answer(protocol: number, id: number, open: Serving, body: Bytes): Promise<void> {
    const given = await config.serve(protocol, body, open.gone.signal)
    if (serving.get(id) !== open) return
    await send(answerNumber, id, given, () => serving.get(id) === open)
    if (serving.get(id) === open) serving.delete(id)
  }

  return {
    async ask(protocol, body, signal) {
      const ended = () => new MeshError('aborted', 'the call was ended', { cause: signal.reason })
      if (signal.aborted) throw ended()
      if (connection.status !== 'open') throw lost()
      if (asked.size >= countMax) throw new MeshError('refused', `${countMax} questions to ${remote} are open`)
      lastId = (lastId + 1) >>> 0
      const id = lastId
      const { promise, resolve, reject } = Promise.withResolvers<Bytes>()
      asked.set(id, { bytes: [], size: 0, resolve, reject })
      using _aborted = onAbort(signal, () => {
        if (!asked.delete(id)) return
        void writer.push(questionNumber, id, flags.cancel, none)
        reject(ended())
      })
      void send(questionNumber + protocol, id, body, () => asked.has(id))
      return await promise
    },
    take(number, frame) {
      if (number < questionNumber || number > answerNumber || frame.length < 5) return false
      const id = new DataView(frame.buffer, frame.byteOffset).getUint32(0)
      const flag = frame[4] ?? 0
      const bytes = frame.subarray(5)
      if (number === answerNumber) takeAnswer(id, flag, bytes)
      else takeQuestion(number - questionNumber, id, flag, bytes)
      return true
    },
    end,
  }
}

type LaneWriter = {
  /** Resolves when the connection has taken it, or is gone. */
  push(number: number, id: number, flag: number, bytes: Bytes): Promise<void>
}

/** What one turn says is one write. `broke` is called when the connection takes nothing any more. */
function laneWriter(connection: SecureConnection, broke: () => void): LaneWriter {
  type Part = { readonly number: number; readonly id: number; readonly flag: number; readonly bytes: Bytes }
  let queue: Part[] = []
  let flushed = Promise.withResolvers<void>()
  let isScheduled = false
  // Messages first, which wait for the same: a heartbeat must not stand behind all of a large answer.
  connection.addEventListener('drain', () => queueMicrotask(schedule))
  connection.addEventListener('close', drop)

  function schedule(): void {
    if (isScheduled) return
    isScheduled = true
    queueMicrotask(flush)
  }

  function drop(): void {
    queue = []
    flushed.resolve()
  }

  function flush(): void {
    isScheduled = false
    while (queue.length > 0) {
      if (connection.writableNeedsDrain) return
      let count = 0
      let size = 0
      for (const { bytes } of queue) {
        if (count > 0 && size + headBytes + bytes.length > batchBytesMax) break
        size += headBytes + bytes.length
        count++
      }
      const batch = encode(queue.splice(0, count), size)
      try {
        connection.sendLane(batch, () => {})
      } catch {
        drop()
        broke()
      }
    }
    flushed.resolve()
    flushed = Promise.withResolvers()
  }

  function encode(parts: readonly Part[], size: number): Bytes {
    const batch = Buffer.allocUnsafe(size)
    let at = 0
    for (const { number, id, flag, bytes } of parts) {
      batch.set(laneHead(number), at)
      at = batch.writeUInt32BE(5 + bytes.length, at + 2)
      at = batch.writeUInt32BE(id, at)
      at = batch.writeUInt8(flag, at)
      batch.set(bytes, at)
      at += bytes.length
    }
    return batch
  }

  return {
    push(number, id, flag, bytes) {
      if (connection.status !== 'open') return Promise.resolve()
      queue.push({ number, id, flag, bytes })
      schedule()
      return flushed.promise
    },
  }
}
