// What a client records of each way in which a call can end. A write that may have happened and is recorded as failed, or the
// other way round, makes every verdict worthless.
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { bytes, message, number } from '../bench/kv/protobuf.ts'
import type { Request } from '../check/history.ts'
import { Channel, frame } from './channel.ts'
import { perform, Recorder } from './load.ts'

const put: Request = { kind: 'put', key: '/n/k1', value: '1-1' }
const get: Request = { kind: 'get', key: '/n/k1' }
const old: Request = { kind: 'get', key: '/n/k1', revision: 3 }

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

function listen(server: Http2Server | Server): Promise<Channel> {
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => {
      const channel = new Channel(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      closing.push(
        () => server.close(),
        () => channel.close(),
      )
      resolve(channel)
    })
  })
}

const serve = (answer: (stream: ServerHttp2Stream) => void) =>
  listen(
    createServer().on('stream', stream =>
      stream
        .on('error', () => {})
        .resume()
        .on('end', () => answer(stream)),
    ),
  )

function reply(stream: ServerHttp2Stream, status: number, text: string, payload?: Buffer): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status), 'grpc-message': text }))
  stream.end(payload === undefined ? undefined : frame(payload))
}

async function outcome(channel: Channel, request: Request) {
  return (await perform(new Recorder(), 1, channel, 'm0#1', request)).outcome
}

const header = (revision: number) => message(1, number(3, revision))
const item = message(
  2,
  bytes(1, Buffer.from('/n/k1')),
  number(2, 5),
  number(3, 7),
  number(4, 2),
  bytes(5, Buffer.from('1-1')),
)

test('an answer is done, with what it says', async () => {
  const channel = await serve(stream => reply(stream, 0, '', Buffer.concat([header(9), item])))
  const { kind, ...rest } = await outcome(channel, get)
  expect(kind).toBe('done')
  const items = [{ key: '/n/k1', value: '1-1', createRevision: 5, modRevision: 7, version: 2 }]
  expect(rest).toEqual({ response: { kind: 'items', revision: 9, items } })
  expect(await outcome(channel, put)).toEqual({ kind: 'done', response: { kind: 'put', revision: 9 } })
})

test.each([
  [14, 'etcdserver: request timed out', 'ambiguous'],
  [4, 'context deadline exceeded', 'ambiguous'],
  [2, 'unknown', 'ambiguous'],
  [13, 'internal', 'ambiguous'],
  [1, 'cancelled', 'ambiguous'],
  [3, 'etcdserver: key is not provided', 'failed'],
  [9, 'etcdserver: not capable', 'failed'],
  [8, 'etcdserver: mvcc: database space exceeded', 'failed'],
])('status %i of a write is what it says: %s', async (status, text, kind) => {
  expect(await outcome(await serve(stream => reply(stream, status, text)), put)).toEqual({ kind })
})

test('a revision out of range is an answer', async () => {
  const compacted = await serve(stream => reply(stream, 11, 'etcdserver: mvcc: required revision has been compacted'))
  expect(await outcome(compacted, old)).toEqual({ kind: 'done', response: { kind: 'compacted' } })
  const future = await serve(stream => reply(stream, 11, 'etcdserver: mvcc: required revision is a future revision'))
  expect(await outcome(future, old)).toEqual({ kind: 'done', response: { kind: 'future' } })
})

test('a connection that is lost after the request was sent is ambiguous', async () => {
  expect(await outcome(await serve(stream => stream.session?.destroy()), put)).toEqual({ kind: 'ambiguous' })
})

test('a stream that is reset is ambiguous', async () => {
  expect(await outcome(await serve(stream => stream.close(8)), put)).toEqual({ kind: 'ambiguous' })
})

test('half an answer is ambiguous', async () => {
  const channel = await serve(stream => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
    stream.write(frame(header(9)).subarray(0, 4), () => stream.session?.destroy())
  })
  expect(await outcome(channel, put)).toEqual({ kind: 'ambiguous' })
})

test('no answer is ambiguous', async () => {
  const recorder = new Recorder()
  const operation = await perform(recorder, 1, await serve(() => {}), 'm0#1', put)
  expect(operation.outcome).toEqual({ kind: 'ambiguous' })
  expect(operation.return).toBe(Infinity)
})

test('a server that takes the connection and never speaks is ambiguous', async () => {
  const silent = createTcpServer(socket => closing.push(() => socket.destroy()))
  expect(await outcome(await listen(silent), put)).toEqual({ kind: 'ambiguous' })
})

test('a connection that is refused has sent nothing', async () => {
  const server = createTcpServer()
  const channel = await listen(server)
  await new Promise(resolve => server.close(resolve))
  expect(await outcome(channel, put)).toEqual({ kind: 'failed' })
})

test('reads without an answer are counted, and are no part of the history', async () => {
  const recorder = new Recorder()
  await perform(recorder, 1, await serve(stream => reply(stream, 14, 'no leader')), 'm0#1', get)
  expect(recorder.operations).toEqual([])
  expect(recorder.unanswered.length).toBe(1)
})
