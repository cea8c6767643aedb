// The API's port as a stranger meets it: TLS and who one is, both versions of HTTP, bodies, streams, upgrades in every
// protocol, and what is no protocol at all.
import { connect as http2Connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { constants, createDeflate, createInflate, gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import WebSocket from 'ws'
import { type Served, serveHttps } from '../../src/drivers/http/serve.ts'
import {
  dataFrame,
  dictionary,
  type Frame,
  FrameReader,
  pingFrame,
  readHeaders,
  resetFrame,
  SpdyError,
  synStreamFrame,
  windowUpdateFrame,
  writeHeaders,
} from '../../src/drivers/http/spdy-frame.ts'
import { type Bytes, concat, text, utf8 } from '../../src/lib/bytes.ts'
import type { CommandSession, HttpRequest, HttpResponse } from '../../src/world/http.ts'
import { type Certificates, certificates, type Pair } from '../apiserver/certificates.ts'
import { keepingLog, type Line } from '../apiserver/world.ts'

let certs: Certificates
let served: Served
let client: Pair
const stop = new AbortController()
const lines: Line[] = []
const seen: HttpRequest[] = []
const sizes: string[] = []

const success = '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}'

/** Gives back what comes in, until the input ends. */
async function echo(session: CommandSession): Promise<void> {
  const resizing = (async () => {
    for await (const { width, height } of session.resizes) sizes.push(`${width}x${height}`)
  })()
  resizing.catch(() => {})
  await session.stderr(utf8('ready'))
  for await (const bytes of session.stdin) await session.stdout(bytes)
  await session.finish(success)
}

async function* counting(): AsyncGenerator<string> {
  for (let i = 0; i < 3; i++) yield `${i}\n`
}

async function* endless(signal: AbortSignal, left: () => void): AsyncGenerator<string> {
  try {
    while (!signal.aborted) {
      yield 'x\n'
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  } finally {
    left()
  }
}

let leftEndless = 0

const row = `${'a row of a long list '.repeat(50)}\n`

const lentBytes = 100_000
const letter = (index: number): string => String.fromCharCode(97 + (index % 26))

/** Each in the memory of the one before it. */
async function* lentRows(count: number): AsyncGenerator<Bytes> {
  const memory = new Uint8Array(lentBytes)
  for (let i = 0; i < count; i++) {
    memory.fill(letter(i).charCodeAt(0))
    yield memory
  }
}

async function* rows(count: number): AsyncGenerator<string> {
  for (let i = 0; i < count; i++) {
    // Others run meanwhile.
    if (i % 10 === 0) yield ''
    yield row
  }
}

async function handle(request: HttpRequest): Promise<HttpResponse> {
  seen.push(request)
  const whole = (code: number, body: unknown): HttpResponse => ({
    kind: 'whole',
    code,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const streams = { stdin: true, stdout: true, stderr: true, tty: false }
  switch (request.path) {
    case '/rows':
      return {
        kind: 'stream',
        code: 200,
        headers: { 'content-type': 'text/plain' },
        body: rows(Number(request.query)),
        compressible: true,
      }
    case '/lent': {
      const count = Number(request.query)
      const headers = { 'content-type': 'text/plain', 'content-length': String(count * lentBytes) }
      return { kind: 'stream', code: 200, headers, body: lentRows(count), compressible: true, lent: true }
    }
    case '/who':
      return whole(200, request.certificate ?? null)
    case '/body': {
      const body = await request.body(100_000)
      return body === undefined ? whole(413, 'too large') : whole(200, body.length)
    }
    case '/large':
      return whole(200, 'y'.repeat(1_000_000))
    case '/count':
      return { kind: 'stream', code: 200, headers: { 'content-type': 'text/plain' }, body: counting() }
    case '/endless':
      return { kind: 'stream', code: 200, headers: {}, body: endless(request.signal, () => (leftEndless += 1)) }
    case '/exec':
      return { kind: 'command', streams, run: echo }
    case '/tty':
      return { kind: 'command', streams: { ...streams, stderr: false, tty: true }, run: echo }
    case '/forward':
      return {
        kind: 'forward',
        async run(session) {
          for await (const connection of session.connections) {
            ;(async () => {
              if (connection.port === 1) return await connection.fail('refused')
              for await (const bytes of connection.read())
                await connection.write(concat([utf8(`${connection.port}:`), bytes]))
              await connection.closeWrite()
            })().catch(() => connection.abort())
          }
        },
      }
    default:
      return whole(404, 'none')
  }
}

beforeAll(async () => {
  certs = await certificates()
  client = await certs.client('jane', ['dev', 'ops'])
  served = await serveHttps(
    { port: 0, hosts: ['127.0.0.1'], ...certs.server, ca: certs.ca, handle, log: keepingLog(lines) },
    stop.signal,
  )
})
afterAll(async () => {
  stop.abort()
  await served.done
})

type Got = { code: number; headers: Record<string, unknown>; body: string }

function get(path: string, options: object = {}, body?: Bytes): Promise<Got> {
  return new Promise((resolve, reject) => {
    const asked = httpsRequest(
      { host: '127.0.0.1', port: served.port, path, ca: certs.ca, agent: false, ...options },
      answer => {
        let got = ''
        answer.setEncoding('utf8').on('data', chunk => (got += chunk))
        answer.on('end', () => resolve({ code: answer.statusCode ?? 0, headers: answer.headers, body: got }))
      },
    )
    asked.on('error', reject)
    asked.end(body)
  })
}

test('a client certificate of the CA says who somebody is; another one, or none, does not', async () => {
  expect(JSON.parse((await get('/who', client)).body)).toEqual({ user: 'jane', groups: ['dev', 'ops'] })
  expect((await get('/who')).body).toBe('null')
  const stranger = await (await certificates()).client('jane', ['system:masters'])
  expect((await get('/who', stranger)).body).toBe('null')
})

test('HTTP/2 and HTTP/1.1 give the same answers', async () => {
  const session = http2Connect(`https://127.0.0.1:${served.port}`, { ca: certs.ca, key: client.key, cert: client.cert })
  const ask = (path: string) =>
    new Promise<string>((resolve, reject) => {
      const stream = session.request({ ':path': path })
      let got = ''
      stream.setEncoding('utf8').on('data', chunk => (got += chunk))
      stream.on('end', () => resolve(got)).on('error', reject)
    })
  expect(await Promise.all(['/who', '/count', '/large', '/none'].map(ask))).toEqual(
    await Promise.all(['/who', '/count', '/large', '/none'].map(async path => (await get(path, client)).body)),
  )
  session.close()
})

test('a body over the limit is told so and not kept; the right length is read whole', async () => {
  expect((await get('/body', { method: 'POST' }, new Uint8Array(100_000))).body).toBe('100000')
  const large = await get('/body', { method: 'POST' }, new Uint8Array(100_001))
  expect([large.code, large.headers['connection']]).toEqual([413, 'close'])
  const chunked = await get(
    '/body',
    { method: 'POST', headers: { 'transfer-encoding': 'chunked' } },
    new Uint8Array(200_000),
  )
  expect(chunked.code).toBe(413)
})

test('a large answer is compressed for those who take that', async () => {
  expect((await get('/large', { headers: { 'accept-encoding': 'gzip' } })).headers['content-encoding']).toBe('gzip')
  expect((await get('/large')).headers['content-encoding']).toBeUndefined()
})

test('a long list is compressed on its way, a short one is not, and both come whole', async () => {
  for (const [count, zipped] of [
    [2_000, true],
    [20, false],
    [0, false],
  ] as const) {
    const plain = await get(`/rows?${count}`)
    expect([plain.headers['content-encoding'], plain.body === row.repeat(count)]).toEqual([undefined, true])
    const answer = await bytesOf(`/rows?${count}`)
    expect([count, answer.encoding]).toEqual([count, zipped ? 'gzip' : undefined])
    const body = zipped ? gunzipSync(answer.bytes) : answer.bytes
    expect(body.toString() === row.repeat(count)).toBe(true)
  }
})

test('a list that is made in the same memory again and again comes as it was made', async () => {
  const session = http2Connect(`https://127.0.0.1:${served.port}`, { ca: certs.ca })
  const overHttp2 = (path: string) =>
    new Promise<string>((resolve, reject) => {
      let got = ''
      const stream = session.request({ ':path': path }).setEncoding('utf8')
      stream.on('data', chunk => (got += chunk))
      stream.on('end', () => resolve(got)).on('error', reject)
    })
  for (const count of [1, 2, 60]) {
    const all = Array.from({ length: count }, (_, i) => letter(i).repeat(lentBytes)).join('')
    const plain = await get(`/lent?${count}`)
    expect([plain.headers['content-length'], plain.body === all]).toEqual([String(all.length), true])
    const zipped = await bytesOf(`/lent?${count}`)
    const body = zipped.encoding === 'gzip' ? gunzipSync(zipped.bytes) : zipped.bytes
    expect([zipped.encoding, body.toString() === all]).toEqual([count > 1 ? 'gzip' : undefined, true])
    expect((await overHttp2(`/lent?${count}`)) === all).toBe(true)
  }
  session.close()
})

test('who goes in the middle of a compressed list leaves nothing behind', async () => {
  const asked = httpsRequest({
    host: '127.0.0.1',
    port: served.port,
    path: '/rows?1000000',
    ca: certs.ca,
    agent: false,
    headers: { 'accept-encoding': 'gzip' },
  })
  await new Promise<void>(resolve => {
    asked.on('response', answer => answer.once('data', () => resolve()))
    asked.on('error', () => {})
    asked.end()
  })
  asked.destroy()
  expect((await get('/count')).code).toBe(200)
})

function bytesOf(path: string): Promise<{ readonly encoding: string | undefined; readonly bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const headers = { 'accept-encoding': 'deflate, gzip' }
    const options = { host: '127.0.0.1', port: served.port, path, ca: certs.ca, agent: false, headers }
    httpsRequest(options, answer => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => resolve({ encoding: answer.headers['content-encoding'], bytes: Buffer.concat(parts) }))
    })
      .on('error', reject)
      .end()
  })
}

/** What comes back for these bytes, until the server ends the connection. */
function raw(sent: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: served.port, ca: certs.ca, ALPNProtocols: ['http/1.1'] }
    const open = tlsConnect(options, () => open.write(sent))
    let got = ''
    open.setEncoding('utf8').on('data', chunk => (got += chunk))
    open.on('error', error => (got === '' ? reject(error) : resolve(got)))
    open.on('close', () => resolve(got))
  })
}

test.each([
  ['headers beyond all measure', `GET /who HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(80_000)}\r\n\r\n`],
  ['two lengths of one body', 'POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc'],
  [
    'a length and chunks',
    'POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a header without a name', 'GET /who HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n'],
  ['no HTTP', 'hello\r\n\r\n'],
])('%s is refused, the connection closed, and others are served on', async (_, sent) => {
  expect(await raw(sent)).toMatch(/^HTTP\/1\.1 4\d\d /)
  expect((await get('/who', client)).code).toBe(200)
})

test('a flood of headers over HTTP/2 is refused, and the next request answered', async () => {
  const session = http2Connect(`https://127.0.0.1:${served.port}`, { ca: certs.ca })
  session.on('error', () => {})
  const headers = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-flood-${i}`, 'y'.repeat(1_000)]))
  const outcome = await new Promise<string>(resolve => {
    const stream = session.request({ ':path': '/who', ...headers })
    stream.on('response', answer => resolve(String(answer[':status'])))
    stream.on('error', () => resolve('reset'))
    stream.on('close', () => resolve('closed'))
  })
  expect(outcome).not.toBe('200')
  session.destroy()
  expect((await get('/who', client)).code).toBe(200)
})

test('a stream ends when its client goes', async () => {
  const before = leftEndless
  const asked = httpsRequest({ host: '127.0.0.1', port: served.port, path: '/endless', ca: certs.ca, agent: false })
  await new Promise<void>(resolve => {
    asked.on('response', answer => answer.once('data', () => resolve()))
    asked.on('error', () => {})
    asked.end()
  })
  asked.destroy()
  while (leftEndless === before) await new Promise(resolve => setTimeout(resolve, 10))
})

function socket(): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: served.port, ca: certs.ca, ALPNProtocols: ['http/1.1'] }
    const open = tlsConnect(options, () => resolve(open)).on('error', reject)
  })
}

test('a connection whose upgrade failed is closed and serves nothing more (A2, CVE-2018-1002105)', async () => {
  for (const wanted of ['websocket', 'SPDY/3.1', 'h2c']) {
    const open = await socket()
    const head = `Host: x\r\nConnection: Upgrade\r\nUpgrade: ${wanted}\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n`
    open.write(`GET /none HTTP/1.1\r\n${head}\r\nGET /who HTTP/1.1\r\nHost: x\r\n\r\n`)
    let got = ''
    for await (const chunk of open) got += chunk
    expect(got).toMatch(/^HTTP\/1\.1 40[034] /)
    expect(got.match(/HTTP\/1\.1/g)?.length).toBe(1)
  }
})

test('what needs an upgrade and asks for none gets an answer', async () => {
  expect((await get('/exec')).code).toBe(400)
})

function open(
  path: string,
  protocols: string[],
): Promise<{ ws: WebSocket; messages: Buffer[]; closed: Promise<number> }> {
  const ws = new WebSocket(`wss://127.0.0.1:${served.port}${path}`, protocols, { ca: certs.ca })
  const messages: Buffer[] = []
  ws.on('message', data => messages.push(data as Buffer))
  const closed = new Promise<number>(resolve => ws.on('close', resolve))
  return new Promise((resolve, reject) => {
    ws.on('open', () => resolve({ ws, messages, closed }))
    ws.on('error', reject)
  })
}

const channelText = (messages: readonly Buffer[], channel: number) =>
  messages
    .filter(each => each[0] === channel)
    .map(each => each.subarray(1).toString())
    .join('')

test('exec over WebSocket v5: input, half-close, resize, both outputs, the status', async () => {
  sizes.length = 0
  const { ws, messages, closed } = await open('/exec', ['v5.channel.k8s.io'])
  ws.send(Buffer.from('\x04{"Width":80,"Height":24}'))
  ws.send(Buffer.from('\x00hello '))
  ws.send(Buffer.from('\x00you'))
  ws.send(Buffer.from([255, 0]))
  expect(await closed).toBe(1000)
  expect([1, 2, 3].map(channel => channelText(messages, channel))).toEqual(['hello you', 'ready', success])
  expect(sizes).toEqual(['80x24'])
})

test('exec over WebSocket in the base64 protocols', async () => {
  const { ws, messages } = await open('/exec', ['v4.base64.channel.k8s.io'])
  ws.send(`0${Buffer.from('hi').toString('base64')}`)
  while (!messages.some(each => each.toString() === `1${Buffer.from('hi').toString('base64')}`)) {
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  ws.close()
})

test('a WebSocket of a protocol that nobody speaks here is refused', async () => {
  await expect(open('/exec', ['v9.channel.k8s.io'])).rejects.toThrow('403')
})

test('streams come as messages over a WebSocket, also in base64', async () => {
  const { messages, closed } = await open('/count', ['binary.k8s.io'])
  await closed
  expect(messages.map(String)).toEqual(['0\n', '1\n', '2\n'])
  const coded = await open('/count', ['base64.binary.k8s.io'])
  await coded.closed
  expect(coded.messages.map(each => Buffer.from(each.toString(), 'base64').toString())).toEqual(['0\n', '1\n', '2\n'])
})

/** A client of SPDY/3.1 that can also misbehave. */
class Spdy {
  readonly deflate = createDeflate({ dictionary, flush: constants.Z_SYNC_FLUSH })
  readonly inflate = createInflate({ dictionary, flush: constants.Z_SYNC_FLUSH })
  readonly frames: Frame[] = []
  readonly #send: (bytes: Bytes) => void
  ended = false
  constructor(send: (bytes: Bytes) => void) {
    this.#send = send
  }
  take(reader: FrameReader, bytes: Bytes): void {
    this.frames.push(...reader.push(bytes))
  }
  send(bytes: Bytes): void {
    this.#send(bytes)
  }
  async open(id: number, headers: Record<string, string>): Promise<void> {
    await new Promise<void>(resolve => this.deflate.write(writeHeaders(headers), () => resolve()))
    this.send(synStreamFrame(id, this.deflate.read() as Buffer, false))
  }
  data(id: number): string {
    return this.frames.map(frame => (frame.kind === 'data' && frame.stream === id ? text(frame.bytes) : '')).join('')
  }
  fin(id: number): boolean {
    return this.frames.some(frame => frame.kind === 'data' && frame.stream === id && frame.fin)
  }
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.ended && !condition()) throw new Error('the connection has ended')
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
}

async function spdy(path: string, protocols: string): Promise<{ client: Spdy; head: string; socket: TLSSocket }> {
  const tls = await socket()
  const header = protocols === '' ? '' : `X-Stream-Protocol-Version: ${protocols}\r\n`
  tls.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${header}\r\n`)
  const made = new Spdy(bytes => void tls.write(bytes))
  const reader = new FrameReader()
  let head = ''
  return await new Promise(resolve => {
    tls.on('data', (bytes: Buffer) => {
      if (head !== '') {
        if (head.startsWith('HTTP/1.1 101')) made.take(reader, bytes)
        return
      }
      const at = bytes.indexOf('\r\n\r\n')
      head = bytes.subarray(0, at).toString()
      if (head.startsWith('HTTP/1.1 101')) made.take(reader, bytes.subarray(at + 4))
      resolve({ client: made, head, socket: tls })
    })
    tls.on('close', () => {
      made.ended = true
    })
    tls.on('error', () => {})
  })
}

test('exec over SPDY: streams by their type, the status on the error stream, then the end', async () => {
  const { client: peer, head } = await spdy('/exec', 'v4.channel.k8s.io, v3.channel.k8s.io')
  expect(head).toMatch(/^HTTP\/1\.1 101 .*X-Stream-Protocol-Version: v4\.channel\.k8s\.io/s)
  const types = ['error', 'stdin', 'stdout', 'stderr']
  for (const [i, streamType] of types.entries()) await peer.open(i * 2 + 1, { streamType })
  peer.send(pingFrame(1))
  peer.send(dataFrame(3, utf8('hello'), false))
  peer.send(dataFrame(3, new Uint8Array(), true))
  await peer.until(() => peer.fin(1))
  expect([peer.data(5), peer.data(7), peer.data(1)]).toEqual(['hello', 'ready', success])
  expect(peer.frames.filter(({ kind }) => kind === 'synReply').length).toBe(4)
  expect(peer.frames.some(({ kind }) => kind === 'ping')).toBe(true)
  await peer.until(() => peer.ended)
  expect(peer.frames.some(({ kind }) => kind === 'goAway')).toBe(true)
})

test('a terminal over SPDY has a resize stream, from v3 on', async () => {
  sizes.length = 0
  const { client: peer } = await spdy('/tty', 'v3.channel.k8s.io')
  for (const [i, streamType] of ['error', 'stdin', 'stdout', 'resize'].entries())
    await peer.open(i * 2 + 1, { streamType })
  peer.send(dataFrame(7, utf8('{"Width":1,"Height":2}\n{"Width":3,"Height":4}\n'), false))
  await peer.until(() => sizes.length === 2)
  expect(sizes).toEqual(['1x2', '3x4'])
  peer.send(dataFrame(3, new Uint8Array(), true))
  await peer.until(() => peer.ended)
  // Before v4 success is silence.
  expect(peer.data(1)).toBe('')
})

test('port-forward over SPDY: pairs of streams by requestID, each connection for itself', async () => {
  const { client: peer } = await spdy('/forward', 'portforward.k8s.io')
  const pair = async (id: number, requestID: string, port: string) => {
    await peer.open(id, { streamType: 'error', requestID, port })
    await peer.open(id + 2, { streamType: 'data', requestID, port })
  }
  await pair(1, '0', '80')
  await pair(5, '1', '81')
  await pair(9, '2', '1')
  peer.send(dataFrame(7, utf8('b'), true))
  peer.send(dataFrame(3, utf8('a'), true))
  await peer.until(() => peer.fin(3) && peer.fin(7) && peer.fin(9))
  expect([peer.data(3), peer.data(7), peer.data(9)]).toEqual(['80:a', '81:b', 'refused'])
})

// Port-forward tunnelled in a WebSocket is tested with kubectl 1.33 (test/apiserver/kubectl.test.ts): the client of ws
// cannot ask for a sub-protocol with a slash in its name.

test('with a peer that counts windows, no more is sent than it has room for', async () => {
  const { client: peer } = await spdy('/exec', 'v4.channel.k8s.io')
  for (const [i, streamType] of ['error', 'stdin', 'stdout', 'stderr'].entries())
    await peer.open(i * 2 + 1, { streamType })
  peer.send(windowUpdateFrame(5, 1))
  for (let i = 0; i < 10; i++) peer.send(dataFrame(3, new Uint8Array(20_000).fill(97), false))
  await peer.until(() => peer.data(5).length === 65_537)
  await new Promise(resolve => setTimeout(resolve, 100))
  expect(peer.data(5).length).toBe(65_537)
  peer.send(windowUpdateFrame(5, 1_000_000))
  await peer.until(() => peer.data(5).length === 200_000)
  expect(peer.frames.some(({ kind }) => kind === 'windowUpdate')).toBe(true)
  peer.send(resetFrame(3, 5))
  await peer.until(() => peer.ended)
})

test('a peer that does not speak SPDY/3 is cut off, and others are served on', async () => {
  const bad: readonly Bytes[] = [
    Uint8Array.of(0x80, 2, 0, 1, 0, 0, 0, 0),
    Uint8Array.of(0x80, 3, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1),
    Uint8Array.of(0, 0, 0, 1, 0, 0xff, 0xff, 0xff),
    synStreamFrame(1, utf8('this is not compressed'), false),
  ]
  for (const bytes of bad) {
    const { client: peer } = await spdy('/exec', 'v4.channel.k8s.io')
    peer.send(bytes)
    await peer.until(() => peer.ended)
  }
  expect((await get('/who')).code).toBe(200)
})

test('an unknown sub-protocol over SPDY is refused, with those that are spoken', async () => {
  const { head } = await spdy('/exec', 'v9.channel.k8s.io')
  expect(head).toMatch(/^HTTP\/1\.1 403 .*x-accepted-stream-protocol-versions: v5\.channel\.k8s\.io/s)
})

test('frames come out as they went in, however they are cut', () => {
  const bytes = concat([dataFrame(3, utf8('abc'), true), pingFrame(7), windowUpdateFrame(3, 9)])
  for (let at = 0; at <= bytes.length; at++) {
    const reader = new FrameReader()
    const frames = [...reader.push(bytes.subarray(0, at)), ...reader.push(bytes.subarray(at))]
    expect(frames.map(({ kind }) => kind)).toEqual(['data', 'ping', 'windowUpdate'])
  }
  expect({ ...readHeaders(writeHeaders({ streamType: 'data', Port: '1' })) }).toEqual({ streamtype: 'data', port: '1' })
  expect(() => readHeaders(Uint8Array.of(0, 0, 0, 9))).toThrow(SpdyError)
})

test('when the server ends, requests under way are ended and it is done soon', async () => {
  const controller = new AbortController()
  const own = await serveHttps(
    { port: 0, hosts: ['127.0.0.1'], ...certs.server, ca: certs.ca, handle, log: keepingLog(lines) },
    controller.signal,
  )
  const session = http2Connect(`https://127.0.0.1:${own.port}`, { ca: certs.ca })
  session.on('error', () => {})
  const stream = session.request({ ':path': '/endless' })
  stream.on('error', () => {})
  await new Promise(resolve => stream.once('data', resolve))
  controller.abort()
  await own.done
  await expect(get('/who', { port: own.port })).rejects.toThrow()
})
