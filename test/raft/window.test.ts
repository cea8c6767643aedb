// The window of unanswered appends against a naive twin: a plain list.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addSent, clearWindow, createWindow, freeUpTo, hasRoom } from '../../src/raft/window.ts'

const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      entries: fc.integer({ min: 1, max: 5 }),
      bytes: fc.nat(99),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('answer' as const), upTo: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
)

test('the window agrees with a plain list and never lets out more than it may', () => {
  const bounds = fc.record({ countMax: fc.integer({ min: 1, max: 20 }), bytesMax: fc.integer({ min: 1, max: 400 }) })
  fc.assert(
    fc.property(bounds, fc.array(action, { maxLength: 200 }), ({ countMax, bytesMax }, actions) => {
      const window = createWindow()
      let twin: { last: number; bytes: number }[] = []
      let last = 0
      const sum = () => twin.reduce((total, one) => total + one.bytes, 0)
      for (const one of actions) {
        if (one.kind === 'clear') {
          clearWindow(window)
          twin = []
        } else if (one.kind === 'answer') {
          freeUpTo(window, one.upTo)
          twin = twin.filter(sent => sent.last > one.upTo)
        } else {
          expect(hasRoom(window, countMax, bytesMax)).toBe(twin.length < countMax && sum() < bytesMax)
          if (!hasRoom(window, countMax, bytesMax)) continue
          last += one.entries
          addSent(window, last, one.bytes)
          twin.push({ last, bytes: one.bytes })
        }
        expect(window.count).toBe(twin.length)
        expect(window.bytes).toBe(sum())
        expect(window.count).toBeLessThanOrEqual(countMax)
        expect(window.bytes).toBeLessThan(bytesMax + 100)
      }
    }),
  )
})
