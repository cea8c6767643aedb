// Protocol buffers by hand (https://protobuf.dev/programming-guides/encoding/), for the calls that must cost little. Text
// is octets, one per character, as the store keeps it. Numbers are JavaScript's: far from 0 they lose their last bits.
import type { Bytes } from '../lib/bytes.ts'

export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** Reads the fields of one message, `bytes[at, end)`. Total: on a fault it stands at the end and `ok` is false. */
export class WireReader {
  readonly bytes: Buffer
  at: number
  end: number
  ok = true
  /** Of the field that `next` found. */
  field = 0
  type = 0

  constructor(bytes: Bytes, at: number, end: number) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = at
    this.end = end
  }

  /** Whether there is another field; its number and type are in `field` and `type`, its value must be read or skipped. */
  next(): boolean {
    if (this.at >= this.end) return false
    const tag = this.number()
    this.field = Math.floor(tag / 8)
    this.type = tag % 8
    if (this.field === 0) this.fail()
    return this.ok
  }

  fail(): void {
    this.ok = false
    this.at = this.end
  }

  /** A varint as int64. */
  number(): number {
    const { bytes, end } = this
    let at = this.at
    const first = bytes[at] ?? 0
    if (at < end && first < 0x80) {
      this.at = at + 1
      return first
    }
    let value = 0
    let scale = 1
    for (let i = 0; i < 10 && at < end; i++) {
      const octet = bytes[at++] ?? 0
      value += (octet & 0x7f) * scale
      if (octet < 0x80) {
        const start = this.at
        this.at = at
        return i < 7 ? value : this.#large(start, at)
      }
      scale *= 0x80
    }
    this.fail()
    return 0
  }

  /** Exact as far as numbers are: the negative ones are the largest that there are. */
  #large(start: number, end: number): number {
    let value = 0n
    for (let at = end - 1; at >= start; at--) value = (value << 7n) | BigInt((this.bytes[at] ?? 0) & 0x7f)
    return Number(BigInt.asIntN(64, value))
  }

  boolean(): boolean {
    return this.number() !== 0
  }

  /** The end of a value with a length, which begins at `at`. */
  length(): number {
    const length = this.number()
    const end = this.at + length
    if (this.ok && length >= 0 && end <= this.end) return end
    this.fail()
    return this.end
  }

  text(): string {
    const end = this.length()
    const text = this.bytes.toString('latin1', this.at, end)
    this.at = end
    return text
  }

  /** A reader of a message inside of this one, which this one passes over. */
  message(): WireReader {
    const end = this.length()
    const inner = new WireReader(this.bytes, this.at, end)
    this.at = end
    return inner
  }

  skip(): void {
    if (this.type === wireType.varint) this.number()
    else if (this.type === wireType.bytes) this.at = this.length()
    else if (this.type === wireType.fixed64) this.#pass(8)
    else if (this.type === wireType.fixed32) this.#pass(4)
    else this.fail()
  }

  #pass(count: number): void {
    this.at += count
    if (this.at > this.end) this.fail()
  }
}

export function varintLength(value: number): number {
  if (value < 0) return 10
  let length = 1
  while (value >= 0x80) {
    value = Math.floor(value / 0x80)
    length += 1
  }
  return length
}

/** Writes messages, one after the other, into a buffer of its own that grows. */
export class WireWriter {
  buffer = Buffer.allocUnsafeSlow(16 * 1024)
  at = 0

  reserve(count: number): void {
    if (this.at + count <= this.buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.at + count))
    this.buffer.copy(larger, 0, 0, this.at)
    this.buffer = larger
  }

  /** Begins anew; a buffer that one huge answer made huge is let go. */
  reset(): void {
    this.at = 0
    if (this.buffer.length > 4 * 1024 * 1024) this.buffer = Buffer.allocUnsafeSlow(16 * 1024)
  }

  octet(value: number): void {
    this.reserve(1)
    this.buffer[this.at++] = value
  }

  varint(value: number): void {
    this.reserve(10)
    const { buffer } = this
    let at = this.at
    if (value < 0) {
      this.#negative(value)
      return
    }
    while (value >= 0x80) {
      buffer[at++] = (value % 0x80) | 0x80
      value = Math.floor(value / 0x80)
    }
    buffer[at++] = value
    this.at = at
  }

  #negative(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value))
    for (let i = 0; i < 9; i++) {
      this.buffer[this.at++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.buffer[this.at++] = Number(rest)
  }

  /** A number in a field below 16; 0 is left out, as proto3 does. */
  number(field: number, value: number): void {
    if (value === 0) return
    this.octet(field << 3)
    this.varint(value)
  }

  boolean(field: number, value: boolean): void {
    if (value) this.number(field, 1)
  }

  text(field: number, text: string): void {
    if (text === '') return
    this.octet((field << 3) | wireType.bytes)
    this.varint(text.length)
    this.reserve(text.length)
    this.at += this.buffer.write(text, this.at, 'latin1')
  }

  raw(bytes: Bytes): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.at)
    this.at += bytes.length
  }

  /** Begins a message in a field below 16, of a length that is known. */
  open(field: number, length: number): void {
    this.octet((field << 3) | wireType.bytes)
    this.varint(length)
  }

  /** A copy of `[from, at)`. */
  copy(from = 0): Buffer {
    return Buffer.from(this.buffer.subarray(from, this.at))
  }
}
