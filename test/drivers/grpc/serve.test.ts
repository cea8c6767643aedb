// The driver against HTTP/2 clients that are not ours (Node's), and against one that breaks the rules.
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import * as limits from '../../../src/drivers/grpc/limits.ts'
import { block, call, callBlock, frame, message, preface, RawClient, settings, u32 } from './raw.ts'
import { serveTest, until } from './service.ts'

function session(port: number, options = {}): ClientHttp2Session & AsyncDisposable {
  const client = connect(`http://127.0.0.1:${port}`, options)
  client.on('error', () => {})
  return Object.assign(client, {
    async [Symbol.asyncDispose]() {
      client.destroy()
    },
  })
}

function start(client: ClientHttp2Session, path: string, headers = {}): ClientHttp2Stream {
  const stream = client.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  })
  stream.on('error', () => {})
  return stream
}

type Answer = { readonly body: Buffer; readonly status: string; readonly message: string }

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const chunks: Buffer[] = []
  let last: IncomingHttpHeaders = {}
  stream.on('response', headers => {
    last = { ...last, ...headers }
  })
  stream.on('trailers', headers => {
    last = { ...last, ...headers }
  })
  stream.on('data', chunk => chunks.push(chunk))
  await once(stream, 'close')
  const [status = '', text = ''] = [last['grpc-status'], last['grpc-message']]
  return { body: Buffer.concat(chunks), status: String(status), message: String(text) }
}

async function ask(client: ClientHttp2Session, path: string, body: Buffer, headers = {}): Promise<Answer> {
  const stream = start(client, path, headers)
  stream.end(message(body))
  return await answerOf(stream)
}

const text = (answer: Answer) => answer.body.subarray(5).toString()

test('a unary call gets its answer, and the next ones of the connection too', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  for (let i = 0; i < 5; i++) {
    const answer = await ask(client, '/test.Test/Echo', Buffer.from(`call ${i}`))
    expect([text(answer), answer.status]).toEqual([`call ${i}`, '0'])
  }
})

test('many calls at once are each answered with their own', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  const bodies = Array.from({ length: 500 }, (_, i) => `body ${i} ${'-'.repeat(i * 7)}`)
  const answers = await Promise.all(bodies.map(body => ask(client, '/test.Test/Echo', Buffer.from(body))))
  expect(answers.map(text)).toEqual(bodies)
})

test('a failure is a status and a text, escaped', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  const answer = await ask(client, '/test.Test/Fail', Buffer.alloc(0))
  expect(answer).toMatchObject({ status: '5', message: 'no such thing: 50 %25 of %C3%A4' })
})

test('what is not there is unimplemented, and what is no gRPC gets an HTTP status', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  const unknown = await ask(client, '/test.Test/Nothing', Buffer.alloc(0))
  expect(unknown).toMatchObject({ status: '12', message: 'unknown method Nothing for service test.Test' })
  const other = client.request({ ':method': 'GET', ':path': '/' })
  const [headers] = await once(other, 'response')
  expect(headers[':status']).toBe(405)
  const json = client.request({ ':method': 'POST', ':path': '/test.Test/Echo', 'content-type': 'application/json' })
  const [refusal] = await once(json, 'response')
  expect(refusal[':status']).toBe(415)
})

test('headers that the client sends reach the service, also when they differ from call to call', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  for (const told of ['one', 'two', 'one', 'three']) {
    expect(text(await ask(client, '/test.Test/Header', Buffer.alloc(0), { 'x-told': told }))).toBe(told)
  }
  expect(text(await ask(client, '/test.Test/Header', Buffer.alloc(0)))).toBe('nothing')
})

test('messages larger than frames and windows go both ways', async () => {
  await using server = await serveTest()
  // The client's own window of 64 KiB makes the answer wait for it many times.
  await using client = session(server.port)
  const body = Buffer.alloc(1_500_000, 'abcdefg')
  const echoed = await ask(client, '/test.Test/Echo', body)
  expect(echoed.body.subarray(5).equals(body)).toBe(true)
  const large = await Promise.all(
    [5_000_000, 3_000_000, 10].map(size => ask(client, '/test.Test/Large', Buffer.from(String(size)))),
  )
  expect(large.map(answer => answer.body.length - 5)).toEqual([5_000_000, 3_000_000, 10])
  expect(large.map(answer => answer.status)).toEqual(['0', '0', '0'])
})

test('a message over the limit is refused in grpc-go’s words, and the connection lives on', async () => {
  await using server = await serveTest({ messageBytesMax: 1_000 })
  await using client = session(server.port)
  const answer = await ask(client, '/test.Test/Echo', Buffer.alloc(1_001))
  expect(answer).toMatchObject({ status: '8', message: 'grpc: received message larger than max (1001 vs. 1000)' })
  expect((await ask(client, '/test.Test/Echo', Buffer.alloc(1_000))).status).toBe('0')
})

test('a compressed message is refused, since nothing was agreed', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  const stream = start(client, '/test.Test/Echo', { 'grpc-encoding': 'gzip' })
  stream.end(Buffer.concat([Buffer.of(1), u32(3), Buffer.from('abc')]))
  expect(await answerOf(stream)).toMatchObject({
    status: '12',
    message: 'grpc: Decompressor is not installed for grpc-encoding "gzip"',
  })
})

test.each([
  ['no message', Buffer.alloc(0)],
  ['two messages', Buffer.concat([message(Buffer.from('a')), message(Buffer.from('b'))])],
  ['half a message', message(Buffer.from('abc')).subarray(0, 6)],
])('a unary call with %s fails', async (_, body) => {
  await using server = await serveTest()
  await using client = session(server.port)
  const stream = start(client, '/test.Test/Echo')
  stream.end(body)
  expect((await answerOf(stream)).status).toBe('13')
})

test('messages of a stream come and go one by one, however they are cut into frames', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  const stream = start(client, '/test.Test/Chat')
  const all = Buffer.concat(['one', 'two', 'three'].map(word => message(Buffer.from(word))))
  for (const octet of all) {
    stream.write(Buffer.of(octet))
    await new Promise(resolve => setImmediate(resolve))
  }
  stream.end()
  const answer = await answerOf(stream)
  expect(answer.status).toBe('0')
  const expected = Buffer.concat(['one', 'two', 'three'].map(word => message(Buffer.from(`you said ${word}`))))
  expect(answer.body.equals(expected)).toBe(true)
  expect(server.said).toEqual(['one', 'two', 'three', 'ended'])
})

test('who reads slowly is told of, and its stream goes on when it reads again', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  const stream = start(client, '/test.Test/Chat')
  stream.write(message(Buffer.from('hello')))
  await until(() => server.streams.length === 1)
  const [chat] = server.streams
  let sent = 0
  const chunk = Buffer.alloc(30_000, 'y')
  while (chat?.send(chunk, chunk.length) === true) sent += 1
  expect(sent).toBeLessThan(10)
  let received = 0
  stream.on('data', data => {
    received += data.length
  })
  await until(() => server.said.includes('drained'))
  const whole = 5 + 9 + 5 + (sent + 1) * (chunk.length + 5)
  await until(() => received === whole)
  chat?.finish()
  await once(stream, 'close')
  expect(received).toBe(whole)
})

test('a cancelled stream is told once, and what is sent to it goes nowhere', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  const stream = start(client, '/test.Test/Chat')
  await until(() => server.streams.length === 1)
  stream.close(constants.NGHTTP2_CANCEL)
  await until(() => server.said.includes('ended'))
  const [chat] = server.streams
  expect(chat?.isOpen).toBe(false)
  expect(chat?.send(Buffer.from('x'), 1)).toBe(false)
  chat?.finish()
  expect(server.said).toEqual(['ended'])
  expect((await ask(client, '/test.Test/Echo', Buffer.from('still here'))).status).toBe('0')
})

test('a stream that the server ends while the client may still speak ends for both', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  const stream = start(client, '/test.Test/Chat')
  await until(() => server.streams.length === 1)
  server.streams[0]?.fail(14, 'gone')
  expect(await answerOf(stream)).toMatchObject({ status: '14', message: 'gone' })
})

test('a call without an answer in time is answered so, and a late answer is nothing', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  const answer = await ask(client, '/test.Test/Hold', Buffer.alloc(0), { 'grpc-timeout': '20m' })
  expect(answer).toMatchObject({ status: '4', message: 'context deadline exceeded' })
  expect(server.held[0]?.isOpen).toBe(false)
  server.held[0]?.respond(Buffer.from('late'), 0, 4)
  expect((await ask(client, '/test.Test/Echo', Buffer.from('x'))).status).toBe('0')
})

test('a server that stops says so, lets calls end, and ends streams', async () => {
  await using server = await serveTest()
  await using client = session(server.port)
  const goAway = once(client, 'goaway')
  const stream = start(client, '/test.Test/Chat')
  const held = ask(client, '/test.Test/Hold', Buffer.alloc(0))
  await until(() => server.held.length === 1 && server.streams.length === 1)
  server.stop()
  await goAway
  expect((await answerOf(stream)).status).toBe('14')
  server.held[0]?.respond(Buffer.from('done'), 0, 4)
  expect(text(await held)).toBe('done')
  await server.done
})

// ---- what may not be ----

const protocol = 1
const flowControl = 3
const frameSize = 6
const compression = 9
const calm = 11

test.each([
  ['DATA before SETTINGS', [preface, frame(0, 0, 1)], protocol],
  ['DATA on an idle stream', [preface, settings, frame(0, 0, 5)], protocol],
  ['HEADERS on an even stream', [preface, settings, frame(1, 4, 2, callBlock('/a/b'))], protocol],
  ['HEADERS on stream 0', [preface, settings, frame(1, 4, 0, callBlock('/a/b'))], protocol],
  ['CONTINUATION of nothing', [preface, settings, frame(9, 4, 1)], protocol],
  ['PING inside a block', [preface, settings, frame(1, 0, 1), frame(6, 0, 0, Buffer.alloc(8))], protocol],
  ['CONTINUATION of another', [preface, settings, frame(1, 0, 1), frame(9, 4, 3)], protocol],
  ['a push', [preface, settings, frame(5, 4, 1, Buffer.alloc(4))], protocol],
  ['a frame that is too large', [preface, settings, frame(0, 0, 1, Buffer.alloc(16_385))], frameSize],
  ['a PING of seven octets', [preface, settings, frame(6, 0, 0, Buffer.alloc(7))], frameSize],
  ['SETTINGS of five octets', [preface, frame(4, 0, 0, Buffer.alloc(5))], frameSize],
  ['RST_STREAM of an idle stream', [preface, settings, frame(3, 0, 1, u32(8))], protocol],
  ['a window that grows by nothing', [preface, settings, frame(8, 0, 0, u32(0))], protocol],
  ['a window beyond 2^31', [preface, settings, frame(8, 0, 0, u32(0x7fffffff))], flowControl],
  ['a header block that is none', [preface, settings, frame(1, 4, 1, Buffer.of(0xff, 0xff, 0xff, 0xff))], compression],
  ['more padding than frame', [preface, settings, frame(1, 4 | 8, 1, Buffer.of(200, 0x82))], protocol],
  ['an initial window beyond 2^31', [preface, frame(4, 0, 0, Buffer.of(0, 4, 0xff, 0xff, 0xff, 0xff))], flowControl],
  ['a frame size that may not be', [preface, frame(4, 0, 0, Buffer.of(0, 5, 0, 0, 0, 1))], protocol],
] as const)('%s ends the connection with the right code', async (_, parts, code) => {
  await using server = await serveTest()
  using client = new RawClient(server.port)
  client.say(...parts)
  const goAway = await client.until(one => one.type === 7)
  expect(goAway?.payload.readUInt32BE(4)).toBe(code)
  await client.closed()
})

test('what is no HTTP/2 at all is hung up on', async () => {
  await using server = await serveTest()
  using client = new RawClient(server.port)
  client.say(Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'))
  await client.closed()
})

test('padding, priorities, CONTINUATION and unknown frames are understood', async () => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  const whole = callBlock('/test.Test/Echo')
  const padded = (bytes: Buffer) => Buffer.concat([Buffer.of(3), bytes, Buffer.alloc(3)])
  client.say(
    frame(0xbe, 0xff, 0, Buffer.from('unknown')),
    frame(2, 0, 1, Buffer.alloc(5)),
    frame(1, 8 | 0x20, 1, padded(Buffer.concat([Buffer.alloc(5), whole.subarray(0, 10)]))),
    frame(9, 0, 1, whole.subarray(10, 20)),
    frame(9, 4, 1, whole.subarray(20)),
    frame(0, 8, 1, padded(message(Buffer.from('hi')).subarray(0, 4))),
    frame(0, 8 | 1, 1, padded(message(Buffer.from('hi')).subarray(4))),
  )
  const data = await client.until(one => one.type === 0)
  expect(data?.payload.equals(message(Buffer.from('hi')))).toBe(true)
})

test('bytes may come in any pieces', async () => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  const all = Buffer.concat([
    call(1, '/test.Test/Echo', Buffer.from('a')),
    call(3, '/test.Test/Echo', Buffer.from('b')),
  ])
  client.socket.setNoDelay(true)
  for (const octet of all) {
    client.say(Buffer.of(octet))
    await new Promise(resolve => setImmediate(resolve))
  }
  await client.until(one => one.type === 0 && one.id === 3)
  const bodies = client.frames.filter(one => one.type === 0).map(one => one.payload.subarray(5).toString())
  expect(bodies).toEqual(['a', 'b'])
})

test('a window of nothing holds answers back until it opens', async () => {
  await using server = await serveTest()
  using client = new RawClient(server.port)
  client.say(preface, frame(4, 0, 0, Buffer.of(0, 4, 0, 0, 0, 0)), call(1, '/test.Test/Echo', Buffer.from('abcdef')))
  await client.until(one => one.type === 1 && one.id === 1)
  client.say(frame(8, 0, 1, u32(7)))
  const part = await client.until(one => one.type === 0)
  expect(part?.payload.equals(message(Buffer.from('abcdef')).subarray(0, 7))).toBe(true)
  // Opening it for all streams opens it for this one.
  client.say(frame(4, 0, 0, Buffer.of(0, 4, 0, 0, 1, 0)))
  await client.until(one => one.type === 1 && (one.flags & 1) !== 0)
  const body = Buffer.concat(client.frames.filter(one => one.type === 0).map(one => one.payload))
  expect(body.equals(message(Buffer.from('abcdef')))).toBe(true)
})

test('more DATA than the window is a flow control error', async () => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  client.say(frame(1, 4, 1, callBlock('/test.Test/Hold')))
  // The first message is never whole, so nothing of it is given back.
  const parts = [frame(0, 0, 1, Buffer.concat([Buffer.of(0), u32(limits.messageBytesMax), Buffer.alloc(16_000)]))]
  for (let sent = 16_000; sent <= limits.streamWindow + 32_000; sent += 16_000) {
    parts.push(frame(0, 0, 1, Buffer.alloc(16_000)))
  }
  client.say(...parts)
  const reset = await client.until(one => one.type === 3)
  expect(reset?.id).toBe(1)
})

test.each([
  ['PING', frame(6, 0, 0, Buffer.alloc(8))],
  ['SETTINGS', settings],
  ['PRIORITY', frame(2, 0, 1, Buffer.alloc(5))],
])('a flood of %s is met with calm', async (_, flood) => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  client.say(Buffer.concat(new Array<Buffer>(limits.nuisanceCountMax + 10).fill(flood)))
  const goAway = await client.until(one => one.type === 7)
  expect(goAway?.payload.readUInt32BE(4)).toBe(calm)
})

test('as many PINGs as messages are no flood: grpc-go measures the link with them', async () => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  client.say(frame(8, 0, 0, u32(0x3fff0000)), frame(4, 0, 0, Buffer.of(0, 4, 0x7f, 0xff, 0, 0)))
  client.say(frame(1, 4, 1, callBlock('/test.Test/Chat')))
  const turns = limits.nuisanceCountMax + 1_000
  const exchange = Buffer.concat([frame(0, 0, 1, message(Buffer.from('x'))), frame(6, 0, 0, Buffer.alloc(8))])
  client.say(Buffer.concat(new Array<Buffer>(turns).fill(exchange)))
  await until(() => client.isClosed || client.frames.filter(one => one.type === 6).length === turns)
  expect(client.frames.some(one => one.type === 7)).toBe(false)
})

test('a flood of calls that are reset at once is met with calm', async () => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  const parts: Buffer[] = []
  for (let i = 0; i < limits.nuisanceCountMax + 10; i++) {
    const id = 1 + 2 * i
    parts.push(call(id, '/test.Test/Hold', Buffer.alloc(0)), frame(3, 0, id, u32(8)))
  }
  client.say(...parts)
  const goAway = await client.until(one => one.type === 7)
  expect(goAway?.payload.readUInt32BE(4)).toBe(calm)
})

test('calls beyond the limit of one connection are refused, and those under it are not', async () => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  const parts: Buffer[] = []
  for (let i = 0; i <= limits.streamCountMax; i++) parts.push(call(1 + 2 * i, '/test.Test/Hold', Buffer.alloc(0)))
  client.say(...parts)
  const reset = await client.until(one => one.type === 3)
  expect(reset?.id).toBe(1 + 2 * limits.streamCountMax)
  expect(reset?.payload.readUInt32BE(0)).toBe(7)
  expect(server.held.length).toBe(limits.streamCountMax)
})

test('a header block without end is met with calm', async () => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  client.say(frame(1, 0, 1, Buffer.alloc(10)), ...new Array<Buffer>(40).fill(frame(9, 0, 1, Buffer.alloc(10))))
  const goAway = await client.until(one => one.type === 7)
  expect(goAway?.payload.readUInt32BE(4)).toBe(calm)
})

test('headers that are too large get 431, and the connection lives on', async () => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  const large = Buffer.concat(
    Array.from({ length: 70 }, (_, i) => block({ [`x-${i}`]: 'v'.repeat(120), 'x-more': 'w'.repeat(100) })),
  )
  const whole = Buffer.concat([callBlock('/test.Test/Echo'), large])
  client.say(
    frame(1, 1, 1, whole.subarray(0, 16_000)),
    frame(9, 4, 1, whole.subarray(16_000)),
    call(3, '/test.Test/Echo', Buffer.from('x')),
  )
  const refused = await client.until(one => one.type === 1 && one.id === 1)
  expect(refused?.payload.toString()).toContain('431')
  expect((await client.until(one => one.type === 0))?.id).toBe(3)
})

test('messages that never get whole may not fill memory', async () => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  const start = Buffer.concat([Buffer.of(0), u32(limits.messageBytesMax), Buffer.alloc(16_000)])
  const perCall = 120
  // Each call stays in its window; together they pass what a connection may keep.
  for (let i = 0; !client.isClosed && i < 40; i++) {
    const id = 1 + 2 * i
    client.say(frame(1, 4, id, callBlock('/test.Test/Hold')), frame(0, 0, id, start))
    for (let k = 1; k < perCall; k++) client.say(frame(0, 0, id, Buffer.alloc(16_000)))
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  const goAway = await client.until(one => one.type === 7)
  expect(goAway?.payload.readUInt32BE(4)).toBe(calm)
})

test('who asks and does not read fills no memory, and gets all once it reads', async () => {
  await using server = await serveTest()
  using client = await RawClient.open(server.port)
  client.keeps = one => one.type === 1 && (one.flags & 1) !== 0
  client.socket.pause()
  const asked = 100
  const calls = Array.from({ length: asked }, (_, i) => call(1 + 2 * i, '/test.Test/Large', Buffer.from('1000000')))
  const before = process.memoryUsage().arrayBuffers
  client.say(frame(8, 0, 0, u32(0x7fff0000)), frame(4, 0, 0, Buffer.of(0, 4, 0x7f, 0xff, 0, 0)), ...calls)
  await new Promise(resolve => setTimeout(resolve, 300))
  // 100 MB were asked for, and 4 MiB may wait beside what the kernel took.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40e6)
  client.socket.resume()
  await until(() => client.frames.length === asked || client.isClosed)
  expect(client.frames.length).toBe(asked)
})

test('an address in use is an error that says so', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const address = other.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await expect(serveTest({ port })).rejects.toThrow(/EADDRINUSE/)
  other.close()
})
