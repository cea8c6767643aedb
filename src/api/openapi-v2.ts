// The schemas as OpenAPI v2, as JSON and in the protobuf form that kubectl up to 1.28 insists on before it creates, applies
// or explains. Pure. The message numbers are those of gnostic's openapiv2/OpenAPIv2.proto.
// https://github.com/google/gnostic/blob/main/openapiv2/OpenAPIv2.proto
import type { Bytes } from '../lib/bytes.ts'
import { groupVersions } from './discovery.ts'
import { any, Double, encode, extensions, has, type Message, named } from './gnostic.ts'
import type { Kind } from './kind.ts'
import { defineKinds, type Operation, operationsOf, reference } from './openapi.ts'
import type { Json, JsonObject } from './schema.ts'

export function openApiV2(kinds: readonly Kind[], gitVersion: string): JsonObject {
  const paths: Record<string, Record<string, Json>> = {}
  for (const each of groupVersions(kinds).flatMap(operationsOf)) {
    const item = paths[each.path] ?? {}
    item[each.method] = operation(each)
    paths[each.path] = item
  }
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: gitVersion },
    paths,
    definitions: defineKinds(kinds, 'v2'),
  }
}

function operation(each: Operation): JsonObject {
  const parameters: JsonObject[] = each.parameters.map(({ name, in: place, type }) => ({
    name,
    in: place,
    type,
    ...(place === 'path' && { required: true }),
    uniqueItems: true,
  }))
  const body = each.method === 'patch' ? { type: 'object' } : each.body && reference(each.body, 'v2')
  return {
    consumes: ['*/*'],
    produces: ['application/json'],
    parameters: [...(body ? [{ name: 'body', in: 'body', required: true, schema: body }] : []), ...parameters],
    responses: { 200: { description: 'OK', schema: reference(each.answer, 'v2') } },
    'x-kubernetes-action': each.action,
    'x-kubernetes-group-version-kind': each.gvk,
  }
}

function schema(of: JsonObject): Message {
  const { $ref, format, description, type, items, properties, required, additionalProperties, title, pattern } = of
  const values = of['enum']
  const number = (key: number, name: string) => has(of[name]) && { [key]: Number(of[name]) }
  const double = (key: number, name: string) => has(of[name]) && { [key]: new Double(Number(of[name])) }
  return {
    ...(has($ref) && { 1: String($ref) }),
    ...(has(format) && { 2: String(format) }),
    ...(has(title) && { 3: String(title) }),
    ...(has(description) && { 4: String(description) }),
    ...(has(of['default']) && { 5: any(of['default']) }),
    ...double(6, 'multipleOf'),
    ...double(7, 'maximum'),
    ...(of['exclusiveMaximum'] === true && { 8: true }),
    ...double(9, 'minimum'),
    ...(of['exclusiveMinimum'] === true && { 10: true }),
    ...number(11, 'maxLength'),
    ...number(12, 'minLength'),
    ...(has(pattern) && { 13: String(pattern) }),
    ...number(14, 'maxItems'),
    ...number(15, 'minItems'),
    ...number(17, 'maxProperties'),
    ...number(18, 'minProperties'),
    ...(Array.isArray(required) && { 19: required.map(String) }),
    ...(Array.isArray(values) && { 20: values.map(any) }),
    ...(has(additionalProperties) && { 21: additional(additionalProperties) }),
    ...(has(type) && { 22: { 1: [String(type)] } }),
    ...(has(items) && { 23: { 1: [schema(items as JsonObject)] } }),
    ...(has(properties) && { 25: { 1: named(properties as JsonObject, schema) } }),
    31: extensions(of),
  }
}

/** Either a schema or whether anything may stand there. */
function additional(of: Json): Message {
  return typeof of === 'boolean' ? { 2: of } : { 1: schema(of as JsonObject) }
}

function parameter(of: JsonObject): Message {
  const { name, in: place, type, required } = of
  if (place === 'body') {
    const body = { 2: String(name), 3: 'body', 4: required === true, 5: schema(of['schema'] as JsonObject) }
    return { 1: { 1: body } }
  }
  // Query parameters have one more field before the type than those in the path.
  const simple: Message =
    place === 'query'
      ? { 2: 'query', 4: String(name), 6: String(type) }
      : { 1: true, 2: 'path', 4: String(name), 5: String(type) }
  return { 1: { 2: { [place === 'query' ? 3 : 4]: simple } } }
}

function operationMessage(of: JsonObject): Message {
  const strings = (value: Json | undefined) => (Array.isArray(value) ? value.map(String) : [])
  const parameters = (of['parameters'] ?? []) as readonly JsonObject[]
  return {
    6: strings(of['produces']),
    7: strings(of['consumes']),
    8: parameters.map(parameter),
    9: {
      1: Object.entries(of['responses'] as JsonObject).map(([code, response]) => {
        const { description, schema: body } = response as JsonObject
        return { 1: code, 2: { 1: { 1: String(description), 2: { 1: schema(body as JsonObject) } } } }
      }),
    },
    13: extensions(of),
  }
}

const methodNumbers: Readonly<Record<string, number>> = { get: 2, put: 3, post: 4, delete: 5, patch: 8 }

function pathItem(of: JsonObject): Message {
  const item: Message = {}
  for (const [method, operation] of Object.entries(of)) {
    const number = methodNumbers[method]
    if (number !== undefined) item[number] = operationMessage(operation as JsonObject)
  }
  return item
}

/** The document as openapi.v2.Document. */
export function encodeOpenApiV2(document: JsonObject): Bytes {
  const { title, version } = document['info'] as JsonObject
  return encode({
    1: String(document['swagger']),
    2: { 1: String(title), 2: String(version) },
    8: { 2: named(document['paths'] as JsonObject, pathItem) },
    9: { 1: named(document['definitions'] as JsonObject, schema) },
  })
}
