// The floor: the same TLS server as a peer's, whose answers are bytes that lie ready. `node floor.ts <tls folder>`, told
// what to answer by IPC, and saying each time what its event loop was late at most since it was told last; it says the
// port that it serves on.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { serveHttps } from '../../../src/drivers/http/serve.ts'
import { realLog } from '../../../src/drivers/log.ts'
import type { HttpRequest, HttpResponse } from '../../../src/world/http.ts'
import { watchBusy } from '../kv/busy.ts'

export type Canned = {
  readonly object: string
  readonly list: string
  readonly frame: string
  readonly headers: Readonly<Record<string, string>>
}
export type Told = { readonly loopMaxMs: number; readonly busyMaxMs: number }

const stop = new AbortController()
process.on('disconnect', () => process.exit(0))
const [ca = '', cert = '', key = ''] = await Promise.all(
  ['ca', 'cert', 'key'].map(name => readFile(join(process.argv[2] ?? '', `${name}.pem`), 'utf8')),
)
const utf8 = (text: string) => new Uint8Array(Buffer.from(text))
let canned = { object: utf8(''), list: utf8(''), frame: utf8('') }
let headers: Canned['headers'] = {}

async function handle(request: HttpRequest): Promise<HttpResponse> {
  if (request.method === 'GET' && request.query.includes('watch=true')) {
    return { kind: 'stream', code: 200, headers, body: frames(request.signal) }
  }
  if (request.method === 'GET') {
    const isList = request.path.endsWith('/pods')
    return { kind: 'whole', code: 200, headers, body: isList ? canned.list : canned.object }
  }
  await request.body(4 * 1024 * 1024)
  return { kind: 'whole', code: request.method === 'POST' ? 201 : 200, headers, body: canned.object }
}

/** One frame after the other, as fast as they are taken, and every watcher gets its turn. */
async function* frames(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  while (!signal.aborted) {
    yield canned.frame
    await new Promise(resolve => setImmediate(resolve))
  }
}

const log = realLog({ level: 'warn', format: 'text' })
const { port } = await serveHttps({ port: 0, hosts: ['127.0.0.1'], key, cert, ca, handle, log }, stop.signal)
const delay = monitorEventLoopDelay({ resolution: 10 })
delay.enable()
const busy = watchBusy()
process.on('message', (given: Canned) => {
  headers = given.headers
  canned = { object: utf8(given.object), list: utf8(given.list), frame: utf8(given.frame) }
  process.send?.({ loopMaxMs: delay.max / 1e6, busyMaxMs: busy.maxMs() } satisfies Told)
  delay.reset()
  busy.reset()
})
process.send?.({ port })
