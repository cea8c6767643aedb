// Creates, updates, patches and deletes as one compare-and-set each. Pure: what is stored now and what is asked go in,
// the command for the store and the answer come out, or an ApiError is thrown. On the way a plan asks for admission
// (admission/) by yielding. run-write.ts reads, asks, writes, and comes back here when somebody else was quicker.
import { type AdmitRequest, addressed, admitting, pause, type Stamp, sameObject } from '../api/admit.ts'
import { ApiError, conflict, notFound } from '../api/error.ts'
import { finalizerWarnings } from '../api/finalizers.ts'
import { type Kind, type KubeObject, resourceOf } from '../api/kind.ts'
import { type Namespace, namespace as namespaceKind } from '../api/kinds/namespace.ts'
import type { Service } from '../api/kinds/service.ts'
import { parseObject, parseValue } from '../api/parse.ts'
import { parseApplied } from '../api/patch/applied.ts'
import { applying } from '../api/patch/apply.ts'
import { patching } from '../api/patch/patch.ts'
import type { Json, JsonObject } from '../api/schema.ts'
import { deleteOptions } from '../api/types/meta.ts'
import type { Compare, KeyValue, Operation as StoreOperation } from '../kv/store.ts'
import type { Change } from './admission/admission.ts'
import { createAsked, forbidden } from './authorize.ts'
import { checkDeleteOptions, checkPreconditions, deletedAnswer, isFinished, planDeletion } from './delete.ts'
import type { Notes } from './notes.ts'
import type { Operation } from './operation.ts'
import { allocate, keepAllocated, release, type ServiceConfig, type Taken } from './services.ts'
import { checkFits } from './size.ts'
import { encodeStored, keyOf, objectOf, type Served, withRevision } from './stored.ts'

/** What the store holds of what the operation touches. */
export type Seen = {
  readonly current: KeyValue | undefined
  /** The namespace's own object; read for creates in a namespace. */
  readonly namespace: KeyValue | undefined
  /** The disruption budgets of the namespace; read for an eviction. */
  readonly budgets: readonly KeyValue[]
  /** Read for Services. */
  readonly taken: Taken
}

export type Plan =
  /** `answer` is the object or Status to give once the write has happened at `revision`. */
  | {
      readonly kind: 'write'
      readonly key: string
      readonly compare: readonly Compare[]
      readonly operations: readonly StoreOperation[]
      readonly code: number
      readonly warnings: readonly string[]
      answer(revision: number): Shown
    }
  | {
      readonly kind: 'answer'
      readonly code: number
      readonly object: JsonObject
      readonly warnings: readonly string[]
    }

/** An object or a Status; `stored`: what is written of it, which is what is served. */
export type Shown = { readonly object: JsonObject; readonly stored?: Served }

/** What admission is asked on the way: to change the object, or to let it pass as it is. Or others may run meanwhile. */
export type Ask = { readonly stage: 'mutate' | 'validate'; readonly change: Change } | typeof pausing

/** Between the parts of a plan that take long when the object is large. */
export const pausing = { stage: 'pause' } as const

/** Is sent the object to go on with after `mutate`, and nothing after `validate`. */
export type Planning = Generator<Ask, Plan, KubeObject | undefined>

export type Rules = {
  readonly stamp: Stamp
  readonly services: ServiceConfig
  readonly notes: Notes
  random(): number
}

export function planWrite(kind: Kind, op: Operation, seen: Seen, rules: Rules): Planning {
  switch (op.verb) {
    case 'create':
      return planCreate(kind, op, seen, rules)
    case 'update':
      return planUpdate(kind, op, seen, rules)
    case 'patch':
      return planPatch(kind, op, seen, rules)
    case 'delete':
    case 'deletecollection':
      return planDelete(kind, op, seen, rules)
  }
}

const place = (op: Operation) => ({
  ...(op.namespace !== undefined && { namespace: op.namespace }),
  ...(op.name !== undefined && { name: op.name }),
  ...(op.subresource !== undefined && { subresource: op.subresource }),
})

/** Who sends what nobody knows hears of it also when it is refused for another reason. */
function told<T extends { readonly warnings: readonly string[] }>(rules: Rules, parsed: T): T {
  parsed.warnings.forEach(rules.notes.warn)
  return parsed
}

function* planCreate(kind: Kind, op: Operation, seen: Seen, rules: Rules): Planning {
  yield pausing
  const { object: incoming, warnings } = told(rules, parseObject(kind, op.body, op.fieldValidation, op.duplicates))
  if ((incoming.metadata?.resourceVersion ?? '') !== '') {
    throw new ApiError('BadRequest', 'resourceVersion should not be set on objects to be created')
  }
  const { name: _, ...where } = place(op)
  const request = { old: undefined, incoming, ...where, ...stamped(op, rules) }
  return yield* create(kind, op, seen, rules, request, warnings)
}

const stamped = (op: Operation, rules: Rules) => ({
  stamp: rules.stamp,
  ...(op.fieldManager !== '' && { fieldManager: op.fieldManager }),
})

/** What admission is told of an operation. */
export function changeOf(
  kind: Kind,
  op: Operation,
  rules: Rules,
  about: Pick<Change, 'verb' | 'object' | 'old'> & { readonly objectKind?: Kind },
): Change {
  return {
    kind,
    objectKind: kind,
    subresource: op.subresource,
    namespace: op.namespace,
    name: about.object?.metadata.name ?? about.old?.metadata.name ?? op.name ?? '',
    identity: op.identity,
    dryRun: op.dryRun,
    options: optionsOf(op, about.verb),
    stamp: rules.stamp,
    notes: rules.notes,
    ...about,
  }
}

/** Those of what is done, not of what was asked: an apply may create, and an update of what is not there does. */
function optionsOf(op: Operation, verb: Change['verb']): JsonObject {
  const apiVersion = 'meta.k8s.io/v1'
  if (op.verb === 'delete' || op.verb === 'deletecollection') {
    return { kind: 'DeleteOptions', apiVersion, ...(op.body as JsonObject | null) }
  }
  return {
    kind: verb === 'CREATE' ? 'CreateOptions' : 'UpdateOptions',
    apiVersion,
    ...(op.dryRun && { dryRun: ['All'] }),
    ...(op.fieldManager !== '' && { fieldManager: op.fieldManager }),
    fieldValidation: op.fieldValidation,
  }
}

/** Shows the object to admission in the middle of api/admit.ts, and gives the one that is valid. */
function* admitted(
  kind: Kind,
  op: Operation,
  rules: Rules,
  request: AdmitRequest<KubeObject>,
): Generator<Ask, KubeObject, KubeObject | undefined> {
  yield pausing
  const { old } = request
  const verb = old === undefined ? 'CREATE' : 'UPDATE'
  const course = admitting(kind, old === undefined ? 'create' : 'update', request)
  let step = course.next()
  while (!step.done) {
    if (step.value === pause) {
      yield pausing
      step = course.next(pause)
    } else {
      checkFits(step.value)
      const change = changeOf(kind, op, rules, { verb, object: step.value, old })
      step = course.next((yield { stage: 'mutate', change }) ?? step.value)
    }
  }
  return step.value
}

function* create(
  kind: Kind,
  op: Operation,
  seen: Seen,
  rules: Rules,
  request: AdmitRequest<KubeObject>,
  warnings: readonly string[],
): Planning {
  const compare = namespaceOpen(kind, op, seen, request.incoming)
  const object = yield* admitted(kind, op, rules, request)
  const held = resourceOf(kind) === 'namespaces' ? heldNamespace(object as Namespace) : object
  const allocated = withAllocation(kind, held, undefined, seen, rules)
  const about = { verb: 'CREATE', object: allocated.object, old: undefined } as const
  yield pausing
  yield { stage: 'validate', change: changeOf(kind, op, rules, about) }
  yield pausing
  return created(kind, allocated, compare, [...warnings, ...finalizerWarnings(kind, object)])
}

function created(
  kind: Kind,
  { object, compare: free, operations }: ReturnType<typeof withAllocation>,
  compare: readonly Compare[],
  warnings: readonly string[],
): Plan {
  const key = keyOf(kind, object.metadata.namespace, object.metadata.name)
  const value = encodeStored(object)
  return {
    kind: 'write',
    key,
    compare: [{ key, modRevision: 0 }, ...compare, ...free],
    operations: [{ key, value }, ...operations],
    code: 201,
    warnings: kind.caution === undefined ? warnings : [...warnings, kind.caution],
    answer: shownAt(object, key, value),
  }
}

/** A namespace stays until the namespace controller has emptied it; selectors find it by its name. */
function heldNamespace(namespace: Namespace): Namespace {
  const { metadata, spec } = namespace
  const finalizers = spec.finalizers ?? []
  return {
    ...namespace,
    metadata: { ...metadata, labels: { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name } },
    spec: { ...spec, finalizers: finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'] },
  }
}

/** Nothing is made in a namespace that is missing or going; that it stays so is part of the compare-and-set. */
function namespaceOpen(kind: Kind, op: Operation, seen: Seen, incoming: KubeObject): readonly Compare[] {
  if (kind.scope !== 'Namespaced') return []
  const namespace = op.namespace ?? ''
  if (seen.namespace === undefined) throw notFound(namespaceKind, namespace)
  const object = objectOf<Namespace>(seen.namespace)
  if (object.metadata.deletionTimestamp !== undefined || object.status.phase === 'Terminating') {
    const { name = '' } = incoming.metadata ?? {}
    const message = `${resourceOf(kind)} "${name}" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`
    throw new ApiError('Forbidden', message, {
      name,
      ...(kind.group !== '' && { group: kind.group }),
      kind: kind.plural,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    })
  }
  return [{ key: seen.namespace.key, modRevision: seen.namespace.modRevision }]
}

function* planUpdate(kind: Kind, op: Operation, seen: Seen, rules: Rules): Planning {
  yield pausing
  const { object: parsed, warnings } = told(rules, parseObject(kind, op.body, op.fieldValidation, op.duplicates))
  addressed(kind, parsed.metadata, place(op))
  if (seen.current === undefined && makes(kind, op))
    return yield* createByUpdate(kind, op, seen, rules, parsed, warnings)
  const { old, stored } = existing(kind, op, seen)
  const incoming = carried(kind, parsed, old)
  checkVersion(kind, incoming, old)
  if (kind.updateNeedsVersion && isNoVersion(incoming)) throw unversioned(kind, old.metadata.name)
  const next = yield* admitted(kind, op, rules, { old, incoming, ...place(op), ...stamped(op, rules) })
  return yield* update(kind, op, stored, old, next, seen, rules, warnings)
}

/** Whether an operation on one object makes it where there is none. */
export function makes(
  kind: Kind,
  { verb, subresource }: { readonly verb: string; readonly subresource?: string },
): boolean {
  return verb === 'update' && subresource === undefined && kind.updateCreates === true
}

function* createByUpdate(
  kind: Kind,
  op: Operation,
  seen: Seen,
  rules: Rules,
  parsed: KubeObject,
  warnings: readonly string[],
): Planning {
  const { uid = '', resourceVersion: _, ...metadata } = parsed.metadata ?? {}
  if (uid !== '') throw conflict(kind, op.name ?? '', uidMismatch(uid, ''))
  if (op.createRefused !== undefined) throw forbidden(op.identity, createAsked(op), op.createRefused)
  const incoming = { ...parsed, metadata: metadata as KubeObject['metadata'] }
  return yield* create(
    kind,
    op,
    seen,
    rules,
    { old: undefined, incoming, ...place(op), ...stamped(op, rules) },
    warnings,
  )
}

function* planPatch(kind: Kind, op: Operation, seen: Seen, rules: Rules): Planning {
  if (op.patch === 'apply') return yield* planApply(kind, op, seen, rules)
  const { old, stored } = existing(kind, op, seen)
  yield pausing
  const course = patching(kind, op.patch ?? 'merge', old, op.body, op.fieldValidation, op.duplicates)
  const { object: patched, warnings } = told(rules, yield* withPauses(course))
  const incoming = carried(kind, patched, old)
  checkVersion(kind, incoming, old)
  const next = yield* admitted(kind, op, rules, { old, incoming, ...place(op), ...stamped(op, rules) })
  return yield* update(kind, op, stored, old, next, seen, rules, warnings)
}

function* planApply(kind: Kind, op: Operation, seen: Seen, rules: Rules): Planning {
  if (op.fieldManager === '') {
    throw new ApiError(
      'Invalid',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      {
        kind: 'PatchOptions',
        group: 'meta.k8s.io',
        causes: [
          {
            reason: 'FieldValueRequired',
            field: 'fieldManager',
            message: 'Required value: is required for apply patch',
          },
        ],
      },
    )
  }
  yield pausing
  const { object: applied, warnings } = told(rules, parseApplied(kind, op.body, op.fieldValidation, op.duplicates))
  if ((applied.metadata?.managedFields ?? []).length > 0) {
    throw new ApiError('BadRequest', 'metadata.managedFields must be nil')
  }
  const options = {
    manager: op.fieldManager,
    force: op.force,
    nowMs: rules.stamp.nowMs,
    ...(op.subresource !== undefined && { subresource: op.subresource }),
  }
  if (seen.current === undefined) {
    if (op.subresource !== undefined) throw notFound(kind, op.name ?? '')
    if (op.createRefused !== undefined) throw forbidden(op.identity, createAsked(op), op.createRefused)
    if ((applied.metadata?.uid ?? '') !== '') {
      throw conflict(
        kind,
        op.name ?? '',
        `uid mismatch: the provided object specified uid ${applied.metadata.uid}, and no existing object was found`,
      )
    }
    if ((applied.metadata?.resourceVersion ?? '') !== '') throw notFound(kind, op.name ?? '')
    yield pausing
    const incoming = yield* withPauses(applying(kind, undefined, applied, options))
    const request = { old: undefined, incoming, stamp: rules.stamp, ...place(op) }
    return yield* create(kind, op, seen, rules, request, warnings)
  }
  yield pausing
  const { old, stored } = existing(kind, op, seen)
  yield pausing
  checkVersion(kind, applied, old)
  const incoming = carried(kind, yield* withPauses(applying(kind, old, applied, options)), old)
  const next = yield* admitted(kind, op, rules, { old, incoming, stamp: rules.stamp, ...place(op) })
  return yield* update(kind, op, stored, old, next, seen, rules, warnings)
}

/** What a course of api/patch/ comes to; where it yields, others may run. */
function* withPauses<T>(course: Generator<undefined, T, unknown>): Generator<Ask, T, KubeObject | undefined> {
  let step = course.next()
  while (!step.done) {
    yield pausing
    step = course.next()
  }
  return step.value
}

export function existing(
  kind: Kind,
  op: Operation,
  seen: Seen,
): { readonly old: KubeObject; readonly stored: KeyValue } {
  if (seen.current === undefined) throw notFound(kind, op.name ?? '')
  return { old: objectOf(seen.current), stored: seen.current }
}

function carried(kind: Kind, next: KubeObject, old: KubeObject): KubeObject {
  return resourceOf(kind) === 'services' ? keepAllocated(next as Service, old as Service) : next
}

export const modified = 'the object has been modified; please apply your changes to the latest version and try again'

const uidMismatch = (asked: string, found: string): string =>
  `Precondition failed: UID in precondition: ${asked}, UID in object meta: ${found}`

const isNoVersion = ({ metadata }: KubeObject): boolean => ['', '0'].includes(metadata?.resourceVersion ?? '')

function unversioned(kind: Kind, name: string): ApiError {
  const message = 'Invalid value: 0x0: must be specified for an update'
  const field = 'metadata.resourceVersion'
  return new ApiError('Invalid', `${resourceOf(kind)} "${name}" is invalid: ${field}: ${message}`, {
    name,
    ...(kind.group !== '' && { group: kind.group }),
    kind: kind.plural,
    causes: [{ reason: 'FieldValueInvalid', message, field }],
  })
}

function checkVersion(kind: Kind, incoming: KubeObject, old: KubeObject): void {
  const { resourceVersion = '', uid = '' } = incoming.metadata ?? {}
  if (resourceVersion !== '' && resourceVersion !== '0' && resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(kind, old.metadata.name, modified)
  }
  if (uid !== '' && uid !== old.metadata.uid) {
    throw conflict(kind, old.metadata.name, uidMismatch(uid, old.metadata.uid))
  }
}

/** Asks admission about `next` as it would be stored, and plans it. */
function* update(
  kind: Kind,
  op: Operation,
  stored: KeyValue,
  old: KubeObject,
  next: KubeObject,
  seen: Seen,
  rules: Rules,
  warnings: readonly string[],
): Planning {
  yield pausing
  yield { stage: 'validate', change: changeOf(kind, op, rules, { verb: 'UPDATE', object: next, old }) }
  yield pausing
  const told = [...warnings, ...finalizerWarnings(kind, next, old)]
  return yield* updated(kind, stored, old, next, seen, rules, told)
}

/** The plan that puts `next` in the place of `old`; a removal when nothing holds the object any longer. */
export function* updated(
  kind: Kind,
  stored: KeyValue,
  old: KubeObject,
  next: KubeObject,
  seen: Seen,
  rules: Rules,
  warnings: readonly string[] = [],
): Generator<typeof pausing, Plan, unknown> {
  if (isFinished(kind, next)) return removed(kind, stored, next, asJson(next), warnings)
  const { object, compare, operations } = withAllocation(kind, next, old, seen, rules)
  if (operations.length === 0 && sameObject(old, object, kind)) {
    return { kind: 'answer', code: 200, object: asJson(old), warnings }
  }
  yield pausing
  const value = encodeStored(object)
  return {
    kind: 'write',
    key: stored.key,
    compare: [{ key: stored.key, modRevision: stored.modRevision }, ...compare],
    operations: [{ key: stored.key, value }, ...operations],
    code: 200,
    warnings,
    answer: shownAt(object, stored.key, value),
  }
}

const shownAt =
  (object: KubeObject, key: string, value: string) =>
  (revision: number): Shown => ({
    object: asJson(withRevision(object, revision)),
    stored: { key, value, modRevision: revision },
  })

function removed(
  kind: Kind,
  stored: KeyValue,
  object: KubeObject,
  answer: JsonObject,
  warnings: readonly string[],
): Plan {
  const freed = resourceOf(kind) === 'services' ? release(object as Service) : []
  return {
    kind: 'write',
    key: stored.key,
    compare: [{ key: stored.key, modRevision: stored.modRevision }],
    operations: [{ key: stored.key, value: undefined }, ...freed],
    code: 200,
    warnings,
    answer: () => ({ object: answer }),
  }
}

function* planDelete(kind: Kind, op: Operation, seen: Seen, rules: Rules): Planning {
  const { old, stored } = existing(kind, op, seen)
  const { value: options } = parseValue(deleteOptions, op.body ?? {}, 'Ignore', 'DeleteOptions')
  checkDeleteOptions(options)
  checkPreconditions(kind, old, options)
  if (resourceOf(kind) === 'namespaces' && isPermanent(old.metadata.name)) {
    throw new ApiError(
      'Forbidden',
      `namespaces "${old.metadata.name}" is forbidden: this namespace may not be deleted`,
      {
        name: old.metadata.name,
        kind: 'namespaces',
      },
    )
  }
  yield { stage: 'validate', change: changeOf(kind, op, rules, { verb: 'DELETE', object: undefined, old }) }
  const deletion = planDeletion(kind, old, options, rules.stamp.nowMs)
  if (deletion.kind === 'remove') return removed(kind, stored, old, deletedAnswer(kind, old), [])
  return yield* updated(kind, stored, old, deletion.object, seen, rules)
}

export const defaultNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']
const isPermanent = (name: string): boolean => ['default', 'kube-system', 'kube-public'].includes(name)

function withAllocation(kind: Kind, next: KubeObject, old: KubeObject | undefined, seen: Seen, rules: Rules) {
  if (resourceOf(kind) !== 'services') return { object: next, compare: [], operations: [] }
  return allocate(next as Service, old as Service | undefined, seen.taken, rules.services, rules.random)
}

export function asJson(object: KubeObject): JsonObject {
  return object as unknown as JsonObject
}

/** The Status that says that something went well and has no object to show. */
export function success(code = 200): { readonly code: number; readonly object: Json } {
  return { code, object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code } }
}
