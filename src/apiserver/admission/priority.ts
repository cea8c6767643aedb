// The number that a pod's priority class stands for, as it is created. Pure. After plugin/pkg/admission/priority.
// https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
import { ApiError } from '../../api/error.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import { type PriorityClass, priorityClass } from '../../api/kinds/priorityclass.ts'
import { systemPriorities } from '../../api/pod/defaults.ts'
import type { Plugin } from './admission.ts'
import { isNewPod } from './serviceaccount.ts'

export const priority: Plugin = {
  name: 'Priority',
  handles: isNewPod,
  reads: () => [{ kind: priorityClass }],
  mutate: ({ object }, seen) => withPriority(object as Pod, seen.all(priorityClass)),
}

export function withPriority(pod: Pod, classes: readonly PriorityClass[]): Pod {
  const named = pod.spec.priorityClassName ?? ''
  // Two classes are there without being stored.
  if (systemPriorities[named] !== undefined) return pod
  const found = named === '' ? defaultOf(classes) : classes.find(({ metadata }) => metadata.name === named)
  if (found === undefined) {
    if (named === '') return pod
    const { name } = pod.metadata
    const message = `pods "${name}" is forbidden: no PriorityClass with name ${named} was found`
    throw new ApiError('Forbidden', message, { name, kind: 'pods' })
  }
  const { value, preemptionPolicy = 'PreemptLowerPriority', metadata } = found
  return { ...pod, spec: { ...pod.spec, priorityClassName: metadata.name, priority: value, preemptionPolicy } }
}

/** Of several defaults the lowest, as upstream. */
function defaultOf(classes: readonly PriorityClass[]): PriorityClass | undefined {
  return classes.filter(({ globalDefault }) => globalDefault === true).toSorted((a, b) => a.value - b.value)[0]
}
