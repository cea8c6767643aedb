// JSON patch, merge patch and strategic merge patch over the wire: of objects, of their status, of their scale.
import { describe, expect, test } from 'vitest'
import { ask, oneApi, patch, type patchTypes, post, put } from './wire.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const deployments = '/apis/apps/v1/namespaces/default/deployments'
const pods = '/api/v1/namespaces/default/pods'

const workload = (name: string) => ({
  metadata: { name },
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        containers: [
          { name: 'a', image: 'a:1', ports: [{ containerPort: 80, protocol: 'TCP' }] },
          { name: 'b', image: 'b:1', args: ['1'] },
        ],
      },
    },
  },
})
type Workload = {
  readonly template: {
    readonly spec: { readonly containers: readonly { readonly name: string; readonly image: string }[] }
  }
}
const containersOf = (body: { readonly [key: string]: unknown }) => (body['spec'] as Workload).template.spec.containers

describe('patch', () => {
  const one = oneApi()
  const types: readonly Exclude<keyof typeof patchTypes, 'apply'>[] = ['json', 'merge', 'strategic']

  test('a merge patch sets, removes by null, and replaces lists', async () => {
    await post(one.api, deployments, workload('merge'))
    const body = {
      metadata: { labels: { x: 'y' } },
      spec: { replicas: 3, template: { spec: { containers: [{ name: 'c', image: 'c:1' }] } } },
    }
    const patched = await patch(one.api, `${deployments}/merge`, 'merge', body)
    expect([patched.code, patched.body.metadata.labels, containersOf(patched.body).map(({ name }) => name)]).toEqual([
      200,
      { x: 'y' },
      ['c'],
    ])
    const cleared = await patch(one.api, `${deployments}/merge`, 'merge', { metadata: { labels: { x: null } } })
    expect(cleared.body.metadata.labels ?? {}).toEqual({})
  })

  test('a strategic patch merges lists by their keys and obeys its directives', async () => {
    await post(one.api, deployments, workload('strategic'))
    const at = `${deployments}/strategic`
    const template = (spec: object) => ({ spec: { template: { spec } } })
    const merged = await patch(
      one.api,
      at,
      'strategic',
      template({
        containers: [
          { name: 'a', image: 'a:2' },
          { name: 'c', image: 'c:1' },
        ],
      }),
    )
    expect(containersOf(merged.body).map(({ name, image }) => `${name} ${image}`)).toEqual(['a a:2', 'c c:1', 'b b:1'])
    const ordered = await patch(
      one.api,
      at,
      'strategic',
      template({ '$setElementOrder/containers': [{ name: 'c' }, { name: 'b' }, { name: 'a' }] }),
    )
    expect(containersOf(ordered.body).map(({ name }) => name)).toEqual(['c', 'b', 'a'])
    const deleted = await patch(one.api, at, 'strategic', template({ containers: [{ name: 'b', $patch: 'delete' }] }))
    expect(containersOf(deleted.body).map(({ name }) => name)).toEqual(['c', 'a'])
    const replaced = await patch(
      one.api,
      at,
      'strategic',
      template({ containers: [{ name: 'd', image: 'd:1' }, { $patch: 'replace' }] }),
    )
    expect(containersOf(replaced.body).map(({ name }) => name)).toEqual(['d'])
  })

  test('a strategy is switched by $retainKeys, as kubectl rollout and edit do', async () => {
    await post(one.api, deployments, workload('retain'))
    const plain = await patch(one.api, `${deployments}/retain`, 'strategic', {
      spec: { strategy: { type: 'Recreate' } },
    })
    expect([plain.code, plain.body.reason]).toEqual([422, 'Invalid'])
    const retained = await patch(one.api, `${deployments}/retain`, 'strategic', {
      spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } },
    })
    expect([retained.code, (retained.body['spec'] as { strategy: unknown }).strategy]).toEqual([
      200,
      { type: 'Recreate' },
    ])
  })

  test('$deleteFromPrimitiveList takes from a list of texts', async () => {
    await post(one.api, maps, { metadata: { name: 'primitive', finalizers: ['a/x', 'b/y'] } })
    const { body } = await patch(one.api, `${maps}/primitive`, 'strategic', {
      metadata: { '$deleteFromPrimitiveList/finalizers': ['a/x'], finalizers: ['c/z'] },
    })
    const { finalizers } = body.metadata as { readonly finalizers?: readonly string[] }
    expect(finalizers?.toSorted()).toEqual(['b/y', 'c/z'])
  })

  test('a JSON patch is done as a whole or not at all', async () => {
    await post(one.api, maps, { metadata: { name: 'json' }, data: { a: '1', b: '2' } })
    const at = `${maps}/json`
    const done = await patch(one.api, at, 'json', [
      { op: 'test', path: '/data/a', value: '1' },
      { op: 'replace', path: '/data/a', value: '3' },
      { op: 'remove', path: '/data/b' },
      { op: 'add', path: '/metadata/labels', value: { 'x.test/y': 'z' } },
      { op: 'copy', from: '/data/a', path: '/data/c' },
      { op: 'replace', path: '/metadata/labels/x.test~1y', value: 'w' },
    ])
    expect([done.body['data'], done.body.metadata.labels]).toEqual([{ a: '3', c: '3' }, { 'x.test/y': 'w' }])
    const failed = await patch(one.api, at, 'json', [
      { op: 'remove', path: '/data/c' },
      { op: 'test', path: '/data/a', value: '1' },
    ])
    expect([failed.code, failed.body.reason]).toEqual([422, 'Invalid'])
    expect(failed.body.message).toMatch(/^the server rejected our request due to an error in our request/)
    expect((await ask(one.api, at)).body['data']).toEqual({ a: '3', c: '3' })
  })

  test('a JSON patch of more than 10,000 operations is too large (413)', async () => {
    await post(one.api, maps, { metadata: { name: 'many' } })
    const ops = (count: number) =>
      Array.from({ length: count }, () => ({ op: 'test', path: '/kind', value: 'ConfigMap' }))
    expect((await patch(one.api, `${maps}/many`, 'json', ops(10_000))).code).toBe(200)
    const { code, body } = await patch(one.api, `${maps}/many`, 'json', ops(10_001))
    expect([code, body.message]).toEqual([413, 'The allowed maximum operations in a JSON patch is 10000, got 10001'])
  })

  test('the status by its own door, in each way; by the other it stays as it is', async () => {
    await post(one.api, deployments, workload('status'))
    const at = `${deployments}/status`
    const status = { replicas: 1, observedGeneration: 1 }
    const bodies = { json: [{ op: 'add', path: '/status', value: status }], merge: { status }, strategic: { status } }
    for (const type of types) {
      await put(one.api, `${at}/status`, { ...(await ask(one.api, at)).body, status: {} })
      const plain = await patch(one.api, at, type, bodies[type])
      expect([plain.code, plain.body['status'] ?? {}]).toEqual([200, {}])
      const { code, body } = await patch(one.api, `${at}/status`, type, bodies[type])
      expect([code, body['status']]).toMatchObject([200, status])
    }
    const spec = await patch(one.api, `${at}/status`, 'merge', {
      spec: { replicas: 9 },
      metadata: { labels: { l: 'v' } },
    })
    expect([spec.body['spec'], spec.body.metadata.labels]).toMatchObject([{ replicas: 1 }, { l: 'v' }])
  })

  test('the scale, in each way', async () => {
    await post(one.api, deployments, workload('scale'))
    const at = `${deployments}/scale/scale`
    const of = (replicas: number) => ({
      json: [{ op: 'replace', path: '/spec/replicas', value: replicas }],
      merge: { spec: { replicas } },
      strategic: { spec: { replicas } },
    })
    for (const [i, type] of types.entries()) {
      const { code, body } = await patch(one.api, at, type, of(i + 2)[type])
      expect([code, body.kind, body.apiVersion, body['spec']]).toEqual([
        200,
        'Scale',
        'autoscaling/v1',
        { replicas: i + 2 },
      ])
    }
    const shown = await ask(one.api, at)
    expect(shown.body).toMatchObject({ spec: { replicas: 4 }, status: { replicas: 0, selector: 'app=scale' } })
    const set = await put(one.api, at, { ...shown.body, spec: { replicas: 7 } })
    expect([set.code, set.body['spec']]).toEqual([200, { replicas: 7 }])
    const stale = await put(one.api, at, { ...shown.body, spec: { replicas: 8 } })
    expect([stale.code, stale.body.reason]).toEqual([409, 'Conflict'])
    const wrong = await patch(one.api, at, 'merge', { spec: { replicas: -1 } })
    expect([wrong.code, wrong.body.reason]).toEqual([422, 'Invalid'])
  })

  test('what may not change may not by a patch; and what only the server writes is as it was', async () => {
    const { body } = await post(one.api, deployments, workload('fixed'))
    const at = `${deployments}/fixed`
    const selector = await patch(one.api, at, 'merge', { spec: { selector: { matchLabels: { app: 'other' } } } })
    expect([selector.code, selector.body.message]).toEqual([422, expect.stringContaining('field is immutable')])
    const name = await patch(one.api, at, 'merge', { metadata: { name: 'other' } })
    expect(name.code).toBe(400)
    const meta = await patch(one.api, at, 'merge', { metadata: { generation: 9, selfLink: '/x' } })
    expect([meta.code, meta.body.metadata.generation, meta.body.metadata.uid]).toEqual([200, 1, body.metadata.uid])
    const uid = await patch(one.api, at, 'merge', { metadata: { uid: 'other' } })
    expect([uid.code, uid.body.reason]).toEqual([409, 'Conflict'])
  })

  test('an unknown kind of patch is told which there are (415)', async () => {
    await post(one.api, maps, { metadata: { name: 'kind' } })
    for (const type of ['application/json', 'text/plain', 'application/xml-patch']) {
      const { code, body } = await ask(one.api, `${maps}/kind`, { method: 'PATCH', type, body: {} })
      expect([code, body.reason]).toEqual([415, 'UnsupportedMediaType'])
    }
    const { body } = await ask(one.api, `${maps}/kind`, { method: 'PATCH', type: 'application/json', body: {} })
    expect(body.message).toBe(
      'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml',
    )
    const asBody = await ask(one.api, maps, { method: 'POST', type: 'application/merge-patch+json', body: {} })
    expect([asBody.code, asBody.body.reason]).toEqual([415, 'UnsupportedMediaType'])
  })

  test.each([
    ['json', {}, 400],
    ['json', [{ op: 'fly', path: '/a' }], 400],
    ['json', [{ op: 'add', path: 'a', value: 1 }], 400],
    ['json', [{ op: 'replace', path: '/metadata', value: 1 }], 400],
    ['merge', [], 400],
    ['merge', 'text', 400],
    ['merge', { metadata: 1 }, 400],
    ['strategic', [], 400],
    ['strategic', { spec: { $patch: 'grow' } }, 400],
    ['strategic', { spec: { containers: [{ image: 'x' }] } }, 400],
  ] as const)('%s of %j is refused', async (type, body, expected) => {
    await post(one.api, pods, { metadata: { name: 'refused' }, spec: { containers: [{ name: 'a', image: 'a' }] } })
    const { code, body: status } = await patch(one.api, `${pods}/refused`, type, body)
    expect([status.kind, code >= 400 && code < 500, code]).toEqual(['Status', true, expect.any(Number)])
    if (expected === 400) expect([400, 422]).toContain(code)
  })

  test('of what is not there: 404', async () => {
    for (const type of types) {
      const { code } = await patch(one.api, `${maps}/none`, type, type === 'json' ? [] : {})
      expect(code).toBe(404)
    }
  })
})
