import { expect, test } from 'vitest'
import { defineKind, type Kind, type KubeObject } from '../../src/api/kind.ts'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { event } from '../../src/api/kinds/event.ts'
import { eventsEvent } from '../../src/api/kinds/eventsevent.ts'
import { eventsAs, readAs, readOneAs, writeAs } from '../../src/apiserver/run-convert.ts'
import { decodeStored, encodeStored, keyOf, prefixOf, servedText } from '../../src/apiserver/stored.ts'
import type { KeyValue } from '../../src/kv/store.ts'

const metadata = { name: 'a', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: 't' }
const stored = (object: object, modRevision = 7): KeyValue => ({
  key: '/registry/events/default/a',
  value: encodeStored(object as KubeObject),
  createRevision: 3,
  modRevision,
  version: 1,
  lease: 0,
})
const told = stored({ apiVersion: 'v1', kind: 'Event', metadata, involvedObject: { kind: 'Pod' }, message: 'hello' })

test('two kinds of one store have the same keys, and others their own', () => {
  expect(prefixOf(eventsEvent, 'default')).toBe(prefixOf(event, 'default'))
  expect(keyOf(eventsEvent, 'default', 'a')).toBe('/registry/events/default/a')
  expect(keyOf(configMap, 'default', 'a')).toBe('/registry/configmaps/default/a')
})

test('what is stored as itself is given as it is, unread', async () => {
  const broken = [{ ...told, value: 'no JSON at all' }]
  expect(await readAs(configMap, broken)).toBe(broken)
  const events = [{ kind: 'put' as const, current: told, previous: undefined }]
  expect(await eventsAs(configMap, events)).toBe(events)
  const operations = [{ key: told.key, value: 'no JSON at all' }]
  expect(await writeAs(configMap, told.key, operations)).toBe(operations)
})

test('what is stored as another keeps its key and versions, and is served in its own form', async () => {
  const [shown] = await readAs(eventsEvent, [told])
  expect(shown).toMatchObject({ key: told.key, createRevision: 3, modRevision: 7, version: 1 })
  expect(JSON.parse(servedText(shown ?? told))).toEqual({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { ...metadata, resourceVersion: '7' },
    regarding: { kind: 'Pod' },
    note: 'hello',
  })
  expect(await readOneAs(eventsEvent, undefined)).toBeUndefined()
})

test('of a change, what was and what is are both in the form that is asked for', async () => {
  const before = stored({ apiVersion: 'v1', kind: 'Event', metadata, message: 'before' }, 6)
  const [put, gone] = await eventsAs(eventsEvent, [
    { kind: 'put', current: told, previous: before },
    { kind: 'delete', key: told.key, revision: 9, previous: told },
  ])
  const notes = [put?.kind === 'put' && put.current, put?.previous, gone?.previous].map(
    value => value && (decodeStored(value.value) as KubeObject & { note: string }).note,
  )
  expect(notes).toEqual(['hello', 'before', 'hello'])
})

test('of what is written along with an object, the object alone takes the stored form', async () => {
  const [shown] = await readAs(eventsEvent, [told])
  const beside = { key: '/registry/other', value: 'as it is' }
  const removed = { key: told.key, value: undefined }
  const written = await writeAs(eventsEvent, told.key, [{ key: told.key, value: shown?.value }, beside, removed])
  expect(written[0]?.value).toBe(told.value)
  expect(written.slice(1)).toEqual([beside, removed])
})

test('a conversion may answer later, and has to answer for all', async () => {
  const { storedAs, ...own } = eventsEvent
  const slow = defineKind({
    ...own,
    storedAs: { kind: event, read: async objects => objects, write: async object => object },
  } as Kind)
  expect(await readAs(slow, [told, told])).toHaveLength(2)
  const lossy = defineKind({ ...own, storedAs: { kind: event, read: () => [], write: object => object } } as Kind)
  await expect(readAs(lossy, [told])).rejects.toThrow('1 objects became 0 events')
})
