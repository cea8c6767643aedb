// Kubernetes quantities: '100m', '1Gi', '2e3'. Exact to one nano, as upstream (apimachinery/pkg/api/resource): what is finer
// is rounded up, away from zero. The canonical form keeps the family of suffixes that was written: 1024Mi is 1Gi, 1000Mi stays.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/

type Format = 'decimalSI' | 'binarySI' | 'decimalExponent'

export type Quantity = { readonly nano: bigint; readonly format: Format }

/** The words in which Kubernetes refuses a text that is no quantity. */
export const quantityMalformed =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

const nanoPerUnit = 1_000_000_000n
const nanoMax = (2n ** 63n - 1n) * nanoPerUnit
const pattern = /^([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(|[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)$/
const decimalExponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
}
const binaryExponents: Readonly<Record<string, bigint>> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n }
const exponentMax = 100

/** A cluster names the same few amounts all the time. */
const parsedCountMax = 4_096
let parsed = new Map<string, Quantity>()

/** Undefined when the text is no quantity. */
export function parseQuantity(text: string): Quantity | undefined {
  const known = parsed.get(text)
  if (known !== undefined) return known
  const made = parse(text)
  if (parsed.size >= parsedCountMax) parsed = new Map()
  if (made !== undefined) parsed.set(text, made)
  return made
}

function parse(text: string): Quantity | undefined {
  const match = text.length <= 256 ? pattern.exec(text) : null
  if (!match) return undefined
  const [, sign = '', digits = '', suffix = ''] = match
  const [whole = '', fraction = ''] = digits.split('.')
  const unscaled = BigInt(whole + fraction)
  const binary = binaryExponents[suffix]
  const decimal = decimalExponents[suffix] ?? (binary === undefined ? Number(suffix.slice(1)) : 0)
  if (Math.abs(decimal) > exponentMax) return undefined
  const format: Format =
    binary !== undefined ? 'binarySI' : decimalExponents[suffix] === undefined ? 'decimalExponent' : 'decimalSI'
  const numerator = unscaled * nanoPerUnit * 2n ** (binary ?? 0n) * 10n ** BigInt(Math.max(decimal, 0))
  const denominator = 10n ** BigInt(fraction.length + Math.max(-decimal, 0))
  const nano = min(ceilDivide(numerator, denominator), nanoMax)
  return { nano: sign === '-' ? -nano : nano, format }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

function ceilDivide(numerator: bigint, denominator: bigint): bigint {
  return (numerator + denominator - 1n) / denominator
}

/** The canonical form: no fraction, the largest suffix that leaves a whole number. */
export function formatQuantity({ nano, format }: Quantity): string {
  if (nano === 0n) return '0'
  const sign = nano < 0n ? '-' : ''
  const value = nano < 0n ? -nano : nano
  // A binary number below 1024 or with a fraction is written in the decimal family, as upstream does.
  if (format === 'binarySI' && value >= 1024n * nanoPerUnit && value % nanoPerUnit === 0n) {
    return sign + withBinarySuffix(value / nanoPerUnit)
  }
  let exponent = -9
  let mantissa = value
  while (mantissa % 1000n === 0n && exponent < 18) {
    mantissa /= 1000n
    exponent += 3
  }
  if (format === 'decimalExponent') return `${sign}${mantissa}${exponent === 0 ? '' : `e${exponent}`}`
  const suffix = Object.keys(decimalExponents).find(name => decimalExponents[name] === exponent) ?? ''
  return `${sign}${mantissa}${suffix}`
}

function withBinarySuffix(whole: bigint): string {
  const suffixes = ['', ...Object.keys(binaryExponents)]
  let at = 0
  while (whole % 1024n === 0n && at < suffixes.length - 1) {
    whole /= 1024n
    at++
  }
  return `${whole}${suffixes[at] ?? ''}`
}

export function canonicalQuantity(text: string): string | undefined {
  const quantity = parseQuantity(text)
  return quantity && formatQuantity(quantity)
}

function read(text: string): Quantity {
  const quantity = parseQuantity(text)
  if (!quantity) throw new RangeError(`not a quantity: ${JSON.stringify(text)}`)
  return quantity
}

/** Negative, zero or positive. Throws RangeError on a malformed text, as the functions below do. */
export function compareQuantity(a: string, b: string): number {
  const difference = read(a).nano - read(b).nano
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** In the family of `a`, unless `a` is zero. */
export function addQuantity(a: string, b: string): string {
  const [left, right] = [read(a), read(b)]
  return formatQuantity({ nano: left.nano + right.nano, format: left.nano === 0n ? right.format : left.format })
}

export function subtractQuantity(a: string, b: string): string {
  const [left, right] = [read(a), read(b)]
  return formatQuantity({ nano: left.nano - right.nano, format: left.nano === 0n ? right.format : left.format })
}

function scaled(text: string, nanoPerPart: bigint): number {
  const { nano } = read(text)
  return Number(nano < 0n ? -ceilDivide(-nano, nanoPerPart) : ceilDivide(nano, nanoPerPart))
}

/** Thousandths, rounded up: '100m' is 100, '1' is 1000. */
export function milliOf(text: string): number {
  return scaled(text, 1_000_000n)
}

/** Whole units, rounded up: '1Ki' is 1024, '100m' is 1. */
export function numberOf(text: string): number {
  return scaled(text, nanoPerUnit)
}
