// Empties a namespace that is being deleted, pods first, and lets it go when nothing is left.
// After kubernetes pkg/controller/namespace/deletion.
import { type Kind, type KubeObject, resourceOf } from '../api/kind.ts'
import { type Namespace, type NamespaceCondition, namespace as namespaceKind } from '../api/kinds/namespace.ts'
import type { View } from '../client/cache.ts'
import { isDeleting } from '../client/objects.ts'
import { sameJson } from '../lib/canonical.ts'
import { setCondition } from './conditions.ts'
import {
  type Change,
  type Controller,
  defineController,
  guarded,
  nothing,
  type Plan,
  patch,
  remove,
  updateStatus,
} from './controller.ts'
import { type CustomStored, knownKinds } from './storedkinds.ts'

const finalizer = 'kubernetes'

type Rest = { readonly kind: Kind; readonly objects: readonly KubeObject[] }

export const namespaceController: Controller = namespaceOf([])

/** A namespace holds what everybody's kinds are, and what somebody defined. */
function namespaceOf(custom: readonly CustomStored[]): Controller {
  const contents = knownKinds(custom).stored.filter(kind => kind.scope === 'Namespaced')
  return { ...emptying(contents), withKinds: namespaceOf }
}

function emptying(contents: readonly Kind[]): Controller {
  return defineController({
    name: 'namespace',
    of: namespaceKind,
    reads: Object.fromEntries(contents.map(kind => [resourceOf(kind), kind])) as Readonly<Record<string, Kind>>,
    wakes: Object.fromEntries(
      contents.map(kind => [
        resourceOf(kind),
        (object: KubeObject, { itself }: { readonly itself: View<KubeObject> }) => {
          const name = object.metadata.namespace ?? ''
          const owner = itself.get(undefined, name)
          return owner !== undefined && isDeleting(owner) ? [name] : []
        },
      ]),
    ),
    reconcile(space, views, { nowMs }): Plan {
      if (!isDeleting(space)) return nothing
      const { name } = space.metadata
      const rest: readonly Rest[] = contents
        .map(kind => ({ kind, objects: views[resourceOf(kind)]?.list(name) ?? [] }))
        .filter(({ objects }) => objects.length > 0)
      const conditions = conditionsOf(space, rest, nowMs)
      const status = { ...space.status, phase: 'Terminating' as const, conditions }
      const told = sameJson(status, space.status) ? [] : [updateStatus(namespaceKind, { ...space, status })]
      if (rest.length > 0) return { changes: [...told, ...removals(rest)] }
      const held = space.spec.finalizers ?? []
      if (told.length > 0 || !held.includes(finalizer)) return { changes: told }
      const finalizers = held.filter(one => one !== finalizer)
      // The views of the kinds do not move together: ask once more before the door is closed.
      const guards = [{ kind: 'empty' as const, of: contents, namespace: name }]
      return { changes: [guarded(patch(namespaceKind, space, { spec: { finalizers } }, 'finalize'), guards)] }
    },
  })
}

/** Pods go before anything that they may still use. */
function removals(rest: readonly Rest[]): readonly Change[] {
  const pods = rest.filter(({ kind }) => resourceOf(kind) === 'pods')
  const now = pods.length > 0 ? pods : rest
  return now.flatMap(({ kind, objects }) =>
    objects
      .filter(object => !isDeleting(object))
      .map(object => remove(kind, object, { propagationPolicy: 'Background' })),
  )
}

function conditionsOf(space: Namespace, rest: readonly Rest[], nowMs: number): readonly NamespaceCondition[] {
  const remaining = rest.map(({ kind, objects }) => `${resourceOf(kind)}. has ${objects.length} resource instances`)
  const finalizers = new Map<string, number>()
  for (const { objects } of rest) {
    for (const { metadata } of objects) {
      for (const one of metadata.finalizers ?? []) finalizers.set(one, (finalizers.get(one) ?? 0) + 1)
    }
  }
  const held = [...finalizers].map(([one, count]) => `${one} in ${count} resource instances`)
  const good = (type: string, reason: string, message: string) => ({ type, status: 'False' as const, reason, message })
  const wanted: readonly NamespaceCondition[] = [
    good('NamespaceDeletionDiscoveryFailure', 'ResourcesDiscovered', 'All resources successfully discovered'),
    good(
      'NamespaceDeletionGroupVersionParsingFailure',
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ),
    good(
      'NamespaceDeletionContentFailure',
      'ContentDeleted',
      'All content successfully deleted, may be waiting on finalization',
    ),
    remaining.length === 0
      ? good('NamespaceContentRemaining', 'ContentRemoved', 'All content successfully removed')
      : {
          type: 'NamespaceContentRemaining',
          status: 'True',
          reason: 'SomeResourcesRemain',
          message: `Some resources are remaining: ${remaining.join(', ')}`,
        },
    held.length === 0
      ? good('NamespaceFinalizersRemaining', 'ContentHasNoFinalizers', 'All content-preserving finalizers finished')
      : {
          type: 'NamespaceFinalizersRemaining',
          status: 'True',
          reason: 'SomeFinalizersRemain',
          message: `Some content in the namespace has finalizers remaining: ${held.join(', ')}`,
        },
  ]
  return wanted.reduce<readonly NamespaceCondition[]>(
    (all, condition) => setCondition(all, condition, nowMs),
    space.status.conditions ?? [],
  )
}
