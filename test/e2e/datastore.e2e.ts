// A cluster whose state is in a real etcd, reached by TLS with a client certificate: three agents on loopback with the process
// runtime, `kubectl` against each of them, and an etcd and agents that die.
import { execFile } from 'node:child_process'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { expect, test } from 'vitest'
import { adminIdentity, issueClient, issueServing, makeAuthority } from '../../src/drivers/pki.ts'
import { clientFiles, type EtcdServer, hasEtcd, startEtcdServer } from '../conformance/etcd-server.ts'
import { type Agent, type Agents, CommandFailed, openAgents, patienceMs, until } from '../node/agents.ts'

const options = { timeout: 6 * patienceMs, skip: !hasEtcd && process.env['CI'] !== 'true' }
/** Of the session that a leader has in etcd, with time to spare: for so long etcd is away. */
const outageMs = 10_000

const application = `
apiVersion: v1
kind: Namespace
metadata: { name: outside }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: app, namespace: outside }
spec:
  replicas: 3
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
        - { maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: { matchLabels: { app: app } } }
      containers: [{ name: app, image: host, command: [sleep, "900"] }]
`

async function makeTls(folder: string): Promise<string> {
  const nowMs = Date.now()
  const authority = await makeAuthority('etcd', nowMs)
  const server = await issueServing(
    authority,
    { nodeName: 'etcd', hosts: ['127.0.0.1'], serviceIp: '127.0.0.1' },
    nowMs,
  )
  const client = await issueClient(authority, adminIdentity, nowMs)
  fs.mkdirSync(folder)
  fs.writeFileSync(path.join(folder, 'ca.pem'), authority.certificatePem)
  for (const [name, { certificatePem, keyPem }] of Object.entries({ server, client })) {
    fs.writeFileSync(path.join(folder, `${name}.pem`), certificatePem)
    fs.writeFileSync(path.join(folder, `${name}.key`), keyPem)
  }
  return folder
}

function flagsFor({ url }: EtcdServer, folder: string): readonly string[] {
  const { ca, certificate, key } = clientFiles(folder)
  return [`--datastore=${url}`, `--datastore-ca=${ca}`, `--datastore-cert=${certificate}`, `--datastore-key=${key}`]
}

function kubectl({ dataDir }: Agent, args: string, input = ''): Promise<string> {
  const words = [`--kubeconfig=${path.join(dataDir, 'kubeconfig')}`, '--request-timeout=10s', ...args.split(' ')]
  return new Promise((resolve, reject) => {
    const child = execFile('kubectl', words, { timeout: patienceMs }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(`kubectl ${args}: ${stderr}`))
    })
    child.stdin?.end(input)
  })
}

const write = (agent: Agent, name: string) =>
  until(`${agent.name} writes ${name}`, async () => {
    const said = await kubectl(agent, `-n outside create configmap ${name}`).catch(error => String(error))
    return /created|AlreadyExists/.test(said) ? true : undefined
  })

type Pods = {
  readonly items: readonly {
    readonly metadata: { readonly name: string }
    readonly spec: { readonly nodeName: string }
    readonly status: { readonly containerStatuses?: readonly { containerID?: string; restartCount: number }[] }
  }[]
}

async function pods(agent: Agent): Promise<Pods['items']> {
  return (JSON.parse(await kubectl(agent, '-n outside get pods -o json')) as Pods).items
}

/** What would differ if anything had been started again. */
async function containers(agent: Agent): Promise<readonly string[]> {
  return (await pods(agent))
    .map(
      ({ metadata, status }) =>
        `${metadata.name} ${JSON.stringify(
          status.containerStatuses?.map(({ containerID, restartCount }) => [containerID, restartCount]),
        )}`,
    )
    .sort()
}

const isPresent = (agent: Agent, ...names: readonly string[]) =>
  until(`${agent.name} sees ${names.join()}, and one that leads`, async () => {
    const { peers, leader } = await agent.status()
    const there = peers.filter(one => one.role === 'present' && one.health === 'alive').map(({ node }) => node)
    return leader !== undefined && there.sort().join() === names.toSorted().join() ? true : undefined
  })

async function refusal(work: Promise<string>): Promise<string> {
  const error = await work.catch((failed: unknown) => failed)
  if (error instanceof CommandFailed) return error.said
  throw new Error(`it was not refused: ${String(error)}`)
}

/** What an agent says that was started and ends by itself, with code 1. */
async function lastWords(agent: Agent, ...args: readonly string[]): Promise<string> {
  agent.launch(...args)
  expect(await agent.ended()).toBe(1)
  return agent.said().trim().split('\n').at(-1) ?? ''
}

async function joined(agents: Agents, first: Agent, name: string, flags: readonly string[]): Promise<Agent> {
  const agent = await agents.agent(name)
  await agent.start('join', ...(await tokenFlag(first)), ...flags)
  return agent
}

const tokenFlag = async (first: Agent) => [`--token=${(await first.run('token', 'create', '--quiet')).trim()}`]

test('three peers and an etcd: applications run on, whoever dies', options, async () => {
  await using agents = openAgents()
  const folder = await makeTls(path.join(agents.dir, 'tls'))
  await using etcd = await startEtcdServer(folder)
  const flags = flagsFor(etcd, folder)
  const one = await agents.agent('one')
  await one.start('up', '--cluster-name=home', ...flags)
  expect(await one.run('token', 'create')).toContain(`flotilla join --datastore ${etcd.url} --token flotilla1.`)
  const two = await agents.agent('two')
  expect(await lastWords(two, 'join', ...(await tokenFlag(one)))).toMatch(
    /state in an external etcd: join with --datastore/,
  )
  expect(fs.existsSync(path.join(two.dataDir, 'cluster.json'))).toBe(false)
  await expect(kubectl(one, 'get node two')).rejects.toThrow(/not found/)
  await two.start('join', ...(await tokenFlag(one)), ...flags)
  const three = await joined(agents, one, 'three', flags)
  const all = [one, two, three]
  for (const agent of all) await isPresent(agent, 'one', 'two', 'three')

  try {
    await kubectl(one, 'apply -f -', application)
    await kubectl(two, '-n outside rollout status deployment/app --timeout=100s')
    expect(new Set((await pods(three)).map(({ spec }) => spec.nodeName)).size).toBe(3)
    const before = await containers(three)
    expect((await kubectl(two, 'get quorum')).match(/Leader|Present/g)?.toSorted()).toEqual([
      'Leader',
      'Present',
      'Present',
    ])
    expect(await two.run('status')).toContain(`state in the etcd at ${etcd.url}`)
    for (const command of [['backup'], ['recover', '--look'], ['rejoin'], ['backup', 'schedule']]) {
      expect(await refusal(two.run(...command))).toMatch(/etcdctl snapshot save/)
    }

    // The one that leads dies.
    const { leader } = await two.status()
    const selves = await Promise.all(all.map(async agent => (await agent.status()).self))
    const led = all.find((_, i) => selves[i] === leader)
    const [other, another] = all.filter(agent => agent !== led)
    if (led === undefined || other === undefined || another === undefined) throw new Error('nobody led')
    await led.kill()
    await write(other, 'without-the-leader')
    await kubectl(another, '-n outside get configmap without-the-leader')
    await led.start('up', ...flags)
    for (const agent of all) await isPresent(agent, 'one', 'two', 'three')

    // Etcd is away for longer than a leader's session lives; one agent is started again meanwhile, and waits.
    await etcd.kill()
    const away = new Promise(resolve => setTimeout(resolve, outageMs))
    await led.stop()
    led.launch('up', ...flags)
    await until('it says what it waits for', () => (/this peer waits for it/.test(led.said()) ? true : undefined))
    await away
    await etcd.start()
    await write(led, 'after-the-outage')
    for (const agent of all) await isPresent(agent, 'one', 'two', 'three')
    expect(await containers(one)).toEqual(before)

    // What is said of the etcd is needed each time, and has to be right.
    await two.stop()
    expect(await lastWords(two, 'up')).toMatch(/home keeps its state in an external etcd: say --datastore/)
    expect(await lastWords(two, 'up', ...flags, '--datastore-prefix=/other')).toMatch(/leave --datastore-prefix out/)
    expect(await refusal(two.run('recover', '--look'))).toMatch(/etcdctl snapshot save/)
    const four = await agents.agent('four')
    for (const where of [flags, [...flags, '--datastore-prefix=/flotilla/inside']]) {
      expect(await lastWords(four, 'up', ...where)).toMatch(/holds a cluster already: home .*flotilla join --datastore/)
    }
    expect(fs.existsSync(path.join(four.dataDir, 'cluster.json'))).toBe(false)
    await two.start('up', ...flags)
    expect(await containers(two)).toEqual(before)
  } finally {
    // The processes of pods outlive their agents.
    await kubectl(one, 'delete namespace outside --wait=true --timeout=60s')
  }

  expect(await three.run('leave')).toMatch(/left/)
  expect(await three.ended()).toBe(0)
  expect(fs.readdirSync(three.dataDir).sort()).toEqual(['aside', 'identity.key'])
  await isPresent(one, 'one', 'two')
  // It has the credentials of etcd still: it must end by itself, and stay out.
  const { leader, self } = await one.status()
  const [left, removed] = leader === self ? [one, two] : [two, one]
  await left.run('remove', removed.name, '--force')
  expect(await removed.ended()).toBe(1)
  const words = new RegExp(`not the node ${removed.name} of home any more: it was removed`)
  expect(removed.said().trim().split('\n').at(-1)).toMatch(words)
  expect(await lastWords(removed, 'up', ...flags)).toMatch(words)
  await isPresent(left, left.name)
  await three.start('join', ...(await tokenFlag(left)), ...flags)
  await isPresent(left, left.name, 'three')
})

test('another etcd in the place of the one that was ends the agents, and none is taken for it', options, async () => {
  await using agents = openAgents()
  await using etcd = await startEtcdServer()
  const flags = [`--datastore=${etcd.url}`, '--datastore-prefix=/home']
  const one = await agents.agent('one')
  await one.start('up', '--cluster-name=home', ...flags)
  const plain = await agents.agent('plain')
  await plain.start('up')
  const two = await agents.agent('two')
  expect(await lastWords(two, 'join', ...(await tokenFlag(plain)), ...flags)).toMatch(/join without --datastore/)
  await plain.stop()
  expect(await lastWords(plain, 'up', ...flags)).toMatch(/leave --datastore out/)
  await etcd.replace()
  expect(await one.ended()).toBe(1)
  expect(one.said().trim()).toMatch(/flotilla: another etcd answers.*$/)
  expect(await lastWords(one, 'up', `--datastore=${etcd.url}`)).toMatch(/holds no cluster under \/home/)
})
