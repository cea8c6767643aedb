// Crash consistency of what stands behind the log: the applied state in LevelDB on a real disk, the chunks of a snapshot,
// and a whole store whose disk fails at one operation after the other. No answer is ever wrong: it is right, or refused.
import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { openDisk } from '../../src/drivers/disk.ts'
import { realRandom } from '../../src/drivers/random.ts'
import { SnapshotError, snapshotReader } from '../../src/kv/snapshot.ts'
import type { Write } from '../../src/kv/store.ts'
import type { Bytes } from '../../src/lib/bytes.ts'
import { type Prng, prng } from '../../src/lib/prng.ts'
import { memberId } from '../../src/raft/types.ts'
import { openStore, type RunningStore, type StoreConfig, StoreDamage } from '../../src/store/run.ts'
import { type CheckReport, checkStore } from '../../src/store/run-check.ts'
import { type LoadedState, openState } from '../../src/store/run-state.ts'
import type { Disk } from '../../src/world/disk.ts'
import type { Log } from '../../src/world/log.ts'
import { peerId } from '../../src/world/network.ts'
import { type Counts, counted, table, total } from './crash-log.ts'
import { type Failure, memoryDisk } from './disk.ts'
import { createMesh } from './network.ts'

const isLong = process.env['FLOTILLA_CRASH'] === 'long'
const timeout = isLong ? 3_600_000 : 300_000
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
const never = new AbortController().signal
const put = (key: string, value: string): Write => ({ compare: [], operations: [{ key, value }] })
const config: StoreConfig = {
  clusterId: 'crash',
  member: memberId('m0'),
  bootstrap: true,
  tickMs: 2,
  electionTicks: 5,
  heartbeatTicks: 1,
  zeroBytesAhead: 2_048,
  segmentBytesMax: 8_192,
  flushCountMax: 10,
  logCountMax: 10,
}
const root = await mkdtemp(join(tmpdir(), 'flotilla-crash-'))
afterAll(() => rm(root, { recursive: true }))

function open(disk: Disk, more: Partial<StoreConfig> = {}): Promise<RunningStore> {
  const network = createMesh().network(peerId('one'))
  return openStore(
    { clock: realClock(), random: realRandom(), network, disk, log: silent },
    { ...config, ...more },
    never,
  )
}

async function serving(store: RunningStore): Promise<void> {
  for await (const state of store.leadership(never)) if (state.mine) return
}

/** A stopped store whose log no longer reaches back to its beginning, so that its applied state counts. */
async function stopped(folder: string): Promise<void> {
  const store = await open(await openDisk(folder))
  await serving(store)
  for (let i = 0; i < 150; i++) await store.write(put(`key-${i % 40}`, `${i}`.padEnd(200, `${i} `)), never)
  await store.stop()
}

test('a LevelDB with bent, cut and lost files gives back what was written, or is refused', { timeout }, async () => {
  const whole = join(root, 'whole')
  await stopped(whole)
  const box = join(root, 'box')
  await cp(whole, box, { recursive: true, filter: path => !path.endsWith('/lock') })
  const disk = await openDisk(box)
  const { name, generation, wanted, report } = await stateOf(disk)
  const counts: Counts = new Map()
  const random = prng(1)
  for (const file of (await readdir(join(whole, name))).sort()) {
    for (let n = isLong ? 400 : 12; n > 0; n--) {
      await rm(join(box, name), { recursive: true })
      await cp(join(whole, name), join(box, name), { recursive: true })
      const harm = await harmFile(join(box, name, file), random)
      counted(counts, `${harm}: ${await outcomeOfState(disk, generation, wanted, report, `${file} ${harm}`)}`)
    }
  }
  console.log(table('applied state', counts))
  expect(total(counts)).toBeGreaterThan(30)
})

async function stateOf(disk: Disk) {
  const report = await checkStore(disk)
  expect(report).toMatchObject({ outcome: 'clean' })
  for (const generation of [0, 1] as const) {
    const name = `state-${generation}`
    if ((await disk.list(name)).length === 0) continue
    const { loaded, state } = await openState(disk, generation)
    await state.close()
    if (loaded !== undefined) return { name, generation, wanted: loaded, report }
  }
  throw new Error('there is a state')
}

async function harmFile(path: string, random: Prng): Promise<string> {
  const bytes = await readFile(path)
  const how = bytes.length === 0 ? 2 : random.below(8)
  if (how === 0) await rm(path)
  else if (how === 1) await truncate(path, random.below(bytes.length))
  else {
    const bit = random.below(Math.max(1, bytes.length * 8))
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    await writeFile(path, bytes)
  }
  return how === 0 ? 'lost' : how === 1 ? 'cut' : 'bent'
}

async function outcomeOfState(
  disk: Disk,
  generation: 0 | 1,
  wanted: LoadedState,
  whole: CheckReport,
  where: string,
): Promise<string> {
  let index: number
  try {
    const { loaded, state } = await openState(disk, generation)
    await state.close()
    if (isDeepStrictEqual(loaded, wanted)) return 'as it was'
    index = loaded?.image.index ?? 0
  } catch (error) {
    if (!(error instanceof StoreDamage)) throw error
    return `refused: ${error.found}`
  }
  // LevelDB forgot its last batches, and does not know. What is left must be a state of before, which the log brings on
  // to where it was, or knows to be too old.
  if (index >= wanted.image.index) throw new Error(`${where}: the state opens and is another one`)
  const { outcome, revision, hash } = await checkStore(disk)
  if (outcome === 'missing') return `an older one, or none: refused by the log as ${outcome}`
  const isSame = outcome === 'clean' && revision === whole.revision && hash === whole.hash
  if (!isSame) throw new Error(`${where}: the state of index ${index} opens as ${outcome} and ends as another one`)
  return 'an older one, which the log brings on'
}

test('a snapshot with any bit bent, any byte cut, or chunks out of place is never taken', { timeout }, async () => {
  const store = await open(memoryDisk(() => new Promise(resolve => setImmediate(resolve))))
  await serving(store)
  for (let i = 0; i < 30; i++) await store.write(put(`key-${i}`, `value ${i}`), never)
  const chunks: Bytes[] = []
  for await (const chunk of store.backup()) chunks.push(chunk.slice())
  await store.stop()
  const counts: Counts = new Map()
  expect(isTaken(chunks)).toBe('taken')
  for (const [i, chunk] of chunks.entries()) {
    const tryOne = (what: string, ...instead: Bytes[]) => {
      const outcome = isTaken([...chunks.slice(0, i), ...instead, ...chunks.slice(i + 1)])
      if (outcome === 'taken') throw new Error(`chunk ${i} ${what}, and the snapshot is taken`)
      counted(counts, `${what}: ${outcome}`)
    }
    tryOne('lost')
    tryOne('twice', chunk, chunk)
    if (i + 1 < chunks.length) tryOne('late', ...chunks.slice(i + 1, i + 2), chunk)
    for (let length = 0; length < chunk.length; length++) tryOne('cut', chunk.subarray(0, length))
    for (let bit = 0; bit < chunk.length * 8; bit++) {
      const bent = chunk.slice()
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      tryOne('bent', bent)
    }
  }
  console.log(table('snapshot chunks', counts))
  expect(total(counts)).toBeGreaterThan(1_000)
})

function isTaken(chunks: readonly Bytes[]): string {
  const reader = snapshotReader()
  try {
    for (const chunk of chunks) reader.push(chunk)
  } catch (error) {
    if (error instanceof SnapshotError) return 'refused'
    throw error
  }
  return reader.finish() === undefined ? 'not whole' : 'taken'
}

test('a store whose disk fails at any operation acknowledges nothing that is gone, and starts again', {
  timeout,
}, async () => {
  const counts: Counts = new Map()
  const random = prng(2)
  const clean = memoryDisk(turn)
  await lifeOn(clean)
  const step = isLong ? 1 : Math.ceil(clean.operationCount / 30)
  for (let at = 0; at <= clean.operationCount; at += step) {
    for (const how of ['EIO', 'FULL'] as const) counted(counts, await failAt(at + random.below(step), how, random))
  }
  console.log(table('a whole store', counts))
  expect(total(counts)).toBeGreaterThan(30)
})

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

type Life = { readonly kept: Map<string, string>; readonly ended: string }

/** Gives what was acknowledged, and how it ended. */
async function lifeOn(disk: Disk): Promise<Life> {
  const kept = new Map<string, string>()
  let store: RunningStore
  try {
    store = await open(disk)
  } catch (error) {
    return { kept, ended: `refused to start: ${codeOf(error)}` }
  }
  const done = store.done.then(
    () => 'went on',
    error => `ended by ${codeOf(error)}`,
  )
  try {
    await Promise.race([serving(store), done])
    for (let i = 0; i < 25; i++) {
      await store.write(put(`key-${i % 7}`, `${i}`), never)
      kept.set(`key-${i % 7}`, `${i}`)
    }
  } catch {
    // It is `done` that says why.
  }
  await store.stop()
  return { kept, ended: await done }
}

const codeOf = (error: unknown) =>
  error instanceof Error && 'code' in error ? String(error.code) : error instanceof Error ? error.name : 'nothing'

async function failAt(at: number, how: Failure, random: Prng): Promise<string> {
  const disk = memoryDisk(turn)
  disk.failAfter(at, how, true)
  const { kept, ended } = await lifeOn(disk)
  const next = await open(disk.crash(random), { expectExisting: kept.size > 0 })
  await serving(next)
  for (const [key, value] of kept) {
    const found = Number((await next.get(key))?.value ?? -1)
    if (found < Number(value))
      throw new Error(`${how} at operation ${at}: ${key} is ${found}, ${value} was acknowledged`)
  }
  await next.write(put('after', '1'), never)
  await next.stop()
  return `${how}: ${ended}; all acknowledged is there at the next start`
}
