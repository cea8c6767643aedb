// LimitRanger: what the limit ranges of a namespace give to containers that say nothing, and what they hold pods,
// containers and claims to. Pure. After kubernetes plugin/pkg/admission/limitranger.
// https://kubernetes.io/docs/concepts/policy/limit-range/
import { ApiError } from '../../api/error.ts'
import { type Kind, type KubeObject, resourceOf } from '../../api/kind.ts'
import { limitRange as kind, type LimitRange, type LimitRangeItem } from '../../api/kinds/limitrange.ts'
import type { PersistentVolumeClaim } from '../../api/kinds/persistentvolumeclaim.ts'
import type { Pod } from '../../api/kinds/pod.ts'
import { type Amounts, totalOf } from '../../api/pod/totals.ts'
import type { Container } from '../../api/types/container.ts'
import { compareQuantity, milliOf } from '../../lib/quantity.ts'
import { compareText } from '../../lib/sorted.ts'
import type { Change, Plugin } from './admission.ts'

const annotation = 'kubernetes.io/limit-ranger'

export const limitRanger: Plugin = {
  name: 'LimitRanger',
  handles({ kind: of, objectKind, verb, subresource, object }) {
    if (objectKind !== of || (verb !== 'CREATE' && verb !== 'UPDATE')) return false
    if (object?.metadata.deletionTimestamp !== undefined) return false
    if (subresource !== undefined) return isResize(of, subresource)
    // The containers of a pod stay as they are.
    return resourceOf(of) === 'persistentvolumeclaims' || (resourceOf(of) === 'pods' && verb === 'CREATE')
  },
  reads: ({ namespace = '' }) => [{ kind, namespace }],
  mutate({ kind: of, object, namespace = '', subresource }, seen) {
    // Who makes a pod that runs larger or smaller gets nothing that was not asked for.
    if (resourceOf(of) !== 'pods' || isResize(of, subresource)) return object as KubeObject
    return seen.all(kind, namespace).reduce((pod, range) => withDefaults(pod, range), object as Pod)
  },
  validate(change, seen) {
    const { kind: of, namespace = '' } = change
    for (const range of seen.all(kind, namespace)) {
      const errors = resourceOf(of) === 'pods' ? podErrors(change.object as Pod, range) : claimErrors(change, range)
      if (errors.length > 0) throw refused(change, errors)
    }
    return undefined
  },
}

const isResize = (of: Kind, subresource: string | undefined): boolean =>
  resourceOf(of) === 'pods' && subresource === 'resize'

function refused({ kind: { plural }, name }: Change, errors: readonly string[]): ApiError {
  const unique = [...new Set(errors)]
  const why = unique.length === 1 ? unique[0] : `[${unique.join(', ')}]`
  return new ApiError('Forbidden', `${plural} ${JSON.stringify(name)} is forbidden: ${why}`, { name, kind: plural })
}

function withDefaults(pod: Pod, { spec }: LimitRange): Pod {
  const items = spec.limits.filter(({ type }) => type === 'Container')
  const limits: Amounts = Object.assign({}, ...items.map(item => item.default ?? {}))
  const requests: Amounts = Object.assign({}, ...items.map(item => item.defaultRequest ?? {}))
  const said: string[] = []
  const given = (what: string) => (container: Container) => {
    const { resources } = container
    const missing = (wanted: Amounts, has: Amounts | undefined) =>
      Object.keys(wanted)
        .filter(name => has?.[name] === undefined)
        .toSorted(compareText)
    const newRequests = missing(requests, resources?.requests)
    const newLimits = missing(limits, resources?.limits)
    if (newRequests.length > 0) said.push(`${newRequests.join(', ')} request for ${what} ${container.name}`)
    if (newLimits.length > 0) said.push(`${newLimits.join(', ')} limit for ${what} ${container.name}`)
    if (newRequests.length + newLimits.length === 0) return container
    return {
      ...container,
      resources: {
        ...resources,
        limits: { ...limits, ...resources?.limits },
        requests: { ...requests, ...resources?.requests },
      },
    }
  }
  const containers = pod.spec.containers.map(given('container'))
  const initContainers = pod.spec.initContainers?.map(given('init container'))
  if (said.length === 0) return pod
  const annotations = { ...pod.metadata.annotations, [annotation]: `LimitRanger plugin set: ${said.join('; ')}` }
  return {
    ...pod,
    metadata: { ...pod.metadata, annotations },
    spec: { ...pod.spec, containers, ...(initContainers && { initContainers }) },
  }
}

function podErrors({ spec }: Pod, range: LimitRange): readonly string[] {
  return range.spec.limits.flatMap(item => {
    if (item.type === 'Container') {
      return [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ resources }) =>
        bounds(item, resources?.requests ?? {}, resources?.limits ?? {}),
      )
    }
    return item.type === 'Pod' ? bounds(item, totalOf(spec, 'requests'), totalOf(spec, 'limits')) : []
  })
}

function claimErrors({ object }: Change, range: LimitRange): readonly string[] {
  const requests = (object as PersistentVolumeClaim).spec.resources?.requests ?? {}
  return range.spec.limits
    .filter(({ type }) => type === 'PersistentVolumeClaim')
    .flatMap(({ type, min = {}, max = {} }) => [
      ...each(min, (name, bound) => belowMin(type, name, bound, requests[name], undefined)),
      ...each(max, (name, bound) => {
        const request = requests[name]
        const head = `maximum ${name} usage per ${type} is ${bound}`
        if (request === undefined) return `${head}.  No request is specified`
        return compareQuantity(request, bound) > 0 ? `${head}, but request is ${request}` : undefined
      }),
    ])
}

function each(bounds: Amounts, judge: (name: string, bound: string) => string | undefined): readonly string[] {
  return Object.entries(bounds)
    .toSorted(([a], [b]) => compareText(a, b))
    .flatMap(([name, bound]) => judge(name, bound) ?? [])
}

function bounds(item: LimitRangeItem, requests: Amounts, limits: Amounts): readonly string[] {
  const { type, min = {}, max = {}, maxLimitRequestRatio = {} } = item
  return [
    ...each(min, (name, bound) => belowMin(type, name, bound, requests[name], limits[name])),
    ...each(max, (name, bound) => aboveMax(type, name, bound, requests[name], limits[name])),
    ...each(maxLimitRequestRatio, (name, bound) => beyondRatio(type, name, bound, requests[name], limits[name])),
  ]
}

type Amount = string | undefined

function belowMin(type: string, name: string, bound: string, request: Amount, limit: Amount): string | undefined {
  const head = `minimum ${name} usage per ${type} is ${bound}`
  if (request === undefined) return `${head}.  No request is specified`
  if (compareQuantity(request, bound) < 0) return `${head}, but request is ${request}`
  if (limit !== undefined && compareQuantity(limit, bound) < 0) return `${head}, but limit is ${limit}`
  return undefined
}

function aboveMax(type: string, name: string, bound: string, request: Amount, limit: Amount): string | undefined {
  const head = `maximum ${name} usage per ${type} is ${bound}`
  if (limit === undefined) return `${head}.  No limit is specified`
  if (compareQuantity(limit, bound) > 0) return `${head}, but limit is ${limit}`
  if (request !== undefined && compareQuantity(request, bound) > 0) return `${head}, but request is ${request}`
  return undefined
}

function beyondRatio(type: string, name: string, bound: string, request: Amount, limit: Amount): string | undefined {
  const head = `${name} max limit to request ratio per ${type} is ${bound}`
  const isNone = (amount: Amount) => amount === undefined || compareQuantity(amount, '0') === 0
  if (isNone(request)) return `${head}, but no request is specified or request is 0`
  if (isNone(limit)) return `${head}, but no limit is specified or limit is 0`
  const ratio = milliOf(limit ?? '0') / milliOf(request ?? '1')
  return ratio * 1_000 > milliOf(bound) ? `${head}, but provided ratio is ${ratio.toFixed(6)}` : undefined
}
