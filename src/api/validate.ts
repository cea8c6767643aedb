// What is wrong with an object: what its schema says (required, one of, at least), metadata's rules, then the kind's own.
// Everything is collected, so that one answer tells a user all.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/
import { Derivation, isKept } from '../lib/kept.ts'
import { addAll, forbidden, immutable, invalidValue, notSupported, requiredValue, tooLong } from './field.ts'
import { finalizerErrors } from './finalizers.ts'
import type { FieldError, Kind, KubeObject } from './kind.ts'
import { dnsLabel, labelValue, qualifiedName } from './names.ts'
import { isList, isObject } from './parse.ts'
import { pathOf } from './reader.ts'
import type { Field, Json, Schema, Shape } from './schema.ts'
import type { ObjectMeta } from './types/meta.ts'

export const annotationsSizeMax = 256 * 1024

/**
 * Of an update that is no change for the worse, nothing is told: what is wrong with the old object in the same words may
 * stay. Else a rule that is new to this version would keep everybody from an object of an older one, and be it to take
 * off its finalizer. Upstream has that per field ("validation ratcheting").
 */
export function validateObject<T extends KubeObject>(
  kind: Kind<T>,
  object: T,
  old: T | undefined,
  subresource?: string,
): readonly FieldError[] {
  const errors = objectFaults(kind, object, old, subresource)
  // As if it were new: what is wrong with the request is not wrong with the object.
  return old === undefined || kind.custom ? errors : added(errors, () => objectFaults(kind, old, undefined, undefined))
}

function objectFaults<T extends KubeObject>(
  kind: Kind<T>,
  object: T,
  old: T | undefined,
  subresource: string | undefined,
): readonly FieldError[] {
  return [
    ...validateMeta(kind, object.metadata, old?.metadata),
    ...validateSchema(kind.schema, object),
    ...kind.validate(object, old, subresource),
  ]
}

/** Only what /status may change. */
export function validateStatus<T extends KubeObject>(kind: Kind<T>, object: T, old: T): readonly FieldError[] {
  if (kind.custom) return validateObject(kind, object, old, 'status')
  return added(statusFaults(kind, object, old), () => statusFaults(kind, old, old))
}

function statusFaults<T extends KubeObject>(kind: Kind<T>, object: T, old: T): readonly FieldError[] {
  const { shape } = kind.schema
  const field = shape.kind === 'object' ? shape.fields['status'] : undefined
  const status = (object as { readonly status?: Json }).status
  return [
    ...validateMeta(kind, object.metadata, old.metadata),
    ...(field && status !== undefined ? validateSchema(field.schema, status, 'status') : []),
    ...kind.validateStatus(object, old),
  ]
}

function added(errors: readonly FieldError[], before: () => readonly FieldError[]): readonly FieldError[] {
  if (errors.length === 0) return errors
  const known = new Set(before().map(({ field, message }) => JSON.stringify([field, message])))
  return errors.filter(({ field, message }) => !known.has(JSON.stringify([field, message])))
}

export function validateSchema(schema: Schema, value: unknown, path = ''): readonly FieldError[] {
  const errors: FieldError[] = []
  check(schema.shape, value as Json, path, errors)
  // What Go writes as zero in a status nobody has to say.
  return path === 'status' ? errors.filter(({ reason }) => reason !== 'FieldValueRequired') : errors
}

function check(shape: Shape, value: Json, path: string, errors: FieldError[]): void {
  switch (shape.kind) {
    case 'scalar':
      checkScalar(shape, value, path, errors)
      return
    case 'list':
      if (isList(value) && shape.item.shape.kind === 'object') {
        for (const [i, item] of value.entries()) check(shape.item.shape, item, `${path}[${i}]`, errors)
      }
      return
    case 'map':
      if (isObject(value) && shape.value.shape.kind === 'object') {
        for (const [key, item] of Object.entries(value)) check(shape.value.shape, item, `${path}[${key}]`, errors)
      }
      return
    case 'object':
      if (!isObject(value)) return
      for (const [key, field] of checkedFields(shape)) {
        if (key === 'status' && path === '') continue
        const below = value[key]
        if (below === undefined || isEmptyRequired(field, below)) {
          if (field.required) errors.push(requiredValue(pathOf(path, key)))
        } else if (!isKept(below) || !flawless.of(below, field.schema.shape, () => isFlawless(field.schema, below))) {
          check(field.schema.shape, below, pathOf(path, key), errors)
        }
      }
  }
}

const flawless = new Derivation<Shape, boolean>()

const isFlawless = (schema: Schema, value: Json): boolean => validateSchema(schema, value).length === 0

const checked = new WeakMap<Shape, readonly (readonly [string, Field])[]>()

/** The fields with anything to check: metadata has rules of its own, and free scalars none. */
function checkedFields(shape: Shape & { kind: 'object' }): readonly (readonly [string, Field])[] {
  const known = checked.get(shape)
  if (known) return known
  const fields = Object.entries(shape.fields).filter(([key, { required, schema }]) => {
    const below = schema.shape
    const isFree = below.kind === 'scalar' && !below.enum && below.min === undefined && below.max === undefined
    return key !== 'metadata' && (required || !isFree)
  })
  checked.set(shape, fields)
  return fields
}

/** A required text or list that is empty is as good as absent, unless that is its default. */
function isEmptyRequired(field: Field, value: Json): boolean {
  return field.required && field.default === undefined && (value === '' || (isList(value) && value.length === 0))
}

function checkScalar(shape: Shape & { kind: 'scalar' }, value: Json, path: string, errors: FieldError[]): void {
  if (shape.enum && typeof value === 'string' && value !== '' && !shape.enum.includes(value)) {
    errors.push(notSupported(path, value, shape.enum))
  }
  if (typeof value !== 'number') return
  if (shape.min !== undefined && value < shape.min) {
    errors.push(invalidValue(path, value, `must be greater than or equal to ${shape.min}`))
  }
  if (shape.max !== undefined && value > shape.max) {
    errors.push(invalidValue(path, value, `must be less than or equal to ${shape.max}`))
  }
}

function validateMeta(kind: Kind, meta: ObjectMeta, old: ObjectMeta | undefined): readonly FieldError[] {
  const errors: FieldError[] = []
  if (meta.generateName !== undefined) {
    const wrong = kind.nameRule(maskTrailingDash(meta.generateName))
    if (wrong !== undefined && !old) errors.push(invalidValue('metadata.generateName', meta.generateName, wrong))
  }
  if ((meta.name ?? '') === '') errors.push(requiredValue('metadata.name', 'name or generateName is required'))
  else {
    const wrong = kind.nameRule(meta.name)
    if (wrong !== undefined && !old) errors.push(invalidValue('metadata.name', meta.name, wrong))
  }
  errors.push(...validateNamespace(kind, meta, old))
  addAll(errors, validateLabels(meta.labels, 'metadata.labels'))
  addAll(errors, validateAnnotations(meta.annotations))
  for (const owner of meta.ownerReferences ?? []) {
    const path = 'metadata.ownerReferences'
    for (const key of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if ((owner[key] ?? '') !== '') continue
      const what = key === 'apiVersion' ? 'version' : key
      errors.push(invalidValue(`${path}.${key}`, owner[key] ?? '', `${what} must not be empty`))
    }
    if (owner.apiVersion === 'v1' && owner.kind === 'Event') {
      errors.push(invalidValue(path, owner, '/v1, Kind=Event is disallowed from being an owner'))
    }
  }
  const controllers = (meta.ownerReferences ?? []).filter(owner => owner.controller === true)
  if (controllers.length > 1) {
    const [first, second] = controllers
    errors.push(
      invalidValue(
        'metadata.ownerReferences',
        meta.ownerReferences,
        `Only one reference can have Controller set to true. Found "true" in references for ${first?.kind}/${first?.name} and ${second?.kind}/${second?.name}`,
      ),
    )
  }
  addAll(errors, finalizerErrors(kind, meta, old === undefined))
  return errors
}

function validateNamespace(kind: Kind, meta: ObjectMeta, old: ObjectMeta | undefined): readonly FieldError[] {
  const path = 'metadata.namespace'
  const namespace = meta.namespace ?? ''
  if (kind.scope === 'Cluster') return namespace === '' ? [] : [forbidden(path, 'not allowed on this type')]
  if (namespace === '') return [requiredValue(path)]
  const wrong = dnsLabel(namespace)
  if (wrong !== undefined) return [invalidValue(path, namespace, wrong)]
  return old && old.namespace !== namespace ? [immutable(path, namespace)] : []
}

/** generateName is a prefix: 'web-' is good where 'web-a' is. */
function maskTrailingDash(prefix: string): string {
  return prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -2)}a` : prefix
}

type Labels = Readonly<Record<string, string>>

export function validateLabels(labels: Labels | undefined, path: string): readonly FieldError[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => {
    const wrong = { key: qualifiedName(key), value: labelValue(value) }
    return [
      ...(wrong.key === undefined ? [] : [invalidValue(path, key, wrong.key)]),
      ...(wrong.value === undefined ? [] : [invalidValue(path, value, wrong.value)]),
    ]
  })
}

export function validateAnnotations(
  annotations: Labels | undefined,
  path = 'metadata.annotations',
): readonly FieldError[] {
  const errors: FieldError[] = []
  let size = 0
  for (const [key, value] of Object.entries(annotations ?? {})) {
    const wrong = qualifiedName(key.toLowerCase())
    if (wrong !== undefined) errors.push(invalidValue(path, key, wrong))
    size += key.length + value.length
  }
  if (size > annotationsSizeMax) errors.push(tooLong(path, annotationsSizeMax))
  return errors
}
