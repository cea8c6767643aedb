// What a client of the load asks for, again and again: requests made once and patched in place, and a look at each
// answer that tells a right one from a wrong one.
import { randomFillSync } from 'node:crypto'
import { createRequest, paths, putRequest, rangeRequest, readTxnSucceeded } from './etcd-api.ts'

export type Operation = {
  readonly path: string
  /** The next request, valid until the next call; undefined when there is nothing more to do. */
  readonly next: () => Buffer | undefined
  /** Whether this can be the answer. */
  readonly check: (bytes: Buffer, start: number, end: number) => boolean
}

export type OperationSpec =
  /** Overwrites one of `keys` keys of 8 bytes, drawn evenly. */
  | { readonly kind: 'put'; readonly keys: number; readonly valueBytes: number }
  /** Puts each of `keys` keys once. */
  | { readonly kind: 'fill'; readonly keys: number; readonly valueBytes: number }
  /** Reads the one key of `readKey`, which must be there with a value of `valueBytes`. */
  | { readonly kind: 'range'; readonly serializable: boolean; readonly valueBytes: number }
  /** Creates a key that never was. `run` sets the keys of this run apart from those of all others. */
  | { readonly kind: 'create'; readonly run: string; readonly valueBytes: number }

export const readKey = Buffer.from('read-key')

/** The operation for worker `worker` of `workers`. */
export function operationOf(spec: OperationSpec, worker: number, workers: number): Operation {
  switch (spec.kind) {
    case 'put':
      return puts(spec.valueBytes, () => Math.floor(Math.random() * spec.keys))
    case 'fill': {
      let key = worker - workers
      return puts(spec.valueBytes, () => {
        key += workers
        return key < spec.keys ? key : undefined
      })
    }
    case 'range':
      return range(spec.serializable, spec.valueBytes)
    case 'create':
      return create(`/registry/pods/bench/${spec.run}-${worker}-`, spec.valueBytes)
  }
}

export const putKey = (index: number): string => `k${String(index).padStart(7, '0')}`

function puts(valueBytes: number, nextKey: () => number | undefined): Operation {
  const request = putRequest(Buffer.from(putKey(0)), Buffer.alloc(valueBytes))
  const keyAt = request.indexOf(putKey(0)) + 1
  const refill = values(valueBytes)
  const valueAt = request.length - valueBytes
  return {
    path: paths.put,
    next: () => {
      const key = nextKey()
      if (key === undefined) return undefined
      writeDigits(request, keyAt, key)
      refill(request, valueAt)
      return request
    },
    check: (_bytes, start, end) => end > start,
  }
}

function range(serializable: boolean, valueBytes: number): Operation {
  const request = rangeRequest(readKey, { serializable })
  const least = readKey.length + valueBytes
  return { path: paths.range, next: () => request, check: (_bytes, start, end) => end - start > least }
}

function create(prefix: string, valueBytes: number): Operation {
  const key = Buffer.from(`${prefix}0000000`)
  const request = createRequest(key, Buffer.alloc(valueBytes))
  const keysAt: number[] = []
  for (let at = request.indexOf(key); at >= 0; at = request.indexOf(key, at + 1)) keysAt.push(at + prefix.length)
  const valueAt = request.indexOf(Buffer.alloc(valueBytes))
  const refill = values(valueBytes)
  let count = 0
  return {
    path: paths.txn,
    next: () => {
      for (const at of keysAt) writeDigits(request, at, count)
      refill(request, valueAt)
      count++
      return request
    },
    check: readTxnSucceeded,
  }
}

function writeDigits(bytes: Buffer, at: number, value: number): void {
  for (let digit = at + 6; digit >= at; digit--, value = Math.floor(value / 10)) bytes[digit] = 0x30 + (value % 10)
}

/** Fills in values that differ and that no store can compress: pieces of one random pool. */
function values(valueBytes: number): (bytes: Buffer, at: number) => void {
  const pool = randomFillSync(Buffer.alloc(1024 * 1024 + valueBytes))
  return (bytes, at) => {
    const from = Math.floor(Math.random() * (pool.length - valueBytes))
    pool.copy(bytes, at, from, from + valueBytes)
  }
}
