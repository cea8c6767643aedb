// Which nodes a pod can run on, and for each of the others why not, in the words of Kubernetes. Pure.
// After kubernetes pkg/scheduler/framework/plugins.
import type { Pod } from '../api/kinds/pod.ts'
import { isTolerated, repellingTaint, wantsNode } from '../client/nodefit.ts'
import { affinityFilter } from './podaffinity.ts'
import { type Amounts, type HostPort, hostPortsOf, requestsOf } from './requests.ts'
import { spreadFilter } from './spread.ts'
import type { ClusterView, NodeInfo } from './state.ts'

/** `hopeless`: removing pods from the node would not help. */
export type Refusal = { readonly reasons: readonly string[]; readonly hopeless: boolean }

export type Filter = (info: NodeInfo) => Refusal | undefined

const unschedulableTaint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' as const }

/** What depends on the pod alone is worked out here, once. */
export function filterFor(pod: Pod, view: ClusterView): Filter {
  const ports = hostPortsOf(pod)
  const requests = requestsOf(pod)
  const spread = spreadFilter(pod, view)
  const affinity = affinityFilter(pod, view)
  const { nodeName, tolerations = [] } = pod.spec
  const toleratesCordon = isTolerated(unschedulableTaint, tolerations)
  const never = (reason: string): Refusal => ({ reasons: [reason], hopeless: true })
  const maybe = (reason: string): Refusal => ({ reasons: [reason], hopeless: false })
  return info => {
    const { node } = info
    if (node.spec.unschedulable === true && !toleratesCordon) return never('node(s) were unschedulable')
    if (nodeName && nodeName !== info.name) return never("node(s) didn't match the requested node name")
    const taint = repellingTaint(pod, node)
    if (taint) return never(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`)
    if (!wantsNode(pod, node)) return never("node(s) didn't match Pod's node affinity/selector")
    if (ports.some(port => info.hostPorts.some(taken => clashes(port, taken)))) {
      return maybe("node(s) didn't have free ports for the requested pod ports")
    }
    const missing = insufficient(requests, info)
    if (missing !== undefined) return missing
    const skewed = spread(info)
    if (skewed !== undefined) return skewed.includes('missing') ? never(skewed) : maybe(skewed)
    const apart = affinity(info)
    return apart === undefined ? undefined : maybe(apart)
  }
}

function clashes(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.protocol !== b.protocol) return false
  return a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0'
}

const podsMaxDefault = 110

function insufficient(requests: Amounts, info: NodeInfo): Refusal | undefined {
  let reasons: string[] | undefined
  let hopeless = false
  if (info.pods.size + 1 > (info.allocatable.get('pods') ?? podsMaxDefault)) reasons = ['Too many pods']
  for (const [resource, wanted] of requests) {
    if (wanted === 0) continue
    const all = info.allocatable.get(resource) ?? 0
    if (wanted <= all - (info.requested.get(resource) ?? 0)) continue
    reasons ??= []
    reasons.push(`Insufficient ${resource}`)
    if (wanted > all) hopeless = true
  }
  return reasons && { reasons, hopeless }
}
