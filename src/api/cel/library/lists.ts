// isSorted, sum, min, max, indexOf and lastIndexOf of lists
// (https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-list-library; apiserver/pkg/cel/library/lists.go).
import { compareValues, equalResults } from '../../../lib/cel/compare.ts'
import { type Argument, type CallEstimate, type Library, method, type Overload } from '../../../lib/cel/env.ts'
import { fixed, plus, scaled, times, traversalOf } from '../../../lib/cel/estimates.ts'
import { add as addIntegers, type Integer, int64, uint64 } from '../../../lib/cel/ints.ts'
import { durationOf } from '../../../lib/cel/time.ts'
import {
  bool,
  bytes,
  double,
  duration,
  int,
  list,
  param,
  string,
  type Type,
  timestamp,
  uint,
} from '../../../lib/cel/types.ts'
import { Double, Duration, Failure, type List, type Result, Uint, type Value } from '../../../lib/cel/values.ts'

const comparable: Readonly<Record<string, Type>> = { int, uint, double, bool, duration, timestamp, string, bytes }

const costs = { cost: traversalOf, estimate: traversedElements }

/** One for each element, and the characters of those that have any. */
export function traversedElements(items: Argument): CallEstimate {
  const { element } = items
  const each =
    element?.type.kind === 'string' || element?.type.kind === 'bytes'
      ? plus(fixed(1), scaled(element.size, 0.1))
      : fixed(1)
  return { cost: times(items.size, each) }
}

function isSorted(items: List): Result {
  for (let i = 1; i < items.size; i++) {
    const [before, item] = [items.get(i - 1), items.get(i)]
    if (before instanceof Failure) return before
    if (item instanceof Failure) return item
    const difference = compareValues(before, item)
    if (difference === undefined) return new Failure('no such overload')
    if (difference > 0) return false
  }
  return true
}

function extreme(name: 'min' | 'max') {
  return (items: List): Result => {
    let best: Value | undefined
    for (const item of items) {
      if (item instanceof Failure) return item
      const difference = best === undefined ? 0 : compareValues(item, best)
      if (difference === undefined) return new Failure('no such overload')
      if (best === undefined || (name === 'min' ? difference < 0 : difference > 0)) best = item
    }
    return best ?? new Failure(`${name} called on empty list`)
  }
}

function total(zero: Value, plusOne: (sum: Value, item: Value) => Result) {
  return (items: List): Result => {
    let sum: Value = zero
    for (const item of items) {
      const next: Result = item instanceof Failure ? item : plusOne(sum, item)
      if (next instanceof Failure) return next
      sum = next
    }
    return sum
  }
}

const mixed = new Failure('no such overload')
const isInt = (value: Value): value is Integer => typeof value === 'number' || typeof value === 'bigint'

const sums: readonly Overload[] = [
  sum('int', int, 0, (a, b) =>
    isInt(a) && isInt(b) ? (addIntegers(a, b, int64) ?? new Failure('integer overflow')) : mixed,
  ),
  sum('uint', uint, new Uint(0), (a, b) => {
    if (!(a instanceof Uint && b instanceof Uint)) return mixed
    const value = addIntegers(a.value, b.value, uint64)
    return value === undefined ? new Failure('unsigned integer overflow') : new Uint(value)
  }),
  sum('double', double, new Double(0), (a, b) =>
    a instanceof Double && b instanceof Double ? new Double(a.value + b.value) : mixed,
  ),
  sum('duration', duration, new Duration(0n), (a, b) =>
    a instanceof Duration && b instanceof Duration ? durationOf(a.nanos + b.nanos) : mixed,
  ),
]

function sum(name: string, type: Type, zero: Value, plusOne: (sum: Value, item: Value) => Result): Overload {
  return method(`list_${name}_sum_${name}`, [list(type)], type, total(zero, plusOne), costs)
}

function indexOf(items: List, value: Value): Result {
  for (let i = 0; i < items.size; i++) {
    if (equalResults(items.get(i), value) === true) return i
  }
  return -1
}

function lastIndexOf(items: List, value: Value): Result {
  for (let i = items.size - 1; i >= 0; i--) {
    if (equalResults(items.get(i), value) === true) return i
  }
  return -1
}

const A = param('A')
const ofEach = (make: (name: string, type: Type) => Overload): readonly Overload[] =>
  Object.entries(comparable).map(([name, type]) => make(name, type))

export const listLibrary: Library = {
  isSorted: ofEach((name, type) => method(`list_${name}_is_sorted_bool`, [list(type)], bool, isSorted, costs)),
  sum: sums,
  min: ofEach((name, type) => method(`list_${name}_min_${name}`, [list(type)], type, extreme('min'), costs)),
  max: ofEach((name, type) => method(`list_${name}_max_${name}`, [list(type)], type, extreme('max'), costs)),
  indexOf: [method('list_a_index_of_int', [list(A), A], int, indexOf, costs)],
  lastIndexOf: [method('list_a_last_index_of_int', [list(A), A], int, lastIndexOf, costs)],
}
