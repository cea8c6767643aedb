// The loop of a component that makes the world equal to a view: whatever happens only says that it is time to look again.
// One step at a time; what happens during a step is one more step after it; a failed step is done again, with back-off.
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../world/clock.ts'

export type LevelOptions = {
  /** Lets the changes of one burst gather into one step. */
  readonly gatherMs: number
  /** A step is done again after this long without a change, since somebody else may have changed the world. */
  readonly resyncMs: number
  readonly retryMs: number
  readonly retryMsMax: number
}

export interface Level {
  /** Time to look again. Any number of calls before the next step are one. */
  poke(): void
  /**
   * Does a step at once and after each poke until the signal aborts. `step` gets whether it is there to repair (the first,
   * a resync, a retry), when it must not trust what it did before. `failed` hears what a step threw.
   */
  run(
    step: (repair: boolean) => Promise<void>,
    failed: (error: unknown, retryMs: number) => void,
    signal: AbortSignal,
  ): Promise<void>
}

export function level(clock: Clock, options: LevelOptions): Level {
  let poked = false
  let wake = () => {}

  /** True when it was the time that ended it. */
  async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
    if (poked) return false
    using deadline = clock.deadline(ms, signal)
    const { promise, resolve } = Promise.withResolvers<void>()
    wake = resolve
    using _ = onAbort(deadline.signal, resolve)
    await promise
    return !poked
  }

  return {
    poke() {
      poked = true
      wake()
    },
    async run(step, failed, signal) {
      let repair = true
      let retryMs = options.retryMs
      let resyncAtMs = 0
      while (!signal.aborted) {
        await clock.sleep(options.gatherMs, signal)
        if (signal.aborted) return
        poked = false
        try {
          await step(repair)
          if (repair) resyncAtMs = clock.monotonicMs() + options.resyncMs
          retryMs = options.retryMs
          repair = await pause(Math.max(1, resyncAtMs - clock.monotonicMs()), signal)
        } catch (error) {
          if (signal.aborted) return
          failed(error, retryMs)
          await clock.sleep(retryMs, signal)
          retryMs = Math.min(retryMs * 2, options.retryMsMax)
          repair = true
        }
      }
    },
  }
}
