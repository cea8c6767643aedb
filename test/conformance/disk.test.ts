// What every Disk promises while nothing crashes. The simulated disk passes the same list (test/sim); what a crash may
// do is tried there, because a real one needs a pulled plug.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { openDisk } from '../../src/drivers/disk.ts'
import { text, utf8 } from '../../src/lib/bytes.ts'

const root = await mkdtemp(join(tmpdir(), 'flotilla-disk-'))
afterAll(() => rm(root, { recursive: true }))
let count = 0
const fresh = () => openDisk(join(root, String(count++)))

test('a file keeps what was written at each offset, over a reopen', async () => {
  const disk = await fresh()
  const file = await disk.open('log/00000001')
  await file.writeAt(0, utf8('hello'))
  await file.writeAt(5, utf8(' world'))
  await file.sync()
  await file.close()
  const again = await disk.open('log/00000001')
  expect(await again.size()).toBe(11)
  expect(text(await again.readAt(6, 100))).toBe('world')
  expect((await again.readAt(50, 10)).length).toBe(0)
  await again.truncate(5)
  expect(await again.size()).toBe(5)
  await again.writeAt(8, utf8('x'))
  expect([...(await again.readAt(5, 4))]).toEqual([0, 0, 0, 120])
  await again.close()
})

test('replace, read, list and remove', async () => {
  const disk = await fresh()
  expect(await disk.read('a')).toBeUndefined()
  expect(await disk.list('folder')).toEqual([])
  await disk.replace('folder/b', utf8('1'))
  await disk.replace('folder/a', utf8('1'))
  await disk.replace('folder/a', utf8('2'))
  expect(await disk.list('folder')).toEqual(['a', 'b'])
  expect(text((await disk.read('folder/a')) ?? utf8(''))).toBe('2')
  await disk.remove('folder/a')
  await disk.remove('folder/a')
  expect(await disk.list('folder')).toEqual(['b'])
})

test('names that leave the folder or hide are refused', async () => {
  const disk = await fresh()
  for (const name of ['../x', '/x', 'a/b/c', '.x', 'a/../b', '', 'a/', 'x.tmp', 'a\0b']) {
    await expect(disk.open(name)).rejects.toThrow('not a name')
    await expect(disk.replace(name, utf8(''))).rejects.toThrow('not a name')
    await expect(disk.remove(name)).rejects.toThrow('not a name')
  }
})

test('a map gives entries in order, takes batches whole, and keeps them over a reopen', async () => {
  const disk = await fresh()
  const map = await disk.openMap('state')
  await map.batch(
    [
      { key: 'b', value: utf8('2') },
      { key: 'a', value: utf8('1') },
      { key: 'c', value: utf8('') },
    ],
    { sync: true },
  )
  await map.batch([{ key: 'b', value: undefined }], { sync: false })
  await map.close()
  const again = await disk.openMap('state')
  const seen: string[] = []
  for await (const [key, value] of again.entries({ from: 'a', to: 'd' })) seen.push(key + text(value))
  expect(seen).toEqual(['a1', 'c'])
  expect(await again.get('b')).toBeUndefined()
  expect(text((await again.get('a')) ?? utf8('?'))).toBe('1')
  await again.close()
})

test('a map hands back many values in full', async () => {
  const disk = await fresh()
  const map = await disk.openMap('state')
  const changes = Array.from({ length: 5_000 }, (_, i) => ({ key: String(i).padStart(6, '0'), value: utf8(`v${i}`) }))
  await map.batch(changes, { sync: false })
  let n = 0
  for await (const [key, value] of map.entries({ from: '0', to: '9' }))
    expect(key + text(value)).toBe(`${String(n).padStart(6, '0')}v${n++}`)
  expect(n).toBe(5_000)
  await map.close()
})

test('a value that the disk bent is an error, never an answer', async () => {
  const disk = await fresh()
  const folder = join(root, String(count - 1), 'state')
  const map = await disk.openMap('state')
  await map.batch([{ key: 'key', value: utf8('incompressible:0123456789') }], { sync: true })
  await map.close()
  const again = await disk.openMap('state')
  // Opening moved the value from the log into a table; bend it there.
  await again.close()
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const bytes = await readFile(path)
    const at = bytes.indexOf('0123456789')
    if (at >= 0) {
      bytes[at] = (bytes[at] ?? 0) ^ 1
      await writeFile(path, bytes)
    }
  }
  // Either LevelDB refuses to open the file, or the value fails its own checksum, or it is gone; it is never wrong.
  const outcome = await (async () => {
    const bent = await disk.openMap('state')
    try {
      return await bent.get('key')
    } finally {
      await bent.close()
    }
  })().then(
    value => (value === undefined ? 'absent' : text(value)),
    error => (error instanceof Error ? error.name : 'thrown'),
  )
  expect(outcome).not.toMatch(/^incompressible/)
})

test('a folder that another process has is refused', async () => {
  const path = join(root, String(count++))
  await openDisk(path)
  const script = `const { openDisk } = await import(${JSON.stringify(new URL('../../src/drivers/disk.ts', import.meta.url).href)})
    await openDisk(${JSON.stringify(path)}).then(() => console.log('open'), error => console.log(error.code))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
  expect(stdout.trim()).toBe('IN-USE')
})

test('a map that lost a file is an error of its own kind', async () => {
  const disk = await fresh()
  const map = await disk.openMap('state')
  await map.batch([{ key: 'a', value: utf8('1') }], { sync: true })
  await map.close()
  const folder = join(root, String(count - 1), 'state')
  for (const name of await readdir(folder)) if (name.startsWith('MANIFEST')) await rm(join(folder, name))
  await expect(disk.openMap('state')).rejects.toMatchObject({ code: 'CORRUPT' })
})
