// Makes room for a pod that fits nowhere, by removing pods of lower priority: on the node where the least is lost. Pure.
// After kubernetes pkg/scheduler/framework/preemption and plugins/defaultpreemption.
import type { Pod } from '../api/kinds/pod.ts'
import { isDeleting, timeMs } from '../client/objects.ts'
import { compareText } from '../lib/sorted.ts'
import { filterFor, type Refusal } from './filters.ts'
import { priorityOf } from './requests.ts'
import { tally } from './schedule.ts'
import { type ClusterView, type NodeInfo, nodeInfo } from './state.ts'

export type Preemption =
  | { readonly kind: 'evict'; readonly node: string; readonly victims: readonly Pod[] }
  /** Ends the message of the pod: 'preemption: 0/3 nodes are available: …'. */
  | { readonly kind: 'none'; readonly message: string }

export function preempt(pod: Pod, view: ClusterView, reasons: ReadonlyMap<string, Refusal>): Preemption {
  if (pod.spec.preemptionPolicy === 'Never')
    return { kind: 'none', message: 'not eligible due to preemptionPolicy=Never.' }
  const nominated = view.nodes.find(({ name }) => name === pod.status.nominatedNodeName)
  if (nominated !== undefined && reasons.get(nominated.name)?.hopeless !== true) {
    const leaving = [...nominated.pods.values()].some(other => isDeleting(other) && priorityOf(other) < priorityOf(pod))
    if (leaving) return { kind: 'none', message: 'not eligible due to a terminating pod on the nominated node.' }
  }
  const options: { readonly info: NodeInfo; readonly victims: readonly Pod[] }[] = []
  const failures: string[] = []
  for (const info of view.nodes) {
    if (reasons.get(info.name)?.hopeless !== false) failures.push('Preemption is not helpful for scheduling')
    else {
      const victims = victimsOn(pod, view, info)
      if (victims === undefined || victims.length === 0) failures.push('No preemption victims found for incoming pod')
      else options.push({ info, victims })
    }
  }
  const [choice] = options.sort((a, b) => compareLoss(a.victims, b.victims) || compareText(a.info.name, b.info.name))
  if (choice === undefined) return { kind: 'none', message: `${tally(view.nodes.length, failures)}.` }
  return { kind: 'evict', node: choice.info.name, victims: choice.victims }
}

/** Removes all that may be removed, then brings back what need not go, the most important first. */
function victimsOn(pod: Pod, view: ClusterView, info: NodeInfo): readonly Pod[] | undefined {
  const all = [...info.pods.values()]
  const lower = all.filter(other => priorityOf(other) < priorityOf(pod))
  if (lower.length === 0) return undefined
  const fits = (pods: readonly Pod[]) => {
    const changed = nodeInfo(info.node, pods)
    return filterFor(pod, withNode(view, changed))(changed) === undefined
  }
  let kept = all.filter(other => !lower.includes(other))
  if (!fits(kept)) return undefined
  const victims: Pod[] = []
  for (const other of lower.toSorted(compareImportance)) {
    if (fits([...kept, other])) kept = [...kept, other]
    else victims.push(other)
  }
  return victims
}

function withNode(view: ClusterView, changed: NodeInfo): ClusterView {
  return {
    nodes: view.nodes.map(info => (info.name === changed.name ? changed : info)),
    namespaces: view.namespaces,
    services: view.services,
    imageNodes: view.imageNodes,
    nominated: view.nominated,
  }
}

const startMs = (pod: Pod) => timeMs(pod.status.startTime) || Number.POSITIVE_INFINITY

/** Higher priority first; of equals, the one that runs longer. */
function compareImportance(a: Pod, b: Pod): number {
  return (
    priorityOf(b) - priorityOf(a) ||
    compareNumber(startMs(a), startMs(b)) ||
    compareText(a.metadata.name, b.metadata.name)
  )
}

function compareNumber(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1
}

/** The lowest worst victim, then the lowest sum, the fewest, and those that started last. */
function compareLoss(a: readonly Pod[], b: readonly Pod[]): number {
  const worst = (pods: readonly Pod[]) => Math.max(...pods.map(priorityOf))
  const sum = (pods: readonly Pod[]) => pods.reduce((total, pod) => total + priorityOf(pod) + 2 ** 31, 0)
  const oldest = (pods: readonly Pod[]) => Math.min(...pods.filter(pod => priorityOf(pod) === worst(pods)).map(startMs))
  return worst(a) - worst(b) || sum(a) - sum(b) || a.length - b.length || compareNumber(oldest(b), oldest(a))
}
