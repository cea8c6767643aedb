// Who has a say in a change between the request and the store, and what they are told. A plugin is pure: it names what it
// must see of the store, and decides on that. A hook may wait (webhooks, policies that ask the authorizer). chain.ts is
// their list in order; run.ts asks them.
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
import type { Stamp } from '../../api/admit.ts'
import { ApiError } from '../../api/error.ts'
import type { Kind, KubeObject } from '../../api/kind.ts'
import type { JsonObject } from '../../api/schema.ts'
import type { Compare, KeyValue, Operation as StoreOperation } from '../../kv/store.ts'
import type { Identity } from '../../world/http.ts'
import type { Notes } from '../notes.ts'

export type Change = {
  /** What the URL names: for pods/binding it is Pod. */
  readonly kind: Kind
  readonly subresource: string | undefined
  /** What `object` and `old` are: for pods/binding it is Binding. */
  readonly objectKind: Kind
  readonly verb: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'
  readonly namespace: string | undefined
  /** Empty when the server is to make it from generateName, until it has. */
  readonly name: string
  /** With all defaults; undefined for DELETE. */
  readonly object: KubeObject | undefined
  /** As stored; undefined for CREATE and CONNECT. */
  readonly old: KubeObject | undefined
  readonly identity: Identity
  readonly dryRun: boolean
  /** CreateOptions, UpdateOptions or DeleteOptions, by what is done. */
  readonly options: JsonObject
  readonly stamp: Stamp
  /** Of the request, also of one that is refused. */
  readonly notes: Notes
}

/** One object, or without a name all of a kind (in a namespace). */
export type Read = { readonly kind: Kind; readonly namespace?: string; readonly name?: string }

/** What the store held of the reads that were named, all at one revision or later; anything else is a bug and throws. */
export interface Reading {
  one<T extends KubeObject>(kind: Kind<T>, namespace: string | undefined, name: string): T | undefined
  all<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[]
  /** As stored, for a compare. */
  stored(kind: Kind, namespace: string | undefined, name: string): KeyValue | undefined
}

/** What goes along with a change that is let through: it happens only if all of it can. */
export type Verdict = {
  readonly warnings?: readonly string[]
  readonly compare?: readonly Compare[]
  readonly operations?: readonly StoreOperation[]
}

/** A refusal for how often somebody asks: it does not depend on what is stored, and nothing newer would change it. */
export class TooOften extends ApiError {}

/** A webhook without which nothing is to happen could not be asked. */
export class Unanswered extends ApiError {}

export interface Plugin {
  /** Upstream's: LimitRanger. */
  readonly name: string
  handles(change: Change): boolean
  reads?(change: Change): readonly Read[]
  /** The object to go on with. Runs before validation. Throws ApiError to refuse. */
  mutate?(change: Change, seen: Reading): KubeObject
  /** Runs on the object as it would be stored. Throws ApiError to refuse. */
  validate?(change: Change, seen: Reading): Verdict | undefined
}

export type Mutated = {
  readonly object: KubeObject
  /** Everybody is to look at the object once more, because it is another than they have seen. */
  readonly again?: true
  /** Given back to the hook when it is asked that second time. */
  readonly left?: unknown
}

/** A plugin that waits for something. */
export interface Hook {
  readonly name: string
  handles(change: Change): boolean
  /** `left`: what it left when it was asked before; undefined the first time. */
  mutate?(change: Change, signal: AbortSignal, left?: unknown): Promise<Mutated>
  validate?(change: Change, signal: AbortSignal): Promise<Verdict | undefined>
}

export type Step = { readonly plugin: Plugin } | { readonly hook: Hook }
