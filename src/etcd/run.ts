// etcd's v3 API on the store of one peer: what drivers/grpc/ is given to serve. Every call may come to any peer.
import type { CommandStore } from '../kv/txn.ts'
import type { GrpcService } from '../world/grpc.ts'
import type { Context } from './context.ts'
import { numberOf } from './ids.ts'
import { HeaderWriter } from './responses.ts'
import { kvRoutes } from './run-kv.ts'
import { maintenanceRoutes } from './run-maintenance.ts'

export type EtcdConfig = {
  readonly clusterId: string
  /** This member, as the store's status names it. */
  readonly member: string
}

/** Lives until the signal. */
export function openEtcd(store: CommandStore, config: EtcdConfig, signal: AbortSignal): GrpcService {
  const clusterId = numberOf(config.clusterId)
  const memberId = numberOf(config.member)
  const header = new HeaderWriter(clusterId, memberId)
  let hasLeader = false
  const context: Context = {
    store,
    clusterId,
    memberId,
    member: config.member,
    header,
    hasLeader: () => hasLeader,
    dbBytes: () => 0,
    signal,
  }
  follow()

  async function follow(): Promise<void> {
    for await (const state of store.leadership(signal)) {
      header.term = state.term
      hasLeader = state.mine || state.leader !== undefined
    }
  }

  return { unary: new Map([...kvRoutes(context), ...maintenanceRoutes(context)]), stream: new Map() }
}
