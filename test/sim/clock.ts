// A peer's clock over virtual time. It may run fast or slow, and the wall clock may be wrong and jump; nothing but labels
// may depend on the latter.
import { onAbort } from '../../src/lib/abort.ts'
import type { Clock } from '../../src/world/clock.ts'
import { type Life, later } from './life.ts'

const epochMs = Date.UTC(2026, 0, 1)

/** `rate`: true milliseconds for each of its own. */
export function simClock(life: Life, wallSkewMs: () => number, rate = 1): Clock {
  const { agenda } = life
  return {
    nowMs: () => epochMs + agenda.nowMs() + wallSkewMs(),
    monotonicMs: () => agenda.nowMs() / rate,
    sleep(ms, signal) {
      return new Promise(resolve => {
        const listener = onAbort(signal, () => {
          if (life.alive) resolve()
        })
        later(life, Math.max(0, ms * rate), () => {
          listener[Symbol.dispose]()
          resolve()
        })
      })
    },
    soon(act) {
      queueMicrotask(() => {
        if (life.alive) act()
      })
    },
    deadline(ms, signal) {
      const controller = new AbortController()
      const listener = onAbort(signal, () => controller.abort())
      later(life, Math.max(0, ms * rate), () => controller.abort())
      return { signal: controller.signal, [Symbol.dispose]: () => listener[Symbol.dispose]() }
    },
  }
}
