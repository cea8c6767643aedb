// A custom schema in OpenAPI: nearly as it was given, with what all objects have. Version 2 knows no junctors, no nullable
// values and no fields beside those that are named, so they are left out there as upstream does.
// Upstream: apiextensions-apiserver pkg/controller/openapi/{builder,v2}.
import { isObject } from '../parse.ts'
import type { Json, JsonObject } from '../schema.ts'
import type { JsonSchemaProps } from '../types/jsonschema.ts'
import { additionalOf, isEmbedded, isIntOrString, itemsOf, preservesUnknown } from './schema.ts'

const descriptions = {
  apiVersion: 'APIVersion defines in which version the object is written: <group>/<version>.',
  kind: 'Kind is what the object is, in CamelCase.',
  metadata:
    "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
} as const

/** `meta` refers to the definition of ObjectMeta. */
export function definitionOf(schema: JsonSchemaProps, dialect: 'v2' | 'v3', meta: JsonObject): JsonObject {
  // Whoever reads version 2 takes the properties that are named for all that there are.
  if (dialect === 'v2' && preservesUnknown(schema)) return { type: 'object' }
  const made = dialect === 'v2' ? convertV2(schema, meta) : convertV3(schema, meta)
  return { ...made, type: 'object', properties: { ...(made['properties'] as JsonObject), ...own(dialect, meta) } }
}

function own(dialect: 'v2' | 'v3', meta: JsonObject): JsonObject {
  return {
    apiVersion: { description: descriptions.apiVersion, type: 'string' },
    kind: { description: descriptions.kind, type: 'string' },
    metadata:
      dialect === 'v2'
        ? { description: descriptions.metadata, ...meta }
        : { description: descriptions.metadata, allOf: [meta] },
  }
}

function convertV3(schema: JsonSchemaProps, meta: JsonObject): JsonObject {
  const made = withParts(schema, below => convertV3(below, meta))
  if (!isEmbedded(schema)) return made
  return { ...made, properties: { ...(made['properties'] as JsonObject | undefined), ...own('v3', meta) } }
}

function withParts(schema: JsonSchemaProps, convert: (schema: JsonSchemaProps) => JsonObject): JsonObject {
  const items = itemsOf(schema)
  const additional = additionalOf(schema)
  return {
    ...(schema as unknown as JsonObject),
    ...(items && { items: convert(items) }),
    ...(additional && { additionalProperties: convert(additional) }),
    ...(schema.properties && {
      properties: Object.fromEntries(
        Object.entries(schema.properties).map(([name, below]): [string, Json] => [name, convert(below)]),
      ),
    }),
  }
}

const dropped = ['allOf', 'anyOf', 'oneOf', 'not', 'nullable'] as const

function convertV2(schema: JsonSchemaProps, meta: JsonObject): JsonObject {
  const made: Record<string, Json> = { ...withParts(schema, below => convertV2(below, meta)) }
  for (const name of dropped) delete made[name]
  if (schema.nullable || preservesUnknown(schema)) {
    // kubectl cannot read untyped values that name parts.
    delete made['items']
    delete made['properties']
  }
  const isUntyped =
    schema.nullable ||
    isIntOrString(schema) ||
    (preservesUnknown(schema) && schema.type === 'object') ||
    (schema.type === 'array' && made['items'] === undefined)
  if (isUntyped) delete made['type']
  const required = (schema.required ?? []).filter(name => !schema.properties?.[name]?.nullable)
  if (required.length > 0) made['required'] = required
  else delete made['required']
  if (isEmbedded(schema) && isObject(made['properties'])) {
    made['properties'] = { ...made['properties'], ...own('v2', meta) }
  }
  return made
}
