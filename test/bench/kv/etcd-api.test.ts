import { expect, test } from 'vitest'
import {
  createRequest,
  prefixEnd,
  putRequest,
  rangeRequest,
  readRangeResponse,
  readStatus,
  readTxnSucceeded,
} from './etcd-api.ts'
import { operationOf } from './operations.ts'
import { bytes, Fields, message, number } from './protobuf.ts'

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const [key, value] = [Buffer.from('k'), Buffer.from('v')]

// Bytes as protoc --encode writes them from rpc.proto.
test('requests are what etcd reads', () => {
  expect(hexOf(putRequest(key, value))).toBe('0a016b120176')
  expect(hexOf(rangeRequest(key, { prefix: true, serializable: true, keysOnly: true }))).toBe('0a016b12016c38014001')
  expect(hexOf(createRequest(key, value))).toBe(
    '0a09080010021a016b3000' + '1208' + '12060a016b120176' + '1a05' + '0a030a016b',
  )
})

test('the end of a prefix is the next key after it', () => {
  expect(prefixEnd(Buffer.from('/a/')).toString()).toBe('/a0')
})

test('answers are read', () => {
  const keyValue = Buffer.concat([bytes(1, key), number(2, 5), number(3, 300), number(4, 1), bytes(5, value)])
  const answer = Buffer.concat([message(1, number(3, 400)), bytes(2, keyValue), number(4, 1)])
  const { keyValues, count } = readRangeResponse(answer, 0, answer.length)
  expect({ keyValues, count }).toEqual({ keyValues: [{ key: 'k', value, modRevision: 300 }], count: 1 })
})

test('IDs keep all their 64 bits', () => {
  const id = Buffer.from('ffffffffffffffffff01', 'hex')
  const answer = Buffer.concat([message(1, Buffer.from('10', 'hex'), id), Buffer.from('20', 'hex'), id, number(6, 7)])
  expect(readStatus(answer, 0, answer.length)).toEqual({
    member: '18446744073709551615',
    leader: '18446744073709551615',
    version: '',
    term: 7,
  })
})

test('a creation that found the key has not succeeded', () => {
  const [yes, no] = [Buffer.concat([message(1), number(2, 1)]), message(1, number(3, 9))]
  expect([readTxnSucceeded(yes, 0, yes.length), readTxnSucceeded(no, 0, no.length)]).toEqual([true, false])
})

test('what is cut off is no message', () => {
  const cut = putRequest(key, value).subarray(0, 5)
  const read = () => {
    const fields = new Fields(cut, 0, cut.length)
    while (fields.next());
  }
  expect(read).toThrow('longer than its message')
})

test('creations never use a key twice, and fills use each key once', () => {
  const keyIn = (request: Buffer | undefined, at: number) =>
    request?.toString('latin1').match(/(bench\/r-\d-|k)\d{7}/g)?.[at]
  const create = operationOf({ kind: 'create', run: 'r', valueBytes: 16 }, 1, 2)
  const first = create.next()
  expect([0, 1, 2].map(at => keyIn(first, at))).toEqual(new Array(3).fill('bench/r-1-0000000'))
  expect([0, 1, 2].map(at => keyIn(create.next(), at))).toEqual([
    'bench/r-1-0000001',
    'bench/r-1-0000002',
    'bench/r-1-0000003',
  ])
  const filled = [0, 1].flatMap(worker => {
    const fill = operationOf({ kind: 'fill', keys: 5, valueBytes: 0 }, worker, 2)
    const keys: (string | undefined)[] = []
    for (let request = fill.next(); request !== undefined; request = fill.next()) keys.push(keyIn(request, 0))
    return keys
  })
  expect(filled.toSorted()).toEqual(['k0000000', 'k0000001', 'k0000002', 'k0000003', 'k0000004'])
})
