// Linearizability key by key, for long histories: a history is linearizable when each key's part of it is (P-compositionality,
// Herlihy and Wing 1990), so parts of a hundred thousand operations are many small searches. What it cannot see is what spans
// keys: revisions and transactions over several of them; model.ts and revisions.ts check those. It needs no revisions, so it
// still holds when a store gives wrong ones.
//
//   checkKeys(history, limits?)  → { kind: 'ok' | 'illegal' | 'unknown', operations, failures }
//
// Each key is a register: an operation may demand what it holds, or does not hold, and may write it; undefined is absent.
import { describeOperation, type Operation, type Request, type Step, type TxnRequest } from './history.ts'
import { explain, type Limits, linearizable, type Model, type Timed } from './wgl.ts'

type Value = string | undefined

/** What one operation means for one key. */
export type KeyOperation = Timed & {
  readonly key: string
  /** The key held one of these (there is one, or there are none). */
  readonly is: readonly Value[]
  /** The key held none of these. */
  readonly isNot: readonly Value[]
  /** The key holds it afterwards (there is one, or there are none). */
  readonly writes: readonly Value[]
  readonly isOptional: boolean
  readonly source: Operation
}

export type KeysVerdict = {
  readonly kind: 'ok' | 'illegal' | 'unknown'
  readonly operations: number
  /** One for each key that is wrong or not decided, with the explanation. */
  readonly failures: readonly { readonly key: string; readonly kind: 'illegal' | 'unknown'; readonly message: string }[]
}

export function checkKeys(history: readonly Operation[], limits: Limits = {}): KeysVerdict {
  const failures: { key: string; kind: 'illegal' | 'unknown'; message: string }[] = []
  let count = 0
  for (const [key, operations] of byKey(history)) {
    count += operations.length
    const tight = tighten(operations)
    const stale = findStale(tight)
    if (stale !== undefined) {
      failures.push({ key, kind: 'illegal', message: stale })
      continue
    }
    const verdict = linearizable(registerModel, tight, { states: statesMax, ...limits })
    if (verdict.kind !== 'ok')
      failures.push({ key, kind: verdict.kind, message: explain(verdict, ({ source }) => describeOperation(source)) })
  }
  const isIllegal = failures.some(({ kind }) => kind === 'illegal')
  return { kind: isIllegal ? 'illegal' : failures.length > 0 ? 'unknown' : 'ok', operations: count, failures }
}

/** For each key. A search that is longer mostly tries out ambiguous operations of which nothing is known. */
const statesMax = 500_000

/** The value is in a box, because undefined means to the search that a step is impossible. */
export const registerModel: Model<{ readonly value: Value }, KeyOperation> = {
  start: { value: undefined },
  step: (state, { is, isNot, writes }) => {
    if ((is.length > 0 && !is.includes(state.value)) || isNot.includes(state.value)) return undefined
    return writes.length === 0 ? state : { value: writes[0] }
  },
  key: ({ value }) => (value === undefined ? '-' : `+${value}`),
  isOptional: ({ isOptional }) => isOptional,
  sameness: ({ is, isNot, writes }) => JSON.stringify([is.map(toJson), isNot.map(toJson), writes.map(toJson)]),
  overwrites: true,
}

const toJson = (value: Value) => value ?? null

/** The history's part of each key. Reads that may be old, and ranges, whose keys are told one by one, are left out. */
export function byKey(history: readonly Operation[]): ReadonlyMap<string, readonly KeyOperation[]> {
  const parts = new Map<string, KeyOperation[]>()
  for (const operation of history)
    for (const part of partsOf(operation)) {
      const list = parts.get(part.key)
      if (list === undefined) parts.set(part.key, [part])
      else list.push(part)
    }
  return parts
}

function partsOf(source: Operation): KeyOperation[] {
  const { request, outcome, call } = source
  if (outcome.kind === 'failed') return []
  const isOptional = outcome.kind === 'ambiguous'
  const base = { call, return: isOptional ? Infinity : source.return, isOptional, source }
  const none = { is: [], isNot: [], writes: [] }
  const response = outcome.kind === 'done' ? outcome.response : undefined
  switch (request.kind) {
    case 'put':
      return [{ ...base, ...none, key: request.key, writes: [request.value] }]
    case 'delete': {
      const found = response?.kind === 'delete' ? response.deleted : undefined
      const held = found === undefined ? {} : found > 0 ? { isNot: [undefined] } : { is: [undefined] }
      return [{ ...base, ...none, ...held, key: request.key, writes: [undefined] }]
    }
    case 'get': {
      if (response?.kind !== 'items' || request.serializable || request.revision !== undefined) return []
      return [{ ...base, ...none, key: request.key, is: [response.items[0]?.value] }]
    }
    case 'txn': {
      const keys = new Set([...request.compare, ...keysOf(request.success), ...keysOf(request.failure)].map(x => x.key))
      return [...keys].flatMap(key => {
        const parts = response?.kind === 'txn' ? [donePart(key, source, request)] : lostParts(key, request)
        return parts.map(part => ({ ...base, ...none, ...part, key }))
      })
    }
    case 'range':
    case 'compact':
      return []
  }
}

const keysOf = (steps: readonly Step[]) => steps.flatMap(step => (step.kind === 'range' ? [] : [{ key: step.key }]))

type Part = Partial<Pick<KeyOperation, 'is' | 'isNot' | 'writes'>>

/** A transaction of which the branch is known. */
function donePart(key: string, { outcome }: Operation, request: TxnRequest): Part {
  if (outcome.kind !== 'done' || outcome.response.kind !== 'txn') return {}
  const { succeeded, steps } = outcome.response
  const is: Value[] = []
  const isNot: Value[] = []
  for (const compare of request.compare) {
    if (compare.key !== key || compare.target !== 'value' || compare.is !== '=') continue
    if (succeeded) is.push(compare.than)
    else if (request.compare.length === 1) isNot.push(compare.than)
  }
  const writes: Value[] = []
  for (const [i, step] of (succeeded ? request.success : request.failure).entries()) {
    if (step.kind === 'range' || step.key !== key) continue
    const response = steps[i]
    if (response?.kind === 'items' && writes.length === 0) is.splice(0, 1, response.items[0]?.value)
    if (response?.kind === 'delete' && writes.length === 0 && is.length === 0)
      (response.deleted > 0 ? isNot : is).push(undefined)
    if (step.kind !== 'get') writes.splice(0, 1, writtenBy(step))
  }
  return { is, isNot, writes }
}

const writtenBy = (request: Request): Value => (request.kind === 'put' ? request.value : undefined)

/** A transaction of which nothing is known: the write of either branch, under what is known of its condition. */
function lostParts(key: string, request: TxnRequest): Part[] {
  const demanded = request.compare.find(x => x.key === key && x.target === 'value' && x.is === '=')
  const is: readonly Value[] = demanded?.target === 'value' ? [demanded.than] : []
  return [request.success, request.failure].flatMap((steps, branch) => {
    const write = steps.findLast(step => (step.kind === 'put' || step.kind === 'delete') && step.key === key)
    return write === undefined ? [] : [{ is: branch === 0 ? is : [], writes: [writtenBy(write)] }]
  })
}

/**
 * Says outright what follows anyway, so that the search need not find it out. A value that one operation alone wrote, and
 * that was seen, was written before it was seen. Values that nobody speaks of again are all alike.
 */
export function tighten(operations: readonly KeyOperation[]): readonly KeyOperation[] {
  const writers = new Map<Value, number>()
  const seenBy = new Map<Value, number>()
  for (const { writes, is, isOptional, return: end } of operations) {
    for (const value of writes) writers.set(value, (writers.get(value) ?? 0) + 1)
    if (!isOptional) for (const value of is) seenBy.set(value, Math.min(end, seenBy.get(value) ?? Infinity))
  }
  const spoken = new Set(operations.flatMap(({ is, isNot }) => [...is, ...isNot]))
  return operations.map(operation => {
    const value = operation.writes[0]
    if (value === undefined) return operation
    if (!spoken.has(value)) return { ...operation, writes: [unspoken] }
    const seen = writers.get(value) === 1 ? seenBy.get(value) : undefined
    return seen === undefined
      ? operation
      : { ...operation, return: Math.min(operation.return, seen), isOptional: false }
  })
}

/** Not a value that anybody writes. */
const unspoken = '\0unspoken'

/**
 * A value that was seen and nobody wrote, or that was written once, overwritten by another write that began after and ended
 * before it was seen again: no order explains that. WGL would find it too, after trying everything; this needs one look.
 * Undefined: there is none.
 */
function findStale(operations: readonly KeyOperation[]): string | undefined {
  const writes = operations.filter(({ writes }) => writes.length > 0).toSorted((a, b) => a.call - b.call)
  const required = writes.filter(({ isOptional }) => !isOptional)
  // Among the writes called from here on, the one that came back first.
  const firstBack: KeyOperation[] = []
  for (let at = required.length - 1; at >= 0; at--) {
    const [write, next] = [required[at], firstBack[at + 1]]
    if (write !== undefined) firstBack[at] = next !== undefined && next.return < write.return ? next : write
  }
  const writersOf = Map.groupBy(writes, ({ writes }) => writes[0])
  for (const read of operations) {
    const value = read.is[0]
    if (read.isOptional || value === undefined) continue
    const [writer, ...others] = writersOf.get(value) ?? []
    if (writer === undefined) return `a value was seen that nobody wrote:\n  ${describeOperation(read.source)}`
    if (others.length > 0 || writer === read) continue
    const over = firstBack[firstAfter(required, writer.return)]
    if (over === undefined || over.return >= read.call) continue
    const lines = [writer, over, read].map(({ source }) => `  ${describeOperation(source)}`)
    return ['a value was seen again after it was overwritten:', ...lines].join('\n')
  }
  return undefined
}

/** Where the first operation is that was called after the time. */
function firstAfter(byCall: readonly KeyOperation[], time: number): number {
  let [low, high] = [0, byCall.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((byCall[middle]?.call ?? Infinity) <= time) low = middle + 1
    else high = middle
  }
  return low
}
