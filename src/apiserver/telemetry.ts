// What the API server counts of itself, and how it is written for Prometheus, under the names of kube-apiserver where it has
// one. Pure. https://prometheus.io/docs/instrumenting/exposition_formats/
// https://kubernetes.io/docs/reference/instrumentation/metrics/
import type { Kind } from '../api/kind.ts'
import type { ResourceRoute, Route } from './route.ts'

/** Upper ends in seconds, as kube-apiserver's. */
export const buckets: readonly number[] = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
]

type Histogram = { readonly counts: number[]; sum: number; count: number }

/** A request as it is counted: few different ones, whatever clients ask for. */
export type Counted = {
  /** Prometheus labels without the code: 'group="apps",resource="deployments",…'. */
  readonly labels: string
  /** A watch, an exec: how long it takes says nothing of the server. */
  readonly long: boolean
  readonly mutating: boolean
}

export class Telemetry {
  /** By labels, then by code. */
  readonly #requests = new Map<string, Map<number, number>>()
  readonly #durations = new Map<string, Histogram>()
  readonly #open = new Map<string, number>()
  readonly #inflight = { mutating: 0, readOnly: 0 }

  begun({ labels, long, mutating }: Counted): void {
    if (long) this.#open.set(labels, (this.#open.get(labels) ?? 0) + 1)
    else this.#inflight[mutating ? 'mutating' : 'readOnly'] += 1
  }

  /** The answer has gone out, or the request has ended without one. */
  ended({ labels, long, mutating }: Counted, code: number, seconds: number): void {
    const byCode = this.#requests.get(labels) ?? new Map<number, number>()
    this.#requests.set(labels, byCode.set(code, (byCode.get(code) ?? 0) + 1))
    if (long) {
      const left = (this.#open.get(labels) ?? 1) - 1
      if (left > 0) this.#open.set(labels, left)
      else this.#open.delete(labels)
      return
    }
    this.#inflight[mutating ? 'mutating' : 'readOnly'] -= 1
    const histogram = this.#durations.get(labels) ?? { counts: buckets.map(() => 0), sum: 0, count: 0 }
    this.#durations.set(labels, histogram)
    const at = buckets.findIndex(end => seconds <= end)
    if (at >= 0) histogram.counts[at] = (histogram.counts[at] ?? 0) + 1
    histogram.sum += seconds
    histogram.count += 1
  }

  lines(): readonly string[] {
    const requests = [...this.#requests].flatMap(([labels, byCode]) =>
      [...byCode].map(([code, value]): Sample => ({ labels: `code="${code}",${labels}`, value })),
    )
    const open = [...this.#open].map(([labels, value]): Sample => ({ labels, value }))
    const inflight = Object.entries(this.#inflight).map(
      ([kind, value]): Sample => ({ labels: `request_kind="${kind}"`, value }),
    )
    return [
      ...family(
        'apiserver_request_total',
        'counter',
        'Requests answered, by what they asked for and the code of the answer.',
        requests,
      ),
      ...heading('apiserver_request_duration_seconds', 'histogram', 'How long the answers took, in seconds.'),
      ...[...this.#durations].flatMap(([labels, histogram]) => histogramLines(labels, histogram)),
      ...family('apiserver_longrunning_requests', 'gauge', 'Watches and sessions that are open now.', open),
      ...family('apiserver_current_inflight_requests', 'gauge', 'Other requests that are served now.', inflight),
    ]
  }
}

export type Sample = { readonly labels: string; readonly value: number }

/** A metric with all its samples. Label values must be escaped already. */
export function family(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  samples: readonly Sample[],
): readonly string[] {
  return [
    ...heading(name, type, help),
    ...samples.map(({ labels, value }) => `${name}${labels === '' ? '' : `{${labels}}`} ${value}`),
  ]
}

function heading(name: string, type: string, help: string): readonly string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]
}

function histogramLines(labels: string, { counts, sum, count }: Histogram): readonly string[] {
  const name = 'apiserver_request_duration_seconds'
  let total = 0
  const lines = buckets.map((end, i) => {
    total += counts[i] ?? 0
    return `${name}_bucket{${labels},le="${end}"} ${total}`
  })
  return [
    ...lines,
    `${name}_bucket{${labels},le="+Inf"} ${count}`,
    `${name}_sum{${labels}} ${sum}`,
    `${name}_count{${labels}} ${count}`,
  ]
}

const verbs: Readonly<Record<string, string>> = {
  create: 'POST',
  delete: 'DELETE',
  deletecollection: 'DELETECOLLECTION',
  get: 'GET',
  head: 'GET',
  list: 'LIST',
  patch: 'PATCH',
  post: 'POST',
  update: 'PUT',
  watch: 'WATCH',
}
const connecting = new Set(['attach', 'exec', 'portforward', 'proxy'])
/** Other paths are counted together. */
const paths = new Set(['/api', '/apis', '/healthz', '/livez', '/metrics', '/openapi', '/readyz', '/version'])

/** undefined for `route`: the request was not understood. */
export function counted(route: Route | undefined, kinds: readonly Kind[]): Counted {
  if (route === undefined) return { labels: labelsOf('', '', '', '', '', ''), long: false, mutating: false }
  if (route.kind === 'path') {
    const root = `/${route.path.split('/')[1] ?? ''}`
    const labels = labelsOf('', '', '', paths.has(root) ? root : '', '', verbs[route.verb] ?? 'other')
    return { labels, long: false, mutating: false }
  }
  const { group, version, resource, subresource = '', verb } = route
  const scope = route.name !== undefined ? 'resource' : route.namespace !== undefined ? 'namespace' : 'cluster'
  const key = `${verb}/${scope}/${group}/${version}/${resource}/${subresource}`
  const before = rememberedOf(kinds)
  const known = before.get(key)
  if (known !== undefined) return known
  const found = countedResource(route, scope, kinds)
  // What is long is no name of ours.
  if (before.size < rememberedMax && key.length < rememberedLengthMax) before.set(key, found)
  return found
}

const rememberedMax = 4_096
const rememberedLengthMax = 256
const remembered = new WeakMap<readonly Kind[], Map<string, Counted>>()

/** By what was asked, so that the labels are put together once for each, and found by one text. */
function rememberedOf(kinds: readonly Kind[]): Map<string, Counted> {
  const found = remembered.get(kinds) ?? new Map<string, Counted>()
  remembered.set(kinds, found)
  return found
}

function countedResource(route: ResourceRoute, scope: string, kinds: readonly Kind[]): Counted {
  const { group, version, resource, subresource = '', verb } = route
  const connects = connecting.has(subresource)
  const long = verb === 'watch' || connects || subresource === 'log'
  const shown = connects ? 'CONNECT' : (verbs[verb] ?? 'other')
  const mutating = !['get', 'list', 'watch'].includes(verb)
  const known = namesOf(kinds)
  // What is not served is not told apart: anybody can ask for anything.
  if (!known.has(`${group}/${version}/${resource}`))
    return { labels: labelsOf('', '', '', '', '', shown), long, mutating }
  const part = /^[a-z]{0,32}$/.test(subresource) && route.name !== undefined ? subresource : ''
  return { labels: labelsOf(group, version, resource, part, scope, shown), long, mutating }
}

function labelsOf(group: string, version: string, resource: string, subresource: string, scope: string, verb: string) {
  return `component="apiserver",group="${group}",resource="${resource}",scope="${scope}",subresource="${subresource}",verb="${verb}",version="${version}"`
}

const names = new WeakMap<readonly Kind[], ReadonlySet<string>>()

function namesOf(kinds: readonly Kind[]): ReadonlySet<string> {
  const found = names.get(kinds) ?? new Set(kinds.map(({ group, version, plural }) => `${group}/${version}/${plural}`))
  names.set(kinds, found)
  return found
}
