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
  DeleteResponse,
  ItemsResponse,
  KeyValue,
  Operation,
  PutResponse,
  Request,
  Response,
  Step,
  StepResponse,
  TxnResponse,
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
  const table = new SortedItems(state.items)
  const { response, changes } = perform(table, state.revision, request)
  if (changes.length === 0) return { state, response, changes }
  return { state: { revision: state.revision + 1, items: table.items }, response, changes }
}

/** The keys as they are: what `perform` reads and changes. */
export interface Table {
  get(key: string): KeyValue | undefined
  /** In the order of the keys. */
  withPrefix(prefix: string): readonly KeyValue[]
  set(item: KeyValue): void
  remove(key: string): void
}

/** Carries out one request on a table that is at `revision`; if anything changed the table is at the next one then. */
export function perform(
  table: Table,
  revision: number,
  request: Request,
): { readonly response: Response; readonly changes: readonly Change[] } {
  const changes: Change[] = []
  const step = (what: Step) => performStep(table, revision + 1, what, changes)
  const after = () => (changes.length === 0 ? revision : revision + 1)
  if (request.kind === 'compact') return { response: { kind: 'compact', revision }, changes }
  if (request.kind !== 'txn') {
    const response = step(request)
    return { response: { ...response, revision: after() }, changes }
  }
  const succeeded = request.compare.every(compare => holds(table.get(compare.key), compare))
  const steps = (succeeded ? request.success : request.failure).map(step)
  return { response: { kind: 'txn', revision: after(), succeeded, steps }, changes }
}

function performStep(table: Table, modRevision: number, step: Step, changes: Change[]): StepResponse {
  switch (step.kind) {
    case 'put': {
      const { key, value } = step
      const previous = table.get(key)
      const { createRevision, version } = previous ?? { createRevision: modRevision, version: 0 }
      const current = { key, value, createRevision, modRevision, version: version + 1 }
      table.set(current)
      changes.push({ kind: 'put', current, previous })
      return { kind: 'put', revision: modRevision }
    }
    case 'delete': {
      const previous = table.get(step.key)
      if (previous === undefined) return { kind: 'delete', revision: modRevision, deleted: 0 }
      table.remove(step.key)
      changes.push({ kind: 'delete', key: step.key, revision: modRevision, previous })
      return { kind: 'delete', revision: modRevision, deleted: 1 }
    }
    case 'get': {
      const item = table.get(step.key)
      return { kind: 'items', revision: modRevision, items: item === undefined ? [] : [item] }
    }
    case 'range':
      return { kind: 'items', revision: modRevision, items: table.withPrefix(step.prefix) }
  }
}

/** A table that leaves the list it began with as it was. */
class SortedItems implements Table {
  items: readonly KeyValue[]
  constructor(items: readonly KeyValue[]) {
    this.items = items
  }

  /** Where the key is, or would be. */
  private position(key: string): number {
    let [low, high] = [0, this.items.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.items[middle]?.key ?? '') < key) low = middle + 1
      else high = middle
    }
    return low
  }

  get(key: string): KeyValue | undefined {
    const item = this.items[this.position(key)]
    return item?.key === key ? item : undefined
  }

  withPrefix(prefix: string): readonly KeyValue[] {
    return this.items.filter(item => item.key.startsWith(prefix))
  }

  set(item: KeyValue): void {
    this.items = this.items.toSpliced(this.position(item.key), this.get(item.key) === undefined ? 0 : 1, item)
  }

  remove(key: string): void {
    this.items = this.items.toSpliced(this.position(key), 1)
  }
}

/** Whether the condition holds of a key that is as given; undefined: absent. */
function holds(item: KeyValue | undefined, compare: Compare): boolean {
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
export function isChange(response: Response): response is PutResponse | DeleteResponse | TxnResponse {
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
    sameness: ({ request }) => JSON.stringify(request),
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
