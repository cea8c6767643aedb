// Versions of custom objects that a webhook converts (kubernetes-api.md A: crd-conversion-webhook).
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openCaller } from '../../../src/drivers/http/call.ts'
import { asking } from '../../apiserver/ask.ts'
import { controlled, define, definition, definitionUrl, until } from '../../apiserver/definitions.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { type Review, type TestWebhook, testWebhook } from '../../apiserver/webhook.ts'

let hook: TestWebhook
let api: Awaited<ReturnType<typeof testApiserver>>
let ask: ReturnType<typeof asking>

const url = (version: string) => `/apis/stable.example.com/${version}/namespaces/default/hosts`
/** v1 has a host and a port, v2 one text of both. */
const v1 = { type: 'object', properties: { host: { type: 'string' }, port: { type: 'string' } } }
const v2 = { type: 'object', properties: { hostPort: { type: 'string' } } }

function converted(object: Review, apiVersion: string): object {
  if (object.apiVersion === apiVersion) return object
  const { host, port, hostPort = '', ...rest } = object
  if (apiVersion.endsWith('v2')) return { ...rest, apiVersion, hostPort: `${host}:${port}` }
  const [first, second] = hostPort.split(':')
  return { ...rest, apiVersion, host: first, port: second }
}

const convertAll = ({ objects, desiredAPIVersion }: Review) => ({
  result: { status: 'Success' },
  convertedObjects: objects.map((object: Review) => converted(object, desiredAPIVersion)),
})

beforeAll(async () => {
  hook = await testWebhook()
  hook.answer('/convert', convertAll)
  api = controlled(await testApiserver({ caller: openCaller(new AbortController().signal) }))
  ask = asking(api)
  const webhook = {
    clientConfig: { url: `${hook.url}/convert`, caBundle: hook.caBundle },
    conversionReviewVersions: ['v1'],
  }
  const conversion = { conversion: { strategy: 'Webhook', webhook } }
  await define(ask, definition('hosts', 'Host', [{ schema: v1 }, { name: 'v2', schema: v2 }], conversion))
  const body = { apiVersion: 'stable.example.com/v1', kind: 'Host', metadata: { name: 'a' }, host: 'a', port: '80' }
  await ask(url('v1'), { body })
})
beforeEach(() => hook.answer('/convert', convertAll))
afterAll(async () => {
  api.stop()
  await hook.close()
})

describe('crd-conversion', () => {
  test('an object is read in another version, with metadata as it is', async () => {
    const [one, two] = [await ask(`${url('v1')}/a`), await ask(`${url('v2')}/a`)]
    expect(two.body).toEqual({
      apiVersion: 'stable.example.com/v2',
      kind: 'Host',
      hostPort: 'a:80',
      metadata: one.body.metadata,
    })
    const { apiVersion, desiredAPIVersion, objects } = hook.asked.at(-1)
    expect({ apiVersion, desiredAPIVersion }).toEqual({
      apiVersion: 'apiextensions.k8s.io/v1',
      desiredAPIVersion: 'stable.example.com/v2',
    })
    expect(objects[0]).toMatchObject({ apiVersion: 'stable.example.com/v1', host: 'a' })
  })

  test('an object is written in another version, patched and applied there', async () => {
    const body = { apiVersion: 'stable.example.com/v2', kind: 'Host', metadata: { name: 'b' }, hostPort: 'b:1' }
    expect((await ask(url('v2'), { body })).body.hostPort).toBe('b:1')
    expect((await ask(`${url('v1')}/b`)).body).toMatchObject({ host: 'b', port: '1' })
    const patched = await ask(`${url('v2')}/b`, { method: 'PATCH', body: { hostPort: 'b:2' } })
    expect(patched.body.hostPort).toBe('b:2')
    const applied = await ask(`${url('v2')}/b?fieldManager=me&force=true`, {
      method: 'PATCH',
      type: 'application/apply-patch+yaml',
      body: { ...body, hostPort: 'b:3' },
    })
    expect(applied.body.hostPort).toBe('b:3')
    expect((await ask(`${url('v1')}/b`)).body.port).toBe('3')
  })

  test('a list of objects that are stored in two versions is given in one, and asked for once', async () => {
    const name = definitionUrl('hosts.stable.example.com')
    const { body } = await ask(name)
    const [one, two] = body.spec.versions
    const turned = [
      { ...one, storage: false },
      { ...two, storage: true },
    ]
    const changed = await ask(name, { method: 'PATCH', body: { spec: { versions: turned } } })
    expect(changed.body.status.storedVersions).toEqual(['v1', 'v2'])
    const made = { apiVersion: 'stable.example.com/v1', kind: 'Host', metadata: { name: 'c' }, host: 'c', port: '9' }
    await ask(url('v1'), { body: made })
    const count = hook.asked.length
    const listed = await ask(url('v2'))
    expect(listed.body.items.map(({ hostPort }: Review) => hostPort)).toEqual(['a:80', 'b:3', 'c:9'])
    expect(hook.asked.slice(count)).toHaveLength(1)
    expect((await ask(url('v1'))).body.items.map(({ host }: Review) => host)).toEqual(['a', 'b', 'c'])
  })

  test('a failing webhook is an error that says why, and so are answers that do not fit', async () => {
    const get = () => ask(`${url('v2')}/a`)
    hook.answer('/convert', () => ({ result: { status: 'Failure', message: 'cannot do that' }, convertedObjects: [] }))
    expect(await get()).toMatchObject({
      code: 500,
      message: 'conversion webhook for stable.example.com/v1, Kind=Host failed: cannot do that',
    })
    hook.answer('/convert', () => ({ result: { status: 'Success' }, convertedObjects: [] }))
    expect((await get()).message).toContain('returned 0 objects, expected 1')
    hook.answer('/convert', ({ objects }) => ({ result: { status: 'Success' }, convertedObjects: objects }))
    expect((await get()).message).toContain('invalid groupVersion (expected stable.example.com/v2')
    hook.answer('/convert', review => {
      const [first] = convertAll(review).convertedObjects
      const stolen = { ...first, metadata: { ...first.metadata, name: 'other' } }
      return { result: { status: 'Success' }, convertedObjects: [stolen] }
    })
    expect((await get()).message).toContain('metadata.name must be "a", not "other"')
    hook.answer('/convert', () => ({ code: 500, text: 'broken' }))
    expect((await get()).message).toContain('an error on the server ("broken")')
  })

  test('who knows the older review first is asked in that', async () => {
    const own = definitionUrl('hosts.stable.example.com')
    const versions = (conversionReviewVersions: readonly string[]) =>
      ask(own, { method: 'PATCH', body: { spec: { conversion: { webhook: { conversionReviewVersions } } } } })
    expect((await versions(['v1beta1', 'v1'])).code).toBe(200)
    const asked = hook.asked.length
    expect((await ask(`${url('v2')}/a`)).body.hostPort).toBe('a:80')
    expect(hook.asked.slice(asked).map(({ apiVersion }) => apiVersion)).toEqual(['apiextensions.k8s.io/v1beta1'])
    expect((await versions(['v9'])).code).toBe(422)
    await versions(['v1'])
  })

  test('the definition goes although its webhook fails', async () => {
    hook.answer('/convert', convertAll)
    await ask(definitionUrl('hosts.stable.example.com'), { method: 'DELETE' })
    await until(
      () => ask(definitionUrl('hosts.stable.example.com')),
      ({ code }) => code === 404,
    )
    expect((await ask(url('v1'))).code).toBe(404)
  })
})
