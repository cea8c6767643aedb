// DaemonSet: one pod on every node that fits, replaced node by node when the template changes.
// After kubernetes pkg/controller/daemon.
import { controllerRevision } from '../api/kinds/controllerrevision.ts'
import { type DaemonSet, type DaemonSetStatus, daemonSet } from '../api/kinds/daemonset.ts'
import { type Node, node as nodeKind } from '../api/kinds/node.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import { createdMs, isAvailable, isDeleting, isFinished, isReady, readySinceMs } from '../client/objects.ts'
import { sameJson } from '../lib/canonical.ts'
import { compareText } from '../lib/sorted.ts'
import { claim, concerned } from './claim.ts'
import {
  type Change,
  type Context,
  create,
  defineController,
  type Plan,
  remove,
  tell,
  updateStatus,
} from './controller.ts'
import { forgetRevisions, hashOf, historyOf } from './daemonhistory.ts'
import { type Place, placeOf, podFor, revisionHashLabel, targetNode } from './daemonpods.ts'
import { scaled } from './intorpercent.ts'
import { burstReplicas } from './replicaset.ts'

/** A pod that failed is replaced no sooner after it was made, so that a node that refuses it is not flooded. */
export const failedPodKeptMs = 5_000

type Spot = Place & { readonly node: Node; readonly pods: readonly Pod[] }

export const daemonSetController = defineController({
  name: 'daemonset',
  of: daemonSet,
  reads: { pods: podKind, nodes: nodeKind, revisions: controllerRevision },
  wakes: {
    pods: (one, { itself }) => concerned(daemonSet, itself, owner => owner.spec.selector)(one),
    revisions: (one, { itself }) => concerned(daemonSet, itself, owner => owner.spec.selector)(one),
    nodes: (_, { itself }) => itself.list().map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`),
  },
  reconcile(set, { pods: podView, nodes, revisions }, context): Plan {
    const { selector } = set.spec
    const { owned: pods, changes: podClaims } = claim(set, daemonSet, selector, podKind, podView)
    const { owned, changes: revisionClaims } = claim(set, daemonSet, selector, controllerRevision, revisions)
    const claims = [...podClaims, ...revisionClaims]
    if (claims.length > 0) return { changes: claims }
    if (isDeleting(set)) return { changes: [] }
    const history = historyOf(set, owned, revisions)
    if (history.changes.length > 0) return { changes: history.changes }
    const hash = hashOf(history.current)
    const spots = spotsOf(set, nodes.list(), pods)
    const status = statusOf(set, spots, hash, context.nowMs)
    const told = sameJson(status, set.status) ? [] : [updateStatus(daemonSet, { ...set, status })]
    const kept = keep(set, spots, hash, context)
    const rolled = kept.changes.length > 0 ? [] : roll(set, spots, hash, context.nowMs)
    const inUse = new Set(pods.map(one => one.metadata.labels?.[revisionHashLabel] ?? ''))
    const stray = pods.filter(one => !isDeleting(one) && nodes.get(undefined, targetNode(one)) === undefined)
    return {
      changes: [
        ...told,
        ...kept.changes,
        // A pod that was never bound, made for a node that is gone.
        ...stray.filter(one => !one.spec.nodeName).map(one => remove(podKind, one, {}, set)),
        ...rolled,
        ...forgetRevisions(set, history.old, inUse),
      ],
      ...againAt(set, pods, kept.againAtMs, context.nowMs),
    }
  },
})

function spotsOf(set: DaemonSet, nodes: readonly Node[], pods: readonly Pod[]): readonly Spot[] {
  const byNode = new Map<string, Pod[]>()
  for (const one of pods) {
    // Ended and on its way out: it does not stand in the way of the next one.
    if (isFinished(one) && isDeleting(one)) continue
    const here = byNode.get(targetNode(one))
    if (here) here.push(one)
    else byNode.set(targetNode(one), [one])
  }
  return nodes.map(node => ({ node, ...placeOf(set, node), pods: byNode.get(node.metadata.name) ?? [] }))
}

function byAge(a: Pod, b: Pod): number {
  const assigned = (one: Pod) => (one.spec.nodeName ? 0 : 1)
  return assigned(a) - assigned(b) || createdMs(a) - createdMs(b) || compareText(a.metadata.name, b.metadata.name)
}

function isUpdated(one: Pod, hash: string): boolean {
  return hash !== '' && one.metadata.labels?.[revisionHashLabel] === hash
}

function isUp(set: DaemonSet, one: Pod, nowMs: number): boolean {
  return isAvailable(one, set.spec.minReadySeconds ?? 0, nowMs)
}

/** One pod where there should be one, none where there should not. */
function keep(
  set: DaemonSet,
  spots: readonly Spot[],
  hash: string,
  { nowMs }: Context,
): { readonly changes: readonly Change[]; readonly againAtMs?: number } {
  const removals: Change[] = []
  const needing: string[] = []
  let againAtMs = Number.POSITIVE_INFINITY
  for (const { node, shouldRun, mayStay, pods } of spots) {
    const there = pods.filter(one => !isDeleting(one))
    if (!mayStay) removals.push(...there.map(one => remove(podKind, one, {}, set)))
    else if (shouldRun && pods.length === 0) needing.push(node.metadata.name)
    else {
      for (const one of there.filter(isFinished)) {
        const dueMs = createdMs(one) + failedPodKeptMs
        if (nowMs < dueMs) againAtMs = Math.min(againAtMs, dueMs)
        else removals.push(...replaceEnded(set, node, one))
      }
      const redundant = redundantOf(
        set,
        there.filter(one => !isFinished(one)),
        hash,
        nowMs,
      )
      removals.push(...redundant.map(one => remove(podKind, one, {}, set)))
    }
  }
  const creations = needing.slice(0, burstReplicas).map(name => create(podKind, podFor(set, name, hash), set))
  const changes = [...removals, ...creations]
  return Number.isFinite(againAtMs) ? { changes, againAtMs } : { changes }
}

function replaceEnded(set: DaemonSet, node: Node, one: Pod): readonly Change[] {
  const isFailed = one.status.phase === 'Failed'
  const name = `${one.metadata.namespace ?? ''}/${one.metadata.name}`
  const kind = isFailed ? 'failed' : 'succeeded'
  return [
    tell(
      set,
      isFailed ? 'Warning' : 'Normal',
      isFailed ? 'FailedDaemonPod' : 'SucceededDaemonPod',
      `Found ${kind} daemon pod ${name} on node ${node.metadata.name}, will try to ${isFailed ? 'kill' : 'delete'} it`,
    ),
    remove(podKind, one, {}, set),
  ]
}

/** Of the pods on one node, those that are too many. While surging, one old and one new may stand side by side. */
function redundantOf(set: DaemonSet, pods: readonly Pod[], hash: string, nowMs: number): readonly Pod[] {
  if (pods.length <= 1) return []
  const sorted = pods.toSorted(byAge)
  if (surgeOf(set, 1).maxSurge === 0) return sorted.slice(1)
  const newest = sorted.find(one => isUpdated(one, hash))
  const old = sorted.find(one => !isUpdated(one, hash))
  const others = sorted.filter(one => one !== newest && one !== old)
  const isReplaced = newest !== undefined && old !== undefined && (!isReady(old) || isUp(set, newest, nowMs))
  return isReplaced ? [...others, old] : others
}

function surgeOf({ spec }: DaemonSet, desired: number): { readonly maxSurge: number; readonly maxUnavailable: number } {
  if (spec.updateStrategy.type !== 'RollingUpdate') return { maxSurge: 0, maxUnavailable: 0 }
  const { maxSurge = 0, maxUnavailable = 1 } = spec.updateStrategy.rollingUpdate ?? {}
  const surge = scaled(maxSurge, desired, 'up')
  const unavailable = scaled(maxUnavailable, desired, 'up')
  return surge === 0 && unavailable === 0
    ? { maxSurge: 0, maxUnavailable: 1 }
    : { maxSurge: surge, maxUnavailable: unavailable }
}

/** Replaces old pods, as many at a time as may be missing, or as may be there twice. */
function roll(set: DaemonSet, spots: readonly Spot[], hash: string, nowMs: number): readonly Change[] {
  if (set.spec.updateStrategy.type !== 'RollingUpdate') return []
  const { maxSurge, maxUnavailable } = surgeOf(set, spots.filter(({ shouldRun }) => shouldRun).length)
  const free: Change[] = []
  const candidates: Change[] = []
  let busy = 0
  for (const { node, shouldRun, pods } of spots) {
    if (!shouldRun) continue
    const there = pods.filter(one => !isDeleting(one))
    const fresh = there.filter(one => isUpdated(one, hash))
    const old = there.filter(one => !isUpdated(one, hash))
    const [oldest] = old
    const replace =
      oldest === undefined
        ? undefined
        : maxSurge === 0
          ? remove(podKind, oldest, {}, set)
          : create(podKind, podFor(set, node.metadata.name, hash), set)
    if (fresh.length === 0 && old.length === 1 && oldest !== undefined && replace !== undefined) {
      // An old pod that does not work is replaced without being counted: nothing is lost by it.
      if (isUp(set, oldest, nowMs)) candidates.push(replace)
      else {
        free.push(replace)
        if (maxSurge === 0) busy += 1
      }
    } else if (maxSurge > 0) {
      if (fresh.length > 0 && old.length > 0) busy += 1
    } else if (!(fresh.length === 1 && old.length === 0 && fresh.every(one => isUp(set, one, nowMs)))) busy += 1
  }
  const room = Math.max(0, (maxSurge > 0 ? maxSurge : maxUnavailable) - busy)
  return [...free, ...candidates.slice(0, room)]
}

function statusOf(set: DaemonSet, spots: readonly Spot[], hash: string, nowMs: number): DaemonSetStatus {
  const wanted = spots.filter(({ shouldRun }) => shouldRun)
  const placed = wanted.filter(({ pods }) => pods.length > 0)
  const first = placed.flatMap(({ pods }) => pods.toSorted(byAge).slice(0, 1))
  // While surging, the one that works counts.
  const best = placed.map(({ pods }) => pods.find(one => isUp(set, one, nowMs)) ?? pods[0])
  const available = best.filter(one => one !== undefined && isUp(set, one, nowMs)).length
  const ready = best.filter(one => one !== undefined && isReady(one)).length
  const updated = placed.filter(({ pods }) => pods.some(one => !isDeleting(one) && isUpdated(one, hash))).length
  const { collisionCount } = set.status
  return {
    currentNumberScheduled: first.length,
    numberMisscheduled: spots.filter(({ shouldRun, pods }) => !shouldRun && pods.length > 0).length,
    desiredNumberScheduled: wanted.length,
    numberReady: ready,
    observedGeneration: set.metadata.generation ?? 0,
    ...(updated > 0 && { updatedNumberScheduled: updated }),
    ...(available > 0 && { numberAvailable: available }),
    ...(wanted.length > available && { numberUnavailable: wanted.length - available }),
    ...(collisionCount !== undefined && { collisionCount }),
    ...(set.status.conditions && { conditions: set.status.conditions }),
  }
}

function againAt(
  set: DaemonSet,
  pods: readonly Pod[],
  otherMs: number | undefined,
  nowMs: number,
): { readonly againAtMs?: number } {
  const waitMs = (set.spec.minReadySeconds ?? 0) * 1_000
  const times = waitMs === 0 ? [] : pods.map(one => readySinceMs(one) + waitMs).filter(atMs => atMs > nowMs)
  const all = otherMs === undefined ? times : [...times, otherMs]
  return all.length === 0 ? {} : { againAtMs: Math.min(...all) }
}
