// Things that may wait a moment for company: batches, and news that can ride on another message.
import type { Clock } from '../world/clock.ts'

/** Calls `act` a moment after the first call of what it gives; the calls until then are part of it. */
export function afterMoment(clock: Clock, ms: number, ending: AbortSignal, act: () => void): () => void {
  let isDue = false
  return () => {
    if (isDue) return
    isDue = true
    clock.sleep(ms, ending).then(() => {
      isDue = false
      if (!ending.aborted) act()
    })
  }
}
