// Node selectors and node affinity, taints and tolerations. Pure.
// After kubernetes staging/src/k8s.io/component-helpers/scheduling/corev1.
import type { Node } from '../api/kinds/node.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { NodeSelectorTerm, Taint, Toleration } from '../api/types/affinity.ts'
import { matchesRequirement } from '../lib/selector.ts'

type Labels = Readonly<Record<string, string>>

/** An empty term matches nothing. */
export function matchesTerm(term: NodeSelectorTerm, node: Node): boolean {
  const { matchExpressions = [], matchFields = [] } = term
  if (matchExpressions.length === 0 && matchFields.length === 0) return false
  const labels: Labels = node.metadata.labels ?? {}
  const fields: Labels = { 'metadata.name': node.metadata.name }
  return (
    matchExpressions.every(one => matchesRequirement({ ...one, values: one.values ?? [] }, labels)) &&
    matchFields.every(one => matchesRequirement({ ...one, values: one.values ?? [] }, fields))
  )
}

/** nodeSelector and the required node affinity: all of the one, any term of the other. */
export function wantsNode({ spec }: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {}
  for (const [key, value] of Object.entries(spec.nodeSelector ?? {})) if (labels[key] !== value) return false
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  return required === undefined || required.nodeSelectorTerms.some(term => matchesTerm(term, node))
}

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false
  if (toleration.key && toleration.key !== taint.key) return false
  if (!toleration.key && toleration.operator !== 'Exists') return false
  return toleration.operator === 'Exists' || (toleration.value ?? '') === (taint.value ?? '')
}

export function isTolerated(taint: Taint, tolerations: readonly Toleration[]): boolean {
  return tolerations.some(toleration => tolerates(toleration, taint))
}

/** The first taint that keeps the pod off the node. */
export function repellingTaint({ spec }: Pod, node: Node): Taint | undefined {
  const tolerations = spec.tolerations ?? []
  return (node.spec.taints ?? []).find(taint => taint.effect !== 'PreferNoSchedule' && !isTolerated(taint, tolerations))
}
