// What somebody defined, at peers that see it at different times.
import { expect, test } from 'vitest'
import { openApiserver } from '../../src/apiserver/run.ts'
import { type Store, StoreError } from '../../src/kv/store.ts'
import { peerId } from '../../src/world/network.ts'
import { asking } from './ask.ts'
import {
  controlled,
  crontab,
  crontabs,
  crontabsUrl,
  customApi,
  define,
  definition,
  definitionUrl,
} from './definitions.ts'
import { memoryStore } from './memory-store.ts'
import { testConfig } from './setup.ts'
import { Mesh, testWorld } from './world.ts'

const [a, b] = [peerId('a'), peerId('b')]
const members = [a, b].map(peer => ({ member: peer, peer, role: 'voter' as const }))

test('an object can be made at either peer as soon as either says that its definition is established', async () => {
  const mesh = new Mesh()
  const controller = new AbortController()
  const { signal } = controller
  const state = memoryStore({ self: a })
  let isBehind = true
  /** A replica that shows no definition until it has asked what is newest. */
  const late: Store['get'] = async (key, options) =>
    isBehind && key.startsWith('/registry/customresourcedefinitions') ? undefined : await state.get(key, options)
  const follower: Store = {
    ...state,
    get: late,
    newest: async until => {
      isBehind = false
      return await state.newest(until)
    },
    status: () => ({ ...state.status(), role: 'follower', members }),
    write: () => Promise.reject(new StoreError('not-leader', 'b does not lead', a)),
  }
  const leader: Store = { ...state, status: () => ({ ...state.status(), members }) }
  const world = testWorld('a', mesh)
  const first = openApiserver(world, leader, testConfig, signal)
  const second = openApiserver(testWorld('b', mesh), follower, testConfig, signal)
  await first.bootstrap(1, signal)
  controlled({ apiserver: first, client: first.client({ user: 'c', groups: ['system:masters'] }), world, signal })
  const [atFirst, atSecond] = [asking({ apiserver: first }), asking({ apiserver: second })]
  await define(atFirst, crontabs())
  isBehind = true
  expect((await atSecond(crontabsUrl, { body: crontab('x') })).code).toBe(201)
  expect((await atFirst(`${crontabsUrl}/x`)).body.spec.replicas).toBe(1)
  expect((await atSecond(`${crontabsUrl}/x`)).body.spec.replicas).toBe(1)
  controller.abort()
})

test('a schema that changed holds for the next write, whoever carries it out', async () => {
  const api = await customApi()
  const made = await api.define(definition('things', 'Thing', [{}]))
  const url = '/apis/stable.example.com/v1/namespaces/default/things'
  const thing = (name: string) => ({ apiVersion: 'stable.example.com/v1', kind: 'Thing', metadata: { name }, size: 1 })
  const [version] = made.body.spec.versions
  for (let i = 0; i < 20; i++) {
    const type = i % 2 === 0 ? 'string' : 'integer'
    const schema = { openAPIV3Schema: { type: 'object', properties: { size: { type } } } }
    await api.ask(definitionUrl('things.stable.example.com'), {
      method: 'PATCH',
      body: { spec: { versions: [{ ...version, schema }] } },
    })
    expect((await api.ask(url, { body: thing(`x${i}`) })).code).toBe(i % 2 === 0 ? 422 : 201)
  }
  api.stop()
})

test('an empty list, null and nothing are three things to a custom object', async () => {
  const api = await customApi()
  await api.define(definition('things', 'Thing', [{}]))
  const url = '/apis/stable.example.com/v1/namespaces/default/things'
  const thing = { apiVersion: 'stable.example.com/v1', kind: 'Thing', metadata: { name: 'x' }, list: [], none: null }
  const made = await api.ask(url, { body: thing })
  expect(made.body).toMatchObject({ list: [], none: null })
  const { list: _, ...less } = made.body
  const put = await api.ask(`${url}/x`, { method: 'PUT', body: less })
  expect(put.body.list).toBeUndefined()
  expect(put.body.metadata.generation).toBe(2)
  expect((await api.ask(`${url}/x`, { method: 'PUT', body: put.body })).body.metadata).toEqual(put.body.metadata)
  api.stop()
})
