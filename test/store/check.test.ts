// What a check of a stopped store says, file by file; and that it leaves every byte as it is.
import { expect, test } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { type Entry, memberId } from '../../src/raft/types.ts'
import type { Identity } from '../../src/store/log.ts'
import { checkStore } from '../../src/store/run-check.ts'
import { openLog } from '../../src/store/run-log.ts'
import type { Log } from '../../src/world/log.ts'
import { type MemoryDisk, memoryDisk } from './disk.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
const identity: Identity = { cluster: 'c', member: memberId('me') }
const entry = (index: number): Entry => ({ index, term: 1, kind: 'command', command: utf8(`entry ${index}`) })

async function filled(): Promise<MemoryDisk> {
  const disk = memoryDisk()
  const { log } = await openLog(disk, identity, silent, { zeroBytesAhead: 2_048, segmentBytesMax: 4_096 })
  await log.append({ hard: { term: 1, vote: undefined }, entries: [entry(1)] })
  for (let i = 2; i <= 100; i++) await log.append({ entries: [entry(i)] })
  await log.close()
  return disk
}

function bend(disk: MemoryDisk, name: string, act: (bytes: Uint8Array) => Uint8Array): MemoryDisk {
  const copy = disk.copy()
  const bytes = act(copy.files.get(name)?.now.slice() ?? new Uint8Array())
  copy.files.set(name, { durable: bytes, now: bytes, pending: [] })
  return copy
}

const first = 'log/0000000000000001'

test('a store that is whole is clean, and what it holds is said', async () => {
  const disk = await filled()
  const before = new Map([...disk.files].map(([name, file]) => [name, file.now]))
  const report = await checkStore(disk)
  expect(report).toMatchObject({ outcome: 'clean', identity, term: 1, index: 100 })
  expect(report.files.map(file => file.name)).toContain('watermark')
  expect(report.files.filter(file => file.name.startsWith('log/')).length).toBeGreaterThan(1)
  expect(report.files.filter(file => file.problem !== undefined)).toEqual([])
  expect(new Map([...disk.files].map(([name, file]) => [name, file.now]))).toEqual(before)
})

test('a blank disk is new, an opened one unused', async () => {
  const disk = memoryDisk()
  expect(await checkStore(disk)).toMatchObject({ outcome: 'new', files: [] })
  const { log } = await openLog(disk, identity, silent)
  await log.begin()
  expect(await checkStore(disk)).toMatchObject({ outcome: 'unused', identity })
})

test('damage is told with the file, and the others are looked at all the same', async () => {
  const disk = await filled()
  const bent = await checkStore(bend(disk, first, bytes => bytes.fill(9, 300, 301)))
  expect(bent).toMatchObject({ outcome: 'corrupt', why: expect.stringContaining(first) })
  expect(bent.files.find(file => file.name === first)?.problem).toContain('bad bytes')
  expect(bent.files.filter(file => file.problem === undefined).length).toBeGreaterThan(1)
  const small = memoryDisk()
  const { log } = await openLog(small, identity, silent, { zeroBytesAhead: 2_048 })
  await log.append({ entries: [entry(1)] })
  const short = await checkStore(bend(small, first, bytes => bytes.slice(0, 2_047)))
  expect(short).toMatchObject({ outcome: 'missing', why: expect.stringContaining('was made with') })
  const foreign = await checkStore(disk, { ...identity, member: memberId('you') })
  expect(foreign).toMatchObject({ outcome: 'foreign', why: expect.stringContaining('another') })
  const stranger = await checkStore(bend(disk, 'log/notes', () => utf8('x')))
  expect(stranger.files.find(file => file.name === 'log/notes')?.problem).toBeDefined()
})

test('a torn tail is told and not cut', async () => {
  const disk = await filled()
  const last = [...disk.files.keys()].filter(name => name.startsWith('log/')).sort()
  const active = last.findLast(name => disk.files.get(name)?.now.some(byte => byte !== 0)) ?? ''
  const torn = bend(disk, active, bytes => {
    const end = bytes.findLastIndex(byte => byte !== 0) + 1
    return bytes.fill(3, end + 5, end + 9)
  })
  const before = torn.files.get(active)?.now
  expect(await checkStore(torn)).toMatchObject({ outcome: 'torn', index: 100 })
  expect(torn.files.get(active)?.now).toBe(before)
})
