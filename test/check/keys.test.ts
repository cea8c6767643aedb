// The check key by key: agrees with brute force on one register, never accuses what the whole store allows, and takes a
// hundred thousand operations.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { linearizableByBruteForce } from './brute.ts'
import { generate, spoil } from './generate.ts'
import { byKey, checkKeys, registerModel } from './keys.ts'
import { isOfNewestState, storeModel } from './model.ts'

const runs = Number(process.env['FLOTILLA_CHECK_RUNS'] ?? 3_000)

const anyHistory = fc
  .record({
    seed: fc.nat(),
    spoilt: fc.nat(),
    shape: fc.record({
      operations: fc.integer({ min: 1, max: 8 }),
      clients: fc.integer({ min: 1, max: 7 }),
      keys: fc.integer({ min: 1, max: 2 }),
      ambiguous: fc.constantFrom(0, 0.3),
      areValuesUnique: fc.boolean(),
    }),
  })
  .map(({ seed, spoilt, shape }) => {
    const { operations } = generate(seed, shape)
    return spoilt % 3 === 0 ? operations : spoil(spoilt, operations)
  })

test('agrees with brute force on the register of each key', { timeout: 3_600_000 }, () => {
  const counts = { ok: 0, illegal: 0 }
  fc.assert(
    fc.property(anyHistory, history => {
      const parts = [...byKey(history).values()]
      const expected = parts.every(part => linearizableByBruteForce(registerModel, part)) ? 'ok' : 'illegal'
      counts[expected]++
      expect(checkKeys(history).kind).toBe(expected)
    }),
    { numRuns: runs },
  )
  expect(Math.min(counts.ok, counts.illegal)).toBeGreaterThan(runs / 30)
})

test('what the whole store allows, each key allows', { timeout: 3_600_000 }, () => {
  fc.assert(
    fc.property(anyHistory, history => {
      if (linearizableByBruteForce(storeModel(), history.filter(isOfNewestState)))
        expect(checkKeys(history).kind).toBe('ok')
    }),
    { numRuns: runs },
  )
})

const long = { operations: 110_000, clients: 10, keys: 10, ambiguous: 0.02, areValuesUnique: true }

test('a hundred thousand operations, some of them ambiguous, on ten keys', { timeout: 600_000 }, () => {
  const verdict = checkKeys(generate(21, long).operations)
  expect(verdict.kind).toBe('ok')
  expect(verdict.operations).toBeGreaterThan(100_000)
})

test.each(['stale', 'invented'])('one %s read among them is found, and shown', { timeout: 600_000 }, what => {
  const { operations } = generate(22, { ...long, operations: 20_000 })
  const written = new Map<string, string>()
  for (const { request, outcome } of operations)
    if (request.kind === 'put' && outcome.kind === 'done' && !written.has(request.key))
      written.set(request.key, request.value)
  const at = operations.findLastIndex(({ request, outcome }) => request.kind === 'get' && outcome.kind === 'done')
  const read = operations[at]
  if (read?.request.kind !== 'get') throw new Error('no read to spoil')
  const value = what === 'stale' ? (written.get(read.request.key) ?? '') : 'invented'
  const item = { key: read.request.key, value, createRevision: 2, modRevision: 2, version: 1 }
  const outcome = { kind: 'done' as const, response: { kind: 'items' as const, revision: 2, items: [item] } }
  const found = checkKeys(operations.with(at, { ...read, outcome }))
  expect(found.kind).toBe('illegal')
  expect(found.failures[0]?.message).toContain(`=${value}`)
})
