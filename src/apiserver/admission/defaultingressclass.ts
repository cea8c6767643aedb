// DefaultIngressClass: an Ingress that names no class gets the one that is marked as the default; of several, the newest.
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#defaultingressclass
import { resourceOf } from '../../api/kind.ts'
import type { Ingress } from '../../api/kinds/ingress.ts'
import { type IngressClass, ingressClass } from '../../api/kinds/ingressclass.ts'
import { compareText } from '../../lib/sorted.ts'
import type { Plugin } from './admission.ts'

const defaultAnnotation = 'ingressclass.kubernetes.io/is-default-class'
const classAnnotation = 'kubernetes.io/ingress.class'

export const defaultIngressClass: Plugin = {
  name: 'DefaultIngressClass',
  handles: ({ kind, verb, subresource, object }) =>
    resourceOf(kind) === 'ingresses.networking.k8s.io' &&
    verb === 'CREATE' &&
    subresource === undefined &&
    isClassless(object as Ingress),
  reads: () => [{ kind: ingressClass }],
  mutate: ({ object }, seen) => {
    const ingress = object as Ingress
    const [chosen] = seen
      .all(ingressClass)
      .filter(({ metadata }) => metadata.annotations?.[defaultAnnotation] === 'true')
      .toSorted(byAge)
    if (chosen === undefined) return ingress
    return { ...ingress, spec: { ...ingress.spec, ingressClassName: chosen.metadata.name } } as Ingress
  },
}

function isClassless({ metadata, spec }: Ingress): boolean {
  return spec.ingressClassName === undefined && metadata.annotations?.[classAnnotation] === undefined
}

/** The newest first; of two of the same second, the one whose name comes first. */
function byAge(a: IngressClass, b: IngressClass): number {
  return (
    compareText(b.metadata.creationTimestamp, a.metadata.creationTimestamp) ||
    compareText(a.metadata.name, b.metadata.name)
  )
}
