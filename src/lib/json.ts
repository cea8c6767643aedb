// JSON whose whole numbers are exact as far as an int64 reaches. JavaScript's numbers are so up to 2^53; what lies beyond is
// read as a bigint, and written as the digits that it had. Nearly no text has such a number: a look for sixteen digits in a
// row says so, and then JSON.parse reads it as always.
import { type Container, hasBackslashInKey, type Parsed, parseByHand } from './json-byhand.ts'
import { exactInteger, longInteger, stringEnd } from './json-text.ts'

type RawJson = typeof JSON & { rawJSON(text: string): unknown }

// JSON.stringify knows no bigint by itself, and asks this of one wherever it stands.
Object.defineProperty(BigInt.prototype, 'toJSON', {
  value(this: bigint) {
    return (JSON as RawJson).rawJSON(this.toString())
  },
  configurable: true,
  writable: true,
})

const longDigits = /\d{16}/

/** False: JSON.parse reads each number of it exactly, or as upstream would. */
export function mayHoldLong(text: string): boolean {
  return longDigits.test(text)
}

const long = new WeakSet<object>()

/** As JSON.parse, with bigints for the whole numbers of an int64 that a number cannot hold. Throws SyntaxError. */
export function parseExact(text: string): unknown {
  if (hasBackslashInKey(text)) return noted(parseByHand(text))
  const value: unknown = JSON.parse(text)
  if (!mayHoldLong(text)) return value
  // A reviver would be told each number's digits, at many times the cost of all else.
  const holder = { root: value }
  const isLong = setExact(text, holder)
  return noted({ value: holder.root, isLong })
}

function noted({ value, isLong }: Parsed): unknown {
  if (isLong && typeof value === 'object' && value !== null) long.add(value)
  return value
}

/** A place in the text and where it is in the value: undefined below a key that stands twice, of which the last counts. */
type Place = { readonly container: Container | undefined; key: string | number }

/** Goes through a text that is known to be JSON, and puts its long integers into what was made of it. */
function setExact(text: string, holder: Container): boolean {
  let place: Place = { container: holder, key: 'root' }
  const outer: Place[] = []
  let isKey = false
  let isLong = false
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: {
        const end = stringEnd(text, at)
        if (isKey) place.key = keyOf(text.slice(at, end + 1))
        at = end
        break
      }
      case 0x7b: // {
      case 0x5b: {
        const inner = place.container?.[place.key]
        outer.push(place)
        isKey = text.charCodeAt(at) === 0x7b
        const isSame = typeof inner === 'object' && inner !== null && Array.isArray(inner) !== isKey
        place = { container: isSame ? (inner as Container) : undefined, key: isKey ? '' : 0 }
        break
      }
      case 0x7d: // }
      case 0x5d:
        place = outer.pop() ?? place
        isKey = false
        break
      case 0x3a: // :
        isKey = false
        break
      case 0x2c: // ,
        if (typeof place.key === 'number') place.key++
        else isKey = true
        break
      case 0x2d:
      case 0x30:
      case 0x31:
      case 0x32:
      case 0x33:
      case 0x34:
      case 0x35:
      case 0x36:
      case 0x37:
      case 0x38:
      case 0x39: {
        const end = numberEnd(text, at)
        if (end - at >= 16 && setInteger(text.slice(at, end), place)) isLong = true
        at = end - 1
      }
    }
  }
  return isLong
}

function setInteger(digits: string, { container, key }: Place): boolean {
  const found = container?.[key]
  // Of a key that stands twice this may not be the last.
  const isIt = (typeof found === 'number' || typeof found === 'bigint') && Number(found) === Number(digits)
  if (container === undefined || !isIt || !longInteger.test(digits)) return false
  const integer = exactInteger(BigInt(digits))
  container[key] = integer
  return typeof integer === 'bigint'
}

const keyOf = (quoted: string): string => (quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1))

function numberEnd(text: string, start: number): number {
  let at = start + 1
  for (;;) {
    const code = text.charCodeAt(at)
    const isDigit = code >= 0x30 && code <= 0x39
    // . e E + -
    if (!isDigit && code !== 0x2e && code !== 0x65 && code !== 0x45 && code !== 0x2b && code !== 0x2d) return at
    at++
  }
}

/** With the nearest number in the place of each bigint, for who computes with them. The same value where there is none. */
export function rounded<T>(value: T): T {
  if (typeof value === 'bigint') return Number(value) as T
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const items = value.map(item => rounded(item))
    return items.some((item, i) => item !== value[i]) ? (items as T) : value
  }
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [key, rounded(item)])
  const same = value as Readonly<Record<string, unknown>>
  return entries.some(([key, item]) => item !== same[key]) ? (Object.fromEntries(entries) as T) : value
}

/** The same for a value as parseExact gave it, which it knows to be without a bigint or not. */
export function roundedParsed<T extends object>(value: T): T {
  return long.has(value) ? rounded(value) : value
}
