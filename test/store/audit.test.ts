// A replica that is not what the others are is found by them all, whoever leads, and stops.
import { expect, test } from 'vitest'
import { type MemberId, memberId } from '../../src/raft/types.ts'
import { decodeAsk, decodeTold, encodeAsk, encodeTold } from '../../src/store/ask.ts'
import { createHashes, judge } from '../../src/store/audit.ts'
import { knownOf } from '../../src/store/run-audit.ts'
import { eventually, startCluster } from './cluster.ts'

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(memberId) as [MemberId, MemberId, MemberId, MemberId]
const told = (all: Readonly<Record<string, Readonly<Record<number, number>>>>) =>
  new Map(
    Object.entries(all).map(([member, hashes]) => [
      memberId(member),
      Object.entries(hashes).map(([index, hash]) => ({ index: Number(index), hash })),
    ]),
  )

test('the majority of all voters decides, not of those that answer, and learners have no say', () => {
  const voters = [a, b, c]
  const verdict = (self: MemberId, all: Parameters<typeof told>[0]) => judge(self, voters, [9, 8], told(all))
  expect(verdict(a, { a: { 9: 1 }, b: { 9: 1 }, c: { 9: 1 } })).toEqual({ kind: 'equal', index: 9 })
  expect(verdict(a, { a: { 9: 1 }, b: { 9: 2 }, c: { 9: 2 } })).toMatchObject({ kind: 'self-differs', majority: 2 })
  expect(verdict(b, { a: { 9: 1 }, b: { 9: 2 }, c: { 9: 2 } })).toEqual({
    kind: 'others-differ',
    index: 9,
    others: [a],
  })
  expect(verdict(a, { a: { 9: 1 }, b: { 9: 2 } })).toEqual({ kind: 'undecided', index: 9 })
  expect(verdict(a, { a: { 9: 1 } })).toEqual({ kind: 'unknown' })
  expect(verdict(a, { a: { 9: 1 }, b: { 9: 2 }, d: { 9: 2 } })).toEqual({ kind: 'undecided', index: 9 })
  expect(verdict(d, { a: { 9: 1 }, b: { 9: 1 }, d: { 9: 2 } })).toMatchObject({ kind: 'self-differs' })
  // One that is behind is compared where it is.
  expect(verdict(c, { a: { 8: 1, 9: 3 }, b: { 8: 1, 9: 3 }, c: { 8: 2 } })).toMatchObject({
    kind: 'self-differs',
    index: 8,
  })
})

test('the hashes of the last entries are known, and of some long before', () => {
  const hashes = createHashes()
  for (let index = 1; index <= 10_000; index++) hashes.note(index, index * 3)
  expect(hashes.get(10_000)).toBe(30_000)
  expect(hashes.get(10_000 - 2_047)).toBe((10_000 - 2_047) * 3)
  expect(hashes.get(10_000 - 2_048)).toBeUndefined()
  expect(hashes.get(4_096)).toBe(12_288)
  expect(hashes.get(10_001)).toBeUndefined()
  expect(hashes.candidates()).toEqual([10_000, 9_216, 8_192, 7_168])
  expect(knownOf(hashes, [10_000, 3, 9_216])).toHaveLength(2)
  // After a snapshot there is a gap.
  hashes.note(20_000, 7)
  expect(hashes.get(10_000)).toBeUndefined()
  expect(hashes.get(20_000)).toBe(7)
})

test('questions and answers come back as they were, and nothing else is one', () => {
  const asks = [
    { kind: 'renew', lease: 2 ** 52 },
    { kind: 'lease', lease: 1 },
    { kind: 'hashes', indexes: [1, 2 ** 40] },
  ] as const
  for (const ask of asks) {
    const bytes = encodeAsk('cluster', ask)
    expect(decodeAsk(bytes)).toEqual({ cluster: 'cluster', ask })
    for (let n = 0; n < bytes.length; n++) expect(decodeAsk(bytes.slice(0, n))).toBeUndefined()
  }
  const info = { lease: 5, grantedSeconds: 10, remainingSeconds: 3, keys: ['a', '\xff\0'] }
  const answers = [
    { kind: 'not-leader' },
    { kind: 'renewed', ttlSeconds: 9_000_000_000 },
    { kind: 'lease', info },
    { kind: 'hashes', hashes: [{ index: 3, hash: 0xffff_ffff }] },
  ] as const
  for (const answer of answers) {
    const bytes = encodeTold(answer)
    expect(decodeTold(bytes)).toEqual(answer)
    for (let n = 0; n < bytes.length; n++) expect(decodeTold(bytes.slice(0, n))).toBeUndefined()
  }
})

test('a member whose state is not the others stops, and they go on', async () => {
  await using cluster = await startCluster(3, { auditMs: 200 })
  const lead = await cluster.leader()
  const write = (key: string) =>
    lead.store.write({ compare: [], operations: [{ key, value: 'v' }] }, new AbortController().signal)
  await write('a')
  const bad = cluster.peers.find(peer => peer !== lead)
  if (bad === undefined) throw new Error('three peers')
  await bad.store.newest()
  // Nothing else may change what lies in it, so the test does what a bent bit in memory would do.
  const [item] = bad.store.look({ range: { from: 'a', to: undefined }, revision: 0, limit: 0, countOnly: false }).items
  if (item === undefined) throw new Error('a is gone')
  Object.assign(item, { createRevision: 1_000 })
  await write('a')
  await expect(bad.store.done).rejects.toMatchObject({ name: 'StoreDamage', found: 'corrupt' })
  await eventually(() => write('b'))
  expect(lead.store.status().role).toBe('leader')
})
