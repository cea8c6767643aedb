// Webhooks of admission, real ones over HTTPS on loopback: who is asked about what, what they are told, and what becomes of
// their answers.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { KubeObject } from '../../../src/api/kind.ts'
import { mutatingWebhookConfiguration } from '../../../src/api/kinds/mutatingwebhookconfiguration.ts'
import { validatingWebhookConfiguration } from '../../../src/api/kinds/validatingwebhookconfiguration.ts'
import { encodeStored, keyOf, objectOf } from '../../../src/apiserver/stored.ts'
import type { Identity } from '../../../src/world/http.ts'
import { peerId } from '../../../src/world/network.ts'
import { type Asking, asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { type FakeKubelet, fakeKubelet } from '../../apiserver/fake-kubelet.ts'
import { request, testApiserver } from '../../apiserver/setup.ts'
import { base64, type TestWebhook, testWebhook } from '../../apiserver/webhook.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let kubelet: FakeKubelet
let ask: Asking
let hook: TestWebhook

beforeAll(async () => {
  kubelet = fakeKubelet()
  api = await testApiserver({ peerOfNode: peerId, kubeletOf: () => kubelet.open() })
  ask = asking(api)
  hook = await testWebhook()
  for (const [name, labels] of Object.entries({ one: { team: 'a' }, two: {} })) {
    await ask('/api/v1/namespaces', { body: namespaceNamed(name, labels) })
  }
})
afterAll(async () => {
  api.stop()
  await hook.close()
})
const root = '/apis/admissionregistration.k8s.io/v1'
beforeEach(() => {
  hook.asked.splice(0)
})
afterEach(async () => {
  for (const plural of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']) {
    await ask(`${root}/${plural}`, { method: 'DELETE' })
  }
  for (const namespace of ['one', 'two']) {
    await ask(`/api/v1/namespaces/${namespace}/configmaps`, { method: 'DELETE' })
    await ask(`/api/v1/namespaces/${namespace}/pods`, { method: 'DELETE' })
  }
})

const rule = (resources: readonly string[], operations: readonly string[] = ['*'], more: object = {}) => ({
  operations,
  apiGroups: ['*'],
  apiVersions: ['*'],
  resources,
  ...more,
})
const mapsAlone = [rule(['configmaps'])]

/** A webhook at `path` of the test's server. */
const at = (path: string, more: object = {}) => ({
  name: `${path.slice(1)}.example.com`,
  clientConfig: { url: `${hook.url}${path}`, caBundle: hook.caBundle },
  rules: mapsAlone,
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
  timeoutSeconds: 30,
  ...more,
})

async function configure(kind: 'Mutating' | 'Validating', name: string, ...webhooks: readonly object[]): Promise<void> {
  const body = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}WebhookConfiguration`,
    metadata: { name },
    webhooks,
  }
  const { code, message } = await ask(`${root}/${kind.toLowerCase()}webhookconfigurations`, { body })
  expect({ code, message }).toEqual({ code: 201, message: '' })
}

const maps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`
const map = (name: string, more: object = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  ...more,
})
const patching = (patch: readonly object[]) => ({ allowed: true, patchType: 'JSONPatch', patch: base64(patch) })

describe('admission-webhook', () => {
  test('who refuses is named, and what it says is told with its code and reason', async () => {
    hook.answer('/deny', () => ({ allowed: false, status: { message: 'not here', reason: 'Forbidden', code: 403 } }))
    await configure('Validating', 'deny', at('/deny'))
    const { code, body } = await ask(maps('one'), { body: map('m') })
    expect(code).toBe(403)
    expect(body).toMatchObject({
      status: 'Failure',
      message: 'admission webhook "deny.example.com" denied the request: not here',
      reason: 'Forbidden',
      code: 403,
    })
    expect((await ask(`${maps('one')}/m`)).code).toBe(404)
  })

  test('a refusal without a word is a 400 without explanation; any code is passed on', async () => {
    hook.answer('/deny', () => ({ allowed: false }))
    await configure('Validating', 'deny', at('/deny'))
    const silent = await ask(maps('one'), { body: map('m') })
    expect(silent.code).toBe(400)
    expect(silent.message).toBe('admission webhook "deny.example.com" denied the request without explanation')
    hook.answer('/deny', () => ({ allowed: false, status: { code: 418, reason: 'Teapot' } }))
    const odd = await ask(maps('one'), { body: map('m') })
    expect(odd.body).toMatchObject({ code: 418, reason: 'Teapot' })
    expect(odd.message).toBe('admission webhook "deny.example.com" denied the request: Teapot')
  })

  test('is told what is asked, by whom and how', async () => {
    hook.answer('/ok', () => ({ allowed: true }))
    await configure('Validating', 'ok', at('/ok', { rules: [rule(['configmaps'], ['CREATE', 'UPDATE', 'DELETE'])] }))
    const identity: Identity = { user: 'jane', uid: 'u1', groups: ['system:masters'], extra: { scope: ['a'] } }
    await ask(`${maps('one')}?fieldManager=me`, { body: map('m', { data: { a: '1' } }), identity })
    await ask(`${maps('one')}/m`, { method: 'PATCH', body: { data: { a: '2' } } })
    await ask(`${maps('one')}/m`, { method: 'DELETE' })
    const [created, updated, deleted] = hook.asked
    expect(created).toMatchObject({
      apiVersion: 'admission.k8s.io/v1',
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      kind: { group: '', version: 'v1', kind: 'ConfigMap' },
      resource: { group: '', version: 'v1', resource: 'configmaps' },
      requestKind: { group: '', version: 'v1', kind: 'ConfigMap' },
      requestResource: { group: '', version: 'v1', resource: 'configmaps' },
      name: 'm',
      namespace: 'one',
      operation: 'CREATE',
      userInfo: {
        username: 'jane',
        uid: 'u1',
        groups: ['system:masters', 'system:authenticated'],
        extra: { scope: ['a'] },
      },
      object: { apiVersion: 'v1', kind: 'ConfigMap', data: { a: '1' } },
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'me' },
      path: '/ok?timeout=30s',
    })
    expect(updated).toMatchObject({
      operation: 'UPDATE',
      object: { data: { a: '2' } },
      oldObject: { data: { a: '1' } },
      options: { kind: 'UpdateOptions' },
    })
    expect(deleted).toMatchObject({
      operation: 'DELETE',
      object: null,
      oldObject: { data: { a: '2' } },
      options: { kind: 'DeleteOptions' },
    })
  })

  test('an object that is mutated is stored as it was changed, with its defaults, and its owners are as they were', async () => {
    hook.answer('/label', ({ object }) => {
      expect(object.metadata.uid).toBeUndefined()
      return patching([
        { op: 'add', path: '/metadata/labels', value: { seen: 'yes' } },
        { op: 'add', path: '/spec/containers/-', value: { name: 'side', image: 'side' } },
        { op: 'add', path: '/spec/unknown', value: 1 },
      ])
    })
    await configure('Mutating', 'label', at('/label', { rules: [rule(['pods'], ['CREATE'])] }))
    const { code, body } = await ask('/api/v1/namespaces/one/pods', { body: podNamed('p') })
    expect(code).toBe(201)
    expect(body.metadata).toMatchObject({ name: 'p', labels: { seen: 'yes' }, uid: expect.any(String) })
    expect(body.spec.unknown).toBeUndefined()
    expect(body.spec.containers[1]).toMatchObject({ name: 'side', image: 'side', imagePullPolicy: 'Always' })
    // The container came after the service account's volume: everybody has looked at the object once more.
    expect(body.spec.containers[1].volumeMounts).toHaveLength(1)
    expect(body.spec.volumes).toHaveLength(1)
    const owned = JSON.stringify(body.metadata.managedFields)
    expect(owned).not.toContain('seen')
  })

  test('what webhooks make of an object must be valid', async () => {
    hook.answer('/break', () => patching([{ op: 'replace', path: '/spec/containers/0/name', value: 'Not A Name' }]))
    await configure('Mutating', 'break', at('/break', { rules: [rule(['pods'])] }))
    const { code, message } = await ask('/api/v1/namespaces/one/pods', { body: podNamed('p') })
    expect(code).toBe(422)
    expect(message).toContain('spec.containers[0].name: Invalid value: "Not A Name"')
  })

  test('those that change it are asked in the order of their configurations, each on what the last one left', async () => {
    for (const name of ['a', 'b']) {
      hook.answer(`/${name}`, ({ object }) =>
        patching([{ op: 'add', path: '/data', value: { seen: `${object.data?.seen ?? ''}${name}` } }]),
      )
    }
    await configure('Mutating', 'z-last', at('/b'))
    await configure('Mutating', 'a-first', at('/a'))
    expect((await ask(maps('one'), { body: map('m') })).body.data).toEqual({ seen: 'ab' })
  })

  test('who wants it is asked again when others have changed the object since, once', async () => {
    const counts = { first: 0, second: 0 }
    hook.answer('/first', () => {
      counts.first += 1
      return { allowed: true }
    })
    hook.answer('/second', ({ object }) => {
      counts.second += 1
      return patching([{ op: 'add', path: '/data', value: { n: `${object.data?.n ?? ''}x` } }])
    })
    await configure('Mutating', 'c', at('/first', { reinvocationPolicy: 'IfNeeded' }), at('/second'))
    expect((await ask(maps('one'), { body: map('m') })).code).toBe(201)
    expect(counts).toEqual({ first: 2, second: 1 })
  })

  test('warnings come to the client, each text once', async () => {
    hook.answer('/warn', () => ({ allowed: true, warnings: ['mind the gap'] }))
    await configure('Mutating', 'm', at('/warn'))
    await configure('Validating', 'v', at('/warn'))
    expect((await ask(maps('one'), { body: map('m') })).warnings).toEqual(['mind the gap'])
  })

  test.each<[string, object, readonly [number, number, number]]>([
    ['of another group', { apiGroups: ['apps'] }, [0, 0, 0]],
    ['of another version', { apiVersions: ['v2'] }, [0, 0, 0]],
    ['of one operation', { operations: ['DELETE'] }, [0, 0, 1]],
    ['of the cluster', { scope: 'Cluster' }, [0, 0, 0]],
    ['of namespaces', { scope: 'Namespaced' }, [1, 1, 1]],
    ['of all resources', { resources: ['*'] }, [1, 1, 1]],
    ['of subresources', { resources: ['configmaps/status', '*/scale'] }, [0, 0, 0]],
  ])('a rule %s', async (_, more, expected) => {
    hook.answer('/ok', () => ({ allowed: true }))
    await configure('Validating', 'ok', at('/ok', { rules: [rule(['configmaps'], ['*'], more)] }))
    await ask(maps('one'), { body: map('m') })
    await ask(`${maps('one')}/m`, { method: 'PATCH', body: { data: { a: '2' } } })
    await ask(`${maps('one')}/m`, { method: 'DELETE' })
    const count = (verb: string) => hook.asked.filter(({ operation }) => operation === verb).length
    expect(['CREATE', 'UPDATE', 'DELETE'].map(count)).toEqual(expected)
  })

  test('warnings come also with a refusal, each once: of webhooks, of policies and of what was sent', async () => {
    const allowed = { allowed: true, warnings: ['mind the gap', 'twice'] }
    hook.answer('/mind', () => allowed)
    hook.answer('/deny', () => ({ allowed: false, warnings: ['twice', 'not today'] }))
    await configure('Mutating', 'mind', at('/mind'))
    await configure('Validating', 'deny', at('/deny'))
    const refused = await ask(maps('one'), { body: map('m', { unknown: 'field' }) })
    expect([refused.code, refused.warnings]).toEqual([
      400,
      ['unknown field "unknown"', 'mind the gap', 'twice', 'not today'],
    ])
    await ask(`${root}/validatingwebhookconfigurations`, { method: 'DELETE' })
    const made = await ask(maps('one'), { body: map('m', { unknown: 'field' }) })
    expect([made.code, made.warnings]).toEqual([201, ['unknown field "unknown"', 'mind the gap', 'twice']])
  })

  test('subresources are asked about only where a rule names them', async () => {
    hook.answer('/ok', () => ({ allowed: true }))
    await configure('Validating', 'ok', at('/ok', { rules: [rule(['pods/status', 'pods/binding'])] }))
    await ask('/api/v1/namespaces/one/pods', { body: podNamed('p') })
    expect(hook.asked).toEqual([])
    await ask('/api/v1/namespaces/one/pods/p/status', { method: 'PATCH', body: { status: { message: 'x' } } })
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } }
    await ask('/api/v1/namespaces/one/pods/p/binding', { body: binding })
    expect(hook.asked.map(({ subResource, kind }) => [subResource, kind.kind])).toEqual([
      ['status', 'Pod'],
      ['binding', 'Binding'],
    ])
  })

  test('selectors of namespaces and of objects narrow who is asked', async () => {
    hook.answer('/ok', () => ({ allowed: true }))
    const selectors = {
      namespaceSelector: { matchLabels: { team: 'a' } },
      objectSelector: { matchExpressions: [{ key: 'skip', operator: 'DoesNotExist' }] },
    }
    await configure('Validating', 'ok', at('/ok', selectors))
    await ask(maps('two'), { body: map('elsewhere') })
    await ask(maps('one'), { body: map('skipped', {}, { labels: { skip: 'me' } }) })
    await ask(maps('one'), { body: map('taken') })
    expect(hook.asked.map(({ name }) => name)).toEqual(['taken'])
  })

  test('conditions narrow it further; one that fails refuses, or is passed by where failures are ignored', async () => {
    hook.answer('/ok', () => ({ allowed: true }))
    const conditions = (expression: string) => ({ matchConditions: [{ name: 'c', expression }] })
    const kubelets = '!request.userInfo.groups.exists(g, g == "system:nodes") && object.metadata.name != "x"'
    await configure('Validating', 'ok', at('/ok', conditions(kubelets)))
    await ask(maps('one'), { body: map('x') })
    await ask(maps('one'), { body: map('y') })
    expect(hook.asked.map(({ name }) => name)).toEqual(['y'])
    await configure('Validating', 'fails', at('/ok', conditions('object.data.missing == "1"')))
    const { code, message } = await ask(maps('one'), { body: map('z') })
    expect(code).toBe(403)
    expect(message).toContain(
      'configmaps "z" is forbidden: expression \'object.data.missing == "1"\' resulted in error:',
    )
    await ask(`${root}/validatingwebhookconfigurations/fails`, { method: 'DELETE' })
    await configure(
      'Validating',
      'ignores',
      at('/ok', { ...conditions('object.data.missing == "1"'), failurePolicy: 'Ignore' }),
    )
    expect((await ask(maps('one'), { body: map('z') })).code).toBe(201)
  })

  test('conditions may ask the authorizer', async () => {
    hook.answer('/ok', () => ({ allowed: true }))
    const expression = '!authorizer.group("").resource("configmaps").namespace("one").check("breakglass").allowed()'
    await configure('Validating', 'ok', at('/ok', { matchConditions: [{ name: 'breakglass', expression }] }))
    await ask(maps('one'), { body: map('m') })
    expect(hook.asked).toEqual([])
  })

  test('who does not answer refuses, or is passed by where failures are ignored', async () => {
    const gone = { url: 'https://127.0.0.1:1/x', caBundle: hook.caBundle }
    await configure('Validating', 'gone', at('/gone', { clientConfig: gone, failurePolicy: 'Ignore' }))
    expect((await ask(maps('one'), { body: map('m') })).code).toBe(201)
    await configure('Validating', 'gone-too', at('/gone', { clientConfig: gone }))
    const { code, body } = await ask(maps('one'), { body: map('n') })
    expect(code).toBe(500)
    expect(body).toMatchObject({
      reason: 'InternalError',
      message:
        'Internal error occurred: failed calling webhook "gone.example.com": failed to call webhook: Post "https://127.0.0.1:1/x?timeout=30s": dial tcp 127.0.0.1:1: connect: connection refused',
    })
  })

  test('who is too slow is not waited for', async () => {
    hook.answer('/slow', () => new Promise(() => {}))
    await configure('Validating', 'slow', at('/slow', { timeoutSeconds: 1 }))
    const { code, message } = await ask(maps('one'), { body: map('m') })
    expect(code).toBe(500)
    expect(message).toContain('context deadline exceeded')
  })

  test.each<[string, object | { code: number; text: string }, string]>([
    ['another uid', { uid: 'other', allowed: true }, 'expected response.uid='],
    [
      'a patch without a type',
      { allowed: true, patch: base64([]) },
      'webhook returned response.patch but not response.patchType',
    ],
    [
      'a type without a patch',
      { allowed: true, patchType: 'JSONPatch' },
      'webhook returned response.patchType but not response.patch',
    ],
    ['no JSON', { code: 200, text: 'hello' }, 'json parse error'],
    ['no response', { code: 200, text: '{}' }, 'webhook response was absent'],
    [
      'another code',
      { code: 503, text: 'busy' },
      'an error on the server ("busy") has prevented the request from succeeding',
    ],
    ['a redirect', { code: 301, text: '' }, 'an error on the server'],
  ])('an answer with %s is a failure', async (_, answer, why) => {
    hook.answer('/odd', () => answer)
    await configure('Mutating', 'odd', at('/odd'))
    const { code, message } = await ask(maps('one'), { body: map('m') })
    expect(code).toBe(500)
    expect(message).toContain('Internal error occurred: failed calling webhook "odd.example.com": ')
    expect(message).toContain(why)
  })

  test('who only judges may not change anything', async () => {
    hook.answer('/patch', () => patching([]))
    await configure('Validating', 'patch', at('/patch'))
    const { code, message } = await ask(maps('one'), { body: map('m') })
    expect([code, message]).toEqual([500, expect.stringContaining('validating webhook may not return response.patch')])
  })

  test('a certificate that the bundle does not vouch for, or for another name, is a failure', async () => {
    hook.answer('/ok', () => ({ allowed: true }))
    const { certs } = await testWebhook().then(async other => {
      await other.close()
      return other
    })
    const untrusted = { url: `${hook.url}/ok`, caBundle: base64(certs.ca) }
    await configure('Validating', 'untrusted', at('/ok', { clientConfig: untrusted }))
    const first = await ask(maps('one'), { body: map('m') })
    expect(first.message).toContain('x509: certificate signed by unknown authority')
    await ask(`${root}/validatingwebhookconfigurations/untrusted`, { method: 'DELETE' })
    const misnamed = await testWebhook(certs => certs.serverNamed('elsewhere.example.com'))
    const clientConfig = { url: `${misnamed.url}/ok`, caBundle: misnamed.caBundle }
    await configure('Validating', 'misnamed', at('/ok', { clientConfig }))
    const second = await ask(maps('one'), { body: map('m') })
    expect(second.message).toContain('tls: failed to verify certificate: x509')
    expect([...hook.asked, ...misnamed.asked]).toEqual([])
    await misnamed.close()
  })

  test('a bundle that cannot be read is taken, and is a failure only when the webhook is asked', async () => {
    hook.answer('/ok', () => ({ allowed: true }))
    const clientConfig = { url: `${hook.url}/ok`, caBundle: base64('no PEM') }
    await configure('Validating', 'unreadable', at('/ok', { clientConfig, failurePolicy: 'Fail' }))
    await configure('Mutating', 'unreadable', at('/ok', { clientConfig, failurePolicy: 'Ignore' }))
    const { code, message } = await ask(maps('one'), { body: map('m') })
    expect([code, message]).toEqual([
      500,
      'Internal error occurred: failed calling webhook "ok.example.com": could not get REST client: unable to load root certificates: unable to parse bytes as PEM block',
    ])
    expect(hook.asked).toEqual([])
  })

  test('a Service is asked at a ready endpoint, and must show a certificate of its own name', async () => {
    const behind = await testWebhook(certs => certs.serverNamed('judge.two.svc'))
    behind.answer('/check', () => ({ allowed: false, status: { message: 'no' } }))
    const service = (name: string) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { ports: [{ port: 443, targetPort: behind.port }] },
    })
    const slice = (name: string) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: [
        { addresses: ['10.0.0.2'], conditions: { ready: false } },
        { addresses: ['127.0.0.1'], conditions: { ready: true }, targetRef: { kind: 'Pod', name } },
      ],
      ports: [{ port: behind.port, name: '' }],
    })
    const to = (name: string) => ({
      clientConfig: { service: { namespace: 'two', name, path: '/check' }, caBundle: behind.caBundle },
    })
    await configure('Validating', 'judge', at('/judge', to('judge')))
    const missing = await ask(maps('one'), { body: map('m') })
    expect(missing.message).toContain('failed to call webhook: service "judge" not found')
    for (const name of ['judge', 'other']) await ask('/api/v1/namespaces/two/services', { body: service(name) })
    const empty = await ask(maps('one'), { body: map('m') })
    expect(empty.message).toContain('no endpoints available for service "judge"')
    // Nobody else may name this machine itself.
    const identity = { user: 'system:kube-controller-manager', groups: ['system:masters'] }
    for (const name of ['judge', 'other']) {
      await ask('/apis/discovery.k8s.io/v1/namespaces/two/endpointslices', { body: slice(name), identity })
    }
    // The address beside a pod that is not there leads nowhere, least of all to this machine.
    expect((await ask(maps('one'), { body: map('m') })).message).toContain(
      'pod "judge" behind the service cannot be reached',
    )
    expect(behind.asked).toEqual([])
    for (const name of ['judge', 'other']) {
      await ask('/api/v1/namespaces/two/pods', { body: podNamed(name, { nodeName: 'n1' }) })
    }
    expect((await ask(maps('one'), { body: map('m') })).message).toBe(
      'admission webhook "judge.example.com" denied the request: no',
    )
    expect(behind.asked[0].path).toBe('/check?timeout=30s')
    await ask(`${root}/validatingwebhookconfigurations/judge`, { method: 'DELETE' })
    await configure('Validating', 'other', at('/judge', to('other')))
    expect((await ask(maps('one'), { body: map('m') })).message).toContain('x509')
    await behind.close()
  })

  test('a dry run is told to be one, and nothing is stored', async () => {
    hook.answer('/label', () => patching([{ op: 'add', path: '/data', value: { dry: 'yes' } }]))
    await configure('Mutating', 'label', at('/label', { sideEffects: 'NoneOnDryRun' }))
    const { code, body } = await ask(`${maps('one')}?dryRun=All`, { body: map('m') })
    expect([code, body.data]).toEqual([201, { dry: 'yes' }])
    expect(hook.asked[0].dryRun).toBe(true)
    expect((await ask(`${maps('one')}/m`)).code).toBe(404)
  })

  test('nobody is asked about webhooks themselves, so that a broken one can be taken away', async () => {
    const broken = { clientConfig: { url: 'https://127.0.0.1:1/', caBundle: hook.caBundle }, rules: [rule(['*/*'])] }
    await configure('Mutating', 'broken', at('/broken', broken))
    await configure('Validating', 'broken', at('/broken', broken))
    expect((await ask(maps('one'), { body: map('m') })).code).toBe(500)
    for (const plural of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']) {
      const patched = await ask(`${root}/${plural}/broken`, {
        method: 'PATCH',
        body: { metadata: { labels: { a: 'b' } } },
      })
      expect(patched.code).toBe(200)
      expect((await ask(`${root}/${plural}/broken`, { method: 'DELETE' })).code).toBe(200)
    }
    expect((await ask(maps('one'), { body: map('m') })).code).toBe(201)
  })

  test('a deletion can be refused by either kind', async () => {
    await ask(maps('one'), { body: map('kept') })
    hook.answer('/deny', () => ({ allowed: false, status: { message: 'keep it' } }))
    for (const kind of ['Mutating', 'Validating'] as const) {
      await configure(kind, 'deny', at('/deny', { rules: [rule(['configmaps'], ['DELETE'])] }))
      expect((await ask(`${maps('one')}/kept`, { method: 'DELETE' })).message).toContain('keep it')
      await ask(`${root}/${kind.toLowerCase()}webhookconfigurations/deny`, { method: 'DELETE' })
    }
    expect((await ask(`${maps('one')}/kept`)).code).toBe(200)
  })

  test('exec, attach and port-forward are asked about as CONNECT before anything is connected', async () => {
    hook.answer('/deny', () => ({ allowed: false, status: { message: 'hands off' } }))
    await ask('/api/v1/namespaces/one/pods', { body: podNamed('p') })
    await configure(
      'Validating',
      'deny',
      at('/deny', { rules: [rule(['pods/exec', 'pods/attach', 'pods/portforward'], ['CONNECT'])] }),
    )
    for (const path of [
      'exec?command=ls&command=-l&stdin=true&container=c',
      'attach?stdout=true',
      'portforward?ports=80',
    ]) {
      const { code, message } = await ask(`/api/v1/namespaces/one/pods/p/${path}`, { method: 'POST' })
      expect([code, message]).toEqual([400, 'admission webhook "deny.example.com" denied the request: hands off'])
    }
    expect(
      hook.asked.map(({ operation, kind, object, subResource }) => [operation, kind.kind, subResource, object]),
    ).toEqual([
      [
        'CONNECT',
        'PodExecOptions',
        'exec',
        { kind: 'PodExecOptions', apiVersion: 'v1', stdin: true, container: 'c', command: ['ls', '-l'] },
      ],
      ['CONNECT', 'PodAttachOptions', 'attach', { kind: 'PodAttachOptions', apiVersion: 'v1', stdout: true }],
      [
        'CONNECT',
        'PodPortForwardOptions',
        'portforward',
        { kind: 'PodPortForwardOptions', apiVersion: 'v1', ports: [80] },
      ],
    ])
  })

  test('who may change it may change what is connected, and refuse it', async () => {
    const kubeletAsked = () => kubelet.requests.at(-1)?.ask
    hook.answer('/other', () => patching([{ op: 'replace', path: '/command', value: ['echo', 'no'] }]))
    await ask('/api/v1/namespaces/one/pods', { body: podNamed('p', { nodeName: 'n1' }) })
    const url = '/api/v1/namespaces/one/pods/p/exec?command=ls&stdout=true&container=c'
    await configure('Mutating', 'other', at('/other', { rules: [rule(['pods/exec'], ['CONNECT'])] }))
    const response = await api.apiserver.handle(request(url, { method: 'POST' }))
    if (response.kind !== 'command') throw new Error(`no command: ${JSON.stringify(response)}`)
    const said: string[] = []
    const nothing = async function* () {}
    await response.run(
      {
        stdin: nothing(),
        resizes: nothing(),
        stdout: async bytes => void said.push(Buffer.from(bytes).toString()),
        stderr: async () => {},
        finish: async () => {},
      },
      api.signal,
    )
    expect([kubeletAsked()?.case, said.join('')]).toEqual(['exec', 'no\n'])
    hook.answer('/other', () => ({ allowed: false, status: { message: 'hands off' } }))
    const { code, message } = await ask(url, { method: 'POST' })
    expect([code, message]).toEqual([400, 'admission webhook "other.example.com" denied the request: hands off'])
    expect((await ask(`${url}&dryRun=All`, { method: 'POST' })).message).toBe('dryRun is not supported')
  })

  test('who said no, or nothing, is asked again only when the object has changed meanwhile', async () => {
    let write = async () => {}
    const refuses = async () => {
      await write()
      return { allowed: false }
    }
    hook.answer('/deny', refuses)
    const rules = [rule(['configmaps'], ['*'])]
    const objectSelector = { matchLabels: { judged: 'yes' } }
    await ask(maps('one'), { body: map('m') })
    await configure('Validating', 'deny', at('/deny', { rules, objectSelector }))
    let count = 0
    const other = () => ask(maps('two'), { body: map(`other-${count++}`) })
    write = async () => void (await other())
    const judged = { judged: 'yes' }
    expect((await ask(maps('one'), { body: map('n', {}, { labels: judged }) })).code).toBe(400)
    expect(hook.asked.length).toBe(1)
    const update = () => ask(`${maps('one')}/m`, { method: 'PATCH', body: { metadata: { labels: judged } } })
    expect([(await update()).code, hook.asked.length]).toEqual([400, 2])
    // Past the webhook: only what it judges carries the label.
    const touch = { method: 'PATCH', body: { data: { seen: 'no' } } }
    write = async () => {
      write = async () => {}
      await ask(`${maps('one')}/m`, touch)
    }
    expect([(await update()).code, hook.asked.length]).toEqual([400, 4])
    hook.answer('/deny', async () => {
      await other()
      return { code: 500, text: 'oh' }
    })
    expect([(await update()).code, hook.asked.length]).toEqual([500, 5])
  })

  test('a dry run asks nobody who would do something about it', async () => {
    hook.answer('/some', () => ({ allowed: true }))
    for (const [kind, of] of [
      ['Validating', validatingWebhookConfiguration],
      ['Mutating', mutatingWebhookConfiguration],
    ] as const) {
      await configure(kind, 'some', at('/some', { failurePolicy: 'Ignore' }))
      // Nobody can write this any longer; it may be there from before.
      const key = keyOf(of, undefined, 'some')
      const stored = await api.store.get(key)
      if (stored === undefined) throw new Error('it is not stored')
      const value = encodeStored({
        ...objectOf(stored),
        webhooks: [at('/some', { sideEffects: 'Some' })],
      } as KubeObject)
      await api.store.write({ compare: [], operations: [{ key, value }] }, api.signal)
      const { code, message } = await ask(`${maps('one')}?dryRun=All`, { body: map('dry') })
      expect([code, message]).toEqual([400, 'admission webhook "some.example.com" does not support dry run'])
      await ask(`${root}/${kind.toLowerCase()}webhookconfigurations/some`, { method: 'DELETE' })
    }
    expect(hook.asked).toEqual([])
  })

  test('with matchPolicy Equivalent another form of the objects counts, and is the form that is shown', async () => {
    hook.answer('/ok', () => ({ allowed: true }))
    const rules = [
      {
        operations: ['CREATE'],
        apiGroups: ['autoscaling'],
        apiVersions: ['v1'],
        resources: ['horizontalpodautoscalers'],
      },
    ]
    const body = {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'h' },
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' }, maxReplicas: 3 },
    }
    await configure('Validating', 'exact', at('/ok', { rules, matchPolicy: 'Exact' }))
    await ask('/apis/autoscaling/v2/namespaces/one/horizontalpodautoscalers?dryRun=All', { body })
    expect(hook.asked).toEqual([])
    await configure('Validating', 'equivalent', at('/ok', { rules }))
    await ask('/apis/autoscaling/v2/namespaces/one/horizontalpodautoscalers?dryRun=All', { body })
    expect(hook.asked).toHaveLength(1)
    expect(hook.asked[0]).toMatchObject({
      kind: { group: 'autoscaling', version: 'v1', kind: 'HorizontalPodAutoscaler' },
      resource: { version: 'v1' },
      requestKind: { version: 'v2' },
      object: { apiVersion: 'autoscaling/v1', spec: { maxReplicas: 3 } },
    })
  })

  test('configurations have their defaults, and what cannot be is refused', async () => {
    await configure('Mutating', 'defaults', {
      name: 'a.b.c',
      clientConfig: { service: { namespace: 'two', name: 's' } },
      rules: mapsAlone,
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    })
    const { body } = await ask(`${root}/mutatingwebhookconfigurations/defaults`)
    expect(body.webhooks[0]).toMatchObject({
      failurePolicy: 'Fail',
      matchPolicy: 'Equivalent',
      timeoutSeconds: 10,
      reinvocationPolicy: 'Never',
      namespaceSelector: {},
      objectSelector: {},
      clientConfig: { service: { port: 443 } },
      rules: [{ scope: '*' }],
    })
    const wrong = {
      name: 'short',
      clientConfig: { url: 'http://x/?q' },
      rules: [{ operations: ['*', 'CREATE'], apiGroups: [], apiVersions: ['v1'], resources: ['*/*', 'pods/status'] }],
      sideEffects: 'Some',
      admissionReviewVersions: ['v9'],
      timeoutSeconds: 31,
      matchConditions: [{ name: 'c', expression: 'object.' }],
    }
    const refused = await ask(`${root}/validatingwebhookconfigurations`, {
      body: {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'ValidatingWebhookConfiguration',
        metadata: { name: 'w' },
        webhooks: [wrong],
      },
    })
    expect(refused.code).toBe(422)
    const causes = refused.body.details.causes.map(({ field }: { field: string }) => field)
    expect(causes.toSorted()).toEqual([
      'webhooks[0].admissionReviewVersions',
      'webhooks[0].clientConfig.url',
      'webhooks[0].clientConfig.url',
      'webhooks[0].matchConditions[0].expression',
      'webhooks[0].name',
      'webhooks[0].rules[0].apiGroups',
      'webhooks[0].rules[0].operations',
      'webhooks[0].rules[0].resources',
      'webhooks[0].sideEffects',
      'webhooks[0].timeoutSeconds',
    ])
  })
})
