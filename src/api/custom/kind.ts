// The kinds that a CustomResourceDefinition defines: one for each version that is served, all stored as the one that is the
// storage version. Pure; a converter is given from outside, because one that asks a webhook waits.
// https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/custom-resources/
import { age, readRfc3339 } from '../../lib/duration.ts'
import { findJsonPath, type JsonPath, parseJsonPath } from '../../lib/jsonpath.ts'
import { ageColumn, nameColumn } from '../cells.ts'
import { invalidValue } from '../field.ts'
import { type Column, type CustomKind, defineKind, type FieldError, type Kind, type KubeObject } from '../kind.ts'
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinition,
  CustomResourceDefinitionVersion,
  ScalePaths,
} from '../kinds/customresourcedefinition.ts'
import { isObject, parseValue } from '../parse.ts'
import type { Duplicates } from '../reader.ts'
import { pathOf } from '../reader.ts'
import { type Json, type JsonObject, s } from '../schema.ts'
import type { JsonSchemaProps } from '../types/jsonschema.ts'
import { objectMeta } from '../types/meta.ts'
import { definitionOf } from './openapi.ts'
import { blocked, checkRules, type Rules, rulesOf } from './rules.ts'
import { shapeOfRoot } from './shape.ts'
import { validateValue } from './validate.ts'
import { prune, withDefaults, withoutNulls } from './values.ts'

/** Objects of one kind in the form of another of its versions, in their order. */
export type Convert = (
  objects: readonly KubeObject[],
  apiVersion: string,
) => readonly KubeObject[] | Promise<readonly KubeObject[]>

/** The strategy None: versions differ in their name alone. */
export const renamed: Convert = (objects, apiVersion) =>
  objects.map(object => (object.apiVersion === apiVersion ? object : { ...object, apiVersion }))

/** The kind as which all versions are stored; it knows nothing but where its objects lie. */
export function storedKind(definition: CustomResourceDefinition): Kind {
  const { spec, status } = definition
  const { plural = spec.names.plural, kind = spec.names.kind, singular } = status?.acceptedNames ?? spec.names
  const version = spec.versions.find(({ storage }) => storage)?.name ?? ''
  const shape = shapeOfRoot({ 'x-kubernetes-preserve-unknown-fields': true }, nameIn(spec.group, version, kind))
  return defineKind({
    group: spec.group,
    version,
    kind,
    plural,
    singular: singular || kind.toLowerCase(),
    scope: spec.scope,
    schema: { shape },
  })
}

/** One kind for each version that is served. */
export function customKinds(definition: CustomResourceDefinition, convert: Convert): readonly Kind[] {
  const stored = storedKind(definition)
  const { versions } = definition.spec
  const served = versions.filter(version => version.served)
  // Where nothing is served, what there is must still be removable before the definition goes.
  const isLast = served.length === 0 && definition.metadata.deletionTimestamp !== undefined
  return (isLast ? versions.filter(({ storage }) => storage) : served).map(version =>
    customKind(definition, version, stored, convert),
  )
}

/** com.example.v1.CronTab for CronTab of example.com/v1. */
function nameIn(group: string, version: string, kind: string): string {
  return `${group.split('.').reverse().join('.')}.${version}.${kind}`
}

function customKind(
  definition: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  stored: Kind,
  convert: Convert,
): Kind {
  const { group, scope } = definition.spec
  const names = definition.status?.acceptedNames ?? definition.spec.names
  const schema = version.schema?.openAPIV3Schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  const apiVersion = `${group}/${version.name}`
  const { status, scale } = version.subresources ?? {}
  const selectable = (version.selectableFields ?? []).flatMap(({ jsonPath }) => {
    const path = parseJsonPath(jsonPath)
    return path ? [{ label: jsonPath.replace(/^\./, ''), path }] : []
  })
  // Compiled when they are first asked: a definition is read at every peer, and written to at few.
  let made: { readonly rules: Rules | undefined } | undefined
  const rules = () => {
    made ??= { rules: rulesOf(schema) }
    return made.rules
  }
  const completed = (object: KubeObject): KubeObject =>
    withDefaults(schema, withoutNulls(schema, object as unknown as JsonObject)) as unknown as KubeObject
  const shown = (object: KubeObject): KubeObject =>
    completed(prune(schema, object as unknown as JsonObject, true).value as unknown as KubeObject)
  return defineKind<KubeObject>({
    group,
    version: version.name,
    kind: names.kind,
    plural: names.plural,
    singular: names.singular || names.kind.toLowerCase(),
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    scope,
    updateNeedsVersion: true,
    subresources: [...(status ? ['status'] : []), ...(scale ? ['scale'] : [])],
    schema: { shape: shapeOfRoot(schema, nameIn(group, version.name, names.kind)) },
    storedAs: {
      kind: stored,
      read: objects => {
        const converted = convert(objects, apiVersion)
        return 'then' in converted ? converted.then(all => all.map(shown)) : converted.map(shown)
      },
      write: object => {
        const converted = convert([object], `${group}/${stored.version}`)
        const first = ([only]: readonly KubeObject[]) => only ?? object
        return 'then' in converted ? converted.then(first) : first(converted)
      },
    },
    custom: customOf(definition, version, schema, scale, names.listKind ?? `${names.kind}List`),
    columns: () => columnsOf(version.additionalPrinterColumns ?? []),
    ageColumn: false,
    fieldLabels: selectable.map(({ label }) => label),
    fields: object =>
      Object.fromEntries(selectable.map(({ label, path }) => [label, textOf(findJsonPath(path, object)[0])])),
    prepare: (object, old, subresource) => (subresource === 'status' && old ? withMetaOf(object, old) : object),
    defaults: completed,
    validate: (object, old) => {
      const [value, before] = [object as unknown as Json, old as unknown as Json | undefined]
      const errors = [...validateValue(schema, value, '', before), ...(scale ? validateReplicas(object, scale) : [])]
      const asked = rules()
      if (asked === undefined) return errors
      const why = blocked(errors)
      return [...errors, ...(why ? [why] : checkRules(asked, value, before))]
    },
  })
}

function textOf(value: unknown): string {
  return value === undefined || value === null ? '' : String(value)
}

/** /status of a custom resource leaves all metadata alone but for who owns which field. */
function withMetaOf(object: KubeObject, old: KubeObject): KubeObject {
  const { managedFields } = object.metadata
  return { ...object, metadata: { ...old.metadata, ...(managedFields !== undefined && { managedFields }) } }
}

const metaOnly = s.object('', { metadata: s.of(0, objectMeta) })

function customOf(
  definition: CustomResourceDefinition,
  version: CustomResourceDefinitionVersion,
  schema: JsonSchemaProps,
  scale: ScalePaths | undefined,
  listKind: string,
): CustomKind {
  const { group, names } = definition.spec
  const standard = `${group}/${version.name} ${names.kind} is deprecated`
  return {
    listKind,
    isTerminating: definition.metadata.deletionTimestamp !== undefined,
    ...(version.deprecated && { warning: version.deprecationWarning ?? standard }),
    ...(scale && { scale: scaleOf(scale) }),
    parse(value, duplicates, what) {
      const { metadata, ...rest } = value
      const given = metadata === undefined || metadata === null ? {} : metadata
      const meta = parseValue(metaOnly, { metadata: given }, 'Warn', what)
      const pruned = prune(schema, rest)
      const problems = [...doubled(duplicates), ...meta.warnings, ...pruned.unknown.map(unknownField)]
      const object = { ...pruned.value, metadata: (meta.value.metadata ?? {}) as unknown as Json }
      return { object: withoutNulls(schema, object), problems }
    },
    openApi: (dialect, meta) => definitionOf(schema, dialect, meta),
  }
}

const unknownField = (path: string): string => `unknown field ${JSON.stringify(path)}`

function doubled(duplicates: Duplicates): readonly string[] {
  const all = [...duplicates.values()].flat()
  return all.map(({ parent, key }) => `duplicate field ${JSON.stringify(pathOf(parent, key))}`)
}

function scaleOf(paths: ScalePaths): NonNullable<CustomKind['scale']> {
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = paths
  const [spec, status] = [namesOf(specReplicasPath), namesOf(statusReplicasPath)]
  const selector = labelSelectorPath ? namesOf(labelSelectorPath) : undefined
  const numberAt = (object: KubeObject, path: readonly string[]) => {
    const found = at(object as unknown as Json, path)
    return typeof found === 'number' ? found : undefined
  }
  return {
    path: specReplicasPath,
    read: object => {
      const found = selector && at(object as unknown as Json, selector)
      return {
        replicas: numberAt(object, spec),
        statusReplicas: numberAt(object, status) ?? 0,
        ...(typeof found === 'string' && found !== '' && { selector: found }),
      }
    },
    write: (object, replicas) => put(object as unknown as Json, spec, replicas) as unknown as KubeObject,
  }
}

function namesOf(path: string): readonly string[] {
  return (parseJsonPath(path) ?? []).flatMap(step => (step.kind === 'field' ? [step.name] : []))
}

function at(value: Json | undefined, path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>(
    (found, name) => (isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined),
    value,
  )
}

function put(value: Json | undefined, path: readonly string[], leaf: Json): Json {
  const [name, ...rest] = path
  if (name === undefined) return leaf
  const object = isObject(value) ? value : {}
  return { ...object, [name]: put(object[name], rest, leaf) }
}

const replicasMax = 2 ** 31 - 1

function validateReplicas(object: KubeObject, scale: ScalePaths): readonly FieldError[] {
  return [scale.specReplicasPath, scale.statusReplicasPath].flatMap(path => {
    const found = at(object as unknown as Json, namesOf(path))
    if (typeof found === 'bigint') return [invalidValue(path, found, `should be less than or equal to ${replicasMax}`)]
    if (typeof found !== 'number' || (Number.isInteger(found) && found >= 0 && found <= replicasMax)) return []
    const why =
      found > replicasMax ? `should be less than or equal to ${replicasMax}` : 'should be a non-negative integer'
    return [invalidValue(path, found, why)]
  })
}

const columnTypes: readonly string[] = [
  'string',
  'integer',
  'number',
  'boolean',
  'date',
] satisfies readonly Column<KubeObject>['type'][]

function columnsOf(given: readonly CustomResourceColumnDefinition[]): readonly Column<KubeObject>[] {
  if (given.length === 0) return [nameColumn, { ...ageColumn, type: 'date' }]
  const made = given.flatMap((column): Column<KubeObject>[] => {
    const path = parseJsonPath(column.jsonPath)
    if (path === undefined || !columnTypes.includes(column.type)) return []
    const { name, description = '', format = '', priority = 0 } = column
    const type = column.type as Column<KubeObject>['type']
    return [{ name, type, format, description, priority, cell: (object, nowMs) => cell(object, path, type, nowMs) }]
  })
  return [nameColumn, ...made]
}

/** Null shows nothing: what is not there, or is of another type than the column. */
function cell(
  object: KubeObject,
  path: JsonPath,
  type: Column<KubeObject>['type'],
  nowMs: number,
): string | number | bigint | boolean | null {
  const value = findJsonPath(path, object)[0]
  if (value === undefined || value === null) return null
  switch (type) {
    case 'integer':
      if (typeof value === 'bigint') return value
      return typeof value === 'number' ? Math.trunc(value) : null
    case 'number':
      if (typeof value === 'bigint') return Number(value)
      return typeof value === 'number' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'date': {
      if (typeof value !== 'string') return null
      return readRfc3339(value) === undefined ? '<invalid>' : age(value, nowMs)
    }
    case 'string':
      return typeof value === 'object' ? JSON.stringify(value) : String(value)
  }
}
