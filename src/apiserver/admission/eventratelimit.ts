// EventRateLimit: how many events are let through in a second, in all, of a namespace, of a user, and of one source about
// one object. A core: a bucket of tokens per key, the time comes in as a parameter. It holds for the peer that leads, where
// all writes pass; the next leader begins with full buckets. After kubernetes plugin/pkg/admission/eventratelimit, but that
// a refused event takes no token: one who floods must not use up what is there for the others.
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#eventratelimit
import type { Event } from '../../api/kinds/event.ts'
import { type Event as EventsEvent, eventsEvent, toCore } from '../../api/kinds/eventsevent.ts'
import { assert } from '../../lib/assert.ts'
import { type Change, TooOften } from './admission.ts'

export type LimitType = 'Server' | 'Namespace' | 'User' | 'SourceAndObject'

export type EventLimit = {
  readonly type: LimitType
  /** Events a second in the long run. */
  readonly qps: number
  /** At once, after a quiet time. */
  readonly burst: number
}

/**
 * At most fifty in any one second reach the log, whatever is sent: burst and qps of the server together. One user, one
 * namespace and one object leave room for others. Whoever is told to wait and does, as client-go and our own components do,
 * loses nothing.
 */
export const defaultEventLimits: readonly EventLimit[] = [
  { type: 'SourceAndObject', qps: 1, burst: 10 },
  { type: 'User', qps: 20, burst: 20 },
  { type: 'Namespace', qps: 25, burst: 20 },
  { type: 'Server', qps: 30, burst: 20 },
]

/** Upstream's cacheSize: who was not heard of for the longest is forgotten, and so begins anew. */
export const bucketCountMax = 4_096

type Bucket = { readonly tokens: number; readonly atMs: number }

const keyOf: Readonly<Record<LimitType, (change: Change) => string>> = {
  Server: () => '',
  Namespace: ({ namespace = '' }) => namespace,
  User: ({ identity }) => identity.user,
  SourceAndObject: ({ objectKind, object }) =>
    sourceAndObject(objectKind === eventsEvent ? toCore(object as EventsEvent) : (object as Event)),
}

function sourceAndObject({ source, involvedObject, reportingComponent, reportingInstance }: Event): string {
  const { kind, namespace, name, uid, apiVersion } = involvedObject
  const by = [source?.component || reportingComponent, source?.host || reportingInstance]
  return [...by, kind, namespace, name, uid, apiVersion].map(part => part ?? '').join('')
}

export class EventRates {
  readonly #rates: readonly { readonly limit: EventLimit; readonly buckets: Map<string, Bucket> }[]

  constructor(limits: readonly EventLimit[] = defaultEventLimits) {
    for (const { qps, burst } of limits) assert(qps > 0 && burst >= 1, 'an event limit lets some events through')
    this.#rates = limits.map(limit => ({ limit, buckets: new Map() }))
  }

  /** Counts an event that comes at `nowMs` (monotonic). Throws TooManyRequests (429) and counts nothing. */
  accept(change: Change, nowMs: number): void {
    const asked = this.#rates.map(({ limit, buckets }) => {
      const key = keyOf[limit.type](change)
      return { limit, buckets, key, tokens: tokensAt(buckets.get(key), limit, nowMs) }
    })
    const empty = asked.find(({ tokens }) => tokens < 1)
    if (empty !== undefined) throw refused(empty.limit, empty.key, empty.tokens)
    for (const { buckets, key, tokens } of asked) {
      // At the end of the order of a Map stands who was heard of last.
      buckets.delete(key)
      buckets.set(key, { tokens: tokens - 1, atMs: nowMs })
      for (const oldest of buckets.keys()) {
        if (buckets.size <= bucketCountMax) break
        buckets.delete(oldest)
      }
    }
  }
}

function tokensAt(bucket: Bucket | undefined, { qps, burst }: EventLimit, nowMs: number): number {
  if (bucket === undefined) return burst
  return Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) * qps) / 1_000)
}

function refused({ type, qps }: EventLimit, key: string, tokens: number): TooOften {
  const retryAfterSeconds = Math.max(1, Math.ceil((1 - tokens) / qps))
  const message = `Too many requests: limit reached on type ${type} for key ${key}`
  return new TooOften('TooManyRequests', message, { retryAfterSeconds })
}
