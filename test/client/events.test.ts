import { expect, test } from 'vitest'
import { eventBurst, eventLog, type Told } from '../../src/client/events.ts'
import { aPod } from '../scheduler/objects.ts'

const told = (message: string, uid = 'u1'): Told => {
  const about = aPod('web')
  return { about: { ...about, metadata: { ...about.metadata, uid } }, type: 'Normal', reason: 'Pulled', message }
}

test('the same Event counts up instead of being written again', () => {
  const log = eventLog('kubelet')
  const first = log.tell(told('got it'), 1_000)
  expect(first).toMatchObject({
    kind: 'create',
    event: {
      involvedObject: { kind: 'Pod', name: 'web' },
      reason: 'Pulled',
      count: 1,
      source: { component: 'kubelet' },
      firstTimestamp: '1970-01-01T00:00:01Z',
    },
  })
  const name = first?.kind === 'create' ? first.event.metadata?.name : ''
  expect(log.tell(told('got it'), 2_000)).toMatchObject({
    kind: 'count',
    name,
    body: { count: 2, lastTimestamp: '1970-01-01T00:00:02Z' },
  })
  log.forget(first?.key ?? '')
  expect(log.tell(told('got it'), 3_000)).toMatchObject({ kind: 'create' })
})

test('many that are alike are combined into one', () => {
  const log = eventLog('kubelet')
  const writes = Array.from({ length: 14 }, (_, i) => log.tell(told(`attempt ${i}`), 1_000))
  expect(writes.filter(write => write?.kind === 'create')).toHaveLength(11)
  expect(writes.at(10)).toMatchObject({ event: { message: '(combined from similar events): attempt 10' } })
  expect(writes.at(13)).toMatchObject({
    kind: 'count',
    body: { count: 4, message: '(combined from similar events): attempt 13' },
  })
})

test('one object cannot flood the store, and others are not held back by it', () => {
  const log = eventLog('kubelet')
  const writes = Array.from({ length: 200 }, () => log.tell(told('again'), 1_000))
  expect(writes.filter(write => write !== undefined)).toHaveLength(eventBurst)
  expect(log.tell(told('again', 'u2'), 1_000)).toBeDefined()
  expect(log.tell(told('again'), 302_000)).toBeDefined()
})
