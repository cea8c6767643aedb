// What is read and written by hand, against the generated code that knows only the .proto.
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readCompaction, readDelete, readPut, readRange, readTxn, type TxnRequest } from '../../src/etcd/requests.ts'
import {
  HeaderWriter,
  type OperationReply,
  writeDelete,
  writeKeyValue,
  writeRange,
  writeTxn,
} from '../../src/etcd/responses.ts'
import { readWatch, writeEvent, writeNews } from '../../src/etcd/watch-codec.ts'
import { WireReader, WireWriter } from '../../src/etcd/wire.ts'
import type { ChangeEvent, KeyValue } from '../../src/kv/store.ts'
import {
  CompactionRequestSchema,
  DeleteRangeRequestSchema,
  DeleteRangeResponseSchema,
  PutRequestSchema,
  PutResponseSchema,
  RangeRequestSchema,
  RangeResponseSchema,
  type RequestOpSchema,
  ResponseHeaderSchema,
  type ResponseOp,
  TxnRequestSchema,
  TxnResponseSchema,
  WatchRequestSchema,
  WatchResponseSchema,
} from '../../src/wire/gen/etcd/rpc_pb.ts'

const octets = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
const text = fc.uint8Array({ maxLength: 300 }).map(textOf)
const natural = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const enumeration = fc.nat({ max: 4 })

/** In the middle of other bytes, as it comes in a frame. */
function framed(bytes: Uint8Array): readonly [Buffer, number, number] {
  return [Buffer.concat([Buffer.from('before'), bytes, Buffer.from('behind')]), 6, 6 + bytes.length]
}

test('ranges', () => {
  const request = fc.record({
    key: text,
    end: text,
    limit: natural,
    revision: natural,
    order: enumeration,
    target: enumeration,
    serializable: fc.boolean(),
    keysOnly: fc.boolean(),
    countOnly: fc.boolean(),
    minModRevision: natural,
    maxModRevision: natural,
    minCreateRevision: natural,
    maxCreateRevision: natural,
  })
  fc.assert(
    fc.property(request, one => {
      const bytes = toBinary(
        RangeRequestSchema,
        create(RangeRequestSchema, {
          ...one,
          key: octets(one.key),
          rangeEnd: octets(one.end),
          limit: BigInt(one.limit),
          revision: BigInt(one.revision),
          sortOrder: one.order,
          sortTarget: one.target,
          minModRevision: BigInt(one.minModRevision),
          maxModRevision: BigInt(one.maxModRevision),
          minCreateRevision: BigInt(one.minCreateRevision),
          maxCreateRevision: BigInt(one.maxCreateRevision),
        }),
      )
      expect(readRange(...framed(bytes))).toEqual({ kind: 'range', ...one })
    }),
  )
})

const put = fc.record({
  key: text,
  value: text,
  lease: natural,
  previous: fc.boolean(),
  ignoreValue: fc.boolean(),
  ignoreLease: fc.boolean(),
})

const putMessage = (one: { key: string; value: string; lease: number; previous: boolean }) => ({
  ...one,
  key: octets(one.key),
  value: octets(one.value),
  lease: BigInt(one.lease),
  prevKv: one.previous,
})

test('puts, deletions and compactions', () => {
  fc.assert(
    fc.property(put, text, (one, end) => {
      const bytes = toBinary(PutRequestSchema, create(PutRequestSchema, putMessage(one)))
      expect(readPut(...framed(bytes))).toEqual({ kind: 'put', ...one })
      const { key, previous } = one
      const message = { key: octets(key), rangeEnd: octets(end), prevKv: previous }
      const deletion = toBinary(DeleteRangeRequestSchema, create(DeleteRangeRequestSchema, message))
      expect(readDelete(...framed(deletion))).toEqual({ kind: 'delete', key, end, previous })
      const compaction = create(CompactionRequestSchema, { revision: BigInt(one.lease), physical: previous })
      expect(readCompaction(...framed(toBinary(CompactionRequestSchema, compaction)))).toEqual({ revision: one.lease })
    }),
  )
})

type OpInit = MessageInitShape<typeof RequestOpSchema>

function txnMessage(txn: TxnRequest): MessageInitShape<typeof TxnRequestSchema> {
  const operation = (one: TxnRequest['success'][number]): OpInit => {
    if (one.kind === 'put') return { request: { case: 'requestPut', value: putMessage(one) } }
    if (one.kind === 'delete') {
      const value = { key: octets(one.key), rangeEnd: octets(one.end), prevKv: one.previous }
      return { request: { case: 'requestDeleteRange', value } }
    }
    if (one.kind === 'range') {
      const value = { key: octets(one.key), rangeEnd: octets(one.end), limit: BigInt(one.limit) }
      return { request: { case: 'requestRange', value } }
    }
    if (one.kind === 'txn') return { request: { case: 'requestTxn', value: txnMessage(one) } }
    return {}
  }
  return {
    compare: txn.compare.map(one => ({
      result: one.result,
      target: one.target,
      key: octets(one.key),
      rangeEnd: octets(one.end),
      targetUnion:
        one.target === 3
          ? ({ case: 'value', value: octets(one.value) } as const)
          : ({ case: 'modRevision', value: BigInt(one.number) } as const),
    })),
    success: txn.success.map(operation),
    failure: txn.failure.map(operation),
  }
}

const { txn: anyTxn } = fc.letrec<{ txn: TxnRequest; operation: TxnRequest['success'][number] }>(tie => ({
  operation: fc.oneof(
    { maxDepth: 3 },
    put.map(one => ({ kind: 'put', ...one }) as const),
    fc.record({ key: text, end: text, previous: fc.boolean() }).map(one => ({ kind: 'delete', ...one }) as const),
    fc.record({ key: text, end: text, limit: natural }).map(
      one =>
        ({
          kind: 'range',
          ...one,
          revision: 0,
          order: 0,
          target: 0,
          serializable: false,
          keysOnly: false,
          countOnly: false,
          minModRevision: 0,
          maxModRevision: 0,
          minCreateRevision: 0,
          maxCreateRevision: 0,
        }) as const,
    ),
    fc.constant({ kind: 'none' } as const),
    tie('txn'),
  ),
  txn: fc.record({
    kind: fc.constant('txn' as const),
    compare: fc.array(
      fc
        .record({ result: fc.nat({ max: 3 }), target: enumeration, key: text, end: text, number: natural, value: text })
        .map(one => (one.target === 3 ? { ...one, number: 0 } : { ...one, value: '' })),
      { maxLength: 3 },
    ),
    success: fc.array(tie('operation'), { maxLength: 3 }),
    failure: fc.array(tie('operation'), { maxLength: 3 }),
  }),
}))

test('transactions, nested', () => {
  fc.assert(
    fc.property(anyTxn, txn => {
      const bytes = toBinary(TxnRequestSchema, create(TxnRequestSchema, txnMessage(txn)))
      expect(readTxn(...framed(bytes))).toEqual(txn)
    }),
  )
})

test('a transaction nested without end is refused', () => {
  let bytes = Buffer.alloc(0)
  for (let i = 0; i < 100; i++) {
    const inner = Buffer.concat([Buffer.from([0x22, ...varint(bytes.length)]), bytes])
    bytes = Buffer.concat([Buffer.from([0x12, ...varint(inner.length)]), inner])
  }
  expect(readTxn(bytes, 0, bytes.length)).toBeUndefined()
})

function varint(value: number): number[] {
  const out = new WireWriter()
  out.varint(value)
  return [...out.copy()]
}

test('any bytes are read or refused, and never beyond their end', () => {
  const readers = [readRange, readPut, readDelete, readTxn, readCompaction, readWatch]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      for (const read of readers) {
        const first = read(...framed(bytes))
        // What stands behind it makes no difference.
        expect(read(Buffer.from(bytes), 0, bytes.length)).toEqual(first)
      }
    }),
    { numRuns: 1_000 },
  )
})

test('a message that is cut off, or longer than what holds it, is refused', () => {
  const bytes = toBinary(PutRequestSchema, create(PutRequestSchema, { key: octets('key'), value: octets('value') }))
  for (let end = 1; end < bytes.length; end++) {
    const whole = [0, 5, bytes.length].includes(end)
    expect(readPut(Buffer.from(bytes), 0, end) !== undefined, `cut at ${end}`).toBe(whole)
  }
})

test('fields that nobody knows are passed over', () => {
  const known = toBinary(PutRequestSchema, create(PutRequestSchema, { key: octets('k') }))
  const unknown = Buffer.from([
    ...[0x98, 0x06, 0x96, 0x01],
    ...[0x9a, 0x06, 0x02, 0x41, 0x42],
    ...[0x99, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
    ...[0x9d, 0x06, 1, 2, 3, 4],
  ])
  const bytes = Buffer.concat([unknown, known, unknown])
  expect(readPut(bytes, 0, bytes.length)?.key).toBe('k')
})

test('numbers, to the last bit as far as JavaScript has it', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        natural,
        natural.map(value => -value - 1),
        fc.nat(300),
      ),
      value => {
        const out = new WireWriter()
        out.varint(value)
        const bytes = out.copy()
        const reader = new WireReader(bytes, 0, bytes.length)
        expect(reader.number()).toBe(value)
        expect(reader.at).toBe(bytes.length)
      },
    ),
  )
})

// ---- answers ----

const item: fc.Arbitrary<KeyValue> = fc.record({
  key: text.filter(key => key !== ''),
  value: text,
  createRevision: natural,
  modRevision: natural,
  version: natural,
  lease: natural,
})
const items = fc.array(item, { maxLength: 5 })

const plain = (one: KeyValue) => ({ ...one })
const back = (kv: {
  key: Uint8Array
  value: Uint8Array
  createRevision: bigint
  modRevision: bigint
  version: bigint
  lease: bigint
}) => ({
  key: textOf(kv.key),
  value: textOf(kv.value),
  createRevision: Number(kv.createRevision),
  modRevision: Number(kv.modRevision),
  version: Number(kv.version),
  lease: Number(kv.lease),
})

test('headers', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
      natural,
      natural,
      (clusterId, memberId, revision, term) => {
        const header = new HeaderWriter(clusterId, memberId)
        header.term = term
        const out = new WireWriter()
        header.write(out, revision)
        const bytes = out.copy()
        expect(bytes[0]).toBe(10)
        expect(bytes[1]).toBe(bytes.length - 2)
        const { revision: told, raftTerm, ...ids } = fromBinary(ResponseHeaderSchema, bytes.subarray(2))
        expect([ids.clusterId, ids.memberId, told, raftTerm]).toEqual([
          clusterId,
          memberId,
          BigInt(revision),
          BigInt(term),
        ])
      },
    ),
  )
})

test('answers to ranges, puts and deletions', () => {
  fc.assert(
    fc.property(items, natural, fc.boolean(), fc.boolean(), (found, count, more, keysOnly) => {
      const out = new WireWriter()
      writeRange(out, { items: found, count, more, keysOnly })
      const range = fromBinary(RangeResponseSchema, out.copy())
      expect([range.more, Number(range.count)]).toEqual([more, count])
      expect(range.kvs.map(back)).toEqual(found.map(one => ({ ...plain(one), ...(keysOnly && { value: '' }) })))
      out.reset()
      writeDelete(out, count, found)
      const deletion = fromBinary(DeleteRangeResponseSchema, out.copy())
      expect([Number(deletion.deleted), deletion.prevKvs.map(back)]).toEqual([count, found.map(plain)])
      const [first] = found
      if (first === undefined) return
      out.reset()
      writeKeyValue(out, 2, first)
      const { prevKv } = fromBinary(PutResponseSchema, out.copy())
      expect(prevKv && back(prevKv)).toEqual(plain(first))
    }),
  )
})

const { reply: anyReply } = fc.letrec<{ reply: OperationReply }>(tie => ({
  reply: fc.oneof(
    { maxDepth: 4 },
    fc
      .record({ revision: natural, items, count: natural, more: fc.boolean(), keysOnly: fc.constant(false) })
      .map(one => ({ kind: 'range', ...one }) as const),
    fc
      .record({ revision: natural, previous: fc.option(item, { nil: undefined }) })
      .map(one => ({ kind: 'put', ...one }) as const),
    fc.record({ revision: natural, count: natural, previous: items }).map(one => ({ kind: 'delete', ...one }) as const),
    fc
      .record({ revision: natural, succeeded: fc.boolean(), replies: fc.array(tie('reply'), { maxLength: 3 }) })
      .map(one => ({ kind: 'txn', ...one }) as const),
  ),
}))

function replyBack({ response }: ResponseOp): OperationReply {
  const revision = Number(response.value?.header?.revision ?? 0)
  switch (response.case) {
    case 'responseRange': {
      const { kvs, count, more } = response.value
      return { kind: 'range', revision, items: kvs.map(back), count: Number(count), more, keysOnly: false }
    }
    case 'responsePut': {
      const { prevKv } = response.value
      return { kind: 'put', revision, previous: prevKv && back(prevKv) }
    }
    case 'responseDeleteRange': {
      const { deleted, prevKvs } = response.value
      return { kind: 'delete', revision, count: Number(deleted), previous: prevKvs.map(back) }
    }
    case 'responseTxn': {
      const { succeeded, responses } = response.value
      return { kind: 'txn', revision, succeeded, replies: responses.map(replyBack) }
    }
    default:
      throw new Error('an operation without an answer')
  }
}

test('answers to transactions, nested: the lengths that stand in front are right', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(anyReply, { maxLength: 4 }), (succeeded, replies) => {
      const out = new WireWriter()
      writeTxn(out, succeeded, replies)
      const answer = fromBinary(TxnResponseSchema, out.copy())
      expect(answer.succeeded).toBe(succeeded)
      expect(answer.responses.map(replyBack)).toEqual(replies)
    }),
  )
})

// ---- watches ----

test('watch requests', () => {
  const request = fc.record({
    key: text,
    end: text,
    startRevision: natural,
    progressNotify: fc.boolean(),
    noPut: fc.boolean(),
    noDelete: fc.boolean(),
    previous: fc.boolean(),
    id: natural,
    fragment: fc.boolean(),
  })
  fc.assert(
    fc.property(request, one => {
      const value = {
        key: octets(one.key),
        rangeEnd: octets(one.end),
        startRevision: BigInt(one.startRevision),
        progressNotify: one.progressNotify,
        filters: [...(one.noPut ? [0] : []), ...(one.noDelete ? [1] : [])],
        prevKv: one.previous,
        watchId: BigInt(one.id),
        fragment: one.fragment,
      }
      const bytes = toBinary(
        WatchRequestSchema,
        create(WatchRequestSchema, { requestUnion: { case: 'createRequest', value } }),
      )
      expect(readWatch(...framed(bytes))).toEqual({ kind: 'create', ...one })
    }),
  )
  const cancel = create(WatchRequestSchema, { requestUnion: { case: 'cancelRequest', value: { watchId: 7n } } })
  expect(readWatch(...framed(toBinary(WatchRequestSchema, cancel)))).toEqual({ kind: 'cancel', id: 7 })
  const progress = create(WatchRequestSchema, { requestUnion: { case: 'progressRequest', value: {} } })
  expect(readWatch(...framed(toBinary(WatchRequestSchema, progress)))).toEqual({ kind: 'progress' })
  // Filters one by one, as old clients send them.
  expect(readWatch(Buffer.of(0x0a, 4, 0x28, 0, 0x28, 1), 0, 6)).toMatchObject({ noPut: true, noDelete: true })
})

test('events and news', () => {
  fc.assert(
    fc.property(item, fc.option(item, { nil: undefined }), fc.boolean(), natural, (current, previous, with_, id) => {
      const put: ChangeEvent = { kind: 'put', current, previous }
      const deletion: ChangeEvent = {
        kind: 'delete',
        key: current.key,
        revision: current.modRevision,
        previous: current,
      }
      const out = new WireWriter()
      writeNews(out, id, {
        created: with_,
        canceled: !with_,
        compactRevision: id,
        cancelReason: 'why',
        fragment: with_,
      })
      writeEvent(out, put, with_)
      writeEvent(out, deletion, with_)
      const answer = fromBinary(WatchResponseSchema, out.copy())
      expect(answer).toMatchObject({ created: with_, canceled: !with_, cancelReason: 'why', fragment: with_ })
      expect([Number(answer.watchId), Number(answer.compactRevision)]).toEqual([id, id])
      const seen = answer.events.map(({ type, kv, prevKv }) => [type, kv && back(kv), prevKv && back(prevKv)])
      const gone = {
        key: current.key,
        value: '',
        createRevision: 0,
        modRevision: current.modRevision,
        version: 0,
        lease: 0,
      }
      expect(seen).toEqual([
        [0, plain(current), with_ ? previous && plain(previous) : undefined],
        [1, gone, with_ ? plain(current) : undefined],
      ])
    }),
  )
})
