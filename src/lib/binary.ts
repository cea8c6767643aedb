// Writing and reading of small binary formats: little-endian numbers, varints up to 2^53, text and bytes with a length.
// The reader is total: past the end, or on a length that cannot be, it gives zeros and `ok` turns false. A caller
// decodes to the end and then asks once.
import type { Bytes } from './bytes.ts'

const encoder = new TextEncoder()
// A byte order mark is content here, not decoration: what was written is what is read.
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
const nothing = new Uint8Array(0)

// Buffer's way between bytes and strings of bytes, which works on any Uint8Array: `toString` and `write` come to it too,
// by a longer way.
const { latin1Write, latin1Slice } = Buffer.prototype as unknown as {
  readonly latin1Write: (this: Uint8Array, chars: string, at: number, length: number) => number
  readonly latin1Slice: (this: Uint8Array, from: number, to: number) => string
}
/** Up to here a loop is quicker than a call out of JavaScript. */
const loopLengthMax = 16

/** Small buffers are cut from slabs: an ArrayBuffer of its own costs more than what is written into it. */
const slabBytes = 64 * 1024
const slicedBytesMax = 8 * 1024
let slab = new ArrayBuffer(0)
let slabAt = 0

function take(count: number): Uint8Array<ArrayBuffer> {
  if (count > slicedBytesMax) return new Uint8Array(count)
  if (slabAt + count > slab.byteLength) {
    slab = new ArrayBuffer(slabBytes)
    slabAt = 0
  }
  slabAt += count
  return new Uint8Array(slab, slabAt - count, count)
}

/** Gives back what the last taker did not use. */
function giveBack(buffer: Uint8Array<ArrayBuffer>, used: number): void {
  const isLast = buffer.buffer === slab && buffer.byteOffset + buffer.length === slabAt
  if (isLast) slabAt = buffer.byteOffset + used
}

export class ByteWriter {
  #buffer: Uint8Array<ArrayBuffer>
  #at = 0

  /** A good guess of the final length saves copies. */
  constructor(capacity = 256) {
    this.#buffer = take(capacity)
  }

  get length(): number {
    return this.#at
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#buffer.length) return
    const larger = take(Math.max(this.#buffer.length * 2, this.#at + count))
    larger.set(this.#buffer.subarray(0, this.#at))
    this.#buffer = larger
  }

  u8(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#at++] = value
  }

  u32(value: number): void {
    this.#reserve(4)
    this.patchU32(this.#at, value)
    this.#at += 4
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(value: number): void {
    this.#reserve(8)
    while (value >= 0x80) {
      this.#buffer[this.#at++] = (value % 0x80) | 0x80
      value = Math.floor(value / 0x80)
    }
    this.#buffer[this.#at++] = value
  }

  raw(bytes: Bytes): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#at)
    this.#at += bytes.length
  }

  bytes(bytes: Bytes): void {
    this.u32(bytes.length)
    this.raw(bytes)
  }

  text(text: string): void {
    // Most text is ASCII: room for more than that is made only when it turns out to be needed.
    this.#reserve(4 + text.length)
    const first = encoder.encodeInto(text, this.#buffer.subarray(this.#at + 4))
    let { written } = first
    if (first.read < text.length) {
      this.#reserve(4 + text.length * 3)
      written = encoder.encodeInto(text, this.#buffer.subarray(this.#at + 4)).written
    }
    this.patchU32(this.#at, written)
    this.#at += 4 + written
  }

  /** A byte string, one character per byte; what a character is above U+00FF is lost. */
  chars(chars: string): void {
    const { length } = chars
    this.#reserve(4 + length)
    this.patchU32(this.#at, length)
    const at = this.#at + 4
    if (length > loopLengthMax) latin1Write.call(this.#buffer, chars, at, length)
    else for (let i = 0; i < length; i++) this.#buffer[at + i] = chars.charCodeAt(i)
    this.#at = at + length
  }

  /** Overwrites four bytes that were written before. */
  patchU32(at: number, value: number): void {
    this.#buffer[at] = value
    this.#buffer[at + 1] = value >>> 8
    this.#buffer[at + 2] = value >>> 16
    this.#buffer[at + 3] = value >>> 24
  }

  /** Begins anew in the same memory: for a writer that is never finished, but looked at. */
  clear(): void {
    this.#at = 0
  }

  /** What was written so far, until more is written. */
  peek(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#at)
  }

  /** What was written so far; shares the writer's memory, so the writer is done with. */
  finish(): Uint8Array<ArrayBuffer> {
    giveBack(this.#buffer, this.#at)
    return this.#buffer.subarray(0, this.#at)
  }
}

/**
 * Begins the same writer anew with each call, so what it gave before is good until then. After a use of more than
 * `bytesMax`, the memory is given up.
 */
export function reusedWriter(bytes: number, bytesMax: number): () => ByteWriter {
  let writer = new ByteWriter(bytes)
  return () => {
    if (writer.length > bytesMax) writer = new ByteWriter(bytes)
    writer.clear()
    return writer
  }
}

export class ByteReader {
  readonly #bytes: Bytes
  #at: number
  #ok = true

  constructor(bytes: Bytes, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  /** False once something could not be read. */
  get ok(): boolean {
    return this.#ok
  }

  get at(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  /** All was read, to the last byte, without a fault. */
  get done(): boolean {
    return this.#ok && this.remaining === 0
  }

  #take(count: number): number {
    if (count > this.remaining) {
      this.#ok = false
      this.#at = this.#bytes.length
      return -1
    }
    const at = this.#at
    this.#at += count
    return at
  }

  fail(): void {
    this.#take(this.remaining + 1)
  }

  u8(): number {
    const at = this.#take(1)
    return at < 0 ? 0 : (this.#bytes[at] ?? 0)
  }

  u32(): number {
    const at = this.#take(4)
    if (at < 0) return 0
    const bytes = this.#bytes
    return (
      ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>>
      0
    )
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 0x80
    }
    this.fail()
    return 0
  }

  /** How many items follow, each of at least `bytesMin` bytes: a count that cannot be is a fault, not a long loop. */
  count(bytesMin = 1): number {
    const count = this.varint()
    if (count * bytesMin <= this.remaining) return count
    this.fail()
    return 0
  }

  raw(length: number): Bytes {
    const at = this.#take(length)
    return at < 0 ? nothing : this.#bytes.subarray(at, at + length)
  }

  bytes(): Bytes {
    return this.raw(this.u32())
  }

  text(): string {
    return decoder.decode(this.bytes())
  }

  /** What `chars` wrote. */
  chars(): string {
    const length = this.u32()
    const at = this.#take(length)
    return at <= 0 ? '' : latin1Slice.call(this.#bytes, at, at + length)
  }
}
