// etcd's Maintenance service: what a member says of itself, checksums, a snapshot of all, and handing over the lead.
import { create } from '@bufbuild/protobuf'
import { StatusResponseSchema } from '../wire/gen/etcd/rpc_pb.ts'
import { type Context, guarded, type Handler, headerOf, type Routes, reply } from './context.ts'
import { numberOf } from './ids.ts'

/** The version of etcd whose API this is; clients ask, to know what they may do. */
export const etcdVersion = '3.4.23'

export function maintenanceRoutes(context: Context): Routes {
  const { store } = context

  const status: Handler = (_bytes, _start, _end, call) => {
    const now = store.status()
    const leader = now.members.find(member => member.peer === now.leader)
    const own = now.members.find(member => member.member === context.member)
    const answer = create(StatusResponseSchema, {
      header: headerOf(context, now.revision),
      version: etcdVersion,
      dbSize: BigInt(context.dbBytes()),
      dbSizeInUse: BigInt(context.dbBytes()),
      leader: leader === undefined ? 0n : numberOf(leader.member),
      raftIndex: BigInt(now.commitIndex),
      raftTerm: BigInt(now.term),
      raftAppliedIndex: BigInt(now.appliedIndex),
      errors: leader === undefined ? ['etcdserver: no leader'] : [],
      isLearner: own?.role === 'learner',
    })
    reply(call, StatusResponseSchema, answer)
  }

  const path = (method: string) => `/etcdserverpb.Maintenance/${method}`
  return [[path('Status'), guarded(context, status)]]
}
