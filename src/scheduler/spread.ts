// Topology spread: the same number of a pod's kin in every zone, or on every node. Pure; made once per decision.
// After kubernetes pkg/scheduler/framework/plugins/podtopologyspread.
import type { Pod } from '../api/kinds/pod.ts'
import type { TopologySpreadConstraint } from '../api/types/affinity.ts'
import { repellingTaint, wantsNode } from '../client/nodefit.ts'
import { controllerOf, isDeleting } from '../client/objects.ts'
import { matchesLabels, type Requirement, requirementsOf } from '../lib/selector.ts'
import type { ClusterView, NodeInfo } from './state.ts'

export const zoneLabel = 'topology.kubernetes.io/zone'

function kinOf(constraint: TopologySpreadConstraint, pod: Pod): readonly Requirement[] | undefined {
  const requirements = requirementsOf(constraint.labelSelector)
  const labels = pod.metadata.labels ?? {}
  const extra = (constraint.matchLabelKeys ?? []).flatMap(key =>
    labels[key] === undefined ? [] : [{ key, operator: 'In' as const, values: [labels[key]] }],
  )
  return requirements && [...requirements, ...extra]
}

function isCounted(constraint: TopologySpreadConstraint, pod: Pod, info: NodeInfo): boolean {
  if ((constraint.nodeAffinityPolicy ?? 'Honor') === 'Honor' && !wantsNode(pod, info.node)) return false
  return constraint.nodeTaintsPolicy !== 'Honor' || repellingTaint(pod, info.node) === undefined
}

function kinOn(info: NodeInfo, pod: Pod, kin: readonly Requirement[]): number {
  let count = 0
  for (const other of info.pods.values()) {
    if (other.metadata.namespace !== pod.metadata.namespace || isDeleting(other)) continue
    if (matchesLabels(kin, other.metadata.labels)) count += 1
  }
  return count
}

type Spread = {
  readonly constraint: TopologySpreadConstraint
  readonly counts: ReadonlyMap<string, number>
  readonly self: number
}

function spreadsOf(pod: Pod, constraints: readonly TopologySpreadConstraint[], view: ClusterView): readonly Spread[] {
  return constraints.map(constraint => {
    const kin = kinOf(constraint, pod)
    const counts = new Map<string, number>()
    for (const info of view.nodes) {
      // A node counts only where all constraints can be told.
      if (constraints.some(({ topologyKey }) => info.labels[topologyKey] === undefined)) continue
      const value = info.labels[constraint.topologyKey]
      if (value === undefined || !isCounted(constraint, pod, info)) continue
      counts.set(value, (counts.get(value) ?? 0) + (kin === undefined ? 0 : kinOn(info, pod, kin)))
    }
    const self = kin !== undefined && matchesLabels(kin, pod.metadata.labels) ? 1 : 0
    return { constraint, counts, self }
  })
}

/** Undefined when the pod may go to the node, else why not, in upstream's words. */
export function spreadFilter(pod: Pod, view: ClusterView): (info: NodeInfo) => string | undefined {
  const hard = (pod.spec.topologySpreadConstraints ?? []).filter(one => one.whenUnsatisfiable === 'DoNotSchedule')
  if (hard.length === 0) return () => undefined
  const spreads = spreadsOf(pod, hard, view).map(spread => {
    const few = spread.counts.size < (spread.constraint.minDomains ?? 1)
    return { ...spread, least: few || spread.counts.size === 0 ? 0 : Math.min(...spread.counts.values()) }
  })
  return info => {
    for (const { constraint, counts, self, least } of spreads) {
      const value = info.labels[constraint.topologyKey]
      if (value === undefined) return "node(s) didn't match pod topology spread constraints (missing required label)"
      const skew = (counts.get(value) ?? 0) + self - least
      if (skew > constraint.maxSkew) return "node(s) didn't match pod topology spread constraints"
    }
    return undefined
  }
}

/**
 * Lower is better; undefined for nodes that a constraint cannot be told of. Without constraints of its own a pod is spread
 * from others of its controller, or of the services it stands behind, over nodes and zones.
 */
export function spreadScore(
  pod: Pod,
  view: ClusterView,
  candidates: readonly NodeInfo[],
): ((info: NodeInfo) => number | undefined) | undefined {
  const soft = (pod.spec.topologySpreadConstraints ?? []).filter(one => one.whenUnsatisfiable === 'ScheduleAnyway')
  if (soft.length === 0) {
    return (pod.spec.topologySpreadConstraints ?? []).length > 0 ? undefined : defaultScore(pod, view, candidates)
  }
  const spreads = soft.map(constraint => {
    const kin = kinOf(constraint, pod) ?? []
    const counts = new Map<string, number>()
    for (const info of view.nodes) {
      const value = info.labels[constraint.topologyKey]
      if (value === undefined || !isCounted(constraint, pod, info)) continue
      counts.set(value, (counts.get(value) ?? 0) + kinOn(info, pod, kin))
    }
    return { constraint, counts, weight: Math.log(counts.size + 2) }
  })
  return info => {
    let sum = 0
    for (const { constraint, counts, weight } of spreads) {
      const value = info.labels[constraint.topologyKey]
      if (value === undefined) return undefined
      sum += (counts.get(value) ?? 0) * weight + (constraint.maxSkew - 1)
    }
    return Math.round(sum)
  }
}

function defaultScore(
  pod: Pod,
  view: ClusterView,
  candidates: readonly NodeInfo[],
): ((info: NodeInfo) => number) | undefined {
  const owner = controllerOf(pod)?.uid
  const kin =
    owner === undefined
      ? view
          .services(pod.metadata.namespace ?? '')
          .map(({ spec }) => requirementsOf({ matchLabels: spec.selector ?? {} }) ?? [])
          .filter(requirements => requirements.length > 0 && matchesLabels(requirements, pod.metadata.labels))
          .flat()
      : []
  if (owner === undefined && kin.length === 0) return undefined
  const perNode = new Map<string, number>()
  const perZone = new Map<string, number>()
  for (const info of view.nodes) {
    const count = owner === undefined ? kinOn(info, pod, kin) : (info.owners.get(owner) ?? 0)
    perNode.set(info.name, count)
    const zone = info.labels[zoneLabel]
    if (zone !== undefined) perZone.set(zone, (perZone.get(zone) ?? 0) + count)
  }
  const nodeWeight = Math.log(candidates.length + 2)
  const zoneWeight = Math.log(perZone.size + 2)
  return info => {
    const zone = info.labels[zoneLabel]
    const inZone = zone === undefined ? 0 : (perZone.get(zone) ?? 0) * zoneWeight
    return (perNode.get(info.name) ?? 0) * nodeWeight + inZone
  }
}
