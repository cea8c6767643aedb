// Policies from making them to what they do to workloads, and all that the API does with policies and bindings. What an
// expression may say, and what becomes of it, stands in validating-admission-policy.test.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { definitionNamesController } from '../../../src/controllers/definition.ts'
import { policyStatusController } from '../../../src/controllers/policystatus.ts'
import { runControllers } from '../../../src/controllers/run.ts'
import { type Asking, asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { crontabs, define } from '../../apiserver/definitions.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { inputs } from '../../controllers/cluster.ts'
import { openWatch } from './wire.ts'

const root = '/apis/admissionregistration.k8s.io/v1'
let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
let running: Promise<void>

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
  const controllers = [policyStatusController, definitionNamesController]
  running = runControllers(api.world, api.client, inputs(), controllers, api.signal)
  await ask('/api/v1/namespaces', { body: namespaceNamed('marked', { marked: 'true' }) })
  await ask('/api/v1/namespaces', { body: namespaceNamed('other') })
})
afterAll(async () => {
  api.stop()
  await running
})

const apiVersion = 'admissionregistration.k8s.io/v1'
const resourceRules = [
  { operations: ['CREATE', 'UPDATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'] },
]
const marked = { namespaceSelector: { matchLabels: { marked: 'true' } } }
async function policy(name: string, spec: object): Promise<void> {
  const made = await ask(`${root}/validatingadmissionpolicies`, {
    body: {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name },
      spec: { matchConstraints: { ...marked, resourceRules }, ...spec },
    },
  })
  expect([made.code, made.message]).toEqual([201, ''])
  const bound = await ask(`${root}/validatingadmissionpolicybindings`, {
    body: {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: `${name}-binding` },
      spec: { policyName: name, matchResources: marked, validationActions: ['Deny'] },
    },
  })
  expect(bound.code).toBe(201)
}
async function unmade(name: string): Promise<void> {
  await ask(`${root}/validatingadmissionpolicybindings/${name}-binding`, { method: 'DELETE' })
  await ask(`${root}/validatingadmissionpolicies/${name}`, { method: 'DELETE' })
}
const workload = (kind: string, name: string, replicas: number, namespace = 'marked') =>
  ask(`/apis/apps/v1/namespaces/${namespace}/${kind.toLowerCase()}s?dryRun=All`, {
    body: {
      apiVersion: 'apps/v1',
      kind,
      metadata: { name, labels: { app: 'nginx' } },
      spec: {
        replicas,
        selector: { matchLabels: { app: 'nginx' } },
        template: { metadata: { labels: { app: 'nginx' } }, spec: podNamed('x').spec },
      },
    },
  })

describe('validating-admission-policy', () => {
  test('a Deployment is validated, no ReplicaSet, and none elsewhere', async () => {
    await policy('replicated.example.com', {
      validations: [
        {
          expression: 'object.spec.replicas > 1',
          messageExpression: "'wants replicas > 1, got ' + object.spec.replicas",
        },
        { expression: "namespaceObject.metadata.name == 'marked'", message: 'Internal error! Other namespace' },
      ],
    })
    const refused = await workload('Deployment', 'marker', 1)
    expect([refused.code, refused.body.reason]).toEqual([422, 'Invalid'])
    // A message that cannot be made is replaced by the expression that failed.
    expect(refused.message).toContain('failed expression: object.spec.replicas > 1')
    expect((await workload('Deployment', 'replicated', 2)).code).toBe(201)
    expect((await workload('ReplicaSet', 'single', 1)).code).toBe(201)
    expect((await workload('Deployment', 'elsewhere', 1, 'other')).code).toBe(201)
    await unmade('replicated.example.com')
    expect((await workload('Deployment', 'marker', 1)).code).toBe(201)
  })

  test('expressions refer to variables', async () => {
    await policy('odd.example.com', {
      variables: [
        { name: 'replicas', expression: 'object.spec.replicas' },
        { name: 'oddReplicas', expression: 'variables.replicas % 2 == 1' },
      ],
      validations: [{ expression: 'variables.replicas > 1' }, { expression: 'variables.oddReplicas' }],
    })
    expect((await workload('Deployment', 'one', 1)).code).toBe(422)
    expect((await workload('Deployment', 'two', 2)).message).toContain('failed expression: variables.oddReplicas')
    expect((await workload('Deployment', 'three', 3)).code).toBe(201)
    expect((await workload('ReplicaSet', 'single', 1)).code).toBe(201)
    await unmade('odd.example.com')
  })

  /** What the status says of the types, once it does. */
  async function checked(name: string) {
    const typeChecking = async () =>
      (await ask(`${root}/validatingadmissionpolicies/${name}`)).body.status?.typeChecking
    await expect.poll(typeChecking, { timeout: 20_000 }).toBeDefined()
    return (await typeChecking()).expressionWarnings ?? []
  }

  test('the status says what an expression gets wrong about a built-in kind', async () => {
    await policy('right.example.com', { validations: [{ expression: 'object.spec.replicas > 1' }] })
    expect(await checked('right.example.com')).toEqual([])
    await policy('confused.example.com', {
      validations: [
        {
          expression: "object.spec.replicas > '1'",
          messageExpression: "'wants replicas > 1, got ' + object.spec.replicas",
        },
      ],
    })
    const overload = (text: string) => expect.stringContaining(`found no matching overload for ${text}`)
    expect(await checked('confused.example.com')).toMatchObject([
      { fieldRef: 'spec.validations[0].expression', warning: overload("'_>_' applied to '(int, string)'") },
      { fieldRef: 'spec.validations[0].messageExpression', warning: overload("'_+_' applied to '(string, int)'") },
    ])
    for (const name of ['right.example.com', 'confused.example.com']) await unmade(name)
  })

  test('and about one that somebody defined', async () => {
    await define(ask, crontabs())
    const rule = {
      operations: ['CREATE'],
      apiGroups: ['stable.example.com'],
      apiVersions: ['v1'],
      resources: ['crontabs'],
    }
    const matchConstraints = { ...marked, resourceRules: [rule] }
    await policy('right-crd.example.com', {
      matchConstraints,
      validations: [{ expression: 'object.spec.replicas > 1' }],
    })
    expect(await checked('right-crd.example.com')).toEqual([])
    await policy('confused-crd.example.com', {
      matchConstraints,
      validations: [{ expression: "object.spec.replicas > '1'" }, { expression: 'object.spec.maxRetries < 10' }],
    })
    expect(await checked('confused-crd.example.com')).toMatchObject([
      {
        fieldRef: 'spec.validations[0].expression',
        warning: expect.stringContaining("found no matching overload for '_>_' applied to '(int, string)'"),
      },
      { fieldRef: 'spec.validations[1].expression', warning: expect.stringContaining("undefined field 'maxRetries'") },
    ])
    for (const name of ['right-crd.example.com', 'confused-crd.example.com']) await unmade(name)
  })

  test.each([
    {
      plural: 'validatingadmissionpolicies',
      kind: 'ValidatingAdmissionPolicy',
      spec: { validations: [{ expression: 'object.spec.replicas <= 100' }], matchConstraints: { resourceRules } },
      patch: { failurePolicy: 'Ignore' },
      update: { failurePolicy: 'Fail' },
      hasStatus: true,
    },
    {
      plural: 'validatingadmissionpolicybindings',
      kind: 'ValidatingAdmissionPolicyBinding',
      spec: { policyName: 'replicalimit-policy.example.com', validationActions: ['Deny'] },
      patch: { validationActions: ['Warn'] },
      update: { validationActions: ['Deny'] },
      hasStatus: false,
    },
  ])('$plural: discovery, create, get, list, watch, patch, update, status, delete', async walked => {
    const { plural, kind, spec, patch, update, hasStatus } = walked
    const url = `${root}/${plural}`
    const names = (await ask(root)).body.resources.map(({ name }: { name: string }) => name)
    expect(names).toContain(plural)
    expect(names.includes(`${plural}/status`)).toBe(hasStatus)
    const body = { apiVersion, kind, metadata: { generateName: 'walked-', labels: { walked: 'yes' } }, spec }
    for (let i = 0; i < 2; i++) expect((await ask(url, { body })).code).toBe(201)
    const made = await ask(url, { body })
    const own = `${url}/${made.body.metadata.name}`
    expect((await ask(own)).body.metadata.uid).toBe(made.body.metadata.uid)
    const selected = `${url}?labelSelector=walked%3Dyes`
    const list = await ask(selected)
    expect(list.body.items).toHaveLength(3)
    const watch = await openWatch(api, `${selected}&watch=true&resourceVersion=${list.body.metadata.resourceVersion}`)
    const patched = await ask(own, {
      method: 'PATCH',
      body: { metadata: { annotations: { patched: 'true' } }, spec: patch },
    })
    expect(patched.body).toMatchObject({ metadata: { annotations: { patched: 'true' } }, spec: patch })
    const updated = await changedTo(own, next => {
      next.metadata.annotations.updated = 'true'
      Object.assign(next.spec, update)
    })
    expect(updated.body).toMatchObject({ metadata: { annotations: { updated: 'true' } }, spec: update })
    for (;;) {
      const event = await watch.next()
      expect(event.type).toBe('MODIFIED')
      if (event.object.metadata.annotations?.['patched'] === 'true') break
    }
    watch.close()
    if (hasStatus) await walkStatus(own, made.body.metadata.uid)
    expect((await ask(own, { method: 'DELETE' })).code).toBe(200)
    expect((await ask(own)).code).toBe(404)
    expect((await ask(selected)).body.items).toHaveLength(2)
    expect((await ask(selected, { method: 'DELETE' })).code).toBe(200)
    expect((await ask(selected)).body.items).toEqual([])
  })

  /** As clients do: again on the newest when somebody else was first. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON came
  async function changedTo(own: string, change: (object: any) => void, subresource = '') {
    for (;;) {
      const { body } = await ask(own)
      change(body)
      const put = await ask(`${own}${subresource}`, { method: 'PUT', body })
      if (put.code !== 409) return put
    }
  }

  async function walkStatus(own: string, uid: string): Promise<void> {
    const { body: read } = await ask(`${own}/status`)
    expect([read.kind, read.metadata.uid]).toEqual(['ValidatingAdmissionPolicy', uid])
    const condition = (type: string) => ({
      type,
      status: 'False',
      reason: 'e2e',
      message: 'Set by a test',
      lastTransitionTime: '2024-01-01T00:00:00Z',
    })
    const patched = await ask(`${own}/status`, {
      method: 'PATCH',
      body: { status: { conditions: [condition('PatchStatusFailed')] } },
    })
    expect(patched.body.status.conditions).toEqual([condition('PatchStatusFailed')])
    const put = await changedTo(own, next => next.status.conditions.push(condition('StatusUpdateFailed')), '/status')
    expect(put.body.status.conditions).toHaveLength(2)
  }
})
