import { expect, test } from 'vitest'
import { parseTimeoutMs, type RequestHead, RequestReader } from '../../../src/drivers/grpc/request.ts'
import type { GrpcService } from '../../../src/world/grpc.ts'

const service: GrpcService = {
  unary: new Map([
    ['/s/One', () => {}],
    ['/s/Two', () => {}],
  ]),
  stream: new Map(),
}

/** Enters the table. */
const added = (name: string, value: string) =>
  Buffer.concat([Buffer.of(0x40, name.length), Buffer.from(name), Buffer.of(value.length), Buffer.from(value)])
const post = 0x83
const http = 0x86

function reader() {
  const requests = new RequestReader(service)
  return (...parts: readonly (Buffer | number)[]): RequestHead => {
    const block = Buffer.concat(parts.map(part => (typeof part === 'number' ? Buffer.of(part) : part)))
    return requests.read(block, 0, block.length)
  }
}

test('a block that comes again is the same request, without reading it again', () => {
  const read = reader()
  read(post, http, added('content-type', 'application/grpc'), added(':path', '/s/One'))
  const again = read(post, http, 0xbf, 0xbe)
  expect(again.route).toMatchObject({ kind: 'unary', handle: service.unary.get('/s/One') })
  expect(read(post, http, 0xbf, 0xbe)).toBe(again)
})

test('the same octets are another request once the table has changed', () => {
  const read = reader()
  read(post, http, added('content-type', 'application/grpc'), added(':path', '/s/One'))
  expect(read(post, http, 0xbf, 0xbe).route).toMatchObject({ handle: service.unary.get('/s/One') })
  // What was number 62 and 63 is number 64 and 65 now.
  read(post, http, 0xbf, 0xbe, added('content-type', 'application/grpc'), added(':path', '/s/Two'))
  expect(read(post, http, 0xbf, 0xbe).route).toMatchObject({ handle: service.unary.get('/s/Two') })
  expect(read(post, http, 0xc1, 0xc0).route).toMatchObject({ handle: service.unary.get('/s/One') })
})

test('trailers that enter the table count as a change too', () => {
  const requests = new RequestReader(service)
  const first = Buffer.concat([
    Buffer.of(post, http),
    added('content-type', 'application/grpc'),
    added(':path', '/s/One'),
  ])
  requests.read(first, 0, first.length)
  const again = Buffer.of(post, http, 0xbf, 0xbe)
  expect(requests.read(again, 0, 4).route.kind).toBe('unary')
  const trailers = added('x-checksum', '1')
  requests.skip(trailers, 0, trailers.length)
  // Number 62 is the trailer's now, and 63 the path: there is no content type any more.
  expect(requests.read(again, 0, 4).route).toEqual({ kind: 'wrong', httpStatus: 415 })
})

test.each([
  ['1H', 3_600_000],
  ['2M', 120_000],
  ['3S', 3_000],
  ['99999999m', 99_999_999],
  ['5000u', 5],
  ['2000000n', 2],
  ['', undefined],
  ['5', undefined],
  ['123456789m', undefined],
  ['5s', undefined],
  ['-5S', undefined],
])('a time-out of %j is %s ms', (text, ms) => {
  if (ms === undefined) expect(parseTimeoutMs(text)).toBeUndefined()
  else expect(parseTimeoutMs(text)).toBeCloseTo(ms, 6)
})
