// The roles that this peer judges by: never older than what was written through it, and none before it knows any.
import { expect, test } from 'vitest'
import { clusterRole } from '../../src/api/kinds/clusterrole.ts'
import { followRbac } from '../../src/apiserver/run-rbac.ts'
import { resourcePrefix } from '../../src/apiserver/stored.ts'
import { StoreError } from '../../src/kv/store.ts'
import { onAbort } from '../../src/lib/abort.ts'
import { asking } from './ask.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'
import { testApiserver } from './setup.ts'
import { testWorld } from './world.ts'

const rbac = '/apis/rbac.authorization.k8s.io/v1'

/** Its watches of roles and bindings tell nothing, as when this peer is too busy to hear of them. */
function deafStore(): MemoryStore {
  const store = memoryStore()
  return {
    ...store,
    watch: (asked, signal) =>
      asked.from.includes('rbac.authorization.k8s.io')
        ? (async function* () {
            await new Promise<void>(resolve => void onAbort(signal, resolve))
          })()
        : store.watch(asked, signal),
  }
}

test('wrote: a grant counts with the answer that gave it, also when no watch has told of it', async () => {
  const api = await testApiserver({}, deafStore())
  const ask = asking(api)
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'viewer' }
  const rules = [{ verbs: ['list'], apiGroups: [''], resources: ['pods'] }]
  await ask(`${rbac}/clusterroles`, { body: { metadata: { name: 'viewer' }, rules } })
  const subjects = [{ kind: 'User', name: 'ann' }]
  const identity = { user: 'ann', groups: [] }
  const pods = async () => (await ask('/api/v1/namespaces/default/pods', { identity })).code
  expect(await pods()).toBe(403)
  await ask(`${rbac}/namespaces/default/rolebindings`, { body: { metadata: { name: 'ann' }, roleRef, subjects } })
  expect(await pods()).toBe(200)
  await ask(`${rbac}/namespaces/default/rolebindings/ann`, { method: 'DELETE' })
  expect(await pods()).toBe(403)
  api.stop()
})

test('what the watch brings late, and older than what is known, changes nothing', async () => {
  const store = memoryStore()
  const gate = Promise.withResolvers<void>()
  const late: MemoryStore = {
    ...store,
    async *watch(asked, signal) {
      if (asked.from === resourcePrefix(clusterRole)) await gate.promise
      yield* store.watch(asked, signal)
    },
  }
  const api = await testApiserver({}, late)
  const view = followRbac(api.world, late, api.signal)
  await view.current()
  const metadata = { name: 'r' }
  const rule = (verb: string) => ({ verbs: [verb], apiGroups: [''], resources: ['pods'] })
  const made = await api.client.create(clusterRole, { metadata, rules: [rule('get')] }, api.signal)
  const changed = await api.client.update(clusterRole, { ...made, rules: [rule('list')] }, api.signal)
  view.wrote('rbac.authorization.k8s.io', 'clusterroles', Number(changed.metadata.resourceVersion))
  const rules = async () => (await view.current()).rulesOf({ kind: 'ClusterRole', name: 'r' }, '')
  expect(await rules()).toEqual([rule('list')])
  gate.resolve()
  for (let i = 0; i < 50; i++) {
    await new Promise(resolve => setImmediate(resolve))
    expect(await rules()).toEqual([rule('list')])
  }
  api.stop()
})

test('once: before this peer has heard what is newest, nobody but the highest is judged', async () => {
  const store = memoryStore()
  let isCut = true
  const cut: MemoryStore = {
    ...store,
    newest: async signal => {
      if (isCut) throw new StoreError('unavailable', 'nobody leads')
      return await store.newest(signal)
    },
  }
  const controller = new AbortController()
  const view = followRbac(testWorld(), cut, controller.signal)
  let known = false
  const first = view.current().then(() => {
    known = true
  })
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
  expect(known).toBe(false)
  isCut = false
  await first
  expect(known).toBe(true)
  controller.abort()
  await view.done
})

test('settle: when that does not come, the answer is 503 and no guess', async () => {
  const cut: MemoryStore = {
    ...memoryStore(),
    newest: () => Promise.reject(new StoreError('unavailable', 'nobody leads')),
  }
  const controller = new AbortController()
  const world = testWorld()
  const deadline = (_: number, signal: AbortSignal) => world.clock.deadline(10, signal)
  const view = followRbac({ ...world, clock: { ...world.clock, deadline } }, cut, controller.signal)
  await expect(view.current()).rejects.toMatchObject({ reason: 'ServiceUnavailable' })
  controller.abort()
})

test('settle: a replica that is behind a write that it was told of judges nobody by what was before', async () => {
  const store = memoryStore()
  const controller = new AbortController()
  const world = testWorld()
  const deadline = (_: number, signal: AbortSignal) => world.clock.deadline(10, signal)
  const view = followRbac({ ...world, clock: { ...world.clock, deadline } }, store, controller.signal)
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
  await view.current()
  view.wrote('rbac.authorization.k8s.io', 'roles', store.revision() + 1)
  await expect(view.current()).rejects.toMatchObject({ reason: 'ServiceUnavailable' })
  await store.write({ compare: [], operations: [{ key: '/registry/other', value: '1' }] }, controller.signal)
  await view.current()
  controller.abort()
})
