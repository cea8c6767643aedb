// Quantities: quantity('1Gi').isLessThan(quantity('2Gi'))
// (https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-quantity-library).
import { type Library, method, type Overload, overload } from '../../../lib/cel/env.ts'
import { traversal } from '../../../lib/cel/estimates.ts'
import { int64, int64Max } from '../../../lib/cel/ints.ts'
import { bool, double, int, opaque, string, type Type } from '../../../lib/cel/types.ts'
import { Double, Failure, Opaque, type Result, type Value } from '../../../lib/cel/values.ts'
import { parseQuantity, quantityMalformed } from '../../../lib/quantity.ts'

const quantityType = opaque('kubernetes.Quantity')
const nanoPerUnit = 1_000_000_000n

class QuantityValue extends Opaque {
  override readonly typeName = 'kubernetes.Quantity'
  readonly nano: bigint
  constructor(nano: bigint) {
    super()
    this.nano = nano
  }
  override equals(other: Opaque): boolean {
    return other instanceof QuantityValue && other.nano === this.nano
  }
}

function quantity(text: string): Result {
  const parsed = parseQuantity(text)
  return parsed === undefined ? new Failure(quantityMalformed) : new QuantityValue(parsed.nano)
}

const sign = (nano: bigint): number => (nano > 0n ? 1 : nano < 0n ? -1 : 0)

/** The whole number that a quantity is; undefined when it is none, or too large: what is cut to the largest is none. */
function integerOf({ nano }: QuantityValue): Value | undefined {
  if (nano / nanoPerUnit === int64Max || nano / nanoPerUnit === -int64Max) return undefined
  return nano % nanoPerUnit === 0n ? int64(nano / nanoPerUnit) : undefined
}

const on = (name: string, result: Type, call: (value: QuantityValue) => Result): Overload =>
  method(`quantity_${name}`, [quantityType], result, call)
const compared = (name: string, result: Type, call: (difference: number) => Result): Overload =>
  method(`quantity_${name}`, [quantityType, quantityType], result, (a: QuantityValue, b: QuantityValue) =>
    call(sign(a.nano - b.nano)),
  )
const combined = (name: string, call: (a: bigint, b: bigint) => bigint): readonly Overload[] => [
  method(
    `quantity_${name}`,
    [quantityType, quantityType],
    quantityType,
    (a: QuantityValue, b: QuantityValue) => new QuantityValue(call(a.nano, b.nano)),
  ),
  method(
    `quantity_${name}_int`,
    [quantityType, int],
    quantityType,
    (a: QuantityValue, b: number | bigint) => new QuantityValue(call(a.nano, BigInt(b) * nanoPerUnit)),
  ),
]

const parsing = { cost: (text: Value) => traversal(text) }

export const quantityLibrary: Library = {
  quantity: [overload('string_to_quantity', [string], quantityType, quantity, parsing)],
  isQuantity: [
    overload('is_quantity_string', [string], bool, (text: string) => parseQuantity(text) !== undefined, parsing),
  ],
  sign: [on('sign', int, value => sign(value.nano))],
  isInteger: [on('is_integer', bool, value => integerOf(value) !== undefined)],
  asInteger: [on('as_integer', int, value => integerOf(value) ?? new Failure('cannot convert value to integer'))],
  asApproximateFloat: [on('as_float', double, value => new Double(Number(value.nano) / 1e9))],
  isGreaterThan: [compared('is_greater_than', bool, difference => difference > 0)],
  isLessThan: [compared('is_less_than', bool, difference => difference < 0)],
  compareTo: [compared('compare_to', int, difference => difference)],
  add: combined('add', (a, b) => a + b),
  sub: combined('sub', (a, b) => a - b),
}
