// The API in memory, behind the Client interface: real admission, patches, deletion and revisions, a watch with history;
// no store, no identity. For tests of what uses a Client.
import { admit, sameObject } from '../../src/api/admit.ts'
import { ApiError, alreadyExists, conflict, notFound } from '../../src/api/error.ts'
import { apiVersionOf, type Kind, type KubeObject, resourceOf } from '../../src/api/kind.ts'
import type { Namespace } from '../../src/api/kinds/namespace.ts'
import { type Pod, pod } from '../../src/api/kinds/pod.ts'
import { parseObject } from '../../src/api/parse.ts'
import { patchObject } from '../../src/api/patch/patch.ts'
import type { Draft, Json } from '../../src/api/schema.ts'
import { compileSelector } from '../../src/api/select.ts'
import { isFinished, planDeletion } from '../../src/apiserver/delete.ts'
import { keyOf } from '../../src/client/cache.ts'
import type { Client, ListOptions, ObjectKey, WatchEvent } from '../../src/client/client.ts'
import { onAbort } from '../../src/lib/abort.ts'
import { rfc3339 } from '../../src/lib/duration.ts'
import type { World } from '../../src/world/world.ts'

type Logged = { readonly revision: number; readonly resource: string; readonly event: WatchEvent<KubeObject> }

export type MemoryClient = Client & {
  /** All that is stored of a kind, in order of its key. */
  all<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[]
  find<T extends KubeObject>(kind: Kind<T>, name: string, namespace?: string): T | undefined
  /** Changes an object as a user or kubelet would, conflicts aside. */
  change<T extends KubeObject>(kind: Kind<T>, object: T, by: (object: T) => T, subresource?: 'status'): T
  /** Every write so far: 'create pods default/web-x'. */
  readonly writes: readonly string[]
  /** Asked before each write: an error to refuse it with. */
  refuse: (verb: string, kind: Kind, name: string) => ApiError | undefined
  /** How long a watch keeps an event back. */
  lagMs: number
  readonly revision: number
}

export function memoryClient(world: Pick<World, 'clock' | 'random'>): MemoryClient {
  const tables = new Map<string, Map<string, KubeObject>>()
  const history: Logged[] = []
  const watchers = new Set<() => void>()
  const writes: string[] = []
  let revision = 1

  const alphabet = 'bcdfghjklmnpqrstvwxz2456789'
  const suffix = () => Array.from({ length: 5 }, () => alphabet[Math.floor(world.random.float() * 27)]).join('')
  const stamp = () => ({ uid: world.random.uuid(), nowMs: world.clock.nowMs(), suffix: suffix() })

  function table(kind: Kind): Map<string, KubeObject> {
    const name = resourceOf(kind)
    const found = tables.get(name) ?? new Map<string, KubeObject>()
    tables.set(name, found)
    return found
  }

  const text = ({ namespace, name }: ObjectKey) => (namespace === undefined ? name : `${namespace}/${name}`)

  function existing<T extends KubeObject>(kind: Kind<T>, key: ObjectKey): T {
    const found = table(kind).get(text(key))
    if (found === undefined) throw notFound(kind, key.name)
    return found as T
  }

  function put<T extends KubeObject>(kind: Kind<T>, object: T, type: 'ADDED' | 'MODIFIED' | 'DELETED'): T {
    revision += 1
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
    if (type === 'DELETED') table(kind).delete(keyOf(stored))
    else table(kind).set(keyOf(stored), stored)
    history.push({ revision, resource: resourceOf(kind), event: { type, object: stored } })
    for (const wake of [...watchers]) wake()
    return stored
  }

  function note(verb: string, kind: Kind, name: string): void {
    const refused = client.refuse(verb, kind, name)
    if (refused !== undefined) throw refused
    writes.push(`${verb} ${resourceOf(kind)} ${name}`)
  }

  function write<T extends KubeObject>(kind: Kind<T>, old: T, incoming: T, subresource?: string): T {
    const asked = incoming.metadata.resourceVersion
    if (asked && asked !== old.metadata.resourceVersion)
      throw conflict(kind, old.metadata.name, 'the object has been modified')
    const part = subresource === undefined ? {} : { subresource }
    const next = admit(kind, 'update', { old, incoming, stamp: stamp(), ...part })
    if (sameObject(old, next)) return old
    const finalized =
      kind.kind === 'Namespace' && subresource !== 'finalize' ? withNamespaceFinalizers(next, old) : next
    return put(kind, finalized, isFinished(kind, finalized) ? 'DELETED' : 'MODIFIED')
  }

  function withNamespaceFinalizers<T extends KubeObject>(next: T, old: T): T {
    const { finalizers } = (old as unknown as Namespace).spec
    const namespace = next as unknown as Namespace
    return { ...namespace, spec: { ...namespace.spec, ...(finalizers && { finalizers }) } } as unknown as T
  }

  const client: MemoryClient = {
    refuse: () => undefined,
    lagMs: 0,
    writes,
    get revision() {
      return revision
    },
    all: (kind, namespace) =>
      [...table(kind).entries()]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, object]) => object as never)
        .filter(object => namespace === undefined || (object as KubeObject).metadata.namespace === namespace),
    find: (kind, name, namespace = kind.scope === 'Namespaced' ? 'default' : undefined) =>
      table(kind).get(text({ name, ...(namespace !== undefined && { namespace }) })) as never,
    change(kind, object, by, subresource) {
      const key = keyOf(object)
      const old = table(kind).get(key)
      if (old === undefined) throw notFound(kind, object.metadata.name)
      return write(kind, old as typeof object, by(old as typeof object), subresource)
    },
    async get(kind, key) {
      return existing(kind, key)
    },
    async list(kind, options) {
      const isWanted = filterOf(kind, options)
      return { items: client.all(kind).filter(isWanted), resourceVersion: String(revision) }
    },
    async *watch(kind, options, signal) {
      const isWanted = filterOf(kind, options)
      let at = history.findIndex(logged => logged.revision > Number(options.resourceVersion))
      if (at < 0) at = history.length
      while (!signal.aborted) {
        const logged = history[at]
        if (logged === undefined) {
          const { promise, resolve } = Promise.withResolvers<void>()
          watchers.add(resolve)
          using _ = onAbort(signal, resolve)
          await promise
          watchers.delete(resolve)
          continue
        }
        at += 1
        if (logged.resource !== resourceOf(kind)) continue
        if (client.lagMs > 0) await world.clock.sleep(client.lagMs, signal)
        const { event } = logged
        if (event.type !== 'BOOKMARK' && isWanted(event.object as never)) yield event as WatchEvent<never>
      }
    },
    async create(kind, object) {
      const { metadata } = object as Draft<KubeObject>
      note(
        'create',
        kind,
        text({
          name: metadata?.name ?? metadata?.generateName ?? '',
          ...(metadata?.namespace && { namespace: metadata.namespace }),
        }),
      )
      const json = JSON.parse(JSON.stringify({ apiVersion: apiVersionOf(kind), kind: kind.kind, ...object })) as Json
      const parsed = parseObject(kind, json, 'Strict').object
      const where = metadata?.namespace === undefined ? {} : { namespace: metadata.namespace }
      const made = admit(kind, 'create', { old: undefined, incoming: parsed, stamp: stamp(), ...where })
      if (table(kind).has(keyOf(made))) throw alreadyExists(kind, made.metadata.name)
      return put(kind, made, 'ADDED')
    },
    async update(kind, object) {
      const old = existing(kind, keyFrom(object))
      note('update', kind, keyOf(object))
      return write(kind, old, object)
    },
    async updateStatus(kind, object) {
      const old = existing(kind, keyFrom(object))
      note('status', kind, keyOf(object))
      return write(kind, old, object, 'status')
    },
    async patch(kind, key, { type, body, subresource }) {
      if (type === 'apply') throw new ApiError('BadRequest', 'the memory client does not apply')
      const old = existing(kind, key)
      note('patch', kind, text(key))
      const { object } = patchObject(kind, type, old, body, 'Strict')
      return write(kind, old, object, subresource)
    },
    async delete(kind, key, options) {
      const old = existing(kind, key)
      if (options.uid !== undefined && options.uid !== old.metadata.uid) throw conflict(kind, key.name, 'another uid')
      note('delete', kind, text(key))
      const { propagationPolicy, gracePeriodSeconds } = options
      const plan = planDeletion(
        kind,
        old,
        {
          ...(propagationPolicy && { propagationPolicy }),
          ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
        },
        world.clock.nowMs(),
      )
      if (plan.kind === 'remove') put(kind, old, 'DELETED')
      else if (!sameObject(plan.object, old)) put(kind, plan.object as typeof old, 'MODIFIED')
    },
    async post(kind, key, subresource, body) {
      if (resourceOf(kind) !== 'pods' || subresource !== 'binding') throw new ApiError('MethodNotAllowed', subresource)
      const old = existing(pod, key)
      note('bind', kind, text(key))
      if (old.spec.nodeName) throw conflict(kind, key.name, 'already bound')
      const { target } = body as { readonly target: { readonly name: string } }
      const conditions = (old.status.conditions ?? []).filter(({ type }) => type !== 'PodScheduled')
      const scheduled = {
        type: 'PodScheduled',
        status: 'True' as const,
        lastTransitionTime: rfc3339(world.clock.nowMs()),
      }
      const next: Pod = {
        ...old,
        spec: { ...old.spec, nodeName: target.name },
        status: { ...old.status, conditions: [...conditions, scheduled] },
      }
      put(pod, next, 'MODIFIED')
      return {}
    },
  }
  return client
}

function keyFrom({ metadata }: KubeObject): ObjectKey {
  return metadata.namespace === undefined
    ? { name: metadata.name }
    : { namespace: metadata.namespace, name: metadata.name }
}

function filterOf<T extends KubeObject>(kind: Kind<T>, { namespace, labelSelector, fieldSelector }: ListOptions) {
  const isSelected = compileSelector(kind, {
    ...(labelSelector && { labelSelector }),
    ...(fieldSelector && { fieldSelector }),
  })
  return (object: T) => (namespace === undefined || object.metadata.namespace === namespace) && isSelected(object)
}
