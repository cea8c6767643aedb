// JSONSchemaProps (apiextensions.k8s.io/v1): the dialect of OpenAPI v3 in which a CustomResourceDefinition describes its
// objects. It holds itself at many places, and three of its fields are one of two things: those are scalars of their own,
// which parse.ts and protobuf.ts take apart.
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
import { type Field, type Json, type Schema, s, scalars } from '../schema.ts'

export interface ValidationRule {
  readonly rule: string
  readonly message?: string
  readonly messageExpression?: string
  readonly reason?: string
  readonly fieldPath?: string
  readonly optionalOldSelf?: boolean
}

type SchemaMap = { readonly [name: string]: JsonSchemaProps }

export interface JsonSchemaProps {
  readonly id?: string
  readonly $schema?: string
  readonly $ref?: string
  readonly description?: string
  readonly type?: string
  readonly format?: string
  readonly title?: string
  readonly default?: Json
  readonly maximum?: number
  readonly exclusiveMaximum?: boolean
  readonly minimum?: number
  readonly exclusiveMinimum?: boolean
  readonly maxLength?: number
  readonly minLength?: number
  readonly pattern?: string
  readonly maxItems?: number
  readonly minItems?: number
  readonly uniqueItems?: boolean
  readonly multipleOf?: number
  readonly enum?: readonly Json[]
  readonly maxProperties?: number
  readonly minProperties?: number
  readonly required?: readonly string[]
  readonly items?: JsonSchemaProps | readonly JsonSchemaProps[]
  readonly allOf?: readonly JsonSchemaProps[]
  readonly oneOf?: readonly JsonSchemaProps[]
  readonly anyOf?: readonly JsonSchemaProps[]
  readonly not?: JsonSchemaProps
  readonly properties?: SchemaMap
  readonly additionalProperties?: JsonSchemaProps | boolean
  readonly patternProperties?: SchemaMap
  readonly dependencies?: { readonly [name: string]: JsonSchemaProps | readonly string[] }
  readonly additionalItems?: JsonSchemaProps | boolean
  readonly definitions?: SchemaMap
  readonly externalDocs?: { readonly description?: string; readonly url?: string }
  readonly example?: Json
  readonly nullable?: boolean
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
  readonly 'x-kubernetes-embedded-resource'?: boolean
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-list-type'?: string
  readonly 'x-kubernetes-map-type'?: string
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[]
}

const prefix = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1'

const fields: Record<string, Field> = {}

/** Filled below, because the fields name it. */
export const jsonSchemaProps: Schema<JsonSchemaProps> = {
  shape: { kind: 'object', name: `${prefix}.JSONSchemaProps`, fields, atomic: false },
}

const validationRule = s.object(`${prefix}.ValidationRule`, {
  rule: s.string(1, { required: true }),
  message: s.string(2),
  messageExpression: s.string(3),
  reason: s.string(4, { pointer: true }),
  fieldPath: s.string(5),
  optionalOldSelf: s.boolean(6, { pointer: true }),
})

const externalDocumentation = s.object(`${prefix}.ExternalDocumentation`, {
  description: s.string(1),
  url: s.string(2),
})

const written = { written: true } as const
const pointer = { pointer: true } as const
const listMap = { listType: 'map', mapKeys: ['rule'], mergeKey: 'rule' } as const

Object.assign(fields, {
  id: s.string(1, written),
  $schema: s.string(2, written),
  $ref: s.string(3, pointer),
  description: s.string(4, written),
  type: s.string(5, written),
  format: s.string(6, written),
  title: s.string(7, written),
  default: s.any(8),
  maximum: s.double(9, pointer),
  exclusiveMaximum: s.boolean(10, written),
  minimum: s.double(11, pointer),
  exclusiveMinimum: s.boolean(12, written),
  maxLength: s.int64(13, pointer),
  minLength: s.int64(14, pointer),
  pattern: s.string(15, written),
  maxItems: s.int64(16, pointer),
  minItems: s.int64(17, pointer),
  uniqueItems: s.boolean(18, written),
  multipleOf: s.double(19, pointer),
  enum: s.list(20, scalars.any),
  maxProperties: s.int64(21, pointer),
  minProperties: s.int64(22, pointer),
  required: s.list(23, scalars.string),
  items: s.of(24, scalars.schemaOrArray),
  allOf: s.list(25, jsonSchemaProps),
  oneOf: s.list(26, jsonSchemaProps),
  anyOf: s.list(27, jsonSchemaProps),
  not: s.of(28, jsonSchemaProps),
  properties: s.map(29, jsonSchemaProps),
  additionalProperties: s.of(30, scalars.schemaOrBool),
  patternProperties: s.map(31, jsonSchemaProps),
  dependencies: s.map(32, scalars.schemaOrStrings),
  additionalItems: s.of(33, scalars.schemaOrBool),
  definitions: s.map(34, jsonSchemaProps),
  externalDocs: s.of(35, externalDocumentation),
  example: s.any(36),
  nullable: s.boolean(37, written),
  'x-kubernetes-preserve-unknown-fields': s.boolean(38, pointer),
  'x-kubernetes-embedded-resource': s.boolean(39, written),
  'x-kubernetes-int-or-string': s.boolean(40, written),
  'x-kubernetes-list-map-keys': s.list(41, scalars.string),
  'x-kubernetes-list-type': s.string(42, pointer),
  'x-kubernetes-map-type': s.string(43, pointer),
  'x-kubernetes-validations': s.list(44, validationRule, listMap),
} satisfies Record<keyof JsonSchemaProps, Field>)
