// etcd's KV requests as the store's commands, and the store's answers as etcd's. What may not be asked is refused here, in
// etcd's order and words (etcdserver/api/v3rpc/key.go), before it costs the cluster anything.
import type { KeyValue, Revision } from '../kv/store.ts'
import { type Condition, type KeyRange, keysEnd, type Txn, type TxnAnswer, type TxnOperation } from '../kv/txn.ts'
import { compareText } from '../lib/sorted.ts'
import { errors } from './errors.ts'
import {
  type CompareRequest,
  compareResult,
  compareTarget,
  type OperationRequest,
  type PutRequest,
  type RangeRequest,
  sortOrder,
  sortTarget,
  type TxnRequest,
} from './requests.ts'
import type { OperationReply, RangeReply } from './responses.ts'

/** etcd's defaults: --max-request-bytes and --max-txn-ops. */
export const requestBytesMax = 1.5 * 1024 * 1024
export const operationCountMax = 128

/** A range_end of '' means the key alone, one of '\0' all keys from there on. */
export function keyRange(key: string, end: string): KeyRange {
  return { from: key, to: end === '' ? undefined : end === '\0' ? keysEnd : end }
}

// ---- ranges ----

export function checkRange(request: RangeRequest): void {
  if (request.key === '') throw errors.emptyKey()
  if (
    request.order < 0 ||
    request.order > sortOrder.descend ||
    request.target < 0 ||
    request.target > sortTarget.value
  ) {
    throw errors.invalidSort()
  }
}

/** The log has no negative numbers, and none that JavaScript does not count exactly; here they mean the same as these. */
export function storable(number: number): number {
  return Math.min(Math.max(number, 0), Number.MAX_SAFE_INTEGER)
}

/** What is sorted or filtered has to be fetched whole first. */
function isPlain(request: RangeRequest): boolean {
  return (
    request.order === sortOrder.none &&
    request.target === sortTarget.key &&
    request.minModRevision === 0 &&
    request.maxModRevision === 0 &&
    request.minCreateRevision === 0 &&
    request.maxCreateRevision === 0
  )
}

/** What to ask of the store for it. */
export function rangeQuery(request: RangeRequest) {
  return {
    range: keyRange(request.key, request.end),
    revision: storable(request.revision),
    limit: isPlain(request) ? storable(request.limit) : 0,
    countOnly: request.countOnly,
  }
}

export function rangeReply(
  request: RangeRequest,
  found: { readonly items: readonly KeyValue[]; readonly count: number },
): RangeReply {
  const { count } = found
  const { keysOnly, limit } = request
  if (request.countOnly) return { items: [], count, more: false, keysOnly }
  if (isPlain(request)) return { items: found.items, count, more: count > found.items.length, keysOnly }
  const items = sorted(request, filtered(request, found.items))
  const more = limit > 0 && items.length > limit
  return { items: more ? items.slice(0, limit) : items, count, more, keysOnly }
}

function filtered(request: RangeRequest, items: readonly KeyValue[]): readonly KeyValue[] {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request
  return items.filter(
    item =>
      (minModRevision === 0 || item.modRevision >= minModRevision) &&
      (maxModRevision === 0 || item.modRevision <= maxModRevision) &&
      (minCreateRevision === 0 || item.createRevision >= minCreateRevision) &&
      (maxCreateRevision === 0 || item.createRevision <= maxCreateRevision),
  )
}

function sorted(request: RangeRequest, items: readonly KeyValue[]): readonly KeyValue[] {
  if (request.order === sortOrder.none && request.target === sortTarget.key) return items
  const compare = comparisons[request.target] ?? comparisons[sortTarget.key]
  const inOrder = items.toSorted(compare)
  return request.order === sortOrder.descend ? inOrder.reverse() : inOrder
}

const comparisons: Readonly<Record<number, (a: KeyValue, b: KeyValue) => number>> = {
  [sortTarget.key]: (a, b) => compareText(a.key, b.key),
  [sortTarget.version]: (a, b) => a.version - b.version,
  [sortTarget.create]: (a, b) => a.createRevision - b.createRevision,
  [sortTarget.mod]: (a, b) => a.modRevision - b.modRevision,
  [sortTarget.value]: (a, b) => compareText(a.value, b.value),
}

// ---- writes ----

export function checkPut(request: PutRequest): void {
  if (request.key === '') throw errors.emptyKey()
  if (request.ignoreValue && request.value !== '') throw errors.valueProvided()
  if (request.ignoreLease && request.lease !== 0) throw errors.leaseProvided()
  checkLease(request.lease)
}

/** The store's leases are named by numbers that JavaScript counts exactly; there is none beyond. */
export function checkLease(lease: number): void {
  if (lease < 0 || lease > Number.MAX_SAFE_INTEGER) throw errors.leaseNotFound()
}

export function putTxn(request: PutRequest): Txn {
  return { conditions: [], success: [putOperation(request)], failure: [] }
}

function putOperation(request: PutRequest): TxnOperation {
  return {
    kind: 'put',
    key: request.key,
    value: request.ignoreValue ? undefined : request.value,
    lease: request.ignoreLease ? undefined : request.lease,
    wantsPrevious: request.previous,
  }
}

// ---- transactions ----

export function checkTxn(request: TxnRequest, countMax = operationCountMax): void {
  const count = Math.max(request.compare.length, request.success.length, request.failure.length)
  if (count > countMax) throw errors.tooManyOperations()
  for (const compare of request.compare) if (compare.key === '') throw errors.emptyKey()
  for (const operation of request.success) checkOperation(operation, countMax - count)
  for (const operation of request.failure) checkOperation(operation, countMax - count)
}

function checkOperation(operation: OperationRequest, countMax: number): void {
  switch (operation.kind) {
    case 'none':
      throw errors.keyNotFound()
    case 'range':
      checkRange(operation)
      break
    case 'put':
      checkPut(operation)
      break
    case 'delete':
      if (operation.key === '') throw errors.emptyKey()
      break
    case 'txn':
      checkTxn(operation, countMax)
  }
}

/** No key is put twice, or put and deleted, on a way through the transaction; etcd's checkIntervals. */
export function checkDuplicates(operations: readonly OperationRequest[]): void {
  touched(operations)
}

type Touched = { readonly puts: Set<string>; readonly deletes: KeyRange[] }

function touched(operations: readonly OperationRequest[]): Touched {
  const deletes = operations.flatMap(one => (one.kind === 'delete' ? [keyRange(one.key, one.end)] : []))
  const puts = new Set<string>()
  const take = (key: string, isShared: boolean) => {
    if ((puts.has(key) && !isShared) || deletes.some(range => holds(range, key))) throw errors.duplicateKey()
    puts.add(key)
  }
  for (const one of operations) {
    if (one.kind !== 'txn') continue
    const [yes, no] = [touched(one.success), touched(one.failure)]
    for (const key of yes.puts) take(key, false)
    // Only one of the two ways is gone.
    for (const key of no.puts) take(key, yes.puts.has(key))
    deletes.push(...yes.deletes, ...no.deletes)
  }
  for (const one of operations) if (one.kind === 'put') take(one.key, false)
  return { puts, deletes }
}

function holds({ from, to }: KeyRange, key: string): boolean {
  return to === undefined ? key === from : key >= from && key < to
}

export function storeTxn(request: TxnRequest): Txn {
  return {
    conditions: request.compare.flatMap(conditionsOf),
    success: request.success.map(operationOf),
    failure: request.failure.map(operationOf),
  }
}

function operationOf(operation: OperationRequest): TxnOperation {
  switch (operation.kind) {
    case 'none':
      throw errors.keyNotFound()
    case 'range':
      return { kind: 'range', ...rangeQuery(operation) }
    case 'put':
      return putOperation(operation)
    case 'delete':
      return { kind: 'delete', range: keyRange(operation.key, operation.end), wantsPrevious: operation.previous }
    case 'txn':
      return { kind: 'txn', txn: storeTxn(operation) }
  }
}

const relations = {
  [compareResult.equal]: '=',
  [compareResult.greater]: '>',
  [compareResult.less]: '<',
  [compareResult.notEqual]: '!=',
} as const
const targets = {
  [compareTarget.version]: 'version',
  [compareTarget.create]: 'create',
  [compareTarget.mod]: 'mod',
  [compareTarget.lease]: 'lease',
} as const

/** No condition is one that always holds. */
function conditionsOf(compare: CompareRequest): Condition[] {
  const range = keyRange(compare.key, compare.end)
  // A number that names no relation compares as etcd's zero value does.
  const relation = relations[compare.result as keyof typeof relations] ?? '='
  if (compare.target === compareTarget.value) return [{ range, relation, target: 'value', value: compare.value }]
  const target = targets[compare.target as keyof typeof targets] ?? 'version'
  const { number } = compare
  if (number === storable(number)) return [{ range, relation, target, number }]
  // Nothing stored has such a number.
  const holds = relation === '!=' || relation === (number < 0 ? '>' : '<')
  return holds ? [] : [{ range, relation: '<', target: 'version', number: 0 }]
}

/** The answers beside the operations that were asked. `before` is the revision that the transaction found. */
export function txnReplies(
  request: TxnRequest,
  succeeded: boolean,
  answers: readonly TxnAnswer[],
  revision: Revision,
): OperationReply[] {
  const operations = succeeded ? request.success : request.failure
  // One revision per transaction: what comes after its first change sees it.
  const before = changes(answers) ? revision - 1 : revision
  return repliesFrom(operations, answers, { now: before, after: revision })
}

type Seen = { now: Revision; readonly after: Revision }

function repliesFrom(operations: readonly OperationRequest[], answers: readonly TxnAnswer[], seen: Seen) {
  return answers.map((answer, i) => replyOf(operations[i], answer, seen))
}

function replyOf(operation: OperationRequest | undefined, answer: TxnAnswer, seen: Seen): OperationReply {
  switch (answer.kind) {
    case 'put':
      seen.now = seen.after
      return { kind: 'put', revision: seen.now, previous: answer.previous }
    case 'delete':
      if (answer.count > 0) seen.now = seen.after
      return { kind: 'delete', revision: seen.now, count: answer.count, previous: answer.previous }
    case 'range': {
      if (operation?.kind !== 'range') throw errors.keyNotFound()
      return { kind: 'range', revision: seen.now, ...rangeReply(operation, answer) }
    }
    case 'txn': {
      if (operation?.kind !== 'txn') throw errors.keyNotFound()
      const inner = answer.succeeded ? operation.success : operation.failure
      const replies = repliesFrom(inner, answer.answers, seen)
      return { kind: 'txn', revision: seen.now, succeeded: answer.succeeded, replies }
    }
  }
}

function changes(answers: readonly TxnAnswer[]): boolean {
  return answers.some(
    answer =>
      answer.kind === 'put' ||
      (answer.kind === 'delete' && answer.count > 0) ||
      (answer.kind === 'txn' && changes(answer.answers)),
  )
}
