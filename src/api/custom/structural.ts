// Whether a schema is structural: every field has a type outside of allOf, anyOf, oneOf and not, so that it can be told
// which fields are known. Paths and messages are upstream's (apiextensions-apiserver pkg/apiserver/schema/validation.go and
// pkg/apis/apiextensions/validation). Pure; the rules in CEL are looked at by rules.ts.
import { regexFor } from '../../lib/cel/regex.ts'
import { Failure } from '../../lib/cel/values.ts'
import { compareText } from '../../lib/sorted.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { isList, isObject } from '../parse.ts'
import type { JsonSchemaProps } from '../types/jsonschema.ts'
import {
  additionalOf,
  child,
  isEmbedded,
  isIntOrString,
  itemsOf,
  keyed,
  type Path,
  preservesUnknown,
} from './schema.ts'

type Level = 'root' | 'item' | 'field'

/** All that is wrong with the form of a schema; `path` is where it stands in the definition. */
export function validateStructural(schema: JsonSchemaProps, path: Path): readonly FieldError[] {
  const errors: FieldError[] = []
  invariants(schema, 'root', path, errors)
  complete(schema, path, errors)
  return errors.sort((a, b) => compareText(`${a.field}: ${a.message}`, `${b.field}: ${b.message}`))
}

const withoutType: Readonly<Record<Level, string>> = {
  root: 'must not be empty at the root',
  item: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
}

function invariants(schema: JsonSchemaProps, level: Level, path: Path, errors: FieldError[]): void {
  const items = itemsOf(schema)
  if (schema.type === 'array' && schema.items === undefined) {
    errors.push(requiredValue(child(path, 'items'), 'must be specified'))
  }
  if (items) invariants(items, 'item', child(path, 'items'), errors)
  for (const [name, below] of Object.entries(schema.properties ?? {})) {
    invariants(below, 'field', keyed(child(path, 'properties'), name), errors)
  }
  if (schema.additionalProperties !== undefined) {
    if (level === 'root') errors.push(forbidden(child(path, 'additionalProperties'), 'must not be used at the root'))
    const additional = additionalOf(schema)
    if (additional) invariants(additional, 'field', child(path, 'additionalProperties'), errors)
  }
  extensions(schema, path, errors)
  junctors(schema, path, errors, isIntOrStringAnyOf(schema), isIntOrStringAnyOf(schema.allOf?.[0]))
  typed(schema, level, path, errors)
  metadata(schema, level, path, errors)
}

function extensions(schema: JsonSchemaProps, path: Path, errors: FieldError[]): void {
  if (!isIntOrString(schema)) return
  for (const name of ['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource'] as const) {
    if (schema[name] !== true) continue
    errors.push(invalidValue(child(path, name), true, 'must be false if x-kubernetes-int-or-string is true'))
  }
}

function typed(schema: JsonSchemaProps, level: Level, path: Path, errors: FieldError[]): void {
  const { type = '' } = schema
  const at = child(path, 'type')
  if (isEmbedded(schema) && type !== 'object') {
    const why = 'must be object if x-kubernetes-embedded-resource is true'
    errors.push(type === '' ? requiredValue(at, why) : invalidValue(at, type, why))
  } else if (type === '' && !isIntOrString(schema) && !preservesUnknown(schema)) {
    errors.push(requiredValue(at, withoutType[level]))
  }
  if (level === 'root' && type !== '' && type !== 'object') {
    errors.push(invalidValue(at, type, 'must be object at the root'))
  }
  if (!isEmbedded(schema)) return
  if (schema.additionalProperties !== undefined) {
    const why = 'must not be used if x-kubernetes-embedded-resource is set'
    errors.push(forbidden(child(path, 'additionalProperties'), why))
  }
  if (!preservesUnknown(schema) && Object.keys(schema.properties ?? {}).length === 0) {
    const why =
      'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields'
    errors.push(requiredValue(child(path, 'properties'), why))
  }
}

/** apiVersion, kind and metadata are what they always are: a schema may restrict the names alone. */
function metadata(schema: JsonSchemaProps, level: Level, path: Path, errors: FieldError[]): void {
  if (level !== 'root' && !isEmbedded(schema)) return
  const at = (name: string) => keyed(child(path, 'properties'), name)
  for (const name of ['kind', 'apiVersion']) {
    const below = schema.properties?.[name]
    if (below && below.type !== 'string') {
      errors.push(invalidValue(child(at(name), 'type'), below.type ?? '', 'must be string'))
    }
  }
  const meta = schema.properties?.['metadata']
  if (!meta) return
  if (meta.type !== 'object')
    errors.push(invalidValue(child(at('metadata'), 'type'), meta.type ?? '', 'must be object'))
  if (level !== 'root') return
  const { type: _, default: __, properties = {}, ...rest } = meta
  const foreign = Object.keys(properties).filter(name => name !== 'name' && name !== 'generateName')
  if (foreign.length > 0 || Object.keys(rest).length > 0) {
    const why = 'must not specify anything other than name and generateName, but metadata is implicitly specified'
    errors.push(forbidden(at('metadata'), why))
  }
}

/** The one way in which types may stand in an anyOf. */
function isIntOrStringAnyOf(schema: JsonSchemaProps | undefined): boolean {
  return JSON.stringify(schema?.anyOf) === '[{"type":"integer"},{"type":"string"}]'
}

function junctors(
  schema: JsonSchemaProps,
  path: Path,
  errors: FieldError[],
  skipAnyOf: boolean,
  skipFirstAllOf: boolean,
): void {
  if (!skipAnyOf) nestedList(schema.anyOf, child(path, 'anyOf'), errors)
  for (const [i, below] of (schema.allOf ?? []).entries()) {
    nested(below, `${child(path, 'allOf')}[${i}]`, errors, skipFirstAllOf && i === 0)
  }
  nestedList(schema.oneOf, child(path, 'oneOf'), errors)
  if (schema.not) nested(schema.not, child(path, 'not'), errors)
  if (schema.pattern) {
    const compiled = regexFor(schema.pattern)
    if (compiled instanceof Failure) {
      const why = `must be a valid regular expression, but isn't: ${compiled.message}`
      errors.push(invalidValue(child(path, 'pattern'), schema.pattern, why))
    }
  }
}

function nestedList(schemas: readonly JsonSchemaProps[] | undefined, path: Path, errors: FieldError[]): void {
  for (const [i, below] of (schemas ?? []).entries()) nested(below, `${path}[${i}]`, errors)
}

const forbiddenNested: readonly (readonly [keyof JsonSchemaProps, string])[] = [
  ['type', 'must be empty to be structural'],
  ['additionalProperties', 'must be undefined to be structural'],
  ['default', 'must be undefined to be structural'],
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['externalDocs', 'must be undefined to be structural'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false to be structural'],
  ['x-kubernetes-embedded-resource', 'must be false to be structural'],
  ['x-kubernetes-int-or-string', 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
  ['x-kubernetes-validations', 'must be empty to be structural'],
]

/** Below a junctor stand only conditions on values. */
function nested(schema: JsonSchemaProps, path: Path, errors: FieldError[], skipAnyOf = false): void {
  junctors(schema, path, errors, skipAnyOf, false)
  const items = itemsOf(schema)
  if (items) nested(items, child(path, 'items'), errors)
  for (const [name, below] of Object.entries(schema.properties ?? {})) {
    const at = keyed(child(path, 'properties'), name)
    nested(below, at, errors)
    if (name === 'metadata') errors.push(forbidden(at, 'must not be specified in a nested context'))
  }
  for (const [name, why] of forbiddenNested) {
    const value = schema[name]
    const isEmpty = value === undefined || value === '' || value === false || (isList(value) && value.length === 0)
    if (name === 'additionalProperties' ? value !== undefined : !isEmpty) errors.push(forbidden(child(path, name), why))
  }
}

/** What a junctor speaks of must be specified outside of it too. */
function complete(schema: JsonSchemaProps, path: Path, errors: FieldError[]): void {
  for (const [condition, at] of conditionsOf(schema, path)) covered(schema, condition, path, at, errors)
  const items = itemsOf(schema)
  if (items) complete(items, child(path, 'items'), errors)
  for (const [name, below] of Object.entries(schema.properties ?? {})) {
    complete(below, keyed(child(path, 'properties'), name), errors)
  }
  const additional = additionalOf(schema)
  if (additional) complete(additional, child(path, 'additionalProperties'), errors)
}

function conditionsOf(schema: JsonSchemaProps, path: Path): readonly (readonly [JsonSchemaProps, Path])[] {
  return [
    ...(['allOf', 'anyOf', 'oneOf'] as const).flatMap(name =>
      (schema[name] ?? []).map((one, i) => [one, `${child(path, name)}[${i}]`] as const),
    ),
    ...(schema.not ? [[schema.not, child(path, 'not')] as const] : []),
  ]
}

function covered(
  schema: JsonSchemaProps,
  condition: JsonSchemaProps,
  path: Path,
  at: Path,
  errors: FieldError[],
): void {
  for (const [below, where] of conditionsOf(condition, at)) covered(schema, below, path, where, errors)
  const items = itemsOf(condition)
  if (items) {
    const place = child(at, 'items')
    const own = itemsOf(schema)
    if (own) covered(own, items, child(path, 'items'), place, errors)
    else errors.push(requiredValue(child(path, 'items'), `because it is defined in ${place}`))
  }
  for (const [name, below] of Object.entries(condition.properties ?? {})) {
    const place = keyed(child(at, 'properties'), name)
    const own = schema.properties?.[name]
    const where = keyed(child(path, 'properties'), name)
    if (own) covered(own, below, where, place, errors)
    else errors.push(requiredValue(where, `because it is defined in ${place}`))
  }
}

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string']

/** What is not said in a definition, whether or not the schema is structural. */
const unsupported: readonly (keyof JsonSchemaProps)[] = [
  'id',
  'additionalItems',
  'patternProperties',
  'definitions',
  'dependencies',
  '$ref',
]

type Place = {
  readonly isRoot: boolean
  /** Why no default may stand here; undefined: it may. */
  readonly noDefault: string | undefined
  readonly insideMeta: boolean
}

const metaFields = ['metadata', 'kind', 'apiVersion']

/** The rules of each keyword for itself. */
export function validateKeywords(schema: JsonSchemaProps, path: Path): readonly FieldError[] {
  const errors: FieldError[] = []
  keywords(schema, path, { isRoot: true, noDefault: undefined, insideMeta: false }, errors)
  return errors
}

function keywords(schema: JsonSchemaProps, path: Path, place: Place, errors: FieldError[]): void {
  standard(schema, path, place, errors)
  if (schema.uniqueItems) {
    const why = 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'
    errors.push(forbidden(child(path, 'uniqueItems'), why))
  }
  const inner = { ...place, isRoot: false }
  const { additionalProperties } = schema
  if (additionalProperties !== undefined) {
    if (additionalProperties !== true && Object.keys(schema.properties ?? {}).length > 0) {
      const why = 'additionalProperties and properties are mutual exclusive'
      errors.push(forbidden(child(path, 'additionalProperties'), why))
    }
    const noDefault = place.insideMeta ? ' inside additionalProperties applying to object metadata' : place.noDefault
    const additional = additionalOf(schema)
    if (additional) keywords(additional, child(path, 'additionalProperties'), { ...inner, noDefault }, errors)
  }
  for (const [name, below] of Object.entries(schema.properties ?? {})) {
    const isMeta = (place.isRoot || isEmbedded(schema)) && metaFields.includes(name)
    const there = isMeta
      ? { ...inner, insideMeta: true, ...(place.isRoot && { noDefault: ` in top-level ${name}` }) }
      : inner
    keywords(below, keyed(child(path, 'properties'), name), there, errors)
  }
  for (const [condition, at] of conditionsOf(schema, path)) keywords(condition, at, inner, errors)
  const items = itemsOf(schema)
  if (items) keywords(items, child(path, 'items'), inner, errors)
  mapsAndLists(schema, path, errors)
}

function standard(schema: JsonSchemaProps, path: Path, place: Place, errors: FieldError[]): void {
  const { type = '' } = schema
  if (type === 'null') {
    const why = 'type cannot be set to null, use nullable as an alternative'
    errors.push(forbidden(child(path, 'type'), why))
  } else if (type !== '' && !types.includes(type)) errors.push(notSupported(child(path, 'type'), type, types))
  if (schema.default !== undefined && place.noDefault !== undefined) {
    errors.push(forbidden(child(path, 'default'), `must not be set${place.noDefault}`))
  }
  for (const name of unsupported) {
    const value = schema[name]
    const isEmpty = value === undefined || value === '' || (isObject(value) && Object.keys(value).length === 0)
    if (!isEmpty || (value !== undefined && (name === 'additionalItems' || name === '$ref'))) {
      errors.push(forbidden(child(path, name), `${name} is not supported`))
    }
  }
  if (isList(schema.items)) {
    errors.push(forbidden(child(path, 'items'), 'items must be a schema object and not an array'))
  }
  if (place.insideMeta && isEmbedded(schema)) {
    errors.push(forbidden(child(path, 'x-kubernetes-embedded-resource'), 'must not be used inside of resource meta'))
  }
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
    const at = child(path, 'x-kubernetes-preserve-unknown-fields')
    errors.push(invalidValue(at, false, 'must be true or undefined'))
  }
}

function mapsAndLists(schema: JsonSchemaProps, path: Path, errors: FieldError[]): void {
  const { type = '', 'x-kubernetes-map-type': mapType, 'x-kubernetes-list-type': listType } = schema
  const needs = (wanted: string, keyword: string) => {
    const why = `must be ${wanted} if ${keyword} is specified`
    errors.push(type === '' ? requiredValue(child(path, 'type'), why) : invalidValue(child(path, 'type'), type, why))
  }
  if (mapType !== undefined) {
    if (type !== 'object') needs('object', 'x-kubernetes-map-type')
    const known = ['atomic', 'granular']
    if (!known.includes(mapType)) errors.push(notSupported(child(path, 'x-kubernetes-map-type'), mapType, known))
  }
  if (listType !== undefined) {
    if (type !== 'array') needs('array', 'x-kubernetes-list-type')
    else if (listType === 'set') setItems(schema, path, errors)
    const known = ['atomic', 'set', 'map']
    if (!known.includes(listType)) errors.push(notSupported(child(path, 'x-kubernetes-list-type'), listType, known))
  }
  if ((schema['x-kubernetes-list-map-keys'] ?? []).length > 0 && listType !== 'map') {
    const why = 'must be map if x-kubernetes-list-map-keys is non-empty'
    const at = child(path, 'x-kubernetes-list-type')
    errors.push(listType === undefined ? requiredValue(at, why) : invalidValue(at, listType, why))
  }
  if (listType === 'map') mapItems(schema, path, errors)
  if ((listType === 'set' || listType === 'map') && itemsOf(schema)?.nullable) {
    const why = `cannot be nullable when x-kubernetes-list-type is ${listType}`
    errors.push(forbidden(child(child(path, 'items'), 'nullable'), why))
  }
}

function setItems(schema: JsonSchemaProps, path: Path, errors: FieldError[]): void {
  const items = itemsOf(schema)
  const why = 'must be atomic as item of a list with x-kubernetes-list-type=set'
  const at = child(path, 'items')
  if (items?.type === 'array' && (items['x-kubernetes-list-type'] ?? 'atomic') !== 'atomic') {
    errors.push(invalidValue(child(at, 'x-kubernetes-list-type'), items['x-kubernetes-list-type'], why))
  }
  if (items?.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic') {
    errors.push(invalidValue(child(at, 'x-kubernetes-map-type'), items['x-kubernetes-map-type'] ?? null, why))
  }
}

function mapItems(schema: JsonSchemaProps, path: Path, errors: FieldError[]): void {
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  const at = child(path, 'x-kubernetes-list-map-keys')
  const inItems = child(path, 'items')
  if (keys.length === 0) errors.push(requiredValue(at, 'must not be empty if x-kubernetes-list-type is map'))
  if (schema.items === undefined) {
    errors.push(requiredValue(inItems, 'must have a schema if x-kubernetes-list-type is map'))
  }
  const items = itemsOf(schema)
  if (!items) return
  if (items.type !== 'object') {
    const why = "must be object if parent array's x-kubernetes-list-type is map"
    errors.push(invalidValue(child(inItems, 'type'), items.type ?? '', why))
    return
  }
  if (new Set(keys).size < keys.length) errors.push(invalidValue(at, keys, 'must not contain duplicate entries'))
  for (const key of new Set(keys)) {
    const property = items.properties?.[key]
    const where = keyed(child(inItems, 'properties'), key)
    if (!property) {
      errors.push(invalidValue(at, keys, 'entries must all be names of item properties'))
      continue
    }
    if (property.type === 'array' || property.type === 'object') {
      const why = "must be a scalar type if parent array's x-kubernetes-list-type is map"
      errors.push(invalidValue(child(where, 'type'), items.type, why))
    }
    if (property.default === undefined && !(items.required ?? []).includes(key)) {
      const why = 'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property'
      errors.push(requiredValue(child(where, 'default'), why))
    }
    if (property.nullable) {
      const why = 'this property is in x-kubernetes-list-map-keys, so it cannot be nullable'
      errors.push(forbidden(child(where, 'nullable'), why))
    }
  }
}
