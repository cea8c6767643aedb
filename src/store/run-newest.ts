// Newest reads as they are asked: all who ask while a question is on its way share the next one, so that a question is
// one message to each member however many wait for it. Where the others are far away nobody waits longer than a moment
// before their question leaves too.
import type { Revision } from '../kv/store.ts'
import type { Clock } from '../world/clock.ts'
import { type Pendings, unlessAborted } from './pending.ts'

export type NewestConfig = {
  readonly clock: Clock
  readonly momentMs: number
  readonly reads: Pendings<Revision>
  readonly deadlineMs: () => number
  readonly wake: () => void
  readonly wakeLater: () => void
}

export interface Newest {
  /** Rejects with StoreError. */
  ask(signal: AbortSignal | undefined): Promise<Revision>
  /** The question that may leave in this turn, by its id in `reads`. */
  take(): number | undefined
  answered(id: number): void
}

export function createNewest({ clock, momentMs, reads, deadlineMs, wake, wakeLater }: NewestConfig): Newest {
  /** Of those who ask next. */
  let next: { readonly id: number; readonly promise: Promise<Revision> } | undefined
  /** On its way. */
  let open: number | undefined
  let openedMs = 0
  return {
    ask(signal) {
      if (next === undefined) {
        next = reads.add('a newest read', deadlineMs(), undefined)
        // Whoever asked may have gone; the failure is told to those who are still there.
        next.promise.catch(() => {})
        if (open === undefined) wake()
        else wakeLater()
      }
      return signal === undefined ? next.promise : unlessAborted(next.promise, signal)
    },
    take() {
      if (next === undefined) return undefined
      const nowMs = clock.monotonicMs()
      if (open !== undefined && nowMs - openedMs < momentMs) {
        wakeLater()
        return undefined
      }
      open = next.id
      openedMs = nowMs
      next = undefined
      return open
    },
    answered(id) {
      if (id !== open) return
      open = undefined
      if (next !== undefined) wake()
    },
  }
}
