// What a peer does once it is no member any more: it ends its containers, takes its rules out of the kernel, and moves its data
// aside. Its key stays, so that it is the same peer wherever it joins next.
import { openRuntime } from '../drivers/runtime/open.ts'
import type { Observed } from '../world/runtime.ts'
import type { ClusterRecord } from './config.ts'
import { chooseDataplane } from './run-dataplane.ts'
import * as files from './run-files.ts'
import type { Peer } from './run-member.ts'
import { ownerOf } from './status.ts'

const graceMs = 10_000
const farewellMs = 120_000

export async function farewell(peer: Peer, record: ClusterRecord): Promise<void> {
  const { clock, log, config, say } = peer
  const { dataDir } = config
  const never = new AbortController()
  using deadline = clock.deadline(farewellMs, never.signal)
  if (!record.witness) {
    // What is left behind does no harm to the cluster any more, so nothing of this keeps the peer from leaving.
    await endPods(peer, record, deadline.signal).catch(error => say(`some containers are left: ${String(error)}`))
    await clearRoutes(peer, deadline.signal).catch(error => say(`some routes are left: ${String(error)}`))
  }
  const names = [
    ...(await files.storeFolders(dataDir)),
    'cluster.json',
    'peers.json',
    'pki',
    'kubeconfig',
    'pods',
    'runtime',
  ]
  const aside = await files.setAside(dataDir, names, 'left', clock.nowMs())
  log.info('left the cluster', { cluster: record.clusterId })
  say(`this machine has left ${record.clusterName}. What it held is kept in ${aside ?? 'no folder'}`)
}

async function endPods(peer: Peer, record: ClusterRecord, signal: AbortSignal): Promise<void> {
  const { config } = peer
  const options = {
    stateDir: files.runtimeDir(config.dataDir),
    dockerSocket: config.dockerSocket,
    owner: ownerOf(record),
    mtu: 1_500,
    nodePodIp: () => undefined,
  }
  const { runtime } = await openRuntime(config.runtime, peer, options, signal)
  const pods = await runtime.observe(signal)
  if (pods.length > 0) peer.say(`ending ${pods.length} pods`)
  await Promise.all(pods.map(pod => endPod(pod)))

  async function endPod({ uid, containers, sandbox }: Observed): Promise<void> {
    const running = containers.filter(({ state }) => state.kind === 'running')
    await Promise.all(running.map(({ id }) => runtime.perform({ kind: 'stopContainer', id, graceMs }, signal)))
    for (const { id } of containers) await runtime.perform({ kind: 'removeContainer', id }, signal)
    if (sandbox !== undefined) await runtime.perform({ kind: 'removeSandbox', uid, id: sandbox.id }, signal)
  }
}

async function clearRoutes(peer: Peer, signal: AbortSignal): Promise<void> {
  const { dataplane } = await chooseDataplane(peer, peer.config.dataplane, signal)
  await dataplane.clear()
}
