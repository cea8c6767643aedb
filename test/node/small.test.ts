// The small pure parts of a peer, and its files.
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import * as path from 'node:path'
import { expect, test } from 'vitest'
import { realLog } from '../../src/drivers/log.ts'
import type { MemberInfo } from '../../src/kv/store.ts'
import { concat, text, utf8 } from '../../src/lib/bytes.ts'
import { ConfigError, isClusterName, parseClusterRecord, storeFolderOf } from '../../src/node/config.ts'
import { setAside, timeStamp, tracesOfCluster } from '../../src/node/run-files.ts'
import { whyNotRemove } from '../../src/node/run-leave.ts'
import { ownKubelet } from '../../src/node/run-pipe.ts'
import { syncTimes, timedDisk } from '../../src/node/run-vitals.ts'
import type { Disk } from '../../src/world/disk.ts'
import { peerId } from '../../src/world/network.ts'
import { memoryDisk } from '../store/disk.ts'

const old = { clusterId: '0123456789ab', memberId: 'm', nodeName: 'nas', clusterCidr: 'a', serviceCidr: 'b' }

test('a record of an older program gets what it lacks, a bent one is refused', () => {
  expect(parseClusterRecord(JSON.stringify(old), 'f')).toEqual({
    ...old,
    clusterName: 'flotilla-01234567',
    origin: '0123456789ab',
    past: [],
    store: 'store',
    founded: false,
    ran: false,
    witness: false,
  })
  for (const bad of [
    '',
    '{',
    '[]',
    '{}',
    JSON.stringify({ ...old, memberId: '' }),
    JSON.stringify({ ...old, store: '../x' }),
  ]) {
    expect(() => parseClusterRecord(bad, 'f')).toThrow(ConfigError)
  }
})

test('each member has a folder of its own, and names are plain', () => {
  expect(storeFolderOf('7b09904e-74cf-4b40-89ea-6b1218efb1d7')).toBe('store-7b09904e74cf')
  expect(['home', 'a', 'my-lab-2'].every(isClusterName)).toBe(true)
  expect(['', 'Home', '-a', 'a-', 'a.b', 'x'.repeat(64)].some(isClusterName)).toBe(false)
})

test('what is replaced is kept in a folder of its time', async () => {
  const dir = fs.mkdtempSync(path.join(tmpdir(), 'flotilla-aside-'))
  const nowMs = Date.UTC(2026, 0, 31, 23, 59, 58, 999)
  expect(timeStamp(nowMs)).toBe('20260131T235958Z')
  expect(await setAside(dir, ['store', 'pki'], 'damaged', nowMs)).toBeUndefined()
  fs.mkdirSync(path.join(dir, 'store'))
  fs.writeFileSync(path.join(dir, 'store', 'x'), '1')
  const first = await setAside(dir, ['store', 'pki'], 'damaged', nowMs)
  expect(first).toBe(path.join(dir, 'aside', '20260131T235958Z-damaged'))
  fs.mkdirSync(path.join(dir, 'store'))
  const second = await setAside(dir, ['store'], 'damaged', nowMs)
  expect(second).toBe(`${first}-2`)
  expect(fs.readFileSync(path.join(first ?? '', 'store', 'x'), 'utf8')).toBe('1')
  expect(await tracesOfCluster(dir)).toEqual([])
  fs.mkdirSync(path.join(dir, 'store-abc'))
  expect(await tracesOfCluster(dir)).toEqual(['store-abc'])
  fs.rmSync(dir, { recursive: true })
})

test('nobody is removed whom the others could not do without', () => {
  const member = (name: string, role: MemberInfo['role'] = 'voter'): MemberInfo => ({
    member: name,
    peer: peerId(name),
    role,
  })
  const why = (members: readonly MemberInfo[], target: string, ...dead: readonly string[]) =>
    whyNotRemove(members, peerId(target), ({ peer }) => !dead.includes(peer))
  const three = [member('a'), member('b'), member('c')]
  expect(why(three, 'c', 'c')).toBeUndefined()
  expect(why(three, 'c', 'b', 'c')).toMatch(/1 of 2 voters would be there/)
  expect(why([member('a'), member('b')], 'b', 'b')).toBeUndefined()
  expect(why([member('a'), member('b', 'learner')], 'b', 'a', 'b')).toBeUndefined()
  expect(why([member('a')], 'a', 'a')).toMatch(/flotilla recover/)
  expect(why([...three, member('d'), member('e')], 'e', 'd', 'e')).toBeUndefined()
  expect(why([...three, member('d'), member('e')], 'a', 'd', 'e')).toMatch(/2 of 4/)
})

test('the times of syncs: the last ones count, and both ways to sync are timed', async () => {
  const times = syncTimes()
  expect(times.p99Ms()).toBeUndefined()
  times.took(500)
  expect(times.p99Ms()).toBe(500)
  for (let i = 1; i <= 256; i++) times.took(i / 256)
  expect(times.p99Ms()).toBeCloseTo(254 / 256, 5)

  let nowMs = 0
  const clock = { monotonicMs: () => nowMs }
  const slow = syncTimes()
  const memory = memoryDisk(async () => undefined)
  const disk: Disk = {
    ...memory,
    async open(name) {
      const file = await memory.open(name)
      const sync = async () => {
        nowMs += 7
        await file.sync()
      }
      return {
        ...file,
        sync,
        writeAndSync(offset, bytes) {
          nowMs += 1
          if (offset === 0) return undefined
          return file.writeAt(offset, bytes).then(sync)
        },
      }
    },
  }
  const file = await timedDisk(disk, clock, slow).open('x')
  await file.writeAt(0, Uint8Array.of(1))
  expect(slow.p99Ms()).toBeUndefined()
  expect(file.writeAndSync?.(0, Uint8Array.of(1))).toBeUndefined()
  expect(slow.p99Ms()).toBe(1)
  await file.sync()
  expect(slow.p99Ms()).toBe(7)
  await file.writeAndSync?.(1, Uint8Array.of(2))
  expect(slow.p99Ms()).toBe(8)
  expect(await file.size()).toBe(2)
})

test('who asks the kubelet of this peer before it has come up waits for it, and no longer than they want', async () => {
  const own = ownKubelet(peerId('self'), realLog({ level: 'error', format: 'text' }))
  const impatient = new AbortController()
  const never = new AbortController().signal
  const refused = own.open(impatient.signal)
  const patient = own.open(never)
  impatient.abort()
  await expect(refused).rejects.toMatchObject({ reason: 'unreachable' })
  own.is({
    async serve(stream) {
      await stream.write(utf8('here'))
      await stream.closeWrite()
    },
  })
  for (const stream of [await patient, await own.open(never)]) {
    expect(text(concat(await Array.fromAsync(stream.read())))).toBe('here')
  }
})
