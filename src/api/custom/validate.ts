// What is wrong with the value of a custom object, in the words of upstream's validator (kube-openapi pkg/validation and
// apiextensions-apiserver pkg/apiserver/{validation,schema/listtype}). What has not changed since the old object is not
// looked at again, so that a schema that became stricter does not lock an object. Pure.
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation
import { canonicalJson } from '../../lib/canonical.ts'
import { regexFor } from '../../lib/cel/regex.ts'
import { Failure } from '../../lib/cel/values.ts'
import { equalJson } from '../equal.ts'
import { duplicateValue, invalidValue, notSupported, requiredValue, tooLong, tooMany } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { isList, isObject } from '../parse.ts'
import { pathOf } from '../reader.ts'
import type { Json, JsonObject } from '../schema.ts'
import type { JsonSchemaProps } from '../types/jsonschema.ts'
import { validateAnnotations, validateLabels } from '../validate.ts'
import { formats } from './formats.ts'
import { additionalOf, isEmbedded, isIntOrString, itemsOf, propertyOf } from './schema.ts'

/** `old`: the value before, where there is one that this one comes from. */
export function validateValue(
  schema: JsonSchemaProps,
  value: Json,
  path: string,
  old: Json | undefined,
): readonly FieldError[] {
  const errors: FieldError[] = []
  check(schema, value, path, old, errors)
  return errors
}

function check(schema: JsonSchemaProps, value: Json, path: string, old: Json | undefined, errors: FieldError[]): void {
  if (old !== undefined && equalJson(old, value)) return
  if (!hasType(schema, value, path, errors)) return
  junctors(schema, value, path, old, errors)
  if (typeof value === 'string') checkText(schema, value, path, errors)
  if (typeof value === 'number' || typeof value === 'bigint') checkNumber(schema, value, path, errors)
  if (schema.enum && !schema.enum.some(one => equalJson(one, value))) {
    errors.push(
      notSupported(
        path,
        value,
        schema.enum.map(one => (typeof one === 'string' ? one : JSON.stringify(one))),
      ),
    )
  }
  if (isList(value)) checkList(schema, value, path, old, errors)
  if (isObject(value)) checkObject(schema, value, path, old, errors)
}

function typeOf(value: Json): string {
  if (value === null) return 'null'
  if (isList(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value === 'bigint' ? 'integer' : typeof value
}

/** False: nothing more can be said of the value. */
function hasType(schema: JsonSchemaProps, value: Json, path: string, errors: FieldError[]): boolean {
  const wanted = isIntOrString(schema) ? ['integer', 'string'] : schema.type ? [schema.type] : []
  const found = typeOf(value)
  if (value === null && schema.nullable) return false
  if (wanted.length === 0) return true
  if (wanted.includes(found) || (found === 'integer' && wanted.includes('number'))) return true
  errors.push(wrongType(path, wanted.join(','), found))
  return false
}

function wrongType(path: string, wanted: string, value: string): FieldError {
  const shown = JSON.stringify(value)
  return {
    field: path,
    reason: 'FieldValueTypeInvalid',
    message: `Invalid value: ${shown}: ${path} in body must be of type ${wanted}: ${shown}`,
  }
}

function checkText(schema: JsonSchemaProps, value: string, path: string, errors: FieldError[]): void {
  const say = (why: string) => errors.push(invalidValue(path, value, `${path} in body ${why}`))
  const { minLength, maxLength, pattern, format } = schema
  // Characters, not UTF-16 units; counted only where the text is long enough for it to matter.
  const length = () => [...value].length
  if (maxLength !== undefined && value.length > maxLength && length() > maxLength) errors.push(tooLong(path, maxLength))
  if (minLength !== undefined && length() < minLength) say(`should be at least ${minLength} chars long`)
  if (pattern) {
    const regex = regexFor(pattern)
    if (regex instanceof Failure) say(`should match '${pattern}', which is no pattern: ${regex.message}`)
    else if (regex.matches(value) !== true) say(`should match '${pattern}'`)
  }
  const holds = format ? formats[format] : undefined
  if (format && holds && Object.hasOwn(formats, format) && !holds(value)) errors.push(wrongType(path, format, value))
}

const ranges: Readonly<Record<string, readonly [number, number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [-(2 ** 63), 2 ** 63],
}

function checkNumber(schema: JsonSchemaProps, value: number | bigint, path: string, errors: FieldError[]): void {
  const say = (why: string) => errors.push(invalidValue(path, value, `${path} in body ${why}`))
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, format } = schema
  const range = format !== undefined && schema.type === 'integer' ? ranges[format] : undefined
  if (range && (value < range[0] || value > range[1])) say(`must be of type integer with format ${format}`)
  if (maximum !== undefined && (exclusiveMaximum ? value >= maximum : value > maximum)) {
    say(`should be less than ${exclusiveMaximum ? '' : 'or equal to '}${maximum}`)
  }
  if (minimum !== undefined && (exclusiveMinimum ? value <= minimum : value < minimum)) {
    say(`should be greater than ${exclusiveMinimum ? '' : 'or equal to '}${minimum}`)
  }
  if (multipleOf !== undefined && !isMultiple(Number(value), multipleOf)) say(`should be a multiple of ${multipleOf}`)
}

function isMultiple(value: number, factor: number): boolean {
  const times = value / factor
  return Number.isInteger(times) || Math.abs(times - Math.round(times)) < 1e-9
}

function checkList(
  schema: JsonSchemaProps,
  value: readonly Json[],
  path: string,
  old: Json | undefined,
  errors: FieldError[],
): void {
  const { minItems, maxItems } = schema
  if (maxItems !== undefined && value.length > maxItems) errors.push(tooMany(path, value.length, maxItems))
  if (minItems !== undefined && value.length < minItems) {
    errors.push(invalidValue(path, value.length, `${path} in body should have at least ${minItems} items`))
  }
  const items = itemsOf(schema)
  if (items) {
    const before = correlated(schema, old)
    for (const [i, item] of value.entries()) check(items, item, `${path}[${i}]`, before(item), errors)
  }
  const listType = schema['x-kubernetes-list-type']
  if (listType === 'set' || listType === 'map') checkUnique(schema, value, path, errors)
}

function keysOf(schema: JsonSchemaProps, item: Json): Json {
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  if (schema['x-kubernetes-list-type'] !== 'map' || !isObject(item)) return item
  const items = itemsOf(schema)
  const given = keys.map((key): [string, Json] => [key, item[key] ?? items?.properties?.[key]?.default ?? null])
  return Object.fromEntries(given.filter(([, value]) => value !== null))
}

/** Finds of an item the one of the same keys before; items of other lists have no past. */
export function correlated(schema: JsonSchemaProps, old: Json | undefined): (item: Json) => Json | undefined {
  if (!isList(old) || schema['x-kubernetes-list-type'] !== 'map') return () => undefined
  const before = new Map(old.map(item => [canonicalJson(keysOf(schema, item)), item]))
  return item => before.get(canonicalJson(keysOf(schema, item)))
}

function checkUnique(schema: JsonSchemaProps, value: readonly Json[], path: string, errors: FieldError[]): void {
  const seen = new Set<string>()
  for (const [i, item] of value.entries()) {
    const keys = keysOf(schema, item)
    const text = canonicalJson(keys)
    if (seen.has(text)) errors.push(duplicateValue(`${path}[${i}]`, keys))
    seen.add(text)
  }
}

function checkObject(
  schema: JsonSchemaProps,
  value: JsonObject,
  path: string,
  old: Json | undefined,
  errors: FieldError[],
): void {
  const { minProperties, maxProperties, required } = schema
  const count = Object.keys(value).length
  if (maxProperties !== undefined && count > maxProperties) errors.push(tooMany(path, count, maxProperties))
  if (minProperties !== undefined && count < minProperties) {
    errors.push(invalidValue(path, count, `${path} in body should have at least ${minProperties} properties`))
  }
  for (const name of required ?? []) {
    if (!Object.hasOwn(value, name)) errors.push(requiredValue(pathOf(path, name)))
  }
  if (isEmbedded(schema)) checkEmbedded(value, path, errors)
  const before = isObject(old) ? old : {}
  const additional = additionalOf(schema)
  for (const [key, item] of Object.entries(value)) {
    const below = propertyOf(schema, key) ?? additional
    const was = Object.hasOwn(before, key) ? before[key] : undefined
    if (below) check(below, item, pathOf(path, key), was, errors)
  }
}

function checkEmbedded(value: JsonObject, path: string, errors: FieldError[]): void {
  for (const name of ['apiVersion', 'kind']) {
    const given = value[name]
    if (given === undefined || given === '') errors.push(requiredValue(pathOf(path, name), 'must not be empty'))
    else if (typeof given !== 'string') errors.push(wrongType(pathOf(path, name), 'string', typeOf(given)))
  }
  const { metadata } = value
  if (metadata === undefined) return
  if (!isObject(metadata)) {
    errors.push(wrongType(pathOf(path, 'metadata'), 'object', typeOf(metadata)))
    return
  }
  const texts = (name: string) => {
    const given = metadata[name]
    const isTexts = isObject(given) && Object.values(given).every(one => typeof one === 'string')
    return isTexts ? (given as Readonly<Record<string, string>>) : undefined
  }
  errors.push(...validateLabels(texts('labels'), `${path}.metadata.labels`))
  errors.push(...validateAnnotations(texts('annotations'), `${path}.metadata.annotations`))
}

/** allOf, anyOf, oneOf and not; their own faults are told of no field, as upstream. */
function junctors(
  schema: JsonSchemaProps,
  value: Json,
  path: string,
  old: Json | undefined,
  errors: FieldError[],
): void {
  const { allOf, anyOf, oneOf, not } = schema
  const tried = (one: JsonSchemaProps) => {
    const found: FieldError[] = []
    check(one, value, path, old, found)
    return found
  }
  const quoted = JSON.stringify(path)
  const say = (why: string) => errors.push(invalidValue('<nil>', '', `${quoted} ${why}`))
  if (anyOf && anyOf.length > 0) {
    const all = anyOf.map(tried)
    if (all.every(({ length }) => length > 0)) {
      say('must validate at least one schema (anyOf)')
      errors.push(...best(all))
    }
  }
  if (oneOf && oneOf.length > 0) {
    const all = oneOf.map(tried)
    const count = all.filter(({ length }) => length === 0).length
    if (count === 0) {
      say('must validate one and only one schema (oneOf). Found none valid')
      errors.push(...best(all))
    } else if (count > 1) {
      say(`must validate one and only one schema (oneOf). Found ${count} valid alternatives`)
    }
  }
  if (allOf && allOf.length > 0) {
    const all = allOf.map(tried)
    const valid = all.filter(({ length }) => length === 0).length
    if (valid < all.length) {
      say(`must validate all the schemas (allOf)${valid === 0 ? '. None validated' : ''}`)
      errors.push(...all.flat())
    }
  }
  if (not && tried(not).length === 0) say('must not validate the schema (not)')
}

/** The alternative that is nearest tells most of what is missing. */
function best(all: readonly (readonly FieldError[])[]): readonly FieldError[] {
  return all.toSorted((a, b) => a.length - b.length)[0] ?? []
}
