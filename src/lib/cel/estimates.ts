// Arithmetic on ranges of sizes and costs, and the estimates that many functions share. Infinity stands for a size that
// nothing bounds (cel-go, checker/cost.go, where it is the largest uint64).
import { type Argument, type CallEstimate, costs, type Range } from './env.ts'
import { List, sizeOrOne, type Value } from './values.ts'

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

/** How many values there are in a list. Ends at a million: no limit of costs lets more pass. */
export function valuesIn(value: Value, countMax = 1_000_000): number {
  if (!(value instanceof List)) return 1
  let count = 0
  for (let i = 0; i < value.size && count < countMax; i++) {
    const item = value.get(i)
    count += item instanceof List ? valuesIn(item, countMax - count) : 1
  }
  return count
}
