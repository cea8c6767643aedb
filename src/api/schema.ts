// The combinators that describe Kubernetes objects. One value gives the TypeScript type (TypeOf), and the functions beside
// this file read the same value for parsing and strictness (parse.ts), defaults (default.ts), OpenAPI (openapi.ts), the
// protobuf codec (protobuf.ts: every field carries its number) and the merge keys of lists (patch/*).
// Pure data; called by api/types/*.ts and api/kinds/*.ts.

/** A value of a JSON document. */
/** A bigint stands for a whole number beyond 2^53, never for a smaller one (lib/json.ts). */
export type Json = null | boolean | number | bigint | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

export type ScalarKind =
  | 'string'
  | 'boolean'
  | 'int32'
  | 'int64'
  | 'double'
  /** RFC 3339 in JSON; protobuf { seconds = 1, nanos = 2 }. */
  | 'time'
  | 'microTime'
  /** '100m', '1Gi'; protobuf { string = 1 }. */
  | 'quantity'
  /** As Go writes it, 1m10s; protobuf { duration = 1 } in nanoseconds. */
  | 'duration'
  /** 8080 or 'http' or '25%'; protobuf { type = 1, intVal = 2, strVal = 3 }. */
  | 'intOrString'
  /** Base64 in JSON; bytes in protobuf. */
  | 'bytes'
  /** Any JSON; protobuf RawExtension { raw = 1 }. */
  | 'any'
  /** metadata.managedFields[].fieldsV1: any JSON object; protobuf { Raw = 1 }. */
  | 'fieldsV1'
  /** Of JSONSchemaProps: a schema, or true or false; protobuf { allows = 1, schema = 2 }. */
  | 'schemaOrBool'
  /** A schema, or a list of them; protobuf { schema = 1, jSONSchemas = 2 }. */
  | 'schemaOrArray'
  /** A schema, or a list of texts; protobuf { schema = 1, property = 2 }. */
  | 'schemaOrStrings'

export type ListType = 'atomic' | 'set' | 'map'

export type Shape =
  | {
      readonly kind: 'scalar'
      readonly scalar: ScalarKind
      readonly enum?: readonly string[]
      readonly min?: number
      readonly max?: number
    }
  | {
      readonly kind: 'object'
      /** The definition's name in OpenAPI: io.k8s.api.core.v1.PodSpec. */
      readonly name: string
      readonly description?: string
      readonly fields: Readonly<Record<string, Field>>
      /** Server-side apply treats it as one value. */
      readonly atomic: boolean
      /** What else may stand beside the fields; absent: nothing. */
      readonly rest?: Schema
    }
  | {
      readonly kind: 'list'
      readonly item: Schema
      readonly listType: ListType
      readonly mapKeys: readonly string[]
      /** Strategic merge: merge by this key ('' for a list of scalars that merges), undefined to replace. */
      readonly mergeKey: string | undefined
    }
  | {
      readonly kind: 'map'
      readonly value: Schema
      readonly atomic: boolean
      /** Of what no schema tells anything: an object is such a map, anything else one value. */
      readonly deduced?: true
    }

export interface Schema<out T = unknown> {
  readonly shape: Shape
  /** Only a type: never there at run time. */
  readonly type?: T
}

export type Presence = 'present' | 'optional'

export interface Field<out T = unknown, out P extends Presence = Presence> {
  /** The protobuf field number; 0 for a field that protobuf does not have. */
  readonly number: number
  /** The protobuf number of the message that JSON inlines and that holds this field (Volume.volumeSource: 2). */
  readonly within: readonly number[]
  readonly schema: Schema<T>
  readonly required: boolean
  /** Zero is a value of its own here, not absence (Go holds a pointer): 0 replicas differ from none given. */
  readonly pointer: boolean
  /** Protobuf has its zero even where it is absent, as Go writes it. */
  readonly written: boolean
  readonly default: Json | undefined
  /** Strategic merge 'retainKeys': a patch replaces the set of keys. */
  readonly retainKeys: boolean
  readonly description: string
  readonly presence?: P
}

export type FieldOptions = {
  readonly required?: true
  readonly pointer?: true
  /** See Field: for messages that are compared byte for byte though they are not full. */
  readonly written?: true
  /** The server writes it, so that a stored object always has it, though a writer need not name it. */
  readonly stored?: true
  /** Written when the field is absent. A field with a default is always present in a stored object. */
  readonly default?: Json
  readonly within?: readonly number[]
  readonly retainKeys?: true
  readonly description?: string
}

type PresenceOf<O> = O extends { readonly required: true } | { readonly stored: true }
  ? 'present'
  : O extends { readonly default: Json }
    ? 'present'
    : 'optional'

type Simplify<T> = { readonly [K in keyof T]: T[K] }
type ObjectType<F extends Readonly<Record<string, Field>>> = Simplify<
  { readonly [K in keyof F as F[K] extends Field<unknown, 'present'> ? K : never]: FieldType<F[K]> } & {
    readonly [K in keyof F as F[K] extends Field<unknown, 'present'> ? never : K]?: FieldType<F[K]>
  }
>
type FieldType<F> = F extends Field<infer T> ? T : never

/** The TypeScript type of a stored object of this schema: required and defaulted fields are there. */
export type TypeOf<S> = S extends Schema<infer T> ? T : never

/** What a writer may leave out: everything; admission fills in defaults and refuses what is missing. */
export type Draft<T> = T extends readonly (infer U)[]
  ? readonly Draft<U>[]
  : T extends object
    ? { readonly [K in keyof T]?: Draft<T[K]> }
    : T

/** A text alone is a description. */
type Described<O> = O | string

function optionsOf<O extends FieldOptions>(asked: Described<O> | undefined): FieldOptions & Partial<O> {
  return (typeof asked === 'string' ? { description: asked } : (asked ?? {})) as FieldOptions & Partial<O>
}

function field<T, O extends Described<FieldOptions>>(
  number: number,
  schema: Schema<T>,
  asked?: O,
): Field<T, PresenceOf<O>> {
  const options = optionsOf<FieldOptions>(asked)
  return {
    number,
    within: options.within ?? [],
    schema,
    required: options.required ?? false,
    pointer: options.pointer ?? false,
    written: options.written ?? false,
    default: options.default,
    retainKeys: options.retainKeys ?? false,
    description: options.description ?? '',
  }
}

function scalar<T>(kind: ScalarKind, more: { enum?: readonly string[]; min?: number; max?: number } = {}): Schema<T> {
  return { shape: { kind: 'scalar', scalar: kind, ...more } }
}

function scalarField<T>(kind: ScalarKind) {
  const schema = scalar<T>(kind)
  return <const O extends Described<FieldOptions> = Record<never, never>>(
    number: number,
    options?: O,
  ): Field<T, PresenceOf<O>> => field(number, schema, options)
}

type NumberOptions = FieldOptions & { readonly min?: number; readonly max?: number }
function numberField(kind: 'int32' | 'int64' | 'double') {
  return <const O extends Described<NumberOptions> = Record<never, never>>(
    number: number,
    options?: O,
  ): Field<number, PresenceOf<O>> => {
    const { min, max } = optionsOf<NumberOptions>(options)
    return field(
      number,
      scalar<number>(kind, { ...(min !== undefined && { min }), ...(max !== undefined && { max }) }),
      options,
    )
  }
}

export type ListOptions = FieldOptions & {
  readonly listType?: ListType
  readonly mapKeys?: readonly string[]
  readonly mergeKey?: string
}

type MapOptions = FieldOptions & { readonly atomic?: true }

/** Scalar schemas, for the items of lists and the values of maps. */
export const scalars = {
  string: scalar<string>('string'),
  boolean: scalar<boolean>('boolean'),
  int32: scalar<number>('int32'),
  int64: scalar<number>('int64'),
  quantity: scalar<string>('quantity'),
  time: scalar<string>('time'),
  bytes: scalar<string>('bytes'),
  any: scalar<Json>('any'),
  schemaOrBool: scalar<JsonObject | boolean>('schemaOrBool'),
  schemaOrArray: scalar<JsonObject | readonly JsonObject[]>('schemaOrArray'),
  schemaOrStrings: scalar<JsonObject | readonly string[]>('schemaOrStrings'),
  strings: {
    shape: { kind: 'list', item: scalar<string>('string'), listType: 'atomic', mapKeys: [], mergeKey: undefined },
  } as Schema<readonly string[]>,
}

/** Field constructors. The first argument is always the protobuf field number. */
export const s = {
  string: scalarField<string>('string'),
  boolean: scalarField<boolean>('boolean'),
  int32: numberField('int32'),
  int64: numberField('int64'),
  double: numberField('double'),
  time: scalarField<string>('time'),
  microTime: scalarField<string>('microTime'),
  duration: scalarField<string>('duration'),
  quantity: scalarField<string>('quantity'),
  intOrString: scalarField<number | string>('intOrString'),
  bytes: scalarField<string>('bytes'),
  any: scalarField<Json>('any'),
  fieldsV1: scalarField<JsonObject>('fieldsV1'),
  /** A string that must be one of `values`. */
  oneOf<const V extends readonly string[], const O extends Described<FieldOptions> = Record<never, never>>(
    number: number,
    values: V,
    options?: O,
  ): Field<V[number], PresenceOf<O>> {
    return field(number, scalar<V[number]>('string', { enum: values }), options)
  },
  /** A field that holds an object of another schema. */
  of<T, const O extends Described<FieldOptions> = Record<never, never>>(
    number: number,
    schema: Schema<T>,
    options?: O,
  ): Field<T, PresenceOf<O>> {
    return field(number, schema, options)
  },
  list<T, const O extends Described<ListOptions> = Record<never, never>>(
    number: number,
    item: Schema<T>,
    options?: O,
  ): Field<readonly T[], PresenceOf<O>> {
    const { listType = 'atomic', mapKeys = [], mergeKey } = optionsOf<ListOptions>(options)
    const schema: Schema<readonly T[]> = { shape: { kind: 'list', item, listType, mapKeys, mergeKey } }
    return field(number, schema, options)
  },
  map<T, const O extends Described<MapOptions> = Record<never, never>>(
    number: number,
    value: Schema<T>,
    options?: O,
  ): Field<{ readonly [key: string]: T }, PresenceOf<O>> {
    const { atomic = false } = optionsOf<MapOptions>(options)
    return field(number, { shape: { kind: 'map', value, atomic } }, options)
  },
  /** A definition: name as in OpenAPI, and its fields in JSON spelling. */
  object<const F extends Readonly<Record<string, Field>>>(
    name: string,
    fields: F,
    options: { readonly atomic?: true; readonly description?: string } = {},
  ): Schema<ObjectType<F>> {
    const { atomic = false, description = '' } = options
    return { shape: { kind: 'object', name, description, fields, atomic } }
  },
}
