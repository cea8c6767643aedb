import { expect, test } from 'vitest'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { pod } from '../../src/api/kinds/pod.ts'
import { limits } from '../../src/apiserver/limits.ts'
import type { HttpResponse } from '../../src/world/http.ts'
import { type Ask, request, testApiserver } from './setup.ts'

type Api = Awaited<ReturnType<typeof testApiserver>>
type Body = { readonly [key: string]: unknown } & {
  readonly items: { readonly metadata: { readonly name: string } }[]
  readonly metadata: {
    readonly continue?: string
    readonly resourceVersion: string
    readonly remainingItemCount?: number
  }
}

async function textOf(response: HttpResponse): Promise<string> {
  if (response.kind === 'whole')
    return typeof response.body === 'string' ? response.body : Buffer.from(response.body).toString()
  if (response.kind !== 'stream') throw new Error(response.kind)
  let text = ''
  for await (const chunk of response.body) text += chunk
  return text
}

async function ask(api: Api, url: string, more: Ask = {}) {
  const response = await api.apiserver.handle(request(url, more))
  if (response.kind !== 'whole' && response.kind !== 'stream') throw new Error(response.kind)
  const text = await textOf(response)
  const json =
    text !== '' &&
    response.headers['content-type']?.startsWith('application/json') &&
    text.trimEnd().split('\n').length === 1
  return { code: response.code, headers: response.headers, text, body: (json ? JSON.parse(text) : undefined) as Body }
}

const maps = '/api/v1/namespaces/default/configmaps'
const named = (name: string, more = {}) => ({ metadata: { name, ...more } })
const names = (body: Body) => body.items.map(({ metadata }) => metadata.name)

async function fill(api: Api, count: number) {
  for (let i = 0; i < count; i++)
    await ask(api, maps, { body: named(`m${i}`, { labels: { half: i % 2 ? 'odd' : 'even' } }) })
}

async function frames(api: Api, url: string, count: number, more: Ask = {}) {
  const controller = new AbortController()
  const response = await api.apiserver.handle(request(url, { ...more, signal: controller.signal }))
  if (response.kind !== 'stream') throw new Error(await textOf(response))
  const found: {
    type: string
    object: { metadata: { name: string; resourceVersion: string; annotations?: object }; code?: number; kind: string }
  }[] = []
  let text = ''
  for await (const chunk of response.body) {
    text += chunk
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    found.push(...lines.map(line => JSON.parse(line)))
    if (found.length >= count) break
  }
  controller.abort()
  return found
}

test('a list in parts is the list of its first moment, whatever happens between', async () => {
  const api = await testApiserver()
  await fill(api, 5)
  const first = await ask(api, `${maps}?limit=2`)
  expect([names(first.body), first.body.metadata.remainingItemCount]).toEqual([['m0', 'm1'], 3])
  await ask(api, `${maps}/m3`, { method: 'DELETE' })
  await ask(api, maps, { body: named('m33') })
  const second = await ask(api, `${maps}?limit=2&continue=${first.body.metadata.continue}`)
  expect(names(second.body)).toEqual(['m2', 'm3'])
  expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion)
  const third = await ask(api, `${maps}?limit=2&continue=${second.body.metadata.continue}`)
  expect([names(third.body), third.body.metadata.continue]).toEqual([['m4'], undefined])
  const selected = await ask(api, `${maps}?limit=1&labelSelector=half%3Dodd`)
  expect([names(selected.body), selected.body.metadata.remainingItemCount]).toEqual([['m1'], undefined])
  api.stop()
})

test('a token whose revision is forgotten is Expired and brings one that goes on in the state of now', async () => {
  const api = await testApiserver()
  await fill(api, 4)
  const first = await ask(api, `${maps}?limit=2`)
  await ask(api, maps, { body: named('m9') })
  api.store.compact(api.store.revision())
  const expired = await ask(api, `${maps}?limit=2&continue=${first.body.metadata.continue}`)
  expect([expired.code, expired.body['reason']]).toEqual([410, 'Expired'])
  const rest = await ask(api, `${maps}?continue=${expired.body.metadata.continue}`)
  expect(names(rest.body)).toEqual(['m2', 'm3', 'm9'])
  expect((await ask(api, `${maps}?resourceVersion=2&resourceVersionMatch=Exact`)).code).toBe(410)
  const other = await ask(api, `/api/v1/namespaces/kube-system/configmaps?continue=${first.body.metadata.continue}`)
  expect(other.code).toBe(400)
  api.stop()
})

test('revisions that are no numbers, or not there yet, are refused', async () => {
  const api = await testApiserver()
  for (const bad of ['-1', 'abc', '1.5', '99999999999999999999']) {
    expect((await ask(api, `${maps}?resourceVersion=${bad}`)).code).toBe(400)
  }
  const future = await ask(api, `${maps}?resourceVersion=100000&resourceVersionMatch=NotOlderThan`)
  expect([future.code, future.body['reason']]).toEqual([504, 'Timeout'])
  expect((await ask(api, `${maps}?resourceVersion=0`)).code).toBe(200)
  expect((await ask(api, `${maps}?limit=some`)).code).toBe(400)
  expect((await ask(api, `${maps}?labelSelector=${encodeURIComponent('a in (')}`)).code).toBe(400)
  expect((await ask(api, `${maps}?fieldSelector=spec.none%3Dx`)).code).toBe(400)
  api.stop()
})

test('a watch gives what was there and then what comes; leaving a selector is being deleted', async () => {
  const api = await testApiserver()
  await fill(api, 2)
  const watching = frames(api, `${maps}?watch=true&labelSelector=half%3Deven`, 3)
  await new Promise(resolve => setImmediate(resolve))
  const patch = { method: 'PATCH', type: 'application/merge-patch+json' }
  await ask(api, `${maps}/m1`, { ...patch, body: { metadata: { labels: { half: 'even' } } } })
  await ask(api, `${maps}/m0`, { ...patch, body: { metadata: { labels: { half: 'odd' } } } })
  const seen = await watching
  expect(seen.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual([
    'ADDED m0',
    'ADDED m1',
    'DELETED m0',
  ])
  expect(seen.at(-1)?.object.metadata.resourceVersion).toBe(String(api.store.revision()))
  api.stop()
})

test('a streaming list ends its first part with a marked bookmark', async () => {
  const api = await testApiserver()
  await fill(api, 2)
  const url = `${maps}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`
  const seen = await frames(api, url, 3)
  expect(seen.map(({ type }) => type)).toEqual(['ADDED', 'ADDED', 'BOOKMARK'])
  expect(seen[2]?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' })
  api.stop()
})

test('a watch from a forgotten revision is told so in its stream', async () => {
  const api = await testApiserver()
  await fill(api, 3)
  api.store.compact(api.store.revision())
  const [only] = await frames(api, `${maps}?watch=true&resourceVersion=2`, 1)
  expect([only?.type, only?.object.code]).toEqual(['ERROR', 410])
  api.stop()
})

test('a watch ends by itself after its time, in good order', async () => {
  const api = await testApiserver()
  const { code, text } = await ask(api, `${maps}?watch=true&timeoutSeconds=1&resourceVersion=${api.store.revision()}`)
  expect([code, text]).toEqual([200, ''])
  api.stop()
})

const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'

test('tables and metadata alone are made where they are asked for', async () => {
  const api = await testApiserver()
  await fill(api, 1)
  const rows = await ask(api, maps, { accept: table })
  expect([rows.body['kind'], (rows.body['rows'] as unknown as unknown[]).length]).toEqual(['Table', 1])
  const [frame] = await frames(api, `${maps}?watch=true`, 1, { accept: table })
  expect(frame?.object.kind).toBe('Table')
  const partial = await ask(api, maps, { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' })
  expect(partial.body['kind']).toBe('PartialObjectMetadataList')
  expect((await ask(api, maps, { accept: 'application/cbor' })).code).toBe(406)
  expect((await ask(api, `${maps}/m0`, { accept: 'application/yaml' })).text).toContain('name: m0')
  api.stop()
})

test('field validation refuses, warns or is silent', async () => {
  const api = await testApiserver()
  const body = '{"metadata":{"name":"x"},"dta":{},"data":{"a":"1","a":"2"}}'
  const strict = await ask(api, `${maps}?fieldValidation=Strict`, { body })
  expect([strict.code, String(strict.body['message'])]).toEqual([400, expect.stringContaining('unknown field "dta"')])
  expect(String(strict.body['message'])).toContain('duplicate field')
  const warned = await ask(api, maps, { body })
  expect([warned.code, warned.headers['warning']]).toEqual([
    201,
    expect.stringContaining('299 - "unknown field \\"dta\\""'),
  ])
  const silent = await ask(api, `${maps}/x?fieldValidation=Ignore`, { method: 'PUT', body })
  expect([silent.code, silent.headers['warning']]).toEqual([200, undefined])
  expect((await ask(api, `${maps}?fieldValidation=Maybe`, { body })).code).toBe(422)
  api.stop()
})

test('who creates what no controller acts on yet is told so', async () => {
  const api = await testApiserver()
  const body = {
    metadata: { name: 'later' },
    spec: {
      schedule: '* * * * *',
      jobTemplate: {
        spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'a:1' }] } } },
      },
    },
  }
  const made = await ask(api, '/apis/batch/v1/namespaces/default/cronjobs', { body })
  expect(made.code).toBe(201)
  expect(made.headers['warning']).toMatch(/^299 - "CronJobs are stored, but no controller/)
  api.stop()
})

test('deletes: preconditions, propagation, finalizers, collections, dry runs', async () => {
  const api = await testApiserver()
  await fill(api, 3)
  const wrong = await ask(api, `${maps}/m0`, { method: 'DELETE', body: { preconditions: { uid: 'another' } } })
  expect([wrong.code, wrong.body['reason']]).toEqual([409, 'Conflict'])
  expect((await ask(api, `${maps}/m0?dryRun=All`, { method: 'DELETE' })).code).toBe(200)
  expect((await ask(api, `${maps}/m0`)).code).toBe(200)
  const held = await ask(api, `${maps}/m0`, { method: 'DELETE', body: { propagationPolicy: 'Foreground' } })
  expect(held.body['metadata']).toMatchObject({
    finalizers: ['foregroundDeletion'],
    deletionTimestamp: expect.any(String),
  })
  const patch = [{ op: 'remove', path: '/metadata/finalizers' }]
  await ask(api, `${maps}/m0`, { method: 'PATCH', type: 'application/json-patch+json', body: patch })
  expect((await ask(api, `${maps}/m0`)).code).toBe(404)
  expect((await ask(api, `${maps}?labelSelector=half%3Dodd`, { method: 'DELETE' })).code).toBe(200)
  expect(names((await ask(api, maps)).body)).toEqual(['m2'])
  expect((await ask(api, '/api/v1/namespaces/kube-system', { method: 'DELETE' })).code).toBe(403)
  api.stop()
})

test('who has not said who they are gets health and version alone', async () => {
  const api = await testApiserver()
  for (const path of ['/healthz', '/livez', '/readyz', '/version', '/openid/v1/jwks']) {
    expect((await ask(api, path, { identity: null })).code).toBe(200)
  }
  for (const path of ['/api', '/apis', '/openapi/v3', maps, '/none']) {
    expect((await ask(api, path, { identity: null })).code).toBe(401)
  }
  expect((await ask(api, maps, { identity: null, headers: { authorization: 'Bearer no.such.token' } })).code).toBe(401)
  expect((await ask(api, maps, { identity: null, headers: { authorization: 'Basic YTpi' } })).code).toBe(401)
  api.stop()
})

test('a service account is known by its token as long as it, and what the token is bound to, are there', async () => {
  const api = await testApiserver()
  const accounts = '/api/v1/namespaces/default/serviceaccounts'
  await ask(api, accounts, { body: named('me') })
  const made = await api.client.create(
    pod,
    { metadata: { name: 'p', namespace: 'default' }, spec: { containers: [{ name: 'a', image: 'x' }] } },
    api.signal,
  )
  const asked = {
    spec: { audiences: [], boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: made.metadata.uid } },
  }
  const granted = await ask(api, `${accounts}/me/token`, { body: asked })
  const { token } = granted.body['status'] as { token: string }
  const bearer = { identity: null, headers: { authorization: `Bearer ${token}` } }
  const who = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const review = await ask(api, who, { ...bearer, body: {} })
  expect((review.body['status'] as { userInfo: { username: string } }).userInfo.username).toBe(
    'system:serviceaccount:default:me',
  )
  expect((await ask(api, '/apis', bearer)).code).toBe(200)
  expect((await ask(api, maps, bearer)).code).toBe(403)
  const reviewed = async (spec: object) =>
    (await ask(api, '/apis/authentication.k8s.io/v1/tokenreviews', { body: { spec } })).body['status'] as object
  expect(await reviewed({ token })).toMatchObject({ authenticated: true })
  expect(await reviewed({ token, audiences: ['other'] })).toMatchObject({ authenticated: false })
  const [head, claims] = token.split('.')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  for (const forged of [`${none}.${claims}.`, `${head}.${claims}.AAAA`]) {
    expect((await ask(api, '/apis', { identity: null, headers: { authorization: `Bearer ${forged}` } })).code).toBe(401)
  }
  await api.client.delete(pod, { namespace: 'default', name: 'p' }, {}, api.signal)
  expect((await ask(api, '/apis', bearer)).code).toBe(401)
  api.stop()
})

test('a node speaks for itself and the pods bound to it, and reads only the secrets these use', async () => {
  const api = await testApiserver()
  const node = { identity: { user: 'system:node:n1', groups: ['system:nodes'] } }
  for (const [name, nodeName] of [
    ['mine', 'n1'],
    ['other', 'n2'],
  ] as const) {
    const volumes = [{ name: 's', secret: { secretName: `of-${name}` } }]
    const spec = { nodeName, volumes, containers: [{ name: 'a', image: 'x' }] }
    await ask(api, '/api/v1/namespaces/default/pods', { body: { ...named(name), spec } })
    await ask(api, '/api/v1/namespaces/default/secrets', { body: named(`of-${name}`) })
  }
  const codes = async (paths: readonly string[], more: Ask = {}) =>
    await Promise.all(paths.map(async path => (await ask(api, path, { ...node, ...more })).code))
  const inDefault = '/api/v1/namespaces/default'
  expect(
    await codes([`${inDefault}/secrets/of-mine`, `${inDefault}/secrets/of-other`, `${inDefault}/secrets`]),
  ).toEqual([200, 403, 403])
  const status = { method: 'PATCH', type: 'application/merge-patch+json', body: { status: { phase: 'Running' } } }
  expect(await codes([`${inDefault}/pods/mine/status`, `${inDefault}/pods/other/status`], status)).toEqual([200, 403])
  expect(
    await codes(['/api/v1/nodes/n2'], { method: 'PATCH', type: 'application/merge-patch+json', body: {} }),
  ).toEqual([403])
  expect(await codes(['/api/v1/nodes'], { body: named('n1') })).toEqual([403])
  expect(await codes(['/api/v1/pods', '/api/v1/services'])).toEqual([403, 200])
  const selected = (node: string) => `/api/v1/pods?fieldSelector=spec.nodeName=${node}`
  expect(await codes([selected('n1'), selected('n2')])).toEqual([200, 403])
  api.stop()
})

test('nobody speaks for others without the right to', async () => {
  const api = await testApiserver()
  const headers = { 'impersonate-user': 'jane', 'impersonate-group': 'dev, ops' }
  const who = await ask(api, '/apis/authentication.k8s.io/v1/selfsubjectreviews', { headers, body: {} })
  expect(who.body['status']).toMatchObject({
    userInfo: { username: 'jane', groups: ['dev', 'ops', 'system:authenticated'] },
  })
  const somebody = { user: 'joe', groups: [] }
  expect((await ask(api, '/api', { headers: { 'impersonate-user': 'admin' }, identity: somebody })).code).toBe(403)
  api.stop()
})

test('what is no good path, body or method is refused with a Status', async () => {
  const api = await testApiserver()
  const code = async (url: string, more: Ask = {}) => (await ask(api, url, more)).code
  for (const path of [
    '/api/v1/namespaces/../pods',
    '/api/v1/namespaces/%2e%2e/pods',
    '/api/v1/namespaces/a%2fb/pods',
    '/api//v1/pods',
    '/api/v1/pods/%zz',
    '/api/v1/namespaces/default/configmaps/a%00b',
  ]) {
    expect(await code(path)).toBe(400)
  }
  expect(await code('/api/v1/namespaces/default/nodes')).toBe(404)
  expect(await code('/api/v1/nothings')).toBe(404)
  expect(await code('/apis/apps/v9/deployments')).toBe(404)
  expect(await code(maps, { body: '' })).toBe(400)
  expect(await code(maps, { body: '{"metadata":' })).toBe(400)
  expect(await code(maps, { body: `${'['.repeat(100_000)}` })).toBe(400)
  expect(await code(maps, { body: Uint8Array.of(0xff, 0xfe) })).toBe(400)
  expect(await code(maps, { body: ' '.repeat(3 * 1024 * 1024 + 1) })).toBe(413)
  expect(await code(maps, { body: {}, type: 'text/html' })).toBe(415)
  expect(await code(`${maps}/x`, { method: 'PATCH', body: {}, type: 'application/json' })).toBe(415)
  expect(await code(maps, { method: 'TRACE' })).toBe(405)
  expect(await code(`${maps}/x`, { body: named('x') })).toBe(405)
  expect(await code('/api/v1/configmaps', { body: named('x') })).toBe(405)
  expect(await code(maps, { body: { ...named('x'), kind: 'Pod', apiVersion: 'v1' } })).toBe(400)
  expect(await code(maps, { body: { metadata: { name: 'x', namespace: 'other' } } })).toBe(400)
  expect(await code(maps, { body: '{"metadata":{"name":"x","__proto__":{"a":1}}}' })).toBeLessThan(500)
  expect(await code('/api/v1/namespaces/none/configmaps', { body: named('x') })).toBe(404)
  api.stop()
})

test('discovery in its three forms names the same resources', async () => {
  const api = await testApiserver()
  const v2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
  const beta = 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList'
  const aggregated = await ask(api, '/apis', { accept: `${v2},${beta},application/json` })
  expect([aggregated.headers['content-type'], aggregated.body['apiVersion']]).toEqual([v2, 'apidiscovery.k8s.io/v2'])
  expect((await ask(api, '/apis', { accept: `${beta},application/json` })).body['apiVersion']).toBe(
    'apidiscovery.k8s.io/v2beta1',
  )
  const etag = aggregated.headers['etag'] ?? ''
  expect((await ask(api, '/apis', { accept: v2, headers: { 'if-none-match': etag } })).code).toBe(304)
  const plain = await ask(api, '/api/v1')
  const resources = plain.body['resources'] as { name: string; kind: string; group?: string; version?: string }[]
  expect(resources.find(({ name }) => name === 'pods/eviction')).toMatchObject({
    kind: 'Eviction',
    group: 'policy',
    version: 'v1',
  })
  const core = await ask(api, '/api', { accept: v2 })
  type Group = { versions: { resources: { resource: string; subresources?: { subresource: string }[] }[] }[] }
  const flat = (core.body.items as unknown as Group[]).flatMap(({ versions }) =>
    versions.flatMap(({ resources: all }) =>
      all.flatMap(({ resource, subresources = [] }) => [
        resource,
        ...subresources.map(s => `${resource}/${s.subresource}`),
      ]),
    ),
  )
  expect(flat.toSorted()).toEqual(resources.map(({ name }) => name).toSorted())
  for (const path of ['/apis', '/apis/apps', '/apis/apps/v1', '/api']) expect((await ask(api, path)).code).toBe(200)
  expect((await ask(api, '/apis/none')).code).toBe(404)
  api.stop()
})

test('scale shows and sets the replicas', async () => {
  const api = await testApiserver()
  const labels = { app: 'x' }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'x' }] } }
  const place = '/apis/apps/v1/namespaces/default/deployments'
  await ask(api, place, { body: { ...named('d'), spec: { selector: { matchLabels: labels }, template } } })
  const scale = await ask(api, `${place}/d/scale`)
  expect(scale.body).toMatchObject({ kind: 'Scale', spec: { replicas: 1 }, status: { selector: 'app=x' } })
  const put = await ask(api, `${place}/d/scale`, { method: 'PUT', body: { ...scale.body, spec: { replicas: 4 } } })
  expect([put.code, put.body['spec']]).toEqual([200, { replicas: 4 }])
  expect((await ask(api, `${place}/d/scale`, { method: 'PUT', body: scale.body })).code).toBe(409)
  const negative = { method: 'PATCH', type: 'application/merge-patch+json', body: { spec: { replicas: -1 } } }
  expect((await ask(api, `${place}/d/scale`, negative)).code).toBe(422)
  api.stop()
})

test('an eviction deletes the pod', async () => {
  const api = await testApiserver()
  const pods = '/api/v1/namespaces/default/pods'
  await ask(api, pods, { body: { ...named('p'), spec: { containers: [{ name: 'a', image: 'x' }] } } })
  const body = { apiVersion: 'policy/v1', kind: 'Eviction', ...named('p') }
  expect((await ask(api, `${pods}/p/eviction`, { body })).code).toBe(201)
  expect((await ask(api, `${pods}/p/eviction`, { body })).code).toBe(404)
  api.stop()
})

test('a disruption budget is spent with the eviction, in one write, and refuses when nothing is left', async () => {
  const api = await testApiserver()
  const pods = '/api/v1/namespaces/default/pods'
  const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
  const labels = { app: 'x' }
  const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
  const patch = { method: 'PATCH', type: 'application/merge-patch+json' }
  for (const name of ['p', 'q']) {
    await ask(api, pods, {
      body: { ...named(name, { labels }), spec: { nodeName: 'n', containers: [{ name: 'a', image: 'x' }] } },
    })
    await ask(api, `${pods}/${name}/status`, { ...patch, body: { status: ready } })
  }
  await ask(api, budgets, { body: { ...named('b'), spec: { minAvailable: 1, selector: { matchLabels: labels } } } })
  const evict = (name: string) =>
    ask(api, `${pods}/${name}/eviction`, { body: { apiVersion: 'policy/v1', kind: 'Eviction', ...named(name) } })
  const unseen = await evict('p')
  expect([unseen.code, unseen.headers['retry-after']]).toEqual([429, '10'])
  const status = { observedGeneration: 1, disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 }
  await ask(api, `${budgets}/b/status`, { ...patch, body: { status } })
  const both = await Promise.all([evict('p'), evict('q')])
  expect(both.map(({ code }) => code).toSorted()).toEqual([201, 429])
  const left = (await ask(api, `${budgets}/b`)).body['status']
  expect(left).toMatchObject({ disruptionsAllowed: 0, disruptedPods: { p: expect.any(String) } })
  api.stop()
})

test('a pod gets the priority of its class', async () => {
  const api = await testApiserver()
  const classes = '/apis/scheduling.k8s.io/v1/priorityclasses'
  const pods = '/api/v1/namespaces/default/pods'
  const make = async (name: string, priorityClassName?: string) => {
    const spec = { ...(priorityClassName && { priorityClassName }), containers: [{ name: 'a', image: 'x' }] }
    const { code, body } = await ask(api, pods, { body: { ...named(name), spec } })
    return [code, (body['spec'] as { priority?: number } | undefined)?.priority]
  }
  expect(await make('a')).toEqual([201, 0])
  await ask(api, classes, { body: { ...named('high'), value: 1000, preemptionPolicy: 'Never' } })
  await ask(api, classes, { body: { ...named('usual'), value: 10, globalDefault: true } })
  expect(await make('b', 'high')).toEqual([201, 1000])
  expect(await make('c')).toEqual([201, 10])
  expect(await make('d', 'none')).toEqual([403, undefined])
  expect(await make('e', 'system-node-critical')).toEqual([201, 2_000_001_000])
  api.stop()
})

test('without a leader, reads of the newest state and writes are refused for a while, cached reads go on', async () => {
  const api = await testApiserver()
  await fill(api, 1)
  api.store.setLeader(undefined)
  const read = await ask(api, maps)
  expect([read.code, read.headers['retry-after']]).toEqual([503, '1'])
  expect((await ask(api, `${maps}?resourceVersion=0`)).code).toBe(200)
  const write = await ask(api, maps, { body: named('later') })
  expect([write.code, write.headers['retry-after']]).toEqual([503, '1'])
  expect((await ask(api, '/readyz', { identity: null })).code).toBe(503)
  expect((await ask(api, '/livez', { identity: null })).code).toBe(200)
  api.stop()
})

test('one user cannot take all the watches, and places are given back', async () => {
  const api = await testApiserver()
  const controller = new AbortController()
  const url = `${maps}?watch=true&resourceVersion=${api.store.revision()}`
  const open = () => api.apiserver.handle(request(url, { signal: controller.signal }))
  for (let i = 0; i < limits.watch.user; i++) expect((await open()).kind).toBe('stream')
  const refused = await open()
  expect(refused.kind === 'whole' && refused.code).toBe(429)
  const other = await api.apiserver.handle(request(url, { identity: { user: 'b', groups: ['system:masters'] } }))
  expect(other.kind).toBe('stream')
  controller.abort()
  expect((await api.apiserver.handle(request(url))).kind).toBe('stream')
  api.stop()
})

test('a secret is in no error, no log line and no other answer', async () => {
  const api = await testApiserver()
  const canary = 'canary-5f1e'
  const body = { ...named('s'), stringData: { a: canary } }
  await ask(api, '/api/v1/namespaces/default/secrets', { body })
  const again = await ask(api, '/api/v1/namespaces/default/secrets', { body })
  const bad = await ask(api, '/api/v1/namespaces/default/secrets', {
    body: { ...body, type: canary.repeat(0), data: { '/': 'x' } },
  })
  expect(again.text + bad.text + JSON.stringify(api.lines)).not.toContain(canary)
  api.stop()
})

test('what one client writes the other reads: the typed client and HTTP are one API', async () => {
  const api = await testApiserver()
  await fill(api, 1)
  const object = await api.client.get(configMap, { namespace: 'default', name: 'm0' }, api.signal)
  expect(object).toEqual((await ask(api, `${maps}/m0`)).body)
  api.stop()
})

test('no YAML holds up the others (D2): bombs are refused at once, and what is long is read beside the event loop', async () => {
  const api = await testApiserver()
  const type = 'application/yaml'
  const aliases = [
    'a0: &a0 [x,x,x,x,x,x,x,x,x]',
    ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`)}]`),
  ]
  const bombs = ['['.repeat(100_000), '{a: '.repeat(20_000), aliases.join('\n'), `{a: ${'['.repeat(1_000_000)}`]
  for (const body of bombs) {
    const startMs = performance.now()
    expect((await ask(api, maps, { type, body })).code).toBe(400)
    expect(performance.now() - startMs).toBeLessThan(1_000)
  }
  const data = (count: number) => Array.from({ length: count }, (_, i) => `  k${i}: vvvvvvvvvvvv`).join('\n')
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  expect((await ask(api, maps, { type, body: `metadata: {name: long}\ndata:\n${data(10_000)}` })).code).toBe(201)
  clearInterval(timer)
  // The parser takes a hundred milliseconds at the least; what else there is to do for the object is done in a few pieces.
  expect(turns).toBeGreaterThan(25)
  expect((await ask(api, maps, { type, body: `metadata: {name: m}\ndata:\n${data(50_000)}` })).code).toBe(413)
  const object = { metadata: { name: 'm' }, data: { a: 'x'.repeat(200_000) } }
  expect((await ask(api, maps, { type, body: object })).code).toBe(201)
  expect((await ask(api, maps, { type, body: 'metadata: {name: small}\ndata: {a: "[[["}' })).code).toBe(201)
  api.stop()
})
