// From a header block to what it asks for. Clients repeat themselves: a block that is equal, octet for octet, to one that
// was decoded while the table was the same means the same, and costs a comparison.
import type { Bytes } from '../../lib/bytes.ts'
import type { GrpcService } from '../../world/grpc.ts'
import { HpackDecoder } from './hpack.ts'
import { headerListBytesMax } from './limits.ts'

export type Route =
  | { readonly kind: 'unary'; readonly handle: NonNullable<ReturnType<GrpcService['unary']['get']>> }
  | { readonly kind: 'stream'; readonly open: NonNullable<ReturnType<GrpcService['stream']['get']>> }
  | { readonly kind: 'unknown'; readonly path: string }
  /** Not gRPC, or not HTTP: this HTTP status is the answer. */
  | { readonly kind: 'wrong'; readonly httpStatus: number }

export type RequestHead = {
  readonly route: Route
  readonly timeoutMs: number | undefined
  /** Without those that HTTP/2 and gRPC themselves need; the first of each name. */
  readonly headers: ReadonlyMap<string, string>
}

type Known = { readonly block: Bytes; readonly head: RequestHead }

const knownCountMax = 16
const knownBytesMax = 256

export class RequestReader {
  readonly #service: GrpcService
  readonly #decoder = new HpackDecoder()
  #known: Known[] = []
  #knownAt = 0

  constructor(service: GrpcService) {
    this.#service = service
  }

  /** Throws HpackError. */
  read(bytes: Bytes, start: number, end: number): RequestHead {
    return this.#find(bytes, start, end) ?? this.#decode(bytes, start, end)
  }

  #find(bytes: Bytes, start: number, end: number): RequestHead | undefined {
    const known = this.#known
    // The last one that was right is likely to be right again.
    for (let i = 0; i < known.length; i++) {
      const at = (this.#knownAt + i) % known.length
      const one = known[at]
      if (one === undefined || !isEqual(one.block, bytes, start, end)) continue
      this.#knownAt = at
      return one.head
    }
    return undefined
  }

  #decode(bytes: Bytes, start: number, end: number): RequestHead {
    const before = this.#decoder.changes
    const head = this.#head(bytes, start, end)
    if (this.#decoder.changes !== before) {
      if (this.#known.length > 0) this.#known = []
    } else if (end - start <= knownBytesMax && head.route.kind !== 'wrong') {
      if (this.#known.length >= knownCountMax) this.#known.shift()
      this.#known.push({ block: new Uint8Array(bytes.subarray(start, end)), head })
    }
    return head
  }

  /** Reads the block of trailers, which say nothing to us, for what it does to the table. */
  skip(bytes: Bytes, start: number, end: number): void {
    const before = this.#decoder.changes
    this.#decoder.decode(bytes, start, end, 0, () => {})
    if (this.#decoder.changes !== before) this.#known = []
  }

  #head(bytes: Bytes, start: number, end: number): RequestHead {
    const headers = new Map<string, string>()
    let method = ''
    let path = ''
    let type = ''
    let timeout: string | undefined
    const isWhole = this.#decoder.decode(bytes, start, end, headerListBytesMax, (name, value) => {
      if (name === ':path') path = value
      else if (name === ':method') method = value
      else if (name === 'content-type') type = value
      else if (name === 'grpc-timeout') timeout = value
      else if (!name.startsWith(':') && !headers.has(name)) headers.set(name, value)
    })
    const timeoutMs = timeout === undefined ? undefined : parseTimeoutMs(timeout)
    return { route: this.#route(isWhole, method, type, path), timeoutMs, headers }
  }

  #route(isWhole: boolean, method: string, type: string, path: string): Route {
    if (!isWhole) return { kind: 'wrong', httpStatus: 431 }
    if (method !== 'POST') return { kind: 'wrong', httpStatus: 405 }
    if (!/^application\/grpc(?:$|[+;])/.test(type)) return { kind: 'wrong', httpStatus: 415 }
    const handle = this.#service.unary.get(path)
    if (handle !== undefined) return { kind: 'unary', handle }
    const open = this.#service.stream.get(path)
    if (open !== undefined) return { kind: 'stream', open }
    return { kind: 'unknown', path }
  }
}

function isEqual(block: Bytes, bytes: Bytes, start: number, end: number): boolean {
  if (block.length !== end - start) return false
  for (let i = 0; i < block.length; i++) if (block[i] !== bytes[start + i]) return false
  return true
}

const unitMs: Readonly<Record<string, number>> = { n: 1e-6, u: 1e-3, m: 1, S: 1_000, M: 60_000, H: 3_600_000 }

/** Of the header grpc-timeout: up to eight digits and a unit. What is none counts as no time-out. */
export function parseTimeoutMs(text: string): number | undefined {
  const match = /^([0-9]{1,8})([numSMH])$/.exec(text)
  return match === null ? undefined : Number(match[1]) * (unitMs[match[2] ?? ''] ?? 0)
}
