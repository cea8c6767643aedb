// What a controller is: a pure function from what is wanted and what is seen to the changes that bring one nearer to the
// other. Each stands in a file of its own; run.ts calls them all, and is the only one that waits.

import type { Kind, KubeObject } from '../api/kind.ts'
import type { Draft, Json } from '../api/schema.ts'
import type { View } from '../client/cache.ts'
import type { DeleteOptions, ObjectKey, PatchType } from '../client/client.ts'
import type { MembershipChange } from '../kv/store.ts'
import type { PeerId } from '../world/network.ts'
import type { Inputs } from './inputs.ts'
import type { CustomStored } from './storedkinds.ts'

/** Looked up anew right before the write, because one view may lag behind another; unless it holds, the plan is made again. */
export type Guard =
  /** No such object: none of the name, or, with `uid`, one of another uid. */
  | { readonly kind: 'absent'; readonly of: Kind; readonly key: ObjectKey; readonly uid?: string }
  /** Nothing of these kinds is left in the namespace. */
  | { readonly kind: 'empty'; readonly of: readonly Kind[]; readonly namespace: string }

/** One write. Those of a plan are carried out in order; the first that fails ends it, and the key is planned again. */
export type Change =
  /** With `about`, the outcome is told as an Event on that object (SuccessfulCreate, FailedCreate). */
  | { readonly kind: 'create'; readonly of: Kind; readonly object: Draft<KubeObject>; readonly about?: KubeObject }
  | { readonly kind: 'update'; readonly of: Kind; readonly object: KubeObject }
  | { readonly kind: 'updateStatus'; readonly of: Kind; readonly object: KubeObject }
  | {
      readonly kind: 'patch'
      readonly of: Kind
      readonly key: ObjectKey
      readonly type: PatchType
      readonly body: Json
      readonly subresource?: string
      readonly guards?: readonly Guard[]
    }
  | {
      readonly kind: 'delete'
      readonly of: Kind
      readonly key: ObjectKey
      readonly options: DeleteOptions
      readonly guards?: readonly Guard[]
      readonly about?: KubeObject
    }
  | {
      readonly kind: 'event'
      readonly about: KubeObject
      readonly type: 'Normal' | 'Warning'
      readonly reason: string
      readonly message: string
    }
  /** `unlessAdmitted`: not when a Node stands for this peer, asked anew. */
  | { readonly kind: 'membership'; readonly change: MembershipChange; readonly unlessAdmitted?: PeerId }

export type Plan = {
  readonly changes: readonly Change[]
  /** Wall clock: look again then, even when nothing changes. */
  readonly againAtMs?: number
}

/** Why the last plan of this key was not carried out whole. */
export type Failure = { readonly change: Change['kind']; readonly reason: string; readonly message: string }

export type Context = {
  /** Wall clock. */
  readonly nowMs: number
  readonly monotonicMs: number
  readonly inputs: Inputs
  /** Of the last attempt; undefined once a plan went through. */
  readonly failure: Failure | undefined
}

export type Reads = Readonly<Record<string, Kind>>
type ObjectIn<K> = K extends Kind<infer T> ? T : never
export type Views<R extends Reads> = { readonly [K in keyof R]: View<ObjectIn<R[K]>> }

/** The type-free form that run.ts drives. */
export interface Controller {
  readonly name: string
  /** Whose Events they are: 'deployment-controller'. */
  readonly component: string
  readonly reads: Reads
  /** Looks again after each change of what gossip, the store's members or the other inputs say. */
  readonly listens: boolean
  /** So long after a change a key is planned: what needs no haste is planned once for many changes. */
  readonly delayMs: number
  /** How many keys are worked on at once. */
  readonly parallel: number
  /** Keys to plan once at the start, whatever the views hold. */
  readonly first: readonly string[]
  /** The same for custom kinds too, of a controller that looks at objects of all kinds. */
  readonly withKinds?: (custom: readonly CustomStored[]) => Controller
  /** The keys to plan when this object of `reads[name]` changed. */
  wakes(name: string, object: KubeObject, views: Readonly<Record<string, View<KubeObject>>>): readonly string[]
  plan(key: string, views: Readonly<Record<string, View<KubeObject>>>, context: Context): Plan
}

/** The object that a key names comes first in what a controller reads, under this name. */
export const itself = 'itself'

type Wakes<T extends KubeObject, R extends Reads> = {
  readonly [K in keyof R]?: (
    object: ObjectIn<R[K]>,
    views: Views<R & { readonly [itself]: Kind<T> }>,
  ) => readonly string[]
}

export type Definition<T extends KubeObject, R extends Reads> = {
  readonly name: string
  readonly component?: string
  readonly of: Kind<T>
  readonly reads: R
  /** Which keys (namespace/name) of `of` a change of what is read concerns; a read without an entry wakes nothing. */
  readonly wakes: Wakes<T, R>
  readonly listens?: boolean
  readonly parallel?: number
  readonly reconcile: (object: T, views: Views<R & { readonly [itself]: Kind<T> }>, context: Context) => Plan
  /** For a key without object. Default: nothing to do. */
  readonly gone?: (key: ObjectKey, views: Views<R & { readonly [itself]: Kind<T> }>, context: Context) => Plan
}

export const nothing: Plan = { changes: [] }

export function defineController<T extends KubeObject, const R extends Reads>(d: Definition<T, R>): Controller {
  type All = Views<R & { readonly [itself]: Kind<T> }>
  return {
    name: d.name,
    component: d.component ?? `${d.name}-controller`,
    reads: { [itself]: d.of, ...d.reads },
    listens: d.listens ?? false,
    delayMs: 0,
    parallel: d.parallel ?? 8,
    first: [],
    wakes(name, object, views) {
      if (name === itself) return [keyText(object)]
      const wake = d.wakes[name] as ((object: KubeObject, views: All) => readonly string[]) | undefined
      return wake?.(object, views as All) ?? []
    },
    plan(key, views, context) {
      const at = keyFromText(key)
      const object = views[itself]?.get(at.namespace, at.name)
      if (object === undefined) return d.gone?.(at, views as All, context) ?? nothing
      return d.reconcile(object as T, views as All, context)
    },
  }
}

export type SweepDefinition<R extends Reads> = {
  readonly name: string
  readonly reads: R
  readonly listens?: boolean
  readonly delayMs?: number
  readonly reconcile: (views: Views<R>, context: Context) => Plan
}

/** A controller of the whole cluster: it has one key, and every change of what it reads wakes it. */
export function defineSweep<const R extends Reads>(d: SweepDefinition<R>): Controller {
  return {
    name: d.name,
    component: `${d.name}-controller`,
    reads: d.reads,
    listens: d.listens ?? false,
    delayMs: d.delayMs ?? 0,
    parallel: 1,
    first: ['*'],
    wakes: () => ['*'],
    plan: (_, views, context) => d.reconcile(views as Views<R>, context),
  }
}

function keyText(object: KubeObject): string {
  return keyOfNames(object.metadata.namespace, object.metadata.name)
}

export function keyOfNames(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`
}

function keyFromText(key: string): ObjectKey {
  const slash = key.indexOf('/')
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

export function keyFor(object: KubeObject): ObjectKey {
  const { namespace, name } = object.metadata
  return namespace === undefined ? { name } : { namespace, name }
}

export function create<T extends KubeObject>(of: Kind<T>, object: Draft<T>, about?: KubeObject): Change {
  return { kind: 'create', of, object: object as Draft<KubeObject>, ...(about && { about }) }
}

export function update<T extends KubeObject>(of: Kind<T>, object: T): Change {
  return { kind: 'update', of, object }
}

export function updateStatus<T extends KubeObject>(of: Kind<T>, object: T): Change {
  return { kind: 'updateStatus', of, object }
}

/** Refused when the name meanwhile belongs to another object. */
export function remove<T extends KubeObject>(
  of: Kind<T>,
  object: T,
  options: DeleteOptions = {},
  about?: KubeObject,
): Change {
  const { uid } = object.metadata
  return { kind: 'delete', of, key: keyFor(object), options: { ...options, uid }, ...(about && { about }) }
}

/** A merge patch; `object` names the target and, by its uid, makes sure that it is still the same one. */
export function patch<T extends KubeObject>(
  of: Kind<T>,
  object: T,
  body: { readonly [key: string]: Json },
  subresource?: string,
): Change {
  const metadata = typeof body['metadata'] === 'object' && body['metadata'] !== null ? body['metadata'] : {}
  return {
    kind: 'patch',
    of,
    key: keyFor(object),
    type: 'merge',
    body: { ...body, metadata: { ...metadata, uid: object.metadata.uid } },
    ...(subresource !== undefined && { subresource }),
  }
}

/** The same write, carried out only while the guards hold. */
export function guarded(change: Change, guards: readonly Guard[]): Change {
  return change.kind === 'delete' || change.kind === 'patch' ? { ...change, guards } : change
}

export function tell(about: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): Change {
  return { kind: 'event', about, type, reason, message }
}

/** Writes single conditions of a status and leaves the others alone (they merge by type). */
export function patchConditions<T extends KubeObject>(
  of: Kind<T>,
  object: T,
  conditions: readonly { readonly [key: string]: Json }[],
  more: { readonly [key: string]: Json } = {},
): Change {
  return {
    kind: 'patch',
    of,
    key: keyFor(object),
    type: 'strategic',
    body: { metadata: { uid: object.metadata.uid }, status: { ...more, conditions } },
    subresource: 'status',
  }
}
