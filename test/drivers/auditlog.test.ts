import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type AuditLogLimits, openAuditLog } from '../../src/drivers/auditlog.ts'

let folder = ''
let path = ''
let nowMs = Date.parse('2026-01-02T03:04:05.000Z')
const clock = { nowMs: () => nowMs }
const limits: AuditLogLimits = { bytesMax: 100, backupCountMax: 2, ageMsMax: 3_600_000 }
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-'))
  path = join(folder, 'deep', 'audit.log')
})
afterEach(() => rm(folder, { recursive: true, force: true }))
const names = async () => (await readdir(join(folder, 'deep'))).toSorted()

test('lines stand in the order in which they were given, and only this user reads them', async () => {
  await using log = await openAuditLog(clock, path, { ...limits, bytesMax: 1_000_000 })
  await Promise.all(Array.from({ length: 200 }, (_, i) => log.append(`{"i":${i}}`)))
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  expect(lines).toEqual(Array.from({ length: 200 }, (_, i) => `{"i":${i}}`))
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('what is there stays, and is made private', async () => {
  await openAuditLog(clock, path, limits).then(log => log[Symbol.asyncDispose]())
  await writeFile(path, 'before\n', { mode: 0o644 })
  await using log = await openAuditLog(clock, path, limits)
  await log.append('after')
  expect(await readFile(path, 'utf8')).toBe('before\nafter\n')
})

test('a file that is full is set aside under its time, and the oldest of too many goes', async () => {
  await using log = await openAuditLog(clock, path, limits)
  for (let i = 0; i < 5; i++) {
    await log.append(String(i).repeat(80))
    nowMs += 1_000
  }
  expect(await names()).toEqual(['audit-2026-01-02T03-04-08.000.log', 'audit-2026-01-02T03-04-09.000.log', 'audit.log'])
  expect(await readFile(path, 'utf8')).toBe(`${'4'.repeat(80)}\n`)
})

test('what is too old goes, and files of others stay', async () => {
  await openAuditLog(clock, path, limits).then(log => log[Symbol.asyncDispose]())
  const old = 'audit-2026-01-01T00-00-00.000.log'
  for (const name of [old, 'audit-notes.log', 'other-2026-01-01T00-00-00.000.log']) {
    await writeFile(join(folder, 'deep', name), '')
  }
  await using _ = await openAuditLog(clock, path, limits)
  expect(await names()).toEqual(['audit-notes.log', 'audit.log', 'other-2026-01-01T00-00-00.000.log'])
})

test('an append that fails keeps none behind it from being written', async () => {
  await using log = await openAuditLog(clock, path, limits)
  await log.append('x'.repeat(90))
  await rm(join(folder, 'deep'), { recursive: true })
  await expect(log.append('y'.repeat(90))).rejects.toThrow()
  await import('node:fs/promises').then(fs => fs.mkdir(join(folder, 'deep')))
  await log.append('z')
  expect(await readFile(path, 'utf8')).toBe('z\n')
})
