// What an object takes of a ResourceQuota, and which quotas it falls under. Pure; admission charges by it, and the quota
// controller counts by it. After kubernetes pkg/quota/v1.
// https://kubernetes.io/docs/concepts/policy/resource-quotas/
import { addQuantity, compareQuantity, subtractQuantity } from '../lib/quantity.ts'
import { matchesRequirement } from '../lib/selector.ts'
import { compareText, sortedBy } from '../lib/sorted.ts'
import { type Kind, type KubeObject, resourceOf } from './kind.ts'
import type { PersistentVolumeClaim } from './kinds/persistentvolumeclaim.ts'
import type { Pod } from './kinds/pod.ts'
import type { ResourceQuota, ScopedResourceSelectorRequirement } from './kinds/resourcequota.ts'
import type { Service } from './kinds/service.ts'
import { qualityOf } from './pod/quality.ts'
import { type Amounts, totalWithOverhead } from './pod/totals.ts'
import type { Affinity } from './types/affinity.ts'

export type { Amounts } from './pod/totals.ts'

const storageSuffix = '.storageclass.storage.k8s.io/'
/** Also counted under their plain names. */
const plainlyCounted = new Set(['configmaps', 'secrets', 'replicationcontrollers', 'resourcequotas'])
const uncounted = new Set(['events', 'events.events.k8s.io', 'bindings'])
const computed = ['cpu', 'memory', 'ephemeral-storage']

/** Whether objects of a kind are counted at all. */
export function isCounted(kind: Kind): boolean {
  return kind.stored && kind.scope === 'Namespaced' && !uncounted.has(resourceOf(kind))
}

/** How much of each resource the object takes. A pod that has ended takes nothing but its place among the objects. */
export function usageOf(kind: Kind, object: KubeObject, nowMs: number): Amounts {
  const resource = resourceOf(kind)
  const counted = { [`count/${resource}`]: '1', ...(plainlyCounted.has(resource) && { [resource]: '1' }) }
  switch (resource) {
    case 'pods':
      return { ...counted, ...(isAlive(object as Pod, nowMs) && podUsage(object as Pod)) }
    case 'services':
      return { ...counted, ...serviceUsage(object as Service) }
    case 'persistentvolumeclaims':
      return { ...counted, ...claimUsage(object as PersistentVolumeClaim) }
    default:
      return counted
  }
}

function isAlive({ metadata, status }: Pod, nowMs: number): boolean {
  if (status.phase === 'Succeeded' || status.phase === 'Failed') return false
  const { deletionTimestamp, deletionGracePeriodSeconds: grace } = metadata
  // A node that is silent must not hold the quota of a pod that is long past its time.
  return (
    deletionTimestamp === undefined || grace === undefined || nowMs <= Date.parse(deletionTimestamp) + grace * 1_000
  )
}

function podUsage({ spec }: Pod): Amounts {
  const requests = totalWithOverhead(spec, 'requests')
  const limits = totalWithOverhead(spec, 'limits')
  const usage: Record<string, string> = { pods: '1' }
  for (const [name, amount] of Object.entries(requests)) {
    const isHuge = name.startsWith('hugepages-')
    if (computed.includes(name) || isHuge) usage[name] = amount
    if (computed.includes(name) || isHuge || name.includes('/')) usage[`requests.${name}`] = amount
  }
  for (const [name, amount] of Object.entries(limits)) if (computed.includes(name)) usage[`limits.${name}`] = amount
  return usage
}

function serviceUsage({ spec }: Service): Amounts {
  const ports = spec.ports ?? []
  const isBalanced = spec.type === 'LoadBalancer'
  const allocates = spec.type === 'NodePort' || (isBalanced && spec.allocateLoadBalancerNodePorts !== false)
  const nodePorts = allocates
    ? ports.length
    : isBalanced
      ? ports.filter(({ nodePort }) => (nodePort ?? 0) !== 0).length
      : 0
  return { services: '1', 'services.nodeports': String(nodePorts), 'services.loadbalancers': isBalanced ? '1' : '0' }
}

const classAnnotation = 'volume.beta.kubernetes.io/storage-class'

function claimUsage({ metadata, spec, status }: PersistentVolumeClaim): Amounts {
  const name = metadata.annotations?.[classAnnotation] ?? spec.storageClassName ?? ''
  const wanted = spec.resources?.requests?.['storage']
  const allocated = status.allocatedResources?.['storage']
  // What was begun to be made larger may not be there again at once.
  const storage = wanted && allocated && compareQuantity(allocated, wanted) > 0 ? allocated : wanted
  return {
    persistentvolumeclaims: '1',
    ...(name !== '' && { [`${name}${storageSuffix}persistentvolumeclaims`]: '1' }),
    ...(storage !== undefined && {
      'requests.storage': storage,
      ...(name !== '' && { [`${name}${storageSuffix}requests.storage`]: storage }),
    }),
  }
}

/** Whether a resource of a quota is about objects of this kind. */
export function concerns(kind: Kind, name: string): boolean {
  const resource = resourceOf(kind)
  if (name === `count/${resource}` || (plainlyCounted.has(resource) && name === resource)) return true
  switch (resource) {
    case 'pods': {
      const bare = name.replace(/^(requests|limits)\./, '')
      const isOfStorage = bare === 'storage' || name.includes(storageSuffix)
      const isExtended = name.startsWith('requests.') && bare.includes('/') && !isOfStorage
      return name === 'pods' || computed.includes(bare) || bare.startsWith('hugepages-') || isExtended
    }
    case 'services':
      return name === 'services' || name === 'services.nodeports' || name === 'services.loadbalancers'
    case 'persistentvolumeclaims':
      return name === 'persistentvolumeclaims' || name === 'requests.storage' || name.includes(storageSuffix)
    default:
      return false
  }
}

/** The object is one of those whose number or size the quota bounds. Only pods can lie outside of a scope. */
export function inScope({ spec }: ResourceQuota, kind: Kind, object: KubeObject): boolean {
  const selectors = [
    ...(spec.scopes ?? []).map(scopeName => ({ scopeName, operator: 'Exists' })),
    ...(spec.scopeSelector?.matchExpressions ?? []),
  ]
  if (selectors.length === 0) return true
  if (resourceOf(kind) !== 'pods') return false
  return selectors.every(selector => podInScope(selector, object as Pod))
}

function podInScope({ scopeName, operator, values = [] }: ScopedResourceSelectorRequirement, { spec }: Pod): boolean {
  switch (scopeName) {
    case 'Terminating':
      return isTerminating(spec.activeDeadlineSeconds)
    case 'NotTerminating':
      return !isTerminating(spec.activeDeadlineSeconds)
    case 'BestEffort':
      return qualityOf(spec) === 'BestEffort'
    case 'NotBestEffort':
      return qualityOf(spec) !== 'BestEffort'
    case 'CrossNamespacePodAffinity':
      return spec.affinity !== undefined && reachesOut(spec.affinity)
    case 'PriorityClass': {
      const { priorityClassName: name = '' } = spec
      const labels = name === '' ? {} : { [scopeName]: name }
      return matchesRequirement({ key: scopeName, operator: operator as 'In' | 'NotIn' | 'Exists', values }, labels)
    }
    default:
      return false
  }
}

const isTerminating = (seconds: number | undefined): boolean => seconds !== undefined && seconds >= 0

/** A term about pods of other namespaces. */
function reachesOut({ podAffinity, podAntiAffinity }: Affinity): boolean {
  return [podAffinity, podAntiAffinity].some(affinity =>
    [
      ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
        ({ podAffinityTerm }) => podAffinityTerm,
      ),
    ].some(term => (term?.namespaces ?? []).length > 0 || term?.namespaceSelector !== undefined),
  )
}

const mustBeSaid = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']

/** What a quota of computing resources wants each container to say, and which do not: 'cpu for: a,b; memory for: a'. */
export function unsaid({ spec }: Pod, hard: readonly string[]): string {
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])]
  const missing = sortedBy(
    hard.filter(name => mustBeSaid.includes(name)),
    name => name,
  ).flatMap(name => {
    const bare = name.replace(/^(requests|limits)\./, '')
    const list = name.startsWith('limits.') ? 'limits' : 'requests'
    if (spec.resources?.[list]?.[bare] !== undefined) return []
    const names = containers.filter(({ resources }) => resources?.[list]?.[bare] === undefined).map(one => one.name)
    return names.length === 0 ? [] : [`${name} for: ${names.toSorted(compareText).join(',')}`]
  })
  return missing.join('; ')
}

/** Only the resources that are named. */
export function masked(amounts: Amounts, names: readonly string[]): Amounts {
  return Object.fromEntries(Object.entries(amounts).filter(([name]) => names.includes(name)))
}

/** `a` less `b`, without what is zero then. */
export function difference(a: Amounts, b: Amounts): Amounts {
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  const all = [...names].map((name): [string, string] => [name, subtractQuantity(a[name] ?? '0', b[name] ?? '0')])
  return Object.fromEntries(all.filter(([, amount]) => compareQuantity(amount, '0') !== 0))
}

export function sum(a: Amounts, b: Amounts): Amounts {
  const total: Record<string, string> = { ...a }
  for (const [name, amount] of Object.entries(b)) total[name] = addQuantity(total[name] ?? '0', amount)
  return total
}
