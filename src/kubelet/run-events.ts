// Events that `kubectl describe` shows: the same one again counts up instead of making a new object, and one source may
// not flood the store. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
import { event as eventKind } from '../api/kinds/event.ts'
import type { Client } from '../client/client.ts'
import { formatTime } from '../lib/time.ts'
import type { World } from '../world/world.ts'
import { fnv1a } from './hash.ts'
import type { Pod } from './plan.ts'

export const countedMax = 1_000
/** A burst, then one in this time, per pod: upstream's spam filter is 25 and 1 in 5 min. */
export const burst = 25
export const refillMs = 300_000

export type Recorder = (
  pod: Pod,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
  container?: string,
) => void

export function recorder(
  world: World,
  client: Client,
  node: string,
  signal: AbortSignal,
): { readonly record: Recorder; readonly done: () => Promise<void> } {
  const counts = new Map<string, { count: number; firstMs: number; name: string }>()
  const budgets = new Map<string, { left: number; atMs: number }>()
  let tail: Promise<void> = Promise.resolve()

  function allowed(uid: string, nowMs: number): boolean {
    const before = budgets.get(uid) ?? { left: burst, atMs: nowMs }
    const left = Math.min(burst, before.left + (nowMs - before.atMs) / refillMs)
    if (budgets.size > countedMax) budgets.clear()
    budgets.set(uid, { left: left < 1 ? left : left - 1, atMs: nowMs })
    return left >= 1
  }

  function record(...[pod, type, reason, message, container]: Parameters<Recorder>): void {
    const nowMs = world.clock.nowMs()
    if (!allowed(pod.metadata.uid, nowMs)) return
    const key = `${pod.metadata.uid}/${type}/${reason}/${container ?? ''}/${message}`
    const before = counts.get(key)
    const name = before?.name ?? `${pod.metadata.name}.${fnv1a(key)}${nowMs.toString(16)}`
    const entry = { count: (before?.count ?? 0) + 1, firstMs: before?.firstMs ?? nowMs, name }
    if (counts.size > countedMax) counts.clear()
    counts.set(key, entry)
    const namespace = pod.metadata.namespace ?? 'default'
    const body = {
      metadata: { name, namespace },
      involvedObject: {
        kind: 'Pod',
        apiVersion: 'v1',
        namespace,
        name: pod.metadata.name,
        uid: pod.metadata.uid,
        resourceVersion: pod.metadata.resourceVersion,
        ...(container !== undefined && { fieldPath: `spec.containers{${container}}` }),
      },
      type,
      reason,
      message,
      source: { component: 'kubelet', host: node },
      reportingComponent: 'kubelet',
      reportingInstance: node,
      firstTimestamp: formatTime(entry.firstMs),
      lastTimestamp: formatTime(nowMs),
      count: entry.count,
    }
    tail = tail.then(() => write(body, before !== undefined))
  }

  async function write(body: { metadata: { name: string; namespace: string } }, again: boolean): Promise<void> {
    using deadline = world.clock.deadline(10_000, signal)
    try {
      const key = { namespace: body.metadata.namespace, name: body.metadata.name }
      if (again) await client.patch(eventKind, key, { type: 'merge', body }, deadline.signal)
      else await client.create(eventKind, body, deadline.signal)
    } catch (error) {
      // An event is a hint for people; losing one harms nothing, so it is said in the log alone.
      world.log.debug('an event was not written', { name: body.metadata.name, error: String(error) })
    }
  }

  return { record, done: () => tail }
}
