// The number that a pod's priority class stands for, as it is created. Pure. After plugin/pkg/admission/priority.
// https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
import { ApiError } from '../../api/error.ts'
import { type Pod, pod as podKind } from '../../api/kinds/pod.ts'
import { type PriorityClass, priorityClass } from '../../api/kinds/priorityclass.ts'
import { systemPriorities } from '../../api/pod/defaults.ts'
import { KeptDerivation } from '../../lib/kept.ts'
import type { Plugin } from './admission.ts'
import { isNewPod } from './serviceaccount.ts'

export const priority: Plugin = {
  name: 'Priority',
  handles: change =>
    isNewPod(change) || (change.verb === 'UPDATE' && change.objectKind === podKind && change.subresource === undefined),
  reads: ({ verb }) => (verb === 'CREATE' ? [{ kind: priorityClass }] : []),
  mutate: ({ object, old }, seen) =>
    old === undefined ? withPriority(object as Pod, seen.all(priorityClass)) : keptPriority(object as Pod, old as Pod),
}

/** Of all classes one may be the default. */
export const oneDefault: Plugin = {
  name: 'Priority',
  handles: change => change.objectKind === priorityClass && (change.verb === 'CREATE' || change.verb === 'UPDATE'),
  reads: () => [{ kind: priorityClass }],
  validate({ object }, seen) {
    const { globalDefault, metadata } = object as PriorityClass
    const other = globalDefault === true ? defaultOf(seen.all(priorityClass)) : undefined
    if (other === undefined || other.metadata.name === metadata.name) return undefined
    throw new ApiError(
      'Forbidden',
      `priorityclasses.scheduling.k8s.io "${metadata.name}" is forbidden: PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`,
      { name: metadata.name, group: priorityClass.group, kind: priorityClass.plural },
    )
  },
}

type Chosen = Pick<Pod['spec'], 'priorityClassName'> & {
  readonly priority: number
  readonly preemptionPolicy: 'PreemptLowerPriority' | 'Never'
}

export function withPriority(pod: Pod, classes: readonly PriorityClass[]): Pod {
  const chosen = choose(pod, classes)
  const { priority: number, preemptionPolicy: policy } = pod.spec
  const said = (what: string, given: unknown, computed: unknown) =>
    forbidden(
      pod,
      `the ${what} (${given}) must not be provided in pod spec; priority admission controller computed ${computed} from the given PriorityClass name`,
    )
  if (number !== undefined && number !== chosen.priority) {
    throw said('integer value of priority', number, chosen.priority)
  }
  if (policy !== undefined && policy !== chosen.preemptionPolicy) {
    throw said('string value of preemptionPolicy', policy, chosen.preemptionPolicy)
  }
  const { priorityClassName = '', priority, preemptionPolicy } = chosen
  const how = `${priorityClassName} ${priority} ${preemptionPolicy}`
  return { ...pod, spec: rankedOf.of(pod.spec, how, () => ({ ...pod.spec, ...chosen })) }
}

const rankedOf = new KeptDerivation<string, Pod['spec']>()

function choose(pod: Pod, classes: readonly PriorityClass[]): Chosen {
  const named = pod.spec.priorityClassName ?? ''
  // Two classes are there without being stored.
  const ofSystem = systemPriorities[named]
  if (ofSystem !== undefined) return { priority: ofSystem, preemptionPolicy: 'PreemptLowerPriority' }
  const found = named === '' ? defaultOf(classes) : classes.find(({ metadata }) => metadata.name === named)
  if (found === undefined) {
    if (named !== '') throw forbidden(pod, `no PriorityClass with name ${named} was found`)
    return { priority: 0, preemptionPolicy: 'PreemptLowerPriority' }
  }
  const { value, preemptionPolicy = 'PreemptLowerPriority', metadata } = found
  return { priorityClassName: metadata.name, priority: value, preemptionPolicy }
}

function forbidden({ metadata: { name } }: Pod, why: string): ApiError {
  return new ApiError('Forbidden', `pods "${name}" is forbidden: ${why}`, { name, kind: 'pods' })
}

/** Of several defaults the lowest, as upstream. */
function defaultOf(classes: readonly PriorityClass[]): PriorityClass | undefined {
  return classes.filter(({ globalDefault }) => globalDefault === true).toSorted((a, b) => a.value - b.value)[0]
}

/** Who does not name it when the pod is updated does not mean to change it. */
function keptPriority(pod: Pod, { spec: old }: Pod): Pod {
  const number = pod.spec.priority ?? old.priority
  const policy = pod.spec.preemptionPolicy ?? old.preemptionPolicy
  return {
    ...pod,
    spec: {
      ...pod.spec,
      ...(number !== undefined && { priority: number }),
      ...(policy !== undefined && { preemptionPolicy: policy }),
    },
  }
}
