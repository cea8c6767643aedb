import { expect, test } from 'vitest'
import { HpackDecoder, HpackError } from '../../../src/drivers/grpc/hpack.ts'
import { huffmanDecode } from '../../../src/drivers/grpc/huffman.ts'
import { ReplyBlocks } from '../../../src/drivers/grpc/reply.ts'

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex')

function decode(decoder: HpackDecoder, text: string, listBytesMax = 10_000): string[] {
  const block = hex(text)
  const fields: string[] = []
  decoder.decode(block, 0, block.length, listBytesMax, (name, value) => fields.push(`${name}: ${value}`))
  return fields
}

const first = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com']
const second = [...first, 'cache-control: no-cache']
const third = [
  ':method: GET',
  ':scheme: https',
  ':path: /index.html',
  ':authority: www.example.com',
  'custom-key: custom-value',
]

test('requests without Huffman coding (RFC 7541, C.3)', () => {
  const decoder = new HpackDecoder()
  expect(decode(decoder, '828684410f7777772e6578616d706c652e636f6d')).toEqual(first)
  expect(decode(decoder, '828684be58086e6f2d6361636865')).toEqual(second)
  expect(decode(decoder, '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565')).toEqual(third)
})

test('requests with Huffman coding (RFC 7541, C.4)', () => {
  const decoder = new HpackDecoder()
  expect(decode(decoder, '828684418cf1e3c2e5f23a6ba0ab90f4ff')).toEqual(first)
  expect(decode(decoder, '828684be5886a8eb10649cbf')).toEqual(second)
  expect(decode(decoder, '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf')).toEqual(third)
})

test('old entries leave a table that is full (RFC 7541, C.6, whose table has 256 octets)', () => {
  const decoder = new HpackDecoder()
  decode(decoder, '3fe101')
  const one = decode(
    decoder,
    '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
  )
  expect(one).toEqual([
    ':status: 302',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ])
  expect(decode(decoder, '4883640effc1c0bf')).toEqual([
    ':status: 307',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ])
  const three = decode(
    decoder,
    '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
  )
  expect(three).toEqual([
    ':status: 200',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:22 GMT',
    'location: https://www.example.com',
    'content-encoding: gzip',
    'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  ])
})

test('every entry of the static table has its place', () => {
  const decoder = new HpackDecoder()
  expect(decode(decoder, '81 8f 90 9c 9f bd')).toEqual([
    ':authority: ',
    'accept-charset: ',
    'accept-encoding: gzip, deflate',
    'content-length: ',
    'content-type: ',
    'www-authenticate: ',
  ])
})

test('the table changes only by what adds to it or resizes it', () => {
  const decoder = new HpackDecoder()
  decode(decoder, '8286 0004 6e616d65 0576616c7565')
  expect(decoder.changes).toBe(0)
  decode(decoder, '4004 6e616d65 0576616c7565')
  expect(decoder.changes).toBe(1)
  decode(decoder, '20')
  expect(decoder.changes).toBe(2)
  expect(() => decode(decoder, 'be')).toThrow(HpackError)
})

test('a list that is too long is not told, and the table stays right', () => {
  const decoder = new HpackDecoder()
  const block = hex('4004 6e616d65 0576616c7565 82')
  const told: string[] = []
  expect(decoder.decode(block, 0, block.length, 60, name => told.push(name))).toBe(false)
  expect(told).toEqual(['name'])
  expect(decode(decoder, 'be')).toEqual(['name: value'])
})

test.each([
  ['an index of nothing', 'be'],
  ['index 0', '80'],
  ['a text longer than the block', '0004 6e616d'],
  ['a number without end', '7fffffffffff'],
  ['a table larger than allowed', '3fe13f'],
  ['a size that stands behind a header', '8220'],
  ['Huffman padding of zeros', '0081 00 00'],
  ['Huffman padding of more than seven bits', '0082 ffff 00'],
  ['the end of the string inside of it', '0084 ffffffff 00'],
])('%s ends the connection', (_, block) => {
  expect(() => decode(new HpackDecoder(), block)).toThrow(HpackError)
})

test('Huffman decoding at both ends of the code', () => {
  expect(huffmanDecode(hex('07'), 0, 1)).toBe('0')
  expect(huffmanDecode(hex('ffffeaff'), 0, 4)).toBeUndefined()
  expect(huffmanDecode(hex('fffffee7'), 0, 4)).toBeUndefined()
  expect(huffmanDecode(hex('fffffbbf'), 0, 4)).toBe('ÿ')
  expect(huffmanDecode(hex(''), 0, 0)).toBe('')
})

test('answers enter the client’s table once, and a client without a table gets them whole', () => {
  const decoder = new HpackDecoder()
  const replies = new ReplyBlocks()
  const read = (block: Buffer) => decode(decoder, block.toString('hex'))
  const headers = [':status: 200', 'content-type: application/grpc']
  // The second answer begins before the first has ended.
  expect(read(replies.headers())).toEqual(headers)
  expect(read(replies.headers())).toEqual(headers)
  expect(read(replies.trailersOk())).toEqual(['grpc-status: 0'])
  expect(read(replies.trailersOk())).toEqual(['grpc-status: 0'])
  expect(read(replies.headers())).toEqual(headers)
  expect(replies.headers().length + replies.trailersOk().length).toBe(3)
  expect(read(replies.failure(5, 'no; 50 %\n', true))).toEqual([
    ...headers,
    'grpc-status: 5',
    'grpc-message: no; 50 %25%0A',
  ])
  replies.limitTable(0)
  expect(replies.headers()[0]).toBe(0x20)
  const small = new HpackDecoder()
  expect(decode(small, replies.headers().toString('hex'))).toEqual(headers)
  expect(decode(small, replies.trailersOk().toString('hex'))).toEqual(['grpc-status: 0'])
  expect(small.changes).toBe(0)
})
