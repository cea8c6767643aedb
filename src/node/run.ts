// One peer, from its key to its end: who it is, which cluster it belongs to, and the order in which all of it comes up and
// goes down. run-components.ts introduces the components to one another.
import { randomUUID } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { realClock } from '../drivers/clock.ts'
import { openDisk } from '../drivers/disk.ts'
import { loadIdentity } from '../drivers/identity.ts'
import { realLog } from '../drivers/log.ts'
import { type MeshNetwork, openNetwork } from '../drivers/network/libp2p.ts'
import { realRandom } from '../drivers/random.ts'
import { aborted } from '../lib/abort.ts'
import { memberId } from '../raft/types.ts'
import { openStore, type RunningStore } from '../store/run.ts'
import type { World } from '../world/world.ts'
import type { ClusterRecord, NodeConfig } from './config.ts'
import { start } from './run-components.ts'
import { isServed } from './run-control.ts'
import * as files from './run-files.ts'
import { joinCluster } from './run-join.ts'
import { openScope } from './scope.ts'

export type JoinWish = { readonly token: string; readonly target?: string }

/** Lives until the signal; then hands leadership over and stops. Rejects with what a person can do about it. */
export async function runNode(
  config: NodeConfig,
  join: JoinWish | undefined,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await fs.mkdir(config.dataDir, { recursive: true, mode: 0o700 })
  const clock = realClock()
  const random = realRandom()
  const log = realLog({ level: config.logLevel, format: 'text' })
  if (await isServed(files.controlSocket(config.dataDir))) {
    throw new Error(`an agent runs with the data directory ${config.dataDir} already`)
  }
  const identity = await loadIdentity(files.identityFile(config.dataDir))
  // The network outlives everything that speaks over it, so that leadership can be handed over at the end.
  const networkEnd = new AbortController()
  const listen = { privateKey: identity.privateKey, listen: config.listen, mdns: config.mdns }
  const network = await openNetwork({ clock, random, log }, listen, networkEnd.signal)
  const disk = await openDisk(files.storeDir(config.dataDir))
  const world: World = { clock, random, network, disk, log }
  try {
    network.admit(await files.readPeers(config.dataDir))
    const cluster = await enterCluster(world, network, config, join, say, signal)
    await runMember(world, network, config, cluster, say, signal)
  } finally {
    await network.stop()
    networkEnd.abort()
  }
}

/** Which cluster this peer belongs to: the one on its disk, the one it joins now, or one that it founds. */
async function enterCluster(
  world: World,
  network: MeshNetwork,
  config: NodeConfig,
  join: JoinWish | undefined,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<ClusterRecord> {
  const known = await files.readCluster(config.dataDir)
  if (known !== undefined) {
    if (join !== undefined) say(`this peer belongs to cluster ${known.clusterId} already: going on with it`)
    return known
  }
  const record = join === undefined ? found(config) : await enterByToken(world, network, config, join, say, signal)
  await files.writeCluster(config.dataDir, record)
  return record
}

function found(config: NodeConfig): ClusterRecord {
  return {
    clusterId: randomUUID(),
    memberId: randomUUID(),
    nodeName: config.name,
    clusterCidr: config.clusterCidr,
    serviceCidr: config.serviceCidr,
    founded: true,
    ran: false,
  }
}

async function enterByToken(
  world: World,
  network: MeshNetwork,
  config: NodeConfig,
  join: JoinWish,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<ClusterRecord> {
  say(`asking to join as ${config.name}`)
  const wish = { target: join.target, token: join.token, nodeName: config.name }
  const reply = await joinCluster(world, network, wish, signal)
  const peers = reply.peers.map(({ peer, addresses }) => ({ peer, addresses }))
  network.admit(peers)
  await files.writePeers(config.dataDir, peers)
  const { clusterId, clusterCidr, serviceCidr } = reply
  return {
    clusterId,
    memberId: reply.memberId,
    nodeName: config.name,
    clusterCidr,
    serviceCidr,
    founded: false,
    ran: false,
  }
}

async function runMember(
  world: World,
  network: MeshNetwork,
  config: NodeConfig,
  cluster: ClusterRecord,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { dataDir } = config
  // The store ends last: what the scope's tasks still write on their way out must find it.
  const storeEnd = new AbortController()
  const store = await openStore(
    world,
    {
      clusterId: cluster.clusterId,
      member: memberId(cluster.memberId),
      bootstrap: cluster.founded && !cluster.ran,
      expectExisting: cluster.ran,
    },
    storeEnd.signal,
  )
  if (!cluster.ran) await files.writeCluster(dataDir, { ...cluster, ran: true })
  const scope = openScope(world.log, signal)
  scope.start('store', async inner => {
    await Promise.race([store.done, aborted(inner)])
    if (!inner.aborted) throw new Error('the store has ended')
  })
  try {
    await start(world, network, config, cluster, store, scope, say)
    await scope.ended
  } finally {
    await handOver(world, store)
    await scope[Symbol.asyncDispose]()
    await store.stop()
    storeEnd.abort()
  }
}

/** Another voter takes the lead before we go, so that the cluster does not wait for a time-out. */
async function handOver(world: World, store: RunningStore): Promise<void> {
  const { role, members } = store.status()
  if (role !== 'leader' || members.filter(member => member.role === 'voter').length < 2) return
  const never = new AbortController()
  using deadline = world.clock.deadline(3_000, never.signal)
  await store.transferLeadership(deadline.signal).catch(error => {
    world.log.warn('leadership was not handed over; the others elect a leader by themselves', { error: String(error) })
  })
}
