// Server-side apply as clients see it: who owns what, what a conflict says, what goes when it is no longer applied.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Api, ask, oneApi, patch, patchTypes, post, put, type Shown } from './wire.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const deployments = '/apis/apps/v1/namespaces/default/deployments'
const services = '/api/v1/namespaces/default/services'
const pods = '/api/v1/namespaces/default/pods'

const map = (name: string, data: object, more = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...more },
  data,
})

const apply = (api: Api, url: string, manager: string, body: unknown, more = '') =>
  patch(api, `${url}?fieldManager=${manager}${more}`, 'apply', body)

const owners = (object: Shown) =>
  Object.fromEntries(
    (object.metadata.managedFields ?? []).map(entry => [
      [entry.manager, entry.operation, entry.subresource].filter(Boolean).join(' '),
      entry.fieldsV1,
    ]),
  )

const workload = (name: string, spec: object) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'a', image: 'a:1' }] } },
    ...spec,
  },
})

describe('server-side apply', () => {
  const one = oneApi()

  test('makes what is not there (201) and changes what is (200)', async () => {
    const made = await apply(one.api, `${maps}/made`, 'ann', map('made', { a: '1' }))
    expect(made.code).toBe(201)
    expect(made.body.metadata.managedFields).toEqual([
      {
        manager: 'ann',
        operation: 'Apply',
        apiVersion: 'v1',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': { 'f:a': {} } },
      },
    ])
    const changed = await apply(one.api, `${maps}/made`, 'ann', map('made', { a: '2' }))
    expect([changed.code, changed.body['data']]).toEqual([200, { a: '2' }])
  })

  test('takes YAML', async () => {
    const body = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  a: "1"\n'
    expect((await apply(one.api, `${maps}/yaml`, 'ann', body)).code).toBe(201)
  })

  test('the same again changes nothing, not even the resourceVersion', async () => {
    const first = await apply(one.api, `${maps}/again`, 'ann', map('again', { a: '1' }))
    const second = await apply(one.api, `${maps}/again`, 'ann', map('again', { a: '1' }))
    expect(second.body).toEqual(first.body)
  })

  test('must say who applies, in printable letters and not too many', async () => {
    const body = map('anonymous', {})
    const none = await patch(one.api, `${maps}/anonymous`, 'apply', body)
    expect([none.code, none.body.message]).toEqual([
      422,
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    ])
    expect(none.body.details).toEqual({
      group: 'meta.k8s.io',
      kind: 'PatchOptions',
      causes: [
        { reason: 'FieldValueRequired', message: 'Required value: is required for apply patch', field: 'fieldManager' },
      ],
    })
    const long = await apply(one.api, `${maps}/anonymous`, 'x'.repeat(129), body)
    expect(long.body.message).toContain('fieldManager: Too long: may not be more than 128 bytes')
    const strange = await apply(one.api, `${maps}/anonymous`, 'a%07b', body)
    expect([strange.code, strange.body.message]).toEqual([422, expect.stringContaining('invalid character U+0007')])
  })

  test('a field of another with another value is a conflict that names it, as kubectl prints it', async () => {
    await apply(one.api, `${maps}/conflict`, 'ann', map('conflict', { a: '1', b: '1' }))
    const { code, body } = await apply(one.api, `${maps}/conflict`, 'ben', map('conflict', { a: '2' }))
    expect([code, body.reason, body.message]).toEqual([
      409,
      'Conflict',
      'Apply failed with 1 conflict: conflict with "ann": .data.a',
    ])
    expect(body.details?.causes).toEqual([
      { reason: 'FieldManagerConflict', message: 'conflict with "ann"', field: '.data.a' },
    ])
    const two = await apply(one.api, `${maps}/conflict`, 'ben', map('conflict', { a: '2', b: '2' }))
    expect(two.body.message).toBe('Apply failed with 2 conflicts: conflicts with "ann":\n- .data.a\n- .data.b')
    expect(two.body.details?.causes).toHaveLength(2)
  })

  test('a conflict with who wrote without applying says with which version', async () => {
    await post(one.api, `${maps}?fieldManager=editor`, map('written', { a: '1' }))
    const { body } = await apply(one.api, `${maps}/written`, 'ann', map('written', { a: '2' }))
    expect(body.message).toBe('Apply failed with 1 conflict: conflict with "editor" using v1: .data.a')
  })

  test('force takes the field from its owner, who keeps the others', async () => {
    await apply(one.api, `${maps}/force`, 'ann', map('force', { a: '1', b: '1' }))
    const { body } = await apply(one.api, `${maps}/force`, 'ben', map('force', { a: '2' }), '&force=true')
    expect(body['data']).toEqual({ a: '2', b: '1' })
    expect(owners(body)).toEqual({
      'ann Apply': { 'f:data': { 'f:b': {} } },
      'ben Apply': { 'f:data': { 'f:a': {} } },
    })
  })

  test('force may not be said of another patch', async () => {
    await post(one.api, maps, map('unforced', {}))
    const { code, body } = await patch(one.api, `${maps}/unforced?force=true`, 'merge', {})
    expect([code, body.message]).toEqual([
      422,
      'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    ])
  })

  test('the same value is owned by all who apply it, and goes with the last', async () => {
    const data = { shared: 'x' }
    await apply(one.api, `${maps}/shared`, 'ann', map('shared', { ...data, own: '1' }))
    const both = await apply(one.api, `${maps}/shared`, 'ben', map('shared', data))
    expect(owners(both.body)).toMatchObject({
      'ann Apply': { 'f:data': { 'f:shared': {} } },
      'ben Apply': { 'f:data': { 'f:shared': {} } },
    })
    const left = await apply(one.api, `${maps}/shared`, 'ann', map('shared', { own: '1' }))
    expect(left.body['data']).toEqual({ shared: 'x', own: '1' })
    const gone = await apply(one.api, `${maps}/shared`, 'ben', map('shared', {}))
    expect(gone.body['data']).toEqual({ own: '1' })
  })

  test('what is no longer applied goes, also from lists and their items', async () => {
    const containers = (list: readonly object[]) =>
      workload('shrinks', { template: { metadata: { labels: { app: 'shrinks' } }, spec: { containers: list } } })
    const a = {
      name: 'a',
      image: 'a:1',
      env: [
        { name: 'X', value: '1' },
        { name: 'Y', value: '2' },
      ],
    }
    await apply(one.api, `${deployments}/shrinks`, 'ann', containers([a, { name: 'b', image: 'b:1' }]))
    const { body } = await apply(
      one.api,
      `${deployments}/shrinks`,
      'ann',
      containers([{ ...a, env: [{ name: 'Y', value: '2' }] }]),
    )
    expect(body).toMatchObject({ spec: { template: { spec: { containers: [{ name: 'a', env: [{ name: 'Y' }] }] } } } })
    expect((body['spec'] as { template: { spec: { containers: unknown[] } } }).template.spec.containers).toHaveLength(1)
  })

  test('items of a list of maps are told apart by all their keys, a default where one is not given', async () => {
    const service = (ports: readonly object[]) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'ports' },
      spec: { selector: { app: 'x' }, ports },
    })
    const ann = await apply(one.api, `${services}/ports`, 'ann', service([{ name: 'web', port: 80 }]))
    expect(owners(ann.body)['ann Apply']).toMatchObject({
      'f:spec': { 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { '.': {}, 'f:name': {}, 'f:port': {} } } },
    })
    const ben = await apply(one.api, `${services}/ports`, 'ben', service([{ name: 'dns', port: 80, protocol: 'UDP' }]))
    expect((ben.body['spec'] as { ports: unknown }).ports).toMatchObject([
      { name: 'web', port: 80, protocol: 'TCP' },
      { name: 'dns', port: 80, protocol: 'UDP' },
    ])
    const same = await apply(
      one.api,
      `${services}/ports`,
      'cat',
      service([{ name: 'other', port: 80, protocol: 'TCP' }]),
    )
    expect([same.code, same.body.details?.causes?.[0]?.field]).toEqual([
      409,
      '.spec.ports[port=80,protocol="TCP"].name',
    ])
  })

  test('a set has an owner per item', async () => {
    const held = (manager: string, finalizers: readonly string[]) =>
      apply(one.api, `${maps}/held`, manager, map('held', {}, { finalizers }))
    await held('ann', ['a/one'])
    const { body } = await held('ben', ['b/two'])
    expect(body.metadata).toMatchObject({ finalizers: ['a/one', 'b/two'] })
    expect(owners(body)['ben Apply']).toEqual({ 'f:metadata': { 'f:finalizers': { 'v:"b/two"': {} } } })
    const left = await held('ann', [])
    expect(left.body.metadata).toMatchObject({ finalizers: ['b/two'] })
  })

  test('what is atomic is owned and replaced as a whole', async () => {
    const pod = (name: string, spec: object) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { containers: [{ name: 'a', image: 'a:1', ...spec }] },
    })
    const made = await apply(one.api, `${pods}/atomic`, 'ann', pod('atomic', { args: ['a', 'b'] }))
    expect(owners(made.body)['ann Apply']).toMatchObject({
      'f:spec': { 'f:containers': { 'k:{"name":"a"}': { 'f:args': {} } } },
    })
    const { body } = await apply(one.api, `${pods}/atomic`, 'ben', pod('atomic', { args: ['c'] }))
    expect(body.details?.causes?.map(({ field }) => field)).toEqual(['.spec.containers[name="a"].args'])
    const selector = await apply(one.api, `${deployments}/atomic`, 'ann', workload('atomic', {}))
    expect(owners(selector.body)['ann Apply']).toMatchObject({ 'f:spec': { 'f:selector': {} } })
  })

  test('writes that do not apply never conflict, and take what they change', async () => {
    const made = await apply(one.api, `${maps}/taken`, 'ann', map('taken', { a: '1', b: '1' }))
    const { managedFields: _, ...metadata } = made.body.metadata
    const { code, body } = await put(one.api, `${maps}/taken?fieldManager=ed`, {
      ...made.body,
      metadata,
      data: { a: '2', b: '1' },
    })
    expect(code).toBe(200)
    expect(owners(body)).toEqual({
      'ann Apply': { 'f:data': { 'f:b': {} } },
      'ed Update': { 'f:data': { 'f:a': {} } },
    })
  })

  test('the program is the manager of those who do not say who they are', async () => {
    const { body } = await post(one.api, maps, map('unnamed', { a: '1' }), {
      headers: { 'user-agent': 'kubelet/v1.33 (linux)' },
    })
    expect(body.metadata.managedFields?.[0]).toMatchObject({ manager: 'kubelet', operation: 'Update' })
  })

  test('status has owners of its own, by its own door', async () => {
    await apply(one.api, `${deployments}/status`, 'ann', workload('status', {}))
    const status = { ...workload('status', {}), spec: undefined, status: { observedGeneration: 1, replicas: 3 } }
    const { code, body } = await apply(one.api, `${deployments}/status/status`, 'ctl', status)
    expect([code, body['status']]).toMatchObject([200, { replicas: 3 }])
    expect(owners(body)['ctl Apply status']).toEqual({
      'f:status': { 'f:observedGeneration': {}, 'f:replicas': {} },
    })
    const plain = await apply(one.api, `${deployments}/status`, 'eve', {
      ...workload('status', {}),
      status: { replicas: 9 },
    })
    expect([plain.code, plain.body['status']]).toMatchObject([200, { replicas: 3 }])
  })

  test('scale has owners of its own: who applies replicas there owns them', async () => {
    await apply(one.api, `${deployments}/scaled`, 'ann', workload('scaled', { replicas: 1 }))
    const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'scaled' }, spec: { replicas: 3 } }
    const refused = await apply(one.api, `${deployments}/scaled/scale`, 'hpa', scale)
    expect([refused.code, refused.body.details?.causes?.[0]]).toMatchObject([
      409,
      { reason: 'FieldManagerConflict', field: '.spec.replicas' },
    ])
    const forced = await apply(one.api, `${deployments}/scaled/scale`, 'hpa', scale, '&force=true')
    expect([forced.code, forced.body.kind, forced.body['spec']]).toEqual([200, 'Scale', { replicas: 3 }])
    const { body } = await ask(one.api, `${deployments}/scaled`)
    expect(body['spec']).toMatchObject({ replicas: 3 })
    expect(owners(body)['hpa Apply scale']).toEqual({ 'f:spec': { 'f:replicas': {} } })
    expect(JSON.stringify(owners(body)['ann Apply'])).not.toContain('f:replicas')
    const again = await apply(one.api, `${deployments}/scaled`, 'ann', workload('scaled', {}))
    expect(again.body['spec']).toMatchObject({ replicas: 3 })
  })

  test('kubectl goes from applying on its own side to the server, without a conflict, and keeps the annotation', async () => {
    const applied = { ...map('moved', { a: '1', b: '1' }), metadata: { name: 'moved', namespace: 'default' } }
    const annotation = 'kubectl.kubernetes.io/last-applied-configuration'
    const created = {
      ...applied,
      metadata: { ...applied.metadata, annotations: { [annotation]: JSON.stringify(applied) } },
    }
    await post(one.api, `${maps}?fieldManager=kubectl-client-side-apply`, created)
    const other = await apply(one.api, `${maps}/moved`, 'someone', map('moved', { a: '2', b: '1' }))
    expect(other.code).toBe(409)
    const { code, body } = await apply(one.api, `${maps}/moved`, 'kubectl', map('moved', { a: '2', b: '1' }))
    expect([code, body['data']]).toEqual([200, { a: '2', b: '1' }])
    expect(JSON.parse(body.metadata.annotations?.[annotation] ?? '')).toMatchObject({ data: { a: '2', b: '1' } })
  })

  test('what somebody else has changed since is a conflict for kubectl too', async () => {
    const applied = map('drifted', { a: '1' })
    const annotation = 'kubectl.kubernetes.io/last-applied-configuration'
    const created = {
      ...applied,
      metadata: { name: 'drifted', annotations: { [annotation]: JSON.stringify(applied) } },
    }
    await post(one.api, `${maps}?fieldManager=kubectl-client-side-apply`, created)
    await patch(one.api, `${maps}/drifted?fieldManager=other`, 'merge', { data: { a: '5' } })
    const { code, body } = await apply(one.api, `${maps}/drifted`, 'kubectl', map('drifted', { a: '2' }))
    expect([code, body.message]).toEqual([409, 'Apply failed with 1 conflict: conflict with "other" using v1: .data.a'])
  })

  test('an object that nobody tracks belongs to who was before the first apply', async () => {
    const made = await post(one.api, maps, map('untracked', { a: '1', b: '1' }))
    await put(one.api, `${maps}/untracked`, { ...made.body, metadata: { ...made.body.metadata, managedFields: [{}] } })
    const { body } = await apply(one.api, `${maps}/untracked`, 'ann', map('untracked', { a: '1' }))
    expect(Object.keys(owners(body)).toSorted()).toEqual(['ann Apply', 'before-first-apply Update'])
  })

  test('managedFields may not be applied, and the name must be that of the path', async () => {
    const owned = map('strict', {}, { managedFields: [{ manager: 'x', operation: 'Apply', apiVersion: 'v1' }] })
    const { code, body } = await apply(one.api, `${maps}/strict`, 'ann', owned)
    expect([code, body.message]).toEqual([400, 'metadata.managedFields must be nil'])
    expect((await apply(one.api, `${maps}/strict`, 'ann', map('other', {}))).code).toBe(400)
  })

  test('a dry run shows what would be, and leaves all as it was', async () => {
    const dry = await apply(one.api, `${maps}/dry`, 'ann', map('dry', { a: '1' }), '&dryRun=All')
    expect([dry.code, dry.body['data']]).toEqual([201, { a: '1' }])
    expect((await ask(one.api, `${maps}/dry`)).code).toBe(404)
  })

  test('who may patch and not create makes nothing by it', async () => {
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default'
    const rule = (verbs: readonly string[]) => ({ verbs, apiGroups: [''], resources: ['configmaps'] })
    await post(one.api, `${rbac}/roles`, { metadata: { name: 'patches' }, rules: [rule(['get', 'patch'])] })
    await post(one.api, `${rbac}/rolebindings`, {
      metadata: { name: 'pat' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'patches' },
      subjects: [{ kind: 'User', name: 'pat' }],
    })
    const identity = { user: 'pat', groups: [] }
    const asPat = (name: string) =>
      patch(one.api, `${maps}/${name}?fieldManager=pat&force=true`, 'apply', map(name, { a: '1' }), { identity })
    const { code, body } = await asPat('unmade')
    expect([code, body.reason, body.message]).toEqual([
      403,
      'Forbidden',
      expect.stringMatching(
        /^configmaps "unmade" is forbidden: User "pat" cannot create resource "configmaps" in API group "" in the namespace "default"/,
      ),
    ])
    expect((await ask(one.api, `${maps}/unmade`)).code).toBe(404)
    await post(one.api, maps, map('made-by-others', {}))
    expect((await asPat('made-by-others')).code).toBe(200)
    await patch(one.api, `${rbac}/roles/patches`, 'merge', { rules: [rule(['get', 'patch', 'create'])] })
    expect((await asPat('unmade')).code).toBe(201)
  })

  test('no apply to the collection', async () => {
    const { code } = await ask(one.api, maps, { method: 'PATCH', type: patchTypes.apply, body: map('x', {}) })
    expect(code).toBeGreaterThanOrEqual(400)
  })

  test('who gives up all that it applied leaves what others applied as it was', async () => {
    const data = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2'), { noNullPrototype: true })
    let count = 0
    await fc.assert(
      fc.asyncProperty(data, data, async (ann, ben) => {
        const name = `given-up-${count++}`
        await apply(one.api, `${maps}/${name}`, 'ann', map(name, ann))
        await apply(one.api, `${maps}/${name}`, 'ben', map(name, ben), '&force=true')
        const { body } = await apply(one.api, `${maps}/${name}`, 'ann', map(name, {}))
        expect(body['data'] ?? {}).toEqual(ben)
        const twice = await apply(one.api, `${maps}/${name}`, 'ben', map(name, ben))
        expect(twice.body).toEqual(body)
      }),
      { numRuns: 30 },
    )
  })
})
