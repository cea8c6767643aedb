// What happens to the value of a custom object before it is validated: fields that its schema does not know are pruned,
// nulls where none may be are taken as absence, and defaults are filled in. Pure; a value that needs no change is given
// back as the very same. Upstream: apiextensions-apiserver pkg/apiserver/schema/{pruning,defaulting}.
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning
import { isList, isObject, parseValue } from '../parse.ts'
import { pathOf } from '../reader.ts'
import type { Json, JsonObject } from '../schema.ts'
import { s } from '../schema.ts'
import type { JsonSchemaProps } from '../types/jsonschema.ts'
import { objectMeta } from '../types/meta.ts'
import { additionalOf, isEmbedded, itemsOf, preservesUnknown, propertyOf } from './schema.ts'

const ownFields = ['apiVersion', 'kind', 'metadata']

export type Pruned = { readonly value: JsonObject; readonly unknown: readonly string[] }

/** The paths of what is pruned: of fields that the schema does not know, and of those that metadata does not have. */
type Gone = { readonly unknown: string[]; readonly ofMetadata: string[]; readonly isStored: boolean }

/**
 * Without the fields that the schema does not know; `unknown` are their paths, sorted, then those in the metadata of objects
 * inside. The object's own metadata is not looked at. Metadata inside whose fields are of other types is a BadRequest; what
 * is stored already is shown as it is.
 */
export function prune(schema: JsonSchemaProps, object: JsonObject, isStored = false): Pruned {
  const gone: Gone = { unknown: [], ofMetadata: [], isStored }
  const value = pruneObject(schema, object, '', true, gone)
  return { value, unknown: [...gone.unknown.sort(), ...gone.ofMetadata.sort()] }
}

/** The same for a value inside of an object: a default. */
export function pruneValue(schema: JsonSchemaProps, value: Json): Json {
  return pruneAny(schema, value, '', { unknown: [], ofMetadata: [], isStored: false })
}

function pruneAny(schema: JsonSchemaProps | undefined, value: Json, path: string, gone: Gone): Json {
  if (isList(value)) {
    const items = schema && itemsOf(schema)
    if (schema && items === undefined && preservesUnknown(schema)) return value
    return mapList(value, (item, i) => pruneAny(items, item, `${path}[${i}]`, gone))
  }
  if (!isObject(value)) return value
  return pruneObject(schema, value, path, schema !== undefined && isEmbedded(schema), gone)
}

function pruneObject(
  schema: JsonSchemaProps | undefined,
  value: JsonObject,
  path: string,
  isResource: boolean,
  gone: Gone,
): JsonObject {
  const keepsAll = schema !== undefined && preservesUnknown(schema)
  const hasMore = schema?.additionalProperties !== undefined && schema.additionalProperties !== false
  return mapObject(value, (item, key) => {
    const at = pathOf(path, key)
    if (isResource && key === 'metadata' && path !== '' && isObject(item)) return metadataOf(item, at, gone)
    if (isResource && ownFields.includes(key)) return item
    const property = schema && propertyOf(schema, key)
    if (property) return pruneAny(property, item, at, gone)
    if (hasMore) {
      const additional = additionalOf(schema)
      return additional === undefined && keepsAll ? item : pruneAny(additional, item, at, gone)
    }
    if (keepsAll) return item
    gone.unknown.push(at)
    return undefined
  })
}

const metaOnly = s.object('', { metadata: s.of(0, objectMeta) })

/** The metadata of an object inside is what any metadata is, whatever the schema says of it. */
function metadataOf(metadata: JsonObject, path: string, gone: Gone): Json {
  if (gone.isStored) return metadata
  const { value, warnings } = parseValue(metaOnly, { metadata }, 'Warn', path)
  for (const text of warnings) {
    const [, field] = /^unknown field "metadata(.*)"$/.exec(text) ?? []
    if (field !== undefined) gone.ofMetadata.push(`${path}${field}`)
  }
  return (value.metadata ?? {}) as unknown as Json
}

/** Nulls of fields that are not nullable and have no default are as good as not given. */
export function withoutNulls<T extends Json>(schema: JsonSchemaProps, value: T): T {
  return dropNulls(schema, value) as T
}

function dropNulls(schema: JsonSchemaProps | undefined, value: Json): Json {
  if (schema === undefined) return value
  if (isList(value)) return mapList(value, item => dropNulls(itemsOf(schema), item))
  if (!isObject(value)) return value
  return mapObject(value, (item, key) => {
    const below = propertyOf(schema, key) ?? additionalOf(schema)
    if (item === null && below && !below.nullable && below.default === undefined) return undefined
    return dropNulls(below, item)
  })
}

export function withDefaults<T extends Json>(schema: JsonSchemaProps, value: T): T {
  return fill(schema, value) as T
}

const isMissing = (schema: JsonSchemaProps, value: Json | undefined): boolean =>
  value === undefined || (value === null && !schema.nullable)

function fill(schema: JsonSchemaProps | undefined, value: Json): Json {
  if (schema === undefined) return value
  if (isList(value)) {
    const items = itemsOf(schema)
    if (!items) return value
    return mapList(value, item =>
      item === null && items.default !== undefined && !items.nullable ? items.default : fill(items, item),
    )
  }
  if (!isObject(value)) return value
  let filled: Record<string, Json> | undefined
  for (const [key, property] of defaultsOf(schema)) {
    if (!isMissing(property, Object.hasOwn(value, key) ? value[key] : undefined)) continue
    filled ??= { ...value }
    filled[key] = property.default ?? null
  }
  return mapObject(filled ?? value, (item, key) => {
    const property = propertyOf(schema, key)
    if (property) return fill(property, item)
    const additional = additionalOf(schema)
    if (additional && item === null && additional.default !== undefined && !additional.nullable) {
      return additional.default
    }
    return fill(additional, item)
  })
}

const known = new WeakMap<JsonSchemaProps, readonly (readonly [string, JsonSchemaProps])[]>()

function defaultsOf(schema: JsonSchemaProps): readonly (readonly [string, JsonSchemaProps])[] {
  const before = known.get(schema)
  if (before) return before
  const found = Object.entries(schema.properties ?? {}).filter(([, property]) => property.default !== undefined)
  known.set(schema, found)
  return found
}

function mapList(list: readonly Json[], change: (item: Json, i: number) => Json): readonly Json[] {
  let changed: Json[] | undefined
  for (const [i, item] of list.entries()) {
    const next = change(item, i)
    if (next === item) continue
    changed ??= [...list]
    changed[i] = next
  }
  return changed ?? list
}

/** undefined takes the field away. */
function mapObject(object: JsonObject, change: (item: Json, key: string) => Json | undefined): JsonObject {
  let changed = false
  const entries: [string, Json][] = []
  for (const [key, item] of Object.entries(object)) {
    const next = change(item, key)
    if (next !== item) changed = true
    if (next !== undefined) entries.push([key, next])
  }
  return changed ? Object.fromEntries(entries) : object
}
