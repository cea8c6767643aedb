// What the three runtimes share and what has no file of its own.
import { onAbort } from '../../lib/abort.ts'
import type { World } from '../../world/world.ts'

/** The part of the world that a runtime uses. */
export type RuntimeWorld = Pick<World, 'clock' | 'log' | 'random'>

/** A set of pods that something happened to, emptied by a reader; bounded by the number of pods. */
export type Hints = {
  add(uid: string): void
  /** Ends when the signal aborts. */
  read(signal: AbortSignal): AsyncGenerator<string>
}

export function hints(): Hints {
  const waiting = new Set<string>()
  let wake: (() => void) | undefined
  return {
    add(uid) {
      waiting.add(uid)
      wake?.()
    },
    async *read(signal) {
      using _ = onAbort(signal, () => wake?.())
      while (!signal.aborted) {
        for (const uid of waiting) {
          waiting.delete(uid)
          yield uid
        }
        if (signal.aborted) return
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
    },
  }
}
