// TaintNodesByCondition: a node begins with the taint that it is not ready, so that nothing is placed on it before somebody
// has looked; controllers/nodehealth.ts takes it away when the node is. Pure. After plugin/pkg/admission/nodetaint.
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#taintnodesbycondition
import { node as kind, type Node } from '../../api/kinds/node.ts'
import type { Plugin } from './admission.ts'

const key = 'node.kubernetes.io/not-ready'
const effect = 'NoSchedule'

export const nodeTaint: Plugin = {
  name: 'TaintNodesByCondition',
  handles: change => change.kind === kind && change.verb === 'CREATE' && change.subresource === undefined,
  mutate({ object }) {
    const node = object as Node
    const taints = node.spec.taints ?? []
    if (taints.some(taint => taint.key === key && taint.effect === effect)) return node
    return { ...node, spec: { ...node.spec, taints: [...taints, { key, effect }] } }
  },
}
