import { expect, test } from 'vitest'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { deployment } from '../../src/api/kinds/deployment.ts'
import { namespace } from '../../src/api/kinds/namespace.ts'
import { pod } from '../../src/api/kinds/pod.ts'
import { service } from '../../src/api/kinds/service.ts'
import { admin, testApiserver } from './setup.ts'

const podDraft = (name: string) => ({
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name: 'a', image: 'nginx' }] },
})

test('what is created is read back with what the server adds', async () => {
  const { client, signal, stop } = await testApiserver()
  const made = await client.create(pod, podDraft('web'), signal)
  expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/)
  expect(Number(made.metadata.resourceVersion)).toBeGreaterThan(1)
  expect(made.spec.securityContext).toEqual({})
  expect(await client.get(pod, { namespace: 'default', name: 'web' }, signal)).toEqual(made)
  await expect(client.create(pod, podDraft('web'), signal)).rejects.toMatchObject({
    reason: 'AlreadyExists',
    message: 'pods "web" already exists',
  })
  stop()
})

test('an update on an old resourceVersion is a Conflict, and the newest wins', async () => {
  const { client, signal, stop } = await testApiserver()
  const first = await client.create(
    configMap,
    { metadata: { name: 'c', namespace: 'default' }, data: { a: '1' } },
    signal,
  )
  const second = await client.update(configMap, { ...first, data: { a: '2' } }, signal)
  expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion))
  await expect(client.update(configMap, { ...first, data: { a: '3' } }, signal)).rejects.toMatchObject({
    reason: 'Conflict',
  })
  // Nothing changes, nothing is written.
  expect(await client.update(configMap, second, signal)).toEqual(second)
  stop()
})

test('a watch shows each change once, from a revision on, and bookmarks between', async () => {
  const { client, signal, stop } = await testApiserver()
  const { resourceVersion } = await client.list(configMap, { namespace: 'default' }, signal)
  const seen: string[] = []
  const watching = (async () => {
    for await (const event of client.watch(configMap, { namespace: 'default', resourceVersion }, signal)) {
      if (event.type === 'BOOKMARK') continue
      seen.push(`${event.type} ${event.object.metadata.name} ${event.object.data?.['a'] ?? ''}`)
      if (event.type === 'DELETED') break
    }
  })()
  const made = await client.create(
    configMap,
    { metadata: { name: 'c', namespace: 'default' }, data: { a: '1' } },
    signal,
  )
  await client.update(configMap, { ...made, data: { a: '2' } }, signal)
  await client.delete(configMap, { namespace: 'default', name: 'c' }, {}, signal)
  await watching
  expect(seen).toEqual(['ADDED c 1', 'MODIFIED c 2', 'DELETED c 2'])
  stop()
})

test('the write of a client whose term is over is refused', async () => {
  const { apiserver, store, signal, stop } = await testApiserver()
  const deposed = apiserver.client(admin, { term: 1 })
  await deposed.create(pod, podDraft('a'), signal)
  store.setTerm(2)
  await expect(deposed.create(pod, podDraft('b'), signal)).rejects.toMatchObject({ reason: 'ServiceUnavailable' })
  stop()
})

test('a pod is bound once, gracefully deleted on its node and removed by its kubelet', async () => {
  const { client, signal, stop } = await testApiserver()
  const key = { namespace: 'default', name: 'web' }
  await client.create(pod, podDraft('web'), signal)
  const binding = { metadata: { name: 'web' }, target: { kind: 'Node', name: 'n1' } }
  await client.post(pod, key, 'binding', binding, signal)
  const bound = await client.get(pod, key, signal)
  expect(bound.spec.nodeName).toBe('n1')
  expect(bound.status.conditions?.find(({ type }) => type === 'PodScheduled')?.status).toBe('True')
  await expect(client.post(pod, key, 'binding', binding, signal)).rejects.toMatchObject({ reason: 'Conflict' })
  await client.delete(pod, key, {}, signal)
  const going = await client.get(pod, key, signal)
  expect(going.metadata.deletionGracePeriodSeconds).toBe(30)
  await client.delete(pod, key, { gracePeriodSeconds: 0, uid: bound.metadata.uid }, signal)
  await expect(client.get(pod, key, signal)).rejects.toMatchObject({ reason: 'NotFound' })
  stop()
})

test('status is written apart from the rest', async () => {
  const { client, signal, stop } = await testApiserver()
  const made = await client.create(pod, podDraft('web'), signal)
  const changed = await client.updateStatus(
    pod,
    { ...made, spec: { ...made.spec, priority: 7 }, status: { ...made.status, phase: 'Running' } },
    signal,
  )
  expect(changed.status.phase).toBe('Running')
  expect(changed.spec.priority).toBe(made.spec.priority)
  stop()
})

test('a namespace that is going takes nothing new and goes when it is finalized', async () => {
  const { client, signal, stop } = await testApiserver()
  await client.create(namespace, { metadata: { name: 'x' } }, signal)
  await client.delete(namespace, { name: 'x' }, {}, signal)
  const going = await client.get(namespace, { name: 'x' }, signal)
  expect(going.status.phase).toBe('Terminating')
  const refused = client.create(configMap, { metadata: { name: 'c', namespace: 'x' } }, signal)
  await expect(refused).rejects.toMatchObject({
    reason: 'Forbidden',
    details: { causes: [{ reason: 'NamespaceTerminating' }] },
  })
  const { finalizers: _, ...spec } = going.spec
  await client.post(namespace, { name: 'x' }, 'finalize', { ...going, spec } as never, signal)
  await expect(client.get(namespace, { name: 'x' }, signal)).rejects.toMatchObject({ reason: 'NotFound' })
  const missing = client.create(configMap, { metadata: { name: 'c', namespace: 'x' } }, signal)
  await expect(missing).rejects.toMatchObject({ reason: 'NotFound', message: 'namespaces "x" not found' })
  stop()
})

test('services get addresses and ports that no other has, and give them back', async () => {
  const { client, signal, stop } = await testApiserver({
    serviceCidr: '10.96.0.0/28',
    nodePortRange: { from: 30_000, to: 30_001 },
  })
  const draft = (name: string, type: 'ClusterIP' | 'NodePort') => ({
    metadata: { name, namespace: 'default' },
    spec: { type, ports: [{ port: 80 }] },
  })
  const [a, b] = await Promise.all(['a', 'b'].map(name => client.create(service, draft(name, 'NodePort'), signal)))
  expect(a?.spec.clusterIP).toMatch(/^10\.96\.0\./)
  expect(a?.spec.clusterIP).not.toBe(b?.spec.clusterIP)
  expect([a, b].map(each => each?.spec.ports?.[0]?.nodePort).toSorted()).toEqual([30_000, 30_001])
  await expect(client.create(service, draft('c', 'NodePort'), signal)).rejects.toMatchObject({ reason: 'Invalid' })
  const wanted = { ...draft('d', 'ClusterIP'), spec: { clusterIP: a?.spec.clusterIP ?? '', ports: [{ port: 1 }] } }
  await expect(client.create(service, wanted, signal)).rejects.toMatchObject({ reason: 'Invalid' })
  await client.delete(service, { namespace: 'default', name: 'a' }, {}, signal)
  expect((await client.create(service, wanted, signal)).spec.clusterIP).toBe(a?.spec.clusterIP)
  stop()
})

test('patches of every type change what they name', async () => {
  const { client, signal, stop } = await testApiserver()
  const key = { namespace: 'default', name: 'd' }
  const labels = { app: 'd' }
  await client.create(
    deployment,
    {
      metadata: key,
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'x' }] } },
      },
    },
    signal,
  )
  const scaled = await client.patch(deployment, key, { type: 'merge', body: { spec: { replicas: 3 } } }, signal)
  expect([scaled.spec.replicas, scaled.metadata.generation]).toEqual([3, 2])
  const body = { spec: { template: { spec: { containers: [{ name: 'b', image: 'y' }] } } } }
  const both = await client.patch(deployment, key, { type: 'strategic', body }, signal)
  expect(both.spec.template.spec.containers.map(({ name }) => name).toSorted()).toEqual(['a', 'b'])
  const json = [{ op: 'replace', path: '/spec/replicas', value: 5 }]
  expect((await client.patch(deployment, key, { type: 'json', body: json }, signal)).spec.replicas).toBe(5)
  const applied = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec: { replicas: 7 } }
  const patch = { type: 'apply' as const, body: applied, fieldManager: 'me', force: true }
  expect((await client.patch(deployment, key, patch, signal)).spec.replicas).toBe(7)
  stop()
})

test('of many who change one object at once without a version, each one does', async () => {
  const { client, signal, stop } = await testApiserver()
  const key = { namespace: 'default', name: 'c' }
  await client.create(configMap, { metadata: key }, signal)
  const names = Array.from({ length: 20 }, (_, i) => `k${i}`)
  await Promise.all(
    names.map(k => client.patch(configMap, key, { type: 'merge', body: { data: { [k]: 'v' } } }, signal)),
  )
  expect(Object.keys((await client.get(configMap, key, signal)).data ?? {}).toSorted()).toEqual(names.toSorted())
  stop()
})
