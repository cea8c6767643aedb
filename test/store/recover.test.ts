import { expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { realRandom } from '../../src/drivers/random.ts'
import type { Write } from '../../src/kv/store.ts'
import { memberId } from '../../src/raft/types.ts'
import { openStore, type RunningStore } from '../../src/store/run.ts'
import { inspectStore, recoveredRevisionJump, recoverStore, restoreBackup } from '../../src/store/run-recover.ts'
import type { Log } from '../../src/world/log.ts'
import { peerId } from '../../src/world/network.ts'
import { type MemoryDisk, memoryDisk } from './disk.ts'
import { createMesh } from './network.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
const never = new AbortController().signal
const freshDisk = () => memoryDisk(() => new Promise(resolve => setImmediate(resolve)))
const put = (key: string, value: string): Write => ({ compare: [], operations: [{ key, value }] })
const old = { cluster: 'old', member: memberId('m-old') }
const recovered = { identity: { cluster: 'new', member: memberId('m-new') }, peer: peerId('one') }

function open(disk: MemoryDisk, identity: typeof old, bootstrap: boolean): Promise<RunningStore> {
  const network = createMesh().network(peerId('one'))
  const world = { clock: realClock(), random: realRandom(), network, disk, log: silent }
  const { cluster: clusterId, member } = identity
  return openStore(world, { clusterId, member, bootstrap, tickMs: 5, flushCountMax: 20, logCountMax: 10 }, never)
}

async function serving(store: RunningStore): Promise<void> {
  for await (const state of store.leadership(never)) if (state.mine) return
}

async function filled(disk: MemoryDisk): Promise<RunningStore> {
  const store = await open(disk, old, true)
  await serving(store)
  for (let i = 0; i < 50; i++) await store.write(put(`/k/${i}`, String(i)), never)
  return store
}

async function expectBegunAgain(disk: MemoryDisk, before: number): Promise<void> {
  const store = await open(disk, recovered.identity, false)
  await serving(store)
  expect((await store.range({ from: '/k/', to: '/l' })).items).toHaveLength(50)
  expect(store.revision()).toBe(before + recoveredRevisionJump)
  expect(store.status().members).toEqual([{ member: 'm-new', peer: 'one', role: 'voter' }])
  // Whoever watched the old cluster must list again.
  const watching = store.watch({ from: '/k/', to: '/l', after: before }, never)
  await expect(watching[Symbol.asyncIterator]().next()).rejects.toMatchObject({ reason: 'compacted' })
  await store.write(put('/k/0', 'new'), never)
  await store.stop()
  const again = await open(disk, recovered.identity, false)
  await serving(again)
  expect((await again.get('/k/0'))?.value).toBe('new')
  await again.stop()
}

test('one copy of a lost majority begins again under new names, with all it holds', async () => {
  const disk = freshDisk()
  const store = await filled(disk)
  const before = store.revision()
  await store.stop()
  const copy = await inspectStore(disk, old, silent)
  expect(copy).toMatchObject({ revision: before, keyCount: 50, membership: { voters: ['m-old'] } })
  const to = freshDisk()
  const result = await recoverStore(disk, old, to, recovered, silent)
  expect(result.membership).toEqual({ voters: ['m-new'], learners: [], removed: ['m-old'] })
  await expectBegunAgain(to, before)
  // The old one is as it was, and its name does not open the new one.
  expect(await inspectStore(disk, old, silent)).toEqual(copy)
  await expect(open(to, old, false)).rejects.toMatchObject({ found: 'foreign' })
})

test('a backup of a running store begins again under new names', async () => {
  const store = await filled(freshDisk())
  const before = store.revision()
  const chunks = [...store.backup()]
  await store.stop()
  const to = freshDisk()
  await restoreBackup(chunks, to, recovered, silent)
  await expectBegunAgain(to, before)
  await expect(restoreBackup(chunks, to, recovered, silent)).rejects.toMatchObject({ found: 'foreign' })
  await expect(restoreBackup(chunks.slice(0, -1), freshDisk(), recovered, silent)).rejects.toMatchObject({
    found: 'corrupt',
  })
})
