// A custom schema as a Shape, for server-side apply: which fields are merged, which lists are sets or maps by their keys,
// and what is one value. It is used for nothing else: custom/values.ts and custom/validate.ts read the schema itself.
// Upstream: apiserver pkg/util/managedfields, kube-openapi pkg/schemaconv.
import type { Field, ListType, Schema, Shape } from '../schema.ts'
import { s, scalars } from '../schema.ts'
import type { JsonSchemaProps } from '../types/jsonschema.ts'
import { objectMeta } from '../types/meta.ts'
import { additionalOf, isEmbedded, itemsOf, preservesUnknown } from './schema.ts'

/** Whatever it is: an object is merged key by key, all else is one value. */
const deduced: Schema = { shape: { kind: 'map', value: scalars.any, atomic: false, deduced: true } }
Object.assign(deduced.shape, { value: deduced })

/** `name`: the definition's name in OpenAPI. */
export function shapeOfRoot(schema: JsonSchemaProps, name: string): Shape {
  const { apiVersion: _, kind: __, metadata: ___, ...own } = schema.properties ?? {}
  return {
    kind: 'object',
    name,
    fields: {
      apiVersion: s.string(0, { stored: true }),
      kind: s.string(0, { stored: true }),
      metadata: s.of(0, objectMeta, { stored: true }),
      ...fieldsOf(own),
    },
    atomic: false,
    ...(preservesUnknown(schema) && { rest: deduced }),
  }
}

function fieldsOf(properties: NonNullable<JsonSchemaProps['properties']>): Readonly<Record<string, Field>> {
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, fieldOf(property)]))
}

function fieldOf(schema: JsonSchemaProps): Field {
  const shape = shapeOf(schema)
  const field = s.of(0, { shape })
  // The default of a key tells which item one without it is; other defaults are filled in by custom/values.ts.
  return shape.kind === 'scalar' && schema.default !== undefined ? { ...field, default: schema.default } : field
}

function shapeOf(schema: JsonSchemaProps): Shape {
  const { type = '' } = schema
  if (type === 'array') return listOf(schema)
  if (type === 'object') return objectOf(schema)
  if (preservesUnknown(schema)) return deduced.shape
  return scalars.any.shape
}

const listTypes: readonly string[] = ['atomic', 'set', 'map'] satisfies readonly ListType[]

function listOf(schema: JsonSchemaProps): Shape {
  const items = itemsOf(schema)
  const given = schema['x-kubernetes-list-type'] ?? 'atomic'
  return {
    kind: 'list',
    item: items ? { shape: shapeOf(items) } : deduced,
    listType: listTypes.includes(given) ? (given as ListType) : 'atomic',
    mapKeys: schema['x-kubernetes-list-map-keys'] ?? [],
    mergeKey: undefined,
  }
}

function objectOf(schema: JsonSchemaProps): Shape {
  const atomic = schema['x-kubernetes-map-type'] === 'atomic'
  const additional = additionalOf(schema)
  const properties = schema.properties ?? {}
  if (additional) return { kind: 'map', value: { shape: shapeOf(additional) }, atomic }
  if (isEmbedded(schema)) {
    const own = { apiVersion: s.string(0), kind: s.string(0), metadata: s.of(0, deduced) }
    return { kind: 'object', name: '', fields: { ...own, ...fieldsOf(properties) }, atomic, rest: deduced }
  }
  if (Object.keys(properties).length === 0) return { kind: 'map', value: deduced, atomic }
  return {
    kind: 'object',
    name: '',
    fields: fieldsOf(properties),
    atomic,
    ...(preservesUnknown(schema) && { rest: deduced }),
  }
}
