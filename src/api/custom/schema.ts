// Small questions about a JSONSchemaProps that several files here ask. Pure.
import { isObject } from '../parse.ts'
import type { JsonSchemaProps } from '../types/jsonschema.ts'

export type Path = string

export const child = (path: Path, name: string): Path => (path === '' ? name : `${path}.${name}`)
export const keyed = (path: Path, name: string): Path => `${path}[${name}]`

/** The schema of all items; undefined where there is none, or one for each. */
export function itemsOf(schema: JsonSchemaProps): JsonSchemaProps | undefined {
  return isObject(schema.items) ? (schema.items as JsonSchemaProps) : undefined
}

/** The schema of whatever is not among the properties. */
export function additionalOf(schema: JsonSchemaProps): JsonSchemaProps | undefined {
  return isObject(schema.additionalProperties) ? (schema.additionalProperties as JsonSchemaProps) : undefined
}

export function propertyOf(schema: JsonSchemaProps, name: string): JsonSchemaProps | undefined {
  return schema.properties !== undefined && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
}

export const preservesUnknown = (schema: JsonSchemaProps): boolean =>
  schema['x-kubernetes-preserve-unknown-fields'] === true
export const isEmbedded = (schema: JsonSchemaProps): boolean => schema['x-kubernetes-embedded-resource'] === true
export const isIntOrString = (schema: JsonSchemaProps): boolean => schema['x-kubernetes-int-or-string'] === true
