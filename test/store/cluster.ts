// Stores of one process on real disks and an in-memory mesh, as the tests of store/ and its benchmark use them.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realClock } from '../../src/drivers/clock.ts'
import { openDisk } from '../../src/drivers/disk.ts'
import { realRandom } from '../../src/drivers/random.ts'
import type { Leadership } from '../../src/kv/store.ts'
import { type MemberId, memberId } from '../../src/raft/types.ts'
import { openStore, type RunningStore, type StoreConfig } from '../../src/store/run.ts'
import type { Log } from '../../src/world/log.ts'
import { type PeerId, peerId } from '../../src/world/network.ts'
import { createMesh, type Mesh } from './network.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent }
const never = new AbortController().signal

export type Peer = {
  readonly peer: PeerId
  readonly member: MemberId
  store: RunningStore
  /** Stops, and starts again on the same disk. */
  restart(more?: Partial<StoreConfig>): Promise<void>
}

export type Cluster = AsyncDisposable & {
  readonly mesh: Mesh
  readonly peers: readonly Peer[]
  leader(): Promise<Peer>
  /** A fresh peer: added as a learner, and promoted unless told otherwise. */
  add(name: string, options?: { promote?: boolean }): Promise<Peer>
}

export const fast = { tickMs: 10, electionTicks: 15, heartbeatTicks: 3, requestTimeoutMs: 10_000 } as const

export async function startCluster(
  count: number,
  options: Partial<StoreConfig> = {},
  log: Log = silent,
): Promise<Cluster> {
  const root = await mkdtemp(join(tmpdir(), 'flotilla-store-'))
  const mesh = createMesh()
  const peers: Peer[] = []

  async function start(name: string, member: MemberId, bootstrap: boolean): Promise<Peer> {
    const self = peerId(name)
    const disk = await openDisk(join(root, name))
    const world = {
      clock: realClock(),
      random: realRandom(),
      network: mesh.network(self),
      disk,
      log: log.with({ peer: name }),
    }
    const config = { ...fast, clusterId: 'test', member, bootstrap, ...options }
    const store = await openStore(world, config, never)
    const peer: Peer = {
      peer: self,
      member,
      store,
      async restart(more = {}) {
        await peer.store.stop()
        peer.store = await openStore(world, { ...config, expectExisting: true, ...more }, never)
      },
    }
    peers.push(peer)
    return peer
  }

  async function leader(): Promise<Peer> {
    const ending = new AbortController()
    const mine = peers.map(async peer => {
      const isMine = (state: Leadership) => state.mine
      for await (const state of peer.store.leadership(ending.signal)) if (isMine(state)) return peer
      return await new Promise<never>(() => {})
    })
    try {
      return await Promise.race(mine)
    } finally {
      ending.abort()
    }
  }

  const cluster: Cluster = {
    mesh,
    peers,
    leader,
    async add(name, { promote = true } = {}) {
      const lead = await leader()
      const info = await lead.store.changeMembership({ kind: 'add', peer: peerId(name) }, never)
      const added = await start(name, memberId(info.member), false)
      if (!promote) return added
      await eventually(async () => {
        const now = await leader()
        await now.store.changeMembership({ kind: 'promote', member: added.member }, never)
      })
      return added
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(peers.map(peer => peer.store.stop()))
      await rm(root, { recursive: true })
    },
  }
  await start('peer-0', memberId('m0'), true)
  for (let i = 1; i < count; i++) await cluster.add(`peer-${i}`)
  return cluster
}

/** Tries until it does not throw; the test's own time-out ends it. */
export async function eventually<T>(act: () => Promise<T> | T): Promise<T> {
  const started = performance.now()
  for (;;) {
    try {
      return await act()
    } catch (error) {
      if (performance.now() - started > 30_000) throw error
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}
