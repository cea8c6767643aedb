// The schemas as OpenAPI v3, one document per group and version, for kubectl explain, apply and edit. Pure.
// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
import { type GroupVersion, groupVersions, subresourcesOf, verbsOf } from './discovery.ts'
import type { Kind } from './kind.ts'
import { kinds as allKinds } from './kinds.ts'
import type { Field, Json, JsonObject, ScalarKind, Schema, Shape } from './schema.ts'
import { deleteOptions, listMeta, objectMeta } from './types/meta.ts'
import { status } from './types/status.ts'

/** Where a schema refers to another, and in which of the two dialects. */
export type Dialect = 'v2' | 'v3'

export type Definitions = Record<string, JsonObject>

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const wellKnown: Readonly<
  Partial<Record<ScalarKind, { readonly name: string; readonly v2: JsonObject; readonly v3: JsonObject }>>
> = {
  time: {
    name: `${meta}.Time`,
    v2: { type: 'string', format: 'date-time' },
    v3: { type: 'string', format: 'date-time' },
  },
  microTime: {
    name: `${meta}.MicroTime`,
    v2: { type: 'string', format: 'date-time' },
    v3: { type: 'string', format: 'date-time' },
  },
  duration: {
    name: `${meta}.Duration`,
    v2: { description: 'As Go writes it: 1m10s.', type: 'string' },
    v3: { description: 'As Go writes it: 1m10s.', type: 'string' },
  },
  quantity: {
    name: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
    v2: { description: 'A number of fixed point with an optional suffix: 100m, 1.5Gi, 2e3.', type: 'string' },
    v3: {
      description: 'A number of fixed point with an optional suffix: 100m, 1.5Gi, 2e3.',
      oneOf: [{ type: 'string' }, { type: 'number' }],
    },
  },
  intOrString: {
    name: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
    v2: { description: 'A whole number or a text.', type: 'string', format: 'int-or-string' },
    v3: {
      description: 'A whole number or a text.',
      format: 'int-or-string',
      oneOf: [{ type: 'integer' }, { type: 'string' }],
    },
  },
  any: {
    name: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
    v2: { description: 'Any JSON.', type: 'object' },
    v3: { description: 'Any JSON.', type: 'object' },
  },
  fieldsV1: {
    name: `${meta}.FieldsV1`,
    v2: { description: 'A set of fields, as server-side apply notes them.', type: 'object' },
    v3: { description: 'A set of fields, as server-side apply notes them.', type: 'object' },
  },
}

const plainScalars: Readonly<Record<string, JsonObject>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
}

export function reference(name: string, dialect: Dialect): JsonObject {
  return { $ref: dialect === 'v2' ? `#/definitions/${name}` : `#/components/schemas/${name}` }
}

/** The schema of a shape; definitions that it refers to are put into `into`. */
function schemaOf(shape: Shape, dialect: Dialect, into: Definitions): JsonObject {
  switch (shape.kind) {
    case 'scalar': {
      const known = wellKnown[shape.scalar]
      if (known) {
        into[known.name] ??= known[dialect]
        return reference(known.name, dialect)
      }
      return {
        ...plainScalars[shape.scalar],
        ...(shape.enum && { enum: shape.enum }),
        ...(shape.min !== undefined && { minimum: shape.min }),
        ...(shape.max !== undefined && { maximum: shape.max }),
      }
    }
    case 'list': {
      const { listType, mapKeys, mergeKey } = shape
      return {
        type: 'array',
        items: schemaOf(shape.item.shape, dialect, into),
        'x-kubernetes-list-type': listType,
        ...(listType === 'map' && { 'x-kubernetes-list-map-keys': mapKeys }),
        ...(mergeKey !== undefined && { 'x-kubernetes-patch-strategy': 'merge' }),
        ...(mergeKey !== undefined && mergeKey !== '' && { 'x-kubernetes-patch-merge-key': mergeKey }),
      }
    }
    case 'map':
      return {
        type: 'object',
        additionalProperties: schemaOf(shape.value.shape, dialect, into),
        ...(shape.atomic && { 'x-kubernetes-map-type': 'atomic' }),
      }
    case 'object':
      define(shape, dialect, into)
      return reference(shape.name, dialect)
  }
}

/** What objects of every kind have, and each says the same of. */
const everywhere: Readonly<Record<string, string>> = {
  apiVersion: 'Group and version of the kind, as in apps/v1; v1 for kinds of the first group.',
  kind: 'What the object is; with apiVersion it names the schema that the rest is read by.',
}

const describedAs = (text = ''): JsonObject => (text === '' ? {} : { description: text })

function define(shape: Extract<Shape, { kind: 'object' }>, dialect: Dialect, into: Definitions): void {
  if (into[shape.name] !== undefined) return
  // First the place, for schemas that hold themselves.
  into[shape.name] = {}
  const properties = Object.entries(shape.fields).map(([name, field]): [string, JsonObject] => [
    name,
    property(name, field, dialect, into),
  ])
  const required = Object.entries(shape.fields)
    .filter(([, field]) => field.required)
    .map(([name]) => name)
  into[shape.name] = {
    ...describedAs(shape.description),
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(required.length > 0 && { required }),
    ...(shape.atomic && { 'x-kubernetes-map-type': 'atomic' }),
  }
}

function property(name: string, field: Field, dialect: Dialect, into: Definitions): JsonObject {
  const schema = schemaOf(field.schema.shape, dialect, into)
  const merges = schema['x-kubernetes-patch-strategy'] === 'merge'
  const more: JsonObject = {
    ...describedAs(field.description === '' && field.number === 0 ? everywhere[name] : field.description),
    ...(field.default !== undefined && { default: field.default }),
    ...(field.retainKeys && { 'x-kubernetes-patch-strategy': merges ? 'merge,retainKeys' : 'retainKeys' }),
  }
  const plain = schema['$ref'] === undefined || Object.keys(more).length === 0
  // In v3 nothing stands beside a reference; in v2 it may.
  if (plain || dialect === 'v2') return { ...schema, ...more }
  return { allOf: [schema], ...more }
}

/** The definitions that a kind needs, itself and its list included. */
export function defineKinds(kinds: readonly Kind[], dialect: Dialect): Definitions {
  const into: Definitions = {}
  for (const kind of kinds) {
    const name = nameOf(kind.schema)
    if (kind.custom) {
      const meta = schemaOf(objectMeta.shape, dialect, into)
      into[name] = kind.custom.openApi(dialect, meta)
    } else schemaOf(kind.schema.shape, dialect, into)
    into[name] = { ...into[name], 'x-kubernetes-group-version-kind': [gvk(kind)] }
    if (!kind.stored && !kind.readOnly) continue
    schemaOf(listMeta.shape, dialect, into)
    into[`${name}List`] = {
      description: `Objects of the kind ${kind.kind}, as many as were asked for.`,
      type: 'object',
      properties: {
        apiVersion: { ...describedAs(everywhere['apiVersion']), type: 'string' },
        kind: { ...describedAs(everywhere['kind']), type: 'string' },
        metadata: reference(nameOf(listMeta), dialect),
        items: { description: 'In the order of their keys.', type: 'array', items: reference(name, dialect) },
      },
      required: ['items'],
      'x-kubernetes-group-version-kind': [{ ...gvk(kind), kind: kind.custom?.listKind ?? `${kind.kind}List` }],
    }
  }
  for (const schema of [deleteOptions, status] as readonly Schema[]) schemaOf(schema.shape, dialect, into)
  return into
}

export function nameOf(schema: Schema): string {
  return schema.shape.kind === 'object' ? schema.shape.name : ''
}

type Gvk = { readonly group: string; readonly version: string; readonly kind: string }
const gvk = ({ group, version, kind }: Gvk): { [key: string]: string } => ({ group, version, kind })

export type Operation = {
  readonly path: string
  readonly method: 'get' | 'put' | 'post' | 'delete' | 'patch'
  /** As in x-kubernetes-action. */
  readonly action: string
  readonly gvk: { readonly [key: string]: string }
  readonly parameters: readonly Parameter[]
  /** The name of the definition of the body, when there is one. */
  readonly body: string | undefined
  readonly answer: string
  readonly patchTypes: readonly string[]
}

export type Parameter = {
  readonly name: string
  readonly in: 'query' | 'path'
  readonly type: 'string' | 'boolean' | 'integer'
}

const query = (name: string, type: Parameter['type'] = 'string'): Parameter => ({ name, in: 'query', type })
const writes = [query('dryRun'), query('fieldManager'), query('fieldValidation')]
const reads = [
  query('allowWatchBookmarks', 'boolean'),
  query('continue'),
  query('fieldSelector'),
  query('labelSelector'),
  query('limit', 'integer'),
  query('resourceVersion'),
  query('resourceVersionMatch'),
  query('sendInitialEvents', 'boolean'),
  query('timeoutSeconds', 'integer'),
  query('watch', 'boolean'),
]
const deletes = [
  query('dryRun'),
  query('gracePeriodSeconds', 'integer'),
  query('orphanDependents', 'boolean'),
  query('propagationPolicy'),
]

const methods: Readonly<
  Record<string, { readonly method: Operation['method']; readonly action: string; readonly collection: boolean }>
> = {
  get: { method: 'get', action: 'get', collection: false },
  list: { method: 'get', action: 'list', collection: true },
  create: { method: 'post', action: 'post', collection: true },
  update: { method: 'put', action: 'put', collection: false },
  patch: { method: 'patch', action: 'patch', collection: false },
  delete: { method: 'delete', action: 'delete', collection: false },
  deletecollection: { method: 'delete', action: 'deletecollection', collection: true },
}

/** Every operation on the kinds of a group and version. */
export function operationsOf({ group, version, kinds }: GroupVersion): readonly Operation[] {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  return kinds.flatMap(kind => {
    const place = kind.scope === 'Namespaced' ? `${root}/namespaces/{namespace}` : root
    const own = verbsOf(kind).flatMap(verb => operation(kind, verb, place, '', gvk(kind), nameOf(kind.schema)))
    const parts = subresourcesOf(kind).flatMap(sub => {
      // What answers with bytes and not with objects has no schema.
      const body = [...kinds, ...allKinds].find(
        k => k.kind === sub.kind && k.group === sub.group && k.version === sub.version,
      )
      if (body === undefined) return []
      return sub.verbs.flatMap(verb => operation(kind, verb, place, sub.name, gvk(sub), nameOf(body.schema)))
    })
    const everywhere = kind.stored && kind.scope === 'Namespaced'
    const all = everywhere ? operation(kind, 'list', root, '', gvk(kind), nameOf(kind.schema)) : []
    return [...own, ...parts, ...all]
  })
}

function operation(
  kind: Kind,
  verb: string,
  place: string,
  subresource: string,
  of: Operation['gvk'],
  name: string,
): readonly Operation[] {
  const found = methods[verb]
  if (found === undefined) return []
  const { method, action } = found
  const collection = found.collection && subresource === ''
  const path = `${place}/${kind.plural}${collection ? '' : '/{name}'}${subresource === '' ? '' : `/${subresource}`}`
  const inPath = (path.match(/\{\w+\}/g) ?? []).map(
    (text): Parameter => ({ name: text.slice(1, -1), in: 'path', type: 'string' }),
  )
  const inQuery: Readonly<Record<string, readonly Parameter[]>> = {
    get: method === 'get' && collection ? reads : [],
    list: reads,
    post: writes,
    put: writes,
    patch: [...writes, query('force', 'boolean')],
    delete: deletes,
    deletecollection: [...deletes, ...reads],
  }
  const deleting = action === 'delete' || action === 'deletecollection'
  return [
    {
      path,
      method,
      action,
      gvk: of,
      parameters: [...inPath, ...(inQuery[action] ?? [])],
      body: deleting ? nameOf(deleteOptions) : method === 'get' ? undefined : name,
      patchTypes: kind.custom ? patchTypes.filter(type => !type.includes('strategic')) : patchTypes,
      answer: deleting ? nameOf(status) : action === 'list' ? `${name}List` : name,
    },
  ]
}

/** GET /openapi/v3/apis/<group>/<version>. */
export function openApiV3(groupVersion: GroupVersion, gitVersion: string): JsonObject {
  const { kinds } = groupVersion
  const bodies = kinds
    .flatMap(subresourcesOf)
    .flatMap(sub => allKinds.filter(k => k.kind === sub.kind && k.group === sub.group && k.version === sub.version))
  const schemas = defineKinds([...new Set([...kinds, ...bodies])], 'v3')
  const paths: Record<string, Record<string, Json>> = {}
  for (const each of operationsOf(groupVersion)) {
    const item = paths[each.path] ?? {}
    item[each.method] = operationV3(each)
    paths[each.path] = item
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: gitVersion },
    paths,
    components: { schemas },
  }
}

const patchTypes = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
]

function operationV3(operation: Operation): JsonObject {
  const { body, answer, parameters } = operation
  const types = operation.method === 'patch' ? operation.patchTypes : ['*/*']
  const content = (name: string, media: readonly string[]) =>
    Object.fromEntries(media.map(type => [type, { schema: reference(name, 'v3') }]))
  return {
    parameters: parameters.map(({ name, in: place, type }) => ({
      name,
      in: place,
      ...(place === 'path' && { required: true }),
      schema: { type, uniqueItems: true },
    })),
    ...(body !== undefined && {
      requestBody: {
        content:
          operation.method === 'patch'
            ? Object.fromEntries(types.map(type => [type, { schema: { type: 'object' } }]))
            : content(body, types),
      },
    }),
    responses: { 200: { description: 'OK', content: content(answer, ['application/json']) } },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.gvk,
  }
}

export function documentsV3(kinds: readonly Kind[]): ReadonlyMap<string, GroupVersion> {
  return new Map(
    groupVersions(kinds).map(each => [
      each.group === '' ? `api/${each.version}` : `apis/${each.group}/${each.version}`,
      each,
    ]),
  )
}
