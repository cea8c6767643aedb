// The wire format of protobuf: tags, varints, lengths. Knows no schema. The reader is total: `undefined` where the bytes are
// not what they should be, never an exception. https://protobuf.dev/programming-guides/encoding/
import type { Bytes } from '../lib/bytes.ts'

export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

const nothing: Bytes = new Uint8Array(0)
const fieldNumberMax = 536_870_911n

export type WireFieldRead = {
  readonly number: number
  readonly type: number
  readonly bytes: Bytes
  readonly integer: bigint
}

export class WireReader {
  readonly #bytes: Bytes
  #at = 0

  constructor(bytes: Bytes) {
    this.#bytes = bytes
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  varint(): bigint | undefined {
    let low = 0
    // Most are small: plain numbers up to four bytes.
    for (let i = 0; i < 4; i++) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) return undefined
      low += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) return BigInt(low)
    }
    let value = BigInt(low)
    for (let i = 4; i < 10; i++) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) return undefined
      value |= BigInt(byte & 0x7f) << BigInt(7 * i)
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    return undefined
  }

  /** The next field with its value; groups, long gone from the format, are not read. */
  field(): WireFieldRead | undefined {
    const tag = this.varint()
    if (tag === undefined) return undefined
    const number = tag >> 3n
    if (number === 0n || number > fieldNumberMax) return undefined
    const type = Number(tag & 7n)
    const found = { number: Number(number), type }
    switch (type) {
      case wireType.varint: {
        const integer = this.varint()
        return integer === undefined ? undefined : { ...found, bytes: nothing, integer }
      }
      case wireType.bytes: {
        const length = this.varint()
        return length === undefined ? undefined : this.#taken(found, Number(length))
      }
      case wireType.fixed64:
        return this.#taken(found, 8)
      case wireType.fixed32:
        return this.#taken(found, 4)
      default:
        return undefined
    }
  }

  #taken(found: { number: number; type: number }, length: number): WireFieldRead | undefined {
    if (length > this.remaining) return undefined
    const bytes = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return { ...found, bytes, integer: 0n }
  }
}

const keptBytesMax = 64 * 1024
const loopLengthMax = 32

/**
 * Writes a message from its end to its beginning, so that the length of what lies inside is known when its tag is due:
 * the fields come in falling order of their numbers, each value before its tag.
 */
export class WireWriter {
  #buffer = Buffer.allocUnsafeSlow(1_024)
  /** Where what is written begins. */
  #at = 1_024

  get length(): number {
    return this.#buffer.length - this.#at
  }

  /** For the next message, with the memory of the last unless that was a large one. */
  reset(): this {
    if (this.#buffer.length > keptBytesMax) this.#buffer = Buffer.allocUnsafeSlow(keptBytesMax)
    this.#at = this.#buffer.length
    return this
  }

  #reserve(count: number): void {
    if (this.#at >= count) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.length + count))
    const at = larger.length - this.length
    larger.set(this.#buffer.subarray(this.#at), at)
    this.#buffer = larger
    this.#at = at
  }

  /** A whole number that is not negative. */
  #integer(value: number): void {
    let count = 1
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) count++
    this.#reserve(count)
    this.#at -= count
    let at = this.#at
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#buffer[at++] = (rest % 0x80) | 0x80
    this.#buffer[at] = rest
  }

  #tag(number: number, type: number): void {
    this.#integer(number * 8 + type)
  }

  varint(number: number, value: number | bigint): void {
    if (value >= 0 && typeof value === 'number') this.#integer(value)
    else {
      let rest = BigInt.asUintN(64, BigInt(value))
      const bytes: number[] = []
      for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
      this.raw(Uint8Array.from([...bytes, Number(rest)]))
    }
    this.#tag(number, wireType.varint)
  }

  double(number: number, value: number): void {
    this.#reserve(8)
    this.#at -= 8
    this.#buffer.writeDoubleLE(value, this.#at)
    this.#tag(number, wireType.fixed64)
  }

  /** Without a tag. */
  raw(bytes: Bytes): void {
    this.#reserve(bytes.length)
    this.#at -= bytes.length
    this.#buffer.set(bytes, this.#at)
  }

  bytes(number: number, value: Bytes): void {
    const end = this.length
    this.raw(value)
    this.lengthSince(number, end)
  }

  text(number: number, value: string): void {
    const count = this.#ascii(value) ? value.length : this.#utf8(value)
    this.#integer(count)
    this.#tag(number, wireType.bytes)
  }

  /** Short ASCII, which most texts are, is quicker by a loop than by a call out of JavaScript. */
  #ascii(value: string): boolean {
    const count = value.length
    if (count > loopLengthMax) return false
    this.#reserve(count)
    const start = this.#at - count
    for (let i = 0; i < count; i++) {
      const code = value.charCodeAt(i)
      if (code >= 0x80) return false
      this.#buffer[start + i] = code
    }
    this.#at = start
    return true
  }

  #utf8(value: string): number {
    const count = Buffer.byteLength(value)
    this.#reserve(count)
    this.#at -= count
    this.#buffer.write(value, this.#at)
    return count
  }

  /** Makes field `number` of all that was written since `length` was `end`. */
  lengthSince(number: number, end: number): void {
    this.#integer(this.length - end)
    this.#tag(number, wireType.bytes)
  }

  finish(): Bytes {
    return Uint8Array.prototype.slice.call(this.#buffer, this.#at)
  }
}
