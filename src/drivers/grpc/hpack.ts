// Header compression of HTTP/2 (RFC 7541) as a server needs it: a decoder for whatever a client may send. The encoder's
// side is a few constant blocks in reply.ts.
import type { Bytes } from '../../lib/bytes.ts'
import { huffmanDecode } from './huffman.ts'

/** `bytes` as RFC 7541, section 4.1, counts an entry. */
type Entry = { readonly name: string; readonly value: string; readonly bytes: number }

const staticEntries: readonly Entry[] = [
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
  ...[
    'accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control',
    'content-disposition content-encoding content-language content-length content-location content-range content-type',
    'cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since',
    'last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after',
    'server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate',
  ].flatMap(line => line.split(' ').map(name => [name, ''] as const)),
].map(([name = '', value = '']) => entryOf(name, value))

function entryOf(name: string, value: string): Entry {
  return { name, value, bytes: name.length + value.length + 32 }
}

/** What we allow a client's table to hold; it is HTTP/2's own default, so no setting says it. */
export const tableBytesMax = 4_096

/** A block that breaks the rules: the connection ends, since both sides no longer know the same table. */
export class HpackError extends Error {
  override readonly name = 'HpackError'
}

/** One per connection: the table that both sides keep alike. */
export class HpackDecoder {
  /** Newest last, so that adding one is cheap. */
  readonly #entries: Entry[] = []
  #bytes = 0
  #bytesMax = tableBytesMax
  #at = 0
  #changes = 0

  /** Grows when the table changes: an equal block means the same headers only while this stays. */
  get changes(): number {
    return this.#changes
  }

  /**
   * Calls `field` for each header of the block `bytes[start, end)`. Past `listBytesMax` (counted as section 4.1 does) it
   * goes on, so that the table stays right, without calling. Returns whether all were told. Throws HpackError.
   */
  decode(
    bytes: Bytes,
    start: number,
    end: number,
    listBytesMax: number,
    field: (name: string, value: string) => void,
  ): boolean {
    let listBytes = 0
    let mayResize = true
    this.#at = start
    while (this.#at < end) {
      const first = bytes[this.#at] ?? 0
      let entry: Entry
      if (first >= 0x80) entry = this.#indexed(this.#integer(bytes, end, 0x7f))
      else if (first >= 0x40) {
        entry = this.#literal(bytes, end, 0x3f)
        this.#add(entry)
      } else if (first >= 0x20) {
        if (!mayResize) throw new HpackError('a table size stands behind a header')
        this.#resize(this.#integer(bytes, end, 0x1f))
        continue
      } else entry = this.#literal(bytes, end, 0x0f)
      mayResize = false
      listBytes += entry.bytes
      if (listBytes <= listBytesMax) field(entry.name, entry.value)
    }
    return listBytes <= listBytesMax
  }

  #indexed(index: number): Entry {
    const entry =
      index <= staticEntries.length
        ? staticEntries[index - 1]
        : this.#entries[this.#entries.length - (index - staticEntries.length)]
    if (entry === undefined) throw new HpackError(`there is no header with index ${index}`)
    return entry
  }

  #literal(bytes: Bytes, end: number, mask: number): Entry {
    const index = this.#integer(bytes, end, mask)
    const name = index === 0 ? this.#text(bytes, end) : this.#indexed(index).name
    return entryOf(name, this.#text(bytes, end))
  }

  #add(entry: Entry): void {
    this.#changes += 1
    this.#entries.push(entry)
    this.#bytes += entry.bytes
    this.#evict()
  }

  #resize(bytesMax: number): void {
    if (bytesMax > tableBytesMax) throw new HpackError(`a table of ${bytesMax} bytes, ${tableBytesMax} are allowed`)
    this.#changes += 1
    this.#bytesMax = bytesMax
    this.#evict()
  }

  #evict(): void {
    let count = 0
    while (this.#bytes > this.#bytesMax) this.#bytes -= this.#entries[count++]?.bytes ?? 0
    if (count > 0) this.#entries.splice(0, count)
  }

  /** Section 5.1; `mask` are the bits of the first octet that belong to the number. */
  #integer(bytes: Bytes, end: number, mask: number): number {
    let value = (bytes[this.#at++] ?? 0) & mask
    if (value < mask) return value
    for (let shift = 0; shift < 28; shift += 7) {
      if (this.#at >= end) break
      const octet = bytes[this.#at++] ?? 0
      value += (octet & 0x7f) << shift
      if (octet < 0x80) return value
    }
    throw new HpackError('a number that has no end')
  }

  /** Section 5.2. Octets become characters one by one: names and values of gRPC are ASCII. */
  #text(bytes: Bytes, end: number): string {
    if (this.#at >= end) throw new HpackError('the block ends inside a header')
    const isHuffman = (bytes[this.#at] ?? 0) >= 0x80
    const length = this.#integer(bytes, end, 0x7f)
    const from = this.#at
    const to = from + length
    if (to > end) throw new HpackError('the block ends inside a text')
    this.#at = to
    if (!isHuffman) {
      let text = ''
      for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at] ?? 0)
      return text
    }
    const text = huffmanDecode(bytes, from, to)
    if (text === undefined) throw new HpackError('a text with a wrong Huffman code')
    return text
  }
}
