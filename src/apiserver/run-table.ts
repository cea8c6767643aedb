// All objects of one kind as this peer's replica has them, kept current by the store's watch. For the API server itself,
// which stands below client/run-follow.ts.
import type { Kind, KubeObject } from '../api/kind.ts'
import { type ChangeEvent, prefixEnd, type Revision, type Store, StoreError } from '../kv/store.ts'
import type { World } from '../world/world.ts'
import { objectOf, resourcePrefix } from './stored.ts'

export interface Table<T extends KubeObject> {
  readonly kind: Kind<T>
  /** By the store's key. */
  readonly objects: ReadonlyMap<string, T>
  /** Up to which all is known; -1: nothing is known yet. */
  readonly revision: Revision
  /** Looks at the replica now: what was written here is seen, also when its event has not come yet. */
  refresh(): Promise<void>
  readonly done: Promise<void>
}

const againMs = 200

const revisionOf = (event: ChangeEvent): Revision =>
  event.kind === 'delete' ? event.revision : event.current.modRevision

/** `changed` is called after each change, synchronously. Ends with the signal; `done` never rejects. */
export function followTable<T extends KubeObject>(
  world: Pick<World, 'clock' | 'log'>,
  store: Store,
  kind: Kind<T>,
  changed: () => void,
  signal: AbortSignal,
): Table<T> {
  const objects = new Map<string, T>()
  const from = resourcePrefix(kind)
  const to = prefixEnd(from)
  let known: Revision = -1

  async function refresh(): Promise<void> {
    const { items, revision } = await store.range({ from, to })
    if (revision < known) return
    objects.clear()
    for (const item of items) objects.set(item.key, objectOf(item))
    known = revision
    changed()
  }

  async function once(): Promise<void> {
    // A peer that was away for a while must not go by what it knew then.
    await store.newest(signal)
    known = -1
    await refresh()
    for await (const batch of store.watch({ from, to, after: known }, signal)) {
      // What a refresh has shown meanwhile comes again, and may be older than it.
      const fresh = batch.events.filter(event => revisionOf(event) > known)
      for (const event of fresh) {
        if (event.kind === 'delete') objects.delete(event.key)
        else objects.set(event.current.key, objectOf(event.current))
      }
      known = Math.max(known, batch.revision)
      if (fresh.length > 0) changed()
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await once()
      } catch (error) {
        if (signal.aborted) return
        // The history is shorter than this peer was behind: then it begins again at once.
        if (error instanceof StoreError && error.reason === 'compacted') continue
        world.log.debug(`${kind.plural} are not followed at this moment`, { error: String(error) })
        await world.clock.sleep(againMs, signal)
      }
    }
  }

  return {
    kind,
    objects,
    get revision() {
      return known
    },
    refresh,
    done: run(),
  }
}
