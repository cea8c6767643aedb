// Events of the core group and of events.k8s.io are the same objects, seen in two forms.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { walkThrough, watched } from './operations.ts'

const core = '/api/v1/namespaces/default/events'
const grouped = '/apis/events.k8s.io/v1/namespaces/default/events'
const eventTime = '2026-01-02T03:04:05.000006Z'
const regarding = { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'web', uid: 'u1' }
const told = { reason: 'Started', type: 'Normal', action: 'Starting', reportingInstance: 'node-a', eventTime }
const groupedNamed = (name: string, more: object = {}) => ({
  metadata: { name },
  ...told,
  reportingController: 'example.com/agent',
  note: 'it runs',
  regarding,
  ...more,
})
const coreNamed = (name: string, more: object = {}) => ({
  metadata: { name },
  involvedObject: regarding,
  reason: 'Pulled',
  message: 'an image',
  type: 'Normal',
  source: { component: 'kubelet', host: 'node-a' },
  firstTimestamp: '2026-01-02T03:04:05Z',
  lastTimestamp: '2026-01-02T03:04:06Z',
  count: 3,
  ...more,
})
const merge = (body: object) => ({ method: 'PATCH', body })
const namesIn = ({ items }: { items: { metadata: { name: string } }[] }) => items.map(({ metadata }) => metadata.name)

describe('events-core', () => {
  walkThrough({
    root: '/api/v1',
    namespace: 'default',
    resource: 'events',
    kind: 'Event',
    shortNames: ['ev'],
    // A message of its own would look like that of a refusal.
    make: i => coreNamed(`event-${i}`, { message: undefined }),
    change: { count: 4 },
    columns: ['Last Seen', 'Type', 'Reason', 'Object', 'Message'],
    cells: [
      expect.any(String),
      'Normal',
      'Pulled',
      'pod/web',
      '',
      'kubelet, node-a',
      '',
      expect.any(String),
      3,
      'event-0',
    ],
  })

  test('one as Go writes it is patched, told with a series, and stays all that it was', async () => {
    const api = await testApiserver()
    const ask = asking(api)
    const metadata = { name: 'event-test', creationTimestamp: null, labels: { 'testevent-constant': 'true' } }
    const empty = { source: {}, firstTimestamp: null, lastTimestamp: null, eventTime: null }
    const none = { reportingComponent: '', reportingInstance: '' }
    const said = { reason: 'Test', message: 'This is a test event', count: 1, type: 'Normal' }
    const body = { metadata, involvedObject: { namespace: 'default' }, ...said, ...empty, ...none }
    expect((await ask(core, { body })).code).toBe(201)
    const strategic = 'application/strategic-merge-patch+json'
    const at = `${core}/event-test`
    await ask(at, { method: 'PATCH', type: strategic, body: { message: 'This is a test event - patched' } })
    const read = (await ask(at)).body
    expect(read.message).toBe('This is a test event - patched')
    const series = { count: 100, lastObservedTime: '2017-09-19T13:49:16.000000Z' }
    const { managedFields: _, resourceVersion: __, ...kept } = read.metadata
    const next = { ...read, metadata: { ...kept, resourceVersion: '' }, series }
    expect((await ask(at, { method: 'PUT', body: next })).code).toBe(200)
    const after = (await ask(at)).body
    const { managedFields: ___, resourceVersion: ____, ...rest } = after.metadata
    expect({ ...after, metadata: rest }).toEqual({ ...read, series, metadata: kept })
    for (const name of ['a', 'b', 'c']) {
      await ask(core, { body: { ...body, metadata: { name, labels: { 'testevent-set': 'true' } } } })
    }
    const set = `${core}?labelSelector=testevent-set%3Dtrue`
    expect((await ask(set)).body.items).toHaveLength(3)
    await ask(set, { method: 'DELETE' })
    expect((await ask(set)).body.items).toEqual([])
    expect((await ask('/api/v1/events?labelSelector=testevent-constant%3Dtrue')).body.items).toHaveLength(1)
    api.stop()
  })
})

describe('events-k8s-io', () => {
  walkThrough({
    root: '/apis/events.k8s.io/v1',
    namespace: 'default',
    resource: 'events',
    kind: 'Event',
    shortNames: ['ev'],
    make: i => groupedNamed(`event-${i}`),
    change: { series: { count: 2, lastObservedTime: eventTime } },
    columns: ['Last Seen', 'Type', 'Reason', 'Object', 'Message'],
    cells: [
      expect.any(String),
      'Normal',
      'Started',
      'pod/web',
      '',
      'example.com/agent, node-a',
      'it runs',
      expect.any(String),
      1,
      'event-0',
    ],
  })
})

describe('events of both groups over one store', () => {
  let api: Awaited<ReturnType<typeof testApiserver>>
  let ask: Asking
  beforeAll(async () => {
    api = await testApiserver()
    ask = asking(api)
  })
  afterAll(() => api.stop())

  test('what is made in one is read in the other, with the same uid and version', async () => {
    const made = (await ask(grouped, { body: groupedNamed('both') })).body
    const { body } = await ask(`${core}/both`)
    expect(body).toMatchObject({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { uid: made.metadata.uid, resourceVersion: made.metadata.resourceVersion },
      involvedObject: regarding,
      message: 'it runs',
      reportingComponent: 'example.com/agent',
      ...told,
    })
    await ask(core, { body: coreNamed('older') })
    const older = (await ask(`${grouped}/older`)).body
    expect(older).toMatchObject({
      apiVersion: 'events.k8s.io/v1',
      regarding,
      note: 'an image',
      deprecatedSource: { component: 'kubelet', host: 'node-a' },
      deprecatedFirstTimestamp: '2026-01-02T03:04:05Z',
      deprecatedLastTimestamp: '2026-01-02T03:04:06Z',
      deprecatedCount: 3,
    })
    for (const name of ['involvedObject', 'message', 'source', 'count']) expect(older).not.toHaveProperty(name)
    expect((await ask(core, { body: coreNamed('both') })).code).toBe(409)
    const list = (await ask('/apis/events.k8s.io/v1/events')).body
    expect([list.apiVersion, list.kind, namesIn(list).sort()]).toEqual([
      'events.k8s.io/v1',
      'EventList',
      ['both', 'older'],
    ])
    expect(list.items.map((item: { apiVersion: string }) => item.apiVersion)).toEqual(Array(2).fill('events.k8s.io/v1'))
  })

  test('a change in one is a change in the other, and each writer owns fields in its own form', async () => {
    await ask(grouped, { body: groupedNamed('changed'), headers: { 'user-agent': 'newer/1' } })
    const series = { count: 2, lastObservedTime: '2026-01-02T03:05:00.000000Z' }
    expect((await ask(`${grouped}/changed?fieldManager=newer`, merge({ series }))).code).toBe(200)
    expect((await ask(`${core}/changed`)).body.series).toEqual(series)
    await ask(`${core}/changed?fieldManager=older`, merge({ metadata: { labels: { by: 'older' } } }))
    const { managedFields, labels } = (await ask(`${grouped}/changed`)).body.metadata
    expect(labels).toEqual({ by: 'older' })
    const managers = managedFields.map((each: { manager: string; apiVersion: string }) => [
      each.manager,
      each.apiVersion,
    ])
    expect(managers).toEqual(
      expect.arrayContaining([
        ['newer', 'events.k8s.io/v1'],
        ['older', 'v1'],
      ]),
    )
  })

  test('a watch of one sees what is written in the other, in its own form', async () => {
    const since = (await ask(grouped)).body.metadata.resourceVersion
    await ask(core, { body: coreNamed('seen') })
    await ask(`${core}/seen`, merge({ count: 9 }))
    await ask(`${core}/seen`, { method: 'DELETE' })
    const isLast = ({ type }: { type: string }) => type === 'DELETED'
    const url = `${grouped}?watch=true&resourceVersion=${since}&fieldSelector=regarding.name%3Dweb`
    const events = await watched(api, url, isLast)
    const seen = events.map(({ type, object }) => [type, object.apiVersion, object.note, object.deprecatedCount])
    expect(seen).toEqual([
      ['ADDED', 'events.k8s.io/v1', 'an image', 3],
      ['MODIFIED', 'events.k8s.io/v1', 'an image', 9],
      ['DELETED', 'events.k8s.io/v1', 'an image', 9],
    ])
  })

  test('each is selected by the names of its own fields', async () => {
    await ask(core, { body: coreNamed('selected', { reason: 'Chosen' }) })
    expect(namesIn((await ask(`${grouped}?fieldSelector=reason%3DChosen,regarding.kind%3DPod`)).body)).toEqual([
      'selected',
    ])
    expect(namesIn((await ask(`${core}?fieldSelector=reason%3DChosen,involvedObject.kind%3DPod`)).body)).toEqual([
      'selected',
    ])
    expect((await ask(`${grouped}?fieldSelector=involvedObject.kind%3DPod`)).code).toBe(400)
    expect((await ask(`${core}?fieldSelector=regarding.kind%3DPod`)).code).toBe(400)
  })

  test('a list in parts goes on where it stopped', async () => {
    const first = (await ask(`${grouped}?limit=1`)).body
    const rest = (await ask(`${grouped}?limit=500&continue=${first.metadata.continue}`)).body
    const all = namesIn((await ask(core)).body)
    expect([...namesIn(first), ...namesIn(rest)]).toEqual(all)
  })

  test('what is deleted in one is gone from the other', async () => {
    await ask(core, { body: coreNamed('gone', { reason: 'Going' }) })
    const deleted = await ask(`${grouped}?fieldSelector=reason%3DGoing`, { method: 'DELETE' })
    expect(namesIn(deleted.body)).toEqual(['gone'])
    expect((await ask(`${core}/gone`)).code).toBe(404)
  })

  test('the new form refuses what only the old one may say, and changes only its series', async () => {
    const wrong = await ask(grouped, {
      body: { metadata: { name: 'wrong' }, regarding, deprecatedCount: 1, type: 'Odd' },
    })
    expect(wrong.code).toBe(422)
    const causes = wrong.body.details.causes.map(
      (cause: { field: string; message: string }) => `${cause.field}: ${cause.message}`,
    )
    expect(causes).toEqual([
      'eventTime: Required value',
      'type: Invalid value: "": has invalid value: Odd',
      'count: Invalid value: "": needs to be unset',
    ])
    await ask(grouped, { body: groupedNamed('kept') })
    const { code, message } = await ask(`${grouped}/kept`, merge({ note: 'something else' }))
    expect([code, message]).toEqual([
      422,
      expect.stringContaining('message: Invalid value: "something else": field is immutable'),
    ])
  })
})
