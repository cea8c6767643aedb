// The pods that wait for a node: those to try now (by priority, then first come), those that wait out a back-off, and those
// that fit nowhere and wait for a hint that something changed. Time is an argument. Pure.
// After kubernetes pkg/scheduler/backend/queue.
import type { Pod } from '../api/kinds/pod.ts'
import { createHeap } from '../lib/heap.ts'
import { priorityOf } from './requests.ts'

export const podBackoffMs = 1_000
export const podBackoffMsMax = 10_000
/** A pod that fitted nowhere is tried again after this long even without a hint. */
export const parkedMsMax = 300_000

type Place = 'active' | 'backoff' | 'parked' | 'taken'
type Item = {
  readonly pod: Pod
  readonly place: Place
  readonly attempts: number
  readonly atMs: number
  readonly order: number
}

export interface PodQueue {
  /** A pod without a node, new or changed. */
  add(pod: Pod, nowMs: number): void
  remove(uid: string): void
  /** Changes what is known of a pod without trying it sooner. */
  refresh(pod: Pod): void
  take(nowMs: number): Pod | undefined
  /** It fitted nowhere: wait for a hint. */
  park(uid: string, nowMs: number): void
  /** Something went wrong: try again after a back-off. */
  retry(uid: string, nowMs: number): void
  /** A hint: what is parked may fit now. */
  wake(nowMs: number, which?: (pod: Pod) => boolean): void
  nextAtMs(): number | undefined
  readonly size: number
}

export function podQueue(): PodQueue {
  const items = new Map<string, Item>()
  const active = createHeap<Item>(
    (a, b) => priorityOf(a.pod) > priorityOf(b.pod) || (priorityOf(a.pod) === priorityOf(b.pod) && a.order < b.order),
  )
  const timed = createHeap<Item>((a, b) => a.atMs < b.atMs)
  let order = 0

  // An entry of a heap that is no longer the pod's item is stale, and dropped when it comes up.
  const isCurrent = (item: Item) => items.get(item.pod.metadata.uid) === item

  function put(item: Omit<Item, 'order'>, orderKept?: number): void {
    order += 1
    const made = { ...item, order: orderKept ?? order }
    items.set(item.pod.metadata.uid, made)
    if (made.place === 'active') active.push(made)
    else if (made.place !== 'taken') timed.push(made)
  }

  function backoff(attempts: number): number {
    return Math.min(podBackoffMsMax, podBackoffMs * 2 ** Math.min(attempts - 1, 10))
  }

  function due(nowMs: number): void {
    for (let first = timed.peek(); first !== undefined; first = timed.peek()) {
      if (isCurrent(first) && first.atMs > nowMs) return
      timed.pop()
      if (isCurrent(first)) put({ ...first, place: 'active' }, first.order)
    }
  }

  /** When its last attempt is long enough ago for another. */
  function wakeOne(item: Item, nowMs: number): void {
    const sinceMs = item.atMs - parkedMsMax
    const readyMs = sinceMs + backoff(item.attempts)
    put(readyMs <= nowMs ? { ...item, place: 'active' } : { ...item, place: 'backoff', atMs: readyMs }, item.order)
  }

  return {
    add(pod, nowMs) {
      const known = items.get(pod.metadata.uid)
      if (known === undefined) put({ pod, place: 'active', attempts: 0, atMs: nowMs })
      else if (known.place === 'parked') wakeOne({ ...known, pod }, nowMs)
      else put({ ...known, pod }, known.order)
    },
    remove: uid => void items.delete(uid),
    refresh(pod) {
      const known = items.get(pod.metadata.uid)
      if (known !== undefined) put({ ...known, pod }, known.order)
    },
    take(nowMs) {
      due(nowMs)
      for (let first = active.pop(); first !== undefined; first = active.pop()) {
        if (!isCurrent(first)) continue
        put({ ...first, place: 'taken', attempts: first.attempts + 1 }, first.order)
        return first.pod
      }
      return undefined
    },
    park(uid, nowMs) {
      const item = items.get(uid)
      if (item !== undefined) put({ ...item, place: 'parked', atMs: nowMs + parkedMsMax }, item.order)
    },
    retry(uid, nowMs) {
      const item = items.get(uid)
      if (item !== undefined) put({ ...item, place: 'backoff', atMs: nowMs + backoff(item.attempts) }, item.order)
    },
    wake(nowMs, which = () => true) {
      for (const item of [...items.values()]) if (item.place === 'parked' && which(item.pod)) wakeOne(item, nowMs)
    },
    nextAtMs() {
      for (let first = active.peek(); first !== undefined; first = active.peek()) {
        if (isCurrent(first)) return 0
        active.pop()
      }
      for (let first = timed.peek(); first !== undefined; first = timed.peek()) {
        if (isCurrent(first)) return first.atMs
        timed.pop()
      }
      return undefined
    },
    get size() {
      return items.size
    },
  }
}
