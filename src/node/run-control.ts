// The socket in the data directory by which the commands speak with the running agent. Whoever may open it is this machine's
// administrator. It answers as long as the process lives, also while no store is open; what it can answer then is put in and
// taken out as parts of the agent come and go.
import * as fs from 'node:fs/promises'
import * as http from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Bytes } from '../lib/bytes.ts'
import type { Log } from '../world/log.ts'

export const bodyBytesMax = 64 * 1024

/** Bytes that are sent as they come. An error ends the connection, so what was sent does not look whole. */
export class Download {
  readonly bytes: AsyncIterable<Bytes>
  constructor(bytes: AsyncIterable<Bytes>) {
    this.bytes = bytes
  }
}

/** What a long task says while it runs, a line each, and then its result. */
export type Progress<T> = (say: (line: string) => void) => Promise<T>

/** Sent as lines of JSON: {"say": …}, and last {"done": …} or {"error": …}. */
export class Told {
  readonly task: Progress<unknown>
  constructor(task: Progress<unknown>) {
    this.task = task
  }
}

/** Undefined: not mine. An Error becomes its text with code 400; anything else JSON, a Download, or a Told. */
export type ControlHandler = (method: string, path: string, body: unknown, signal: AbortSignal) => unknown

export interface Control {
  /** The newest handler is asked first. */
  use(handler: ControlHandler): Disposable
  /** What is told to those who ask for something that nobody answers now. */
  setState(words: string): void
  close(): Promise<void>
}

export async function openControl(file: string, log: Log): Promise<Control> {
  const handlers: ControlHandler[] = []
  let state = 'this peer is starting'
  const server = http.createServer((request, response) => {
    answer(request, response).catch(error => {
      log.debug('a control request was refused', { path: request.url ?? '', error: String(error) })
      if (response.headersSent) {
        response.destroy()
        return
      }
      response.statusCode = 400
      response.end(error instanceof Error ? error.message : String(error))
    })
  })

  async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    let size = 0
    for await (const part of request as AsyncIterable<Buffer>) {
      size += part.length
      if (size > bodyBytesMax) throw new Error('the request is too large')
      parts.push(part)
    }
    const body = parts.length === 0 ? undefined : (JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    for (const handler of handlers.toReversed()) {
      const value = await handler(request.method ?? 'GET', request.url ?? '/', body, gone.signal)
      if (value === undefined) continue
      if (value instanceof Download) {
        response.setHeader('content-type', 'application/octet-stream')
        return await pipeline(Readable.from(value.bytes), response)
      }
      if (value instanceof Told) return await tell(response, value.task)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(value))
      return
    }
    response.statusCode = 503
    response.end(state)
  }

  // A socket left by a killed agent refuses connections; only then may its name be taken.
  if (await isServed(file)) throw new Error(`another agent runs with this data directory (${file} answers)`)
  await fs.rm(file, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(file, resolve)
  })
  await fs.chmod(file, 0o600)

  return {
    use(handler) {
      handlers.push(handler)
      return { [Symbol.dispose]: () => void handlers.splice(handlers.indexOf(handler), 1) }
    },
    setState(words) {
      state = words
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function tell(response: http.ServerResponse, task: Progress<unknown>): Promise<void> {
  response.setHeader('content-type', 'application/x-ndjson')
  response.flushHeaders()
  const line = (value: object) => response.write(`${JSON.stringify(value)}\n`)
  try {
    const done = await task(say => void line({ say }))
    line({ done: done ?? null })
  } catch (error) {
    line({ error: error instanceof Error ? error.message : String(error) })
  }
  response.end()
}

/** True when an agent answers on the socket. */
export function isServed(file: string): Promise<boolean> {
  return new Promise(resolve => {
    const request = http.get({ socketPath: file, path: '/', timeout: 2_000 }, response => {
      response.resume()
      resolve(true)
    })
    request.once('timeout', () => request.destroy())
    request.once('error', () => resolve(false))
  })
}
