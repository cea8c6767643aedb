// Sends an answer. Streams go out as fast as the client takes them; one that takes nothing for a minute is dropped.
import type { ServerResponse } from 'node:http'
import { setImmediate as immediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createGzip, type Gzip, gzip } from 'node:zlib'
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
      const zipped = body.length >= gzipBytesMin && takesGzip(encodings)
      if (zipped) body = await compress(body, { level: 1 })
      if (signal.aborted) return
      const bodyless = answer.code === 304 || answer.code === 204
      response.writeHead(answer.code, {
        ...always,
        ...answer.headers,
        ...(!bodyless && { 'content-length': body.length }),
        ...(zipped && {
          'content-encoding': 'gzip',
          vary: [answer.headers['vary'] ?? [], 'Accept-Encoding'].flat().join(', '),
        }),
      })
      response.end(method === 'HEAD' || bodyless ? undefined : body)
      return
    }
    case 'stream': {
      if (answer.compressible && method !== 'HEAD' && takesGzip(encodings)) {
        await sendCompressible(answer, response, signal)
        return
      }
      response.writeHead(answer.code, { ...always, ...answer.headers })
      if (method === 'HEAD') {
        response.end()
        return
      }
      response.flushHeaders()
      await send(answer.body, response, signal)
      // Broken off is not the same as ended: a client must not take half a list for a whole one.
      if (signal.aborted) response.destroy()
      else response.end()
      return
    }
    case 'command':
    case 'forward':
    case 'tunnel': {
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

function takesGzip(encodings: string): boolean {
  return encodings.split(',').some(encoding => encoding.trim() === 'gzip')
}

type Chunk = string | Bytes

/** Until the client is gone or takes no more. */
async function send(chunks: AsyncIterable<Chunk>, response: ServerResponse, signal: AbortSignal): Promise<void> {
  for await (const chunk of chunks) {
    if (signal.aborted) return
    if (chunk.length === 0) await immediate()
    else if (!response.write(chunk) && !(await drained(response, signal))) return
  }
}

/** Whether it is worth compressing shows when so much has come. */
async function sendCompressible(
  { code, headers, body }: Extract<HttpResponse, { kind: 'stream' }>,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const chunks = body[Symbol.asyncIterator]()
  const first: Chunk[] = []
  let byteCount = 0
  let ended = false
  while (byteCount < gzipBytesMin && !ended && !signal.aborted) {
    const { done, value } = await chunks.next()
    if (done) ended = true
    else if (value.length === 0) await immediate()
    else {
      first.push(value)
      byteCount += Buffer.byteLength(value)
    }
  }
  const rest: AsyncIterable<Chunk> = {
    async *[Symbol.asyncIterator]() {
      yield* first.splice(0)
      if (!ended) yield* { [Symbol.asyncIterator]: () => chunks }
    },
  }
  if (signal.aborted) return
  if (byteCount < gzipBytesMin) {
    response.writeHead(code, { ...always, ...headers })
    await send(rest, response, signal)
  } else {
    response.writeHead(code, { ...always, ...headers, 'content-encoding': 'gzip', vary: 'Accept-Encoding' })
    const zip = createGzip({ level: 1 })
    const fed = feed(rest, zip, signal)
    await send(zip, response, signal)
    zip.destroy()
    await fed
  }
  if (signal.aborted) response.destroy()
  else response.end()
}

async function feed(chunks: AsyncIterable<Chunk>, zip: Gzip, signal: AbortSignal): Promise<void> {
  for await (const chunk of chunks) {
    if (signal.aborted || zip.destroyed) return
    if (chunk.length === 0) await immediate()
    else if (!zip.write(chunk)) await room(zip)
  }
  zip.end()
}

/** There is room again once the client has taken what came out; or never, because it has been cut off. */
function room(zip: Gzip): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      zip.off('drain', end).off('close', end)
      resolve()
    }
    zip.on('drain', end).on('close', end)
  })
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
