// The state machine as one would write it without a thought of speed: a copy of everything at every revision. What the
// real one is held against.
import { leaseSecondsMax, leaseSecondsMin } from '../../src/kv/leases.ts'
import type { KeyValue } from '../../src/kv/store.ts'
import type { Command, Condition, Failure, KeyRange, Outcome, Txn, TxnAnswer, TxnOperation } from '../../src/kv/txn.ts'

type State = ReadonlyMap<string, KeyValue>
export type Model = {
  revision: number
  compacted: number
  /** By revision; those before `compacted` are gone. */
  states: Map<number, State>
  leases: Map<number, number>
  done: Map<string, number>
}

export function createModel(): Model {
  return { revision: 1, compacted: 0, states: new Map([[1, new Map()]]), leases: new Map(), done: new Map() }
}

export const itemsOf = (state: State) => [...state.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
export const now = (model: Model): State => model.states.get(model.revision) ?? new Map()
const isIn = (key: string, { from, to }: KeyRange) => (to === undefined ? key === from : key >= from && key < to)
const inRange = (state: State, range: KeyRange) => itemsOf(state).filter(({ key }) => isIn(key, range))

class Stop extends Error {
  readonly why: Failure
  constructor(why: Failure) {
    super(why)
    this.why = why
  }
}

/** `index` and `term` of the entry. */
export function execute(model: Model, command: Command, index: number, term: number): Outcome {
  try {
    return attempt(model, command, index, term)
  } catch (error) {
    if (error instanceof Stop) return { kind: 'failed', revision: model.revision, why: error.why }
    throw error
  }
}

function attempt(model: Model, command: Command, index: number, term: number): Outcome {
  switch (command.kind) {
    case 'write': {
      const { id, compare, operations, term: fence } = command.write
      const at = (revision: number) =>
        ({ kind: 'write', revision: model.revision, result: { kind: 'done', revision } }) as const
      const before = id === undefined ? undefined : model.done.get(id)
      if (before !== undefined) return at(before)
      if (fence !== undefined && fence !== term) {
        return { kind: 'write', revision: model.revision, result: { kind: 'fenced', term } }
      }
      if (compare.some(({ key, modRevision }) => (now(model).get(key)?.modRevision ?? 0) !== modRevision)) {
        const current = compare.flatMap(({ key }) => now(model).get(key) ?? [])
        return {
          kind: 'write',
          revision: model.revision,
          result: { kind: 'conflict', revision: model.revision, current },
        }
      }
      const next = new Map(now(model))
      const last = new Map(operations.map(({ key, value }) => [key, value]))
      for (const [key, value] of last) {
        if (value === undefined) next.delete(key)
        else put(model, next, { kind: 'put', key, value, lease: 0, wantsPrevious: false })
      }
      settle(model, next)
      if (id !== undefined) model.done.set(id, model.revision)
      return at(model.revision)
    }
    case 'txn': {
      const next = new Map(now(model))
      const { succeeded, answers } = txn(model, next, command.txn)
      settle(model, next)
      return { kind: 'txn', revision: model.revision, succeeded, answers }
    }
    case 'compact':
      if (command.revision <= model.compacted) throw new Stop('compacted')
      if (command.revision > model.revision) throw new Stop('future-revision')
      model.compacted = command.revision
      return { kind: 'compact', revision: model.revision }
    case 'grant': {
      if (model.leases.has(command.lease)) throw new Stop('lease-exists')
      const lease = command.lease === 0 ? 2 ** 52 + index : command.lease
      const ttlSeconds = Math.min(Math.max(command.ttlSeconds, leaseSecondsMin), leaseSecondsMax)
      model.leases.set(lease, ttlSeconds)
      return { kind: 'grant', revision: model.revision, lease, ttlSeconds }
    }
    case 'revoke': {
      const { lease } = command
      if (command.term !== undefined && command.term !== term) throw new Stop('fenced')
      if (!model.leases.delete(lease)) throw new Stop('lease-not-found')
      settle(model, new Map([...now(model)].filter(([, item]) => item.lease !== lease)))
      return { kind: 'revoke', revision: model.revision, lease }
    }
  }
}

/** A new revision if anything is different. */
function settle(model: Model, next: State): void {
  const was = now(model)
  const isSame = next.size === was.size && [...next].every(([key, item]) => was.get(key) === item)
  if (isSame) return
  model.revision += 1
  model.states.set(model.revision, next)
}

function put(model: Model, next: Map<string, KeyValue>, operation: Extract<TxnOperation, { kind: 'put' }>): void {
  const revision = model.revision + 1
  const { key } = operation
  const old = next.get(key)
  if (old === undefined && (operation.value === undefined || operation.lease === undefined))
    throw new Stop('key-not-found')
  const lease = operation.lease ?? old?.lease ?? 0
  if (lease !== 0 && !model.leases.has(lease)) throw new Stop('lease-not-found')
  const isAgain = old?.modRevision === revision
  next.set(key, {
    key,
    value: operation.value ?? old?.value ?? '',
    createRevision: old?.createRevision ?? revision,
    modRevision: revision,
    version: (old?.version ?? 0) + (isAgain ? 0 : 1),
    lease,
  })
}

function holds(state: State, condition: Condition): boolean {
  const items = inRange(state, condition.range)
  const compare = (a: string | number, b: string | number) =>
    ({ '=': a === b, '!=': a !== b, '<': a < b, '>': a > b })[condition.relation]
  const fields = { version: 'version', create: 'createRevision', mod: 'modRevision', lease: 'lease' } as const
  if (condition.target === 'value') return items.length > 0 && items.every(item => compare(item.value, condition.value))
  const field = fields[condition.target]
  if (items.length === 0) return compare(0, condition.number)
  return items.every(item => compare(item[field], condition.number))
}

type Branch = { readonly succeeded: boolean; readonly nested: Map<Txn, Branch> }

/** All conditions are looked at before anything happens. */
function decide(state: State, of: Txn): Branch {
  const succeeded = of.conditions.every(condition => holds(state, condition))
  const nested = new Map<Txn, Branch>()
  for (const one of succeeded ? of.success : of.failure) {
    if (one.kind === 'txn') nested.set(one.txn, decide(state, one.txn))
  }
  return { succeeded, nested }
}

function txn(model: Model, next: Map<string, KeyValue>, of: Txn, branch = decide(next, of)) {
  const { succeeded, nested } = branch
  const answers: TxnAnswer[] = []
  for (const one of succeeded ? of.success : of.failure) {
    switch (one.kind) {
      case 'put': {
        const previous = next.get(one.key)
        put(model, next, one)
        answers.push({ kind: 'put', previous: one.wantsPrevious ? previous : undefined })
        break
      }
      case 'delete': {
        const items = inRange(next, one.range)
        for (const { key } of items) next.delete(key)
        answers.push({ kind: 'delete', count: items.length, previous: one.wantsPrevious ? items : [] })
        break
      }
      case 'range': {
        if (one.revision > model.revision) throw new Stop('future-revision')
        if (one.revision > 0 && one.revision < model.compacted) throw new Stop('compacted')
        const state = one.revision === 0 ? next : (model.states.get(one.revision) ?? new Map())
        const items = inRange(state, one.range)
        const limit = one.limit === 0 ? items.length : one.limit
        answers.push({ kind: 'range', items: one.countOnly ? [] : items.slice(0, limit), count: items.length })
        break
      }
      case 'txn':
        answers.push({ kind: 'txn', ...txn(model, next, one.txn, nested.get(one.txn)) })
        break
    }
  }
  return { succeeded, answers }
}
