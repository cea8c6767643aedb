// Custom objects chosen by their fields (kubernetes-api.md A: crd-field-selectors).
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { crontab, crontabs, crontabsUrl, customApi, definition } from '../../apiserver/definitions.ts'
import { type Review, type TestWebhook, testWebhook } from '../../apiserver/webhook.ts'
import { openWatch } from './wire.ts'

let api: Awaited<ReturnType<typeof customApi>>
beforeAll(async () => {
  api = await customApi()
  await api.define(crontabs())
  await api.ask(crontabsUrl, { body: crontab('a', { image: 'small', replicas: 1 }) })
  await api.ask(crontabsUrl, { body: crontab('b', { image: 'large', replicas: 1 }) })
  await api.ask(crontabsUrl, { body: crontab('c', { replicas: 2 }) })
})
afterAll(() => api.stop())

const names = async (selector: string) => {
  const { body } = await api.ask(`${crontabsUrl}?fieldSelector=${encodeURIComponent(selector)}`)
  return body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)
}

describe('crd-field-selectors', () => {
  test('lists by the fields that the definition makes selectable, numbers as texts, an absent one as empty', async () => {
    expect(await names('spec.image=small')).toEqual(['a'])
    expect(await names('spec.replicas=1')).toEqual(['a', 'b'])
    expect(await names('spec.replicas=1,spec.image!=small')).toEqual(['b'])
    expect(await names('spec.image=')).toEqual(['c'])
  })

  test('any other field is refused', async () => {
    const refused = await api.ask(`${crontabsUrl}?fieldSelector=spec.cronSpec%3Dx`)
    expect(refused).toMatchObject({ code: 400, message: 'field label not supported: spec.cronSpec' })
  })

  test('deletes by them', async () => {
    await api.ask(`${crontabsUrl}?fieldSelector=spec.replicas%3D2`, { method: 'DELETE' })
    expect(await names('')).toEqual(['a', 'b'])
  })
})

describe('crd-field-selectors across versions that a webhook converts', () => {
  let hook: TestWebhook
  let api: Awaited<ReturnType<typeof customApi>>
  const text = { type: 'string' }
  const url = (version: string) => `/apis/stable.example.com/${version}/namespaces/default/hosts`
  const selected = (version: string, selector: string) =>
    `${url(version)}?fieldSelector=${encodeURIComponent(selector)}`

  beforeAll(async () => {
    hook = await testWebhook()
    hook.answer('/convert', ({ objects, desiredAPIVersion }: Review) => ({
      result: { status: 'Success' },
      convertedObjects: objects.map((object: Review) => convertedHost(object, desiredAPIVersion)),
    }))
    api = await customApi()
    const webhook = {
      clientConfig: { url: `${hook.url}/convert`, caBundle: hook.caBundle },
      conversionReviewVersions: ['v1', 'v1beta1'],
    }
    const v1 = {
      schema: { type: 'object', properties: { hostPort: text } },
      selectableFields: [{ jsonPath: '.hostPort' }],
    }
    const v2 = {
      name: 'v2',
      schema: { type: 'object', properties: { host: text, port: text } },
      selectableFields: [{ jsonPath: '.host' }, { jsonPath: '.port' }],
    }
    await api.define(definition('hosts', 'Host', [v1, v2], { conversion: { strategy: 'Webhook', webhook } }))
  })
  afterAll(async () => {
    api.stop()
    await hook.close()
  })

  test('lists, watches and deletes go by the fields of the version that is asked for', async () => {
    const watching = [
      await openWatch(api, `${selected('v2', 'host=host1')}&watch=true`),
      await openWatch(api, `${selected('v2', 'host=host1,port=80')}&watch=true`),
      await openWatch(api, `${selected('v1', 'hostPort=host1:80')}&watch=true`),
    ] as const
    const [byHost, byBoth, byText] = watching
    for (const [name, spec] of Object.entries({
      a: { host: 'host1', port: '80' },
      b: { host: 'host1', port: '8080' },
      c: { host: 'host2' },
    })) {
      const body = { apiVersion: 'stable.example.com/v2', kind: 'Host', metadata: { name }, ...spec }
      expect((await api.ask(url('v2'), { body })).code).toBe(201)
    }
    const listed = async (version: string, selector: string) => {
      const { body } = await api.ask(selected(version, selector))
      return body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)
    }
    expect(await listed('v2', 'host=host1')).toEqual(['a', 'b'])
    expect(await listed('v2', 'host=host1,port=80')).toEqual(['a'])
    expect(await listed('v1', 'hostPort=host1:80')).toEqual(['a'])
    expect(await listed('v1', 'hostPort=host1:8080')).toEqual(['b'])
    expect(await byHost.names(2)).toEqual(['ADDED a', 'ADDED b'])
    expect(await byBoth.names(1)).toEqual(['ADDED a'])
    expect(await byText.names(1)).toEqual(['ADDED a'])

    const gone = await api.ask(selected('v2', 'host=host1,port=80'), {
      method: 'DELETE',
      body: { gracePeriodSeconds: 0 },
    })
    expect(gone.code).toBe(200)
    const { body } = await api.ask(`${url('v2')}/b`)
    expect((await api.ask(`${url('v2')}/b`, { method: 'PUT', body: { ...body, host: 'host2' } })).code).toBe(200)
    expect(await listed('v2', 'host=host1')).toEqual([])
    expect(await listed('v2', 'host=host1,port=80')).toEqual([])
    expect(await listed('v2', 'host=host2')).toEqual(['b', 'c'])
    expect(await byHost.names(2)).toEqual(['DELETED a', 'DELETED b'])
    expect(await byBoth.names(1)).toEqual(['DELETED a'])
    expect(await byText.names(1)).toEqual(['DELETED a'])
    for (const one of watching) one.close()
  })

  test('an informer begins with what is selected and goes on from there', async () => {
    const stream = `${selected('v2', 'host=host2')}&watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`
    const informer = await openWatch(api, stream)
    expect(await informer.names(2)).toEqual(['ADDED b', 'ADDED c'])
    expect((await informer.next()).type).toBe('BOOKMARK')
    const moved = await api.ask(`${url('v1')}/c`, { method: 'PATCH', body: { hostPort: 'host3:1' } })
    expect(moved.code).toBe(200)
    const { type, object } = await informer.next()
    expect([type, object.metadata.name, object.apiVersion]).toEqual(['DELETED', 'c', 'stable.example.com/v2'])
    informer.close()
    const listed = await api.ask(`${selected('v2', 'host=host3')}&resourceVersion=0`)
    expect(listed.body.items).toHaveLength(1)
  })

  test('a field of another version is none of this one', async () => {
    expect(await api.ask(selected('v1', 'host=host1'))).toMatchObject({
      code: 400,
      message: 'field label not supported: host',
    })
    expect((await api.ask(`${selected('v2', 'hostPort=a:1')}&watch=true`)).code).toBe(400)
  })
})

function convertedHost(object: Review, apiVersion: string): object {
  if (object.apiVersion === apiVersion) return object
  const { host, port, hostPort = '', ...rest } = object
  if (apiVersion.endsWith('v1')) return { ...rest, apiVersion, hostPort: port === undefined ? host : `${host}:${port}` }
  const [first, second] = hostPort.split(':')
  return { ...rest, apiVersion, host: first, ...(second !== undefined && { port: second }) }
}
