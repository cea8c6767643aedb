// The operators as overloads: arithmetic that refuses to overflow, comparison across numeric types, concatenation,
// indexing, membership (cel-spec, "List of Standard Definitions"). Names of overloads are cel-go's.
import { operators } from './ast.ts'
import { compareStrings, compareValues, equalResults, equalValues } from './compare.ts'
import { costs, type Library, method, type Overload, overload } from './env.ts'
import { comparisonCost, comparisonEstimate, concatenationEstimate, fixed, plus, scale, scaled } from './estimates.ts'
import { add, divide, type Integer, int64, multiply, remainder, subtract, uint64 } from './ints.ts'
import { durationOf, timestampOf } from './time.ts'
import {
  bool,
  bytes,
  double,
  duration,
  int,
  list,
  map,
  opaque,
  optional,
  param,
  string,
  type Type,
  timestamp,
  uint,
} from './types.ts'
import {
  Double,
  type Duration,
  type EntryMap,
  Failure,
  type Fields,
  keyOf,
  type List,
  Optional,
  type Result,
  sizeOrOne,
  type Timestamp,
  typeName,
  Uint,
  type Value,
} from './values.ts'

const overflow = new Failure('integer overflow')
const unsignedOverflow = new Failure('unsigned integer overflow')
const divisionByZero = new Failure('division by zero')
const modulusByZero = new Failure('modulus by zero')

const A = param('A')
const B = param('B')
const listOfA = list(A)
const mapOfAB = map(A, B)

type Arithmetic = (a: Integer, b: Integer, range: (value: bigint) => Integer | undefined) => Integer | undefined

const onInts = (id: string, arithmetic: Arithmetic): Overload =>
  overload(`${id}_int64`, [int, int], int, (a: Integer, b: Integer) => arithmetic(a, b, int64) ?? overflow)

const onUints = (id: string, arithmetic: Arithmetic): Overload =>
  overload(`${id}_uint64`, [uint, uint], uint, (a: Uint, b: Uint) => {
    const result = arithmetic(a.value, b.value, uint64)
    return result === undefined ? unsignedOverflow : new Uint(result)
  })

const onDoubles = (id: string, arithmetic: (a: number, b: number) => number): Overload =>
  overload(`${id}_double`, [double, double], double, (a: Double, b: Double) => new Double(arithmetic(a.value, b.value)))

const concatenation = { cost: concatenationCost, estimate: concatenationEstimate }
function concatenationCost(a: Value, b: Value): number {
  return scale(sizeOrOne(a) + sizeOrOne(b), costs.perCharacter)
}

function joinBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}

const additions: readonly Overload[] = [
  onInts('add', add),
  onUints('add', add),
  onDoubles('add', (a, b) => a + b),
  overload('add_string', [string, string], string, (a: string, b: string) => a + b, concatenation),
  overload('add_bytes', [bytes, bytes], bytes, joinBytes, concatenation),
  overload('add_list', [listOfA, listOfA], listOfA, (a: List, b: List) => a.concat(b), {
    estimate: (a, b) => ({ cost: fixed(1), size: plus(a.size, b.size) }),
  }),
  overload('add_duration_duration', [duration, duration], duration, (a: Duration, b: Duration) =>
    durationOf(a.nanos + b.nanos),
  ),
  overload('add_duration_timestamp', [duration, timestamp], timestamp, (a: Duration, b: Timestamp) =>
    timestampOf(a.nanos + b.nanos),
  ),
  overload('add_timestamp_duration', [timestamp, duration], timestamp, (a: Timestamp, b: Duration) =>
    timestampOf(a.nanos + b.nanos),
  ),
]

const subtractions: readonly Overload[] = [
  onInts('subtract', subtract),
  onUints('subtract', subtract),
  onDoubles('subtract', (a, b) => a - b),
  overload('subtract_duration_duration', [duration, duration], duration, (a: Duration, b: Duration) =>
    durationOf(a.nanos - b.nanos),
  ),
  overload('subtract_timestamp_duration', [timestamp, duration], timestamp, (a: Timestamp, b: Duration) =>
    timestampOf(a.nanos - b.nanos),
  ),
  overload('subtract_timestamp_timestamp', [timestamp, timestamp], duration, (a: Timestamp, b: Timestamp) =>
    durationOf(a.nanos - b.nanos),
  ),
]

const divisions: readonly Overload[] = [
  overload('divide_int64', [int, int], int, (a: Integer, b: Integer) =>
    b === 0 ? divisionByZero : (divide(a, b, int64) ?? overflow),
  ),
  overload('divide_uint64', [uint, uint], uint, (a: Uint, b: Uint) =>
    b.value === 0 ? divisionByZero : new Uint(divide(a.value, b.value, uint64) ?? 0),
  ),
  onDoubles('divide', (a, b) => a / b),
]

const remainders: readonly Overload[] = [
  overload('modulo_int64', [int, int], int, (a: Integer, b: Integer) => (b === 0 ? modulusByZero : remainder(a, b))),
  overload('modulo_uint64', [uint, uint], uint, (a: Uint, b: Uint) =>
    b.value === 0 ? modulusByZero : new Uint(remainder(a.value, b.value)),
  ),
]

const negations: readonly Overload[] = [
  overload('negate_int64', [int], int, (a: Integer) => subtract(0, a, int64) ?? overflow),
  overload('negate_double', [double], double, (a: Double) => new Double(-a.value)),
]

const comparison = { cost: comparisonCost, estimate: comparisonEstimate }
const numbers: readonly (readonly [string, Type])[] = [
  ['int64', int],
  ['uint64', uint],
  ['double', double],
]

/** All overloads of one order; `holds` gets what comparing gave, and NaN for what has no order. */
function order(id: string, holds: (difference: number) => boolean): readonly Overload[] {
  const compared = (a: Value, b: Value): Result => holds(compareValues(a, b) ?? Number.NaN)
  const numeric = numbers.flatMap(([a, left]) =>
    numbers.map(([b, right]) => overload(a === b ? `${id}_${a}` : `${id}_${a}_${b}`, [left, right], bool, compared)),
  )
  return [
    overload(`${id}_bool`, [bool, bool], bool, compared),
    overload(`${id}_string`, [string, string], bool, (a: string, b: string) => holds(compareStrings(a, b)), comparison),
    overload(`${id}_bytes`, [bytes, bytes], bool, compared, comparison),
    overload(`${id}_timestamp`, [timestamp, timestamp], bool, compared),
    overload(`${id}_duration`, [duration, duration], bool, compared),
    ...numeric,
  ]
}

/** The element at an index, which may be any number that is whole. */
function elementAt(items: List, index: Value): Result | undefined {
  const at = keyOf(index)
  if (typeof at !== 'number' && typeof at !== 'bigint')
    return new Failure(`unsupported index type '${typeName(index)}' in list`)
  return at >= 0 && at < items.size ? items.get(Number(at)) : undefined
}

function entryAt(fields: Fields, name: Value): Result | undefined {
  const key = keyOf(name)
  return key === undefined ? undefined : fields.get(key)
}

/** Null is a value, and undefined none. */
const orFailure = (found: Result | undefined, message: string): Result =>
  found === undefined ? new Failure(message) : found

const listIndex = (items: List, index: Value): Result =>
  orFailure(elementAt(items, index), `index out of bounds: ${showKey(index)}`)
const mapIndex = (fields: Fields, key: Value): Result => orFailure(entryAt(fields, key), `no such key: ${showKey(key)}`)

function showKey(key: Value): string {
  if (key instanceof Uint || key instanceof Double) return String(key.value)
  return typeof key === 'object' ? typeName(key) : String(key)
}

const maybe = (value: Result | undefined): Result => (value instanceof Failure ? value : new Optional(value))

function optionally(call: (target: never, key: Value) => Result | undefined) {
  return (target: Optional, key: Value): Result =>
    target.value === undefined ? target : maybe(call(target.value as never, key))
}

function isIn(value: Value, items: List): Result {
  let failure: Failure | undefined
  for (let i = 0; i < items.size; i++) {
    const equal = equalResults(value, items.get(i))
    if (equal === true) return true
    if (equal instanceof Failure) failure ??= equal
  }
  return failure ?? false
}

function isKey(value: Value, fields: Fields): Result {
  const key = keyOf(value)
  return key !== undefined && fields.has(key)
}

/** Puts an entry into the map that a comprehension gathers. */
function insertEntry(into: EntryMap, name: Value, value: Value): Result {
  const key = keyOf(name)
  if (key === undefined) return new Failure(`unsupported key type: ${typeName(name)}`)
  if (into.has(key)) return new Failure(`insert failed: key ${showKey(name)} already exists`)
  into.insert(key, name, value)
  return into
}

function insertAll(into: EntryMap, entries: Fields): Result {
  for (const name of entries.keys()) {
    const key = keyOf(name)
    const value = key === undefined ? undefined : entries.get(key)
    if (value === undefined) continue
    if (value instanceof Failure) return value
    const result = insertEntry(into, name, value)
    if (result instanceof Failure) return result
  }
  return into
}

/** Any whole number is an index, whatever its type. */
const anySecond = { anySecond: true } as const

const equality = { cost: comparisonCost, estimate: comparisonEstimate }

export const operatorLibrary: Library = {
  // These four do not evaluate all their arguments; interpret.ts knows them, and only their types count here.
  [operators.conditional]: [overload('conditional', [bool, A, A], A, () => null)],
  [operators.and]: [overload('logical_and', [bool, bool], bool, () => null)],
  [operators.or]: [overload('logical_or', [bool, bool], bool, () => null)],
  [operators.notStrictlyFalse]: [overload('not_strictly_false', [bool], bool, () => null)],
  [operators.not]: [overload('logical_not', [bool], bool, (a: boolean) => !a)],
  [operators.equals]: [overload('equals', [A, A], bool, equalValues, equality)],
  [operators.notEquals]: [
    overload(
      'not_equals',
      [A, A],
      bool,
      (a: Value, b: Value) => {
        const equal = equalValues(a, b)
        return equal instanceof Failure ? equal : !equal
      },
      equality,
    ),
  ],
  [operators.less]: order('less', difference => difference < 0),
  [operators.lessEquals]: order('less_equals', difference => difference <= 0),
  [operators.greater]: order('greater', difference => difference > 0),
  [operators.greaterEquals]: order('greater_equals', difference => difference >= 0),
  [operators.add]: additions,
  [operators.subtract]: subtractions,
  [operators.multiply]: [
    onInts('multiply', multiply),
    onUints('multiply', multiply),
    onDoubles('multiply', (a, b) => a * b),
  ],
  [operators.divide]: divisions,
  [operators.modulo]: remainders,
  [operators.negate]: negations,
  [operators.index]: [
    overload('index_list', [listOfA, int], A, listIndex, anySecond),
    overload('index_map', [mapOfAB, A], B, mapIndex),
    overload('optional_list_index_int', [optional(listOfA), int], optional(A), optionally(elementAt), anySecond),
    overload('optional_map_index_value', [optional(mapOfAB), A], optional(B), optionally(entryAt)),
  ],
  [operators.optionalIndex]: [
    overload(
      'list_optindex_optional_int',
      [listOfA, int],
      optional(A),
      (a: List, i: Value) => maybe(elementAt(a, i)),
      anySecond,
    ),
    overload(
      'optional_list_optindex_optional_int',
      [optional(listOfA), int],
      optional(A),
      optionally(elementAt),
      anySecond,
    ),
    overload('map_optindex_optional_value', [mapOfAB, A], optional(B), (a: Fields, k: Value) => maybe(entryAt(a, k))),
    overload('optional_map_optindex_optional_value', [optional(mapOfAB), A], optional(B), optionally(entryAt)),
  ],
  [operators.in]: [
    overload('in_list', [A, listOfA], bool, isIn, {
      cost: (_value, items) => sizeOrOne(items),
      estimate: (_value, items) => ({ cost: scaled(items.size, 1) }),
    }),
    overload('in_map', [A, mapOfAB], bool, isKey),
  ],
  [operators.mapInsert]: [
    overload('@mapInsert_map_key_value', [mapOfAB, A, B], mapOfAB, insertEntry),
    overload('@mapInsert_map_map', [mapOfAB, mapOfAB], mapOfAB, insertAll),
  ],
}

const optionalA = opaque('optional_type', A)

/** Whether a value is its type's zero: false, 0, empty, null. */
function isZero(value: Value): boolean {
  if (value === null || value === false || value === '' || value === 0) return true
  if (value instanceof Uint || value instanceof Double) return value.value === 0
  if (value instanceof Optional) return value.value === undefined
  if (typeof value === 'object' && 'size' in value) return value.size === 0
  return value instanceof Uint8Array && value.length === 0
}

export const optionalLibrary: Library = {
  'optional.of': [overload('optional_of', [A], optionalA, (value: Value) => new Optional(value))],
  'optional.ofNonZeroValue': [
    overload('optional_ofNonZeroValue', [A], optionalA, (value: Value) =>
      isZero(value) ? new Optional(undefined) : new Optional(value),
    ),
  ],
  'optional.none': [overload('optional_none', [], optionalA, () => new Optional(undefined))],
  hasValue: [method('optional_hasValue', [optionalA], bool, (target: Optional) => target.value !== undefined)],
  value: [
    method('optional_value', [optionalA], A, (target: Optional) =>
      target.value === undefined ? new Failure('optional.none() dereference') : target.value,
    ),
  ],
  or: [
    method('optional_or_optional', [optionalA, optionalA], optionalA, (target: Optional, other: Optional) =>
      target.value === undefined ? other : target,
    ),
  ],
  orValue: [
    method('optional_orValue_value', [optionalA, A], A, (target: Optional, other: Value) =>
      target.value === undefined ? other : target.value,
    ),
  ],
}
