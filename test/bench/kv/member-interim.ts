// Until the store executes etcd's commands by itself: puts over `write`, and reads from a copy that follows the store.
import { type KeyValue, prefixEnd, type Store } from '../../../src/kv/store.ts'
import type { CommandStore } from '../../../src/kv/txn.ts'

export function overWrites(store: Store, signal: AbortSignal): CommandStore {
  const items = new Map<string, KeyValue>()
  follow()
  async function follow(): Promise<void> {
    for await (const batch of store.watch({ from: '\0', to: prefixEnd('\xff'), after: 1 }, signal)) {
      for (const event of batch.events) {
        if (event.kind === 'put') items.set(event.current.key, event.current)
        else items.delete(event.key)
      }
    }
  }
  const missing = (): never => {
    throw new Error('the store cannot do this yet')
  }
  return {
    ...store,
    async execute(command) {
      if (command.kind !== 'txn') return missing()
      const holds = command.txn.conditions.every(
        one => one.target === 'mod' && one.number === (items.get(one.range.from)?.modRevision ?? 0),
      )
      const chosen = holds ? command.txn.success : command.txn.failure
      const puts = chosen.flatMap(one => (one.kind === 'put' ? [{ key: one.key, value: one.value }] : []))
      const result = puts.length === 0 ? undefined : await store.write({ compare: [], operations: puts }, signal)
      const revision = result !== undefined && 'revision' in result ? result.revision : store.revision()
      const answers = chosen.map(one => {
        if (one.kind === 'put') return { kind: 'put', previous: undefined } as const
        const item = one.kind === 'range' ? items.get(one.range.from) : undefined
        return { kind: 'range', items: item === undefined ? [] : [item], count: item === undefined ? 0 : 1 } as const
      })
      return { kind: 'txn', revision, succeeded: holds, answers }
    },
    look({ range }) {
      const item = items.get(range.from)
      const version = item === undefined ? [] : [{ ...item, version: item.version ?? 1, lease: item.lease ?? 0 }]
      return { items: version, count: version.length, revision: store.revision() }
    },
    onApplied: () => ({ [Symbol.dispose]() {} }),
    since: missing,
    renewLease: missing,
    lease: missing,
    leases: missing,
    hashAt: missing,
    backup: missing,
  }
}
