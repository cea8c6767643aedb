// Protocol buffers by hand: the few encoders and the reader that the load generator's messages need.

export const varint = (value: number): Buffer => {
  const bytes: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80)
  bytes.push(value)
  return Buffer.from(bytes)
}

/** A number, bool or enum. Written also when it is 0, as a member of a oneof must be. */
export const number = (field: number, value: number): Buffer => Buffer.concat([varint(field * 8), varint(value)])

/** Bytes, a string, or a message that is encoded already. */
export const bytes = (field: number, value: Uint8Array): Buffer =>
  Buffer.concat([varint(field * 8 + 2), varint(value.length), value])

export const message = (field: number, ...parts: readonly Uint8Array[]): Buffer => bytes(field, Buffer.concat(parts))

/** Walks over the fields of the message in `bytes[start, end)`. What it gives of a field stands in its properties. */
export class Fields {
  buffer: Buffer
  #at: number
  #end: number
  /** The number of the field. */
  field = 0
  /** A varint's value, exact up to 2^53; of fixed-size fields nothing is kept. */
  value = 0
  /** Where the payload of a length-delimited field begins, and ends. */
  start = 0
  end = 0

  constructor(buffer: Buffer, start: number, end: number) {
    this.buffer = buffer
    this.#at = start
    this.#end = end
  }

  /** Begins again with another message: whoever reads a million does not make a million readers. */
  reset(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer
    this.#at = start
    this.#end = end
  }

  /** False at the end. Throws when the bytes are not a message. */
  next(): boolean {
    if (this.#at >= this.#end) return false
    const tag = this.#varint()
    this.field = tag >>> 3
    const type = tag & 7
    this.start = this.#at
    if (type === 0) this.value = this.#varint()
    else if (type === 1) this.#at += 8
    else if (type === 5) this.#at += 4
    else if (type === 2) {
      const length = this.#varint()
      this.start = this.#at
      this.#at += length
    } else throw new Error(`protobuf: wire type ${type}`)
    if (this.#at > this.#end) throw new Error('protobuf: a field is longer than its message')
    this.end = this.#at
    return true
  }

  /** The current varint field as 64 unsigned bits in decimal: IDs do not fit a number. */
  big(): string {
    let value = 0n
    let shift = 0n
    for (let at = this.start; at < this.end; at++, shift += 7n) {
      value |= BigInt((this.buffer[at] ?? 0) & 0x7f) << shift
    }
    return BigInt.asUintN(64, value).toString()
  }

  bytes(): Buffer {
    return this.buffer.subarray(this.start, this.end)
  }

  #varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#at < this.#end ? (this.buffer[this.#at++] ?? 0) : -1
      if (byte < 0 || scale > 2 ** 63) throw new Error('protobuf: a varint does not end')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
}
