// The wire format of protobuf: tags, varints, lengths. Knows no schema. The reader is total: `undefined` where the bytes are
// not what they should be, never an exception. https://protobuf.dev/programming-guides/encoding/
import { type Bytes, utf8 } from '../lib/bytes.ts'

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

export class WireWriter {
  #bytes: number[] = []
  #parts: Bytes[] = []

  #integer(value: bigint): void {
    let rest = BigInt.asUintN(64, value)
    while (rest >= 0x80n) {
      this.#bytes.push(Number(rest & 0x7fn) | 0x80)
      rest >>= 7n
    }
    this.#bytes.push(Number(rest))
  }

  #tag(number: number, type: number): void {
    this.#integer(BigInt(number * 8 + type))
  }

  varint(number: number, value: bigint): void {
    this.#tag(number, wireType.varint)
    this.#integer(value)
  }

  double(number: number, value: number): void {
    this.#tag(number, wireType.fixed64)
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setFloat64(0, value, true)
    this.#append(bytes)
  }

  bytes(number: number, value: Bytes): void {
    this.#tag(number, wireType.bytes)
    this.#integer(BigInt(value.length))
    this.#append(value)
  }

  text(number: number, value: string): void {
    this.bytes(number, utf8(value))
  }

  #append(bytes: Bytes): void {
    this.#parts.push(Uint8Array.from(this.#bytes), bytes)
    this.#bytes = []
  }

  finish(): Bytes {
    const parts = [...this.#parts, Uint8Array.from(this.#bytes)]
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of parts) {
      whole.set(part, at)
      at += part.length
    }
    return whole
  }
}
