// Header blocks of answers. A good answer needs two headers that HPACK's static table lacks; they enter the client's table
// once per connection, and are an octet each after that.
import { statusCode } from '../../world/grpc.ts'

const status200 = 0x88
const contentType = ['content-type', 'application/grpc'] as const
const statusOk = ['grpc-status', '0'] as const

const withIndexing = 0x40
const firstDynamicIndex = 62
/** Both entries together, as RFC 7541, section 4.1, counts. */
const tableBytesMin = 60 + 44

export class ReplyBlocks {
  #mayIndex = true
  #mustShrink = false
  #headers: Buffer | undefined
  #trailers: Buffer | undefined
  readonly #plainHeaders = Buffer.concat([Buffer.of(status200), literal(0, contentType)])

  /** The client's SETTINGS_HEADER_TABLE_SIZE. One that is too small turns indexing off for good. */
  limitTable(bytes: number): void {
    if (bytes >= tableBytesMin || !this.#mayIndex) return
    this.#mayIndex = false
    this.#mustShrink = true
  }

  /** The first frame of an answer that has messages. */
  headers(): Buffer {
    if (!this.#mayIndex) return this.#shrunk(this.#plainHeaders)
    if (this.#headers !== undefined) return this.#headers
    // The newest entry is number 62; the trailers' comes later and moves this one to 63.
    this.#headers = Buffer.of(status200, 0x80 | firstDynamicIndex)
    return Buffer.concat([Buffer.of(status200), literal(withIndexing, contentType)])
  }

  /** The last frame of an answer that has messages and went well. */
  trailersOk(): Buffer {
    if (!this.#mayIndex) return this.#shrunk(literal(0, statusOk))
    if (this.#trailers !== undefined) return this.#trailers
    if (this.#headers !== undefined) this.#headers = Buffer.of(status200, 0x80 | (firstDynamicIndex + 1))
    this.#trailers = Buffer.of(0x80 | firstDynamicIndex)
    return literal(withIndexing, statusOk)
  }

  /** The last frame of a call that failed; with `alone` it is also the first. */
  failure(code: number, message: string, alone: boolean): Buffer {
    const fields: Buffer[] = alone ? [this.#plainHeaders] : []
    fields.push(literal(0, ['grpc-status', String(code)]))
    if (code !== statusCode.ok) fields.push(literal(0, ['grpc-message', percentEncode(message)]))
    return this.#shrunk(Buffer.concat(fields))
  }

  /** For what is not gRPC at all. */
  httpStatus(code: number): Buffer {
    return this.#shrunk(literal(0, [':status', String(code)]))
  }

  /** RFC 7541, section 4.2: the first block after the table became smaller says so. */
  #shrunk(block: Buffer): Buffer {
    if (!this.#mustShrink) return block
    this.#mustShrink = false
    return Buffer.concat([Buffer.of(0x20), block])
  }
}

/** With a new name; `flags` 0 keeps it out of the client's table. */
function literal(flags: number, [name, value]: readonly [string, string]): Buffer {
  return Buffer.concat([Buffer.of(flags), text(name), text(value)])
}

function text(value: string): Buffer {
  const octets = Buffer.from(value, 'latin1')
  return Buffer.concat([Buffer.from(length(octets.length)), octets])
}

/** RFC 7541, section 5.1, with the seven bits of a text's length. */
function length(value: number): number[] {
  if (value < 127) return [value]
  const octets = [127]
  for (value -= 127; value >= 128; value >>>= 7) octets.push((value & 127) | 128)
  octets.push(value)
  return octets
}

/** How grpc-message carries text that is not printable ASCII. */
export function percentEncode(message: string): string {
  let encoded = ''
  for (const octet of Buffer.from(message.slice(0, 4_096), 'utf8')) {
    encoded +=
      octet < 0x20 || octet > 0x7e || octet === 0x25
        ? `%${octet.toString(16).toUpperCase().padStart(2, '0')}`
        : String.fromCharCode(octet)
  }
  return encoded
}
