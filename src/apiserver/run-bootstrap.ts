// What every cluster has from its first moment on: namespaces, roles and bindings, priority classes and levels. Idempotent: made again whenever somebody
// leads, so that what was taken away comes back and what a new version brings is there.
import { ApiError } from '../api/error.ts'
import type { Kind, KubeObject } from '../api/kind.ts'
import { clusterRole } from '../api/kinds/clusterrole.ts'
import { clusterRoleBinding } from '../api/kinds/clusterrolebinding.ts'
import { flowSchema } from '../api/kinds/flowschema.ts'
import { namespace } from '../api/kinds/namespace.ts'
import { priorityClass } from '../api/kinds/priorityclass.ts'
import { priorityLevelConfiguration } from '../api/kinds/prioritylevelconfiguration.ts'
import { role } from '../api/kinds/role.ts'
import { roleBinding } from '../api/kinds/rolebinding.ts'
import { systemPriorities } from '../api/pod/defaults.ts'
import type { Draft } from '../api/schema.ts'
import { keyFrom, keyOf } from '../client/cache.ts'
import type { Client } from '../client/client.ts'
import {
  defaultClusterRoleBindings,
  defaultClusterRoles,
  defaultRoleBindings,
  defaultRoles,
} from './bootstrap/policy.ts'
import { filled, reconcileBinding, reconcileRole, type Step } from './bootstrap/reconcile.ts'
import { defaultLevels, defaultSchemas } from './flowcontrol/defaults.ts'
import { defaultNamespaces } from './write.ts'

/** How many are written at once: they share disk syncs. */
const batchCount = 32

export async function makeDefaults(client: Client, signal: AbortSignal): Promise<void> {
  for (const name of defaultNamespaces) {
    try {
      await client.get(namespace, { name }, signal)
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== 'NotFound') throw error
      await client.create(namespace, { metadata: { name } }, signal)
    }
  }
  await reconcile(client, clusterRole, filled(defaultClusterRoles), reconcileRole, signal)
  await reconcile(client, role, defaultRoles, reconcileRole, signal)
  await reconcile(client, clusterRoleBinding, defaultClusterRoleBindings, reconcileBinding, signal)
  await reconcile(client, roleBinding, defaultRoleBindings, reconcileBinding, signal)
  await reconcile(client, priorityClass, systemClasses, asItIs, signal)
  await reconcile(client, priorityLevelConfiguration, defaultLevels, asItIs, signal)
  await reconcile(client, flowSchema, defaultSchemas, asItIs, signal)
}

/** Known to admission anyhow (api/pod/defaults.ts); here so that people see them. */
const systemClasses = Object.entries({
  'system-cluster-critical':
    'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  'system-node-critical': 'Used for system critical pods that must not be moved from their current node.',
}).map(([name, description]) => ({ metadata: { name }, value: systemPriorities[name] ?? 0, description }))

/** What people have made of it stays. */
const asItIs = () => ({ kind: 'nothing' }) as const

type Placed = { readonly metadata: { readonly name: string; readonly namespace?: string } }

async function reconcile<T extends KubeObject, D extends Draft<T> & Placed>(
  client: Client,
  kind: Kind<T>,
  wanted: readonly D[],
  step: (found: T, wanted: D) => Step<T>,
  signal: AbortSignal,
): Promise<void> {
  const { items } = await client.list(kind, {}, signal)
  const found = new Map(items.map(item => [keyOf(item), item]))
  const one = async (object: D): Promise<void> => {
    const old = found.get(keyFrom(object.metadata.namespace, object.metadata.name))
    const next = old === undefined ? undefined : step(old, object)
    if (next?.kind === 'nothing') return
    if (next?.kind === 'update') {
      await client.update(kind, next.object, signal)
      return
    }
    if (old !== undefined) await client.delete(kind, object.metadata, {}, signal)
    await client.create(kind, object, signal)
  }
  for (let at = 0; at < wanted.length; at += batchCount) {
    await Promise.all(wanted.slice(at, at + batchCount).map(object => one(object).catch(ignoreQuicker)))
  }
}

/** Somebody else has changed it in this moment: it is looked at again with the next term. */
function ignoreQuicker(error: unknown): void {
  if (!(error instanceof ApiError) || !['AlreadyExists', 'Conflict', 'NotFound'].includes(error.reason)) throw error
}
