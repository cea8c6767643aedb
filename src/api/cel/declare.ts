// What a structural schema of a custom resource is to CEL: its type, and how large its values can become within one request
// (apiserver/pkg/cel/common/schemas.go). What has no known type is left out: data that a schema only preserves cannot be
// read by rules. Pure.
import type { Range } from '../../lib/cel/env.ts'
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  list,
  map,
  type ObjectType,
  string,
  type Type,
  timestamp,
} from '../../lib/cel/types.ts'
import type { JsonSchemaProps } from '../types/jsonschema.ts'
import { escapeName } from './escape.ts'
import { requestBytesMax } from './limits.ts'

export type Declaration = {
  readonly schema: JsonSchemaProps
  readonly type: Type
  /** The most elements, entries or bytes that a value has; 0 for what has no size. */
  readonly sizeMax: number
  /** The fewest bytes of JSON that a value takes. */
  readonly bytesMin: number
  /** Of an object, by escaped name. */
  readonly fields: ReadonlyMap<string, Declaration>
  /** Of a list or map. */
  readonly element: Declaration | undefined
}

const text: JsonSchemaProps = { type: 'string' }

/** A root always knows its kind and name, whatever its schema says. */
export function withTypeAndName(schema: JsonSchemaProps): JsonSchemaProps {
  const metadata = schema.properties?.['metadata']?.properties
  const known = metadata?.['name']?.type === 'string' && metadata['generateName']?.type === 'string'
  const typed = schema.properties?.['kind']?.type === 'string' && schema.properties['apiVersion']?.type === 'string'
  if (known && typed) return schema
  return {
    ...schema,
    properties: {
      ...schema.properties,
      kind: text,
      apiVersion: text,
      metadata: { type: 'object', properties: { name: text, generateName: text } },
    },
  }
}

/**
 * undefined for a schema that rules cannot see. `root` is whether it describes a whole resource. `name` names its type in
 * messages.
 */
export function declare(schema: JsonSchemaProps, root: boolean, name = 'object'): Declaration | undefined {
  if (schema['x-kubernetes-int-or-string'] === true) {
    return simple(schema, dyn, schema.maxLength === undefined ? requestBytesMax - 2 : inBytes(schema.maxLength), 1)
  }
  switch (schema.type) {
    case 'array':
      return declareList(schema, name)
    case 'object':
      return declareObject(root ? withTypeAndName(schema) : schema, name)
    case 'string':
      return declareString(schema)
    case 'boolean':
      return simple(schema, bool, 0, 4)
    case 'number':
      return simple(schema, double, 0, 1)
    case 'integer':
      return simple(schema, int, 0, 1)
    default:
      return undefined
  }
}

function simple(schema: JsonSchemaProps, type: Type, sizeMax: number, bytesMin: number): Declaration {
  return { schema, type, sizeMax, bytesMin, fields: new Map(), element: undefined }
}

const inBytes = (characters: number): number => Math.max(characters, 0) * 4
const isEmbedded = (schema: JsonSchemaProps): boolean => schema['x-kubernetes-embedded-resource'] === true

/** The one schema of items or of additional properties. */
export function schemaOf(
  value: JsonSchemaProps | readonly JsonSchemaProps[] | boolean | undefined,
): JsonSchemaProps | undefined {
  return typeof value === 'object' && !Array.isArray(value) ? (value as JsonSchemaProps) : undefined
}

function declareList(schema: JsonSchemaProps, name: string): Declaration | undefined {
  const items = schemaOf(schema.items)
  const element = items && declare(items, isEmbedded(items), `${name}.@idx`)
  if (element === undefined) return undefined
  const fitting = Math.floor((requestBytesMax - 2) / (element.bytesMin + 1))
  const sizeMax = schema.maxItems === undefined ? fitting : Math.max(schema.maxItems, 0)
  return { schema, type: list(element.type), sizeMax, bytesMin: 2, fields: new Map(), element }
}

function declareObject(schema: JsonSchemaProps, name: string): Declaration | undefined {
  const additional = schemaOf(schema.additionalProperties)
  if (additional !== undefined) return declareMap(schema, additional, name)
  const fields = new Map<string, Declaration>()
  let bytesMin = 2
  for (const [property, below] of Object.entries(schema.properties ?? {})) {
    const escaped = escapeName(property)
    const field = declare(below, isEmbedded(below), `${name}.${escaped ?? property}`)
    if (field === undefined) continue
    if (escaped !== undefined) fields.set(escaped, field)
    const required = schema.required?.includes(property) === true && below.default === undefined
    if (required) bytesMin += property.length + field.bytesMin + 4
  }
  const type: ObjectType = {
    kind: 'object',
    name,
    field: field => (fields.get(field) ?? fields.get(`__${field}__`))?.type,
  }
  return { schema, type, sizeMax: 0, bytesMin, fields, element: undefined }
}

function declareMap(schema: JsonSchemaProps, additional: JsonSchemaProps, name: string): Declaration | undefined {
  const element = declare(additional, isEmbedded(additional), `${name}.@elem`)
  if (element === undefined) return undefined
  const fitting = Math.floor((requestBytesMax - 2) / (element.bytesMin + 6))
  const sizeMax = schema.maxProperties === undefined ? fitting : Math.max(schema.maxProperties, 0)
  return { schema, type: map(string, element.type), sizeMax, bytesMin: 2, fields: new Map(), element }
}

function declareString(schema: JsonSchemaProps): Declaration {
  const { maxLength } = schema
  switch (schema.format) {
    case 'byte':
      return simple(schema, bytes, maxLength === undefined ? requestBytesMax - 2 : Math.max(maxLength, 0), 2)
    case 'duration':
      return simple(schema, duration, 32, 3)
    case 'date':
      return simple(schema, timestamp, 12, 12)
    case 'date-time':
      return simple(schema, timestamp, 32, 21)
    default:
      return simple(schema, string, maxLength === undefined ? longest(schema) : inBytes(maxLength), 2)
  }
}

function longest(schema: JsonSchemaProps): number {
  if (schema.enum === undefined || schema.enum.length === 0) return requestBytesMax - 2
  return Math.max(
    0,
    ...schema.enum.map(value => (typeof value === 'string' ? new TextEncoder().encode(value).length : 0)),
  )
}

/** How large what stands at a path below a variable of this declaration may be: what cost estimates ask. */
export function sizeAt(declaration: Declaration, path: readonly string[]): Range | undefined {
  let at: Declaration | undefined = declaration
  for (const step of path.slice(1)) {
    if (step === '@keys') return at.element === undefined ? undefined : { min: 0, max: 0 }
    const next: Declaration | undefined = step.startsWith('@')
      ? at.element
      : (at.fields.get(step) ?? at.fields.get(`__${step}__`))
    if (next === undefined) return undefined
    at = next
  }
  return { min: 0, max: at.sizeMax }
}

/** The most often that values of a schema can occur in one request, when nothing above it says how often. */
export const occurrencesMax = (declaration: Declaration): number =>
  Math.floor(requestBytesMax / (declaration.bytesMin + 1))
