// All roles and bindings as this peer's replica has them, kept current by the store's watches, and the index made of them.
// The index is made again when somebody asks after a change, so a thousand new bindings cost one index.
import { ApiError } from '../api/error.ts'
import type { Kind, KubeObject } from '../api/kind.ts'
import { clusterRole } from '../api/kinds/clusterrole.ts'
import { clusterRoleBinding } from '../api/kinds/clusterrolebinding.ts'
import { role } from '../api/kinds/role.ts'
import { roleBinding } from '../api/kinds/rolebinding.ts'
import { rbacGroup } from '../api/types/rbac.ts'
import { type ChangeEvent, prefixEnd, type Revision, type Store, StoreError } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import type { World } from '../world/world.ts'
import { compile, type Rbac } from './rbac.ts'
import { objectOf, resourcePrefix } from './stored.ts'

export interface RbacView {
  /**
   * Never older than what `wrote` has told, nor than what was committed when this peer started. Throws
   * ServiceUnavailable when that does not come in time: then nothing is decided.
   */
  current(): Promise<Rbac>
  /** This replica has applied a write of this resource at this revision: everybody is judged by it from now on. */
  wrote(group: string, resource: string, revision: Revision): void
  readonly done: Promise<void>
}

const waitMsMax = 5_000
const againMs = 200

/** One kind's objects by key, and up to which revision they are known. */
type Table<T extends KubeObject> = {
  readonly kind: Kind<T>
  readonly objects: Map<string, T>
  /** -1: nothing is known yet. */
  revision: Revision
  /** What is to be known before anybody is judged. */
  wanted: Revision
}

const revisionOf = (event: ChangeEvent): Revision =>
  event.kind === 'delete' ? event.revision : event.current.modRevision

const table = <T extends KubeObject>(kind: Kind<T>): Table<T> => ({ kind, objects: new Map(), revision: -1, wanted: 0 })

export function followRbac(world: Pick<World, 'clock' | 'log'>, store: Store, signal: AbortSignal): RbacView {
  const tables = {
    roles: table(role),
    roleBindings: table(roleBinding),
    clusterRoles: table(clusterRole),
    clusterRoleBindings: table(clusterRoleBinding),
  }
  const all: readonly Table<KubeObject>[] = Object.values(tables)
  const waiting = new Set<() => void>()
  let index: Rbac | undefined

  const isCurrent = () => all.every(({ revision, wanted }) => revision >= wanted)

  function changed(): void {
    index = undefined
    for (const wake of [...waiting]) wake()
  }

  /** Replaces what is known by what this replica holds. */
  async function list(of: Table<KubeObject>): Promise<void> {
    const from = resourcePrefix(of.kind)
    const { items, revision } = await store.range({ from, to: prefixEnd(from) })
    if (revision < of.revision) return
    of.objects.clear()
    for (const item of items) of.objects.set(item.key, objectOf(item))
    of.revision = revision
    changed()
  }

  async function once(of: Table<KubeObject>): Promise<void> {
    // A peer that was away for a while must not judge by what it knew then.
    await store.newest(signal)
    of.revision = -1
    await list(of)
    const from = resourcePrefix(of.kind)
    for await (const batch of store.watch({ from, to: prefixEnd(from), after: of.revision }, signal)) {
      // What a list has shown meanwhile comes again, and may be older than the list.
      const fresh = batch.events.filter(event => revisionOf(event) > of.revision)
      for (const event of fresh) {
        if (event.kind === 'delete') of.objects.delete(event.key)
        else of.objects.set(event.current.key, objectOf(event.current))
      }
      of.revision = Math.max(of.revision, batch.revision)
      if (fresh.length > 0) changed()
    }
  }

  async function run(of: Table<KubeObject>): Promise<void> {
    while (!signal.aborted) {
      try {
        await once(of)
      } catch (error) {
        if (signal.aborted) return
        // The history is shorter than this peer was behind: then it begins again at once.
        if (error instanceof StoreError && error.reason === 'compacted') continue
        world.log.debug(`${of.kind.plural} are not followed at this moment`, { error: String(error) })
        await world.clock.sleep(againMs, signal)
      }
    }
  }

  async function settle(): Promise<void> {
    using deadline = world.clock.deadline(waitMsMax, signal)
    while (all.some(({ revision }) => revision < 0)) {
      if (deadline.signal.aborted) {
        const message = 'the roles of the cluster are not known here yet'
        throw new ApiError('ServiceUnavailable', message, { retryAfterSeconds: 1 })
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.add(resolve)
      using _ = onAbort(deadline.signal, resolve)
      await promise
      waiting.delete(resolve)
    }
    // The write is applied here, so it is seen by looking; its event may come a moment later.
    for (const of of all) if (of.revision < of.wanted) await list(of)
  }

  return {
    async current() {
      if (!isCurrent()) await settle()
      index ??= compile({
        roles: tables.roles.objects.values(),
        roleBindings: tables.roleBindings.objects.values(),
        clusterRoles: tables.clusterRoles.objects.values(),
        clusterRoleBindings: tables.clusterRoleBindings.objects.values(),
      })
      return index
    },
    wrote(group, resource, revision) {
      if (group !== rbacGroup) return
      const of = all.find(({ kind }) => kind.plural === resource)
      if (of !== undefined) of.wanted = Math.max(of.wanted, revision)
    },
    done: Promise.all(all.map(run)).then(() => undefined),
  }
}
