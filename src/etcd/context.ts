// What etcd's services on one peer share.
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf'
import type { Revision } from '../kv/store.ts'
import type { CommandStore } from '../kv/txn.ts'
import type { Bytes } from '../lib/bytes.ts'
import { type ResponseHeader, ResponseHeaderSchema } from '../wire/gen/etcd/rpc_pb.ts'
import type { Clock } from '../world/clock.ts'
import { type StreamCall, statusCode, type UnaryCall } from '../world/grpc.ts'
import type { PeerId } from '../world/network.ts'
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
  readonly clientUrlsOf: (peer: PeerId) => readonly string[]
  readonly nameOf: (peer: PeerId) => string
  readonly dbBytes: () => Promise<number>
  readonly clock: Clock
  /**
   * To be asked when a stream begins. False: it wants no news from a member that knows no leader, and none is known.
   * Otherwise it is ended when that comes about later.
   */
  requireLeader(call: StreamCall): boolean
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

/** False when the client reads more slowly than this. */
export function sendMessage<S extends DescMessage>(call: StreamCall, schema: S, message: MessageShape<S>): boolean {
  const bytes = toBinary(schema, message)
  return call.send(bytes, bytes.length)
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
      if (!context.hasLeader() && wantsLeader(call)) throw errors.noLeader()
      run(bytes, start, end, call)
    } catch (error) {
      fail(context, call, error)
    }
  }
}

/** What etcd's clients say when they would rather hear of a missing leader than wait for one. */
export function wantsLeader(call: { header(name: string): string | undefined }): boolean {
  return call.header('hasleader') === 'true'
}

/** Decodes with generated code: for what is not asked often. Throws what the client hears. */
export function decode<S extends DescMessage>(schema: S, bytes: Bytes, start: number, end: number): MessageShape<S> {
  try {
    return fromBinary(schema, bytes.subarray(start, end))
  } catch {
    throw malformed()
  }
}

/** Answers with what `work` gives, or with why it gave nothing. */
export function later(context: Context, call: UnaryCall, work: Promise<void>): void {
  work.catch(error => fail(context, call, error))
}
