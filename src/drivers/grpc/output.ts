// What goes to one socket: frames are written into pooled buffers and leave together, once all that became ready in this
// turn is in them. One system call per connection and turn is most of the speed.
import type { Socket } from 'node:net'

const bufferBytes = 64 * 1024
const poolCountMax = 64
const pool: Buffer[] = []

function take(bytes: number): Buffer {
  if (bytes > bufferBytes) return Buffer.allocUnsafeSlow(bytes)
  return pool.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)
}

function give(buffer: Buffer): void {
  if (buffer.length === bufferBytes && pool.length < poolCountMax) pool.push(buffer)
}

const nothing = Buffer.alloc(0)

/** Those with something to send, flushed when the turn's promises have all run. */
let dirty: Output[] = []

function flushAll(): void {
  const outputs = dirty
  dirty = []
  for (const output of outputs) output.flush()
}

export class Output {
  readonly #socket: Socket
  /** Write at `at` after `reserve`, then move `at` on. */
  buffer: Buffer = nothing
  at = 0
  #isDirty = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Makes room for `bytes` more at `at`. */
  reserve(bytes: number): void {
    if (this.at + bytes > this.buffer.length) this.#make(bytes)
    if (this.#isDirty) return
    this.#isDirty = true
    // A tick that is asked for among promises runs after all of them, and before the loop goes on to the next socket.
    if (dirty.push(this) === 1) process.nextTick(flushAll)
  }

  #make(bytes: number): void {
    this.#write()
    this.buffer = take(bytes)
  }

  flush(): void {
    this.#isDirty = false
    this.#write()
  }

  #write(): void {
    const { buffer, at } = this
    if (at === 0) return
    this.buffer = nothing
    this.at = 0
    if (this.#socket.destroyed) give(buffer)
    else this.#socket.write(at === buffer.length ? buffer : buffer.subarray(0, at), () => give(buffer))
  }

  /** Bytes that the kernel has not taken. */
  get backlogBytes(): number {
    return this.#socket.writableLength + this.at
  }
}
