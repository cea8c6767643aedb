// Transactions, leases and compaction mean what they mean in etcd (docs/learning/api, and server/etcdserver/txn where the
// documents are silent), on every replica, and whether or not somebody waits for the answer.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeCommand, encodeCommand, txnDepthMax } from '../../src/kv/codec.ts'
import { apply, captureKv, createKv, type Kv, restoreKv } from '../../src/kv/kv.ts'
import { hashAt, look } from '../../src/kv/read.ts'
import { encodeSnapshot, snapshotReader } from '../../src/kv/snapshot.ts'
import type { ChangeEvent, KeyValue } from '../../src/kv/store.ts'
import {
  type Command,
  type Condition,
  type KeyRange,
  keysEnd,
  type Outcome,
  type Txn,
  type TxnOperation,
} from '../../src/kv/txn.ts'
import { versionOf } from '../../src/kv/versions.ts'
import { anyCommand } from './arbitrary.ts'
import { createModel, execute, itemsOf, now } from './model.ts'

const all: KeyRange = { from: '', to: keysEnd }
const one = (from: string): KeyRange => ({ from, to: undefined })

function run(kv: Kv, command: Command, term = 1): { answer: Outcome; events: readonly ChangeEvent[] } {
  const { answer, events } = apply(kv, { index: kv.index + 1, term, command: encodeCommand(command) }, true)
  if (answer.kind === 'idle' || answer.kind === 'malformed' || answer.kind === 'unsupported') {
    throw new Error(`a command was answered with ${answer.kind}`)
  }
  return { answer, events }
}

const put = (key: string, value = 'v', lease = 0, wantsPrevious = false) =>
  ({ kind: 'put', key, value, lease, wantsPrevious }) as const
const keepsValue = (key: string, lease = 0) => ({ ...put(key, '', lease), value: undefined })
const del = (range: KeyRange, wantsPrevious = false) => ({ kind: 'delete', range, wantsPrevious }) as const
const get = (range: KeyRange, revision = 0, limit = 0, countOnly = false) =>
  ({ kind: 'range', range, revision, limit, countOnly }) as const
const txn = (
  success: readonly TxnOperation[],
  conditions: readonly Condition[] = [],
  failure: readonly TxnOperation[] = [],
) => ({ conditions, success, failure }) satisfies Txn
const does = (kv: Kv, ...operations: readonly TxnOperation[]) => run(kv, { kind: 'txn', txn: txn(operations) }).answer

/** Revisions 2 to 5: a twice, b, c with a lease. */
function filled(): Kv {
  const kv = createKv()
  run(kv, { kind: 'grant', lease: 7, ttlSeconds: 60 })
  does(kv, put('a', '1'))
  does(kv, put('a', '2'))
  does(kv, put('b', 'x'))
  does(kv, put('c', 'y', 7))
  return kv
}

const keysIn = (items: readonly KeyValue[]) => items.map(({ key, value }) => `${key}=${value}`).join(' ')

// ---- what etcd says ----

test('all operations of a transaction have one revision, in order, and a range sees those before it', () => {
  const kv = filled()
  const answer = does(kv, get(all), put('d'), get(one('d')), del(one('a')), get(all, 0, 0, true), get(all, 5))
  expect(answer).toMatchObject({
    kind: 'txn',
    revision: 6,
    succeeded: true,
    answers: [
      { count: 3 },
      { kind: 'put' },
      { items: [{ key: 'd', createRevision: 6, modRevision: 6, version: 1 }], count: 1 },
      { kind: 'delete', count: 1 },
      { items: [], count: 3 },
      { count: 3 },
    ],
  })
  const { events } = kv.versions.since(all, 5, kv.revision, 10)
  expect(events.map(event => [event.kind, versionOf(event).key, versionOf(event).modRevision])).toEqual([
    ['put', 'd', 6],
    ['delete', 'a', 6],
  ])
})

test('what changes nothing takes no revision: a delete of nothing, a range, an empty transaction', () => {
  const kv = filled()
  for (const operations of [[del(one('nothing'))], [get(all)], []]) expect(does(kv, ...operations).revision).toBe(5)
  expect(run(kv, { kind: 'grant', lease: 8, ttlSeconds: 60 }).answer.revision).toBe(5)
  expect(run(kv, { kind: 'revoke', lease: 8, term: undefined }).answer.revision).toBe(5)
  // The same value again is a change.
  expect(does(kv, put('a', '2')).revision).toBe(6)
})

test('versions count from the creation, and a key that comes back begins anew', () => {
  const kv = filled()
  expect(kv.versions.get('a')).toMatchObject({ createRevision: 2, modRevision: 3, version: 2 })
  does(kv, del(one('a')))
  does(kv, put('a'))
  expect(kv.versions.get('a')).toMatchObject({ createRevision: 7, modRevision: 7, version: 1 })
})

const conditions: readonly [Condition, boolean][] = [
  [{ range: one('a'), target: 'version', relation: '=', number: 2 }, true],
  [{ range: one('a'), target: 'version', relation: '>', number: 2 }, false],
  [{ range: one('a'), target: 'create', relation: '<', number: 3 }, true],
  [{ range: one('a'), target: 'mod', relation: '!=', number: 2 }, true],
  [{ range: one('c'), target: 'lease', relation: '=', number: 7 }, true],
  [{ range: one('a'), target: 'lease', relation: '=', number: 0 }, true],
  [{ range: one('a'), target: 'value', relation: '=', value: '2' }, true],
  [{ range: one('a'), target: 'value', relation: '>', value: '1' }, true],
  [{ range: one('a'), target: 'value', relation: '<', value: '10' }, false],
  // Of a key that is not there the numbers are 0, and it has no value to compare.
  [{ range: one('z'), target: 'create', relation: '=', number: 0 }, true],
  [{ range: one('z'), target: 'version', relation: '<', number: 1 }, true],
  [{ range: one('z'), target: 'mod', relation: '>', number: 0 }, false],
  [{ range: one('z'), target: 'value', relation: '=', value: '' }, false],
  [{ range: one('z'), target: 'value', relation: '!=', value: 'x' }, false],
  // Of a range, for all its keys.
  [{ range: { from: 'a', to: 'c' }, target: 'mod', relation: '>', number: 2 }, true],
  [{ range: { from: 'a', to: 'c' }, target: 'version', relation: '=', number: 1 }, false],
  [{ range: all, target: 'create', relation: '<', number: 6 }, true],
  [{ range: { from: 'x', to: 'y' }, target: 'create', relation: '=', number: 0 }, true],
]

test.each(conditions)('condition %j holds: %s', (condition, expected) => {
  const kv = filled()
  const command = { kind: 'txn', txn: txn([put('yes')], [condition], [put('no')]) } as const
  expect(run(kv, command).answer).toMatchObject({ succeeded: expected, revision: 6 })
  expect(kv.versions.get(expected ? 'yes' : 'no')).toBeDefined()
  expect(kv.versions.get(expected ? 'no' : 'yes')).toBeUndefined()
})

test('all conditions must hold, and without any they do', () => {
  const kv = filled()
  const yes: Condition = { range: one('a'), target: 'version', relation: '=', number: 2 }
  const no: Condition = { range: one('a'), target: 'version', relation: '=', number: 3 }
  expect(run(kv, { kind: 'txn', txn: txn([], [yes, yes]) }).answer).toMatchObject({ succeeded: true })
  expect(run(kv, { kind: 'txn', txn: txn([], [yes, no]) }).answer).toMatchObject({ succeeded: false })
  expect(run(kv, { kind: 'txn', txn: txn([]) }).answer).toMatchObject({ succeeded: true })
})

test('the conditions of nested transactions are looked at before anything happens', () => {
  const kv = createKv()
  const isThere: Condition = { range: one('a'), target: 'create', relation: '>', number: 0 }
  const inner = txn([put('seen')], [isThere], [put('not-seen'), get(all)])
  const answer = does(kv, put('a'), { kind: 'txn', txn: inner })
  expect(answer).toMatchObject({
    answers: [{ kind: 'put' }, { kind: 'txn', succeeded: false, answers: [{}, { count: 2 }] }],
  })
  expect(keysIn(kv.versions.all())).toBe('a=v not-seen=v')
  expect(kv.revision).toBe(2)
})

const failures: readonly [string, readonly TxnOperation[]][] = [
  ['key-not-found', [put('new'), keepsValue('z')]],
  ['key-not-found', [put('new'), { ...put('z'), lease: undefined }]],
  ['lease-not-found', [put('new'), put('a', '3', 99)]],
  ['future-revision', [put('new'), get(all, 6)]],
  ['future-revision', [put('new'), { kind: 'txn', txn: txn([get(one('a'), 100)]) }]],
  ['compacted', [put('new'), get(all, 2)]],
]

test.each(failures)('a transaction that fails with %s has changed nothing', (why, operations) => {
  const kv = filled()
  run(kv, { kind: 'compact', revision: 3 })
  const before = captureKv(kv)
  expect(does(kv, ...operations)).toEqual({ kind: 'failed', revision: 5, why })
  const { hash: _hash, index: _index, ...after } = captureKv(kv)
  expect(before).toMatchObject(after)
})

test('a put may keep the value or the lease that the key has', () => {
  const kv = filled()
  does(kv, keepsValue('c'))
  expect(kv.versions.get('c')).toMatchObject({ value: 'y', lease: 0, version: 2 })
  does(kv, put('c', 'z', 7))
  does(kv, { ...put('c', 'w'), lease: undefined })
  expect(kv.versions.get('c')).toMatchObject({ value: 'w', lease: 7 })
  does(kv, { ...put('c'), value: undefined, lease: undefined })
  expect(kv.versions.get('c')).toMatchObject({ value: 'w', lease: 7, version: 5 })
  expect(kv.leases.get(7)?.keys).toEqual(new Set(['c']))
  does(kv, put('c', 'plain'))
  expect(kv.leases.get(7)?.keys.size).toBe(0)
})

test('previous values come when they are asked for', () => {
  const kv = filled()
  const a = kv.versions.get('a')
  const answer = does(
    kv,
    put('a', '3', 0, true),
    put('new', 'n', 0, true),
    del({ from: 'b', to: 'd' }, true),
    del(one('q'), true),
  )
  expect(answer).toMatchObject({
    answers: [
      { previous: a },
      { previous: undefined },
      { count: 2, previous: [{ key: 'b' }, { key: 'c', lease: 7 }] },
      { count: 0, previous: [] },
    ],
  })
  expect(does(kv, put('a', '4'), del(one('a')))).toMatchObject({ answers: [{ previous: undefined }, { previous: [] }] })
})

test('a range counts all and gives as many as the limit says', () => {
  const kv = filled()
  expect(
    does(
      kv,
      get(all, 0, 2),
      get({ from: 'b', to: keysEnd }),
      get(all, 3),
      get(one('a'), 2),
      get({ from: 'c', to: 'b' }),
    ),
  ).toMatchObject({
    answers: [
      { items: [{ key: 'a' }, { key: 'b' }], count: 3 },
      { items: [{ key: 'b' }, { key: 'c' }], count: 2 },
      { items: [{ value: '2' }], count: 1 },
      { items: [{ value: '1', version: 1 }], count: 1 },
      { items: [], count: 0 },
    ],
  })
})

test('what comes and goes within one transaction never was', () => {
  const kv = filled()
  expect(does(kv, put('z'), del(one('z'))).revision).toBe(5)
  expect(does(kv, put('a', 'x'), put('a', 'y')).revision).toBe(6)
  expect(kv.versions.get('a')).toMatchObject({ value: 'y', version: 3, modRevision: 6 })
  does(kv, del(one('a')), put('a', 'z'))
  expect(kv.versions.get('a')).toMatchObject({ value: 'z', version: 1, createRevision: 7 })
  expect(kv.versions.since(all, 5, kv.revision, 10).events).toHaveLength(2)
})

test('a lease that is revoked takes its keys with it, in one revision; what left it before stays', () => {
  const kv = filled()
  does(kv, put('d', 'd', 7), put('a', 'a', 7))
  does(kv, put('d', 'free'))
  expect(kv.leases.get(7)?.keys).toEqual(new Set(['c', 'a']))
  const { answer, events } = run(kv, { kind: 'revoke', lease: 7, term: undefined })
  expect(answer).toEqual({ kind: 'revoke', revision: 8, lease: 7 })
  expect(events.map(event => event.kind === 'delete' && event.key)).toEqual(['a', 'c'])
  expect(keysIn(kv.versions.all())).toBe('b=x d=free')
  expect(run(kv, { kind: 'revoke', lease: 7, term: undefined }).answer).toMatchObject({ why: 'lease-not-found' })
  expect(does(kv, put('e', 'e', 7))).toMatchObject({ why: 'lease-not-found' })
})

test('leases: an ID is taken once, 0 lets the state machine choose, and times have bounds', () => {
  const kv = filled()
  expect(run(kv, { kind: 'grant', lease: 7, ttlSeconds: 5 }).answer).toMatchObject({ why: 'lease-exists' })
  const chosen = [1, 2].map(() => run(kv, { kind: 'grant', lease: 0, ttlSeconds: 0 }).answer)
  expect(chosen).toMatchObject([{ ttlSeconds: 2 }, { ttlSeconds: 2 }])
  expect(kv.leases.size).toBe(3)
  expect(run(kv, { kind: 'grant', lease: 9, ttlSeconds: 1e15 }).answer).toMatchObject({ ttlSeconds: 9_000_000_000 })
})

test('an expiry that a deposed leader proposed is refused by its term', () => {
  const kv = filled()
  expect(run(kv, { kind: 'revoke', lease: 7, term: 1 }, 2).answer).toMatchObject({ kind: 'failed', why: 'fenced' })
  expect(kv.leases.has(7)).toBe(true)
  expect(run(kv, { kind: 'revoke', lease: 7, term: 2 }, 2).answer).toMatchObject({ kind: 'revoke' })
})

test('compaction: reads before it are refused, at it and after it not; twice or into the future is an error', () => {
  const kv = filled()
  expect(run(kv, { kind: 'compact', revision: 6 }).answer).toMatchObject({ why: 'future-revision' })
  expect(run(kv, { kind: 'compact', revision: 4 }).answer).toEqual({ kind: 'compact', revision: 5 })
  expect(run(kv, { kind: 'compact', revision: 4 }).answer).toMatchObject({ why: 'compacted' })
  const at = (revision: number) => () => look(kv, { range: all, revision, limit: 0, countOnly: false })
  expect(at(3)).toThrow('compacted')
  expect(keysIn(at(4)().items)).toBe('a=2 b=x')
  // A watch may begin with the revision that was compacted to, as in etcd, and not before.
  expect(kv.versions.since(all, 3, kv.revision, 10).events.map(event => versionOf(event).key)).toEqual(['b', 'c'])
  expect(() => kv.versions.since(all, 2, kv.revision, 10)).toThrow('compacted')
})

// ---- against the model ----

const anyCommands = fc.array(fc.tuple(anyCommand, fc.constantFrom(1, 1, 1, 2)), { maxLength: 25 })

test('the state machine does what the model does, whatever is asked of it', () => {
  fc.assert(
    fc.property(anyCommands, commands => {
      const kv = createKv()
      const model = createModel()
      for (const [i, [command, term]] of commands.entries()) {
        const expected = execute(model, command, i + 1, term)
        expect(run(kv, command, term).answer).toEqual(expected)
        expect(kv.versions.all()).toEqual(itemsOf(now(model)))
      }
      expect([...kv.leases].map(([lease, { ttlSeconds }]) => [lease, ttlSeconds])).toEqual([...model.leases])
      for (const [lease, { keys }] of kv.leases) {
        const expected = itemsOf(now(model)).filter(item => item.lease === lease)
        expect([...keys].sort()).toEqual(expected.map(({ key }) => key))
      }
      for (const [revision, state] of model.states) {
        if (revision < model.compacted) continue
        const found = look(kv, { range: { from: 'a', to: 'd' }, revision, limit: 2, countOnly: false })
        const wanted = itemsOf(state).filter(({ key }) => key >= 'a' && key < 'd')
        expect(found).toEqual({ items: wanted.slice(0, 2), count: wanted.length, revision: kv.revision })
      }
      // The events lead from each state to the next, each key once, with what it was.
      for (let revision = Math.max(2, model.compacted); revision <= model.revision; revision++) {
        const state = new Map(model.states.get(revision - 1))
        const { events } = kv.versions.since(all, revision - 1, kv.revision, 1)
        const own = events.filter(event => versionOf(event).modRevision === revision)
        expect(new Set(own.map(event => versionOf(event).key)).size).toBe(own.length)
        for (const event of own) {
          const item = versionOf(event)
          expect(event.previous).toEqual(state.get(item.key))
          if (event.kind === 'put') state.set(item.key, item)
          else state.delete(item.key)
        }
        expect(itemsOf(state)).toEqual(itemsOf(model.states.get(revision) ?? new Map()))
      }
    }),
    { seed: 11, numRuns: 600 },
  )
})

test('replicas agree, with or without answers, and when one is restored from a snapshot anywhere between', () => {
  fc.assert(
    fc.property(anyCommands, fc.nat(24), (commands, cut) => {
      const kv = createKv()
      let other = createKv()
      for (const [i, [command, term]] of commands.entries()) {
        const entry = { index: i + 1, term, command: encodeCommand(command) }
        const here = apply(kv, entry, true)
        const there = apply(other, entry, false)
        expect(there.events).toEqual(here.events)
        expect(there.answer.kind).toBe(here.answer.kind)
        expect(other.hash).toBe(kv.hash)
        if (i === cut) other = throughSnapshot(other)
      }
      expect(captureKv(other)).toEqual(captureKv(kv))
      const revisions = Array.from({ length: kv.revision }, (_, i) => i + 1).filter(at => at >= kv.versions.compacted)
      for (const revision of revisions) expect(hashAt(other, revision)).toEqual(hashAt(kv, revision))
      expect(throughSnapshot(kv).versions.hash).toBe(kv.versions.hash)
    }),
    { seed: 12, numRuns: 400 },
  )
})

function throughSnapshot(kv: Kv): Kv {
  const reader = snapshotReader()
  for (const chunk of encodeSnapshot(captureKv(kv), new Uint8Array(0))) reader.push(chunk)
  const result = reader.finish()
  if (result === undefined) throw new Error('the snapshot does not end')
  return restoreKv(result.image)
}

test('the hash at a revision depends on every field of every version up to it, and on nothing after', () => {
  const kv = filled()
  const at4 = hashAt(kv, 4).hash
  does(kv, put('a', '3'), del(one('b')))
  expect(hashAt(kv, 4).hash).toBe(at4)
  const base = hashAt(kv, 0).hash
  const others = [
    () => does(kv, put('a', '3')),
    () => does(kv, put('q')),
    () => does(kv, del(one('q'))),
    () => does(kv, put('a', '3', 7)),
    () => run(kv, { kind: 'compact', revision: 4 }),
  ]
  const seen = new Set([base])
  for (const change of others) {
    change()
    seen.add(hashAt(kv, 0).hash)
  }
  expect(seen.size).toBe(others.length + 1)
})

// ---- the codec ----

test('commands come back from their bytes as they went in, and every proper prefix is malformed', () => {
  fc.assert(
    fc.property(anyCommand, command => {
      const bytes = encodeCommand(command)
      expect(decodeCommand(bytes)).toEqual(command)
      for (let n = 0; n < bytes.length; n++) expect(decodeCommand(bytes.slice(0, n)).kind).toBe('malformed')
    }),
    { seed: 13, numRuns: 500 },
  )
})

test('bent commands are applied without a throw, and alike on two replicas', () => {
  fc.assert(
    fc.property(anyCommand, fc.nat(), fc.nat(255), (command, at, by) => {
      const bytes = encodeCommand(command).slice()
      bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ by
      const [a, b] = [filled(), filled()].map(kv => {
        const applied = apply(kv, { index: kv.index + 1, term: 1, command: bytes }, true)
        return { applied, image: captureKv(kv) }
      })
      expect(a).toEqual(b)
    }),
    { seed: 14, numRuns: 2_000 },
  )
})

test('text that was not packed is refused before it can lose anything', () => {
  for (const command of [
    { kind: 'txn', txn: txn([put('ключ')]) },
    { kind: 'txn', txn: txn([put('k', '値')]) },
    { kind: 'write', write: { compare: [], operations: [{ key: 'k', value: '値' }] } },
  ] satisfies Command[]) {
    expect(() => encodeCommand(command)).toThrow('not packed')
  }
})

test('transactions in transactions have a bound, for those who write them and for those who read them', () => {
  const nested = (depth: number): Txn => txn(depth === 0 ? [put('k')] : [{ kind: 'txn', txn: nested(depth - 1) }])
  expect(decodeCommand(encodeCommand({ kind: 'txn', txn: nested(txnDepthMax - 1) })).kind).toBe('txn')
  expect(() => encodeCommand({ kind: 'txn', txn: nested(txnDepthMax) })).toThrow('in one another')
  const deep = new Uint8Array(50_000)
  deep.set([2, 3])
  for (let i = 2; i + 3 < deep.length; i += 3) deep.set([0, 1, 4], i)
  expect(decodeCommand(deep).kind).toBe('malformed')
})
