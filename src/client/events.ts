// Events told by components, made fit to be stored: the same one counts up instead of being written again, many alike are
// combined, and one object cannot fill the log. Pure: time is an argument. After client-go tools/record/events_cache.go.
import type { KubeObject } from '../api/kind.ts'
import type { Event } from '../api/kinds/event.ts'
import type { Draft, Json } from '../api/schema.ts'
import type { ObjectReference } from '../api/types/reference.ts'
import { rfc3339 } from '../lib/duration.ts'

/** How many Events one object may have at once from one component, and how long until it may have one more. */
export const eventBurst = 25
export const eventRefillMs = 300_000
/** So many different messages for one reason within the interval; those after are combined into one Event. */
export const eventAlikeMax = 10
export const eventAlikeMs = 600_000
const knownCountMax = 4_096

export type Told = {
  readonly about: KubeObject
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
  /** The part of the object that is meant: spec.containers{web}. */
  readonly fieldPath?: string
}

export type EventWrite =
  | { readonly kind: 'create'; readonly event: Draft<Event>; readonly key: string }
  | {
      readonly kind: 'count'
      readonly namespace: string
      readonly name: string
      readonly body: Json
      readonly key: string
    }

export interface EventLog {
  /** Undefined: too many already, left out. */
  tell(told: Told, nowMs: number): EventWrite | undefined
  /** The Event of this key is not stored (any more): the next one is created. */
  forget(key: string): void
}

export function referenceTo(object: KubeObject): ObjectReference {
  const { name, namespace, uid, resourceVersion } = object.metadata
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name,
    ...(namespace !== undefined && { namespace }),
    uid,
    resourceVersion,
  }
}

/** `host`: the node that the component runs on, if it speaks for one. */
export function eventLog(component: string, host?: string): EventLog {
  type Known = { readonly namespace: string; readonly name: string; readonly count: number }
  const known = new Map<string, Known>()
  const alike = new Map<string, { readonly sinceMs: number; readonly messages: Set<string> }>()
  const budgets = new Map<string, { readonly tokens: number; readonly atMs: number }>()
  let serial = 0

  function spend(uid: string, nowMs: number): boolean {
    const budget = budgets.get(uid) ?? { tokens: eventBurst, atMs: nowMs }
    const tokens = Math.min(eventBurst, budget.tokens + Math.max(0, nowMs - budget.atMs) / eventRefillMs)
    if (tokens < 1) return false
    remember(budgets, uid, { tokens: tokens - 1, atMs: nowMs })
    return true
  }

  function combined({ about, type, reason, message }: Told, nowMs: number): boolean {
    const key = `${about.metadata.uid} ${type} ${reason}`
    const group = alike.get(key)
    const fresh = group === undefined || nowMs - group.sinceMs > eventAlikeMs
    const { messages, sinceMs } = fresh ? { messages: new Set<string>(), sinceMs: nowMs } : group
    if (messages.size <= eventAlikeMax) messages.add(message)
    remember(alike, key, { messages, sinceMs })
    return messages.size > eventAlikeMax
  }

  return {
    tell(told, nowMs) {
      const { about, type, reason, fieldPath } = told
      const isCombined = combined(told, nowMs)
      const message = isCombined ? `(combined from similar events): ${told.message}` : told.message
      const key = `${about.metadata.uid} ${fieldPath ?? ''} ${type} ${reason} ${isCombined ? '' : told.message}`
      if (!spend(about.metadata.uid, nowMs)) return undefined
      const before = known.get(key)
      if (before !== undefined) {
        remember(known, key, { ...before, count: before.count + 1 })
        const body = { count: before.count + 1, lastTimestamp: rfc3339(nowMs), message }
        return { kind: 'count', namespace: before.namespace, name: before.name, body, key }
      }
      serial += 1
      const namespace = about.metadata.namespace ?? 'default'
      const name = `${about.metadata.name}.${nowMs.toString(16)}${serial.toString(16).padStart(4, '0')}`
      remember(known, key, { namespace, name, count: 1 })
      const now = rfc3339(nowMs)
      const event: Draft<Event> = {
        metadata: { name, namespace },
        involvedObject: { ...referenceTo(about), ...(fieldPath !== undefined && { fieldPath }) },
        type,
        reason,
        message,
        source: { component, ...(host !== undefined && { host }) },
        reportingComponent: component,
        reportingInstance: host ?? '',
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      }
      return { kind: 'create', event, key }
    },
    forget: key => void known.delete(key),
  }
}

/** The least recently used goes when there are too many. */
function remember<V>(table: Map<string, V>, key: string, value: V): void {
  table.delete(key)
  table.set(key, value)
  if (table.size <= knownCountMax) return
  const oldest = table.keys().next()
  if (!oldest.done) table.delete(oldest.value)
}
