// Large answers share the event loop with all other requests: what is made of thousands of objects is made slice by slice,
// and in one turn of the loop all of them together take a few milliseconds.
import type { Clock } from '../world/clock.ts'

export interface Pace {
  /** undefined: go on; otherwise wait for it first. Asked between pieces of work that take less than a millisecond. */
  turn(): Promise<void> | undefined
}

const sliceMs = 4

export function openPace(clock: Pick<Clock, 'monotonicMs' | 'soon'>): Pace {
  const waiting: (() => void)[] = []
  /** When the work of this turn of the loop began; undefined: nothing has been done in it yet. */
  let beganMs: number | undefined

  function begin(nowMs: number): void {
    beganMs = nowMs
    clock.soon(() => {
      const next = waiting.shift()
      beganMs = undefined
      if (next === undefined) return
      begin(clock.monotonicMs())
      next()
    })
  }

  return {
    turn() {
      const nowMs = clock.monotonicMs()
      if (beganMs === undefined) begin(nowMs)
      if (nowMs - (beganMs ?? nowMs) < sliceMs) return undefined
      return new Promise(resolve => {
        waiting.push(resolve)
      })
    },
  }
}
