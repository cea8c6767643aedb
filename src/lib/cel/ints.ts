// 64-bit integers as CEL has them. An int is a number while it is a safe integer and a bigint beyond, never both, so that
// one value has one representation and small integers stay fast; every operation checks its range (cel-spec, "Overflow").

/** The int64 or uint64 of an expression: a number when safe, a bigint beyond. */
export type Integer = number | bigint

export const int64Min = -(2n ** 63n)
export const int64Max = 2n ** 63n - 1n
export const uint64Max = 2n ** 64n - 1n

const safe = BigInt(Number.MAX_SAFE_INTEGER)

export function compact(value: bigint): Integer {
  return value <= safe && value >= -safe ? Number(value) : value
}

/** undefined when the value is out of range. */
export const int64 = (value: bigint): Integer | undefined =>
  value < int64Min || value > int64Max ? undefined : compact(value)
export const uint64 = (value: bigint): Integer | undefined =>
  value < 0n || value > uint64Max ? undefined : compact(value)

type Range = (value: bigint) => Integer | undefined

export function add(a: Integer, b: Integer, range: Range): Integer | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (Number.isSafeInteger(sum) && (sum >= 0 || range === int64)) return sum
  }
  return range(BigInt(a) + BigInt(b))
}

export function subtract(a: Integer, b: Integer, range: Range): Integer | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b
    if (Number.isSafeInteger(difference) && (difference >= 0 || range === int64)) return difference
  }
  return range(BigInt(a) - BigInt(b))
}

export function multiply(a: Integer, b: Integer, range: Range): Integer | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b
    // + 0 takes the sign off a zero.
    if (Number.isSafeInteger(product) && (product >= 0 || range === int64)) return product + 0
  }
  return range(BigInt(a) * BigInt(b))
}

/** Truncated towards zero; the caller has excluded a zero divisor. */
export function divide(a: Integer, b: Integer, range: Range): Integer | undefined {
  if (typeof a === 'number' && typeof b === 'number') return Math.trunc(a / b) + 0
  return range(BigInt(a) / BigInt(b))
}

/** With the sign of `a`; the caller has excluded a zero divisor. */
export function remainder(a: Integer, b: Integer): Integer {
  if (typeof a === 'number' && typeof b === 'number') return (a % b) + 0
  return compact(BigInt(a) % BigInt(b))
}
