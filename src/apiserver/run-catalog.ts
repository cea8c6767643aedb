// The kinds that are served now: the built-in ones, and those that CustomResourceDefinitions define, kept current from this
// peer's own replica. Who asks for a kind gets it as the replica defines it at that moment, so a definition that was read
// here can be used here; at the leader, where writes are carried out, that is the newest there is.

import { type Convert, customKinds } from '../api/custom/kind.ts'
import { ApiError } from '../api/error.ts'
import type { Kind } from '../api/kind.ts'
import {
  type CustomResourceDefinition,
  customResourceDefinition,
  hasCondition,
} from '../api/kinds/customresourcedefinition.ts'
import { type KeyValue, prefixEnd, type Store, StoreError } from '../kv/store.ts'
import { onAbort, type Until } from '../lib/abort.ts'
import { backoffMs } from '../lib/backoff.ts'
import { sameJson } from '../lib/canonical.ts'
import { roundedParsed } from '../lib/json.ts'
import { sortedBy } from '../lib/sorted.ts'
import type { World } from '../world/world.ts'
import { builtIn, builtInAt, type Catalog, type Place } from './catalog.ts'
import { pathNotFound } from './route.ts'
import { keyOf, objectOf, prefixOf } from './stored.ts'

type Entry = {
  readonly revision: number
  readonly definition: CustomResourceDefinition
  readonly kinds: readonly Kind[]
  readonly ended: AbortController
}

const prefix = prefixOf(customResourceDefinition)
const retry = { firstMs: 50, mostMs: 5_000 }
/** So long a watch may still deliver the last deletions when its definition is gone. */
const farewellMs = 500

export function openCatalog(
  world: Pick<World, 'clock' | 'random' | 'log'>,
  store: Store,
  converterOf: (definition: CustomResourceDefinition) => Convert,
  signal: AbortSignal,
): Catalog {
  const entries = new Map<string, Entry>()
  const endings = new WeakMap<Kind, AbortSignal>()
  let served: readonly Kind[] = builtIn
  onAbort(signal, () => {
    for (const { ended } of entries.values()) ended.abort()
  })

  function rebuild(): void {
    const all = sortedBy(entries.keys(), key => key).flatMap(key => entries.get(key)?.kinds ?? [])
    served = all.length === 0 ? builtIn : [...builtIn, ...all]
  }

  function remove(key: string, revision: number): void {
    const entry = entries.get(key)
    if (entry === undefined || entry.revision > revision) return
    entries.delete(key)
    void world.clock.sleep(farewellMs, signal).then(() => entry.ended.abort())
    if (entry.kinds.length > 0) rebuild()
  }

  function put(item: KeyValue): Entry {
    const before = entries.get(item.key)
    if (before !== undefined && before.revision >= item.modRevision) return before
    const definition = roundedParsed(objectOf<CustomResourceDefinition>(item))
    if (before !== undefined && sameJson(servedBy(before.definition), servedBy(definition))) {
      const same = { ...before, revision: item.modRevision }
      entries.set(item.key, same)
      return same
    }
    before?.ended.abort()
    const ended = new AbortController()
    if (signal.aborted) ended.abort()
    const kinds = hasCondition(definition, 'Established') ? made(definition) : []
    for (const kind of kinds) endings.set(kind, ended.signal)
    const entry: Entry = { revision: item.modRevision, definition, kinds, ended }
    entries.set(item.key, entry)
    if (kinds.length > 0 || (before?.kinds.length ?? 0) > 0) rebuild()
    return entry
  }

  function made(definition: CustomResourceDefinition): readonly Kind[] {
    try {
      return customKinds(definition, converterOf(definition))
    } catch (error) {
      // One definition that cannot be understood must not take the others with it.
      const { name } = definition.metadata
      world.log.error('a CustomResourceDefinition cannot be served', { name, error: String(error) })
      return []
    }
  }

  async function follow(): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      try {
        const { items, revision } = await store.range({ from: prefix, to: prefixEnd(prefix) })
        const there = new Set(items.map(({ key }) => key))
        for (const item of items) put(item)
        for (const key of [...entries.keys()]) if (!there.has(key)) remove(key, revision)
        for await (const batch of store.watch({ from: prefix, to: prefixEnd(prefix), after: revision }, signal)) {
          failures = 0
          for (const event of batch.events) {
            if (event.kind === 'put') put(event.current)
            else remove(event.key, event.revision)
          }
        }
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        const expected = error instanceof StoreError
        if (!expected) world.log.error('definitions could not be followed', { error: String(error) })
        await world.clock.sleep(backoffMs(failures, retry, world.random.float()), signal)
      }
    }
  }

  /** As the replica has it now. */
  async function current(place: Place): Promise<Kind | undefined> {
    const name = `${place.resource}.${place.group}`
    const item = await store.get(keyOf(customResourceDefinition, undefined, name))
    if (item === undefined) return undefined
    return put(item).kinds.find(({ version, plural }) => version === place.version && plural === place.resource)
  }

  async function defined(place: Place, until: Until): Promise<Kind> {
    if (!place.group.includes('.')) throw new ApiError('NotFound', pathNotFound)
    const now = await current(place)
    if (now !== undefined) return now
    // Another peer may have shown the definition already.
    await store.newest(until.signal).catch(() => undefined)
    const later = await current(place)
    if (later === undefined) throw new ApiError('NotFound', pathNotFound)
    return later
  }

  void follow()
  return {
    kinds: () => served,
    ended: kind => endings.get(kind),
    find: (place, until) => builtInAt(place) ?? defined(place, until),
  }
}

/** What the kinds of a definition are made of: its other conditions come and go without them. */
function servedBy(definition: CustomResourceDefinition): unknown {
  return [
    definition.metadata.uid,
    definition.spec,
    definition.status?.acceptedNames,
    hasCondition(definition, 'Established'),
    definition.metadata.deletionTimestamp !== undefined,
  ]
}
