// A client that can say anything: HTTP/2 frames as they are told, right or wrong.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export type Frame = { readonly type: number; readonly flags: number; readonly id: number; readonly payload: Buffer }

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export function frame(type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, payload])
}

export const settings = frame(4, 0, 0)
export const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A header block of plain literals. */
export function block(fields: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(fields).map(([name, value]) =>
      Buffer.concat([Buffer.of(0, name.length), Buffer.from(name), Buffer.of(value.length), Buffer.from(value)]),
    ),
  )
}

export const callBlock = (path: string, more: Readonly<Record<string, string>> = {}) =>
  block({ ':method': 'POST', ':scheme': 'http', ':path': path, 'content-type': 'application/grpc', ...more })

export function message(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0), u32(bytes.length), bytes])
}

/** HEADERS and DATA of a unary call. */
export const call = (id: number, path: string, body: Buffer) =>
  Buffer.concat([frame(1, 4, id, callBlock(path)), frame(0, 1, id, message(body))])

export class RawClient {
  readonly socket: Socket
  readonly frames: Frame[] = []
  /** Which frames are kept for the test to look at. */
  keeps: (frame: Frame) => boolean = () => true
  isClosed = false
  #rest = Buffer.alloc(0)
  #wake = () => {}

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.isClosed = true
      this.#wake()
    })
    this.socket.on('data', chunk => this.#take(chunk))
  }

  static async open(port: number): Promise<RawClient> {
    const client = new RawClient(port)
    await once(client.socket, 'connect')
    client.say(preface, settings)
    return client
  }

  say(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts))
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < end) break
      const [type = 0, flags = 0] = [this.#rest[3], this.#rest[4]]
      const payload = Buffer.from(this.#rest.subarray(9, end))
      const one = { type, flags, id: this.#rest.readUInt32BE(5), payload }
      if (this.keeps(one)) this.frames.push(one)
      this.#rest = this.#rest.subarray(end)
    }
    this.#wake()
  }

  /** The first frame that `wanted` takes, now or later; undefined when the connection closes without one. */
  async until(wanted: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      const found = this.frames.find(wanted)
      if (found !== undefined || this.isClosed) return found
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  async closed(): Promise<void> {
    await this.until(() => false)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}
