// The history of a DaemonSet's template as ControllerRevisions, in the form that `kubectl rollout history` and `undo` read:
// each holds a strategic merge patch that puts its template back. Pure. After kubernetes pkg/controller/daemon/update.go.
import { type ControllerRevision, controllerRevision } from '../api/kinds/controllerrevision.ts'
import { type DaemonSet, daemonSet } from '../api/kinds/daemonset.ts'
import type { Json } from '../api/schema.ts'
import type { View } from '../client/cache.ts'
import { controllerReference, isDeleting } from '../client/objects.ts'
import { canonicalJson, sameJson } from '../lib/canonical.ts'
import { compareText } from '../lib/sorted.ts'
import { type Change, create, remove, update, updateStatus } from './controller.ts'
import { revisionHashLabel } from './daemonpods.ts'
import { templateHash } from './revision.ts'

export type History = {
  /** The present template's revision; undefined when it is yet to be made. */
  readonly current: ControllerRevision | undefined
  readonly old: readonly ControllerRevision[]
  /** To be carried out before anything else is planned on. */
  readonly changes: readonly Change[]
}

export function historyOf(
  set: DaemonSet,
  owned: readonly ControllerRevision[],
  view: View<ControllerRevision>,
): History {
  const data = dataOf(set)
  const text = canonicalJson(data)
  const sorted = owned.filter(one => !isDeleting(one)).toSorted(byRevision)
  const equal = sorted.filter(one => canonicalJson(one.data) === text)
  // A copy that somebody made of it stays until it is too old, and no pod is replaced for its sake.
  const current = equal[0]
  const old = sorted.filter(one => one !== current)
  const others = old.filter(one => !equal.includes(one))
  const next = Math.max(0, ...(current === undefined ? old : others).map(({ revision }) => revision)) + 1
  if (current === undefined) return { current, old, changes: [makeRevision(set, data, next, view)] }
  const newest = current.revision < next ? [update(controllerRevision, { ...current, revision: next })] : []
  return { current, old, changes: newest }
}

function byRevision(a: ControllerRevision, b: ControllerRevision): number {
  return a.revision - b.revision || compareText(a.metadata.name, b.metadata.name)
}

function dataOf({ spec }: DaemonSet): Json {
  const template = JSON.parse(canonicalJson(spec.template)) as { readonly [key: string]: Json }
  return { spec: { template: { ...template, $patch: 'replace' } } }
}

function makeRevision(set: DaemonSet, data: Json, revision: number, view: View<ControllerRevision>): Change {
  const { namespace, name, annotations } = set.metadata
  const hash = templateHash(set.spec.template, set.status.collisionCount)
  const taken = view.get(namespace, `${name}-${hash}`)
  if (taken !== undefined && !sameJson(taken.data, data)) {
    const status = { ...set.status, collisionCount: (set.status.collisionCount ?? 0) + 1 }
    return updateStatus(daemonSet, { ...set, status })
  }
  return create(controllerRevision, {
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace !== undefined && { namespace }),
      labels: { ...set.spec.template.metadata.labels, [revisionHashLabel]: hash },
      ...(annotations && { annotations }),
      ownerReferences: [controllerReference(daemonSet, set)],
    },
    data,
    revision,
  })
}

export function hashOf(revision: ControllerRevision | undefined): string {
  return revision?.metadata.labels?.[revisionHashLabel] ?? ''
}

/** Old revisions beyond the limit, oldest first; those that pods still run are kept. */
export function forgetRevisions(
  set: DaemonSet,
  old: readonly ControllerRevision[],
  inUse: ReadonlySet<string>,
): readonly Change[] {
  const surplus = old.length - set.spec.revisionHistoryLimit
  if (surplus <= 0) return []
  return old
    .filter(one => !inUse.has(hashOf(one)))
    .slice(0, surplus)
    .map(one => remove(controllerRevision, one))
}
