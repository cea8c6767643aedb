// etcd's v3 API on the store of one peer: what drivers/grpc/ is given to serve. Every call may come to any peer.
import type { CommandStore } from '../kv/txn.ts'
import { onAbort } from '../lib/abort.ts'
import type { Clock } from '../world/clock.ts'
import type { GrpcService, StreamCall } from '../world/grpc.ts'
import type { PeerId } from '../world/network.ts'
import { type Context, guarded, wantsLeader } from './context.ts'
import { errors } from './errors.ts'
import { numberOf } from './ids.ts'
import { HeaderWriter } from './responses.ts'
import { clusterRoutes } from './run-cluster.ts'
import { kvRoutes } from './run-kv.ts'
import { leaseRoutes, openKeepAlive } from './run-lease.ts'
import { maintenanceRoutes, openSnapshot } from './run-maintenance.ts'
import { openWatch } from './run-watch.ts'

export type EtcdConfig = {
  readonly clusterId: string
  /** This member, as the store's status names it. */
  readonly member: string
  /** Where clients reach the API of a peer, as URLs; of most peers nobody but themselves knows. */
  readonly clientUrlsOf: (peer: PeerId) => readonly string[]
  /** How people call a peer. */
  readonly nameOf: (peer: PeerId) => string
  /** How large the store is on disk. */
  readonly dbBytes: () => Promise<number>
  /** Watchers that want it hear so often that nothing happened. As etcd's: ten minutes. */
  readonly progressMs?: number
}

/** So long may a leader be missing before streams that cannot do without one end: three election time-outs, as in etcd. */
const leaderlessMs = 3_000
/** Streams that have ended are forgotten when there are so many. */
const pruneCountMin = 1_000

/** Lives until the signal. */
export function openEtcd(clock: Clock, store: CommandStore, config: EtcdConfig, signal: AbortSignal): GrpcService {
  const { member, clientUrlsOf, nameOf, dbBytes } = config
  const clusterId = numberOf(config.clusterId)
  const memberId = numberOf(member)
  const header = new HeaderWriter(clusterId, memberId)
  header.term = Math.max(store.status().term, 1)
  const dependent = new Set<StreamCall>()
  let pruneCount = pruneCountMin
  let hasLeader = store.status().leader !== undefined
  let change = new AbortController()
  onAbort(signal, () => change.abort())
  const context: Context = {
    store,
    clock,
    clusterId,
    memberId,
    member,
    header,
    clientUrlsOf,
    nameOf,
    dbBytes,
    hasLeader: () => hasLeader,
    requireLeader(call) {
      if (!wantsLeader(call)) return true
      if (hasLeader) depend(call)
      return hasLeader
    },
    signal,
  }
  followLeadership()

  function depend(call: StreamCall): void {
    dependent.add(call)
    if (dependent.size < pruneCount) return
    for (const one of dependent) if (!one.isOpen) dependent.delete(one)
    pruneCount = Math.max(pruneCountMin, dependent.size * 2)
  }

  async function followLeadership(): Promise<void> {
    for await (const state of store.leadership(signal)) {
      header.term = Math.max(state.term, 1)
      hasLeader = state.mine || state.leader !== undefined
      change.abort()
      change = new AbortController()
      if (!hasLeader) endDependent(change.signal)
    }
  }

  async function endDependent(until: AbortSignal): Promise<void> {
    await clock.sleep(leaderlessMs, until)
    if (until.aborted || signal.aborted) return
    const { code, message } = errors.noLeader()
    for (const call of dependent) call.fail(code, message)
    dependent.clear()
  }

  const watch = openWatch(context, { progressMs: config.progressMs ?? 10 * 60_000 })
  const authenticate = guarded(context, () => {
    throw errors.authNotEnabled()
  })
  return {
    unary: new Map([
      ...kvRoutes(context),
      ...leaseRoutes(context),
      ...clusterRoutes(context),
      ...maintenanceRoutes(context),
      ['/etcdserverpb.Auth/Authenticate', authenticate] as const,
    ]),
    stream: new Map([
      ['/etcdserverpb.Watch/Watch', watch.open],
      ['/etcdserverpb.Lease/LeaseKeepAlive', (call: StreamCall) => openKeepAlive(context, call)],
      ['/etcdserverpb.Maintenance/Snapshot', (call: StreamCall) => openSnapshot(context, call)],
    ]),
  }
}
