// '%s has %d'.format([name, count]) (cel-go, ext/formatting.go): strings, numbers in several bases, lists and maps as
// expressions would write them. Numbers with decimals are written as en_US does.
import { toText } from '../../../lib/cel/conversions.ts'
import { utf8 } from '../../../lib/cel/lexer.ts'
import {
  Double,
  Duration,
  Failure,
  Fields,
  keyOf,
  List,
  type Result,
  Timestamp,
  typeName,
  Uint,
  type Value,
} from '../../../lib/cel/values.ts'
import { compareText } from '../../../lib/sorted.ts'

const clause = /%(?:%|(?:\.(\d{1,4}))?([sdfebxXo]))/y
const defaultPrecision = 6
const precisionMax = 1_000
/** Longer than any limit of costs lets pass, and made of little: it is not made at all. */
const lengthMax = 10_000_000
const tooLong = new Failure('operation cancelled: actual cost limit exceeded')
/** Lists in lists are written as deep as this. */
const depthMax = 100

export function formatText(pattern: string, args: List): Result {
  let text = ''
  let next = 0
  for (let at = 0; at < pattern.length; ) {
    const percent = pattern.indexOf('%', at)
    text += pattern.slice(at, percent === -1 ? undefined : percent)
    if (percent === -1) break
    clause.lastIndex = percent
    const match = clause.exec(pattern)
    if (match === null)
      return new Failure(
        `could not parse formatting clause: unrecognized formatting clause "${pattern[percent + 1] ?? ''}"`,
      )
    at = percent + match[0].length
    const verb = match[2]
    if (verb === undefined) {
      text += '%'
      continue
    }
    if (next >= args.size) return new Failure(`index ${next} out of range`)
    const value = args.get(next)
    next++
    const precision = match[1] === undefined ? defaultPrecision : Number(match[1])
    if (precision > precisionMax) return new Failure(`precision ${precision} is too large`)
    const written = value instanceof Failure ? value : write(verb, value, precision)
    if (written instanceof Failure) return written
    text += written
    if (text.length > lengthMax) return tooLong
  }
  return text
}

function write(verb: string, value: Value, precision: number): string | Failure {
  switch (verb) {
    case 's':
      return writeText(value, depthMax)
    case 'd':
      return writeInteger(value, 10, 'decimal clause can only be used on integers')
    case 'b':
      if (typeof value === 'boolean') return value ? '1' : '0'
      return writeInteger(value, 2, 'only integers and bools can be formatted as binary')
    case 'o':
      return writeInteger(value, 8, 'octal clause can only be used on integers')
    case 'x':
      return writeHex(value)
    case 'X': {
      const hex = writeHex(value)
      return hex instanceof Failure ? hex : hex.toUpperCase()
    }
    case 'f':
      return writeDouble(value, 'fixed-point clause can only be used on doubles', number =>
        fixedPoint(number, precision),
      )
    default:
      return writeDouble(value, 'scientific clause can only be used on doubles', number =>
        scientific(number, precision),
      )
  }
}

const was = (why: string, value: Value): Failure =>
  new Failure(`error during formatting: ${why}, was given ${typeName(value)}`)

function writeInteger(value: Value, base: number, why: string): string | Failure {
  if (typeof value === 'number' || typeof value === 'bigint') return value.toString(base)
  return value instanceof Uint ? value.value.toString(base) : was(why, value)
}

function writeHex(value: Value): string | Failure {
  const bytes = typeof value === 'string' ? utf8(value) : value
  if (bytes instanceof Uint8Array) return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
  return writeInteger(value, 16, 'only integers, byte buffers, and strings can be formatted as hex')
}

/** Texts that stand for doubles which expressions cannot write. */
const infinite: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
])

function writeDouble(value: Value, why: string, finite: (number: number) => string): string | Failure {
  const number = value instanceof Double ? value.value : typeof value === 'string' ? infinite.get(value) : undefined
  if (number === undefined) return was(why, value)
  if (Number.isFinite(number)) return finite(number)
  return Number.isNaN(number) ? 'NaN' : number > 0 ? '∞' : '-∞'
}

function fixedPoint(number: number, precision: number): string {
  const [whole = '', fraction] = decimals(number, precision).split('.')
  const grouped = whole.replace(/\B(?=(?:\d{3})+$)/g, ',')
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

/** The platform writes 100 decimals at most; the rest of a double's are zeros or beyond use. */
function decimals(number: number, precision: number): string {
  if (Math.abs(number) >= 1e21) return `${BigInt(number)}${precision > 0 ? `.${'0'.repeat(precision)}` : ''}`
  return number.toFixed(Math.min(precision, 100)) + '0'.repeat(Math.max(precision - 100, 0))
}

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹'

function scientific(number: number, precision: number): string {
  const [mantissa = '', exponent = ''] = number.toExponential(Math.min(precision, 100)).split('e')
  const digits = exponent.replace(/[+-]/, '').padStart(2, '0')
  const raised = Array.from(digits, digit => superscripts[Number(digit)]).join('')
  return `${mantissa}\u202f×\u202f10${exponent.startsWith('-') ? '⁻' : ''}${raised}`
}

function writeText(value: Value, depth: number): string | Failure {
  if (value === null) return 'null'
  if (value instanceof List) return writeList(value, depth)
  if (value instanceof Fields) return writeMap(value, depth)
  const text = typeof value === 'object' && 'name' in value ? value.name : toText(value)
  if (typeof text === 'string') return text
  return was(
    'string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps',
    value,
  )
}

/** Within a list or map: as an expression would write it. */
function writeMember(value: Value, depth: number): string | Failure {
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Double && Number.isFinite(value.value)) return decimals(value.value, defaultPrecision)
  const text = writeText(value, depth)
  if (text instanceof Failure) return text
  if (value instanceof Uint8Array) return `b${JSON.stringify(text)}`
  if (value instanceof Double) return JSON.stringify(text)
  if (value instanceof Timestamp) return `timestamp(${JSON.stringify(text)})`
  return value instanceof Duration ? `duration(${JSON.stringify(text)})` : text
}

const tooDeep = new Failure('error during formatting: value is nested too deeply')

function writeList(items: List, depth: number): string | Failure {
  if (depth === 0) return tooDeep
  const written: string[] = []
  let length = 0
  for (const item of items) {
    const text = item instanceof Failure ? item : writeMember(item, depth - 1)
    if (text instanceof Failure) return text
    length += text.length + 2
    if (length > lengthMax) return tooLong
    written.push(text)
  }
  return `[${written.join(', ')}]`
}

function writeMap(fields: Fields, depth: number): string | Failure {
  if (depth === 0) return tooDeep
  const written: (readonly [string, string])[] = []
  for (const name of fields.keys()) {
    const key = keyOf(name)
    const value = key === undefined ? undefined : fields.get(key)
    if (value === undefined) continue
    const [left, right] = [
      writeMember(name, depth - 1),
      value instanceof Failure ? value : writeMember(value, depth - 1),
    ]
    if (left instanceof Failure) return left
    if (right instanceof Failure) return right
    written.push([left, right])
  }
  return `{${written
    .toSorted((a, b) => compareText(a[0], b[0]))
    .map(([key, value]) => `${key}:${value}`)
    .join(', ')}}`
}
