import { expect, test } from 'vitest'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { noDuplicates } from '../../src/api/reader.ts'
import { encodeOperation } from '../../src/apiserver/forward.ts'
import type { Operation } from '../../src/apiserver/operation.ts'
import { openApiserver } from '../../src/apiserver/run.ts'
import type { AuditConfig } from '../../src/apiserver/run-audit.ts'
import { type Store, StoreError } from '../../src/kv/store.ts'
import { peerId } from '../../src/world/network.ts'
import { memoryStore } from './memory-store.ts'
import { admin, request, testConfig } from './setup.ts'
import { Mesh, testWorld } from './world.ts'

const a = peerId('a')
const b = peerId('b')
const members = [a, b].map(peer => ({ member: peer, peer, role: 'voter' as const }))

/** Two control peers on one state: `a` leads; `b` may only read, and sees what `lag` lets it see. */
async function cluster(audits: readonly AuditConfig[] = []) {
  const mesh = new Mesh()
  const controller = new AbortController()
  const { signal } = controller
  const state = memoryStore({ self: a })
  const leader: Store = { ...state, status: () => ({ ...state.status(), members }) }
  const follower: Store = {
    ...state,
    status: () => ({ ...state.status(), role: 'follower', members }),
    write: () => Promise.reject(new StoreError('not-leader', 'b does not lead', a)),
  }
  const worlds = { a: testWorld('a', mesh), b: testWorld('b', mesh), c: testWorld('c', mesh) }
  const [auditOfFirst, auditOfSecond] = audits
  const first = openApiserver(worlds.a, leader, { ...testConfig, ...(auditOfFirst && { audit: auditOfFirst }) }, signal)
  const second = openApiserver(
    worlds.b,
    follower,
    { ...testConfig, ...(auditOfSecond && { audit: auditOfSecond }) },
    signal,
  )
  await first.bootstrap(1, signal)
  return { mesh, state, first, second, worlds, signal, stop: () => controller.abort() }
}

test('a write at a peer that does not lead is carried out by the leader, with the identity of who asked', async () => {
  const { second, first, signal, stop } = await cluster()
  const client = second.client(admin, { fieldManager: 'me' })
  const made = await client.create(configMap, { metadata: { name: 'c', namespace: 'default' } }, signal)
  expect(await first.client(admin).get(configMap, { namespace: 'default', name: 'c' }, signal)).toEqual(made)
  await expect(
    client.create(configMap, { metadata: { name: 'c', namespace: 'default' } }, signal),
  ).rejects.toMatchObject({
    reason: 'AlreadyExists',
    message: 'configmaps "c" already exists',
  })
  const url = '/api/v1/namespaces/default/configmaps/c'
  const type = 'application/merge-patch+json'
  const body = '{"data":{"a":"1","a":"2"}}'
  const answer = await second.handle(request(url, { method: 'PATCH', type, body }))
  expect(answer).toMatchObject({ kind: 'whole', code: 200, headers: { warning: expect.stringContaining('duplicate') } })
  const twice = await second.handle(
    request('/api/v1/namespaces/default/configmaps', { body: { metadata: { name: 'c' }, unknown: 1 } }),
  )
  expect(twice).toMatchObject({ code: 409, headers: { warning: expect.stringContaining('unknown field') } })
  stop()
})

test('what the leader notes of a write is in the audit event of the peer that was asked, and in no other', async () => {
  const lines: Record<'a' | 'b', string[]> = { a: [], b: [] }
  const auditOf = (peer: 'a' | 'b'): AuditConfig => ({
    policy: { rules: [{ level: 'Metadata' }], omitStages: ['RequestReceived'] },
    log: { append: async line => void lines[peer].push(line) },
  })
  const { second, stop } = await cluster([auditOf('a'), auditOf('b')])
  const labels = { 'pod-security.kubernetes.io/enforce': 'baseline' }
  await second.handle(request('/api/v1/namespaces', { body: { metadata: { name: 'held', labels } } }))
  const pods = '/api/v1/namespaces/held/pods'
  const containers = [{ name: 'c', image: 'i:1' }]
  await second.handle(request(pods, { body: { metadata: { name: 'p' }, spec: { containers } } }))
  await second.handle(request(pods, { body: { metadata: { name: 'q' }, spec: { containers, hostPID: true } } }))
  expect(lines.a).toEqual([])
  const noted = lines.b
    .map(line => JSON.parse(line))
    .map(({ responseStatus, annotations }) => [
      responseStatus.code,
      annotations['pod-security.kubernetes.io/enforce-policy'],
    ])
  expect(noted).toEqual([
    [201, undefined],
    [201, 'baseline:latest'],
    [403, 'baseline:latest'],
  ])
  stop()
})

test('nobody but a control peer may forward', async () => {
  const { worlds, signal, stop } = await cluster()
  const op: Operation = {
    verb: 'delete',
    group: '',
    version: 'v1',
    resource: 'namespaces',
    name: 'default',
    body: null,
    duplicates: noDuplicates,
    fieldManager: '',
    fieldValidation: 'Ignore',
    force: false,
    dryRun: false,
    identity: admin,
  }
  const forged = worlds.c.network.request(a, 'api', encodeOperation(op), signal)
  await expect(forged).rejects.toThrow('c is no control peer')
  stop()
})

test('while leadership moves, a write waits and is done once', async () => {
  const { second, state, signal, stop } = await cluster()
  state.setLeader(undefined)
  const made = second.client(admin).create(configMap, { metadata: { name: 'c', namespace: 'default' } }, signal)
  await new Promise(resolve => setTimeout(resolve, 100))
  state.setLeader(a)
  expect((await made).metadata.name).toBe('c')
  stop()
})

test('when the leader does not answer, the client is told that the outcome is unknown, without a hint to try again', async () => {
  const { second, mesh, signal, stop } = await cluster()
  mesh.handlers.delete('a/api')
  const body = { metadata: { name: 'c' } }
  const answer = await second.handle(request('/api/v1/namespaces/default/configmaps', { body, signal }))
  expect(answer).toMatchObject({ kind: 'whole', code: 504 })
  expect(answer.kind === 'whole' && answer.headers['retry-after']).toBeUndefined()
  stop()
})

test('an operation under which the leader was lost is done once, and answered as if nothing had happened', async () => {
  const { second, mesh, state, signal, stop } = await cluster()
  const handler = mesh.handlers.get('a/api')
  if (handler === undefined) throw new Error('the leader does not listen')
  const client = second.client(admin)
  const where = { namespace: 'default', name: 'c' }
  let calls = 0
  /** Loses the next answer: before the operation is carried out, after it, or while the leader is at it. */
  const lose = (when: 'before' | 'after' | 'during') => {
    mesh.handlers.set('a/api', async (from, body, inner) => {
      calls += 1
      mesh.handlers.set('a/api', handler)
      const done = when === 'before' ? undefined : handler(from, body, inner)
      if (when === 'after') await done
      throw new Error('the connection broke')
    })
  }
  for (const when of ['before', 'after', 'during'] as const) {
    lose(when)
    const made = await client.create(configMap, { metadata: where, data: { n: '1' } }, signal)
    expect(made).toMatchObject({ metadata: { name: 'c' }, data: { n: '1' } })
    lose(when)
    const changed = await client.update(configMap, { ...made, data: { n: '2' } }, signal)
    expect(changed).toMatchObject({ data: { n: '2' } })
    expect(Number(changed.metadata.resourceVersion)).toBe(Number(made.metadata.resourceVersion) + 1)
    lose(when)
    await client.delete(configMap, where, {}, signal)
    expect(state.revision()).toBe(Number(changed.metadata.resourceVersion) + 1)
    await expect(client.get(configMap, where, signal)).rejects.toMatchObject({ reason: 'NotFound' })
  }
  expect(calls).toBe(9)
  // What cannot be answered again is not sent again.
  lose('after')
  const generated = { metadata: { generateName: 'g-', namespace: 'default' } }
  const body = await second.handle(request('/api/v1/namespaces/default/configmaps', { body: generated }))
  expect(body).toMatchObject({ kind: 'whole', code: 504 })
  expect(calls).toBe(10)
  stop()
})
