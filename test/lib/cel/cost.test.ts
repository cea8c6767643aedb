// Costs: what evaluation counts (constants are free, as upstream makes them before), that it ends at the limit, and what is
// estimated before.
import { expect, test } from 'vitest'
import { compile, environment, estimateCost, type Program } from '../../../src/lib/cel/cel.ts'
import type { Range } from '../../../src/lib/cel/env.ts'
import { costLimit, types, values } from './run.ts'

function program(source: string): Program {
  const compiled = compile(source, environment(types))
  if (compiled.kind === 'refused') throw new Error(compiled.message)
  return compiled.program
}

/** Sizes of the variables that run.ts gives. */
function sizes(path: readonly string[]): Range | undefined {
  const max = { s: 5, items: 3, labels: 2, '@values': 5, '@keys': 4 }[path.at(-1) ?? '']
  return max === undefined ? undefined : { min: 0, max }
}

/** Expression, what running it costs, and the estimate: min, max. */
const costs: readonly (readonly [string, number, number, number])[] = [
  ['1', 0, 0, 0],
  ['x', 1, 1, 1],
  ['x + 1', 2, 2, 2],
  ['x == 7', 2, 2, 2],
  ["s.startsWith('he')", 2, 2, 2],
  ['s + s', 3, 2, 3],
  ["s.matches('a*')", 2, 2, 2],
  ['[1, 2]', 0, 10, 10],
  ["{'a': 1}", 0, 30, 30],
  ['labels.app', 2, 2, 2],
  ['has(labels.app)', 1, 1, 1],
  ['x in items', 5, 2, 5],
  ['true || x == 7', 0, 0, 2],
  ['x == 7 ? s : s + s', 2, 3, 5],
  ['items.all(i, i > 0)', 17, 2, 17],
  ['items.exists(i, i > 2)', 20, 2, 20],
  ['items.map(i, i * 2)', 44, 12, 54],
  ['[1, 2, 3].all(i, i > 0)', 16, 20, 26],
  ['items.all(i, items.all(j, i != j || true))', 71, 2, 71],
]

test.each(costs)('%s costs %i', (source, actual, min, max) => {
  const compiled = program(source)
  expect(compiled.evaluate(values, { costLimit })).toMatchObject({ kind: 'value', cost: actual })
  expect(estimateCost(compiled, sizes)).toEqual({ min, max })
})

test('what nothing bounds costs without end', () => {
  const unbounded = () => undefined
  expect(estimateCost(program('items.all(i, i > 0)'), unbounded).max).toBe(Number.POSITIVE_INFINITY)
  expect(estimateCost(program('s == s + s'), unbounded).max).toBe(Number.POSITIVE_INFINITY)
  expect(estimateCost(program('x == 1'), unbounded)).toEqual({ min: 2, max: 2 })
})

test('evaluation ends at the limit, which || does not absorb', () => {
  const exceeded = 'operation cancelled: actual cost limit exceeded'
  const loop = 'items.map(a, items.map(b, items.map(c, items.map(d, items.map(e, a + b + c + d + e)))))'
  const run = (source: string, limit: number) => program(source).evaluate(values, { costLimit: limit })
  expect(run(`${loop}.size() > 0 || true`, 1_000)).toMatchObject({ kind: 'failed', error: exceeded })
  expect(run(`true || ${loop}.size() > 0`, 1_000)).toMatchObject({ kind: 'value', value: true })
})

/** `once` of a sum that doubles at each level. */
const doubled = (name: string, times: number, once: (name: string) => string): string =>
  times === 0
    ? once(name)
    : `optional.of(${name} + ${name}).optMap(${name}${name}, ${doubled(name + name, times - 1, once)}).value()`

test('values that double with each step are no way round the limit', () => {
  // Lists share their parts, so that the sum is small; going through it is what costs.
  for (const once of [
    (l: string) => `7 in ${l}`,
    (l: string) => `${l} == ${l} + ${l}`,
    (l: string) => `${l}.all(e, e > 0)`,
  ]) {
    const evaluated = program(doubled('items', 8, once)).evaluate(values, { costLimit: 100 })
    expect(evaluated).toMatchObject({ kind: 'failed', error: 'operation cancelled: actual cost limit exceeded' })
  }
  const names = Array.from({ length: 40 }, (_, i) => `v${i}`)
  const nested = names.reduceRight(
    (body, name, i) =>
      `optional.of(${names[i - 1] ?? 'items'} + ${names[i - 1] ?? 'items'}).optMap(${name}, ${body}).value()`,
    '7 in v39',
  )
  const evaluated = program(nested).evaluate(values, { costLimit })
  expect(evaluated).toMatchObject({ kind: 'failed', error: 'operation cancelled: actual cost limit exceeded' })
})
