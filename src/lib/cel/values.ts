// The values of CEL at run time. JSON's own values stand for themselves where they can (string, boolean, null, a safe
// integer for int), so that documents need no copy; what JavaScript cannot tell apart is wrapped. An error is a value too:
// && and || may absorb it (cel-spec, "Logical Operators"). Pure.
import type { Integer } from './ints.ts'
import type { Type } from './types.ts'

export type Value =
  | null
  | boolean
  | string
  /** An int. */
  | number
  /** An int beyond the safe integers. */
  | bigint
  | Uint
  | Double
  | Uint8Array
  | Duration
  | Timestamp
  | List
  | Fields
  | TypeValue
  | Optional
  | Opaque

/** What evaluating gives: a value, or an error that is on its way. */
export type Result = Value | Failure

/** An error during evaluation. The message is what clients see. */
export class Failure {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

export class Uint {
  readonly value: Integer
  constructor(value: Integer) {
    this.value = value
  }
}

export class Double {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** Nanoseconds, within int64. */
export class Duration {
  readonly nanos: bigint
  constructor(nanos: bigint) {
    this.nanos = nanos
  }
}

/** Nanoseconds since 1970, from year 1 to 9999. */
export class Timestamp {
  readonly nanos: bigint
  constructor(nanos: bigint) {
    this.nanos = nanos
  }
}

/** A type as a value: type(1) == int. */
export class TypeValue {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

export class Optional {
  /** undefined when there is none. */
  readonly value: Value | undefined
  constructor(value: Value | undefined) {
    this.value = value
  }
}

/** A value of a library's own type. `equals` gets another of the same name. */
export abstract class Opaque {
  abstract readonly typeName: string
  abstract equals(other: Opaque): boolean
  /** What size and costs see; undefined for a thing without size. */
  get size(): number | undefined {
    return undefined
  }
}

/** A list. Documents are adapted lazily by subclasses. */
export abstract class List {
  abstract readonly size: number
  /** The caller has checked the index. */
  abstract get(index: number): Result
  *[Symbol.iterator](): Generator<Result> {
    for (let i = 0; i < this.size; i++) yield this.get(i)
  }
  /** this + other. */
  concat(other: List): Result {
    return concatLists(this, other)
  }
  /** this == other; undefined leaves it to the elements in order. */
  equals(_other: List): boolean | Failure | undefined {
    return undefined
  }
}

/** A list of values. Appending to the newest list that shares an array is O(1), which makes map() and filter() linear. */
export class ArrayList extends List {
  readonly #items: Result[]
  override readonly size: number
  readonly #fixed: boolean
  /** A list that is `fixed` is used more than once: what is appended to it must not grow its array. */
  constructor(items: Result[], fixed = false) {
    super()
    this.#items = items
    this.#fixed = fixed
    this.size = items.length
  }
  override get(index: number): Result {
    return this.#items[index] ?? null
  }
  append(other: List): ArrayList {
    const isNewest = this.size === this.#items.length && !this.#fixed
    const items = isNewest ? this.#items : this.#items.slice(0, this.size)
    for (let i = 0; i < other.size; i++) items.push(other.get(i))
    return new ArrayList(items)
  }
}

/** Two lists after one another, uncopied: sums of large lists take no room however often they double. */
class Joined extends List {
  readonly left: List
  readonly right: List
  override readonly size: number
  constructor(left: List, right: List) {
    super()
    this.left = left
    this.right = right
    this.size = left.size + right.size
  }
  override get(index: number): Result {
    let list: List = this
    while (list instanceof Joined) {
      if (index < list.left.size) list = list.left
      else {
        index -= list.left.size
        list = list.right
      }
    }
    return list.get(index)
  }
}

const copiedSizeMax = 32

function concatLists(left: List, right: List): List {
  if (right.size > copiedSizeMax) return left.size === 0 ? right : new Joined(left, right)
  if (left instanceof ArrayList) return left.append(right)
  if (left.size > copiedSizeMax) return new Joined(left, right)
  return new ArrayList([]).append(left).append(right)
}

/** A key of a map: string, bool, int, uint. A double stands for the integer that it equals. */
export type Key = string | boolean | Integer

/** A map, or an object with fields. Documents are adapted lazily by subclasses. */
export abstract class Fields {
  abstract readonly size: number
  /** undefined when there is no such key. */
  abstract get(key: Key): Result | undefined
  abstract has(key: Key): boolean
  abstract keys(): Iterable<Value>
  /** this == other; undefined leaves it to the entries. */
  equals(_other: Fields): boolean | Failure | undefined {
    return undefined
  }
  /** The name of an object's type; undefined for a map. */
  get typeName(): string | undefined {
    return undefined
  }
}

/** A map made by an expression. `insert` is for the accumulator of a comprehension alone, which nobody else can see. */
export class EntryMap extends Fields {
  readonly #entries = new Map<Key, readonly [Value, Value]>()
  override get size(): number {
    return this.#entries.size
  }
  override get(key: Key): Result | undefined {
    return this.#entries.get(key)?.[1]
  }
  override has(key: Key): boolean {
    return this.#entries.has(key)
  }
  override *keys(): Generator<Value> {
    for (const [key] of this.#entries.values()) yield key
  }
  insert(key: Key, as: Value, value: Value): void {
    this.#entries.set(key, [as, value])
  }
}

/** The key that a value is, undefined when it cannot be one. */
export function keyOf(value: Value): Key | undefined {
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return value
  if (typeof value === 'bigint') return value
  if (value instanceof Uint) return value.value
  if (!(value instanceof Double) || !Number.isInteger(value.value)) return undefined
  return Number.isSafeInteger(value.value) ? value.value + 0 : BigInt(value.value)
}

/** The run-time type's name: what type() and messages say. */
export function typeName(value: Value): string {
  switch (typeof value) {
    case 'string':
      return 'string'
    case 'boolean':
      return 'bool'
    case 'number':
    case 'bigint':
      return 'int'
  }
  if (value === null) return 'null_type'
  if (value instanceof List) return 'list'
  if (value instanceof Fields) return value.typeName ?? 'map'
  if (value instanceof Double) return 'double'
  if (value instanceof Uint) return 'uint'
  if (value instanceof Uint8Array) return 'bytes'
  if (value instanceof Duration) return 'google.protobuf.Duration'
  if (value instanceof Timestamp) return 'google.protobuf.Timestamp'
  if (value instanceof TypeValue) return 'type'
  if (value instanceof Optional) return 'optional_type'
  return value.typeName
}

/** Whether a value is of a declared type, by its outermost part alone: elements of lists are looked at when they are used. */
export function isOf(value: Value, type: Type): boolean {
  switch (type.kind) {
    case 'dyn':
    case 'error':
    case 'param':
      return true
    case 'null':
      return value === null
    case 'bool':
      return typeof value === 'boolean'
    case 'int':
      return typeof value === 'number' || typeof value === 'bigint'
    case 'string':
      return typeof value === 'string'
    case 'uint':
      return value instanceof Uint
    case 'double':
      return value instanceof Double
    case 'bytes':
      return value instanceof Uint8Array
    case 'duration':
      return value instanceof Duration
    case 'timestamp':
      return value instanceof Timestamp
    case 'list':
      return value instanceof List
    case 'map':
    case 'object':
      return value instanceof Fields
    case 'type':
      return value instanceof TypeValue
    case 'opaque':
      return (value instanceof Optional || value instanceof Opaque) && typeName(value) === type.name
  }
}

/** size() of cel-spec: code points of a string, bytes, elements, entries. undefined for what has none. */
export function sizeOf(value: Value): number | undefined {
  if (typeof value === 'string') return codePoints(value)
  if (value instanceof List || value instanceof Fields || value instanceof Opaque) return value.size
  return value instanceof Uint8Array ? value.length : undefined
}

/** What a value counts in costs. */
export const sizeOrOne = (value: Value): number => sizeOf(value) ?? 1

export function codePoints(text: string): number {
  let count = text.length
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0xd800 || unit > 0xdbff) continue
    const next = text.charCodeAt(i + 1)
    if (next >= 0xdc00 && next <= 0xdfff) {
      count--
      i++
    }
  }
  return count
}
