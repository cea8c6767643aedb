// An OpenAPI v3 document in the protobuf form that clients may ask for. Pure. The message numbers are those of gnostic's
// openapiv3/OpenAPIv3.proto. https://github.com/google/gnostic/blob/main/openapiv3/OpenAPIv3.proto
import type { Bytes } from '../lib/bytes.ts'
import { any, Double, encode, extensions, has, type Message, named } from './gnostic.ts'
import type { Json, JsonObject } from './schema.ts'

const objects = (value: Json | undefined): readonly JsonObject[] => (Array.isArray(value) ? value : [])
const objectIn = (value: Json | undefined): JsonObject => (value ?? {}) as JsonObject
const texts = (value: Json | undefined): string[] => (Array.isArray(value) ? value.map(String) : [])
const isTrue = (of: JsonObject, number: number, name: string) => of[name] === true && { [number]: true }
const textOf = (of: JsonObject, number: number, name: string) => has(of[name]) && { [number]: String(of[name]) }

/** What may be said in place, or by a reference to where it is said. */
function orReference(of: JsonObject, one: (of: JsonObject) => Message): Message {
  const reference = of['$ref']
  return typeof reference === 'string' ? { 2: { 1: reference } } : { 1: one(of) }
}

const schemaOrReference = (of: JsonObject): Message => orReference(of, schema)

/** Only a number, a truth or a text has a form here. */
function defaultOf(value: Json): Message {
  switch (typeof value) {
    case 'number':
      return { 1: new Double(value) }
    case 'boolean':
      return { 2: value }
    case 'string':
      return { 3: value }
    default:
      return {}
  }
}

function schema(of: JsonObject): Message {
  const { items, properties, additionalProperties: more, externalDocs } = of
  const whole = (number: number, name: string) => has(of[name]) && { [number]: Number(of[name]) }
  const double = (number: number, name: string) => has(of[name]) && { [number]: new Double(Number(of[name])) }
  const values = of['enum']
  return {
    ...isTrue(of, 1, 'nullable'),
    ...(has(externalDocs) && { 6: documentation(objectIn(externalDocs)) }),
    ...(has(of['example']) && { 7: any(of['example']) }),
    ...textOf(of, 9, 'title'),
    ...double(10, 'multipleOf'),
    ...double(11, 'maximum'),
    ...isTrue(of, 12, 'exclusiveMaximum'),
    ...double(13, 'minimum'),
    ...isTrue(of, 14, 'exclusiveMinimum'),
    ...whole(15, 'maxLength'),
    ...whole(16, 'minLength'),
    ...textOf(of, 17, 'pattern'),
    ...whole(18, 'maxItems'),
    ...whole(19, 'minItems'),
    ...isTrue(of, 20, 'uniqueItems'),
    ...whole(21, 'maxProperties'),
    ...whole(22, 'minProperties'),
    23: texts(of['required']),
    24: Array.isArray(values) ? values.map(any) : [],
    ...textOf(of, 25, 'type'),
    26: objects(of['allOf']).map(schemaOrReference),
    27: objects(of['oneOf']).map(schemaOrReference),
    28: objects(of['anyOf']).map(schemaOrReference),
    ...(has(of['not']) && { 29: schema(objectIn(of['not'])) }),
    ...(has(items) && { 30: { 1: [schemaOrReference(objectIn(items))] } }),
    ...(has(properties) && { 31: { 1: named(objectIn(properties), schemaOrReference) } }),
    ...(has(more) && { 32: typeof more === 'boolean' ? { 2: more } : { 1: schemaOrReference(objectIn(more)) } }),
    ...(has(of['default']) && { 33: defaultOf(of['default']) }),
    ...textOf(of, 34, 'description'),
    ...textOf(of, 35, 'format'),
    36: extensions(of),
  }
}

const documentation = (of: JsonObject): Message => ({ ...textOf(of, 1, 'description'), ...textOf(of, 2, 'url') })

/** What is sent or answered, by its media type. */
function content(of: Json | undefined): Message {
  return { 1: named(objectIn(of), ({ schema: body }) => (has(body) ? { 1: schemaOrReference(objectIn(body)) } : {})) }
}

function parameter(of: JsonObject): Message {
  return {
    ...textOf(of, 1, 'name'),
    ...textOf(of, 2, 'in'),
    ...textOf(of, 3, 'description'),
    ...isTrue(of, 4, 'required'),
    ...(has(of['schema']) && { 10: schemaOrReference(objectIn(of['schema'])) }),
  }
}

function requestBody(of: JsonObject): Message {
  return { ...textOf(of, 1, 'description'), 2: content(of['content']), ...isTrue(of, 3, 'required') }
}

function response(of: JsonObject): Message {
  return { ...textOf(of, 1, 'description'), ...(has(of['content']) && { 3: content(of['content']) }) }
}

function operation(of: JsonObject): Message {
  const body = of['requestBody']
  const answers = named(objectIn(of['responses']), one => orReference(one, response))
  return {
    1: texts(of['tags']),
    ...textOf(of, 3, 'description'),
    ...textOf(of, 5, 'operationId'),
    6: objects(of['parameters']).map(one => orReference(one, parameter)),
    ...(has(body) && { 7: orReference(objectIn(body), requestBody) }),
    8: { 2: answers },
    13: extensions(of),
  }
}

const methodNumbers = { get: 4, put: 5, post: 6, delete: 7, options: 8, head: 9, patch: 10 } as const

function pathItem(of: JsonObject): Message {
  const item: Message = { 13: objects(of['parameters']).map(one => orReference(one, parameter)) }
  for (const [method, number] of Object.entries(methodNumbers)) {
    const found = of[method]
    if (has(found)) item[number] = operation(objectIn(found))
  }
  return item
}

/** The document as openapi.v3.Document. */
export function encodeOpenApiV3(document: JsonObject): Bytes {
  const info = objectIn(document['info'])
  const { schemas } = objectIn(document['components'])
  return encode({
    ...textOf(document, 1, 'openapi'),
    2: { ...textOf(info, 1, 'title'), ...textOf(info, 2, 'description'), ...textOf(info, 6, 'version') },
    4: { 1: named(objectIn(document['paths']), pathItem) },
    5: { 1: { 1: named(objectIn(schemas), schemaOrReference) } },
  })
}
