// What the official suite asks of the API about scheduling: priority classes, and the life of a range of limits.
import { describe, expect, test } from 'vitest'
import { podNamed } from '../../apiserver/ask.ts'
import { walkThrough } from './operations.ts'
import { type Answer, ask, oneApi, openWatch, patch, post, put, remove } from './wire.ts'

const classes = '/apis/scheduling.k8s.io/v1/priorityclasses'
const core = '/api/v1/namespaces/default'
const pods = `${core}/pods`
const named = (name: string, more: object = {}) => ({ metadata: { name, labels: { e2e: 'yes' } }, value: 10, ...more })
const causesOf = ({ body }: Answer) =>
  body.details?.causes?.map(({ field = '', message }) => `${field}: ${message}`) ?? []

describe('priorityclass', () => {
  walkThrough({
    root: '/apis/scheduling.k8s.io/v1',
    resource: 'priorityclasses',
    kind: 'PriorityClass',
    shortNames: ['pc'],
    make: i => ({ metadata: { name: `class-${i}` }, value: i + 1 }),
    change: { description: 'changed' },
    columns: ['Name', 'Value', 'Global-Default', 'Age', 'PreemptionPolicy'],
    cells: ['class-0', 1, false, 'PreemptLowerPriority'],
  })
  const one = oneApi()

  test('its value stays, by patch and by update; its description changes', async () => {
    const made = await post(one.api, classes, named('stays'))
    const why = ['value: Forbidden: may not be changed in an update.']
    expect(causesOf(await patch(one.api, `${classes}/stays`, 'strategic', { value: 100 }))).toEqual(why)
    expect(causesOf(await put(one.api, `${classes}/stays`, { ...made.body, value: 100 }))).toEqual(why)
    expect(causesOf(await patch(one.api, `${classes}/stays`, 'merge', { preemptionPolicy: 'Never' }))).toEqual([
      'preemptionPolicy: Invalid value: "Never": field is immutable',
    ])
    const described = await patch(one.api, `${classes}/stays`, 'strategic', { description: 'updated description' })
    expect(described.body['description']).toBe('updated description')
    const updated = await put(one.api, `${classes}/stays`, { ...described.body, description: 'once more' })
    expect(updated.body).toMatchObject({ value: 10, description: 'once more' })
    await remove(one.api, `${classes}?labelSelector=e2e%3Dyes`)
    expect((await ask(one.api, `${classes}?labelSelector=e2e%3Dyes`)).body.items).toEqual([])
  })

  test('the two of every cluster are there, and their names and values are kept for them', async () => {
    const { body } = await ask(one.api, classes)
    expect(body.items.map(each => [each.metadata.name, each['value'], each['preemptionPolicy']])).toEqual([
      ['system-cluster-critical', 2_000_000_000, 'PreemptLowerPriority'],
      ['system-node-critical', 2_000_001_000, 'PreemptLowerPriority'],
    ])
    expect(causesOf(await post(one.api, classes, named('system-mine')))).toEqual([
      "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only",
    ])
    expect(causesOf(await post(one.api, classes, named('high', { value: 1_000_000_001 })))).toEqual([
      'value: Forbidden: maximum allowed value of a user defined priority is 1000000000',
    ])
    const critical = await post(one.api, pods, podNamed('critical', { priorityClassName: 'system-node-critical' }))
    expect(critical.body['spec']).toMatchObject({ priority: 2_000_001_000, priorityClassName: 'system-node-critical' })
  })

  test('one of them may be the default, for pods that name none', async () => {
    await post(one.api, classes, named('usual', { value: 7, globalDefault: true }))
    const second = await post(one.api, classes, named('other', { globalDefault: true }))
    expect([second.code, second.body.message]).toEqual([
      403,
      'priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked as default. Only one default can exist',
    ])
    await post(one.api, classes, named('other'))
    expect((await patch(one.api, `${classes}/other`, 'merge', { globalDefault: true })).code).toBe(403)
    expect((await patch(one.api, `${classes}/usual`, 'merge', { description: 'still' })).code).toBe(200)
    const { body } = await post(one.api, pods, podNamed('plain'))
    expect(body['spec']).toMatchObject({ priority: 7, priorityClassName: 'usual' })
    await remove(one.api, `${classes}/usual`)
    expect((await patch(one.api, `${classes}/other`, 'merge', { globalDefault: true })).code).toBe(200)
  })

  test('a pod may not name a class that is not there, nor a number that is not its class’s', async () => {
    const missing = await post(one.api, pods, podNamed('missing', { priorityClassName: 'nope' }))
    expect([missing.code, missing.body.message]).toEqual([
      403,
      'pods "missing" is forbidden: no PriorityClass with name nope was found',
    ])
    const wrong = await post(
      one.api,
      pods,
      podNamed('wrong', { priorityClassName: 'system-node-critical', priority: 5 }),
    )
    expect(wrong.body.message).toContain('the integer value of priority (5) must not be provided in pod spec')
  })
})

describe('limitrange', () => {
  const one = oneApi()
  const ranges = `${core}/limitranges`
  const sizes = (cpu: string, memory: string, storage: string) => ({ cpu, memory, 'ephemeral-storage': storage })
  const item = {
    type: 'Container',
    min: sizes('50m', '100Mi', '100Gi'),
    max: sizes('500m', '500Mi', '500Gi'),
    default: sizes('500m', '500Mi', '500Gi'),
    defaultRequest: sizes('100m', '200Mi', '200Gi'),
    // As Go writes an empty map.
    maxLimitRequestRatio: {},
  }
  const pod = (name: string, resources: object) =>
    post(one.api, pods, podNamed(name, { containers: [{ name: 'c', image: 'i:1', resources }] }))
  const resourcesOf = ({ body }: Answer) =>
    (body['spec'] as { containers: readonly { resources: object }[] }).containers[0]?.resources

  test('its life: it fills in, refuses, is changed, and holds nobody once it is gone', async () => {
    const since = (await ask(one.api, ranges)).body.metadata.resourceVersion
    const watch = await openWatch(one.api, `${ranges}?watch=1&resourceVersion=${since}&labelSelector=time%3Dnow`)
    const body = { metadata: { name: 'range', labels: { time: 'now' } }, spec: { limits: [item] } }
    const { code, body: made } = await post(one.api, ranges, body)
    const { maxLimitRequestRatio: _, ...kept } = item
    expect([code, made['spec']]).toEqual([201, { limits: [kept] }])
    expect(resourcesOf(await pod('none', {}))).toEqual({ requests: item.defaultRequest, limits: item.default })
    const partial = { requests: { memory: '150Mi', 'ephemeral-storage': '150Gi' }, limits: { cpu: '300m' } }
    expect(resourcesOf(await pod('partial', partial))).toEqual({
      requests: sizes('300m', '150Mi', '150Gi'),
      limits: sizes('300m', '500Mi', '500Gi'),
    })
    const less = { requests: sizes('10m', '50Mi', '50Gi') }
    const more = { limits: sizes('600m', '600Mi', '600Gi') }
    expect((await pod('less', less)).body.message).toBe(
      'pods "less" is forbidden: [minimum cpu usage per Container is 50m, but request is 10m, minimum ephemeral-storage usage per Container is 100Gi, but request is 50Gi, minimum memory usage per Container is 100Mi, but request is 50Mi]',
    )
    expect((await pod('more', more)).code).toBe(403)
    const lower = { limits: [{ ...item, min: sizes('9m', '49Mi', '49Gi') }] }
    expect((await put(one.api, `${ranges}/range`, { ...made, spec: lower })).code).toBe(200)
    expect((await pod('less', less)).code).toBe(201)
    expect((await pod('more', more)).code).toBe(403)
    await remove(one.api, `${ranges}/range`, { gracePeriodSeconds: 30 })
    expect((await pod('more', more)).code).toBe(201)
    expect(await watch.names(3)).toEqual(['ADDED range', 'MODIFIED range', 'DELETED range'])
    watch.close()
  })

  test('is listed everywhere, patched, and deleted with others by its label', async () => {
    const body = (name: string) => ({ metadata: { name, labels: { group: 'many' } }, spec: { limits: [item] } })
    await post(one.api, '/api/v1/namespaces', { metadata: { name: 'elsewhere' } })
    await post(one.api, ranges, body('here'))
    await post(one.api, '/api/v1/namespaces/elsewhere/limitranges', body('there'))
    const all = () => ask(one.api, '/api/v1/limitranges?labelSelector=group%3Dmany')
    expect((await all()).body.items.map(({ metadata }) => metadata.name)).toEqual(['here', 'there'])
    const patched = await patch(one.api, `${ranges}/here`, 'strategic', {
      metadata: { labels: { here: 'patched' } },
      spec: { limits: [{ ...item, min: sizes('49m', '99Mi', '99Gi') }] },
    })
    expect(patched.body['spec']).toMatchObject({ limits: [{ min: { cpu: '49m' } }] })
    expect((await remove(one.api, `${ranges}?labelSelector=here%3Dpatched`)).code).toBe(200)
    expect((await all()).body.items.map(({ metadata }) => metadata.name)).toEqual(['there'])
  })
})
