// The real disk on a file system that is full: a small tmpfs, mounted where nobody else sees it. A write that finds no
// room says so and harms nothing; the reserve is room; a LevelDB opens once there is some.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openDisk } from '../../src/drivers/disk.ts'
import { memberId } from '../../src/raft/types.ts'
import { openLog } from '../../src/store/run-log.ts'
import type { Log } from '../../src/world/log.ts'
import { insideNamespaces } from '../namespaces.ts'

const megabyte = 1024 * 1024
const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }

if (
  insideNamespaces(
    'test/conformance/disk-full.test.ts',
    'flotilla-disk-full',
    process.getuid?.() === 0 ? undefined : 'root',
  )
) {
  const root = mkdtempSync(join(tmpdir(), 'flotilla-full-'))
  let count = 0
  afterAll(() => {
    for (let i = 0; i < count; i++) execFileSync('umount', ['--lazy', join(root, String(i))])
    rmSync(root, { recursive: true })
  })
  const mounted = (sizeMegabytes: number): string => {
    const folder = join(root, String(count++))
    mkdirSync(folder)
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMegabytes}m`, 'tmpfs', folder])
    return folder
  }
  const freeBytes = (folder: string) => {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  }
  /** Takes all the room that there is. */
  const stuff = (folder: string) => {
    const zeros = Buffer.alloc(64 * 1024, 1)
    while (freeBytes(folder) > 0) {
      const size = Math.min(zeros.length, freeBytes(folder))
      writeFileSync(join(folder, 'stuff'), zeros.subarray(0, size), { flag: 'a' })
    }
  }
  const unstuff = (folder: string) => rmSync(join(folder, 'stuff'))

  test('a write without room says FULL, also the one with a sync; in bytes that are there already it succeeds', async () => {
    const folder = mounted(8)
    const disk = await openDisk(join(folder, 'store'))
    const file = await disk.open('log/1')
    await file.writeAt(0, new Uint8Array(64 * 1024))
    await file.sync()
    stuff(folder)
    await expect(file.writeAt(64 * 1024, new Uint8Array(100_000))).rejects.toMatchObject({ code: 'FULL' })
    const both = async () => await file.writeAndSync?.(64 * 1024, new Uint8Array(40_000).fill(1))
    await expect(both()).rejects.toMatchObject({ code: 'FULL' })
    await expect(disk.replace('a', new Uint8Array(100_000))).rejects.toMatchObject({ code: 'FULL' })
    await file.writeAt(100, new Uint8Array(1_000).fill(7))
    await file.sync()
    unstuff(folder)
    await file.writeAt(64 * 1024, new Uint8Array(100_000).fill(2))
    await file.sync()
    expect((await file.readAt(64 * 1024 + 50_000, 1))[0]).toBe(2)
    await file.close()
  })

  test('a log goes on within what it made ready, and takes an append as soon as there is room for it', async () => {
    const folder = mounted(16)
    const disk = await openDisk(join(folder, 'store'))
    const identity = { cluster: 'c', member: memberId('me') }
    const { log } = await openLog(disk, identity, silent)
    await log.begin()
    const entry = (index: number, size: number) => {
      return { index, term: 1, kind: 'command', command: new Uint8Array(size).fill(index) } as const
    }
    await log.append({ hard: { term: 1, vote: undefined }, entries: [entry(1, 100)] })
    stuff(folder)
    for (let index = 2; index < 50; index++) await log.append({ entries: [entry(index, 1_000)] })
    await log.mark()
    await log.close()
    unstuff(folder)
    const again = await openLog(disk, identity, silent)
    expect(again.found).toBe('clean')
    expect(again.state.entries).toHaveLength(49)
    await again.log.close()
  })

  test('the reserve is real room, smaller on a small disk, and lets a LevelDB open on a full one', async () => {
    const folder = mounted(128)
    const path = join(folder, 'store')
    const disk = await openDisk(path)
    const map = await disk.openMap('state')
    await map.batch([{ key: 'a', value: new Uint8Array(100) }], { sync: true })
    await map.close()
    const before = freeBytes(folder)
    expect(await disk.reserve?.keep(64 * megabyte)).toBe(true)
    const taken = before - freeBytes(folder)
    expect(taken).toBeGreaterThanOrEqual(2 * megabyte)
    expect(taken).toBeLessThan(3 * megabyte)
    expect(await disk.reserve?.keep(64 * megabyte)).toBe(true)

    stuff(folder)
    await expect(disk.openMap('state')).rejects.toMatchObject({ code: 'FULL' })
    expect(await disk.reserve?.release()).toBe(true)
    expect(await disk.reserve?.release()).toBe(false)
    expect(await disk.reserve?.keep(64 * megabyte)).toBe(false)
    const again = await disk.openMap('state')
    expect((await again.get('a'))?.length).toBe(100)
    await again.close()
  })

  test('a folder can be taken on a full disk, at the cost of the reserve', async () => {
    const folder = mounted(128)
    const path = join(folder, 'store')
    const script = (last: string) => `
      const { openDisk } = await import(${JSON.stringify(new URL('../../src/drivers/disk.ts', import.meta.url).href)})
      const disk = await openDisk(${JSON.stringify(path)})
      ${last}`
    const run = (last: string) =>
      execFileSync(process.execPath, ['--input-type=module', '--eval', script(last)], { encoding: 'utf8' })
    run('await disk.reserve.keep(1e9)')
    stuff(folder)
    expect(run('console.log("open", await disk.reserve.release())')).toContain('open false')
  })
}
