// Deployment: moves pods from old ReplicaSets to the one of the present template. Each plan is one small step on what the
// view shows; the next step waits until the view shows this one. After kubernetes pkg/controller/deployment.
import { type Deployment, type DeploymentStatus, deployment } from '../api/kinds/deployment.ts'
import { pod } from '../api/kinds/pod.ts'
import { type ReplicaSet, replicaSet } from '../api/kinds/replicaset.ts'
import type { Draft } from '../api/schema.ts'
import type { View } from '../client/cache.ts'
import { controllerOf, controllerReference, isControlledBy, isDeleting, isFinished } from '../client/objects.ts'
import { sameJson } from '../lib/canonical.ts'
import { claim, concerned } from './claim.ts'
import { findCondition } from './conditions.ts'
import {
  type Change,
  create,
  defineController,
  keyOfNames,
  nothing,
  type Plan,
  patch,
  remove,
  tell,
  update,
  updateStatus,
} from './controller.ts'
import { counts, deadlineMs, isComplete, rolloutStatus, withProgress } from './deploymentstatus.ts'
import {
  byCreation,
  desiredAnnotation,
  hashLabel,
  maxAnnotation,
  newSetAnnotations,
  newSetOf,
  revisionAnnotation,
  revisionOf,
  sameTemplate,
  templateHash,
} from './revision.ts'
import { fenceposts, newSetSize, proportional, type Resize, shrinkOld, sizeOf, sum } from './rollout.ts'

export const deploymentController = defineController({
  name: 'deployment',
  of: deployment,
  reads: { sets: replicaSet, pods: pod },
  wakes: {
    sets: (set, { itself }) => concerned(deployment, itself, owner => owner.spec.selector)(set),
    // Recreate waits for the last old pod to go. The set of a pod is found by its name, even when it is gone already.
    pods: (one, { sets }) => {
      const setName = controllerOf(one)?.name ?? ''
      const owner = sets.get(one.metadata.namespace, setName)
      const name = owner && controllerOf(owner)?.name
      return name === undefined ? [] : [keyOfNames(one.metadata.namespace, name)]
    },
  },
  reconcile(wanted, { sets: view, pods }, { nowMs }): Plan {
    const { owned: sets, changes: claims } = claim(wanted, deployment, wanted.spec.selector, replicaSet, view)
    if (claims.length > 0) return { changes: claims }
    const newSet = newSetOf(wanted, sets)
    // A second set of the same template (made on a stale view) counts as old, and is emptied.
    const old = sets.filter(set => set !== newSet)
    if (isDeleting(wanted)) return statusOnly(wanted, counts(wanted, sets, newSet, nowMs), nowMs)
    const pause = pauseStep(wanted, nowMs)
    if (pause !== undefined) return { changes: [updateStatus(deployment, { ...wanted, status: pause })] }
    if (wanted.spec.paused === true || isScaling(wanted, sets)) {
      return stepWhileScaling(wanted, newSet, old, nowMs)
    }
    if (wanted.spec.strategy.type === 'Recreate') {
      const emptied = old.filter(set => sizeOf(set) > 0).map(set => ({ set, replicas: 0 }))
      if (emptied.length > 0)
        return { changes: [...resizes(wanted, emptied), ...statusOf(wanted, sets, newSet, nowMs)] }
      const running = old.some(set => pods.by('owner', set.metadata.uid).some(one => !isFinished(one)))
      if (running) return withDeadline(wanted, statusOf(wanted, sets, newSet, nowMs))
    }
    if (newSet === undefined) return makeSet(wanted, old, view, nowMs)
    const noted = noteRevision(wanted, newSet, old, nowMs)
    if (noted.length > 0) return { changes: noted }
    return roll(wanted, newSet, old, nowMs)
  },
})

function roll(wanted: Deployment, newSet: ReplicaSet, old: readonly ReplicaSet[], nowMs: number): Plan {
  const all = [...old, newSet]
  const size = newSetSize(wanted, sizeOf(newSet), sum(all, sizeOf))
  const steps =
    size !== sizeOf(newSet)
      ? [{ set: newSet, replicas: size }]
      : wanted.spec.strategy.type === 'Recreate'
        ? []
        : shrinkOld(wanted, newSet, old)
  const tidy = steps.length === 0 && isComplete(wanted, counts(wanted, all, newSet, nowMs)) ? forget(wanted, old) : []
  return withDeadline(wanted, [...resizes(wanted, steps), ...tidy, ...statusOf(wanted, all, newSet, nowMs)])
}

function stepWhileScaling(
  wanted: Deployment,
  newSet: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  nowMs: number,
): Plan {
  const noted = newSet === undefined ? [] : noteRevision(wanted, newSet, old, nowMs)
  if (noted.length > 0) return { changes: noted }
  const steps = resizes(wanted, proportional(wanted, newSet, old))
  const all = newSet === undefined ? old : [...old, newSet]
  const tidy = wanted.spec.paused === true && steps.length === 0 ? forget(wanted, old) : []
  const plan = statusOnly(wanted, counts(wanted, all, newSet, nowMs), nowMs)
  return { ...plan, changes: [...steps, ...tidy, ...plan.changes] }
}

function statusOnly(wanted: Deployment, status: DeploymentStatus, nowMs: number): Plan {
  const atMs = deadlineMs(wanted, status.conditions ?? [])
  return {
    changes: sameJson(status, wanted.status) ? [] : [updateStatus(deployment, { ...wanted, status })],
    ...(atMs !== undefined && atMs >= nowMs && wanted.spec.paused !== true && { againAtMs: atMs + 1_000 }),
  }
}

function statusOf(
  wanted: Deployment,
  sets: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  nowMs: number,
): readonly Change[] {
  return statusOnly(wanted, rolloutStatus(wanted, sets, newSet, nowMs), nowMs).changes
}

/** Looks again when the rollout may have become stuck. */
function withDeadline(wanted: Deployment, changes: readonly Change[]): Plan {
  const atMs = deadlineMs(wanted, wanted.status.conditions ?? [])
  return atMs === undefined ? { changes } : { changes, againAtMs: atMs + 1_000 }
}

/** Pausing and resuming stop and restart the clock of the progress deadline. */
function pauseStep(wanted: Deployment, nowMs: number): DeploymentStatus | undefined {
  const progressing = findCondition(wanted.status.conditions, 'Progressing')
  if (progressing?.reason === 'ProgressDeadlineExceeded') return undefined
  const noted = progressing?.reason === 'DeploymentPaused'
  const paused = wanted.spec.paused === true
  if (paused === noted) return undefined
  const next = paused
    ? { status: 'Unknown' as const, reason: 'DeploymentPaused', message: 'Deployment is paused' }
    : { status: 'Unknown' as const, reason: 'DeploymentResumed', message: 'Deployment is resumed' }
  const status = withProgress(wanted, wanted.status, next, nowMs)
  return status === wanted.status ? undefined : status
}

/** True when an active set was last scaled for another number of replicas. */
function isScaling(wanted: Deployment, sets: readonly ReplicaSet[]): boolean {
  return sets.some(set => {
    const desired = set.metadata.annotations?.[desiredAnnotation]
    return sizeOf(set) > 0 && desired !== undefined && Number(desired) !== wanted.spec.replicas
  })
}

function sizeAnnotations(wanted: Deployment): Readonly<Record<string, string>> {
  const { replicas } = wanted.spec
  return {
    [desiredAnnotation]: String(replicas),
    [maxAnnotation]: String(replicas + fenceposts(wanted).maxSurge),
  }
}

function resizes(wanted: Deployment, steps: readonly Resize[]): readonly Change[] {
  return steps.flatMap(({ set, replicas }) => {
    const annotations = { ...set.metadata.annotations, ...sizeAnnotations(wanted) }
    const before = sizeOf(set)
    if (replicas === before && sameJson(annotations, set.metadata.annotations)) return []
    const next = { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set.spec, replicas } }
    return [
      update(replicaSet, next),
      ...(replicas === before ? [] : [scaledEvent(wanted, set.metadata.name, before, replicas)]),
    ]
  })
}

function scaledEvent(wanted: Deployment, name: string, from: number, to: number): Change {
  const direction = to > from ? 'up' : 'down'
  return tell(wanted, 'Normal', 'ScalingReplicaSet', `Scaled ${direction} replica set ${name} from ${from} to ${to}`)
}

/** Brings the revision, the copied annotations and minReadySeconds of the new set, and the Deployment's own, up to date. */
function noteRevision(
  wanted: Deployment,
  newSet: ReplicaSet,
  old: readonly ReplicaSet[],
  nowMs: number,
): readonly Change[] {
  const revision = Math.max(0, ...old.map(revisionOf)) + 1
  const annotations = newSetAnnotations(wanted, newSet.metadata.annotations ?? {}, revision)
  const minReadySeconds = wanted.spec.minReadySeconds ?? 0
  if (
    !sameJson(annotations, newSet.metadata.annotations ?? {}) ||
    minReadySeconds !== (newSet.spec.minReadySeconds ?? 0)
  ) {
    const spec = { ...newSet.spec, minReadySeconds }
    return [update(replicaSet, { ...newSet, metadata: { ...newSet.metadata, annotations }, spec })]
  }
  const shown = annotations[revisionAnnotation] ?? ''
  const changes: Change[] = []
  if (wanted.metadata.annotations?.[revisionAnnotation] !== shown) changes.push(showRevision(wanted, shown))
  else if (findCondition(wanted.status.conditions, 'Progressing') === undefined) {
    const message = `Found new replica set "${newSet.metadata.name}"`
    const status = withProgress(wanted, wanted.status, { status: 'True', reason: 'FoundNewReplicaSet', message }, nowMs)
    if (status !== wanted.status) changes.push(updateStatus(deployment, { ...wanted, status }))
  }
  return changes
}

function showRevision(wanted: Deployment, revision: string): Change {
  return patch(deployment, wanted, { metadata: { annotations: { [revisionAnnotation]: revision } } })
}

function makeSet(wanted: Deployment, old: readonly ReplicaSet[], view: View<ReplicaSet>, nowMs: number): Plan {
  const { template, selector, minReadySeconds = 0 } = wanted.spec
  const hash = templateHash(template, wanted.status.collisionCount)
  const name = `${wanted.metadata.name}-${hash}`
  const taken = view.get(wanted.metadata.namespace, name)
  if (taken !== undefined) {
    // Ours and equal: the selector just does not see it yet. Else the name is spent, and the next hash is tried.
    if (isControlledBy(taken, wanted) && sameTemplate(taken.spec.template, template)) return nothing
    const status = { ...wanted.status, collisionCount: (wanted.status.collisionCount ?? 0) + 1 }
    return { changes: [updateStatus(deployment, { ...wanted, status })] }
  }
  const revision = Math.max(0, ...old.map(revisionOf)) + 1
  const replicas = newSetSize(wanted, 0, sum(old, sizeOf))
  const labels = { ...template.metadata.labels, [hashLabel]: hash }
  const made: Draft<ReplicaSet> = {
    metadata: {
      name,
      ...(wanted.metadata.namespace !== undefined && { namespace: wanted.metadata.namespace }),
      labels,
      annotations: { ...newSetAnnotations(wanted, {}, revision), ...sizeAnnotations(wanted) },
      ownerReferences: [controllerReference(deployment, wanted)],
    },
    spec: {
      replicas,
      minReadySeconds,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  }
  const progress = {
    status: 'True' as const,
    reason: 'NewReplicaSetCreated',
    message: `Created new replica set "${name}"`,
  }
  const status = withProgress(wanted, wanted.status, progress, nowMs)
  return {
    changes: [
      create(replicaSet, made),
      ...(replicas > 0 ? [scaledEvent(wanted, name, 0, replicas)] : []),
      ...(status === wanted.status ? [] : [updateStatus(deployment, { ...wanted, status })]),
    ],
  }
}

/** Old sets beyond the history limit, oldest revision first. */
function forget(wanted: Deployment, old: readonly ReplicaSet[]): readonly Change[] {
  const kept = old.filter(set => !isDeleting(set))
  const surplus = kept.length - wanted.spec.revisionHistoryLimit
  if (surplus <= 0) return []
  return kept
    .toSorted((a, b) => revisionOf(a) - revisionOf(b) || byCreation(a, b))
    .slice(0, surplus)
    .filter(
      set =>
        sizeOf(set) === 0 &&
        (set.status.replicas ?? 0) === 0 &&
        (set.metadata.generation ?? 0) <= (set.status.observedGeneration ?? 0),
    )
    .map(set => remove(replicaSet, set))
}
