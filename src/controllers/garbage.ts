// The garbage collector: what has only owners that are gone goes too (Background), an owner waits for what blocks it
// (Foreground), or lets go of what it owned (Orphan). Over all kinds that are stored; owners count by uid.
// After kubernetes pkg/controller/garbagecollector and https://kubernetes.io/docs/concepts/architecture/garbage-collection/
import { type Kind, type KubeObject, resourceOf } from '../api/kind.ts'
import type { OwnerReference } from '../api/types/meta.ts'
import type { View } from '../client/cache.ts'
import { isDeleting } from '../client/objects.ts'
import { type Change, type Controller, type Guard, guarded, keyOfNames, nothing, patch, remove } from './controller.ts'
import { type KnownKinds, knownKinds } from './storedkinds.ts'

export const foregroundFinalizer = 'foregroundDeletion'
export const orphanFinalizer = 'orphan'

type Views = Readonly<Record<string, View<KubeObject>>>
type Seen = { readonly views: Views; readonly known: KnownKinds }
type Found = { readonly kind: Kind; readonly object: KubeObject }

export const garbageController: Controller = garbageOf(knownKinds([]))

function garbageOf(known: KnownKinds): Controller {
  return {
    name: 'garbage',
    component: 'garbage-controller',
    reads: known.reads,
    listens: false,
    delayMs: 0,
    parallel: 16,
    first: [],
    withKinds: custom => garbageOf(knownKinds(custom)),
    wakes(name, object, views) {
      const seen = { views, known }
      const { uid, ownerReferences = [] } = object.metadata
      // Itself, what it owns, and its owners, which may be waiting for it.
      return [
        ...(ownerReferences.length > 0 || isHeld(object) ? [keyFor(name, object)] : []),
        ...dependents(uid, seen).map(({ kind, object: one }) => keyFor(resourceOf(kind), one)),
        ...ownerReferences.flatMap(reference => {
          const owner = ownerOf(object, reference, seen)
          return owner?.object !== undefined && isHeld(owner.object)
            ? [keyFor(resourceOf(owner.kind), owner.object)]
            : []
        }),
      ]
    },
    plan(key, views) {
      const at = key.indexOf('|')
      const resource = key.slice(0, at)
      const path = key.slice(at + 1)
      const slash = path.indexOf('/')
      const [namespace, name] = slash < 0 ? [undefined, path] : [path.slice(0, slash), path.slice(slash + 1)]
      const kind = known.reads[resource]
      const object = views[resource]?.get(namespace, name)
      return kind === undefined || object === undefined ? nothing : { changes: collect(kind, object, { views, known }) }
    },
  }
}

function keyFor(resource: string, { metadata }: KubeObject): string {
  return `${resource}|${keyOfNames(metadata.namespace, metadata.name)}`
}

function isHeld(object: KubeObject): boolean {
  const held = object.metadata.finalizers ?? []
  return isDeleting(object) && (held.includes(foregroundFinalizer) || held.includes(orphanFinalizer))
}

/** Whether the object stays until what it owns is gone. */
function waits(object: KubeObject): boolean {
  return isDeleting(object) && (object.metadata.finalizers?.includes(foregroundFinalizer) ?? false)
}

function dependents(uid: string, seen: Seen): readonly Found[] {
  return seen.known.stored.flatMap(kind =>
    (seen.views[resourceOf(kind)]?.by('owned', uid) ?? []).map(object => ({ kind, object })),
  )
}

/** `object` undefined: no such owner. Undefined as a whole: it cannot be told. */
function ownerOf(
  { metadata }: KubeObject,
  { apiVersion, kind: name, name: ownerName, uid }: OwnerReference,
  seen: Seen,
):
  | { readonly kind: Kind; readonly namespace: string | undefined; readonly object: KubeObject | undefined }
  | undefined {
  const kind = seen.known.of(apiVersion, name)
  if (kind === undefined) return undefined
  const namespace = kind.scope === 'Namespaced' ? metadata.namespace : undefined
  // A cluster-wide object cannot be owned by one in a namespace: nobody knows which namespace is meant.
  if (kind.scope === 'Namespaced' && namespace === undefined) return undefined
  const found = seen.views[resourceOf(kind)]?.get(namespace, ownerName)
  return { kind, namespace, object: found?.metadata.uid === uid ? found : undefined }
}

function collect(kind: Kind, object: KubeObject, seen: Seen): readonly Change[] {
  const held = object.metadata.finalizers ?? []
  if (isDeleting(object)) {
    if (held.includes(orphanFinalizer)) return orphan(kind, object, seen)
    if (held.includes(foregroundFinalizer)) return foreground(kind, object, seen)
    return []
  }
  return withOwners(kind, object, seen)
}

function withoutFinalizer(kind: Kind, object: KubeObject, finalizer: string): Change {
  const finalizers = (object.metadata.finalizers ?? []).filter(name => name !== finalizer)
  return patch(kind, object, {
    metadata: {
      resourceVersion: object.metadata.resourceVersion,
      finalizers: finalizers.length > 0 ? finalizers : null,
    },
  })
}

function withoutOwners(kind: Kind, object: KubeObject, uids: ReadonlySet<string>): Change {
  const kept = (object.metadata.ownerReferences ?? []).filter(({ uid }) => !uids.has(uid))
  return patch(kind, object, {
    metadata: { resourceVersion: object.metadata.resourceVersion, ownerReferences: kept.length > 0 ? kept : null },
  })
}

function blockingNobody(kind: Kind, object: KubeObject): Change {
  const { resourceVersion, ownerReferences = [] } = object.metadata
  const freed = ownerReferences.map(reference => ({ ...reference, blockOwnerDeletion: false }))
  return patch(kind, object, { metadata: { resourceVersion, ownerReferences: freed } })
}

function orphan(kind: Kind, owner: KubeObject, seen: Seen): readonly Change[] {
  const left = dependents(owner.metadata.uid, seen)
  if (left.length === 0) return [withoutFinalizer(kind, owner, orphanFinalizer)]
  const uids = new Set([owner.metadata.uid])
  return left.map(({ kind: of, object }) => withoutOwners(of, object, uids))
}

function foreground(kind: Kind, owner: KubeObject, seen: Seen): readonly Change[] {
  const left = dependents(owner.metadata.uid, seen)
  const blocking = left.filter(({ object }) =>
    object.metadata.ownerReferences?.some(
      ({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion,
    ),
  )
  // The dependents have keys of their own, which see that their owner waits, and go.
  return blocking.length === 0 ? [withoutFinalizer(kind, owner, foregroundFinalizer)] : []
}

function withOwners(kind: Kind, object: KubeObject, seen: Seen): readonly Change[] {
  const references = object.metadata.ownerReferences ?? []
  if (references.length === 0) return []
  const gone = new Set<string>()
  const waiting = new Set<string>()
  const guards: Guard[] = []
  let solid = 0
  for (const reference of references) {
    const owner = ownerOf(object, reference, seen)
    if (owner === undefined) solid += 1
    else if (owner.object === undefined) {
      gone.add(reference.uid)
      const key = { name: reference.name, ...(owner.namespace !== undefined && { namespace: owner.namespace }) }
      // The view of the owners may be behind that of what they own: nothing is removed on its word alone.
      guards.push({ kind: 'absent', of: owner.kind, key, uid: reference.uid })
    } else if (waits(owner.object)) {
      waiting.add(reference.uid)
    } else solid += 1
  }
  if (gone.size === 0 && waiting.size === 0) return []
  const isAlone = solid === 0
  // What it owns waits for its own: in a circle, one has to let go before it begins to wait too.
  const mayCircle = waiting.size > 0 && dependents(object.metadata.uid, seen).some(one => waits(one.object))
  if (isAlone && mayCircle && references.some(({ blockOwnerDeletion }) => blockOwnerDeletion)) {
    return [blockingNobody(kind, object)]
  }
  const change = isAlone
    ? remove(kind, object, {
        resourceVersion: object.metadata.resourceVersion,
        propagationPolicy: policyOf(object, waiting.size > 0 && dependents(object.metadata.uid, seen).length > 0),
      })
    : withoutOwners(kind, object, new Set([...gone, ...waiting]))
  return [guarded(change, guards)]
}

function policyOf({ metadata }: KubeObject, blocks: boolean): 'Foreground' | 'Orphan' | 'Background' {
  if (blocks) return 'Foreground'
  if (metadata.finalizers?.includes(orphanFinalizer)) return 'Orphan'
  return metadata.finalizers?.includes(foregroundFinalizer) ? 'Foreground' : 'Background'
}
