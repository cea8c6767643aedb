// The commands for bad days, on real processes.
import * as fs from 'node:fs'
import * as path from 'node:path'
import { expect, test } from 'vitest'
import { type Api, requestApi } from '../../src/cli/api.ts'
import type { ClusterRecord } from '../../src/node/config.ts'
import { readCertificate } from '../../src/node/run-files.ts'
import { type Agent, CommandFailed, flotilla, openAgents, patienceMs, until } from './agents.ts'

const timeout = 4 * patienceMs
const recordOf = ({ dataDir }: Agent) =>
  JSON.parse(fs.readFileSync(path.join(dataDir, 'cluster.json'), 'utf8')) as ClusterRecord
const asideOf = ({ dataDir }: Agent) =>
  fs.readdirSync(path.join(dataDir, 'aside')).map(name => name.replace(/^\w+Z-/, ''))

async function apiOf({ dataDir }: Agent): Promise<Api> {
  const [ca, admin] = await Promise.all([readCertificate(dataDir, 'ca'), readCertificate(dataDir, 'admin')])
  const server = /server: (\S+)/.exec(fs.readFileSync(path.join(dataDir, 'kubeconfig'), 'utf8'))?.[1] ?? ''
  if (ca === undefined || admin === undefined) throw new Error(`no certificates in ${dataDir}`)
  return { server, caPem: ca.certificatePem, admin }
}

type Stored = { readonly metadata: { readonly resourceVersion: string; readonly uid: string } }
const configMaps = '/api/v1/namespaces/default/configmaps'
const write = async (agent: Agent, name: string) =>
  await until(`${name} is written`, async () =>
    requestApi<Stored>(await apiOf(agent), 'POST', configMaps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name },
    }),
  )
const read = async (agent: Agent, name: string) =>
  await until(`${name} is there`, async () => requestApi<Stored>(await apiOf(agent), 'GET', `${configMaps}/${name}`))
const revisionOf = ({ metadata }: Stored) => Number(metadata.resourceVersion)

async function votersAre(agent: Agent, ...names: readonly string[]): Promise<void> {
  await until(`${names.join()} have the votes`, async () => {
    const { peers, leader } = await agent.status()
    const voters = peers.filter(({ role }) => role === 'voter').map(({ node }) => node)
    return leader !== undefined && voters.sort().join() === names.toSorted().join() ? true : undefined
  })
}

async function refusal(work: Promise<string>): Promise<CommandFailed> {
  const error = await work.then(
    said => new Error(`it was not refused: ${said}`),
    (failed: unknown) => failed,
  )
  if (error instanceof CommandFailed) return error
  throw error
}

/** Of the largest file of the log. */
function flipLogByte(agent: Agent, at: (length: number) => number): void {
  const dir = path.join(agent.dataDir, recordOf(agent).store, 'log')
  const names = fs.readdirSync(dir).filter(name => /^\d+$/.test(name))
  const file = path.join(dir, names.toSorted()[0] ?? '')
  const bytes = fs.readFileSync(file)
  const place = at(bytes.findLastIndex(byte => byte !== 0))
  bytes[place] = (bytes[place] ?? 0) ^ 0x10
  fs.writeFileSync(file, bytes)
}

test(
  'a cluster of one: backup, check, a damaged store is refused, restore begins again',
  async () => {
    await using agents = openAgents()
    const [one] = await agents.cluster('one')
    if (one === undefined) throw new Error('no agent')
    await write(one, 'before')
    const file = path.join(agents.dir, 'home.backup')
    expect(await one.run('backup', file)).toMatch(/home \(.*revision/)
    expect(fs.statSync(file).mode & 0o777).toBe(0o600)
    const after = await write(one, 'after')
    expect((await refusal(one.run('recover', '--yes-cluster=home'))).said).toMatch(/has a leader/)
    expect((await refusal(flotilla('check', one.dataDir))).said).toMatch(/agent runs/)
    expect((await refusal(one.run('leave'))).said).toMatch(/only peer/)
    const { clusterId } = recordOf(one)
    await one.stop()
    expect(await flotilla('check', one.dataDir)).toMatch(/clean/)
    expect(await flotilla('check', file)).toMatch(/whole/)

    flipLogByte(one, length => Math.floor(length / 2))
    const damage = await refusal(flotilla('check', one.dataDir))
    expect(damage).toMatchObject({ code: 2, said: expect.stringMatching(/DAMAGED|INCOMPLETE/) })
    one.launch('up')
    expect(await one.ended()).toBe(1)
    expect(one.said()).toMatch(/flotilla restore <file>/)
    expect(recordOf(one).clusterId).toBe(clusterId)

    const bent = path.join(agents.dir, 'bent.backup')
    const bytes = fs.readFileSync(file)
    const middle = Math.floor(bytes.length / 2)
    bytes[middle] = (bytes[middle] ?? 0) ^ 1
    fs.writeFileSync(bent, bytes)
    const before = fs.readdirSync(one.dataDir).sort()
    expect((await refusal(one.run('restore', bent, '--yes-cluster=home'))).said).toMatch(/damaged/)
    expect((await refusal(one.run('restore', file, '--yes-cluster=other'))).said).toMatch(/called home/)
    expect((await refusal(one.run('restore', file))).said).toMatch(/--yes-cluster home/)
    expect(fs.readdirSync(one.dataDir).sort()).toEqual(before)

    expect(await one.run('restore', file, '--yes-cluster=home')).toMatch(/restored as/)
    expect(asideOf(one)).toEqual(['before-restore'])
    await one.start('up')
    const record = recordOf(one)
    expect(record).toMatchObject({ clusterName: 'home', origin: clusterId, past: [clusterId] })
    expect(record.clusterId).not.toBe(clusterId)
    expect(revisionOf(await read(one, 'before'))).toBeLessThan(revisionOf(after))
    expect(revisionOf(await write(one, 'new'))).toBeGreaterThan(revisionOf(after))
    await expect(requestApi(await apiOf(one), 'GET', `${configMaps}/after`)).rejects.toMatchObject({ code: 404 })
    const watch = `${configMaps}?watch=1&timeoutSeconds=5&resourceVersion=${revisionOf(after)}`
    expect(await requestApi(await apiOf(one), 'GET', watch)).toMatchObject({ type: 'ERROR', object: { code: 410 } })
  },
  timeout,
)

test(
  'a lost majority: one peer recovers, the others come back by themselves, the old majority does not rise again',
  async () => {
    await using agents = openAgents()
    const [one, two, three] = await agents.cluster('one', 'two', 'three')
    if (one === undefined || two === undefined || three === undefined) throw new Error('no agents')
    await votersAre(one, 'one', 'two', 'three')
    const written = await write(one, 'kept')
    await read(three, 'kept')
    const old = recordOf(three)
    await Promise.all([one.kill(), two.kill()])
    // Its agent runs and has lost its majority: it tells what it has, and what is asked first is the name.
    await until('no leader is left', async () => ((await three.status()).leader === undefined ? true : undefined))
    const look = await three.run('recover', '--look')
    for (const words of ['cluster home', old.clusterId, 'term', 'index', 'hash', 'last written', 'two', 'three']) {
      expect(look).toContain(words)
    }
    expect((await refusal(three.run('recover', '--yes-cluster=house'))).said).toMatch(/called home, not house/)
    expect(await three.run('recover', '--yes-cluster=home')).toMatch(/begins again here/)
    await until('it leads', async () => ((await three.status()).leader === undefined ? undefined : true))
    expect(asideOf(three)).toEqual(['before-recover'])
    const now = recordOf(three)
    expect(now).toMatchObject({ clusterName: 'home', origin: old.clusterId, past: [old.clusterId] })
    expect(now.memberId).not.toBe(old.memberId)
    expect(revisionOf(await write(three, 'new'))).toBeGreaterThan(revisionOf(written) + 1e9)

    // Two of three: they could elect a leader, if they did not ask first.
    one.launch('up')
    two.launch('up')
    await votersAre(three, 'one', 'two', 'three')
    for (const back of [one, two]) {
      expect(recordOf(back)).toMatchObject({ clusterId: now.clusterId, nodeName: back.name })
      expect(asideOf(back)).toEqual(['of-abandoned-cluster'])
      expect(back.said()).toContain(`goes on as ${now.clusterId}`)
      await read(back, 'new')
      expect(revisionOf(await read(back, 'kept'))).toBe(revisionOf(written))
    }
    const nodes = await requestApi<{ items: unknown[] }>(await apiOf(one), 'GET', '/api/v1/nodes')
    expect(nodes.items).toHaveLength(3)
  },
  timeout,
)

test(
  'a damaged store is rebuilt from the others, a lost one too, and a lost key comes back with a token that names the node',
  async () => {
    await using agents = openAgents()
    const [one, two, three] = await agents.cluster('one', 'two', 'three')
    if (one === undefined || two === undefined || three === undefined) throw new Error('no agents')
    await votersAre(one, 'one', 'two', 'three')
    for (let i = 0; i < 10; i++) await write(one, `kept-${i}`)
    const uidOf = async (node: string) =>
      (await requestApi<Stored>(await apiOf(one), 'GET', `/api/v1/nodes/${node}`)).metadata.uid
    const uids = [await uidOf('two'), await uidOf('three')]

    const damaged = recordOf(two)
    await two.stop()
    flipLogByte(two, length => Math.floor(length / 2))
    await two.start('up')
    expect(recordOf(two)).toMatchObject({ clusterId: damaged.clusterId, nodeName: 'two' })
    expect(recordOf(two).memberId).not.toBe(damaged.memberId)
    expect(asideOf(two)).toEqual(['damaged'])
    await votersAre(one, 'one', 'two', 'three')

    const lost = recordOf(three)
    await three.kill()
    fs.rmSync(path.join(three.dataDir, lost.store), { recursive: true })
    await three.start('up')
    expect(recordOf(three).memberId).not.toBe(lost.memberId)
    await votersAre(one, 'one', 'two', 'three')

    const { self } = await three.status()
    await three.kill()
    fs.rmSync(three.dataDir, { recursive: true })
    const plain = (await one.run('token', 'create', '--quiet')).trim()
    three.launch('join', `--token=${plain}`)
    expect(await three.ended()).toBe(1)
    expect(three.said()).toMatch(/flotilla token create --replaces three/)
    const token = (await one.run('token', 'create', '--replaces', 'three', '--quiet')).trim()
    await three.start('join', `--token=${token}`)
    await votersAre(one, 'one', 'two', 'three')
    expect((await three.status()).self).not.toBe(self)
    await read(three, 'kept-9')
    expect([await uidOf('two'), await uidOf('three')]).toEqual(uids)

    // What lost its cluster.json alone must not found another.
    await three.stop()
    fs.rmSync(path.join(three.dataDir, 'cluster.json'))
    three.launch('up')
    expect(await three.ended()).toBe(1)
    expect(three.said()).toMatch(/--new-cluster/)
  },
  timeout,
)

test(
  'leaving, removing, and a sole voter that comes back after the other has begun again',
  async () => {
    await using agents = openAgents()
    const [one, two, three] = await agents.cluster('one', 'two', 'three')
    if (one === undefined || two === undefined || three === undefined) throw new Error('no agents')
    await votersAre(one, 'one', 'two', 'three')

    // The leader leaves: it hands over, and is gone with its Node; its key stays.
    const leaderOf = async () => {
      const { leader, peers } = await until('there is a leader', async () => {
        const report = await two.status()
        return report.leader === undefined ? undefined : report
      })
      return peers.find(({ peer }) => peer === leader)?.node
    }
    expect(await leaderOf()).toBe('one')
    expect(await one.run('leave')).toMatch(/left/)
    expect(await one.ended()).toBe(0)
    expect(fs.readdirSync(one.dataDir).sort()).toEqual(['aside', 'identity.key'])
    await until('two peers are left, with one vote', async () => {
      const { peers } = await two.status()
      return peers.length === 2 && peers.filter(({ role }) => role === 'voter').length === 1 ? true : undefined
    })

    // Back with a token, under its key, as a new member.
    await one.start('join', `--token=${(await two.run('token', 'create', '--quiet')).trim()}`)
    await votersAre(two, 'one', 'two', 'three')
    expect((await refusal(two.run('remove', 'nobody'))).said).toMatch(/no peer and no node/)
    expect((await refusal(two.run('remove', 'two'))).said).toMatch(/flotilla leave/)
    await three.kill()
    await until('three is missed', async () => {
      const { peers } = await two.status()
      return peers.find(({ node }) => node === 'three')?.health === 'dead' ? true : undefined
    })
    expect(await two.run('remove', 'three')).toMatch(/no member/)
    const { peers } = await two.status()
    expect(peers.map(({ node }) => node).sort()).toEqual(['one', 'two'])

    // One vote among two peers. The voter goes; the other begins again; the voter comes back and gives way.
    await until('one vote is left', async () => {
      const report = await two.status()
      return report.peers.filter(({ role }) => role === 'voter').length === 1 ? true : undefined
    })
    const voter = (await leaderOf()) === 'one' ? one : two
    const learner = voter === one ? two : one
    await voter.kill()
    await until('no leader is left', async () => ((await learner.status()).leader === undefined ? true : undefined))
    expect((await refusal(learner.run('remove', voter.name))).said).toMatch(/flotilla recover/)
    // This time with its agent stopped.
    await learner.stop()
    expect(await learner.run('recover', '--look')).toContain('cluster home')
    expect(await learner.run('recover', '--yes-cluster=home')).toMatch(/begun again as/)
    expect(await flotilla('check', learner.dataDir)).toMatch(/clean/)
    await learner.start('up')
    await until('it leads', async () => ((await learner.status()).leader === undefined ? undefined : true))
    await voter.start('up')
    expect(recordOf(voter).clusterId).toBe(recordOf(learner).clusterId)
    expect(asideOf(voter)).toContain('of-abandoned-cluster')
  },
  timeout,
)

test(
  'two clusters live that both are this one: nobody gives way, both say so, and a person decides',
  async () => {
    await using agents = openAgents()
    const [one, two, three] = await agents.cluster('one', 'two', 'three')
    if (one === undefined || two === undefined || three === undefined) throw new Error('no agents')
    await votersAre(one, 'one', 'two', 'three')
    await Promise.all([one.kill(), two.kill()])
    await until('no leader is left', async () => ((await three.status()).leader === undefined ? true : undefined))
    await three.run('recover', '--yes-cluster=home')
    await until('it leads', async () => ((await three.status()).leader === undefined ? undefined : true))
    await three.stop()

    // The old majority comes back where nobody of the new cluster is: it cannot know, and serves.
    one.launch('up')
    two.launch('up')
    const written = await write(one, 'in-the-old-one')
    await three.start('up')
    for (const each of [one, three]) {
      await until(`${each.name} says so`, async () => (await each.status()).notice)
      expect((await each.status()).notice).toMatch(/flotilla rejoin/)
    }
    expect(recordOf(one).clusterId).not.toBe(recordOf(three).clusterId)
    // Neither takes the other's word: what is written in one is not in the other.
    await write(three, 'in-the-new-one')
    await expect(requestApi(await apiOf(one), 'GET', `${configMaps}/in-the-new-one`)).rejects.toMatchObject({
      code: 404,
    })

    expect((await refusal(three.run('rejoin'))).said).toMatch(/--yes-cluster home/)
    await three.run('rejoin', '--yes-cluster=home')
    await until('three is of the same cluster', () =>
      recordOf(three).clusterId === recordOf(one).clusterId ? true : undefined,
    )
    await votersAre(one, 'one', 'two', 'three')
    expect(asideOf(three)).toContain('asked')
    expect(revisionOf(await read(three, 'in-the-old-one'))).toBe(revisionOf(written))
    await until('the notice is gone', async () => ((await one.status()).notice === undefined ? true : undefined))
  },
  timeout,
)

test(
  'two peers and a witness are three votes; scheduled backups reach the others; the quorum is shown',
  async () => {
    await using agents = openAgents()
    const [one, two] = await agents.cluster('one', 'two')
    if (one === undefined || two === undefined) throw new Error('no agents')
    const witness = await agents.agent('witness')
    expect((await refusal(one.run('backup', 'schedule', '--every=1s'))).said).toMatch(/at least a minute/)
    const token = (await one.run('token', 'create', '--quiet')).trim()
    await witness.start('join', '--witness', `--token=${token}`)
    await votersAre(one, 'one', 'two', 'witness')
    expect(await two.run('status')).toMatch(/witness\s+witness\s+alive/)
    type Quorums = { readonly items: readonly { readonly metadata: { name: string }; readonly status: object }[] }
    const quorum = await requestApi<Quorums>(await apiOf(two), 'GET', '/apis/flotilla.dev/v1/quorums')
    const rows = new Map(quorum.items.map(({ metadata, status }) => [metadata.name, status]))
    expect(rows.get('one')).toMatchObject({
      role: 'Leader',
      state: 'Alive',
      why: expect.stringMatching(/^leads; costs/),
    })
    expect(rows.get('witness')).toMatchObject({ role: 'Witness', why: 'one of 3 votes; a witness' })
    await expect(requestApi(await apiOf(two), 'DELETE', '/apis/flotilla.dev/v1/quorums/one')).rejects.toMatchObject({
      code: 405,
    })
    await until('the node of the witness is Ready, and takes no pods', async () => {
      type Node = { status: { conditions?: { type: string; status: string }[]; allocatable?: Record<string, string> } }
      const { status } = await requestApi<Node>(await apiOf(one), 'GET', '/api/v1/nodes/witness')
      const isReady = status.conditions?.some(({ type, status: its }) => type === 'Ready' && its === 'True')
      return isReady === true && status.allocatable?.['pods'] === '0' ? true : undefined
    })

    // Either of the two may go: the witness votes for the other, and never leads itself.
    await one.kill()
    await until('two leads', async () => {
      const { leader, self } = await two.status()
      return leader === self ? true : undefined
    })
    await write(two, 'with-a-witness')
    await one.start('up')

    expect(await two.run('backup', 'schedule')).toMatch(/every 12h; the newest 5 are kept/)
    expect(await two.run('backup', 'schedule', '--every=1h', '--keep=2')).toMatch(/every 1h; the newest 2/)
    // As often as no command allows.
    const often = { data: { 'backup-every': '1s' } }
    const at = '/api/v1/namespaces/kube-system/configmaps/flotilla'
    const current = await requestApi<{ data: object }>(await apiOf(two), 'GET', at)
    await requestApi(await apiOf(two), 'PUT', at, { ...current, data: { ...current.data, ...often.data } })
    const listed = await until('the newest two are on every peer', async () => {
      await write(two, `again-${Math.round(performance.now())}`)
      const list = await two.run('backup', 'list')
      const scheduled = list.split('\n').filter(line => /-scheduled\.backup/.test(line))
      const complete = scheduled.filter(line => line.endsWith('one,two,witness'))
      return complete.length >= 2 ? list : undefined
    })
    expect(listed).toMatch(/FILE\s+AGE\s+REVISION\s+SIZE\s+ON/)
    // The next one comes in a second, and takes the place of the oldest: what is looked at is a copy.
    const backups = path.join(one.dataDir, 'backups')
    const copies = await until('two are kept', async () => {
      const names = fs.readdirSync(backups).filter(name => name.endsWith('-scheduled.backup'))
      if (names.length !== 2) return undefined
      try {
        return names.map(name => {
          const copy = path.join(path.dirname(one.dataDir), name)
          fs.copyFileSync(path.join(backups, name), copy)
          return copy
        })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
    })
    for (const copy of copies) expect(await flotilla('check', copy)).toMatch(/whole/)
  },
  timeout,
)
