import { expect, test } from 'vitest'
import { createKv } from '../../src/kv/kv.ts'
import { concat } from '../../src/lib/bytes.ts'
import {
  BackupError,
  type BackupHead,
  backupName,
  backupReader,
  defaultSchedule,
  durationMs,
  encodeBackup,
  isBackupName,
  isDue,
  scheduleData,
  scheduleOf,
  superfluous,
} from '../../src/node/backup.ts'

const head: BackupHead = {
  clusterId: 'c-1',
  clusterName: 'home',
  origin: 'c-0',
  past: ['c-0'],
  clusterCidr: '10.42.0.0/16',
  serviceCidr: '10.43.0.0/16',
  term: 3,
  index: 41,
  revision: 40,
  hash: 7,
  atMs: Date.UTC(2026, 0, 31, 12),
  node: 'nas',
  newest: true,
  scheduled: false,
  program: 'v1',
}
const chunks = [Uint8Array.of(1, 2, 3), new Uint8Array(0), new Uint8Array(300).fill(9)]
const file = concat([...encodeBackup(head, chunks)])

function readAll(bytes: Uint8Array, step = bytes.length) {
  const reader = backupReader()
  const found: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += step) {
    for (const chunk of reader.push(bytes.subarray(at, at + step))) found.push(chunk)
  }
  return { head: reader.finish(), chunks: found }
}

test('what was written is read, however the bytes come', () => {
  for (const step of [1, 2, 7, 64, file.length]) {
    const read = readAll(file, step)
    expect(read.head).toEqual(head)
    expect(read.chunks.map(one => [...one])).toEqual(chunks.map(one => [...one]))
  }
})

test('the head is known before the rest was read', () => {
  const reader = backupReader()
  expect(reader.head).toBeUndefined()
  reader.push(file.subarray(0, file.length - 320))
  expect(reader.head).toEqual(head)
})

test('every bent bit, every missing end and everything that follows is refused', () => {
  for (let at = 0; at < file.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bent = Uint8Array.from(file)
      bent[at] = (bent[at] ?? 0) ^ (1 << bit)
      expect(() => readAll(bent), `byte ${at}, bit ${bit}`).toThrow(BackupError)
    }
    expect(() => readAll(file.subarray(0, at)), `cut at ${at}`).toThrow(BackupError)
  }
  expect(() => readAll(concat([file, Uint8Array.of(0)]))).toThrow(/something follows/)
  expect(() => readAll(concat([file, file]))).toThrow(/something follows/)
})

test('a record that is left out, doubled or moved is noticed', () => {
  const parts = [...encodeBackup(head, chunks)]
  const [begin = file, first = file, a = file, b = file, c = file, end = file] = parts
  for (const wrong of [
    [begin, first, a, c, end],
    [begin, first, a, a, b, c, end],
    [begin, first, b, a, c, end],
    [begin, a, b, c, end],
    [begin, end],
    [begin, first, a, b, c],
  ]) {
    expect(() => readAll(concat(wrong))).toThrow(BackupError)
  }
})

test('other files are told apart from damaged ones', () => {
  expect(() => readAll(new TextEncoder().encode('PK\u0003\u0004 and more than twenty bytes'))).toThrow(/not a backup/)
  expect(() => readAll(new Uint8Array(0))).toThrow(/not a backup/)
  const newer = Uint8Array.from(file)
  newer[19] = 2
  expect(() => readAll(newer)).toThrow(/newer flotilla/)
})

test('an empty store makes a backup as well', () => {
  expect(createKv().index).toBe(0)
  expect(readAll(concat([...encodeBackup(head, [])])).chunks).toEqual([])
})

test('names sort by time, and only such names are names', () => {
  const name = backupName(head, '20260131T120000Z')
  expect(name).toBe('home-20260131T120000Z-r40.backup')
  expect(isBackupName(name)).toBe(true)
  expect(isBackupName(backupName({ ...head, scheduled: true }, '20260131T120000Z'))).toBe(true)
  for (const bad of ['../etc', `/${name}`, `a/${name}`, 'x.backup', `${name}.part`, name.toUpperCase(), '.backup']) {
    expect([bad, isBackupName(bad)]).toEqual([bad, false])
  }
})

test('the oldest scheduled ones go, others stay', () => {
  const scheduled = ['20260103T000000Z', '20260101T000000Z', '20260102T000000Z'].map(
    stamp => `home-${stamp}-r1-scheduled.backup`,
  )
  const names = [...scheduled, 'home-20250101T000000Z-r1.backup', 'notes.txt']
  expect(superfluous(names, 1)).toEqual([scheduled[1], scheduled[2]])
  expect(superfluous(names, 3)).toEqual([])
})

test('one is due when enough time has passed and something has changed', () => {
  const hour = 3_600_000
  const schedule = { everyMs: hour, keep: 5 }
  const at = (nowMs: number, revision = 100) => ({ nowMs, revision, foundedMs: 0 })
  expect(isDue(schedule, undefined, at(hour - 1))).toBe(false)
  expect(isDue(schedule, undefined, at(hour))).toBe(true)
  expect(isDue(schedule, { atMs: hour, revision: 50 }, at(2 * hour - 1))).toBe(false)
  expect(isDue(schedule, { atMs: hour, revision: 50 }, at(2 * hour))).toBe(true)
  // To note that it was made took a revision.
  expect(isDue(schedule, { atMs: hour, revision: 99 }, at(9 * hour))).toBe(false)
  expect(isDue(schedule, { atMs: hour, revision: 98 }, at(9 * hour))).toBe(true)
  expect(isDue({ ...schedule, everyMs: 0 }, undefined, at(9 * hour))).toBe(false)
})

test('a schedule survives the way through a config map, and nonsense means the default', () => {
  for (const schedule of [
    { everyMs: 12 * 3_600_000, keep: 5 },
    { everyMs: 90_000, keep: 1, to: ['nas', 'pi2'] },
    { everyMs: 0, keep: 3 },
  ]) {
    const data = Object.entries(scheduleData(schedule)).flatMap(([key, value]) =>
      value === null ? [] : [[key, value]],
    )
    expect(scheduleOf(Object.fromEntries(data))).toEqual(schedule)
  }
  expect(scheduleOf({ 'backup-every': 'often', 'backup-keep': '-1', 'backup-to': '' })).toEqual(defaultSchedule)
})

test('times as people say them', () => {
  expect([durationMs('12h'), durationMs('1d'), durationMs('1.5m'), durationMs('off')]).toEqual([
    43_200_000, 86_400_000, 90_000, 0,
  ])
  for (const bad of ['', '12', 'h', '-1h', '1w', '1h30m']) expect([bad, durationMs(bad)]).toEqual([bad, undefined])
})
