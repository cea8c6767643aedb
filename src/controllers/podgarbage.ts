// Pods that nobody will ever remove: bound to a node that is gone, deleted before they had a node, on a node that a human
// declared out of service, or ended long ago and too many. After kubernetes pkg/controller/podgc.
import { node as nodeKind } from '../api/kinds/node.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import { createdMs, isDeleting, isFinished } from '../client/objects.ts'
import { rfc3339 } from '../lib/duration.ts'
import { compareText } from '../lib/sorted.ts'
import { type Change, defineSweep, guarded, type Plan, patchConditions, remove } from './controller.ts'

export const outOfServiceTaint = 'node.kubernetes.io/out-of-service'

export const podGarbageController = defineSweep({
  name: 'podgarbage',
  delayMs: 1_000,
  reads: { pods: podKind, nodes: nodeKind },
  reconcile({ pods, nodes }, { nowMs, inputs }): Plan {
    const all = pods.list()
    const changes: Change[] = []
    for (const one of all) {
      const { nodeName } = one.spec
      if (!nodeName) {
        if (isDeleting(one)) changes.push(remove(podKind, one, { gracePeriodSeconds: 0 }))
        continue
      }
      const node = nodes.get(undefined, nodeName)
      if (node === undefined) changes.push(...orphaned(one, nowMs))
      else if (isDeleting(one) && node.spec.taints?.some(({ key }) => key === outOfServiceTaint)) {
        const isReady = node.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
        if (isReady !== true) changes.push(remove(podKind, one, { gracePeriodSeconds: 0 }))
      }
    }
    const ended = all.filter(one => isFinished(one) && !isDeleting(one))
    const surplus = ended.length - inputs.config.terminatedPodsMax
    if (surplus > 0) {
      const oldest = ended.toSorted(
        (a, b) => createdMs(a) - createdMs(b) || compareText(a.metadata.name, b.metadata.name),
      )
      changes.push(...oldest.slice(0, surplus).map(one => remove(podKind, one, { gracePeriodSeconds: 0 })))
    }
    return { changes }
  },
})

function orphaned(one: Pod, nowMs: number): readonly Change[] {
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByPodGC',
    message: 'PodGC: node no longer exists',
    lastTransitionTime: rfc3339(nowMs),
  }
  // Its owner is to see that it failed, and why, before it is gone.
  const failed = isFinished(one) ? [] : [patchConditions(podKind, one, [condition], { phase: 'Failed' })]
  const guards = [{ kind: 'absent' as const, of: nodeKind, key: { name: one.spec.nodeName ?? '' } }]
  return [...failed, remove(podKind, one, { gracePeriodSeconds: 0 })].map(change => guarded(change, guards))
}
