// The API in the same process, without HTTP: what controllers, the scheduler, the kubelet and the proxy use. Whoever
// holds such a client is trusted as the identity that it was made with; only HTTP requests are authorised.

import { ApiError } from '../api/error.ts'
import type { Kind, KubeObject } from '../api/kind.ts'
import { apiVersionOf } from '../api/kind.ts'
import { noDuplicates } from '../api/reader.ts'
import type { Json } from '../api/schema.ts'
import type { Client, ListOptions, ObjectKey, WatchEvent } from '../client/client.ts'
import { StoreError } from '../kv/store.ts'
import { rounded, roundedParsed } from '../lib/json.ts'
import type { Identity } from '../world/http.ts'
import { revisionOf } from './list.ts'
import type { Answer, Operation } from './operation.ts'
import { type ForwardContext, fromStore, write } from './run-forward.ts'
import { get, list } from './run-read.ts'
import { changes } from './run-watch.ts'
import { objectOf } from './stored.ts'
import { objectIn } from './watch.ts'

export type ClientOptions = {
  /** The fence of every write: refused once the leader's term is another. */
  readonly term?: number
  /** Notes what this client writes in managedFields under this name; absent: not noted. */
  readonly fieldManager?: string
}

/** Answers what a POST to a subresource asks that is no write: serviceaccounts/token. */
export type Posts = (
  kind: Kind,
  key: ObjectKey,
  subresource: string,
  body: Json,
  identity: Identity,
  signal: AbortSignal,
) => Promise<Json | undefined>

export function openClient(context: ForwardContext, identity: Identity, options: ClientOptions, posts: Posts): Client {
  const operation = (kind: Kind, verb: Operation['verb'], key: Partial<ObjectKey>, body: Json): Operation => ({
    verb,
    group: kind.group,
    version: kind.version,
    resource: kind.plural,
    ...(kind.scope === 'Namespaced' && key.namespace !== undefined && { namespace: key.namespace }),
    ...(key.name !== undefined && { name: key.name }),
    body,
    duplicates: noDuplicates,
    fieldManager: options.fieldManager ?? '',
    fieldValidation: 'Ignore',
    force: false,
    dryRun: false,
    identity,
    ...(options.term !== undefined && { term: options.term }),
  })
  const send = (op: Operation, signal: AbortSignal): Promise<Answer> => write(context, op, signal).catch(asApiError)
  // Components compute with what they get.
  const asObject = <T>(answer: Answer): T => rounded(answer.object) as unknown as T
  const keyOf = (object: KubeObject): ObjectKey => ({
    name: object.metadata.name,
    ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }),
  })

  return {
    async get<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, signal: AbortSignal): Promise<T> {
      return roundedParsed(
        objectOf<T>(await get(context, kind, key.namespace, key.name, '', { signal }).catch(asApiError)),
      )
    },

    async list<T extends KubeObject>(kind: Kind<T>, { namespace, ...selectors }: ListOptions, signal: AbortSignal) {
      const query = { limit: 0, continue: '', resourceVersion: '', resourceVersionMatch: '' }
      const listed = await list(context, kind, namespace, selectors, query, { signal }).catch(asApiError)
      return {
        items: listed.items.map(item => roundedParsed(objectOf<T>(item))),
        resourceVersion: String(listed.revision),
      }
    },

    async *watch<T extends KubeObject>(
      kind: Kind<T>,
      { namespace, resourceVersion, ...selectors }: ListOptions & { readonly resourceVersion: string },
      signal: AbortSignal,
    ): AsyncGenerator<WatchEvent<T>> {
      const after = revisionOf(resourceVersion)
      for await (const batch of changes(context, kind, namespace, selectors, after, signal)) {
        for (const change of batch.changes) yield { type: change.type, object: roundedParsed(objectIn<T>(change)) }
        // Also after changes: the batch may reach further than they do.
        yield { type: 'BOOKMARK', resourceVersion: String(batch.revision) }
      }
    },

    async create(kind, object, signal) {
      const namespace = (object as Partial<KubeObject>).metadata?.namespace
      const typed = { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object } as unknown as Json
      return asObject(
        await send(operation(kind, 'create', namespace === undefined ? {} : { namespace }, typed), signal),
      )
    },

    async update(kind, object, signal) {
      return asObject(await send(operation(kind, 'update', keyOf(object), object as unknown as Json), signal))
    },

    async updateStatus(kind, object, signal) {
      const op = operation(kind, 'update', keyOf(object), object as unknown as Json)
      return asObject(await send({ ...op, subresource: 'status' }, signal))
    },

    async patch(kind, key, patch, signal) {
      const op: Operation = {
        ...operation(kind, 'patch', key, patch.body),
        patch: patch.type,
        force: patch.force ?? false,
        ...(patch.subresource !== undefined && { subresource: patch.subresource }),
        ...(patch.fieldManager !== undefined && { fieldManager: patch.fieldManager }),
      }
      return asObject(await send(op, signal))
    },

    async delete(kind, key, { uid, resourceVersion, ...rest }, signal) {
      const preconditions = {
        ...(uid !== undefined && { uid }),
        ...(resourceVersion !== undefined && { resourceVersion }),
      }
      const body = { ...rest, ...(Object.keys(preconditions).length > 0 && { preconditions }) }
      await send(operation(kind, 'delete', key, body), signal)
    },

    async post(kind, key, subresource, body, signal) {
      const other = await posts(kind, key, subresource, body, identity, signal)
      if (other !== undefined) return other
      // A namespace's finalize is a PUT over HTTP; here there is only one way to hand over a body.
      const verb = subresource === 'finalize' ? 'update' : 'create'
      return (await send({ ...operation(kind, verb, key, body), subresource }, signal)).object
    },
  }
}

function asApiError(error: unknown): never {
  if (error instanceof StoreError) throw fromStore(error)
  if (error instanceof ApiError) throw error
  throw error
}
