// A view of one kind, folded from a list and the watch events after it. Pure: no clock, no waiting. The view is one
// table that changes in place (a homelab's agents hold it once per kind); `changed` says what to look at again.
import type { KubeObject } from '../api/kind.ts'
import { sortedBy } from '../lib/sorted.ts'
import type { WatchEvent } from './client.ts'

/** Read only. What it shows is at least as new as `revision`. */
export interface View<T extends KubeObject> {
  readonly revision: number
  readonly size: number
  get(namespace: string | undefined, name: string): T | undefined
  /** In order of namespace and name. */
  list(namespace?: string): readonly T[]
  /** The objects for which `index` gave `value`; see `cache`. */
  by(index: string, value: string): readonly T[]
}

export type Change<T> = { readonly key: string; readonly before: T | undefined; readonly after: T | undefined }

export interface Cache<T extends KubeObject> extends View<T> {
  /** Replaces everything; gives what differs. */
  reset(items: readonly T[], revision: number): readonly Change<T>[]
  fold(event: WatchEvent<T>): Change<T> | undefined
}

export type Indexes<T> = Readonly<Record<string, (object: T) => readonly string[]>>

/** 'namespace/name', or 'name' of a cluster-wide object. */
export function keyOf(object: KubeObject): string {
  return keyFrom(object.metadata.namespace, object.metadata.name)
}

export function keyFrom(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`
}

function at<K, V>(tables: Map<string, Map<K, V>>, name: string): Map<K, V> {
  const found = tables.get(name) ?? new Map<K, V>()
  tables.set(name, found)
  return found
}

export function cache<T extends KubeObject>(indexes: Indexes<T> = {}): Cache<T> {
  const table = new Map<string, T>()
  const indexed = new Map<string, Map<string, Map<string, T>>>()
  let revision = 0
  let sorted: readonly T[] | undefined
  let byNamespace: Map<string, T[]> | undefined

  function put(key: string, object: T | undefined): Change<T> | undefined {
    const before = table.get(key)
    if (before === undefined && object === undefined) return undefined
    if (before?.metadata.resourceVersion === object?.metadata.resourceVersion) return undefined
    for (const [name, values] of Object.entries(indexes)) {
      const byValue = at(indexed, name)
      for (const value of before ? values(before) : []) {
        const group = byValue.get(value)
        group?.delete(key)
        if (group?.size === 0) byValue.delete(value)
      }
      for (const value of object ? values(object) : []) {
        at(byValue, value).set(key, object as T)
      }
    }
    if (object === undefined) table.delete(key)
    else table.set(key, object)
    sorted = undefined
    byNamespace = undefined
    return { key, before, after: object }
  }

  return {
    get revision() {
      return revision
    },
    get size() {
      return table.size
    },
    get: (namespace, name) => table.get(keyFrom(namespace, name)),
    list(namespace) {
      sorted ??= sortedBy(table.entries(), ([key]) => key).map(([, object]) => object)
      if (namespace === undefined) return sorted
      if (!byNamespace) {
        byNamespace = new Map()
        for (const object of sorted) {
          const group = byNamespace.get(object.metadata.namespace ?? '')
          if (group) group.push(object)
          else byNamespace.set(object.metadata.namespace ?? '', [object])
        }
      }
      return byNamespace.get(namespace) ?? []
    },
    by: (index, value) => sortedBy(indexed.get(index)?.get(value)?.entries() ?? [], ([key]) => key).map(([, o]) => o),
    reset(items, to) {
      const fresh = new Set(items.map(keyOf))
      const gone = [...table.keys()].filter(key => !fresh.has(key)).map(key => put(key, undefined))
      const there = items.map(item => put(keyOf(item), item))
      revision = to
      return [...gone, ...there].filter(change => change !== undefined)
    },
    fold(event) {
      if (event.type === 'BOOKMARK') {
        revision = Math.max(revision, Number(event.resourceVersion))
        return undefined
      }
      revision = Math.max(revision, Number(event.object.metadata.resourceVersion))
      return put(keyOf(event.object), event.type === 'DELETED' ? undefined : event.object)
    },
  }
}
