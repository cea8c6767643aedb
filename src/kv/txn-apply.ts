// Transactions as etcd does them (server/etcdserver/txn): which branch is taken is decided for all nested transactions
// first, on the state before; then the operations of the branches happen in order, each seeing those before it.
import { Draft, Failed, putAlone } from './draft.ts'
import type { Kv } from './kv.ts'
import type { ChangeEvent, KeyValue } from './store.ts'
import type { Condition, Failure, Outcome, Txn, TxnAnswer, TxnOperation } from './txn.ts'

type Done = { readonly outcome: Outcome; readonly events: readonly ChangeEvent[] }

const noEvents: readonly ChangeEvent[] = []
const noAnswers: readonly TxnAnswer[] = []

/** A failed one changes nothing. Without `wantsAnswer` the answers are left out. */
export function applyTxn(kv: Kv, txn: Txn, wantsAnswer: boolean): Done {
  const [first] = txn.success
  // Most are one put: what the general way needs for the others would double its price.
  if (first?.kind === 'put' && txn.success.length === 1 && txn.conditions.length === 0) {
    const event = putAlone(kv, first.key, first.value, first.lease)
    if (event instanceof Failed) return failed(kv, event.why)
    const answers = wantsAnswer ? [putAnswer(event.previous, first.wantsPrevious)] : noAnswers
    return { outcome: { kind: 'txn', revision: kv.revision, succeeded: true, answers }, events: [event] }
  }
  const path = branches(kv, txn)
  const draft = new Draft(kv)
  const answers = wantsAnswer ? [] : undefined
  const why = run(kv, draft, txn, path, { at: 0 }, answers)
  if (why !== undefined) return failed(kv, why)
  const events = draft.commit()
  const succeeded = path[0] === true
  return { outcome: { kind: 'txn', revision: kv.revision, succeeded, answers: answers ?? noAnswers }, events }
}

export function failed(kv: Kv, why: Failure): Done {
  return { outcome: { kind: 'failed', revision: kv.revision, why }, events: noEvents }
}

function putAnswer(previous: KeyValue | undefined, wantsPrevious: boolean): TxnAnswer {
  return { kind: 'put', previous: wantsPrevious ? previous : undefined }
}

/** Whether the conditions hold, of the transaction and of those nested in the branch taken, in order. */
function branches(kv: Kv, txn: Txn): boolean[] {
  const holds = txn.conditions.every(condition => isTrue(kv, condition))
  const path = [holds]
  for (const operation of holds ? txn.success : txn.failure) {
    if (operation.kind === 'txn') path.push(...branches(kv, operation.txn))
  }
  return path
}

function isTrue(kv: Kv, condition: Condition): boolean {
  const { items } = kv.versions.range(condition.range, Number.POSITIVE_INFINITY)
  if (items.length > 0) return items.every(item => isTrueOf(item, condition))
  // A key that is not there has no value, not even an empty one; its numbers are 0.
  return condition.target !== 'value' && compares(0, condition.number, condition.relation)
}

function isTrueOf(item: KeyValue, condition: Condition): boolean {
  switch (condition.target) {
    case 'value':
      return compares(item.value, condition.value, condition.relation)
    case 'version':
      return compares(item.version, condition.number, condition.relation)
    case 'create':
      return compares(item.createRevision, condition.number, condition.relation)
    case 'mod':
      return compares(item.modRevision, condition.number, condition.relation)
    case 'lease':
      return compares(item.lease, condition.number, condition.relation)
  }
}

function compares<T extends string | number>(is: T, than: T, relation: Condition['relation']): boolean {
  switch (relation) {
    case '=':
      return is === than
    case '!=':
      return is !== than
    case '<':
      return is < than
    case '>':
      return is > than
  }
}

/** Gives why it cannot be. `place` is how much of the path has been walked. */
function run(
  kv: Kv,
  draft: Draft,
  txn: Txn,
  path: readonly boolean[],
  place: { at: number },
  answers: TxnAnswer[] | undefined,
): Failure | undefined {
  const holds = path[place.at] === true
  place.at += 1
  for (const operation of holds ? txn.success : txn.failure) {
    if (operation.kind === 'txn') {
      const inner: TxnAnswer[] | undefined = answers && []
      const succeeded = path[place.at] === true
      const why = run(kv, draft, operation.txn, path, place, inner)
      if (why !== undefined) return why
      answers?.push({ kind: 'txn', succeeded, answers: inner ?? [] })
      continue
    }
    const answer = carryOut(kv, draft, operation, answers !== undefined)
    if (answer instanceof Failed) return answer.why
    if (answer !== undefined) answers?.push(answer)
  }
  return undefined
}

function carryOut(
  kv: Kv,
  draft: Draft,
  operation: Exclude<TxnOperation, { kind: 'txn' }>,
  wantsAnswer: boolean,
): TxnAnswer | Failed | undefined {
  switch (operation.kind) {
    case 'put': {
      const previous = draft.put(operation.key, operation.value, operation.lease)
      return previous instanceof Failed ? previous : putAnswer(previous, operation.wantsPrevious)
    }
    case 'delete': {
      const { items } = draft.range(operation.range, Number.POSITIVE_INFINITY)
      for (const { key } of items) draft.delete(key)
      return { kind: 'delete', count: items.length, previous: operation.wantsPrevious ? items : [] }
    }
    case 'range': {
      const { range, revision, countOnly } = operation
      // Whether it can be read is the same on every replica, and decides whether the rest happens.
      if (revision > kv.revision) return new Failed('future-revision')
      if (revision > 0 && revision < kv.versions.compacted) return new Failed('compacted')
      if (!wantsAnswer) return undefined
      const limit = countOnly ? 0 : operation.limit > 0 ? operation.limit : Number.POSITIVE_INFINITY
      const isNow = revision === 0
      const { items, count } = isNow ? draft.range(range, limit) : kv.versions.rangeAt(range, revision, limit)
      return { kind: 'range', items, count }
    }
  }
}
