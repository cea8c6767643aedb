// Who leads, as those see it who act only while this peer does: each yields what is true now, and the signal of one
// leadership ends with it.

import type { Leadership } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'
import type { PeerId } from '../world/network.ts'

export interface Leaderships {
  readonly current: Leadership
  /** This peer leads and has committed an entry of `term`. */
  lead(term: number): void
  /** Another one does, or nobody known. Ends a leadership of ours. */
  follow(term: number, leader: PeerId | undefined): void
  stream(signal: AbortSignal): AsyncIterable<Leadership>
}

export function createLeaderships(term: number, ending: AbortSignal): Leaderships {
  let current: Leadership = { mine: false, term, leader: undefined }
  let ended: AbortController | undefined
  const waiters = new Set<() => void>()

  function show(next: Leadership): void {
    current = next
    const all = [...waiters]
    waiters.clear()
    for (const waiter of all) waiter()
  }

  async function* stream(signal: AbortSignal): AsyncGenerator<Leadership> {
    let shown: Leadership | undefined
    while (!signal.aborted) {
      if (shown !== current) {
        shown = current
        yield shown
        continue
      }
      if (ending.aborted) return
      const { promise, resolve } = Promise.withResolvers<void>()
      waiters.add(resolve)
      using _listener = onAbort(signal, resolve)
      await promise
      waiters.delete(resolve)
    }
  }

  return {
    get current() {
      return current
    },
    lead(term) {
      if (current.mine && current.term === term) return
      ended?.abort()
      ended = new AbortController()
      show({ mine: true, term, ended: ended.signal })
    },
    follow(term, leader) {
      ended?.abort()
      ended = undefined
      show({ mine: false, term, leader })
    },
    stream,
  }
}
