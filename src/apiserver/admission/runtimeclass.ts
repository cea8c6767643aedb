// RuntimeClass: what a pod's class takes of a node besides its containers, and where and among what its pods may run. Pure.
// After kubernetes plugin/pkg/admission/runtimeclass. https://kubernetes.io/docs/concepts/containers/runtime-class/
import { equalJson } from '../../api/equal.ts'
import { ApiError } from '../../api/error.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import { runtimeClass as kind, type RuntimeClass } from '../../api/kinds/runtimeclass.ts'
import type { Amounts } from '../../api/pod/totals.ts'
import { canonicalQuantity } from '../../lib/quantity.ts'
import { sortedBy } from '../../lib/sorted.ts'
import type { Change, Plugin, Reading } from './admission.ts'
import { isNewPod } from './serviceaccount.ts'

const classOf = ({ object }: Change): string => (object as Pod).spec.runtimeClassName ?? ''

export const runtimeClass: Plugin = {
  name: 'RuntimeClass',
  handles: isNewPod,
  reads: change => (classOf(change) === '' ? [] : [{ kind, name: classOf(change) }]),
  mutate(change, seen) {
    const found = foundClass(change, seen)
    const pod = change.object as Pod
    return found === undefined ? pod : scheduled(change, withOverhead(change, pod, found), found)
  },
  validate(change, seen) {
    const found = foundClass(change, seen)
    const { overhead } = (change.object as Pod).spec
    if (found?.overhead !== undefined) {
      if (!sameAmounts(overhead ?? {}, found.overhead.podFixed ?? {})) throw refused(change, mismatch)
    } else if (Object.keys(overhead ?? {}).length > 0) {
      throw refused(change, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead')
    }
    return undefined
  },
}

const mismatch = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"

function refused({ name }: Change, why: string): ApiError {
  return new ApiError('Forbidden', `pods ${JSON.stringify(name)} is forbidden: ${why}`, { name, kind: 'pods' })
}

function foundClass(change: Change, seen: Reading): RuntimeClass | undefined {
  const name = classOf(change)
  if (name === '') return undefined
  const found = seen.one(kind, undefined, name)
  if (found === undefined) throw refused(change, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`)
  return found
}

function sameAmounts(a: Amounts, b: Amounts): boolean {
  const shown = (amounts: Amounts) =>
    sortedBy(Object.entries(amounts), ([name]) => name).map(([name, amount]) => [name, canonicalQuantity(amount)])
  return equalJson(shown(a), shown(b))
}

function withOverhead(change: Change, pod: Pod, { overhead }: RuntimeClass): Pod {
  const fixed = overhead?.podFixed
  if (fixed === undefined) return pod
  const given = pod.spec.overhead ?? {}
  if (Object.keys(given).length > 0 && !sameAmounts(given, fixed)) throw refused(change, mismatch)
  return { ...pod, spec: { ...pod.spec, overhead: fixed } }
}

function scheduled(change: Change, pod: Pod, { scheduling }: RuntimeClass): Pod {
  if (scheduling === undefined) return pod
  const wanted = scheduling.nodeSelector ?? {}
  const given = pod.spec.nodeSelector ?? {}
  for (const [key, value] of Object.entries(wanted)) {
    if (given[key] === undefined || given[key] === value) continue
    const ours = `runtimeClass.scheduling.nodeSelector[${key}] = ${value}`
    throw refused(change, `conflict: ${ours}; pod.spec.nodeSelector[${key}] = ${given[key]}`)
  }
  const nodeSelector = { ...given, ...wanted }
  const tolerations = [...(pod.spec.tolerations ?? [])]
  for (const one of scheduling.tolerations ?? []) {
    if (!tolerations.some(other => equalJson(other, one))) tolerations.push(one)
  }
  return {
    ...pod,
    spec: {
      ...pod.spec,
      ...(Object.keys(nodeSelector).length > 0 && { nodeSelector }),
      ...(tolerations.length > 0 && { tolerations }),
    },
  }
}
