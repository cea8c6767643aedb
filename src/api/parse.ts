// From a request's text to a typed object: types are checked, null is absence, unknown fields are pruned and, when asked,
// reported with doubled ones in Kubernetes' words. Where Go cannot tell zero from absence (omitempty without a pointer), zero
// is absence here too. It neither defaults nor validates: api/admit.ts does.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
import { readRfc3339, rfc3339OfSeconds } from '../lib/duration.ts'
import { Derivation, isKept, keptWith } from '../lib/kept.ts'
import { formatQuantity, parseQuantity, quantityMalformed } from '../lib/quantity.ts'
import { ApiError } from './error.ts'
import { apiVersionOf, type CustomKind, type Kind, type KubeObject } from './kind.ts'
import {
  type Duplicates,
  depthMax,
  noDuplicates,
  parseJson,
  pathOf,
  type Read,
  ReadError,
  readJsonText,
  readYamlText,
  repeatedLines,
} from './reader.ts'
import type { Field, Json, JsonObject, ScalarKind, Schema, Shape } from './schema.ts'
import { jsonSchemaProps } from './types/jsonschema.ts'

export type { Duplicates, Read } from './reader.ts'

/** The values of ?fieldValidation=. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore'

const strictErrorCountMax = 100
const shownLengthMax = 1_024

/** BadRequest on malformed text. Doubled keys are looked for only when `mode` asks. */
export function readJson(text: string, mode: FieldValidation, asYaml = false): Read {
  return reading(() =>
    mode === 'Ignore' ? { value: parseJson(text), duplicates: noDuplicates } : readJsonText(text, asYaml),
  )
}

/** As readJson, for bodies of type application/apply-patch+yaml and application/yaml. */
export function readYaml(text: string, mode: FieldValidation): Read {
  // JSON is YAML, is what kubectl sends as application/apply-patch+yaml, and is read much faster as what it is.
  const read = text.trimStart().startsWith('{') ? readIfJson(text, mode) : undefined
  return read ?? reading(() => readYamlText(text))
}

/** A text named YAML that may be JSON; undefined: it is none. */
export function readIfJson(text: string, mode: FieldValidation): Read | undefined {
  try {
    return readJson(text, mode, true)
  } catch {
    return undefined
  }
}

function reading(read: () => Read): Read {
  try {
    return read()
  } catch (error) {
    if (error instanceof ReadError) throw new ApiError('BadRequest', error.message)
    throw error
  }
}

/** Why a value is not of its schema, in Go's words. */
class Mismatch extends Error {
  override readonly name = 'Mismatch'
}

/** The object as its kind's type; apiVersion and kind are filled in, or BadRequest when they are another kind's. */
export function parseObject<T extends KubeObject>(
  kind: Kind<T>,
  value: Json,
  mode: FieldValidation,
  duplicates: Duplicates = noDuplicates,
): { readonly object: T; readonly warnings: readonly string[] } {
  if (!isObject(value)) throw new ApiError('BadRequest', `couldn't get version/kind; json parse error: not an object`)
  const expected = apiVersionOf(kind)
  const given = { apiVersion: value['apiVersion'] ?? '', kind: value['kind'] ?? '' }
  if (given.kind !== '' && given.kind !== kind.kind) {
    throw new ApiError(
      'BadRequest',
      `${String(given.kind)} in version ${JSON.stringify(versionOf(given.apiVersion))} cannot be handled as a ${kind.kind}: no kind ${JSON.stringify(given.kind)} is served here`,
    )
  }
  if (given.apiVersion !== '' && given.apiVersion !== expected) {
    throw new ApiError(
      'BadRequest',
      `the API version in the data (${String(given.apiVersion)}) does not match the expected API version (${expected})`,
    )
  }
  const what = `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}`
  if (kind.custom) return parseCustom(kind, kind.custom, value, mode, what, duplicates)
  const { value: object, warnings } = parseValue(kind.schema, value, mode, what, duplicates)
  const metadata = isObject(value['metadata']) ? (object as { metadata?: unknown }).metadata : {}
  return { object: { ...object, apiVersion: expected, kind: kind.kind, metadata } as T, warnings }
}

function parseCustom<T extends KubeObject>(
  kind: Kind<T>,
  custom: CustomKind,
  value: JsonObject,
  mode: FieldValidation,
  what: string,
  duplicates: Duplicates,
): { readonly object: T; readonly warnings: readonly string[] } {
  if (isTooDeep(value)) throw new ApiError('BadRequest', `${what}: exceeded max depth`)
  // What is not typed must say what it is.
  for (const [key, name] of [
    ['kind', 'Kind'],
    ['apiVersion', 'apiVersion'],
  ] as const) {
    if ((value[key] ?? '') !== '') continue
    const shown = JSON.stringify(value).slice(0, shownLengthMax)
    throw new ApiError('BadRequest', `Object '${name}' is missing in '${shown}'`)
  }
  const lines = mode === 'Ignore' ? [] : repeatedLines(duplicates)
  const inPlace = mode === 'Ignore' || lines.length > 0 ? noDuplicates : duplicates
  const { object, problems } = custom.parse(value, inPlace, what)
  const told = [...new Set(problems)].slice(0, strictErrorCountMax)
  const typed = { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind } as unknown as T
  return { object: typed, warnings: tell(mode, what, lines, told) }
}

/** What is wrong with the fields: refused, or given back as warnings. `lines`: what the reader of YAML had found. */
function tell(
  mode: FieldValidation,
  what: string,
  lines: readonly string[],
  problems: readonly string[],
): readonly string[] {
  if (mode === 'Ignore') return []
  if (mode === 'Warn') return [...lines, ...problems]
  if (lines.length + problems.length === 0) return []
  const told = [...(lines.length > 0 ? [unmarshalErrors(lines)] : []), ...problems]
  throw new ApiError('BadRequest', `${what}: strict decoding error: ${told.join(', ')}`)
}

export function unmarshalErrors(lines: readonly string[]): string {
  return ['yaml: unmarshal errors:', ...lines].join('\n  ')
}

function versionOf(apiVersion: Json): string {
  return String(apiVersion).split('/').at(-1) ?? ''
}

/** Any value of any schema; `what` opens the message of an error. */
export function parseValue<T>(
  schema: Schema<T>,
  value: Json,
  mode: FieldValidation,
  what: string,
  duplicates: Duplicates = noDuplicates,
): { readonly value: T; readonly warnings: readonly string[] } {
  const lines = mode === 'Ignore' ? [] : repeatedLines(duplicates)
  const walk = new Walk(mode === 'Ignore' || lines.length > 0 ? noDuplicates : duplicates)
  try {
    const parsed = walk.parse(schema.shape, value, '', '', nameOf(schema.shape)) as T
    // What was YAML has been turned into JSON with its fields in order.
    const problems = lines.length > 0 ? [...walk.problems].toSorted() : [...walk.problems]
    return { value: parsed, warnings: tell(mode, what, lines, problems) }
  } catch (error) {
    if (error instanceof Mismatch) throw new ApiError('BadRequest', `${what}: ${error.message}`)
    throw error
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isList(value: unknown): value is readonly Json[] {
  return Array.isArray(value)
}

/** io.k8s.api.core.v1.PodSpec is 'PodSpec'. */
function nameOf(shape: Shape): string {
  return shape.kind === 'object' ? (shape.name.split('.').at(-1) ?? '') : ''
}

const goTypes: Readonly<Record<ScalarKind, string>> = {
  string: 'string',
  boolean: 'bool',
  int32: 'int32',
  int64: 'int64',
  double: 'float64',
  time: 'string',
  microTime: 'string',
  duration: 'string',
  quantity: 'string',
  intOrString: 'int32',
  bytes: '[]uint8',
  any: 'runtime.RawExtension',
  fieldsV1: 'map[string]interface {}',
  schemaOrBool: 'v1.JSONSchemaPropsOrBool',
  schemaOrArray: 'v1.JSONSchemaPropsOrArray',
  schemaOrStrings: 'v1.JSONSchemaPropsOrStringArray',
}

function goType(shape: Shape): string {
  switch (shape.kind) {
    case 'scalar':
      return goTypes[shape.scalar]
    case 'object':
      return shape.name.split('.').slice(-2).join('.')
    case 'list':
      return `[]${goType(shape.item.shape)}`
    case 'map':
      return `map[string]${goType(shape.value.shape)}`
  }
}

export function zeroOf(shape: Shape): Json {
  if (shape.kind === 'list') return []
  if (shape.kind !== 'scalar') return {}
  switch (shape.scalar) {
    case 'boolean':
      return false
    case 'int32':
    case 'int64':
    case 'double':
    case 'intOrString':
      return 0
    case 'quantity':
      return '0'
    case 'any':
    case 'fieldsV1':
    case 'time':
    case 'microTime':
      return null
    case 'schemaOrBool':
    case 'schemaOrArray':
    case 'schemaOrStrings':
      return {}
    default:
      return ''
  }
}

/** Whether Go would leave this value out when it writes the object again. */
export function isAbsence(field: Field, value: Json): boolean {
  if (field.required || field.pointer) return false
  if (isList(value)) return value.length === 0
  const { shape } = field.schema
  if (shape.kind === 'map') return isObject(value) && Object.keys(value).length === 0
  if (shape.kind !== 'scalar') return false
  switch (shape.scalar) {
    case 'string':
      return value === ''
    case 'boolean':
      return value === false
    case 'int32':
    case 'int64':
    case 'double':
      return value === 0
    default:
      return false
  }
}

const soundOf = new Derivation<Shape, JsonObject | undefined>()

class Walk {
  readonly problems = new Set<string>()
  readonly #duplicates: Duplicates
  #depth = 0

  constructor(duplicates: Duplicates) {
    this.#duplicates = duplicates
  }

  #problem(text: string): void {
    if (this.problems.size < strictErrorCountMax) this.problems.add(text)
  }

  #mismatch(shape: Shape, value: Json, goPath: string, struct: string): Mismatch {
    const found = isList(value)
      ? 'array'
      : isObject(value)
        ? 'object'
        : typeof value === 'boolean'
          ? 'bool'
          : (typeof value === 'number' || typeof value === 'bigint') &&
              shape.kind === 'scalar' &&
              goType(shape).startsWith('int')
            ? `number ${value}`
            : typeof value === 'bigint'
              ? 'number'
              : typeof value
    const where = goPath === '' ? '' : ` struct field ${struct}.${goPath} of type`
    return new Mismatch(
      `json: cannot unmarshal ${found} into Go${where === '' ? ' value of type' : where} ${goType(shape)}`,
    )
  }

  /** `path` has indices and is for people who look for the field; `goPath` has none and is Go's. */
  parse(shape: Shape, value: Json, path: string, goPath: string, struct: string): Json {
    switch (shape.kind) {
      case 'scalar':
        return this.#scalar(shape, value, path, goPath, struct)
      case 'object':
        return this.#object(shape, value, path, goPath, struct)
      case 'list': {
        if (!isList(value)) throw this.#mismatch(shape, value, goPath, struct)
        const item = shape.item.shape
        return value.map((entry, i) =>
          entry === null ? zeroOf(item) : this.parse(item, entry, `${path}[${i}]`, goPath, struct),
        )
      }
      case 'map': {
        if (!isObject(value)) throw this.#mismatch(shape, value, goPath, struct)
        const item = shape.value.shape
        if (this.#duplicates.size === 0 && isTexts(item, value)) return value
        const entries = Object.entries(value).map(([key, entry]): [string, Json] => {
          const below = pathOf(path, key)
          const parsed = entry === null ? zeroOf(item) : this.parse(item, entry, below, goPath, struct)
          for (const repeated of this.#duplicates.get(below) ?? []) {
            this.#problem(`duplicate field ${JSON.stringify(pathOf(repeated.parent, repeated.key))}`)
          }
          return [key, parsed]
        })
        return Object.fromEntries(entries)
      }
    }
  }

  #object(shape: Shape & { kind: 'object' }, value: Json, path: string, goPath: string, struct: string): Json {
    if (!isObject(value)) throw this.#mismatch(shape, value, goPath, struct)
    // A schema that holds itself is as deep as whoever writes it likes.
    if (this.#depth > depthMax) throw new Mismatch('exceeded max depth')
    this.#depth += 1
    const name = nameOf(shape)
    const out: Record<string, Json> = {}
    for (const [key, entry] of Object.entries(value)) {
      const below = pathOf(path, key)
      const field = Object.hasOwn(shape.fields, key) ? shape.fields[key] : undefined
      if (!field) this.#problem(`unknown field ${JSON.stringify(below)}`)
      else if (entry !== null) {
        const shape = field.schema.shape
        const parsed =
          path === '' && isKept(entry)
            ? this.#kept(shape, entry as JsonObject, key, name)
            : this.parse(shape, entry, below, pathOf(goPath, key), name)
        if (!isAbsence(field, parsed)) out[key] = parsed
      }
      if (this.#duplicates.size === 0) continue
      for (const repeated of this.#duplicates.get(below) ?? []) {
        if (!Object.hasOwn(shape.fields, repeated.key)) continue
        this.#problem(`duplicate field ${JSON.stringify(pathOf(repeated.parent, repeated.key))}`)
      }
    }
    this.#depth -= 1
    return out
  }

  /** A value that is kept has no doubled keys; and where it was sound once it is so again. */
  #kept(shape: Shape, value: JsonObject, key: string, struct: string): Json {
    const sound = soundOf.of(value, shape, () => {
      const walk = new Walk(noDuplicates)
      const parsed = walk.parse(shape, value, key, key, struct)
      return walk.problems.size === 0 && isObject(parsed) ? keptWith(value, parsed) : undefined
    })
    return sound ?? this.parse(shape, value, key, key, struct)
  }

  #schemaOr(shape: Shape, value: Json, path: string, goPath: string, struct: string): Json {
    if (!isObject(value)) throw this.#mismatch(shape, value, goPath, struct)
    return this.parse(jsonSchemaProps.shape, value, path, goPath, struct)
  }

  #scalar(shape: Shape & { kind: 'scalar' }, value: Json, path: string, goPath: string, struct: string): Json {
    const wrong = () => this.#mismatch(shape, value, goPath, struct)
    switch (shape.scalar) {
      case 'string':
      case 'duration':
        if (typeof value !== 'string') throw wrong()
        return value
      case 'boolean':
        if (typeof value !== 'boolean') throw wrong()
        return value
      case 'int32':
      case 'int64': {
        if (typeof value === 'bigint' && shape.scalar === 'int64') return value
        const max = shape.scalar === 'int32' ? 2 ** 31 : 2 ** 63
        if (typeof value !== 'number' || !Number.isInteger(value) || value >= max || value < -max) throw wrong()
        return value
      }
      case 'double':
        if (typeof value === 'bigint') return Number(value)
        if (typeof value !== 'number') throw wrong()
        return value
      case 'intOrString':
        if (typeof value === 'string') return value
        if (typeof value !== 'number' || !Number.isInteger(value) || Math.abs(value) > 2 ** 31) throw wrong()
        return value
      case 'quantity': {
        if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') {
          throw new Mismatch(quantityMalformed)
        }
        const quantity = parseQuantity(String(value))
        if (!quantity) throw new Mismatch(quantityMalformed)
        return formatQuantity(quantity)
      }
      case 'time':
      case 'microTime':
        if (typeof value !== 'string') throw wrong()
        return canonicalTime(value, shape.scalar)
      case 'bytes':
        if (typeof value !== 'string') throw wrong()
        return canonicalBase64(value)
      case 'fieldsV1':
        if (!isObject(value)) throw wrong()
        return checkDepth(value, path)
      case 'any':
        return checkDepth(value, path)
      case 'schemaOrBool':
        return typeof value === 'boolean' ? value : this.#schemaOr(shape, value, path, goPath, struct)
      case 'schemaOrStrings':
        if (isList(value)) {
          if (!value.every(item => typeof item === 'string')) throw wrong()
          return value
        }
        return this.#schemaOr(shape, value, path, goPath, struct)
      case 'schemaOrArray':
        if (!isList(value)) return this.#schemaOr(shape, value, path, goPath, struct)
        return value.map((item, i) => this.#schemaOr(shape, item, `${path}[${i}]`, goPath, struct))
    }
  }
}

/** Labels, data: most maps, and they may be long. What is a map of texts already is taken as it is. */
function isTexts(item: Shape, value: JsonObject): boolean {
  if (item.kind !== 'scalar' || item.scalar !== 'string') return false
  for (const key in value) if (typeof value[key] !== 'string') return false
  return true
}

function canonicalTime(text: string, kind: 'time' | 'microTime'): string {
  const time = readRfc3339(text)
  if (!time) {
    const layout = kind === 'time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00'
    const quoted = JSON.stringify(text)
    throw new Mismatch(`parsing time ${quoted} as ${JSON.stringify(layout)}: cannot parse ${quoted} as "2006"`)
  }
  const whole = rfc3339OfSeconds(time.seconds)
  if (kind === 'time') return whole
  const micros = String(Math.floor(time.nanos / 1_000)).padStart(6, '0')
  return whole.replace('Z', `.${micros}Z`)
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function canonicalBase64(text: string): string {
  const packed = text.replace(/[\r\n]/g, '')
  if (base64.test(packed)) return packed
  const fault = packed.search(/[^A-Za-z0-9+/]/)
  throw new Mismatch(`illegal base64 data at input byte ${fault < 0 ? packed.length - (packed.length % 4) : fault}`)
}

/** Free JSON may be as deep as it likes in the text, and everything that walks it later must not run out of stack. */
function checkDepth(value: Json, path: string): Json {
  if (isTooDeep(value)) throw new Mismatch(`${path}: exceeded max depth`)
  return value
}

function isTooDeep(value: Json): boolean {
  let layer: readonly Json[] = [value]
  for (let depth = 0; layer.length > 0; depth++) {
    if (depth > depthMax) return true
    layer = layer.flatMap(entry => (typeof entry === 'object' && entry !== null ? Object.values(entry) : []))
  }
  return false
}
