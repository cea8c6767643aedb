// Counts what the objects of a namespace take of its quotas, and writes it into their status, where admission charges what
// comes. Nothing is written on views that are older than the quota: the last charge might be missing in them. What came
// since makes the write a conflict. After kubernetes pkg/controller/resourcequota.
// https://kubernetes.io/docs/concepts/policy/resource-quotas/
import { type Kind, type KubeObject, resourceOf } from '../api/kind.ts'
import { type ResourceQuota, resourceQuota } from '../api/kinds/resourcequota.ts'
import { type Amounts, concerns, inScope, isCounted, masked, sum, usageOf } from '../api/quota.ts'
import type { View } from '../client/cache.ts'
import { isDeleting } from '../client/objects.ts'
import { compareQuantity } from '../lib/quantity.ts'
import { type Controller, defineController, keyOfNames, nothing, type Plan, updateStatus } from './controller.ts'
import { type CustomStored, knownKinds } from './storedkinds.ts'

/** Usage also changes as time passes: pods outlive their grace. */
const resyncMs = 300_000
const laggingMs = 100

export const resourceQuotaController: Controller = quotaOf([])

function quotaOf(custom: readonly CustomStored[]): Controller {
  return { ...counting(knownKinds(custom).stored.filter(isCounted)), withKinds: quotaOf }
}

function counting(counted: readonly Kind[]): Controller {
  const others = counted.filter(kind => resourceOf(kind) !== resourceOf(resourceQuota))
  return defineController({
    name: 'resourcequota',
    of: resourceQuota,
    reads: Object.fromEntries(others.map(kind => [resourceOf(kind), kind])) as Readonly<Record<string, Kind>>,
    wakes: Object.fromEntries(
      others.map(kind => [
        resourceOf(kind),
        ({ metadata }: KubeObject, { itself }: { readonly itself: View<ResourceQuota> }) =>
          itself
            .list(metadata.namespace)
            .filter(({ spec }) => Object.keys(spec.hard ?? {}).some(name => concerns(kind, name)))
            .map(quota => keyOfNames(quota.metadata.namespace, quota.metadata.name)),
      ]),
    ),
    reconcile(quota, views, { nowMs }): Plan {
      if (isDeleting(quota)) return nothing
      const hard = quota.spec.hard ?? {}
      const names = Object.keys(hard)
      const concerned = counted.filter(kind => names.some(name => concerns(kind, name)))
      const viewOf = (kind: Kind): View<KubeObject> | undefined =>
        kind === resourceQuota ? views.itself : views[resourceOf(kind)]
      const isLate = concerned.some(kind => (viewOf(kind)?.revision ?? 0) < Number(quota.metadata.resourceVersion))
      if (isLate) return { changes: [], againAtMs: nowMs + laggingMs }
      let used = unread(names, counted, quota.status.used)
      for (const kind of concerned) {
        for (const object of viewOf(kind)?.list(quota.metadata.namespace ?? '') ?? []) {
          if (inScope(quota, kind, object)) used = sum(used, masked(usageOf(kind, object, nowMs), names))
        }
      }
      const againAtMs = nowMs + resyncMs
      if (same(quota.status.hard, hard) && same(quota.status.used, used)) return { changes: [], againAtMs }
      return { changes: [updateStatus(resourceQuota, { ...quota, status: { hard, used } })], againAtMs }
    },
  })
}

/** What is about no kind that is read here stays as admission has charged it: its definition may be newer than the views. */
function unread(names: readonly string[], counted: readonly Kind[], before: Amounts = {}): Amounts {
  return Object.fromEntries(
    names.flatMap((name): [string, string][] => {
      if (counted.some(kind => concerns(kind, name))) return [[name, '0']]
      const kept = before[name]
      return kept === undefined ? [] : [[name, kept]]
    }),
  )
}

function same(a: Amounts = {}, b: Amounts): boolean {
  const names = Object.keys(b)
  return (
    Object.keys(a).length === names.length &&
    names.every(name => a[name] !== undefined && compareQuantity(a[name], b[name] ?? '0') === 0)
  )
}
