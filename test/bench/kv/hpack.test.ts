import { expect, test } from 'vitest'
import { Decoder, Encoder, encodeInteger, type Field } from './hpack.ts'
import { huffmanDecode } from './huffman.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const decodeAll = (decoder: Decoder, block: Buffer) => decoder.decode(block, 0, block.length)

// RFC 7541, appendix C.6: three responses with Huffman codes and a table of 256 bytes, which evicts.
test('the responses of the RFC come out, Huffman-coded, with evictions', () => {
  const decoder = new Decoder()
  expect(
    decodeAll(
      decoder,
      hex(
        '3fe101 488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
      ),
    ),
  ).toEqual([
    [':status', '302'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ])
  expect(decodeAll(decoder, hex('4883640effc1c0bf'))).toEqual([
    [':status', '307'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ])
  const third = decodeAll(
    decoder,
    hex(
      '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    ),
  )
  expect(third.map(([name]) => name)).toEqual([
    ':status',
    'cache-control',
    'date',
    'location',
    'content-encoding',
    'set-cookie',
  ])
  expect(third[5]?.[1]).toBe('foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1')
})

test('integers cross their prefix as in RFC 7541, C.1', () => {
  expect(encodeInteger(0, 5, 10)).toEqual(hex('0a'))
  expect(encodeInteger(0, 5, 1_337)).toEqual(hex('1f9a0a'))
})

test('a Huffman string with wrong padding, or with its end inside, is refused', () => {
  expect(huffmanDecode(hex('f1e3c2e5f23a6ba0ab90f4ff')).toString()).toBe('www.example.com')
  expect(() => huffmanDecode(hex('f1e3c2e5f23a6ba0ab90f400'))).toThrow('padding')
  expect(() => huffmanDecode(hex('ffffffff'))).toThrow('end of the string')
})

test('a block that was remembered means something else once the table has changed', () => {
  const decoder = new Decoder()
  const literal = (name: string, value: string) =>
    Buffer.concat([
      hex('40'),
      Buffer.from([name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ])
  decodeAll(decoder, literal('grpc-status', '0'))
  const newest = hex('be')
  expect(decodeAll(decoder, newest)).toEqual([['grpc-status', '0']])
  expect(decodeAll(decoder, newest)).toBe(decodeAll(decoder, newest))
  decodeAll(decoder, literal('grpc-status', '14'))
  expect(decodeAll(decoder, newest)).toEqual([['grpc-status', '14']])
})

test('what is not HPACK is refused', () => {
  expect(() => decodeAll(new Decoder(), hex('80'))).toThrow('index 0')
  expect(() => decodeAll(new Decoder(), hex('be'))).toThrow('index 62')
  expect(() => decodeAll(new Decoder(), hex('ff'))).toThrow('in the middle')
  expect(() => decodeAll(new Decoder(), hex('400a61'))).toThrow('in the middle')
  expect(() => decodeAll(new Decoder(), hex('3fe17f'))).toThrow('more than was offered')
})

const request: readonly Field[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/etcdserverpb.KV/Put'],
  [':authority', '127.0.0.1:2379'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
]

test('an encoded request is one byte per header from the second time on', () => {
  const [encoder, decoder] = [new Encoder(), new Decoder()]
  expect(decodeAll(decoder, encoder.encode('put', request))).toEqual(request)
  const second = encoder.encode('put', request)
  expect(second.length).toBe(request.length)
  expect(decodeAll(decoder, second)).toEqual(request)
  const other: readonly Field[] = [[':path', '/etcdserverpb.KV/Range'], ...request.slice(3)]
  expect(decodeAll(decoder, encoder.encode('range', other))).toEqual(other)
  expect(decodeAll(decoder, encoder.encode('put', request))).toEqual(request)
})

test.each([0, 100, 2_000])('a server that keeps a table of %i bytes is obeyed', bytesMax => {
  const [encoder, decoder] = [new Encoder(), new Decoder()]
  decodeAll(decoder, encoder.encode('put', request))
  encoder.limit(bytesMax / 2)
  encoder.limit(bytesMax)
  for (let i = 0; i < 3; i++) expect(decodeAll(decoder, encoder.encode('put', request))).toEqual(request)
})
