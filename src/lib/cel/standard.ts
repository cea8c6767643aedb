// The standard functions of CEL beside its operators: conversions, sizes, strings, times (cel-spec, "List of Standard
// Definitions"). Names of overloads are cel-go's.
import { toBool, toBytes, toDouble, toDuration, toInt, toText, toTimestamp, toUint } from './conversions.ts'
import { costs, type Library, method, type Overload, overload } from './env.ts'
import { fixed, regexCost, regexEstimate, scale, scaled, times, traversal, traversed } from './estimates.ts'
import { operatorLibrary, optionalLibrary } from './operators.ts'
import { regexFor } from './regex.ts'
import { dayOfYear, parseDuration, parseTimestamp, partOf } from './time.ts'
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  list,
  map,
  param,
  string,
  type Type,
  timestamp,
  typeType,
  uint,
} from './types.ts'
import {
  type Duration,
  Failure,
  type Result,
  sizeOf,
  sizeOrOne,
  type Timestamp,
  TypeValue,
  typeName,
  type Value,
} from './values.ts'

const A = param('A')
const B = param('B')

function conversions(
  name: string,
  to: Type,
  convert: (value: Value) => Result,
  from: readonly (readonly [string, Type])[],
  more: Pick<Overload, 'refuseLiteral' | 'estimate'> = {},
): readonly Overload[] {
  return from.map(([id, type]) => overload(`${id}_to_${name}`, [type], to, convert, more))
}

const int64 = ['int64', int] as const
const uint64 = ['uint64', uint] as const
const doubles = ['double', double] as const
const strings = ['string', string] as const
const bools = ['bool', bool] as const
const timestamps = ['timestamp', timestamp] as const
const durations = ['duration', duration] as const

/** As long as the text of a number or a time can be, and a little: 2006-01-02T15:04:05.999999999Z. */
const scalarTextMax = 40

const textOfBytes = overload('bytes_to_string', [bytes], string, toText, {
  cost: value => traversal(value),
  estimate: arg => ({ cost: traversed(arg), size: { min: Math.floor(arg.size.min / 4), max: arg.size.max } }),
})
const bytesOfText = overload('string_to_bytes', [string], bytes, toBytes, {
  cost: value => traversal(value),
  estimate: arg => ({ cost: traversed(arg), size: { min: arg.size.min, max: arg.size.max * 4 } }),
})

const conversionLibrary: Library = {
  int: conversions('int64', int, toInt, [int64, uint64, doubles, strings, timestamps, durations]),
  uint: conversions('uint64', uint, toUint, [uint64, int64, doubles, strings]),
  double: conversions('double', double, toDouble, [doubles, int64, uint64, strings]),
  bool: conversions('bool', bool, toBool, [bools, strings]),
  bytes: [overload('bytes_to_bytes', [bytes], bytes, toBytes), bytesOfText],
  string: [
    ...conversions('string', string, toText, [strings], {
      estimate: arg => ({ cost: fixed(1), size: arg.size }),
    }),
    ...conversions('string', string, toText, [bools, int64, uint64, doubles, durations, timestamps], {
      estimate: () => ({ cost: fixed(1), size: { min: 1, max: scalarTextMax } }),
    }),
    textOfBytes,
  ],
  duration: conversions('duration', duration, toDuration, [durations, int64, strings], {
    refuseLiteral: value =>
      typeof value === 'string' && parseDuration(value) === undefined ? 'invalid duration argument' : undefined,
  }),
  timestamp: conversions('timestamp', timestamp, toTimestamp, [timestamps, int64, strings], {
    refuseLiteral: value =>
      typeof value === 'string' && parseTimestamp(value) === undefined ? 'invalid timestamp argument' : undefined,
  }),
  dyn: [overload('to_dyn', [A], dyn, (value: Value) => value)],
  type: [overload('type', [A], typeType(A), (value: Value) => new TypeValue(typeName(value)))],
}

const sizes = (['string', 'bytes', 'list', 'map'] as const).flatMap(name => {
  const type = { string, bytes, list: list(A), map: map(A, B) }[name]
  const size = (value: Value): Result => sizeOf(value) ?? 0
  return [overload(`size_${name}`, [type], int, size), method(`${name}_size`, [type], int, size)]
})

const prefixCost = {
  // Upstream counts the whole text as it runs, and the part alone as it estimates.
  cost: (text: Value) => traversal(text),
  estimate: (_text: unknown, part: Parameters<typeof traversed>[0]) => ({ cost: traversed(part) }),
}

function matches(text: string, pattern: string): Result {
  const regex = regexFor(pattern)
  return regex instanceof Failure ? regex : regex.matches(text)
}

const matching: Pick<Overload, 'cost' | 'estimate' | 'refuseLiteral'> = { cost: regexCost, estimate: regexEstimate }
const refusePattern = (value: Value): string | undefined =>
  typeof value === 'string' && regexFor(value) instanceof Failure ? 'invalid matches argument' : undefined

const stringLibrary: Library = {
  size: sizes,
  contains: [
    method('contains_string', [string, string], bool, (text: string, part: string) => text.includes(part), {
      cost: (text, part) => scale(sizeOrOne(text), costs.perCharacter) * scale(sizeOrOne(part), costs.perCharacter),
      estimate: (text, part) => ({
        cost: times(scaled(text.size, costs.perCharacter), scaled(part.size, costs.perCharacter)),
      }),
    }),
  ],
  startsWith: [
    method(
      'starts_with_string',
      [string, string],
      bool,
      (text: string, part: string) => text.startsWith(part),
      prefixCost,
    ),
  ],
  endsWith: [
    method('ends_with_string', [string, string], bool, (text: string, part: string) => text.endsWith(part), prefixCost),
  ],
  matches: [
    overload('matches', [string, string], bool, matches, matching),
    method('matches_string', [string, string], bool, matches, { ...matching, refuseLiteral: refusePattern }),
  ],
}

const parts: Readonly<Record<string, (date: Date) => number>> = {
  FullYear: date => date.getUTCFullYear(),
  Month: date => date.getUTCMonth(),
  Date: date => date.getUTCDate(),
  DayOfMonth: date => date.getUTCDate() - 1,
  DayOfWeek: date => date.getUTCDay(),
  DayOfYear: dayOfYear,
  Hours: date => date.getUTCHours(),
  Minutes: date => date.getUTCMinutes(),
  Seconds: date => date.getUTCSeconds(),
  Milliseconds: date => date.getUTCMilliseconds(),
}

/** A duration is counted in whole units of these. */
const wholes: Readonly<Record<string, bigint>> = {
  Hours: 3_600_000_000_000n,
  Minutes: 60_000_000_000n,
  Seconds: 1_000_000_000n,
  Milliseconds: 1_000_000n,
}

const timeLibrary: Library = Object.fromEntries(
  Object.entries(parts).map(([name, part]) => {
    const whole = wholes[name]
    return [
      `get${name}`,
      [
        method(`timestamp_to_${name}`, [timestamp], int, (time: Timestamp) => partOf(time, undefined, part)),
        method(`timestamp_to_${name}_with_tz`, [timestamp, string], int, (time: Timestamp, zone: string) =>
          partOf(time, zone, part),
        ),
        ...(whole === undefined
          ? []
          : [method(`duration_to_${name}`, [duration], int, ({ nanos }: Duration) => Number(nanos / whole))]),
      ],
    ]
  }),
)

/** All that an expression may use everywhere. */
export const standardLibraries: readonly Library[] = [
  operatorLibrary,
  optionalLibrary,
  conversionLibrary,
  stringLibrary,
  timeLibrary,
]
