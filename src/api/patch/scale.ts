// Who owns the replicas, seen from the object and from its scale subresource: one field, at two places and in two versions.
// A definition says where its objects have theirs.
// Upstream: apimachinery/pkg/util/managedfields/scalehandler.go
import type { KubeObject } from '../kind.ts'
import type { ManagedFieldsEntry } from '../types/meta.ts'
import { difference, type FieldPath, FieldSetBuilder, hasMember, isEmptySet } from './fieldset.ts'
import { type Manager, type Managers, managerKey, readManagers, writeManagers } from './managers.ts'

const replicas: FieldPath = ['f:spec', 'f:replicas']

/** Of a definition's specReplicasPath, '.spec.size.wanted'; of built-in kinds without one. */
function placeOf(path: string | undefined): FieldPath {
  return path === undefined
    ? replicas
    : path
        .split('.')
        .slice(1)
        .map(name => `f:${name}`)
}

const scaleVersion = 'autoscaling/v1'

function only(path: FieldPath) {
  const builder = new FieldSetBuilder()
  builder.insert(path)
  return builder.finish()
}

/** An applier is told apart without a version; the others by that of the object. */
function keyIn(apiVersion: string, manager: Manager): string {
  return managerKey({ ...manager, apiVersion })
}

/** The managedFields of the Scale of `object`. */
export function scaleManagedFields(object: KubeObject, path?: string): readonly ManagedFieldsEntry[] {
  const place = placeOf(path)
  const owners = [...readManagers(object).values()].filter(({ set }) => hasMember(set, place))
  return writeManagers(asManagers(owners.map(owner => ({ ...owner, apiVersion: scaleVersion, set: only(replicas) }))))
}

/** The managedFields of `object` once its Scale has those of `scale`. */
export function parentManagedFields(
  object: KubeObject,
  scale: KubeObject,
  path?: string,
): readonly ManagedFieldsEntry[] {
  const { apiVersion } = object
  const place = placeOf(path)
  const inScale = new Map(
    [...readManagers(scale).values()]
      .filter(({ set }) => hasMember(set, replicas))
      .map((owner): [string, Manager] => [keyIn(apiVersion, owner), owner]),
  )
  const kept: Manager[] = []
  for (const manager of readManagers(object).values()) {
    const isOwner = hasMember(manager.set, place)
    if (!isOwner || inScale.delete(keyIn(apiVersion, manager))) {
      kept.push(manager)
      continue
    }
    const set = difference(manager.set, only(place))
    if (!isEmptySet(set)) kept.push({ ...manager, set })
  }
  const fresh = [...inScale.values()].map((owner): Manager => ({ ...owner, apiVersion, set: only(place) }))
  return writeManagers(asManagers([...kept, ...fresh]))
}

function asManagers(list: readonly Manager[]): Managers {
  return new Map(list.map(manager => [managerKey(manager), manager]))
}
