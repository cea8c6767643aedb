// What admission has to say of a request stands in its audit event: under upstream's keys, also when it is refused.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Policy } from '../../../src/apiserver/audit.ts'
import { type Asking, asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { base64, type TestWebhook, testWebhook } from '../../apiserver/webhook.ts'

const admission = '/apis/admissionregistration.k8s.io/v1'
const security = 'pod-security.kubernetes.io'
const policy: Policy = {
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Request', namespaces: ['loud'] }, { level: 'Metadata' }],
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON came
const lines: any[] = []
let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
let hook: TestWebhook

beforeAll(async () => {
  const append = async (line: string) => void lines.push(JSON.parse(line))
  api = await testApiserver({ audit: { policy, log: { append } } })
  ask = asking(api)
  hook = await testWebhook()
  const audit = { [`${security}/audit`]: 'restricted', [`${security}/enforce`]: 'baseline' }
  for (const [name, labels] of Object.entries({ one: {}, loud: {}, audit })) {
    await ask('/api/v1/namespaces', { body: namespaceNamed(name, labels) })
  }
})
afterAll(async () => {
  api.stop()
  await hook.close()
})
beforeEach(() => void lines.splice(0))
afterEach(free)

const configurations = [
  'validatingadmissionpolicybindings',
  'validatingadmissionpolicies',
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
]
async function free(): Promise<void> {
  for (const plural of configurations) await ask(`${admission}/${plural}`, { method: 'DELETE' })
}

/** Of the last request, but how it was known who asks, who allowed it, and how long it took. */
function annotations(): Record<string, string> {
  const given: Record<string, string> = lines.at(-1)?.annotations ?? {}
  const others = ['authorization.k8s.io/', 'apiserver.latency.k8s.io/', 'flotilla.dev/']
  return Object.fromEntries(Object.entries(given).filter(([key]) => !others.some(prefix => key.startsWith(prefix))))
}

const pods = (namespace: string) => `/api/v1/namespaces/${namespace}/pods`
const maps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`

describe('audit annotations of PodSecurity', () => {
  test('a namespace that asks for nothing enforces privileged', async () => {
    await ask(pods('one'), { body: podNamed('p') })
    expect(annotations()).toEqual({ [`${security}/enforce-policy`]: 'privileged:latest' })
  })

  test('what would be forbidden is noted, of pods and of templates, and of pods that are refused', async () => {
    const violation = expect.stringMatching(
      /^would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != /,
    )
    const template = { metadata: { labels: { a: 'b' } }, spec: podNamed('p').spec }
    await ask(pods('audit'), { body: podNamed('p') })
    const enforced = { [`${security}/enforce-policy`]: 'baseline:latest', [`${security}/audit-violations`]: violation }
    expect(annotations()).toEqual(enforced)
    await ask('/apis/apps/v1/namespaces/audit/replicasets', {
      body: { metadata: { name: 'r' }, spec: { selector: { matchLabels: { a: 'b' } }, template } },
    })
    expect(annotations()).toEqual({ [`${security}/audit-violations`]: violation })
    const { code } = await ask(pods('audit'), { body: podNamed('q', { hostNetwork: true }) })
    expect([code, annotations()]).toEqual([403, { ...enforced, [`${security}/audit-violations`]: expect.any(String) }])
  })
})

describe('audit annotations of a ValidatingAdmissionPolicy', () => {
  const rules = [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }]
  async function govern(name: string, spec: object, validationActions: readonly string[]): Promise<void> {
    const head = { apiVersion: 'admissionregistration.k8s.io/v1' }
    const made = await ask(`${admission}/validatingadmissionpolicies`, {
      body: {
        ...head,
        kind: 'ValidatingAdmissionPolicy',
        metadata: { name },
        spec: { matchConstraints: { resourceRules: rules }, ...spec },
      },
    })
    const bound = await ask(`${admission}/validatingadmissionpolicybindings`, {
      body: {
        ...head,
        kind: 'ValidatingAdmissionPolicyBinding',
        metadata: { name: `${name}-binding` },
        spec: { policyName: name, validationActions },
      },
    })
    expect([made.message, bound.message]).toEqual(['', ''])
  }

  test('Audit lets it happen and notes what does not hold: the first failure', async () => {
    const validations = [{ expression: 'true' }, { expression: 'false', message: 'never' }, { expression: '1 == 2' }]
    await govern('a.example.com', { validations }, ['Warn', 'Audit'])
    const { code, warnings } = await ask(maps('one'), { body: { metadata: { name: 'audited' } } })
    expect([code, warnings.length]).toEqual([201, 2])
    const failure = annotations()['validation.policy.admission.k8s.io/validation_failure'] ?? ''
    expect(JSON.parse(failure)).toEqual([
      {
        message: 'never',
        policy: 'a.example.com',
        binding: 'a.example.com-binding',
        expressionIndex: 1,
        validationActions: ['Warn', 'Audit'],
      },
    ])
  })

  test('auditAnnotations are noted under the name of the policy; null and blank are not; one that fails refuses', async () => {
    const auditAnnotations = [
      { key: 'name', valueExpression: "'made ' + object.metadata.name + ' '" },
      { key: 'none', valueExpression: 'null' },
      { key: 'blank', valueExpression: "' '" },
    ]
    await govern('a.example.com', { auditAnnotations }, ['Audit'])
    expect((await ask(maps('one'), { body: { metadata: { name: 'noted' } } })).code).toBe(201)
    expect(annotations()).toEqual({ 'a.example.com/name': 'made noted' })
    await free()
    const broken = [{ key: 'k', valueExpression: 'string(object.data.missing)' }]
    await govern('a.example.com', { auditAnnotations: broken }, ['Audit'])
    const { code, message } = await ask(maps('one'), { body: { metadata: { name: 'x' } } })
    expect([code, message]).toEqual([
      422,
      expect.stringContaining("expression 'string(object.data.missing)' resulted in error"),
    ])
    await free()
    await govern('a.example.com', { auditAnnotations: broken, failurePolicy: 'Ignore' }, ['Audit'])
    expect((await ask(maps('one'), { body: { metadata: { name: 'x' } } })).code).toBe(201)
  })

  test('a policy that refuses keeps no other from noting and warning', async () => {
    await govern('a.example.com', { validations: [{ expression: 'false' }] }, ['Deny'])
    await govern('b.example.com', { auditAnnotations: [{ key: 'k', valueExpression: "'v'" }] }, ['Audit'])
    await govern('c.example.com', { validations: [{ expression: 'false', message: 'no' }] }, ['Warn'])
    const { code, message, warnings } = await ask(maps('one'), { body: { metadata: { name: 'y' } } })
    expect([code, message]).toEqual([422, expect.stringContaining("'a.example.com' with binding")])
    expect(annotations()).toEqual({ 'b.example.com/k': 'v' })
    const head = "Validation failed for ValidatingAdmissionPolicy 'c.example.com' with binding 'c.example.com-binding'"
    expect(warnings).toEqual([`${head}: no`])
  })
})

describe('audit annotations of webhooks', () => {
  const configure = (kind: 'Mutating' | 'Validating', path: string, more: object = {}) =>
    ask(`${admission}/${kind.toLowerCase()}webhookconfigurations`, {
      body: {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: `${kind}WebhookConfiguration`,
        metadata: { name: `of-${path}` },
        webhooks: [
          {
            name: `${path}.example.com`,
            clientConfig: { url: `${hook.url}/${path}`, caBundle: hook.caBundle },
            rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] }],
            sideEffects: 'None',
            admissionReviewVersions: ['v1'],
            timeoutSeconds: 30,
            ...more,
          },
        ],
      },
    })

  test('their own come under their names, of those that refuse as well; a key that is none is left out', async () => {
    const auditAnnotations = { why: 'because', 'not/a': 'key' }
    hook.answer('/judge', () => ({ allowed: false, auditAnnotations }))
    await configure('Validating', 'judge')
    expect((await ask(maps('one'), { body: { metadata: { name: 'm' } } })).code).toBe(400)
    expect(annotations()).toEqual({ 'judge.example.com/why': 'because' })
  })

  test('who was asked to change it, and whether it did; what was changed only where bodies are written', async () => {
    const patch = [{ op: 'add', path: '/data', value: { a: 'b' } }]
    hook.answer('/change', () => ({ allowed: true, patchType: 'JSONPatch', patch: base64(patch) }))
    hook.answer('/look', () => ({ allowed: true }))
    await configure('Mutating', 'change', { reinvocationPolicy: 'IfNeeded' })
    await configure('Mutating', 'look')
    const key = (what: string, index: number) => `${what}.webhook.admission.k8s.io/round_0_index_${index}`
    const noted = {
      [key('mutation', 0)]: '{"configuration":"of-change","webhook":"change.example.com","mutated":true}',
      [key('mutation', 1)]: '{"configuration":"of-look","webhook":"look.example.com","mutated":false}',
    }
    await ask(maps('one'), { body: { metadata: { name: 'm' } } })
    expect(annotations()).toEqual(noted)
    // Of what can hold credentials nothing is written that was sent.
    await ask(maps('loud'), { body: { metadata: { name: 'm' } } })
    expect(annotations()).toEqual(noted)
  })

  test('the patch of what is written with its body is noted', async () => {
    const patch = [{ op: 'add', path: '/metadata/labels', value: { a: 'b' } }]
    hook.answer('/label', () => ({ allowed: true, patchType: 'JSONPatch', patch: base64(patch) }))
    const rules = [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }]
    await configure('Mutating', 'label', { rules })
    await ask(pods('loud'), { body: podNamed('labelled') })
    const noted = annotations()['patch.webhook.admission.k8s.io/round_0_index_0'] ?? ''
    expect(JSON.parse(noted)).toEqual({
      configuration: 'of-label',
      webhook: 'label.example.com',
      patch,
      patchType: 'JSONPatch',
    })
  })

  test('a request that took more than half a second says how long', async () => {
    hook.answer('/slow', async () => {
      await new Promise(resolve => setTimeout(resolve, 600))
      return { allowed: true }
    })
    await configure('Validating', 'slow')
    await ask(maps('one'), { body: { metadata: { name: 'slow' } } })
    expect(lines.at(-1).annotations['apiserver.latency.k8s.io/total']).toMatch(/^(\d+m?s|\d+(\.\d+)?s)$/)
  })

  test('who could not be asked, and was passed by', async () => {
    hook.answer('/broken', () => ({ code: 500, text: 'oh' }))
    await configure('Mutating', 'broken', { failurePolicy: 'Ignore' })
    await configure('Validating', 'broken', { failurePolicy: 'Ignore' })
    expect((await ask(maps('one'), { body: { metadata: { name: 'n' } } })).code).toBe(201)
    expect(annotations()).toEqual({
      'failed-open.mutation.webhook.admission.k8s.io/round_0_index_0': 'broken.example.com',
      'failed-open.validating.webhook.admission.k8s.io/round_0_index_0': 'broken.example.com',
      'mutation.webhook.admission.k8s.io/round_0_index_0':
        '{"configuration":"of-broken","webhook":"broken.example.com","mutated":false}',
    })
  })
})

describe('audit annotations of other requests', () => {
  test('a token that is made', async () => {
    await ask('/api/v1/namespaces/one/serviceaccounts', { body: { metadata: { name: 'a' } } })
    const { body } = await ask('/api/v1/namespaces/one/serviceaccounts/a/token', {
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    })
    const [, payload = ''] = String(body.status.token).split('.')
    const { jti } = JSON.parse(Buffer.from(payload, 'base64url').toString())
    expect(annotations()).toEqual({ 'authentication.kubernetes.io/issued-credential-id': `JTI=${jti}` })
  })

  test('a kind that is deprecated, with a warning whatever becomes of the request', async () => {
    const warnings = ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice']
    expect(await ask('/api/v1/namespaces/one/endpoints')).toMatchObject({ code: 200, warnings })
    expect(annotations()).toEqual({ 'k8s.io/deprecated': 'true' })
    // Also who gets nothing is told, and who sends what nobody knows is told both.
    expect(await ask('/api/v1/namespaces/one/endpoints/none')).toMatchObject({ code: 404, warnings })
    const body = { metadata: { name: 'e' }, unknown: 1 }
    const made = await ask('/api/v1/namespaces/one/endpoints', { body })
    expect([made.code, made.warnings]).toEqual([201, [...warnings, 'unknown field "unknown"']])
    const refused = await ask('/api/v1/namespaces/one/endpoints', { body })
    expect([refused.code, refused.warnings]).toEqual([409, [...warnings, 'unknown field "unknown"']])
  })

  test('the object says which one it is, and proxies for whom they speak', async () => {
    const { body } = await ask(maps('one'), { body: { metadata: { name: 'known' } } })
    const headers = { 'x-forwarded-for': '192.0.2.1, nobody, 2001:db8::1', 'x-real-ip': '192.0.2.2' }
    await ask(`${maps('one')}/known`, { method: 'PUT', body, headers: { ...headers, 'user-agent': 'u'.repeat(2_000) } })
    const { uid, resourceVersion } = body.metadata
    expect(lines.at(-1)).toMatchObject({
      objectRef: { name: 'known', uid, resourceVersion },
      sourceIPs: ['192.0.2.1', '2001:db8::1', '192.0.2.2', '127.0.0.1'],
      userAgent: `${'u'.repeat(1_024)}...TRUNCATED`,
    })
  })
})
