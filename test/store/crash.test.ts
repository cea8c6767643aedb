// Whole stores on a disk that crashes: lives end at any moment, the next begins on what the disk kept.
import { expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { realRandom } from '../../src/drivers/random.ts'
import type { Write } from '../../src/kv/store.ts'
import { prng } from '../../src/lib/prng.ts'
import { memberId } from '../../src/raft/types.ts'
import { openStore, type RunningStore, type StoreConfig } from '../../src/store/run.ts'
import type { Log } from '../../src/world/log.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'
import { type MemoryDisk, memoryDisk } from './disk.ts'
import { createMesh, type Mesh } from './network.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
const never = new AbortController().signal
const put = (key: string, value: string): Write => ({ compare: [], operations: [{ key, value }] })
const config: StoreConfig = {
  clusterId: 'crash',
  member: memberId('m0'),
  bootstrap: true,
  tickMs: 5,
  electionTicks: 20,
  heartbeatTicks: 3,
  flushCountMax: 15,
  logCountMax: 10,
}

function open(disk: MemoryDisk, mesh: Mesh, self: PeerId, more: Partial<StoreConfig> = {}): Promise<RunningStore> {
  const world = { clock: realClock(), random: realRandom(), network: mesh.network(self), disk, log: silent }
  return openStore(world, { ...config, ...more }, never)
}

const freshDisk = () => memoryDisk(() => new Promise(resolve => setImmediate(resolve)))
const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

async function serving(store: RunningStore): Promise<void> {
  for await (const state of store.leadership(never)) if (state.mine) return
}

test('a cluster of one that crashes again and again keeps every acknowledged write', async () => {
  const random = prng(7)
  let disk = freshDisk()
  const kept = new Map<string, string>()
  for (let life = 0; life < 25; life++) {
    const mesh = createMesh()
    const store = await open(disk, mesh, peerId('one'), { expectExisting: life > 0 })
    await serving(store)
    const maybe = new Map<string, string>()
    const all = await store.range({ from: '', to: '~' })
    const found = new Map(all.items.map(item => [item.key, item.value]))
    for (const [key, value] of kept) {
      expect(Number(found.get(key) ?? -1), `life ${life}, ${key}`).toBeGreaterThanOrEqual(Number(value))
    }
    for (const [key, value] of found) kept.set(key, value)
    let isOver = false
    const writers = Array.from({ length: 4 }, async (_, w) => {
      for (let i = 0; !isOver; i++) {
        const key = `${w}-${i % 5}`
        const value = String(life * 10_000 + i)
        maybe.set(key, value)
        await store.write(put(key, value), never)
        kept.set(key, value)
      }
    })
    void Promise.allSettled(writers)
    await pause(random.below(40))
    isOver = true
    disk = disk.crash(random)
    mesh.cut(peerId('one'), true)
    // The old life is left on its dead disk; its timers must not outlive the test.
    void store.stop()
  }
})

test('a lost applied state is made again while the whole log is there, and refused when it is not', async () => {
  const disk = freshDisk()
  const mesh = createMesh()
  const first = await open(disk, mesh, peerId('one'), { flushCountMax: 5, logCountMax: 1_000, historyCountMax: 20 })
  await serving(first)
  for (let i = 0; i < 50; i++) await first.write(put(`k${i}`, 'v'), never)
  await first.stop()

  const damages = ['lost', 'whole bent', 'item: gone', 'item: bent', 'change: gone', 'change: bent'] as const
  for (const damage of damages) {
    const copy = disk.copy()
    const state = copy.maps.get('state-0')?.now ?? new Map<string, Uint8Array>()
    const [prefix = '', what] = damage.split(' ')
    const key = [...state.keys()].filter(name => name.startsWith(prefix)).at(-1) ?? ''
    const value = state.get(key)
    if (damage === 'lost') copy.maps.delete('state-0')
    else if (value === undefined) throw new Error(`no record to damage: ${damage}`)
    else if (what === 'gone') state.delete(key)
    else
      state.set(
        key,
        value.map((b, i) => (i === 20 ? b ^ 1 : b)),
      )
    const again = await open(copy, createMesh(), peerId('one'))
    await serving(again)
    expect((await again.range({ from: 'k', to: 'l' })).items, damage).toHaveLength(50)
    await again.stop()
  }
})

test('a damaged applied state is refused when the log no longer reaches back', async () => {
  const disk = freshDisk()
  const first = await open(disk, createMesh(), peerId('one'), { flushCountMax: 5, logCountMax: 5 })
  await serving(first)
  // Segments are dropped whole, so there must be more than one.
  for (let i = 0; i < 30; i++) await first.write(put(`k${i}`, 'x'.repeat(1_000_000)), never)
  await first.stop()
  const lost = disk.copy()
  lost.maps.delete('state-0')
  await expect(open(lost, createMesh(), peerId('one'))).rejects.toMatchObject({ name: 'StoreDamage', found: 'missing' })
  const bent = disk.copy()
  const state = bent.maps.get('state-0')?.now
  const key = [...(state?.keys() ?? [])].find(name => name.startsWith('change:')) ?? ''
  expect(state?.delete(key)).toBe(true)
  await expect(open(bent, createMesh(), peerId('one'))).rejects.toMatchObject({ name: 'StoreDamage', found: 'corrupt' })
  const whole = await open(disk.copy(), createMesh(), peerId('one'))
  await serving(whole)
  expect((await whole.range({ from: 'k', to: 'l' })).items).toHaveLength(30)
  await whole.stop()
})

test('an empty disk never quietly founds a second cluster', async () => {
  const expecting = open(freshDisk(), createMesh(), peerId('one'), { expectExisting: true })
  await expect(expecting).rejects.toMatchObject({ name: 'StoreDamage', found: 'missing' })
})

test('a disk that fails ends the store, and nothing is acknowledged after it', async () => {
  const disk = freshDisk()
  const store = await open(disk, createMesh(), peerId('one'))
  const done = store.done.catch(error => error)
  await serving(store)
  await store.write(put('a', '1'), never)
  disk.failAfter(0)
  await expect(store.write(put('b', '1'), never)).rejects.toMatchObject({ reason: 'closed' })
  expect(String(await done)).toContain('EIO')
  await store.stop()
  const after = await open(disk.crash(prng(1)), createMesh(), peerId('one'))
  await serving(after)
  expect((await after.get('a'))?.value).toBe('1')
  await after.stop()
})

test('three members, one crashing after the other, keep every acknowledged write and agree', async () => {
  const random = prng(11)
  const mesh = createMesh()
  const names = ['a', 'b', 'c'].map(peerId)
  const disks = names.map(() => freshDisk())
  const members = [memberId('m0')]
  const at = <T>(list: readonly T[], i: number): T => {
    const item = list[i]
    if (item === undefined) throw new Error(`nothing at ${i}`)
    return item
  }
  const start = (i: number, more: Partial<StoreConfig> = {}) =>
    open(at(disks, i), mesh, at(names, i), { member: at(members, i), bootstrap: i === 0, ...more })
  const stores = [await start(0)]
  await serving(at(stores, 0))
  const tryFor = async (act: (leader: RunningStore) => Promise<unknown>) => {
    for (;;) {
      const leader = stores.find(store => store.status().role === 'leader')
      try {
        if (leader !== undefined) return await act(leader)
      } catch {
        // Tried again: a leader may be on its way out.
      }
      await pause(10)
    }
  }
  for (const i of [1, 2]) {
    await tryFor(async leader => {
      const info = await leader.changeMembership({ kind: 'add', peer: at(names, i) }, never)
      members[i] = memberId(info.member)
    })
    stores[i] = await start(i)
    await tryFor(leader => leader.changeMembership({ kind: 'promote', member: at(members, i) }, never))
  }

  const kept = new Map<string, number>()
  let isOver = false
  const writers = Array.from({ length: 3 }, async (_, w) => {
    for (let i = 1; !isOver; i++) {
      const key = `${w}-${i % 7}`
      await tryFor(async leader => {
        await leader.write(put(key, String(i)), AbortSignal.timeout(300))
        kept.set(key, i)
      })
    }
  })
  for (let round = 0; round < 12; round++) {
    await pause(60 + random.below(120))
    const i = random.below(3)
    const old = at(stores, i)
    mesh.cut(at(names, i), true)
    disks[i] = at(disks, i).crash(random)
    void old.stop()
    await pause(random.below(60))
    mesh.cut(at(names, i), false)
    stores[i] = await start(i, { bootstrap: false, expectExisting: true })
  }
  isOver = true
  await Promise.all(writers)
  await tryFor(leader => leader.write(put('end', '1'), never))
  const revisions = await Promise.all(stores.map(store => store.newest(never)))
  await Promise.all(stores.map(store => store.applied(Math.max(...revisions), never)))
  for (const store of stores) {
    for (const [key, value] of kept) {
      expect(Number((await store.get(key))?.value), key).toBeGreaterThanOrEqual(value)
    }
  }
  const hashes = stores.map(store => store.hash())
  const newest = Math.max(...hashes.map(h => h.index))
  const equal = new Set(hashes.filter(h => h.index === newest).map(h => h.hash))
  expect(equal.size).toBe(1)
  await Promise.all(stores.map(store => store.stop()))
})

test('a store that nobody writes to leaves the disk alone', async () => {
  const disk = freshDisk()
  // Few ticks, so that a slow machine does not stretch a moment much.
  const store = await open(disk, createMesh(), peerId('one'), { tickMs: 100 })
  await serving(store)
  await store.write(put('a', '1'), never)
  // A moment later the watermark is written down; then nothing more.
  let before = -1
  while (before !== disk.operationCount) {
    before = disk.operationCount
    await pause(1_500)
  }
  await store.newest(never)
  await pause(400)
  expect(disk.operationCount).toBe(before)
  await store.stop()
})
