// What a store says of its disk when it starts: one line for what is well, an error that says what to do for what is
// not; and which old copies of its files it can tell from the newest ones by itself.
import { expect, test } from 'vitest'
import { realClock } from '../../src/drivers/clock.ts'
import { realRandom } from '../../src/drivers/random.ts'
import type { Write } from '../../src/kv/store.ts'
import { memberId } from '../../src/raft/types.ts'
import { openStore, type RunningStore, type StoreConfig } from '../../src/store/run.ts'
import type { Log, LogFields } from '../../src/world/log.ts'
import { peerId } from '../../src/world/network.ts'
import { type Content, type MemoryDisk, memoryDisk } from './disk.ts'
import { createMesh } from './network.ts'

const never = new AbortController().signal
const put = (key: string, value: string): Write => ({ compare: [], operations: [{ key, value }] })
const turn = () => new Promise<void>(resolve => setImmediate(resolve))
const config: StoreConfig = {
  clusterId: 'boot',
  member: memberId('m0'),
  bootstrap: true,
  tickMs: 2,
  electionTicks: 5,
  heartbeatTicks: 1,
  zeroBytesAhead: 2_048,
  segmentBytesMax: 4_096,
  flushCountMax: 10,
  logCountMax: 20,
}

type Line = { readonly level: string; readonly text: string; readonly fields: LogFields }

function open(disk: MemoryDisk, more: Partial<StoreConfig> = {}, lines: Line[] = []): Promise<RunningStore> {
  const note =
    (level: string) =>
    (text: string, fields: LogFields = {}) =>
      void lines.push({ level, text, fields })
  const log: Log = { debug() {}, info: note('info'), warn: note('warn'), error: note('error'), with: () => log }
  const world = { clock: realClock(), random: realRandom(), network: createMesh().network(peerId('one')), disk, log }
  return openStore(world, { ...config, ...more }, never)
}

async function serving(store: RunningStore): Promise<void> {
  for await (const state of store.leadership(never)) if (state.mine) return
}

/** A stopped store after so many writes more. */
async function lived(disk: MemoryDisk, writes: number, expectExisting = true): Promise<Content> {
  const store = await open(disk, { expectExisting })
  await serving(store)
  for (let i = 0; i < writes; i++) await store.write(put(`key-${i % 5}`, 'x'.repeat(60)), never)
  await store.stop()
  return disk.content()
}

const isLog = (name: string) => name.startsWith('log/')
const lastSegment = (content: Content) =>
  [...content.files]
    .filter(([name, bytes]) => isLog(name) && bytes.some(byte => byte !== 0))
    .sort()
    .at(-1) ?? ['', new Uint8Array(0)]

test('what is found is said in one line, and damage in words that say what to do', async () => {
  const whole = await lived(memoryDisk(turn), 60, false)
  const damaged = (act: (content: Content) => void): MemoryDisk => {
    const content = memoryDisk(turn, whole).content()
    act(content)
    return memoryDisk(turn, content)
  }
  const said = async (disk: MemoryDisk, more: Partial<StoreConfig> = {}) => {
    const lines: Line[] = []
    const store = await open(disk, { expectExisting: true, ...more }, lines)
    await store.stop()
    return lines.filter(({ text }) => text === 'store opened').map(({ fields }) => fields['found'])
  }
  expect(await said(memoryDisk(turn), { expectExisting: false })).toEqual(['new'])
  expect(await said(damaged(() => {}))).toEqual(['clean'])
  const [name, bytes] = lastSegment(whole)
  const end = bytes.findLastIndex(byte => byte !== 0) + 1
  const torn = (content: Content) => content.files.set(name, bytes.slice().fill(7, end + 8, end + 20))
  expect(await said(damaged(torn))).toEqual(['torn'])

  const refused = async (act: (content: Content) => void, more: Partial<StoreConfig> = {}) =>
    await open(damaged(act), { expectExisting: true, ...more }).then(
      () => 'opened',
      error => `${error.name} ${error.found}: ${error.message}`,
    )
  expect(await refused(content => content.files.set(name, bytes.slice().fill(7, 5, 9)))).toMatch(
    /corrupt: .*not take part/,
  )
  expect(await refused(content => content.files.delete(name))).toMatch(/StoreDamage missing: .*forgotten a vote/)
  expect(await refused(content => content.files.set(name, bytes.slice(0, end)))).toMatch(/StoreDamage missing/)
  expect(await refused(content => content.files.delete('watermark'))).toMatch(/StoreDamage missing: the watermark/)
  expect(await refused(content => content.maps.clear())).toMatch(/StoreDamage missing: the applied state/)
  const noLog = (content: Content) => {
    for (const file of [...content.files.keys()]) content.files.delete(file)
  }
  expect(await refused(noLog)).toMatch(/StoreDamage missing: there is applied state but no log/)
  const nothing = (content: Content) => {
    noLog(content)
    content.maps.clear()
  }
  expect(await refused(nothing)).toMatch(/StoreDamage missing: this member has run before/)
  expect(await refused(() => {}, { member: memberId('other') })).toMatch(/StoreDamage foreign: .*its own folder/)
})

test('old copies are told from newest ones wherever two files of them disagree', async () => {
  const disk = memoryDisk(turn)
  const old = await lived(disk, 40, false)
  const newest = await lived(disk, 200)
  const mixed = async (wanted: { log: Content; watermark: Content; state: Content }): Promise<string> => {
    const files = new Map([...wanted.log.files].filter(([name]) => isLog(name)))
    files.set('watermark', wanted.watermark.files.get('watermark') ?? new Uint8Array(0))
    const store = await open(memoryDisk(turn, { files, maps: wanted.state.maps }), { expectExisting: true }).catch(
      error => error,
    )
    if (store instanceof Error) return 'found' in store ? String(store.found) : store.name
    const { appliedIndex } = store.status()
    await store.stop()
    return appliedIndex > 200 ? 'opened' : 'opened, and old'
  }
  expect(await mixed({ log: newest, watermark: newest, state: newest })).toBe('opened')
  expect(await mixed({ log: old, watermark: newest, state: newest })).toBe('missing')
  expect(await mixed({ log: old, watermark: newest, state: old })).toBe('missing')
  // The log goes further than the state, and than what is said to have been synced: as after a crash.
  expect(await mixed({ log: newest, watermark: old, state: newest })).toBe('opened')
  expect(await mixed({ log: newest, watermark: newest, state: old })).toBe('missing')
  expect(await mixed({ log: old, watermark: old, state: newest })).toBe('missing')
  // All of it old is a whole store: only the leader knows better, because it was told more (raft: lostData).
  expect(await mixed({ log: old, watermark: old, state: old })).toBe('opened, and old')
})
