// Which nodes a DaemonSet's pods belong on, and the pod made for a node. Pure.
// After kubernetes pkg/controller/daemon/util and daemon_controller.go (NodeShouldRunDaemonPod).
import { type DaemonSet, daemonSet } from '../api/kinds/daemonset.ts'
import type { Node } from '../api/kinds/node.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { Draft } from '../api/schema.ts'
import type { Toleration } from '../api/types/affinity.ts'
import { isTolerated, wantsNode } from '../client/nodefit.ts'
import { controllerReference } from '../client/objects.ts'
import { podFromTemplate } from './podtemplate.ts'

export const revisionHashLabel = 'controller-revision-hash'

export type Place = {
  readonly shouldRun: boolean
  /** What runs there already may stay. */
  readonly mayStay: boolean
}

export function placeOf(set: DaemonSet, node: Node): Place {
  const { spec } = set.spec.template
  const nowhere = { shouldRun: false, mayStay: false }
  if (spec.nodeName && spec.nodeName !== node.metadata.name) return nowhere
  if (!wantsNode({ spec } as Pod, node)) return nowhere
  const tolerations = tolerationsOf(set)
  const untolerated = (node.spec.taints ?? []).filter(
    taint => taint.effect !== 'PreferNoSchedule' && !isTolerated(taint, tolerations),
  )
  return { shouldRun: untolerated.length === 0, mayStay: !untolerated.some(({ effect }) => effect === 'NoExecute') }
}

/** A daemon's pod stays through what would drive others away: it is bound to its node. */
function tolerationsOf(set: DaemonSet): readonly Toleration[] {
  const { spec } = set.spec.template
  const always = (name: string, effect: Toleration['effect']): Toleration => ({
    key: `node.kubernetes.io/${name}`,
    operator: 'Exists',
    ...(effect && { effect }),
  })
  const own = spec.tolerations ?? []
  const added = [
    always('not-ready', 'NoExecute'),
    always('unreachable', 'NoExecute'),
    always('disk-pressure', 'NoSchedule'),
    always('memory-pressure', 'NoSchedule'),
    always('pid-pressure', 'NoSchedule'),
    always('unschedulable', 'NoSchedule'),
    ...(spec.hostNetwork === true ? [always('network-unavailable', 'NoSchedule')] : []),
  ]
  const isThere = (one: Toleration) =>
    own.some(({ key, operator, effect }) => key === one.key && operator === one.operator && effect === one.effect)
  return [...own, ...added.filter(one => !isThere(one))]
}

/** The scheduler binds it: to this node only, by the node's name as a required affinity. */
export function podFor(set: DaemonSet, node: string, hash: string): Draft<Pod> {
  const { template } = set.spec
  const { metadata, spec = {} } = podFromTemplate(set, template, controllerReference(daemonSet, set))
  const byName = { matchFields: [{ key: 'metadata.name', operator: 'In' as const, values: [node] }] }
  const nodeAffinity = {
    ...template.spec.affinity?.nodeAffinity,
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [byName] },
  }
  return {
    metadata: { ...metadata, labels: { ...template.metadata.labels, [revisionHashLabel]: hash } },
    spec: { ...spec, affinity: { ...template.spec.affinity, nodeAffinity }, tolerations: tolerationsOf(set) },
  }
}

/** The node that a daemon's pod is on, or made for. */
export function targetNode({ spec }: Pod): string {
  if (spec.nodeName) return spec.nodeName
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
  for (const { matchFields = [] } of terms) {
    const byName = matchFields.find(({ key, operator }) => key === 'metadata.name' && operator === 'In')
    if (byName?.values?.length === 1) return byName.values[0] ?? ''
  }
  return ''
}
