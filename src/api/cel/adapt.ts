// JSON under a structural schema as values of CEL (apiserver/pkg/cel/common/values.go). Nothing is copied: lists and objects
// are wrapped, and their parts adapted when they are read. Lists that are sets or maps are equal in any order, and their
// sums are merges.
import { equalResults } from '../../lib/cel/compare.ts'
import { parseDuration, parseTimestamp } from '../../lib/cel/time.ts'
import { Double, Failure, Fields, type Key, List, type Result, type Value } from '../../lib/cel/values.ts'
import { bytesOfBase64 } from '../base64.ts'
import { equalJson } from '../equal.ts'
import { isObject } from '../parse.ts'
import type { Json, JsonObject } from '../schema.ts'
import type { JsonSchemaProps } from '../types/jsonschema.ts'
import { schemaOf, withTypeAndName } from './declare.ts'
import { escapeName, unescapeName } from './escape.ts'
import { isArray, numberOf, untyped } from './untyped.ts'

export function adapt(json: Json, schema: JsonSchemaProps): Result {
  if (json === null) {
    return schema.nullable === true ? null : new Failure('invalid data, got null for schema with nullable=false')
  }
  if (schema['x-kubernetes-int-or-string'] === true) return adaptIntOrString(json)
  switch (schema.type) {
    case 'object':
      return adaptObject(json, schema)
    case 'array':
      return adaptList(json, schema)
    case 'string':
      return typeof json === 'string' ? adaptString(json, schema.format) : unexpected('string', json)
    case 'number':
      return isNumber(json) ? new Double(Number(json)) : unexpected('float', json)
    case 'integer': {
      const value = isNumber(json) ? numberOf(json) : undefined
      return typeof value === 'number' || typeof value === 'bigint' ? value : unexpected('int', json)
    }
    case 'boolean':
      return typeof json === 'boolean' ? json : unexpected('bool', json)
    default:
      // Preserved without a type: rules cannot name it, only compare what it stands in.
      return untyped(json)
  }
}

const isNumber = (json: Json): json is number | bigint => typeof json === 'number' || typeof json === 'bigint'

const unexpected = (expected: string, json: Json): Failure =>
  new Failure(`invalid data, expected ${expected}, got ${typeof json}`)

function adaptIntOrString(json: Json): Result {
  if (typeof json === 'string') return json
  const value = isNumber(json) ? numberOf(json) : undefined
  if (typeof value === 'number' || typeof value === 'bigint') return value
  return new Failure('invalid data, expected XIntOrString value to be either a string or integer')
}

function adaptString(text: string, format: string | undefined): Result {
  switch (format) {
    case 'duration':
      return parseDuration(text) ?? new Failure(`Invalid duration ${text}`)
    case 'date':
      return parseTimestamp(`${text}T00:00:00Z`) ?? new Failure(`Invalid date formatted string ${text}`)
    case 'date-time':
      return parseTimestamp(text) ?? new Failure(`Invalid date-time formatted string ${text}`)
    case 'byte':
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
        return new Failure(`Invalid byte formatted string ${text}`)
      }
      return bytesOfBase64(text)
    default:
      return text
  }
}

function adaptObject(json: Json, schema: JsonSchemaProps): Result {
  if (!isObject(json)) return new Failure('invalid data, expected a map for the provided schema with type=object')
  const additional = schemaOf(schema.additionalProperties)
  const embedded = schema['x-kubernetes-embedded-resource'] === true
  if (additional !== undefined && schema.properties === undefined && !embedded) {
    return new AdaptedMap(json as JsonObject, additional)
  }
  return new AdaptedObject(json as JsonObject, embedded ? withTypeAndName(schema) : schema)
}

class AdaptedMap extends Fields {
  readonly #entries: JsonObject
  readonly #schema: JsonSchemaProps
  constructor(entries: JsonObject, schema: JsonSchemaProps) {
    super()
    this.#entries = entries
    this.#schema = schema
  }
  override get size(): number {
    return Object.keys(this.#entries).length
  }
  override get(key: Key): Result | undefined {
    return this.has(key) ? adapt(this.#entries[String(key)] ?? null, this.#schema) : undefined
  }
  override has(key: Key): boolean {
    return typeof key === 'string' && Object.hasOwn(this.#entries, key)
  }
  override keys(): Iterable<Value> {
    return Object.keys(this.#entries)
  }
}

class AdaptedObject extends Fields {
  readonly #entries: JsonObject
  readonly #schema: JsonSchemaProps
  constructor(entries: JsonObject, schema: JsonSchemaProps) {
    super()
    this.#entries = entries
    this.#schema = schema
  }
  override get size(): number {
    return Object.keys(this.#entries).length
  }
  override get typeName(): string {
    return 'object'
  }
  override get(key: Key): Result | undefined {
    const name = this.#nameOf(key)
    const schema = name === undefined ? undefined : this.#property(name)
    const value = name === undefined ? undefined : this.#entries[name]
    return schema === undefined || value === undefined ? undefined : adapt(value, schema)
  }
  override has(key: Key): boolean {
    const name = this.#nameOf(key)
    return name !== undefined && this.#property(name) !== undefined
  }
  override *keys(): Generator<Value> {
    for (const name of Object.keys(this.#entries)) {
      const escaped = this.#property(name) === undefined ? undefined : escapeName(name)
      if (escaped !== undefined && this.has(escaped)) yield escaped
    }
  }
  /** What the schema does not know counts too, by what JSON it is. */
  override equals(other: Fields): boolean | Failure | undefined {
    if (!(other instanceof AdaptedObject)) return undefined
    for (const [name, value] of Object.entries(this.#entries)) {
      if (!Object.hasOwn(other.#entries, name)) return false
      const [schema, otherSchema] = [this.#property(name), other.#property(name)]
      const otherValue = other.#entries[name] ?? null
      const equal =
        schema === undefined || otherSchema === undefined || value === null || otherValue === null
          ? equalJson(value, otherValue)
          : equalResults(adapt(value, schema), adapt(otherValue, otherSchema))
      if (equal !== true) return equal
    }
    return true
  }
  #property(name: string): JsonSchemaProps | undefined {
    const { properties } = this.#schema
    return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined
  }
  /** The name of a field that is there: a null is as if it were not. */
  #nameOf(key: Key): string | undefined {
    if (typeof key !== 'string') return undefined
    const name = unescapeName(key)
    return Object.hasOwn(this.#entries, name) && this.#entries[name] !== null ? name : undefined
  }
}

function adaptList(json: Json, schema: JsonSchemaProps): Result {
  if (!isArray(json)) return new Failure('invalid data, expected an array for the provided schema with type=array')
  const items = schemaOf(schema.items)
  if (items === undefined) return new Failure('invalid array type, expected Items with a non-empty Schema')
  switch (schema['x-kubernetes-list-type']) {
    case 'set':
      return new KeyedList(json, items, undefined)
    case 'map':
      return new KeyedList(json, items, schema['x-kubernetes-list-map-keys'] ?? [])
    default:
      return new AdaptedList(json, items)
  }
}

class AdaptedList extends List {
  readonly items: readonly Json[]
  readonly schema: JsonSchemaProps
  constructor(items: readonly Json[], schema: JsonSchemaProps) {
    super()
    this.items = items
    this.schema = schema
  }
  override get size(): number {
    return this.items.length
  }
  override get(index: number): Result {
    return adapt(this.items[index] ?? null, this.schema)
  }
}

/** A set, whose elements are their own keys, or a map, whose elements have fields that tell them apart. */
class KeyedList extends AdaptedList {
  readonly #keys: readonly string[] | undefined
  constructor(items: readonly Json[], schema: JsonSchemaProps, keys: readonly string[] | undefined) {
    super(items, schema)
    this.#keys = keys
  }

  #keyOf(item: Json): string {
    if (this.#keys === undefined) return JSON.stringify(item)
    return JSON.stringify(isObject(item) ? this.#keys.map(key => (item as JsonObject)[key] ?? null) : item)
  }

  #index(): Map<string, number> {
    return new Map(this.items.map((item, i) => [this.#keyOf(item), i]))
  }

  override equals(other: List): boolean | Failure | undefined {
    if (!(other instanceof AdaptedList)) return undefined
    const index = this.#index()
    for (let i = 0; i < other.size; i++) {
      const mine = index.get(this.#keyOf(other.items[i] ?? null))
      if (mine === undefined) return false
      const equal = this.#keys === undefined || equalResults(this.get(mine), other.get(i))
      if (equal !== true) return equal
    }
    return true
  }

  /** Elements of `other` take the places of those with their keys; the rest comes after. */
  override concat(other: List): Result {
    if (!(other instanceof AdaptedList)) return super.concat(other)
    const merged = [...this.items]
    const index = this.#index()
    for (const item of other.items) {
      const key = this.#keyOf(item)
      const at = index.get(key) ?? merged.length
      index.set(key, at)
      merged[at] = item
    }
    return new KeyedList(merged, this.schema, this.#keys)
  }
}
