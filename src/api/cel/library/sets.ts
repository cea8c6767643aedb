// sets.contains, sets.equivalent and sets.intersects of lists (cel-go, ext/sets.go).
import { equalResults } from '../../../lib/cel/compare.ts'
import { type Argument, type Library, type Overload, overload } from '../../../lib/cel/env.ts'
import { fixed, plus, scaled, times } from '../../../lib/cel/estimates.ts'
import { bool, list, param } from '../../../lib/cel/types.ts'
import { Failure, type List, type Result } from '../../../lib/cel/values.ts'

const listOfT = list(param('T'))

function includes(items: List, value: Result): boolean {
  for (const item of items) if (equalResults(item, value) === true) return true
  return false
}

function contains(items: List, others: List): Result {
  for (const other of others) {
    if (other instanceof Failure) return other
    if (!includes(items, other)) return false
  }
  return true
}

function equivalent(items: List, others: List): Result {
  const forth = contains(items, others)
  return forth === true ? contains(others, items) : forth
}

function intersects(items: List, others: List): Result {
  for (const other of others) if (includes(items, other)) return true
  return false
}

/** Every element is compared with every other. */
function compared(id: string, call: (items: List, others: List) => Result, factor: number): Overload {
  return overload(id, [listOfT, listOfT], bool, call, {
    cost: (a, b) => 1 + sizeOf(a) * sizeOf(b) * factor,
    estimate: (a: Argument, b: Argument) => ({ cost: plus(fixed(1), scaled(times(a.size, b.size), factor)) }),
  })
}

const sizeOf = (value: unknown): number => (value as List).size

export const setLibrary: Library = {
  'sets.contains': [compared('list_sets_contains_list', contains, 1)],
  'sets.equivalent': [compared('list_sets_equivalent_list', equivalent, 2)],
  'sets.intersects': [compared('list_sets_intersects_list', intersects, 1)],
}
