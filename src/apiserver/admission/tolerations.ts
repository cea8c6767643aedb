// DefaultTolerationSeconds: a pod that says nothing of it stays five minutes on a node that is not ready or not to be
// reached. Pure. After plugin/pkg/admission/defaulttolerationseconds.
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
import { type Pod, pod as podKind } from '../../api/kinds/pod.ts'
import { KeptDerivation } from '../../lib/kept.ts'
import type { Plugin } from './admission.ts'

const evictionDelaySeconds = 300
const taints = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']

export const defaultTolerationSeconds: Plugin = {
  name: 'DefaultTolerationSeconds',
  handles: ({ verb, objectKind, subresource }) =>
    objectKind === podKind && subresource === undefined && (verb === 'CREATE' || verb === 'UPDATE'),
  mutate: ({ object }) => withPatience(object as Pod),
}

export function withPatience(pod: Pod): Pod {
  const spec = patientOf.of(pod.spec, undefined, () => patient(pod.spec))
  return spec === pod.spec ? pod : { ...pod, spec }
}

const patientOf = new KeptDerivation<undefined, Pod['spec']>()

function patient(spec: Pod['spec']): Pod['spec'] {
  const given = spec.tolerations ?? []
  const missing = taints.filter(
    taint =>
      !given.some(
        ({ key = '', effect = '' }) => (key === taint || key === '') && (effect === '' || effect === 'NoExecute'),
      ),
  )
  if (missing.length === 0) return spec
  const added = missing.map(key => ({
    key,
    operator: 'Exists' as const,
    effect: 'NoExecute' as const,
    tolerationSeconds: evictionDelaySeconds,
  }))
  return { ...spec, tolerations: [...given, ...added] }
}
