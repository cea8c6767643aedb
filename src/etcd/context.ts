// What etcd's services on one peer share.
import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf'
import type { Revision } from '../kv/store.ts'
import type { CommandStore } from '../kv/txn.ts'
import type { Bytes } from '../lib/bytes.ts'
import { type ResponseHeader, ResponseHeaderSchema } from '../wire/gen/etcd/rpc_pb.ts'
import { statusCode, type UnaryCall } from '../world/grpc.ts'
import { EtcdError, errors, etcdError } from './errors.ts'
import { requestBytesMax } from './kv.ts'
import type { HeaderWriter } from './responses.ts'

export type Context = {
  readonly store: CommandStore
  /** In etcd's numbers. */
  readonly clusterId: bigint
  readonly memberId: bigint
  /** The store's own name of this member. */
  readonly member: string
  readonly header: HeaderWriter
  /** Whether a leader is known. */
  hasLeader(): boolean
  /** How large the data is on disk, about. */
  dbBytes(): number
  /** Aborts when the peer stops. */
  readonly signal: AbortSignal
}

export type Handler = (bytes: Bytes, start: number, end: number, call: UnaryCall) => void
export type Routes = readonly (readonly [path: string, handler: Handler])[]

export function headerOf(context: Context, revision: Revision): ResponseHeader {
  const { clusterId, memberId, header } = context
  return create(ResponseHeaderSchema, {
    clusterId,
    memberId,
    revision: BigInt(revision),
    raftTerm: BigInt(header.term),
  })
}

export function reply<S extends DescMessage>(call: UnaryCall, schema: S, message: MessageShape<S>): void {
  const bytes = toBinary(schema, message)
  call.respond(bytes, 0, bytes.length)
}

export function fail(context: Context, call: UnaryCall, error: unknown): void {
  const { code, message } = etcdError(error, context.hasLeader())
  call.fail(code, message)
}

export function malformed(): EtcdError {
  return new EtcdError(statusCode.internal, 'grpc: error unmarshalling request: proto: illegal wireType')
}

/** Whatever `run` throws is the answer. */
export function guarded(context: Context, run: Handler): Handler {
  return (bytes, start, end, call) => {
    try {
      if (end - start > requestBytesMax) throw errors.tooLarge()
      run(bytes, start, end, call)
    } catch (error) {
      fail(context, call, error)
    }
  }
}
