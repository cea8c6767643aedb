// etcd's Maintenance service: what a member says of itself, checksums, a snapshot of all, and handing over the lead.
import { createHash } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import type { Bytes } from '../lib/bytes.ts'
import {
  AlarmRequestSchema,
  AlarmResponseSchema,
  DefragmentResponseSchema,
  HashKVRequestSchema,
  HashKVResponseSchema,
  HashResponseSchema,
  MoveLeaderRequestSchema,
  MoveLeaderResponseSchema,
  SnapshotResponseSchema,
  StatusResponseSchema,
} from '../wire/gen/etcd/rpc_pb.ts'
import { type StreamCall, type StreamHandler, statusCode, type UnaryCall } from '../world/grpc.ts'
import {
  type Context,
  decode,
  guarded,
  type Handler,
  headerOf,
  later,
  type Routes,
  reply,
  sendMessage,
} from './context.ts'
import { EtcdError, errors, etcdError } from './errors.ts'
import { numberOf } from './ids.ts'
import { snapshotTail } from './snapshot-file.ts'

/** The version of etcd whose API this is; clients ask, to know what they may do. */
export const etcdVersion = '3.4.23'

const alarmGet = 0
const alarmDeactivate = 2

export function maintenanceRoutes(context: Context): Routes {
  const { store, signal } = context

  async function status(call: UnaryCall): Promise<void> {
    const bytes = BigInt(await context.dbBytes())
    const now = store.status()
    const leader = now.members.find(member => member.peer === now.leader)
    const own = now.members.find(member => member.member === context.member)
    const answer = create(StatusResponseSchema, {
      header: headerOf(context, now.revision),
      version: etcdVersion,
      dbSize: bytes,
      dbSizeInUse: bytes,
      leader: leader === undefined ? 0n : numberOf(leader.member),
      raftIndex: BigInt(now.commitIndex),
      raftTerm: BigInt(now.term),
      raftAppliedIndex: BigInt(now.appliedIndex),
      errors: leader === undefined ? [errors.noLeader().message] : [],
      isLearner: own?.role === 'learner',
    })
    reply(call, StatusResponseSchema, answer)
  }

  async function moveLeader(target: bigint, call: UnaryCall): Promise<void> {
    const before = store.status()
    if (before.role !== 'leader') throw errors.notLeader()
    const voter = before.members.find(one => numberOf(one.member) === target)
    if (voter?.role !== 'voter') throw errors.badTransferee()
    if (voter.member !== context.member) await store.transferLeadership(signal)
    const { leader } = store.status()
    // The store hands over to the voter that is furthest, which need not be the one that was named.
    if (leader !== voter.peer) throw new EtcdError(statusCode.aborted, `etcdserver: ${leader ?? 'nobody'} leads now`)
    const header = headerOf(context, store.revision())
    reply(call, MoveLeaderResponseSchema, create(MoveLeaderResponseSchema, { header }))
  }

  function hashKv(revision: number, call: UnaryCall): void {
    if (revision > store.revision()) throw errors.futureRevision()
    const found = store.hashAt(Math.max(revision, 0))
    const header = headerOf(context, found.revision)
    const answer = { header, hash: found.hash, compactRevision: BigInt(found.compacted) }
    reply(call, HashKVResponseSchema, create(HashKVResponseSchema, answer))
  }

  function hash(call: UnaryCall): void {
    const found = store.hashAt(0)
    const header = headerOf(context, found.revision)
    reply(call, HashResponseSchema, create(HashResponseSchema, { header, hash: found.hash }))
  }

  /** There are no alarms: what would be one ends the process, or is said in the log. */
  function alarm(action: number, call: UnaryCall): void {
    if (action !== alarmGet && action !== alarmDeactivate) {
      throw new EtcdError(statusCode.unimplemented, 'etcdserver: alarms are not raised by hand here')
    }
    const header = headerOf(context, store.revision())
    reply(call, AlarmResponseSchema, create(AlarmResponseSchema, { header }))
  }

  const route = (method: string, handler: Handler) =>
    [`/etcdserverpb.Maintenance/${method}`, guarded(context, handler)] as const
  return [
    route('Status', (_bytes, _start, _end, call) => later(context, call, status(call))),
    route('Hash', (_bytes, _start, _end, call) => hash(call)),
    route('HashKV', (bytes, start, end, call) => {
      hashKv(Number(decode(HashKVRequestSchema, bytes, start, end).revision), call)
    }),
    route('Alarm', (bytes, start, end, call) => alarm(decode(AlarmRequestSchema, bytes, start, end).action, call)),
    // The store looks after its files by itself; who asks for it is told that it is done.
    route('Defragment', (_bytes, _start, _end, call) => {
      const header = headerOf(context, store.revision())
      reply(call, DefragmentResponseSchema, create(DefragmentResponseSchema, { header }))
    }),
    route('MoveLeader', (bytes, start, end, call) => {
      later(context, call, moveLeader(decode(MoveLeaderRequestSchema, bytes, start, end).targetID, call))
    }),
  ]
}

const blobBytesMax = 32 * 1024

/** A backup of now, as fast as the client reads it. */
export function openSnapshot(context: Context, call: StreamCall): StreamHandler {
  const { store } = context
  let blobs: Iterator<Blob> | undefined

  function pump(): void {
    try {
      while (blobs !== undefined) {
        const { value, done } = blobs.next()
        if (done === true) {
          blobs = undefined
          call.finish()
        } else if (!sendMessage(call, SnapshotResponseSchema, answerOf(value))) return
      }
    } catch (error) {
      const { code, message } = etcdError(error, context.hasLeader())
      call.fail(code, message)
    }
  }

  function answerOf({ bytes, isLast }: Blob) {
    const header = headerOf(context, store.revision())
    // How much there will be is not known before the end; 0 would say that this is it.
    return create(SnapshotResponseSchema, { header, remainingBytes: isLast ? 0n : 1n, blob: bytes })
  }

  return {
    message() {
      if (blobs !== undefined) return
      blobs = blobsOf(store.backup())
      pump()
    },
    halfClosed() {},
    drained: pump,
    ended() {
      blobs = undefined
    },
  }
}

type Blob = { readonly bytes: Bytes; readonly isLast: boolean }

/** The backup, its tail and the checksum over both, in pieces that are no trouble to send. */
function* blobsOf(backup: Iterable<Bytes>): Generator<Blob> {
  const checksum = createHash('sha256')
  let length = 0
  for (const chunk of backup) {
    length += chunk.length
    checksum.update(chunk)
    for (let at = 0; at < chunk.length; at += blobBytesMax) {
      yield { bytes: chunk.subarray(at, at + blobBytesMax), isLast: false }
    }
  }
  const tail = snapshotTail(length)
  checksum.update(tail)
  yield { bytes: tail, isLast: false }
  yield { bytes: new Uint8Array(checksum.digest()), isLast: true }
}
