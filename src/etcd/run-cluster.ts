// etcd's Cluster service: who the members are. They come and go by the cluster's own ways (join, leave, remove), so a
// member cannot be added here: etcd names it by URLs, ours by a key that has proved itself.
import { create } from '@bufbuild/protobuf'
import type { MemberInfo, MembershipChange } from '../kv/store.ts'
import {
  MemberListRequestSchema,
  MemberListResponseSchema,
  MemberPromoteRequestSchema,
  MemberPromoteResponseSchema,
  MemberRemoveRequestSchema,
  MemberRemoveResponseSchema,
} from '../wire/gen/etcd/rpc_pb.ts'
import type { UnaryCall } from '../world/grpc.ts'
import { type Context, decode, guarded, type Handler, headerOf, later, type Routes, reply } from './context.ts'
import { errors } from './errors.ts'
import { numberOf } from './ids.ts'

export function clusterRoutes(context: Context): Routes {
  const { store, signal } = context

  /** In etcd's form. */
  function membersNow() {
    return store.status().members.map(one => ({
      ID: numberOf(one.member),
      name: context.nameOf(one.peer),
      peerURLs: [`p2p://${one.peer}`],
      clientURLs: [...context.clientUrlsOf(one.peer)],
      isLearner: one.role === 'learner',
    }))
  }

  async function list(linearizable: boolean, call: UnaryCall): Promise<void> {
    if (linearizable) await store.newest(signal)
    const header = headerOf(context, store.revision())
    reply(call, MemberListResponseSchema, create(MemberListResponseSchema, { header, members: membersNow() }))
  }

  function memberOf(id: bigint): MemberInfo {
    const found = store.status().members.find(one => numberOf(one.member) === id)
    if (found === undefined) throw errors.memberNotFound()
    return found
  }

  async function change(wanted: MembershipChange): Promise<void> {
    await store.changeMembership(wanted, signal)
  }

  async function remove(id: bigint, call: UnaryCall): Promise<void> {
    await change({ kind: 'remove', member: memberOf(id).member })
    const header = headerOf(context, store.revision())
    reply(call, MemberRemoveResponseSchema, create(MemberRemoveResponseSchema, { header, members: membersNow() }))
  }

  async function promote(id: bigint, call: UnaryCall): Promise<void> {
    const found = memberOf(id)
    if (found.role !== 'learner') throw errors.memberNotLearner()
    await change({ kind: 'promote', member: found.member })
    const header = headerOf(context, store.revision())
    reply(call, MemberPromoteResponseSchema, create(MemberPromoteResponseSchema, { header, members: membersNow() }))
  }

  const route = (method: string, handler: Handler) =>
    [`/etcdserverpb.Cluster/${method}`, guarded(context, handler)] as const
  return [
    route('MemberList', (bytes, start, end, call) => {
      const { linearizable } = decode(MemberListRequestSchema, bytes, start, end)
      later(context, call, list(linearizable, call))
    }),
    route('MemberRemove', (bytes, start, end, call) => {
      later(context, call, remove(decode(MemberRemoveRequestSchema, bytes, start, end).ID, call))
    }),
    route('MemberPromote', (bytes, start, end, call) => {
      later(context, call, promote(decode(MemberPromoteRequestSchema, bytes, start, end).ID, call))
    }),
  ]
}
