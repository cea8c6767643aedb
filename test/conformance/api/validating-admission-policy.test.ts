// ValidatingAdmissionPolicies: what CEL says of a request, with parameters and variables, and what bindings make of it.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Asking, asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
const root = '/apis/admissionregistration.k8s.io/v1'

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
  await ask('/api/v1/namespaces', { body: namespaceNamed('one', { env: 'test', limit: '3' }) })
  await ask('/api/v1/namespaces', { body: namespaceNamed('two') })
})
afterAll(() => api.stop())
afterEach(async () => {
  await ask(`${root}/validatingadmissionpolicybindings`, { method: 'DELETE' })
  await ask(`${root}/validatingadmissionpolicies`, { method: 'DELETE' })
  for (const space of ['one', 'two']) await ask(`/apis/apps/v1/namespaces/${space}/deployments`, { method: 'DELETE' })
})

const deployments = {
  apiGroups: ['apps'],
  apiVersions: ['v1'],
  operations: ['CREATE', 'UPDATE'],
  resources: ['deployments'],
}
const maps = { apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] }

const policyBody = (spec: object) => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingAdmissionPolicy',
  metadata: { name: 'p' },
  spec: { matchConstraints: { resourceRules: [deployments] }, ...spec },
})

async function govern(spec: object, binding: object = {}): Promise<void> {
  const policy = await ask(`${root}/validatingadmissionpolicies`, { body: policyBody(spec) })
  expect([policy.code, policy.message]).toEqual([201, ''])
  const bound = await ask(`${root}/validatingadmissionpolicybindings`, {
    body: {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'b' },
      spec: { policyName: 'p', validationActions: ['Deny'], ...binding },
    },
  })
  expect([bound.code, bound.message]).toEqual([201, ''])
}

const labels = { app: 'a' }
const deploy = (replicas: number, space = 'one', name = 'd') =>
  ask(`/apis/apps/v1/namespaces/${space}/deployments`, {
    body: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: {
        replicas,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: podNamed('p').spec },
      },
    },
  })
const small = { validations: [{ expression: 'object.spec.replicas <= 2' }] }
const denied = (why: string) =>
  `deployments.apps "d" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ${why}`

describe('validating-admission-policy', () => {
  test('what does not hold is refused, as Invalid and by its expression', async () => {
    await govern(small)
    const { code, body } = await deploy(3)
    expect(code).toBe(422)
    expect(body).toMatchObject({ reason: 'Invalid', message: denied('failed expression: object.spec.replicas <= 2') })
    expect((await deploy(2)).code).toBe(201)
  })

  test('a policy that is not bound holds nothing', async () => {
    await ask(`${root}/validatingadmissionpolicies`, { body: policyBody(small) })
    expect((await deploy(3)).code).toBe(201)
  })

  test('message, messageExpression and reason are what the client is told', async () => {
    const validation = { expression: 'object.spec.replicas <= 2', reason: 'Forbidden', message: 'too many' }
    await govern({ validations: [validation] })
    const plain = await deploy(3)
    expect([plain.code, plain.body.reason, plain.message]).toEqual([403, 'Forbidden', denied('too many')])
    await ask(`${root}/validatingadmissionpolicies/p`, {
      method: 'PATCH',
      body: { spec: { validations: [{ ...validation, messageExpression: '"not " + string(object.spec.replicas)' }] } },
    })
    expect((await deploy(3)).message).toBe(denied('not 3'))
  })

  test('variables are evaluated when they are read, and read those before them', async () => {
    await govern({
      variables: [
        { name: 'replicas', expression: 'object.spec.replicas' },
        { name: 'isOdd', expression: 'variables.replicas % 2 == 1' },
        { name: 'never', expression: 'object.spec.missing' },
      ],
      validations: [
        { expression: 'variables.replicas > 1' },
        { expression: 'variables.isOdd || variables.replicas > 100 && variables.never' },
      ],
    })
    expect((await deploy(1)).message).toBe(denied('failed expression: variables.replicas > 1'))
    expect((await deploy(2)).message).toContain('failed expression: variables.isOdd')
    expect((await deploy(3)).code).toBe(201)
  })

  test('the request, the old object, the namespace and the authorizer can be asked about', async () => {
    await govern({
      validations: [
        { expression: 'request.operation == "CREATE" || object.spec.replicas >= oldObject.spec.replicas' },
        { expression: 'request.userInfo.username == "admin" && request.namespace == "one" && request.name == "d"' },
        { expression: 'namespaceObject.metadata.labels["env"] == "test"' },
        { expression: 'authorizer.group("apps").resource("deployments").namespace("one").check("delete").allowed()' },
        { expression: 'authorizer.requestResource.check("create").allowed()' },
      ],
    })
    const made = await deploy(2)
    expect([made.code, made.message]).toEqual([201, ''])
    const fewer = await ask('/apis/apps/v1/namespaces/one/deployments/d', {
      method: 'PATCH',
      body: { spec: { replicas: 1 } },
    })
    expect(fewer.message).toContain('failed expression: request.operation == "CREATE"')
    const other = await ask('/apis/apps/v1/namespaces/one/deployments?dryRun=All', {
      body: { ...made.body, metadata: { name: 'e' } },
    })
    expect(other.message).toContain('request.name == "d"')
  })

  test('parameters come by name or by selector; each of them has to be met', async () => {
    const param = (name: string, max: number) =>
      ask('/api/v1/namespaces/two/configmaps', {
        body: {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name, labels: { role: 'limit' } },
          data: { max: String(max) },
        },
      })
    const paramRef = { name: 'a', namespace: 'two', parameterNotFoundAction: 'Deny' }
    const spec = {
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      validations: [{ expression: 'object.spec.replicas <= int(params.data.max)' }],
    }
    await govern(spec, { paramRef })
    expect((await deploy(1)).message).toBe(
      denied('failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction'),
    )
    await param('a', 3)
    await param('b', 2)
    expect((await deploy(4)).code).toBe(422)
    expect((await deploy(3)).code).toBe(201)
    const { name: _, ...rest } = paramRef
    await ask(`${root}/validatingadmissionpolicybindings`, { method: 'DELETE' })
    await ask(`${root}/validatingadmissionpolicies`, { method: 'DELETE' })
    await govern(spec, { paramRef: { ...rest, selector: { matchLabels: { role: 'limit' } } } })
    expect((await deploy(3, 'one', 'e')).code).toBe(422)
    await ask('/api/v1/namespaces/two/configmaps', { method: 'DELETE' })
    await ask(`${root}/validatingadmissionpolicybindings/b`, {
      method: 'PATCH',
      body: { spec: { paramRef: { parameterNotFoundAction: 'Allow' } } },
    })
    expect((await deploy(9, 'one', 'e')).code).toBe(201)
  })

  test('a binding warns instead of refusing', async () => {
    await govern(small, { validationActions: ['Warn', 'Audit'] })
    const { code, warnings } = await deploy(3)
    expect(code).toBe(201)
    expect(warnings).toEqual([
      "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': failed expression: object.spec.replicas <= 2",
    ])
  })

  test('a binding narrows where its policy holds', async () => {
    await govern(small, { matchResources: { namespaceSelector: { matchLabels: { env: 'test' } } } })
    expect((await deploy(3, 'two')).code).toBe(201)
    expect((await deploy(3, 'one')).code).toBe(422)
  })

  test('conditions keep it from what it is not about', async () => {
    await govern({ ...small, matchConditions: [{ name: 'c', expression: 'object.metadata.name != "free"' }] })
    expect((await deploy(3, 'one', 'free')).code).toBe(201)
    expect((await deploy(3)).code).toBe(422)
  })

  test('names and exclusions in rules count', async () => {
    await govern({
      ...small,
      matchConstraints: {
        resourceRules: [{ ...deployments, resourceNames: ['d'] }],
        excludeResourceRules: [{ ...deployments, operations: ['UPDATE'] }],
      },
    })
    expect((await deploy(3, 'one', 'e')).code).toBe(201)
    expect((await deploy(3)).code).toBe(422)
    await deploy(1)
    const body = { spec: { replicas: 5 } }
    expect((await ask('/apis/apps/v1/namespaces/one/deployments/d', { method: 'PATCH', body })).code).toBe(200)
  })

  test('an expression that fails refuses, or counts for nothing where failures are ignored', async () => {
    const failing = { validations: [{ expression: 'object.spec.missing == 1' }] }
    await govern(failing)
    expect((await deploy(1)).message).toContain("expression 'object.spec.missing == 1' resulted in error:")
    await ask(`${root}/validatingadmissionpolicies/p`, { method: 'PATCH', body: { spec: { failurePolicy: 'Ignore' } } })
    expect((await deploy(1)).code).toBe(201)
  })

  test('an expression that costs too much ends', async () => {
    const many = '[0,1,2,3,4,5,6,7,8,9]'
    const expression = `${many}.all(a, ${many}.all(b, ${many}.all(c, ${many}.all(d, ${many}.all(e, ${many}.all(f, a + b + c + d + e + f >= 0))))))`
    await govern({ validations: [{ expression, message: 'm' }] })
    const { code, message } = await deploy(1)
    expect(code).toBe(422)
    expect(message).toContain('cost limit exceeded')
  })

  test('deletions can be refused, by what there was', async () => {
    await ask('/api/v1/namespaces/two/configmaps', {
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept', labels: { keep: 'me' } } },
    })
    await govern({
      matchConstraints: { resourceRules: [maps] },
      validations: [
        { expression: 'request.operation != "DELETE" || !("keep" in oldObject.metadata.?labels.orValue({}))' },
      ],
    })
    expect((await ask('/api/v1/namespaces/two/configmaps/kept', { method: 'DELETE' })).code).toBe(422)
    await ask('/api/v1/namespaces/two/configmaps/kept', { method: 'PATCH', body: { metadata: { labels: null } } })
    expect((await ask('/api/v1/namespaces/two/configmaps/kept', { method: 'DELETE' })).code).toBe(200)
  })

  test('what does not compile is refused, with where and why', async () => {
    const refused = await ask(`${root}/validatingadmissionpolicies`, {
      body: policyBody({
        variables: [{ name: 'v', expression: 'object.spec.replicas >' }],
        validations: [
          { expression: '1 + 1' },
          { expression: 'variables.w == 1' },
          { expression: 'params.x == 1' },
          { expression: 'true', messageExpression: '1' },
        ],
        matchConditions: [{ name: 'c', expression: 'nobody' }],
      }),
    })
    expect(refused.code).toBe(422)
    const causes = refused.body.details.causes as readonly { readonly field: string; readonly message: string }[]
    expect(causes.map(({ field }) => field).toSorted()).toEqual([
      'spec.matchConditions[0].expression',
      'spec.validations[0].expression',
      'spec.validations[1].expression',
      'spec.validations[2].expression',
      'spec.validations[3].messageExpression',
      'spec.variables[0].expression',
    ])
    expect(causes.find(({ field }) => field === 'spec.validations[0].expression')?.message).toBe(
      'Invalid value: "1 + 1": must evaluate to bool',
    )
  })

  test('policies and bindings have their defaults', async () => {
    await govern(small, { matchResources: {} })
    const policy = await ask(`${root}/validatingadmissionpolicies/p`)
    expect(policy.body.spec).toMatchObject({
      failurePolicy: 'Fail',
      matchConstraints: {
        matchPolicy: 'Equivalent',
        namespaceSelector: {},
        objectSelector: {},
        resourceRules: [{ scope: '*' }],
      },
    })
    const binding = await ask(`${root}/validatingadmissionpolicybindings/b`)
    expect(binding.body.spec.matchResources).toEqual({
      matchPolicy: 'Equivalent',
      namespaceSelector: {},
      objectSelector: {},
    })
  })
})
