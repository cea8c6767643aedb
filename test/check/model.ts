// What a store with etcd's semantics does, one operation after the other: the whole store, with revisions. A revision is
// made by each operation that changes something, one for a whole transaction; a key remembers the revisions of its creation
// and last change and how often it was put. An empty etcd is at revision 1, so its first write makes 2.
//
//   checkStore(history, limits?, start?)  → verdict              is the history linearizable?
//   execute(state, request)               → { state, response, changes }
//
// States are values: `execute` returns the same object when nothing changed. Reads of an old revision, serializable reads
// and compactions are no matter of the newest state; `isOfNewestState` says which operations are, and revisions.ts checks
// the others.
import type {
  Compare,
  Comparison,
  ItemsResponse,
  KeyValue,
  Operation,
  Request,
  Response,
  Step,
  StepResponse,
  TxnRequest,
} from './history.ts'
import { type Limits, linearizable, type Model, type Verdict } from './wgl.ts'

/** `items` are in the order of their keys. */
export type State = { readonly revision: number; readonly items: readonly KeyValue[] }

/** One key's change. `previous` is what it was before, absent when the key did not exist. */
export type Change =
  | { readonly kind: 'put'; readonly current: KeyValue; readonly previous: KeyValue | undefined }
  | { readonly kind: 'delete'; readonly key: string; readonly revision: number; readonly previous: KeyValue }

export type Executed = { readonly state: State; readonly response: Response; readonly changes: readonly Change[] }

export const emptyState: State = { revision: 1, items: [] }

/** Carries out one request on the newest state. Options of reads are ignored; a compaction changes nothing. */
export function execute(state: State, request: Request): Executed {
  if (request.kind === 'compact') return { state, response: { kind: 'compact', revision: state.revision }, changes: [] }
  if (request.kind === 'txn') return executeTxn(state, request)
  const draft = new Draft(state)
  const response = draft.run(request)
  const end = draft.end()
  return { ...end, response: { ...response, revision: end.state.revision } }
}

function executeTxn(state: State, request: TxnRequest): Executed {
  const succeeded = request.compare.every(compare => holds(state, compare))
  const draft = new Draft(state)
  const steps = (succeeded ? request.success : request.failure).map(step => draft.run(step))
  const end = draft.end()
  return { ...end, response: { kind: 'txn', revision: end.state.revision, succeeded, steps } }
}

/** The next revision while it is made: each step sees the steps before it. */
class Draft {
  private items: readonly KeyValue[]
  private readonly state: State
  private readonly changes: Change[] = []
  constructor(state: State) {
    this.state = state
    this.items = state.items
  }

  run(step: Step): StepResponse {
    const { revision } = this.state
    switch (step.kind) {
      case 'put':
        this.put(step.key, step.value)
        return { kind: 'put', revision: revision + 1 }
      case 'delete':
        return { kind: 'delete', revision, deleted: this.delete(step.key) }
      case 'get': {
        const item = find(this.items, step.key)
        return { kind: 'items', revision, items: item === undefined ? [] : [item] }
      }
      case 'range':
        return { kind: 'items', revision, items: this.items.filter(item => item.key.startsWith(step.prefix)) }
    }
  }

  private put(key: string, value: string): void {
    const modRevision = this.state.revision + 1
    const previous = find(this.items, key)
    const current =
      previous === undefined
        ? { key, value, createRevision: modRevision, modRevision, version: 1 }
        : { ...previous, value, modRevision, version: previous.version + 1 }
    const at = position(this.items, key)
    this.items = [...this.items.slice(0, at), current, ...this.items.slice(previous === undefined ? at : at + 1)]
    this.changes.push({ kind: 'put', current, previous })
  }

  private delete(key: string): number {
    const previous = find(this.items, key)
    if (previous === undefined) return 0
    this.items = this.items.filter(item => item !== previous)
    this.changes.push({ kind: 'delete', key, revision: this.state.revision + 1, previous })
    return 1
  }

  end(): { state: State; changes: readonly Change[] } {
    if (this.changes.length === 0) return { state: this.state, changes: [] }
    return { state: { revision: this.state.revision + 1, items: this.items }, changes: this.changes }
  }
}

/** Where the key is, or would be. */
function position(items: readonly KeyValue[], key: string): number {
  let [low, high] = [0, items.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((items[middle]?.key ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}

function find(items: readonly KeyValue[], key: string): KeyValue | undefined {
  const item = items[position(items, key)]
  return item?.key === key ? item : undefined
}

export function holds(state: State, compare: Compare): boolean {
  return holdsFor(find(state.items, compare.key), compare)
}

/** Whether the condition holds of a key that is as given; undefined: absent. */
export function holdsFor(item: KeyValue | undefined, compare: Compare): boolean {
  switch (compare.target) {
    case 'mod':
      return order(item?.modRevision ?? 0, compare.is, compare.than)
    case 'create':
      return order(item?.createRevision ?? 0, compare.is, compare.than)
    case 'version':
      return order(item?.version ?? 0, compare.is, compare.than)
    case 'value':
      return item !== undefined && order(item.value, compare.is, compare.than)
  }
}

function order<T extends number | string>(left: T, is: Comparison, right: T): boolean {
  switch (is) {
    case '=':
      return left === right
    case '!=':
      return left !== right
    case '<':
      return left < right
    case '>':
      return left > right
  }
}

/** Whether two responses say the same; revisions inside a transaction are left out. */
export function sameResponse(left: Response, right: Response): boolean {
  switch (left.kind) {
    case 'compacted':
    case 'future':
      return left.kind === right.kind
    case 'put':
    case 'compact':
      return left.kind === right.kind && left.revision === right.revision
    case 'delete':
    case 'items':
      return left.kind === right.kind && left.revision === right.revision && sameStep(left, right)
    case 'txn':
      return (
        right.kind === 'txn' &&
        left.revision === right.revision &&
        left.succeeded === right.succeeded &&
        left.steps.length === right.steps.length &&
        left.steps.every((step, i) => sameStep(step, right.steps[i]))
      )
  }
}

export function sameStep(left: StepResponse, right: StepResponse | undefined): boolean {
  switch (left.kind) {
    case 'put':
      return right?.kind === 'put'
    case 'delete':
      return right?.kind === 'delete' && left.deleted === right.deleted
    case 'items':
      return right?.kind === 'items' && sameItems(left.items, right.items)
  }
}

export function sameItems(left: ItemsResponse['items'], right: ItemsResponse['items']): boolean {
  return left.length === right.length && left.every((item, i) => sameItem(item, right[i]))
}

export function sameItem(left: KeyValue | undefined, right: KeyValue | undefined): boolean {
  if (left === undefined || right === undefined) return left === right
  return (
    left.key === right.key &&
    left.value === right.value &&
    left.createRevision === right.createRevision &&
    left.modRevision === right.modRevision &&
    left.version === right.version
  )
}

/** Whether the operation is about the newest state, and so has a place in the one order that WGL looks for. */
export function isOfNewestState({ request, outcome }: Operation): boolean {
  if (outcome.kind === 'failed' || request.kind === 'compact') return false
  const isReadWithOptions =
    (request.kind === 'get' || request.kind === 'range') &&
    (request.serializable === true || request.revision !== undefined)
  return !isReadWithOptions
}

/**
 * Whether the history is linearizable: one order of its operations explains every response about the newest state. What is
 * not about the newest state, or surely failed, is left out. `start` is the state before the first operation.
 */
export function checkStore(
  history: readonly Operation[],
  limits: Limits = {},
  start: State = emptyState,
): Verdict<State, Operation> {
  const operations = history.filter(isOfNewestState)
  return linearizable(storeModel(start, factsOf(operations)), operations, limits)
}

/**
 * What responses tell of revisions, wherever they stand in the order. Every valid order agrees with it, so a search that
 * does not may stop at once; that is what keeps ambiguous operations from being tried at every place.
 */
export type Facts = {
  /** Revisions of writes that came back. */
  readonly claimed: ReadonlySet<number>
  /** A key that was read with this modRevision. */
  readonly seen: ReadonlyMap<number, KeyValue>
}

const noFacts: Facts = { claimed: new Set(), seen: new Map() }

export function factsOf(operations: readonly Operation[]): Facts {
  const claimed = new Set<number>()
  const seen = new Map<number, KeyValue>()
  for (const { outcome } of operations) {
    if (outcome.kind !== 'done') continue
    const { response } = outcome
    if (isChange(response)) claimed.add(response.revision)
    for (const item of itemsOf(response)) seen.set(item.modRevision, item)
  }
  return { claimed, seen }
}

/** Whether the response says that the operation made its revision. */
export function isChange(response: Response): response is Extract<Response, { readonly revision: number }> {
  switch (response.kind) {
    case 'put':
      return true
    case 'delete':
      return response.deleted > 0
    case 'txn':
      return response.steps.some(isChange)
    case 'items':
    case 'compact':
    case 'compacted':
    case 'future':
      return false
  }
}

/** All keys that the response shows. */
export function itemsOf(response: Response): readonly KeyValue[] {
  if (response.kind === 'txn') return response.steps.flatMap(itemsOf)
  return response.kind === 'items' ? response.items : []
}

/** The model of the whole store. Give it operations of which `isOfNewestState` is true. */
export function storeModel(start: State = emptyState, facts: Facts = noFacts): Model<State, Operation> {
  return {
    start,
    step: (state, { request, outcome }) => {
      // Cheap and first: most candidates fail here, and a search tries many.
      const told = revisionOf(outcome)
      if (told !== undefined && told !== state.revision && told !== state.revision + 1) return undefined
      const executed = execute(state, request)
      switch (outcome.kind) {
        case 'failed':
          return undefined
        case 'ambiguous': {
          if (executed.state === state) return outcome.revision === undefined ? state : undefined
          if (outcome.revision !== undefined)
            return outcome.revision === executed.state.revision ? executed.state : undefined
          return contradicts(facts, executed) ? undefined : executed.state
        }
        case 'done':
          return sameResponse(executed.response, outcome.response) ? executed.state : undefined
      }
    },
    key: stateKey,
    isOptional: ({ outcome }) => outcome.kind === 'ambiguous' && outcome.revision === undefined,
  }
}

function contradicts(facts: Facts, { state, changes }: Executed): boolean {
  if (facts.claimed.has(state.revision)) return true
  const seen = facts.seen.get(state.revision)
  return seen !== undefined && !changes.some(change => change.kind === 'put' && sameItem(change.current, seen))
}

function revisionOf(outcome: Operation['outcome']): number | undefined {
  if (outcome.kind === 'ambiguous') return outcome.revision
  return outcome.kind === 'done' && 'revision' in outcome.response ? outcome.response.revision : undefined
}

const stateKeys = new WeakMap<State, string>()

function stateKey(state: State): string {
  const known = stateKeys.get(state)
  if (known !== undefined) return known
  const items = state.items.map(item => [item.key, item.value, item.createRevision, item.modRevision, item.version])
  const key = JSON.stringify([state.revision, items])
  stateKeys.set(state, key)
  return key
}
