// Affinity between pods: counts, per topology, of the pods that a pod wants near or far, and of those that want it far.
// Pure; made once per decision. After kubernetes pkg/scheduler/framework/plugins/interpodaffinity.
import type { Pod } from '../api/kinds/pod.ts'
import type { PodAffinityTerm, WeightedPodAffinityTerm } from '../api/types/affinity.ts'
import { isDeleting } from '../client/objects.ts'
import { matchesLabels, type Requirement, requirementsOf } from '../lib/selector.ts'
import type { ClusterView, NodeInfo } from './state.ts'

type Term = {
  readonly topologyKey: string
  readonly weight: number
  matches(pod: Pod, namespaceLabels: (name: string) => Readonly<Record<string, string>>): boolean
}

const compiled = new WeakMap<object, Map<string, Term>>()

/** A term as the pod that carries it means it; compiled once. */
function termOf(term: PodAffinityTerm, weight: number, owner: Pod): Term {
  const namespace = owner.metadata.namespace ?? ''
  const known = compiled.get(term)?.get(namespace)
  if (known !== undefined && known.weight === weight) return known
  const labels = owner.metadata.labels ?? {}
  const requirements = withLabelKeys(requirementsOf(term.labelSelector), term, labels)
  const spaces = requirementsOf(term.namespaceSelector)
  const named = term.namespaces ?? []
  const own = named.length === 0 && spaces === undefined ? [namespace] : named
  const made: Term = {
    topologyKey: term.topologyKey,
    weight,
    matches({ metadata }, namespaceLabels) {
      if (requirements === undefined || !matchesLabels(requirements, metadata.labels)) return false
      const name = metadata.namespace ?? ''
      return own.includes(name) || (spaces !== undefined && matchesLabels(spaces, namespaceLabels(name)))
    },
  }
  const byNamespace = compiled.get(term) ?? new Map<string, Term>()
  byNamespace.set(namespace, made)
  // With label keys the meaning depends on the carrier's labels too: do not keep it.
  if (!term.matchLabelKeys?.length && !term.mismatchLabelKeys?.length) compiled.set(term, byNamespace)
  return made
}

function withLabelKeys(
  requirements: readonly Requirement[] | undefined,
  { matchLabelKeys = [], mismatchLabelKeys = [] }: PodAffinityTerm,
  labels: Readonly<Record<string, string>>,
): readonly Requirement[] | undefined {
  const extra = (keys: readonly string[], operator: 'In' | 'NotIn') =>
    keys.flatMap(key => (labels[key] === undefined ? [] : [{ key, operator, values: [labels[key]] }]))
  return requirements && [...requirements, ...extra(matchLabelKeys, 'In'), ...extra(mismatchLabelKeys, 'NotIn')]
}

const required = (terms: readonly PodAffinityTerm[] | undefined, pod: Pod) =>
  (terms ?? []).map(term => termOf(term, 1, pod))
const preferred = (terms: readonly WeightedPodAffinityTerm[] | undefined, pod: Pod) =>
  (terms ?? []).map(({ podAffinityTerm, weight }) => termOf(podAffinityTerm, weight, pod))

/** topology key and value → count. */
class Counts {
  readonly byKey = new Map<string, Map<string, number>>()
  add(key: string, info: NodeInfo, amount: number): void {
    const value = info.labels[key]
    if (value === undefined || amount === 0) return
    const values = this.byKey.get(key) ?? new Map<string, number>()
    values.set(value, (values.get(value) ?? 0) + amount)
    this.byKey.set(key, values)
  }
  at(key: string, info: NodeInfo): number {
    const value = info.labels[key]
    return value === undefined ? 0 : (this.byKey.get(key)?.get(value) ?? 0)
  }
}

export type AffinityCheck = (info: NodeInfo) => string | undefined

/** Undefined when the pod may go to the node, else why not, in upstream's words. */
export function affinityFilter(pod: Pod, view: ClusterView): AffinityCheck {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {}
  const near = required(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution, pod)
  const far = required(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution, pod)
  const labelsOf = view.namespaces.labels
  const [nearCounts, farCounts, refused] = [new Counts(), new Counts(), new Counts()]
  for (const info of view.nodes) {
    for (const other of info.choosy.values()) {
      const terms = other.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution
      for (const term of required(terms, other)) {
        if (term.matches(pod, labelsOf)) refused.add(term.topologyKey, info, 1)
      }
    }
    if (near.length === 0 && far.length === 0) continue
    for (const other of info.pods.values()) {
      if (isDeleting(other)) continue
      // A pod counts for affinity only when it fits all terms.
      if (near.length > 0 && near.every(term => term.matches(other, labelsOf))) {
        for (const term of near) nearCounts.add(term.topologyKey, info, 1)
      }
      for (const term of far) if (term.matches(other, labelsOf)) farCounts.add(term.topologyKey, info, 1)
    }
  }
  // The first of a group that wants to be near itself may start anywhere.
  const isFirst = nearCounts.byKey.size === 0 && near.every(term => term.matches(pod, labelsOf))
  return info => {
    const hasKeys = near.every(term => info.labels[term.topologyKey] !== undefined)
    const isNear = near.every(term => nearCounts.at(term.topologyKey, info) > 0)
    if (near.length > 0 && !(hasKeys && (isNear || isFirst))) return "node(s) didn't match pod affinity rules"
    if (far.some(term => farCounts.at(term.topologyKey, info) > 0))
      return "node(s) didn't match pod anti-affinity rules"
    for (const [key] of refused.byKey) {
      if (refused.at(key, info) > 0) return "node(s) didn't satisfy existing pods anti-affinity rules"
    }
    return undefined
  }
}

/** Preferred terms, of the pod for others and of others for the pod. Undefined when there are none. */
export function affinityScore(pod: Pod, view: ClusterView): ((info: NodeInfo) => number) | undefined {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {}
  const near = preferred(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution, pod)
  const far = preferred(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution, pod)
  const labelsOf = view.namespaces.labels
  const counts = new Counts()
  for (const info of view.nodes) {
    if (near.length > 0 || far.length > 0) {
      for (const other of info.pods.values()) {
        if (isDeleting(other)) continue
        for (const term of near) if (term.matches(other, labelsOf)) counts.add(term.topologyKey, info, term.weight)
        for (const term of far) if (term.matches(other, labelsOf)) counts.add(term.topologyKey, info, -term.weight)
      }
    }
    for (const other of info.choosy.values()) {
      const { podAffinity: theirs, podAntiAffinity: theirAnti } = other.spec.affinity ?? {}
      const wishes = [
        ...required(theirs?.requiredDuringSchedulingIgnoredDuringExecution, other).map(term => ({ term, sign: 1 })),
        ...preferred(theirs?.preferredDuringSchedulingIgnoredDuringExecution, other).map(term => ({ term, sign: 1 })),
        ...preferred(theirAnti?.preferredDuringSchedulingIgnoredDuringExecution, other).map(term => ({
          term,
          sign: -1,
        })),
      ]
      for (const { term, sign } of wishes) {
        if (term.matches(pod, labelsOf)) counts.add(term.topologyKey, info, sign * term.weight)
      }
    }
  }
  if (counts.byKey.size === 0) return undefined
  return info => {
    let sum = 0
    for (const key of counts.byKey.keys()) sum += counts.at(key, info)
    return sum
  }
}
