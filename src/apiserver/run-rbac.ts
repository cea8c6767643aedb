// All roles and bindings as this peer's replica has them, and the index made of them. The index is made again when somebody
// asks after a change, so a thousand new bindings cost one index.
import { ApiError } from '../api/error.ts'
import type { KubeObject } from '../api/kind.ts'
import { clusterRole } from '../api/kinds/clusterrole.ts'
import { clusterRoleBinding } from '../api/kinds/clusterrolebinding.ts'
import { role } from '../api/kinds/role.ts'
import { roleBinding } from '../api/kinds/rolebinding.ts'
import { rbacGroup } from '../api/types/rbac.ts'
import type { Revision, Store } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import type { World } from '../world/world.ts'
import { compile, type Rbac } from './rbac.ts'
import { followTable, type Table } from './run-table.ts'

export interface RbacView {
  /**
   * Never older than what `wrote` has told, nor than what was committed when this peer started. Throws
   * ServiceUnavailable when that does not come in time: then nothing is decided.
   */
  current(): Promise<Rbac>
  /** There was a write of this resource at this revision: everybody is judged by it from now on. */
  wrote(group: string, resource: string, revision: Revision): void
  readonly done: Promise<void>
}

const waitMsMax = 5_000

export function followRbac(world: Pick<World, 'clock' | 'log'>, store: Store, signal: AbortSignal): RbacView {
  const waiting = new Set<() => void>()
  /** By plural: what is to be known before anybody is judged. */
  const wanted = new Map<string, Revision>()
  let index: Rbac | undefined

  function changed(): void {
    index = undefined
    for (const wake of [...waiting]) wake()
  }

  const roles = followTable(world, store, role, changed, signal)
  const roleBindings = followTable(world, store, roleBinding, changed, signal)
  const clusterRoles = followTable(world, store, clusterRole, changed, signal)
  const clusterRoleBindings = followTable(world, store, clusterRoleBinding, changed, signal)
  const all: readonly Table<KubeObject>[] = [roles, roleBindings, clusterRoles, clusterRoleBindings]
  const lacking = () => all.filter(({ kind, revision }) => revision < (wanted.get(kind.plural) ?? 0))

  const unknown = () =>
    new ApiError('ServiceUnavailable', 'the roles of the cluster are not known here yet', { retryAfterSeconds: 1 })

  async function settle(): Promise<void> {
    using deadline = world.clock.deadline(waitMsMax, signal)
    while (all.some(({ revision }) => revision < 0)) {
      if (deadline.signal.aborted) throw unknown()
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.add(resolve)
      using _ = onAbort(deadline.signal, resolve)
      await promise
      waiting.delete(resolve)
    }
    for (const table of lacking()) {
      // The leader has it; this replica may still be behind.
      await store.applied(wanted.get(table.kind.plural) ?? 0, deadline.signal).catch(() => {
        throw unknown()
      })
      await table.refresh()
    }
  }

  return {
    async current() {
      if (lacking().length > 0) await settle()
      index ??= compile({
        roles: roles.objects.values(),
        roleBindings: roleBindings.objects.values(),
        clusterRoles: clusterRoles.objects.values(),
        clusterRoleBindings: clusterRoleBindings.objects.values(),
      })
      return index
    },
    wrote(group, resource, revision) {
      if (group === rbacGroup) wanted.set(resource, Math.max(wanted.get(resource) ?? 0, revision))
    },
    done: Promise.all(all.map(({ done }) => done)).then(() => undefined),
  }
}
