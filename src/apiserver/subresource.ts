// What can be done to a part of an object: scale, binding, eviction, finalize, status. Pure; the answers are plans as
// write.ts makes them.
import { addressed, admit } from '../api/admit.ts'
import { subresourcesOf } from '../api/discovery.ts'
import { ApiError, conflict, notFound } from '../api/error.ts'
import { type CustomKind, type Kind, type KubeObject, resourceOf } from '../api/kind.ts'
import { binding as bindingKind } from '../api/kinds/binding.ts'
import { eviction as evictionKind } from '../api/kinds/eviction.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import type { PodDisruptionBudget } from '../api/kinds/poddisruptionbudget.ts'
import { type ReplicationController, replicationController } from '../api/kinds/replicationcontroller.ts'
import { type Scale, scale as scaleKind } from '../api/kinds/scale.ts'
import { parseObject, parseValue } from '../api/parse.ts'
import { applyPatch } from '../api/patch/apply.ts'
import { patchObject } from '../api/patch/patch.ts'
import { parentManagedFields, scaleManagedFields } from '../api/patch/scale.ts'
import type { Json } from '../api/schema.ts'
import { deleteOptions, type LabelSelector } from '../api/types/meta.ts'
import type { Write } from '../kv/store.ts'
import { rfc3339 } from '../lib/duration.ts'
import { formatLabelSelector, requirementsOf } from '../lib/selector.ts'
import { spend } from './budget.ts'
import { checkDeleteOptions, checkPreconditions, planDeletion } from './delete.ts'
import type { Operation } from './operation.ts'
import { methodNotAllowed, pathNotFound } from './route.ts'
import { encodeStored, objectOf } from './stored.ts'
import {
  asJson,
  changeOf,
  existing,
  modified,
  type Planning,
  planWrite,
  type Rules,
  type Seen,
  success,
  updated,
} from './write.ts'

/** Kinds whose status subresource takes updates, and the others that write.ts carries out with admit's own rules. */
const plain = new Set(['status', 'ephemeralcontainers', 'finalize', 'resize'])

export function planSubresource(kind: Kind, op: Operation, seen: Seen, rules: Rules): Planning {
  const name = op.subresource ?? ''
  const resource = resourceOf(kind)
  const isOwn = name === 'approval' && kind.subresources.includes(name)
  if ((plain.has(name) || isOwn) && (op.verb === 'update' || op.verb === 'patch')) {
    return planWrite(kind, op, seen, rules)
  }
  if (name === 'scale' && (op.verb === 'update' || op.verb === 'patch')) return planScale(kind, op, seen, rules)
  if (resource === 'pods' && op.verb === 'create') {
    if (name === 'binding') return planBinding(op, seen, rules)
    if (name === 'eviction') return planEviction(op, seen, rules)
  }
  throw unanswered(kind, name)
}

/** What is answered where `subresource` cannot be asked like this, or is not there at all. */
export function unanswered(kind: Kind, subresource: string): ApiError {
  const isThere = subresourcesOf(kind).some(({ name }) => name === subresource)
  return isThere ? new ApiError('MethodNotAllowed', methodNotAllowed) : new ApiError('NotFound', pathNotFound)
}

type Scaled = KubeObject & {
  readonly spec: { readonly replicas?: number; readonly selector?: LabelSelector }
  readonly status: { readonly replicas?: number }
}

/** That of a ReplicationController is the labels themselves. */
function selectorOf(object: KubeObject): LabelSelector | undefined {
  if (object.kind !== replicationController.kind) return (object as Scaled).spec.selector
  return { matchLabels: (object as ReplicationController).spec.selector ?? {} }
}

/** The autoscaling/v1 Scale of a workload. */
export function scaleOf(object: KubeObject, custom?: CustomKind['scale']): Scale {
  const { metadata } = object
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: {
      name: metadata.name,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      creationTimestamp: metadata.creationTimestamp,
    },
    ...(custom === undefined ? numbersOf(object) : customNumbersOf(object, custom)),
  }
}

function numbersOf(object: KubeObject): Pick<Scale, 'spec' | 'status'> {
  const { spec, status } = object as Scaled
  const requirements = requirementsOf(selectorOf(object))
  return {
    spec: { replicas: spec.replicas ?? 0 },
    status: {
      replicas: status.replicas ?? 0,
      ...(requirements && { selector: formatLabelSelector(requirements) }),
    },
  }
}

function customNumbersOf(object: KubeObject, custom: NonNullable<CustomKind['scale']>): Pick<Scale, 'spec' | 'status'> {
  const { replicas, statusReplicas, selector } = custom.read(object)
  if (replicas === undefined) {
    throw new ApiError('InternalError', `the spec replicas field ${JSON.stringify(custom.path)} does not exist`)
  }
  return { spec: { replicas }, status: { replicas: statusReplicas, ...(selector !== undefined && { selector }) } }
}

function* planScale(kind: Kind, op: Operation, seen: Seen, rules: Rules): Planning {
  const put = op.verb === 'update' ? putScale(op) : undefined
  const { old, stored } = existing(kind, op, seen)
  const custom = kind.custom?.scale
  const before = scaleOf(old, custom)
  const { object: asked, warnings } = put ?? patchedScale(op, old, before, rules, custom?.path)
  const about = { objectKind: scaleKind, verb: 'UPDATE', old: before } as const
  const shown = yield { stage: 'mutate', change: changeOf(kind, op, rules, { ...about, object: asked }) }
  const after = (shown ?? asked) as Scale
  const version = after.metadata?.resourceVersion ?? ''
  if (version !== '' && version !== before.metadata.resourceVersion) throw conflict(kind, old.metadata.name, modified)
  const replicas = after.spec?.replicas ?? 0
  if (!Number.isInteger(replicas) || replicas < 0) {
    const message = `Invalid value: ${replicas}: must be greater than or equal to 0`
    throw new ApiError('Invalid', `Scale.autoscaling "${old.metadata.name}" is invalid: spec.replicas: ${message}`, {
      name: old.metadata.name,
      group: 'autoscaling',
      kind: 'Scale',
      causes: [{ reason: 'FieldValueInvalid', message, field: 'spec.replicas' }],
    })
  }
  yield { stage: 'validate', change: changeOf(kind, op, rules, { ...about, object: after }) }
  const applies = op.patch === 'apply'
  const metadata = applies
    ? { ...old.metadata, managedFields: parentManagedFields(old, after, custom?.path) }
    : old.metadata
  const scaled = custom?.write(old, replicas) ?? { ...old, spec: { ...(old as Scaled).spec, replicas } }
  const incoming = { ...scaled, metadata } as KubeObject
  const next = admit(kind, 'update', {
    old,
    incoming,
    stamp: rules.stamp,
    subresource: 'scale',
    ...(op.namespace !== undefined && { namespace: op.namespace }),
    ...(op.name !== undefined && { name: op.name }),
    ...(op.fieldManager !== '' && !applies && { fieldManager: op.fieldManager }),
  })
  const plan = yield* updated(kind, stored, old, next, seen, rules, warnings)
  if (plan.kind === 'answer') return { ...plan, object: asJson(before) }
  const scaleAt = (revision: number) => scaleOf(plan.answer(revision).object as unknown as KubeObject, custom)
  return { ...plan, answer: revision => ({ object: asJson(scaleAt(revision)) }) }
}

function putScale(op: Operation): { readonly object: Scale; readonly warnings: readonly string[] } {
  const parsed = parseObject(scaleKind, op.body, op.fieldValidation, op.duplicates)
  addressed(scaleKind, parsed.object.metadata, {
    ...(op.namespace !== undefined && { namespace: op.namespace }),
    ...(op.name !== undefined && { name: op.name }),
  })
  return parsed
}

function patchedScale(
  op: Operation,
  old: KubeObject,
  before: Scale,
  rules: Rules,
  path: string | undefined,
): { readonly object: Scale; readonly warnings: readonly string[] } {
  if (op.patch !== 'apply') {
    return patchObject(scaleKind, op.patch ?? 'merge', before, op.body, op.fieldValidation, op.duplicates)
  }
  const { object, warnings } = parseObject(scaleKind, op.body, op.fieldValidation, op.duplicates)
  const options = { manager: op.fieldManager, force: op.force, nowMs: rules.stamp.nowMs, subresource: 'scale' }
  const owned = { ...before, metadata: { ...before.metadata, managedFields: scaleManagedFields(old, path) } }
  return { object: applyPatch(scaleKind, owned, object, options), warnings }
}

/** Puts a pod on a node, once. */
function* planBinding(op: Operation, seen: Seen, rules: Rules): Planning {
  const { object: binding } = parseObject(bindingKind, op.body, op.fieldValidation, op.duplicates)
  const { old, stored } = existing(podKind, op, seen)
  const pod = old as Pod
  const { name } = pod.metadata
  const target = binding.target
  if (target?.kind !== undefined && target.kind !== '' && target.kind !== 'Node') {
    throw new ApiError('BadRequest', `a pod is bound to a Node, not to a ${target.kind}`)
  }
  const node = target?.name ?? ''
  if (node === '') throw new ApiError('BadRequest', 'target.name: Required value')
  const uid = binding.metadata?.uid ?? ''
  if (uid !== '' && uid !== pod.metadata.uid) {
    throw conflict(
      podKind,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`,
    )
  }
  const version = binding.metadata?.resourceVersion ?? ''
  if (version !== '' && version !== pod.metadata.resourceVersion) throw conflict(podKind, name, modified)
  if (pod.metadata.deletionTimestamp !== undefined) {
    throw conflict(podKind, name, `pod ${name} is being deleted, cannot be assigned to a host`)
  }
  if ((pod.spec.nodeName ?? '') !== '') {
    throw conflict(podKind, name, `pod ${name} is already assigned to node "${pod.spec.nodeName}"`)
  }
  if ((pod.spec.schedulingGates ?? []).length > 0) {
    throw new ApiError('BadRequest', `pod ${name} has non-empty .spec.schedulingGates`)
  }
  const about = { objectKind: bindingKind, verb: 'CREATE', object: binding, old: undefined } as const
  yield { stage: 'validate', change: changeOf(podKind, op, rules, about) }
  const conditions = (pod.status.conditions ?? []).filter(({ type }) => type !== 'PodScheduled')
  const scheduled = {
    type: 'PodScheduled' as const,
    status: 'True' as const,
    lastTransitionTime: rfc3339(rules.stamp.nowMs),
  }
  const annotations = { ...pod.metadata.annotations, ...binding.metadata?.annotations }
  const incoming: Pod = {
    ...pod,
    metadata: { ...pod.metadata, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { ...pod.spec, nodeName: node },
    status: { ...pod.status, conditions: [...conditions, scheduled] },
  }
  const next = admit(podKind, 'update', { old: pod, incoming, stamp: rules.stamp, subresource: 'binding' })
  const plan = yield* updated(podKind, stored, pod, next, seen, rules)
  if (plan.kind === 'answer') return { kind: 'answer', warnings: [], ...statusAnswer(201) }
  return { ...plan, code: 201, answer: () => statusAnswer(201) }
}

function statusAnswer(code: number) {
  const { object } = success(code)
  return { code, object: object as { readonly [key: string]: Json } }
}

/** A deletion that a PodDisruptionBudget may refuse. What it takes from the budget is one write with it. */
function* planEviction(op: Operation, seen: Seen, rules: Rules): Planning {
  const { object: eviction } = parseObject(evictionKind, op.body, op.fieldValidation, op.duplicates)
  if (seen.current === undefined) throw notFound(podKind, op.name ?? '')
  const { old, stored } = existing(podKind, op, seen)
  const named = eviction.metadata?.name ?? ''
  if (named !== '' && named !== old.metadata.name) {
    throw new ApiError('BadRequest', `name in URL does not match name in Eviction object`)
  }
  const { value: options } = parseValue(
    deleteOptions,
    (eviction.deleteOptions ?? {}) as Json,
    'Ignore',
    'DeleteOptions',
  )
  checkDeleteOptions(options)
  checkPreconditions(podKind, old, options)
  const about = { objectKind: evictionKind, verb: 'CREATE', object: eviction, old: undefined } as const
  yield { stage: 'validate', change: changeOf(podKind, op, rules, about) }
  const deletion = planDeletion(podKind, old, options, rules.stamp.nowMs)
  const next = deletion.kind === 'keep' ? disrupted(deletion.object as Pod, rules) : undefined
  const spent = budgetSpent(old as Pod, seen, rules)
  const done = statusAnswer(201)
  return {
    kind: 'write',
    key: stored.key,
    compare: [{ key: stored.key, modRevision: stored.modRevision }, ...spent.compare],
    operations: [{ key: stored.key, value: next && encodeStored(next) }, ...spent.operations],
    code: 201,
    warnings: [],
    answer: () => done,
  }
}

function budgetSpent(pod: Pod, seen: Seen, rules: Rules): Pick<Write, 'compare' | 'operations'> {
  const budgets = seen.budgets.map(item => objectOf<PodDisruptionBudget>(item))
  const left = spend(pod, budgets, rules.stamp.nowMs)
  const from = seen.budgets.find(item => objectOf(item).metadata.uid === left?.metadata.uid)
  if (left === undefined || from === undefined) return { compare: [], operations: [] }
  return {
    compare: [{ key: from.key, modRevision: from.modRevision }],
    operations: [{ key: from.key, value: encodeStored(left) }],
  }
}

function disrupted(pod: Pod, rules: Rules): Pod {
  const conditions = (pod.status.conditions ?? []).filter(({ type }) => type !== 'DisruptionTarget')
  const condition = {
    type: 'DisruptionTarget' as const,
    status: 'True' as const,
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastTransitionTime: rfc3339(rules.stamp.nowMs),
  }
  return { ...pod, status: { ...pod.status, conditions: [...conditions, condition] } }
}
