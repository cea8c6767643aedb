// Bytes on their way from a socket to a reader that pulls. The writer is told when too much waits, and when there is room
// again; it pauses its socket in between.
import type { Bytes } from '../../lib/bytes.ts'

export class ByteQueue {
  readonly #items: Bytes[] = []
  readonly #bytesMax: number
  readonly #onRoom: () => void
  #bytes = 0
  #full = false
  #ended = false
  #error: Error | undefined
  #wake: (() => void) | undefined

  /** `onRoom` is called when a queue that was full has emptied by half. */
  constructor(onRoom: () => void = () => {}, bytesMax = 256 * 1024) {
    this.#onRoom = onRoom
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** False: full, send no more until `onRoom`. What is pushed nevertheless is kept. After the end: dropped. */
  push(bytes: Bytes): boolean {
    if (this.#ended) return true
    if (bytes.length > 0) {
      this.#items.push(bytes)
      this.#bytes += bytes.length
      this.#wake?.()
    }
    if (this.#bytes >= this.#bytesMax) this.#full = true
    return !this.#full
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** The reader gets this error, also instead of what still waits. */
  fail(error: Error): void {
    this.#error ??= error
    this.discard()
  }

  /** Nobody reads any longer: what comes is dropped, and the writer is never held up. */
  discard(): void {
    this.#items.length = 0
    this.#bytes = 0
    this.#ended = true
    this.#room()
    this.#wake?.()
  }

  #room(): void {
    if (!this.#full || this.#bytes * 2 > this.#bytesMax) return
    this.#full = false
    this.#onRoom()
  }

  async *read(): AsyncGenerator<Bytes> {
    try {
      for (;;) {
        if (this.#error) throw this.#error
        const next = this.#items.shift()
        if (next !== undefined) {
          this.#bytes -= next.length
          this.#room()
          yield next
        } else if (this.#ended) return
        else {
          await new Promise<void>(resolve => {
            this.#wake = resolve
          })
          this.#wake = undefined
        }
      }
    } finally {
      this.discard()
    }
  }
}
