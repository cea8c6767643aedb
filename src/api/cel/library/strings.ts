// The strings extension in the version that Kubernetes gives (cel-go, ext/strings.go, version 2): positions count code
// points, and what is out of range is an error.
import {
  type Argument,
  type CallEstimate,
  type Library,
  method,
  type Overload,
  overload,
} from '../../../lib/cel/env.ts'
import { fixed, plus, scaled, times, traversal, traversalOf, traversed } from '../../../lib/cel/estimates.ts'
import { int, list, string } from '../../../lib/cel/types.ts'
import { ArrayList, Failure, type List, type Result, type Value } from '../../../lib/cel/values.ts'
import { formatText } from './format-text.ts'

type Int = number | bigint

const outOfRange = (index: Int): Failure => new Failure(`index out of range: ${index}`)

function charAt(text: string, index: Int): Result {
  const points = [...text]
  if (index < 0 || index > points.length) return outOfRange(index)
  return points[Number(index)] ?? ''
}

function startsAt(points: readonly string[], part: readonly string[], at: number): boolean {
  return part.every((point, i) => points[at + i] === point)
}

function indexOf(text: string, part: string, from: Int): Result {
  if (part === '') return from
  if (from < 0) return outOfRange(from)
  const [points, sought] = [[...text], [...part]]
  for (let at = Number(from); at <= points.length - sought.length; at++) if (startsAt(points, sought, at)) return at
  return -1
}

function lastIndexOf(text: string, part: string, from: Int): Result {
  const [points, sought] = [[...text], [...part]]
  if (part === '') return from
  if (from < 0) return outOfRange(from)
  if (from >= points.length) return -1
  for (let at = Math.min(Number(from), points.length - sought.length); at >= 0; at--) {
    if (startsAt(points, sought, at)) return at
  }
  return -1
}

function substring(text: string, start: Int, end: Int | undefined): Result {
  const points = [...text]
  const to = end ?? points.length
  if (start < 0 || start > points.length) return outOfRange(start)
  if (to < 0 || to > points.length) return outOfRange(to)
  if (start > to) return new Failure(`invalid substring range. start: ${start}, end: ${to}`)
  return points.slice(Number(start), Number(to)).join('')
}

/** Longer than any limit of costs lets pass, and made of little: it is not made at all. */
const lengthMax = 10_000_000
const tooLong = new Failure('operation cancelled: actual cost limit exceeded')

/** At most `count` replacements from the left; a negative count is all. */
function replace(text: string, part: string, by: string, count: Int): Result {
  const all = part === '' ? ['', ...text, ''] : text.split(part)
  const pieces = count < 0 ? all : splitLimited(all, part, Number(count) + 1)
  return text.length + pieces.length * by.length > lengthMax ? tooLong : pieces.join(by)
}

function split(text: string, separator: string, limit: Int): Result {
  const pieces = separator === '' ? [...text] : text.split(separator)
  if (limit < 0) return new ArrayList(pieces)
  return new ArrayList(limit === 0 ? [] : splitLimited(pieces, separator, Number(limit)))
}

/** The first pieces, the last of them with all that is left. */
function splitLimited(pieces: readonly string[], separator: string, limit: number): string[] {
  if (pieces.length <= limit) return [...pieces]
  return [...pieces.slice(0, limit - 1), pieces.slice(limit - 1).join(separator)]
}

function join(items: List, separator: string): Result {
  const texts: string[] = []
  let length = 0
  for (const item of items) {
    if (item instanceof Failure) return item
    if (typeof item !== 'string') return new Failure('no such overload')
    length += item.length + separator.length + 1
    if (length > lengthMax) return tooLong
    texts.push(item)
  }
  return texts.join(separator)
}

const upper = (text: string): string => text.replace(/[a-z]+/g, letters => letters.toUpperCase())
const lower = (text: string): string => text.replace(/[A-Z]+/g, letters => letters.toLowerCase())

const isSpace = (char: string | undefined): boolean => char !== undefined && /^\p{White_Space}$/u.test(char)

function trim(text: string): string {
  let [start, end] = [0, text.length]
  while (start < end && isSpace(text[start])) start++
  while (end > start && isSpace(text[end - 1])) end--
  return text.slice(start, end)
}

const escapes: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
}
const quote = (text: string): string => `"${text.replace(/[\x07-\x0d\\"]/g, char => escapes[char] ?? char)}"`

const oneTraversal = {
  cost: (text: Value) => traversal(text),
  estimate: (text: Argument): CallEstimate => ({ cost: traversed(text), size: text.size }),
}
const search = {
  cost: traversalOf,
  estimate: (text: Argument): CallEstimate => ({ cost: traversed(text) }),
}
const replacing = {
  cost: (text: Value) => traversal(text, 2),
  estimate: (text: Argument, part: Argument, by: Argument): CallEstimate => ({
    cost: traversed(text, 2),
    size: { min: 0, max: longestReplaced(text.size.max, part.size.min, by.size.max) },
  }),
}

function longestReplaced(text: number, part: number, by: number): number {
  if (part === 0) return multiply(text + 1, by) + text
  return by <= part ? text : multiply(Math.ceil(text / part), by)
}
const multiply = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b)

const splitting = {
  cost: (text: Value) => traversal(text, 2),
  estimate: (text: Argument): CallEstimate => ({
    cost: traversed(text, 2),
    size: { min: 0, max: text.size.max },
  }),
}

function joined(items: Argument, separator: Argument | undefined): CallEstimate {
  const elements = times(items.size, items.element?.size ?? fixed(0))
  const gaps = { min: Math.max(items.size.min - 1, 0), max: Math.max(items.size.max - 1, 0) }
  const size = separator === undefined ? elements : plus(elements, times(separator.size, gaps))
  return { cost: scaled(size, 0.1), size }
}
const joining = { cost: () => 0, resultCost: (text: Value) => traversal(text, 2), estimate: joined }

const texts = list(string)
const strings = (count: number) => Array.from({ length: count }, () => string)
const of = (...args: Parameters<typeof overload>): Overload => method(...args)

export const stringLibrary: Library = {
  charAt: [of('string_char_at_int', [string, int], string, charAt)],
  indexOf: [
    of('string_index_of_string', strings(2), int, (text: string, part: string) => indexOf(text, part, 0), search),
    of('string_index_of_string_int', [...strings(2), int], int, indexOf, search),
  ],
  lastIndexOf: [
    of('string_last_index_of_string', strings(2), int, lastIndexFromEnd, search),
    of('string_last_index_of_string_int', [...strings(2), int], int, lastIndexOf, search),
  ],
  join: [
    of('list_join', [texts], string, (items: List) => join(items, ''), joining),
    of('list_join_string', [texts, string], string, join, joining),
  ],
  lowerAscii: [of('string_lower_ascii', [string], string, lower, oneTraversal)],
  upperAscii: [of('string_upper_ascii', [string], string, upper, oneTraversal)],
  trim: [of('string_trim', [string], string, trim, oneTraversal)],
  replace: [
    of('string_replace_string_string', strings(3), string, replaceAll, replacing),
    of('string_replace_string_string_int', [...strings(3), int], string, replace, replacing),
  ],
  split: [
    of(
      'string_split_string',
      strings(2),
      texts,
      (text: string, separator: string) => split(text, separator, -1),
      splitting,
    ),
    of('string_split_string_int', [...strings(2), int], texts, split, splitting),
  ],
  substring: [
    of('string_substring_int', [string, int], string, substring, oneTraversal),
    of('string_substring_int_int', [string, int, int], string, substring, oneTraversal),
  ],
  format: [
    of('string_format', [string, list({ kind: 'dyn' })], string, formatText, {
      cost: (text: Value) => traversal(text),
      resultCost: (text: Value) => traversal(text),
      estimate: (text: Argument) => ({ cost: traversed(text) }),
    }),
  ],
  'strings.quote': [
    overload('strings_quote', [string], string, quote, {
      cost: (text: Value) => traversal(text),
      estimate: (text: Argument) => ({
        cost: traversed(text),
        size: { min: text.size.min + 2, max: text.size.max * 2 + 2 },
      }),
    }),
  ],
}

function replaceAll(text: string, part: string, by: string): Result {
  return replace(text, part, by, -1)
}

function lastIndexFromEnd(text: string, part: string): Result {
  const { length } = [...text]
  return part === '' ? length : length === 0 ? -1 : lastIndexOf(text, part, length - 1)
}
