// A service for tests of the driver: echoes, and streams that do as they are told.

import type { GrpcOptions } from '../../../src/drivers/grpc/serve.ts'
import { serveGrpc } from '../../../src/drivers/grpc/serve.ts'
import { type GrpcService, type StreamCall, statusCode, type UnaryCall } from '../../../src/world/grpc.ts'
import type { Log } from '../../../src/world/log.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }

export async function serveTest(options: Partial<GrpcOptions> = {}) {
  const held: UnaryCall[] = []
  const streams: StreamCall[] = []
  const said: string[] = []
  const service: GrpcService = {
    unary: new Map([
      ['/test.Test/Echo', (bytes, start, end, call) => call.respond(bytes, start, end)],
      ['/test.Test/Fail', (_bytes, _start, _end, call) => call.fail(statusCode.notFound, 'no such thing: 50 % of ä')],
      ['/test.Test/Hold', (_bytes, _start, _end, call) => void held.push(call)],
      [
        '/test.Test/Large',
        (bytes, start, end, call) => {
          const size = Number(Buffer.from(bytes.subarray(start, end)).toString())
          call.whenRoom(() => call.respond(Buffer.alloc(size, 'x'), 0, size))
        },
      ],
      [
        '/test.Test/Header',
        (_bytes, _start, _end, call) => {
          const value = Buffer.from(call.header('x-told') ?? 'nothing')
          call.respond(value, 0, value.length)
        },
      ],
    ]),
    stream: new Map([
      [
        '/test.Test/Chat',
        call => {
          streams.push(call)
          return {
            message(bytes, start, end) {
              const text = Buffer.from(bytes.subarray(start, end))
              said.push(text.toString('latin1', 0, 20))
              call.send(Buffer.from('you said '), 9, text)
            },
            halfClosed: () => call.finish(),
            drained: () => void said.push('drained'),
            ended: () => void said.push('ended'),
          }
        },
      ],
    ]),
  }
  const end = new AbortController()
  const server = await serveGrpc(
    { host: '127.0.0.1', port: 0, tls: undefined, service, log: silent, ...options },
    end.signal,
  )
  return {
    port: server.port,
    /** Calls that wait for the test to answer them. */
    held,
    streams,
    said,
    stop: () => end.abort(),
    done: server.done,
    async [Symbol.asyncDispose]() {
      end.abort()
      await server.done
    },
  }
}

/** Polls: what it waits for has no event of its own. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}
