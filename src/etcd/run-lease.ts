// etcd's Lease service. Grants and revocations go through the log; how much time is left is the leader's to say.
import { create } from '@bufbuild/protobuf'
import type { Bytes } from '../lib/bytes.ts'
import {
  LeaseGrantRequestSchema,
  LeaseGrantResponseSchema,
  LeaseKeepAliveRequestSchema,
  LeaseKeepAliveResponseSchema,
  LeaseLeasesResponseSchema,
  LeaseRevokeRequestSchema,
  LeaseRevokeResponseSchema,
  LeaseTimeToLiveRequestSchema,
  LeaseTimeToLiveResponseSchema,
} from '../wire/gen/etcd/rpc_pb.ts'
import type { StreamCall, StreamHandler, UnaryCall } from '../world/grpc.ts'
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
import { errors, etcdError, failureError } from './errors.ts'

/** etcd's MaxLeaseTTL. */
const ttlSecondsMax = 9_000_000_000n
/** Renewals of one stream under way; of more, the client waits. */
const renewalCountMax = 1_000

export function leaseRoutes(context: Context): Routes {
  const { store, signal } = context

  async function grant(id: bigint, ttl: bigint, call: UnaryCall): Promise<void> {
    if (ttl > ttlSecondsMax) throw errors.leaseTtlTooLarge()
    // etcd takes an ID of any 63 bits; ours are what JavaScript counts exactly.
    if (id < 0n || id > BigInt(Number.MAX_SAFE_INTEGER)) throw errors.leaseIdTooLarge()
    const ttlSeconds = Math.max(1, Number(ttl))
    const outcome = await store.execute({ kind: 'grant', lease: Number(id), ttlSeconds })
    if (outcome.kind === 'failed') throw failureError(outcome.why)
    if (outcome.kind !== 'grant') throw new Error(`a grant came back as ${outcome.kind}`)
    const answer = {
      header: headerOf(context, outcome.revision),
      ID: BigInt(outcome.lease),
      TTL: BigInt(outcome.ttlSeconds),
    }
    reply(call, LeaseGrantResponseSchema, create(LeaseGrantResponseSchema, answer))
  }

  async function revoke(id: bigint, call: UnaryCall): Promise<void> {
    const outcome = await store.execute({ kind: 'revoke', lease: leaseOf(id), term: undefined })
    if (outcome.kind === 'failed') throw failureError(outcome.why)
    const header = headerOf(context, outcome.revision)
    reply(call, LeaseRevokeResponseSchema, create(LeaseRevokeResponseSchema, { header }))
  }

  async function timeToLive(id: bigint, withKeys: boolean, call: UnaryCall): Promise<void> {
    const found = isLease(id) ? await store.lease(Number(id), signal) : undefined
    const header = headerOf(context, store.revision())
    // etcd's answer, and no error, for a lease that is not there.
    const answer =
      found === undefined
        ? { header, ID: id, TTL: -1n }
        : {
            header,
            ID: id,
            TTL: BigInt(Math.floor(found.remainingSeconds)),
            grantedTTL: BigInt(found.grantedSeconds),
            keys: withKeys ? found.keys.map(key => new Uint8Array(Buffer.from(key, 'latin1'))) : [],
          }
    reply(call, LeaseTimeToLiveResponseSchema, create(LeaseTimeToLiveResponseSchema, answer))
  }

  async function list(call: UnaryCall): Promise<void> {
    const revision = await store.newest(signal)
    const leases = store.leases().map(lease => ({ ID: BigInt(lease) }))
    const header = headerOf(context, revision)
    reply(call, LeaseLeasesResponseSchema, create(LeaseLeasesResponseSchema, { header, leases }))
  }

  const route = (method: string, handler: Handler) =>
    [`/etcdserverpb.Lease/${method}`, guarded(context, handler)] as const
  const listHandler: Handler = (_bytes, _start, _end, call) => later(context, call, list(call))
  return [
    route('LeaseGrant', (bytes, start, end, call) => {
      const { ID, TTL } = decode(LeaseGrantRequestSchema, bytes, start, end)
      later(context, call, grant(ID, TTL, call))
    }),
    route('LeaseRevoke', (bytes, start, end, call) => {
      const { ID } = decode(LeaseRevokeRequestSchema, bytes, start, end)
      later(context, call, revoke(ID, call))
    }),
    route('LeaseTimeToLive', (bytes, start, end, call) => {
      const { ID, keys } = decode(LeaseTimeToLiveRequestSchema, bytes, start, end)
      later(context, call, timeToLive(ID, keys, call))
    }),
    route('LeaseLeases', listHandler),
    // An old name of the same method, at an old place: etcd serves both.
    [
      '/etcdserverpb.KV/LeaseTimeToLive',
      guarded(context, (bytes, start, end, call) => {
        const { ID, keys } = decode(LeaseTimeToLiveRequestSchema, bytes, start, end)
        later(context, call, timeToLive(ID, keys, call))
      }),
    ],
  ]
}

/** One stream of renewals. They are answered in the order in which the leader answers them, as etcd's clients allow. */
export function openKeepAlive(context: Context, call: StreamCall): StreamHandler {
  const { store, signal } = context
  let underWay = 0
  let isHalfClosed = false

  function failWith(error: unknown): void {
    const { code, message } = etcdError(error, context.hasLeader())
    call.fail(code, message)
  }

  async function renew(id: bigint): Promise<void> {
    const renewed = isLease(id) ? await store.renewLease(Number(id), signal) : undefined
    const header = headerOf(context, store.revision())
    // A time to live of 0 says that the lease is gone.
    const answer = { header, ID: id, TTL: BigInt(renewed?.ttlSeconds ?? 0) }
    sendMessage(call, LeaseKeepAliveResponseSchema, create(LeaseKeepAliveResponseSchema, answer))
    underWay -= 1
    if (isHalfClosed && underWay === 0) call.finish()
  }

  if (!context.requireLeader(call)) failWith(errors.noLeader())
  return {
    message(bytes: Bytes, start: number, end: number) {
      try {
        const { ID } = decode(LeaseKeepAliveRequestSchema, bytes, start, end)
        if (underWay >= renewalCountMax) throw errors.tooMany()
        underWay += 1
        renew(ID).catch(failWith)
      } catch (error) {
        failWith(error)
      }
    },
    halfClosed() {
      isHalfClosed = true
      if (underWay === 0) call.finish()
    },
    drained() {},
    ended() {},
  }
}

function isLease(id: bigint): boolean {
  return id > 0n && id <= BigInt(Number.MAX_SAFE_INTEGER)
}

function leaseOf(id: bigint): number {
  if (!isLease(id)) throw errors.leaseNotFound()
  return Number(id)
}
