// The life of namespaces with what they hold, seen through the API with the controllers beside it
// (kubernetes-api.md A: namespaces). Their rules alone stand in namespace-lifecycle.test.ts.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { garbageController } from '../../../src/controllers/garbage.ts'
import { namespaceController } from '../../../src/controllers/namespace.ts'
import { runControllers } from '../../../src/controllers/run.ts'
import { rootCaController, serviceAccountController } from '../../../src/controllers/serviceaccount.ts'
import { type Asking, asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { inputs } from '../../controllers/cluster.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
let running: Promise<void>
const patience = { timeout: 20_000 }
const namespaces = '/api/v1/namespaces'

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
  const controllers = [namespaceController, garbageController, serviceAccountController, rootCaController]
  running = runControllers(api.world, api.client, inputs(), controllers, api.signal)
})
afterAll(async () => {
  api.stop()
  await running
})

const codeOf = (url: string) => expect.poll(async () => (await ask(url)).code, patience)

/** A namespace that has what every one is given. */
async function furnished(name: string): Promise<void> {
  expect((await ask(namespaces, { body: namespaceNamed(name) })).code).toBe(201)
  await codeOf(`${namespaces}/${name}/serviceaccounts/default`).toBe(200)
  await codeOf(`${namespaces}/${name}/configmaps/kube-root-ca.crt`).toBe(200)
}

describe('namespaces', () => {
  test.each([
    ['pods', podNamed('test-pod')],
    [
      'services',
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'test-pod' },
        spec: { selector: { foo: 'bar', baz: 'blah' }, ports: [{ port: 80, targetPort: 80 }] },
      },
    ],
  ])('all its %s go with one that is deleted, and are not in the next of its name', async (plural, body) => {
    await furnished('nsdeletetest')
    const url = `${namespaces}/nsdeletetest/${plural}`
    const made = await ask(url, { body })
    expect([made.code, made.message]).toEqual([201, ''])
    expect((await ask(`${namespaces}/nsdeletetest`, { method: 'DELETE' })).body.status.phase).toBe('Terminating')
    await codeOf(`${namespaces}/nsdeletetest`).toBe(404)
    await furnished('nsdeletetest')
    expect((await ask(`${url}/test-pod`)).code).toBe(404)
    await ask(`${namespaces}/nsdeletetest`, { method: 'DELETE' })
    await codeOf(`${namespaces}/nsdeletetest`).toBe(404)
  })

  test('many are made at once and deleted at once', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `nslifetest-${i}`)
    const made = await Promise.all(names.map(name => ask(namespaces, { body: namespaceNamed(name, { life: 'test' }) })))
    expect(made.map(({ code }) => code)).toEqual(names.map(() => 201))
    await Promise.all(names.map(name => ask(`${namespaces}/${name}`, { method: 'DELETE' })))
    await expect
      .poll(async () => (await ask(`${namespaces}?labelSelector=life%3Dtest`)).body.items.length, patience)
      .toBe(0)
  })

  test('pods are gone before the rest, and the conditions say what is waited for', async () => {
    await furnished('ordered')
    const held = { finalizers: ['example.com/hold'] }
    await ask(`${namespaces}/ordered/pods`, { body: podNamed('held', {}, held) })
    await ask(`${namespaces}/ordered/configmaps`, {
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm' } },
    })
    await ask(`${namespaces}/ordered`, { method: 'DELETE' })
    const conditions = async () => {
      const { body } = await ask(`${namespaces}/ordered`)
      const all: readonly { type: string; status: string }[] = body.status.conditions ?? []
      return Object.fromEntries(all.map(({ type, status }) => [type, status]))
    }
    await expect.poll(conditions, patience).toMatchObject({
      NamespaceDeletionDiscoveryFailure: 'False',
      NamespaceDeletionGroupVersionParsingFailure: 'False',
      NamespaceDeletionContentFailure: 'False',
      NamespaceContentRemaining: 'True',
      NamespaceFinalizersRemaining: 'True',
    })
    expect((await ask(`${namespaces}/ordered/configmaps/m`)).body.metadata.deletionTimestamp).toBeUndefined()
    const refused = await ask(`${namespaces}/ordered/configmaps`, { body: { metadata: { name: 'late' } } })
    expect([refused.code, refused.body.details.causes[0].reason]).toEqual([403, 'NamespaceTerminating'])
    await ask(`${namespaces}/ordered/pods/held`, { method: 'PATCH', body: { metadata: { finalizers: null } } })
    await codeOf(`${namespaces}/ordered`).toBe(404)
  })

  test('one is patched, updated, and its status changed on its own', async () => {
    await furnished('changed')
    const own = `${namespaces}/changed`
    const labels = { testLabel: 'testValue' }
    const type = 'application/strategic-merge-patch+json'
    await ask(own, { method: 'PATCH', type, body: { metadata: { labels } } })
    const { body } = await ask(own)
    expect(body.metadata.labels).toEqual({ ...labels, 'kubernetes.io/metadata.name': 'changed' })
    body.metadata.labels.changed = 'updated'
    expect((await ask(own, { method: 'PUT', body })).body.metadata.labels.changed).toBe('updated')
    const read = await ask(`${own}/status`)
    expect(read.body.status.phase).toBe('Active')
    const condition = (name: string) => ({ type: name, status: 'True', reason: 'E2E', message: `${name} by a test` })
    const patched = await ask(`${own}/status`, {
      method: 'PATCH',
      body: {
        metadata: { annotations: { 'e2e-patched-ns-status': 'changed' } },
        status: { conditions: [condition('StatusPatch')] },
      },
    })
    expect(patched.body.metadata.annotations).toEqual({ 'e2e-patched-ns-status': 'changed' })
    expect(patched.body.status.conditions.at(-1)).toMatchObject(condition('StatusPatch'))
    const { body: next } = await ask(`${own}/status`)
    next.status.conditions.push({ ...condition('StatusUpdate'), lastTransitionTime: null })
    const put = await ask(`${own}/status`, { method: 'PUT', body: next })
    expect(put.body.status.conditions.at(-1)).toMatchObject(condition('StatusUpdate'))
  })

  test('finalizers of its spec come and go by /finalize alone', async () => {
    await furnished('finalized')
    const own = `${namespaces}/finalized`
    const fake = 'e2e.example.com/fakeFinalizer'
    const { body } = await ask(own)
    const more = { ...body, spec: { finalizers: [...body.spec.finalizers, fake] } }
    expect((await ask(own, { method: 'PUT', body: more })).body.spec.finalizers).toEqual(['kubernetes'])
    const { body: fresh } = await ask(own)
    const added = await ask(`${own}/finalize`, { method: 'PUT', body: { ...fresh, spec: more.spec } })
    expect([added.code, added.body.spec.finalizers]).toEqual([200, ['kubernetes', fake]])
    const { body: held } = await ask(own)
    const less = { ...held, spec: { finalizers: ['kubernetes'] } }
    expect((await ask(`${own}/finalize`, { method: 'PUT', body: less })).body.spec.finalizers).toEqual(['kubernetes'])
  })
})
