// Whether a PodDisruptionBudget lets a pod be evicted, and what it has left after that. Pure. After
// pkg/registry/core/pod/rest/eviction.go. https://kubernetes.io/docs/concepts/workloads/pods/disruptions/
import { ApiError } from '../api/error.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { PodDisruptionBudget } from '../api/kinds/poddisruptionbudget.ts'
import { rfc3339 } from '../lib/duration.ts'
import { selects } from '../lib/selector.ts'

const disruptedCountMax = 2_000

/** undefined: no budget is asked. Otherwise the budget to store with the eviction. Throws TooManyRequests. */
export function spend(
  pod: Pod,
  budgets: readonly PodDisruptionBudget[],
  nowMs: number,
): PodDisruptionBudget | undefined {
  const { phase } = pod.status
  const disrupts = phase !== 'Succeeded' && phase !== 'Failed' && phase !== 'Pending' && phase !== undefined
  if (!disrupts || pod.metadata.deletionTimestamp !== undefined) return undefined
  const [budget, ...others] = budgets.filter(({ spec }) => selects(spec.selector, pod.metadata.labels))
  if (budget === undefined) return undefined
  if (others.length > 0) {
    const message = 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.'
    throw new ApiError('InternalError', message)
  }
  const { status, metadata, spec } = budget
  const { disruptionsAllowed = 0, currentHealthy = 0, desiredHealthy = 0, disruptedPods = {} } = status
  const ready = (pod.status.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True')
  if (!ready) {
    // A pod that serves nobody disrupts nobody, as long as enough others are healthy.
    if (spec.unhealthyPodEvictionPolicy === 'AlwaysAllow') return undefined
    if (currentHealthy >= desiredHealthy && desiredHealthy > 0) return undefined
  }
  if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0)) {
    throw refused(`The disruption budget ${metadata.name} is still being processed by the server.`, 10)
  }
  if (Object.keys(disruptedPods).length > disruptedCountMax) {
    const why = 'DisruptedPods map too big - too many evictions not confirmed by PDB controller'
    throw new ApiError('Forbidden', `poddisruptionbudgets.policy "${metadata.name}" is forbidden: ${why}`, {
      name: metadata.name,
      group: 'policy',
      kind: 'poddisruptionbudgets',
    })
  }
  if (disruptionsAllowed <= 0) {
    const message = `The disruption budget ${metadata.name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`
    throw refused(message)
  }
  const disrupted = { ...disruptedPods, [pod.metadata.name]: rfc3339(nowMs) }
  return {
    ...budget,
    status: { ...status, disruptionsAllowed: disruptionsAllowed - 1, disruptedPods: disrupted },
  }
}

/**
 * `retryAfterSeconds`: of what passes by itself. Nobody knows when a budget is good again, and clients that are told a time
 * wait in silence.
 */
function refused(why: string, retryAfterSeconds?: number): ApiError {
  const message = "Cannot evict pod as it would violate the pod's disruption budget."
  return new ApiError('TooManyRequests', message, {
    causes: [{ reason: 'DisruptionBudget', message: why }],
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  })
}
