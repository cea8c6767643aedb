// The replay of a history in the order of its revisions: O(n log n), for a million operations and more. A revision is given
// by the store to each write, so the one order in which a correct store can have done them is known, and only has to be
// checked: it is a witness that all responses are right, or it shows which are not.
//
//   replay(history, log?)  → { kind: 'ok' | 'illegal' | 'unknown', anomalies, changes }
//
// 1. Every revision was made by exactly one write; ambiguous ones are placed first by what others saw (resolve.ts).
// 2. Carried out in that order, every write, failed condition and read gives the response that the client got: reads at the
//    revision of their header or the one they asked for, serializable ones too.
// 3. What came back before another was called is not later in the order. Serializable reads may be old, so they are never
//    too early, but what they have shown may not be unseen by those who ask afterwards.
// 4. 'compacted' and 'future' are answered only when that may be so.
// 5. What the watches saw (`log`) is what was written.
//
// 'unknown': an ambiguous operation could not be placed for certain, so that what looks wrong may be the guess.
import { type CompactRequest, describeOperation, type Operation, type ReadOptions } from './history.ts'
import { type Change, emptyState, isChange, perform, type State, sameItems, sameResponse } from './model.ts'
import { Replica } from './replica.ts'
import { type Log, logOf, nameOf, resolve, seenOf } from './resolve.ts'

export type Anomaly = { readonly kind: string; readonly message: string; readonly operations: readonly Operation[] }

export type Replayed = {
  readonly kind: 'ok' | 'illegal' | 'unknown'
  /** At most `anomaliesMax`; `anomalyCount` counts all. */
  readonly anomalies: readonly Anomaly[]
  readonly anomalyCount: number
  /** What each revision changed, from the first after the start on. */
  readonly changes: ReadonlyMap<number, readonly Change[]>
  /** The history with what became of ambiguous operations: what WGL should be given. */
  readonly history: readonly Operation[]
}

const anomaliesMax = 20
const noChanges: ReadonlyMap<number, readonly Change[]> = new Map()

/** `log`: what watches saw. Without one, what the reads of the history show. `start`: the state before it all. */
export function replay(history: readonly Operation[], log?: Log, start: State = emptyState): Replayed {
  const resolved = resolve(history, log ?? logOf(history), start)
  const report = new Report()
  const writes = writesByRevision(resolved.history, start, report)
  const last = lastRevision(resolved.history, writes, log)
  const holes = countHoles(writes, start.revision, last, resolved.open, report)
  const changes = holes === 0 ? replayInOrder(resolved.history, writes, start, last, report) : noChanges
  if (log !== undefined && holes === 0) compareWithLog(changes, log, report)
  checkRealTime(resolved.history, report)
  checkOutOfRange(resolved.history, start, report)
  // Real time and doubled revisions are wrong whatever the guesses; the rest may be the guesses' fault.
  const isGuessed = resolved.guesses > 0 || (holes > 0 && resolved.open > 0)
  const isIllegal = report.isCertain || (report.count > 0 && !isGuessed)
  const kind = isIllegal ? 'illegal' : report.count > 0 ? 'unknown' : 'ok'
  return { kind, anomalies: report.anomalies, anomalyCount: report.count, changes, history: resolved.history }
}

class Report {
  readonly anomalies: Anomaly[] = []
  count = 0
  /** Something is wrong that no other placing of ambiguous operations would mend. */
  isCertain = false

  add(kind: string, message: string, operations: readonly Operation[], isCertain = false): void {
    this.count++
    if (isCertain) this.isCertain = true
    if (this.anomalies.length < anomaliesMax) this.anomalies.push({ kind, message, operations })
  }
}

export const describeAnomaly = ({ kind, message, operations }: Anomaly) =>
  [`${kind}: ${message}`, ...operations.map(operation => `  ${describeOperation(operation)}`)].join('\n')

/** The revision that the operation made; undefined when it made none, or nobody knows. */
function madeRevision({ outcome }: Operation): number | undefined {
  if (outcome.kind === 'ambiguous') return outcome.revision
  return outcome.kind === 'done' && isChange(outcome.response) ? outcome.response.revision : undefined
}

function writesByRevision(history: readonly Operation[], start: State, report: Report): Map<number, Operation> {
  const writes = new Map<number, Operation>()
  for (const operation of history) {
    const revision = madeRevision(operation)
    if (revision === undefined) continue
    const other = writes.get(revision)
    if (revision <= start.revision)
      report.add('revision', `a write made revision ${revision}, which was there before`, [operation], true)
    else if (other === undefined) writes.set(revision, operation)
    else report.add('split', `two writes made revision ${revision}`, [other, operation], true)
  }
  return writes
}

/** The newest revision that anybody saw. */
function lastRevision(history: readonly Operation[], writes: ReadonlyMap<number, Operation>, log?: Log): number {
  let last = 0
  for (const revision of log?.revisions.keys() ?? []) last = Math.max(last, revision)
  for (const revision of writes.keys()) last = Math.max(last, revision)
  for (const { outcome } of history)
    if (outcome.kind === 'done' && 'revision' in outcome.response) last = Math.max(last, outcome.response.revision)
  return last
}

function countHoles(
  writes: ReadonlyMap<number, Operation>,
  first: number,
  last: number,
  open: number,
  report: Report,
): number {
  let holes = 0
  for (let revision = first + 1; revision <= last; revision++) {
    if (writes.has(revision)) continue
    holes++
    report.add('hole', `nobody made revision ${revision}; ${open} ambiguous writes might have`, [], holes > open)
  }
  return holes
}

function replayInOrder(
  history: readonly Operation[],
  writes: ReadonlyMap<number, Operation>,
  start: State,
  last: number,
  report: Report,
): Map<number, readonly Change[]> {
  const replica = new Replica(start, history)
  const unchanging = unchangingByRevision(history)
  const changes = new Map<number, readonly Change[]>()
  for (let revision = start.revision; revision <= last; revision++) {
    const write = writes.get(revision)
    if (write !== undefined) changes.set(revision, replayWrite(replica, revision, write, report))
    for (const operation of unchanging.get(revision) ?? []) checkUnchanging(replica, revision, operation, report)
  }
  for (const [revision, operations] of unchanging)
    if (revision < start.revision || revision > last)
      report.add('revision', `an answer shows revision ${revision}, which never was`, operations.slice(0, 3), true)
  return changes
}

/** What came back and changed nothing, by the revision whose state it shows. */
function unchangingByRevision(history: readonly Operation[]): Map<number, Operation[]> {
  const found = new Map<number, Operation[]>()
  for (const operation of history) {
    if (operation.outcome.kind !== 'done') continue
    const { response } = operation.outcome
    if (response.kind === 'compact' || isChange(response) || !('revision' in response)) continue
    const revision = optionsOf(operation).revision ?? response.revision
    const list = found.get(revision)
    if (list === undefined) found.set(revision, [operation])
    else list.push(operation)
  }
  return found
}

function optionsOf({ request }: Operation): ReadOptions {
  return request.kind === 'get' || request.kind === 'range' ? request : {}
}

function replayWrite(replica: Replica, revision: number, write: Operation, report: Report): readonly Change[] {
  const { response, changes } = perform(replica, revision - 1, write.request)
  if (changes.length === 0) report.add('write', `nothing was to be changed, yet revision ${revision} was made`, [write])
  else if (write.outcome.kind === 'done' && !sameResponse(response, write.outcome.response))
    report.add('response', `wrong at revision ${revision}; should be ${JSON.stringify(response)}`, [write])
  return changes
}

function checkUnchanging(replica: Replica, revision: number, operation: Operation, report: Report): void {
  if (operation.outcome.kind !== 'done') return
  const told = operation.outcome.response
  const { response, changes } = perform(replica.asItIs(), revision, operation.request)
  const isSame =
    response.kind === 'items' && told.kind === 'items'
      ? sameItems(response.items, told.items)
      : changes.length === 0 && sameResponse(response, told)
  if (!isSame)
    report.add('response', `wrong at revision ${revision}; should be ${JSON.stringify(response)}`, [operation])
}

function compareWithLog(changes: ReadonlyMap<number, readonly Change[]>, log: Log, report: Report): void {
  for (const [revision, seen] of log.revisions) {
    const made = new Set((changes.get(revision) ?? []).map(change => nameOf(seenOf(change))))
    const isAll = log.isComplete ? made.size === seen.length : true
    if (isAll && seen.every(change => made.has(nameOf(change)))) continue
    const [was, is] = [JSON.stringify([...made]), JSON.stringify(seen.map(nameOf))]
    report.add('log', `revision ${revision} should have changed ${was}, and was seen to change ${is}`, [])
  }
}

/**
 * Ranks are twice the revision for the write that made it, and one more for what only saw it. Whatever was called after
 * another came back has a rank that is not lower.
 */
function checkRealTime(history: readonly Operation[], report: Report): void {
  const rankOf = (operation: Operation): number | undefined => {
    const made = madeRevision(operation)
    if (made !== undefined) return 2 * made
    const { outcome } = operation
    if (outcome.kind !== 'done' || !('revision' in outcome.response) || outcome.response.kind === 'compact')
      return undefined
    return 2 * outcome.response.revision + 1
  }
  const ranked = history.flatMap(operation => {
    const rank = rankOf(operation)
    return rank === undefined ? [] : [{ operation, rank }]
  })
  const byReturn = ranked.toSorted((a, b) => order(a.operation.return, b.operation.return))
  const byCall = ranked.toSorted((a, b) => order(a.operation.call, b.operation.call))
  let at = 0
  let highest: { operation: Operation; rank: number } | undefined
  for (const { operation, rank } of byCall) {
    for (let next = byReturn[at]; next !== undefined && next.operation.return < operation.call; next = byReturn[++at])
      if (highest === undefined || next.rank > highest.rank) highest = next
    if (highest === undefined || highest.rank <= rank || optionsOf(operation).serializable) continue
    const isCertain = [highest.operation, operation].every(({ outcome }) => outcome.kind === 'done')
    report.add('time', 'the second was called after the first came back', [highest.operation, operation], isCertain)
  }
}

/** Without a subtraction: Infinity minus Infinity is no number. */
const order = (a: number, b: number) => (a < b ? -1 : a > b ? 1 : 0)

/** Reads that asked for a revision: refused only when it may be out of range, and not answered when it must be. */
function checkOutOfRange(history: readonly Operation[], start: State, report: Report): void {
  const compactions = new Compactions(history)
  const newest = new Newest(history, start)
  for (const operation of history) {
    const { outcome } = operation
    if (outcome.kind !== 'done') continue
    const { revision, serializable } = optionsOf(operation)
    const { kind } = outcome.response
    if (kind === 'compacted' && !(revision !== undefined && compactions.mayHave(revision, operation.return)))
      report.add('compacted', 'nobody had compacted up to there', [operation], true)
    if (kind === 'future' && !(revision !== undefined && (serializable || newest.before(operation.call) < revision)))
      report.add('future', 'the revision was there before', [operation], true)
    if (kind === 'items' && revision !== undefined && !serializable && compactions.mustHave(revision, operation.call))
      report.add('compacted', 'the revision was compacted before, and was read', [operation], true)
  }
}

class Compactions {
  private readonly all: readonly (Operation & { readonly request: CompactRequest })[]
  constructor(history: readonly Operation[]) {
    this.all = history.flatMap(operation =>
      operation.request.kind === 'compact' && operation.outcome.kind !== 'failed'
        ? [{ ...operation, request: operation.request }]
        : [],
    )
  }

  mayHave(revision: number, time: number): boolean {
    return this.all.some(({ request, call }) => request.revision > revision && call <= time)
  }

  mustHave(revision: number, time: number): boolean {
    return this.all.some(
      ({ request, outcome, return: end }) =>
        request.revision > revision && end < time && outcome.kind === 'done' && outcome.response.kind === 'compact',
    )
  }
}

/** The newest revision that anybody had been told of at a time. */
class Newest {
  private readonly times: number[] = []
  private readonly revisions: number[] = []
  private readonly start: number

  constructor(history: readonly Operation[], start: State) {
    this.start = start.revision
    let newest = start.revision
    for (const operation of history.toSorted((a, b) => order(a.return, b.return))) {
      const { outcome } = operation
      if (outcome.kind !== 'done' || !('revision' in outcome.response)) continue
      newest = Math.max(newest, outcome.response.revision)
      this.times.push(operation.return)
      this.revisions.push(newest)
    }
  }

  before(time: number): number {
    let [low, high] = [0, this.times.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.times[middle] ?? Infinity) < time) low = middle + 1
      else high = middle
    }
    return this.revisions[low - 1] ?? this.start
  }
}
