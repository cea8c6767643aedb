// Bad days, with running containers: what survives goes on, what is lost comes back, and nothing restarts.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CommandError, until } from '../../testnet/command.ts'
import { type Drill, hosts, openDrill } from './disaster-net.ts'

let drill: Drill
let before: ReadonlyMap<string, string>

beforeAll(async () => {
  drill = await openDrill(line => console.log(`drill: ${line}`))
  await drill.whole()
  await drill.deploy()
  before = await drill.containers()
}, 400_000)
afterAll(async () => await drill?.[Symbol.asyncDispose]())

/** The same containers since the beginning, and no pod that says otherwise. */
async function expectNothingRestarted(host: number): Promise<void> {
  expect(await drill.containers()).toEqual(before)
  const pods = await drill.pods(host)
  expect(pods).toHaveLength(6)
  expect(pods.map(({ status }) => status.containerStatuses?.[0]?.restartCount)).toEqual(pods.map(() => 0))
}

async function refused(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (failed: unknown) => failed,
  )
  if (error instanceof CommandError) return error.stdout + error.stderr
  throw new Error(`it was not refused: ${String(error)}`)
}

const asideOf = (host: number) => {
  const dir = `${drill.dataDir(host)}/aside`
  return existsSync(dir) ? readdirSync(dir) : []
}

test('the majority is gone: one peer recovers; the old majority comes back together and is refused', async () => {
  const { clusterId } = await drill.report(1)
  const revision = await drill.write(1, 'before-recover')
  await drill.kill(1, 2)
  await until('host3 misses its leader', 60_000, async () => (await drill.report(3)).leader === undefined)
  expect(await refused(drill.flotilla(3, 'recover', '--yes-cluster=other'))).toMatch(/called drill, not other/)
  const look = await drill.flotilla(3, 'recover', '--look')
  expect(look).toMatch(/term \d+, index \d+, revision \d+, hash [0-9a-f]{8}/)
  const startedMs = performance.now()
  await drill.flotilla(3, 'recover', '--yes-cluster=drill')
  const after = await drill.write(3, 'after-recover')
  console.log(`from the command to the first write: ${Math.round(performance.now() - startedMs)} ms`)
  expect(after).toBeGreaterThan(revision + 1e9)
  expect(await drill.watchFrom(3, revision)).toMatch(/"code":410/)
  const logs = [1, 2].map(host => drill.agentLog(host).length)
  await Promise.all([drill.start(1), drill.start(2)])
  const now = await drill.whole()
  expect(now).not.toBe(clusterId)
  for (const [i, host] of ([1, 2] as const).entries()) {
    const said = drill.agentLog(host).slice(logs[i])
    expect(said).toContain(`goes on as ${now}`)
    // Its old store never opened: the first one that did was empty.
    expect(said.match(/store opened found=(\w+)/)?.[1]).toBe('new')
    expect(asideOf(host).filter(name => name.endsWith('-of-abandoned-cluster'))).toHaveLength(1)
  }
  await expectNothingRestarted(1)
})

test('one of three data directories is lost: its node comes back under a new key', async () => {
  await drill.kill(2)
  drill.loseData(2)
  const uid = await drill.kubectl(1, 'get node host2 -o jsonpath={.metadata.uid}')
  await drill.comeBack(2, 1)
  await drill.whole()
  expect(await drill.kubectl(2, 'get node host2 -o jsonpath={.metadata.uid}')).toBe(uid)
  await expectNothingRestarted(2)
})

test('two of three data directories are lost: the third recovers, and they come back', async () => {
  const revision = await drill.write(1, 'before-two')
  await drill.kill(1, 2)
  for (const host of [1, 2]) drill.loseData(host)
  await until('host3 misses its leader', 60_000, async () => (await drill.report(3)).leader === undefined)
  await drill.flotilla(3, 'recover', '--yes-cluster=drill')
  expect(await drill.write(3, 'after-two')).toBeGreaterThan(revision + 1e9)
  for (const host of [1, 2]) await drill.comeBack(host, 3)
  await drill.whole()
  await expectNothingRestarted(3)
})

test('all three data directories are lost: a backup made under load begins again on another machine', async () => {
  const load = await drill.load(1)
  await until('the load is under way', 60_000, async () => load.done() >= 5)
  const acknowledged = load.done()
  const file = drill.file('drill.backup')
  await drill.flotilla(2, 'backup', file)
  const atBackup = load.done()
  await until('the load goes on', 60_000, async () => load.done() >= atBackup + 3)
  await load.stop()
  const revision = await drill.write(1, 'after-backup')
  await drill.kill(...hosts)
  for (const host of hosts) drill.loseData(host)

  const bytes = readFileSync(file)
  const middle = Math.floor(bytes.length / 2)
  bytes[middle] = (bytes[middle] ?? 0) ^ 4
  writeFileSync(drill.file('bent.backup'), bytes)
  const bent = ['restore', drill.file('bent.backup'), '--name=host2', '--yes-cluster=drill']
  expect(await refused(drill.flotilla(2, ...bent))).toMatch(/damaged/)
  expect(existsSync(drill.dataDir(2))).toBe(false)

  await drill.flotilla(2, 'restore', file, '--name=host2', '--yes-cluster=drill')
  await drill.start(2)
  expect(await drill.write(2, 'after-restore')).toBeGreaterThan(revision + 5e8)
  expect(await drill.watchFrom(2, revision)).toMatch(/"code":410/)
  const names = await drill.kubectl(2, '-n drill get configmaps -o jsonpath={.items[*].metadata.name}')
  const there = new Set(names.split(' '))
  // What was acknowledged before the backup began is in it; what came after it is not.
  for (let i = 0; i < acknowledged; i++) expect(there).toContain(`w-${i}`)
  expect(there).not.toContain('after-backup')
  for (const host of [1, 3]) await drill.comeBack(host, 2)
  await drill.whole()
  await expectNothingRestarted(2)
  expect(await drill.kubectl(1, 'get quorum')).toMatch(/PEER\s+NODE\s+ROLE\s+STATE\s+MATCH\s+SYNC P99\s+UPTIME\s+WHY/)
})
