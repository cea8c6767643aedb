// JSON without a schema as values of CEL: a whole number is an int, any other a double, as upstream decodes it. Nothing is
// copied; parts are adapted when they are read. Called for objects in admission, and for what schemas leave open.
import { compact } from '../../lib/cel/ints.ts'
import { Double, Fields, type Key, List, type Result, type Value } from '../../lib/cel/values.ts'
import type { Json, JsonObject } from '../schema.ts'

export function untyped(json: Json): Value {
  switch (typeof json) {
    case 'number':
      return numberOf(json)
    case 'bigint':
      return compact(json)
    case 'string':
    case 'boolean':
      return json
  }
  if (json === null) return null
  return isArray(json) ? new UntypedList(json) : new UntypedFields(json)
}

/** The platform's own test does not know readonly lists. */
export const isArray = (json: Json): json is readonly Json[] => Array.isArray(json)

export function numberOf(json: number | bigint): Value {
  if (typeof json === 'bigint') return compact(json)
  if (Number.isSafeInteger(json)) return json + 0
  return Number.isInteger(json) && Math.abs(json) < 2 ** 63 ? compact(BigInt(json)) : new Double(json)
}

class UntypedList extends List {
  readonly #items: readonly Json[]
  constructor(items: readonly Json[]) {
    super()
    this.#items = items
  }
  override get size(): number {
    return this.#items.length
  }
  override get(index: number): Result {
    return untyped(this.#items[index] ?? null)
  }
}

class UntypedFields extends Fields {
  readonly #entries: JsonObject
  constructor(entries: JsonObject) {
    super()
    this.#entries = entries
  }
  override get size(): number {
    return Object.keys(this.#entries).length
  }
  override get(key: Key): Result | undefined {
    const value = this.#find(key)
    return value === undefined ? undefined : untyped(value)
  }
  override has(key: Key): boolean {
    return this.#find(key) !== undefined
  }
  override keys(): Iterable<Value> {
    return Object.keys(this.#entries)
  }
  #find(key: Key): Json | undefined {
    return typeof key === 'string' && Object.hasOwn(this.#entries, key) ? this.#entries[key] : undefined
  }
}

/** Fields whose values are found when they are first read, and then kept. */
export class LazyFields extends Fields {
  readonly #found = new Map<string, Result>()
  readonly #find: Readonly<Record<string, () => Result>>
  constructor(find: Readonly<Record<string, () => Result>>) {
    super()
    this.#find = find
  }
  override get size(): number {
    return Object.keys(this.#find).length
  }
  override get(key: Key): Result | undefined {
    const name = String(key)
    const find = this.has(key) ? this.#find[name] : undefined
    if (find === undefined) return undefined
    const known = this.#found.get(name)
    if (known !== undefined) return known
    const value = find()
    this.#found.set(name, value)
    return value
  }
  override has(key: Key): boolean {
    return typeof key === 'string' && Object.hasOwn(this.#find, key)
  }
  override keys(): Iterable<Value> {
    return Object.keys(this.#find)
  }
}
