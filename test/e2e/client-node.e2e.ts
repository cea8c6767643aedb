// The JavaScript client that others write, through three peers, while their leader is killed twice.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { flotillaStatus, killAgent, kubeconfig } from '../../testnet/agent.ts'
import { onHost } from '../../testnet/hosts.ts'
import { restartAgent, type Testnet } from '../../testnet/testnet.ts'
import type { ClientReport } from './client-node.ts'
import { hosts, type Kubectl, kubectl, testnet, until } from './cluster.ts'

const namespace = 'client-node'
let net: Testnet
let k: Kubectl

beforeAll(async () => {
  net = await testnet()
  k = await kubectl(1)
  await k(`create namespace ${namespace}`)
  await k(`-n ${namespace} run box --image=busybox:1.36 --restart=Never -- sleep 3600`)
  await k(`-n ${namespace} wait --for=condition=Ready pod/box --timeout=90s`)
})
afterAll(async () => {
  await k(`delete namespace ${namespace} --timeout=90s`)
})

type Status = { readonly leader?: string; readonly peers: readonly { readonly peer: string; readonly node: string }[] }

async function leaderOf(seenBy: number): Promise<number> {
  const { leader, peers } = (await flotillaStatus(net.net, seenBy)) as Status
  const node = peers.find(({ peer }) => peer === leader)?.node
  if (node === undefined) throw new Error(`host${seenBy} sees no leader`)
  return Number(node.slice('host'.length))
}

const program = path.resolve(import.meta.dirname, 'client-node.ts')

test('no event is missed and none comes twice while the leader is killed', { timeout: 240_000 }, async () => {
  const [command = '', ...args] = onHost(net.net, 1, [
    process.execPath,
    program,
    kubeconfig(net.net, 1),
    namespace,
    'box',
  ])
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', part => {
    said += part
  })
  const closed = once(child, 'close')
  await until('everything runs', 60_000, async () => said.includes('ready\n'))
  for (let kill = 0; kill < 2; kill++) {
    const host = await leaderOf(1)
    const id = net.agents[host]
    if (id === undefined) throw new Error(`host${host} has no agent`)
    await killAgent(id)
    await until(
      'another leads',
      60_000,
      async () => (await leaderOf((host % hosts.length) + 1).catch(() => host)) !== host,
    )
    await restartAgent(net, host)
    net = await testnet()
    await (await kubectl(host))('wait --for=condition=Ready node --all --timeout=90s')
  }
  child.stdin.end()
  await closed
  const report = JSON.parse(said.trim().split('\n').at(-1) ?? '') as ClientReport
  console.log(JSON.stringify(report))
  expect(report.written.done).toBeGreaterThan(100)
  expect(report.sameStreams).toBe(true)
  for (const watch of report.watches) {
    expect(watch).toMatchObject({ repeated: 0, missed: 0 })
  }
  expect(report.watches.some(({ resumed }) => resumed > 0)).toBe(true)
  for (const informer of report.informers) expect(informer).toMatchObject({ equalsList: true, repeated: 0 })
  expect(report.election.terms).toBeGreaterThan(0)
  expect(report.election.overlaps).toBe(0)
  expect(report.exec.right).toBeGreaterThan(0)
  expect(report.exec.wrong).toBe(0)
  expect(report.exec.hung).toBe(0)
})
