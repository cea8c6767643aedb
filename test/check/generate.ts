// Histories for tests of the checkers: correct ones, made by clients that overlap on a store that takes each operation at
// one instant, and the same with one lie told. All from a seed.
import { type Prng, prng } from '../../src/lib/prng.ts'
import type {
  Compare,
  Comparison,
  GetRequest,
  ItemsResponse,
  KeyValue,
  Operation,
  Request,
  Response,
  Step,
  TxnResponse,
} from './history.ts'
import { isRead } from './history.ts'
import { type Change, emptyState, execute, type State } from './model.ts'

export type Shape = {
  readonly operations: number
  readonly clients: number
  readonly keys: number
  /** Share of the operations that nobody knows the outcome of. */
  readonly ambiguous: number
  /** No value is written twice, as in every real run; else a few values come again and again. */
  readonly areValuesUnique: boolean
  /** Serializable reads and reads of old revisions too. Default: no. */
  readonly withOldReads?: boolean
}

export type Generated = {
  readonly operations: readonly Operation[]
  /** Every change, in the order of the revisions: what a watch from the beginning sees. */
  readonly log: readonly { readonly revision: number; readonly time: number; readonly changes: readonly Change[] }[]
  readonly state: State
}

type Plan = {
  readonly client: number
  readonly call: number
  readonly return: number
  readonly at: number
  readonly request: Request
  readonly fate: 'done' | 'lost-after' | 'lost-before'
}

export function generate(seed: number, shape: Shape): Generated {
  const random = prng(seed)
  const free = Array.from({ length: shape.clients }, () => random.below(5))
  const plans: Plan[] = []
  let written = 0
  const value = () => (shape.areValuesUnique ? `v${++written}` : `v${random.below(3)}`)
  for (let i = 0; i < shape.operations; i++) {
    const client = free.indexOf(Math.min(...free))
    const call = (free[client] ?? 0) + 1 + random.below(3)
    const end = call + 1 + random.below(12)
    free[client] = end
    const request = drawRequest(random, shape, value)
    const isAmbiguous = random.chance(shape.ambiguous)
    const at = call + random.float() * (isAmbiguous ? 60 : end - call)
    const fate = isAmbiguous ? (random.chance(0.5) ? 'lost-after' : 'lost-before') : 'done'
    plans.push({ client, call, return: end, at, request, fate })
  }
  return carryOut(
    plans.toSorted((a, b) => a.at - b.at),
    shape.withOldReads ?? false,
  )
}

function carryOut(plans: readonly Plan[], keepsOld: boolean): Generated {
  let state = emptyState
  const old = new Map<number, State>([[state.revision, state]])
  const log: { revision: number; time: number; changes: readonly Change[] }[] = []
  const operations: Operation[] = []
  for (const { client, call, return: end, at, request, fate } of plans) {
    let response: Response = { kind: 'future' }
    if (fate !== 'lost-before') {
      const executed = execute(state, request)
      response = asAsked(request, executed.response, old, state.revision)
      if (executed.state !== state) log.push({ revision: executed.state.revision, time: at, changes: executed.changes })
      state = executed.state
      if (keepsOld) old.set(state.revision, state)
    }
    const isDone = fate === 'done'
    const outcome = isDone ? ({ kind: 'done', response } as const) : ({ kind: 'ambiguous' } as const)
    operations.push({ client, call, return: isDone ? end : Infinity, request, outcome })
  }
  return { operations: operations.toSorted((a, b) => a.call - b.call), log, state }
}

/** Reads with options are answered from the states that were. */
function asAsked(request: Request, newest: Response, old: ReadonlyMap<number, State>, revision: number): Response {
  if (request.kind !== 'get' && request.kind !== 'range') return newest
  if (request.revision !== undefined) {
    const state = old.get(request.revision)
    if (state === undefined) return request.revision > revision ? { kind: 'future' } : { kind: 'compacted' }
    return { ...(execute(state, request).response as ItemsResponse), revision }
  }
  // A serializable read: of a member that is one revision behind, when there is one.
  const state = request.serializable ? old.get(revision - 1) : undefined
  return state === undefined ? newest : execute(state, request).response
}

const comparisons: readonly Comparison[] = ['=', '!=', '<', '>']
const draw = <T>(random: Prng, from: readonly [T, ...T[]]): T => from[random.below(from.length)] ?? from[0]
const drawKey = (random: Prng, shape: Shape) => `k${random.below(shape.keys)}`

function drawRequest(random: Prng, shape: Shape, value: () => string): Request {
  const key = drawKey(random, shape)
  if (shape.withOldReads && random.chance(0.15)) return drawOldRead(random, key)
  return draw(random, [
    () => ({ kind: 'put' as const, key, value: value() }),
    () => ({ kind: 'put' as const, key, value: value() }),
    () => ({ kind: 'get' as const, key }),
    () => ({ kind: 'range' as const, prefix: 'k' }),
    () => ({ kind: 'delete' as const, key }),
    () => drawTxn(random, shape, key, value),
  ])()
}

function drawOldRead(random: Prng, key: string): GetRequest {
  if (random.chance(0.5)) return { kind: 'get', key, serializable: true }
  return { kind: 'get', key, revision: 1 + random.below(12) }
}

function drawTxn(random: Prng, shape: Shape, key: string, value: () => string): Request {
  const compare: Compare = random.chance(0.8)
    ? {
        target: draw(random, ['mod', 'create', 'version']),
        key,
        is: draw(random, ['=', ...comparisons]),
        than: random.below(5),
      }
    : { target: 'value', key, is: draw(random, comparisons as ['=', ...Comparison[]]), than: `v${random.below(6)}` }
  const other = drawKey(random, shape)
  const onOther: readonly Step[] =
    other === key ? [] : [random.chance(0.5) ? { kind: 'delete', key: other } : { kind: 'get', key: other }]
  return {
    kind: 'txn',
    compare: [compare],
    success: [{ kind: 'put', key, value: value() }, ...onOther],
    failure: random.chance(0.3) ? [{ kind: 'delete', key }] : [{ kind: 'get', key }],
  }
}

/** The history with one thing in it changed: a value, a revision, a count, a time or an outcome. Perhaps still correct. */
export function spoil(seed: number, operations: readonly Operation[]): readonly Operation[] {
  const random = prng(seed)
  for (let attempt = 0; attempt < 50; attempt++) {
    const at = random.below(operations.length)
    const operation = operations[at]
    const spoilt = operation && spoilOne(random, operation, operations)
    if (spoilt !== undefined) return operations.with(at, spoilt)
  }
  return operations
}

function spoilOne(random: Prng, operation: Operation, all: readonly Operation[]): Operation | undefined {
  const { outcome } = operation
  if (outcome.kind !== 'done') return undefined
  switch (random.below(4)) {
    case 0: {
      const response = spoilResponse(random, outcome.response)
      return response && { ...operation, outcome: { kind: 'done', response } }
    }
    case 1:
      // It happened, and the client was told that it did not.
      return isRead(operation.request) ? undefined : { ...operation, outcome: { kind: 'failed' } }
    case 2: {
      // The answer of another, or of another time.
      const other = all[random.below(all.length)]
      if (other === operation || other?.outcome.kind !== 'done') return undefined
      return other.request.kind === operation.request.kind ? { ...operation, outcome: other.outcome } : undefined
    }
    default: {
      const later = operation.return + 1 + random.below(40)
      return random.chance(0.5)
        ? { ...operation, call: operation.return, return: later }
        : { ...operation, call: operation.call - 40, return: operation.call }
    }
  }
}

function spoilResponse(random: Prng, response: Response): Response | undefined {
  switch (response.kind) {
    case 'compacted':
    case 'future':
    case 'compact':
      return undefined
    case 'put':
      return { ...response, revision: response.revision + (random.chance(0.5) ? 1 : -1) }
    case 'delete':
      return random.chance(0.5)
        ? { ...response, deleted: 1 - response.deleted }
        : { ...response, revision: response.revision + 1 }
    case 'items':
      if (random.chance(0.3)) return { ...response, revision: response.revision + (random.chance(0.5) ? 1 : -1) }
      return { ...response, items: spoilItems(random, response.items) }
    case 'txn':
      return spoilTxn(random, response)
  }
}

function spoilTxn(random: Prng, response: TxnResponse): TxnResponse {
  if (random.chance(0.3)) return { ...response, succeeded: !response.succeeded }
  if (random.chance(0.3)) return { ...response, revision: response.revision - 1 }
  const step = response.steps[0]
  if (step?.kind !== 'items') return { ...response, revision: response.revision + 1 }
  return { ...response, steps: response.steps.with(0, { ...step, items: spoilItems(random, step.items) }) }
}

function spoilItems(random: Prng, items: readonly KeyValue[]): readonly KeyValue[] {
  const at = random.below(items.length)
  const item = items[at]
  if (item === undefined) return [{ key: 'k0', value: 'never', createRevision: 2, modRevision: 2, version: 1 }]
  switch (random.below(4)) {
    case 0:
      return items.toSpliced(at, 1)
    case 1:
      return items.with(at, { ...item, value: `${item.value}x` })
    case 2:
      return items.with(at, { ...item, modRevision: item.modRevision - 1 })
    default:
      return items.with(at, { ...item, version: item.version + 1 })
  }
}
