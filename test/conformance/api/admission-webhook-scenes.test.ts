// Webhooks as operators use them, from configuration to effect: on built-in and custom objects, on definitions, on themselves;
// configurations that are changed, listed and taken away together; conditions. How a single call is made and judged stands in
// admission-webhook.test.ts.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { peerId } from '../../../src/world/network.ts'
import { type Asking, asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { controlled, define, definition, definitionUrl } from '../../apiserver/definitions.ts'
import { fakeKubelet } from '../../apiserver/fake-kubelet.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { base64, type Review, type TestWebhook, testWebhook } from '../../apiserver/webhook.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
let hook: TestWebhook
const configurations = '/apis/admissionregistration.k8s.io/v1'
const customUrl = (version: string) => `/apis/stable.example.com/${version}/namespaces/marked`

beforeAll(async () => {
  const kubelet = fakeKubelet()
  api = controlled(await testApiserver({ peerOfNode: peerId, kubeletOf: () => kubelet.open() }))
  ask = asking(api)
  hook = await testWebhook()
  for (const [path, how] of Object.entries(answers)) hook.answer(path, how)
  await ask('/api/v1/namespaces', { body: namespaceNamed('marked', { marked: 'true' }) })
  await ask('/api/v1/namespaces', { body: namespaceNamed('skipped', { marked: 'true', skip: 'yes' }) })
})
afterAll(async () => {
  api.stop()
  await hook.close()
})
afterEach(async () => {
  for (const plural of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']) {
    await ask(`${configurations}/${plural}`, { method: 'DELETE' })
  }
  for (const namespace of ['marked', 'skipped']) {
    await ask(`/api/v1/namespaces/${namespace}/configmaps`, { method: 'DELETE' })
    await ask(`/api/v1/namespaces/${namespace}/pods?gracePeriodSeconds=0`, { method: 'DELETE' })
  }
})

const deny = (message: string) => ({ allowed: false, status: { message } })
const dataOf = ({ object, oldObject }: Review) => (object ?? oldObject).data ?? {}
const bad = 'webhook-disallow'
/** Adds a key for each stage whose key before is there. */
function stages(data: Readonly<Record<string, string>>): object {
  const next = data['mutation-stage-1'] === 'yes' ? 'mutation-stage-2' : 'mutation-stage-1'
  if (data['mutation-start'] !== 'yes') return { allowed: true }
  const patch = [{ op: 'add', path: `/data/${next}`, value: 'yes' }]
  return { allowed: true, patchType: 'JSONPatch', patch: base64(patch) }
}
const answers: Readonly<Record<string, (review: Review) => object | Promise<object>>> = {
  '/always-deny': () => deny('this webhook denies all requests'),
  '/pods'({ object }) {
    if (object.metadata.labels?.test === 'wait-forever') return new Promise(() => {})
    const reasons = [
      ...(object.spec.containers[0].name === bad ? ['the pod contains unwanted container name'] : []),
      ...(object.metadata.labels?.test === bad ? ['the pod contains unwanted label'] : []),
    ]
    return reasons.length > 0 ? deny(reasons.join('; ')) : { allowed: true }
  },
  '/configmaps': review =>
    dataOf(review).test === bad ? deny('the configmap contains unwanted key and value') : { allowed: true },
  '/custom'(review) {
    const { operation } = review
    if (operation === 'DELETE' && dataOf(review).test === 'webhook-nondeletable') {
      return deny('the custom resource cannot be deleted because it contains unwanted key and value')
    }
    return operation !== 'DELETE' && dataOf(review).test === bad
      ? deny('the custom resource contains unwanted data')
      : { allowed: true }
  },
  '/attach': () => deny("attaching to pod 'to-be-attached-pod' is not allowed"),
  '/crd': ({ object }) =>
    object.metadata.labels?.test === bad ? deny('the crd contains unwanted label') : { allowed: true },
  '/stages': review => stages(dataOf(review)),
  '/init'({ object }) {
    if (object.metadata.name !== 'to-be-mutated') return { allowed: true }
    const added = [{ image: 'i', name: 'webhook-added-init-container', resources: {} }]
    const patch = [{ op: 'add', path: '/spec/initContainers', value: added }]
    return { allowed: true, patchType: 'JSONPatch', patch: base64(patch) }
  },
  '/add-label'() {
    const patch = [{ op: 'add', path: '/metadata/labels', value: { 'added-label': 'yes' } }]
    return { allowed: true, patchType: 'JSONPatch', patch: base64(patch) }
  },
  '/slowly': () => new Promise(resolve => setTimeout(() => resolve({ allowed: true }), 1_500)),
}

const marked = { namespaceSelector: { matchLabels: { marked: 'true' } } }
const at = (name: string, path: string, rule: object, more: object = marked) => ({
  name: `${name}.example.com`,
  clientConfig: { url: `${hook.url}${path}`, caBundle: hook.caBundle },
  rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], ...rule }],
  sideEffects: 'None',
  admissionReviewVersions: ['v1', 'v1beta1'],
  ...more,
})
const pluralOf = (kind: 'Mutating' | 'Validating') => `${configurations}/${kind.toLowerCase()}webhookconfigurations`
const configure = (kind: 'Mutating' | 'Validating', name: string, webhooks: readonly object[], labels = {}) =>
  ask(pluralOf(kind), {
    body: {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name, labels },
      webhooks,
    },
  })
const denyMaps = (more: object = {}) =>
  at('deny-maps', '/configmaps', { operations: ['CREATE', 'UPDATE', 'DELETE'] }, more)
const mapsUrl = (namespace = 'marked') => `/api/v1/namespaces/${namespace}/configmaps`
const map = (name: string, data: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data })

describe('admission-webhook', () => {
  test('the configurations are in discovery', async () => {
    const group = (await ask('/apis')).body.groups.find(
      ({ name }: { name: string }) => name === 'admissionregistration.k8s.io',
    )
    expect(group.versions).toContainEqual({ groupVersion: 'admissionregistration.k8s.io/v1', version: 'v1' })
    const own = await ask('/apis/admissionregistration.k8s.io')
    expect(own.body.versions).toContainEqual({ groupVersion: 'admissionregistration.k8s.io/v1', version: 'v1' })
    const names = (await ask(configurations)).body.resources.map(({ name }: { name: string }) => name)
    expect(names).toEqual(expect.arrayContaining(['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']))
  })

  test('pods and ConfigMaps are denied on create, PUT and PATCH, but where the namespace is left out', async () => {
    const failing = at('fail-open', '/configmaps', {}, { ...marked, failurePolicy: 'Ignore' })
    const left = { matchExpressions: [{ key: 'skip', operator: 'NotIn', values: ['yes'] }] }
    const made = await configure('Validating', 'all', [
      at('deny-pods', '/pods', { resources: ['pods'] }, { ...marked, timeoutSeconds: 1 }),
      denyMaps({ namespaceSelector: { ...marked.namespaceSelector, ...left } }),
      { ...failing, clientConfig: { url: failing.clientConfig.url } },
    ])
    expect(made.code).toBe(201)
    const pods = '/api/v1/namespaces/marked/pods'
    const pod = await ask(pods, {
      body: podNamed('disallowed', { containers: [{ name: bad, image: 'i' }] }, { labels: { test: bad } }),
    })
    expect(pod.message).toContain('the pod contains unwanted container name; the pod contains unwanted label')
    const hanging = await ask(pods, { body: podNamed('hanging', {}, { labels: { test: 'wait-forever' } }) })
    expect([hanging.code, hanging.message]).toEqual([500, expect.stringMatching(/webhook.*deadline/)])
    expect((await ask(`${pods}/hanging`)).code).toBe(404)
    const why =
      'admission webhook "deny-maps.example.com" denied the request: the configmap contains unwanted key and value'
    expect((await ask(mapsUrl(), { body: map('bad', { test: bad }) })).message).toBe(why)
    expect((await ask(mapsUrl(), { body: map('good', { admit: 'this' }) })).code).toBe(201)
    const { body } = await ask(`${mapsUrl()}/good`)
    const put = await ask(`${mapsUrl()}/good`, { method: 'PUT', body: { ...body, data: { ...body.data, test: bad } } })
    expect(put.message).toBe(why)
    const patched = await ask(`${mapsUrl()}/good`, {
      method: 'PATCH',
      type: 'application/strategic-merge-patch+json',
      body: { data: { test: bad } },
    })
    expect(patched.message).toBe(why)
    expect((await ask(mapsUrl('skipped'), { body: map('bad', { test: bad }) })).code).toBe(201)
  })

  test('attaching to a pod is denied', async () => {
    await configure('Validating', 'attach', [
      at('attach', '/attach', { operations: ['CONNECT'], resources: ['pods/attach'] }),
    ])
    const pods = '/api/v1/namespaces/marked/pods'
    await ask(pods, { body: podNamed('to-be-attached-pod') })
    for (const method of ['GET', 'POST']) {
      const refused = await ask(`${pods}/to-be-attached-pod/attach?container=c&stdin=true&stdout=true&tty=true`, {
        method,
      })
      expect(refused.message).toContain("attaching to pod 'to-be-attached-pod' is not allowed")
    }
  })

  test('custom objects are denied on create, update and delete, until what offends is gone', async () => {
    await define(ask, definition('guards', 'Guard', [{}]))
    const rule = {
      operations: ['CREATE', 'UPDATE', 'DELETE'],
      apiGroups: ['stable.example.com'],
      resources: ['guards'],
    }
    await configure('Validating', 'custom', [at('deny-custom', '/custom', rule)])
    const url = `${customUrl('v1')}/guards`
    const guard = (name: string, test: string) => ({
      apiVersion: 'stable.example.com/v1',
      kind: 'Guard',
      metadata: { name, namespace: 'marked' },
      data: { test },
    })
    expect((await ask(url, { body: guard('one', bad) })).message).toContain(
      'the custom resource contains unwanted data',
    )
    const { body } = await ask(url, { body: guard('two', 'webhook-nondeletable') })
    const changed = (test: string) => ask(`${url}/two`, { method: 'PUT', body: { ...body, data: { test } } })
    expect((await changed(bad)).message).toContain('the custom resource contains unwanted data')
    const kept = await ask(`${url}/two`, { method: 'DELETE' })
    expect(kept.message).toContain('the custom resource cannot be deleted because it contains unwanted key and value')
    const all = await ask(url, { method: 'DELETE' })
    expect(all.message).toContain('the custom resource cannot be deleted because it contains unwanted key and value')
    expect((await changed('webhook-allow')).code).toBe(200)
    expect((await ask(`${url}/two`, { method: 'DELETE' })).code).toBe(200)
  })

  test('one that cannot be called, since nobody vouches for it, refuses everything', async () => {
    const { clientConfig, ...rest } = at('fail-closed', '/configmaps', {}, { ...marked, failurePolicy: 'Fail' })
    await configure('Validating', 'closed', [{ ...rest, clientConfig: { url: clientConfig.url } }])
    const refused = await ask(mapsUrl(), { body: map('foo', {}) })
    expect([refused.code, refused.body.reason]).toEqual([500, 'InternalError'])
  })

  test('two in a row change a ConfigMap; a pod has its defaults after it was changed', async () => {
    await configure('Mutating', 'maps', [at('stage-1', '/stages', {}), at('stage-2', '/stages', {})])
    const made = await ask(mapsUrl(), { body: map('to-be-mutated', { 'mutation-start': 'yes' }) })
    expect(made.body.data).toEqual({ 'mutation-start': 'yes', 'mutation-stage-1': 'yes', 'mutation-stage-2': 'yes' })
    await configure('Mutating', 'pods', [at('init', '/init', { resources: ['pods'] })])
    const pod = await ask('/api/v1/namespaces/marked/pods', { body: podNamed('to-be-mutated') })
    expect(pod.body.spec.initContainers).toHaveLength(1)
    expect(pod.body.spec.initContainers[0]).toMatchObject({
      name: 'webhook-added-init-container',
      terminationMessagePolicy: 'File',
    })
  })

  test('configurations themselves are neither changed nor kept by webhooks', async () => {
    const resources = ['validatingwebhookconfigurations', 'mutatingwebhookconfigurations']
    const rule = { apiGroups: ['admissionregistration.k8s.io'], apiVersions: ['*'], resources }
    await configure('Validating', 'blocking', [at('deny', '/always-deny', { ...rule, operations: ['DELETE'] }, {})])
    await configure('Mutating', 'blocking', [at('label', '/add-label', rule, {})])
    for (const kind of ['Validating', 'Mutating'] as const) {
      const { clientConfig, ...rest } = at('dummy', '', { resources: ['invalid'] }, { failurePolicy: 'Ignore' })
      const dummy = {
        ...rest,
        clientConfig: { service: { namespace: 'marked', name: 'nobody', path: '', port: 8443 } },
      }
      const { code, body } = await configure(kind, 'dummy', [dummy])
      expect([code, body.metadata.labels, clientConfig.url]).toEqual([201, undefined, hook.url])
      expect((await ask(`${pluralOf(kind)}/dummy`, { method: 'DELETE' })).code).toBe(200)
    }
  })

  test.each([
    ['that keeps all', undefined, { 'mutation-stage-2': 'yes' }],
    [
      'that prunes',
      {
        type: 'object',
        properties: {
          data: {
            type: 'object',
            properties: { 'mutation-start': { type: 'string' }, 'mutation-stage-1': { type: 'string' } },
          },
        },
      },
      {},
    ],
  ])('a custom object is changed, by a schema %s', async (_, schema, more) => {
    const plural = schema === undefined ? 'wides' : 'narrows'
    const kind = schema === undefined ? 'Wide' : 'Narrow'
    const versions = ['v1', 'v2'].map(name => ({ name, ...(schema && { schema }) }))
    await define(ask, definition(plural, kind, versions))
    const rule = { apiGroups: ['stable.example.com'], apiVersions: ['v1', 'v2'], resources: [plural] }
    await configure('Mutating', plural, [
      at('stage-1', '/stages', { ...rule, operations: ['CREATE', 'UPDATE'] }),
      at('stage-2', '/stages', rule),
    ])
    const body = {
      apiVersion: 'stable.example.com/v1',
      kind,
      metadata: { name: 'one', namespace: 'marked' },
      data: { 'mutation-start': 'yes' },
    }
    const made = await ask(`${customUrl('v1')}/${plural}`, { body })
    expect(made.body.data).toEqual({ 'mutation-start': 'yes', 'mutation-stage-1': 'yes', ...more })
  })

  test('a custom object is changed while its stored version becomes another', async () => {
    const free = { openAPIV3Schema: { 'x-kubernetes-preserve-unknown-fields': true, type: 'object' } }
    await define(ask, definition('movers', 'Mover', [{}, { name: 'v2' }]))
    const rule = { apiGroups: ['stable.example.com'], apiVersions: ['v1', 'v2'], resources: ['movers'] }
    await configure('Mutating', 'movers', [
      at('stage-1', '/stages', { ...rule, operations: ['CREATE', 'UPDATE'] }),
      at('stage-2', '/stages', rule),
    ])
    const body = {
      apiVersion: 'stable.example.com/v1',
      kind: 'Mover',
      metadata: { name: 'one', namespace: 'marked' },
      data: { 'mutation-start': 'yes' },
    }
    expect((await ask(`${customUrl('v1')}/movers`, { body })).code).toBe(201)
    const versions = [
      { name: 'v1', storage: false, served: true, schema: free },
      { name: 'v2', storage: true, served: true, schema: free },
    ]
    const turned = await ask(definitionUrl('movers.stable.example.com'), {
      method: 'PATCH',
      type: 'application/strategic-merge-patch+json',
      body: { spec: { versions } },
    })
    expect([turned.code, turned.body.status.storedVersions]).toEqual([200, ['v1', 'v2']])
    const patched = await ask(`${customUrl('v2')}/movers/one`, {
      method: 'PATCH',
      type: 'application/json-patch+json',
      body: [{ op: 'add', path: '/dummy', value: 'test' }],
    })
    expect(patched.body).toMatchObject({ apiVersion: 'stable.example.com/v2', dummy: 'test' })
    expect(patched.body.data).toEqual({
      'mutation-start': 'yes',
      'mutation-stage-1': 'yes',
      'mutation-stage-2': 'yes',
    })
  })

  test('a definition is denied by its label', async () => {
    const rule = { apiGroups: ['apiextensions.k8s.io'], apiVersions: ['*'], resources: ['customresourcedefinitions'] }
    await configure('Validating', 'crd', [
      at('deny-crd', '/crd', rule, { objectSelector: { matchLabels: { marked: 'true' } } }),
    ])
    const given = definition('denieds', 'Denied', [{}])
    const body = { ...given, metadata: { ...given.metadata, labels: { marked: 'true', test: bad } } }
    const refused = await ask('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body })
    expect(refused.message).toContain('the crd contains unwanted label')
    expect((await ask(definitionUrl('denieds.stable.example.com'))).code).toBe(404)
  })

  test('the time of a slow one is its own: it fails, is passed by, or is waited for', async () => {
    const slow = (more: object) => configure('Validating', 'slow', [at('slow', '/slowly', {}, { ...marked, ...more })])
    const tried = async (name: string) => {
      const { code, message } = await ask(mapsUrl(), { body: map(name, {}) })
      await ask(`${pluralOf('Validating')}/slow`, { method: 'DELETE' })
      return { code, message }
    }
    await slow({ failurePolicy: 'Fail', timeoutSeconds: 1 })
    const early = await tried('early')
    expect(early.message).toContain('context deadline exceeded')
    expect(early.message).toContain('/slowly?timeout=1s')
    await slow({ failurePolicy: 'Ignore', timeoutSeconds: 1 })
    expect((await tried('ignored')).code).toBe(201)
    await slow({ failurePolicy: 'Fail', timeoutSeconds: 30 })
    expect((await tried('awaited')).code).toBe(201)
    await slow({ failurePolicy: 'Fail' })
    expect((await tried('default')).code).toBe(201)
  }, 60_000)

  test.each(['Validating', 'Mutating'] as const)(
    'a %s configuration is updated and patched, and that counts at once',
    async kind => {
      const rule = { operations: ['CREATE'] }
      const webhook = kind === 'Validating' ? at('deny', '/configmaps', rule) : at('stage-1', '/stages', rule)
      await configure(kind, 'one', [webhook])
      const data = { 'mutation-start': 'yes', test: bad }
      const tried = async (name: string) => {
        const { code, body } = await ask(mapsUrl(), { body: map(name, data) })
        return kind === 'Validating' ? code === 400 : body.data['mutation-stage-1'] === 'yes'
      }
      expect(await tried('a')).toBe(true)
      const { body } = await ask(`${pluralOf(kind)}/one`)
      body.webhooks[0].rules[0].operations = ['UPDATE']
      expect((await ask(`${pluralOf(kind)}/one`, { method: 'PUT', body })).code).toBe(200)
      expect(await tried('b')).toBe(false)
      const patch = [{ op: 'replace', path: '/webhooks/0/rules/0/operations', value: ['CREATE'] }]
      const patched = await ask(`${pluralOf(kind)}/one`, {
        method: 'PATCH',
        type: 'application/json-patch+json',
        body: patch,
      })
      expect(patched.code).toBe(200)
      expect(await tried('c')).toBe(true)
    },
  )

  test.each(['Validating', 'Mutating'] as const)(
    'ten %s configurations are listed, and deleted together',
    async kind => {
      const webhook = kind === 'Validating' ? at('deny', '/configmaps', {}) : at('stage-1', '/stages', {})
      const made = await Promise.all(
        Array.from({ length: 10 }, (_, i) => configure(kind, `many-${i}`, [webhook], { batch: 'one' })),
      )
      expect(made.map(({ code }) => code)).toEqual(Array(10).fill(201))
      expect((await ask(`${pluralOf(kind)}?labelSelector=batch%3Done`)).body.items).toHaveLength(10)
      const tried = async (name: string) => {
        const { code, body } = await ask(mapsUrl(), { body: map(name, { 'mutation-start': 'yes', test: bad }) })
        return kind === 'Validating' ? code === 400 : body.data['mutation-stage-1'] === 'yes'
      }
      expect(await tried('a')).toBe(true)
      expect((await ask(`${pluralOf(kind)}?labelSelector=batch%3Done`, { method: 'DELETE' })).code).toBe(200)
      expect((await ask(`${pluralOf(kind)}?labelSelector=batch%3Done`)).body.items).toEqual([])
      expect(await tried('b')).toBe(false)
    },
  )

  test.each(['Validating', 'Mutating'] as const)(
    'conditions of a %s configuration are kept, changed, and refused when they do not compile',
    async kind => {
      const production = { name: 'expression-1', expression: "object.metadata.namespace == 'production'" }
      const staging = { name: 'expression-2', expression: "object.metadata.namespace == 'staging'" }
      const path = kind === 'Validating' ? '/always-deny' : '/stages'
      const conditions = (matchConditions: readonly object[]) =>
        at('conditions', path, {}, { ...marked, matchConditions })
      expect((await configure(kind, 'one', [conditions([production])])).code).toBe(201)
      const { body } = await ask(`${pluralOf(kind)}/one`)
      expect(body.webhooks[0].matchConditions).toEqual([production])
      body.webhooks[0].matchConditions = [production, staging]
      expect((await ask(`${pluralOf(kind)}/one`, { method: 'PUT', body })).code).toBe(200)
      expect((await ask(`${pluralOf(kind)}/one`)).body.webhooks[0].matchConditions).toEqual([production, staging])
      const wrong = conditions([{ name: 'invalid-expression-1', expression: '... [] bad expression' }])
      const refused = await configure(kind, 'two', [wrong])
      expect([refused.code, refused.message]).toEqual([422, expect.stringContaining('compilation failed')])
    },
  )

  test('a condition lets everything be changed but what it leaves out', async () => {
    const matchConditions = [{ name: 'skip-me', expression: "object.metadata.name != 'skip-me'" }]
    await configure('Mutating', 'skip', [at('stage-1', '/stages', {}, { ...marked, matchConditions })])
    const made = await ask(mapsUrl(), { body: map('any', { 'mutation-start': 'yes' }) })
    expect(made.body.data).toEqual({ 'mutation-start': 'yes', 'mutation-stage-1': 'yes' })
    const skipped = await ask(mapsUrl(), { body: map('skip-me', { 'mutation-start': 'yes' }) })
    expect(skipped.body.data).toEqual({ 'mutation-start': 'yes' })
  })

  test('who knows the older review first is asked in that, where a patch needs no type', async () => {
    const older = { admissionReviewVersions: ['v1beta1', 'v1'] }
    hook.answer('/older', ({ operation }) =>
      operation === 'CREATE'
        ? { allowed: true, patch: base64([{ op: 'add', path: '/data/older', value: 'yes' }]) }
        : { allowed: false, status: { message: 'no' } },
    )
    const rule = { operations: ['CREATE', 'UPDATE'] }
    await configure('Mutating', 'older', [at('older', '/older', rule, { ...marked, ...older })])
    hook.asked.splice(0)
    const made = await ask(mapsUrl(), { body: map('older', { a: 'b' }) })
    expect(made.body.data).toEqual({ a: 'b', older: 'yes' })
    expect(hook.asked.map(({ apiVersion }) => apiVersion)).toEqual(['admission.k8s.io/v1beta1'])
    const refused = await ask(`${mapsUrl()}/older`, { method: 'PATCH', body: { data: { a: 'c' } } })
    expect(refused.message).toBe('admission webhook "older.example.com" denied the request: no')
    const unknown = await configure('Validating', 'unknown', [
      at('unknown', '/older', {}, { ...marked, admissionReviewVersions: ['v2', 'v3'] }),
    ])
    expect([unknown.code, unknown.message]).toEqual([422, expect.stringContaining('admissionReviewVersions')])
  })
})
