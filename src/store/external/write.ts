// A write as one transaction of etcd, and what its answer means.
import type { KeyValue, Write, WriteResult } from '../../kv/store.ts'
import type { EtcdCompare, EtcdItem, EtcdLease, EtcdOperation, EtcdTxn, EtcdTxnResult } from '../../world/etcd.ts'
import { doneKey, innerKey, type Names, outerKey } from './names.ts'

/**
 * Every write holds only while the leadership lasts in which it is made: `term` is that of this peer, unless the command
 * names one. `doneLease` is what the note of its id lives by.
 */
export function planWrite(names: Names, command: Write, term: number, doneLease: EtcdLease | undefined): EtcdTxn {
  const { id } = command
  const done = id === undefined || doneLease === undefined ? undefined : doneKey(names, id)
  const compared = command.compare.map(({ key }) => outerKey(names, key))
  const compare: EtcdCompare[] = [
    { key: names.leader, target: 'create', revision: command.term ?? term },
    ...command.compare.map(({ key, modRevision }) => ({
      key: outerKey(names, key),
      target: 'mod' as const,
      revision: modRevision,
    })),
  ]
  const success = operationsOf(names, command)
  const otherwise = [names.leader, ...compared]
  if (done === undefined || doneLease === undefined) return { compare, success, otherwise }
  return {
    compare: [...compare, { key: done, target: 'create', revision: 0 }],
    success: [...success, { kind: 'put', key: done, value: '', lease: doneLease }],
    otherwise: [...otherwise, done],
  }
}

/** A key named twice gets the last word said about it: etcd takes no key twice. */
function operationsOf(names: Names, { operations }: Write): EtcdOperation[] {
  const values = new Map<string, string | undefined>()
  for (const { key, value } of operations) {
    values.delete(key)
    values.set(key, value)
  }
  return [...values].map(([inner, value]) => {
    const key = outerKey(names, inner)
    return value === undefined ? { kind: 'delete', key } : { kind: 'put', key, value, lease: '0' }
  })
}

/** `deposed`: the command named no term, and this peer's leadership had ended. */
export type Outcome = WriteResult | { readonly kind: 'deposed' }

export function outcomeOf(names: Names, command: Write, term: number, result: EtcdTxnResult): Outcome {
  const { revision, read } = result
  if (result.succeeded) return { kind: 'done', revision }
  const { compare } = command
  const done = command.id === undefined ? undefined : read[1 + compare.length]
  if (done !== undefined) return { kind: 'done', revision: done.modRevision }
  const now = read[0]?.createRevision ?? 0
  if (now !== (command.term ?? term))
    return command.term === undefined ? { kind: 'deposed' } : { kind: 'fenced', term: now }
  const current = compare.flatMap((_, i) => currentOf(names, read[1 + i]))
  return { kind: 'conflict', revision, current }
}

function currentOf(names: Names, item: EtcdItem | undefined): KeyValue[] {
  if (item === undefined) return []
  const { key, value, createRevision, modRevision, version } = item
  return [{ key: innerKey(names, key) ?? key, value, createRevision, modRevision, version, lease: 0 }]
}
