// Sends an answer. Streams go out as fast as the client takes them; one that takes nothing for a minute is dropped.
import type { ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Bytes } from '../../lib/bytes.ts'
import type { HttpResponse } from '../../world/http.ts'

const drainTimeoutMs = 60_000
/** As upstream: smaller answers are not worth the time. */
const gzipBytesMin = 128 * 1024
const compress = promisify(gzip) as (bytes: Bytes, options: { level: number }) => Promise<Buffer>

const always = { 'cache-control': 'no-cache, private', 'x-content-type-options': 'nosniff' }

export async function respond(
  answer: HttpResponse,
  method: string,
  encodings: string,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  switch (answer.kind) {
    case 'whole': {
      let body: Bytes = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body
      const zipped = body.length >= gzipBytesMin && /\bgzip\b/.test(encodings)
      if (zipped) body = await compress(body, { level: 1 })
      if (signal.aborted) return
      const bodyless = answer.code === 304 || answer.code === 204
      response.writeHead(answer.code, {
        ...always,
        ...answer.headers,
        ...(!bodyless && { 'content-length': body.length }),
        ...(zipped && { 'content-encoding': 'gzip', vary: 'Accept-Encoding' }),
      })
      response.end(method === 'HEAD' || bodyless ? undefined : body)
      return
    }
    case 'stream': {
      response.writeHead(answer.code, { ...always, ...answer.headers })
      if (method === 'HEAD') {
        response.end()
        return
      }
      response.flushHeaders()
      for await (const chunk of answer.body) {
        if (signal.aborted) break
        if (!response.write(chunk) && !(await drained(response, signal))) break
      }
      // Broken off is not the same as ended: a client must not take half a list for a whole one.
      if (signal.aborted) response.destroy()
      else response.end()
      return
    }
    case 'command':
    case 'forward': {
      const body = `${JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: 'Upgrade request required', reason: 'BadRequest', code: 400 })}\n`
      response.writeHead(400, {
        ...always,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      })
      response.end(body)
      return
    }
  }
}

/** False when the client takes nothing: it has been cut off. */
function drained(response: ServerResponse, signal: AbortSignal): Promise<boolean> {
  return new Promise(resolve => {
    const end = (good: boolean) => {
      clearTimeout(timer)
      response.off('drain', onDrain)
      signal.removeEventListener('abort', onGone)
      resolve(good)
    }
    const onDrain = () => end(true)
    const onGone = () => end(false)
    const timer = setTimeout(() => {
      response.destroy()
      end(false)
    }, drainTimeoutMs)
    response.on('drain', onDrain)
    signal.addEventListener('abort', onGone)
  })
}
