// One of our members as the bench and the nemesis run it: a process with nothing but a store on a real disk, the mesh to
// the others, and etcd's API. It prints {"ready":true} once it serves and is a voter; SIGTERM ends it in order, and
// SIGUSR2 makes it print what it measured of its own event loop. The first one founds the cluster and takes the others in.
//   node test/bench/kv/member.ts --dir /tmp/m0 --index 0 --mesh-port 7000 --mesh-ports 7000,7001,7002 --etcd-port 7100
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { generateKeyPairFromSeed, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { realClock } from '../../../src/drivers/clock.ts'
import { openDisk } from '../../../src/drivers/disk.ts'
import { serveGrpc } from '../../../src/drivers/grpc/serve.ts'
import { realLog } from '../../../src/drivers/log.ts'
import { openNetwork } from '../../../src/drivers/network/libp2p.ts'
import { realRandom } from '../../../src/drivers/random.ts'
import { openEtcd } from '../../../src/etcd/run.ts'
import { text, utf8 } from '../../../src/lib/bytes.ts'
import { memberId } from '../../../src/raft/types.ts'
import { openStore } from '../../../src/store/run.ts'
import { type PeerId, peerId } from '../../../src/world/network.ts'
import type { World } from '../../../src/world/world.ts'
import { serveApi } from '../api/serve.ts'
import { watchBusy } from './busy.ts'

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    index: { type: 'string' },
    'mesh-port': { type: 'string' },
    'mesh-ports': { type: 'string' },
    // The members' addresses, when they are not all on loopback: --hosts 10.0.0.1,10.0.0.2,10.0.0.3
    hosts: { type: 'string', default: '' },
    // The first one, too, is to be taken into a cluster that is there, instead of founding one.
    joins: { type: 'boolean', default: false },
    'etcd-port': { type: 'string' },
    // The Kubernetes API beside etcd's, with the certificates of the folder --tls: test/bench/api/serve.ts.
    'api-port': { type: 'string' },
    tls: { type: 'string', default: '' },
    'log-level': { type: 'string', default: 'warn' },
    'tick-ms': { type: 'string' },
    'election-ticks': { type: 'string' },
  },
})
const { dir = '' } = values
const index = Number(values.index)
const meshPorts = (values['mesh-ports'] ?? '').split(',').map(Number)
const etcdPort = Number(values['etcd-port'])
const hosts = values.hosts.split(',')
const hostOf = (which: number) => hosts[which] || '127.0.0.1'
if (dir === '' || !(index >= 0) || !(etcdPort >= 0) || meshPorts.some(port => !(port > 0))) {
  throw new Error('--dir, --index, --mesh-port, --mesh-ports and --etcd-port are needed')
}

const isFounder = index === 0 && !values.joins
const clusterId = `bench-${meshPorts.join('-')}`

/** Everybody can work out everybody's key: this is loopback, and its only purpose is to be there without a ceremony. */
async function keyOf(which: number) {
  const seed = createHash('sha256').update(`${clusterId} ${which}`).digest()
  const key = await generateKeyPairFromSeed('Ed25519', new Uint8Array(seed))
  return { peer: peerId(peerIdFromPrivateKey(key).toString()), privateKey: privateKeyToProtobuf(key) }
}

const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort())
const networkEnd = new AbortController()

await mkdir(dir, { recursive: true })
const keys = await Promise.all(meshPorts.map((_, i) => keyOf(i)))
const own = keys[index]
if (own === undefined) throw new Error('--index is beyond --mesh-ports')
const clock = realClock()
const random = realRandom()
const log = realLog({ level: values['log-level'] === 'info' ? 'info' : 'warn', format: 'text' })
const listen = [`/ip4/${hostOf(index)}/tcp/${values['mesh-port'] ?? meshPorts[index]}`]
const network = await openNetwork(
  { clock, random, log },
  { privateKey: own.privateKey, listen, mdns: false },
  networkEnd.signal,
)
network.admit(
  keys
    .map(({ peer }, i) => ({ peer, addresses: [`/ip4/${hostOf(i)}/tcp/${meshPorts[i]}`] }))
    .filter((_, i) => i !== index),
)
const world: World = { clock, random, network, disk: await openDisk(join(dir, 'store')), log }

const { member, isNew } = await memberOf()
const store = await openStore(
  world,
  {
    clusterId,
    member: memberId(member),
    bootstrap: isFounder && isNew,
    expectExisting: !isNew,
    ...(values['tick-ms'] !== undefined && { tickMs: Number(values['tick-ms']) }),
    ...(values['election-ticks'] !== undefined && { electionTicks: Number(values['election-ticks']) }),
  },
  networkEnd.signal,
)
await writeFile(join(dir, 'member'), member)
store.done.catch(error => {
  console.error(`the store ended: ${String(error)}`)
  process.exit(1)
})
using _joining = network.onRequest('join', async from => utf8(await take(from)))
const tending = tendMembers()

const service = openEtcd(
  clock,
  store,
  {
    clusterId,
    member,
    clientUrlsOf: peer => (peer === own.peer ? [`http://${hostOf(index)}:${etcdPort}`] : []),
    nameOf: peer => `m${keys.findIndex(key => key.peer === peer)}`,
    dbBytes: () => folderBytes(join(dir, 'store')),
  },
  stop.signal,
)
const server = await serveGrpc({ host: hostOf(index), port: etcdPort, tls: undefined, service, log }, stop.signal)
const api =
  values['api-port'] === undefined
    ? undefined
    : await serveApi(world, store, Number(values['api-port']), values.tls, stop.signal)
reports()
await untilComplete()
console.log(JSON.stringify({ ready: true, reports: true }))

await server.done
await api?.done
await handOver()
await tending
await store.stop()
await network.stop()
networkEnd.abort()
process.exit(0)

/** This member's ID, from its folder, or from whoever leads, which takes it in. */
async function memberOf(): Promise<{ member: string; isNew: boolean }> {
  const known = await readFile(join(dir, 'member'), 'utf8').catch(() => undefined)
  if (known !== undefined) return { member: known, isNew: false }
  if (isFounder) return { member: 'm0', isNew: true }
  const others = keys.filter((_, i) => i !== index)
  for (let turn = 0; !stop.signal.aborted; turn++) {
    const asked = others[turn % others.length]
    if (asked === undefined) break
    try {
      using deadline = clock.deadline(5_000, stop.signal)
      return {
        member: text(await network.request(asked.peer, 'join', new Uint8Array(0), deadline.signal)),
        isNew: true,
      }
    } catch (error) {
      log.info('not taken in yet', { error: String(error) })
      await clock.sleep(100, stop.signal)
    }
  }
  throw new Error('stopped before it was taken in')
}

async function take(from: PeerId): Promise<string> {
  // It asks again because it never heard of it: as a learner it has not begun.
  const taken = store.status().members.find(one => one.peer === from && one.role === 'learner')
  if (taken !== undefined && store.status().role === 'leader') return taken.member
  using deadline = clock.deadline(5_000, stop.signal)
  return (await store.changeMembership({ kind: 'add', peer: from }, deadline.signal)).member
}

/** Whoever leads makes voters of those that have caught up. */
async function tendMembers(): Promise<void> {
  for (;;) {
    await clock.sleep(50, stop.signal)
    if (stop.signal.aborted) return
    const { role, members } = store.status()
    const learner = members.find(one => one.role === 'learner')
    if (role !== 'leader' || learner === undefined) continue
    await store.changeMembership({ kind: 'promote', member: learner.member }, stop.signal).catch(error => {
      log.info('not promoted yet', { error: String(error) })
    })
  }
}

async function untilComplete(): Promise<void> {
  while (!stop.signal.aborted) {
    const { members } = store.status()
    const voters = members.filter(one => one.role === 'voter')
    if (voters.length === meshPorts.length) {
      const isServed = await store.newest(stop.signal).then(
        () => true,
        () => false,
      )
      if (isServed) return
    }
    await clock.sleep(50, stop.signal)
  }
}

async function handOver(): Promise<void> {
  const { role, members } = store.status()
  if (role !== 'leader' || members.length < 2) return
  using deadline = clock.deadline(3_000, networkEnd.signal)
  await store.transferLeadership(deadline.signal).catch(error => log.warn('no hand-over', { error: String(error) }))
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  // A file may go while we look.
  const sizes = entries.map(async entry =>
    entry.isFile()
      ? await stat(join(entry.parentPath, entry.name)).then(
          found => found.size,
          () => 0,
        )
      : 0,
  )
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/** Since the last SIGUSR2. */
function reports(): void {
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  let gcMaxMs = 0
  const settleMs = 50
  const busy = watchBusy()
  new PerformanceObserver(list => {
    for (const entry of list.getEntries()) gcMaxMs = Math.max(gcMaxMs, entry.duration)
  }).observe({ entryTypes: ['gc'] })
  process.on('SIGUSR2', () => {
    const busyMaxMs = busy.maxMs()
    const [loopP99Ms, loopMaxMs] = [delay.percentile(99) / 1e6, delay.max / 1e6]
    // Where it may be called, memory is what is held, not what nobody has swept yet.
    globalThis.gc?.()
    const { heapUsed, external } = process.memoryUsage()
    const report = { loopP99Ms, loopMaxMs, busyMaxMs, gcMaxMs, heldBytes: heapUsed + external, report: true }
    // This collection held the loop up, too: it is no part of what is measured next.
    setTimeout(() => {
      delay.reset()
      busy.reset()
      gcMaxMs = 0
      console.log(JSON.stringify(report))
    }, settleMs)
  })
}
