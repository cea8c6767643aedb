// What becomes of objects whose owner is deleted, seen through the API with the controllers beside it
// (kubernetes-api.md A: garbage-collector). Pods have no node here, so they go at once.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { deploymentController } from '../../../src/controllers/deployment.ts'
import { garbageController } from '../../../src/controllers/garbage.ts'
import { replicaSetController } from '../../../src/controllers/replicaset.ts'
import { runControllers } from '../../../src/controllers/run.ts'
import { type Asking, asking, namespaceNamed, podNamed } from '../../apiserver/ask.ts'
import { testApiserver } from '../../apiserver/setup.ts'
import { inputs } from '../../controllers/cluster.ts'

let api: Awaited<ReturnType<typeof testApiserver>>
let ask: Asking
let running: Promise<void>
const patience = { timeout: 20_000 }

beforeAll(async () => {
  api = await testApiserver()
  ask = asking(api)
  const controllers = [deploymentController, replicaSetController, garbageController]
  running = runControllers(api.world, api.client, inputs(), controllers, api.signal)
})
afterAll(async () => {
  api.stop()
  await running
})

async function space(name: string): Promise<string> {
  await ask('/api/v1/namespaces', { body: namespaceNamed(name) })
  return name
}
const maps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`
const pods = (namespace: string) => `/api/v1/namespaces/${namespace}/pods`
const workloads = (namespace: string, plural: string) => `/apis/apps/v1/namespaces/${namespace}/${plural}`
const countOf = async (url: string): Promise<number> => (await ask(url)).body.items.length
const owner = (
  object: { metadata: { name: string; uid: string }; kind: string; apiVersion: string },
  more: object = {},
) => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  name: object.metadata.name,
  uid: object.metadata.uid,
  ...more,
})
const controlling = { controller: true, blockOwnerDeletion: true }
async function map(namespace: string, name: string, metadata: object = {}) {
  const { body } = await ask(maps(namespace), {
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata } },
  })
  return body
}
const remove = (url: string, propagationPolicy: string, uid?: string) =>
  ask(url, { method: 'DELETE', body: { propagationPolicy, ...(uid !== undefined && { preconditions: { uid } }) } })

async function workload(kind: 'Deployment' | 'ReplicaSet', namespace: string, replicas = 2) {
  const plural = `${kind.toLowerCase()}s`
  const { body } = await ask(workloads(namespace, plural), {
    body: {
      apiVersion: 'apps/v1',
      kind,
      metadata: { name: 'simpletest' },
      spec: {
        replicas,
        selector: { matchLabels: { app: 'gc' } },
        template: { metadata: { labels: { app: 'gc' } }, spec: podNamed('x').spec },
      },
    },
  })
  await expect.poll(() => countOf(pods(namespace)), patience).toBe(replicas)
  return { url: `${workloads(namespace, plural)}/simpletest`, uid: body.metadata.uid, body }
}

describe('garbage-collector', () => {
  test('the finalizer of a policy is set at deletion, and an object without either goes at once', async () => {
    const namespace = await space('finalizers')
    await map(namespace, 'held', { finalizers: ['example.com/hold'] })
    const url = `${maps(namespace)}/held`
    const foreground = await remove(url, 'Foreground')
    expect(foreground.body.metadata.deletionTimestamp).toBeDefined()
    expect(foreground.body.metadata.finalizers).toEqual(['example.com/hold', 'foregroundDeletion'])
    const orphan = await remove(url, 'Orphan')
    expect(orphan.code).toBe(200)
    expect((await ask(url)).body.metadata.finalizers).not.toContain('foregroundDeletion')
    const bad = await remove(url, 'Sideways')
    expect(bad.code).toBe(422)
    expect(bad.message).toContain('propagationPolicy')
    await ask(url, { method: 'PATCH', body: { metadata: { finalizers: null } } })
    await expect.poll(async () => (await ask(url)).code, patience).toBe(404)
    const other = await map(namespace, 'plain')
    expect((await remove(`${maps(namespace)}/plain`, 'Background', 'another-uid')).code).toBe(409)
    expect((await remove(`${maps(namespace)}/plain`, 'Background', other.metadata.uid)).code).toBe(200)
    expect((await ask(`${maps(namespace)}/plain`)).code).toBe(404)
  })

  test('Background: what a ReplicaSet made goes after it; a Deployment takes both with it', async () => {
    const one = await space('background-rs')
    const set = await workload('ReplicaSet', one)
    expect((await remove(set.url, 'Background', set.uid)).code).toBe(200)
    await expect.poll(() => countOf(pods(one)), patience).toBe(0)
    const two = await space('background-deployment')
    const deployment = await workload('Deployment', two)
    expect((await remove(deployment.url, 'Background', deployment.uid)).code).toBe(200)
    await expect.poll(() => countOf(pods(two)), patience).toBe(0)
    await expect.poll(() => countOf(workloads(two, 'replicasets')), patience).toBe(0)
  })

  test('Orphan: what was made stays, without its owner', async () => {
    const namespace = await space('orphan')
    const deployment = await workload('Deployment', namespace)
    const deleted = await remove(deployment.url, 'Orphan', deployment.uid)
    expect(deleted.code).toBe(200)
    await expect.poll(() => countOf(workloads(namespace, 'deployments')), patience).toBe(0)
    const { body } = await ask(workloads(namespace, 'replicasets'))
    expect(body.items).toHaveLength(1)
    expect(body.items[0].metadata.ownerReferences).toBeUndefined()
    expect(await countOf(pods(namespace))).toBe(2)
  })

  test('the old word orphanDependents means the same', async () => {
    const namespace = await space('old-word')
    const set = await workload('ReplicaSet', namespace)
    await ask(set.url, { method: 'DELETE', body: { orphanDependents: true } })
    await expect.poll(() => countOf(workloads(namespace, 'replicasets')), patience).toBe(0)
    const { body } = await ask(pods(namespace))
    expect(body.items.map(({ metadata }: { metadata: object }) => 'ownerReferences' in metadata)).toEqual([
      false,
      false,
    ])
    const both = await ask(`${maps(namespace)}/x`, {
      method: 'DELETE',
      body: { orphanDependents: true, propagationPolicy: 'Orphan' },
    })
    expect(both.code).toBe(422)
  })

  test('Foreground: the owner stays until all its pods are gone', async () => {
    const namespace = await space('foreground')
    const set = await workload('ReplicaSet', namespace)
    const [first] = (await ask(pods(namespace))).body.items
    const hold = { metadata: { finalizers: ['example.com/hold'] } }
    await ask(`${pods(namespace)}/${first.metadata.name}`, { method: 'PATCH', body: hold })
    const deleted = await remove(set.url, 'Foreground', set.uid)
    expect(deleted.body.metadata.finalizers).toEqual(['foregroundDeletion'])
    await expect.poll(() => countOf(pods(namespace)), patience).toBe(1)
    expect((await ask(set.url)).body.metadata.deletionTimestamp).toBeDefined()
    await ask(`${pods(namespace)}/${first.metadata.name}`, {
      method: 'PATCH',
      body: { metadata: { finalizers: null } },
    })
    await expect.poll(async () => (await ask(set.url)).code, patience).toBe(404)
    expect(await countOf(pods(namespace))).toBe(0)
  })

  test('what has a valid owner besides the one that waits stays, with one owner left', async () => {
    const namespace = await space('two-owners')
    const going = await map(namespace, 'to-be-deleted')
    const staying = await map(namespace, 'to-stay')
    const ownerReferences = [owner(going, controlling)]
    for (const name of ['a', 'b', 'c', 'd']) await map(namespace, name, { ownerReferences })
    for (const name of ['a', 'b']) {
      const patched = await ask(`${maps(namespace)}/${name}`, {
        method: 'PATCH',
        type: 'application/strategic-merge-patch+json',
        body: { metadata: { ownerReferences: [owner(staying)] } },
      })
      expect(patched.body.metadata.ownerReferences).toHaveLength(2)
    }
    await remove(`${maps(namespace)}/to-be-deleted`, 'Foreground', going.metadata.uid)
    await expect.poll(async () => (await ask(`${maps(namespace)}/to-be-deleted`)).code, patience).toBe(404)
    const { body } = await ask(maps(namespace))
    const left = body.items.filter(({ metadata }: { metadata: { name: string } }) => metadata.name.length === 1)
    expect(left.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).toEqual(['a', 'b'])
    for (const { metadata } of left) {
      expect(metadata.deletionTimestamp).toBeUndefined()
      expect(metadata.ownerReferences).toEqual([owner(staying)])
    }
  })

  test('a circle of owners does not hold itself', async () => {
    const namespace = await space('circle')
    const made = await Promise.all(['pod1', 'pod2', 'pod3'].map(name => ask(pods(namespace), { body: podNamed(name) })))
    const [one, two, three] = made.map(({ body }) => ({ ...body, kind: 'Pod', apiVersion: 'v1' }))
    for (const [name, by] of [
      ['pod1', three],
      ['pod2', one],
      ['pod3', two],
    ] as const) {
      const { code } = await ask(`${pods(namespace)}/${name}`, {
        method: 'PATCH',
        type: 'application/strategic-merge-patch+json',
        body: { metadata: { ownerReferences: [owner(by, controlling)] } },
      })
      expect(code).toBe(200)
    }
    await remove(`${pods(namespace)}/pod1`, 'Foreground', one.metadata.uid)
    await expect.poll(() => countOf(pods(namespace)), patience).toBe(0)
  })

  test('an owner has a name, a kind, a version and a uid, and one at most controls', async () => {
    const namespace = await space('references')
    const tried = (ownerReferences: readonly object[]) =>
      ask(maps(namespace), { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm', ownerReferences } } })
    const whole = { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', uid: '1' }
    for (const key of ['apiVersion', 'kind', 'name', 'uid']) {
      const refused = await tried([{ ...whole, [key]: '' }])
      expect([key, refused.code]).toEqual([key, 422])
      const what = key === 'apiVersion' ? 'version' : key
      expect(refused.message).toContain(`metadata.ownerReferences.${key}: Invalid value: "": ${what} must not be empty`)
    }
    const both = await tried([
      { ...whole, controller: true },
      { ...whole, uid: '2', controller: true },
    ])
    expect(both.message).toContain('Only one reference can have Controller set to true')
    const event = await tried([{ ...whole, kind: 'Event' }])
    expect(event.message).toContain('disallowed from being an owner')
  })
})
