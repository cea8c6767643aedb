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
  shape: {
    kind: 'object',
    name: `${prefix}.JSONSchemaProps`,
    description: 'What a value must look like, in a dialect of OpenAPI 3 in which every field has a type of its own.',
    fields,
    atomic: false,
  },
}

const validationRule = s.object(
  `${prefix}.ValidationRule`,
  {
    rule: s.string(1, {
      required: true,
      description:
        'CEL over self, the value, and oldSelf, what it was; false is a violation. One that reads oldSelf is judged on updates only.',
    }),
    message: s.string(
      2,
      'Told of a violation, in one line; the rule itself when absent. Required for a rule of several lines.',
    ),
    messageExpression: s.string(
      3,
      'CEL that makes a text to tell instead of message; message counts when it fails or makes no single line.',
    ),
    reason: s.string(4, {
      pointer: true,
      description:
        'Of the error: FieldValueInvalid, FieldValueForbidden, FieldValueRequired or FieldValueDuplicate. FieldValueInvalid when absent.',
    }),
    fieldPath: s.string(
      5,
      'Field below the value that the error is about, such as .limits.cpu; the value itself when empty.',
    ),
    optionalOldSelf: s.boolean(6, {
      pointer: true,
      description:
        'True makes oldSelf an optional value, and has a rule that reads it judged when there is no old value, too.',
    }),
  },
  { description: 'Something that must hold of a value, in CEL.' },
)

const externalDocumentation = s.object(
  `${prefix}.ExternalDocumentation`,
  {
    description: s.string(1, 'What the page is about.'),
    url: s.string(2, 'Address of the page.'),
  },
  { description: 'A page that tells more.' },
)

const written = (description: string) => ({ written: true, description }) as const
const pointer = (description: string) => ({ pointer: true, description }) as const
const listMap = { listType: 'map', mapKeys: ['rule'], mergeKey: 'rule' } as const

Object.assign(fields, {
  id: s.string(1, written('Not supported; must be empty.')),
  $schema: s.string(2, written('Address of the dialect that the schema is written in. Stored, without effect here.')),
  $ref: s.string(3, pointer('Not supported; must be absent.')),
  description: s.string(4, written('What the value is for; kubectl explain shows it.')),
  type: s.string(
    5,
    written(
      'object, array, string, integer, number or boolean. A value that may be null has nullable beside its type.',
    ),
  ),
  format: s.string(
    6,
    written(
      'Form of a string, such as date-time, ipv4 or uuid, or size of an integer: int32, int64. Unknown ones are not checked.',
    ),
  ),
  title: s.string(7, written('Short heading for people.')),
  default: s.any(8, 'Filled in where the value is missing, or null without nullable. It must fit the schema itself.'),
  maximum: s.double(9, pointer('The largest number allowed.')),
  exclusiveMaximum: s.boolean(10, written('Whether maximum itself is too large.')),
  minimum: s.double(11, pointer('The smallest number allowed.')),
  exclusiveMinimum: s.boolean(12, written('Whether minimum itself is too small.')),
  maxLength: s.int64(
    13,
    pointer('Most characters of a string, as Unicode counts them. Also bounds what rules on it are estimated to cost.'),
  ),
  minLength: s.int64(14, pointer('Fewest characters of a string, as Unicode counts them.')),
  pattern: s.string(
    15,
    written('Regular expression (RE2) that fits some part of the string; the whole of it between ^ and $.'),
  ),
  maxItems: s.int64(16, pointer('Most items of a list. Also bounds what rules on them are estimated to cost.')),
  minItems: s.int64(17, pointer('Fewest items of a list.')),
  uniqueItems: s.boolean(18, written('Must not be true; x-kubernetes-list-type set does the same.')),
  multipleOf: s.double(19, pointer('The number is this one times a whole number.')),
  enum: s.list(20, scalars.any, 'All values that are allowed.'),
  maxProperties: s.int64(
    21,
    pointer('Most keys of an object. Also bounds what rules on their values are estimated to cost.'),
  ),
  minProperties: s.int64(22, pointer('Fewest keys of an object.')),
  required: s.list(23, scalars.string, 'Keys that an object must have once defaults are filled in.'),
  items: s.of(
    24,
    scalars.schemaOrArray,
    'Schema of every item of a list, which must be given for arrays. One schema for each position is not supported.',
  ),
  allOf: s.list(
    25,
    jsonSchemaProps,
    'All of these must hold besides. No types, defaults or descriptions may stand in here, nor in anyOf, oneOf and not.',
  ),
  oneOf: s.list(26, jsonSchemaProps, 'Exactly one of these must hold besides.'),
  anyOf: s.list(27, jsonSchemaProps, 'At least one of these must hold besides.'),
  not: s.of(28, jsonSchemaProps, 'This must not hold.'),
  properties: s.map(
    29,
    jsonSchemaProps,
    'Fields of an object, each with its schema. Excludes a schema in additionalProperties.',
  ),
  additionalProperties: s.of(
    30,
    scalars.schemaOrBool,
    'Schema of the values of a map with any keys, or true for any values. Excludes properties; not at the root.',
  ),
  patternProperties: s.map(31, jsonSchemaProps, 'Not supported; must be empty.'),
  dependencies: s.map(32, scalars.schemaOrStrings, 'Not supported; must be empty.'),
  additionalItems: s.of(33, scalars.schemaOrBool, 'Not supported; must be absent.'),
  definitions: s.map(34, jsonSchemaProps, 'Not supported; must be empty.'),
  externalDocs: s.of(35, externalDocumentation, 'Where more can be read about the value.'),
  example: s.any(36, 'A sample for people; not checked.'),
  nullable: s.boolean(
    37,
    written(
      'Whether null is a value. Otherwise a null is replaced by the default, or taken as absent. Not at the root.',
    ),
  ),
  'x-kubernetes-preserve-unknown-fields': s.boolean(
    38,
    pointer(
      'True keeps fields that the schema does not name. Named objects inside drop theirs, unless they say so too.',
    ),
  ),
  'x-kubernetes-embedded-resource': s.boolean(
    39,
    written(
      'Whether the value is a whole object with apiVersion, kind and metadata, which are checked as those of any other.',
    ),
  ),
  'x-kubernetes-int-or-string': s.boolean(
    40,
    written('Whether the value is a whole number or a string; type stays empty then.'),
  ),
  'x-kubernetes-list-map-keys': s.list(
    41,
    scalars.string,
    'Fields that tell the items of a list of type map apart: scalars that are required or have a default.',
  ),
  'x-kubernetes-list-type': s.string(
    42,
    pointer(
      'atomic, replaced as a whole; set, of unique items; or map, items told apart by x-kubernetes-list-map-keys. atomic when absent.',
    ),
  ),
  'x-kubernetes-map-type': s.string(
    43,
    pointer('granular: server-side apply owns each field by itself; atomic: all fields as one. granular when absent.'),
  ),
  'x-kubernetes-validations': s.list(44, validationRule, {
    ...listMap,
    description: 'Rules in CEL that the value must fulfil.',
  }),
} satisfies Record<keyof JsonSchemaProps, Field>)
