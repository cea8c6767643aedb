// Arithmetic on ranges of sizes and costs, and the estimates that many functions share. Infinity stands for a size that
// nothing bounds (cel-go, checker/cost.go, where it is the largest uint64).
import { type Argument, type CallEstimate, costs, type Range } from './env.ts'
import { Failure, List, sizeOrOne, type Value } from './values.ts'

export const fixed = (size: number): Range => ({ min: size, max: size })
export const unknown: Range = { min: 0, max: Number.POSITIVE_INFINITY }
export const zero = fixed(0)

export const plus = (a: Range, b: Range): Range => ({ min: a.min + b.min, max: a.max + b.max })
export const times = (a: Range, b: Range): Range => ({ min: product(a.min, b.min), max: product(a.max, b.max) })
export const union = (a: Range, b: Range): Range => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) })
export const scaled = (a: Range, factor: number): Range => ({ min: scale(a.min, factor), max: scale(a.max, factor) })

/** Nothing times anything is nothing. */
const product = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b)

/** Rounded up: a tenth of a character is one. */
export const scale = (size: number, factor: number): number => Math.ceil(size * factor)

/** Going through one value once. */
export const traversal = (value: Value, factor = 1): number => scale(sizeOrOne(value), factor * costs.perCharacter)

/** The cost of going through the first argument once, with a result as large. */
export const traversed = (argument: Argument | undefined, factor = 1): Range =>
  scaled(argument?.size ?? unknown, factor * costs.perCharacter)

/** A regular expression costs what its length times that of the text says. */
export const regexCost = (text: Value, pattern: Value): number =>
  scale(1 + sizeOrOne(text), costs.perCharacter) * scale(sizeOrOne(pattern), costs.perRegexCharacter)

export const regexEstimate = (text: Argument, pattern: Argument): CallEstimate => ({
  cost: times(scaled(plus(text.size, fixed(1)), costs.perCharacter), scaled(pattern.size, costs.perRegexCharacter)),
})

/** Comparing costs what the smaller of the two is. */
export const comparisonCost = (a: Value, b: Value): number =>
  scale(Math.min(sizeOrOne(a), sizeOrOne(b)), costs.perCharacter)

export const comparisonEstimate = (a: Argument, b: Argument): CallEstimate => {
  const max = Math.min(a.size.max, b.size.max)
  return { cost: scaled({ min: max > 0 ? 1 : 0, max }, costs.perCharacter) }
}

/** Sizes of concatenations are sums. */
export const concatenationEstimate = (a: Argument, b: Argument): CallEstimate => {
  const size = plus(a.size, b.size)
  return { cost: scaled(size, costs.perCharacter), size }
}

/** Going through a value and all that it holds: one for each scalar, a tenth of that for each byte of text. */
export function traversalOf(value: Value): number {
  return partsOf(value, traversalMax)
}

/** No limit of costs lets more pass, so that counting ends here. */
const traversalMax = 10_000_000

function partsOf(value: Value, max: number): number {
  if (typeof value === 'string') return Math.floor(new TextEncoder().encode(value).length * costs.perCharacter)
  if (value instanceof Uint8Array) return Math.floor(value.length * costs.perCharacter)
  if (!(value instanceof List)) return 1
  let count = 0
  for (let i = 0; i < value.size && i < max && count < max; i++) {
    const item = value.get(i)
    count += item instanceof Failure ? 1 : partsOf(item, max - count)
  }
  return value.size > max ? max : count
}
