// The socket in the data directory by which `flotilla status` and `flotilla token` speak with the running agent. Whoever may
// open it is this machine's administrator.
import * as fs from 'node:fs/promises'
import * as http from 'node:http'
import { onAbort } from '../lib/abort.ts'
import type { Log } from '../world/log.ts'

export const bodyBytesMax = 64 * 1024

export type ControlHandler = (method: string, path: string, body: unknown) => Promise<unknown>

/** Listens until the signal. An Error of the handler becomes its text with code 400; undefined becomes 404. */
export async function serveControl(file: string, log: Log, handle: ControlHandler, signal: AbortSignal): Promise<void> {
  const server = http.createServer((request, response) => {
    answer(request)
      .then(value => {
        response.statusCode = value === undefined ? 404 : 200
        response.end(value === undefined ? `nothing at ${request.url ?? ''}` : JSON.stringify(value))
      })
      .catch(error => {
        log.debug('a control request was refused', { path: request.url ?? '', error: String(error) })
        response.statusCode = 400
        response.end(error instanceof Error ? error.message : String(error))
      })
  })

  async function answer(request: http.IncomingMessage): Promise<unknown> {
    const parts: Buffer[] = []
    let size = 0
    for await (const part of request as AsyncIterable<Buffer>) {
      size += part.length
      if (size > bodyBytesMax) throw new Error('the request is too large')
      parts.push(part)
    }
    const body = parts.length === 0 ? undefined : (JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown)
    return await handle(request.method ?? 'GET', request.url ?? '/', body)
  }

  // A socket left by a killed agent refuses connections; only then may its name be taken.
  if (await isServed(file)) throw new Error(`another agent runs with this data directory (${file} answers)`)
  await fs.rm(file, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(file, resolve)
  })
  await fs.chmod(file, 0o600)
  await new Promise<void>(resolve => {
    onAbort(signal, () => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  })
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
