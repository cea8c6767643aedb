// What every write goes through between the request and the store: metadata is stamped or kept, what this request may not
// change is put back, defaults are filled in, the whole is validated, and who set which field is noted. Pure: identity,
// time and chance come in the stamp. Throws ApiError; all faults of one object come as one Invalid.
import { readRfc3339, rfc3339 } from '../lib/duration.ts'
import { applyingDefaults } from './default.ts'
import { equalJson, exactlyEqualJson } from './equal.ts'
import { ApiError, invalid } from './error.ts'
import { forbidden, immutable } from './field.ts'
import type { FieldError, Kind, KubeObject } from './kind.ts'
import { tracking } from './patch/apply.ts'
import type { ObjectMeta } from './types/meta.ts'
import { validateObject, validateStatus } from './validate.ts'

/** What only the outside can give: a fresh uid, now, and five letters for generateName. */
export type Stamp = { readonly uid: string; readonly nowMs: number; readonly suffix: string }

/** The letters of generated names: no vowels, so that no words come out, and nothing that is easily mistaken. */
export const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789'
export const suffixLength = 5
const generatedNameLengthMax = 63

export type AdmitRequest<T> = {
  /** As stored now; undefined on create. */
  readonly old: T | undefined
  readonly incoming: T
  readonly stamp: Stamp
  /** Noted as the owner of what changes; absent: metadata.managedFields stand as they are in `incoming`. */
  readonly fieldManager?: string
  readonly subresource?: string
  /** From the URL. */
  readonly namespace?: string
  readonly name?: string
}

/** Yields what is shown, and pauses. */
type Course<T> = Generator<T | typeof pause, T, T | typeof pause>

export function admit<T extends KubeObject>(kind: Kind<T>, verb: 'create' | 'update', request: AdmitRequest<T>): T {
  const course = admitting(kind, verb, request)
  let step = course.next()
  while (!step.done) step = course.next(step.value)
  return step.value
}

/** What a course of work yields, and is sent back, only so that others may run: a large object takes long. */
export const pause = undefined

/**
 * The same for whoever has a say in between: yields the object with all defaults, not validated yet, and goes on with the
 * one that it is sent. What is changed there counts as nobody's own in managedFields, as upstream.
 */
export function admitting<T extends KubeObject>(
  kind: Kind<T>,
  verb: 'create' | 'update',
  request: AdmitRequest<T>,
): Course<T> {
  const { old } = request
  if (verb === 'create' || old === undefined) return admitCreate(kind, request)
  return admitUpdate(kind, request, old)
}

function* admitCreate<T extends KubeObject>(kind: Kind<T>, request: AdmitRequest<T>): Course<T> {
  const { incoming, stamp } = request
  const { resourceVersion, deletionTimestamp, deletionGracePeriodSeconds, selfLink, uid, ...given } = addressed(
    kind,
    incoming.metadata,
    request,
  )
  if ((resourceVersion ?? '') !== '') {
    throw new ApiError('BadRequest', 'resourceVersion should not be set on objects to be created')
  }
  const { name: _, ...nameless } = given
  const name = nameOf(given, stamp)
  const metadata = {
    ...(name === undefined ? nameless : { ...given, name }),
    uid: stamp.uid,
    creationTimestamp: rfc3339(stamp.nowMs),
    ...(kind.generation && { generation: 1 }),
  } as ObjectMeta
  const completed = (object: T) =>
    applyingDefaults(kind, kind.prepare(withoutStatus(kind, object), undefined, undefined, stamp.nowMs))
  const draft = yield* completed({ ...incoming, metadata })
  yield pause
  const shown = (yield draft) ?? draft
  const object = shown === draft ? draft : yield* completed(withMeta(shown, draft.metadata))
  yield pause
  throwInvalid(kind, object, validateObject(kind, object, undefined))
  yield pause
  const noted = yield* tracked(kind, undefined, draft, request)
  return shown === draft ? noted : owned(object, noted)
}

function* admitUpdate<T extends KubeObject>(kind: Kind<T>, request: AdmitRequest<T>, old: T): Course<T> {
  const { incoming, subresource, stamp } = request
  const given = addressed(kind, incoming.metadata, request)
  const errors = metaErrors(given, old.metadata)
  const metadata = keptMeta(given, old.metadata, request.fieldManager !== undefined)
  const completed = (object: T) =>
    applyingDefaults(kind, kind.prepare(limited(kind, object, old, subresource), old, subresource, stamp.nowMs))
  const draft = yield* completed({ ...incoming, metadata })
  yield pause
  const shown = (yield draft) ?? draft
  const object = counted(kind, shown === draft ? draft : yield* completed(withMeta(shown, draft.metadata)), old)
  yield pause
  const rest =
    subresource === 'status' ? validateStatus(kind, object, old) : validateObject(kind, object, old, subresource)
  throwInvalid(kind, object, [...errors, ...rest])
  yield pause
  const noted = yield* tracked(kind, old, shown === draft ? object : draft, request)
  return shown === draft ? noted : owned(object, noted)
}

/** Whoever changes an object on its way may not change which one it is. */
function withMeta<T extends KubeObject>(object: T, draft: ObjectMeta): T {
  const { name, namespace, uid, creationTimestamp, generation, managedFields } = draft
  const { managedFields: _, ...rest } = object.metadata
  const metadata = {
    ...rest,
    name,
    ...(namespace !== undefined && { namespace }),
    uid,
    creationTimestamp,
    ...(generation !== undefined && { generation }),
    ...(managedFields !== undefined && { managedFields }),
  }
  return { ...object, metadata }
}

/** With the owners of fields that the requester's own object has. */
function owned<T extends KubeObject>(object: T, noted: T): T {
  const { managedFields: _, ...rest } = object.metadata
  const { managedFields } = noted.metadata
  return { ...object, metadata: { ...rest, ...(managedFields !== undefined && { managedFields }) } }
}

/** Namespace and name as the URL says; BadRequest when the object says otherwise, or has no name where the URL has one. */
export function addressed(
  kind: Kind,
  given: ObjectMeta | undefined,
  request: { readonly namespace?: string; readonly name?: string },
): ObjectMeta {
  let meta = given ?? ({} as ObjectMeta)
  if (kind.scope === 'Cluster') {
    // Upstream takes it away without a word.
    if (meta.namespace !== undefined) meta = without(meta, 'namespace')
  } else if (request.namespace !== undefined) {
    if ((meta.namespace ?? '') !== '' && meta.namespace !== request.namespace) {
      throw new ApiError(
        'BadRequest',
        `the namespace of the provided object does not match the namespace sent on the request`,
      )
    }
    meta = { ...meta, namespace: request.namespace }
  }
  if (request.name === undefined || meta.name === request.name) return meta
  const what = 'the name of the object'
  const why =
    (meta.name ?? '') === ''
      ? `${what} (${request.name} based on URL) was undeterminable: name must be provided`
      : `${what} (${meta.name}) does not match the name on the URL (${request.name})`
  throw new ApiError('BadRequest', why)
}

function without<T extends object, K extends keyof T>(object: T, key: K): T {
  const { [key]: _, ...rest } = object
  return rest as unknown as T
}

function nameOf(meta: { readonly name?: string; readonly generateName?: string }, stamp: Stamp): string | undefined {
  if ((meta.name ?? '') !== '') return meta.name
  if ((meta.generateName ?? '') === '') return undefined
  return (meta.generateName ?? '').slice(0, generatedNameLengthMax - suffixLength) + stamp.suffix
}

/** A writer does not say how things are; only nodes report themselves as they register. */
function withoutStatus<T extends KubeObject>(kind: Kind<T>, object: T): T {
  if (!kind.subresources.includes('status') || kind.statusOnCreate) return object
  return without(object as T & { readonly status?: unknown }, 'status')
}

function metaErrors(given: ObjectMeta, old: ObjectMeta): readonly FieldError[] {
  const errors: FieldError[] = []
  if ((given.uid ?? '') !== '' && given.uid !== old.uid) {
    throw new ApiError(
      'Conflict',
      `Precondition failed: UID in precondition: ${given.uid}, UID in object meta: ${old.uid}`,
    )
  }
  if (given.creationTimestamp !== undefined && !sameInstant(given.creationTimestamp, old.creationTimestamp)) {
    errors.push(immutable('metadata.creationTimestamp', given.creationTimestamp))
  }
  if (old.deletionTimestamp !== undefined) {
    const added = (given.finalizers ?? []).filter(name => !(old.finalizers ?? []).includes(name))
    if (added.length > 0) {
      const list = added.map(name => JSON.stringify(name)).join(', ')
      errors.push(
        forbidden(
          'metadata.finalizers',
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`,
        ),
      )
    }
  }
  return errors
}

function sameInstant(a: string, b: string): boolean {
  return readRfc3339(a)?.seconds === readRfc3339(b)?.seconds
}

/** What the server alone writes is taken from the old object, whatever the request says of it. */
function keptMeta(given: ObjectMeta, old: ObjectMeta, isTracked: boolean): ObjectMeta {
  const { deletionTimestamp, deletionGracePeriodSeconds, generation, selfLink, ...rest } = given
  // A client that sends none leaves them be; an apply that leaves none has said so.
  const keepsManaged = given.managedFields === undefined || (isTracked && given.managedFields.length === 0)
  return {
    ...rest,
    uid: old.uid,
    creationTimestamp: old.creationTimestamp,
    ...(old.generation !== undefined && { generation: old.generation }),
    ...(old.deletionTimestamp !== undefined && { deletionTimestamp: old.deletionTimestamp }),
    ...(old.deletionGracePeriodSeconds !== undefined && {
      deletionGracePeriodSeconds: old.deletionGracePeriodSeconds,
    }),
    ...(keepsManaged && old.managedFields !== undefined && { managedFields: old.managedFields }),
  }
}

/**
 * /status takes the status, labels, annotations and finalizers; any other request takes all but the status. A binding
 * sets the condition PodScheduled together with the node, and what an approval may change its kind says in prepare.
 */
function limited<T extends KubeObject>(kind: Kind<T>, next: T, old: T, subresource: string | undefined): T {
  if (!kind.subresources.includes('status') || subresource === 'binding' || subresource === 'approval') return next
  type WithStatus = T & { readonly status?: unknown }
  if (subresource !== 'status') {
    const { status } = old as WithStatus
    return status === undefined ? without(next as WithStatus, 'status') : { ...next, status }
  }
  const { status } = next as WithStatus
  const { ownerReferences } = old.metadata
  const metadata = ownerReferences ? { ...next.metadata, ownerReferences } : without(next.metadata, 'ownerReferences')
  const kept = { ...old, metadata }
  return status === undefined ? without(kept as WithStatus, 'status') : { ...kept, status }
}

/** generation counts the changes of what is wanted: of all but metadata and status. */
function counted<T extends KubeObject>(kind: Kind<T>, object: T, old: T): T {
  const wanted = kind.custom && !kind.subresources.includes('status') ? allButMeta : wantedOf
  if (!kind.generation || equalityOf(kind)(wanted(object), wanted(old))) return object
  return { ...object, metadata: { ...object.metadata, generation: (old.metadata.generation ?? 0) + 1 } }
}

const equalityOf = (kind: Kind | undefined) => (kind?.custom ? exactlyEqualJson : equalJson)

/** Where the status of a custom resource is no part of its own, it is wanted like all else. */
function allButMeta({ metadata: _, ...wanted }: KubeObject): unknown {
  return wanted
}

function wantedOf(object: KubeObject): unknown {
  const { metadata: _, status: __, ...wanted } = object as KubeObject & { readonly status?: unknown }
  return wanted
}

function throwInvalid(kind: Kind, object: KubeObject, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid(kind, object.metadata.name ?? object.metadata.generateName ?? '', errors)
}

function* tracked<T extends KubeObject>(
  kind: Kind<T>,
  old: T | undefined,
  object: T,
  request: AdmitRequest<T>,
): Generator<typeof pause, T, T | typeof pause> {
  const { fieldManager, subresource, stamp } = request
  if (fieldManager === undefined) return object
  return yield* tracking(kind, old, object, {
    manager: fieldManager,
    nowMs: stamp.nowMs,
    ...(subresource !== undefined && { subresource }),
  })
}

/** An object whose deletion was asked for, that nobody holds back any more: to be removed instead of written. */
export function isGone(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata
  return deletionTimestamp !== undefined && (deletionGracePeriodSeconds ?? 0) === 0 && (finalizers ?? []).length === 0
}

/** True when writing `b` over `a` changes nothing that counts, so that it need not be written. */
export function sameObject(a: KubeObject, b: KubeObject, kind?: Kind): boolean {
  return equalityOf(kind)(comparable(a), comparable(b))
}

function comparable(object: KubeObject): unknown {
  const { resourceVersion, managedFields, ...metadata } = object.metadata
  return { ...object, metadata: { ...metadata, managedFields: managedFields?.map(({ time: _, ...entry }) => entry) } }
}
