// The wire format of protobuf: tags, varints, lengths. Knows no schema. The reader is total: `undefined` where the bytes are
// not what they should be, never an exception. https://protobuf.dev/programming-guides/encoding/
import type { Bytes } from '../lib/bytes.ts'

export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

const fieldNumberMax = 536_870_911
const varintLengthMax = 10

/** What stands behind a tag. */
export type WireValue = { readonly type: number; readonly bytes: Bytes; readonly integer: bigint }

/** Stands on one field after the other; what it says is of the field that it stands on. Values are made when asked for. */
export class WireReader implements WireValue {
  readonly #bytes: Bytes
  #at = 0
  #start = 0
  number = 0
  type = 0
  /** False once there was something that is no field. */
  ok = true

  constructor(bytes: Bytes) {
    this.#bytes = bytes
  }

  /** On to the next field; false at the end, and where the bytes are none. Groups, long gone from the format, are not read. */
  next(): boolean {
    if (this.#at >= this.#bytes.length) return false
    const tag = this.#number()
    this.number = Math.floor(tag / 8)
    this.type = tag % 8
    this.#start = this.#at
    const length = this.#length()
    this.ok = this.number > 0 && this.number <= fieldNumberMax && length <= this.#bytes.length - this.#at
    this.#at += length
    return this.ok
  }

  /** The content of a field that has a length; empty for one that is a varint. */
  get bytes(): Bytes {
    return this.type === wireType.varint ? this.#bytes.subarray(0, 0) : this.#bytes.subarray(this.#start, this.#at)
  }

  /** Of a varint; 0 of any other. */
  get integer(): bigint {
    return this.type === wireType.varint ? (varintAt(this.#bytes, this.#start)?.value ?? 0n) : 0n
  }

  /** Of the value that begins here; infinite where none does. */
  #length(): number {
    switch (this.type) {
      case wireType.varint:
        return varintLengthAt(this.#bytes, this.#at)
      case wireType.bytes: {
        const length = this.#number()
        this.#start = this.#at
        return length
      }
      case wireType.fixed64:
        return 8
      case wireType.fixed32:
        return 4
      default:
        return Number.POSITIVE_INFINITY
    }
  }

  /** A varint as a number, not exact beyond 2^53; infinite where none is. */
  #number(): number {
    let value = 0
    for (let i = 0; i < varintLengthMax; i++) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) break
      value += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) return value
    }
    return Number.POSITIVE_INFINITY
  }
}

function varintLengthAt(bytes: Bytes, at: number): number {
  for (let i = 0; i < varintLengthMax; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) break
    if (byte < 0x80) return i + 1
  }
  return Number.POSITIVE_INFINITY
}

/** Undefined where no varint is. */
export function varintAt(bytes: Bytes, at: number): { readonly value: bigint; readonly end: number } | undefined {
  const length = varintLengthAt(bytes, at)
  if (length === Number.POSITIVE_INFINITY) return undefined
  const end = at + length
  // Most are small: plain numbers up to four bytes.
  let low = 0
  for (let i = 0; i < Math.min(length, 4); i++) low += ((bytes[at + i] ?? 0) & 0x7f) * 2 ** (7 * i)
  let value = BigInt(low)
  for (let i = 4; i < length; i++) value |= BigInt((bytes[at + i] ?? 0) & 0x7f) << BigInt(7 * i)
  return { value: length < varintLengthMax ? value : BigInt.asUintN(64, value), end }
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
