// What became of ambiguous operations, told by what others saw: a watch from the beginning shows every change with its
// revision, and a read shows the revision in which a key was last changed. etcd's robustness tests do the same from the log.
//
//   resolve(history, log, start) → the history with `revision` set on what happened, and `failed` on what never did
//   logOf(history)               → a log made of the reads alone, which shows only some of the changes
//
// A log is by revision; `isComplete` says that it holds every revision up to `last`, so that what is not in it did not
// happen until then. Operations are told apart by the values they put, so values should be written once only. Deletions of
// one key look alike: they are given out in the order of their calls, which fits when anything fits, except that a
// transaction's conditions may have wanted another order. `guesses` counts those; checkers then do not say "illegal".
import type { Operation, Request, Step } from './history.ts'
import { type Change, emptyState, isChange, itemsOf, perform, type State } from './model.ts'
import { Replica } from './replica.ts'

/** A change as a watch shows it. */
export type Seen =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string }

export type Log = {
  readonly revisions: ReadonlyMap<number, readonly Seen[]>
  /** Every revision from the first to `last` is there, each with all its changes. */
  readonly isComplete: boolean
}

export type Resolved = {
  readonly history: readonly Operation[]
  /** Ambiguous operations that were given one of several revisions that look alike. */
  readonly guesses: number
  /** Ambiguous writes of which nothing is known still. */
  readonly open: number
}

export function logOf(history: readonly Operation[]): Log {
  const revisions = new Map<number, Seen[]>()
  if (!history.some(({ outcome }) => outcome.kind === 'ambiguous')) return { revisions, isComplete: false }
  for (const { outcome } of history) {
    if (outcome.kind !== 'done') continue
    for (const { key, value, modRevision } of itemsOf(outcome.response)) {
      const seen = revisions.get(modRevision) ?? []
      if (!seen.some(change => change.key === key)) seen.push({ kind: 'put', key, value })
      revisions.set(modRevision, seen)
    }
  }
  return { revisions, isComplete: false }
}

/** `start` is the state before the history and the log. */
export function resolve(history: readonly Operation[], log: Log, start: State = emptyState): Resolved {
  const waiting = new Waiting(history)
  const claimed = claimedBy(history)
  const replica = new Replica(start, history)
  const revisionOf = new Map<Operation, number>()
  let guesses = 0
  for (const revision of [...log.revisions.keys()].toSorted((a, b) => a - b)) {
    const seen = log.revisions.get(revision) ?? []
    const found = claimed.has(revision)
      ? undefined
      : waiting.take(seen, request =>
          log.isComplete ? makes(replica, revision, request, seen) : mayMake(request, seen),
        )
    if (log.isComplete) perform(replica, revision - 1, asRequest(seen))
    if (found === undefined) continue
    revisionOf.set(found.operation, revision)
    if (found.hadChoice) guesses++
  }
  let open = 0
  const resolved = history.map((operation): Operation => {
    const { outcome } = operation
    if (outcome.kind !== 'ambiguous' || outcome.revision !== undefined || !mayChange(operation.request))
      return operation
    const revision = revisionOf.get(operation)
    if (revision !== undefined) return { ...operation, outcome: { kind: 'ambiguous', revision } }
    if (log.isComplete) return { ...operation, outcome: { kind: 'failed' } }
    open++
    return operation
  })
  return { history: resolved, guesses, open }
}

const mayChange = (request: Request) => effectsOf(request).some(effect => effect.length > 0)

function claimedBy(history: readonly Operation[]): Set<number> {
  const claimed = new Set<number>()
  for (const { outcome } of history) {
    if (outcome.kind === 'done' && isChange(outcome.response)) claimed.add(outcome.response.revision)
    if (outcome.kind === 'ambiguous' && outcome.revision !== undefined) claimed.add(outcome.revision)
  }
  return claimed
}

/** Whether the request would have made exactly these changes of what was there then. */
function makes(replica: Replica, revision: number, request: Request, seen: readonly Seen[]): boolean {
  const { changes } = perform(replica.asItIs(), revision - 1, request)
  const names = new Set(changes.map(change => nameOf(seenOf(change))))
  return names.size === seen.length && seen.every(change => names.has(nameOf(change)))
}

/** Whether the request might have made these changes, and perhaps more. */
function mayMake(request: Request, seen: readonly Seen[]): boolean {
  return effectsOf(request).some(effect => {
    const names = new Set(effect.map(nameOf))
    return seen.every(change => names.has(nameOf(change)))
  })
}

const asRequest = (seen: readonly Seen[]): Request => ({ kind: 'txn', compare: [], success: seen, failure: [] })

/** The change as a watch shows it. */
export const seenOf = (change: Change): Seen =>
  change.kind === 'put'
    ? { kind: 'put', key: change.current.key, value: change.current.value }
    : { kind: 'delete', key: change.key }

/** What the request may do: one list of changes for each of its branches. A deletion in it may find nothing to delete. */
function effectsOf(request: Request): readonly (readonly Seen[])[] {
  const changes = (steps: readonly Step[]) =>
    steps.flatMap((step): Seen[] =>
      step.kind === 'put'
        ? [{ kind: 'put', key: step.key, value: step.value }]
        : step.kind === 'delete'
          ? [{ kind: 'delete', key: step.key }]
          : [],
    )
  switch (request.kind) {
    case 'txn':
      return [changes(request.success), changes(request.failure)]
    case 'put':
    case 'delete':
      return [changes([request])]
    case 'get':
    case 'range':
    case 'compact':
      return []
  }
}

/** Equal for equal changes. */
export const nameOf = (change: Seen) => (change.kind === 'put' ? `p${change.key}\0${change.value}` : `d${change.key}`)

/** Ambiguous operations by each change that they may have made, in the order of their calls. */
class Waiting {
  private readonly byChange = new Map<string, Operation[]>()
  private readonly taken = new Set<Operation>()

  constructor(history: readonly Operation[]) {
    const ambiguous = history.filter(({ outcome }) => outcome.kind === 'ambiguous' && outcome.revision === undefined)
    for (const operation of ambiguous.toSorted((a, b) => a.call - b.call))
      for (const name of new Set(effectsOf(operation.request).flat().map(nameOf))) {
        const list = this.byChange.get(name) ?? []
        list.push(operation)
        this.byChange.set(name, list)
      }
  }

  /** The operation that made these changes. */
  take(
    seen: readonly Seen[],
    fits: (request: Request) => boolean,
  ): { operation: Operation; hadChoice: boolean } | undefined {
    // A put tells more than a deletion.
    const first = seen.find(({ kind }) => kind === 'put') ?? seen[0]
    if (first === undefined) return undefined
    const list = (this.byChange.get(nameOf(first)) ?? []).filter(operation => !this.taken.has(operation))
    const fitting = list.filter(({ request }) => fits(request))
    const operation = fitting[0]
    if (operation === undefined) return undefined
    this.taken.add(operation)
    this.byChange.set(nameOf(first), list)
    // Without conditions the order of the calls is as good as any.
    const hadChoice = fitting.length > 1 && fitting.some(({ request }) => request.kind === 'txn')
    return { operation, hadChoice }
  }
}
