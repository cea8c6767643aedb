// Times and spans as text: the AGE of kubectl, Go durations, RFC 3339 with the precision of metav1.Time and MicroTime.

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** A span of `ms` as kubectl prints ages: 5s, 3m20s, 2d3h, 400d. (apimachinery/pkg/util/duration HumanDuration) */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / secondMs)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.trunc(ms / minuteMs)
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.trunc(ms / hourMs)
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  if (hours < 24 * 8) return pair(Math.trunc(hours / 24), 'd', hours % 24, 'h')
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24)}d`
  const days = Math.trunc(ms / dayMs)
  if (hours < 24 * 365 * 8) return pair(Math.trunc(days / 365), 'y', days % 365, 'd')
  return `${Math.trunc(days / 365)}y`
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`
}

/** How long ago `timestamp` was, in kubectl's words. */
export function age(timestamp: string | undefined, nowMs: number): string {
  if (timestamp === undefined) return '<unknown>'
  const thenMs = parseRfc3339(timestamp)
  return thenMs === undefined ? '<unknown>' : humanDuration(nowMs - thenMs)
}

const unitsMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: secondMs,
  m: minuteMs,
  h: hourMs,
}

/** Milliseconds of a Go duration such as '1h30m' or '-1.5s'; undefined when it is none. */
export function parseGoDuration(text: string): number | undefined {
  const match = /^([+-]?)(.+)$/.exec(text)
  if (!match) return undefined
  const [, sign, rest = ''] = match
  if (rest === '0') return 0
  let ms = 0
  let at = 0
  for (const part of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    if (part.index !== at) return undefined
    at += part[0].length
    ms += Number(part[1]) * (unitsMs[part[2] ?? ''] ?? 0)
  }
  if (at === 0 || at !== rest.length) return undefined
  return sign === '-' ? -ms : ms
}

/** As Go writes a duration that is not negative, in whole milliseconds: 9.87s, 1m10s, 2h0m5s. */
export function goDuration(ms: number): string {
  const minutes = Math.floor(ms / minuteMs)
  const seconds = (ms % minuteMs) / secondMs
  if (minutes === 0) return `${seconds}s`
  return minutes < 60 ? `${minutes}m${seconds}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}s`
}

// Howard Hinnant, "chrono-compatible low-level date algorithms": days since 1970-01-01 and back.
function daysOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}

function dayText(days: number): string {
  const z = days + 719_468
  const era = Math.floor(z / 146_097)
  const dayOfEra = z - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return `${padded(year, 4)}-${padded(month, 2)}-${padded(dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1, 2)}`
}

function padded(value: number, width: number): string {
  return String(value).padStart(width, '0')
}

const rfc3339Pattern = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|([+-])(\d\d):(\d\d))$/
const monthDays = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Seconds since 1970 and the nanoseconds beyond; undefined when the text is no RFC 3339 time. */
export function readRfc3339(text: string): { readonly seconds: number; readonly nanos: number } | undefined {
  const match = rfc3339Pattern.exec(text)
  if (!match) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number)
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  if (day < 1 || day > (monthDays[month - 1] ?? 0) || (month === 2 && day === 29 && !leap)) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const [offsetHour, offsetMinute] = [Number(match[10] ?? 0), Number(match[11] ?? 0)]
  if (offsetHour > 23 || offsetMinute > 59) return undefined
  const offset = (offsetHour * 60 + offsetMinute) * 60 * (match[9] === '-' ? -1 : 1)
  const seconds = daysOf(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
  return { seconds, nanos: Number((match[7] ?? '.').slice(1).padEnd(9, '0').slice(0, 9)) }
}

/** Milliseconds since 1970, with a fraction where the text has one. */
export function parseRfc3339(text: string): number | undefined {
  const time = readRfc3339(text)
  return time && time.seconds * 1_000 + time.nanos / 1e6
}

export function rfc3339OfSeconds(seconds: number): string {
  const days = Math.floor(seconds / 86_400)
  const rest = seconds - days * 86_400
  const clock = [Math.floor(rest / 3_600), Math.floor(rest / 60) % 60, rest % 60].map(part => padded(part, 2)).join(':')
  return `${dayText(days)}T${clock}Z`
}

/** In whole seconds, as metav1.Time: 2026-01-02T03:04:05Z. */
export function rfc3339(ms: number): string {
  return rfc3339OfSeconds(Math.floor(ms / 1_000))
}

/** With six digits, as metav1.MicroTime: 2026-01-02T03:04:05.000000Z. */
export function rfc3339Micro(ms: number): string {
  const micros = Math.floor(ms * 1_000)
  const seconds = Math.floor(micros / 1e6)
  return rfc3339OfSeconds(seconds).replace('Z', `.${padded(micros - seconds * 1e6, 6)}Z`)
}
