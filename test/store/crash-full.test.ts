// A disk with no room left: nothing is acknowledged that is not kept, reads go on, and when there is room again so do
// writes. A full disk at the start is told from a damaged one.
import { expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { realRandom } from '../../src/drivers/random.ts'
import type { Write } from '../../src/kv/store.ts'
import { prng } from '../../src/lib/prng.ts'
import { memberId } from '../../src/raft/types.ts'
import { openStore, type RunningStore, type StoreConfig } from '../../src/store/run.ts'
import type { Log } from '../../src/world/log.ts'
import { peerId } from '../../src/world/network.ts'
import { type MemoryDisk, MemoryDiskError, memoryDisk } from './disk.ts'
import { createMesh } from './network.ts'

const never = new AbortController().signal
const put = (key: string, value: string): Write => ({ compare: [], operations: [{ key, value }] })
const kilobyte = 1024
const config: StoreConfig = {
  clusterId: 'full',
  member: memberId('m0'),
  bootstrap: true,
  tickMs: 5,
  electionTicks: 20,
  heartbeatTicks: 3,
  requestTimeoutMs: 300,
  zeroBytesAhead: 8 * kilobyte,
  segmentBytesMax: 64 * kilobyte,
  reserveBytes: 128 * kilobyte,
  flushCountMax: 1_000_000,
  flushBytesMax: 1_000_000_000,
}

function listening(): { log: Log; lines: string[] } {
  const lines: string[] = []
  const note = (line: string) => void lines.push(line)
  const log: Log = { debug() {}, info: note, warn: note, error: note, with: () => log }
  return { log, lines }
}

function open(disk: MemoryDisk, log: Log, more: Partial<StoreConfig> = {}): Promise<RunningStore> {
  const self = peerId('one')
  const world = { clock: realClock(), random: realRandom(), network: createMesh().network(self), disk, log }
  return openStore(world, { ...config, ...more }, never)
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

async function serving(store: RunningStore): Promise<void> {
  for await (const state of store.leadership(never)) if (state.mine) return
}

/** Writes until one is refused or not answered; gives the keys that were acknowledged. */
async function fill(store: RunningStore, kept: string[]): Promise<string> {
  for (;;) {
    const key = `k${kept.length}`
    try {
      await store.write(put(key, 'x'.repeat(4 * kilobyte)), never)
      kept.push(key)
    } catch (error) {
      return String(error)
    }
  }
}

async function eventually(act: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await act()
      return
    } catch {
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}

test('on a full disk writes are refused in words, reads go on, and with room again so do writes', async () => {
  const disk = memoryDisk(turn, undefined, 1024 * kilobyte)
  await disk.reserve?.keep(128 * kilobyte)
  const { log, lines } = listening()
  const store = await open(disk, log)
  const done = store.done.catch(error => error)
  await serving(store)
  const kept: string[] = []
  expect(await fill(store, kept)).toContain('the disk of the leader is full')
  expect(kept.length).toBeGreaterThan(50)
  expect(lines.filter(line => line.includes('the disk is full'))).toHaveLength(1)
  await store.newest(never)
  expect((await store.get('k7'))?.value).toHaveLength(4 * kilobyte)

  disk.roomBytes += 1024 * kilobyte
  await eventually(() => store.write(put('after', '1'), never))
  expect(lines).toContain('there is room on the disk again')
  expect(disk.files.has('reserve')).toBe(true)
  await store.stop()
  await done
  const again = await open(disk.crash(prng(1)), log, { expectExisting: true })
  await serving(again)
  for (const key of [...kept, 'after']) expect(await again.get(key), key).toBeDefined()
  await again.stop()
})

test('an append that finds no room at all waits, is acknowledged once it is kept, and does not hold up an end', async () => {
  for (const ends of [false, true]) {
    const disk = memoryDisk(turn, undefined, 2_000 * kilobyte)
    const { log } = listening()
    const store = await open(disk, log, { requestTimeoutMs: 60_000 })
    const done = store.done.catch(error => error)
    await serving(store)
    await store.write(put('a', '1'), never)
    disk.roomBytes = 0
    // Larger than what is ready for it.
    const large = store.write(put('large', 'x'.repeat(100 * kilobyte)), never)
    const outcome = large.then(
      () => 'kept',
      error => String(error),
    )
    const soon = new Promise(resolve => setTimeout(() => resolve('waits'), 200))
    expect(await Promise.race([outcome, soon])).toBe('waits')
    if (ends) {
      await store.stop()
      expect(await outcome).toContain('closed')
      expect(String(await done)).toContain('no room')
    } else {
      disk.roomBytes = 4_000 * kilobyte
      expect(await outcome).toBe('kept')
      await store.stop()
    }
    disk.roomBytes = 4_000 * kilobyte
    const again = await open(disk.crash(prng(2)), log, { expectExisting: true })
    await serving(again)
    expect((await again.get('a'))?.value).toBe('1')
    if (!ends) expect(await again.get('large')).toBeDefined()
    await again.stop()
  }
})

test('a store starts on a full disk with its reserve, and says so in words when it has none', async () => {
  const disk = memoryDisk(turn, undefined, 64 * 1024 * kilobyte)
  await disk.reserve?.keep(128 * kilobyte)
  const { log, lines } = listening()
  const store = await open(disk, log)
  await serving(store)
  await store.write(put('a', '1'), never)
  await store.stop()
  // A LevelDB cannot be opened on a full disk.
  const asLevel = (on: MemoryDisk): MemoryDisk => ({
    ...on,
    async openMap(name) {
      if (on.roomBytes === 0) throw new MemoryDiskError('FULL')
      return await on.openMap(name)
    },
    reserve: {
      freeBytes: async () => 0,
      keep: async () => false,
      async release() {
        const had = on.files.delete('reserve')
        if (had) on.roomBytes = 64 * 1024 * kilobyte
        return had
      },
    },
  })
  const full = disk.copy()
  full.roomBytes = 0
  lines.length = 0
  const again = await open(asLevel(full), log, { expectExisting: true })
  await serving(again)
  expect(lines.filter(line => line.includes('the disk is full'))).toHaveLength(1)
  expect((await again.get('a'))?.value).toBe('1')
  await expect(again.write(put('b', '1'), never)).rejects.toThrow('the disk of the leader is full')
  await again.stop()

  full.roomBytes = 0
  const start = open(asLevel(full), log, { expectExisting: true })
  await expect(start).rejects.toMatchObject({ name: 'StoreFull', message: expect.stringContaining('Free some room') })
})
