// Durations and timestamps: reading, writing, and their parts in a time zone (cel-spec, "Timestamp", "Duration"; Go's
// time.ParseDuration and RFC 3339). Pure: zones come from the platform's own tables.
import { int64Max, int64Min } from './ints.ts'
import { Duration, Failure, Timestamp } from './values.ts'

const second = 1_000_000_000n
const units: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: second,
  m: 60n * second,
  h: 3_600n * second,
}

/** From 0001-01-01T00:00:00Z to the end of 9999. */
const timestampMin = -62_135_596_800n * second
const timestampMax = 253_402_300_800n * second - 1n

export function durationOf(nanos: bigint): Duration | Failure {
  return nanos < int64Min || nanos > int64Max ? new Failure('duration overflow') : new Duration(nanos)
}

export function timestampOf(nanos: bigint): Timestamp | Failure {
  return nanos < timestampMin || nanos > timestampMax ? new Failure('timestamp overflow') : new Timestamp(nanos)
}

/** "1h30m", "-1.5s", "0"; undefined for anything else. */
export function parseDuration(text: string): Duration | undefined {
  const [, sign, rest] = /^([+-]?)(.*)$/s.exec(text) ?? []
  if (rest === undefined || rest === '' || rest.length > 200) return undefined
  if (rest === '0') return new Duration(0n)
  const piece = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/y
  let nanos = 0n
  while (piece.lastIndex < rest.length) {
    const [, whole = '', fraction = '', unit = ''] = piece.exec(rest) ?? []
    const size = units[unit]
    if (size === undefined || whole + fraction === '') return undefined
    nanos += BigInt(whole || '0') * size + (BigInt(fraction || '0') * size) / 10n ** BigInt(fraction.length)
  }
  const signed = sign === '-' ? -nanos : nanos
  return signed < int64Min || signed > int64Max ? undefined : new Duration(signed)
}

/** Seconds with as many decimals as are needed: "1.5s". */
export function formatDuration({ nanos }: Duration): string {
  const size = nanos < 0n ? -nanos : nanos
  return `${nanos < 0n ? '-' : ''}${size / second}${fractionOf(size % second)}s`
}

const fractionOf = (nanos: bigint): string =>
  nanos === 0n ? '' : `.${nanos.toString().padStart(9, '0').replace(/0+$/, '')}`

const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?(?:Z|([+-])(\d{2}):(\d{2}))$/

/** RFC 3339; undefined for anything else. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const match = rfc3339.exec(text)
  if (match === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, sec = 0] = match.slice(1, 7).map(Number)
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || sec > 59) {
    return undefined
  }
  const [offsetHour, offsetMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)]
  if (offsetHour > 24 || offsetMinute > 59) return undefined
  const offset = (match[8] === '-' ? -1 : 1) * (offsetHour * 60 + offsetMinute)
  const millis = utc(year, month, day) + ((hour * 60 + minute - offset) * 60 + sec) * 1_000
  const fraction = BigInt((match[7] ?? '').slice(0, 9).padEnd(9, '0'))
  const found = timestampOf(BigInt(millis) * 1_000_000n + fraction)
  return found instanceof Failure ? undefined : found
}

/** Milliseconds of a day's begin. Date.UTC takes years below 100 for 19xx. */
function utc(year: number, month: number, day: number): number {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  return date.getTime()
}

const daysIn = (year: number, month: number): number => {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

export function formatTimestamp({ nanos }: Timestamp): string {
  const millis = floorDivide(nanos, 1_000_000n)
  const fraction = fractionOf(nanos - floorDivide(nanos, second) * second)
  // toISOString writes years 0 to 9999 with four digits.
  return `${new Date(Number(millis)).toISOString().slice(0, 19)}${fraction}Z`
}

export function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b
  return a % b < 0n ? quotient - 1n : quotient
}

/** Seconds since 1970, rounded down. */
export const secondsOf = ({ nanos }: Timestamp): bigint => floorDivide(nanos, second)

/** A part of a timestamp, of its date in UTC unless a zone is given. */
export function partOf(time: Timestamp, zone: string | undefined, part: (date: Date) => number): number | Failure {
  const millis = Number(floorDivide(time.nanos, 1_000_000n))
  const offset = zone === undefined ? 0 : offsetOf(zone, millis)
  return offset instanceof Failure ? offset : part(new Date(millis + offset))
}

export const dayOfYear = (date: Date): number => {
  const begin = utc(date.getUTCFullYear(), 1, 1)
  return Math.floor((date.getTime() - begin) / 86_400_000)
}

/** How far a zone is from UTC at a moment, in milliseconds. */
function offsetOf(zone: string, millis: number): number | Failure {
  const fixed = /^([+-]?)(\d{1,2}):(\d{2})$/.exec(zone)
  if (fixed !== null) {
    const minutes = Number(fixed[2]) * 60 + Number(fixed[3])
    return (fixed[1] === '-' ? -minutes : minutes) * 60_000
  }
  // The platform would take any case, and offsets that are no names.
  if (zone === '' || zone === 'UTC') return 0
  if (!/^[A-Za-z]/.test(zone)) return new Failure(`unknown time zone ${zone}`)
  try {
    const name =
      formatOf(zone)
        .formatToParts(millis)
        .find(found => found.type === 'timeZoneName')?.value ?? 'GMT'
    const [, sign, hours, minutes, seconds] = /^GMT(?:([+-])(\d{2}):(\d{2})(?::(\d{2}))?)?$/.exec(name) ?? []
    const size = (Number(hours ?? 0) * 3_600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0)) * 1_000
    return sign === '-' ? -size : size
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return new Failure(`unknown time zone ${zone}`)
  }
}

/** Making one takes far longer than using it. */
const formats = new Map<string, Intl.DateTimeFormat>()
const formatCountMax = 64

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone)
  if (known !== undefined) return known
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
  if (formats.size >= formatCountMax) formats.clear()
  formats.set(zone, format)
  return format
}
