// Which objects belong to a controller: those it owns and selects, and those without a controller that it selects
// (adopted). What it owns and no longer selects is released. Pure. After kubernetes pkg/controller/controller_ref_manager.go.
import { apiVersionOf, type Kind, type KubeObject } from '../api/kind.ts'
import type { View } from '../client/cache.ts'
import { controllerReference, isDeleting } from '../client/objects.ts'
import { type LabelSelectorLike, matchesLabels, requirementsOf } from '../lib/selector.ts'
import { type Change, keyOfNames, patch } from './controller.ts'

export type Claim<T> = { readonly owned: readonly T[]; readonly changes: readonly Change[] }

/** `view` has the indexes of ownerIndexes. An adopted object counts as owned only once the view shows it. */
export function claim<T extends KubeObject>(
  owner: KubeObject,
  ownerKind: Kind,
  selector: LabelSelectorLike | undefined,
  kind: Kind<T>,
  view: View<T>,
  finalizer?: string,
): Claim<T> {
  const requirements = requirementsOf(selector)
  const matches = (object: T) => requirements !== undefined && matchesLabels(requirements, object.metadata.labels)
  const owned: T[] = []
  const changes: Change[] = []
  for (const object of view.by('owner', owner.metadata.uid)) {
    if (object.metadata.namespace !== owner.metadata.namespace) continue
    if (matches(object)) owned.push(object)
    else if (!isDeleting(owner)) changes.push(release(owner, kind, object, finalizer))
  }
  if (isDeleting(owner)) return { owned, changes }
  for (const object of view.by('orphan', owner.metadata.namespace ?? '')) {
    if (isDeleting(object) || !matches(object)) continue
    const references = [...(object.metadata.ownerReferences ?? []), controllerReference(ownerKind, owner)]
    const finalizers = finalizer === undefined ? {} : { finalizers: [...(object.metadata.finalizers ?? []), finalizer] }
    changes.push(patch(kind, object, { metadata: { ownerReferences: references, ...finalizers } }))
  }
  return { owned, changes }
}

function release<T extends KubeObject>(
  owner: KubeObject,
  kind: Kind<T>,
  object: T,
  finalizer: string | undefined,
): Change {
  const references = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.metadata.uid)
  const kept = (object.metadata.finalizers ?? []).filter(name => name !== finalizer)
  return patch(kind, object, {
    metadata: { ownerReferences: references, ...(finalizer !== undefined && { finalizers: kept }) },
  })
}

/** Keys of the `ownerKind` objects that a changed object concerns: its controller, or all that would adopt it. */
export function concerned<O extends KubeObject>(
  ownerKind: Kind,
  owners: View<O>,
  selectorOf: (owner: O) => LabelSelectorLike | undefined,
) {
  return (object: KubeObject): readonly string[] => {
    const namespace = object.metadata.namespace
    const controller = object.metadata.ownerReferences?.find(reference => reference.controller === true)
    if (controller) {
      const ours = controller.kind === ownerKind.kind && controller.apiVersion === apiVersionOf(ownerKind)
      return ours ? [keyOfNames(namespace, controller.name)] : []
    }
    return owners
      .list(namespace)
      .filter(owner => {
        const requirements = requirementsOf(selectorOf(owner))
        return requirements !== undefined && matchesLabels(requirements, object.metadata.labels)
      })
      .map(owner => keyOfNames(namespace, owner.metadata.name))
  }
}
