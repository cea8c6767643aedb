// The replay by revisions: agrees with WGL and brute force, places ambiguous writes, and takes a million operations.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { linearizableByBruteForce } from './brute.ts'
import { type Generated, generate, spoil } from './generate.ts'
import type { Operation } from './history.ts'
import { checkStore, isOfNewestState, storeModel } from './model.ts'
import { type Log, seenOf } from './resolve.ts'
import { describeAnomaly, replay } from './revisions.ts'

const runs = Number(process.env['FLOTILLA_CHECK_RUNS'] ?? 3_000)
const logOfAll = ({ log }: Generated): Log => ({
  revisions: new Map(log.map(({ revision, changes }) => [revision, changes.map(seenOf)])),
  isComplete: true,
})
const brute = (operations: readonly Operation[]) =>
  linearizableByBruteForce(storeModel(), operations.filter(isOfNewestState))

const anyShape = (ambiguous: number) =>
  fc.record({
    seed: fc.nat(),
    spoilt: fc.nat(),
    shape: fc.record({
      operations: fc.integer({ min: 1, max: 8 }),
      clients: fc.integer({ min: 1, max: 7 }),
      keys: fc.integer({ min: 1, max: 3 }),
      ambiguous: fc.constant(ambiguous),
      areValuesUnique: fc.boolean(),
    }),
  })

test('agrees with brute force where nothing is ambiguous', { timeout: 3_600_000 }, () => {
  const counts = { ok: 0, illegal: 0 }
  fc.assert(
    fc.property(anyShape(0), ({ seed, spoilt, shape }) => {
      const { operations } = generate(seed, shape)
      const history = spoilt % 3 === 0 ? operations : spoil(spoilt, operations)
      const expected = brute(history) ? 'ok' : 'illegal'
      counts[expected]++
      expect(replay(history).kind).toBe(expected)
    }),
    { numRuns: runs },
  )
  expect(Math.min(counts.ok, counts.illegal)).toBeGreaterThan(runs / 10)
})

test('with ambiguous operations it never says the opposite of brute force', { timeout: 3_600_000 }, () => {
  const counts = { ok: 0, illegal: 0, unknown: 0 }
  fc.assert(
    fc.property(anyShape(0.3), ({ seed, spoilt, shape }) => {
      const { operations } = generate(seed, shape)
      const history = spoilt % 3 === 0 ? operations : spoil(spoilt, operations)
      const { kind } = replay(history)
      counts[kind]++
      if (kind !== 'unknown') expect(kind).toBe(brute(history) ? 'ok' : 'illegal')
    }),
    { numRuns: runs },
  )
  expect(counts.ok + counts.illegal).toBeGreaterThan(runs / 2)
})

test('with the log of a watch it decides every correct history, ambiguous operations and old reads included', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const shape = { operations: 60, clients: 8, keys: 4, ambiguous: 0.2, areValuesUnique: true, withOldReads: true }
    const generated = generate(seed, shape)
    const replayed = replay(generated.operations, logOfAll(generated))
    expect(replayed.kind, `seed ${seed}\n${replayed.anomalies.map(describeAnomaly).join('\n')}`).toBe('ok')
    expect(checkStore(replayed.history).kind, `seed ${seed}`).toBe('ok')
  }
})

test('with the log it finds every lie that WGL finds', () => {
  let [found, unknown] = [0, 0]
  for (let seed = 1; seed <= 1_000; seed++) {
    const shape = { operations: 30, clients: 6, keys: 3, ambiguous: 0.1, areValuesUnique: true, withOldReads: true }
    const generated = generate(seed, shape)
    const lie = spoil(seed, generated.operations)
    const replayed = replay(lie, logOfAll(generated))
    if (checkStore(replayed.history).kind !== 'illegal') continue
    found++
    if (replayed.kind === 'unknown') unknown++
    else expect(replayed.kind, `seed ${seed}`).toBe('illegal')
  }
  expect(found).toBeGreaterThan(300)
  expect(unknown).toBeLessThan(found / 50)
})

test('a log that shows another change than was written is found', () => {
  const generated = generate(4, { operations: 40, clients: 5, keys: 3, ambiguous: 0, areValuesUnique: true })
  const log = logOfAll(generated)
  const revisions = new Map(log.revisions)
  revisions.set(5, [{ kind: 'put', key: 'k0', value: 'other' }])
  expect(replay(generated.operations, { ...log, revisions }).kind).toBe('illegal')
  revisions.set(5, log.revisions.get(5) ?? []).set(1_000, [{ kind: 'delete', key: 'k0' }])
  expect(replay(generated.operations, { ...log, revisions }).kind).toBe('illegal')
})

const put = (client: number, call: number, end: number, value: string, revision: number): Operation => ({
  client,
  call,
  return: end,
  request: { kind: 'put', key: 'a', value },
  outcome: { kind: 'done', response: { kind: 'put', revision } },
})
const readAt = (call: number, revision: number, kind: 'compacted' | 'future', serializable = false): Operation => ({
  client: 9,
  call,
  return: call + 1,
  request: { kind: 'get', key: 'a', revision, ...(serializable ? { serializable } : {}) },
  outcome: { kind: 'done', response: { kind } },
})

test('"future" for a revision that was there, and "compacted" without a compaction, are found', () => {
  const writes = [put(1, 0, 1, 'x', 2), put(1, 2, 3, 'y', 3)]
  expect(replay([...writes, readAt(5, 4, 'future')]).kind).toBe('ok')
  expect(replay([...writes, readAt(5, 3, 'future')]).kind).toBe('illegal')
  expect(replay([...writes, readAt(5, 3, 'future', true)]).kind).toBe('ok')
  expect(replay([...writes, readAt(5, 2, 'compacted')]).kind).toBe('illegal')
  const compact: Operation = {
    client: 2,
    call: 4,
    return: 5,
    request: { kind: 'compact', revision: 3 },
    outcome: { kind: 'done', response: { kind: 'compact', revision: 3 } },
  }
  expect(replay([...writes, compact, readAt(6, 2, 'compacted')]).kind).toBe('ok')
  expect(replay([...writes, compact, readAt(6, 3, 'compacted')]).kind).toBe('illegal')
  const item = { key: 'a', value: 'x', createRevision: 2, modRevision: 2, version: 1 }
  const served: Operation = {
    ...readAt(6, 2, 'compacted'),
    outcome: { kind: 'done', response: { kind: 'items', revision: 3, items: [item] } },
  }
  expect(replay([...writes, served]).kind).toBe('ok')
  expect(replay([...writes, compact, served]).kind).toBe('illegal')
})

test('a serializable read may be old, but what it shows may not be unseen afterwards', () => {
  const old = { key: 'a', value: 'x', createRevision: 2, modRevision: 2, version: 1 }
  const fresh = { key: 'a', value: 'y', createRevision: 2, modRevision: 3, version: 2 }
  const read = (call: number, item: typeof old, serializable: boolean): Operation => ({
    client: 9,
    call,
    return: call + 1,
    request: { kind: 'get', key: 'a', serializable },
    outcome: { kind: 'done', response: { kind: 'items', revision: item.modRevision, items: [item] } },
  })
  const first = put(1, 0, 1, 'x', 2)
  expect(replay([first, put(1, 2, 3, 'y', 3), read(5, old, true)]).kind).toBe('ok')
  expect(replay([first, put(1, 2, 3, 'y', 3), read(5, old, false)]).kind).toBe('illegal')
  // The second write is still under way when somebody has seen it; a linearizable read after that must see it too.
  expect(replay([first, put(1, 2, 30, 'y', 3), read(5, fresh, true), read(8, old, false)]).kind).toBe('illegal')
})

test('a hundred thousand operations; a million in the long run', { timeout: 600_000 }, () => {
  const shape = {
    operations: runs < 100_000 ? 100_000 : 1_000_000,
    clients: 32,
    keys: 10,
    ambiguous: 0,
    areValuesUnique: true,
  }
  const history = [...generate(9, shape).operations]
  expect(replay(history).kind).toBe('ok')
  const at = history.findLastIndex(({ request }) => request.kind === 'get')
  const read = history[at]
  if (read?.outcome.kind !== 'done' || read.outcome.response.kind !== 'items') throw new Error('no read to spoil')
  const { response } = read.outcome
  history[at] = { ...read, outcome: { kind: 'done', response: { ...response, items: [] } } }
  expect(replay(history).kind).toBe('illegal')
})
