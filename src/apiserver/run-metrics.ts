// metrics.k8s.io, and what is asked of a node's own port (nodes/<name>/proxy): answers from the kubelets' statistics.
// Nodes that do not answer are left out of lists, and are not found by name, as metrics-server has it.
import { ApiError, type StatusDetails } from '../api/error.ts'
import type { Kind, KubeObject } from '../api/kind.ts'
import { type Node, node as nodeKind } from '../api/kinds/node.ts'
import { metricsGroup, nodeMetrics } from '../api/kinds/nodemetrics.ts'
import { type Pod, pod as podKind } from '../api/kinds/pod.ts'
import type { Json } from '../api/schema.ts'
import type { Selectors } from '../api/select.ts'
import type { HttpResponse } from '../world/http.ts'
import { json, plain, respondMade, respondObject, type View } from './answer.ts'
import type { ListQuery } from './list.ts'
import { nodeMetricsOf, podMetricsOf } from './metrics.ts'
import type { ResourceRoute } from './route.ts'
import { get, list, type ReadContext } from './run-read.ts'
import type { NodeStats } from './run-stats.ts'
import { objectOf } from './stored.ts'
import { resourceMetrics, summaryOf } from './summary.ts'

export type MetricsContext = ReadContext & { readonly stats: NodeStats }

/** Whatever this replica has: what a node uses is old by seconds anyhow. */
const anyVersion: ListQuery = { limit: 0, continue: '', resourceVersion: '0', resourceVersionMatch: '' }

/** Answers a get or a list of NodeMetrics or PodMetrics. */
export async function readMetrics(
  context: MetricsContext,
  kind: Kind,
  asked: ResourceRoute,
  selectors: Selectors,
  view: View,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const ofNodes = kind.plural === nodeMetrics.plural
  const about: Kind = ofNodes ? nodeKind : podKind
  const { namespace, name } = asked
  if (name !== undefined) {
    const found = objectOf(await get(context, about, namespace, name, '0', { signal }))
    const [made] = await measured(context, ofNodes, [found])
    if (made === undefined) throw unmeasured(ofNodes, namespace, name)
    return respondObject(kind, 200, made as unknown as Json, view)
  }
  const { items, revision } = await list(context, about, namespace, selectors, anyVersion, { signal })
  const objects = items.map(item => objectOf(item))
  return respondMade(kind, await measured(context, ofNodes, objects), undefined, revision, view)
}

async function measured(
  context: MetricsContext,
  ofNodes: boolean,
  objects: readonly KubeObject[],
): Promise<readonly KubeObject[]> {
  const nowMs = context.world.clock.nowMs()
  const made = objects.map(async object => {
    if (ofNodes) {
      const stats = await context.stats.of(object.metadata.name)
      return stats && nodeMetricsOf(object as Node, stats, nowMs)
    }
    const pod = object as Pod
    const { nodeName = '' } = pod.spec
    if (nodeName === '' || pod.status.phase !== 'Running') return undefined
    const stats = await context.stats.of(nodeName)
    return stats && podMetricsOf(pod, stats, nowMs)
  })
  return (await Promise.all(made)).flatMap(one => one ?? [])
}

/** metrics-server names what it cannot measure by words of its own. */
function unmeasured(ofNodes: boolean, namespace: string | undefined, name: string): ApiError {
  const kind = ofNodes ? 'nodemetrics' : 'podmetrics'
  const whole = namespace === undefined ? name : `${namespace}/${name}`
  const details: StatusDetails = { name: whole, group: metricsGroup, kind }
  return new ApiError('NotFound', `${kind}.${metricsGroup} "${whole}" not found`, details)
}

/** GET nodes/<name>/proxy/…: of a kubelet's paths those that ours can answer. undefined: the request is none of these. */
export async function nodeProxy(
  context: MetricsContext,
  asked: ResourceRoute,
  signal: AbortSignal,
): Promise<HttpResponse | undefined> {
  if (asked.group !== '' || asked.resource !== 'nodes' || asked.subresource !== 'proxy') return undefined
  // 'name', 'name:10250', 'https:name:10250': there is one port, whatever it is called.
  const pieces = (asked.name ?? '').split(':')
  const name = (pieces.length === 3 ? pieces[1] : pieces[0]) ?? ''
  await get(context, nodeKind, undefined, name, '0', { signal })
  const path = (asked.rest ?? '').replace(/\/$/, '')
  if (!['healthz', 'metrics/resource', 'stats/summary'].includes(path)) return plain(404, '404 page not found\n')
  const stats = await context.stats.of(name)
  if (stats === undefined) {
    throw new ApiError('ServiceUnavailable', `error trying to reach service: the agent of node ${name} does not answer`)
  }
  if (path === 'healthz') return plain(200, 'ok')
  if (path === 'stats/summary') return json(200, summaryOf(name, stats))
  return {
    kind: 'whole',
    code: 200,
    headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    body: resourceMetrics(stats),
  }
}
