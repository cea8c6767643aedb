// ResourceQuota: nothing is written that its quotas have no room for. What it takes is charged to their status in the same
// compare-and-set, so many at once never go over. Pure. After k8s.io/apiserver/pkg/admission/plugin/resourcequota.
// https://kubernetes.io/docs/concepts/policy/resource-quotas/
import { ApiError } from '../../api/error.ts'
import { type KubeObject, resourceOf } from '../../api/kind.ts'
import { type Pod, pod as podKind } from '../../api/kinds/pod.ts'
import { resourceQuota as kind, type ResourceQuota } from '../../api/kinds/resourcequota.ts'
import {
  type Amounts,
  concerns,
  difference,
  inScope,
  isCounted,
  masked,
  sum,
  unsaid,
  usageOf,
} from '../../api/quota.ts'
import type { Compare, Operation } from '../../kv/store.ts'
import { compareQuantity } from '../../lib/quantity.ts'
import { sortedBy } from '../../lib/sorted.ts'
import { encodeStored, keyOf } from '../stored.ts'
import type { Change, Plugin, Verdict } from './admission.ts'

/** Of these an update can take more than was taken before. */
const growing = new Set(['services', 'persistentvolumeclaims'])

export const resourceQuota: Plugin = {
  name: 'ResourceQuota',
  handles({ kind: of, objectKind, verb, subresource }) {
    if (objectKind !== of || !isCounted(of)) return false
    if (verb === 'CREATE') return subresource === undefined
    if (verb !== 'UPDATE') return false
    return subresource === undefined ? growing.has(resourceOf(of)) : of === podKind && subresource === 'resize'
  },
  reads: ({ namespace = '' }) => [{ kind, namespace }],
  validate(change, seen) {
    const quotas = seen.all(kind, change.namespace ?? '')
    return quotas.length === 0 ? undefined : charge(change, quotas)
  },
}

function charge(change: Change, quotas: readonly ResourceQuota[]): Verdict | undefined {
  const { kind: of, old, stamp } = change
  const object = change.object as KubeObject
  const interested = quotas.flatMap(quota => {
    const names = Object.keys(quota.status.hard ?? {}).filter(name => concerns(of, name))
    return names.length > 0 && inScope(quota, of, object) ? [{ quota, names }] : []
  })
  for (const { quota, names } of interested) demandSaid(change, quota, names)
  const usage = usageOf(of, object, stamp.nowMs)
  const delta = difference(usage, old === undefined ? {} : usageOf(of, old, stamp.nowMs))
  const compare: Compare[] = []
  const operations: Operation[] = []
  for (const { quota, names } of interested) {
    const wanted = masked(delta, names)
    if (Object.keys(wanted).length === 0) continue
    const used = sum(quota.status.used ?? {}, wanted)
    demandRoom(change, quota, wanted, used)
    const { namespace, name, resourceVersion } = quota.metadata
    const key = keyOf(kind, namespace, name)
    compare.push({ key, modRevision: Number(resourceVersion) })
    operations.push({ key, value: encodeStored({ ...quota, status: { ...quota.status, used } } as ResourceQuota) })
  }
  return operations.length === 0 ? undefined : { compare, operations }
}

function demandSaid(change: Change, { metadata, status }: ResourceQuota, names: readonly string[]): void {
  if (change.kind === podKind) {
    const missing = unsaid(change.object as Pod, names)
    if (missing !== '') throw refused(change, `failed quota: ${metadata.name}: must specify ${missing}`)
  }
  const unknown = names.filter(name => status.used?.[name] === undefined)
  if (unknown.length > 0) {
    const list = sortedBy(names, name => name).join(',')
    throw refused(change, `status unknown for quota: ${metadata.name}, resources: ${list}`)
  }
}

function demandRoom(change: Change, { metadata, status }: ResourceQuota, wanted: Amounts, used: Amounts): void {
  const hard = status.hard ?? {}
  const exceeded = Object.keys(wanted).filter(name => {
    const bound = hard[name]
    const grows = compareQuantity(wanted[name] ?? '0', '0') > 0
    return grows && bound !== undefined && compareQuantity(used[name] ?? '0', bound) > 0
  })
  if (exceeded.length === 0) return
  const shown = (amounts: Amounts) =>
    sortedBy(Object.entries(masked(amounts, exceeded)), ([name]) => name)
      .map(([name, amount]) => `${name}=${amount}`)
      .join(',')
  const parts = [`requested: ${shown(wanted)}`, `used: ${shown(status.used ?? {})}`, `limited: ${shown(hard)}`]
  throw refused(change, `exceeded quota: ${metadata.name}, ${parts.join(', ')}`)
}

function refused({ kind: { group, plural }, name }: Change, why: string): ApiError {
  const resource = group === '' ? plural : `${plural}.${group}`
  const details = { name, ...(group !== '' && { group }), kind: plural }
  return new ApiError('Forbidden', `${resource} ${JSON.stringify(name)} is forbidden: ${why}`, details)
}
