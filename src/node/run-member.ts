// One membership: from the store's opening to its end, with everything that stands on it.
//
// Which store it is, the cluster's record says, and `open` below opens one or the other. Of its own store a peer may find that
// its cluster went on without it, so before one that has run opens it greets those it knows (succession.ts); one that lost
// something never opens: the peer asks to be admitted again. With an external etcd there is nothing here to lose. Who a peer is
// to the others is settled in this file; run-components.ts brings up the rest.
import { openDisk } from '../drivers/disk.ts'
import type { MeshNetwork } from '../drivers/network/libp2p.ts'
import type { Authority } from '../drivers/pki.ts'
import type { Store } from '../kv/store.ts'
import { aborted } from '../lib/abort.ts'
import { assert } from '../lib/assert.ts'
import { memberId } from '../raft/types.ts'
import { openStore, type RunningStore, StoreDamage } from '../store/run.ts'
import type { World } from '../world/world.ts'
import type { ClusterRecord, NodeConfig } from './config.ts'
import { start } from './run-components.ts'
import type { Control } from './run-control.ts'
import { openDatastore } from './run-datastore.ts'
import * as files from './run-files.ts'
import { type Greeter, openGreeter, type Self } from './run-greeting.ts'
import type { ClusterKeys } from './run-pki.ts'
import type { Questions } from './run-questions.ts'
import { probeDisk, type SyncTimes, syncTimes, timedDisk } from './run-vitals.ts'
import { openScope } from './scope.ts'
import { type SignedSuccession, signSuccession } from './succession.ts'

const meetTimes = { leastMs: 2_000, mostMs: 20_000 }
/** An election is no loss of the majority. */
const ledlessMs = 10_000
const handOverMs = 3_000

/** What lasts as long as the process. */
export type Peer = Omit<World, 'disk' | 'network'> & {
  readonly network: MeshNetwork
  readonly questions: Questions
  readonly control: Control
  readonly config: NodeConfig
  readonly say: (line: string) => void
}

/** The store that a membership stands on, wherever the state is. */
export type MemberStore = Store & Pick<RunningStore, 'stop' | 'done'>

type Opened = {
  readonly store: MemberStore
  /** The same store with what only the peers' own can do; undefined: the state is in an external etcd. */
  readonly embedded: RunningStore | undefined
}

/** What lasts as long as the store. */
export type Member = Opened & {
  readonly world: World
  readonly cluster: ClusterRecord
  readonly greeter: Greeter
  readonly syncs: SyncTimes
  /** The cluster's keys are known now: what this peer says of its cluster's descent can be signed. */
  readonly setKeys: (keys: ClusterKeys) => void
  /** This peer has left: everything ends. */
  readonly left: () => void
}

export type Ending =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'left' }
  | { readonly kind: 'abandoned'; readonly by: SignedSuccession }
  | { readonly kind: 'damaged'; readonly what: string }

/** Where the succession lies that this cluster came about by. */
export const successionKey = '/flotilla/succession'

/** Lives until the signal, or until the membership ends by itself. */
export async function runMember(peer: Peer, record: ClusterRecord, signal: AbortSignal): Promise<Ending> {
  const { clock, network, config, control } = peer
  const { dataDir } = config
  const syncs = syncTimes()
  const disk = await openDisk(files.storeDir(dataDir, record))
  const world: World = { ...peer, disk: timedDisk(disk, clock, syncs) }
  // The store ends last: what the scope's tasks still write on their way out must find it.
  const storeEnd = new AbortController()
  const ended = Promise.withResolvers<Ending>()
  const own = ownGreeting(peer, record, await files.readAuthority(dataDir))
  using greeter = openGreeter(world, network, peer.questions, own.self, storeEnd.signal)
  try {
    const opened = await open()
    if ('kind' in opened) return opened
    const { store } = opened
    own.setStore(store)
    try {
      if (!record.ran) await files.writeCluster(dataDir, { ...record, ran: true })
      const left = () => ended.resolve({ kind: 'left' })
      const member: Member = { ...opened, world, cluster: record, greeter, syncs, setKeys: own.setKeys, left }
      control.setState('this peer is starting')
      return await runParts(peer, member, ended.promise, signal)
    } finally {
      await store.stop()
    }
  } finally {
    storeEnd.abort()
  }

  function open(): Promise<Opened | Ending> {
    return record.datastore === undefined ? openOwn() : openExternal()
  }

  async function openOwn(): Promise<Opened | Ending> {
    void greeter.abandoned.then(by => ended.resolve({ kind: 'abandoned', by }))
    if (record.ran) {
      control.setState('this peer asks the others whether its cluster went on without it')
      await greeter.met(await files.readPeers(dataDir), meetTimes, signal)
    }
    const early = await Promise.race([ended.promise, Promise.resolve(undefined)])
    if (early !== undefined || signal.aborted) return early ?? { kind: 'stopped' }
    const store = await openOrDamage(world, record, storeEnd.signal)
    return 'kind' in store ? store : { store, embedded: store }
  }

  async function openExternal(): Promise<Opened | Ending> {
    assert(config.datastore !== undefined, 'a peer of a cluster in an etcd was started without one')
    try {
      return { store: await openDatastore(peer, config.datastore, record, storeEnd, signal), embedded: undefined }
    } catch (error) {
      if (signal.aborted) return { kind: 'stopped' }
      throw error
    }
  }
}

async function openOrDamage(
  world: World,
  record: ClusterRecord,
  signal: AbortSignal,
): Promise<RunningStore | Extract<Ending, { kind: 'damaged' }>> {
  const options = {
    clusterId: record.clusterId,
    member: memberId(record.memberId),
    bootstrap: record.founded && !record.ran,
    expectExisting: record.ran,
    witness: record.witness,
  }
  try {
    return await openStore(world, options, signal)
  } catch (error) {
    if (!(error instanceof StoreDamage)) throw error
    world.log.error('the store cannot be used', { found: error.found, what: error.what })
    // Nothing is lost, it is only somewhere else.
    if (error.found === 'foreign') {
      throw new Error(`${error.message}: was the data directory of another peer put here? Nothing was changed`, {
        cause: error,
      })
    }
    return { kind: 'damaged', what: error.what }
  }
}

/** Everything that stands on the store, until the signal or the first word of `ended`. */
async function runParts(peer: Peer, member: Member, ended: Promise<Ending>, signal: AbortSignal): Promise<Ending> {
  const { world, store, embedded, cluster } = member
  const scope = openScope(world.log, signal)
  let ending: Ending = { kind: 'stopped' }
  scope.start('ending', async inner => {
    ending = await Promise.race([ended, aborted(inner).then((): Ending => ({ kind: 'stopped' }))])
    scope.end()
  })
  scope.start('store', async inner => {
    await Promise.race([store.done, aborted(inner)])
    if (!inner.aborted) throw new Error('the store has ended')
  })
  if (embedded !== undefined) {
    scope.start('disk probe', async () => {
      await probeDisk(world.disk).catch(error => world.log.warn('the disk was not measured', { error: String(error) }))
    })
  }
  if (cluster.succession?.to === cluster.clusterId) {
    scope.start('succession', inner => tellSuccession(member, inner))
  }
  try {
    await start(peer, member, scope).catch(error => {
      // The scope says itself why it ended.
      if (!scope.signal.aborted) throw error
      world.log.debug('ended while it was starting', { error: String(error) })
    })
    await scope.ended
    return ending
  } finally {
    await handOver(world, store)
    await scope[Symbol.asyncDispose]()
  }
}

/** What this peer says of its cluster when it is greeted, as it comes to know more. */
function ownGreeting({ clock }: Peer, record: ClusterRecord, authority: Authority | undefined) {
  let keys: Authority | undefined = authority
  let store: MemberStore | undefined
  let signed: SignedSuccession | undefined
  let ledMs = Number.NEGATIVE_INFINITY

  function isLed(): boolean {
    const nowMs = clock.monotonicMs()
    if (store?.status().leader !== undefined) ledMs = nowMs
    return nowMs - ledMs < ledlessMs
  }

  /** Our own, or what the peer that began the cluster again has put into the store. */
  async function succession(): Promise<SignedSuccession | undefined> {
    const { succession: own } = record
    if (signed === undefined && own?.to === record.clusterId && keys !== undefined && keys.keyPem !== '') {
      signed = signSuccession(own, keys.keyPem)
    }
    if (signed !== undefined || store === undefined) return signed
    const kept = await store.get(successionKey)
    return kept === undefined ? undefined : (JSON.parse(kept.value) as SignedSuccession)
  }

  return {
    async self(): Promise<Self> {
      const told = await succession()
      return {
        clusterId: record.clusterId,
        node: record.nodeName,
        led: isLed(),
        authorityPem: keys?.certificatePem,
        ...(told !== undefined && { succession: told }),
      }
    },
    setKeys(known: ClusterKeys) {
      keys = known.authority
    },
    setStore(opened: MemberStore) {
      store = opened
    },
  }
}

/** Puts the succession into the store, so that every member can show it: this peer leads, for it is the only voter at first. */
async function tellSuccession({ world, cluster, store, greeter }: Member, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { succession } = await greeter.self()
    if (store.status().role === 'leader' && succession !== undefined) {
      const kept = await store.get(successionKey)
      const before = kept === undefined ? undefined : (JSON.parse(kept.value) as SignedSuccession)
      if (before?.succession.to === cluster.clusterId) return
      const value = JSON.stringify(succession)
      try {
        await store.write({ compare: [], operations: [{ key: successionKey, value }] }, signal)
        return
      } catch (error) {
        world.log.debug('the succession was not written yet', { error: String(error) })
      }
    }
    await world.clock.sleep(200, signal)
  }
}

/** Another voter takes the lead before we go, so that the cluster does not wait for a time-out. */
async function handOver(world: World, store: MemberStore): Promise<void> {
  const { role, members } = store.status()
  if (role !== 'leader' || members.filter(member => member.role === 'voter').length < 2) return
  const never = new AbortController()
  using deadline = world.clock.deadline(handOverMs, never.signal)
  await store.transferLeadership(deadline.signal).catch(error => {
    world.log.warn('leadership was not handed over; the others elect a leader by themselves', { error: String(error) })
  })
}
