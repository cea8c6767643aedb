// One connection of HTTP/1.1 over TLS, framed by hand, so that the generator costs little beside what it measures: one
// request at a time, and of an answer only its status, its length and how many lines it has.
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'

export type Target = {
  readonly port: number
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** The address of this machine that the connection comes from: a server takes only so many from one. */
  readonly from?: string
}

export type Answer = {
  readonly status: number
  readonly bytes: number
  readonly body: string | undefined
  /** The lines of the head behind the first; of an answer that is kept. */
  readonly head: readonly string[]
}

type Waiting = {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
  readonly keep: boolean
}

const headEnd = Buffer.from('\r\n\r\n')

export class Connection {
  readonly #socket: TLSSocket
  /** Of what has come and is not understood yet. */
  #rest: Buffer = Buffer.alloc(0)
  #waiting: Waiting | undefined
  #status = 0
  #head: readonly string[] = []
  /** Of a body that is under way: bytes that are still to come, -1 while chunked. */
  #left = 0
  #chunked = false
  #chunkLeft = 0
  #inBody = false
  #bytes = 0
  #kept: Buffer[] = []
  /** Told how many line ends have come; for watches. */
  onLines: ((count: number) => void) | undefined

  constructor(target: Target) {
    const options: ConnectionOptions = {
      host: '127.0.0.1',
      port: target.port,
      ca: target.ca,
      cert: target.cert,
      key: target.key,
      ALPNProtocols: ['http/1.1'],
      checkServerIdentity: () => undefined,
    }
    this.#socket = connect(
      target.from === undefined ? options : ({ ...options, localAddress: target.from } as ConnectionOptions),
    )
    this.#socket.setNoDelay(true)
    this.#socket.on('data', bytes => this.#take(bytes))
    const failed = (error: Error) => {
      this.#waiting?.reject(error)
      this.#waiting = undefined
    }
    this.#socket.on('error', failed)
    this.#socket.on('close', () => failed(new Error('the server closed the connection')))
  }

  /** `keep`: give the body as well. */
  request(text: string, keep = false): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject, keep }
      this.#socket.write(text)
    })
  }

  /** Resolves with the status once the head is there; what follows is told line by line to `onLines`. */
  stream(text: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve: ({ status }) => resolve(status), reject, keep: false }
      this.#socket.write(text)
    })
  }

  close(): void {
    this.#waiting = undefined
    this.#socket.destroy()
  }

  #take(bytes: Buffer): void {
    let data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    for (;;) {
      if (!this.#inBody) {
        const end = data.indexOf(headEnd)
        if (end < 0) break
        const head = data.toString('latin1', 0, end)
        data = data.subarray(end + 4)
        this.#status = Number(head.slice(9, 12))
        this.#head = this.#waiting?.keep === true ? head.split('\r\n').slice(1) : []
        this.#chunked = /transfer-encoding: chunked/i.test(head)
        this.#left = this.#chunked ? -1 : Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
        this.#chunkLeft = 0
        this.#bytes = 0
        this.#kept = []
        this.#inBody = true
        if (this.onLines !== undefined) this.#done()
      }
      if (this.#chunked) {
        const rest = this.#chunks(data)
        if (rest === undefined) {
          data = Buffer.alloc(0)
          this.#end()
          break
        }
        data = rest
        break
      }
      const part = data.subarray(0, this.#left)
      this.#body(part)
      this.#left -= part.length
      data = data.subarray(part.length)
      if (this.#left > 0) break
      this.#end()
      if (data.length === 0) break
    }
    this.#rest = data
  }

  /** What is not understood yet; undefined at the end of the body. */
  #chunks(given: Buffer): Buffer | undefined {
    let data = given
    for (;;) {
      if (this.#chunkLeft > 0) {
        const part = data.subarray(0, this.#chunkLeft)
        // The line end behind a chunk belongs to it here: two bytes more.
        this.#body(part.length === this.#chunkLeft ? part.subarray(0, -2) : part)
        this.#chunkLeft -= part.length
        data = data.subarray(part.length)
        if (this.#chunkLeft > 0) return data
      }
      const end = data.indexOf('\r\n')
      if (end < 0) return data
      const size = Number.parseInt(data.toString('latin1', 0, end), 16)
      if (size === 0) return data.length >= end + 4 ? undefined : data
      data = data.subarray(end + 2)
      this.#chunkLeft = size + 2
    }
  }

  #body(part: Buffer): void {
    this.#bytes += part.length
    if (this.onLines !== undefined) {
      let count = 0
      for (let at = part.indexOf(10); at >= 0; at = part.indexOf(10, at + 1)) count++
      if (count > 0) this.onLines(count)
    } else if (this.#waiting?.keep) this.#kept.push(part)
  }

  #end(): void {
    this.#inBody = false
    if (this.onLines === undefined) this.#done()
  }

  #done(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    const body = waiting?.keep ? Buffer.concat(this.#kept).toString() : undefined
    waiting?.resolve({ status: this.#status, bytes: this.#bytes, body, head: this.#head })
  }
}
