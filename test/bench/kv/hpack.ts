// Header compression of HTTP/2 (RFC 7541): a decoder for whatever a server may legally send, and an encoder that a
// client needs, where every header is one indexed byte from the second request on. Pure; one pair per connection.
import { huffmanDecode } from './huffman.ts'

export type Field = readonly [name: string, value: string]

/** RFC 7541, appendix A. */
const staticTable: readonly Field[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
]

/** What a connection begins with, and the most that this side allows or uses. */
export const tableBytesMax = 4_096

/** The dynamic table: newest first, bounded by the size rule of section 4.1. */
class Table {
  readonly entries: Field[] = []
  /** Grows with every change, so that whoever remembers what a block meant knows when it no longer does. */
  changes = 0
  #bytes = 0
  #bytesMax = tableBytesMax

  add(field: Field): void {
    this.changes++
    this.entries.unshift(field)
    this.#bytes += sizeOf(field)
    this.#evict()
  }

  resize(bytesMax: number): void {
    this.changes++
    this.#bytesMax = bytesMax
    this.#evict()
  }

  at(index: number): Field {
    const field = index <= staticTable.length ? staticTable[index - 1] : this.entries[index - staticTable.length - 1]
    if (field === undefined) throw new Error(`HPACK: no entry has index ${index}`)
    return field
  }

  #evict(): void {
    while (this.#bytes > this.#bytesMax) {
      const last = this.entries.pop()
      if (last === undefined) break
      this.#bytes -= sizeOf(last)
    }
  }
}

/** Strings are bytes as latin1 here, so a character is a byte. */
const sizeOf = ([name, value]: Field) => name.length + value.length + 32

/** Blocks up to this length are remembered by their bytes, which then make one exact number. */
const memoBytesMax = 6

export class Decoder {
  readonly #table = new Table()
  readonly #memo = new Map<number, readonly Field[]>()
  #memoChanges = 0

  /**
   * The fields of one header block, `bytes[start, end)`. An equal short block gives the very same array again for as
   * long as the table has not changed: servers repeat themselves, and this is where a client's time would go.
   * Throws what the connection must end with (COMPRESSION_ERROR).
   */
  decode(bytes: Buffer, start: number, end: number): readonly Field[] {
    const short = end - start <= memoBytesMax
    if (this.#memoChanges !== this.#table.changes) {
      this.#memo.clear()
      this.#memoChanges = this.#table.changes
    }
    // The leading 1 tells blocks apart that differ only in zeros in front.
    let key = 1
    if (short) {
      for (let at = start; at < end; at++) key = key * 256 + (bytes[at] ?? 0)
      const known = this.#memo.get(key)
      if (known !== undefined) return known
    }
    const fields = this.#read(new Reader(bytes, start, end))
    if (short && this.#memoChanges === this.#table.changes) this.#memo.set(key, fields)
    return fields
  }

  #read(reader: Reader): readonly Field[] {
    const fields: Field[] = []
    while (!reader.done) {
      const first = reader.peek()
      if (first >= 0x80) fields.push(this.#table.at(reader.integer(7)))
      else if (first >= 0x40) {
        const field = this.#literal(reader, 6)
        this.#table.add(field)
        fields.push(field)
      } else if (first >= 0x20) {
        const size = reader.integer(5)
        if (size > tableBytesMax) throw new Error(`HPACK: a table of ${size} bytes is more than was offered`)
        this.#table.resize(size)
      } else fields.push(this.#literal(reader, 4))
    }
    return fields
  }

  #literal(reader: Reader, prefixBits: number): Field {
    const index = reader.integer(prefixBits)
    const name = index === 0 ? reader.string() : this.#table.at(index)[0]
    return [name, reader.string()]
  }
}

class Reader {
  readonly #bytes: Buffer
  readonly #end: number
  #at: number

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  get done(): boolean {
    return this.#at >= this.#end
  }

  peek(): number {
    if (this.done) throw new Error('HPACK: the block ends in the middle of a field')
    return this.#bytes[this.#at] ?? 0
  }

  #next(): number {
    const byte = this.peek()
    this.#at++
    return byte
  }

  /** Section 5.1. */
  integer(prefixBits: number): number {
    const mask = 2 ** prefixBits - 1
    let value = this.#next() & mask
    if (value < mask) return value
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#next()
      value += (byte & 0x7f) * scale
      if (value > 0xffffffff) throw new Error('HPACK: an integer is too large')
      if (byte < 0x80) return value
    }
  }

  /** Section 5.2. */
  string(): string {
    const huffman = this.peek() >= 0x80
    const length = this.integer(7)
    const start = this.#at
    if (start + length > this.#end) throw new Error('HPACK: the block ends in the middle of a string')
    this.#at += length
    return huffman
      ? huffmanDecode(this.#bytes.subarray(start, this.#at)).toString('latin1')
      : this.#bytes.toString('latin1', start, this.#at)
  }
}

/** Writes requests: a header goes out in full once and is one index after that. */
export class Encoder {
  readonly #table = new Table()
  readonly #blocks = new Map<string, Buffer>()
  #blocksChanges = 0
  #indexing = true
  /** Sizes that the next block must announce. */
  #announce: readonly number[] = []

  /**
   * To be called when the server's SETTINGS_HEADER_TABLE_SIZE is acknowledged. The next block says so, and when the size
   * went down and up again meanwhile, it says both (section 4.2).
   */
  limit(bytesMax: number): void {
    const size = Math.min(bytesMax, tableBytesMax)
    const least = Math.min(size, ...this.#announce)
    this.#announce = least < size ? [least, size] : [size]
    this.#indexing = size >= 1_024
    this.#table.resize(size)
  }

  /** The block of `fields`. `name` stands for them: the same name must always come with the same fields. */
  encode(name: string, fields: readonly Field[]): Buffer {
    if (this.#blocksChanges !== this.#table.changes) {
      this.#blocks.clear()
      this.#blocksChanges = this.#table.changes
    }
    const known = this.#blocks.get(name)
    if (known !== undefined) return known
    const changes = this.#table.changes
    const parts: Buffer[] = []
    for (const size of this.#announce) parts.push(encodeInteger(0x20, 5, size))
    for (const field of fields) parts.push(this.#field(field))
    const block = Buffer.concat(parts)
    // A block that announces a size, or that added to the table, means something else the second time.
    if (this.#announce.length === 0 && changes === this.#table.changes) this.#blocks.set(name, block)
    this.#announce = []
    return block
  }

  #field(field: Field): Buffer {
    const same = ([name, value]: Field) => name === field[0] && value === field[1]
    const fixed = staticTable.findIndex(same)
    if (fixed >= 0) return encodeInteger(0x80, 7, fixed + 1)
    const added = this.#table.entries.findIndex(same)
    if (added >= 0) return encodeInteger(0x80, 7, staticTable.length + added + 1)
    const index = staticTable.findIndex(([name]) => name === field[0]) + 1
    const head = this.#indexing ? encodeInteger(0x40, 6, index) : encodeInteger(0, 4, index)
    if (this.#indexing) this.#table.add(field)
    return Buffer.concat([head, ...(index === 0 ? [encodeString(field[0])] : []), encodeString(field[1])])
  }
}

export function encodeInteger(flags: number, prefixBits: number, value: number): Buffer {
  const mask = 2 ** prefixBits - 1
  if (value < mask) return Buffer.from([flags | value])
  const bytes = [flags | mask]
  for (value -= mask; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80)
  bytes.push(value)
  return Buffer.from(bytes)
}

const encodeString = (text: string) => Buffer.concat([encodeInteger(0, 7, text.length), Buffer.from(text, 'latin1')])
