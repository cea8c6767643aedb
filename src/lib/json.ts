// JSON whose whole numbers are exact as far as an int64 reaches. JavaScript's numbers are so up to 2^53; what lies beyond is
// read as a bigint, and written as the digits that it had. Nearly no text has such a number: a look for sixteen digits in a
// row says so, and then JSON.parse reads it as always.

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
const wholeNumber = /^-?\d+$/
const int64Max = 2n ** 63n - 1n
const int64Min = -(2n ** 63n)

/** False: JSON.parse reads each number of it exactly, or as upstream would. */
export function mayHoldLong(text: string): boolean {
  return longDigits.test(text)
}

/** A number where that is written with the same digits, else a bigint; beyond an int64 the nearest number, as upstream reads it. */
export function exactInteger(value: bigint): number | bigint {
  const number = Number(value)
  return String(number) === String(value) || value > int64Max || value < int64Min ? number : value
}

const long = new WeakSet<object>()

/** As JSON.parse, with bigints for the whole numbers of an int64 that a number cannot hold. Throws SyntaxError. */
export function parseExact(text: string): unknown {
  if (!mayHoldLong(text)) return JSON.parse(text)
  let isLong = false
  const exact = (_: string, value: unknown, context: { readonly source?: string }): unknown => {
    const { source } = context
    if (typeof value !== 'number' || Number.isSafeInteger(value) || source === undefined) return value
    if (!wholeNumber.test(source)) return value
    const integer = exactInteger(BigInt(source))
    isLong ||= typeof integer === 'bigint'
    return integer
  }
  const value: unknown = JSON.parse(text, exact as (key: string, value: unknown) => unknown)
  if (isLong && typeof value === 'object' && value !== null) long.add(value)
  return value
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
