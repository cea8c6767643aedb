// A peer's clock over virtual time. The wall clock may be wrong and jump; nothing but labels may depend on it.
import { onAbort } from '../../src/lib/abort.ts'
import type { Clock } from '../../src/world/clock.ts'
import { type Life, later } from './life.ts'

const epochMs = Date.UTC(2026, 0, 1)

export function simClock(life: Life, wallSkewMs: () => number): Clock {
  const { agenda } = life
  return {
    nowMs: () => epochMs + agenda.nowMs() + wallSkewMs(),
    monotonicMs: () => agenda.nowMs(),
    sleep(ms, signal) {
      return new Promise(resolve => {
        const listener = onAbort(signal, () => {
          if (life.alive) resolve()
        })
        later(life, Math.max(0, ms), () => {
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
      later(life, Math.max(0, ms), () => controller.abort())
      return { signal: controller.signal, [Symbol.dispose]: () => listener[Symbol.dispose]() }
    },
  }
}
