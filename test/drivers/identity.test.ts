import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { loadIdentity, parsePeerId, readIdentity } from '../../src/drivers/identity.ts'

const folder = mkdtempSync(join(tmpdir(), 'flotilla-identity-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the first start makes a key for its owner alone, each later start is the same peer', async () => {
  const path = join(folder, 'first', 'peer.key')
  expect(await readIdentity(path)).toBeUndefined()
  const made = await loadIdentity(path)
  expect(made.made).toBe(true)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readdirSync(join(folder, 'first'))).toEqual(['peer.key'])
  const again = await loadIdentity(path)
  expect([again.made, again.peer]).toEqual([false, made.peer])
  expect(parsePeerId(made.peer)).toBe(made.peer)
})

test('starts at the same moment agree on one key', async () => {
  const path = join(folder, 'race', 'peer.key')
  const all = await Promise.all(Array.from({ length: 8 }, () => loadIdentity(path)))
  expect(new Set(all.map(identity => identity.peer)).size).toBe(1)
})

test('a key that others may read is refused, with what to do', async () => {
  const path = join(folder, 'loose', 'peer.key')
  await loadIdentity(path)
  chmodSync(path, 0o644)
  await expect(loadIdentity(path)).rejects.toThrow(/mode 644.*chmod 600 .*peer\.key/)
  chmodSync(path, 0o400)
  expect((await loadIdentity(path)).made).toBe(false)
})

test('a file that holds no key is refused and never overwritten', async () => {
  const path = join(folder, 'garbage.key')
  for (const content of ['', 'garbage', '-----BEGIN PRIVATE KEY-----']) {
    writeFileSync(path, content, { mode: 0o600 })
    await expect(loadIdentity(path)).rejects.toThrow(/does not hold a key/)
    expect(statSync(path).size).toBe(content.length)
  }
})

test('what is no peer ID is none', () => {
  for (const text of [
    '',
    'node-1',
    '12D3KooW',
    'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N',
    '12D3KooWx'.repeat(9),
  ]) {
    expect(parsePeerId(text)).toBeUndefined()
  }
})
