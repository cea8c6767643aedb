// Sends an answer. Streams go out as fast as the client takes them; one that takes nothing for a minute is dropped.
import type { ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { createGzip, type Gzip, gzip } from 'node:zlib'
import type { Bytes } from '../../lib/bytes.ts'
import type { HttpResponse } from '../../world/http.ts'

const drainTimeoutMs = 60_000
/** As upstream: smaller answers are not worth the time. */
const gzipBytesMin = 128 * 1024
const zippedChunkBytes = 64 * 1024
const compress = promisify(gzip) as (bytes: Bytes, options: { level: number }) => Promise<Buffer>

const always = { 'cache-control': 'no-cache, private', 'x-content-type-options': 'nosniff' }

export async function respond(
  answer: HttpResponse,
  method: string,
  encodings: string,
  response: ServerResponse,
  life: { readonly isOver: boolean; readonly signal: AbortSignal },
): Promise<void> {
  switch (answer.kind) {
    case 'whole': {
      let body: Chunk = answer.body
      let byteCount = typeof body === 'string' ? Buffer.byteLength(body) : body.length
      const zipped = byteCount >= gzipBytesMin && takesGzip(encodings)
      if (zipped) {
        body = await compress(typeof body === 'string' ? Buffer.from(body) : body, { level: 1 })
        byteCount = body.length
      }
      if (life.isOver) return
      const bodyless = answer.code === 304 || answer.code === 204
      const headers: Record<string, string | number> = { ...always, ...answer.headers }
      if (!bodyless) headers['content-length'] = byteCount
      if (zipped) {
        headers['content-encoding'] = 'gzip'
        headers['vary'] = [answer.headers['vary'] ?? [], 'Accept-Encoding'].flat().join(', ')
      }
      response.writeHead(answer.code, headers)
      // ASCII is the same in both, and quicker to write as what it is.
      const isAscii = typeof body === 'string' && byteCount === body.length
      if (method === 'HEAD' || bodyless) response.end()
      else response.end(body, isAscii ? 'latin1' : 'utf8')
      return
    }
    case 'stream': {
      if (answer.compressible && method !== 'HEAD' && takesGzip(encodings)) {
        await sendCompressible(answer, response, life.signal)
        return
      }
      response.writeHead(answer.code, { ...always, ...answer.headers })
      if (method === 'HEAD') {
        response.end()
        return
      }
      response.flushHeaders()
      await send(answer, response, life.signal)
      // Broken off is not the same as ended: a client must not take half a list for a whole one.
      if (life.isOver) response.destroy()
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
type Streamed = Extract<HttpResponse, { kind: 'stream' }>
type Chunks = Pick<Streamed, 'body' | 'lent'>

/** Until the client is gone or takes no more. */
async function send({ body, lent }: Chunks, response: ServerResponse, signal: AbortSignal): Promise<void> {
  for await (const chunk of body) {
    if (signal.aborted) return
    if (chunk.length === 0) continue
    if (lent) {
      if (!(await taken(chunk, response, signal))) return
    } else if (!response.write(chunk) && !(await drained(response, signal))) return
  }
}

async function sendCompressible(answer: Streamed, response: ServerResponse, signal: AbortSignal): Promise<void> {
  const { code, headers } = answer
  const { chunks, isLarge } = await measured(answer, signal)
  if (signal.aborted) return
  if (!isLarge) {
    response.writeHead(code, { ...always, ...headers })
    await send(chunks, response, signal)
  } else {
    const { 'content-length': _, ...others } = headers
    response.writeHead(code, { ...always, ...others, 'content-encoding': 'gzip', vary: 'Accept-Encoding' })
    const zip = createGzip({ level: 1, chunkSize: zippedChunkBytes })
    const fed = feed(chunks, zip, signal)
    await send({ body: zip }, response, signal)
    zip.destroy()
    await fed
  }
  if (signal.aborted) response.destroy()
  else response.end()
}

/** Whether it is worth compressing is said, or shows when so much has come. */
async function measured(answer: Streamed, signal: AbortSignal): Promise<{ chunks: Chunks; isLarge: boolean }> {
  const said = answer.headers['content-length']
  if (said !== undefined) return { chunks: answer, isLarge: Number(said) >= gzipBytesMin }
  const chunks = answer.body[Symbol.asyncIterator]()
  const first: Chunk[] = []
  let byteCount = 0
  let ended = false
  while (byteCount < gzipBytesMin && !ended && !signal.aborted) {
    const { done, value } = await chunks.next()
    if (done) ended = true
    else if (value.length > 0) {
      first.push(value)
      byteCount += Buffer.byteLength(value)
    }
  }
  const body: AsyncIterable<Chunk> = {
    async *[Symbol.asyncIterator]() {
      yield* first.splice(0)
      if (!ended) yield* { [Symbol.asyncIterator]: () => chunks }
    },
  }
  return { chunks: { body }, isLarge: byteCount >= gzipBytesMin }
}

async function feed({ body, lent }: Chunks, zip: Gzip, signal: AbortSignal): Promise<void> {
  for await (const chunk of body) {
    if (signal.aborted || zip.destroyed) return
    if (chunk.length > 0) await compressed(chunk, zip, lent === true)
  }
  zip.end()
}

/** Until there is room for more, or all was taken in; or it has been cut off. */
function compressed(chunk: Chunk, zip: Gzip, whole: boolean): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      zip.off('drain', end).off('close', end)
      resolve()
    }
    zip.on('close', end)
    const hasRoom = zip.write(chunk, () => whole && end())
    if (whole) return
    if (hasRoom) end()
    else zip.on('drain', end)
  })
}

/** False when the client takes nothing: it has been cut off. */
function drained(response: ServerResponse, signal: AbortSignal): Promise<boolean> {
  return inTime(response, signal, done => {
    response.on('drain', done)
    return () => response.off('drain', done)
  })
}

/** Writes it, and resolves when its memory is no longer looked at. False as of `drained`. */
function taken(chunk: Chunk, response: ServerResponse, signal: AbortSignal): Promise<boolean> {
  return inTime(response, signal, done => {
    response.write(chunk, () => done())
    return () => undefined
  })
}

function inTime(
  response: ServerResponse,
  signal: AbortSignal,
  listen: (done: () => void) => () => void,
): Promise<boolean> {
  return new Promise(resolve => {
    const end = (good: boolean) => {
      clearTimeout(timer)
      forget()
      signal.removeEventListener('abort', onGone)
      resolve(good)
    }
    const onGone = () => end(false)
    const timer = setTimeout(() => {
      response.destroy()
      end(false)
    }, drainTimeoutMs)
    const forget = listen(() => end(true))
    signal.addEventListener('abort', onGone)
  })
}
