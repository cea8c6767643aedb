// Long work in pieces: whoever has held the event loop for a while lets everybody else run before it goes on.
import type { Clock } from '../world/clock.ts'

/** Asked between two pieces: undefined, or what to wait for first. */
export type Breathe = () => Promise<void> | undefined

const heldMsMax = 8

export function breather(clock: Pick<Clock, 'monotonicMs' | 'soon'>): Breathe {
  let sinceMs = clock.monotonicMs()
  return () => {
    if (clock.monotonicMs() - sinceMs < heldMsMax) return undefined
    return new Promise<void>(resolve => clock.soon(resolve)).then(() => {
      sinceMs = clock.monotonicMs()
    })
  }
}
