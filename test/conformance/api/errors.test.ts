// What is told when something is not done: a Status per reason, as clients read it.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
import { describe, expect, test } from 'vitest'
import { testApiserver } from '../../apiserver/setup.ts'
import { ask, oneApi, patch, post, put, remove } from './wire.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const deployments = '/apis/apps/v1/namespaces/default/deployments'
const pods = '/api/v1/namespaces/default/pods'

describe('errors', () => {
  const one = oneApi()
  const failure = (code: number, reason: string, message: unknown, details?: unknown) => ({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details !== undefined && { details }),
    code,
  })

  test('NotFound names the resource, with its group where there is one', async () => {
    const core = await ask(one.api, `${maps}/x`)
    expect([core.code, core.body]).toEqual([
      404,
      failure(404, 'NotFound', 'configmaps "x" not found', { name: 'x', kind: 'configmaps' }),
    ])
    for (const answer of [
      await ask(one.api, `${deployments}/x`),
      await put(one.api, `${deployments}/x`, deployment('x')),
      await patch(one.api, `${deployments}/x`, 'merge', {}),
      await remove(one.api, `${deployments}/x`),
      await ask(one.api, `${deployments}/x/scale`),
    ]) {
      expect(answer.body).toEqual(
        failure(404, 'NotFound', 'deployments.apps "x" not found', { name: 'x', group: 'apps', kind: 'deployments' }),
      )
    }
  })

  test('a path that nobody serves is not found, in the words that clients look for', async () => {
    for (const url of ['/apis/none.test/v1/things', '/api/v1/unicorns', '/apis/apps/v9/deployments', '/none']) {
      const { code, body } = await ask(one.api, url)
      expect([url, code, body.message]).toEqual([url, 404, 'the server could not find the requested resource'])
    }
  })

  test('AlreadyExists', async () => {
    await post(one.api, maps, { metadata: { name: 'twice' } })
    const { code, body } = await post(one.api, maps, { metadata: { name: 'twice' } })
    const details = { name: 'twice', kind: 'configmaps' }
    expect([code, body]).toEqual([409, failure(409, 'AlreadyExists', 'configmaps "twice" already exists', details)])
  })

  test('Conflict', async () => {
    const { body: made } = await post(one.api, maps, { metadata: { name: 'old' } })
    await patch(one.api, `${maps}/old`, 'merge', { data: { a: '1' } })
    const { body } = await put(one.api, `${maps}/old`, made)
    const message =
      'Operation cannot be fulfilled on configmaps "old": the object has been modified; please apply your changes to the latest version and try again'
    expect(body).toEqual(failure(409, 'Conflict', message, { name: 'old', kind: 'configmaps' }))
    const uid = await remove(one.api, `${maps}/old`, { preconditions: { uid: 'other' } })
    expect(uid.body).toMatchObject({ reason: 'Conflict', details: { name: 'old', kind: 'configmaps' } })
  })

  test('Invalid has a cause per field, all at once', async () => {
    const { code, body } = await post(one.api, deployments, { metadata: { name: 'bad' }, spec: { replicas: -1 } })
    expect([code, body.reason]).toEqual([422, 'Invalid'])
    expect(body.message).toMatch(/^Deployment\.apps "bad" is invalid: \[/)
    expect(body.details).toMatchObject({ name: 'bad', group: 'apps', kind: 'Deployment' })
    expect(body.details?.causes).toContainEqual({
      reason: 'FieldValueInvalid',
      message: 'Invalid value: -1: must be greater than or equal to 0',
      field: 'spec.replicas',
    })
    expect(body.details?.causes).toContainEqual(
      expect.objectContaining({ reason: 'FieldValueRequired', field: 'spec.selector' }),
    )
    const single = await post(one.api, maps, { metadata: { name: 'Bad_Name' } })
    expect(single.body.message).toMatch(/^ConfigMap "Bad_Name" is invalid: metadata\.name: Invalid value: "Bad_Name": /)
  })

  test('BadRequest: of another kind, version, name or namespace than the path says', async () => {
    await post(one.api, maps, { metadata: { name: 'here' } })
    const messages = [
      await post(one.api, maps, { apiVersion: 'v2', kind: 'ConfigMap', metadata: { name: 'x' } }),
      await post(one.api, maps, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } }),
      await put(one.api, `${maps}/here`, { metadata: { name: 'there' } }),
      await post(one.api, maps, { metadata: { name: 'x', namespace: 'other' } }),
    ].map(({ code, body }) => [code, body.reason, body.message])
    expect(messages).toEqual([
      [400, 'BadRequest', 'the API version in the data (v2) does not match the expected API version (v1)'],
      [400, 'BadRequest', expect.stringContaining('cannot be handled as a ConfigMap')],
      [400, 'BadRequest', 'the name of the object (there) does not match the name on the URL (here)'],
      [400, 'BadRequest', 'the namespace of the provided object does not match the namespace sent on the request'],
    ])
    const type = await post(one.api, deployments, { metadata: { name: 'x' }, spec: { replicas: 'two' } })
    expect(type.body.message).toContain(
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    )
  })

  test('Unauthorized and Forbidden', async () => {
    const stranger = await ask(one.api, maps, { identity: null })
    expect([stranger.code, stranger.body]).toEqual([401, failure(401, 'Unauthorized', 'Unauthorized')])
    const { code, body } = await ask(one.api, `${deployments}/x`, { identity: { user: 'jane', groups: ['dev'] } })
    expect([code, body.reason, body.details]).toEqual([
      403,
      'Forbidden',
      { name: 'x', group: 'apps', kind: 'deployments' },
    ])
    expect(body.message).toMatch(
      /^deployments\.apps "x" is forbidden: User "jane" cannot get resource "deployments" in API group "apps" in the namespace "default"/,
    )
  })

  test('MethodNotAllowed', async () => {
    for (const [url, method] of [
      [`${maps}/x`, 'POST'],
      [maps, 'PUT'],
      ['/version', 'POST'],
      ['/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', 'GET'],
      ['/api/v1/configmaps', 'POST'],
      ['/api/v1/configmaps', 'DELETE'],
      ['/api/v1/namespaces', 'DELETE'],
      ['/api/v1/componentstatuses', 'POST'],
      ['/api/v1/namespaces/default/pods/x/status', 'POST'],
    ] as const) {
      const { code, body } = await ask(one.api, url, { method, body: { metadata: { name: 'x' } } })
      expect([url, code, body.reason, body.message]).toEqual([
        url,
        405,
        'MethodNotAllowed',
        'the server does not allow this method on the requested resource',
      ])
    }
  })

  test('RequestEntityTooLarge says how much may be', async () => {
    const { code, body } = await post(one.api, maps, Buffer.alloc(3 * 1024 * 1024 + 1, 32))
    expect([code, body]).toEqual([
      413,
      failure(413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728'),
    ])
    expect((await post(one.api, maps, Buffer.alloc(3 * 1024 * 1024, 32))).code).toBe(400)
  })

  test('TooManyRequests says when to come again, in the body and for those who look at headers', async () => {
    const selector = { matchLabels: { app: 'guarded' } }
    await post(one.api, '/apis/policy/v1/namespaces/default/poddisruptionbudgets', {
      metadata: { name: 'budget' },
      spec: { minAvailable: 1, selector },
    })
    const { body: pod } = await post(one.api, pods, {
      metadata: { name: 'guarded', labels: { app: 'guarded' } },
      spec: { containers: [{ name: 'a', image: 'a' }], nodeName: 'n' },
    })
    const ready = [{ type: 'Ready', status: 'True' }]
    await put(one.api, `${pods}/guarded/status`, { ...pod, status: { phase: 'Running', conditions: ready } })
    const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'guarded' } }
    const { code, headers, body } = await post(one.api, `${pods}/guarded/eviction`, eviction)
    expect([code, body.reason, headers['retry-after']]).toEqual([
      429,
      'TooManyRequests',
      String(body.details?.retryAfterSeconds),
    ])
    expect(body.details?.causes?.[0]?.reason).toBe('DisruptionBudget')
  })

  test('without a leader a write is unavailable for a while (503), to be tried again', async () => {
    const api = await testApiserver()
    api.store.setLeader(undefined)
    const { code, headers, body } = await ask(api, maps)
    expect([code, body.reason, headers['retry-after']]).toEqual([503, 'ServiceUnavailable', '1'])
    api.stop()
  })

  test('a deletion says what was deleted, by its uid', async () => {
    const { body: made } = await post(one.api, deployments, deployment('gone'))
    const { code, body } = await remove(one.api, `${deployments}/gone`)
    expect([code, body]).toEqual([
      200,
      {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Success',
        details: { name: 'gone', group: 'apps', kind: 'deployments', uid: made.metadata.uid },
      },
    ])
  })

  test('a deletion of a kind that is shown once more shows it', async () => {
    const accounts = '/api/v1/namespaces/default/serviceaccounts'
    const { body: made } = await post(one.api, accounts, { metadata: { name: 'shown' } })
    expect((await remove(one.api, `${accounts}/shown`)).body).toEqual(made)
    const classes = '/apis/storage.k8s.io/v1/storageclasses'
    const { body: fast } = await post(one.api, classes, { metadata: { name: 'fast' }, provisioner: 'x.test/y' })
    expect((await remove(one.api, `${classes}/fast`)).body).toEqual(fast)
  })

  test.each([
    [{ propagationPolicy: 'Sometimes' }, 'propagationPolicy: Unsupported value: "Sometimes"'],
    [
      { propagationPolicy: 'Orphan', orphanDependents: true },
      'propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
    ],
    [{ dryRun: ['Maybe'] }, 'dryRun: Unsupported value'],
  ])('DeleteOptions %j are Invalid', async (options, message) => {
    await post(one.api, maps, { metadata: { name: 'options' } })
    const { code, body } = await remove(one.api, `${maps}/options`, options)
    expect([code, body.details?.kind]).toEqual([422, 'DeleteOptions'])
    expect(body.message).toContain(`DeleteOptions.meta.k8s.io "" is invalid: ${message}`)
  })

  test('the options of a deletion stand in the query where there is no body', async () => {
    const make = (name: string) => post(one.api, maps, { metadata: { name } })
    await make('held')
    const { body } = await remove(one.api, `${maps}/held?propagationPolicy=Foreground`)
    expect(body.metadata).toMatchObject({ finalizers: ['foregroundDeletion'], deletionTimestamp: expect.any(String) })
    await make('both')
    const both = await remove(one.api, `${maps}/both?propagationPolicy=Foreground`, {})
    expect(both.body['status']).toBe('Success')
    expect((await remove(one.api, `${maps}/both?gracePeriodSeconds=soon`)).code).toBe(400)
    const another = await remove(one.api, `${maps}/held`, { apiVersion: 'v1', kind: 'Pod' })
    expect([another.code, another.body.message]).toEqual([400, 'decoded object cannot be converted to DeleteOptions'])
  })

  test('generateName finds a free name', async () => {
    const names = new Set<string>()
    for (let i = 0; i < 50; i++) {
      names.add((await post(one.api, maps, { metadata: { generateName: 'free-' } })).body.metadata.name)
    }
    expect(names.size).toBe(50)
    for (const name of names) expect(name).toMatch(/^free-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  })
})

function deployment(name: string) {
  return {
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'a', image: 'a' }] } },
    },
  }
}
