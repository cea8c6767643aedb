// WGL and the model of the store: against brute force on small histories, on classic histories made by hand, and on long
// ones.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { linearizableByBruteForce } from './brute.ts'
import { generate, type Shape, spoil } from './generate.ts'
import {
  describeOperation,
  formatOperation,
  type KeyValue,
  type Operation,
  parseHistory,
  type Request,
  type Response,
} from './history.ts'
import { checkStore, isOfNewestState, storeModel } from './model.ts'
import { explain } from './wgl.ts'

/** How many random histories; the long run sets 100,000. */
const runs = Number(process.env['FLOTILLA_CHECK_RUNS'] ?? 3_000)

const small: Shape = { operations: 7, clients: 4, keys: 2, ambiguous: 0.25, areValuesUnique: false }
const anySmall = fc.record({
  seed: fc.nat(),
  spoilt: fc.nat(),
  shape: fc.record({
    operations: fc.integer({ min: 1, max: 8 }),
    clients: fc.integer({ min: 1, max: 7 }),
    keys: fc.integer({ min: 1, max: 3 }),
    ambiguous: fc.constantFrom(0, 0.2, 0.6),
    areValuesUnique: fc.boolean(),
  }),
})

const model = storeModel()
const verdict = (operations: readonly Operation[]) => checkStore(operations)
const brute = (operations: readonly Operation[]) => linearizableByBruteForce(model, operations.filter(isOfNewestState))

test('WGL agrees with brute force on random histories, correct and spoilt', { timeout: 3_600_000 }, () => {
  const counts = { ok: 0, illegal: 0 }
  fc.assert(
    fc.property(anySmall, ({ seed, spoilt, shape }) => {
      const { operations } = generate(seed, shape)
      const history = spoilt % 3 === 0 ? operations : spoil(spoilt, operations)
      const expected = brute(history) ? 'ok' : 'illegal'
      counts[expected]++
      expect(verdict(history).kind).toBe(expected)
    }),
    { numRuns: runs },
  )
  // The check would be worth little if nearly all histories were of one kind.
  expect(Math.min(counts.ok, counts.illegal)).toBeGreaterThan(runs / 10)
})

test('every correct history with one lie in it that brute force confirms is found', { timeout: 3_600_000 }, () => {
  let confirmed = 0
  for (let seed = 1; confirmed < Math.max(1_000, runs / 4); seed++) {
    const { operations } = generate(seed, small)
    expect(verdict(operations).kind, `seed ${seed}`).toBe('ok')
    const lie = spoil(seed, operations)
    if (brute(lie)) continue
    confirmed++
    expect(verdict(lie).kind, `seed ${seed}`).toBe('illegal')
  }
})

const item = (key: string, value: string, createRevision: number, modRevision: number, version: number): KeyValue => ({
  key,
  value,
  createRevision,
  modRevision,
  version,
})
const done = (client: number, call: number, end: number, request: Request, response: Response): Operation => ({
  client,
  call,
  return: end,
  request,
  outcome: { kind: 'done', response },
})
const lost = (client: number, call: number, request: Request): Operation => ({
  client,
  call,
  return: Infinity,
  request,
  outcome: { kind: 'ambiguous' },
})
const put = (key: string, value: string): Request => ({ kind: 'put', key, value })
const get = (key: string): Request => ({ kind: 'get', key })
const items = (revision: number, ...list: KeyValue[]): Response => ({ kind: 'items', revision, items: list })
const swap = (key: string, than: number, value: string): Request => ({
  kind: 'txn',
  compare: [{ target: 'mod', key, is: '=', than }],
  success: [{ kind: 'put', key, value }],
  failure: [],
})
const swapped = (revision: number, succeeded: boolean): Response => ({
  kind: 'txn',
  revision,
  succeeded,
  steps: succeeded ? [{ kind: 'put', revision }] : [],
})

test('a stale read is found, and the explanation names it', () => {
  const history = [
    done(1, 0, 1, put('a', 'x'), { kind: 'put', revision: 2 }),
    done(1, 2, 3, put('a', 'y'), { kind: 'put', revision: 3 }),
    done(2, 4, 5, get('a'), items(2, item('a', 'x', 2, 2, 1))),
  ]
  const found = verdict(history)
  expect(found.kind).toBe('illegal')
  expect(explain(found, describeOperation)).toContain('client 2: get a → a=x')
})

test('the same read is fine while the second write is under way', () => {
  const history = [
    done(1, 0, 1, put('a', 'x'), { kind: 'put', revision: 2 }),
    done(1, 2, 8, put('a', 'y'), { kind: 'put', revision: 3 }),
    done(2, 4, 5, get('a'), items(2, item('a', 'x', 2, 2, 1))),
  ]
  expect(verdict(history).kind).toBe('ok')
})

test('a lost update is found: two swaps of one revision both succeed', () => {
  const history = [
    done(1, 0, 1, put('a', 'x'), { kind: 'put', revision: 2 }),
    done(1, 2, 6, swap('a', 2, 'y'), swapped(3, true)),
    done(2, 2, 6, swap('a', 2, 'z'), swapped(4, true)),
  ]
  expect(verdict(history).kind).toBe('illegal')
})

test('a split brain is found: two writes of one revision', () => {
  const history = [
    done(1, 0, 9, put('a', 'x'), { kind: 'put', revision: 2 }),
    done(2, 0, 9, put('b', 'y'), { kind: 'put', revision: 2 }),
  ]
  expect(verdict(history).kind).toBe('illegal')
})

test('an acknowledged write that is lost is found', () => {
  const history = [done(1, 0, 1, put('a', 'x'), { kind: 'put', revision: 2 }), done(2, 2, 3, get('a'), items(1))]
  expect(verdict(history).kind).toBe('illegal')
})

test('an ambiguous write may be seen later, or never, but not be undone', () => {
  const write = lost(1, 0, put('a', 'x'))
  const absent = done(2, 1, 2, get('a'), items(1))
  const there = done(2, 50, 51, get('a'), items(2, item('a', 'x', 2, 2, 1)))
  const gone = done(2, 60, 61, get('a'), items(2))
  expect(verdict([write, absent]).kind).toBe('ok')
  expect(verdict([write, absent, there]).kind).toBe('ok')
  expect(verdict([write, there, gone]).kind).toBe('illegal')
})

test('an ambiguous write cannot be seen before it was called', () => {
  const read = done(2, 0, 1, get('a'), items(2, item('a', 'x', 2, 2, 1)))
  expect(verdict([read, lost(1, 5, put('a', 'x'))]).kind).toBe('illegal')
})

test('an ambiguous write of a known revision has to happen at that revision', () => {
  const known: Operation = { ...lost(1, 0, put('a', 'x')), outcome: { kind: 'ambiguous', revision: 3 } }
  const other = done(2, 1, 2, put('b', 'y'), { kind: 'put', revision: 2 })
  expect(verdict([known, other]).kind).toBe('ok')
  expect(verdict([known, { ...other, outcome: { kind: 'done', response: { kind: 'put', revision: 3 } } }]).kind).toBe(
    'illegal',
  )
})

test('a retried write that was applied twice is found', () => {
  const history = [
    done(1, 0, 1, put('a', 'x'), { kind: 'put', revision: 2 }),
    done(2, 2, 3, get('a'), items(3, item('a', 'x', 2, 3, 2))),
  ]
  expect(verdict(history).kind).toBe('illegal')
})

test('a limit that is reached says unknown', () => {
  const { operations } = generate(5, { ...small, operations: 60, ambiguous: 0 })
  expect(checkStore(operations, { states: 10 }).kind).toBe('unknown')
})

test('long histories are decided: 20,000 operations of 10 clients on 10 keys', () => {
  const shape = { operations: 20_000, clients: 10, keys: 10, ambiguous: 0, areValuesUnique: true }
  const { operations } = generate(11, shape)
  expect(verdict(operations).kind).toBe('ok')
  const read = operations.findLastIndex(({ request }) => request.kind === 'range')
  const at = operations[read]
  if (at?.outcome.kind !== 'done' || at.outcome.response.kind !== 'items') throw new Error('no read to spoil')
  const { response } = at.outcome
  const spoilt: Operation = {
    ...at,
    outcome: { kind: 'done', response: { ...response, items: response.items.slice(1) } },
  }
  expect(verdict(operations.with(read, spoilt)).kind).toBe('illegal')
})

test('ambiguous operations of which nothing more is known are decided too: 100 operations, every tenth', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const shape = { operations: 100, clients: 8, keys: 10, ambiguous: 0.1, areValuesUnique: true }
    expect(verdict(generate(seed, shape).operations).kind, `seed ${seed}`).toBe('ok')
  }
})

test('a history survives its way through JSON lines', () => {
  const { operations } = generate(3, { ...small, operations: 200 })
  expect(parseHistory(operations.map(formatOperation).join('\n'))).toEqual(operations)
  expect(() => parseHistory('{"client":1}')).toThrow('line 1 is no operation')
})
