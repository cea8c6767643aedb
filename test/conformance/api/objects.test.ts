// The kinds of the core that need no pod: their life as the official suite walks through it, and what is special about each.
import { describe, expect, test } from 'vitest'
import { walkThrough } from './operations.ts'
import { ask, oneApi, openWatch, patch, post, put, remove, type Shown } from './wire.ts'

const inDefault = '/api/v1/namespaces/default'
const core = { root: '/api/v1', namespace: 'default' }

describe('configmap', () => {
  walkThrough({
    ...core,
    resource: 'configmaps',
    kind: 'ConfigMap',
    shortNames: ['cm'],
    make: i => ({ metadata: { name: `cm-${i}` }, data: { key: 'value' } }),
    columns: ['Name', 'Data', 'Age'],
    cells: ['cm-0', 1],
  })
  const one = oneApi()
  const maps = `${inDefault}/configmaps`

  test('an immutable one stays as it is, and so does its immutability; it can be deleted', async () => {
    const { body } = await post(one.api, maps, { metadata: { name: 'fixed' }, data: { a: '1' }, immutable: true })
    for (const change of [
      { data: { a: '2' } },
      { binaryData: { b: 'AA==' } },
      { immutable: false },
      { immutable: null },
    ]) {
      const { code, body: status } = await patch(one.api, `${maps}/fixed`, 'merge', change)
      expect([code, status.reason]).toEqual([422, 'Invalid'])
      expect(status.message).toContain('field is immutable when `immutable` is set')
    }
    const labelled = await patch(one.api, `${maps}/fixed`, 'merge', { metadata: { labels: { a: 'b' } } })
    expect(labelled.code).toBe(200)
    expect((await put(one.api, `${maps}/fixed`, { ...body, metadata: { name: 'fixed' } })).code).toBe(200)
    expect((await remove(one.api, `${maps}/fixed`)).code).toBe(200)
  })

  test('a key is the name of a file, and stands in data or in binaryData', async () => {
    for (const data of [{ '': 'x' }, { '..': 'x' }, { 'a/b': 'x' }, { ['k'.repeat(254)]: 'x' }]) {
      const { code, body } = await post(one.api, maps, { metadata: { name: 'keys' }, data })
      expect([code, body.reason]).toEqual([422, 'Invalid'])
    }
    const twice = await post(one.api, maps, { metadata: { name: 'keys' }, data: { a: 'x' }, binaryData: { a: 'AA==' } })
    expect(twice.code).toBe(422)
  })

  test('found in all namespaces, changed and deleted by its label', async () => {
    for (const namespace of ['default', 'kube-public']) {
      await post(one.api, `/api/v1/namespaces/${namespace}/configmaps`, {
        metadata: { name: 'all', labels: { test: 'all' } },
      })
    }
    const { body } = await ask(one.api, '/api/v1/configmaps?labelSelector=test%3Dall')
    expect(body.items.map(({ metadata }) => metadata.namespace)).toEqual(['default', 'kube-public'])
    await remove(one.api, `${maps}?labelSelector=test%3Dall`)
    const left = await ask(one.api, '/api/v1/configmaps?labelSelector=test%3Dall')
    expect(left.body.items.map(({ metadata }) => metadata.namespace)).toEqual(['kube-public'])
  })
})

describe('secret', () => {
  walkThrough({
    ...core,
    resource: 'secrets',
    kind: 'Secret',
    make: i => ({ metadata: { name: `secret-${i}` }, data: { key: 'dmFsdWU=' }, type: 'Opaque' }),
    columns: ['Name', 'Type', 'Data', 'Age'],
    cells: ['secret-0', 'Opaque', 1],
  })
  const one = oneApi()
  const secrets = `${inDefault}/secrets`

  test('stringData is written to data and never shown', async () => {
    const { body } = await post(one.api, secrets, {
      metadata: { name: 'text' },
      data: { a: 'AA==' },
      stringData: { b: 'value' },
    })
    expect(body).toMatchObject({ data: { a: 'AA==', b: 'dmFsdWU=' }, type: 'Opaque' })
    expect(body).not.toHaveProperty('stringData')
  })

  test('an immutable one stays as it is', async () => {
    await post(one.api, secrets, { metadata: { name: 'fixed' }, data: { a: 'AA==' }, immutable: true })
    const { code, body } = await patch(one.api, `${secrets}/fixed`, 'merge', { data: { a: 'AAA=' } })
    expect([code, body.message]).toEqual([422, expect.stringContaining('field is immutable when `immutable` is set')])
  })

  test('its type never changes, and a key is the name of a file', async () => {
    await post(one.api, secrets, { metadata: { name: 'typed' } })
    const { code } = await patch(one.api, `${secrets}/typed`, 'merge', { type: 'example.com/other' })
    expect(code).toBe(422)
    expect((await post(one.api, secrets, { metadata: { name: 'empty' }, data: { '': 'AA==' } })).code).toBe(422)
    const { body } = await ask(one.api, `${secrets}?fieldSelector=type%3DOpaque`)
    expect(body.items.map(({ metadata }) => metadata.name)).toContain('typed')
  })
})

describe('lease', () => {
  const spec = {
    holderIdentity: 'holder',
    leaseDurationSeconds: 30,
    acquireTime: '2026-01-02T03:04:05.000006Z',
    renewTime: '2026-01-02T03:04:06.000007Z',
    leaseTransitions: 0,
  }
  walkThrough({
    root: '/apis/coordination.k8s.io/v1',
    namespace: 'default',
    resource: 'leases',
    kind: 'Lease',
    make: i => ({ metadata: { name: `lease-${i}` }, spec }),
    change: { spec: { holderIdentity: 'other', leaseTransitions: 1 } },
    columns: ['Name', 'Holder', 'Age'],
    cells: ['lease-0', 'holder'],
  })
  const one = oneApi()

  test('keeps its microseconds', async () => {
    const { body } = await post(one.api, '/apis/coordination.k8s.io/v1/namespaces/default/leases', {
      metadata: { name: 'exact' },
      spec,
    })
    expect(body['spec']).toEqual(spec)
  })
})

describe('node-api', () => {
  const one = oneApi()
  const nodes = '/api/v1/nodes'

  test('a node is made, read, labelled, says how it is, and goes', async () => {
    const made = await post(one.api, nodes, { metadata: { name: 'fake', labels: { e2e: 'fake' } } })
    expect(made.code).toBe(201)
    expect((await ask(one.api, `${nodes}?labelSelector=e2e%3Dfake`)).body.items).toHaveLength(1)
    const labelled = await patch(one.api, `${nodes}/fake`, 'strategic', {
      metadata: { labels: { 'fake.test/x': 'y' } },
    })
    expect(labelled.body.metadata.labels).toMatchObject({ e2e: 'fake', 'fake.test/x': 'y' })
    const status = await patch(one.api, `${nodes}/fake/status`, 'merge', {
      status: { capacity: { 'example.com/x': '5' } },
    })
    expect(status.body['status']).toMatchObject({ capacity: { 'example.com/x': '5' } })
    expect((await remove(one.api, `${nodes}?labelSelector=e2e%3Dfake`)).code).toBe(200)
    expect((await ask(one.api, `${nodes}/fake`)).code).toBe(404)
  })
})

/** What is wrong, in words. */
const told = ({ body }: { readonly body: Shown }): readonly string[] =>
  (body.details?.causes ?? []).map(({ field = '', message }) => `${field}: ${message}`)

describe('node-api: what a node is given once', () => {
  const one = oneApi()
  const nodes = '/api/v1/nodes'

  test('its block of addresses stands in both fields, is one, and stays; so does the name its provider has for it', async () => {
    const wrong = await post(one.api, nodes, { metadata: { name: 'given' }, spec: { podCIDR: 'x' } })
    expect(wrong.body.details?.causes?.[0]).toMatchObject({ field: 'spec.podCIDRs[0]' })
    await post(one.api, nodes, { metadata: { name: 'given' } })
    const given = await patch(one.api, `${nodes}/given`, 'merge', {
      spec: { podCIDR: '10.244.0.0/24', providerID: 'cloud://a' },
    })
    expect(given.body['spec']).toMatchObject({ podCIDR: '10.244.0.0/24', podCIDRs: ['10.244.0.0/24'] })
    const other = { podCIDR: '10.245.0.0/24', podCIDRs: ['10.245.0.0/24'], providerID: 'cloud://b' }
    const moved = await patch(one.api, `${nodes}/given`, 'merge', { spec: other })
    expect(told(moved)).toEqual([
      'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
      'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
    ])
  })

  test('has one block of addresses of a family', async () => {
    const podCIDRs = ['10.244.0.0/24', '10.245.0.0/24', '10.244.0.0/24']
    const wrong = await post(one.api, nodes, { metadata: { name: 'blocks' }, spec: { podCIDRs } })
    const list = JSON.stringify(podCIDRs)
    expect(told(wrong)).toEqual([
      `spec.podCIDRs: Invalid value: ${list}: may specify no more than one CIDR for each IP family`,
      'spec.podCIDRs[2]: Duplicate value: "10.244.0.0/24"',
    ])
    const both = ['10.244.0.0/24', 'fd00:1::/64']
    expect((await post(one.api, nodes, { metadata: { name: 'blocks' }, spec: { podCIDRs: both } })).code).toBe(201)
  })

  test('what it has to give is not negative, and what is counted is whole', async () => {
    const capacity = { cpu: '-1', pods: '1.5', 'example.com/x': '500m', 'hugepages-2Mi': '1Mi' }
    const causes = (list: string) => [
      `status.${list}.cpu: Invalid value: "-1": must be greater than or equal to 0`,
      `status.${list}.pods: Invalid value: "1500m": must be an integer`,
      `status.${list}.example.com/x: Invalid value: "500m": must be an integer`,
    ]
    expect(told(await post(one.api, nodes, { metadata: { name: 'poor' }, status: { capacity } }))).toEqual(
      causes('capacity'),
    )
    await post(one.api, nodes, { metadata: { name: 'poor' } })
    const status = { allocatable: capacity }
    expect(told(await patch(one.api, `${nodes}/poor/status`, 'merge', { status }))).toEqual(causes('allocatable'))
  })

  test('its addresses differ, its taints too, and the id of old stays', async () => {
    await post(one.api, nodes, { metadata: { name: 'twice' }, spec: { externalID: 'a' } })
    const address = { type: 'InternalIP', address: '10.0.0.1' }
    const addresses = [address, { ...address, type: 'ExternalIP' }, address]
    const status = await patch(one.api, `${nodes}/twice/status`, 'merge', { status: { addresses } })
    expect(told(status)).toEqual([`status.addresses[2]: Duplicate value: ${JSON.stringify(address)}`])
    const taint = { key: 'a', effect: 'NoSchedule' }
    const spec = { externalID: 'b', taints: [taint, { key: 'a', effect: 'NoExecute' }, { ...taint, value: '-' }] }
    expect(told(await patch(one.api, `${nodes}/twice`, 'merge', { spec }))).toEqual([
      expect.stringMatching(/^metadata\.taints\[2\]\.value: Invalid value: "-": /),
      expect.stringMatching(
        /^metadata\.taints\[2\]: Duplicate value: .*: taints must be unique by key and effect pair$/,
      ),
      'spec.externalID: Forbidden: may not be updated',
    ])
  })

  test('lists in annotations of old are held to what they were', async () => {
    const alpha = 'scheduler.alpha.kubernetes.io'
    const causes = async (annotations: object) =>
      told(await post(one.api, nodes, { metadata: { name: 'old', annotations } }))
    const taints = JSON.stringify([{ key: '-', effect: 'NoSchedule' }])
    expect(await causes({ [`${alpha}/taints`]: taints })).toEqual([
      expect.stringMatching(
        /^metadata\.annotations\.scheduler\.alpha\.kubernetes\.io\/taints\[0\]\.key: Invalid value/,
      ),
    ])
    expect(await causes({ [`${alpha}/taints`]: '{' })).toEqual([
      expect.stringMatching(/^metadata\.annotations: Invalid value: "scheduler\.alpha\.kubernetes\.io\/taints": /),
    ])
    const avoided = (podController: object | undefined) =>
      causes({
        [`${alpha}/preferAvoidPods`]: JSON.stringify({ preferAvoidPods: [{ podSignature: { podController } }] }),
      })
    const at = `metadata.annotations.${alpha}/preferAvoidPods[0].PodSignature`
    expect(await avoided(undefined)).toEqual([`${at}: Required value`])
    expect(await avoided({ kind: 'ReplicaSet', controller: false })).toEqual([
      `${at}.PodController.Controller: Invalid value: false: must point to a controller`,
    ])
    expect(await avoided({ kind: 'ReplicaSet', controller: true })).toEqual([])
  })

  test('no configuration of the kubelet is taken', async () => {
    const configMap = { namespace: 'default', name: 'x', kubeletConfigKey: 'x' }
    const { code, body } = await post(one.api, nodes, {
      metadata: { name: 'configured' },
      spec: { configSource: { configMap } },
      status: { config: { active: { configMap } } },
    })
    expect([code, body['spec'], body['status']]).toEqual([
      201,
      expect.not.objectContaining({ configSource: expect.anything() }),
      expect.not.objectContaining({ config: expect.anything() }),
    ])
  })
})

describe('namespaces', () => {
  const one = oneApi()
  const spaces = '/api/v1/namespaces'

  test('a namespace is made Active, with its name as a label and the finalizer of its content', async () => {
    const { code, body } = await post(one.api, spaces, { metadata: { name: 'made' } })
    expect([code, body['status'], body['spec']]).toEqual([201, { phase: 'Active' }, { finalizers: ['kubernetes'] }])
    expect(body.metadata.labels).toEqual({ 'kubernetes.io/metadata.name': 'made' })
  })

  test('is patched and updated, and its status apart', async () => {
    await post(one.api, spaces, { metadata: { name: 'changed' } })
    const patched = await patch(one.api, `${spaces}/changed`, 'strategic', { metadata: { labels: { testLabel: 'v' } } })
    expect(patched.body.metadata.labels).toMatchObject({ testLabel: 'v' })
    const condition = { type: 'StatusPatch', status: 'True', reason: 'E2E', message: 'Patched' }
    const status = await patch(one.api, `${spaces}/changed/status`, 'merge', { status: { conditions: [condition] } })
    expect(status.body['status']).toMatchObject({ phase: 'Active', conditions: [condition] })
    const { body } = await ask(one.api, `${spaces}/changed/status`)
    const conditions = [{ ...condition, type: 'StatusUpdate', message: 'Updated' }]
    const updated = await put(one.api, `${spaces}/changed/status`, { ...body, status: { phase: 'Active', conditions } })
    expect(updated.body['status']).toMatchObject({ conditions })
  })

  test('a deletion makes it Terminating; nothing is made in it; finalize lets it go', async () => {
    await post(one.api, spaces, { metadata: { name: 'going' } })
    const watch = await openWatch(one.api, `${spaces}?watch=1&fieldSelector=metadata.name%3Dgoing`)
    expect(await watch.names(1)).toEqual(['ADDED going'])
    const deleted = await remove(one.api, `${spaces}/going`)
    expect([deleted.code, deleted.body['status']]).toEqual([200, { phase: 'Terminating' }])
    const refused = await post(one.api, `${spaces}/going/configmaps`, { metadata: { name: 'late' } })
    expect([refused.code, refused.body.reason, refused.body.details?.causes?.[0]]).toEqual([
      403,
      'Forbidden',
      { reason: 'NamespaceTerminating', message: 'namespace going is being terminated', field: 'metadata.namespace' },
    ])
    const { body } = await ask(one.api, `${spaces}/going`)
    await put(one.api, `${spaces}/going/finalize`, { ...body, spec: { finalizers: [] } })
    expect((await ask(one.api, `${spaces}/going`)).code).toBe(404)
    expect((await watch.names(2)).at(-1)).toBe('DELETED going')
    watch.close()
  })

  test('in one that is not there nothing is made, and the four of every cluster stay', async () => {
    const { code, body } = await post(one.api, `${spaces}/nowhere/configmaps`, { metadata: { name: 'x' } })
    expect([code, body.message]).toEqual([404, 'namespaces "nowhere" not found'])
    for (const name of ['default', 'kube-system', 'kube-public']) {
      expect((await remove(one.api, `${spaces}/${name}`)).code).toBe(403)
    }
  })
})

describe('serviceaccounts', () => {
  const one = oneApi()
  const accounts = `${inDefault}/serviceaccounts`

  test('an account is made, found, patched, and goes', async () => {
    await post(one.api, accounts, { metadata: { name: 'robot', labels: { test: 'sa' } } })
    const found = await ask(one.api, '/api/v1/serviceaccounts?labelSelector=test%3Dsa')
    expect(found.body.items.map(({ metadata }) => metadata.name)).toEqual(['robot'])
    const patched = await patch(one.api, `${accounts}/robot`, 'strategic', { automountServiceAccountToken: false })
    expect(patched.body['automountServiceAccountToken']).toBe(false)
    const deleted = await remove(one.api, `${accounts}?labelSelector=test%3Dsa`)
    expect([deleted.code, deleted.body.kind]).toEqual([200, 'ServiceAccountList'])
    expect((await ask(one.api, `${accounts}/robot`)).code).toBe(404)
  })

  test('a token is given for it, and says for how long', async () => {
    await post(one.api, accounts, { metadata: { name: 'bearer' } })
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3_600 } }
    const token = await post(one.api, `${accounts}/bearer/token`, body)
    expect(token.code).toBe(201)
    expect(token.body).toMatchObject({
      kind: 'TokenRequest',
      spec: { expirationSeconds: 3_600 },
      status: { token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/), expirationTimestamp: expect.any(String) },
    })
    expect((await post(one.api, `${accounts}/nobody/token`, body)).code).toBe(404)
  })
})
