import { expect, test } from 'vitest'
import { configMap } from '../../src/api/kinds/configmap.ts'
import { noDuplicates } from '../../src/api/reader.ts'
import { encodeOperation } from '../../src/apiserver/forward.ts'
import type { Operation } from '../../src/apiserver/operation.ts'
import { openApiserver } from '../../src/apiserver/run.ts'
import { type Store, StoreError } from '../../src/kv/store.ts'
import { peerId } from '../../src/world/network.ts'
import { memoryStore } from './memory-store.ts'
import { admin, request, testConfig } from './setup.ts'
import { Mesh, testWorld } from './world.ts'

const a = peerId('a')
const b = peerId('b')
const members = [a, b].map(peer => ({ member: peer, peer, role: 'voter' as const }))

/** Two control peers on one state: `a` leads; `b` may only read, and sees what `lag` lets it see. */
async function cluster() {
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
  const first = openApiserver(worlds.a, leader, testConfig, signal)
  const second = openApiserver(worlds.b, follower, testConfig, signal)
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
