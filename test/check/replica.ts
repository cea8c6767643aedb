// A table for model.ts that is changed in place: for replays of histories with many operations and keys.
import type { KeyValue, Operation, Request } from './history.ts'
import type { State, Table } from './model.ts'

/** All keys that the history will ever write are known from the start, so that ranges are found quickly. */
export class Replica implements Table {
  private readonly items = new Map<string, KeyValue>()
  private readonly keys: readonly string[]

  constructor(start: State, history: readonly Operation[]) {
    for (const item of start.items) this.items.set(item.key, item)
    const written = history.flatMap(({ request }) => keysWritten(request))
    this.keys = [...new Set([...written, ...this.items.keys()])].toSorted()
  }

  get(key: string): KeyValue | undefined {
    return this.items.get(key)
  }

  withPrefix(prefix: string): KeyValue[] {
    let [low, high] = [0, this.keys.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.keys[middle] ?? '') < prefix) low = middle + 1
      else high = middle
    }
    const found: KeyValue[] = []
    for (let key = this.keys[low]; key?.startsWith(prefix); key = this.keys[++low]) {
      const item = this.items.get(key)
      if (item !== undefined) found.push(item)
    }
    return found
  }

  set(item: KeyValue): void {
    this.items.set(item.key, item)
  }

  remove(key: string): void {
    this.items.delete(key)
  }

  /** The same keys, for trying out: what is changed here is forgotten. */
  asItIs(): Table {
    return { get: key => this.get(key), withPrefix: prefix => this.withPrefix(prefix), set: () => {}, remove: () => {} }
  }
}

function keysWritten(request: Request): readonly string[] {
  if (request.kind === 'txn') return [...request.success, ...request.failure].flatMap(keysWritten)
  return request.kind === 'put' ? [request.key] : []
}
