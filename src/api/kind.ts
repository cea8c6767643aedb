// What the API knows of one kind: where it is served, its schema, its own rules and its table. One value per kind, made
// by defineKind in api/kinds/<kind>.ts; everything generic (api/admit.ts, table.ts, openapi.ts, apiserver/) reads it.
import { dnsSubdomain, type NameRule } from './names.ts'
import type { Duplicates } from './reader.ts'
import type { JsonObject, Schema } from './schema.ts'
import type { ObjectMeta } from './types/meta.ts'

/** What every stored object has. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
}

/** One thing wrong with an object, as in Status details.causes. `field` is a path: spec.containers[0].image. */
export type FieldError = {
  readonly field: string
  readonly reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueDuplicate'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueTypeInvalid'
    | 'FieldValueNotFound'
  readonly message: string
}

/** A column of `kubectl get`. Priority 1 shows with -o wide only. */
export type Column<T> = {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'date' | 'boolean'
  /** 'name' marks the one that names the object. */
  readonly format?: string
  readonly description?: string
  readonly priority?: number
  /** Null shows nothing. */
  cell(object: T, nowMs: number): string | number | bigint | boolean | null
}

export type Scope = 'Namespaced' | 'Cluster'

/**
 * How objects of one kind are kept as objects of another: another version of the same, or the same in another group.
 * A function may answer later: a custom resource's may have to ask a webhook.
 */
export interface StoredAs<out T extends KubeObject = KubeObject> {
  /** Where the objects lie; it has no storedAs itself. */
  readonly kind: Kind
  /** All at once, in their order. */
  read(objects: readonly KubeObject[]): readonly T[] | Promise<readonly T[]>
  write(object: T): KubeObject | Promise<KubeObject>
}

/** What only kinds have that somebody defined: their schema is JSON Schema, of which the shape tells server-side apply alone. */
export interface CustomKind {
  readonly listKind: string
  /** The definition is being deleted: nothing new is made. */
  readonly isTerminating: boolean
  /** Shown to whoever uses this version, which is deprecated. */
  readonly warning?: string
  /** Pruned; the problems are unknown and doubled fields. `what` opens the message of a BadRequest. */
  parse(
    value: JsonObject,
    duplicates: Duplicates,
    what: string,
  ): { readonly object: JsonObject; readonly problems: readonly string[] }
  /** `meta` refers to the definition of ObjectMeta. */
  openApi(dialect: 'v2' | 'v3', meta: JsonObject): JsonObject
  /** Where the numbers of /scale lie; `replicas` is undefined where the object says none. */
  readonly scale?: {
    /** As the definition spells it. */
    readonly path: string
    read(object: KubeObject): {
      readonly replicas: number | undefined
      readonly statusReplicas: number
      readonly selector?: string
    }
    write(object: KubeObject, replicas: number): KubeObject
  }
}

export interface Kind<out T extends KubeObject = KubeObject> {
  /** '' for the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly scope: Scope
  /** False for what is only ever a request or an answer: reviews, Binding, Scale, Eviction, TokenRequest. */
  readonly stored: boolean
  /** Stored in the form of another kind, and converted on the way out and in. */
  readonly storedAs?: StoredAs<T>
  readonly custom?: CustomKind
  /** Not stored either: made when it is asked for, and only ever read. */
  readonly readOnly?: true
  /** An update of one that is not there makes it, for whoever may create it too. */
  readonly updateCreates?: true
  /** An update must say which version it is based on; of other kinds, one that names none is put over any. */
  readonly updateNeedsVersion?: true
  /** Shown to whoever creates one: what this version does not do with it. */
  readonly caution?: string
  /** Shown to whoever uses the kind at all, in upstream's words: since when it is not to be used, and what is instead. */
  readonly deprecation?: string
  readonly subresources: readonly string[]
  readonly schema: Schema<T>
  /** True where a creator also says how things are: nodes register with their status. */
  readonly statusOnCreate: boolean
  /** What metadata.name must look like. */
  readonly nameRule: NameRule
  /** Whether metadata.generation counts the changes of what is wanted; some old kinds never had it. */
  readonly generation: boolean
  /** How the rows of a table stand, where that is not by name. */
  tableOrder?(a: T, b: T): number
  /** In order. NAME is added in front, and AGE behind the last of priority 0, unless they stand among them. */
  columns(): readonly Column<T>[]
  /** False where AGE is not shown at all (events have LAST SEEN). */
  readonly ageColumn: boolean
  /** The field labels that a field selector may name, beside metadata.name and metadata.namespace. */
  readonly fieldLabels: readonly string[]
  /** Their values: an absent one is the empty text. */
  fields(object: T): Readonly<Record<string, string>>
  /**
   * Resets what this request may not decide. Runs first, with uid and creationTimestamp set; `old` on an update.
   * That a main update keeps the old status, and /status takes nothing but it, api/admit.ts does for every kind.
   */
  prepare(object: T, old: T | undefined, subresource: string | undefined, nowMs: number): T
  /** Defaults that depend on other fields; static ones stand in the schema. Runs before validate. */
  defaults(object: T): T
  /** What the schema cannot say. `old` on an update, and then by which subresource, if by one. */
  validate(object: T, old: T | undefined, subresource: string | undefined): readonly FieldError[]
  /** The same for an update by /status, where only the status, labels and annotations can have changed. */
  validateStatus(object: T, old: T): readonly FieldError[]
}

export type ObjectOf<K> = K extends Kind<infer T> ? T : never

// T comes from the schema alone, so that a column of any object fits a kind of its own.
type Definition<T extends KubeObject> = Pick<Kind<T>, 'schema'> &
  Pick<Kind, 'group' | 'version' | 'kind' | 'plural' | 'scope'> &
  Partial<Kind<NoInfer<T>>>

export function defineKind<T extends KubeObject>(definition: Definition<T>): Kind<T> {
  return {
    singular: definition.kind.toLowerCase(),
    shortNames: [],
    categories: [],
    stored: true,
    subresources: [],
    nameRule: dnsSubdomain,
    statusOnCreate: false,
    generation: true,
    fieldLabels: [],
    ageColumn: true,
    prepare: object => object,
    columns: () => [],
    fields: () => ({}),
    defaults: object => object,
    validate: () => [],
    validateStatus: () => [],
    ...definition,
  }
}

/** 'v1' or 'apps/v1'. */
export function apiVersionOf(kind: Pick<Kind, 'group' | 'version'>): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`
}

/** The kind whose objects lie in the store for this one: itself, but for a kind that is stored as another. */
export function storedKindOf(kind: Kind): Kind {
  return kind.storedAs?.kind ?? kind
}

/** 'pods' or 'deployments.apps': how messages and RBAC name a resource. */
export function resourceOf(kind: Pick<Kind, 'group' | 'plural'>): string {
  return kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`
}
