// What the API does with APIServices themselves, and with a request whose server is not there.
// (kubernetes-api.md A: aggregator). What is passed on, and how, stands in aggregator.test.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { apiServiceController } from '../../../src/controllers/apiservice.ts'
import { runControllers } from '../../../src/controllers/run.ts'
import { type Asking, asking } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { inputs } from '../../controllers/cluster.ts'
import { openWatch } from './wire.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
let running: Promise<void>
const root = '/apis/apiregistration.k8s.io/v1'
const url = `${root}/apiservices`
const named = (version: string) => ({
  apiVersion: 'apiregistration.k8s.io/v1',
  kind: 'APIService',
  metadata: { name: `${version}.wardle.example.com`, labels: { walk: 'yes' } },
  spec: {
    group: 'wardle.example.com',
    version,
    service: { namespace: 'default', name: 'sample-api', port: 7443 },
    groupPriorityMinimum: 2_000,
    versionPriority: 200,
    insecureSkipTLSVerify: true,
  },
})
type Conditioned = { status?: { conditions?: readonly { type: string; status: string; reason: string }[] } }
const availability = ({ status }: Conditioned) => status?.conditions?.find(({ type }) => type === 'Available')

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
  running = runControllers(api.world, api.client, inputs(), [apiServiceController], api.signal)
})
afterAll(async () => {
  api.stop()
  await running
})

describe('aggregator', () => {
  test('an APIService is made, seen, patched, updated, has a status of its own, and goes with others', async () => {
    const names = (await ask(root)).body.resources.map(({ name }: { name: string }) => name)
    expect(names).toEqual(expect.arrayContaining(['apiservices', 'apiservices/status']))
    const since = (await ask(`${url}?labelSelector=walk%3Dyes`)).body.metadata.resourceVersion
    const made = await ask(url, { body: named('v1alpha1') })
    expect([made.code, made.message]).toEqual([201, ''])
    const own = `${url}/v1alpha1.wardle.example.com`
    const read = await ask(`${own}/status`)
    expect([read.body.kind, read.body.metadata.uid]).toEqual(['APIService', made.body.metadata.uid])
    const patched = await ask(own, {
      method: 'PATCH',
      body: { metadata: { labels: { patched: 'yes' } }, spec: { versionPriority: 400 } },
    })
    expect(patched.body).toMatchObject({
      metadata: { labels: { walk: 'yes', patched: 'yes' } },
      spec: { versionPriority: 400 },
    })
    const condition = { type: 'StatusUpdated', status: 'True', reason: 'E2E', message: 'Set by a test' }
    await expect
      .poll(async () => {
        const { body } = await ask(`${own}/status`)
        body.status ??= {}
        body.status.conditions = [...(body.status.conditions ?? []), { ...condition, lastTransitionTime: null }]
        return (await ask(`${own}/status`, { method: 'PUT', body })).code
      })
      .toBe(200)
    const byPatch = await ask(`${own}/status`, {
      method: 'PATCH',
      body: { metadata: { annotations: { patchedstatus: 'true' } } },
    })
    expect(byPatch.body.metadata.annotations).toEqual({ patchedstatus: 'true' })
    expect(byPatch.body.status.conditions).toContainEqual(expect.objectContaining({ type: 'StatusUpdated' }))
    await ask(url, { body: named('v1beta1') })
    expect((await ask(`${url}?labelSelector=walk%3Dyes`)).body.items).toHaveLength(2)
    const watch = await openWatch(api, `${url}?watch=true&labelSelector=walk%3Dyes&resourceVersion=${since}`)
    expect(await watch.names(1)).toEqual(['ADDED v1alpha1.wardle.example.com'])
    watch.close()
    expect((await ask(`${url}?labelSelector=walk%3Dyes`, { method: 'DELETE' })).code).toBe(200)
    expect((await ask(`${url}?labelSelector=walk%3Dyes`)).body.items).toEqual([])
  })

  test('where its Service is not there, it says so and nothing is served; when it goes, its paths are none', async () => {
    await ask(url, { body: named('v1') })
    await expect
      .poll(async () => availability((await ask(`${url}/v1.wardle.example.com`)).body), { timeout: 20_000 })
      .toMatchObject({ status: 'False', reason: 'ServiceNotFound' })
    const path = '/apis/wardle.example.com/v1/namespaces/default/flunders'
    await expect.poll(async () => (await ask(path).catch(() => ({ code: 503 }))).code, { timeout: 20_000 }).toBe(503)
    await ask(`${url}/v1.wardle.example.com`, { method: 'DELETE' })
    await expect.poll(async () => (await ask(path).catch(() => ({ code: 503 }))).code, { timeout: 20_000 }).toBe(404)
  })

  test('a bundle of CAs is not read before it is used', async () => {
    const { spec, ...rest } = named('v3')
    const { insecureSkipTLSVerify: _, ...trusting } = spec
    const caBundle = Buffer.from('no PEM').toString('base64')
    const made = await ask(url, { body: { ...rest, spec: { ...trusting, caBundle } } })
    expect([made.code, made.body.spec.caBundle]).toEqual([201, caBundle])
    await ask(`${url}/v3.wardle.example.com`, { method: 'DELETE' })
  })

  test('its name is its version and group, and what leads to a Service says how to trust it', async () => {
    const tried = async (more: object, spec: object = {}) => {
      const { spec: given, ...rest } = named('v2')
      const { code, message } = await ask(url, { body: { ...rest, ...more, spec: { ...given, ...spec } } })
      return [code, message] as const
    }
    expect(await tried({ metadata: { name: 'other' } })).toEqual([
      422,
      expect.stringContaining('must be `spec.version+"."+spec.group`: "v2.wardle.example.com"'),
    ])
    const both = { insecureSkipTLSVerify: true, caBundle: Buffer.from('x').toString('base64') }
    expect((await tried({}, both))[0]).toBe(422)
    expect((await tried({}, { groupPriorityMinimum: 0 }))[0]).toBe(422)
    expect((await tried({}, { versionPriority: 1_001 }))[0]).toBe(422)
    expect((await tried({}, { service: { namespace: '', name: '' } }))[0]).toBe(422)
  })
})
