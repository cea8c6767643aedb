import { expect, test } from 'vitest'
import { encodeCommand } from '../../src/kv/codec.ts'
import { apply, createKv, type Kv } from '../../src/kv/kv.ts'
import { createForgetting } from '../../src/store/forget.ts'

function put(kv: Kv, key: string, value: string, more: readonly string[] = []): void {
  const operations = [key, ...more].map(each => ({ key: each, value }))
  const command = encodeCommand({ kind: 'write', write: { compare: [], operations } })
  apply(kv, { index: kv.index + 1, term: 1, command }, false)
}

function compact(kv: Kv, revision: number | undefined): void {
  if (revision === undefined) throw new Error('nothing to forget')
  const command = encodeCommand({ kind: 'compact', revision })
  apply(kv, { index: kv.index + 1, term: 1, command }, false)
}

test('changes are forgotten when they are old, and none that is younger', () => {
  const kv = createKv()
  const forgetting = createForgetting({ oldTicks: 100, countMax: 1_000, bytesMax: 1e9 })
  const seen = new Map<number, number>()
  for (let tick = 0; tick < 1_000; tick += 10) {
    put(kv, 'k', String(tick))
    seen.set(kv.revision, tick)
    const revision = forgetting.look(kv.versions, kv.revision, tick, true)
    if (revision === undefined) {
      expect(tick).toBeLessThan(110)
      continue
    }
    expect(tick - (seen.get(revision) ?? 0)).toBe(100)
    compact(kv, revision)
    expect(forgetting.look(kv.versions, kv.revision, tick, false)).toBeUndefined()
  }
  expect(kv.versions.count).toBeLessThan(15)
})

test('of too many changes, and of too large ones, the oldest are forgotten, with room for some more', () => {
  const kv = createKv()
  const forgetting = createForgetting({ oldTicks: 100, countMax: 100, bytesMax: 100_000 })
  let times = 0
  for (let i = 0; i < 1_000; i++) {
    put(kv, `k${i % 10}`, 'x'.repeat(i < 500 ? 1 : 5_000))
    const revision = forgetting.look(kv.versions, kv.revision, 0, false)
    if (revision === undefined) continue
    times += 1
    compact(kv, revision)
    expect(kv.versions.count).toBeLessThanOrEqual(75)
    expect(kv.versions.bytes).toBeLessThanOrEqual(75_000)
    expect(kv.versions.count).toBeGreaterThan(5)
  }
  expect(times).toBeGreaterThan(50)
  expect(times).toBeLessThan(150)
})

test('a change of many keys is forgotten as a whole or not at all, and one that is too large alone is kept', () => {
  const kv = createKv()
  const forgetting = createForgetting({ oldTicks: 100, countMax: 10, bytesMax: 2_000 })
  const keys = Array.from({ length: 8 }, (_, i) => `k${i}`)
  for (let i = 0; i < 5; i++) put(kv, 'a', 'x', keys)
  compact(kv, forgetting.look(kv.versions, kv.revision, 0, false))
  expect(kv.versions.compacted).toBe(kv.revision)
  put(kv, 'a', 'x'.repeat(10_000))
  put(kv, 'a', 'x'.repeat(10_000))
  compact(kv, forgetting.look(kv.versions, kv.revision, 0, false))
  expect(kv.versions.compacted).toBe(kv.revision)
  expect(kv.versions.count).toBe(1)
  expect(forgetting.look(kv.versions, kv.revision, 0, false)).toBeUndefined()
})

test('who was deposed begins anew: what it proposed may not have come about', () => {
  const kv = createKv()
  const forgetting = createForgetting({ oldTicks: 100, countMax: 10, bytesMax: 1e9 })
  for (let i = 0; i < 20; i++) put(kv, 'k', String(i))
  const first = forgetting.look(kv.versions, kv.revision, 0, false)
  expect(first).toBeDefined()
  put(kv, 'k', 'more while it is on its way')
  expect(forgetting.look(kv.versions, kv.revision, 0, false)).toBeUndefined()
  forgetting.reset()
  expect(forgetting.look(kv.versions, kv.revision, 0, false)).toBe((first ?? 0) + 1)
})
