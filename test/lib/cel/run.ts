// What the tests of CEL share: an expression is compiled and evaluated, and what comes of it is one line of text.
import { compile, environment } from '../../../src/lib/cel/cel.ts'
import type { Library } from '../../../src/lib/cel/env.ts'
import type { Variables } from '../../../src/lib/cel/interpret.ts'
import { dyn, int, list, map, string, type Type } from '../../../src/lib/cel/types.ts'
import { ArrayList, EntryMap, type Value } from '../../../src/lib/cel/values.ts'

export const types: Readonly<Record<string, Type>> = {
  x: int,
  s: string,
  d: dyn,
  nothing: dyn,
  items: list(int),
  labels: map(string, string),
}

const labels = new EntryMap()
labels.insert('app', 'app', 'web')
labels.insert('tier', 'tier', 'front')

export const values: Variables = {
  x: 7,
  s: 'hello',
  d: 5,
  nothing: null,
  items: new ArrayList([1, 2, 3]),
  labels,
}

export const costLimit = 1_000_000

/** "true", "error: …", "refused: …". */
export function outcome(source: string, libraries: readonly Library[] = []): string {
  const compiled = compile(source, environment(types, libraries))
  if (compiled.kind === 'refused') return `refused: ${compiled.message}`
  const evaluated = compiled.program.evaluate(values, { costLimit })
  return evaluated.kind === 'failed' ? `error: ${evaluated.error}` : shown(evaluated.value)
}

const shown = (value: Value): string =>
  typeof value === 'object' ? (value?.constructor.name ?? 'null') : String(value)
