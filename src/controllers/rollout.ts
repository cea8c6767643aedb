// How many pods each ReplicaSet of a Deployment gets: rolling update within maxSurge and maxUnavailable, proportional
// scaling, Recreate. Pure arithmetic on sizes. After kubernetes pkg/controller/deployment/{rolling,recreate,sync}.go.
import type { Deployment } from '../api/kinds/deployment.ts'
import type { ReplicaSet } from '../api/kinds/replicaset.ts'
import { scaled } from './intorpercent.ts'
import { byCreation, desiredAnnotation, maxAnnotation } from './revision.ts'

/** The new size of one set. */
export type Resize = { readonly set: ReplicaSet; readonly replicas: number }

/** How many pods may be too many, and how many may be missing. */
export function fenceposts(deployment: Deployment): { readonly maxSurge: number; readonly maxUnavailable: number } {
  const { replicas, strategy } = deployment.spec
  if (strategy.type !== 'RollingUpdate' || replicas === 0) return { maxSurge: 0, maxUnavailable: 0 }
  const maxSurge = scaled(strategy.rollingUpdate?.maxSurge ?? '25%', replicas, 'up')
  const maxUnavailable = scaled(strategy.rollingUpdate?.maxUnavailable ?? '25%', replicas, 'down')
  // Both zero (by rounding) would never move: one may then be missing.
  if (maxSurge === 0 && maxUnavailable === 0) return { maxSurge: 0, maxUnavailable: 1 }
  return { maxSurge, maxUnavailable: Math.min(maxUnavailable, replicas) }
}

export function sum(sets: readonly ReplicaSet[], count: (set: ReplicaSet) => number | undefined): number {
  return sets.reduce((total, set) => total + (count(set) ?? 0), 0)
}

export const sizeOf = (set: ReplicaSet): number => set.spec.replicas
const availableOf = (set: ReplicaSet): number => set.status.availableReplicas ?? 0

/** The size that a new set may grow to now. `size` is what it has. */
export function newSetSize(deployment: Deployment, size: number, allSizes: number): number {
  const { replicas, strategy } = deployment.spec
  if (strategy.type === 'Recreate') return replicas
  if (size >= replicas) return replicas
  const room = replicas + fenceposts(deployment).maxSurge - allSizes
  return room <= 0 ? size : size + Math.min(room, replicas - size)
}

/** Shrinks old sets, first what is not available anyway, then as far as enough available pods remain. */
export function shrinkOld(deployment: Deployment, newSet: ReplicaSet, old: readonly ReplicaSet[]): readonly Resize[] {
  const all = [newSet, ...old]
  const oldest = old.toSorted(byCreation)
  const minAvailable = deployment.spec.replicas - fenceposts(deployment).maxUnavailable
  // Pods of the new set that are not available yet must not be counted on.
  const newUnavailable = sizeOf(newSet) - availableOf(newSet)
  const cleanupMax = sum(all, sizeOf) - minAvailable - newUnavailable
  if (sum(old, sizeOf) === 0 || cleanupMax <= 0) return []
  const sizes = new Map(oldest.map(set => [set, sizeOf(set)]))
  let cleaned = 0
  for (const set of oldest) {
    const less = Math.min(cleanupMax - cleaned, sizeOf(set) - availableOf(set))
    if (less <= 0) continue
    sizes.set(set, sizeOf(set) - less)
    cleaned += less
  }
  let spare = sum(all, availableOf) - minAvailable
  for (const set of oldest) {
    const size = sizes.get(set) ?? 0
    const less = Math.min(size, Math.max(spare, 0))
    sizes.set(set, size - less)
    spare -= less
  }
  return oldest
    .map(set => ({ set, replicas: sizes.get(set) ?? 0 }))
    .filter(({ set, replicas }) => replicas !== sizeOf(set))
}

/** True when all is at the wanted size and available: then whatever old sets still have may go. */
function isSaturated(deployment: Deployment, set: ReplicaSet | undefined): boolean {
  const { replicas } = deployment.spec
  if (set === undefined || set.metadata.annotations?.[desiredAnnotation] === undefined) return false
  const desired = Number(set.metadata.annotations[desiredAnnotation])
  return sizeOf(set) === replicas && desired === replicas && availableOf(set) === replicas
}

/**
 * A change of `replicas` in the middle of a rollout (or while paused): every active set grows or shrinks in proportion, so
 * that a bad template does not get all the new pods. Gives every set that must be written, some with an unchanged size,
 * because their annotations say what they were scaled for.
 */
export function proportional(
  deployment: Deployment,
  newSet: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): readonly Resize[] {
  const { replicas, strategy } = deployment.spec
  const all = newSet === undefined ? old : [...old, newSet]
  const active = all.filter(set => sizeOf(set) > 0)
  const only =
    active.length === 0 ? (newSet ?? old.toSorted(byCreation).at(-1)) : active.length === 1 ? active[0] : undefined
  if (only !== undefined) return [{ set: only, replicas }]
  if (active.length === 0) return []
  if (isSaturated(deployment, newSet)) {
    return old.filter(set => sizeOf(set) > 0).map(set => ({ set, replicas: 0 }))
  }
  if (strategy.type !== 'RollingUpdate') return active.map(set => ({ set, replicas: sizeOf(set) }))
  const allowed = replicas > 0 ? replicas + fenceposts(deployment).maxSurge : 0
  const toAdd = allowed - sum(active, sizeOf)
  const newerFirst = toAdd > 0
  const sorted = active.toSorted((a, b) => sizeOf(b) - sizeOf(a) || (newerFirst ? byCreation(b, a) : byCreation(a, b)))
  let added = 0
  const sizes = sorted.map(set => {
    const share = toAdd === 0 ? 0 : shareOf(deployment, set, toAdd, added)
    added += share
    return sizeOf(set) + share
  })
  return sorted.map((set, i) => ({ set, replicas: Math.max(0, (sizes[i] ?? 0) + (i === 0 ? toAdd - added : 0)) }))
}

function shareOf(deployment: Deployment, set: ReplicaSet, toAdd: number, added: number): number {
  if (sizeOf(set) === 0 || toAdd === added) return 0
  const fraction = fractionOf(deployment, set)
  const rest = toAdd - added
  return toAdd > 0 ? Math.min(fraction, rest) : Math.max(fraction, rest)
}

function fractionOf(deployment: Deployment, set: ReplicaSet): number {
  const { replicas } = deployment.spec
  if (replicas === 0) return -sizeOf(set)
  const most = replicas + fenceposts(deployment).maxSurge
  const noted = Number(set.metadata.annotations?.[maxAnnotation] ?? 0)
  const base = noted > 0 ? noted : (deployment.status.replicas ?? 0)
  if (base === 0) return 0
  const size = (sizeOf(set) * most) / base
  return Math.round(size) - sizeOf(set)
}
