// PUT of an object that is not there: some kinds are made by it, others are not found. And PUT that names no version.
import { describe, expect, test } from 'vitest'
import type { Identity } from '../../../src/world/http.ts'
import { ask, oneApi, patch, post, put } from './wire.ts'

const inDefault = '/namespaces/default'
const rbac = '/apis/rbac.authorization.k8s.io/v1'
const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' }

/** By path of the collection: what else the smallest object says. */
const made: Readonly<Record<string, object>> = {
  [`/api/v1${inDefault}/endpoints`]: {},
  [`/api/v1${inDefault}/events`]: { involvedObject: { namespace: 'default', name: 'x' } },
  [`/apis/events.k8s.io/v1${inDefault}/events`]: {
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'test.io/x',
    reportingInstance: 'x',
    action: 'Test',
    reason: 'Test',
    type: 'Normal',
    regarding: { namespace: 'default', name: 'x' },
  },
  [`/api/v1${inDefault}/limitranges`]: { spec: { limits: [] } },
  [`/api/v1${inDefault}/services`]: { spec: { ports: [{ port: 80 }] } },
  [`/apis/coordination.k8s.io/v1${inDefault}/leases`]: { spec: {} },
  [`${rbac}${inDefault}/roles`]: { rules: [] },
  [`${rbac}${inDefault}/rolebindings`]: { roleRef },
  [`${rbac}/clusterroles`]: { rules: [] },
  [`${rbac}/clusterrolebindings`]: { roleRef },
  '/apis/node.k8s.io/v1/runtimeclasses': { handler: 'x' },
}

describe('create on update', () => {
  const one = oneApi()

  test('makes the kinds that upstream makes so, with a uid of their own, and says 201', async () => {
    for (const [path, rest] of Object.entries(made)) {
      const name = path.includes('events.k8s.io') ? 'made-there' : 'made'
      const body = { metadata: { name, resourceVersion: '5' }, ...rest }
      const first = await put(one.api, `${path}/${name}`, body)
      expect([path, first.code, first.body.message]).toEqual([path, 201, undefined])
      expect(first.body.metadata.uid).toMatch(/./)
      const got = await ask(one.api, `${path}/${name}`)
      expect(got.body.metadata.uid).toBe(first.body.metadata.uid)
      const again = await put(one.api, `${path}/${name}`, {
        ...got.body,
        metadata: { ...got.body.metadata, labels: { a: 'b' } },
      })
      expect([path, again.code]).toEqual([path, 200])
    }
  })

  test('is validated and completed as a create: a service gets its address, a bad one is refused', async () => {
    const services = `/api/v1${inDefault}/services`
    const { body } = await put(one.api, `${services}/whole`, {
      metadata: { name: 'whole' },
      spec: { ports: [{ port: 80 }] },
    })
    expect((body['spec'] as { clusterIP?: string }).clusterIP).toMatch(/^10\.96\./)
    const bad = await put(one.api, `${services}/bad`, { metadata: { name: 'bad' }, spec: { ports: [{ port: 0 }] } })
    expect([bad.code, bad.body.reason]).toEqual([422, 'Invalid'])
    const nowhere = await put(one.api, '/api/v1/namespaces/nowhere/services/x', {
      metadata: { name: 'x' },
      spec: { ports: [{ port: 80 }] },
    })
    expect([nowhere.code, nowhere.body.message]).toEqual([404, 'namespaces "nowhere" not found'])
  })

  test('is not found for other kinds, for a subresource, and a conflict for who means another object', async () => {
    const maps = await put(one.api, `/api/v1${inDefault}/configmaps/none`, { metadata: { name: 'none' } })
    expect([maps.code, maps.body.message]).toEqual([404, 'configmaps "none" not found'])
    const status = await put(one.api, `/api/v1${inDefault}/services/none/status`, { metadata: { name: 'none' } })
    expect(status.code).toBe(404)
    const other = await put(one.api, `/apis/coordination.k8s.io/v1${inDefault}/leases/none`, {
      metadata: { name: 'none', uid: 'gone' },
    })
    expect([other.code, other.body.reason]).toEqual([409, 'Conflict'])
    expect(other.body.message).toContain('Precondition failed: UID in precondition: gone, UID in object meta: ')
  })

  test('writes nothing on a dry run', async () => {
    const leases = `/apis/coordination.k8s.io/v1${inDefault}/leases`
    const dry = await put(one.api, `${leases}/dry?dryRun=All`, { metadata: { name: 'dry' }, spec: {} })
    expect(dry.code).toBe(201)
    expect((await ask(one.api, `${leases}/dry`)).code).toBe(404)
  })

  test('asks for the right to create', async () => {
    const leases = `/apis/coordination.k8s.io/v1${inDefault}/leases`
    const grant = async (name: string, verbs: readonly string[]) => {
      await post(one.api, `${rbac}${inDefault}/roles`, {
        metadata: { name },
        rules: [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs }],
      })
      await post(one.api, `${rbac}${inDefault}/rolebindings`, {
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }],
      })
      const identity: Identity = { user: name, groups: [] }
      return identity
    }
    const changer = await grant('changer', ['update'])
    const maker = await grant('maker', ['update', 'create'])
    const lease = { metadata: { name: 'asked' }, spec: {} }
    const refused = await put(one.api, `${leases}/asked`, lease, { identity: changer })
    expect([refused.code, refused.body.reason]).toEqual([403, 'Forbidden'])
    expect((await put(one.api, `${leases}/asked`, lease, { identity: maker })).code).toBe(201)
  })
})

describe('name of the URL and of the body', () => {
  const one = oneApi()
  const maps = `/api/v1${inDefault}/configmaps`
  const answer = ({ code, body: { reason, message } }: Awaited<ReturnType<typeof put>>) => [code, reason, message]
  const badRequest = (message: string) => [400, 'BadRequest', message]

  test('must be the same in a PUT, whether the object is there, is made by it, or is not found', async () => {
    await post(one.api, maps, { metadata: { name: 'here' } })
    const other = { metadata: { name: 'other' } }
    for (const url of [
      `${maps}/here`,
      `${maps}/gone`,
      `${maps}/gone/status`.replace('configmaps', 'pods'),
      `/apis/coordination.k8s.io/v1${inDefault}/leases/gone`,
      `/apis/apps/v1${inDefault}/deployments/gone/scale`,
    ]) {
      const name = url.includes('here') ? 'here' : 'gone'
      expect([url, ...answer(await put(one.api, url, other))]).toEqual([
        url,
        ...badRequest(`the name of the object (other) does not match the name on the URL (${name})`),
      ])
      expect([url, ...answer(await put(one.api, url, { metadata: {} }))]).toEqual([
        url,
        ...badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`),
      ])
      const elsewhere = { metadata: { name, namespace: 'elsewhere' } }
      expect([url, ...answer(await put(one.api, url, elsewhere))]).toEqual([
        url,
        ...badRequest('the namespace of the provided object does not match the namespace sent on the request'),
      ])
    }
  })

  test('must be the same after a patch too', async () => {
    await post(one.api, maps, { metadata: { name: 'patched' } })
    const renamed = await patch(one.api, `${maps}/patched`, 'merge', { metadata: { name: 'other' } })
    expect(answer(renamed)).toEqual(
      badRequest('the name of the object (other) does not match the name on the URL (patched)'),
    )
    const nameless = await patch(one.api, `${maps}/patched`, 'merge', { metadata: { name: null } })
    expect(answer(nameless)).toEqual(
      badRequest('the name of the object (patched based on URL) was undeterminable: name must be provided'),
    )
    expect((await patch(one.api, `${maps}/gone`, 'merge', { metadata: { name: 'other' } })).code).toBe(404)
  })

  test('a namespace given to an object of the whole cluster is taken away', async () => {
    const made = await post(one.api, '/api/v1/namespaces', { metadata: { name: 'roomy', namespace: 'elsewhere' } })
    expect([made.code, made.body.metadata['namespace']]).toEqual([201, undefined])
  })
})

describe('unconditional update', () => {
  const one = oneApi()

  test('is refused for the kinds whose updates must say what they are based on', async () => {
    const leases = `/apis/coordination.k8s.io/v1${inDefault}/leases`
    const { body } = await post(one.api, leases, { metadata: { name: 'based' }, spec: {} })
    for (const version of [undefined, '', '0']) {
      const metadata = { name: 'based', labels: { a: 'b' }, ...(version !== undefined && { resourceVersion: version }) }
      const blind = await put(one.api, `${leases}/based`, { metadata, spec: {} })
      expect([blind.code, blind.body.reason]).toEqual([422, 'Invalid'])
      expect(blind.body.message).toBe(
        'leases.coordination.k8s.io "based" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update',
      )
    }
    expect((await put(one.api, `${leases}/based`, body)).code).toBe(200)
    expect((await patch(one.api, `${leases}/based`, 'merge', { metadata: { labels: { a: 'b' } } })).code).toBe(200)
  })

  test('is fine for the others', async () => {
    const maps = `/api/v1${inDefault}/configmaps`
    await post(one.api, maps, { metadata: { name: 'blind' } })
    expect((await put(one.api, `${maps}/blind`, { metadata: { name: 'blind' }, data: { a: 'b' } })).code).toBe(200)
  })
})
