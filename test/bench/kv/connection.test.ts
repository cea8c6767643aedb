// Against Node's own HTTP/2, which is nghttp2: another hand wrote the other end.
import { createServer, type Http2Server, type ServerHttp2Stream, type Settings } from 'node:http2'
import { afterEach, expect, test } from 'vitest'
import { Call, Connection } from './connection.ts'

class Recorder extends Call {
  readonly messages: string[] = []
  readonly #end = Promise.withResolvers<{ status: number; text: string; messages: readonly string[] }>()
  readonly end = this.#end.promise

  override onMessage(bytes: Buffer, start: number, end: number): void {
    this.messages.push(bytes.toString('latin1', start, end))
  }

  override onEnd(status: number, text: string): void {
    this.#end.resolve({ status, text, messages: this.messages })
  }
}

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

type Answer = (stream: ServerHttp2Stream, body: Buffer, server: Http2Server) => void

async function serve(answer: Answer, settings: Settings = {}): Promise<Connection> {
  const server = createServer({ settings })
  server.on('stream', stream => {
    const parts: Buffer[] = []
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('end', () => answer(stream, Buffer.concat(parts), server))
    stream.on('error', () => {})
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const connection = await Connection.connect(typeof address === 'object' ? (address?.port ?? 0) : 0)
  cleanups.push(() => {
    connection.close()
    server.close()
  })
  return connection
}

const framed = (text: string) => {
  const message = Buffer.concat([Buffer.alloc(5), Buffer.from(text, 'latin1')])
  message.writeUInt32BE(text.length, 1)
  return message
}

/** Answers with the messages and the trailers. */
function reply(stream: ServerHttp2Stream, messages: readonly string[], status = '0', text = ''): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status, 'grpc-message': text }))
  for (const message of messages) stream.write(framed(message))
  stream.end()
}

const echo: Answer = (stream, body) => reply(stream, [`${stream.id}:`, body.toString('latin1', 5)])

function call(connection: Connection, message: string): Recorder {
  const recorder = new Recorder()
  connection.open(recorder, '/test/Echo', Buffer.from(message, 'latin1'), true)
  connection.flush()
  return recorder
}

test('calls are answered, one after the other and at once', async () => {
  const connection = await serve(echo)
  for (let i = 0; i < 3; i++) expect(await call(connection, `m${i}`).end).toMatchObject({ status: 0, text: '' })
  const many = Array.from({ length: 50 }, (_, i) => call(connection, `message ${i}`))
  const ends = await Promise.all(many.map(({ end }) => end))
  expect(ends.map(({ messages }) => messages[1])).toEqual(many.map((_, i) => `message ${i}`))
})

test('an error is what the server says, in every character', async () => {
  const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('')
  const connection = await serve(stream => reply(stream, [], '9', encodeURIComponent(printable)))
  expect(await call(connection, '').end).toEqual({ status: 9, text: printable, messages: [] })
  expect(await call(connection, '').end).toEqual({ status: 9, text: printable, messages: [] })
})

test('an answer of HTTP alone is an error', async () => {
  const connection = await serve(stream => stream.respond({ ':status': 503 }, { endStream: true }))
  expect(await call(connection, '').end).toMatchObject({ status: 14, text: 'no grpc-status; HTTP status 503' })
})

test('requests wait for the windows of the server', async () => {
  const connection = await serve(echo, { initialWindowSize: 1_000 })
  // Beyond the window of the connection too, which no setting changes: 64 KiB.
  const long = 'x'.repeat(200_000)
  expect(await call(connection, 'begin').end).toMatchObject({ status: 0 })
  const ends = await Promise.all([long, `${long}y`, 'short'].map(text => call(connection, text).end))
  expect(ends.map(({ messages }) => messages[1]?.length)).toEqual([200_000, 200_001, 5])
})

test('answers larger than what may be sent at once keep coming', async () => {
  const large = 'z'.repeat(9 * 1024 * 1024)
  const connection = await serve(stream => reply(stream, [large, large, large, 'end']))
  const { messages, status } = await call(connection, '').end
  expect(status).toBe(0)
  expect(messages.map(message => message.length)).toEqual([large.length, large.length, large.length, 3])
})

test('no more streams than the server allows, and all of them in the end', async () => {
  let [open, most] = [0, 0]
  const connection = await serve(
    (stream, body) => {
      open++
      most = Math.max(most, open)
      setTimeout(() => {
        open--
        reply(stream, [body.toString('latin1', 5)])
      }, 2)
    },
    { maxConcurrentStreams: 2 },
  )
  await call(connection, 'the settings have come').end
  const ends = await Promise.all(Array.from({ length: 9 }, (_, i) => call(connection, String(i)).end))
  expect(ends.map(({ messages }) => messages[0])).toEqual(Array.from({ length: 9 }, (_, i) => String(i)))
  expect(most).toBe(2)
})

test('a server without a header table is understood', async () => {
  const connection = await serve(echo, { headerTableSize: 0 })
  for (let i = 0; i < 3; i++) expect(await call(connection, 'x').end).toMatchObject({ status: 0 })
})

test('after GOAWAY what was accepted is answered, and no call begins', async () => {
  const connection = await serve(stream => {
    stream.session?.goaway()
    setTimeout(() => reply(stream, ['late']), 5)
  })
  expect(await call(connection, '').end).toMatchObject({ status: 0, messages: ['late'] })
  expect(connection.closed).toContain('goes away')
  expect(await call(connection, '').end).toMatchObject({ status: 14 })
})

test('a stream that is reset, and a connection that breaks, end their calls', async () => {
  const connection = await serve(stream => stream.close(2))
  expect(await call(connection, '').end).toMatchObject({ status: 14, text: 'the stream was reset, code 2' })
  const broken = await serve(stream => stream.session?.destroy())
  expect((await call(broken, '').end).status).toBe(14)
  expect(broken.closed).toBeDefined()
})

test('a stream of messages in both directions stays open until it is ended', async () => {
  const connection = await serve(echo)
  const recorder = new Recorder()
  connection.open(recorder, '/test/Echo', Buffer.from('a'), false)
  connection.send(recorder, Buffer.from('b'), false)
  connection.send(recorder, Buffer.from('c'), true)
  connection.flush()
  const { messages, status } = await recorder.end
  expect(status).toBe(0)
  expect(messages[1]).toBe(['a', framed('b').toString('latin1'), framed('c').toString('latin1')].join(''))
})
