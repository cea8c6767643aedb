// Which of the nodes that a pod can run on suits it best. Each score is from 0 to 100; the weights are those of Kubernetes.
// Pure. After kubernetes pkg/scheduler/framework/plugins.
import type { Pod } from '../api/kinds/pod.ts'
import { isTolerated, matchesTerm } from '../client/nodefit.ts'
import { affinityScore } from './podaffinity.ts'
import { requestsOf, scoredCpu, scoredMemory } from './requests.ts'
import { spreadScore } from './spread.ts'
import type { ClusterView, NodeInfo } from './state.ts'

const best = 100
const weights = { resources: 1, balance: 1, images: 1, nodes: 2, pods: 2, spread: 2, taints: 3 }

/** One number per candidate, in their order. */
export function scores(pod: Pod, view: ClusterView, candidates: readonly NodeInfo[]): readonly number[] {
  const total = candidates.map(info => {
    return (
      weights.resources * leastAllocated(pod, info) +
      weights.balance * balanced(pod, info) +
      weights.images * imageLocality(pod, info, view)
    )
  })
  const add = (weight: number, values: readonly number[]) => {
    for (const [i, value] of values.entries()) total[i] = (total[i] ?? 0) + weight * value
  }
  const liked = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
  if (liked.length > 0) {
    add(
      weights.nodes,
      upTo(
        candidates.map(({ node }) =>
          liked.reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0),
        ),
      ),
    )
  }
  add(
    weights.taints,
    upTo(candidates.map(info => softTaints(pod, info))).map(value => best - value),
  )
  const near = affinityScore(pod, view)
  if (near !== undefined) add(weights.pods, between(candidates.map(near)))
  const spread = spreadScore(pod, view, candidates)
  if (spread !== undefined) add(weights.spread, evenness(candidates.map(spread)))
  return total
}

/** So that the largest is 100; all zero stays zero. */
function upTo(values: readonly number[]): readonly number[] {
  const most = Math.max(...values, 0)
  return most === 0 ? values : values.map(value => (value * best) / most)
}

/** So that the largest is 100 and the smallest 0. */
function between(values: readonly number[]): readonly number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  return most === least ? values.map(() => 0) : values.map(value => ((value - least) * best) / (most - least))
}

/** Fewer kin is better; what cannot be told is worst. */
function evenness(values: readonly (number | undefined)[]): readonly number[] {
  const known = values.filter(value => value !== undefined)
  if (known.length === 0) return values.map(() => 0)
  const [least, most] = [Math.min(...known), Math.max(...known)]
  return values.map(value => (value === undefined ? 0 : most === 0 ? best : (best * (most + least - value)) / most))
}

function leastAllocated(pod: Pod, info: NodeInfo): number {
  const share = (all: number, used: number) => (all === 0 || used > all ? 0 : ((all - used) * best) / all)
  const cpu = share(info.allocatable.get('cpu') ?? 0, info.scored.cpu + scoredCpu(pod))
  const memory = share(info.allocatable.get('memory') ?? 0, info.scored.memory + scoredMemory(pod))
  return (cpu + memory) / 2
}

/** How alike the shares of cpu and memory in use would be. A pod that asks for nothing changes neither. */
function balanced(pod: Pod, info: NodeInfo): number {
  const requests = requestsOf(pod)
  if (!requests.get('cpu') && !requests.get('memory')) return 0
  const share = (resource: string) => {
    const all = info.allocatable.get(resource) ?? 0
    return all === 0 ? 1 : Math.min(1, ((info.requested.get(resource) ?? 0) + (requests.get(resource) ?? 0)) / all)
  }
  return (1 - Math.abs(share('cpu') - share('memory')) / 2) * best
}

const mebibyte = 2 ** 20
const imageBytesMin = 23 * mebibyte
const imageBytesMax = 1_000 * mebibyte

/** Bytes that need not be pulled; an image that few nodes have counts less, so that they do not get everything. */
function imageLocality(pod: Pod, info: NodeInfo, view: ClusterView): number {
  if (info.images.size === 0) return 0
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
  const bytes = containers.reduce((sum, { image }) => {
    const name = normalImage(image ?? '')
    const size = info.images.get(name) ?? 0
    return sum + (size * view.imageNodes(name)) / Math.max(1, view.nodes.length)
  }, 0)
  const most = imageBytesMax * containers.length
  const kept = Math.min(Math.max(bytes, imageBytesMin), most)
  return ((kept - imageBytesMin) * best) / (most - imageBytesMin)
}

function normalImage(name: string): string {
  return name.lastIndexOf(':') <= name.lastIndexOf('/') ? `${name}:latest` : name
}

function softTaints({ spec }: Pod, { node }: NodeInfo): number {
  if (!node.spec.taints?.some(({ effect }) => effect === 'PreferNoSchedule')) return 0
  const tolerations = (spec.tolerations ?? []).filter(({ effect }) => !effect || effect === 'PreferNoSchedule')
  return node.spec.taints.filter(taint => taint.effect === 'PreferNoSchedule' && !isTolerated(taint, tolerations))
    .length
}
