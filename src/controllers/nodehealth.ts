// Node health: a node whose peer gossip calls dead becomes Unknown, its pods leave the services, the node is tainted, and
// pods are evicted when their tolerations run out. What gossip says only hurries this; the store's word decides where pods
// are. A pod on a silent node may still run: it is deleted, but only its kubelet or the node's removal lets it go (design,
// decision 11). After kubernetes pkg/controller/{nodelifecycle,tainteviction}.
import { type Node, type NodeCondition, node as nodeKind } from '../api/kinds/node.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import type { Taint } from '../api/types/affinity.ts'
import { tolerates } from '../client/nodefit.ts'
import { isDeleting, isFinished, isReady, timeMs } from '../client/objects.ts'
import { sameJson } from '../lib/canonical.ts'
import { rfc3339 } from '../lib/duration.ts'
import { findCondition } from './conditions.ts'
import {
  type Change,
  type Context,
  defineController,
  type Plan,
  patchConditions,
  remove,
  tell,
  update,
  updateStatus,
} from './controller.ts'
import type { Inputs } from './inputs.ts'

export const unreachableTaint = 'node.kubernetes.io/unreachable'
export const notReadyTaint = 'node.kubernetes.io/not-ready'
const silentReason = 'NodeStatusUnknown'
const silentMessage = 'Kubelet stopped posting node status.'
const pressures: Readonly<Record<string, string>> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
  NetworkUnavailable: 'node.kubernetes.io/network-unavailable',
}
const unschedulableTaint = 'node.kubernetes.io/unschedulable'
const managed: ReadonlySet<string> = new Set([
  unreachableTaint,
  notReadyTaint,
  unschedulableTaint,
  ...Object.values(pressures),
])

export const nodeHealthController = defineController({
  name: 'nodehealth',
  component: 'node-controller',
  of: nodeKind,
  listens: true,
  reads: { pods: podKind, nodes: nodeKind },
  wakes: {
    pods: one => (one.spec.nodeName ? [one.spec.nodeName] : []),
    // Whether a sick node's pods may go depends on how many others are sick.
    nodes: (_, { nodes }) =>
      nodes
        .list()
        .filter(isSick)
        .map(({ metadata }) => metadata.name),
  },
  reconcile(node, { itself, pods }, context): Plan {
    const life = lifeOf(node, context)
    const marked = mark(node, life, context.nowMs)
    if (marked !== undefined) {
      return { changes: [updateStatus(nodeKind, marked), tell(node, 'Normal', readyReason(marked), statusNow(marked))] }
    }
    const stopped = isDisrupted(itself.list(), context.inputs)
    const taints = taintsOf(node, stopped, context.nowMs)
    if (!sameJson(taints, node.spec.taints ?? [])) {
      return { changes: [update(nodeKind, { ...node, spec: { ...node.spec, taints } })], ...again(life.againAtMs) }
    }
    const here = pods.by('node', node.metadata.name).filter(one => !isFinished(one))
    const unready =
      readyOf(node)?.status === 'Unknown' ? here.filter(isReady).map(one => withdraw(one, context.nowMs)) : []
    const evictions = evict(node, here, stopped, context.nowMs)
    return {
      changes: [...unready, ...evictions.changes],
      ...again(life.againAtMs, evictions.againAtMs),
    }
  },
})

function again(...times: readonly (number | undefined)[]): { readonly againAtMs?: number } {
  const known = times.filter(atMs => atMs !== undefined)
  return known.length === 0 ? {} : { againAtMs: Math.min(...known) }
}

type Life = { readonly kind: 'heard' | 'silent' | 'back' | 'unsure'; readonly againAtMs?: number }

/** What gossip knows of the node's peer. `unsure`: not long enough ago for either. */
function lifeOf(node: Node, { nowMs, monotonicMs, inputs }: Context): Life {
  const peer = inputs.peerOf(node)
  if (inputs.gossip === undefined || peer === undefined) return { kind: 'unsure' }
  const { nodeGraceMs, nodeUnknownGraceMs, nodeReturnMs } = inputs.config
  // Who leads is alive: it is who asks.
  if (inputs.store?.status().leader === peer) return { kind: 'back' }
  const member = inputs.gossip.view().members.get(peer)
  if (member?.state === 'alive') {
    const backMs = member.sinceMs + nodeReturnMs
    if (monotonicMs >= backMs) return { kind: 'back' }
    return { kind: 'heard', againAtMs: nowMs + backMs - monotonicMs }
  }
  // Suspicion is not death: the suspect has not had its chance to answer.
  if (member?.state === 'suspect') return { kind: 'unsure' }
  // What its kubelet wrote counts as hearing from it too: one that can still write is not silent.
  const wroteMs = timeMs(readyOf(node)?.lastTransitionTime) || 0
  const atMs =
    member === undefined
      ? Math.max(inputs.startedAtMs, wroteMs) + nodeUnknownGraceMs
      : Math.max(member.heardAtMs, wroteMs) + nodeGraceMs
  return nowMs >= atMs ? { kind: 'silent' } : { kind: 'unsure', againAtMs: atMs }
}

function readyOf({ status }: Node): NodeCondition | undefined {
  return findCondition(status.conditions, 'Ready')
}

function isSick(node: Node): boolean {
  const ready = readyOf(node)
  return ready !== undefined && ready.status !== 'True'
}

function readyReason(node: Node): string {
  return readyOf(node)?.status === 'True' ? 'NodeReady' : 'NodeNotReady'
}

function statusNow(node: Node): string {
  return `Node ${node.metadata.name} status is now: ${readyReason(node)}`
}

/** The node with its conditions changed, when what gossip says calls for it. */
function mark(node: Node, life: Life, nowMs: number): Node | undefined {
  const ready = readyOf(node)
  const known = node.status.conditions ?? []
  const now = rfc3339(nowMs)
  if (life.kind === 'silent' && ready?.status === 'True') {
    const types = new Set(['Ready', ...Object.keys(pressures)])
    const conditions = known.map(condition =>
      types.has(condition.type) && condition.status !== 'Unknown'
        ? {
            ...condition,
            status: 'Unknown' as const,
            reason: silentReason,
            message: silentMessage,
            lastTransitionTime: now,
          }
        : condition,
    )
    return { ...node, status: { ...node.status, conditions } }
  }
  // The kubelet says so itself when it notices; if it does not, its peer's word that it is alive will do.
  if (life.kind === 'back' && ready?.status === 'Unknown' && ready.reason === silentReason) {
    const conditions = known.map(condition => {
      if (condition.reason !== silentReason) return condition
      const isGood = condition.type === 'Ready'
      return {
        ...condition,
        status: isGood ? ('True' as const) : ('False' as const),
        reason: isGood ? 'KubeletReady' : `KubeletHasNo${condition.type}`,
        message: 'the peer is heard from again',
        lastTransitionTime: now,
      }
    })
    return { ...node, status: { ...node.status, conditions } }
  }
  return undefined
}

/**
 * When most nodes look dead, it is more likely that we see wrongly, or that moving their pods would crush what is left:
 * nothing is evicted. A node that was never ready does not count.
 */
export function isDisrupted(nodes: readonly Node[], { config }: Inputs): boolean {
  const known = nodes.filter(node => readyOf(node) !== undefined)
  const unhealthy = known.filter(isSick).length
  if (unhealthy === 0) return false
  if (unhealthy === known.length) return true
  return unhealthy >= config.unhealthyCountMin && unhealthy / known.length >= config.unhealthyShareMax
}

/** The node's taints with those that follow from its conditions set right. Times of taints that stay are kept. */
function taintsOf(node: Node, stopped: boolean, nowMs: number): readonly Taint[] {
  const before = node.spec.taints ?? []
  const ready = readyOf(node)
  const wanted: Taint[] = []
  const want = (key: string, effect: Taint['effect']) => {
    const known = before.find(taint => taint.key === key && taint.effect === effect)
    wanted.push(known ?? { key, effect, timeAdded: rfc3339(nowMs) })
  }
  if (node.spec.unschedulable === true) want(unschedulableTaint, 'NoSchedule')
  for (const [type, key] of Object.entries(pressures)) {
    if (findCondition(node.status.conditions, type)?.status === 'True') want(key, 'NoSchedule')
  }
  const isUnreachable = ready?.status === 'Unknown'
  if (ready?.status !== 'True') {
    const key = isUnreachable ? unreachableTaint : notReadyTaint
    want(key, 'NoSchedule')
    const isTainted = before.some(taint => taint.key === key && taint.effect === 'NoExecute')
    if (ready !== undefined && (isTainted || !stopped)) want(key, 'NoExecute')
  }
  const others = before.filter(taint => !managed.has(taint.key))
  const kept = before.filter(taint => wanted.includes(taint) || others.includes(taint))
  return [...kept, ...wanted.filter(taint => !kept.includes(taint))]
}

/** Takes the pod out of its services at once; its kubelet puts it back when it returns. */
function withdraw(one: Pod, nowMs: number): Change {
  return patchConditions(podKind, one, [{ type: 'Ready', status: 'False', lastTransitionTime: rfc3339(nowMs) }])
}

function evict(
  node: Node,
  here: readonly Pod[],
  stopped: boolean,
  nowMs: number,
): { readonly changes: readonly Change[]; readonly againAtMs?: number } {
  const taints = (node.spec.taints ?? []).filter(
    ({ key, effect }) => effect === 'NoExecute' && !(stopped && (key === unreachableTaint || key === notReadyTaint)),
  )
  if (taints.length === 0) return { changes: [] }
  const changes: Change[] = []
  let nextMs = Number.POSITIVE_INFINITY
  for (const one of here) {
    if (isDeleting(one)) continue
    const dueMs = evictionMs(one, taints, nowMs)
    if (dueMs > nowMs) nextMs = Math.min(nextMs, dueMs)
    else changes.push(...eviction(one, nowMs))
  }
  return { changes, ...(Number.isFinite(nextMs) && { againAtMs: nextMs }) }
}

/** When the pod has to go; infinity when it tolerates all taints for good. */
export function evictionMs({ spec }: Pod, taints: readonly Taint[], nowMs: number): number {
  let dueMs = Number.POSITIVE_INFINITY
  for (const taint of taints) {
    const sinceMs = timeMs(taint.timeAdded) || nowMs
    const matching = (spec.tolerations ?? []).filter(toleration => tolerates(toleration, taint))
    if (matching.length === 0) return Number.NEGATIVE_INFINITY
    const seconds = matching.map(({ tolerationSeconds }) => tolerationSeconds ?? Number.POSITIVE_INFINITY)
    dueMs = Math.min(dueMs, sinceMs + Math.max(0, Math.min(...seconds)) * 1_000)
  }
  return dueMs
}

function eviction(one: Pod, nowMs: number): readonly Change[] {
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByTaintManager',
    message: 'Taint manager: deleting due to NoExecute taint',
    lastTransitionTime: rfc3339(nowMs),
  }
  const name = `${one.metadata.namespace ?? ''}/${one.metadata.name}`
  return [
    patchConditions(podKind, one, [condition]),
    tell(one, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${name}`),
    remove(podKind, one),
  ]
}
