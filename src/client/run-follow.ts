// Keeps a cache equal to the API: lists, watches, and begins again when the watch breaks or its revision expires.
import type { Kind, KubeObject } from '../api/kind.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../world/clock.ts'
import type { Log } from '../world/log.ts'
import { type Cache, type Change, cache, type Indexes, type View } from './cache.ts'
import type { Client, ListOptions } from './client.ts'

export const relistBackoffMs = 200
export const relistBackoffMsMax = 5_000

export interface Followed<T extends KubeObject> {
  readonly view: View<T>
  /** Resolves once the first list stands in the view; rejects when the signal aborts before. */
  readonly synced: Promise<void>
  /** Resolves when the view shows at least this revision, or the signal aborts. */
  reached(revision: number, signal: AbortSignal): Promise<void>
  /** Calls `listener` after each batch of changes, synchronously. A hint: read the view. */
  onChange(listener: (changes: readonly Change<T>[]) => void): Disposable
  readonly done: Promise<void>
}

/** Never rejects in `done`; a failing API is logged and asked again with back-off until the signal aborts. */
export function follow<T extends KubeObject>(
  world: { readonly clock: Clock; readonly log: Log },
  client: Client,
  kind: Kind<T>,
  options: ListOptions,
  indexes: Indexes<T>,
  signal: AbortSignal,
): Followed<T> {
  const held: Cache<T> = cache(indexes)
  const listeners = new Set<(changes: readonly Change<T>[]) => void>()
  const waiting = new Set<() => void>()
  const synced = Promise.withResolvers<void>()
  synced.promise.catch(() => undefined)

  function tell(changes: readonly Change<T>[]): void {
    for (const wake of [...waiting]) wake()
    if (changes.length > 0) for (const listener of [...listeners]) listener(changes)
  }

  async function once(): Promise<void> {
    const listed = await client.list(kind, options, signal)
    tell(held.reset(listed.items, Number(listed.resourceVersion)))
    synced.resolve()
    for await (const event of client.watch(kind, { ...options, resourceVersion: listed.resourceVersion }, signal)) {
      const change = held.fold(event)
      tell(change ? [change] : [])
    }
  }

  async function run(): Promise<void> {
    let backoffMs = relistBackoffMs
    while (!signal.aborted) {
      const startedMs = world.clock.monotonicMs()
      try {
        await once()
      } catch (error) {
        if (signal.aborted) break
        world.log.debug(`watch of ${kind.plural} broke, listing again`, { error: String(error) })
      }
      if (world.clock.monotonicMs() - startedMs > relistBackoffMsMax) backoffMs = relistBackoffMs
      await world.clock.sleep(backoffMs, signal)
      backoffMs = Math.min(backoffMs * 2, relistBackoffMsMax)
    }
    synced.reject(new Error(`stopped before ${kind.plural} were listed`))
    for (const wake of [...waiting]) wake()
  }

  return {
    view: held,
    synced: synced.promise,
    done: run(),
    onChange(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    async reached(revision, until) {
      while (held.revision < revision && !until.aborted && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>()
        waiting.add(resolve)
        using _ = onAbort(until, resolve)
        await promise
        waiting.delete(resolve)
      }
    },
  }
}
