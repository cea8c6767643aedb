// Promises that the store has given and not yet kept: each is settled once, by an answer, its caller's signal, its time,
// or the end of the store. Time is an argument; the caller looks now and then.

import { StoreError } from '../kv/store.ts'
import { onAbort } from '../lib/abort.ts'

type Pending<T> = {
  readonly what: string
  readonly deadlineMs: number
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
  readonly listener: Disposable | undefined
}

export type Pendings<T> = {
  readonly size: number
  /** `what` ends the sentence "no answer in time: …". */
  add(
    what: string,
    deadlineMs: number,
    signal: AbortSignal | undefined,
  ): { readonly id: number; readonly promise: Promise<T> }
  /** Unknown or settled ids are ignored. */
  resolve(id: number, value: T): void
  reject(id: number, error: Error): void
  rejectAll(error: (what: string) => Error): void
  /** Rejects those whose time has passed. */
  expire(nowMs: number): void
}

/** `nextId` is shared by all pendings of one store, so that an id says which it is. */
export function createPendings<T>(nextId: () => number): Pendings<T> {
  const all = new Map<number, Pending<T>>()
  function take(id: number): Pending<T> | undefined {
    const pending = all.get(id)
    all.delete(id)
    pending?.listener?.[Symbol.dispose]()
    return pending
  }
  return {
    get size() {
      return all.size
    },
    add(what, deadlineMs, signal) {
      const id = nextId()
      const { promise, resolve, reject } = Promise.withResolvers<T>()
      if (signal?.aborted === true) {
        reject(late(what))
        return { id, promise }
      }
      const listener = signal && onAbort(signal, () => take(id)?.reject(late(what)))
      all.set(id, { what, deadlineMs, resolve, reject, listener })
      return { id, promise }
    },
    resolve: (id, value) => take(id)?.resolve(value),
    reject: (id, error) => take(id)?.reject(error),
    rejectAll(error) {
      for (const [id, { what }] of all) take(id)?.reject(error(what))
    },
    expire(nowMs) {
      for (const [id, { what, deadlineMs }] of all) if (deadlineMs <= nowMs) take(id)?.reject(late(what))
    },
  }
}

/** What the promise gives, unless the signal aborts before. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const listener = onAbort(signal, () => reject(late('the caller gave up')))
  work.then(resolve, reject).finally(() => listener[Symbol.dispose]())
  return promise
}

function late(what: string): StoreError {
  return new StoreError('unavailable', `no answer in time: ${what}`)
}

/** Promises that wait until a number that only grows has reached theirs: an index, a revision. */
export type Thresholds = {
  wait(value: number, signal: AbortSignal): Promise<void>
  reached(value: number): void
  rejectAll(error: () => Error): void
}

export function createThresholds(what: string): Thresholds {
  let waiting: { value: number; resolve: () => void; reject: (error: Error) => void; listener: Disposable }[] = []
  let lowest = Number.POSITIVE_INFINITY
  return {
    wait(value, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const error = () => new StoreError('unavailable', `not in time: ${what} ${value}`)
      if (signal.aborted) {
        reject(error())
        return promise
      }
      const listener = onAbort(signal, () => {
        waiting = waiting.filter(one => one.listener !== listener)
        reject(error())
      })
      waiting.push({ value, resolve, reject, listener })
      lowest = Math.min(lowest, value)
      return promise
    },
    reached(value) {
      if (value < lowest) return
      const due = waiting.filter(one => one.value <= value)
      waiting = waiting.filter(one => one.value > value)
      lowest = waiting.reduce((low, one) => Math.min(low, one.value), Number.POSITIVE_INFINITY)
      for (const one of due) {
        one.listener[Symbol.dispose]()
        one.resolve()
      }
    },
    rejectAll(error) {
      const all = waiting
      waiting = []
      lowest = Number.POSITIVE_INFINITY
      for (const one of all) {
        one.listener[Symbol.dispose]()
        one.reject(error())
      }
    },
  }
}
