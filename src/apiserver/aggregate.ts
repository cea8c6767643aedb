// What the aggregation of other API servers decides: which group and version another server answers for, where that server
// is, what it is told of who asks, and what an APIService says of it. Pure; run-aggregate.ts acts.
// https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/

import { groupVersions } from '../api/discovery.ts'
import { ApiError } from '../api/error.ts'
import { isBuiltIn, type Priority, priorityOf } from '../api/groups.ts'
import type { Kind } from '../api/kind.ts'
import type { ApiService } from '../api/kinds/apiservice.ts'
import type { EndpointSlice } from '../api/kinds/endpointslice.ts'
import { metricsGroup } from '../api/kinds/nodemetrics.ts'
import type { Service } from '../api/kinds/service.ts'
import type { Draft } from '../api/schema.ts'
import { rfc3339 } from '../lib/duration.ts'
import { type Ip, isIpv4Mapped, parseIp, parsePrefix, prefixContains } from '../lib/ip.ts'
import type { Identity } from '../world/http.ts'

/** A group and version that another server answers for. */
export type Claim = {
  /** Of the APIService: 'v1alpha1.wardle.example.com'. */
  readonly name: string
  readonly group: string
  readonly version: string
  readonly priority: Priority
  readonly namespace: string
  readonly service: string
  readonly port: number
  /** PEM; undefined: whom the platform trusts. */
  readonly ca: string | undefined
  readonly insecure: boolean
  /** What the object says of being available. */
  readonly available: Condition | undefined
}

export type Condition = NonNullable<ApiService['status']['conditions']>[number]

/** Undefined for a local one. */
export function claimOf({ metadata, spec, status }: ApiService): Claim | undefined {
  const { service, group = '', version = '', caBundle = '' } = spec
  if (!service) return undefined
  return {
    name: metadata.name,
    group,
    version,
    priority: { group: spec.groupPriorityMinimum, version: spec.versionPriority },
    namespace: service.namespace ?? '',
    service: service.name ?? '',
    port: service.port ?? 443,
    ca: caBundle === '' ? undefined : Buffer.from(caBundle, 'base64').toString('utf8'),
    insecure: spec.insecureSkipTLSVerify ?? false,
    available: status.conditions?.find(({ type }) => type === 'Available'),
  }
}

/** Two claims that are reached in the same way. */
export function sameWay(a: Claim, b: Claim): boolean {
  return (['namespace', 'service', 'port', 'ca', 'insecure'] as const).every(field => a[field] === b[field])
}

/**
 * Whether a claim counts: what this server answers for itself nobody can take away, but for the metrics, which somebody may
 * want to have from a metrics server of their own.
 */
export function mayClaim(claim: Claim, kinds: readonly Kind[]): boolean {
  const { group, version } = claim
  return group === metricsGroup || !kinds.some(kind => kind.group === group && kind.version === version)
}

/** The APIServices of what this server answers for itself. Only the aggregator's own group has none, as upstream. */
export function localServices(kinds: readonly Kind[]): readonly (Draft<ApiService> & { metadata: { name: string } })[] {
  return groupVersions(kinds)
    .filter(({ group }) => group !== 'apiregistration.k8s.io')
    .map(({ group, version }) => {
      const priority = priorityOf(group, version)
      return {
        metadata: { name: `${version}.${group}`, labels: { [autoManaged]: isBuiltIn(group) ? 'onstart' : 'true' } },
        spec: { group, version, groupPriorityMinimum: priority.group, versionPriority: priority.version },
      }
    })
}

/** On the APIServices that this server makes itself. */
export const autoManaged = 'kube-aggregator.kubernetes.io/automanaged'

export type Endpoint = {
  readonly address: string
  readonly port: number
  /** The pod behind it, if one is. */
  readonly pod?: { readonly namespace: string; readonly name: string }
}

export type Place =
  | { readonly kind: 'found'; readonly endpoints: readonly Endpoint[] }
  | { readonly kind: 'missing'; readonly reason: string; readonly message: string }

/** Where the claimed Service leads, in the reasons and words of kube-aggregator when it leads nowhere. */
export function placeOf(
  claim: Pick<Claim, 'namespace' | 'service' | 'port'>,
  service: Service | undefined,
  slices: readonly EndpointSlice[],
): Place {
  const { namespace, service: name, port } = claim
  const whole = `service/${name} in "${namespace}"`
  const missing = (reason: string, message: string): Place => ({ kind: 'missing', reason, message })
  if (service === undefined) return missing('ServiceNotFound', `${whole} is not present`)
  if (service.spec.type === 'ExternalName') {
    return { kind: 'found', endpoints: [{ address: service.spec.externalName ?? '', port }] }
  }
  const wanted = service.spec.ports?.find(each => each.port === port)
  if (wanted === undefined) return missing('ServicePortError', `${whole} is not listening on port ${port}`)
  if (slices.length === 0) return missing('EndpointsNotFound', `cannot find endpointslices for ${whole}`)
  const portName = wanted.name ?? ''
  const endpoints = slices.flatMap(slice => {
    const to = slice.ports?.find(each => (each.name ?? '') === portName)?.port
    if (to === undefined) return []
    return (slice.endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses, targetRef }) => {
        const [address] = addresses
        if (address === undefined) return []
        const pod = targetRef?.kind === 'Pod' ? { namespace, name: targetRef.name ?? '' } : undefined
        if (pod === undefined && isSpecial(address)) return []
        return [{ address, port: to, ...(pod && { pod }) }]
      })
  })
  if (endpoints.length === 0) {
    const message = `endpointslices for ${whole} have no addresses with port name "${portName}"`
    return missing('MissingEndpoints', message)
  }
  return { kind: 'found', endpoints }
}

/** This machine itself, its link, and groups: who may write endpoints of a Service must not reach these through us. */
const special = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '::/127', 'fe80::/10', 'ff00::/8']
const specialPrefixes = special.flatMap(text => parsePrefix(text) ?? [])

function isSpecial(address: string): boolean {
  const ip = parseIp(address)
  if (ip === undefined) return false
  const plain: Ip = isIpv4Mapped(ip) ? { family: 4, value: ip.value & 0xffffffffn } : ip
  return specialPrefixes.some(prefix => prefixContains(prefix, plain))
}

export type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>

export const passed: Verdict = { status: 'True', reason: 'Passed', message: 'all checks passed' }

/** The object with the verdict in its conditions; undefined when it says so already. */
export function withVerdict(object: ApiService, verdict: Verdict, nowMs: number): ApiService | undefined {
  const { conditions = [] } = object.status
  const old = conditions.find(({ type }) => type === 'Available')
  const { status, reason, message } = verdict
  if (old?.status === status && old.reason === reason && old.message === message) return undefined
  const moved = old?.status !== status
  const lastTransitionTime = moved ? rfc3339(nowMs) : (old?.lastTransitionTime ?? rfc3339(nowMs))
  const next: Condition = { type: 'Available', lastTransitionTime, ...verdict }
  return { ...object, status: { conditions: [...conditions.filter(({ type }) => type !== 'Available'), next] } }
}

/** Of this connection and not of the message; and what tells who asks, which only we may say over there. */
const dropped = new Set([
  'authorization',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const extraPrefix = 'x-remote-extra-'

/** What goes to the other server: the client's own headers, and who it is in those of a front proxy. */
export function proxyHeaders(
  headers: Readonly<Record<string, string>>,
  identity: Identity,
  remote: string,
): Readonly<Record<string, string | readonly string[]>> {
  const kept = Object.entries(headers).filter(
    ([name]) => !dropped.has(name) && !name.startsWith('x-remote-') && !name.startsWith('impersonate-'),
  )
  const before = headers['x-forwarded-for']
  return {
    ...Object.fromEntries(kept),
    'x-forwarded-for': before === undefined ? remote : `${before}, ${remote}`,
    'x-remote-user': headerText(identity.user),
    ...(identity.uid !== undefined && identity.uid !== '' && { 'x-remote-uid': headerText(identity.uid) }),
    ...(identity.groups.length > 0 && { 'x-remote-group': identity.groups.map(headerText) }),
    ...Object.fromEntries(
      Object.entries(identity.extra ?? {}).map(([key, values]) => [
        `${extraPrefix}${extraName(key)}`,
        values.map(headerText),
      ]),
    ),
  }
}

/** A key may hold what a header's name may not: that is percent-encoded, as client-go does and undoes it. */
function extraName(key: string): string {
  const bytes = Buffer.from(key.toLowerCase(), 'utf8').toString('latin1')
  return bytes.replace(
    /[^!#$&'*+\-.^_`|~0-9a-z]/g,
    char => `%${char.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
  )
}

/** UTF-8 as bytes. A line break would be a header of its own. */
function headerText(value: string): string {
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(value)) {
    throw new ApiError('BadRequest', 'the name of the user or of a group holds characters that no header can carry')
  }
  return Buffer.from(value, 'utf8').toString('latin1')
}

/** Not of the message: our own server frames it anew. */
const droppedOfAnswer = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])

export function answerHeaders(headers: Readonly<Record<string, string | readonly string[] | undefined>>) {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name, value]) => value !== undefined && !droppedOfAnswer.has(name))
      .map(([name, value]) => [name, typeof value === 'string' ? value : (value ?? []).join(', ')]),
  )
}
