// What goes by itself after a time: Events an hour after they were last told, tokens when they have expired. Looked at
// rarely and removed many at once, so that an idle cluster's disks rest.
import { event as eventKind } from '../api/kinds/event.ts'
import { type Secret, secret as secretKind } from '../api/kinds/secret.ts'
import { createdMs, timeMs } from '../client/objects.ts'
import { defineSweep, type Plan, remove } from './controller.ts'

export const expiryDelayMs = 300_000
/** As node/run-admission.ts writes it. */
export const joinTokenType = 'flotilla.dev/join-token'
/** An expired token is kept for a while, so that who comes late is told that it expired. */
export const joinTokenKeptMs = 3_600_000
/** https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/: they go when they have expired. */
export const bootstrapTokenType = 'bootstrap.kubernetes.io/token'

export const eventExpiryController = defineSweep({
  name: 'eventexpiry',
  delayMs: expiryDelayMs,
  reads: { events: eventKind },
  reconcile({ events }, { nowMs, inputs }): Plan {
    const all = events.list()
    const lastMs = (one: (typeof all)[number]) =>
      timeMs(one.series?.lastObservedTime ?? one.lastTimestamp ?? one.eventTime) || createdMs(one)
    const old = all.filter(one => lastMs(one) + inputs.config.eventTtlMs <= nowMs)
    const isMore = all.length > old.length
    return {
      changes: old.map(one => remove(eventKind, one)),
      ...(isMore && { againAtMs: nowMs + expiryDelayMs }),
    }
  },
})

export const tokenExpiryController = defineSweep({
  name: 'tokenexpiry',
  delayMs: 1_000,
  reads: { secrets: secretKind },
  reconcile({ secrets }, { nowMs }): Plan {
    const tokens = secrets.list('kube-system').map(secret => ({ secret, endMs: endMsOf(secret) }))
    const next = tokens.filter(({ endMs }) => endMs > nowMs && Number.isFinite(endMs)).map(({ endMs }) => endMs)
    return {
      changes: tokens.filter(({ endMs }) => endMs <= nowMs).map(({ secret }) => remove(secretKind, secret)),
      ...(next.length > 0 && { againAtMs: Math.min(...next) }),
    }
  },
})

function endMsOf(secret: Secret): number {
  switch (secret.type) {
    case joinTokenType:
      return expiresMs(secret) + joinTokenKeptMs
    case bootstrapTokenType:
      return bootstrapEndMs(secret)
    default:
      return Number.POSITIVE_INFINITY
  }
}

/** One that expires nobody knows when lets nobody in either; it stays, so that its owner sees it. */
function bootstrapEndMs({ data }: Secret): number {
  try {
    return timeMs(atob(data?.['expiration'] ?? '')) || Number.POSITIVE_INFINITY
  } catch {
    // Not base64: the same.
    return Number.POSITIVE_INFINITY
  }
}

/** Never, when the record cannot be read: somebody else may know what it is. */
function expiresMs({ data }: Secret): number {
  try {
    const record: unknown = JSON.parse(atob(data?.['record'] ?? ''))
    if (
      typeof record === 'object' &&
      record !== null &&
      'expiresMs' in record &&
      typeof record.expiresMs === 'number'
    ) {
      return record.expiresMs
    }
  } catch {
    // Not JSON, or not base64: no record of a token.
  }
  return Number.POSITIVE_INFINITY
}
