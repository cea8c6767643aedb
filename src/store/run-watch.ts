// One watcher: pulls from the shared batches or the history, waits when there is nothing, passes bookmarks on.

import type { Kv } from '../kv/kv.ts'
import { type Revision, StoreError, type WatchBatch } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import { type Group, join, leave, next, type Range, type Watches } from './watch.ts'

export type WatchSource = {
  readonly watches: Watches
  /** The state of now: a snapshot replaces it. */
  kv(): Kv
  isClosed(): boolean
}

export async function* runWatch(
  source: WatchSource,
  options: Range & { readonly after: Revision },
  signal: AbortSignal,
): AsyncGenerator<WatchBatch> {
  const { watches } = source
  const group = join(watches, { from: options.from, to: options.to }, source.kv())
  let cursor = options.after
  let { bookmarks } = watches
  try {
    while (!signal.aborted) {
      if (source.isClosed()) throw new StoreError('closed', 'the store is closed')
      const found = next(group, source.kv(), cursor)
      switch (found.kind) {
        case 'batch':
          cursor = found.batch.revision
          yield found.batch
          break
        case 'passed':
          cursor = found.revision
          break
        case 'failed':
          throw found.error
        case 'wait': {
          const { revision } = source.kv()
          const isDue = bookmarks !== watches.bookmarks
          bookmarks = watches.bookmarks
          if (isDue && revision > cursor) {
            cursor = revision
            yield { revision, events: [] }
          } else await woken(group, signal)
          break
        }
      }
    }
  } finally {
    leave(watches, group)
  }
}

async function woken(group: Group, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  group.waiters.add(resolve)
  using _listener = onAbort(signal, resolve)
  await promise
  group.waiters.delete(resolve)
}
