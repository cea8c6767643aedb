import fc from 'fast-check'
import { expect, test } from 'vitest'
import { commandVersion, decodeCommand, encodeCommand } from '../../src/kv/codec.ts'
import { doneCountMax } from '../../src/kv/done.ts'
import { apply, captureKv, createKv, type Kv, restoreKv } from '../../src/kv/kv.ts'
import { get, range } from '../../src/kv/read.ts'
import { encodeSnapshot, snapshotReader } from '../../src/kv/snapshot.ts'
import { type KeyValue, StoreError, type Write } from '../../src/kv/store.ts'
import { Table } from '../../src/kv/table.ts'

let ids = 0
function write(kv: Kv, command: Write, id = `id-${ids++}`, term = 1) {
  const bytes = encodeCommand({ kind: 'write', write: { ...command, id } })
  const { answer, events } = apply(kv, { index: kv.index + 1, term, command: bytes }, true)
  if (answer.kind !== 'write') throw new Error(`a write was answered with ${answer.kind}`)
  return { answer: answer.result, events }
}
function compact(kv: Kv, revision: number) {
  return apply(kv, { index: kv.index + 1, term: 1, command: encodeCommand({ kind: 'compact', revision }) }, true)
}
const put = (key: string, value: string): Write => ({ compare: [], operations: [{ key, value }] })
const del = (key: string): Write => ({ compare: [], operations: [{ key, value: undefined }] })

function reasonOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof StoreError) return error.reason
    throw error
  }
  return 'no error'
}

test('a write gets the next revision, and creates keep theirs', () => {
  const kv = createKv()
  expect(write(kv, put('a', '1')).answer).toEqual({ kind: 'done', revision: 2 })
  expect(write(kv, put('a', '2')).answer).toEqual({ kind: 'done', revision: 3 })
  expect(get(kv, 'a')).toEqual({ key: 'a', value: '2', createRevision: 2, modRevision: 3, version: 2, lease: 0 })
  write(kv, del('a'))
  write(kv, put('a', '3'))
  expect(get(kv, 'a')?.createRevision).toBe(5)
})

test('compare-and-set over several keys does all or nothing, and a conflict shows what is there', () => {
  const kv = createKv()
  write(kv, put('a', '1'))
  const command: Write = {
    compare: [
      { key: 'a', modRevision: 2 },
      { key: 'b', modRevision: 0 },
    ],
    operations: [
      { key: 'a', value: '2' },
      { key: 'b', value: '1' },
    ],
  }
  const done = write(kv, command)
  expect(done.answer).toEqual({ kind: 'done', revision: 3 })
  expect(done.events.map(e => e.kind)).toEqual(['put', 'put'])
  expect(write(kv, command).answer).toMatchObject({
    kind: 'conflict',
    revision: 3,
    current: [{ key: 'a' }, { key: 'b' }],
  })
  expect(get(kv, 'a')?.value).toBe('2')
})

test('what a deposed leader planned is refused by its term', () => {
  const kv = createKv()
  expect(write(kv, { ...put('a', '1'), term: 4 }, 'x', 5).answer).toEqual({ kind: 'fenced', term: 5 })
  expect(get(kv, 'a')).toBeUndefined()
  expect(write(kv, { ...put('a', '1'), term: 5 }, 'x', 5).answer.kind).toBe('done')
})

test('a write proposed twice happens once, also on a replica restored between', () => {
  const kv = createKv()
  write(kv, put('a', '1'), 'same')
  write(kv, put('a', '2'))
  const restored = restoreKv(captureKv(kv))
  for (const replica of [kv, restored]) {
    const again = write(replica, put('a', '1'), 'same')
    expect(again).toEqual({ answer: { kind: 'done', revision: 2 }, events: [] })
    expect(get(replica, 'a')?.value).toBe('2')
  }
  expect(restored.hash).toBe(kv.hash)
  for (let i = 0; i < doneCountMax + 10; i++) write(kv, put('b', String(i)))
  expect(kv.done.size).toBe(doneCountMax)
})

test('a write that changes nothing takes no revision', () => {
  const kv = createKv()
  expect(write(kv, del('nothing')).answer).toEqual({ kind: 'done', revision: 1 })
  expect(kv.versions.count).toBe(0)
})

test('a key named twice gets the last word and one event', () => {
  const kv = createKv()
  const command = {
    compare: [],
    operations: [
      { key: 'a', value: '1' },
      { key: 'a', value: undefined },
      { key: 'a', value: '2' },
    ],
  }
  expect(write(kv, command).events).toHaveLength(1)
  expect(get(kv, 'a')?.value).toBe('2')
})

test('any bytes are applied without a throw, and alike on two replicas', () => {
  const twin = [createKv(), createKv()] as const
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), command => {
      const [a, b] = twin.map(kv => apply(kv, { index: kv.index + 1, term: 1, command }, true))
      expect(a).toEqual(b)
      expect(twin[0].hash).toBe(twin[1].hash)
    }),
    { seed: 1, numRuns: 2_000 },
  )
})

test('every proper prefix of a command is malformed, and another version is unsupported', () => {
  const bytes = encodeCommand({
    kind: 'write',
    write: {
      compare: [{ key: 'k', modRevision: 3e9 }],
      operations: [{ key: 'ü', value: '\0\xff' }],
      term: 9,
      id: 'id',
    },
  })
  expect(decodeCommand(bytes)).toMatchObject({ write: { operations: [{ key: 'ü', value: '\0\xff' }] } })
  for (let n = 0; n < bytes.length; n++) expect(decodeCommand(bytes.slice(0, n)).kind).toBe('malformed')
  const newer = bytes.slice()
  newer[0] = commandVersion + 1
  expect(decodeCommand(newer).kind).toBe('unsupported')
})

test('reads at an old revision show that revision until it is compacted', () => {
  // The naive twin keeps a copy of everything at each revision.
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
  const step = fc.record({ key, value: fc.option(fc.constantFrom('1', '2')) })
  fc.assert(
    fc.property(
      fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 30 }),
      fc.nat(6),
      (steps, limit) => {
        const kv = createKv()
        const copies = new Map<number, readonly KeyValue[]>([[kv.revision, []]])
        for (const operations of steps) {
          write(kv, { compare: [], operations: operations.map(o => ({ key: o.key, value: o.value ?? undefined })) })
          copies.set(kv.revision, kv.versions.all())
          if (kv.versions.count > 10) compact(kv, kv.revision - 5)
        }
        for (const [revision, all] of copies) {
          if (revision < kv.versions.compacted) {
            expect(reasonOf(() => range(kv, { from: '', to: 'z', revision }))).toBe('compacted')
            continue
          }
          const expected = all.filter(item => item.key >= 'b' && item.key < 'f')
          expect(range(kv, { from: 'b', to: 'f', revision, limit })).toEqual({
            items: expected.slice(0, limit),
            revision,
            remaining: Math.max(0, expected.length - limit),
          })
          for (const name of ['a', 'c']) expect(get(kv, name, revision)).toEqual(all.find(item => item.key === name))
        }
        expect(reasonOf(() => range(kv, { from: '', to: 'z', revision: kv.revision + 1 }))).toBe('unavailable')
      },
    ),
    { seed: 2, numRuns: 300 },
  )
})

test('history gives the events of a range in order, whole revisions, and how far it looked', () => {
  const kv = createKv()
  for (let i = 0; i < 10; i++)
    write(kv, { compare: [], operations: [...put(`a${i}`, 'x').operations, ...put(`b${i}`, 'x').operations] })
  const first = kv.versions.since({ from: 'a', to: 'b' }, 3, kv.revision, 4)
  expect(first.events.map(e => (e.kind === 'put' ? e.current.modRevision : 0))).toEqual([4, 5, 6, 7])
  expect(first.revision).toBe(7)
  expect(kv.versions.since({ from: 'c', to: 'd' }, 3, kv.revision, 4)).toEqual({ revision: 11, events: [] })
})

test('compaction goes through the log, and never beyond the present', () => {
  const kv = createKv()
  for (let i = 0; i < 5; i++) write(kv, put('a', String(i)))
  compact(kv, 4)
  expect(reasonOf(() => get(kv, 'a', 3))).toBe('compacted')
  expect(get(kv, 'a', 4)?.value).toBe('2')
  expect(compact(kv, 7).answer).toEqual({ kind: 'failed', revision: 6, why: 'future-revision' })
  expect(compact(kv, 4).answer).toEqual({ kind: 'failed', revision: 6, why: 'compacted' })
  expect(kv.versions.compacted).toBe(4)
})

test('the hash tells two histories apart', () => {
  const a = createKv()
  const b = createKv()
  write(a, put('a', '1'), 'i')
  write(b, put('a', '2'), 'i')
  expect(a.hash).not.toBe(b.hash)
})

test('a snapshot restores the same state, and any bent or missing chunk is noticed', () => {
  const kv = createKv()
  for (let i = 0; i < 3_000; i++) write(kv, put(`/registry/pods/${i}`, `{"n":"${'x'.repeat(200)}"}`))
  const context = new Uint8Array([1, 2, 3])
  const chunks = [...encodeSnapshot(captureKv(kv), context)]
  expect(chunks.length).toBeGreaterThan(3)
  const read = (given: readonly Uint8Array[]) => {
    const reader = snapshotReader()
    for (const chunk of given) reader.push(chunk)
    return reader.finish()
  }
  const back = read(chunks)
  expect(back?.context).toEqual(context)
  expect(back && captureKv(restoreKv(back.image))).toEqual(captureKv(kv))
  for (let at = 0; at < chunks.length; at++) {
    const without = chunks.toSpliced(at, 1)
    if (at === chunks.length - 1) expect(read(without)).toBeUndefined()
    else expect(() => read(without)).toThrow('snapshot')
    const bent = chunks.map(c => c.slice())
    const chunk = bent[at] ?? new Uint8Array()
    const place = (at * 7919) % chunk.length
    chunk[place] = (chunk[place] ?? 0) ^ 4
    expect(() => read(bent)).toThrow('snapshot')
  }
})

const smaller = (twin: ReadonlyMap<string, unknown>, than: string) => [...twin.keys()].filter(key => key < than).length

test('the table agrees with a sorted list, in any order of adds, deletes and questions', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3_000), fc.boolean()), { maxLength: 400 }), fc.nat(3_000), (steps, from) => {
      const table = new Table<{ key: string; n: number }>()
      const twin = new Map<string, { key: string; n: number }>()
      const name = (n: number) => String(n).padStart(5, '0')
      for (let i = 0; i < 2_000; i++) {
        const item = { key: name((i * 7919) % 3_001), n: i }
        table.add(item)
        twin.set(item.key, item)
      }
      for (const [n, keep] of steps) {
        const item = { key: name(n), n }
        if (keep && !twin.has(item.key)) {
          table.add(item)
          twin.set(item.key, item)
        } else if (!keep) {
          expect(table.delete(item.key)).toEqual(twin.get(item.key))
          twin.delete(item.key)
        } else if (n % 10 === 0) expect(table.count('', item.key)).toBe(smaller(twin, item.key))
      }
      const all = [...twin.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
      expect(table.all()).toEqual(all)
      expect(table.size).toBe(all.length)
      const tail = all.filter(item => item.key >= name(from))
      expect(table.slice(name(from), 'z', 10)).toEqual(tail.slice(0, 10))
      expect(table.count(name(from), 'z')).toBe(tail.length)
    }),
    { seed: 3, numRuns: 60 },
  )
})

test('100,000 keys in any order are put and counted', () => {
  const kv = createKv()
  for (let i = 0; i < 100_000; i++) write(kv, put(`/registry/pods/default/web-${(i * 7919) % 100_003}`, 'x'))
  expect(range(kv, { from: '/', to: '0', limit: 5 }).remaining).toBe(99_995)
})
