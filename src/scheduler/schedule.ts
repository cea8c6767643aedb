// Chooses the node for a pod. Pure: the same pod, view and tie-break give the same answer. Called by scheduler/run.ts.
import type { Pod } from '../api/kinds/pod.ts'
import { sortedBy } from '../lib/sorted.ts'
import { type Filter, filterFor, type Refusal } from './filters.ts'
import { priorityOf } from './requests.ts'
import { scores } from './scores.ts'
import { type ClusterView, type NodeInfo, nodeInfo } from './state.ts'

export type Decision =
  | { readonly kind: 'bind'; readonly node: string }
  /** Why not, per node; empty when there are no nodes. */
  | { readonly kind: 'none'; readonly reasons: ReadonlyMap<string, Refusal> }

/** `tie` in [0, 1) picks among nodes that are equally good. */
export function schedule(pod: Pod, view: ClusterView, tie: number): Decision {
  const filter = mindful(pod, view, filterFor(pod, view))
  const reasons = new Map<string, Refusal>()
  const candidates: NodeInfo[] = []
  for (const info of view.nodes) {
    const refusal = filter(info)
    if (refusal === undefined) candidates.push(info)
    else reasons.set(info.name, refusal)
  }
  const [first] = candidates
  if (first === undefined) return { kind: 'none', reasons }
  // Room was made for it there: other nodes are not looked at.
  const nominated = candidates.find(({ name }) => name === pod.status.nominatedNodeName)
  if (nominated !== undefined) return { kind: 'bind', node: nominated.name }
  if (candidates.length === 1) return { kind: 'bind', node: first.name }
  const points = scores(pod, view, candidates)
  const most = Math.max(...points)
  // Sums of fractions: what differs by less than this is equal.
  const equal = candidates.filter((_, i) => (points[i] ?? 0) > most - 1e-6)
  return { kind: 'bind', node: (equal[Math.floor(tie * equal.length)] ?? first).name }
}

/** Room that preemption makes is kept for the pod it was made for, against pods that matter no more than it. */
function mindful(pod: Pod, view: ClusterView, filter: Filter): Filter {
  return info => {
    const refusal = filter(info)
    if (refusal !== undefined) return refusal
    const nominated = view.nominated(info.name)
    if (nominated.length === 0) return undefined
    const waiting = nominated.filter(
      other => other.metadata.uid !== pod.metadata.uid && priorityOf(other) >= priorityOf(pod),
    )
    if (waiting.length === 0) return undefined
    return filter(nodeInfo(info.node, [...info.pods.values(), ...waiting]))
  }
}

/** '0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {gpu: }.' */
export function explain(reasons: ReadonlyMap<string, Refusal>): string {
  if (reasons.size === 0) return 'no nodes available to schedule pods'
  return `${tally(
    reasons.size,
    [...reasons.values()].flatMap(refusal => refusal.reasons),
  )}.`
}

export function tally(nodeCount: number, reasons: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const list = sortedBy(
    [...counts].map(([reason, count]) => `${count} ${reason}`),
    text => text,
  )
  return `0/${nodeCount} nodes are available: ${list.join(', ')}`
}
