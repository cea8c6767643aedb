// The other servers' schemas beside ours. In version 3 each group and version is a document of its own and nothing has to be
// merged; version 2 is one document, into which those paths of the others go that they answer for here. Pure.
import type { Json, JsonObject } from '../api/schema.ts'
import { sameJson } from '../lib/canonical.ts'

export type RemoteDocument = { readonly group: string; readonly version: string; readonly document: JsonObject }

/** The shared types of all API servers: ours are as good as theirs, and one name must not mean two things. */
const shared = /^io\.k8s\.(apimachinery|api)\./

export function mergedV2(own: JsonObject, remotes: readonly RemoteDocument[]): JsonObject {
  const paths: Record<string, Json> = { ...object(own['paths']) }
  const definitions: Record<string, Json> = { ...object(own['definitions']) }
  for (const { group, version, document } of remotes) {
    const prefix = `/apis/${group}/${version}/`
    for (const path of Object.keys(paths)) if (path.startsWith(prefix)) delete paths[path]
    const theirs = Object.entries(object(document['paths'])).filter(([path]) => `${path}/`.startsWith(prefix))
    const parameters = object(document['parameters'])
    const items = theirs.map(([path, item]): [string, JsonObject] => [path, pathItem(object(item), parameters)])
    const used = reachable(items, object(document['definitions']))
    const renamed = new Map<string, string>()
    for (const [name, definition] of used) {
      if (definitions[name] === undefined || shared.test(name) || sameJson(definitions[name], definition)) continue
      renamed.set(name, freshName(name, definitions))
    }
    for (const [name, definition] of used) {
      const to = renamed.get(name) ?? name
      definitions[to] ??= withReferences(definition, renamed)
    }
    for (const [path, item] of items) paths[path] = withReferences(item, renamed)
  }
  return { ...own, paths, definitions }
}

function object(value: Json | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {}
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : []
}

function freshName(name: string, taken: Readonly<Record<string, Json>>): string {
  for (let count = 2; ; count++) if (taken[`${name}_v${count}`] === undefined) return `${name}_v${count}`
}

const methods = ['get', 'put', 'post', 'delete', 'patch']

/** Operations as our own are: parameters in full, of the answers only those that carry something. */
function pathItem(item: JsonObject, parameters: JsonObject): JsonObject {
  const common = list(item['parameters'])
  return Object.fromEntries(
    methods
      .filter(method => item[method] !== undefined)
      .map(method => {
        const operation = object(item[method])
        const all = [...list(operation['parameters']), ...common].map(one => resolved(object(one), parameters))
        const answers = Object.entries(object(operation['responses'])).filter(
          ([, answer]) => object(answer)['schema'] !== undefined,
        )
        const kept = Object.entries(operation).filter(([name]) => name.startsWith('x-') || name === 'operationId')
        const whole = {
          ...Object.fromEntries(kept),
          consumes: list(operation['consumes']),
          produces: list(operation['produces']),
          parameters: all,
          responses: Object.fromEntries(answers),
        }
        return [method, whole]
      }),
  )
}

const parameterReference = '#/parameters/'

function resolved(parameter: JsonObject, parameters: JsonObject): JsonObject {
  const reference = parameter['$ref']
  if (typeof reference !== 'string' || !reference.startsWith(parameterReference)) return parameter
  return object(parameters[reference.slice(parameterReference.length)])
}

const definitionReference = '#/definitions/'

/** The definitions that these values refer to, and those that these refer to. */
function reachable(values: Json, definitions: JsonObject): ReadonlyMap<string, Json> {
  const found = new Map<string, Json>()
  const look = (value: Json): void => {
    if (Array.isArray(value)) value.forEach(look)
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) {
        const name = key === '$ref' && typeof inner === 'string' ? nameOf(inner) : undefined
        if (name === undefined) look(inner)
        else if (!found.has(name)) {
          const definition = definitions[name] ?? { type: 'object' }
          found.set(name, definition)
          look(definition)
        }
      }
    }
  }
  look(values)
  return found
}

function nameOf(reference: string): string | undefined {
  return reference.startsWith(definitionReference) ? reference.slice(definitionReference.length) : undefined
}

function withReferences(value: Json, renamed: ReadonlyMap<string, string>): Json {
  if (renamed.size === 0) return value
  if (Array.isArray(value)) return value.map(one => withReferences(one, renamed))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const name = key === '$ref' && typeof inner === 'string' ? nameOf(inner) : undefined
      const to = name === undefined ? undefined : renamed.get(name)
      return [key, to === undefined ? withReferences(inner, renamed) : `${definitionReference}${to}`]
    }),
  )
}
