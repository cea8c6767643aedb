// The real clock. A deadline does not keep the process alive; a sleep does, because someone waits for it.
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../world/clock.ts'

/** setTimeout takes a signed 32-bit number of milliseconds and fires at once on a larger one. */
const timeoutMsMax = 2 ** 31 - 1

export function realClock(): Clock {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    sleep(ms, signal) {
      if (signal.aborted) return Promise.resolve()
      return new Promise(resolve => {
        const end = () => {
          clearTimeout(timer)
          listener[Symbol.dispose]()
          resolve()
        }
        // Referenced: someone waits for this sleep, and a process with nothing else to do must not end under it.
        const timer = setTimeout(end, clamp(ms))
        const listener = onAbort(signal, end)
      })
    },
    soon: act => void setImmediate(act),
    deadline(ms, signal) {
      const controller = new AbortController()
      if (signal.aborted) {
        controller.abort(signal.reason)
        return { signal: controller.signal, [Symbol.dispose]() {} }
      }
      const timer = setTimeout(() => {
        controller.abort(new DOMException(`nothing came in ${ms} ms`, 'TimeoutError'))
      }, clamp(ms))
      timer.unref()
      const listener = onAbort(signal, () => controller.abort(signal.reason))
      return {
        signal: controller.signal,
        [Symbol.dispose]() {
          clearTimeout(timer)
          listener[Symbol.dispose]()
        },
      }
    },
  }
}

function clamp(ms: number): number {
  return Math.min(Math.max(ms, 0), timeoutMsMax)
}
