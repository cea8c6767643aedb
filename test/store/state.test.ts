// The applied state on disk: what the last release wrote is read, and the history outlives a restart.
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { openDisk } from '../../src/drivers/disk.ts'
import { realRandom } from '../../src/drivers/random.ts'
import type { KeyValue, Write } from '../../src/kv/store.ts'
import { eventRevision } from '../../src/kv/versions.ts'
import { packText } from '../../src/lib/packed.ts'
import { prng } from '../../src/lib/prng.ts'
import { memberId } from '../../src/raft/types.ts'
import type { StoreConfig } from '../../src/store/config.ts'
import { openStore, type RunningStore } from '../../src/store/run.ts'
import { restoreBackup } from '../../src/store/run-recover.ts'
import type { Disk } from '../../src/world/disk.ts'
import type { Log } from '../../src/world/log.ts'
import { peerId } from '../../src/world/network.ts'
import { memoryDisk } from './disk.ts'
import { createMesh } from './network.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
const never = new AbortController().signal
const all = { from: '', to: '\u0100' }
const golden = join(import.meta.dirname, '../golden/store/0.1.0')
const freshDisk = () => memoryDisk(() => new Promise(resolve => setImmediate(resolve)))
const put = (key: string, value: string): Write => ({ compare: [], operations: [{ key, value }] })

async function open(disk: Disk, config: Pick<StoreConfig, 'clusterId' | 'member'> & Partial<StoreConfig>) {
  const network = createMesh().network(peerId('one'))
  const world = { clock: realClock(), random: realRandom(), network, disk, log: silent }
  const store = await openStore(world, { bootstrap: false, tickMs: 5, ...config }, never)
  for await (const state of store.leadership(never)) if (state.mine) return store
  throw new Error('the store ended')
}

type Expected = {
  readonly revision: number
  readonly items: Readonly<Record<string, readonly [value: string, createRevision: number, modRevision: number]>>
}

async function expected(): Promise<Expected> {
  return JSON.parse(await readFile(join(golden, 'expected.json'), 'utf8')) as Expected
}

async function expectGolden(store: RunningStore, { items }: Expected): Promise<void> {
  const wanted = Object.entries(items).map(
    ([key, [value, createRevision, modRevision]]): KeyValue => ({
      key,
      value: packText(value),
      createRevision,
      modRevision,
      version: 1,
      lease: 0,
    }),
  )
  expect((await store.range(all)).items.filter(({ key }) => key !== 'new')).toEqual(wanted)
}

const goldenConfig = { clusterId: 'golden', member: memberId('m0'), expectExisting: true }

test.each(['killed', 'stopped'])(
  'a data directory of 0.1.0 is read, and is one of this release then (%s)',
  async how => {
    const wanted = await expected()
    const root = await mkdtemp(join(tmpdir(), 'flotilla-golden-'))
    try {
      await cp(join(golden, how), root, { recursive: true })
      const disk = await openDisk(root)
      const store = await open(disk, goldenConfig)
      await expectGolden(store, wanted)
      expect(store.revision()).toBe(wanted.revision)
      // A write that the last release did is not done again.
      const again: Write = { ...put('/late/3', 'again'), id: 'late-3' }
      expect(await store.write(again, never)).toMatchObject({ kind: 'done' })
      await expectGolden(store, wanted)
      await store.write(put('new', 'new'), never)
      await store.stop()

      const next = await open(disk, goldenConfig)
      await expectGolden(next, wanted)
      expect(await next.get('new')).toMatchObject({ value: 'new', version: 1, modRevision: wanted.revision + 1 })
      await next.stop()
    } finally {
      await rm(root, { recursive: true })
    }
  },
)

test('replicas of 0.1.0 agree, whether they load the state that it wrote or play its log', async () => {
  const hashes: unknown[] = []
  for (const how of ['killed', 'stopped', 'log alone']) {
    const root = await mkdtemp(join(tmpdir(), 'flotilla-golden-'))
    try {
      await cp(join(golden, how === 'log alone' ? 'killed' : how), root, { recursive: true })
      if (how === 'log alone') await rm(join(root, 'state-0'), { recursive: true })
      const store = await open(await openDisk(root), goldenConfig)
      await store.applied((await expected()).revision, never)
      hashes.push({ ...store.hashAt(0), atIndex: store.hash() })
      await store.stop()
    } finally {
      await rm(root, { recursive: true })
    }
  }
  expect(hashes[1]).toEqual(hashes[0])
  expect(hashes[2]).toEqual(hashes[0])
})

test('a backup that 0.1.0 made is read', async () => {
  const bytes = new Uint8Array(await readFile(join(golden, 'backup')))
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0, true)
    chunks.push(bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  const disk = freshDisk()
  const identity = { cluster: 'new', member: memberId('m-new') }
  await restoreBackup(chunks, disk, { identity, peer: peerId('one') }, silent)
  const store = await open(disk, { clusterId: 'new', member: identity.member })
  await expectGolden(store, await expected())
  await store.stop()
})

test('a store that nobody has written to starts again from its state', async () => {
  const config = { clusterId: 'c', member: memberId('m'), flushCountMax: 1, logCountMax: 0, segmentBytesMax: 1 }
  const disk = freshDisk()
  let store = await open(disk, { ...config, bootstrap: true })
  for (let round = 0; round < 3; round++) {
    await store.stop()
    store = await open(disk, { ...config, expectExisting: true })
    expect(store.revision()).toBe(1)
  }
  await store.write(put('/k', 'v'), never)
  expect(store.revision()).toBe(2)
  await store.stop()
})

test('history, compaction, leases and ids outlive restarts and crashes, whatever was flushed', async () => {
  const config = { clusterId: 'c', member: memberId('m'), historyCountMax: 60, flushCountMax: 25, logCountMax: 10 }
  const random = prng(4)
  let disk = freshDisk()
  let store = await open(disk, { ...config, bootstrap: true })
  const granted = await store.execute({ kind: 'grant', lease: 7, ttlSeconds: 100 })
  expect(granted).toMatchObject({ lease: 7, ttlSeconds: 100 })
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 30; i++) {
      const key = `/k/${(i * 7) % 11}`
      const value = i % 5 === 4 ? undefined : `${round}.${i}`
      await store.write({ compare: [], operations: [{ key, value }], id: `${round}.${i}` }, never)
    }
    const lease = { kind: 'put', key: `/leased/${round}`, value: 'x', lease: 7, wantsPrevious: false } as const
    await store.execute({ kind: 'txn', txn: { conditions: [], success: [lease], failure: [] } })
    await store.execute({ kind: 'revoke', lease: 8, term: undefined })
    await store.execute({ kind: 'grant', lease: 8, ttlSeconds: 200 + round })
    const seen = picture(store)
    if (round % 2 === 0) await store.stop()
    else disk = disk.crash(random)
    const before = store
    store = await open(disk, { ...config, expectExisting: true })
    await store.applied(seen.revision, never)
    const now = picture(store)
    const from = Math.max(now.compacted, seen.compacted)
    expect(since(now, from)).toEqual(since(seen, from))
    expect(await store.lease(8)).toMatchObject({ grantedSeconds: 200 + round })
    if (now.compacted === seen.compacted) expect(now.hashes).toEqual(seen.hashes)
    expect(await store.write({ ...put('/k/0', 'twice'), id: `${round}.0` }, never)).toMatchObject({ kind: 'done' })
    expect(store.revision()).toBe(seen.revision)
    if (round % 2 === 1) void before.stop()
  }
  expect(store.status().compactedRevision).toBeGreaterThan(60)
  expect(await store.execute({ kind: 'revoke', lease: 7, term: undefined })).toMatchObject({ kind: 'revoke' })
  expect(await store.get('/leased/0')).toBeUndefined()
  await store.stop()
})

/** All that can be read of a store, at every revision. */
function picture(store: RunningStore) {
  const revision = store.revision()
  const compacted = store.status().compactedRevision
  const states: { at: number; items: readonly KeyValue[] }[] = []
  const hashes: number[] = []
  for (let at = Math.max(1, compacted); at <= revision; at++) {
    states.push({ at, items: store.look({ range: all, limit: 0, countOnly: false, revision: at }).items })
    hashes.push(store.hashAt(at).hash)
  }
  const { events } = store.since(all, Math.max(0, compacted - 1), 10_000)
  return { revision, compacted, states, events, hashes }
}

/** A leader compacts at its own time, so what two pictures have in common is compared. */
function since({ revision, states, events }: ReturnType<typeof picture>, from: number) {
  return {
    revision,
    states: states.filter(({ at }) => at >= from),
    events: events.filter(event => eventRevision(event) >= from),
  }
}
