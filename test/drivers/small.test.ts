// The small drivers: clock, random, log.
import { expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { realLog } from '../../src/drivers/log.ts'
import { realRandom } from '../../src/drivers/random.ts'

test('a sleep ends at its time, or at once and without an error when the signal aborts', async () => {
  const clock = realClock()
  const before = clock.monotonicMs()
  await clock.sleep(20, new AbortController().signal)
  expect(clock.monotonicMs() - before).toBeGreaterThanOrEqual(18)
  const aborting = new AbortController()
  const sleeping = clock.sleep(1_000_000_000, aborting.signal)
  aborting.abort()
  await sleeping
  await clock.sleep(1_000_000_000, aborting.signal)
})

test('a deadline aborts after its time or with its parent, and never once it is disposed', async () => {
  const clock = realClock()
  const parent = new AbortController()
  const never = new AbortController().signal
  using short = clock.deadline(5, never)
  const disposed = clock.deadline(5, never)
  disposed[Symbol.dispose]()
  using child = clock.deadline(1_000_000, parent.signal)
  parent.abort(new Error('parent'))
  expect(child.signal.reason).toMatchObject({ message: 'parent' })
  await clock.sleep(30, never)
  expect(short.signal.aborted).toBe(true)
  expect(disposed.signal.aborted).toBe(false)
  using late = clock.deadline(5, parent.signal)
  expect(late.signal.aborted).toBe(true)
})

test('random gives as many bytes as asked, floats below 1, and UUIDs of version 4', () => {
  const random = realRandom()
  expect(random.bytes(33)).toHaveLength(33)
  const floats = Array.from({ length: 1_000 }, () => random.float())
  expect(Math.min(...floats)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...floats)).toBeLessThan(1)
  expect(new Set(floats).size).toBe(1_000)
  expect(random.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('a log line is one line, whatever is in it, and less important ones are left out', () => {
  const lines: string[] = []
  const log = realLog({ level: 'info', format: 'text', write: line => lines.push(line), nowMs: () => 0 })
  log.debug('unseen')
  log.with({ component: 'store' }).warn('evil\n1970 ERROR fake', { peer: 'a b\u001b[31m', count: 3, absent: undefined })
  expect(lines).toEqual([
    '1970-01-01T00:00:00.000Z WARN  store: evil\\u000a1970 ERROR fake peer="a b\\u001b[31m" count=3\n',
  ])
})

test('a JSON line keeps time, level and message for itself', () => {
  const lines: string[] = []
  const log = realLog({ level: 'debug', format: 'json', write: line => lines.push(line), nowMs: () => 0 })
  log.with({ level: 'fake' }).error('broken', { why: 'x' })
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    time: '1970-01-01T00:00:00.000Z',
    level: 'error',
    message: 'broken',
    level_: 'fake',
    why: 'x',
  })
})
