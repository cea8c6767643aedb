// int(), string() and their kin (cel-spec, "Type Conversions"): what cannot be converted is a failure.
import { type Integer, int64, int64Max, int64Min, uint64 } from './ints.ts'
import { utf8 } from './lexer.ts'
import { formatDuration, formatTimestamp, parseDuration, parseTimestamp, secondsOf, timestampOf } from './time.ts'
import { Double, Duration, Failure, type Result, Timestamp, typeName, Uint, type Value } from './values.ts'

const cannot = (value: Value, to: string): Failure =>
  new Failure(`type conversion error from '${typeName(value)}' to '${to}'`)

const overflow = new Failure('integer overflow')
const unsignedOverflow = new Failure('unsigned integer overflow')

export function toInt(value: Value): Result {
  if (typeof value === 'number' || typeof value === 'bigint') return value
  if (value instanceof Uint) return int64(BigInt(value.value)) ?? overflow
  if (value instanceof Double) return fromDouble(value.value, int64, overflow)
  if (value instanceof Timestamp) return int64(secondsOf(value)) ?? overflow
  if (value instanceof Duration) return int64(value.nanos) ?? overflow
  if (typeof value !== 'string' || !/^[+-]?\d{1,25}$/.test(value)) return cannot(value, 'int')
  return int64(BigInt(value.replace(/^\+/, ''))) ?? cannot(value, 'int')
}

export function toUint(value: Value): Result {
  if (value instanceof Uint) return value
  if (typeof value === 'number' || typeof value === 'bigint') return unsigned(uint64(BigInt(value)))
  if (value instanceof Double) {
    const integer = fromDouble(value.value, uint64, unsignedOverflow)
    return integer instanceof Failure ? integer : new Uint(integer)
  }
  if (typeof value !== 'string' || !/^\d{1,25}$/.test(value)) return cannot(value, 'uint')
  const parsed = uint64(BigInt(value))
  return parsed === undefined ? cannot(value, 'uint') : new Uint(parsed)
}

const unsigned = (integer: Integer | undefined): Result =>
  integer === undefined ? unsignedOverflow : new Uint(integer)

function fromDouble(value: number, range: (value: bigint) => Integer | undefined, failure: Failure): Integer | Failure {
  if (!Number.isFinite(value)) return failure
  // cel-go leaves out the ends of int64, where doubles are not exact.
  const integer = BigInt(Math.trunc(value))
  if (range === int64 && (integer <= int64Min || integer >= int64Max)) return failure
  return range(integer) ?? failure
}

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const named: ReadonlyMap<string, number> = new Map([
  ['inf', Number.POSITIVE_INFINITY],
  ['infinity', Number.POSITIVE_INFINITY],
  ['nan', Number.NaN],
])

export function toDouble(value: Value): Result {
  if (value instanceof Double) return value
  if (typeof value === 'number' || typeof value === 'bigint') return new Double(Number(value))
  if (value instanceof Uint) return new Double(Number(value.value))
  if (typeof value !== 'string') return cannot(value, 'double')
  if (decimal.test(value)) {
    const parsed = Number(value)
    return Number.isFinite(parsed) ? new Double(parsed) : cannot(value, 'double')
  }
  const [, sign, name = ''] = /^([+-]?)(\w+)$/.exec(value) ?? []
  const known = named.get(name.toLowerCase())
  return known === undefined ? cannot(value, 'double') : new Double(sign === '-' ? -known : known)
}

export function toText(value: Value): Result {
  switch (typeof value) {
    case 'string':
      return value
    case 'boolean':
    case 'number':
    case 'bigint':
      return String(value)
  }
  if (value instanceof Uint) return String(value.value)
  if (value instanceof Double) return formatDouble(value.value)
  if (value instanceof Duration) return formatDuration(value)
  if (value instanceof Timestamp) return formatTimestamp(value)
  return value instanceof Uint8Array ? decode(value) : cannot(value, 'string')
}

export function decode(bytes: Uint8Array): Result {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return new Failure('invalid UTF-8 in bytes, cannot convert to string')
  }
}

export const toBytes = (value: Value): Result =>
  value instanceof Uint8Array ? value : typeof value === 'string' ? utf8(value) : cannot(value, 'bytes')

const truths = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const falsehoods = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False'])

export function toBool(value: Value): Result {
  if (typeof value === 'boolean') return value
  if (typeof value !== 'string') return cannot(value, 'bool')
  return truths.has(value) || (falsehoods.has(value) ? false : cannot(value, 'bool'))
}

export function toDuration(value: Value): Result {
  if (value instanceof Duration) return value
  if (typeof value === 'number' || typeof value === 'bigint') return new Duration(BigInt(value))
  return (typeof value === 'string' ? parseDuration(value) : undefined) ?? cannot(value, 'google.protobuf.Duration')
}

export function toTimestamp(value: Value): Result {
  if (value instanceof Timestamp) return value
  if (typeof value === 'number' || typeof value === 'bigint') return timestampOf(BigInt(value) * 1_000_000_000n)
  return (typeof value === 'string' ? parseTimestamp(value) : undefined) ?? cannot(value, 'google.protobuf.Timestamp')
}

/** As Go's %g: the shortest digits that give the number back, with an exponent below 1e-4 and from 1e+06 on. */
export function formatDouble(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e')
  const exponent = Number(exponentText)
  if (exponent >= -4 && exponent < 6) return String(value)
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${Math.abs(exponent).toString().padStart(2, '0')}`
}
