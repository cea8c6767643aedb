// The services by themselves, on a store in memory: what is refused and in which words, and what etcdctl does not show.
import { createHash } from 'node:crypto'
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import { describe, expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { numberOf } from '../../src/etcd/ids.ts'
import { openEtcd } from '../../src/etcd/run.ts'
import { openSnapshot } from '../../src/etcd/snapshot-file.ts'
import {
  AlarmRequestSchema,
  AlarmResponseSchema,
  CompactionRequestSchema,
  CompactionResponseSchema,
  DeleteRangeRequestSchema,
  DeleteRangeResponseSchema,
  HashKVRequestSchema,
  HashKVResponseSchema,
  LeaseGrantRequestSchema,
  LeaseGrantResponseSchema,
  LeaseKeepAliveRequestSchema,
  LeaseKeepAliveResponseSchema,
  LeaseLeasesRequestSchema,
  LeaseLeasesResponseSchema,
  LeaseRevokeRequestSchema,
  LeaseRevokeResponseSchema,
  LeaseTimeToLiveRequestSchema,
  LeaseTimeToLiveResponseSchema,
  MemberListRequestSchema,
  MemberListResponseSchema,
  MemberRemoveRequestSchema,
  MemberRemoveResponseSchema,
  PutRequestSchema,
  PutResponseSchema,
  RangeRequestSchema,
  RangeResponseSchema,
  SnapshotResponseSchema,
  StatusRequestSchema,
  StatusResponseSchema,
  TxnRequestSchema,
  TxnResponseSchema,
} from '../../src/wire/gen/etcd/rpc_pb.ts'
import { memoryCommandStore, self } from './memory-store.ts'

const octets = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
const key = octets('k')

function api() {
  const store = memoryCommandStore()
  const end = new AbortController()
  const config = {
    clusterId: 'cluster',
    member: 'm0',
    clientUrlsOf: () => ['http://here'],
    nameOf: () => 'name',
    dbBytes: () => Promise.resolve(123),
  }
  const service = openEtcd(realClock(), store, config, end.signal)

  function ask<Q extends DescMessage, A extends DescMessage>(
    path: string,
    [query, answer]: readonly [Q, A],
    message: MessageInitShape<Q> = {} as MessageInitShape<Q>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<MessageShape<A>> {
    const handle = service.unary.get(`/etcdserverpb.${path}`)
    if (handle === undefined) throw new Error(`${path} is not served`)
    const bytes = Buffer.from(toBinary(query, create(query, message)))
    return new Promise((resolve, reject) => {
      handle(bytes, 0, bytes.length, {
        isOpen: true,
        header: name => headers[name],
        whenRoom: work => work(),
        respond: (all, start, to) => resolve(fromBinary(answer, all.slice(start, to))),
        fail: (code, text) => reject(new Error(`${code} ${text}`)),
      })
    })
  }

  /** A stream that takes all: what the service sent, and how it ended. */
  function stream(path: string) {
    const open = service.stream.get(`/etcdserverpb.${path}`)
    if (open === undefined) throw new Error(`${path} is not served`)
    const sent: Buffer[] = []
    let ended = ''
    const handler = open({
      isOpen: true,
      header: () => undefined,
      send: (head, length, tail) => {
        sent.push(Buffer.concat([head.subarray(0, length), tail ?? Buffer.alloc(0)]))
        return true
      },
      finish: () => {
        ended = 'well'
      },
      fail: (code, text) => {
        ended = `${code} ${text}`
      },
    })
    return { sent, handler, ended: () => ended }
  }
  return { store, ask, stream, end }
}

const put = [PutRequestSchema, PutResponseSchema] as const
const range = [RangeRequestSchema, RangeResponseSchema] as const
const remove = [DeleteRangeRequestSchema, DeleteRangeResponseSchema] as const
const txn = [TxnRequestSchema, TxnResponseSchema] as const
const compaction = [CompactionRequestSchema, CompactionResponseSchema] as const
const grant = [LeaseGrantRequestSchema, LeaseGrantResponseSchema] as const

describe('what is refused', () => {
  test('puts', async () => {
    const { ask } = api()
    await expect(ask('KV/Put', put, {})).rejects.toThrow('3 etcdserver: key is not provided')
    await expect(ask('KV/Put', put, { key, value: key, ignoreValue: true })).rejects.toThrow(
      '3 etcdserver: value is provided',
    )
    await expect(ask('KV/Put', put, { key, lease: 1n, ignoreLease: true })).rejects.toThrow(
      '3 etcdserver: lease is provided',
    )
    await expect(ask('KV/Put', put, { key, ignoreValue: true })).rejects.toThrow('3 etcdserver: key not found')
    for (const lease of [7n, -1n, 2n ** 60n]) {
      await expect(ask('KV/Put', put, { key, lease })).rejects.toThrow('5 etcdserver: requested lease not found')
    }
    const value = new Uint8Array(1.5 * 1024 * 1024)
    await expect(ask('KV/Put', put, { key, value })).rejects.toThrow('3 etcdserver: request is too large')
    expect((await ask('KV/Put', put, { key, value: value.subarray(100) })).header?.revision).toBe(2n)
  })

  test('reads', async () => {
    const { ask } = api()
    await expect(ask('KV/Range', range, {})).rejects.toThrow('3 etcdserver: key is not provided')
    await expect(ask('KV/Range', range, { key, sortTarget: 9 })).rejects.toThrow('3 etcdserver: invalid sort option')
    await expect(ask('KV/Range', range, { key, revision: 5n })).rejects.toThrow(
      '11 etcdserver: mvcc: required revision is a future revision',
    )
    for (let i = 0; i < 5; i++) await ask('KV/Put', put, { key })
    await ask('KV/Compact', compaction, { revision: 4n })
    await expect(ask('KV/Range', range, { key, revision: 3n })).rejects.toThrow(
      '11 etcdserver: mvcc: required revision has been compacted',
    )
    expect((await ask('KV/Range', range, { key, revision: 4n })).kvs[0]?.modRevision).toBe(4n)
    await expect(ask('KV/Compact', compaction, { revision: 4n })).rejects.toThrow('11 etcdserver: mvcc: required')
    await expect(ask('KV/Compact', compaction, { revision: -3n })).rejects.toThrow('has been compacted')
    await expect(ask('KV/Compact', compaction, { revision: 2n ** 62n })).rejects.toThrow('is a future revision')
    const hash = [HashKVRequestSchema, HashKVResponseSchema] as const
    await expect(ask('Maintenance/HashKV', hash, { revision: 3n })).rejects.toThrow('has been compacted')
    await expect(ask('Maintenance/HashKV', hash, { revision: 99n })).rejects.toThrow('is a future revision')
    expect(await ask('Maintenance/HashKV', hash, {})).toMatchObject({ compactRevision: 4n })
  })

  test('deletions and transactions', async () => {
    const { ask } = api()
    await expect(ask('KV/DeleteRange', remove, {})).rejects.toThrow('3 etcdserver: key is not provided')
    const putK = { request: { case: 'requestPut', value: { key } } } as const
    const deleteAll = {
      request: { case: 'requestDeleteRange', value: { key: octets('a'), rangeEnd: octets('z') } },
    } as const
    const nested = (...success: (typeof putK | typeof deleteAll)[]) =>
      ({ request: { case: 'requestTxn', value: { success } } }) as const
    const duplicate = '3 etcdserver: duplicate key given in txn request'
    await expect(ask('KV/Txn', txn, { success: [putK, putK] })).rejects.toThrow(duplicate)
    await expect(ask('KV/Txn', txn, { failure: [deleteAll, putK] })).rejects.toThrow(duplicate)
    await expect(ask('KV/Txn', txn, { success: [putK, nested(putK)] })).rejects.toThrow(duplicate)
    await expect(ask('KV/Txn', txn, { success: [nested(deleteAll), putK] })).rejects.toThrow(duplicate)
    await expect(ask('KV/Txn', txn, { success: [nested(putK), nested(putK)] })).rejects.toThrow(duplicate)
    // Only one of two ways is gone.
    expect((await ask('KV/Txn', txn, { success: [putK], failure: [putK] })).succeeded).toBe(true)
    await expect(ask('KV/Txn', txn, { success: [{}] })).rejects.toThrow('3 etcdserver: key not found')
    await expect(ask('KV/Txn', txn, { compare: [{}] })).rejects.toThrow('3 etcdserver: key is not provided')
    const many = (count: number) =>
      Array.from(
        { length: count },
        (_, i) => ({ request: { case: 'requestPut', value: { key: octets(`k${i}`) } } }) as const,
      )
    await expect(ask('KV/Txn', txn, { success: many(129) })).rejects.toThrow(
      '3 etcdserver: too many operations in txn request',
    )
    expect((await ask('KV/Txn', txn, { success: many(128) })).responses).toHaveLength(128)
    const future = { request: { case: 'requestRange', value: { key, revision: 2n ** 60n } } } as const
    await expect(ask('KV/Txn', txn, { success: [future] })).rejects.toThrow('is a future revision')
  })

  test('leases', async () => {
    const { ask } = api()
    await expect(ask('Lease/LeaseGrant', grant, { TTL: 9_000_000_001n })).rejects.toThrow(
      '11 etcdserver: too large lease TTL',
    )
    await expect(ask('Lease/LeaseGrant', grant, { TTL: 10n, ID: 2n ** 60n })).rejects.toThrow(
      '11 etcdserver: lease IDs',
    )
    await ask('Lease/LeaseGrant', grant, { TTL: 10n, ID: 5n })
    await expect(ask('Lease/LeaseGrant', grant, { TTL: 10n, ID: 5n })).rejects.toThrow(
      '9 etcdserver: lease already exists',
    )
    const revoke = [LeaseRevokeRequestSchema, LeaseRevokeResponseSchema] as const
    for (const ID of [6n, 0n, -1n, 2n ** 60n]) {
      await expect(ask('Lease/LeaseRevoke', revoke, { ID })).rejects.toThrow('5 etcdserver: requested lease not found')
    }
  })

  test('members, alarms and users', async () => {
    const { ask } = api()
    const out = [MemberRemoveRequestSchema, MemberRemoveResponseSchema] as const
    await expect(ask('Cluster/MemberRemove', out, { ID: 1n })).rejects.toThrow('5 etcdserver: member not found')
    const alarm = [AlarmRequestSchema, AlarmResponseSchema] as const
    await expect(ask('Maintenance/Alarm', alarm, { action: 1 })).rejects.toThrow('12 ')
    expect(await ask('Maintenance/Alarm', alarm, { action: 0 })).toMatchObject({ header: { revision: 1n } })
    await expect(ask('Auth/Authenticate', put, {})).rejects.toThrow('9 etcdserver: authentication is not enabled')
  })
})

test('numbers that nothing stored has compare as they should', async () => {
  const { ask } = api()
  await ask('KV/Put', put, { key })
  const holds = async (result: number, number: bigint) => {
    const compare = [{ result, target: 2, key, targetUnion: { case: 'modRevision', value: number } as const }]
    return (await ask('KV/Txn', txn, { compare })).succeeded
  }
  const [equal, greater, less, notEqual] = [0, 1, 2, 3]
  for (const number of [-1n, -(2n ** 60n)]) {
    expect([await holds(equal, number), await holds(greater, number), await holds(less, number)]).toEqual([
      false,
      true,
      false,
    ])
    expect(await holds(notEqual, number)).toBe(true)
  }
  expect([await holds(equal, 2n ** 60n), await holds(greater, 2n ** 60n), await holds(less, 2n ** 60n)]).toEqual([
    false,
    false,
    true,
  ])
})

test('without a leader: what needs one says so, and what does not goes on', async () => {
  const { store, ask } = api()
  await ask('KV/Put', put, { key })
  store.setLeader(false)
  await new Promise(resolve => setImmediate(resolve))
  await expect(ask('KV/Put', put, { key })).rejects.toThrow('14 etcdserver: no leader')
  await expect(ask('KV/Range', range, { key })).rejects.toThrow('14 etcdserver: no leader')
  expect((await ask('KV/Range', range, { key, serializable: true })).kvs).toHaveLength(1)
  const careful = ask('KV/Range', range, { key, serializable: true }, { hasleader: 'true' })
  await expect(careful).rejects.toThrow('14 etcdserver: no leader')
  const status = await ask('Maintenance/Status', [StatusRequestSchema, StatusResponseSchema])
  expect(status).toMatchObject({ leader: 0n, errors: ['etcdserver: no leader'] })
})

test('status and members', async () => {
  const { ask } = api()
  const status = await ask('Maintenance/Status', [StatusRequestSchema, StatusResponseSchema])
  expect(status).toMatchObject({ leader: numberOf('m0'), dbSize: 123n, version: '3.4.23', isLearner: false })
  expect(status.header).toMatchObject({ clusterId: numberOf('cluster'), memberId: numberOf('m0'), raftTerm: 2n })
  const list = await ask('Cluster/MemberList', [MemberListRequestSchema, MemberListResponseSchema], {
    linearizable: true,
  })
  expect(list.members).toMatchObject([
    { ID: numberOf('m0'), name: 'name', peerURLs: [`p2p://${self}`], clientURLs: ['http://here'], isLearner: false },
  ])
})

test('a lease from its grant to its end', async () => {
  const { ask, stream } = api()
  const { ID, TTL } = await ask('Lease/LeaseGrant', grant, { TTL: 60n })
  expect(TTL).toBe(60n)
  await ask('KV/Put', put, { key, lease: ID })
  const timeToLive = [LeaseTimeToLiveRequestSchema, LeaseTimeToLiveResponseSchema] as const
  expect(await ask('Lease/LeaseTimeToLive', timeToLive, { ID, keys: true })).toMatchObject({
    TTL: 59n,
    grantedTTL: 60n,
    keys: [key],
  })
  const leases = await ask('Lease/LeaseLeases', [LeaseLeasesRequestSchema, LeaseLeasesResponseSchema])
  expect(leases.leases.map(one => one.ID)).toEqual([ID])
  const { sent, handler, ended } = stream('Lease/LeaseKeepAlive')
  for (const one of [ID, 999n]) {
    const bytes = toBinary(LeaseKeepAliveRequestSchema, create(LeaseKeepAliveRequestSchema, { ID: one }))
    handler.message(bytes, 0, bytes.length)
  }
  handler.halfClosed()
  await expect.poll(ended).toBe('well')
  const answers = sent.map(bytes => fromBinary(LeaseKeepAliveResponseSchema, bytes))
  expect(answers.map(one => [one.ID, one.TTL])).toEqual([
    [ID, 60n],
    [999n, 0n],
  ])
  await ask('Lease/LeaseRevoke', [LeaseRevokeRequestSchema, LeaseRevokeResponseSchema], { ID })
  expect((await ask('KV/Range', range, { key })).kvs).toEqual([])
  expect((await ask('Lease/LeaseTimeToLive', timeToLive, { ID })).TTL).toBe(-1n)
})

test('a snapshot is the backup, in the shape that etcdctl takes for whole', () => {
  const { stream } = api()
  const { sent, handler, ended } = stream('Maintenance/Snapshot')
  handler.message(new Uint8Array(0), 0, 0)
  expect(ended()).toBe('well')
  const answers = sent.map(bytes => fromBinary(SnapshotResponseSchema, bytes))
  expect(answers.map(one => one.remainingBytes > 0n)).toEqual([...answers.slice(1).map(() => true), false])
  const file = Buffer.concat(answers.map(one => one.blob))
  expect(file.length % 512).toBe(32)
  const opened = openSnapshot(file)
  expect(Buffer.from(opened?.backup ?? []).toString()).toBe('a backup, in two chunks')
  const checksum = createHash('sha256')
    .update(file.subarray(0, file.length - 32))
    .digest()
  expect(Buffer.from(opened?.checksum ?? []).equals(checksum)).toBe(true)
  for (const length of [0, 31, 32, 543]) expect(openSnapshot(file.subarray(0, length))).toBeUndefined()
  expect(openSnapshot(Buffer.alloc(544))).toBeUndefined()
})

test('texts become numbers that stay, and are never 0', () => {
  // FNV-1a's own test vectors.
  expect(numberOf('')).toBe(0xcbf29ce484222325n)
  expect(numberOf('a')).toBe(0xaf63dc4c8601ec8cn)
  expect(numberOf('foobar')).toBe(0x85944171f73967e8n)
})
